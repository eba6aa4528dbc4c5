/* A server and a client in one loop on 127.0.0.1. Run with "--watch ADDRESS" it is a client of its
 * own, to be killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "cp/rpc/rpc.h"

#define WAIT_MS 30000
static const char *program;

#define CALL_MS	     10000
#define STREAM_BYTES 1000

struct watcher {
	struct rpc_call *call;
	uint32_t n_sent, n_gone;
	bool is_full;
};

struct bed {
	uv_loop_t loop;
	uv_timer_t guard;
	bool is_late;
	struct rpc_server *server;
	struct rpc_client *client;
	char address[32];
	struct rpc_call *held; /* by the method Hold */
	uint32_t n_held, n_held_gone;
	struct watcher watcher;
	uint32_t n_asked;
	uv_idle_t idle;
};

struct answer {
	bool is_done;
	uint32_t n_done;
	enum rpc_status status;
	char why[200];
	char bytes[64];
	size_t n;
	uint32_t n_messages, n_disordered;
};

static void late(uv_timer_t *guard)
{
	((struct bed *)guard->data)->is_late = true;
}

/* Turns the loop until it is so. */
#define UNTIL(bed, condition)                                                                      \
	do {                                                                                       \
		(bed)->is_late = false;                                                            \
		uv_timer_start(&(bed)->guard, late, WAIT_MS, 0);                                   \
		while (!(condition) && !(bed)->is_late)                                            \
			uv_run(&(bed)->loop, UV_RUN_ONCE);                                         \
		uv_timer_stop(&(bed)->guard);                                                      \
		assert_true(condition);                                                            \
	} while (0)

/* ---- The server's methods ---- */

static void echo(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct bed *b = user;

	b->n_asked++;
	rpc_call_reply(call, bytes, n);
}

static void refuse(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	rpc_call_fail(call, RPC_NOT_FOUND, "no element named x");
}

static void too_long(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	uint8_t *answer = calloc(1, RPC_MESSAGE_MAX + 1);

	assert_non_null(answer);
	rpc_call_reply(call, answer, RPC_MESSAGE_MAX + 1);
	free(answer);
}

static void time_left(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	uint32_t ms = rpc_call_time_left_ms(call);

	rpc_call_reply(call, (const uint8_t *)&ms, sizeof(ms));
}

static void held_gone(void *user)
{
	((struct bed *)user)->n_held_gone++;
}

static void hold(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct bed *b = user;

	b->held = call;
	b->n_held++;
	rpc_call_on_cancel(call, held_gone, b);
}

static void watcher_gone(void *user)
{
	((struct watcher *)user)->n_gone++;
}

static void watch(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct bed *b = user;

	b->watcher = (struct watcher){.call = call};
	rpc_call_on_cancel(call, watcher_gone, &b->watcher);
}

static int send_number(struct rpc_call *call, uint32_t number, size_t n)
{
	uint8_t bytes[STREAM_BYTES] = {0};

	memcpy(bytes, &number, sizeof(number));
	return rpc_call_send(call, bytes, n);
}

/* As much as it takes. */
static void pump(struct watcher *w, uint32_t n_max, size_t n_bytes)
{
	w->is_full = false;
	while (w->n_sent < n_max && !w->is_full) {
		int result = send_number(w->call, w->n_sent, n_bytes);

		assert_true(result == 0 || result == RPC_FULL);
		w->is_full = result == RPC_FULL;
		w->n_sent += !w->is_full;
	}
}

/* ---- The bed ---- */

static int free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	close(fd);
	return ntohs(a.sin_port);
}

static int server_start(struct bed *b, const char *const *addresses, uint32_t n_addresses)
{
	const struct rpc_method methods[] = {
		{"/test.Unary/Echo", false, echo, b},	  {"/test.Unary/Refuse", false, refuse, b},
		{"/test.Unary/Hold", false, hold, b},	  {"/test.Unary/Left", false, time_left, b},
		{"/test.Unary/Long", false, too_long, b}, {"/test.Stream/Watch", true, watch, b},
	};

	return rpc_server_create(&b->server, &b->loop, addresses, n_addresses, methods, 6);
}

