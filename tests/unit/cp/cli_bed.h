/* cli_bed.h - three pretended servers on 127.0.0.1, in a thread of their own, and a bellctl that is
 * run against them.
 */
#ifndef BELLWETHER_TESTS_UNIT_CP_CLI_BED_H
#define BELLWETHER_TESTS_UNIT_CP_CLI_BED_H

#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "cp/cli/cli.h"
#include "cp/rpc/rpc.h"
#include "cp/wire/wire.h"

#define N_SERVERS 3
#define N_PAGES	  3

enum manner {
	MANNER_WELL,
	MANNER_ABSENT,	/* does not listen */
	MANNER_MUTE,	/* takes calls and answers none */
	MANNER_FOREIGN, /* answers what is no message */
	MANNER_DYING,	/* watches: an event, then gone */
	MANNER_SIGNAL,	/* watches: an event, then the user presses ^C */
};

struct pretended {
	struct bed *bed;
	struct rpc_server *server;
	enum manner manner;
	uint32_t id;
	char address[32];
	_Atomic uint32_t n_asked;
};

struct bed {
	struct pretended servers[N_SERVERS];
	uv_loop_t loop;
	uv_async_t stop;
	pthread_t thread;
	uv_barrier_t started;
	char list[128]; /* for --server */
	char *out, *err;
};

static const char *const names[N_SERVERS + 1] = {"", "alpha", "beta", "gamma"};

static void bed_held_gone(void *call)
{
	rpc_call_fail(call, RPC_CANCELLED, "gone");
}

static void bed_hold(struct rpc_call *call)
{
	rpc_call_on_cancel(call, bed_held_gone, call);
}

/* True: the call is dealt with. */
static bool bed_manner(struct pretended *p, struct rpc_call *call)
{
	atomic_fetch_add(&p->n_asked, 1);
	if (p->manner == MANNER_MUTE)
		bed_hold(call);
	else if (p->manner == MANNER_FOREIGN)
		rpc_call_reply(call, (const uint8_t *)"\xff", 1);
	else
		return false;
	return true;
}

