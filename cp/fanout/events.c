/* The event log of all servers as one: each server's part comes in the order of time and ends
 * somewhere; what is told goes as far as no part can have left anything out. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cp/fanout/fanout.h"
#include "cp/wire/wire.h"

struct part {
	uint16_t server;
	struct wire_event_list *list;
	uint64_t last_own, last_of_trail; /* numbers: of its own, of the registry's */
};

/* Where an event stands: its own time, or that of a later one before it of its origin, so that a
 * clock that was set back does not put an origin's events out of order. */
struct standing {
	uint64_t time_ns;
	const struct wire_event *event;
};

struct gathering {
	struct fanout_events result; /* what is handed out; the rest is freed with it */
	struct fanout fanout;
	struct eventlog *log;
	struct wire_event_query query;
	char after[EVENTLOG_TOKEN_MAX];
	fanout_events_done done;
	void *user;
	struct memory_page *page; /* of the own part */
	struct wire_event_list own;
	struct part *parts; /* the own part first */
	uint32_t n_parts;
	struct standing *standings;
	uint32_t n;
	struct eventlog_place *place;
	char resume[EVENTLOG_TOKEN_MAX];
};

/* The result is the gathering's first member. */
void fanout_events_free(struct fanout_events *events)
{
	struct gathering *g = (struct gathering *)events;

	if (g == NULL)
		return;
	for (uint32_t i = 1; i < g->n_parts; i++)
		wire_free(g->parts[i].list);
	free(g->parts);
	free(g->standings);
	free(g->result.from);
	free(g->result.list.events);
	free(g->result.list.silent);
	eventlog_place_free(g->place);
	memory_page_free(g->page);
	free(g);
}

/* ---- Orders ---- */

static int compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_identities(const struct wire_event *x, const struct wire_event *y)
{
	return x->origin != y->origin ? compare(x->origin, y->origin)
				      : compare(x->number, y->number);
}

static int by_identity(const void *a, const void *b)
{
	return compare_identities(((const struct standing *)a)->event,
				  ((const struct standing *)b)->event);
}

static int by_time(const void *a, const void *b)
{
	const struct standing *x = a, *y = b;

	return x->time_ns != y->time_ns ? compare(x->time_ns, y->time_ns)
					: compare_identities(x->event, y->event);
}

/* All parts' events, each once, in the order they are told in. */
static int sort_events(struct gathering *g)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < g->n_parts; i++)
		n += g->parts[i].list->n_events;
	g->standings = calloc((size_t)n + 1, sizeof(*g->standings));
	if (g->standings == NULL)
		return -ENOMEM;
	n = 0;
	for (uint32_t i = 0; i < g->n_parts; i++)
		for (uint32_t e = 0; e < g->parts[i].list->n_events; e++)
			g->standings[n++].event = &g->parts[i].list->events[e];
	if (n > 0)
		qsort(g->standings, n, sizeof(*g->standings), by_identity);
	for (uint32_t i = 0; i < n; i++) {
		struct standing s = g->standings[i];
		const struct standing *before = g->n == 0 ? NULL : &g->standings[g->n - 1];

		if (before != NULL && compare_identities(before->event, s.event) == 0)
			continue;
		s.time_ns = s.event->time_ns;
		if (before != NULL && before->event->origin == s.event->origin &&
		    before->time_ns > s.time_ns)
			s.time_ns = before->time_ns;
		g->standings[g->n++] = s;
	}
	if (g->n > 0)
		qsort(g->standings, g->n, sizeof(*g->standings), by_time);
	return 0;
}

/* ---- How far all is known ---- */

/* Where a part that has more ends: nothing that it left out stands before this. */
static struct standing end_of(const struct wire_event_list *part)
{
	struct standing end = {0, &part->events[part->n_events - 1]};

	for (uint32_t i = 0; i < part->n_events; i++)
		if (part->events[i].time_ns > end.time_ns)
			end.time_ns = part->events[i].time_ns;
	return end;
}

