/* sim.h - whole clusters in one process, with pretended time, network, clocks and disks.
 * The election, the detector and the replicated log are the product's own objects. One seed decides
 * everything. A run has two phases: first anything may fail while the invariants must hold, then
 * the network heals, the cluster must come to rest under its best server, and all must have applied
 * the same.
 *
 *   queue.c    what happens when        node.c      one server: drives election and detector
 *   net.c      links, probes            log.c       ... and its log
 *   faults.c   what goes wrong          snapshot.c  a state on its way, part by part
 *   run.c      one seed, both phases    disk.c      what lies on it, and what is on the way there
 *   check.c    the election's           check_log.c the log's invariants
 *
 * Thread:  one.
 * Memory:  a struct sim is the caller's and is used for one seed after another.
 * Returns: sim_run() false when something is broken; sim->broken says what.
 */
#ifndef BELLWETHER_TESTS_SIM_SIM_H
#define BELLWETHER_TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "cp/detector/detector.h"
#include "cp/election/election.h"
#include "cp/replog/replog.h"

#define SIM_NODES_MAX  7
#define SIM_EVENTS_MAX 16384
#define SIM_EPOCHS_MAX 4096
#define SIM_BEAT_MS    50
#define SIM_HOLD_MS    500

#define SIM_LOG_MAX	1024 /* entries in one run */
#define SIM_SEND_MAX	16   /* entries in one request */
#define SIM_WRITES_MAX	64
#define SIM_WAITING_MAX 32
#define SIM_PARTS	4    /* of a snapshot, each a quarter of the state's hash */
#define SIM_MAILS	8192 /* far more than can be under way */
#define SIM_CALL_MS	250
#define SIM_RETRY_MS	50

enum sim_event_kind {
	SIM_TIMER,	  /* of the election */
	SIM_DETECT_TIMER, /* of the detector */
	SIM_BEAT_SEND,	  /* the beat thread's turn */
	SIM_MESSAGE,
	SIM_BEAT,
	SIM_VOTE_STORED,
	SIM_LOG_TIMER,
	SIM_LANDED,	 /* writes of the log reached the disk ... */
	SIM_TOLD,	 /* ... and this is the word of it */
	SIM_REQUEST,	 /* of a master; 'mail' */
	SIM_ANSWER,	 /* to it */
	SIM_PART,	 /* of a snapshot */
	SIM_PART_ANSWER, /* to it */
	SIM_CALL_OVER,	 /* no answer came in time */
	SIM_PROBED,
	SIM_ASKED,
	SIM_HEALTH, /* is_healthy changed */
	SIM_START,  /* a crashed server comes up again */
	SIM_FAULT,
};

struct sim_event {
	uint64_t at_us;
	enum sim_event_kind kind;
	uint8_t node, from;   /* indices; 'from' is also the peer of a probe */
	uint8_t via;	      /* SIM_ASKED */
	bool is_reachable;    /* SIM_PROBED, SIM_ASKED */
	uint32_t incarnation; /* of 'node', for what a crash ends; 0: survives it */
	uint32_t generation;  /* of a timer */
	uint64_t sent_ms;     /* SIM_BEAT */
	struct election_message message;
	struct election_beat beat;
	uint64_t mail; /* SIM_REQUEST ... SIM_CALL_OVER */
};

/* What is too long for an event. Kept until as many others were sent. */
struct sim_mail {
	uint64_t number;
	uint64_t call, epoch;
	struct replog_append append;
	struct sim_entry {
		uint64_t epoch, value;
	} entries[SIM_SEND_MAX];
	bool is_accepted; /* answers */
	uint64_t match;
	uint32_t part; /* of a snapshot; in an answer: the one that is wanted */
	struct sim_state {
		uint64_t index, epoch, hash;
	} state;
};

/* One write of the log: all of it lands, or nothing. */
struct sim_write {
	struct replog_write write; /* number 0: nobody waits for it */
	bool put_held, begin_snapshot, is_part, is_last_part, is_state;
	struct election_position held;
	uint64_t give_up_from, take_from, compact_below;
	uint32_t n_entries, part;
	struct sim_entry entries[SIM_SEND_MAX];
	struct sim_state state; /* applied; or the snapshot's */
};

