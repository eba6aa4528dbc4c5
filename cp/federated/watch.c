/* The watch on alarms: this server's own changes, and what the other servers' watches bring.
 *
 * What is present is sent in pages, one page of one watcher a turn, by element: until a watcher has
 * an element's page, changes of that element are not sent to it, for the page will show what came
 * of them.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cp/core/core.h"
#include "cp/federated/federated_private.h"
#include "cp/wire/wire.h"

#define RETRY_MS     250
#define LOST_LOG_MS  1000 /* one line for all that is lost meanwhile */
#define PRESENT_PAGE 500  /* elements */
/* Of clients and peers together. A watch holds a stream to each other server. */
#define WATCHERS_MAX 1024

/* The part of a watch that one other server serves. */
struct branch {
	struct watcher *watcher;
	uint16_t server;
	struct rpc_request *request; /* NULL: none is under way */
	bool is_cancelled;	     /* ... and it only has to end */
	bool is_again;		     /* it was tried before */
	bool is_silent;		     /* the client was told so */
	uint64_t retry_ms;
};

/* How far a watcher was told what is present. */
struct present {
	bool is_on;
	uint64_t after; /* element: everything up to it was sent */
	uint32_t n_pages;
	struct memory_page *page; /* NULL: the next one is not read yet */
	struct wire_alarm_list list;
	uint32_t at; /* first of the list that was not sent */
};

struct watcher {
	struct federated *f;
	struct rpc_call *call;
	struct watcher *next;
	bool is_gone;	/* the client, or this server, ended it */
	bool is_behind; /* events were left out: the client is told when there is room again */
	bool wants_present;
	struct present present;
	struct branch *branches; /* none for a local watch */
	uint32_t n_branches, n_open;
};

/* ---- To the client ---- */

/* False: the client still does not know that events were left out. */
static bool tell_lost(struct watcher *w)
{
	const struct wire_alarm_event e = {
		.kind = "lost",
		.time_ns = core_wall_ns(),
		.server = cluster_view(w->f->cfg.cluster)->self,
	};
	struct wire_bytes bytes;

	if (!w->is_behind)
		return true;
	if (wire_alarm_event_pack(&e, &bytes) < 0)
		return false;
	w->is_behind = rpc_call_send(w->call, bytes.bytes, bytes.n) != 0;
	wire_bytes_free(&bytes);
	return !w->is_behind;
}

/* False: there is no room, or no memory. */
static bool try_bytes(struct watcher *w, const uint8_t *bytes, size_t n)
{
	return tell_lost(w) && rpc_call_send(w->call, bytes, n) == 0;
}

static bool try_event(struct watcher *w, const struct wire_alarm_event *e)
{
	struct wire_bytes bytes;
	bool is_sent;

	if (wire_alarm_event_pack(e, &bytes) < 0)
		return false;
	is_sent = try_bytes(w, bytes.bytes, bytes.n);
	wire_bytes_free(&bytes);
	return is_sent;
}

static void send_bytes(struct watcher *w, const uint8_t *bytes, size_t n)
{
	if (!try_bytes(w, bytes, n))
		w->is_behind = true;
}

static void send_note(struct watcher *w, const char *kind, uint16_t server)
{
	if (!try_event(w, &(struct wire_alarm_event){
				  .kind = kind, .time_ns = core_wall_ns(), .server = server}))
		w->is_behind = true;
}

/* ---- What is present ---- */

static void present_drop_page(struct present *p)
{
	memory_page_free(p->page);
	p->page = NULL;
}

static void present_read_page(struct watcher *w)
{
	struct present *p = &w->present;

	p->at = 0;
	p->n_pages++;
	if (memory_alarms(w->f->cfg.memory, p->after, PRESENT_PAGE, false, &p->page, &p->list) < 0)
		present_drop_page(p); /* no memory: again with the next turn */
	else if (p->list.n_left_out > 0)
		w->is_behind = true;
}

