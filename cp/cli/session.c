#include "cp/cli/session_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "cp/cli/format.h"

/* Between two rounds of a command: an election takes a second. */
#define ROUND_MS 100

static const char *const service_names[] = {"Peered", "Federated"};

void session_reply_free(struct session_reply *r)
{
	free(r->bytes);
	*r = (struct session_reply){NULL, 0};
}

static int draw_request_id(char id[REQUEST_ID_BYTES])
{
	uint8_t bits[16];

	/* So few octets come whole (getrandom(2)). */
	if (getrandom(bits, sizeof(bits), 0) != sizeof(bits))
		return -errno;
	for (size_t i = 0; i < sizeof(bits); i++)
		snprintf(id + 2 * i, 3, "%02x", bits[i]);
	return 0;
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
	failed = draw_request_id(s->request_id);
	if (failed == 0)
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

bool session_has(const struct session *s, uint32_t option)
{
	return (s->options->given & option) != 0;
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

const char *session_request_id(const struct session *s)
{
	return s->request_id;
}

/* ---- What is said ---- */

const struct endpoint *session_drawn(const struct session *s, enum draw_service service)
{
	return &s->endpoints.items[draw_current(&s->draws.of[service])];
}

static bool is_verbose(const struct session *s)
{
	return session_has(s, OPTION_VERBOSE) && !s->is_quiet;
}

static void say_drawn(const struct session *s, enum draw_service service, const char *how)
{
	const struct endpoint *e = session_drawn(s, service);

	if (is_verbose(s))
		fprintf(s->err, "bellctl: %s: %s %s (%s)\n", service_names[service], how, e->name,
			e->address);
}

void session_say_answered(const struct session *s, enum draw_service service)
{
	const struct endpoint *e = session_drawn(s, service);

	if (!is_verbose(s))
		return;
	fprintf(s->err, "bellctl: drawn service=%s server=", service_names[service]);
	if (e->id != 0)
		fprintf(s->err, "%u (%s)\n", e->id, e->name);
	else
		fprintf(s->err, "%s\n", e->address);
}

void session_say_silent(const struct session *s, enum draw_service service, const struct attempt *a)
{
	if (!is_verbose(s))
		return;
	fprintf(s->err, "bellctl: %s: %s is silent: ", service_names[service],
		session_drawn(s, service)->name);
	format_safe(s->err, a->why);
	fprintf(s->err, " (%s)\n", rpc_status_name(a->status));
}

enum cli_exit session_refused(const struct session *s, enum draw_service service,
			      const struct attempt *a)
{
	if (!s->is_quiet) {
		fprintf(s->err, "bellctl: ");
		format_safe(s->err, a->why[0] != '\0' ? a->why : "refused");
		fprintf(s->err, " (%s from %s)\n", rpc_status_name(a->status),
			session_drawn(s, service)->name);
	}
	return a->status == RPC_NOT_FOUND ? CLI_NOT_FOUND : CLI_FAILED;
}

enum cli_exit session_unreachable(const struct session *s, const struct attempt *last)
{
	if (!s->is_quiet) {
		fprintf(s->err, "bellctl: no server answered; the last said: ");
		format_safe(s->err, last->why);
		fprintf(s->err, " (%s)\n", rpc_status_name(last->status));
	}
	return CLI_UNREACHABLE;
}

enum cli_exit session_misunderstood(const struct session *s, enum draw_service service)
{
	fprintf(s->err, "bellctl: %s answered what this bellctl cannot read\n",
		session_drawn(s, service)->name);
	return CLI_FAILED;
}

/* ---- Asking ---- */

enum cli_exit session_draw(struct session *s, enum draw_service service)
{
	bool is_first;
	int err = draws_make(&s->draws, service, s->endpoints.n, &is_first);

	if (err != 0) {
		fprintf(s->err, "bellctl: no random numbers: %s\n", strerror(-err));
		return CLI_FAILED;
	}
	if (is_first)
		say_drawn(s, service, "drew");
	return CLI_DONE;
}

void session_go_on(struct session *s, enum draw_service service)
{
	draw_next(&s->draws.of[service]);
	say_drawn(s, service, "goes on with");
}

bool attempt_is_silent(const struct attempt *a)
{
	return a->status == RPC_UNAVAILABLE || a->status == RPC_DEADLINE_EXCEEDED;
}

void attempt_done(void *attempt, enum rpc_status status, const char *why, const uint8_t *bytes,
		  size_t n)
{
	struct attempt *a = attempt;

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

/* Asks the server that is drawn now. True: it is not silent, and '*result' says what came. */
static bool ask(struct session *s, enum draw_service service, const char *path,
		const uint8_t *bytes, size_t n, struct attempt *a, enum cli_exit *result)
{
	int err;

	*a = (struct attempt){};
	err = rpc_client_call(s->client, session_drawn(s, service)->address, path, bytes, n,
			      (uint32_t)s->options->timeout_ms, attempt_done, a);
	if (err != 0)
		attempt_done(a, RPC_UNAVAILABLE, strerror(-err), NULL, 0);
	while (!a->is_done)
		uv_run(&s->loop, UV_RUN_ONCE);
	if (attempt_is_silent(a)) {
		session_say_silent(s, service, a);
		return false;
	}
	session_say_answered(s, service);
	*result = a->status == RPC_OK ? CLI_DONE : session_refused(s, service, a);
	return true;
}

enum cli_exit session_call(struct session *s, enum draw_service service, const char *path,
			   const uint8_t *bytes, size_t n, struct session_reply *reply)
{
	struct attempt a = {};
	enum cli_exit result = session_draw(s, service);

	if (result != CLI_DONE)
		return result;
	for (uint32_t i = 0; i < s->endpoints.n; i++) {
		if (ask(s, service, path, bytes, n, &a, &result)) {
			*reply = a.reply;
			return result;
		}
		if (i + 1 < s->endpoints.n)
			session_go_on(s, service);
		else
			draw_next(&s->draws.of[service]);
	}
	return session_unreachable(s, &a);
}

enum cli_exit session_call_aside(struct session *s, const char *path, const uint8_t *bytes,
				 size_t n, struct session_reply *reply)
{
	enum cli_exit result;

	s->is_quiet = true;
	result = session_call(s, DRAW_PEERED, path, bytes, n, reply);
	s->is_quiet = false;
	return result;
}

static void rung(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
}

static void timer_closed(uv_handle_t *timer)
{
	*(bool *)timer->data = true;
}

static void pause_round(struct session *s)
{
	bool is_over = false, is_closed = false;
	uv_timer_t timer;

	uv_timer_init(&s->loop, &timer);
	timer.data = &is_over;
	uv_timer_start(&timer, rung, ROUND_MS, 0);
	while (!is_over)
		uv_run(&s->loop, UV_RUN_ONCE);
	timer.data = &is_closed;
	uv_close((uv_handle_t *)&timer, timer_closed);
	while (!is_closed)
		uv_run(&s->loop, UV_RUN_ONCE);
}

enum cli_exit session_command(struct session *s, const char *path, const uint8_t *bytes, size_t n,
			      struct session_reply *reply)
{
	struct attempt a = {};
	enum cli_exit result = session_draw(s, DRAW_PEERED);
	uint64_t begin;

	if (result != CLI_DONE)
		return result;
	uv_update_time(&s->loop);
	begin = uv_now(&s->loop);
	for (uint32_t i = 1;; i++) {
		if (ask(s, DRAW_PEERED, path, bytes, n, &a, &result)) {
			*reply = a.reply;
			return result;
		}
		if (i % s->endpoints.n == 0) { /* all of them, once more */
			uv_update_time(&s->loop);
			if (uv_now(&s->loop) - begin >= s->options->timeout_ms)
				break;
			pause_round(s);
		}
		session_go_on(s, DRAW_PEERED);
	}
	return session_unreachable(s, &a);
}
