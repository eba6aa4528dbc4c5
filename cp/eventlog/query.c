#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cp/eventlog/eventlog_private.h"

#define SOURCES_MAX 65 /* the registry's trail, and as many origins as a cluster has servers */
/* Events that are looked at for one page, over all sources: what a turn of the loop can bear. */
#define LOOKS_A_PAGE 20000
#define CHUNK	     128
#define PAGE_BYTES   (3u << 20) /* of texts and what else a message has of each event */
#define EVENT_BYTES  160	/* ... without the texts */
/* How far a clock may be set back without hiding what came then from a query by time. */
#define SLACK_NS 60000000000u

/* One origin's events that were read and are not on the page yet. */
struct source {
	struct pager *pager;
	uint32_t origin;
	uint64_t at; /* last one looked at; downwards: the lowest one */
	uint32_t looks_left;
	bool is_over, has_failed, is_behind_run;
	struct wire_event *chunk; /* room for CHUNK */
	size_t *chunk_bytes;
	uint32_t head, n;
};

struct pager {
	struct eventlog *l;
	const struct wire_event_query *q;
	struct memory_page *page;
	struct eventlog_place *place; /* behind what is on the page */
	struct wire_event_list *list;
	uint32_t limit;
	size_t n_bytes;
	struct source sources[SOURCES_MAX];
	uint32_t n_sources;
};

/* ---- What is asked for ---- */

static bool is_kind_asked(const struct wire_event_query *q, const char *kind)
{
	for (uint32_t i = 0; i < q->n_kinds; i++)
		if (strcmp(q->kinds[i], kind) == 0)
			return true;
	return q->n_kinds == 0;
}

static bool is_asked(const struct wire_event_query *q, const struct wire_event *e)
{
	if (q->origin != 0 && q->origin != e->origin)
		return false;
	if (e->time_ns < q->since_ns || (q->until_ns != 0 && e->time_ns > q->until_ns))
		return false;
	if (*q->cell != '\0' && strcmp(q->cell, e->cell) != 0)
		return false;
	if (*q->element != '\0' && (!e->has_alarm || strcmp(q->element, e->alarm.element) != 0))
		return false;
	return is_kind_asked(q, e->kind);
}

/* ---- Reading ---- */

static bool is_own_stream(const struct source *s)
{
	return s->origin == 0 || s->origin == s->pager->l->self;
}

static int read_events(struct source *s, uint64_t after, uint64_t last, bool is_descending,
		       bool (*see)(void *user, const struct wire_event *e), void *user)
{
	struct eventlog *l = s->pager->l;

	if (s->origin == 0)
		return registry_trail(cluster_registry(l->cfg.cluster), after, last, is_descending,
				      see, user);
	return archive_events(l->cfg.archive, (uint16_t)s->origin, after, last, is_descending, see,
			      user);
}

/* Of another server's events each one that is left out has to be remembered by itself. */
static void leave_out(struct source *s, const struct wire_event *e)
{
	struct pager *p = s->pager;

	if (!p->q->is_newest && !is_own_stream(s))
		eventlog_place_take(p->place, e, p->l->self);
}

static bool see(void *user, const struct wire_event *e)
{
	struct source *s = user;
	struct pager *p = s->pager;
	uint64_t first, last;

	s->at = e->number;
	s->looks_left--;
	if (place_find(p->place, s->origin, e->number, &first, &last)) {
		s->at = p->q->is_newest ? first : last;
		s->is_behind_run = true; /* go on there: what was told must not use up the looks */
		return false;
	}
	if (!is_asked(p->q, e))
		leave_out(s, e);
	else if (record_copy_event(p->page, e, &s->chunk[s->n], &s->chunk_bytes[s->n]) < 0)
		s->has_failed = true;
	else
		s->n++;
	return !s->has_failed && s->n < CHUNK && s->looks_left > 0;
}

static int read_chunk(struct source *s)
{
	struct pager *p = s->pager;

	s->is_behind_run = false;
	if (!p->q->is_newest)
		return read_events(s, s->at, UINT64_MAX, false, see, s);
	return read_events(s, eventlog_place_mark(p->place, (uint16_t)s->origin), s->at - 1, true,
			   see, s);
}

