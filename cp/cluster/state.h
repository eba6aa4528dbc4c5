/* state.h - what the files of this module share.
 *   cluster.c    life, the turn of the loop, what others may look at
 *   member.c     beats and messages in, detector and election, what they want done
 *   replica.c    the ownership map: proposing, accepting, committing
 *   mirror.c     what the federated memory is told
 *
 * Thread:  control.
 * Memory:  struct cluster is made and freed by cluster.c.
 * Returns: see each.
 */
#ifndef BELLWETHER_CP_CLUSTER_STATE_H
#define BELLWETHER_CP_CLUSTER_STATE_H

#include <uv.h>

#include "cp/beat/beat.h"
#include "cp/cluster/cellmap.h"
#include "cp/cluster/cluster.h"
#include "cp/cluster/neighbour.h"
#include "cp/registry/registry.h"
#include "cp/store/store.h"
#include "dp/seal/seal.h"

#define CLUSTER_SERVERS_MAX  FEDMEM_SERVERS_MAX
#define CLUSTER_PROBES_MAX   64	 /* that peers asked for, at once */
#define CLUSTER_WAITING_MAX  16	 /* proposals that wait for the disk */
#define CLUSTER_UPKEEP_MS    100 /* lease word, data plane's beat, what is due */
#define CLUSTER_LEASE_MS     1000
#define CLUSTER_DP_SILENT_MS 1000
/* How long cells that never had an owner wait for all servers: whoever comes first would get them
 * all, and keep them. */
#define CLUSTER_FIRST_PLAN_MS 10000

/* One server of the configuration, in its order; ourselves too. */
struct member {
	const struct conf_server *conf;
	char call_address[64];

	/* From its beats. */
	uint32_t boot; /* 0: not heard yet */
	uint64_t heard_ms;
	struct beat_state said;

	/* What of the map it has on its disk, as far as we know. */
	struct election_position holds;
	bool has_commit, is_calling;
	uint64_t retry_ms; /* no call to it before this */
	char refusal[64];  /* why it did not accept, as it said last */

	/* Its proposals to us. */
	uint32_t window_boot;
	struct seal_window window;
};

/* A proposal that is answered once the map is on disk. */
struct waiting_call {
	struct rpc_call *call;
	uint16_t from;
	struct election_position position;
};

struct cluster {
	struct uv_loop_s *loop;
	const struct conf *conf;
	const struct conf_inventory *inventory;
	struct fedmem *fedmem;
	struct store *store;
	struct rpc_client *client;
	uint8_t secret[SEAL_KEY_BYTES];
	uint16_t self;
	uint32_t boot;
	uint64_t started_ms;
	struct member members[CLUSTER_SERVERS_MAX];
	uint32_t n_members;
	struct member *self_member;
	uv_timer_t *timer;
	struct beat *beat;
	struct beat_stats told_beats; /* as the log said last */
	uint64_t beats_log_ms;	      /* nothing of them before this */
	uint32_t n_probes_for_peers;  /* under way */

	/* Election and detection. */
	struct election election;
	struct detector detector;
	uint64_t election_wake_ms, detector_wake_ms, upkeep_ms;
	uint64_t lease_until_ms; /* as master; 0: none */
	uint64_t n_persists_asked, n_persists_done;
	bool is_dp_alive, is_urgent; /* 'is_urgent': beat at the end of this turn */
	uint16_t ack_to;	     /* see struct beat_state */
	uint32_t ack_boot;
	uint64_t ack_sequence;
	uint16_t told_master; /* what the log said last */
	uint64_t told_epoch;

	/* The map. 'accepted' is the newest, on disk when its position is 'stored'; 'committed' the
	 * one that is acted on. What a majority is known to have is 'majority'. */
	struct ownership_map regions, accepted, committed;
	struct election_position stored, majority;
	bool is_storing, is_replan_wanted;
	uint64_t map_sequence; /* of the proposals that we sealed */
	struct waiting_call waiting[CLUSTER_WAITING_MAX];
	uint32_t n_waiting;

	/* The federated memory. */
	uint32_t *cell_of; /* of each element of the inventory, as it was told */
	uint32_t relay_boot, relay_boot_stored; /* announced (0: not yet); on disk */
	bool is_relay_storing;
	uint32_t relay_wanted; /* the wish that the write under way meets */
	int neighbour_fd;
	uint64_t neighbours_ms;
	struct neighbour neighbours[CLUSTER_SERVERS_MAX];
	struct fedmem_server told[CLUSTER_SERVERS_MAX];

	struct cluster_view view;
	struct cluster_server servers[CLUSTER_SERVERS_MAX];
	struct rpc_method methods[2];
};

/* cluster.c: the end of everything that was handled: acts on what changed and sets the timer. */
void cluster_turn(struct cluster *c);
/* Persisting failed: what the disk holds is unknown, and only a new start can tell. Does not
 * return. */
void cluster_die(const char *what, int err) __attribute__((noreturn));
/* Rises with every start, over the loss of the state directory too: peers refuse a lower one for
 * ever. */
uint32_t cluster_next_boot(uint32_t stored);
struct member *cluster_member(struct cluster *c, uint16_t id); /* NULL: there is none */

/* member.c */
int member_start(struct cluster *c); /* reads what is durable; asks for the boot to be persisted */
void member_on_beat(void *user, const struct beat_heard *heard);
void member_on_message(void *user, const struct election_message *m);
void member_timer(struct cluster *c, uint64_t now_ms); /* whoever is due */
/* Looks at the data plane's beat and tells the election how this server is. */
void member_tell_state(struct cluster *c);
void member_post(struct cluster *c);		/* what beats say from now on */
bool member_is_acting(const struct cluster *c); /* master, with a lease at this moment */
enum detector_state member_state(const struct cluster *c, const struct member *m);
enum election_role member_role(const struct cluster *c, const struct member *m);
void member_probe_handler(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user);

/* replica.c */
int replica_load(struct cluster *c);
void replica_turn(struct cluster *c, uint64_t now_ms);
bool replica_is_committed(const struct cluster *c); /* the accepted map */
void replica_handler(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user);
void replica_stop(struct cluster *c);

/* mirror.c */
/* The inventory's elements, and the committed map if there is one. */
int mirror_start(struct cluster *c);
void mirror_cells(struct cluster *c);
void mirror_upkeep(struct cluster *c, uint64_t now_ms);
void mirror_servers(struct cluster *c); /* where something changed */

#endif
