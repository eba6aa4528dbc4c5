#include "cp/cli/session.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "cp/cli/draw.h"
#include "cp/cli/format.h"
#include "cp/rpc/rpc.h"

struct session {
	const struct options *options;
	struct endpoints endpoints;
	FILE *out, *err;
	uv_loop_t loop;
	bool has_loop;
	struct rpc_client *client;
	struct draw draws[SESSION_SERVICES];
	bool is_drawn[SESSION_SERVICES];
};

static const char *const service_names[] = {"Peered", "Federated"};

/* What has come back from one server. */
struct attempt {
	bool is_done;
	enum rpc_status status;
	char why[256];
	struct session_reply reply;
};

void session_reply_free(struct session_reply *r)
{
	free(r->bytes);
	*r = (struct session_reply){NULL, 0};
}

enum cli_exit session_open(struct session **out, const struct options *o, struct endpoints *e,
			   FILE *to, FILE *err)
{
	struct session *s = calloc(1, sizeof(*s));
	int failed = -ENOMEM;

	if (s == NULL) {
		endpoints_free(e);
		goto fail;
	}
	s->options = o;
	s->endpoints = *e;
	s->out = to;
	s->err = err;
	failed = uv_loop_init(&s->loop);
	if (failed != 0)
		goto fail;
	s->has_loop = true;
	failed = rpc_client_create(&s->client, &s->loop);
	if (failed != 0)
		goto fail;
	*out = s;
	return CLI_DONE;
fail:
	fprintf(err, "bellctl: cannot start: %s\n", strerror(-failed));
	session_close(s);
	return CLI_FAILED;
}

void session_close(struct session *s)
{
	if (s == NULL)
		return;
	rpc_client_destroy(s->client);
	if (s->has_loop) {
		uv_run(&s->loop, UV_RUN_DEFAULT);
		uv_loop_close(&s->loop);
	}
	endpoints_free(&s->endpoints);
	free(s);
}

const struct options *session_options(const struct session *s)
{
	return s->options;
}

const struct endpoints *session_endpoints(const struct session *s)
{
	return &s->endpoints;
}

FILE *session_out(const struct session *s)
{
	return s->out;
}

FILE *session_err(const struct session *s)
{
	return s->err;
}

static const struct endpoint *drawn(const struct session *s, enum session_service service)
{
	return &s->endpoints.items[draw_current(&s->draws[service])];
}

static bool is_verbose(const struct session *s)
{
	return (s->options->given & OPTION_VERBOSE) != 0;
}

static void say_drawn(const struct session *s, enum session_service service, const char *how)
{
	if (is_verbose(s))
		fprintf(s->err, "bellctl: %s: %s %s (%s)\n", service_names[service], how,
			drawn(s, service)->name, drawn(s, service)->address);
}

static void say_silent(const struct session *s, enum session_service service,
		       const struct attempt *a)
{
	if (is_verbose(s)) {
		fprintf(s->err, "bellctl: %s: %s is silent: ", service_names[service],
			drawn(s, service)->name);
		format_safe(s->err, a->why);
		fprintf(s->err, " (%s)\n", rpc_status_name(a->status));
	}
}

static enum cli_exit draw_once(struct session *s, enum session_service service)
{
	int err;

	if (s->is_drawn[service])
		return CLI_DONE;
	err = draw_init(&s->draws[service], s->endpoints.n);
	if (err != 0) {
		fprintf(s->err, "bellctl: no random numbers: %s\n", strerror(-err));
		return CLI_FAILED;
	}
	s->is_drawn[service] = true;
	say_drawn(s, service, "drew");
	return CLI_DONE;
}

/* The server has not answered; another one may. */
static bool is_silent(enum rpc_status status)
{
	return status == RPC_UNAVAILABLE || status == RPC_DEADLINE_EXCEEDED;
}

static enum cli_exit refused(const struct session *s, enum session_service service,
			     const struct attempt *a)
{
	fprintf(s->err, "bellctl: ");
	format_safe(s->err, a->why[0] != '\0' ? a->why : "refused");
	fprintf(s->err, " (%s from %s)\n", rpc_status_name(a->status), drawn(s, service)->name);
	return a->status == RPC_NOT_FOUND ? CLI_NOT_FOUND : CLI_FAILED;
}

static enum cli_exit unreachable(const struct session *s, const struct attempt *last)
{
	fprintf(s->err, "bellctl: no server answered; the last said: ");
	format_safe(s->err, last->why);
	fprintf(s->err, " (%s)\n", rpc_status_name(last->status));
	return CLI_UNREACHABLE;
}

enum cli_exit session_misunderstood(const struct session *s, enum session_service service)
{
	fprintf(s->err, "bellctl: %s answered what this bellctl cannot read\n",
		drawn(s, service)->name);
	return CLI_FAILED;
}

