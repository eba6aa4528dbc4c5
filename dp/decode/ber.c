#include "dp/decode/ber.h"

enum {
	LENGTH_OCTETS_MAX = 4,
	OID_ARCS_MAX = 128,
	HIGH_TAG_NUMBER = 0x1f, /* the number follows in further octets */
};

static enum decode_refusal take_length(struct cursor *c, size_t *length)
{
	uint8_t octet, n_octets;

	if (!cursor_octet(c, &octet))
		return DECODE_SNMP_TRUNCATED;
	*length = octet;
	if (octet < 0x80)
		return DECODE_OK;
	n_octets = octet & 0x7f;
	if (n_octets == 0 || n_octets > LENGTH_OCTETS_MAX)
		return DECODE_SNMP_BER; /* none: the indefinite form */
	*length = 0;
	while (n_octets-- > 0) {
		if (!cursor_octet(c, &octet))
			return DECODE_SNMP_TRUNCATED;
		*length = *length << 8 | octet;
	}
	return DECODE_OK;
}

enum decode_refusal ber_next(struct cursor *c, struct ber_element *element)
{
	enum decode_refusal refusal;
	size_t length;

	if (!cursor_octet(c, &element->tag))
		return DECODE_SNMP_TRUNCATED;
	if ((element->tag & HIGH_TAG_NUMBER) == HIGH_TAG_NUMBER)
		return DECODE_SNMP_BER;
	refusal = take_length(c, &length);
	if (refusal != DECODE_OK)
		return refusal;
	return cursor_take(c, length, &element->contents) ? DECODE_OK : DECODE_SNMP_TRUNCATED;
}

enum decode_refusal ber_expect(struct cursor *c, enum ber_tag tag, struct cursor *contents)
{
	struct ber_element element;
	enum decode_refusal refusal;

	refusal = ber_next(c, &element);
	if (refusal != DECODE_OK)
		return refusal;
	if (element.tag != tag)
		return DECODE_SNMP_BER;
	*contents = element.contents;
	return DECODE_OK;
}

bool ber_signed32(struct cursor contents, int32_t *value)
{
	size_t n_octets = cursor_left(&contents);
	uint64_t bits = 0;
	int64_t wide;

	if (n_octets == 0 || n_octets > sizeof(bits))
		return false;
	if ((contents.at[0] & 0x80) != 0)
		bits = UINT64_MAX;
	while (contents.at < contents.end)
		bits = bits << 8 | *contents.at++;
	wide = (int64_t)bits;
	if (wide < INT32_MIN || wide > INT32_MAX)
		return false;
	*value = (int32_t)wide;
	return true;
}

bool ber_unsigned(struct cursor contents, uint64_t value_max, uint64_t *value)
{
	size_t full_width = value_max > UINT32_MAX ? 8 : 4;
	size_t n_octets = cursor_left(&contents);

	if (n_octets == 0 || n_octets > sizeof(*value) + 1)
		return false;
	/* Agents are met that leave out the zero octet before a high bit, in values of full width.
	 */
	if ((contents.at[0] & 0x80) != 0 && n_octets != full_width)
		return false;
	if (n_octets == sizeof(*value) + 1 && contents.at[0] != 0)
		return false;
	*value = 0;
	while (contents.at < contents.end)
		*value = *value << 8 | *contents.at++;
	return *value <= value_max;
}

bool ber_oid_next(struct cursor *c, uint32_t *subidentifier)
{
	uint64_t value = 0;
	uint8_t octet;

	do {
		if (!cursor_octet(c, &octet))
			return false;
		if (value == 0 && octet == 0x80)
			return false;
		value = value << 7 | (octet & 0x7f);
		if (value > UINT32_MAX)
			return false;
	} while ((octet & 0x80) != 0);
	*subidentifier = (uint32_t)value;
	return true;
}

bool ber_oid_is_valid(struct cursor contents)
{
	unsigned int n_arcs = 1; /* the first subidentifier holds two */
	uint32_t subidentifier;

	while (cursor_left(&contents) > 0) {
		if (++n_arcs > OID_ARCS_MAX || !ber_oid_next(&contents, &subidentifier))
			return false;
	}
	return n_arcs > 1;
}
