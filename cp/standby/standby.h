/* standby.h - the warm standby: the owner of a cell sends every change of its alarms, events,
 * operators' notes and checkpoints to the cell's standby, which stores them; and whoever becomes
 * the owner puts what is known into the data plane's memory before it applies alarms.
 *
 * Sending: one stream of requests to each server, one under way at a time, what waits goes
 * together. A standby that is new to a cell, was away, or says that it has no whole copy gets one
 * first. What waits is bounded; over the bound the cell is copied anew later. Receiving: only from
 * the cell's owner, under a token that is not lower than the one known; answers when it is on disk.
 * Restoring, in this order: the memory of the owner until now when it lives (it has stopped
 * applying under the old token by then); this server's own archive when that is whole; else what
 * all servers hold, the newest of each record. What may be missing is said in the log and as an
 * event.
 *
 * Thread:  control.
 * Memory:  keeps what the configuration names; copies what it is given.
 * Returns: 0 done; <0 -errno.
 */
#ifndef BELLWETHER_CP_STANDBY_STANDBY_H
#define BELLWETHER_CP_STANDBY_STANDBY_H

#include <stdbool.h>
#include <stdint.h>

#include "cp/archive/archive.h"
#include "cp/cluster/cluster.h"
#include "cp/memory/memory.h"

struct standby; /* opaque: see standby.c */

struct standby_config {
	struct uv_loop_s *loop;
	const struct conf *conf;
	struct fedmem *fedmem;
	struct cluster *cluster;
	const struct inventory *inventory;
	struct memory *memory;
	struct archive *archive;
};

int standby_create(struct standby **out, const struct standby_config *cfg);

/* Sends the records to the standby of their cell ('cell' and 'token' of the request are set here).
 * 'done' (may be NULL) runs once: stored at the standby, or 'is_degraded': there is none that could
 * store it, or it did not answer in STANDBY_WAIT_MS and gets a whole copy later. */
#define STANDBY_WAIT_MS 1000
int standby_send(struct standby *s, const char *cell, const struct wire_replicate_request *records,
		 void (*done)(void *user, bool is_degraded), void *user);

/* What cluster_listener tells. */
void standby_gained(struct standby *s, const struct ownership_cell *cell, uint64_t element,
		    uint16_t was);
void standby_changed(struct standby *s);

/* Of each cell that this server owns: is its standby's copy whole, up to what was sent? */
bool standby_is_whole(struct standby *s, const char *cell);
bool standby_is_idle(struct standby *s); /* nothing waits, nothing is being restored or copied */

/* Cluster/Replicate and Cluster/FetchCell. */
const struct rpc_method *standby_methods(struct standby *s, uint32_t *n);

void standby_destroy(struct standby *s); /* takes NULL */

#endif
