/* checkpoint.h - what changed in this server's memory since it was last written goes to the archive
 * and to the standby, every 'store.checkpoint_ms': elements whose state moved on, alarms whose
 * count did without an event, and the table of servers. So the view from the store is never older
 * than that, and each record says when it was written. A round goes over the cells that this server
 * owns in slices between other work; a round that takes longer than the interval is followed by the
 * next at once.
 *
 * Thread:  control.
 * Memory:  keeps what the configuration names.
 * Returns: 0 done; <0 -errno.
 */
#ifndef BELLWETHER_CP_CHECKPOINT_CHECKPOINT_H
#define BELLWETHER_CP_CHECKPOINT_CHECKPOINT_H

#include "cp/archive/archive.h"
#include "cp/cluster/cluster.h"
#include "cp/memory/memory.h"
#include "cp/standby/standby.h"

struct checkpoint; /* opaque: see checkpoint.c */

struct checkpoint_config {
	struct uv_loop_s *loop;
	struct fedmem *fedmem;
	struct cluster *cluster;
	const struct inventory *inventory;
	struct memory *memory;
	struct archive *archive;
	struct standby *standby;
	uint32_t interval_ms;
	/* The cluster as GetStatus tells it; fills '*page'. */
	int (*status)(void *user, struct memory_page **page, struct wire_status *out);
	void *user;
};

int checkpoint_create(struct checkpoint **out, const struct checkpoint_config *cfg);
uint64_t checkpoint_rounds(const struct checkpoint *c); /* that are on disk as a whole */
void checkpoint_destroy(struct checkpoint *c);		/* takes NULL */

#endif
