/* format.h - times, and texts of others, for people.
 * Thread: any.
 */
#ifndef BELLWETHER_CP_CLI_FORMAT_H
#define BELLWETHER_CP_CLI_FORMAT_H

#include <stdint.h>
#include <stdio.h>

#define FORMAT_TIME_BYTES 32

/* Elements write the texts of alarms: a control character would be an order to the terminal. */
void format_safe(FILE *to, const char *text);
/* UTC, RFC 3339 with milliseconds; "-" for 0. */
void format_time(char text[FORMAT_TIME_BYTES], uint64_t unix_ns);
/* "350ms", "12s", "5m", "3h", "9d". */
void format_age(char text[FORMAT_TIME_BYTES], uint64_t ms);

/* "memory", or "store 12s": how long ago it was stored. "-": not said. */
void format_source(char text[FORMAT_TIME_BYTES], const char *source, uint64_t age_ms);
uint64_t format_age_since(uint64_t unix_ns); /* milliseconds; 0 for 0 and for what is to come */

#endif