static int bed_make(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));
	const char *address = b->address;

	assert_non_null(b);
	snprintf(b->address, sizeof(b->address), "127.0.0.1:%d", free_port());
	assert_int_equal(uv_loop_init(&b->loop), 0);
	assert_int_equal(uv_timer_init(&b->loop, &b->guard), 0);
	b->guard.data = b;
	assert_int_equal(server_start(b, &address, 1), 0);
	assert_int_equal(rpc_client_create(&b->client, &b->loop), 0);
	*state = b;
	return 0;
}

static int bed_remove(void **state)
{
	struct bed *b = *state;

	rpc_client_destroy(b->client);
	rpc_server_destroy(b->server);
	if (b->held != NULL)
		rpc_call_fail(b->held, RPC_UNAVAILABLE, "the test is over");
	if (b->watcher.call != NULL)
		rpc_call_end(b->watcher.call);
	uv_close((uv_handle_t *)&b->guard, NULL);
	uv_run(&b->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&b->loop), 0);
	free(b);
	return 0;
}

static void done(void *user, enum rpc_status status, const char *why, const uint8_t *bytes,
		 size_t n)
{
	struct answer *a = user;

	assert_true(status == RPC_OK || bytes == NULL);
	a->is_done = true;
	a->n_done++;
	a->status = status;
	snprintf(a->why, sizeof(a->why), "%s", why);
	a->n = n;
	if (bytes != NULL)
		memcpy(a->bytes, bytes, n < sizeof(a->bytes) ? n : sizeof(a->bytes));
}

static void message(void *user, const uint8_t *bytes, size_t n)
{
	struct answer *a = user;
	uint32_t number;

	assert_true(n >= sizeof(number));
	memcpy(&number, bytes, sizeof(number));
	a->n_disordered += number != a->n_messages;
	a->n_messages++;
}

static void call(struct bed *b, struct answer *a, const char *path, const char *text,
		 uint32_t deadline_ms)
{
	*a = (struct answer){0};
	assert_int_equal(rpc_client_call(b->client, b->address, path, (const uint8_t *)text,
					 strlen(text), deadline_ms, done, a),
			 0);
	UNTIL(b, a->is_done);
}

static struct rpc_request *subscribe(struct bed *b, struct answer *a)
{
	struct rpc_request *r;

	*a = (struct answer){0};
	assert_int_equal(rpc_client_subscribe(b->client, &r, b->address, "/test.Stream/Watch",
					      (const uint8_t *)"", 0, message, done, a),
			 0);
	return r;
}

/* ---- Unary ---- */

static void an_answer_carries_the_bytes_of_the_handler(void **state)
{
	struct answer a;

	call(*state, &a, "/test.Unary/Echo", "hello", CALL_MS);
	assert_int_equal(a.status, RPC_OK);
	assert_int_equal(a.n, 5);
	assert_memory_equal(a.bytes, "hello", 5);
	call(*state, &a, "/test.Unary/Echo", "", CALL_MS);
	assert_int_equal(a.status, RPC_OK);
	assert_int_equal(a.n, 0);
}

static void a_refusal_carries_status_and_text(void **state)
{
	struct answer a;

	call(*state, &a, "/test.Unary/Refuse", "", CALL_MS);
	assert_int_equal(a.status, RPC_NOT_FOUND);
	assert_string_equal(a.why, "no element named x");
	assert_string_equal(rpc_status_name(a.status), "NOT_FOUND");
}

static void an_unknown_method_is_unimplemented(void **state)
{
	struct answer a;

	call(*state, &a, "/test.Unary/Nothing", "", CALL_MS);
	assert_int_equal(a.status, RPC_UNIMPLEMENTED);
}

