/* state.h - what the files of this module share.
 *   cluster.c         life, the turn of the loop, what others may look at
 *   member.c          beats and messages in, detector and election, what they want done
 *   sealed.c          calls between servers
 *   replica.c         the log: what replog wants done, storing, applying
 *   append.c          AppendEntries, both sides
 *   snapshot.c        InstallSnapshot, both sides
 *   command.c         what asks for an entry and waits for it
 *   plan.c            what the master itself puts into the log
 *   mirror.c          elements and cells in the federated memory, and who is told of gains
 *   mirror_servers.c  servers, their keys and neighbours in the federated memory
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
#include "cp/cluster/tail.h"
#include "cp/inventory/inventory.h"
#include "cp/registry/registry.h"
#include "cp/replog/replog.h"
#include "cp/store/store.h"
#include "dp/seal/seal.h"

#define CLUSTER_SERVERS_MAX  FEDMEM_SERVERS_MAX
#define CLUSTER_PROBES_MAX   64	 /* that peers asked for, at once */
#define CLUSTER_WAITING_MAX  64	 /* requests that wait for the disk */
#define CLUSTER_COMMANDS_MAX 256 /* under way */
#define CLUSTER_TAIL_BYTES                                                                         \
	(8u << 20)	      /* of entries that are not applied; then no command is taken */
#define CLUSTER_UPKEEP_MS 100 /* lease word, data plane's beat, what is due */
/* How long after the last round of beats the data plane applies as owner, in tenths of a beat: less
 * than the three beats after which the others suspect us and give our cells away. */
#define CLUSTER_DP_LEASE_TENTHS 28
#define CLUSTER_DP_SILENT_MS	1000
/* How long after its own start a master waits with moving cells for servers that were not well yet.
 */
#define CLUSTER_FIRST_PLAN_MS	 10000
#define CLUSTER_STATE_WRITES_MAX 4 /* under way; then what is committed waits to be applied */

/* One server of the configuration, in its order; ourselves too. */
struct member {
	const struct conf_server *conf;
	char call_address[64];

	/* From its beats. */
	uint32_t boot; /* 0: not heard yet */
	uint64_t heard_ms;
	struct beat_state said;
	bool was_well;		  /* since this server started: it lived, and its data plane */
	bool is_failed_on_record; /* the newest entry about it says so */

	char refusal[64];		/* why it did not take entries, as it said last */
	struct snapshot_sending *sends; /* a snapshot on its way to it; NULL: none */

	/* Sealed calls: ours to it, and its to us. */
	uint64_t call_sequence;
	uint32_t window_boot;
	struct seal_window window;
};

/* A request that was accepted; answered when replog_answer() says so. */
struct waiting_call {
	struct rpc_call *call;
	uint16_t from;
	uint64_t epoch, match;
};

/* A part of a snapshot that is on its way to the disk. */
struct snapshot_install {
	struct rpc_call *call; /* NULL: none */
	uint16_t from;
	uint64_t epoch; /* of the master */
	uint64_t index, index_epoch;
	uint32_t next;
	bool is_last, is_bad;
	struct replog_write write;
};

/* An element that moved into a cell which has no owner yet. */
struct wanderer {
	uint64_t id;
	uint16_t was; /* the owner of its former cell */
};

struct cluster {
	struct uv_loop_s *loop;
	const struct conf *conf;
	const struct conf_inventory *seed;
	struct inventory *inventory;
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
	bool is_turning, is_turn_wanted; /* a turn inside a turn comes after it */
	bool is_loop_turning;		 /* it has turned since cluster_create() */
	struct beat *beat;
	struct beat_stats told_beats; /* as the log said last */
	uint64_t beats_log_ms;	      /* nothing of them before this */
	uint32_t n_probes_for_peers;  /* under way */

	/* Election and detection. */
	struct election election;
	struct detector detector;
	uint64_t election_wake_ms, detector_wake_ms, upkeep_ms;
	uint64_t lease_until_ms;	 /* as master; 0: none */
	struct election_durable durable; /* at the start */
	uint64_t n_persists_asked, n_persists_done;
	bool is_dp_alive, is_urgent; /* 'is_urgent': beat at the end of this turn */
	uint16_t ack_to;	     /* see struct beat_state */
	uint32_t ack_boot;
	uint64_t ack_sequence;
	uint16_t told_master; /* what the log said last */
	uint64_t told_epoch;
	uint16_t last_master; /* the newest that was followed and was not this server */

	/* The log. */
	struct registry *registry;
	struct replog replog;
	struct replog_output replog_out; /* of the step that was made last */
	uint64_t replog_wake_ms;
	struct {
		uint16_t master;
		uint64_t epoch;
		bool is_acting;
	} role; /* as replog was told last */
	struct tail tail;
	struct store_batch
		*appending; /* entries of this master that are not given to the disk yet */
	uint32_t n_appending;
	struct log_write *log_writes; /* under way */
	/* Up to which entries the state goes that is on disk, and those that are under way. */
	uint64_t state_stored, state_writes[CLUSTER_STATE_WRITES_MAX];
	uint32_t n_state_writes;
	bool is_compacting;
	bool is_apply_due;  /* more is committed; beats and calls come first */
	uint64_t log_bytes; /* of the log that is kept, about */
	struct {
		uint16_t server;
		uint64_t call;
	} lost[REPLOG_SERVERS_MAX]; /* could not be sent; replog is told */
	uint32_t n_lost;
	struct waiting_call waiting[CLUSTER_WAITING_MAX];
	uint32_t n_waiting;
	struct snapshot_install install;

