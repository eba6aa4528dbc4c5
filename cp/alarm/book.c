#include <errno.h>
#include <stdlib.h>

#include "cp/alarm/alarm.h"

/* Looks a turn: at events of the ring, and at entries of the table. */
#define EVENTS_A_TURN  4096
#define ENTRIES_A_TURN 16384

/* What was told last of an entry of the alarm table. */
struct told {
	uint64_t change; /* its number */
	uint64_t alarm;	 /* hash of which alarm the entry held: it can get another one */
	bool is_raised;
};

struct alarm_book {
	struct fedmem *fm;
	uint32_t alarms_max;
	alarm_was was;
	void *user;
	struct alarm_place place;
	bool is_scanning;
	uint64_t scan_overflows;   /* that the scan makes good for */
	uint64_t said_overtakings; /* that 'has_lost' was said of */
	struct told *told;
};

/* What a call of alarm_book_follow() has left to do, and what it found. */
struct turn {
	alarm_tell tell;
	void *user;
	uint32_t tells_left;
	bool has_lost;
};

/* FNV-1a (Fowler, Noll, Vo) over the key of RFC 8632 4.1. */
static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t n)
{
	const uint8_t *b = bytes;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ b[i]) * 0x100000001b3u;
	return hash;
}

static uint64_t which(const struct fedmem_alarm *a)
{
	uint64_t hash = 0xcbf29ce484222325u;

	hash = hash_bytes(hash, &a->element_id, sizeof(a->element_id));
	hash = hash_bytes(hash, a->type, sizeof(a->type));
	hash = hash_bytes(hash, a->resource, sizeof(a->resource));
	return hash_bytes(hash, a->qualifier, sizeof(a->qualifier));
}

static bool was_told(const struct alarm_place *from, uint32_t index, uint64_t change)
{
	return change <= from->number || (index < from->scan_at && change <= from->scan_limit);
}

/* Overflows of a full ring. A start of the data plane counts as one too, so that the table is read,
 * but it overtakes nothing. */
static uint64_t overtakings(const struct alarm_book *b)
{
	/* In this order: a start that is just being counted may count as one too few. */
	uint64_t overflows = fedmem_event_overflows(b->fm);

	return overflows - fedmem_dp_starts(b->fm);
}

static void remember(struct alarm_book *b)
{
	for (uint32_t i = 0; i < b->alarms_max; i++) {
		uint8_t state = FEDMEM_ALARM_FREE;
		struct fedmem_alarm a;

		if (fedmem_alarm_read(b->fm, i, &a) != 0)
			continue;
		if (was_told(&b->place, i, a.change)) {
			b->told[i].change = a.change;
			state = a.state;
		} else {
			state = b->was(b->user, &a);
		}
		if (state == FEDMEM_ALARM_FREE)
			continue;
		b->told[i].alarm = which(&a);
		b->told[i].is_raised = state == FEDMEM_ALARM_RAISED;
	}
}

int alarm_book_create(struct alarm_book **out, struct fedmem *fm, const struct alarm_place *from,
		      alarm_was was, void *user)
{
	struct alarm_book *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return -ENOMEM;
	b->fm = fm;
	b->alarms_max = fedmem_sizes(fm)->alarms_max;
	b->place = *from;
	b->was = was;
	b->user = user;
	b->told = calloc(b->alarms_max, sizeof(*b->told));
	if (b->told == NULL) {
		alarm_book_destroy(b);
		return -ENOMEM;
	}
	remember(b);
	/* An earlier process was reading the table: to its end with the same limit, so that there
	 * is one line between what was told and what was not. */
	b->is_scanning = from->scan_at > 0;
	b->scan_overflows = from->overflows;
	b->said_overtakings = overtakings(b); /* nobody has a list from before this process */
	*out = b;
	return 0;
}

/* Makes of the record as it is now the alarm as it was with this event. A record that is newer than
 * the event has its own event further behind in the ring. False: the entry holds another alarm by
 * now. */
static bool as_it_was(struct alarm_book *b, const struct told *told, const struct fedmem_event *e,
		      struct fedmem_alarm *a)
{
	if (a->change < e->number)
		return false;
	/* Whatever an entry gets new begins with being raised, but what an earlier owner knew. */
	if (a->change > e->number && e->kind != FEDMEM_EV_RAISED && which(a) != told->alarm &&
	    (told->alarm != 0 || b->was(b->user, a) == FEDMEM_ALARM_FREE))
		return false;
	a->severity = e->severity;
	a->state = e->kind == FEDMEM_EV_CLEARED ? FEDMEM_ALARM_GONE : FEDMEM_ALARM_RAISED;
	return true;
}

static void say(struct turn *t, uint8_t kind, uint64_t number, uint64_t time_ns,
		const struct fedmem_alarm *a)
{
	t->tell(t->user, kind, number, time_ns, a);
	t->tells_left--;
}

