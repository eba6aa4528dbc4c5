#include "tests/lib/fake_eventlog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_MAX 20000
#define HELD_MAX   16

struct held {
	void (*done)(void *user, uint64_t number, bool is_degraded);
	void *user;
	uint64_t number;
};

struct eventlog {
	uint16_t self;
	struct wire_event *events[EVENTS_MAX];
	uint32_t n;
	uint64_t next;
	struct eventlog_follower *followers;
	bool is_held, is_degraded;
	struct held held[HELD_MAX];
	uint32_t n_held, n_appends;
	struct wire_alarm_note *note;
};

#define COPY(name, from, to)                                                                       \
	do {                                                                                       \
		struct wire_bytes bytes_;                                                          \
		if (wire_##name##_pack((from), &bytes_) != 0 ||                                    \
		    wire_##name##_unpack(bytes_.bytes, bytes_.n, (to)) != 0)                       \
			abort();                                                                   \
		wire_bytes_free(&bytes_);                                                          \
	} while (0)

struct eventlog *fake_eventlog_create(uint16_t self)
{
	struct eventlog *l = calloc(1, sizeof(*l));

	if (l == NULL)
		abort();
	l->self = self;
	return l;
}

void fake_eventlog_put(struct eventlog *l, const struct wire_event *e)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (l->events[i]->origin == e->origin && l->events[i]->number == e->number)
			return;
	if (l->n == EVENTS_MAX)
		abort();
	COPY(event, e, &l->events[l->n]);
	l->n++;
	for (struct eventlog_follower *f = l->followers, *next; f != NULL; f = next) {
		next = f->next;
		f->seen(f->user, l->events[l->n - 1]);
	}
}

uint64_t fake_eventlog_next(struct eventlog *l)
{
	return ++l->next;
}

void fake_eventlog_hold(struct eventlog *l, bool is_held)
{
	uint32_t n = l->n_held;

	l->is_held = is_held;
	if (is_held)
		return;
	l->n_held = 0;
	for (uint32_t i = 0; i < n; i++)
		l->held[i].done(l->held[i].user, l->held[i].number, l->is_degraded);
}

void fake_eventlog_degrade(struct eventlog *l, bool is_degraded)
{
	l->is_degraded = is_degraded;
}

uint32_t fake_eventlog_appends(const struct eventlog *l)
{
	return l->n_appends;
}

const struct wire_alarm_note *fake_eventlog_note(const struct eventlog *l)
{
	return l->note;
}

/* ---- What eventlog.h promises ---- */

int eventlog_append(struct eventlog *l, const struct wire_event *from,
		    const struct wire_alarm_note *note,
		    void (*done)(void *user, uint64_t number, bool is_degraded), void *user)
{
	struct wire_event e = *from;

	e.origin = l->self;
	e.number = fake_eventlog_next(l);
	if (e.time_ns == 0)
		e.time_ns = note == NULL ? e.number : note->time_ns;
	l->n_appends++;
	if (note != NULL) {
		wire_free(l->note);
		COPY(alarm_note, note, &l->note);
	}
	fake_eventlog_put(l, &e);
	if (!l->is_held) {
		done(user, e.number, l->is_degraded);
		return 0;
	}
	if (l->n_held == HELD_MAX)
		abort();
	l->held[l->n_held++] = (struct held){done, user, e.number};
	return 0;
}

static bool is_wanted(const struct wire_event *e, const struct wire_event_query *q)
{
	bool is_kind = q->n_kinds == 0;

	for (uint32_t i = 0; i < q->n_kinds; i++)
		is_kind |= strcmp(q->kinds[i], e->kind) == 0;
	return is_kind && e->time_ns >= q->since_ns &&
	       (q->until_ns == 0 || e->time_ns <= q->until_ns) &&
	       (q->origin == 0 || e->origin == q->origin) &&
	       (q->element == NULL || q->element[0] == '\0' ||
		strcmp(q->element, e->alarm.element) == 0) &&
	       (q->cell == NULL || q->cell[0] == '\0' || strcmp(q->cell, e->cell) == 0);
}

/* As the real one: an origin's events come in the order of their numbers, whatever its clock did.
 */
