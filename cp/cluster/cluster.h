/* cluster.h - this server as a member: drives election, detector, ownership and the registry with
 * real time, beats, disk and calls, and keeps what they decided.
 * The master puts what it and the operators decide into the registry's log; each server stores an
 * entry before it accepts it, a majority of the voters makes it committed, and only what is
 * committed is applied and acted on: written into the federated memory, where the data plane sees
 * it. Every change of role, epoch, owner and peer is one log line.
 *
 * Thread:  control.
 * Memory:  keeps the configuration, fedmem, the store, the inventory and the rpc client;
 *          cluster_view() borrows until the next turn of the loop.
 * Returns: 0 done; <0 -errno.
 */
#ifndef BELLWETHER_CP_CLUSTER_CLUSTER_H
#define BELLWETHER_CP_CLUSTER_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "cp/detector/detector.h"
#include "cp/election/election.h"
#include "cp/ownership/ownership.h"
#include "cp/registry/registry.h"
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
	bool is_healthy, is_dp_alive, is_drained;
	char call_address[64]; /* "10.0.0.2:7400", on the peers' network */
};

struct cluster_view {
	uint16_t self, master; /* master 0: none known */
	uint64_t epoch;
	const struct cluster_server *servers; /* all of the configuration, in its order */
	uint32_t n_servers;
	const struct ownership_map *map; /* applied; no cells before the first */
	uint64_t committed;		 /* index of the newest entry that was applied */
	bool is_rebuilding;		 /* a snapshot of the registry is being installed */
};

struct cluster; /* opaque: see cluster.c */

struct cluster_config {
	struct uv_loop_s *loop;
	const struct conf *conf;
	const struct conf_inventory *seed; /* of the configuration: what the first master puts into
					      an empty registry; NULL: none */
	struct inventory *inventory;	   /* empty; the registry fills it */
	struct fedmem *fedmem;
	struct store *store; /* with the registry's tables */
	struct rpc_client *client;
};

/* Logs what was wrong. From then on what it wants done happens in the turns of the loop; a write
 * that fails ends the process. -EBADMSG: the stored registry is damaged; 'why' says what of it, and
 * the caller sets the store aside and starts again with an empty one. */
int cluster_create(struct cluster **out, const struct cluster_config *cfg, char *why,
		   size_t why_bytes);
const struct cluster_view *cluster_view(struct cluster *c);
/* The server of the view with this id; NULL: there is none. */
const struct cluster_server *cluster_server(struct cluster *c, uint16_t id);
/* The applied cell with this name; NULL: there is none. */
const struct ownership_cell *cluster_cell(struct cluster *c, const char *name);
const struct registry *cluster_registry(struct cluster *c);

/* ---- Commands ---- */

/* On the acting master: puts the entry into the log. 'done' runs once, when it is committed and
 * applied (err 0), or when this server is no longer master and cannot know (-ECANCELED: ask again,
 * under the same request id, whoever is master then); that may be before this returns. A request
 * that was done before is answered at once. Copies the entry; sets its time.
 * -EAGAIN: this server is not the acting master. -ENOBUFS: too much is under way. -ENOSPC: its
 * store is three quarters full. -EMSGSIZE: longer than REGISTRY_ENTRY_MAX. -EDQUOT: more elements
 * or cells than the segment has room for. */
int cluster_command(struct cluster *c, const struct wire_registry_entry *entry,
		    void (*done)(void *user, int err, const struct registry_outcome *outcome),
		    void *user);
/* Those that are under way are done with -ECANCELED, before whoever asked is destroyed. */
void cluster_end_commands(struct cluster *c);

/* ---- Calls between servers, sealed with the pair's key ---- */

/* Calls Cluster/'method' at 'to' with this payload. The answer comes as it is. -EHOSTUNREACH: it
 * was not heard yet. */
int cluster_call(struct cluster *c, uint16_t to, const char *method, const uint8_t *payload,
		 size_t n, uint32_t deadline_ms, rpc_done done, void *user);
/* The handler's side: NULL, and '*out' is the request, freed with wire_free(); or why it is
 * refused, and the call is to be failed with PERMISSION_DENIED. */
const char *cluster_unseal(struct cluster *c, const char *method, const uint8_t *bytes, size_t n,
			   struct wire_sealed_request **out);

/* ---- What others have to do when something was committed ---- */

struct cluster_listener {
	void *user;
	/* A cell became this server's, under this token, or an element came into one that is. Until
	 * cluster_restored() says so for that token, the data plane keeps its alarms back.
	 * 'element' 0: the whole cell. 'was': the owner before (this server itself, too, after a
	 * restart); 0: nobody. Called before the data plane is told. */
	void (*gained)(void *user, const struct ownership_cell *cell, uint64_t element,
		       uint16_t was);
	/* The map or the inventory changed, and what had to be told about gains was. */
	void (*changed)(void *user);
	/* One for the trail, in the order of the log. */
	void (*event)(void *user, const struct wire_event *e);
};
/* Once, before the loop turns. Cells that this server has owned since before it started are gained
 * at this moment, unless the segment says that they were restored under their present token. */
void cluster_listen(struct cluster *c, const struct cluster_listener *listener);
/* The cell's alarms may be applied: nothing of it is left to be restored, also of what was gained
 * since under the same token. A token that is not the cell's any more is ignored. Also from inside
 * gained(). */
void cluster_restored(struct cluster *c, const char *cell, struct ownership_token token);

/* The gRPC methods of the Cluster service that are answered here, for rpc_server_create(). */
const struct rpc_method *cluster_methods(struct cluster *c, uint32_t *n);

/* After the rpc server and the client were destroyed, before the store is closed, without a turn of
 * the loop in between: neither calls back any more then. Takes NULL. */
void cluster_destroy(struct cluster *c);

#endif
