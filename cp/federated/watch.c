/* The watch on alarms: this server's own changes, and what the other servers' watches bring. */
#include <stdlib.h>
#include <string.h>

#include "cp/core/core.h"
#include "cp/federated/federated_private.h"
#include "cp/wire/wire.h"

#define RETRY_MS 250
#define PAGE	 1000

/* The part of a watch that one other server serves. */
struct branch {
	struct watcher *watcher;
	uint16_t server;
	struct rpc_request *request; /* NULL: none is under way */
	bool is_silent;		     /* the client was told so */
	uint64_t retry_ms;
};

struct watcher {
	struct federated *f;
	struct rpc_call *call;
	struct watcher *next;
	bool is_gone;	/* the client, or this server, ended it */
	bool is_behind; /* events did not fit: the client is told when there is room again */
	bool wants_present;
	struct branch *branches; /* none for a local watch */
	uint32_t n_branches, n_open;
};

/* Hands one packed event to the client. */
static void send_bytes(struct watcher *w, const struct wire_bytes *bytes)
{
	struct wire_bytes lost = {0};

	if (w->is_behind) {
		const struct wire_alarm_event e = {
			.kind = "lost",
			.time_ns = core_wall_ns(),
			.server = cluster_view(w->f->cfg.cluster)->self,
		};

		if (wire_alarm_event_pack(&e, &lost) == 0)
			w->is_behind = rpc_call_send(w->call, lost.bytes, lost.n) != 0;
		wire_bytes_free(&lost);
	}
	if (!w->is_behind)
		w->is_behind = rpc_call_send(w->call, bytes->bytes, bytes->n) != 0;
}

static void send_event(struct watcher *w, const struct wire_alarm_event *e)
{
	struct wire_bytes bytes;

	if (wire_alarm_event_pack(e, &bytes) < 0) {
		w->is_behind = true;
		return;
	}
	send_bytes(w, &bytes);
	wire_bytes_free(&bytes);
}

static void send_note(struct watcher *w, const char *kind, uint16_t server)
{
	send_event(w, &(struct wire_alarm_event){
			      .kind = kind, .time_ns = core_wall_ns(), .server = server});
}

static void send_present(struct watcher *w)
{
	uint16_t self = cluster_view(w->f->cfg.cluster)->self;
	uint64_t after = 0;

	do {
		struct wire_alarm_list list;
		struct memory_page *page;

		if (memory_alarms(w->f->cfg.memory, after, PAGE, false, &page, &list) < 0) {
			w->is_behind = true;
			list.n_alarms = 0;
			list.next_after = 0;
		}
		for (uint32_t i = 0; i < list.n_alarms; i++)
			send_event(w, &(struct wire_alarm_event){
					      .kind = "present",
					      .alarm = list.alarms[i],
					      .has_alarm = true,
					      .time_ns = list.alarms[i].changed_ns,
					      .server = self,
				      });
		after = list.next_after;
		memory_page_free(page);
	} while (after != 0);
}

static void watcher_free_when_done(struct watcher *w)
{
	struct watcher **link = &w->f->watchers;

	if (!w->is_gone || w->n_open > 0)
		return;
	while (*link != w)
		link = &(*link)->next;
	*link = w->next;
	rpc_call_end(w->call);
	free(w->branches);
	free(w);
}

static void end(struct watcher *w)
{
	w->is_gone = true;
	for (uint32_t i = 0; i < w->n_branches; i++)
		if (w->branches[i].request != NULL)
			rpc_request_cancel(w->branches[i].request);
	watcher_free_when_done(w);
}

static void client_gone(void *user)
{
	end(user);
}

static void branch_message(void *user, const uint8_t *bytes, size_t n)
{
	struct branch *b = user;
	struct wire_alarm_event *e;

	if (b->watcher->is_gone || wire_alarm_event_unpack(bytes, n, &e) < 0)
		return;
	if (b->is_silent) {
		b->is_silent = false;
		send_note(b->watcher, "heard", b->server);
	}
	/* Its first message says that it listens; the others are the client's. */
	if (strcmp(e->kind, "heard") != 0)
		send_bytes(b->watcher, &(struct wire_bytes){.bytes = (uint8_t *)bytes, .n = n});
	wire_free(e);
}

