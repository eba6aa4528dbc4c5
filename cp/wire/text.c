#include "cp/wire/text.h"

#include <string.h>

#include "cp/wire/arena.h"
#include "cp/wire/wire.h"

/* Octets of the character that begins here; 0: none does (RFC 3629, section 4). */
static size_t character_bytes(const uint8_t *b, size_t n)
{
	size_t len;
	uint8_t low = 0x80, high = 0xbf; /* bounds of the second octet */

	if (b[0] < 0x80)
		return b[0] != 0;
	if (b[0] >= 0xc2 && b[0] <= 0xdf)
		len = 2;
	else if (b[0] >= 0xe0 && b[0] <= 0xef)
		len = 3;
	else if (b[0] >= 0xf0 && b[0] <= 0xf4)
		len = 4;
	else
		return 0;
	if (b[0] == 0xe0)
		low = 0xa0;
	else if (b[0] == 0xed)
		high = 0x9f; /* no surrogates */
	else if (b[0] == 0xf0)
		low = 0x90;
	else if (b[0] == 0xf4)
		high = 0x8f;
	if (n < len || b[1] < low || b[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((b[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

bool text_is_sound(const uint8_t *bytes, size_t n)
{
	if (n > WIRE_TEXT_MAX)
		return false;
	for (size_t i = 0, len; i < n; i += len) {
		len = character_bytes(bytes + i, n - i);
		if (len == 0)
			return false;
	}
	return true;
}

char *text_for_sending(struct arena *a, const char *text)
{
	const uint8_t *in = (const uint8_t *)text;
	size_t n, out = 0;
	char *copy;

	if (text == NULL)
		return (char *)"";
	n = strnlen(text, WIRE_TEXT_MAX + 1);
	if (text_is_sound(in, n))
		return (char *)text; /* protobuf-c's structs are not const; packing only reads */
	copy = arena_alloc(a, WIRE_TEXT_MAX + 1);
	if (copy == NULL)
		return NULL;
	for (size_t i = 0, len; i < n; i += len) {
		len = character_bytes(in + i, n - i);
		if (out + (len > 0 ? len : 1) > WIRE_TEXT_MAX)
			break;
		if (len == 0) {
			copy[out++] = '?';
			len = 1;
		} else {
			memcpy(copy + out, in + i, len);
			out += len;
		}
	}
	copy[out] = '\0';
	return copy;
}
