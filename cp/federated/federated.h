/* federated.h - the memories of all servers as one: lists of elements and alarms, and the watch on
 * alarms. A list asks every other server for its own part at the same time, under a deadline, and
 * names those that were silent: what they own is missing from the answer, nothing else. A page ends
 * where each server's part is known to be whole, so that none is left out between two pages.
 *
 * Thread:  control.
 * Memory:  keeps what the configuration names.
 * Returns: 0 done; <0 -errno.
 */
#ifndef BELLWETHER_CP_FEDERATED_FEDERATED_H
#define BELLWETHER_CP_FEDERATED_FEDERATED_H

#include <stdint.h>

#include "cp/cluster/cluster.h"
#include "cp/memory/memory.h"
#include "cp/rpc/rpc.h"

struct uv_loop_s;
struct federated; /* opaque: see federated.c */

struct federated_config {
	struct uv_loop_s *loop;
	struct fedmem *fedmem;
	struct cluster *cluster;
	struct memory *memory;
	struct rpc_client *client;
};

int federated_create(struct federated **out, const struct federated_config *cfg);
/* For rpc_server_create(). */
const struct rpc_method *federated_methods(struct federated *f, uint32_t *n);
/* After the rpc server, which sends clients elsewhere, and then the rpc client, which ends what
 * waits for peers, were destroyed, and before the cluster is. Takes NULL. The loop has to turn once
 * more before it is closed. */
void federated_destroy(struct federated *f);

#endif
