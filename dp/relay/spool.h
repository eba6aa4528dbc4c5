/* spool.h - alarms on their way, in queues, in a room that is set aside at creation. An entry's
 * datagram lies in chunks that are taken from one pool and given back to it, so an entry that
 * waits for long takes only its own room. (A ring of octets would be simpler, but the oldest entry
 * of a silent peer would keep everything behind it from being reused.)
 *
 * Thread:  worker.
 * Memory:  spool_create() allocates, spool_destroy() frees. An entry is named by its index; a
 *          pointer to one lives until it is freed.
 * Returns: see the functions.
 */
#ifndef BELLWETHER_DP_RELAY_SPOOL_H
#define BELLWETHER_DP_RELAY_SPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "dp/apply/apply.h"

#define SPOOL_NONE	  UINT32_MAX
#define SPOOL_CHUNK_BYTES 256u
#define SPOOL_CHUNKS_EACH 2u /* for each alarm of the configuration */

struct spool_entry {
	uint64_t number; /* in its queue, rising from its head to its tail */
	uint64_t report_bitmap;
	struct fedmem_address source;
	uint32_t cell;
	uint32_t before, after; /* in its queue; SPOOL_NONE */
	uint32_t chunk;		/* first one of the datagram */
	uint16_t payload_bytes;
	uint8_t format;
	bool is_sent; /* at least once since it came into its queue */
};

struct spool_queue {
	uint32_t head, tail; /* SPOOL_NONE: empty */
};

struct spool; /* opaque: see spool.c */

/* 'alarms_max' > 0. -ENOMEM, -E2BIG. */
int spool_create(struct spool **out, uint32_t alarms_max);
/* Copies the datagram. SPOOL_NONE: no room. The entry is in no queue. */
uint32_t spool_add(struct spool *s, const struct apply_datagram *d, uint32_t cell);
struct spool_entry *spool_entry(struct spool *s, uint32_t index);
void spool_copy(const struct spool *s, uint32_t index, uint8_t *to); /* payload_bytes octets */
void spool_free(struct spool *s, uint32_t index);		     /* it is in no queue */
void spool_destroy(struct spool *s);				     /* takes NULL */

void spool_queue_init(struct spool_queue *q);
/* Puts the entry last, under the next number of the spool: numbers are never given twice. */
void spool_append(struct spool *s, struct spool_queue *q, uint32_t index);
void spool_unlink(struct spool *s, struct spool_queue *q, uint32_t index);

#endif
