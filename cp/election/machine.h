/* machine.h - the parts of the election's state machine, among themselves.
 *
 *   election.c   life, events, persisting, what is told to the outside
 *   peers.c      what is known of the other voters
 *   voter.c      judges candidates, follows a master
 *   candidate.c  suspicion, asking, claiming
 *   master.c     lease, hold-down, transfer
 *
 * One rule covers all persisting: while something waits for the disk, messages that would need a
 * decision are dropped as if the network had lost them. So there is never more than one write under
 * way, and 'durable' and 'stored_epoch' differ only then.
 */
#ifndef BELLWETHER_CP_ELECTION_MACHINE_H
#define BELLWETHER_CP_ELECTION_MACHINE_H

#include "cp/election/election.h"

/* Tests build these files once more for each planted bug, and the simulator has to find it. */
#ifndef ELECTION_MUTANT
#define ELECTION_MUTANT 0
#endif
#define MUTANT(n) (ELECTION_MUTANT == (n))

/* An epoch beyond this is nonsense: at one election a millisecond it takes 146 million years. */
#define EPOCH_MAX (UINT64_C(1) << 62)

#define ANSWER_BEATS	  1 /* a candidate waits for answers */
#define CLAIM_BEATS	  2 /* ... for grants */
#define STAND_DOWN_BEATS  4 /* ... for the better server that stood it down */
#define SILENCE_BEATS	  2 /* after the guard, a silent master is suspected without the detector */
#define FIRST_START_BEATS 40 /* waits for all voters */
#define NO_LEASE_BEATS	  10 /* a master without a lease steps down */
#define UNHEALTHY_BEATS	  10 /* a master that is not healthy hands over */
#define OUTRUN_BEATS	  4  /* a voter in a higher epoch without a master makes the master renew */
#define TRANSFER_BEATS	  6  /* the old master waits for the one it chose */
#define DAMPED_HOLD_DOWNS 10 /* a loss counts for so many hold-downs */

enum phase {
	PHASE_STARTING,	  /* the boot is not on disk: says and hears nothing */
	PHASE_FOLLOWING,  /* a master, or none: suspects at the deadline */
	PHASE_ASKING,	  /* ELECTION is out */
	PHASE_STOOD_DOWN, /* a better one stands */
	PHASE_CLAIMING,	  /* voted for self; CLAIM is out once that is stored */
	PHASE_LEADING,
};
enum pending {
	PENDING_NONE,
	PENDING_BOOT,
	PENDING_OWN_VOTE,
	PENDING_GRANT,	/* then GRANT to pending_for */
	PENDING_FOLLOW, /* then follow pending_for */
};

/* election.c */
void machine_send(struct election *e, struct election_output *out, uint32_t to,
		  struct election_message m);
void machine_send_all(struct election *e, struct election_output *out, struct election_message m);
void machine_persist(struct election *e, struct election_output *out, enum pending pending,
		     uint64_t epoch, uint16_t for_server);
uint32_t machine_random(struct election *e, uint64_t below);
bool machine_is_voter(const struct election *e);

/* peers.c: servers are indices in cfg.voters. */
int peers_find(const struct election *e, uint16_t id); /* -1: no other voter has this id */
bool peers_admit(struct election *e, uint32_t i, uint32_t boot, uint64_t epoch);
void peers_beat(struct election *e, uint32_t i, const struct election_beat *b);
void peers_failed(struct election *e, uint32_t i);
bool peers_is_better(const struct election *e, uint32_t i);    /* ranks above this server */
bool peers_is_candidate(const struct election *e, uint32_t i); /* lives and could lead */
bool peers_all_heard(const struct election *e);
uint64_t peers_hold_down_ms(const struct election *e, uint32_t i);
int peers_compare(struct election_position a, struct election_position b);

/* voter.c */
bool voter_is_free(const struct election *e, uint16_t for_server, uint16_t released_by,
		   uint64_t epoch);
/* Does what this server knows of its own past allow it to vote? See election_input.is_forgetful. */
bool voter_may_vote(const struct election *e, bool for_one_with_nothing);
void voter_handle_election(struct election *e, uint32_t from, const struct election_message *m,
			   struct election_output *out);
void voter_handle_claim(struct election *e, uint32_t from, const struct election_message *m,
			struct election_output *out);
/* A beat or COORDINATOR of a master. True: it is handled, its beat may be acknowledged. */
bool voter_handle_master(struct election *e, uint32_t from, uint64_t epoch,
			 struct election_output *out);
void voter_follow(struct election *e, uint16_t master);
void voter_grant_stored(struct election *e, struct election_output *out);

/* candidate.c */
void candidate_stand(struct election *e, struct election_output *out);
void candidate_handle_answer(struct election *e, uint32_t from, const struct election_message *m,
			     struct election_output *out);
void candidate_handle_grant(struct election *e, uint32_t from, const struct election_message *m,
			    struct election_output *out);
void candidate_handle_transfer(struct election *e, uint32_t from, const struct election_message *m,
			       struct election_output *out);
void candidate_vote_stored(struct election *e, struct election_output *out);
void candidate_run(struct election *e, struct election_output *out);
/* Follows nobody from now on; stands after 'ms' and the back-off of its rank. */
void candidate_wait(struct election *e, uint64_t ms);
uint64_t candidate_backoff_ms(struct election *e);

/* master.c */
void master_begin(struct election *e, struct election_output *out);
void master_handle_beat(struct election *e, uint32_t from, const struct election_beat *b);
void master_run(struct election *e, struct election_output *out);
uint64_t master_lease_until_ms(const struct election *e); /* 0: not master, or never had one */
bool master_is_firm(const struct election *e);		  /* leads, and has no reason to doubt it */

#endif