static void a_call_nobody_answers_ends_at_its_deadline(void **state)
{
	struct bed *b = *state;
	struct answer a;

	call(b, &a, "/test.Unary/Hold", "", 100);
	assert_int_equal(a.status, RPC_DEADLINE_EXCEEDED);
	UNTIL(b, b->n_held_gone > 0);
	rpc_call_reply(b->held, (const uint8_t *)"late", 4);
	b->held = NULL;
	call(b, &a, "/test.Unary/Echo", "x", CALL_MS);
	assert_int_equal(a.status, RPC_OK);
	assert_int_equal(b->n_held_gone, 1);
}

static void a_handler_sees_the_time_that_is_left(void **state)
{
	struct answer a;
	uint32_t ms;

	call(*state, &a, "/test.Unary/Left", "", WAIT_MS);
	assert_int_equal(a.n, sizeof(ms));
	memcpy(&ms, a.bytes, sizeof(ms));
	assert_true(ms > 0 && ms <= WAIT_MS);
	call(*state, &a, "/test.Unary/Left", "", UINT32_MAX);
	memcpy(&ms, a.bytes, sizeof(ms));
	assert_true(ms == UINT32_MAX);
}

static void a_later_reply_reaches_the_client(void **state)
{
	struct bed *b = *state;
	struct answer a = {0};

	assert_int_equal(rpc_client_call(b->client, b->address, "/test.Unary/Hold", NULL, 0,
					 CALL_MS, done, &a),
			 0);
	UNTIL(b, b->held != NULL);
	assert_false(a.is_done);
	rpc_call_reply(b->held, (const uint8_t *)"now", 3);
	b->held = NULL;
	UNTIL(b, a.is_done);
	assert_int_equal(a.status, RPC_OK);
	assert_memory_equal(a.bytes, "now", 3);
	assert_int_equal(b->n_held_gone, 0);
}

static void many_calls_at_once_are_all_answered(void **state)
{
	struct bed *b = *state;
	static struct answer answers[2000];
	uint32_t n_done;

	memset(answers, 0, sizeof(answers));
	for (size_t i = 0; i < 2000; i++)
		assert_int_equal(rpc_client_call(b->client, b->address, "/test.Unary/Echo",
						 (const uint8_t *)&i, sizeof(i), CALL_MS, done,
						 &answers[i]),
				 0);
	UNTIL(b, ({
		      n_done = 0;
		      for (size_t i = 0; i < 2000; i++)
			      n_done += answers[i].is_done;
		      n_done == 2000;
	      }));
	for (size_t i = 0; i < 2000; i++) {
		assert_int_equal(answers[i].status, RPC_OK);
		assert_int_equal(answers[i].n_done, 1);
		assert_memory_equal(answers[i].bytes, &i, sizeof(i));
	}
}

static void a_message_over_the_limit_is_refused_and_does_no_harm(void **state)
{
	struct bed *b = *state;
	uint8_t *bytes = calloc(1, RPC_MESSAGE_MAX + 1);
	struct answer a = {0};

	assert_non_null(bytes);
	assert_int_equal(rpc_client_call(b->client, b->address, "/test.Unary/Echo", bytes,
					 RPC_MESSAGE_MAX + 1, CALL_MS, done, &a),
			 -EMSGSIZE);
	assert_int_equal(rpc_client_call(b->client, b->address, "/test.Unary/Echo", bytes,
					 RPC_MESSAGE_MAX, CALL_MS, done, &a),
			 0);
	UNTIL(b, a.is_done);
	assert_int_equal(a.status, RPC_OK);
	assert_int_equal(a.n, RPC_MESSAGE_MAX);
	free(bytes);
	call(b, &a, "/test.Unary/Long", "", CALL_MS);
	assert_int_equal(a.status, RPC_RESOURCE_EXHAUSTED);
}