struct standing {
	uint64_t time_ns;
	const struct wire_event *event;
};

static int compare_identities(const void *a, const void *b)
{
	const struct wire_event *x = ((const struct standing *)a)->event;
	const struct wire_event *y = ((const struct standing *)b)->event;

	if (x->origin != y->origin)
		return (int)x->origin - (int)y->origin;
	return (x->number > y->number) - (x->number < y->number);
}

static int compare_times(const void *a, const void *b)
{
	const struct standing *x = a, *y = b;

	if (x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns ? -1 : 1;
	return compare_identities(a, b);
}

/* Where the list ends: of the own events and the trail everything below its last is told. */
static void end_list(struct eventlog *l, const struct wire_event_query *q, const char *after,
		     struct memory_page *page, struct wire_event_list *list)
{
	char *token = memory_page_take(page, EVENTLOG_TOKEN_MAX, 1);
	struct eventlog_place *place;

	if (token == NULL || eventlog_place_create(&place, l->self, after) != 0)
		abort();
	for (uint32_t i = 0; i < list->n_events; i++)
		eventlog_place_take(place, &list->events[i], l->self);
	for (uint32_t i = 0; (!list->is_more || q->is_newest) && i < l->n; i++)
		if (l->events[i]->origin == 0 || l->events[i]->origin == l->self)
			eventlog_place_take(place, l->events[i], l->self);
		else if (q->is_newest)
			eventlog_place_take(place, l->events[i], (uint16_t)l->events[i]->origin);
	eventlog_place_token(place, token);
	eventlog_place_free(place);
	list->resume = token;
}

int eventlog_query(struct eventlog *l, const struct wire_event_query *q, struct memory_page **page,
		   struct wire_event_list *list)
{
	uint32_t limit = q->limit != 0 ? q->limit : 1000, n = 0, first = 0;
	const char *after = q->after != NULL ? q->after : "";
	struct standing *found = calloc(EVENTS_MAX, sizeof(*found));
	struct eventlog_place *place;

	*page = memory_page_create();
	*list = (struct wire_event_list){.answered_by = l->self};
	if (found == NULL || *page == NULL)
		abort();
	if (eventlog_place_create(&place, l->self, after) != 0) {
		free(found);
		return -EINVAL;
	}
	for (uint32_t i = 0; i < l->n; i++)
		found[i] = (struct standing){l->events[i]->time_ns, l->events[i]};
	qsort(found, l->n, sizeof(*found), compare_identities);
	for (uint32_t i = 0; i < l->n; i++) {
		const struct wire_event *e = found[i].event;
		uint16_t from = e->origin == 0 ? l->self : (uint16_t)e->origin;

		if (!eventlog_place_take(place, e, from) || !is_wanted(e, q))
			continue;
		found[n] = (struct standing){e->time_ns, e};
		if (n > 0 && found[n - 1].event->origin == e->origin &&
		    found[n - 1].time_ns > e->time_ns)
			found[n].time_ns = found[n - 1].time_ns;
		n++;
	}
	eventlog_place_free(place);
	qsort(found, n, sizeof(*found), compare_times);
	list->is_more = n > limit;
	if (q->is_newest && n > limit)
		first = n - limit;
	list->n_events = n < limit ? n : limit;
	list->events = memory_page_take(*page, list->n_events, sizeof(*list->events));
	for (uint32_t i = 0; i < list->n_events; i++)
		list->events[i] = *found[first + i].event;
	free(found);
	end_list(l, q, after, *page, list);
	return 0;
}

void eventlog_follow(struct eventlog *l, struct eventlog_follower *f)
{
	f->next = l->followers;
	l->followers = f;
}

void eventlog_unfollow(struct eventlog *l, struct eventlog_follower *f)
{
	struct eventlog_follower **link = &l->followers;

	while (*link != NULL && *link != f)
		link = &(*link)->next;
	if (*link != NULL)
		*link = f->next;
}

void eventlog_destroy(struct eventlog *l)
{
	if (l == NULL)
		return;
	for (uint32_t i = 0; i < l->n; i++)
		wire_free(l->events[i]);
	wire_free(l->note);
	free(l);
}
