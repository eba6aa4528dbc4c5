/* trail.h - the newest events of the registry, packed, in the order of their numbers; an older one
 * gives way. In memory as well as in the store, so that an event that was told can be read before
 * its batch is on disk. Private to cp/registry.
 *
 * Thread:  control.
 * Memory:  an all-zero trail is empty.
 * Returns: 0 done; -ENOMEM, -EBADMSG.
 */
#ifndef BELLWETHER_CP_REGISTRY_TRAIL_H
#define BELLWETHER_CP_REGISTRY_TRAIL_H

#include "cp/registry/registry.h"

struct trail_item {
	uint64_t number;
	struct wire_bytes packed;
};
struct trail {
	struct trail_item *items; /* a ring of REGISTRY_TRAIL_MAX, or NULL */
	uint32_t first, n;
};

/* Takes the octets, whatever it returns. Numbers rise: else -EBADMSG. '*dropped' is the number of
 * the event that gave way; 0: none did. */
int trail_add(struct trail *t, uint64_t number, struct wire_bytes packed, uint64_t *dropped);
const struct trail_item *trail_item(const struct trail *t, uint32_t place); /* 0: the oldest */
/* The place of the first event with a higher number; 'n' when there is none. */
uint32_t trail_above(const struct trail *t, uint64_t number);
uint64_t trail_newest(const struct trail *t); /* its number; 0: the trail is empty */
void trail_fini(struct trail *t);

#endif