static void nobody_listening_is_unavailable(void **state)
{
	struct bed *b = *state;
	struct answer a;

	snprintf(b->address, sizeof(b->address), "127.0.0.1:%d", free_port());
	call(b, &a, "/test.Unary/Echo", "", CALL_MS);
	assert_int_equal(a.status, RPC_UNAVAILABLE);
}

static void an_address_that_is_none_is_refused(void **state)
{
	static const char *const wrong[] = {
		"",	    "127.0.0.1",   "127.0.0.1:",  "127.0.0.1:x",
		":7400",    "127.0.0.1:0", "localhost:1", "127.0.0.1:65536",
		"::1:7400", "[::1]",	   "[::1:7400",	  "[x]:1"};
	struct bed *b = *state;
	struct rpc_server *s;
	struct answer a;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(
			rpc_client_call(b->client, wrong[i], "/x/y", NULL, 0, CALL_MS, done, &a),
			-EINVAL);
		assert_int_equal(rpc_server_create(&s, &b->loop, &wrong[i], 1, NULL, 0), -EINVAL);
	}
}

/* ---- Streams ---- */

static void ten_thousand_messages_come_in_order(void **state)
{
	struct bed *b = *state;
	struct answer a;

	subscribe(b, &a);
	UNTIL(b, b->watcher.call != NULL);
	while (b->watcher.n_sent < 10000) {
		pump(&b->watcher, 10000, 4);
		uv_run(&b->loop, UV_RUN_NOWAIT);
	}
	rpc_call_end(b->watcher.call);
	b->watcher.call = NULL;
	UNTIL(b, a.is_done);
	assert_int_equal(a.status, RPC_OK);
	assert_int_equal(a.n_messages, 10000);
	assert_int_equal(a.n_disordered, 0);
	assert_int_equal(b->watcher.n_gone, 0);
}

static void a_slow_watcher_fills_the_queue_and_loses_nothing_that_was_taken(void **state)
{
	struct bed *b = *state;
	uint32_t n_sent;
	struct answer a;

	subscribe(b, &a);
	UNTIL(b, b->watcher.call != NULL);
	/* The loop does not turn here, so nothing is delivered. */
	pump(&b->watcher, 1000000, STREAM_BYTES);
	assert_true(b->watcher.is_full);
	assert_true(b->watcher.n_sent >= RPC_STREAM_QUEUE);
	n_sent = b->watcher.n_sent;
	UNTIL(b, a.n_messages == n_sent);
	assert_int_equal(send_number(b->watcher.call, n_sent, 4), 0);
	rpc_call_end(b->watcher.call);
	b->watcher.call = NULL;
	UNTIL(b, a.is_done);
	assert_int_equal(a.n_messages, n_sent + 1);
	assert_int_equal(a.n_disordered, 0);
}

static void a_failed_stream_drops_what_waits_and_says_why(void **state)
{
	struct bed *b = *state;
	struct answer a;

	subscribe(b, &a);
	UNTIL(b, b->watcher.call != NULL);
	pump(&b->watcher, 1000000, STREAM_BYTES);
	rpc_call_fail(b->watcher.call, RPC_RESOURCE_EXHAUSTED, "too slow");
	b->watcher.call = NULL;
	UNTIL(b, a.is_done);
	assert_int_equal(a.status, RPC_RESOURCE_EXHAUSTED);
	assert_string_equal(a.why, "too slow");
	assert_true(a.n_messages < b->watcher.n_sent);
	assert_int_equal(a.n_disordered, 0);
}

