/* arena.h - memory of one message, given out piece by piece and freed as a whole.
 * Thread: any, one at a time. Memory: zeroed, aligned for everything. Returns: NULL when there is
 * no more.
 */
#ifndef BELLWETHER_CP_WIRE_ARENA_H
#define BELLWETHER_CP_WIRE_ARENA_H

#include <stddef.h>

/* What one message may take in all. Empty sub-messages of two octets each become some hundred
 * octets of structs: without a bound 4 MiB of them would be gigabytes. */
#define ARENA_BYTES_MAX (64u << 20)

struct arena; /* opaque: see arena.c */

struct arena *arena_create(size_t expected);
void *arena_alloc(struct arena *a, size_t n_bytes);
/* 'n' records of 'record_bytes' each. */
void *arena_array(struct arena *a, size_t n, size_t record_bytes);
/* The arena whose first piece this is. */
struct arena *arena_of(void *first);
void arena_destroy(struct arena *a); /* takes NULL */

#endif