/* The log's disk, and what is on the way there: a crash leaves some first of those. */
struct sim_disk {
	uint64_t first, last;
	struct sim_state state;
	bool is_rebuilding;
	struct election_position held;
	uint64_t whole_since_us; /* 0: it is not */
	struct sim_write writes[SIM_WRITES_MAX];
	uint32_t head, n_writes, n_landed;
	bool is_landing, is_telling;
	struct sim_entry entries[SIM_LOG_MAX + 1];
};

/* A request or last part that is answered once it is on disk. */
struct sim_waiting {
	uint32_t from, part;
	uint64_t epoch, match, call;
};

/* A snapshot on its way to one server. */
struct sim_transfer {
	uint64_t call;
	struct sim_state state;
	uint32_t part;
};

struct sim_log {
	struct sim_disk disk;
	struct sim_state applied;
	struct sim_waiting waiting[SIM_WAITING_MAX];
	uint32_t n_waiting;
	struct sim_transfer transfers[SIM_NODES_MAX]; /* call 0: none */
	struct {				      /* as the log was told */
		uint16_t master;
		uint64_t epoch;
		bool is_acting;
	} role;
	uint32_t boots[SIM_NODES_MAX]; /* heard */
	uint32_t timer_generation;
	struct sim_entry entries[SIM_LOG_MAX + 1]; /* by index; in memory */
};

struct sim_node {
	uint16_t id, rank;
	bool is_up, is_healthy;
	uint32_t incarnation;
	struct election election;
	struct detector detector;
	struct election_durable disk, writing;
	bool is_writing;
	struct replog log;

	uint64_t clock_offset_us, clock_ppm;
	uint64_t paused_until_us;  /* the whole process */
	uint64_t stalled_until_us; /* all but the beat thread */
	uint32_t timer_generation, detect_generation;
	uint64_t acked_ms[SIM_NODES_MAX]; /* what our beats to each peer acknowledge */
	uint64_t acked_epoch;
	uint64_t lease_until_ms; /* on its clock */
	bool is_master;

	/* What it ever let out, over crashes. */
	uint64_t revealed_epoch;
	struct {
		uint64_t epoch;
		uint16_t candidate;
	} votes[SIM_EPOCHS_MAX];
};

enum sim_reached {
	SIM_R_WIN,
	SIM_R_TRANSFER,
	SIM_R_STAND_DOWN,
	SIM_R_COMMIT,
	SIM_R_GIVEN_UP,
	SIM_R_COMPACT,
	SIM_R_SNAPSHOT, /* begun */
	SIM_R_INSTALL,	/* whole */
	SIM_R_CUT_SNAPSHOT,
	SIM_R_REBUILT, /* a start found one half installed */
	SIM_R_WIPE,
	SIM_R_WHOLE, /* a server that had lost its disk holds all again */
	SIM_R_CRASH,
	SIM_R_LOST_WRITE,
	SIM_R_KEPT_WRITE,
	SIM_R_PAUSE,
	SIM_R_STALL,
	SIM_R_SPLIT,
	SIM_R_ISOLATE,
	SIM_R_ONE_WAY,
	SIM_R_LINK,
	SIM_R_UNHEALTHY,
	SIM_R_LOSS,
	SIM_R_REPEAT,
	SIM_R_DELAY,
	SIM_R_FAILED, /* the detector confirmed */
	SIM_R_FALSE_FAILED,
	SIM_R_REJECTED,
	SIM_R_N
};

struct sim {
	uint64_t seed, random;
	bool is_traced;
	uint64_t now_us, n_events;
	uint32_t n_nodes;
	struct sim_node nodes[SIM_NODES_MAX];
	struct sim_log logs[SIM_NODES_MAX];
	uint64_t n_mails, n_requests;
	struct sim_mail mails[SIM_MAILS];
	uint64_t n_values;
	bool is_quiet; /* no more commands */

	bool is_cut[SIM_NODES_MAX][SIM_NODES_MAX];
	uint32_t loss_pct, repeat_pct, delay_pct, slow_pct,
		faults; /* faults: bitmap of enum fault */
	bool is_calm;

	uint16_t winners[SIM_EPOCHS_MAX];
	struct election_position won_with[SIM_EPOCHS_MAX];
	uint64_t epoch_max;
	uint64_t committed[SIM_EPOCHS_MAX]; /* the highest entry of each epoch; 0: none */

	/* All that was ever committed, and the state's hash after each. */
	uint64_t n_committed;
	struct sim_entry global[SIM_LOG_MAX + 1];
	uint64_t hashes[SIM_LOG_MAX + 1];

	uint64_t reached[SIM_R_N]; /* over all seeds */
	const char *broken;

