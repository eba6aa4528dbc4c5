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
 *             counts when it is asked for its vote. One that was interrupted begins anew
 *   forgetful a server whose disk is empty may have had entries that were committed because it had
 *             them. It says that it holds nothing, and neither votes nor stands, until it holds all
 *             that an acting master had at a moment after this start: see REPLOG_LOST. Only where a
 *             majority of the voters says that it holds nothing, as at the first start of all, its
 *             vote counts: that is the election's rule, since it hears the others (struct
 *             election_input, is_forgetful). A cluster in which a majority of the voters is without
 *             its entries at one time is not safe, and nothing here makes it so
 *
 * A pure step function, like the election: no clock, socket, disk or allocation. The same object
 * file runs in the server and in the simulator.
 *
 * Invariants, asserted here and checked again by the simulator:
 *   R1 what is committed never changes      R2 the log is contiguous, its epochs never fall
 *   R3 a master holds every entry that was ever committed
 *
 * What the caller owes:
 *   - REPLOG_EV_ROLE before any other event, whenever master, epoch or lease changed
 *   - what outputs want stored goes to the disk in their order, none left out. REPLOG_EV_STORED
 *     gives back the 'write' of the output, in the same order. A write that failed for good ends
 *     the process
 *   - each send gets exactly one ANSWER or FAILED, after some time
 *   - the position, replog_may_lead() and replog_may_vote() go to the election before it is stepped
 *     again: what was accepted counts though the disk is busy
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

#define REPLOG_SERVERS_MAX   64
#define REPLOG_RUNS_MAX	     512 /* epochs in the log that is kept: see replog_compact_below() */
#define REPLOG_BATCH_MAX     256 /* entries in one request */
#define REPLOG_SEND_RUNS_MAX 8	 /* epochs in one request */

/* Entries from 'first' on are of 'epoch', until the next run. */
struct replog_run {
	uint64_t epoch, first;
};

struct replog_config {
	uint16_t self;
	uint32_t boot;	    /* of this start */
	uint32_t n_servers; /* ourselves too */
	struct {
		uint16_t id;
		bool is_voter;
	} servers[REPLOG_SERVERS_MAX];
	uint32_t retry_ms; /* after a request that was not answered or was refused */
};

/* This position as 'held': the disk was empty, and what it had held nobody knows. */
#define REPLOG_LOST ((struct election_position){UINT64_MAX, UINT64_MAX})

/* What the disk held at the start. An empty disk: all zero. */
struct replog_durable {
	uint64_t base,
		base_epoch; /* the state is that after 'base'; entries up to it may be gone */
	uint64_t first;	    /* oldest entry kept; base + 1 when none is; 0 counts as 1 */
	uint64_t last;	    /* newest; base when there is none */
	struct replog_run runs[REPLOG_RUNS_MAX]; /* of first..last */
	uint32_t n_runs;
	bool is_rebuilding;	       /* a snapshot was begun and is not whole */
	struct election_position held; /* as output->held was stored last; zero: never */
};

/* The master's request to one server. No entries: it asks, or tells how far all is committed. */
struct replog_append {
	uint64_t epoch; /* of the master */
	uint64_t previous_index, previous_epoch;
	uint32_t n_entries; /* previous_index + 1 ... */
	struct replog_run runs[REPLOG_SEND_RUNS_MAX];
	uint32_t n_runs;
	uint64_t committed;
	uint64_t last;	  /* the master's newest entry */
	uint32_t to_boot; /* of the server that is meant, as the master heard it */
};

enum replog_event {
	REPLOG_EV_ROLE,	     /* in->epoch, in->master, in->is_acting: who is followed (0: nobody),
				and whether this server is master with a lease at this moment */
	REPLOG_EV_PEER,	     /* in->server lives with in->boot, or (in->boot 0) does not */
	REPLOG_EV_APPENDED,  /* in->n entries were put behind the last: see replog_may_append() */
	REPLOG_EV_STORED,    /* in->write is on disk, and all before it */
	REPLOG_EV_REQUEST,   /* in->server's in->append came in */
	REPLOG_EV_ANSWER,    /* in->server answered in->call: in->is_accepted, in->index (what it
				holds up to, or from where to try; of a snapshot: its entry) */
	REPLOG_EV_FAILED,    /* in->call to in->server got no answer */
	REPLOG_EV_SNAPSHOT,  /* in->server, master of in->epoch, sent part in->n, from 0, of the
				state  after (in->index, in->index_epoch); in->is_last: the last part
			      */
	REPLOG_EV_COMPACTED, /* entries below in->index are gone or about to go; the state on disk
				is that after at least in->index - 1 */
	REPLOG_EV_TIMER,
};

/* One write that an output asked for; 'number' 0: it asked for none. */
struct replog_write {
	uint64_t number, last;
};

struct replog_input {
	enum replog_event event;
	uint64_t now_ms;
	uint16_t server, master;
	uint32_t boot, n;
	uint64_t epoch, index, index_epoch;
	uint64_t call;
	bool is_acting, is_accepted, is_last;
	struct replog_write write;
	const struct replog_append *append;
};

enum replog_verdict {
	REPLOG_NO_ANSWER, /* not a request; of replog_answer(): not yet */
	REPLOG_ACCEPTED,  /* taken. To be answered when replog_answer() says so, perhaps at once */
	REPLOG_REFUSED,	  /* to be answered at once with 'match' and 'why' */
};

