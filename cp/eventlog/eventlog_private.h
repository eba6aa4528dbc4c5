/* eventlog_private.h - what the files of cp/eventlog share. */
#ifndef BELLWETHER_CP_EVENTLOG_EVENTLOG_PRIVATE_H
#define BELLWETHER_CP_EVENTLOG_EVENTLOG_PRIVATE_H

#include <uv.h>

#include "cp/alarm/alarm.h"
#include "cp/eventlog/eventlog.h"

/* Batches on their way to the disk; more wait on the ring. */
#define FLIGHTS_MAX 8

/* One change of an alarm, with everything that its texts are lent from. */
struct record {
	struct record *next;
	struct wire_event event;
	struct wire_stored_alarm stored;
	struct fedmem_alarm alarm;
	struct ownership_cell cell; /* as it was when the alarm changed */
	bool is_present; /* the cell is this server's still: the record of the alarm counts */
};

/* What goes onto the disk together, and then to the standby: changes of alarms, or one event of
 * this server's own. */
struct flight {
	struct eventlog *l; /* NULL: it is gone, and only the standby has still to answer */
	struct flight *next;
	struct memory_page *page; /* holds the records */
	struct record *first, **end;
	struct alarm_place place; /* behind these changes */
	bool is_own, is_at_standby;
	/* of is_own */
	struct wire_alarm_note *note; /* NULL: none */
	void (*done)(void *user, uint64_t number, bool is_degraded);
	void *user;
};

/* What a peer holds of this server's events. */
struct fetch {
	struct eventlog *l;
	uint16_t server;
	char *after; /* a resume token */
	uint64_t retry_ms;
	bool is_under_way, is_last, is_done;
};

struct eventlog {
	struct eventlog_config cfg;
	uint16_t self;
	uint64_t first_number; /* of this process; lower ones come only from the peers */
	uint64_t identity;     /* of the segment */
	struct alarm_book *book;
	uv_timer_t *timer;	/* closes after eventlog_destroy(): lives on the heap */
	struct flight *flights; /* on their way */
	struct flight *held;	/* the archive did not take it yet; NULL: none */
	uint32_t n_flights;
	struct eventlog_follower *followers, *follower_next;
	struct fetch *fetches;
	uint32_t n_fetches;
	bool is_dp_known, is_dp_alive;
	uint64_t n_lost, lost_log_ms; /* the log says it once in a while */
};

/* ---- record.c ---- */

/* Adds the record of an alarm that changed so. -ENOMEM. */
int record_change(struct eventlog *l, struct flight *f, const char *kind, uint64_t time_ns,
		  const struct fedmem_alarm *alarm);
/* Makes the flight one of an event of this server's own. 'note' may be NULL. -ENOMEM. */
int record_own(struct flight *f, const struct wire_event *e, const struct wire_alarm_note *note);
/* A copy in the page; '*n_bytes' are those of its texts. -ENOMEM. */
int record_copy_event(struct memory_page *p, const struct wire_event *from, struct wire_event *to,
		      size_t *n_bytes);

/* ---- place.c ---- */

/* Was it told? Then with which others in one run. */
bool place_find(const struct eventlog_place *p, uint32_t origin, uint64_t number, uint64_t *first,
		uint64_t *last);
/* Everything of the origin up to this number counts as told. */
void place_raise(struct eventlog_place *p, uint32_t origin, uint64_t number);

/* ---- fetch.c ---- */

int fetch_begin(struct eventlog *l);
void fetch_turn(struct eventlog *l);
void fetch_end(struct eventlog *l);

#endif
