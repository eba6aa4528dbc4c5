/* text.h - texts as they travel: UTF-8 (RFC 3629) without NUL, at most WIRE_TEXT_MAX octets.
 * Thread: any. Memory: see the functions.
 */
#ifndef BELLWETHER_CP_WIRE_TEXT_H
#define BELLWETHER_CP_WIRE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

bool text_is_sound(const uint8_t *bytes, size_t n);
/* The text as it may be sent: itself, or a copy in the arena with '?' for each octet that is not
 * UTF-8 and cut at WIRE_TEXT_MAX; NULL is "". Returns NULL: no memory. */
char *text_for_sending(struct arena *a, const char *text);

#endif
