/* election.h - who leads: the bully algorithm's rule made safe.
 * The best-ranked living server leads (Garcia-Molina, "Elections in a Distributed Computing
 * System", 1982), but what it wins by is a majority of a fixed voter list, in a numbered epoch that
 * every voter persists before it reveals it (Ongaro, "Consensus: Bridging Theory and Practice",
 * 2014: 3.4, 3.8, pre-vote 9.6, transfer 3.10, lease 6.4.1).
 *
 *   suspicion -> ELECTION to all: to better-ranked ones "hold yours", to every voter "would you
 * grant?"
 *             <- ANSWER: stand down (a better-ranked, caught-up, healthy server), would grant,
 * refuse nobody stood us down, a majority would grant: persist (epoch + 1, vote for self) -> CLAIM
 * to all <- GRANT of a majority, persisted before it is said -> COORDINATOR to all master, and a
 * better-ranked caught-up server came through its hold-down: TRANSFER to it; it claims
 *
 * Rank is a preference and never blocks: a stand-down counts once per suspicion.
 * A pure step function: no clock, socket, disk, allocation or randomness but the seed in its state.
 * The same object file runs in the server, in the simulator and in a fuzzer.
 *
 * Invariants, asserted here and checked again by the simulator:
 *   I1 a server's epoch never falls, over crashes too   I2 one grant per voter and epoch
 *   I3 one winner per epoch   I4 a master without a lease says so before anyone else can be granted
 *
 * Thread:  control.
 * Memory:  struct election is plain memory of the caller; borrows its inputs for the call.
 * Returns: election_step() cannot fail. Messages that make no sense are counted in n_rejected.
 */
#ifndef BELLWETHER_CP_ELECTION_ELECTION_H
#define BELLWETHER_CP_ELECTION_ELECTION_H

#include <stdbool.h>
#include <stdint.h>

#define ELECTION_VOTERS_MAX 7
#define ELECTION_SENDS_MAX  16

/* How much of the registry's log a server holds: the epoch and the index of its last entry (zero:
 * nothing). A candidate that holds less than a voter is refused. */
struct election_position {
	uint64_t epoch, version;
};

/* What must be on disk before it is revealed. */
struct election_durable {
	uint32_t boot; /* rises with every start */
	uint64_t epoch;
	uint16_t voted_for; /* in 'epoch'; 0: nobody */
};

enum election_message_kind {
	ELECTION_MSG_ELECTION = 1,
	ELECTION_MSG_ANSWER,
	ELECTION_MSG_CLAIM,
	ELECTION_MSG_GRANT,
	ELECTION_MSG_COORDINATOR,
	ELECTION_MSG_TRANSFER,
};
enum election_verdict {
	ELECTION_REFUSED,
	ELECTION_GRANTED,    /* in an ANSWER: would grant */
	ELECTION_STAND_DOWN, /* in an ANSWER only */
};

struct election_message {
	uint8_t kind;	 /* enum election_message_kind */
	uint8_t verdict; /* ANSWER, GRANT: enum election_verdict */
	uint16_t from, to;
	uint32_t from_boot;
	/* The one proposed, granted, led or left; in an ANSWER and a refusing GRANT the voter's
	 * own. */
	uint64_t epoch;
	struct election_position position;
	uint16_t released_by; /* CLAIM: the master that transferred; 0: none did */
	uint64_t round;	      /* ELECTION and ANSWER: which round of the asking server */
};

/* What a peer's beat says; from the beat thread, authenticated. Beats of servers that are no voters
 * are ignored. */
struct election_beat {
	uint16_t from;
	uint32_t from_boot;
	uint64_t epoch;
	uint16_t master; /* 0: it knows none */
	bool is_healthy;
	struct election_position position;
	/* It has handled a beat of ours that we sent at this time, as its master's in 'epoch': the
	 * newest of those for which its election_step() said ack_beat since it is in 'epoch'. 0:
	 * none. */
	uint64_t acked_sent_ms;
};

enum election_role { ELECTION_FOLLOWER, ELECTION_CANDIDATE, ELECTION_MASTER };

enum election_event {
	ELECTION_EV_TIMER,
	ELECTION_EV_MESSAGE,   /* in->message */
	ELECTION_EV_BEAT,      /* in->beat */
	ELECTION_EV_FAILED,    /* the detector confirmed that in->server failed */
	ELECTION_EV_PERSISTED, /* the durable state that was asked for last is on disk */
	/* in->is_healthy, in->is_forgetful, in->position: of this server. Before the first one it
	 * counts as neither healthy nor forgetful. */
	ELECTION_EV_STATE,
};