struct replog_send {
	uint16_t to;
	uint64_t call; /* to name it in ANSWER and FAILED; never 0 */
	bool is_snapshot;
	/* Not of a snapshot. The caller may send fewer of the entries, with 'last' as it is. */
	struct replog_append append;
};

struct replog_output {
	/* Of REQUEST, APPENDED, SNAPSHOT. */
	enum replog_verdict verdict;
	uint64_t
		match; /* accepted: what to answer; refused: the place from where to try, at most */
	uint32_t next; /* of SNAPSHOT: the part that is wanted */
	const char *why;

	/* To be stored in one write and in this order; 'write' names it. */
	struct replog_write write;
	bool put_held; /* keep 'held' (zero: nothing is to be kept); with the others or alone */
	struct election_position held;
	uint64_t give_up_from; /* entries from here on are removed; 0: none */
	uint64_t take_from;    /* the request's entries from here on are stored; 0: none */
	bool begin_snapshot;   /* all entries and the state are removed, and the mark is put that it
				  is   being rebuilt. Then this part's rows; with the last part's the
				  mark   goes */

	bool position_changed;	  /* or what it may: see replog_position() and those behind it */
	uint64_t committed;	  /* on disk, and to be applied. Falls only with begin_snapshot */
	bool is_own_entry_wanted; /* the acting master's log ends in an older epoch: append one now
				   */
	struct replog_send sends[REPLOG_SERVERS_MAX];
	uint32_t n_sends;
	uint64_t wake_at_ms; /* UINT64_MAX: not for the time */
};

/* What is known of one server. */
struct replog_peer {
	uint16_t id;
	bool is_voter;
	uint32_t boot;	      /* 0: it is not there */
	uint32_t known_boot;  /* of which the following is true */
	uint64_t next, match; /* next to send; known to be on its disk */
	bool is_matched;      /* it accepted one since it was met: 'next' is right */
	bool is_whole;	      /* ... one with all that we had then: it counts from now on */
	bool needs_snapshot;
	uint64_t told_committed;
	uint64_t call; /* under way; 0: none */
	bool is_snapshotting;
	uint64_t call_previous, call_last, call_committed, call_whole;
	uint64_t retry_ms; /* nothing is sent before */
};

/* The fields are replog's own. */
struct replog {
	struct replog_config cfg;
	uint32_t n_majority; /* of the voters */
	bool is_voter;
	uint64_t now_ms;

	/* The log as accepted. 'base' is the newest entry before 'first' whose epoch is known. */
	uint64_t base, base_epoch, first, last;
	struct replog_run runs[REPLOG_RUNS_MAX];
	uint32_t n_runs;
	uint64_t stored;	   /* on disk up to here */
	uint64_t known, committed; /* known to be committed; and on disk */
	struct election_position held;

	/* Writes. Those before 'cut_write' do not speak of entries above 'cut_last'. */
	uint64_t writes, cut_write, cut_last;

	/* Follower. */
	uint64_t epoch;
	uint16_t master;
	bool is_acting;
	uint64_t whole_write, whole_at; /* once this write is on disk it is forgetful no more; 0 */
	bool is_rebuilding;
	struct {
		uint64_t index, index_epoch, epoch;
		uint32_t next;	     /* part; 0: none is under way */
		uint64_t last_write; /* of the last part; 0: it has not come */
	} snapshot;

	/* Master. */
	uint64_t calls;
	struct replog_peer peers[REPLOG_SERVERS_MAX]; /* the others */
	uint32_t n_peers;

	struct election_position told_position;
	bool told_may_lead, told_may_vote;
};

/* 'committed' begins at the state's own place, 'base'. -EINVAL: what the disk held contradicts
 * itself, or the configuration does. */
int replog_init(struct replog *r, const struct replog_config *cfg,
		const struct replog_durable *durable);
void replog_step(struct replog *r, const struct replog_input *in, struct replog_output *out);

/* Now for a request or a snapshot of 'master' in 'epoch' that was accepted with 'match': ACCEPTED
 * when it is on disk and that master is still followed; REFUSED when it is not followed any more: a
 * vote may lie between. To be asked again after each STORED and ROLE. */
enum replog_verdict replog_answer(const struct replog *r, uint16_t master, uint64_t epoch,
				  uint64_t match);

/* What counts in an election: the last entry accepted, on disk or not; no less than what was held
 * before a snapshot began; nothing while this server is forgetful. */
struct election_position replog_position(const struct replog *r);
bool replog_may_lead(const struct replog *r); /* else it is to count as not healthy */
bool replog_may_vote(const struct replog *r); /* else election_input.is_forgetful */

/* Acting master, and the log has room for another epoch. Stays true until the next event. */
bool replog_may_append(const struct replog *r);
uint64_t replog_last(const struct replog *r);
uint64_t replog_committed(const struct replog *r);
uint64_t replog_epoch_at(const struct replog *r, uint64_t index); /* 0: not known any more */
bool replog_is_rebuilding(const struct replog *r);

/* Where to compact when the state on disk is that after 'applied' and about 'kept' entries are to
 * stay for those that lag: entries below this index; 0: not worth it yet. When the log holds many
 * epochs fewer entries stay, so that there is always room for another one. */
uint64_t replog_compact_below(const struct replog *r, uint64_t applied, uint64_t kept);

#endif
