/* replog.h - the order of the registry's entries: a log that the master appends to and a majority
 * holds (Ongaro, "Consensus: Bridging Theory and Practice", 2014: 3.5, 3.6, 5.1). Who is master is
 * the election's matter; this decides what a follower may take, what is committed, and what to send
 * to whom. It knows the entries' places and epochs, never their contents.
 *
 *   master    appends; sends each server what it lacks, one request at a time; an entry of its own
 *             epoch that a majority of the voters has on disk is committed, and with it all before
 *   follower  takes entries that go on from what it has, gives up what contradicts them and was
 *             never committed, and answers once they are on disk
 *   behind    whoever lacks what the master no longer keeps gets a snapshot: the state after an
 *             entry. Until it is whole this server is no candidate, and what it held before still
 *             counts when it is asked for its vote
 *
 * A pure step function, like the election: no clock, socket, disk or allocation. The same object
 * file runs in the server and in the simulator.
 *
 * Invariants, asserted here and checked again by the simulator:
 *   R1 what is committed never changes      R2 the log is contiguous, its epochs never fall
 *   R3 a master holds every entry that was ever committed
 *
 * Thread:  control.
 * Memory:  struct replog is plain memory of the caller; borrows its inputs for the call.
 * Returns: replog_step() cannot fail; what makes no sense is refused in the output.
 */
#ifndef BELLWETHER_CP_REPLOG_REPLOG_H
#define BELLWETHER_CP_REPLOG_REPLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "cp/election/election.h"

#define REPLOG_SERVERS_MAX 64
#define REPLOG_RUNS_MAX	   64  /* epochs in the log that is kept; then it must be compacted */
#define REPLOG_BATCH_MAX   256 /* entries in one request */

/* Entries from 'first' on are of 'epoch', until the next run. */
struct replog_run {
	uint64_t epoch, first;
};

struct replog_config {
	uint16_t self;
	uint32_t n_servers; /* ourselves too */
	struct {
		uint16_t id;
		bool is_voter;
	} servers[REPLOG_SERVERS_MAX];
	uint32_t retry_ms; /* after a request that was not answered or was refused */
};

/* What the disk held at the start. */
struct replog_durable {
	uint64_t base,
		base_epoch; /* the state is that after 'base'; entries up to it may be gone */
	uint64_t first;	    /* oldest entry kept; base + 1 when none is */
	uint64_t last;	    /* newest; base when there is none */
	struct replog_run runs[REPLOG_RUNS_MAX]; /* of first..last */
	uint32_t n_runs;
	/* A snapshot was being installed: what was there before it began. All zero: none was. */
	struct election_position rebuilding;
};

/* The master's request to one server. No entries: it asks or tells how far all is committed. */
struct replog_append {
	uint64_t epoch; /* of the master */
	uint64_t previous_index, previous_epoch;
	uint32_t n_entries; /* previous_index + 1 ... */
	struct replog_run runs[REPLOG_RUNS_MAX];
	uint32_t n_runs;
	uint64_t committed;
};

enum replog_event {
	REPLOG_EV_ROLE,	    /* in->epoch, in->master, in->is_acting: who is followed, and whether
			       this server is master with a lease at this moment */
	REPLOG_EV_PEER,	    /* in->server (re)appeared with another boot, or went: in->is_there */
	REPLOG_EV_APPENDED, /* as acting master: in->n entries were put behind the last */
	REPLOG_EV_STORED,   /* the disk holds all up to in->index, and what output asked to give up
			       before is gone */
	REPLOG_EV_REQUEST,  /* in->server's in->append came in */
	REPLOG_EV_ANSWER, /* in->server answered the request of in->call: in->is_accepted, in->index
			     (its match, or from where to try), in->epoch */
	REPLOG_EV_FAILED, /* the call in->call to in->server got no answer */
	REPLOG_EV_SNAPSHOT,  /* in->server, the master, sends one of (in->index, in->epoch): begins
				or  goes on; in->is_last: it is whole and on disk */
	REPLOG_EV_COMPACTED, /* entries below in->index are gone, the state is that after at least
				in->index - 1 */
	REPLOG_EV_TIMER,
};

struct replog_input {
	enum replog_event event;
	uint64_t now_ms;
	uint16_t server, master;
	uint64_t epoch, index;
	uint64_t call;
	uint32_t n;
	bool is_acting, is_there, is_accepted, is_last;
	const struct replog_append *append;
};

enum replog_verdict {
	REPLOG_NO_ANSWER, /* not a request */
	REPLOG_ACCEPTED,  /* answer 'match' once the disk holds it (at once when it does) */
	REPLOG_REFUSED,	  /* answer 'match', from where to try again, and 'why' */
};

struct replog_send {
	uint16_t to;
	uint64_t call; /* to name it in ANSWER and FAILED; never 0 */
	bool is_snapshot;
	struct replog_append append; /* not of a snapshot */
};

struct replog_output {
	/* Of REQUEST: what to do with the request's entries, in one write and in this order. */
	uint64_t give_up_from; /* entries from here on are to be removed; 0: none */
	uint64_t
		take_from; /* entries of the request from this index on are to be stored; 0: none */
	enum replog_verdict verdict;
	uint64_t match;
	const char *why;
	/* Of SNAPSHOT: give up all entries and the state, mark durably that it is being rebuilt
	 * ('rebuilding'), then install. */
	bool begin_snapshot, refuse_snapshot;
	struct election_position rebuilding;

	uint64_t committed;    /* everything up to here may be applied; never falls */
	bool position_changed; /* tell the election: see replog_position() */
	struct replog_send sends[REPLOG_SERVERS_MAX];
	uint32_t n_sends;
	uint64_t wake_at_ms; /* UINT64_MAX: not for the time */
};

struct replog_peer {
	uint16_t id;
	bool is_voter, is_there;
	uint64_t next, match; /* next to send; known to be on its disk */
	uint64_t told_committed;
	uint64_t call; /* under way; 0: none */
	uint64_t call_committed;
	uint64_t retry_ms;
	bool is_snapshotting;
};

/* The fields are replog's own. */
struct replog {
	struct replog_config cfg;
	struct replog_durable log; /* as accepted; on disk up to 'stored' */
	uint64_t stored, committed;
	uint64_t epoch, calls;
	uint16_t master;
	bool is_acting;
	struct election_position rebuilding;
	struct replog_peer peers[REPLOG_SERVERS_MAX];
};

/* 'committed' begins at the state's own place, 'base'. */
void replog_init(struct replog *r, const struct replog_config *cfg,
		 const struct replog_durable *durable);
void replog_step(struct replog *r, const struct replog_input *in, struct replog_output *out);

/* What counts in an election: the last entry accepted, on disk or not; while a snapshot is being
 * installed, no less than what was held before. */
struct election_position replog_position(const struct replog *r);
bool replog_may_lead(const struct replog *r); /* no snapshot is half installed */
uint64_t replog_last(const struct replog *r);
uint64_t replog_committed(const struct replog *r);
uint64_t replog_epoch_at(const struct replog *r, uint64_t index); /* 0: not known any more */

#endif
