/* A watch from its begin to its end, and what goes to its client. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cp/core/core.h"
#include "cp/federated/watch.h"

/* Of clients and peers together. A watch holds a stream to each other server. */
#define WATCHERS_MAX 1024

/* ---- To the client ---- */

static bool send_alarm_event(struct watcher *w, const struct wire_alarm_event *m)
{
	struct wire_bytes bytes;
	bool is_sent;

	if (wire_alarm_event_pack(m, &bytes) < 0)
		return false;
	is_sent = rpc_call_send(w->call, bytes.bytes, bytes.n) == 0;
	wire_bytes_free(&bytes);
	return is_sent;
}

static bool send_notice(struct watcher *w, const struct wire_event_notice *m)
{
	struct wire_bytes bytes;
	bool is_sent;

	if (wire_event_notice_pack(m, &bytes) < 0)
		return false;
	is_sent = rpc_call_send(w->call, bytes.bytes, bytes.n) == 0;
	wire_bytes_free(&bytes);
	return is_sent;
}

static bool send_bare(struct watcher *w, const char *kind, uint16_t server, const char *resume)
{
	if (w->is_of_alarms)
		return send_alarm_event(w, &(struct wire_alarm_event){.kind = kind,
								      .time_ns = core_wall_ns(),
								      .server = server,
								      .resume = resume});
	return send_notice(
		w, &(struct wire_event_notice){.kind = kind, .server = server, .resume = resume});
}

/* False: the client still does not know that events were left out. */
static bool tell_lost(struct watcher *w)
{
	if (w->is_behind)
		w->is_behind = !send_bare(w, "lost", cluster_view(w->f->cfg.cluster)->self, "");
	return !w->is_behind;
}

void watch_token(const struct watcher *w, char out[EVENTLOG_TOKEN_MAX])
{
	eventlog_place_token(w->place, out);
	if (out[0] == '\0') /* which would be: from now on */
		memcpy(out, "0:0", sizeof("0:0"));
}

static bool try_event(struct watcher *w, const struct wire_event *e)
{
	char token[EVENTLOG_TOKEN_MAX] = "";

	/* What a peer is told here goes to its client with a token of its own. */
	if (!w->request->is_local)
		watch_token(w, token);
	if (!tell_lost(w))
		return false;
	if (!w->is_of_alarms)
		return send_notice(w, &(struct wire_event_notice){.kind = "event",
								  .event = *e,
								  .has_event = true,
								  .resume = token});
	return send_alarm_event(w, &(struct wire_alarm_event){.kind = e->kind,
							      .alarm = e->alarm,
							      .has_alarm = true,
							      .time_ns = e->time_ns,
							      .server = e->origin,
							      .number = e->number,
							      .resume = token});
}

bool watch_try_present(struct watcher *w, const struct wire_alarm *a, uint16_t server)
{
	return tell_lost(w) && send_alarm_event(w, &(struct wire_alarm_event){
							   .kind = "present",
							   .alarm = *a,
							   .has_alarm = true,
							   .time_ns = a->changed_ns,
							   .server = server,
						   });
}

void watch_send_note(struct watcher *w, const char *kind, uint16_t server)
{
	if (!tell_lost(w) || !send_bare(w, kind, server, ""))
		w->is_behind = true;
}

static bool wants(const struct watcher *w, const struct wire_event *e)
{
	const struct wire_watch_request *r = w->request;

	if (w->is_of_alarms && !e->has_alarm)
		return false;
	for (uint32_t i = 0; i < r->n_kinds; i++)
		if (strcmp(r->kinds[i], e->kind) == 0)
			return true;
	return r->n_kinds == 0;
}

bool watch_has_spare_room(const struct watcher *w)
{
	return rpc_call_room(w->call) > RPC_STREAM_QUEUE / 2;
}

bool watch_tell(struct watcher *w, const struct wire_event *e, uint16_t from)
{
	/* One for the event, one in case that it has to be told that something was lost. */
	if (rpc_call_room(w->call) < 2)
		return false;
	if (!eventlog_place_take(w->place, e, from))
		return true;
	/* Another server's stream tells what the place had no room to keep apart. */
	if (eventlog_place_has_skipped(w->place) && !w->request->is_local)
		w->is_behind = true;
	if (!wants(w, e))
		return true;
	if (w->present.is_on && e->has_alarm)
		present_changed(w, e->alarm.element_id);
	if (!try_event(w, e))
		w->is_behind = true; /* no memory */
	return true;
}

/* ---- A watch from its begin to its end ---- */

void watch_free_when_done(struct watcher *w)
{
	struct watcher **link = &w->f->watchers;

	if (!w->is_gone || w->n_open > 0)
		return;
	while (*link != w)
		link = &(*link)->next;
	*link = w->next;
	w->f->n_watchers--;
	rpc_call_fail(w->call, RPC_UNAVAILABLE, "the watch ends with its server");
	present_drop(w);
	replay_drop(w);
	eventlog_place_free(w->place);
	wire_free(w->request);
	free(w->branches);
	free(w);
}