static uint32_t count_whole(const struct gathering *g)
{
	uint32_t n = g->n;

	for (uint32_t i = 0; i < g->n_parts; i++) {
		const struct wire_event_list *list = g->parts[i].list;
		struct standing end;

		if (!list->is_more)
			continue;
		if (list->n_events == 0)
			return 0; /* it looked at all that it could bear, and found nothing yet */
		end = end_of(list);
		while (n > 0 && by_time(&g->standings[n - 1], &end) > 0)
			n--;
	}
	/* Clocks that contradict each other must not keep it from going on. */
	return n == 0 && g->n > 0 ? 1 : n;
}

static const struct part *part_of(const struct gathering *g, uint16_t server)
{
	for (uint32_t i = 0; i < g->n_parts; i++)
		if (g->parts[i].server == server)
			return &g->parts[i];
	return NULL;
}

/* By which server's stream the event is to count as told. The trail is told by ours. An origin that
 * answered has told everything up to where its part ends; of one that is silent, or beyond that,
 * there may be more in between. */
static uint16_t stream_of(const struct gathering *g, const struct wire_event *e)
{
	uint16_t self = g->parts[0].server;
	uint16_t from = e->origin == 0 ? self : (uint16_t)e->origin;
	const struct part *part = part_of(g, from);
	uint64_t last;

	if (g->query.is_newest)
		return from; /* what is older was left out on purpose */
	if (part == NULL)
		return FANOUT_EVENTS_COPY;
	if (!part->list->is_more)
		return from;
	last = e->origin == 0 ? part->last_of_trail : part->last_own;
	return e->number <= last ? from : FANOUT_EVENTS_COPY;
}

/* A part that has more but nothing to tell yet says how far it looked. */
static void pass_looked_at(struct gathering *g)
{
	for (uint32_t i = 0; i < g->n_parts; i++)
		if (g->parts[i].list->is_more && g->parts[i].list->n_events == 0 &&
		    eventlog_place_join(g->place, g->parts[i].list->resume) < 0)
			continue; /* no memory, or no token: it looks again */
}

/* The log of a server that answered was told to its end, with what the query leaves out. */
static void pass_ends(struct gathering *g)
{
	for (uint32_t i = 0; i < g->n_parts; i++) {
		const struct part *p = &g->parts[i];
		struct eventlog_place *end;
		struct wire_event last = {.origin = p->server};

		if (eventlog_place_create(&end, p->server, p->list->resume) != 0)
			continue;
		last.number = eventlog_place_mark(end, p->server);
		eventlog_place_take(g->place, &last, p->server);
		if (i == 0) {
			last = (struct wire_event){.number = eventlog_place_mark(end, 0)};
			eventlog_place_take(g->place, &last, p->server);
		}
		eventlog_place_free(end);
	}
}

/* ---- The page ---- */

static int fill(struct gathering *g, uint32_t first, uint32_t n)
{
	struct wire_event_list *list = &g->result.list;

	list->events = calloc((size_t)n + 1, sizeof(*list->events));
	g->result.from = calloc((size_t)n + 1, sizeof(*g->result.from));
	if (list->events == NULL || g->result.from == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		list->events[i] = *g->standings[first + i].event;
		g->result.from[i] = stream_of(g, &list->events[i]);
		eventlog_place_take(g->place, &list->events[i], g->result.from[i]);
	}
	list->n_events = n;
	return 0;
}

