/* beat.h - how servers tell each other that they live: UDP datagrams all to all, every beat_ms less
 * up to a tenth, from a thread that does nothing else. The bully algorithm's messages share the
 * socket. Each datagram is sealed with the pair's key of the sender's boot and carries a number
 * that is never used twice. It also names the addressee's boot, as the sender heard it: what was
 * meant for an earlier life of this server, or recorded by somebody then, is refused. The first
 * datagram between two lives only introduces them.
 * What beats say is a snapshot that control posts, good for twenty beats and at least a second.
 * When control is stuck it lapses and the thread is silent, so that peers do not take a stuck
 * server for a living one.
 *
 * Thread:  control. The module's own thread: "beat".
 * Memory:  copies what it is given; callbacks borrow out for the call.
 * Returns: 0 done; <0 -errno, nothing happened.
 */
#ifndef BELLWETHER_CP_BEAT_BEAT_H
#define BELLWETHER_CP_BEAT_BEAT_H

#include <stdbool.h>
#include <stdint.h>

#include "cp/election/election.h"
#include "dp/seal/seal.h"

struct uv_loop_s;

#define BEAT_PEERS_MAX	 64
#define BEAT_WAITING_MAX 1024 /* datagrams for control; election messages to be sent */

/* What this server says of itself. */
struct beat_state {
	uint64_t epoch;
	uint16_t master; /* 0: knows none */
	uint8_t role;	 /* enum election_role */
	bool is_healthy, is_dp_alive;
	struct election_position position; /* of the map that it has on disk */
	bool is_committed;		   /* ... and it knows that a majority has it */
	uint32_t relay_boot;		   /* of its data plane; 0: none yet */
	/* The newest beat of its master that control acknowledges in 'epoch'; 0: none. */
	uint16_t ack_to;
	uint32_t ack_boot;
	uint64_t ack_sequence;
};

/* A peer's beat. */
struct beat_heard {
	uint16_t from;
	uint32_t boot;
	uint64_t sequence;
	struct beat_state state;
	uint64_t acked_sent_ms; /* when we sent the beat of ours that it acknowledges; 0: none */
};

/* Why a datagram was refused. X(symbol, name, help) */
#define BEAT_REFUSALS(X)                                                                           \
	X(SHORT, "short", "shorter or longer than its kind")                                       \
	X(FORMAT, "format", "no beat of ours, or of another version")                              \
	X(VALUE, "value", "a field out of its range")                                              \
	X(ADDRESSEE, "addressee", "for another server")                                            \
	X(UNKNOWN, "unknown", "from a server that is not in the configuration")                    \
	X(OLD_BOOT, "old_boot", "of an earlier boot of its sender than the newest heard")          \
	X(FORGED, "forged", "the seal is wrong")                                                   \
	X(REPEATED, "repeated", "seen before, or too old to know")                                 \
	X(OTHER_LIFE, "other_life", "not meant for this boot of ours")                             \
	X(FULL, "full", "control did not take what waits for it")

enum beat_refusal {
	BEAT_ACCEPTED,
#define X(symbol, name, help) BEAT_REFUSED_##symbol,
	BEAT_REFUSALS(X)
#undef X
		BEAT_REFUSALS_N,
};
const char *beat_refusal_name(enum beat_refusal refusal);

struct beat_stats {
	uint64_t n_sent, n_send_failed, n_received;
	uint64_t n_silent; /* beats left out because control's snapshot had lapsed */
	uint64_t refused[BEAT_REFUSALS_N];
};

struct beat_peer {
	uint16_t id;
	const char *address; /* "10.0.0.2", "2001:db8::2" */
};

struct beat_config {
	struct uv_loop_s *loop;
	uint16_t self;
	uint32_t boot; /* on disk before beat_create(), or nothing may be posted before it is */
	uint32_t beat_ms;
	const char *address; /* own; all peers' are of the same family */
	uint16_t port;
	const uint8_t *secret; /* SEAL_KEY_BYTES */
	const struct beat_peer *peers;
	uint32_t n_peers;
	void (*on_beat)(void *user, const struct beat_heard *heard);
	void (*on_message)(void *user, const struct election_message *m);
	/* On the beat thread, before each round of beats: this server is about to say that it
	 * lives. May not wait for anything. NULL: nobody wants to know. */
	void (*on_round)(void *user);
	void *user;
};

struct beat; /* opaque: see beat.c */

/* Binds and listens; silent until the first beat_post(). -EADDRINUSE, -EADDRNOTAVAIL, -EINVAL. */
int beat_create(struct beat **out, const struct beat_config *cfg);

/* What beats say from now on, for as long as a snapshot is good. */
void beat_post(struct beat *b, const struct beat_state *state);
/* Sends a beat to everybody at once, so that they need not wait for what changed. */
void beat_now(struct beat *b);
/* Sends an election message to m->to. -ENOBUFS: too many wait. -ENOENT: no such peer. */
int beat_send(struct beat *b, const struct election_message *m);
/* Calls back for what has come in so far; before a look at the clock that would find it missing. */
void beat_deliver(struct beat *b);
void beat_stats(struct beat *b, struct beat_stats *out);

/* Without further callbacks. The loop has to turn once more before it is closed. Takes NULL. */
void beat_destroy(struct beat *b);

#endif