static void a_client_that_cancels_is_noticed_once(void **state)
{
	struct bed *b = *state;
	struct rpc_request *r;
	struct answer a;

	r = subscribe(b, &a);
	UNTIL(b, b->watcher.call != NULL);
	pump(&b->watcher, 10, 4);
	UNTIL(b, a.n_messages == 10);
	rpc_request_cancel(r);
	UNTIL(b, a.is_done && b->watcher.n_gone > 0);
	assert_int_equal(a.status, RPC_CANCELLED);
	/* To the dead it may be sent, and is dropped. */
	b->watcher.n_sent = 0;
	pump(&b->watcher, 2 * RPC_STREAM_QUEUE, 4);
	assert_false(b->watcher.is_full);
	call(b, &a, "/test.Unary/Echo", "", CALL_MS);
	assert_int_equal(b->watcher.n_gone, 1);
	rpc_call_end(b->watcher.call);
	b->watcher.call = NULL;
	call(b, &a, "/test.Unary/Echo", "", CALL_MS);
	assert_int_equal(b->watcher.n_gone, 1);
}

static void who_asks_too_late_is_still_told(void **state)
{
	struct bed *b = *state;
	struct rpc_request *r;
	struct answer a, echo_answer;

	r = subscribe(b, &a);
	UNTIL(b, b->watcher.call != NULL);
	rpc_call_on_cancel(b->watcher.call, NULL, NULL);
	rpc_request_cancel(r);
	UNTIL(b, a.is_done);
	for (int i = 0; i < 20; i++) /* the notice passes meanwhile */
		call(b, &echo_answer, "/test.Unary/Echo", "", CALL_MS);
	rpc_call_on_cancel(b->watcher.call, watcher_gone, &b->watcher);
	assert_int_equal(b->watcher.n_gone, 0); /* not from inside */
	UNTIL(b, b->watcher.n_gone == 1);
}

static void refill(uv_idle_t *idle)
{
	struct bed *b = idle->data;

	pump(&b->watcher, UINT32_MAX, 32);
}

static void unary_calls_are_answered_while_a_stream_runs_at_full_speed(void **state)
{
	struct bed *b = *state;
	static struct answer stream; /* it is still open at the end */
	struct answer a;
	uint32_t before;

	subscribe(b, &stream);
	UNTIL(b, b->watcher.call != NULL);
	uv_idle_init(&b->loop, &b->idle);
	b->idle.data = b;
	uv_idle_start(&b->idle, refill);
	UNTIL(b, stream.n_messages > 5000);
	before = stream.n_messages;
	for (int i = 0; i < 200; i++) {
		call(b, &a, "/test.Unary/Echo", "x", 2000);
		assert_int_equal(a.status, RPC_OK);
	}
	UNTIL(b, stream.n_messages > before + 5000);
	assert_int_equal(stream.n_disordered, 0);
	uv_close((uv_handle_t *)&b->idle, NULL);
}

/* ---- What goes wrong ---- */

static void a_server_that_comes_back_is_reached_again(void **state)
{
	struct bed *b = *state;
	const char *address = b->address;
	struct answer a;

	call(b, &a, "/test.Unary/Echo", "", CALL_MS);
	assert_int_equal(a.status, RPC_OK);
	rpc_server_destroy(b->server);
	b->server = NULL;
	call(b, &a, "/test.Unary/Echo", "", CALL_MS);
	assert_int_equal(a.status, RPC_UNAVAILABLE);
	assert_int_equal(server_start(b, &address, 1), 0);
	for (int i = 0; i < 500 && a.status != RPC_OK; i++) {
		uv_sleep(10);
		call(b, &a, "/test.Unary/Echo", "", CALL_MS);
	}
	assert_int_equal(a.status, RPC_OK);
}

static void one_address_in_use_and_nothing_is_left_listening(void **state)
{
	struct bed *b = *state;
	char other[32], used[32];
	const char *const both[] = {other, used};
	const char *const one[] = {other};
	struct answer a;

	snprintf(other, sizeof(other), "127.0.0.1:%d", free_port());
	snprintf(used, sizeof(used), "%s", b->address);
	struct rpc_server *first = b->server;

	assert_int_equal(server_start(b, both, 2), -EADDRINUSE);
	assert_ptr_equal(b->server, first);
	snprintf(b->address, sizeof(b->address), "%s", other);
	call(b, &a, "/test.Unary/Echo", "", CALL_MS);
	assert_int_equal(a.status, RPC_UNAVAILABLE);
	rpc_server_destroy(first);
	assert_int_equal(server_start(b, one, 1), 0);
	for (int i = 0; i < 500 && a.status != RPC_OK; i++) {
		uv_sleep(10);
		call(b, &a, "/test.Unary/Echo", "", CALL_MS);
	}
	assert_int_equal(a.status, RPC_OK);
}