/* False: something cannot be told any more: an alarm that was told as raised made room for another
 * one, or its record is left half-written by a data plane that is dead. */
static bool follow_event(struct alarm_book *b, const struct fedmem_event *e, struct turn *t)
{
	struct told *told = &b->told[e->alarm], before = *told;
	struct fedmem_alarm a;
	int answer = fedmem_alarm_read(b->fm, e->alarm, &a);

	if (answer == FEDMEM_BUSY)
		return false; /* the next data plane repairs it and has the table read anew */
	*told = (struct told){.change = e->number};
	if (answer != 0 || !as_it_was(b, &before, e, &a))
		return !before.is_raised;
	*told = (struct told){e->number, which(&a), a.state == FEDMEM_ALARM_RAISED};
	say(t, e->kind, e->number, e->time_ns, &a);
	return !before.is_raised || told->alarm == before.alarm;
}

/* What has changed behind the limit comes by the ring, or by another overflow. */
static void follow_entry(struct alarm_book *b, uint32_t index, struct turn *t)
{
	struct told *told = &b->told[index];
	uint8_t kind = FEDMEM_EV_RAISED;
	struct fedmem_alarm a;
	struct told now;
	int answer = fedmem_alarm_read(b->fm, index, &a);

	if (answer == FEDMEM_NOT_FOUND && told->is_raised) {
		t->has_lost = true; /* a start of the data plane dropped it, it was damaged */
		told->is_raised = false;
	}
	if (answer != 0 || a.change <= told->change || a.change > b->place.scan_limit)
		return;
	now = (struct told){a.change, which(&a), a.state == FEDMEM_ALARM_RAISED};
	if (!now.is_raised)
		kind = FEDMEM_EV_CLEARED;
	else if (told->is_raised && told->alarm == now.alarm)
		kind = FEDMEM_EV_SEVERITY;
	*told = now;
	say(t, kind, a.change, a.changed_ns, &a);
}

/* 'limit': what did not fit the ring and what the table is read for has numbers up to this one. */
static void scan_begin(struct alarm_book *b, uint64_t limit, uint64_t overflows, struct turn *t)
{
	uint64_t now = overtakings(b);

	if ((int64_t)(now - b->said_overtakings) > 0) {
		t->has_lost = true;
		b->said_overtakings = now;
	}
	b->scan_overflows = overflows;
	b->place.scan_limit = limit;
	b->place.scan_at = 0;
	b->is_scanning = true;
}

static void scan(struct alarm_book *b, struct turn *t)
{
	for (int i = 0; i < ENTRIES_A_TURN && b->place.scan_at < b->alarms_max; i++) {
		if (t->tells_left == 0)
			return;
		follow_entry(b, (uint32_t)b->place.scan_at++, t);
	}
	if (b->place.scan_at < b->alarms_max)
		return;
	b->place.number = b->place.scan_limit;
	b->place.overflows = b->scan_overflows;
	b->place.scan_limit = b->place.scan_at = 0;
	b->is_scanning = false;
}

/* Strictly by number: where one is missing the table is read first, so that what was told can
 * always be said by one number. */
static void follow_ring(struct alarm_book *b, struct turn *t)
{
	for (int i = 0; i < EVENTS_A_TURN && t->tells_left > 0; i++) {
		/* In this order: what did not fit until now has a number up to 'last'. One that is
		 * just being put on the ring is told from the table, and not again. */
		uint64_t overflows = fedmem_event_overflows(b->fm);
		uint64_t last = fedmem_event_last(b->fm);
		struct fedmem_event e;

		if (fedmem_event_peek(b->fm, b->place.number, &e) != 0) {
			if (overflows != b->place.overflows)
				scan_begin(b, last, overflows, t);
			return;
		}
		if (e.number != b->place.number + 1) {
			scan_begin(b, e.number - 1, b->place.overflows, t);
			return;
		}
		b->place.number = e.number;
		if (e.alarm < b->alarms_max && e.number > b->told[e.alarm].change &&
		    !follow_event(b, &e, t))
			t->has_lost = true;
	}
}

void alarm_book_follow(struct alarm_book *b, alarm_tell tell, void *user, bool *has_lost)
{
	struct turn t = {.tell = tell, .user = user, .tells_left = ALARM_TELLS_A_TURN};

	if (!b->is_scanning)
		follow_ring(b, &t);
	if (b->is_scanning)
		scan(b, &t);
	*has_lost = t.has_lost;
}

struct alarm_place alarm_book_place(const struct alarm_book *b)
{
	return b->place;
}

void alarm_book_release(struct alarm_book *b, uint64_t number)
{
	fedmem_event_release(b->fm, number);
}

void alarm_book_destroy(struct alarm_book *b)
{
	if (b == NULL)
		return;
	free(b->told);
	free(b);
}
