/* peered.h - takes any request of a client and forwards it to the peer that owns the matter: the
 * owner of the element, the server whose data plane is asked about. A request is forwarded once;
 * when the owner that it was sent to says that it is not, because the cell just moved, once more to
 * the new one.
 *
 * Thread:  control.
 * Memory:  keeps what the configuration names.
 * Returns: 0 done; <0 -errno.
 */
#ifndef BELLWETHER_CP_PEERED_PEERED_H
#define BELLWETHER_CP_PEERED_PEERED_H

#include <stdint.h>

#include "cp/cluster/cluster.h"
#include "cp/inventory/inventory.h"
#include "cp/memory/memory.h"
#include "cp/rpc/rpc.h"

struct peered; /* opaque: see peered.c */

struct peered_config {
	const char *cluster_name;
	struct cluster *cluster;
	const struct inventory *inventory;
	struct memory *memory;
	struct rpc_client *client;
};

int peered_create(struct peered **out, const struct peered_config *cfg);
/* For rpc_server_create(). */
const struct rpc_method *peered_methods(struct peered *p, uint32_t *n);
/* After the rpc server, which sends clients elsewhere, and then the rpc client, which ends what
 * waits for peers, were destroyed, and before the cluster is. Takes NULL. */
void peered_destroy(struct peered *p);

#endif