/* Goes on where the client's queue was full, if it was. */
static void present_send_page(struct watcher *w)
{
	struct present *p = &w->present;

	if (p->page == NULL)
		return;
	for (; p->at < p->list.n_alarms; p->at++) {
		const struct wire_alarm *a = &p->list.alarms[p->at];

		if (!try_event(w, &(struct wire_alarm_event){
					  .kind = "present",
					  .alarm = *a,
					  .has_alarm = true,
					  .time_ns = a->changed_ns,
					  .server = cluster_view(w->f->cfg.cluster)->self,
				  }))
			return;
	}
	p->after = p->list.next_after;
	p->is_on = p->after != 0;
	present_drop_page(p);
}

/* The last element whose alarms were all sent. */
static uint64_t present_sent_until(const struct present *p)
{
	uint32_t at = p->at;

	if (p->page == NULL)
		return p->after;
	while (at > 0 && p->list.alarms[at - 1].element_id == p->list.alarms[p->at].element_id)
		at--;
	return at > 0 ? p->list.alarms[at - 1].element_id : p->after;
}

/* Is a change of this element left to what will be sent as present? */
static bool present_covers(struct present *p, uint64_t element_id)
{
	if (!p->is_on || element_id <= present_sent_until(p))
		return false;
	/* The page that waits for room is out of date with this: what was not sent of it is read
	 * anew. */
	if (p->page != NULL && (p->list.next_after == 0 || element_id <= p->list.next_after)) {
		p->after = present_sent_until(p);
		present_drop_page(p);
	}
	return true;
}

static void present_turn(struct federated *f)
{
	struct watcher *next = NULL;

	for (struct watcher *w = f->watchers; w != NULL; w = w->next) {
		if (w->is_gone || !w->present.is_on)
			continue;
		if (w->present.page != NULL)
			present_send_page(w);
		else if (next == NULL || w->present.n_pages < next->present.n_pages)
			next = w;
	}
	if (next != NULL) {
		present_read_page(next);
		present_send_page(next);
	}
}

/* ---- From the other servers ---- */

static void watcher_free_when_done(struct watcher *w)
{
	struct watcher **link = &w->f->watchers;

	if (!w->is_gone || w->n_open > 0)
		return;
	while (*link != w)
		link = &(*link)->next;
	*link = w->next;
	w->f->n_watchers--;
	rpc_call_fail(w->call, RPC_UNAVAILABLE, "the watch ends with its server");
	present_drop_page(&w->present);
	free(w->branches);
	free(w);
}

static void branch_silent(struct branch *b)
{
	if (b->watcher->is_gone || b->is_silent)
		return;
	b->is_silent = true;
	send_note(b->watcher, "silent", b->server);
}

static void branch_cancel(struct branch *b)
{
	if (b->request == NULL || b->is_cancelled)
		return;
	b->is_cancelled = true;
	rpc_request_cancel(b->request);
}

static void branch_message(void *user, const uint8_t *bytes, size_t n)
{
	struct branch *b = user;
	struct wire_alarm_event *e;

	if (b->watcher->is_gone)
		return;
	if (wire_alarm_event_unpack(bytes, n, &e) < 0) {
		b->watcher->is_behind = true;
		return;
	}
	if (b->is_silent) {
		b->is_silent = false;
		send_note(b->watcher, "heard", b->server);
	}
	/* Its first message says that it listens; the others are the client's. */
	if (strcmp(e->kind, "heard") != 0)
		send_bytes(b->watcher, bytes, n);
	wire_free(e);
}

static void branch_done(void *user, enum rpc_status status, const char *why, const uint8_t *bytes,
			size_t n)
{
	struct branch *b = user;
	struct watcher *w = b->watcher;

	b->request = NULL;
	b->is_cancelled = false;
	b->retry_ms = core_now_ms() + RETRY_MS;
	w->n_open--;
	branch_silent(b);
	watcher_free_when_done(w);
}

/* A branch that broke asks for what is present, so that nothing raised meanwhile stays unknown. */
static void branch_open(struct branch *b, const struct cluster_server *server)
{
	const struct wire_watch_request request = {
		.is_local = true, .present = b->is_again || b->watcher->wants_present};
	struct rpc_client *client = b->watcher->f->cfg.client;
	struct wire_bytes bytes;
	int err = wire_watch_request_pack(&request, &bytes);

	b->is_again = true;
	b->retry_ms = core_now_ms() + RETRY_MS;
	if (err == 0) {
		err = rpc_client_subscribe(client, &b->request, server->call_address,
					   WIRE_PATH("Federated", "WatchAlarms"), bytes.bytes,
					   bytes.n, branch_message, branch_done, b);
		wire_bytes_free(&bytes);
	}
	if (err == 0)
		b->watcher->n_open++;
	else
		branch_silent(b);
}

