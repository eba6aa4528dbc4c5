#include "dp/decode/utf8.h"

/* RFC 3629 section 4: what the first octet says of the second one's range and of the length. */
struct lead {
	uint8_t n_more, second_min, second_max;
};

static bool lead_of(uint8_t octet, struct lead *lead)
{
	*lead = (struct lead){.second_min = 0x80, .second_max = 0xbf};
	if (octet < 0xc2 || octet > 0xf4)
		return false;
	lead->n_more = octet < 0xe0 ? 1 : octet < 0xf0 ? 2 : 3;
	if (octet == 0xe0)
		lead->second_min = 0xa0;
	else if (octet == 0xed)
		lead->second_max = 0x9f;
	else if (octet == 0xf0)
		lead->second_min = 0x90;
	else if (octet == 0xf4)
		lead->second_max = 0x8f;
	return true;
}

bool utf8_next(struct cursor *c, uint32_t *character)
{
	struct cursor rest = *c;
	struct lead lead;
	uint8_t octet;

	if (!cursor_octet(&rest, &octet))
		return false;
	*character = octet;
	if (octet < 0x80) {
		*c = rest;
		return true;
	}
	if (!lead_of(octet, &lead))
		return false;
	*character &= 0x3fu >> lead.n_more;
	for (uint8_t i = 0; i < lead.n_more; i++) {
		if (!cursor_octet(&rest, &octet) || octet < lead.second_min ||
		    octet > lead.second_max)
			return false;
		lead.second_min = 0x80; /* the third and fourth have the whole range */
		lead.second_max = 0xbf;
		*character = *character << 6 | (octet & 0x3f);
	}
	*c = rest;
	return true;
}

bool utf8_is_text(struct cursor c)
{
	uint32_t character;

	while (cursor_left(&c) > 0)
		if (!utf8_next(&c, &character) || character == 0)
			return false;
	return true;
}

bool utf8_is_printable(struct cursor c)
{
	uint32_t character;

	while (cursor_left(&c) > 0) {
		if (!utf8_next(&c, &character))
			return false;
		if (character < 0x20 || (character >= 0x7f && character < 0xa0))
			return false;
	}
	return true;
}
