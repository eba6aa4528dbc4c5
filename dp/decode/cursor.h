/* cursor.h - octets that are left to read, with their end. Whatever a decoder reads, it reads here:
 * a step that would pass the end is refused and moves nothing. */
#ifndef BELLWETHER_DP_DECODE_CURSOR_H
#define BELLWETHER_DP_DECODE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cursor {
	const uint8_t *at, *end;
};

static inline size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->at);
}

static inline bool cursor_octet(struct cursor *c, uint8_t *octet)
{
	if (c->at == c->end)
		return false;
	*octet = *c->at++;
	return true;
}

/* The next n octets as a cursor of their own. */
static inline bool cursor_take(struct cursor *c, size_t n, struct cursor *part)
{
	if (n > cursor_left(c))
		return false;
	part->at = c->at;
	part->end = c->at += n;
	return true;
}

/* An integer of n <= 8 octets, the lowest first. */
static inline bool cursor_little_endian(struct cursor *c, size_t n, uint64_t *value)
{
	if (n > cursor_left(c))
		return false;
	*value = 0;
	for (size_t i = 0; i < n; i++)
		*value |= (uint64_t)c->at[i] << (8 * i);
	c->at += n;
	return true;
}

#endif
