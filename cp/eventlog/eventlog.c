#include "cp/eventlog/eventlog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cp/core/core.h"
#include "cp/eventlog/eventlog_private.h"

/* How long a change waits at most before it goes to the archive. */
#define FOLLOW_MS    5
#define LOST_LOG_MS  60000
#define DP_SILENT_NS 1000000000u

/* In the archive, beside what was stored with it. */
#define MARK_NAME "ring"
struct mark {
	uint64_t identity; /* of the segment */
	struct alarm_place place;
};

/* ---- Flights ---- */

static void flight_free(struct flight *f)
{
	memory_page_free(f->page);
	free(f);
}

static struct flight *flight_create(struct eventlog *l)
{
	struct flight *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->l = l;
	f->end = &f->first;
	f->page = memory_page_create();
	if (f->page == NULL) {
		flight_free(f);
		return NULL;
	}
	return f;
}

static void flight_leave(struct flight *f)
{
	struct flight **link = &f->l->flights;

	while (*link != f)
		link = &(*link)->next;
	*link = f->next;
	f->l->n_flights--;
}

/* ---- To the standby ---- */

/* All changes of the record's cell go as one request. */
static void ship_cell(struct flight *f, struct record *first)
{
	struct wire_replicate_request request = {0};
	uint32_t n = 0;

	for (struct record *r = first; r != NULL; r = r->next)
		n += r->is_present && strcmp(r->cell.name, first->cell.name) == 0;
	request.events = memory_page_take(f->page, n, sizeof(*request.events));
	request.alarms = memory_page_take(f->page, n, sizeof(*request.alarms));
	if (request.events == NULL || request.alarms == NULL)
		n = 0; /* an empty request: the standby's copy is made whole by its module */
	for (struct record *r = first; r != NULL && request.n_events < n; r = r->next) {
		if (!r->is_present || strcmp(r->cell.name, first->cell.name) != 0)
			continue;
		r->is_present = false;
		request.events[request.n_events++] = r->event;
		request.alarms[request.n_alarms++] = r->stored;
	}
	standby_send(f->l->cfg.standby, first->cell.name, &request, NULL, NULL);
}

static void finish(struct flight *f, bool is_degraded)
{
	if (f->done != NULL)
		f->done(f->user, f->first->event.number, is_degraded);
	flight_free(f);
}

static void on_shipped(void *user, bool is_degraded)
{
	struct flight *f = user;

	if (f->l != NULL)
		flight_leave(f);
	finish(f, is_degraded);
}

static void ship_own(struct flight *f)
{
	struct wire_event *e = &f->first->event;
	const struct ownership_cell *cell =
		*e->cell == '\0' ? NULL : cluster_cell(f->l->cfg.cluster, e->cell);
	const struct wire_replicate_request request = {
		.events = e, .n_events = 1, .notes = f->note, .n_notes = f->note != NULL};

	if (cell == NULL || cell->owner != f->l->self) {
		flight_leave(f);
		finish(f, *e->cell != '\0');
		return;
	}
	f->is_at_standby = true;
	standby_send(f->l->cfg.standby, e->cell, &request, on_shipped, f);
}

/* ---- To the archive ---- */

static void on_stored(void *user)
{
	struct flight *f = user;
	struct eventlog *l = f->l;

	if (f->is_own) {
		if (f->note != NULL && memory_note_put(l->cfg.memory, f->note) < 0)
			core_log(CORE_WARNING, "eventlog: no memory for what is said of an alarm");
		ship_own(f);
		return;
	}
	alarm_book_release(l->book, f->place.number);
	for (struct record *r = f->first; r != NULL; r = r->next)
		if (r->is_present)
			ship_cell(f, r);
	flight_leave(f);
	flight_free(f);
}

static int fill_batch(struct eventlog *l, struct flight *f, struct archive_batch *b)
{
	const struct mark mark = {l->identity, f->place};
	int err = 0;

	for (struct record *r = f->first; err == 0 && r != NULL; r = r->next) {
		r->event.number = archive_next_number(l->cfg.archive);
		err = archive_put_event(b, &r->event);
		/* Of a cell that went elsewhere since: the new owner's record is the newer one. */
		if (err == 0 && r->is_present)
			err = archive_put_alarm(b, &r->stored);
	}
	if (f->note != NULL) {
		f->note->origin = l->self;
		f->note->number = f->first->event.number;
	}
	if (err == 0 && f->note != NULL)
		err = archive_put_note(b, f->note);
	if (err == 0 && !f->is_own)
		err = archive_put_mark(b, MARK_NAME, &mark, sizeof(mark));
	return err;
}

