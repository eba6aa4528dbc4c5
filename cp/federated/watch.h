/* watch.h - one watch, and what its files do for it: watch.c its life and what goes to the client,
 * replay.c what it missed, branch.c what other servers tell, present.c the alarms that are raised.
 * Private to cp/federated.
 */
#ifndef BELLWETHER_CP_FEDERATED_WATCH_H
#define BELLWETHER_CP_FEDERATED_WATCH_H

#include "cp/federated/federated_private.h"
#include "cp/wire/wire.h"

/* What it has still to be told before it follows what comes. */
enum watch_phase {
	WATCH_REPLAYING,   /* what any server's log holds behind the resume token, by time */
	WATCH_CATCHING_UP, /* the rest of it, from this server's own log */
	WATCH_LIVE,
};

/* The part of a watch that one other server serves. */
struct branch {
	struct watcher *watcher;
	uint16_t server;
	struct rpc_request *request; /* NULL: none is under way */
	bool is_cancelled;	     /* ... and it only has to end */
	bool is_again;		     /* it was tried before */
	bool was_heard;		     /* it has said from where on it tells */
	bool is_silent;		     /* the client was told so */
	bool is_held;		     /* there was no room for what it told: again from there */
	uint64_t retry_ms;
};

/* How far a watcher was told what is present. */
struct present {
	bool is_on;
	uint64_t after; /* element: everything up to it was sent */
	uint32_t n_pages;
	struct memory_page *page; /* NULL: the next one is not read yet */
	struct wire_alarm_list list;
	uint32_t at; /* first of the list that was not sent */
};

/* A page of what is told anew. */
struct replay {
	bool is_asking;
	struct fanout_events *events; /* REPLAYING: the page; NULL: none */
	struct memory_page *page;     /* CATCHING_UP */
	struct wire_event_list list;
	uint32_t at; /* first that was not sent */
};

struct watcher {
	struct federated *f;
	struct rpc_call *call;
	struct watcher *next;
	struct wire_watch_request *request;
	bool is_of_alarms;
	bool is_gone;	/* the client, or this server, ended it */
	bool is_behind; /* events were left out: the client is told when there is room again */
	enum watch_phase phase;
	struct eventlog_place *place; /* what the client was told */
	struct present present;
	struct replay replay;
	struct branch *branches; /* none for a local watch */
	uint32_t n_branches;
	uint32_t n_open; /* call-backs that will still come */
};

/* False: there is no room, or no memory. */
bool watch_try_present(struct watcher *w, const struct wire_alarm *a, uint16_t server);
/* "silent", "heard", of this server. What does not fit makes the watcher fall behind. */
void watch_send_note(struct watcher *w, const char *kind, uint16_t server);
/* Tells the event if the client wants it and was not told yet. 'from': by whose stream it came.
 * False: there is no room, and it does not count as told. */
bool watch_tell(struct watcher *w, const struct wire_event *e, uint16_t from);
/* Is there room for what can wait? Half of the queue is for what cannot. */
bool watch_has_spare_room(const struct watcher *w);
/* Its last call-back may have come. */
void watch_free_when_done(struct watcher *w);
/* The token to go on from, never "". */
void watch_token(const struct watcher *w, char out[EVENTLOG_TOKEN_MAX]);

void replay_turn(struct watcher *w);
void replay_drop(struct watcher *w);

bool branches_add(struct watcher *w);
void branches_turn(struct watcher *w);
void branches_cancel(struct watcher *w);

/* A page each turn, of whichever watcher had the fewest. */
void present_turn(struct federated *f);
/* This element changed: what was read of it and not sent is out of date. */
void present_changed(struct watcher *w, uint64_t element_id);
void present_drop(struct watcher *w);

#endif
