/* when.h - a moment as people write it.
 * Thread: any.
 */
#ifndef BELLWETHER_CP_CLI_WHEN_H
#define BELLWETHER_CP_CLI_WHEN_H

#include <stdbool.h>
#include <stdint.h>

/* RFC 3339, "2026-11-22T19:21:15.25Z" or "...+01:00", a date alone, or so long before 'now_ns':
 * "-90s", "-10m", "-3h", "-2d". UNIX time. False: neither. */
bool when_parse(uint64_t *unix_ns, const char *text, uint64_t now_ns);

#endif