/* Numbers are given here, so that they come onto the disk in their order. Takes the flight when it
 * returns 0. */
static int commit(struct eventlog *l, struct flight *f)
{
	struct archive_batch *b = archive_batch(l->cfg.archive);
	int err;

	if (b == NULL)
		return -ENOMEM;
	err = fill_batch(l, f, b);
	if (err < 0) {
		archive_batch_free(b);
		return err;
	}
	err = archive_commit(l->cfg.archive, b, on_stored, f);
	if (err < 0)
		return err;
	f->next = l->flights;
	l->flights = f;
	l->n_flights++;
	return 0;
}

/* ---- From the ring ---- */

struct turn {
	struct eventlog *l;
	struct flight *flight;
	uint32_t n;
	bool has_lost;
};

static void on_change(void *user, uint8_t kind, uint64_t number, uint64_t time_ns,
		      const struct fedmem_alarm *alarm)
{
	struct turn *t = user;

	t->n++;
	if (record_change(t->l, t->flight, alarm_event_name(kind), time_ns, alarm) < 0)
		t->has_lost = true;
}

static void tell_lost(struct eventlog *l)
{
	l->n_lost++;
	if (core_now_ms() >= l->lost_log_ms) {
		l->lost_log_ms = core_now_ms() + LOST_LOG_MS;
		core_log(CORE_WARNING,
			 "eventlog: changes of alarms were overtaken, their list was read n=%llu",
			 (unsigned long long)l->n_lost);
	}
	for (struct eventlog_follower *f = l->followers; f != NULL; f = l->follower_next) {
		l->follower_next = f->next;
		if (f->lost != NULL)
			f->lost(f->user);
	}
}

/* False: there is no more now. */
static bool follow_once(struct eventlog *l)
{
	struct alarm_place before = alarm_book_place(l->book);
	struct turn t = {.l = l, .flight = flight_create(l)};
	bool has_lost;

	if (t.flight == NULL)
		return false;
	alarm_book_follow(l->book, on_change, &t, &has_lost);
	if (has_lost || t.has_lost)
		tell_lost(l);
	t.flight->place = alarm_book_place(l->book);
	if (memcmp(&before, &t.flight->place, sizeof(before)) == 0) {
		flight_free(t.flight);
		return false;
	}
	if (commit(l, t.flight) < 0)
		l->held = t.flight;
	return true;
}

static void follow(struct eventlog *l)
{
	if (l->held != NULL && commit(l, l->held) == 0)
		l->held = NULL;
	while (l->held == NULL && l->n_flights < FLIGHTS_MAX && follow_once(l))
		;
}

/* ---- Whether the data plane runs ---- */

static void watch_dp(struct eventlog *l)
{
	uint64_t beat_ns = fedmem_dp_beat_ns(l->cfg.fedmem), now_ns = core_now_ns();
	bool is_alive = beat_ns != 0 && (now_ns < beat_ns || now_ns - beat_ns < DP_SILENT_NS);
	const struct wire_event e = {.kind = is_alive ? "dp_alive" : "dp_silent",
				     .server = l->self};

	/* Until the log takes it, it is said again. */
	if (l->is_dp_known && is_alive != l->is_dp_alive &&
	    eventlog_append(l, &e, NULL, NULL, NULL) < 0)
		return;
	l->is_dp_known = true;
	l->is_dp_alive = is_alive;
}

static void on_follow(uv_timer_t *timer)
{
	struct eventlog *l = timer->data;

	follow(l);
	watch_dp(l);
	fetch_turn(l);
}

/* ---- Those who follow ---- */

static void tell(struct eventlog *l, const struct wire_event *e)
{
	for (struct eventlog_follower *f = l->followers; f != NULL; f = l->follower_next) {
		l->follower_next = f->next;
		f->seen(f->user, e);
	}
}

static void on_disk(void *user, const struct wire_event *e)
{
	struct eventlog *l = user;

	/* What the peers gave back was told long ago. */
	if (e->origin != l->self || e->number >= l->first_number)
		tell(l, e);
}

void eventlog_trail(struct eventlog *l, const struct wire_event *e)
{
	tell(l, e);
}

void eventlog_follow(struct eventlog *l, struct eventlog_follower *f)
{
	f->next = l->followers;
	l->followers = f;
}

void eventlog_unfollow(struct eventlog *l, struct eventlog_follower *f)
{
	struct eventlog_follower **link = &l->followers;

	if (l->follower_next == f)
		l->follower_next = f->next;
	while (*link != f)
		link = &(*link)->next;
	*link = f->next;
}

