/* gaps.h - which sequence numbers of which element are missing, so that one that comes late can be
 * told from a duplicate. The counts are fedmem's; here lies only what is needed to take one back.
 * A table of fixed size, touched when a gap opens and when a report is late, never by one in its
 * turn. It remembers the last GAPS_WINDOW numbers before the newest gap's end, of as many elements
 * as it has rows; two elements with gaps in one row displace each other. What it has forgotten
 * stays counted as missing.
 *
 * Thread:  worker.
 * Memory:  gaps_create() allocates, gaps_destroy() frees.
 * Returns: 0 done; -ENOMEM.
 */
#ifndef BELLWETHER_DP_APPLY_GAPS_H
#define BELLWETHER_DP_APPLY_GAPS_H

#include <stdbool.h>
#include <stdint.h>

#define GAPS_ROWS   4096u /* a power of two */
#define GAPS_WINDOW 256u  /* a power of two, a multiple of 64 */

struct gaps; /* opaque: see gaps.c */

/* A source: the element's id, and its boot. */
struct gaps_source {
	uint64_t element_id, boot;
};

int gaps_create(struct gaps **out);
/* The numbers between 'newest' and 'next', both not included, are missing from now on. */
void gaps_open(struct gaps *g, const struct gaps_source *s, uint64_t newest, uint64_t next);
/* True when the number was missing; it is not any more. */
bool gaps_fill(struct gaps *g, const struct gaps_source *s, uint64_t sequence);
void gaps_destroy(struct gaps *g); /* takes NULL */

#endif