/* A server that is known to be dead is silent at once, however long its connection takes to break.
 */
static void branch_turn(struct branch *b, uint64_t now_ms)
{
	const struct cluster_server *server = cluster_server(b->watcher->f->cfg.cluster, b->server);

	assert(server != NULL); /* the configuration's servers stay */
	if (server->state == DETECTOR_FAILED) {
		branch_cancel(b);
		branch_silent(b);
	} else if (b->request == NULL && now_ms >= b->retry_ms) {
		branch_open(b, server);
	}
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
	return true;
}

/* ---- A watch from its begin to its end ---- */

static void end(struct watcher *w)
{
	w->is_gone = true;
	for (uint32_t i = 0; i < w->n_branches; i++)
		branch_cancel(&w->branches[i]);
	watcher_free_when_done(w);
}

static void client_gone(void *user)
{
	end(user);
}

static struct watcher *watcher_create(struct federated *f, struct rpc_call *call,
				      const struct wire_watch_request *request)
{
	struct watcher *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->f = f;
	w->call = call;
	w->wants_present = w->present.is_on = request->present;
	if (!request->is_local && !add_branches(w)) {
		free(w);
		return NULL;
	}
	w->next = f->watchers;
	f->watchers = w;
	f->n_watchers++;
	return w;
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
	if (f->n_watchers == WATCHERS_MAX) {
		wire_free(request);
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "too many watches are open here");
		return;
	}
	w = watcher_create(f, call, request);
	wire_free(request);
	if (w == NULL) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory for this watch");
		return;
	}
	rpc_call_on_cancel(call, client_gone, w);
	send_note(w, "heard", cluster_view(f->cfg.cluster)->self);
	for (uint32_t i = 0; i < w->n_branches; i++)
		branch_turn(&w->branches[i], core_now_ms());
}

static void all_are_behind(struct federated *f)
{
	for (struct watcher *w = f->watchers; w != NULL; w = w->next)
		w->is_behind = true;
}

static void tell(void *user, uint8_t kind, uint64_t number, uint64_t time_ns,
		 const struct fedmem_alarm *alarm)
{
	struct federated *f = user;
	struct memory_page *page = NULL;
	struct wire_bytes bytes = {0};
	struct wire_alarm_event e = {
		.kind = alarm_event_name(kind),
		.has_alarm = true,
		.time_ns = time_ns,
		.number = number,
		.server = cluster_view(f->cfg.cluster)->self,
	};
	int answer;

	if (f->watchers == NULL)
		return;
	answer = memory_alarm(f->cfg.memory, alarm, &page, &e.alarm);
	if (answer == 0)
		answer = wire_alarm_event_pack(&e, &bytes);
	for (struct watcher *w = f->watchers; answer == 0 && w != NULL; w = w->next)
		if (!w->is_gone && !present_covers(&w->present, alarm->element_id))
			send_bytes(w, bytes.bytes, bytes.n);
	if (answer < 0)
		all_are_behind(f);
	wire_bytes_free(&bytes);
	memory_page_free(page);
}

static void log_lost(struct federated *f, uint64_t now_ms)
{
	if (f->watchers == NULL)
		return;
	if (f->lost_logged_ms != 0 && now_ms - f->lost_logged_ms < LOST_LOG_MS)
		return;
	f->lost_logged_ms = now_ms;
	core_log(CORE_WARNING, "federated: changes of alarms overtaken, told watchers=%u",
		 f->n_watchers);
}

void watch_follow(struct federated *f)
{
	uint64_t now_ms = core_now_ms();
	bool has_lost;

	alarm_book_follow(f->book, tell, f, &has_lost);
	if (has_lost) {
		log_lost(f, now_ms);
		all_are_behind(f);
	}
	present_turn(f);
	for (struct watcher *w = f->watchers; w != NULL; w = w->next) {
		if (w->is_gone)
			continue;
		tell_lost(w);
		for (uint32_t i = 0; i < w->n_branches; i++)
			branch_turn(&w->branches[i], now_ms);
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
