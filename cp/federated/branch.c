/* What other servers tell of their own: a stream from each. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cp/core/core.h"
#include "cp/federated/watch.h"

#define RETRY_MS 250

static void silent(struct branch *b)
{
	if (b->watcher->is_gone || b->is_silent)
		return;
	b->is_silent = true;
	watch_send_note(b->watcher, "silent", b->server);
}

static void cancel(struct branch *b)
{
	if (b->request == NULL || b->is_cancelled)
		return;
	b->is_cancelled = true;
	rpc_request_cancel(b->request);
}

/* What that server numbered before its stream began was before the watch. What it holds of others
 * says nothing: those tell their own, and may not have told it yet. */
static void count_as_told(struct branch *b, const char *resume)
{
	struct wire_event last = {.origin = b->server};
	struct eventlog_place *begin;

	if (eventlog_place_create(&begin, b->server, resume) < 0) {
		b->watcher->is_behind = true;
		return;
	}
	last.number = eventlog_place_mark(begin, b->server);
	eventlog_place_take(b->watcher->place, &last, b->server);
	eventlog_place_free(begin);
}

/* The first message of a stream: from where on it tells. */
static void begins(struct branch *b, const char *resume)
{
	if (b->is_silent) {
		b->is_silent = false;
		watch_send_note(b->watcher, "heard", b->server);
	}
	if (!b->was_heard && b->watcher->request->resume[0] == '\0')
		count_as_told(b, resume);
	b->was_heard = true;
}

/* Its stream begins again behind what was told last, when there is room. */
static void hold(struct branch *b)
{
	b->is_held = true;
	cancel(b);
}

static void alarm_message(struct branch *b, const uint8_t *bytes, size_t n)
{
	struct watcher *w = b->watcher;
	struct wire_alarm_event *m;

	if (wire_alarm_event_unpack(bytes, n, &m) < 0) {
		w->is_behind = true;
		return;
	}
	if (strcmp(m->kind, "heard") == 0)
		begins(b, m->resume);
	else if (strcmp(m->kind, "lost") == 0)
		w->is_behind = true;
	else if (strcmp(m->kind, "present") == 0)
		w->is_behind |= !watch_try_present(w, &m->alarm, b->server);
	else if (!watch_tell(w,
			     &(struct wire_event){.origin = m->server,
						  .number = m->number,
						  .time_ns = m->time_ns,
						  .kind = m->kind,
						  .alarm = m->alarm,
						  .has_alarm = m->has_alarm},
			     b->server))
		hold(b);
	wire_free(m);
}

static void event_message(struct branch *b, const uint8_t *bytes, size_t n)
{
	struct watcher *w = b->watcher;
	struct wire_event_notice *m;

	if (wire_event_notice_unpack(bytes, n, &m) < 0) {
		w->is_behind = true;
		return;
	}
	if (strcmp(m->kind, "heard") == 0)
		begins(b, m->resume);
	else if (!m->has_event)
		w->is_behind |= strcmp(m->kind, "lost") == 0;
	else if (!watch_tell(w, &m->event, b->server))
		hold(b);
	wire_free(m);
}

static void message(void *user, const uint8_t *bytes, size_t n)
{
	struct branch *b = user;

	if (b->watcher->is_gone)
		return;
	if (b->watcher->is_of_alarms)
		alarm_message(b, bytes, n);
	else
		event_message(b, bytes, n);
}

static void done(void *user, enum rpc_status status, const char *why, const uint8_t *bytes,
		 size_t n)
{
	struct branch *b = user;
	struct watcher *w = b->watcher;

	b->request = NULL;
	b->is_cancelled = false;
	b->retry_ms = core_now_ms() + RETRY_MS;
	w->n_open--;
	if (!b->is_held)
		silent(b);
	watch_free_when_done(w);
}

/* A watch that begins now has nothing to be told from before; one that goes on, or a branch that
 * broke, goes on from its place. A branch that broke also asks for what is present, so that the
 * client can replace what it knew of that server's part. */
static void open_branch(struct branch *b, const struct cluster_server *server)
{
	struct watcher *w = b->watcher;
	bool goes_on = b->was_heard || w->request->resume[0] != '\0';
	char token[EVENTLOG_TOKEN_MAX] = "";
	const struct wire_watch_request request = {
		.is_local = true,
		.present = w->is_of_alarms && ((b->is_again && !b->is_held) || w->request->present),
		.resume = token,
		.kinds = w->request->kinds,
		.n_kinds = w->request->n_kinds,
	};
	struct wire_bytes bytes;
	int err;

	if (goes_on)
		watch_token(w, token);
	b->is_again = true;
	b->is_held = false;
	b->retry_ms = core_now_ms() + RETRY_MS;
	err = wire_watch_request_pack(&request, &bytes);
	if (err == 0) {
		err = rpc_client_subscribe(w->f->cfg.client, &b->request, server->call_address,
					   w->is_of_alarms ? WIRE_PATH("Federated", "WatchAlarms")
							   : WIRE_PATH("Federated", "WatchEvents"),
					   bytes.bytes, bytes.n, message, done, b);
		wire_bytes_free(&bytes);
	}
	if (err == 0)
		w->n_open++;
	else
		silent(b);
}

/* A server that is known to be dead is silent at once, however long its connection takes to break.
 */
static void turn(struct branch *b, uint64_t now_ms)
{
	const struct cluster_server *server = cluster_server(b->watcher->f->cfg.cluster, b->server);

	assert(server != NULL); /* the configuration's servers stay */
	if (server->state == DETECTOR_FAILED) {
		cancel(b);
		silent(b);
	} else if (b->request == NULL && now_ms >= b->retry_ms &&
		   (!b->is_held || watch_has_spare_room(b->watcher))) {
		open_branch(b, server);
	}
}

void branches_turn(struct watcher *w)
{
	uint64_t now_ms = core_now_ms();

	if (w->phase == WATCH_REPLAYING)
		return;
	for (uint32_t i = 0; i < w->n_branches; i++)
		turn(&w->branches[i], now_ms);
}

void branches_cancel(struct watcher *w)
{
	for (uint32_t i = 0; i < w->n_branches; i++)
		cancel(&w->branches[i]);
}

bool branches_add(struct watcher *w)
{
	const struct cluster_view *view = cluster_view(w->f->cfg.cluster);

	w->branches = calloc(view->n_servers, sizeof(*w->branches));
	if (w->branches == NULL)
		return false;
	for (uint32_t i = 0; i < view->n_servers; i++)
		if (view->servers[i].conf->id != view->self)
			w->branches[w->n_branches++] =
				(struct branch){.watcher = w, .server = view->servers[i].conf->id};
	return true;
}
