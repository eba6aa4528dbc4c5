/* utf8.h - UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates, nothing above U+10FFFF.
 */
#ifndef BELLWETHER_DP_DECODE_UTF8_H
#define BELLWETHER_DP_DECODE_UTF8_H

#include <stdbool.h>
#include <stdint.h>

#include "dp/decode/cursor.h"

/* Takes the next character. False: there is none, or it is not UTF-8; nothing is taken then. */
bool utf8_next(struct cursor *c, uint32_t *character);

/* UTF-8 without a NUL. */
bool utf8_is_text(struct cursor c);

/* UTF-8 without control characters: neither U+0000 to U+001F nor U+007F to U+009F. */
bool utf8_is_printable(struct cursor c);

#endif
