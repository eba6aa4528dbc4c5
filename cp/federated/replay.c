/* What came behind a resume token. First what any server's log holds, by time and page by page, as
 * fast as the client takes it; then what came onto this server's disk meanwhile. Nothing falls
 * between that and what is told live: both are this thread's, and what is on disk is in the log. */
#include <errno.h>

#include "cp/federated/watch.h"

#define REPLAY_PAGE 500
#define DEADLINE_MS 1000

static void drop_page(struct watcher *w)
{
	struct replay *r = &w->replay;

	fanout_events_free(r->events);
	memory_page_free(r->page);
	*r = (struct replay){.is_asking = r->is_asking};
}

void replay_drop(struct watcher *w)
{
	drop_page(w);
}

static void got_page(void *user, int err, struct fanout_events *events)
{
	struct watcher *w = user;

	w->replay.is_asking = false;
	w->n_open--;
	if (w->is_gone)
		fanout_events_free(events);
	else
		w->replay.events = events; /* NULL, no memory: again with the next turn */
	watch_free_when_done(w);
}

static struct wire_event_query query_of(const struct watcher *w, char token[EVENTLOG_TOKEN_MAX])
{
	watch_token(w, token);
	return (struct wire_event_query){.after = token,
					 .element = "",
					 .cell = "",
					 .kinds = w->request->kinds,
					 .n_kinds = w->request->n_kinds,
					 .limit = REPLAY_PAGE};
}

static void ask_all(struct watcher *w)
{
	char token[EVENTLOG_TOKEN_MAX];
	const struct wire_event_query query = query_of(w, token);

	w->replay.is_asking = true;
	w->n_open++;
	if (fanout_events(&w->f->lists.fanout, w->f->cfg.eventlog, &query, DEADLINE_MS, got_page,
			  w) < 0) {
		w->replay.is_asking = false;
		w->n_open--;
	}
}

static bool ask_own(struct watcher *w)
{
	char token[EVENTLOG_TOKEN_MAX];
	const struct wire_event_query query = query_of(w, token);

	if (eventlog_query(w->f->cfg.eventlog, &query, &w->replay.page, &w->replay.list) == 0)
		return true;
	drop_page(w);
	return false;
}

/* False: there is no room for the rest of the page. */
static bool send_page(struct watcher *w, const struct wire_event_list *list, const uint16_t *from)
{
	uint16_t self = cluster_view(w->f->cfg.cluster)->self;
	struct replay *r = &w->replay;

	for (; r->at < list->n_events; r->at++) {
		if (!watch_has_spare_room(w) ||
		    !watch_tell(w, &list->events[r->at], from == NULL ? self : from[r->at]))
			return false;
	}
	return true;
}

static void replay_all(struct watcher *w)
{
	const struct wire_event_list *list;

	if (w->replay.events == NULL) {
		if (!w->replay.is_asking)
			ask_all(w);
		return;
	}
	list = &w->replay.events->list;
	if (!send_page(w, list, w->replay.events->from))
		return;
	if (eventlog_place_join(w->place, list->resume) < 0)
		return; /* no memory: again with the next turn */
	if (!list->is_more)
		w->phase = WATCH_CATCHING_UP;
	drop_page(w);
}

static void catch_up(struct watcher *w)
{
	bool is_more;

	if (w->replay.page == NULL && !ask_own(w))
		return;
	if (!send_page(w, &w->replay.list, NULL))
		return;
	is_more = w->replay.list.is_more;
	drop_page(w);
	if (!is_more)
		w->phase = WATCH_LIVE;
}

void replay_turn(struct watcher *w)
{
	if (w->phase == WATCH_REPLAYING)
		replay_all(w);
	if (w->phase == WATCH_CATCHING_UP && !w->is_gone)
		catch_up(w);
}
