/* cluster.h - this server as a member: drives election, detector and ownership with real time,
 * beats, disk and calls, and keeps what they decided.
 * The master proposes the ownership map to all servers; each persists it before it accepts; a
 * majority of the voters makes it committed, and only a committed map is acted on: written into the
 * federated memory, where the data plane sees it. Every change of role, epoch, owner and peer is
 * one log line.
 *
 * Thread:  control.
 * Memory:  keeps the configuration, the inventory, fedmem and the rpc client; cluster_view()
 *          borrows until the next turn of the loop.
 * Returns: 0 done; <0 -errno.
 */
#ifndef BELLWETHER_CP_CLUSTER_CLUSTER_H
#define BELLWETHER_CP_CLUSTER_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "cp/detector/detector.h"
#include "cp/election/election.h"
#include "cp/ownership/ownership.h"
#include "cp/rpc/rpc.h"
#include "dp/conf/conf.h"
#include "dp/fedmem/fedmem.h"

struct uv_loop_s;
struct store;

struct cluster_server {
	const struct conf_server *conf;
	enum detector_state state;    /* of ourselves: ALIVE */
	enum election_role role;      /* as it says in its beats */
	uint64_t epoch, heard_ms_ago; /* UINT64_MAX: never heard since this server started */
	uint32_t boot;
	bool is_healthy, is_dp_alive;
	char call_address[64]; /* "10.0.0.2:7400", on the peers' network */
};

struct cluster_view {
	uint16_t self, master; /* master 0: none known */
	uint64_t epoch;
	const struct cluster_server *servers; /* all of the configuration, in its order */
	uint32_t n_servers;
	const struct ownership_map *map; /* committed; no cells before the first */
};

struct cluster; /* opaque: see cluster.c */

struct cluster_config {
	struct uv_loop_s *loop;
	const struct conf *conf;
	const struct conf_inventory *inventory;
	struct fedmem *fedmem;
	struct store *store;
	struct rpc_client *client;
};

/* Logs what was wrong. From then on what it wants done happens in the turns of the loop; a write
 * that fails ends the process. */
int cluster_create(struct cluster **out, const struct cluster_config *cfg);
const struct cluster_view *cluster_view(struct cluster *c);
/* The server of the view with this id; NULL: there is none. */
const struct cluster_server *cluster_server(struct cluster *c, uint16_t id);
/* The committed cell with this name; NULL: there is none. */
const struct ownership_cell *cluster_cell(struct cluster *c, const char *name);

/* The gRPC methods of the Cluster service, for rpc_server_create(). */
const struct rpc_method *cluster_methods(struct cluster *c, uint32_t *n);

/* After the rpc server and the client were destroyed, before the store is closed, without a turn of
 * the loop in between: neither calls back any more then. Takes NULL. */
void cluster_destroy(struct cluster *c);

#endif