/* Nothing, when there is no more or too much was looked at. */
static int refill(struct source *s)
{
	int err = 0;

	s->head = s->n = 0;
	if (s->is_over || s->looks_left == 0)
		return 0;
	do
		err = read_chunk(s);
	while (err == 0 && s->is_behind_run && s->n < CHUNK && s->looks_left > 0);
	if (err == 0 && s->has_failed)
		err = -ENOMEM;
	s->is_over = s->n < CHUNK && s->looks_left > 0;
	return err;
}

/* ---- By time ---- */

struct probe {
	uint64_t number, time_ns;
	bool is_found;
};

static bool see_one(void *user, const struct wire_event *e)
{
	struct probe *p = user;

	*p = (struct probe){e->number, e->time_ns, true};
	return false;
}

/* A number below which all events are older than the query wants: times rise with numbers, nearly.
 */
static int skip_older(struct source *s)
{
	uint64_t since_ns = s->pager->q->since_ns;
	uint64_t low = s->at, high = UINT64_MAX;

	if (since_ns <= SLACK_NS || s->pager->q->is_newest)
		return 0;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		struct probe p = {0};
		int err = read_events(s, middle, UINT64_MAX, false, see_one, &p);

		if (err < 0)
			return err;
		if (p.is_found && p.time_ns < since_ns - SLACK_NS)
			low = p.number;
		else
			high = middle;
	}
	s->at = low;
	return 0;
}

static int source_open(struct pager *p, uint32_t origin)
{
	struct source *s = &p->sources[p->n_sources];

	if (p->n_sources == SOURCES_MAX || (p->q->origin != 0 && p->q->origin != origin))
		return 0;
	*s = (struct source){.pager = p, .origin = origin};
	s->at = p->q->is_newest ? 0 : eventlog_place_mark(p->place, (uint16_t)origin);
	s->chunk = memory_page_take(p->page, CHUNK, sizeof(*s->chunk));
	s->chunk_bytes = memory_page_take(p->page, CHUNK, sizeof(*s->chunk_bytes));
	if (s->chunk == NULL || s->chunk_bytes == NULL)
		return -ENOMEM;
	p->n_sources++;
	return skip_older(s);
}

static int sources_open(struct pager *p)
{
	uint16_t origins[SOURCES_MAX];
	uint32_t n = archive_origins(p->l->cfg.archive, origins, SOURCES_MAX);
	int err = source_open(p, 0);

	for (uint32_t i = 0; err == 0 && i < n; i++)
		err = source_open(p, origins[i]);
	for (uint32_t i = 0; i < p->n_sources; i++)
		p->sources[i].looks_left = LOOKS_A_PAGE / p->n_sources;
	for (uint32_t i = 0; err == 0 && i < p->n_sources; i++)
		err = refill(&p->sources[i]);
	return err;
}

/* ---- Merging ---- */

/* By time, then origin; within one origin they come in the order of their numbers. */
static bool is_before(const struct wire_event *a, const struct wire_event *b)
{
	return a->time_ns != b->time_ns ? a->time_ns < b->time_ns : a->origin < b->origin;
}

/* The source of the next event; NULL: the page ends here. */
static struct source *next_source(struct pager *p)
{
	struct source *next = NULL;

	for (uint32_t i = 0; i < p->n_sources; i++) {
		struct source *s = &p->sources[i];

		if (s->head == s->n && !s->is_over)
			return NULL; /* what it has may be the next, and was not read */
		if (s->head == s->n)
			continue;
		if (next == NULL ||
		    is_before(&s->chunk[s->head], &next->chunk[next->head]) != p->q->is_newest)
			next = s;
	}
	return next;
}