struct election_input {
	enum election_event event;
	uint64_t now_ms; /* the only clock election ever sees; monotonic, counts through suspension
			  */
	const struct election_message *message;
	const struct election_beat *beat;
	uint16_t server;
	bool is_healthy;
	/* STATE: the log began on an empty disk and does not yet hold all that the cluster has, see
	 * replog_may_vote(); then 'position' is zero. Such a server neither votes nor stands, but
	 * when a majority of the voters is known to hold nothing, as at the first start of all; and
	 * then not for one that holds nothing while a living voter holds something. */
	bool is_forgetful;
	struct election_position position;
};

struct election_output {
	/* Put this on disk and only then deliver ELECTION_EV_PERSISTED; messages that depend on it
	 * come out of that step. A failed write: end the process. */
	bool persist;
	struct election_durable durable;
	bool role_changed;   /* role, epoch or master: see election_x() */
	bool ack_beat;	     /* ELECTION_EV_BEAT: acknowledge its send time, see acked_sent_ms */
	uint64_t wake_at_ms; /* deliver ELECTION_EV_TIMER no earlier than this; always set */
	uint64_t lease_until_ms; /* master: may assign and acknowledge until then; else 0 */
	struct election_message sends[ELECTION_SENDS_MAX];
	uint32_t n_sends;
};

struct election_config {
	uint16_t self;
	uint32_t n_voters;
	struct {
		uint16_t id, rank;
	} voters[ELECTION_VOTERS_MAX];
	uint32_t beat_ms;      /* lease, guard and back-off scale with it */
	uint32_t hold_down_ms; /* how long a better-ranked server must be well before it leads */
	uint64_t seed;
};

/* Factors of beat_ms. A voter grants nobody else for GUARD after it handled a beat of its master;
 * the master leads for LEASE after it sent a beat that a majority handled. Every clock may run
 * wrong by rho = 10 %, in either direction: LEASE <= GUARD x (1 - rho) / (1 + rho). */
#define ELECTION_GUARD_BEATS 4.0
#define ELECTION_LEASE_BEATS 3.25

/* What is known of one voter. */
struct election_peer {
	uint32_t boot;	/* the highest seen */
	bool is_heard;	/* at least once; heard_ms: the last time */
	bool is_failed; /* by the detector's word, until it is heard again */
	bool is_healthy;
	bool is_well; /* healthy without interruption since well_since_ms */
	uint64_t heard_ms, well_since_ms;
	uint64_t epoch; /* as its last beat says */
	struct election_position position;
	uint64_t acked_sent_ms; /* ours that it handled as its master's in this epoch */
	uint64_t lost_ms[3];	/* when it last stopped being well; what damps it */
	uint32_t n_losses;
};

/* The caller gives the memory; the fields are election's own. */
struct election {
	struct election_config cfg;
	uint32_t self_index; /* n_voters: this server is no voter and only follows */
	uint32_t n_majority;
	uint64_t beat_ms, guard_ms, lease_ms;
	uint64_t now_ms, random;
	int phase;   /* see machine.h */
	int pending; /* what waits for ELECTION_EV_PERSISTED */
	uint64_t deadline_ms;

	struct election_durable durable; /* on disk, or asked for */
	uint64_t stored_epoch;		 /* on disk: what may be revealed */
	uint64_t seen_epoch;		 /* the highest that anybody named */
	uint16_t master, pending_for;
	bool is_first_start, is_healthy, is_forgetful;
	struct election_position position;
	struct election_peer peers[ELECTION_VOTERS_MAX]; /* in the order of cfg.voters */

	/* Voter: grants nobody but guard_master before guard_until_ms. */
	uint16_t guard_master; /* 0: whoever it was, a restart forgot it */
	uint64_t guard_epoch, guard_until_ms;

	/* Candidate: bitmaps by index in cfg.voters. */
	uint64_t round;
	uint32_t answered, granted, ignored, n_attempts;
	uint16_t released_by;

	/* Master. */
	uint64_t leading_since_ms, lease_seen_ms, unhealthy_since_ms, outrun_since_ms;
	bool is_outrun; /* a voter is in a higher epoch and has no master there */

	uint64_t n_rejected;
	enum election_role told_role; /* what role_changed last spoke of */
	uint64_t told_epoch;
	uint16_t told_master;
};

/* First start of a process: 'durable' is what the disk held (all zero: nothing), with boot already
 * raised by one; 'out' asks for it to be persisted. No message leaves before that. */
void election_init(struct election *e, const struct election_config *cfg,
		   const struct election_durable *durable, struct election_position position,
		   uint64_t now_ms, struct election_output *out);
void election_step(struct election *e, const struct election_input *in,
		   struct election_output *out);

enum election_role election_role(const struct election *e);
uint64_t election_epoch(const struct election *e);
uint16_t election_master(const struct election *e); /* 0: none known */
uint64_t election_n_rejected(const struct election *e);

/* Names for the log: "ELECTION", "ANSWER", ... */
const char *election_message_name(uint8_t kind);

#endif
