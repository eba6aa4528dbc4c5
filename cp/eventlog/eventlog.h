/* eventlog.h - what happened, in order: writes every change of an alarm that the data plane reports
 * into the log, with the alarm's record, here and at the cell's standby; and answers what the log
 * holds, the registry's trail included, each event once.
 *
 * An event is stored exactly once: the data plane's ring gives up a place only when its event is on
 * disk, and what was on disk already when the process was killed is known by the segment's identity
 * and the event's number there. When the ring overflowed the alarm table itself is read again:
 * nothing in it is lost, only changes that were overtaken. Those are no event; who follows is told
 * so, because a list that was made of events may be wrong then.
 * Watchers are told what is on disk, never what could be taken back; the standby gets what is on
 * disk here, so that a number never means two things.
 * When the archive takes no more the ring keeps what comes, and this log goes on behind it later.
 *
 * Of itself it logs dp_silent and dp_alive of this server. When the archive is new it asks the
 * peers for the events of this server that they hold, in the background, until each has answered.
 *
 * Resume tokens: for each origin the number up to which all was told, and the numbers above it that
 * were told too, because a standby's copy came before the origin's own: "1:1790000000123,2:7+2+3-2"
 * is origin 1 up to that number, and origin 2 up to 7, 9, and 12 to 14 (each the distance to the
 * one before, then how many more follow). The same token means the same through any server.
 *
 * Thread:  control.
 * Memory:  keeps what the configuration names; a page owns what its list points to.
 * Returns: 0 done; <0 -errno.
 */
#ifndef BELLWETHER_CP_EVENTLOG_EVENTLOG_H
#define BELLWETHER_CP_EVENTLOG_EVENTLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "cp/archive/archive.h"
#include "cp/cluster/cluster.h"
#include "cp/memory/memory.h"
#include "cp/standby/standby.h"

struct eventlog; /* opaque: see eventlog.c */

struct eventlog_config {
	struct uv_loop_s *loop;
	struct fedmem *fedmem;
	struct cluster *cluster;
	const struct inventory *inventory;
	struct memory *memory;
	struct archive *archive;
	struct standby *standby;
	struct rpc_client *client; /* to fetch what the peers hold of us, when the archive is new */
	bool is_archive_new;
};

int eventlog_create(struct eventlog **out, const struct eventlog_config *cfg);

/* An event of this server's own: its origin, number and, when it is 0, time are set; it is stored
 * here, and, when it is of a cell that this server owns, at the cell's standby. With a note (NULL:
 * none), which gets the event's origin and number: it counts in the memory as soon as it is on disk
 * here. 'done' (may be NULL) runs once, when it is on both, and says the number; 'is_degraded':
 * there is no standby that has it. Number 0: this server ended first, and it may be stored or not.
 * -ENOBUFS: too much waits. Copies. */
int eventlog_append(struct eventlog *l, const struct wire_event *e,
		    const struct wire_alarm_note *note,
		    void (*done)(void *user, uint64_t number, bool is_degraded), void *user);

/* From the trail, as cluster_listener.event gives it: for those who follow. */
void eventlog_trail(struct eventlog *l, const struct wire_event *e);

/* What this server holds, the trail included. A page has at most 'limit' events (0: 1000; at most
 * 5000), and ends earlier where it gets too long for a message or too much was looked at: then
 * 'is_more' is set, and there may be no event in it at all. In the order of time; where a server's
 * clock was set back, in the order of that server's numbers: within an origin numbers always rise.
 * 'resume' stands behind the page's last event and what the query leaves out before it; of the
 * newest ones behind everything that is there. -EINVAL: 'after' is no resume token. */
int eventlog_query(struct eventlog *l, const struct wire_event_query *q, struct memory_page **page,
		   struct wire_event_list *list);
#define EVENTLOG_PAGE	  1000
#define EVENTLOG_PAGE_MAX 5000

/* Everything that comes onto this server's disk from now on, and the trail. Several may follow. */
struct eventlog_follower {
	void (*seen)(void *user, const struct wire_event *e);
	/* May be NULL. Changes of alarms were overtaken: who keeps a list of them reads it anew. */
	void (*lost)(void *user);
	void *user;
	struct eventlog_follower *next; /* eventlog's own */
};
void eventlog_follow(struct eventlog *l, struct eventlog_follower *f);
void eventlog_unfollow(struct eventlog *l, struct eventlog_follower *f);

/* ---- Resume tokens ---- */

struct eventlog_place; /* what was told so far */
/* 'self': the server that keeps the place, for a watch that it serves. "": nothing was told yet.
 * -EINVAL: not a token; -ENOMEM. */
int eventlog_place_create(struct eventlog_place **out, uint16_t self, const char *token);
/* Is this event new? Then it counts as told. 'from': the server whose stream it came in by. An
 * origin's own stream brings its events in the order of their numbers and all of them: with one of
 * them everything below counts as told. Another holder's stream brings some: only that one does.
 * The trail (origin 0) is the same on every server, but not at the same moment: only our own
 * server's is taken. */
bool eventlog_place_take(struct eventlog_place *p, const struct wire_event *e, uint16_t from);
/* What that token says was told counts as told here too. -EINVAL, -ENOMEM: nothing changed. */
int eventlog_place_join(struct eventlog_place *p, const char *token);
/* Everything that this server holds counts as told: what comes from now on is new. */
void eventlog_place_now(struct eventlog_place *p, struct eventlog *l);
uint64_t eventlog_place_mark(const struct eventlog_place *p, uint16_t origin);
/* More single numbers came than a token holds, so that the lowest of them and everything below
 * count as told, whether it was or not: whoever follows is told that something may be missing.
 * Once for each time. */
bool eventlog_place_has_skipped(struct eventlog_place *p);
/* At most EVENTLOG_TOKEN_MAX octets with the terminator. */
#define EVENTLOG_TOKEN_MAX 4096
void eventlog_place_token(const struct eventlog_place *p, char out[EVENTLOG_TOKEN_MAX]);
void eventlog_place_free(struct eventlog_place *p); /* takes NULL */

/* After the rpc client was destroyed, before standby and archive are, without a turn of the loop in
 * between: neither calls back any more then, but what the standby has still to answer. Ends what
 * waits. The loop has to turn once more before it is closed. Takes NULL. */
void eventlog_destroy(struct eventlog *l);

#endif
