/* standby.h - the warm standby: the owner of a cell sends every change of its alarms, events,
 * operators' notes and checkpoints to the cell's standby, which stores them; and whoever becomes
 * the owner puts what is known into the data plane's memory before it applies alarms.
 *
 * Sending: one stream of requests for each cell, one under way at a time, what waits goes together.
 * A standby that is new to a cell, was away, or says that it has no whole copy gets one first, page
 * by page out of the memory; changes and pages go in the order in which they were made. What waits
 * is bounded; what is dropped makes the copy wanted anew. Receiving: only from the cell's owner,
 * under the token that this server knows; answers when it is on disk.
 * Restoring, in this order: the memory of the owner until now when it lives (it has stopped
 * applying under the old token by then); this server's own archive when that is whole; else what
 * all servers hold, the newest of each record. What may be missing is said in the log and as an
 * event.
 *
 * When is an archive whole for a cell? Its sync record says so, under a token T:
 *   as owner     the server restored the cell under T and has written all of it into its archive;
 *                every change since then is stored there before it is acknowledged
 *   as standby   a copy that the owner under T began has ended, and none has begun since
 * A whole archive counts at a take-over when T is the cell's token, or the one just before it
 * (generation one less): nobody owned the cell in between. As standby it counts for sure only when
 * this process saw the copy end and heard from the owner in the last STANDBY_SURE_MS: the owner
 * says something at least every STANDBY_IDLE_MS, and begins a new copy with the first request after
 * a gap. Otherwise the others are asked as well, and it is said that something may be missing.
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

struct standby; /* opaque: see standby_private.h */

struct standby_config {
	struct uv_loop_s *loop;
	struct fedmem *fedmem;
	struct cluster *cluster;
	const struct inventory *inventory;
	struct memory *memory;
	struct archive *archive;
	/* For the event log: a "restored_in_part" with kind, cell, token, server, was and text; may
	 * be NULL. */
	void (*event)(void *user, struct wire_event *e);
	void *user;
};

int standby_create(struct standby **out, const struct standby_config *cfg);

/* Sends the records to the standby of their cell ('cell' and 'token' of the request are set here).
 * 'done' (may be NULL) runs once, also from inside this call: stored at the standby, or
 * 'is_degraded': there is none that could store it, or it did not answer in STANDBY_WAIT_MS and
 * gets a whole copy later. So it does when no memory was left: here, or, for the caller, to fill in
 * any record. */
#define STANDBY_WAIT_MS	      1000
#define STANDBY_IDLE_MS	      2000
#define STANDBY_SURE_MS	      6000
#define STANDBY_WAITING_BYTES (16u << 20) /* over all cells */
void standby_send(struct standby *s, const char *cell, const struct wire_replicate_request *records,
		  void (*done)(void *user, bool is_degraded), void *user);

/* What cluster_listener tells. */
void standby_gained(struct standby *s, const struct ownership_cell *cell, uint64_t element,
		    uint16_t was);
void standby_changed(struct standby *s);

/* Of each cell that this server owns: is its standby's copy whole, and nothing on its way there? */
bool standby_is_whole(struct standby *s, const char *cell);
/* Nothing waits, nothing is being restored or copied. A copy for a standby that is not alive is not
 * waited for. */
bool standby_is_idle(struct standby *s);

/* Cluster/Replicate and Cluster/FetchCell. */
const struct rpc_method *standby_methods(struct standby *s, uint32_t *n);

/* After the rpc server and the client were destroyed, before the archive is closed, without a turn
 * of the loop in between: none of them calls back any more then. What waits is 'done' as degraded,
 * from inside. The loop has to turn once more before it is closed. Takes NULL. */
void standby_destroy(struct standby *s);

#endif