	uint64_t order;
	uint32_t n_queued, n_free;
	struct {
		uint64_t at_us, order; /* beside each other: the queue is what the time goes into */
		uint16_t slot;
	} heap[SIM_EVENTS_MAX];
	uint16_t free[SIM_EVENTS_MAX];
	struct sim_event events[SIM_EVENTS_MAX];
};

/* run.c */
bool sim_run(struct sim *s, uint64_t seed);
uint64_t sim_random(struct sim *s, uint64_t below);
bool sim_chance(struct sim *s, uint32_t percent);
void sim_break(struct sim *s, const char *what);
__attribute__((format(printf, 2, 3))) void sim_trace(const struct sim *s, const char *format, ...);
const char *sim_reached_name(enum sim_reached what);

/* queue.c */
void queue_init(struct sim *s);
struct sim_event *queue_add(struct sim *s, uint64_t at_us, enum sim_event_kind kind, uint32_t node);
bool queue_take(struct sim *s, struct sim_event *out);
void queue_put_off(struct sim *s, const struct sim_event *ev, uint64_t at_us);

/* net.c: sends; the event is what arrives. */
void net_send(struct sim *s, const struct sim_event *what, uint32_t from, uint32_t to);
void net_probe(struct sim *s, uint32_t node, uint32_t peer);
void net_ask(struct sim *s, uint32_t node, uint32_t peer, uint32_t via);

/* node.c */
uint64_t node_now_ms(const struct sim *s, const struct sim_node *n);
bool node_has_lease(const struct sim *s, const struct sim_node *n);
void node_start(struct sim *s, uint32_t i);
void node_crash(struct sim *s, uint32_t i);
void node_tell_state(struct sim *s, uint32_t i);
void node_handle(struct sim *s, const struct sim_event *ev);

/* log.c */
void log_start(struct sim *s, uint32_t i);
void log_crash(struct sim *s, uint32_t i);
void log_role(struct sim *s, uint32_t i); /* after each step of the election */
void log_peer(struct sim *s, uint32_t i, uint32_t peer, uint32_t boot);
/* As the acting master; the entry's index, 0: not now. */
uint64_t log_command(struct sim *s, uint32_t i);
void log_traffic(struct sim *s, uint32_t i);
void log_step(struct sim *s, uint32_t i, struct replog_input *in, struct replog_output *out,
	      const struct sim_mail *mail);
void log_wait(struct sim *s, uint32_t i, struct sim_waiting w);
void log_handle(struct sim *s, const struct sim_event *ev);
struct sim_mail *log_mail(struct sim *s); /* a new one */
const struct sim_mail *log_mail_of(struct sim *s, const struct sim_event *ev);
void log_answer(struct sim *s, uint32_t i, const struct sim_waiting *w, bool is_accepted,
		uint64_t match, uint32_t next);
void log_call_over(struct sim *s, uint32_t i, uint32_t peer, uint64_t call, uint32_t part);

/* snapshot.c */
void snapshot_send(struct sim *s, uint32_t i, const struct replog_send *send);
void snapshot_handle(struct sim *s, const struct sim_event *ev); /* SIM_PART, SIM_PART_ANSWER */
void snapshot_over(struct sim *s, uint32_t i, uint32_t peer, uint64_t call, uint32_t part);

/* disk.c */
void disk_wipe(struct sim_disk *d);
bool disk_is_busy(const struct sim_disk *d, uint32_t n_free); /* fewer writes than that fit */
struct sim_write *disk_write(struct sim *s, uint32_t i);      /* to be filled in at once */
void disk_land(struct sim *s, uint32_t i, uint32_t n);
void disk_load(const struct sim_disk *d, struct replog_durable *out);
bool disk_is_whole(const struct sim_disk *d); /* what was on it once is there */

/* faults.c */
void faults_draw(struct sim *s);
void faults_strike(struct sim *s);
void faults_heal(struct sim *s);

/* check.c */
void check_begin(struct sim *s);
void check_step(struct sim *s, uint32_t i, const struct election_output *out);
void check_commit(struct sim *s, struct election_position p);

/* check_log.c */
uint64_t check_hash(uint64_t hash, struct sim_entry e);
void check_log_begin(struct sim *s);
void check_log_step(struct sim *s, uint32_t i);
void check_acting(struct sim *s, uint32_t i);
void check_applied(struct sim *s, uint32_t i);
void check_stored(struct sim *s, const struct sim_disk *d);

#endif