#define BED_REPLY(call, name, message)                                                             \
	do {                                                                                       \
		struct wire_bytes bytes_;                                                          \
		if (wire_##name##_pack((message), &bytes_) != 0)                                   \
			abort();                                                                   \
		rpc_call_reply((call), bytes_.bytes, bytes_.n);                                    \
		wire_bytes_free(&bytes_);                                                          \
	} while (0)

static void bed_status(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct pretended *p = user;
	struct wire_server servers[N_SERVERS];
	struct wire_cell cells[] = {
		{.name = "north", .owner = 1, .standby = 2, .token = {4, 1}, .n_elements = 2},
		{.name = "south", .owner = 3, .standby = 0, .token = {4, 2}, .n_elements = 4}};
	struct wire_status m = {.cluster = "lab",
				.server = p->id,
				.master = 3,
				.n_elements = 6,
				.epoch = 4,
				.map_epoch = 4,
				.map_version = 7,
				.servers = servers,
				.n_servers = N_SERVERS,
				.cells = cells,
				.n_cells = 2};

	if (bed_manner(p, call))
		return;
	for (uint32_t i = 0; i < N_SERVERS; i++)
		servers[i] = (struct wire_server){.id = i + 1,
						  .rank = 10 * i,
						  .name = names[i + 1],
						  .state = "alive",
						  .role = i == 2 ? "master" : "follower",
						  .address = "192.0.2.1:7400",
						  .client_address = p->address,
						  .is_voter = true,
						  .is_dp_alive = i != 1,
						  .is_healthy = true};
	BED_REPLY(call, status, &m);
}

static const struct wire_alarm bed_alarm = {.element_id = 1,
					    .element = "core-1",
					    .resource = "if 7",
					    .type = "link-down",
					    .qualifier = "",
					    .severity = "critical",
					    .text = "no \x1b[31mlight",
					    .changed_ns = 1700000000123000000ull,
					    .count = 3,
					    .owner = 2};

static struct wire_element bed_element_of(uint64_t id, const char *name)
{
	return (struct wire_element){.id = id,
				     .name = name,
				     .address = "192.0.2.9",
				     .kind = "router",
				     .region = "north",
				     .worst = "critical",
				     .owner = 2,
				     .answered_by = 2,
				     .last_seen_ns = 1700000000000000000ull,
				     .age_ms = 1500,
				     .n_reports = 10};
}

static void bed_element(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct wire_metric metrics[] = {{5, 2.5}, {6, 1.0 / 0.0}};
	struct wire_alarm alarm = bed_alarm;
	struct wire_element_reply m = {.alarms = &alarm, .n_alarms = 1};
	struct wire_element_request *r;

	if (bed_manner(user, call))
		return;
	if (wire_element_request_unpack(bytes, n, &r) != 0)
		abort();
	if (strcmp(r->name, "core-1") != 0) {
		if (strcmp(r->name, "x") == 0)
			rpc_call_fail(call, RPC_NOT_FOUND, "no element named x");
		else
			rpc_call_fail(call, RPC_INTERNAL, "out of\x1b order");
	} else {
		m.element = bed_element_of(1, "core-1");
		m.element.metrics = metrics;
		m.element.n_metrics = 2;
		BED_REPLY(call, element_reply, &m);
	}
	wire_free(r);
}

/* N_PAGES pages of two elements; server 3 is silent for the second. */
static void bed_elements(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	uint32_t three = 3;
	struct wire_element two[2];
	struct wire_element_list m = {.elements = two, .n_elements = 2, .answered_by = 1};
	struct wire_list_request *r;

	if (bed_manner(user, call))
		return;
	if (wire_list_request_unpack(bytes, n, &r) != 0)
		abort();
	two[0] = bed_element_of(r->after_element + 1, "edge 1");
	two[1] = bed_element_of(r->after_element + 2, "edge-2");
	if (r->after_element + 2 < 2 * N_PAGES)
		m.next_after = r->after_element + 2;
	if (r->after_element == 2) {
		m.silent = &three;
		m.n_silent = 1;
	}
	BED_REPLY(call, element_list, &m);
	wire_free(r);
}

static void bed_alarms(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct wire_alarm two[2] = {bed_alarm, bed_alarm};
	struct wire_alarm_list m = {.alarms = two, .n_alarms = 1, .answered_by = 1};
	struct wire_list_request *r;

	if (bed_manner(user, call))
		return;
	if (wire_list_request_unpack(bytes, n, &r) != 0)
		abort();
	two[1].is_cleared = true;
	if (r->with_cleared)
		m.n_alarms = 2;
	BED_REPLY(call, alarm_list, &m);
	wire_free(r);
}

static void bed_send(struct rpc_call *call, const char *kind, uint32_t server)
{
	struct wire_alarm_event e = {.kind = kind,
				     .alarm = bed_alarm,
				     .has_alarm = strcmp(kind, "lost") != 0,
				     .time_ns = 1700000001000000000ull,
				     .server = server,
				     .number = 1};
	struct wire_bytes b;

	if (wire_alarm_event_pack(&e, &b) != 0)
		abort();
	rpc_call_send(call, b.bytes, b.n);
	wire_bytes_free(&b);
}

static void bed_watch(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct pretended *p = user;
	struct wire_watch_request *r;

	atomic_fetch_add(&p->n_asked, 1);
	if (wire_watch_request_unpack(bytes, n, &r) != 0)
		abort();
	if (r->present)
		bed_send(call, "present", p->id);
	wire_free(r);
	bed_send(call, "raised", p->id);
	if (p->manner == MANNER_DYING) { /* what waits is dropped by a failure: end it instead */
		rpc_call_end(call);
		return;
	}
	if (p->manner == MANNER_SIGNAL)
		kill(getpid(), SIGINT);
	else
		bed_send(call, "lost", p->id);
	bed_hold(call);
}

/* The equations of server 2 do not hold. */
static void bed_dp_stats(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct wire_counter counters[] = {{"frames", "frames received", "frame in", 12},
					  {"drop_lldp", "LLDP frame", "frame out", 0}};
	struct wire_counter refusals[] = {{"snmp_length", "wrong length", "decode", 4}};
	struct wire_equation equations[] = {{"steer", 3, 3}, {"frames", 12, 12}};
	struct wire_unknown unknown[] = {
		{"192.0.2.77", 1700000000000000000ull, 1700000001000000000ull, 9, 162}};
	struct wire_dp_stats m = {.is_dp_alive = true,
				  .n_starts = 1,
				  .alarms_used = 1,
				  .alarms_max = 64,
				  .counters = counters,
				  .n_counters = 2,
				  .refusals = refusals,
				  .n_refusals = 1,
				  .equations = equations,
				  .n_equations = 2,
				  .unknown = unknown,
				  .n_unknown = 1};
	struct pretended *p = user;
	struct wire_dp_stats_request *r;

	if (bed_manner(p, call))
		return;
	if (wire_dp_stats_request_unpack(bytes, n, &r) != 0)
		abort();
	m.server = r->server != 0 ? r->server : p->id;
	equations[1].out -= r->server == 2;
	m.holds = r->server != 2;
	BED_REPLY(call, dp_stats, &m);
	wire_free(r);
}

static void bed_stopped(uv_async_t *stop)
{
	uv_stop(stop->loop);
}

static void bed_listen(struct pretended *p)
{
	const struct rpc_method methods[] = {
		{WIRE_PATH("Peered", "GetStatus"), false, bed_status, p},
		{WIRE_PATH("Peered", "GetElement"), false, bed_element, p},
		{WIRE_PATH("Peered", "GetDpStats"), false, bed_dp_stats, p},
		{WIRE_PATH("Federated", "ListElements"), false, bed_elements, p},
		{WIRE_PATH("Federated", "ListAlarms"), false, bed_alarms, p},
		{WIRE_PATH("Federated", "WatchAlarms"), true, bed_watch, p},
	};
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const char *address = p->address;
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &n) != 0)
		abort();
	close(fd);
	snprintf(p->address, sizeof(p->address), "127.0.0.1:%u", ntohs(a.sin_port));
	if (p->manner != MANNER_ABSENT &&
	    rpc_server_create(&p->server, &p->bed->loop, &address, 1, methods, 6) != 0)
		abort();
}