static int connect_raw(const struct bed *b)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_port = htons((uint16_t)atoi(strchr(b->address, ':') + 1));
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void garbage_on_the_port_does_no_harm(void **state)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	struct bed *b = *state;
	uint8_t garbage[4096];
	struct answer a;
	uint32_t x = 1;
	int fds[24];

	for (int i = 0; i < 24; i++) {
		fds[i] = connect_raw(b);
		for (size_t k = 0; k < sizeof(garbage); k++) {
			x = x * 1664525 + 1013904223;
			garbage[k] = (uint8_t)(x >> 24);
		}
		if (i % 3 != 0) /* the others get further */
			assert_int_equal(send(fds[i], preface, 24, MSG_NOSIGNAL), 24);
		if (i % 3 == 2) /* an empty SETTINGS frame, too */
			send(fds[i], "\0\0\0\4\0\0\0\0\0", 9, MSG_NOSIGNAL);
		send(fds[i], garbage, sizeof(garbage), MSG_NOSIGNAL);
		call(b, &a, "/test.Unary/Echo", "x", CALL_MS);
		assert_int_equal(a.status, RPC_OK);
	}
	for (int i = 0; i < 24; i++)
		close(fds[i]);
	call(b, &a, "/test.Unary/Echo", "x", CALL_MS);
	assert_int_equal(a.status, RPC_OK);
}

/* ---- A client that keeps to no limit: HTTP/2 by hand (RFC 9113) ---- */

