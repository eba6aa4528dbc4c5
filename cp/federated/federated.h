/* federated.h - the memories of all servers as one: lists of elements and alarms, and the watches
 * on alarms and on the event log. A list asks every other server for its own part at the same time,
 * under a deadline, and names those that were silent: what they own is missing from the answer,
 * nothing else, unless the client lets it be filled from the store.
 *
 * A watch tells what is on disk, each event once, whichever servers hold it, and with each a resume
 * token: who comes back with it, through any server, is told what came behind it and nothing again.
 * One that does not take what it is sent is told "lost".
 *
 * Thread:  control.
 * Memory:  keeps what the configuration names.
 * Returns: 0 done; <0 -errno.
 */
#ifndef BELLWETHER_CP_FEDERATED_FEDERATED_H
#define BELLWETHER_CP_FEDERATED_FEDERATED_H

#include <stdint.h>

#include "cp/archive/archive.h"
#include "cp/cluster/cluster.h"
#include "cp/eventlog/eventlog.h"
#include "cp/inventory/inventory.h"
#include "cp/memory/memory.h"
#include "cp/rpc/rpc.h"

struct uv_loop_s;
struct federated; /* opaque: see federated.c */

struct federated_config {
	struct uv_loop_s *loop;
	struct cluster *cluster;
	const struct inventory *inventory;
	struct memory *memory;
	struct archive *archive;
	struct eventlog *eventlog;
	struct rpc_client *client;
};

int federated_create(struct federated **out, const struct federated_config *cfg);
/* For rpc_server_create(). */
const struct rpc_method *federated_methods(struct federated *f, uint32_t *n);
/* After the rpc server, which sends clients elsewhere, and then the rpc client, which ends what
 * waits for peers, were destroyed, and before the event log and the cluster are. Takes NULL. The
 * loop has to turn once more before it is closed. */
void federated_destroy(struct federated *f);

#endif
