#include <signal.h>
#include <string.h>

#include "cp/cli/session_private.h"

struct watch {
	struct attempt attempt;	     /* the server that is watched now */
	struct rpc_request *request; /* NULL: none */
	struct session *session;
	session_pack pack;
	session_message message;
	void *user;
	bool is_enough;
	bool has_answered;
	uint32_t n_silent; /* servers in a row that gave nothing */
	int n_closed;	   /* signal handles */
};

static void watch_message(void *user, const uint8_t *bytes, size_t n)
{
	struct watch *w = user;

	if (!w->has_answered)
		session_say_answered(w->session, DRAW_FEDERATED);
	w->has_answered = true;
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
	attempt_done(&w->attempt, status, why, NULL, 0);
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

/* Until the server that is drawn now has no more to say. -errno: it was not asked. */
static int watch_one(struct session *s, const char *path, struct watch *w)
{
	struct wire_bytes request;
	int err = w->pack(w->user, &request);

	if (err != 0)
		return err;
	w->attempt = (struct attempt){};
	w->has_answered = false;
	err = rpc_client_subscribe(s->client, &w->request,
				   session_drawn(s, DRAW_FEDERATED)->address, path, request.bytes,
				   request.n, watch_message, watch_done, w);
	wire_bytes_free(&request);
	if (err != 0)
		attempt_done(&w->attempt, RPC_UNAVAILABLE, strerror(-err), NULL, 0);
	while (!w->attempt.is_done)
		uv_run(&s->loop, UV_RUN_ONCE);
	return 0;
}

static enum cli_exit watch_run(struct session *s, const char *path, struct watch *w)
{
	for (;;) {
		uint64_t begin;

		uv_update_time(&s->loop);
		begin = uv_now(&s->loop);
		if (watch_one(s, path, w) != 0) {
			fprintf(s->err, "bellctl: cannot ask for a watch\n");
			return CLI_FAILED;
		}
		if (w->is_enough)
			return CLI_DONE;
		/* A stream has no end of its own: OK says that the server stopped. */
		if (!attempt_is_silent(&w->attempt) && w->attempt.status != RPC_OK)
			return session_refused(s, DRAW_FEDERATED, &w->attempt);
		session_say_silent(s, DRAW_FEDERATED, &w->attempt);
		/* Quiet for longer than a server may be silent: it was there. */
		if (uv_now(&s->loop) - begin > s->options->timeout_ms)
			w->n_silent = 0;
		if (++w->n_silent >= s->endpoints.n)
			return session_unreachable(s, &w->attempt);
		session_go_on(s, DRAW_FEDERATED);
	}
}

enum cli_exit session_watch(struct session *s, const char *path, session_pack pack,
			    session_message message, void *user)
{
	struct watch w = {.session = s, .pack = pack, .message = message, .user = user};
	enum cli_exit result = session_draw(s, DRAW_FEDERATED);
	uv_signal_t signals[2];
	static const int numbers[2] = {SIGINT, SIGTERM};

	if (result != CLI_DONE)
		return result;
	for (int i = 0; i < 2; i++) {
		uv_signal_init(&s->loop, &signals[i]);
		signals[i].data = &w;
		uv_signal_start(&signals[i], interrupted, numbers[i]);
	}
	result = watch_run(s, path, &w);
	for (int i = 0; i < 2; i++)
		uv_close((uv_handle_t *)&signals[i], closed);
	while (w.n_closed < 2)
		uv_run(&s->loop, UV_RUN_ONCE);
	return result;
}
