/* A server and a client in one loop on 127.0.0.1. */
#ifndef BELLWETHER_TESTS_UNIT_CP_RPC_BED_H
#define BELLWETHER_TESTS_UNIT_CP_RPC_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "cp/rpc/rpc.h"

#define WAIT_MS	     30000
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

/* Answered by who pumps, when the watcher drinks. */
static void watched(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct bed *b = user;

	b->held = call;
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

static inline int send_number(struct rpc_call *call, uint32_t number, size_t n)
{
	uint8_t bytes[STREAM_BYTES] = {0};

	memcpy(bytes, &number, sizeof(number));
	return rpc_call_send(call, bytes, n);
}

/* As much as it takes. */
static inline void pump(struct watcher *w, uint32_t n_max, size_t n_bytes)
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

static inline int free_port(void)
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

static inline int server_start(struct bed *b, const char *const *addresses, uint32_t n_addresses)
{
	const struct rpc_method methods[] = {
		{"/test.Unary/Echo", false, echo, b},
		{"/test.Unary/Refuse", false, refuse, b},
		{"/test.Unary/Hold", false, hold, b},
		{"/test.Unary/Left", false, time_left, b},
		{"/test.Unary/Long", false, too_long, b},
		{"/test.Stream/Watch", true, watch, b},
		{"/test.Unary/Watched", false, watched, b},
	};

	return rpc_server_create(&b->server, &b->loop, addresses, n_addresses, methods, 7);
}

static inline int bed_make(void **state)
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

static inline int bed_remove(void **state)
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

static inline void done(void *user, enum rpc_status status, const char *why, const uint8_t *bytes,
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

static inline void message(void *user, const uint8_t *bytes, size_t n)
{
	struct answer *a = user;
	uint32_t number;

	assert_true(n >= sizeof(number));
	memcpy(&number, bytes, sizeof(number));
	a->n_disordered += number != a->n_messages;
	a->n_messages++;
}

static inline void call(struct bed *b, struct answer *a, const char *path, const char *text,
			uint32_t deadline_ms)
{
	*a = (struct answer){0};
	assert_int_equal(rpc_client_call(b->client, b->address, path, (const uint8_t *)text,
					 strlen(text), deadline_ms, done, a),
			 0);
	UNTIL(b, a->is_done);
}

static inline struct rpc_request *subscribe(struct bed *b, struct answer *a)
{
	struct rpc_request *r;

	*a = (struct answer){0};
	assert_int_equal(rpc_client_subscribe(b->client, &r, b->address, "/test.Stream/Watch",
					      (const uint8_t *)"", 0, message, done, a),
			 0);
	return r;
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, bed_make, bed_remove)

#endif