static int merge(struct pager *p)
{
	struct wire_event_list *list = p->list;
	struct source *s;

	while (list->n_events < p->limit && (s = next_source(p)) != NULL) {
		size_t n_bytes = EVENT_BYTES + s->chunk_bytes[s->head];
		const struct wire_event *e = &s->chunk[s->head];
		int err = 0;

		if (list->n_events > 0 && p->n_bytes + n_bytes > PAGE_BYTES)
			break;
		p->n_bytes += n_bytes;
		list->events[list->n_events++] = *e;
		s->head++;
		if (!p->q->is_newest && !is_own_stream(s))
			eventlog_place_take(p->place, e, p->l->self);
		if (s->head == s->n)
			err = refill(s);
		if (err < 0)
			return err;
	}
	for (uint32_t i = 0; i < p->n_sources; i++)
		list->is_more |= p->sources[i].head < p->sources[i].n || !p->sources[i].is_over;
	return 0;
}

/* ---- The page ---- */

/* Of an own stream everything was told that lies below the first one that was not. */
static void raise_marks(struct pager *p)
{
	for (uint32_t i = 0; i < p->n_sources; i++) {
		const struct source *s = &p->sources[i];

		if (is_own_stream(s))
			place_raise(p->place, s->origin,
				    s->head < s->n ? s->chunk[s->head].number - 1 : s->at);
	}
}

/* Everything that this server holds counts as told. */
void eventlog_place_now(struct eventlog_place *p, struct eventlog *l)
{
	uint16_t origins[SOURCES_MAX];
	uint32_t n = archive_origins(l->cfg.archive, origins, SOURCES_MAX);
	struct probe newest = {0};

	/* A read that fails leaves the mark lower: more is told, not less. */
	if (registry_trail(cluster_registry(l->cfg.cluster), 0, UINT64_MAX, true, see_one,
			   &newest) == 0 &&
	    newest.is_found)
		place_raise(p, 0, newest.number);
	for (uint32_t i = 0; i < n; i++) {
		newest = (struct probe){0};
		if (archive_events(l->cfg.archive, origins[i], 0, UINT64_MAX, true, see_one,
				   &newest) == 0 &&
		    newest.is_found)
			place_raise(p, origins[i], newest.number);
	}
	/* What the peers give back of this server's own events is not new. */
	place_raise(p, l->self, l->first_number);
}

static void reverse(struct wire_event_list *list)
{
	for (uint32_t i = 0; i < list->n_events / 2; i++) {
		struct wire_event e = list->events[i];

		list->events[i] = list->events[list->n_events - 1 - i];
		list->events[list->n_events - 1 - i] = e;
	}
}

static int fill(struct pager *p)
{
	char *resume;
	int err;

	p->list->events = memory_page_take(p->page, p->limit, sizeof(*p->list->events));
	resume = memory_page_take(p->page, EVENTLOG_TOKEN_MAX, 1);
	if (p->list->events == NULL || resume == NULL)
		return -ENOMEM;
	err = sources_open(p);
	if (err == 0)
		err = merge(p);
	if (err < 0)
		return err;
	if (p->q->is_newest) {
		reverse(p->list);
		eventlog_place_now(p->place, p->l);
	} else {
		raise_marks(p);
	}
	eventlog_place_token(p->place, resume);
	p->list->resume = resume;
	return 0;
}

int eventlog_query(struct eventlog *l, const struct wire_event_query *q, struct memory_page **page,
		   struct wire_event_list *list)
{
	struct pager *p = calloc(1, sizeof(*p));
	int err = -ENOMEM;

	*page = NULL;
	*list = (struct wire_event_list){.resume = "", .answered_by = l->self};
	if (p == NULL)
		return -ENOMEM;
	p->l = l;
	p->q = q;
	p->list = list;
	p->limit = q->limit == 0		  ? EVENTLOG_PAGE
		   : q->limit > EVENTLOG_PAGE_MAX ? EVENTLOG_PAGE_MAX
						  : q->limit;
	p->page = *page = memory_page_create();
	if (p->page != NULL)
		err = eventlog_place_create(&p->place, l->self, q->after);
	if (err == 0)
		err = fill(p);
	eventlog_place_free(p->place);
	free(p);
	return err;
}