static void end(struct watcher *w)
{
	w->is_gone = true;
	branches_cancel(w);
	watch_free_when_done(w);
}

static void client_gone(void *user)
{
	end(user);
}

/* A watch that begins now counts everything as told that this server holds. */
static int place_now(struct watcher *w)
{
	const struct wire_event_query newest = {
		.after = "", .element = "", .cell = "", .is_newest = true, .limit = 1};
	struct memory_page *page;
	struct wire_event_list list;
	int err = eventlog_query(w->f->cfg.eventlog, &newest, &page, &list);

	if (err == 0)
		err = eventlog_place_create(&w->place, cluster_view(w->f->cfg.cluster)->self,
					    list.resume);
	memory_page_free(page);
	return err;
}

static int begin(struct watcher *w)
{
	const char *resume = w->request->resume;
	int err;

	if (resume[0] == '\0')
		err = place_now(w);
	else
		err = eventlog_place_create(&w->place, cluster_view(w->f->cfg.cluster)->self,
					    resume);
	if (err == 0 && !w->request->is_local && !branches_add(w))
		err = -ENOMEM;
	w->phase = resume[0] == '\0'	  ? WATCH_LIVE
		   : w->request->is_local ? WATCH_CATCHING_UP
					  : WATCH_REPLAYING;
	return err;
}

/* Takes the request, when it returns 0. */
static int watcher_create(struct watcher **out, struct federated *f, struct rpc_call *call,
			  struct wire_watch_request *request, bool is_of_alarms)
{
	struct watcher *w = calloc(1, sizeof(*w));
	int err;

	if (w == NULL)
		return -ENOMEM;
	w->f = f;
	w->call = call;
	w->request = request;
	w->is_of_alarms = is_of_alarms;
	w->present.is_on = is_of_alarms && request->present;
	err = begin(w);
	if (err < 0) {
		eventlog_place_free(w->place);
		free(w);
		return err;
	}
	w->next = f->watchers;
	f->watchers = w;
	f->n_watchers++;
	*out = w;
	return 0;
}

static void watch(struct federated *f, struct rpc_call *call, const uint8_t *bytes, size_t n,
		  bool is_of_alarms)
{
	struct wire_watch_request *request;
	char token[EVENTLOG_TOKEN_MAX];
	struct watcher *w;
	int err;

	if (wire_watch_request_unpack(bytes, n, &request) < 0) {
		rpc_call_fail(call, RPC_INVALID_ARGUMENT, "this is no watch request");
		return;
	}
	if (f->n_watchers == WATCHERS_MAX) {
		wire_free(request);
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "too many watches are open here");
		return;
	}
	err = watcher_create(&w, f, call, request, is_of_alarms);
	if (err < 0) {
		wire_free(request);
		if (err == -EINVAL)
			rpc_call_fail(call, RPC_INVALID_ARGUMENT, "this is no resume token");
		else
			rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory for this watch");
		return;
	}
	rpc_call_on_cancel(call, client_gone, w);
	watch_token(w, token);
	if (!send_bare(w, "heard", cluster_view(f->cfg.cluster)->self, token))
		w->is_behind = true;
	branches_turn(w);
}

void watch_alarms(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	watch(user, call, bytes, n, true);
}

void watch_events(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	watch(user, call, bytes, n, false);
}

/* One that is not live yet finds the event in the log; one that has no room for it, later. */
void watch_seen(void *user, const struct wire_event *e)
{
	struct federated *f = user;
	uint16_t self = cluster_view(f->cfg.cluster)->self;

	for (struct watcher *w = f->watchers; w != NULL; w = w->next)
		if (!w->is_gone && w->phase == WATCH_LIVE)
			w->phase = watch_tell(w, e, self) ? WATCH_LIVE : WATCH_CATCHING_UP;
}

void watch_lost(void *user)
{
	struct federated *f = user;

	for (struct watcher *w = f->watchers; w != NULL; w = w->next)
		w->is_behind |= w->is_of_alarms;
}

void watch_turn(struct federated *f)
{
	struct watcher *next;

	present_turn(f);
	for (struct watcher *w = f->watchers; w != NULL; w = next) {
		next = w->next;
		if (w->is_gone)
			continue;
		tell_lost(w);
		replay_turn(w);
		branches_turn(w);
	}
}

void watch_end_all(struct federated *f)
{
	struct watcher *next;

	for (struct watcher *w = f->watchers; w != NULL; w = next) {
		next = w->next;
		end(w);
	}
	assert(f->watchers == NULL); /* with the rpc client went what was under way */
}