static void *bed_thread(void *bed)
{
	struct bed *b = bed;

	for (uint32_t i = 0; i < N_SERVERS; i++)
		bed_listen(&b->servers[i]);
	uv_barrier_wait(&b->started);
	uv_run(&b->loop, UV_RUN_DEFAULT);
	for (uint32_t i = 0; i < N_SERVERS; i++)
		rpc_server_destroy(b->servers[i].server);
	uv_close((uv_handle_t *)&b->stop, NULL);
	uv_run(&b->loop, UV_RUN_DEFAULT);
	if (uv_loop_close(&b->loop) != 0)
		abort();
	return NULL;
}

static void bed_start(struct bed *b, enum manner one, enum manner two, enum manner three)
{
	memset(b, 0, sizeof(*b));
	b->servers[0].manner = one;
	b->servers[1].manner = two;
	b->servers[2].manner = three;
	for (uint32_t i = 0; i < N_SERVERS; i++) {
		b->servers[i].bed = b;
		b->servers[i].id = i + 1;
	}
	if (uv_loop_init(&b->loop) != 0 || uv_async_init(&b->loop, &b->stop, bed_stopped) != 0 ||
	    uv_barrier_init(&b->started, 2) != 0 ||
	    pthread_create(&b->thread, NULL, bed_thread, b) != 0)
		abort();
	uv_barrier_wait(&b->started);
	snprintf(b->list, sizeof(b->list), "%s,%s,%s", b->servers[0].address, b->servers[1].address,
		 b->servers[2].address);
}

static void bed_stop(struct bed *b)
{
	uv_async_send(&b->stop);
	pthread_join(b->thread, NULL);
	uv_barrier_destroy(&b->started);
	free(b->out);
	free(b->err);
}

static uint32_t bed_n_asked(struct bed *b)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < N_SERVERS; i++)
		n += atomic_load(&b->servers[i].n_asked);
	return n;
}

/* 'line': the words after "bellctl --server ...", one blank between two. */
static enum cli_exit bed_run(struct bed *b, const char *line)
{
	char *words = strdup(line), *rest = words, *word;
	char *argv[24] = {"bellctl", "--server", b->list, "--timeout", "5000"};
	size_t n_out, n_err;
	int argc = 5;
	enum cli_exit result;
	FILE *out, *err;

	free(b->out);
	free(b->err);
	out = open_memstream(&b->out, &n_out);
	err = open_memstream(&b->err, &n_err);
	if (words == NULL || out == NULL || err == NULL)
		abort();
	while ((word = strsep(&rest, " ")) != NULL && argc < 23)
		argv[argc++] = word;
	result = cli_run(argc, argv, out, err);
	fclose(out);
	fclose(err);
	free(words);
	return result;
}

#endif