static void done(void *user, enum rpc_status status, const char *why, const uint8_t *bytes,
		 size_t n)
{
	struct attempt *a = user;

	a->is_done = true;
	a->status = status;
	snprintf(a->why, sizeof(a->why), "%s", why);
	if (bytes == NULL)
		return;
	a->reply.bytes = malloc(n > 0 ? n : 1);
	if (a->reply.bytes == NULL) {
		a->status = RPC_INTERNAL;
		return;
	}
	memcpy(a->reply.bytes, bytes, n);
	a->reply.n = n;
}

enum cli_exit session_call(struct session *s, enum session_service service, const char *path,
			   const uint8_t *bytes, size_t n, struct session_reply *reply)
{
	struct attempt a = {};
	enum cli_exit result = draw_once(s, service);

	if (result != CLI_DONE)
		return result;
	for (uint32_t i = 0; i < s->endpoints.n; i++) {
		int err;

		a = (struct attempt){};
		err = rpc_client_call(s->client, drawn(s, service)->address, path, bytes, n,
				      s->options->timeout_ms, done, &a);
		if (err != 0)
			done(&a, RPC_UNAVAILABLE, strerror(-err), NULL, 0);
		while (!a.is_done)
			uv_run(&s->loop, UV_RUN_ONCE);
		if (!is_silent(a.status)) {
			if (is_verbose(s))
				fprintf(s->err, "bellctl: %s: %s answered\n",
					service_names[service], drawn(s, service)->name);
			if (a.status != RPC_OK)
				return refused(s, service, &a);
			*reply = a.reply;
			return CLI_DONE;
		}
		say_silent(s, service, &a);
		draw_next(&s->draws[service]);
		if (i + 1 < s->endpoints.n)
			say_drawn(s, service, "goes on with");
	}
	return unreachable(s, &a);
}

/* ---- Watching ---- */

struct watch {
	struct attempt attempt;	     /* the server that is watched now */
	struct rpc_request *request; /* NULL: none */
	session_message message;
	void *user;
	bool is_enough;
	uint32_t n_silent; /* servers in a row that gave nothing */
	int n_closed;	   /* signal handles */
};

static void watch_message(void *user, const uint8_t *bytes, size_t n)
{
	struct watch *w = user;

	w->n_silent = 0;
	if (w->is_enough)
		return;
	w->is_enough = !w->message(w->user, bytes, n);
	if (w->is_enough)
		rpc_request_cancel(w->request);
}

static void watch_done(void *user, enum rpc_status status, const char *why, const uint8_t *bytes,
		       size_t n)
{
	struct watch *w = user;

	w->request = NULL;
	done(&w->attempt, status, why, NULL, 0);
}

static void interrupted(uv_signal_t *signal, int number)
{
	struct watch *w = signal->data;

	w->is_enough = true;
	if (w->request != NULL)
		rpc_request_cancel(w->request);
}

static void closed(uv_handle_t *signal)
{
	((struct watch *)signal->data)->n_closed++;
}

static enum cli_exit watch_run(struct session *s, enum session_service service, const char *path,
			       const uint8_t *bytes, size_t n, struct watch *w)
{
	uint64_t begin;
	int err;

	for (;;) {
		w->attempt = (struct attempt){};
		uv_update_time(&s->loop);
		begin = uv_now(&s->loop);
		err = rpc_client_subscribe(s->client, &w->request, drawn(s, service)->address, path,
					   bytes, n, watch_message, watch_done, w);
		if (err != 0)
			done(&w->attempt, RPC_UNAVAILABLE, strerror(-err), NULL, 0);
		while (!w->attempt.is_done)
			uv_run(&s->loop, UV_RUN_ONCE);
		if (w->is_enough)
			return CLI_DONE;
		/* A stream has no end of its own: OK says that the server stopped. */
		if (!is_silent(w->attempt.status) && w->attempt.status != RPC_OK)
			return refused(s, service, &w->attempt);
		say_silent(s, service, &w->attempt);
		/* Quiet for longer than a server may be silent: it was there. */
		if (uv_now(&s->loop) - begin > s->options->timeout_ms)
			w->n_silent = 0;
		if (++w->n_silent >= s->endpoints.n)
			return unreachable(s, &w->attempt);
		draw_next(&s->draws[service]);
		say_drawn(s, service, "goes on with");
	}
}

enum cli_exit session_watch(struct session *s, enum session_service service, const char *path,
			    const uint8_t *bytes, size_t n, session_message message, void *user)
{
	struct watch w = {.message = message, .user = user};
	enum cli_exit result = draw_once(s, service);
	uv_signal_t signals[2];
	static const int numbers[2] = {SIGINT, SIGTERM};

	if (result != CLI_DONE)
		return result;
	for (int i = 0; i < 2; i++) {
		uv_signal_init(&s->loop, &signals[i]);
		signals[i].data = &w;
		uv_signal_start(&signals[i], interrupted, numbers[i]);
	}
	result = watch_run(s, service, path, bytes, n, &w);
	for (int i = 0; i < 2; i++)
		uv_close((uv_handle_t *)&signals[i], closed);
	while (w.n_closed < 2)
		uv_run(&s->loop, UV_RUN_ONCE);
	return result;
}
