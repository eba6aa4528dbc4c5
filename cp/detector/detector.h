/* detector.h - which peers are alive.
 * A peer is suspected after three beats in a row are missing, and confirmed as failed when neither
 * a TCP probe of ours nor up to two other living peers, asked to probe it (SWIM, Das et al. 2002),
 * got an answer in time. Own slowness stretches own suspicion (Lifeguard, Dadgar et al. 2018): a
 * late timer of ours says that we, not they, were away. A peer that is heard again is alive at
 * once. A quick "no" (connection refused) from everybody who tried confirms at once. As long as
 * somebody reaches the peer it stays suspect, and is tried again. A pure step function: no clock,
 * socket, thread or allocation.
 *
 * Thread:  control.
 * Memory:  struct detector is plain memory of the caller.
 * Returns: detector_step() cannot fail; peers that are not in the list are ignored.
 */
#ifndef BELLWETHER_CP_DETECTOR_DETECTOR_H
#define BELLWETHER_CP_DETECTOR_DETECTOR_H

#include <stdbool.h>
#include <stdint.h>

#define DETECTOR_PEERS_MAX 64
#define DETECTOR_ASKS_MAX  256

enum detector_state { DETECTOR_UNKNOWN, DETECTOR_ALIVE, DETECTOR_SUSPECT, DETECTOR_FAILED };

enum detector_event {
	DETECTOR_EV_TIMER,
	DETECTOR_EV_BEAT,	  /* in->peer was heard */
	DETECTOR_EV_PROBE_RESULT, /* our TCP probe of in->peer: in->is_reachable */
	DETECTOR_EV_ASK_RESULT,	  /* in->via says of in->peer: in->is_reachable */
};

struct detector_input {
	enum detector_event event;
	uint64_t now_ms;
	uint16_t peer, via;
	bool is_reachable;
};

enum detector_act { DETECTOR_PROBE, DETECTOR_ASK };
struct detector_action {
	enum detector_act act; /* PROBE: try TCP to 'peer'; ASK: have 'via' try 'peer' */
	uint16_t peer, via;
};
struct detector_change {
	uint16_t peer;
	enum detector_state from, to;
};

struct detector_output {
	struct detector_action actions[DETECTOR_ASKS_MAX];
	uint32_t n_actions;
	struct detector_change changes[DETECTOR_PEERS_MAX];
	uint32_t n_changes;
	uint64_t wake_at_ms;
};

struct detector_config {
	uint16_t peers[DETECTOR_PEERS_MAX];
	uint32_t n_peers;
	uint32_t beat_ms;
};

#define DETECTOR_VIAS 2

struct detector_peer {
	uint16_t id;
	enum detector_state state;
	uint64_t heard_ms; /* moved on by the time that we were away ourselves */

	/* The round of probes while it is suspect. */
	uint64_t round_ends_ms;
	uint16_t vias[DETECTOR_VIAS]; /* asked, no answer yet; 0: none */
	bool is_probing;	      /* our own probe runs */
	bool is_reached;	      /* somebody got an answer */
};

/* The caller gives the memory; the fields are detector's own. */
struct detector {
	struct detector_peer peers[DETECTOR_PEERS_MAX];
	uint32_t n_peers;
	uint64_t beat_ms, now_ms, wake_at_ms;
	uint32_t slowness; /* 0..7; the stretch less one */
	uint64_t slowness_falls_ms;
};

/* A peer that is never heard counts as UNKNOWN until a start-up grace of twenty beats is over, then
 * as suspect. */
void detector_init(struct detector *d, const struct detector_config *cfg, uint64_t now_ms,
		   struct detector_output *out);
void detector_step(struct detector *d, const struct detector_input *in,
		   struct detector_output *out);
enum detector_state detector_state(const struct detector *d, uint16_t peer);
/* By what factor own slowness stretches the time-outs now; 1.0 to 8.0. */
double detector_stretch(const struct detector *d);
const char *detector_state_name(enum detector_state state);

#endif
