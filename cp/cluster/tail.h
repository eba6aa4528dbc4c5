/* tail.h - the newest entries of the log, in memory: those that are not yet both stored and
 * applied. All others are read from the disk.
 *
 * Thread:  control.
 * Memory:  copies what it is given; what it finds lives until it is given up or dropped.
 * Returns: 0 done; -ENOMEM, nothing changed.
 */
#ifndef BELLWETHER_CP_CLUSTER_TAIL_H
#define BELLWETHER_CP_CLUSTER_TAIL_H

#include <stddef.h>
#include <stdint.h>

struct tail_entry {
	uint64_t epoch;
	uint8_t *bytes;
	size_t n;
};

struct tail {
	struct tail_entry *entries;
	uint64_t first; /* index of entries[0]; of the next one to come when there is none */
	uint32_t n, room;
	size_t bytes; /* of all entries */
};

void tail_init(struct tail *t, uint64_t first);
/* Behind the last one. */
int tail_push(struct tail *t, uint64_t epoch, const uint8_t *bytes, size_t n);
void tail_give_up(struct tail *t, uint64_t from); /* this one and all after it */
void tail_drop(struct tail *t, uint64_t below);
const struct tail_entry *tail_find(const struct tail *t, uint64_t index); /* NULL: it is not here */
void tail_fini(struct tail *t);

#endif
