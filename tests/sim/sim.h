/* sim.h - whole clusters in one process, with pretended time, network, clocks and disks.
 * The election and the detector are the product's own objects. One seed decides everything. A run
 * has two phases: first anything may fail while the invariants must hold, then the network heals
 * and the cluster must come to rest under its best server.
 *
 *   queue.c    what happens when        node.c    one server: drives election and detector
 *   net.c      links, probes            map.c     a position replicated to a majority
 *   faults.c   what goes wrong          check.c   the invariants
 *   run.c      one seed, both phases
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

#define SIM_NODES_MAX  7
#define SIM_EVENTS_MAX 16384
#define SIM_EPOCHS_MAX 4096
#define SIM_BEAT_MS    50
#define SIM_HOLD_MS    500

enum sim_event_kind {
	SIM_TIMER,	  /* of the election */
	SIM_DETECT_TIMER, /* of the detector */
	SIM_BEAT_SEND,	  /* the beat thread's turn */
	SIM_MESSAGE,
	SIM_BEAT,
	SIM_VOTE_STORED,
	SIM_MAP_STORED,
	SIM_PROPOSE,
	SIM_ACCEPT,
	SIM_PROBED,
	SIM_ASKED,
	SIM_HEALTH, /* is_healthy changed */
	SIM_START,  /* a crashed server comes up again */
	SIM_FAULT,
};

struct sim_event {
	uint64_t at_us, order;
	enum sim_event_kind kind;
	uint8_t node, from;   /* indices; 'from' is also the peer of a probe */
	uint8_t via;	      /* SIM_ASKED */
	bool is_reachable;    /* SIM_PROBED, SIM_ASKED */
	uint32_t incarnation; /* of 'node', for what a crash ends; 0: survives it */
	uint32_t generation;  /* of a timer */
	uint64_t sent_ms;     /* SIM_BEAT */
	struct election_message message;
	struct election_beat beat;
	struct election_position position;
};

struct sim_node {
	uint16_t id, rank;
	bool is_up, is_healthy;
	uint32_t incarnation;
	struct election election;
	struct detector detector;
	struct election_durable disk, writing;
	bool is_writing;
	struct election_position held, map_disk, map_writing;
	bool is_map_writing;
	uint8_t map_writing_for; /* index of the proposer */

	struct election_position proposed; /* as master */
	uint64_t proposed_us;
	uint32_t accepted;

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

	bool is_cut[SIM_NODES_MAX][SIM_NODES_MAX];
	uint32_t loss_pct, repeat_pct, delay_pct, faults; /* faults: bitmap of enum fault */
	bool is_calm;

	uint16_t winners[SIM_EPOCHS_MAX];
	struct election_position won_with[SIM_EPOCHS_MAX];
	uint64_t epoch_max;
	uint64_t committed[SIM_EPOCHS_MAX]; /* the highest version of each epoch; 0: none */

	uint64_t reached[SIM_R_N]; /* over all seeds */
	const char *broken;

	uint64_t order;
	uint32_t n_queued, n_free;
	uint16_t heap[SIM_EVENTS_MAX], free[SIM_EVENTS_MAX];
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

/* map.c */
void map_propose(struct sim *s, uint32_t i);
void map_handle(struct sim *s, const struct sim_event *ev);
void map_crash(struct sim *s, uint32_t i);

/* faults.c */
void faults_draw(struct sim *s);
void faults_strike(struct sim *s);
void faults_heal(struct sim *s);

/* check.c */
void check_begin(struct sim *s);
void check_step(struct sim *s, uint32_t i, const struct election_output *out);
void check_commit(struct sim *s, struct election_position p);

#endif