static void frame_send(int fd, uint8_t type, uint8_t flags, const void *bytes, uint32_t n)
{
	uint8_t head[9] = {(uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, type, flags, 0, 0, 0};

	head[8] = type == 4 ? 0 : 1; /* SETTINGS belong to the connection, the rest to stream 1 */
	send(fd, head, sizeof(head), MSG_NOSIGNAL);
	send(fd, bytes, n, MSG_NOSIGNAL);
}

static bool receive_all(int fd, uint8_t *bytes, size_t n)
{
	return recv(fd, bytes, n, MSG_WAITALL) == (ssize_t)n;
}

/* One frame; its type, or 0xff at the end of the connection. Adds to the window of frame's stream.
 */
static uint8_t frame_receive(int fd, int64_t window[2])
{
	uint8_t head[9], body[1 << 14];
	uint32_t n;

	if (!receive_all(fd, head, sizeof(head)))
		return 0xff;
	n = (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2];
	if (n > sizeof(body) || !receive_all(fd, body, n))
		return 0xff;
	if (head[3] == 8)
		window[head[8] & 1] +=
			(int64_t)(body[0] & 0x7f) << 24 | body[1] << 16 | body[2] << 8 | body[3];
	return head[3];
}

static void an_endless_message_of_a_stranger_is_refused(void **state)
{
	/* HPACK (RFC 7541): POST, http, then literals without indexing */
	static const char headers[] = "\x83\x86\x04\x10/test.Unary/Echo"
				      "\x0f\x10\x10"
				      "application/grpc"
				      "\x00\x02te\x08trailers";
	static const uint8_t prefix[5] = {0, 0x00, 0x60, 0, 0}; /* 6 MiB follow */
	static uint8_t data[1 << 14];
	struct timeval patience = {5, 0};
	int64_t window[2] = {65535, 65535}, left = 6 << 20;
	struct bed *b = *state;
	uint8_t type = 0;
	struct answer a;
	int fd = connect_raw(b);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	send(fd, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24, MSG_NOSIGNAL);
	frame_send(fd, 4, 0, NULL, 0);
	frame_send(fd, 1, 4, headers, sizeof(headers) - 1);
	frame_send(fd, 0, 0, prefix, sizeof(prefix));
	window[0] -= sizeof(prefix);
	window[1] -= sizeof(prefix);
	while (left > 0 && type != 1 && type != 3 && type != 0xff) {
		int64_t n = window[0] < window[1] ? window[0] : window[1];

		n = n < (int64_t)sizeof(data) ? n : (int64_t)sizeof(data);
		n = n < left ? n : left;
		if (n == 0) {
			type = frame_receive(fd, window);
			continue;
		}
		frame_send(fd, 0, 0, data, (uint32_t)n);
		window[0] -= n;
		window[1] -= n;
		left -= n;
	}
	/* HEADERS with the status, or RST_STREAM */
	while (type != 1 && type != 3 && type != 0xff)
		type = frame_receive(fd, window);
	assert_true(type == 1 || type == 3);
	close(fd);
	call(b, &a, "/test.Unary/Echo", "x", CALL_MS);
	assert_int_equal(a.status, RPC_OK);
	assert_int_equal(b->n_asked, 1); /* the other never came to the handler */
}

static pid_t spawn_watcher(const struct bed *b)
{
	char *const argv[] = {"test_rpc", "--watch", (char *)b->address, NULL};
	char *const envp[] = {NULL};
	pid_t pid;

	assert_int_equal(posix_spawn(&pid, program, NULL, NULL, argv, envp), 0);
	return pid;
}

static void a_client_killed_while_it_watches_is_noticed(void **state)
{
	struct bed *b = *state;
	pid_t pid = spawn_watcher(b);
	struct answer a;

	UNTIL(b, b->watcher.call != NULL);
	pump(&b->watcher, 100000, STREAM_BYTES);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	UNTIL(b, b->watcher.n_gone == 1);
	call(b, &a, "/test.Unary/Echo", "x", CALL_MS);
	assert_int_equal(a.status, RPC_OK);
}

static void a_frozen_client_is_noticed(void **state)
{
	struct bed *b = *state;
	pid_t pid = spawn_watcher(b);

	UNTIL(b, b->watcher.call != NULL);
	kill(pid, SIGSTOP);
	UNTIL(b, b->watcher.n_gone == 1); /* by keepalive */
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void destroying_a_server_ends_its_open_calls(void **state)
{
	struct bed *b = *state;
	struct answer stream, held = {0};

	subscribe(b, &stream);
	UNTIL(b, b->watcher.call != NULL);
	assert_int_equal(rpc_client_call(b->client, b->address, "/test.Unary/Hold", NULL, 0,
					 WAIT_MS, done, &held),
			 0);
	UNTIL(b, b->held != NULL);
	pump(&b->watcher, 1000000, STREAM_BYTES); /* one under way that nobody reads */
	rpc_server_destroy(b->server);
	b->server = NULL;
	assert_int_equal(b->watcher.n_gone, 1);
	assert_int_equal(b->n_held_gone, 1);
	UNTIL(b, held.is_done && stream.is_done);
	assert_int_equal(held.status, RPC_UNAVAILABLE);
	assert_int_not_equal(stream.status, RPC_OK);
	/* Their owners still have them, and end them as ever. */
	assert_int_equal(send_number(b->watcher.call, 0, 4), 0);
	rpc_call_reply(b->held, (const uint8_t *)"late", 4);
	b->held = NULL;
	rpc_call_end(b->watcher.call);
	b->watcher.call = NULL;
}

static void an_answer_given_just_before_the_server_is_destroyed_arrives(void **state)
{
	struct bed *b = *state;
	struct answer a = {0};

	assert_int_equal(rpc_client_call(b->client, b->address, "/test.Unary/Hold", NULL, 0,
					 WAIT_MS, done, &a),
			 0);
	UNTIL(b, b->held != NULL);
	rpc_call_reply(b->held, (const uint8_t *)"last", 4);
	b->held = NULL;
	rpc_server_destroy(b->server);
	b->server = NULL;
	UNTIL(b, a.is_done);
	assert_int_equal(a.status, RPC_OK);
}

static void destroying_a_client_ends_its_requests(void **state)
{
	struct bed *b = *state;
	struct answer stream, held = {0}, a;

	subscribe(b, &stream);
	UNTIL(b, b->watcher.call != NULL);
	pump(&b->watcher, 1000000, STREAM_BYTES);
	assert_int_equal(rpc_client_call(b->client, b->address, "/test.Unary/Hold", NULL, 0,
					 WAIT_MS, done, &held),
			 0);
	UNTIL(b, b->held != NULL);
	rpc_client_destroy(b->client);
	b->client = NULL;
	assert_int_equal(held.n_done, 1);
	assert_int_equal(held.status, RPC_CANCELLED);
	assert_int_equal(stream.n_done, 1);
	assert_int_equal(stream.status, RPC_CANCELLED);
	UNTIL(b, b->watcher.n_gone == 1 && b->n_held_gone == 1);
	assert_int_equal(rpc_client_create(&b->client, &b->loop), 0);
	call(b, &a, "/test.Unary/Echo", "x", CALL_MS);
	assert_int_equal(a.status, RPC_OK);
}

static int watch_until_killed(const char *address)
{
	struct rpc_client *client;
	struct rpc_request *r;
	struct answer a = {0};
	uv_loop_t loop;

	uv_loop_init(&loop);
	if (rpc_client_create(&client, &loop) != 0 ||
	    rpc_client_subscribe(client, &r, address, "/test.Stream/Watch", NULL, 0, message, done,
				 &a) != 0)
		return 1;
	while (!a.is_done)
		uv_run(&loop, UV_RUN_ONCE);
	return 0;
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, bed_make, bed_remove)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		CLAIM(an_answer_carries_the_bytes_of_the_handler),
		CLAIM(a_refusal_carries_status_and_text),
		CLAIM(an_unknown_method_is_unimplemented),
		CLAIM(a_call_nobody_answers_ends_at_its_deadline),
		CLAIM(a_handler_sees_the_time_that_is_left),
		CLAIM(a_later_reply_reaches_the_client),
		CLAIM(many_calls_at_once_are_all_answered),
		CLAIM(a_message_over_the_limit_is_refused_and_does_no_harm),
		CLAIM(nobody_listening_is_unavailable),
		CLAIM(an_address_that_is_none_is_refused),
		CLAIM(ten_thousand_messages_come_in_order),
		CLAIM(a_slow_watcher_fills_the_queue_and_loses_nothing_that_was_taken),
		CLAIM(a_failed_stream_drops_what_waits_and_says_why),
		CLAIM(a_client_that_cancels_is_noticed_once),
		CLAIM(who_asks_too_late_is_still_told),
		CLAIM(unary_calls_are_answered_while_a_stream_runs_at_full_speed),
		CLAIM(a_server_that_comes_back_is_reached_again),
		CLAIM(one_address_in_use_and_nothing_is_left_listening),
		CLAIM(garbage_on_the_port_does_no_harm),
		CLAIM(an_endless_message_of_a_stranger_is_refused),
		CLAIM(a_client_killed_while_it_watches_is_noticed),
		CLAIM(a_frozen_client_is_noticed),
		CLAIM(destroying_a_server_ends_its_open_calls),
		CLAIM(an_answer_given_just_before_the_server_is_destroyed_arrives),
		CLAIM(destroying_a_client_ends_its_requests),
	};

	program = argv[0];
	if (argc == 3 && strcmp(argv[1], "--watch") == 0)
		return watch_until_killed(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
