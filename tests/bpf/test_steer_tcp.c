/* test_steer_tcp.c - what is not the data plane's goes on over an interface with steer on it. */
#include <arpa/inet.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "bpf/steer.h"
#include "tests/bpf/lab.h"

#define NEAR_ADDRESS   "10.77.0.1"
#define FAR_ADDRESS    "10.77.0.2"
#define TCP_PORT       7410 /* the number of a management port, and yet not UDP */
#define TRANSFER_BYTES (8u << 20)
#define WAIT_SECONDS   20

static const struct steer_port ports[] = {{TCP_PORT, STEER_ELEMENT}};

/* FNV-1a, so that what is lost, twice or out of order shows. */
struct checksum {
	uint64_t sum;
	size_t n;
};

static void checksum_add(struct checksum *c, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		c->sum = (c->sum ^ bytes[i]) * 1099511628211u;
	c->n += n;
}

static struct checksum send_stream(int fd, uint32_t seed)
{
	struct checksum c = {.sum = 14695981039346656037u};
	uint8_t chunk[16384];

	while (c.n < TRANSFER_BYTES) {
		for (size_t i = 0; i < sizeof(chunk); i++) {
			seed = seed * 1664525u + 1013904223u;
			chunk[i] = (uint8_t)(seed >> 24);
		}
		for (size_t sent = 0; sent < sizeof(chunk);) {
			ssize_t n = send(fd, chunk + sent, sizeof(chunk) - sent, MSG_NOSIGNAL);

			if (n <= 0)
				return c;
			sent += (size_t)n;
		}
		checksum_add(&c, chunk, sizeof(chunk));
	}
	return c;
}

static struct checksum receive_stream(int fd)
{
	struct checksum c = {.sum = 14695981039346656037u};
	uint8_t chunk[16384];

	while (c.n < TRANSFER_BYTES) {
		ssize_t n = recv(fd, chunk, sizeof(chunk), 0);

		if (n <= 0)
			break;
		checksum_add(&c, chunk, (size_t)n);
	}
	return c;
}

static struct sockaddr_in address_of(const char *text)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(TCP_PORT)};

	inet_pton(AF_INET, text, &a.sin_addr);
	return a;
}

/* A socket that gives up waiting instead of hanging the test. */
static int tcp_socket(void)
{
	const struct timeval wait = {.tv_sec = WAIT_SECONDS};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	return fd;
}

/* The other host: sends a stream, receives one, and reports both checksums. */
static void far_host(int report_fd, int ready_fd)
{
	const struct sockaddr_in near_address = address_of(NEAR_ADDRESS);
	struct checksum sums[2];
	char go;
	int fd;

	if (unshare(CLONE_NEWNET) != 0 || write(report_fd, "n", 1) != 1 ||
	    read(ready_fd, &go, 1) != 1)
		_exit(1);
	lab_run("ip address add " FAR_ADDRESS "/24 dev " LAB_FAR);
	lab_run("ip link set " LAB_FAR " up");
	fd = tcp_socket();
	if (connect(fd, (const struct sockaddr *)&near_address, sizeof(near_address)) != 0)
		_exit(2);
	sums[0] = send_stream(fd, 1);
	sums[1] = receive_stream(fd);
	if (write(report_fd, sums, sizeof(sums)) != sizeof(sums))
		_exit(3);
	_exit(0);
}

static pid_t far_host_start(int *report_fd)
{
	int report[2], ready[2];
	char command[128], n;
	pid_t child;

	assert_int_equal(pipe(report), 0);
	assert_int_equal(pipe(ready), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		close(report[0]);
		close(ready[1]); /* or the child would wait for itself when this process ends */
		far_host(report[1], ready[0]);
	}
	close(report[1]);
	close(ready[0]);
	assert_int_equal(read(report[0], &n, 1), 1); /* it has a namespace of its own */
	snprintf(command, sizeof(command), "ip link set " LAB_FAR " netns %d", (int)child);
	lab_run(command);
	assert_int_equal(write(ready[1], "g", 1), 1);
	close(ready[1]);
	*report_fd = report[0];
	return child;
}

static void tcp_connection_goes_on_while_steer_is_attached(void **state)
{
	const struct sockaddr_in near_address = address_of(NEAR_ADDRESS);
	const struct steer_config cfg = {
		.interface = LAB_NEAR, .sources_max = 1, .listen = ports, .n_listen = 1};
	struct checksum received, sent, far_sums[2];
	uint64_t n[STEER_VERDICTS];
	int listener = tcp_socket(), report_fd, fd, status;
	struct steer *s;
	pid_t child;

	lab_run("ip address add " NEAR_ADDRESS "/24 dev " LAB_NEAR);
	assert_int_equal(
		bind(listener, (const struct sockaddr *)&near_address, sizeof(near_address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(steer_create(&s, &cfg), 0);
	assert_int_equal(steer_attach(s), 0);
	child = far_host_start(&report_fd);

	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	received = receive_stream(fd);
	sent = send_stream(fd, 2);
	assert_int_equal(read(report_fd, far_sums, sizeof(far_sums)), sizeof(far_sums));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);

	assert_int_equal(received.n, TRANSFER_BYTES);
	assert_int_equal(sent.n, TRANSFER_BYTES);
	assert_memory_equal(&received, &far_sums[0], sizeof(received));
	assert_memory_equal(&sent, &far_sums[1], sizeof(sent));
	/* The program did see the stream, and took or dropped nothing of it. */
	assert_int_equal(steer_counters(s, n), 0);
	assert_true(n[STEER_PASSED] > 100);
	assert_int_equal(n[STEER_FRAMES], n[STEER_PASSED]);
	steer_destroy(s);
	close(fd);
	close(listener);
	close(report_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_connection_goes_on_while_steer_is_attached),
	};
	int skipped = lab_enter();

	return skipped != 0 ? skipped : cmocka_run_group_tests(tests, NULL, NULL);
}