static void branch_done(void *user, enum rpc_status status, const char *why, const uint8_t *bytes,
			size_t n)
{
	struct branch *b = user;
	struct watcher *w = b->watcher;

	b->request = NULL;
	w->n_open--;
	if (!w->is_gone && !b->is_silent) {
		b->is_silent = true;
		send_note(w, "silent", b->server);
	}
	b->retry_ms = core_now_ms() + RETRY_MS;
	watcher_free_when_done(w);
}

/* A branch that broke asks for what is present, so that nothing raised meanwhile stays unknown. */
static void branch_open(struct branch *b, bool is_first)
{
	const struct wire_watch_request request = {
		.is_local = true, .present = !is_first || b->watcher->wants_present};
	const struct federated_config *cfg = &b->watcher->f->cfg;
	const struct cluster_server *server = cluster_server(cfg->cluster, b->server);
	struct wire_bytes bytes;

	b->retry_ms = core_now_ms() + RETRY_MS;
	if (wire_watch_request_pack(&request, &bytes) < 0)
		return;
	if (rpc_client_subscribe(cfg->client, &b->request, server->call_address,
				 WIRE_PATH("Federated", "WatchAlarms"), bytes.bytes, bytes.n,
				 branch_message, branch_done, b) == 0)
		b->watcher->n_open++;
	wire_bytes_free(&bytes);
}

static bool add_branches(struct watcher *w)
{
	const struct cluster_view *view = cluster_view(w->f->cfg.cluster);

	w->branches = calloc(view->n_servers, sizeof(*w->branches));
	if (w->branches == NULL)
		return false;
	for (uint32_t i = 0; i < view->n_servers; i++)
		if (view->servers[i].conf->id != view->self)
			w->branches[w->n_branches++] =
				(struct branch){.watcher = w, .server = view->servers[i].conf->id};
	for (uint32_t i = 0; i < w->n_branches; i++)
		branch_open(&w->branches[i], true);
	return true;
}

void watch_alarms(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct wire_watch_request *request;
	struct federated *f = user;
	struct watcher *w;

	if (wire_watch_request_unpack(bytes, n, &request) < 0) {
		rpc_call_fail(call, RPC_INVALID_ARGUMENT, "this is no watch request");
		return;
	}
	w = calloc(1, sizeof(*w));
	if (w != NULL) {
		*w = (struct watcher){.f = f, .call = call, .wants_present = request->present};
		if (!request->is_local && !add_branches(w)) {
			free(w);
			w = NULL;
		}
	}
	wire_free(request);
	if (w == NULL) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory for this watch");
		return;
	}
	w->next = f->watchers;
	f->watchers = w;
	rpc_call_on_cancel(call, client_gone, w);
	send_note(w, "heard", cluster_view(f->cfg.cluster)->self);
	if (w->wants_present)
		send_present(w);
}

static void tell(void *user, uint8_t kind, uint64_t number, uint64_t time_ns,
		 const struct fedmem_alarm *alarm)
{
	struct federated *f = user;
	struct memory_page *page = NULL;
	struct wire_alarm_event e = {
		.kind = alarm_event_name(kind),
		.has_alarm = true,
		.time_ns = time_ns,
		.number = number,
		.server = cluster_view(f->cfg.cluster)->self,
	};

	if (f->watchers != NULL && memory_alarm(f->cfg.memory, alarm, &page, &e.alarm)) {
		struct wire_bytes bytes;

		if (wire_alarm_event_pack(&e, &bytes) == 0) {
			for (struct watcher *w = f->watchers; w != NULL; w = w->next)
				if (!w->is_gone)
					send_bytes(w, &bytes);
			wire_bytes_free(&bytes);
		}
	}
	memory_page_free(page);
}

void watch_follow(struct federated *f)
{
	uint64_t now_ms = core_now_ms();
	bool has_lost;

	alarm_book_follow(f->book, tell, f, &has_lost);
	if (has_lost)
		core_log(CORE_WARNING, "alarm: events overtaken, alarm table read anew");
	for (struct watcher *w = f->watchers; w != NULL; w = w->next)
		for (uint32_t i = 0; i < w->n_branches; i++)
			if (!w->is_gone && w->branches[i].request == NULL &&
			    now_ms >= w->branches[i].retry_ms)
				branch_open(&w->branches[i], false);
}

void watch_end_all(struct federated *f)
{
	struct watcher *next;

	for (struct watcher *w = f->watchers; w != NULL; w = next) {
		next = w->next;
		end(w);
	}
}
