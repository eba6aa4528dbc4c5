/* Run with "--watch ADDRESS" it is a client of its own, with "--serve ADDRESS" a server; to be
 * killed. */
#include "tests/unit/cp/rpc_bed.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

static const char *program;

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

static pid_t spawn(const struct bed *b, const char *what)
{
	char *const argv[] = {"test_rpc_faults", (char *)what, (char *)b->address, NULL};
	char *const envp[] = {NULL};
	pid_t pid;

	assert_int_equal(posix_spawn(&pid, program, NULL, NULL, argv, envp), 0);
	return pid;
}

static void a_client_killed_while_it_watches_is_noticed(void **state)
{
	struct bed *b = *state;
	pid_t pid = spawn(b, "--watch");
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
	pid_t pid = spawn(b, "--watch");

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

static void refill(uv_idle_t *idle)
{
	struct bed *b = idle->data;

	if (b->watcher.call != NULL)
		pump(&b->watcher, UINT32_MAX, 32);
	if (b->held != NULL && b->watcher.n_sent > 5 * RPC_STREAM_QUEUE) {
		rpc_call_reply(b->held, NULL, 0);
		b->held = NULL;
	}
}

/* Streams as fast as it can to who watches. */
static int serve_until_killed(const char *address)
{
	struct bed b = {};
	uv_idle_t idle;

	uv_loop_init(&b.loop);
	if (server_start(&b, &address, 1) != 0)
		return 1;
	uv_idle_init(&b.loop, &idle);
	idle.data = &b;
	uv_idle_start(&idle, refill);
	return uv_run(&b.loop, UV_RUN_DEFAULT);
}

/* In processes of their own: a client's threads beside the server's would poll the server's sockets
 * too. */
static void unary_calls_are_answered_while_a_stream_runs_at_full_speed(void **state)
{
	struct bed *b = *state;
	pid_t server, watcher;
	struct answer a;

	snprintf(b->address, sizeof(b->address), "127.0.0.1:%d", free_port());
	server = spawn(b, "--serve");
	call(b, &a, "/test.Unary/Echo", "x", CALL_MS);
	for (int i = 0; i < 500 && a.status != RPC_OK; i++) {
		uv_sleep(10);
		call(b, &a, "/test.Unary/Echo", "x", CALL_MS);
	}
	watcher = spawn(b, "--watch");
	call(b, &a, "/test.Unary/Watched", "", WAIT_MS); /* from now on it streams */
	assert_int_equal(a.status, RPC_OK);
	for (int i = 0; i < 300; i++) {
		call(b, &a, "/test.Unary/Echo", "x", 1000);
		if (a.status != RPC_OK)
			break;
	}
	kill(watcher, SIGKILL);
	waitpid(watcher, NULL, 0);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	assert_int_equal(a.status, RPC_OK);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		CLAIM(a_server_that_comes_back_is_reached_again),
		CLAIM(one_address_in_use_and_nothing_is_left_listening),
		CLAIM(garbage_on_the_port_does_no_harm),
		CLAIM(an_endless_message_of_a_stranger_is_refused),
		CLAIM(a_client_killed_while_it_watches_is_noticed),
		CLAIM(a_frozen_client_is_noticed),
		CLAIM(unary_calls_are_answered_while_a_stream_runs_at_full_speed),
		CLAIM(destroying_a_server_ends_its_open_calls),
		CLAIM(an_answer_given_just_before_the_server_is_destroyed_arrives),
		CLAIM(destroying_a_client_ends_its_requests),
	};

	program = argv[0];
	if (argc == 3 && strcmp(argv[1], "--watch") == 0)
		return watch_until_killed(argv[2]);
	if (argc == 3 && strcmp(argv[1], "--serve") == 0)
		return serve_until_killed(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
