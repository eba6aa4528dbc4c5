/* standby_private.h - what the files of cp/standby share.
 *   standby.c   life, the table of cells, the map, the tick
 *   sender.c    the stream of one cell to its standby
 *   copy.c      whole copies: to the standby, and into the own archive after a restore
 *   page.c      elements, alarms and notes out of the memory, page by page
 *   receiver.c  Replicate: what an owner sends to this server
 *   restore.c   a gained cell: from which source, and when it is done
 *   gather.c    what the sources say, the newest of each, as injections
 *   fetch.c     FetchCell, the answering side
 *
 * Thread:  control.
 * Memory:  struct standby owns everything; a cell that was met once stays until the end, so
 *          call-backs may keep its address.
 */
#ifndef BELLWETHER_CP_STANDBY_STANDBY_PRIVATE_H
#define BELLWETHER_CP_STANDBY_STANDBY_PRIVATE_H

#include <uv.h>

#include "cp/inventory/inventory.h"
#include "cp/standby/gather.h"
#include "cp/standby/page.h"
#include "cp/standby/standby.h"

#define STANDBY_TICK_MS	  20
#define STANDBY_RETRY_MS  50 /* after a refusal or a failed call, at first; doubles */
#define STANDBY_RETRY_MAX 1000
#define STANDBY_COPIES	  4 /* to standbys at the same time */

struct restore; /* restore.c */
struct request; /* sender.c: one that is under way */
struct storing; /* receiver.c: one that is not on disk yet */

/* The lists of a change that waits, or of a page of a whole copy. */
struct standby_item {
	struct standby_item *next;
	struct standby_cell *c;
	struct wire_bytes bytes;
	uint64_t queued_ms;
	uint64_t event; /* the lowest number of this server's own events in it; 0: none */
	bool is_page, is_begin, is_end;
	void (*done)(void *user, bool is_degraded);
	void *user;
};

struct standby_queue {
	struct standby_item *first, **end;
};

/* Of the copy at the standby. */
enum copy_state { COPY_NONE, COPY_WANTED, COPY_RUNNING, COPY_WHOLE };

struct standby_cell {
	struct standby *s;
	char name[OWNERSHIP_NAME_BYTES];

	/* As the map said last. */
	struct ownership_token token;
	uint16_t owner, standby;

	/* The stream to the standby, when this server is the owner. */
	struct standby_queue queue;
	struct request *request; /* NULL: none is under way */
	uint64_t retry_ms, sent_ms;
	uint32_t n_fails; /* in a row */
	uint32_t boot;	  /* of the standby, when the copy began */
	bool is_told;	  /* the log knows that the standby does not store */
	enum copy_state copy;
	uint64_t copy_after; /* elements up to this one are in the queue or over there */
	uint64_t copy_ms;    /* no page before this */
	bool is_copy_begun, is_page_queued, is_all_queued;
	/* From this one on the standby may lack events of this server's own; UINT64_MAX: none. */
	uint64_t event_owed;

	/* Into the own archive, after a restore. */
	bool is_storing_own, is_own_waiting;
	uint64_t own_after, own_ms; /* no page before this */

	/* What this server owned until the map of now. */
	struct ownership_token had;
	bool has_had;		     /* all of it was in the memory */
	uint32_t had_version;	     /* of the cell table that ended it */
	struct ownership_token full; /* under which everything is in the memory */
	struct restore *restore;     /* NULL: none */

	/* What the archive holds of it. */
	struct ownership_token sync;
	bool is_sync_read, is_complete, is_owner;
	/* As standby: this process saw the copy end; when the owner said something last. */
	bool is_confirmed;
	uint64_t heard_ms;
	/* The copy that is coming in, and the order of requests. */
	bool is_copying;
	uint32_t from_boot;
	uint64_t from_sequence;
	uint16_t from;
	struct storing *storing; /* NULL: none */
};

struct standby {
	struct standby_config cfg;
	uint16_t self;
	struct standby_cell **cells; /* by name */
	uint32_t n_cells, room;
	size_t n_waiting_bytes;
	uint32_t n_copies; /* that run, at the tick's beginning and begun since */
	uv_timer_t *timer;
	uint64_t told_full, told_refused; /* the data plane's counters, as the log said last */
	uint64_t stats_ms;
	uint64_t changed_ns; /* when the map or the inventory changed last */
	struct rpc_method methods[2];
};

/* ---- standby.c ---- */

/* Of this name; made when it is new. NULL: no memory. */
struct standby_cell *standby_cell(struct standby *s, const char *name);
/* Is this still the token under which this server owns the cell? */
bool standby_owns(const struct standby_cell *c, struct ownership_token token);
/* What the archive says of the cell, read once. */
void standby_sync_read(struct standby_cell *c);
/* Puts the record and remembers it. -ENOMEM: neither. */
int standby_sync_put(struct standby_cell *c, struct archive_batch *b, struct ownership_token token,
		     bool is_complete, bool is_owner);
/* The next tick is now. */
void standby_wake(struct standby *s);
struct wire_token standby_wire_token(struct ownership_token t);
struct ownership_token standby_token(struct wire_token t);

/* ---- sender.c ---- */

void sender_init(struct standby_cell *c);
/* Queues a copy of 'like' with these lists. -ENOBUFS, -ENOMEM, -EMSGSIZE: 'done' is not called.
 */
int sender_queue(struct standby_cell *c, const struct wire_replicate_request *records,
		 const struct standby_item *like);
/* The standby lacks this event of our own, and perhaps later ones. */
void sender_owe(struct standby_cell *c, uint64_t event);
void sender_drop_pages(struct standby_cell *c);
void sender_tick(struct standby_cell *c, uint64_t now_ms);
/* The cell has another owner, standby or token: what waits is done, degraded. */
void sender_reset(struct standby_cell *c);
bool sender_is_idle(const struct standby_cell *c);

/* ---- copy.c ---- */

/* Queues the next page when it is time for one. */
void copy_tick(struct standby_cell *c);
void copy_want(struct standby_cell *c); /* the standby has a gap */
void copy_own_begin(struct standby_cell *c);
void copy_own_tick(struct standby_cell *c);
/* One element, into the archive and to the standby. */
void copy_element(struct standby_cell *c, uint64_t element);

/* ---- receiver.c ---- */

void receiver_handler(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user);
void receiver_end(struct standby_cell *c);

/* ---- restore.c ---- */

int restore_want(struct standby_cell *c, struct ownership_token token, uint64_t element,
		 uint16_t was);
/* Returns when it wants to be called again, at the latest. */
uint64_t restore_tick(struct restore *r, uint64_t now_ms);
bool restore_is_of(const struct restore *r, struct ownership_token token);
void restore_abandon(struct restore *r); /* frees it, now or when its call is back */

/* ---- fetch.c ---- */

void fetch_handler(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user);
/* Walks the archive's records of the cell's elements (of one, when 'element' is not 0) with ids
 * above '*after', at most 'n_elements' of them, and moves it. true: there are more. */
struct fetch_see {
	bool (*element)(void *user, const struct wire_stored_element *e);
	bool (*alarm)(void *user, const struct wire_stored_alarm *a);
	bool (*note)(void *user, const struct wire_alarm_note *n);
	void *user;
};
bool fetch_archive(struct standby *s, const char *cell, uint64_t element, uint64_t *after,
		   uint32_t n_elements, const struct fetch_see *see);

#endif
