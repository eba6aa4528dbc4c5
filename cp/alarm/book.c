#include <errno.h>
#include <stdlib.h>

#include "cp/alarm/alarm.h"

#define EVENTS_A_TURN 4096

/* What was told last of an entry of the alarm table. */
struct told {
	uint64_t change; /* its number */
	uint64_t alarm;	 /* hash of which alarm the entry held: it can get another one */
	bool is_raised;
};

struct alarm_book {
	struct fedmem *fm;
	uint32_t alarms_max;
	uint64_t overflows;
	struct told *told;
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

/* Reads the whole table. 'tell' NULL: only remembers. */
static void read_table(struct alarm_book *b, alarm_tell tell, void *user)
{
	for (uint32_t i = 0; i < b->alarms_max; i++) {
		struct told *told = &b->told[i];
		uint8_t kind = FEDMEM_EV_RAISED;
		struct fedmem_alarm a;
		struct told now;

		if (fedmem_alarm_read(b->fm, i, &a) != 0 || a.change <= told->change)
			continue;
		now = (struct told){a.change, which(&a), a.state == FEDMEM_ALARM_RAISED};
		if (!now.is_raised)
			kind = FEDMEM_EV_CLEARED;
		else if (told->is_raised && told->alarm == now.alarm)
			kind = FEDMEM_EV_SEVERITY;
		*told = now;
		if (tell != NULL)
			tell(user, kind, a.change, a.changed_ns, &a);
	}
}

int alarm_book_create(struct alarm_book **out, struct fedmem *fm)
{
	struct alarm_book *b = calloc(1, sizeof(*b));
	struct fedmem_event e;

	if (b == NULL)
		return -ENOMEM;
	b->fm = fm;
	b->alarms_max = fedmem_sizes(fm)->alarms_max;
	b->told = calloc(b->alarms_max, sizeof(*b->told));
	if (b->told == NULL) {
		alarm_book_destroy(b);
		return -ENOMEM;
	}
	b->overflows = fedmem_event_overflows(fm);
	/* Bounded, whatever the data plane adds meanwhile; the table says the same. */
	for (uint32_t i = 0; i < fedmem_sizes(fm)->events_max; i++) {
		if (fedmem_event_peek(fm, 0, &e) != 0)
			break;
		fedmem_event_release(fm, e.number);
	}
	read_table(b, NULL, NULL);
	*out = b;
	return 0;
}

/* Makes of the record as it is now the alarm as it was with this event. A record that is newer than
 * the event has its own event further behind in the ring. False: the entry holds another alarm by
 * now. */
static bool as_it_was(const struct told *told, const struct fedmem_event *e, struct fedmem_alarm *a)
{
	if (a->change < e->number)
		return false;
	/* Whatever an entry gets new begins with being raised. */
	if (a->change > e->number && e->kind != FEDMEM_EV_RAISED && which(a) != told->alarm)
		return false;
	a->severity = e->severity;
	a->state = e->kind == FEDMEM_EV_CLEARED ? FEDMEM_ALARM_GONE : FEDMEM_ALARM_RAISED;
	return true;
}

/* False: something cannot be told any more: an alarm that was told as raised made room for another
 * one, or its record is left half-written by a data plane that is dead. */
static bool follow_event(struct alarm_book *b, const struct fedmem_event *e, alarm_tell tell,
			 void *user)
{
	struct told *told = &b->told[e->alarm], before = *told;
	struct fedmem_alarm a;
	int answer = fedmem_alarm_read(b->fm, e->alarm, &a);

	if (answer == FEDMEM_BUSY)
		return false; /* the next data plane repairs it and has the table read anew */
	*told = (struct told){.change = e->number};
	if (answer != 0 || !as_it_was(&before, e, &a))
		return !before.is_raised;
	*told = (struct told){e->number, which(&a), a.state == FEDMEM_ALARM_RAISED};
	tell(user, e->kind, e->number, e->time_ns, &a);
	return !before.is_raised || told->alarm == before.alarm;
}

void alarm_book_follow(struct alarm_book *b, alarm_tell tell, void *user, bool *has_lost)
{
	uint64_t overflows = fedmem_event_overflows(b->fm);
	struct fedmem_event e;

	*has_lost = false;
	for (int i = 0; i < EVENTS_A_TURN && fedmem_event_peek(b->fm, 0, &e) == 0; i++) {
		if (e.alarm < b->alarms_max && e.number > b->told[e.alarm].change &&
		    !follow_event(b, &e, tell, user))
			*has_lost = true;
		fedmem_event_release(b->fm, e.number);
	}
	if (overflows != b->overflows) {
		*has_lost = true;
		read_table(b, tell, user);
	}
	b->overflows = overflows;
}

void alarm_book_destroy(struct alarm_book *b)
{
	if (b == NULL)
		return;
	free(b->told);
	free(b);
}