/* ---- Own events ---- */

int eventlog_append(struct eventlog *l, const struct wire_event *e,
		    const struct wire_alarm_note *note,
		    void (*done)(void *user, uint64_t number, bool is_degraded), void *user)
{
	struct flight *f = flight_create(l);
	int err = -ENOMEM;

	if (f == NULL)
		return -ENOMEM;
	if (record_own(f, e, note) < 0)
		goto fail;
	f->first->event.origin = l->self;
	if (f->first->event.time_ns == 0)
		f->first->event.time_ns = core_wall_ns();
	f->done = done;
	f->user = user;
	err = commit(l, f);
	if (err == 0)
		return 0;
fail:
	flight_free(f);
	return err;
}

/* ---- Where to begin ---- */

struct search {
	const struct fedmem_alarm *alarm;
	uint8_t state;
};

static bool is_text(struct wire_octets o, const char *text, size_t room)
{
	size_t n = strnlen(text, room);

	return o.n == n && (n == 0 || memcmp(o.bytes, text, n) == 0);
}

static bool see_stored(void *user, const struct wire_stored_alarm *s)
{
	struct search *search = user;
	const struct fedmem_alarm *a = search->alarm;

	if (!is_text(s->type, a->type, sizeof(a->type)) ||
	    !is_text(s->resource, a->resource, sizeof(a->resource)) ||
	    !is_text(s->qualifier, a->qualifier, sizeof(a->qualifier)))
		return true;
	search->state = s->state;
	return false;
}

static uint8_t was(void *user, const struct fedmem_alarm *a)
{
	struct eventlog *l = user;
	struct search search = {.alarm = a, .state = FEDMEM_ALARM_FREE};

	if (archive_alarms(l->cfg.archive, a->element_id, a->element_id, see_stored, &search) < 0)
		return FEDMEM_ALARM_FREE;
	return search.state;
}

/* Behind what is known to be stored. With an archive that does not know this segment: behind what
 * was released, for it was stored, here or in an archive that is lost. */
static struct alarm_place find_place(struct eventlog *l)
{
	struct alarm_place place = {0};
	size_t n = sizeof(struct mark);
	struct fedmem_event e;
	struct mark mark;

	if (archive_mark(l->cfg.archive, MARK_NAME, &mark, &n) && n == sizeof(mark) &&
	    mark.identity == l->identity)
		return mark.place;
	place.number = fedmem_event_last(l->cfg.fedmem);
	if (fedmem_event_peek(l->cfg.fedmem, 0, &e) == 0)
		place.number = e.number - 1;
	return place;
}

/* ---- From its begin to its end ---- */

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

static int start_following(struct eventlog *l)
{
	l->timer = calloc(1, sizeof(*l->timer));
	if (l->timer == NULL)
		return -ENOMEM;
	uv_timer_init(l->cfg.loop, l->timer);
	l->timer->data = l;
	uv_timer_start(l->timer, on_follow, 0, FOLLOW_MS);
	return 0;
}

int eventlog_create(struct eventlog **out, const struct eventlog_config *cfg)
{
	struct eventlog *l = calloc(1, sizeof(*l));
	struct alarm_place place;
	int err;

	if (l == NULL)
		return -ENOMEM;
	l->cfg = *cfg;
	l->self = cluster_view(cfg->cluster)->self;
	l->identity = fedmem_identity(cfg->fedmem);
	l->first_number = archive_next_number(cfg->archive);
	place = find_place(l);
	err = alarm_book_create(&l->book, cfg->fedmem, &place, was, l);
	if (err == 0)
		err = fetch_begin(l);
	if (err == 0)
		err = start_following(l);
	if (err < 0) {
		eventlog_destroy(l);
		return err;
	}
	archive_follow(cfg->archive, on_disk, l);
	*out = l;
	return 0;
}

void eventlog_destroy(struct eventlog *l)
{
	if (l == NULL)
		return;
	while (l->flights != NULL) {
		struct flight *f = l->flights;

		l->flights = f->next;
		/* The archive does not call back any more, the standby does. */
		if (f->is_at_standby) {
			f->l = NULL;
			continue;
		}
		if (f->done != NULL)
			f->done(f->user, 0, true);
		flight_free(f);
	}
	if (l->held != NULL)
		flight_free(l->held);
	if (l->timer != NULL)
		uv_close((uv_handle_t *)l->timer, free_handle);
	fetch_end(l);
	alarm_book_destroy(l->book);
	free(l);
}
