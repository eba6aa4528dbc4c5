/* peered.h - takes any request of a client and forwards it to the peer that owns the matter: the
 * owner of the element or the alarm, the master, the server whose data plane is asked about. A
 * request is forwarded once; when the server that it was sent to says that the matter is not its
 * own, because it just moved, once more to the new one. Lists and events come from the data store:
 * what all servers keep on disk.
 *
 * A command with a request id is done once, through whatever servers it is sent. One without gets
 * an id from the first server, so that it is done once wherever it is forwarded.
 *
 * Thread:  control.
 * Memory:  keeps what the configuration names.
 * Returns: 0 done; <0 -errno.
 */
#ifndef BELLWETHER_CP_PEERED_PEERED_H
#define BELLWETHER_CP_PEERED_PEERED_H

#include <stdint.h>

#include "cp/archive/archive.h"
#include "cp/cluster/cluster.h"
#include "cp/eventlog/eventlog.h"
#include "cp/inventory/inventory.h"
#include "cp/memory/memory.h"
#include "cp/rpc/rpc.h"

struct peered; /* opaque: see peered.c */

struct peered_config {
	const char *cluster_name;
	struct cluster *cluster;
	const struct inventory *inventory;
	struct memory *memory;
	struct archive *archive;
	struct eventlog *eventlog;
	struct rpc_client *client;
};

int peered_create(struct peered **out, const struct peered_config *cfg);
/* For rpc_server_create(). */
const struct rpc_method *peered_methods(struct peered *p, uint32_t *n);
/* The cluster as GetStatus tells it; for checkpoint_config.status, 'user' is the struct peered.
 * '*page' owns what it points to, and is written whatever is returned. -ENOMEM. */
int peered_status(void *user, struct memory_page **page, struct wire_status *out);
/* After the rpc server, which sends clients elsewhere, and then the rpc client, which ends what
 * waits for peers, were destroyed. What waits for the event log or the cluster is answered when
 * those end. Takes NULL. */
void peered_destroy(struct peered *p);

#endif