	/* Commands and plans. */
	struct command *commands; /* lowest index first */
	uint32_t n_commands;
	bool is_replan_wanted;
	uint64_t plan_epoch, epoch_index;  /* whose EPOCH entry was put, and where */
	uint64_t plan_after, record_after; /* entries that must be applied before the next plan, and
					      before failures are looked at again */
	uint64_t seed_epoch;		   /* in which the seed was put, or need not be */

	/* The federated memory. */
	struct cluster_listener listener;
	struct fedmem_cell *cells; /* as published last, by name */
	uint32_t n_cells;
	struct wanderer *wanderers;
	uint32_t n_wanderers;
	bool is_mirroring, is_cells_changed; /* a change inside a change is published with it */
	/* The registry began with less than the segment shows, which stays as it is until all is
	 * there again. */
	bool is_reconcile_wanted;
	uint32_t relay_boot, relay_boot_stored; /* announced (0: not yet); on disk */
	bool is_relay_storing;
	uint32_t relay_wanted; /* the wish that the write under way meets */
	int neighbour_fd;
	uint64_t neighbours_ms;
	struct neighbour neighbours[CLUSTER_SERVERS_MAX];
	struct fedmem_server told[CLUSTER_SERVERS_MAX];

	struct cluster_view view;
	struct cluster_server servers[CLUSTER_SERVERS_MAX];
	struct rpc_method methods[3];
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
int member_load(struct cluster *c);  /* what is durable: sets the boot */
int member_start(struct cluster *c); /* asks for the boot to be persisted */
void member_on_beat(void *user, const struct beat_heard *heard);
void member_on_message(void *user, const struct election_message *m);
void member_timer(struct cluster *c, uint64_t now_ms); /* whoever is due */
/* Looks at the data plane's beat and the log, and tells the election how this server is. */
void member_tell_state(struct cluster *c);
void member_post(struct cluster *c);		 /* what beats say from now on */
bool member_is_started(const struct cluster *c); /* its boot is on disk */
bool member_is_acting(const struct cluster *c);	 /* master, with a lease at this moment */
/* Is 'from' the master of this server's present epoch? */
bool member_is_followed(const struct cluster *c, uint16_t from, uint64_t epoch);
bool member_is_well(const struct cluster *c, const struct member *m); /* may own cells */
enum detector_state member_state(const struct cluster *c, const struct member *m);
enum election_role member_role(const struct cluster *c, const struct member *m);
void member_probe_handler(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user);

/* replica.c */
/* -EBADMSG: what is stored is damaged, see 'why'. */
int replica_load(struct cluster *c, char *why, size_t why_bytes);
/* One step of replog; what it wants sent is sent. c->replog_out is its output. */
void replica_do(struct cluster *c, struct replog_input *in);
void replica_turn(struct cluster *c, uint64_t now_ms);
void replica_peer(struct cluster *c, uint16_t server, uint32_t boot); /* 0: it went */
/* A call that replog wanted got lost. It is told so at the end of the turn: not inside the step
 * that wanted it. */
void replica_lost(struct cluster *c, uint16_t server, uint64_t call);
/* As acting master: puts it behind the last entry. '*index' is its place. -EMSGSIZE, -ENOMEM. */
int replica_append(struct cluster *c, const struct wire_registry_entry *entry, uint64_t *index);
/* What was put goes to the disk and to the others. */
void replica_flush(struct cluster *c);
/* What the last step wants kept of what was held before, if it wants that; else nothing. */
int replica_held_put(struct cluster *c, struct store_batch *b);
/* Takes the batch; replog hears when it is on disk. */
void replica_log_write(struct cluster *c, struct store_batch *b, struct replog_write write);
/* Is lent, until the log changes; or '*owned' has to be freed with free(). 0; -ENOENT: it is not
 * there any more; <0 -errno. */
int replica_entry(struct cluster *c, uint64_t index, struct tail_entry *out, uint8_t **owned);
/* What follows from an applied entry or an installed state. */
void replica_follow(struct cluster *c, const struct registry_effects *effects);
/* Was the server's failure the last that the trail says of it? For all servers. */
void replica_recall(struct cluster *c);
bool replica_is_committed(const struct cluster *c); /* all that it holds */
void replica_stop(struct cluster *c);

/* append.c */
void append_send(struct cluster *c, const struct replog_send *send);
void append_handler(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user);
void append_answer_waiting(struct cluster *c); /* those that may be answered now */
void append_fail_waiting(struct cluster *c, const char *why);

/* snapshot.c */
void snapshot_send(struct cluster *c, const struct replog_send *send);
void snapshot_handler(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user);
void snapshot_turn(struct cluster *c); /* gives up sending when this server is no longer master */
void snapshot_stop(struct cluster *c);

/* command.c */
void command_applied(struct cluster *c, uint64_t index, uint64_t epoch,
		     const struct registry_outcome *outcome);
void command_give_up(struct cluster *c, uint64_t from); /* those of this entry and later ones */
void command_turn(struct cluster *c); /* cancels them when this server is no longer master */

/* plan.c */
void plan_turn(struct cluster *c, uint64_t now_ms);
void plan_give_up(struct cluster *c, uint64_t from); /* what it put there is gone */

/* mirror.c */
/* The registry's elements and cells into the segment. */
int mirror_start(struct cluster *c);
void mirror_follow(struct cluster *c, const struct registry_effects *effects);
void mirror_turn(struct cluster *c);
void mirror_stop(struct cluster *c);

/* mirror_servers.c */
int mirror_servers_start(struct cluster *c);
void mirror_servers_upkeep(struct cluster *c, uint64_t now_ms);
void mirror_servers(struct cluster *c); /* where something changed */

#endif