static int merge(struct gathering *g)
{
	uint32_t n_whole, n;
	bool is_more = false;
	int err = eventlog_place_create(&g->place, g->parts[0].server, g->after);

	if (err == 0)
		err = sort_events(g);
	if (err < 0)
		return err;
	for (uint32_t i = 0; i < g->n_parts; i++)
		is_more |= g->parts[i].list->is_more;
	n_whole = g->query.is_newest ? g->n : count_whole(g);
	n = n_whole < g->query.limit ? n_whole : g->query.limit;
	is_more |= n < g->n;
	err = fill(g, g->query.is_newest ? g->n - n : 0, n);
	if (err < 0)
		return err;
	if (g->query.until_ns == 0 && (g->query.is_newest || !is_more))
		pass_ends(g);
	if (!g->query.is_newest)
		pass_looked_at(g);
	eventlog_place_token(g->place, g->resume);
	g->result.list.resume = g->resume;
	g->result.list.is_more = is_more;
	g->result.list.answered_by = g->parts[0].server;
	return 0;
}

/* ---- Asking ---- */

static void add_part(struct gathering *g, uint16_t server, struct wire_event_list *list)
{
	struct part *p = &g->parts[g->n_parts++];

	*p = (struct part){.server = server, .list = list};
	for (uint32_t i = 0; i < list->n_events; i++) {
		const struct wire_event *e = &list->events[i];

		if (e->origin == server && e->number > p->last_own)
			p->last_own = e->number;
		if (e->origin == 0 && e->number > p->last_of_trail)
			p->last_of_trail = e->number;
	}
}

static bool take_part(void *user, uint16_t server, const uint8_t *bytes, size_t n)
{
	struct gathering *g = user;
	struct wire_event_list *list;

	if (wire_event_list_unpack(bytes, n, &list) < 0)
		return false;
	add_part(g, server, list);
	return true;
}

static void done(void *user, const uint32_t *silent, uint32_t n_silent)
{
	struct gathering *g = user;
	int err = -ENOMEM;

	g->result.list.silent = calloc((size_t)n_silent + 1, sizeof(*silent));
	if (g->result.list.silent != NULL) {
		for (uint32_t i = 0; i < n_silent; i++)
			g->result.list.silent[i] = silent[i];
		g->result.list.n_silent = n_silent;
		err = merge(g);
	}
	if (err == 0) {
		g->done(g->user, 0, &g->result);
		return;
	}
	g->done(g->user, err, NULL);
	fanout_events_free(&g->result);
}

static int ask_peers(struct gathering *g, uint32_t deadline_ms)
{
	struct wire_event_query query = g->query;
	struct wire_bytes bytes;
	int err;

	query.is_local = true;
	err = wire_event_query_pack(&query, &bytes);
	if (err < 0)
		return err;
	err = fanout_ask(&g->fanout, &(struct fanout_ask){.path = WIRE_PATH("Peered", "ListEvents"),
							  .bytes = bytes.bytes,
							  .n = bytes.n,
							  .deadline_ms = deadline_ms,
							  .take = take_part,
							  .done = done,
							  .user = g});
	wire_bytes_free(&bytes);
	return err;
}

int fanout_events(const struct fanout *f, struct eventlog *log,
		  const struct wire_event_query *query, uint32_t deadline_ms,
		  fanout_events_done is_done, void *user)
{
	const struct cluster_view *view = cluster_view(f->cluster);
	struct gathering *g = calloc(1, sizeof(*g));
	int err = -ENOMEM;

	if (g == NULL)
		return -ENOMEM;
	g->fanout = *f;
	g->query = *query;
	if (g->query.limit == 0)
		g->query.limit = FANOUT_EVENTS_DEFAULT;
	if (g->query.limit > FANOUT_EVENTS_MAX)
		g->query.limit = FANOUT_EVENTS_MAX;
	strncpy(g->after, query->after != NULL ? query->after : "", sizeof(g->after) - 1);
	g->done = is_done;
	g->user = user;
	g->parts = calloc((size_t)view->n_servers + 1, sizeof(*g->parts));
	if (g->parts == NULL)
		goto fail;
	err = eventlog_query(log, &g->query, &g->page, &g->own);
	if (err < 0)
		goto fail;
	add_part(g, view->self, &g->own);
	err = ask_peers(g, deadline_ms);
	if (err == 0)
		return 0;
fail:
	fanout_events_free(&g->result);
	return err;
}
