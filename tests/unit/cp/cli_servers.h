/* cli_servers.h - what the pretended servers of cli_bed.h answer to questions: status, elements,
 * alarms, counters.
 */
#ifndef BELLWETHER_TESTS_UNIT_CP_CLI_SERVERS_H
#define BELLWETHER_TESTS_UNIT_CP_CLI_SERVERS_H

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
	MANNER_ABSENT,	  /* does not listen */
	MANNER_MUTE,	  /* takes calls and answers none */
	MANNER_FOREIGN,	  /* answers what is no message */
	MANNER_DYING,	  /* watches: an event, then gone */
	MANNER_SIGNAL,	  /* watches: an event, then the user presses ^C */
	MANNER_NO_MASTER, /* commands: no, the first BED_REFUSALS times */
	MANNER_LOST,	  /* commands: done, but the answer never comes */
};
#define BED_REFUSALS 7

struct pretended {
	struct bed *bed;
	struct rpc_server *server;
	enum manner manner;
	uint32_t id;
	char address[32];
	_Atomic uint32_t n_asked;
};

/* What commands came, in their order, at whichever server. Written by the servers' thread. */
#define BED_COMMANDS 32
struct bed_command {
	uint32_t server;
	char method[24], request_id[WIRE_REQUEST_ID_MAX + 1], operator_name[64], said[256];
};

struct bed {
	struct pretended servers[N_SERVERS];
	uv_loop_t loop;
	uv_async_t stop;
	pthread_t thread;
	uv_barrier_t started;
	char list[128]; /* for --server */
	struct bed_command commands[BED_COMMANDS];
	_Atomic uint32_t n_commands;
	char resumed[BED_COMMANDS][64]; /* the tokens that watches began with */
	_Atomic uint32_t n_resumed;
	char *out, *err;
};

static const char *const names[N_SERVERS + 1] = {"", "alpha", "beta", "gamma"};

static inline void bed_held_gone(void *call)
{
	rpc_call_fail(call, RPC_CANCELLED, "gone");
}

static inline void bed_hold(struct rpc_call *call)
{
	rpc_call_on_cancel(call, bed_held_gone, call);
}

/* True: the call is dealt with. */
static inline bool bed_manner(struct pretended *p, struct rpc_call *call)
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

static inline void bed_status(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
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
						  .is_healthy = true,
						  .is_drained = i == 1,
						  .store = i + 1 == p->id ? "ok" : ""};
	BED_REPLY(call, status, &m);
}

/* As it was stored once. */
static inline void bed_stored_status(struct rpc_call *call, const uint8_t *bytes, size_t n,
				     void *user)
{
	struct pretended *p = user;
	struct wire_server one = {
		.id = 2, .name = "beta", .state = "failed", .role = "unknown", .n_cells = 1};
	struct wire_status m = {.cluster = "lab",
				.server = p->id,
				.epoch = 3,
				.stored_ns = 1700000000000000000ull,
				.servers = &one,
				.n_servers = 1};

	if (!bed_manner(p, call))
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
					    .owner = 2,
					    .operator_state = "none",
					    .source = "memory"};

static inline struct wire_element bed_element_of(uint64_t id, const char *name)
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
				     .n_reports = 10,
				     .source = "memory"};
}

static inline void bed_element(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
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
static inline void bed_elements(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
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

/* From the store: three elements in two regions, not in their order; one is silent, one was never
 * seen. */
static inline void bed_stored_elements(struct rpc_call *call, const uint8_t *bytes, size_t n,
				       void *user)
{
	struct wire_element three[3] = {bed_element_of(1, "a"), bed_element_of(2, "b"),
					bed_element_of(3, "c")};
	struct wire_element_list m = {.elements = three, .n_elements = 3, .answered_by = 1};

	if (bed_manner(user, call))
		return;
	for (uint32_t i = 0; i < 3; i++) {
		three[i].source = "store";
		three[i].stored_ns = 1700000000000000000ull;
		three[i].worst = "cleared";
	}
	three[0].region = "south";
	three[1].age_ms = 180000;
	three[2].last_seen_ns = 0;
	BED_REPLY(call, element_list, &m);
}

static inline void bed_stored_alarms(struct rpc_call *call, const uint8_t *bytes, size_t n,
				     void *user)
{
	struct wire_alarm one = bed_alarm;
	struct wire_alarm_list m = {
		.alarms = &one, .n_alarms = 1, .answered_by = 1, .n_left_out = 12};

	if (bed_manner(user, call))
		return;
	one.operator_state = "ack";
	one.operator_name = "ann";
	one.source = "store";
	one.age_ms = 3000;
	BED_REPLY(call, alarm_list, &m);
}

static inline void bed_alarms(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
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

static inline void bed_resumed(struct bed *b, const char *token)
{
	uint32_t n = atomic_load(&b->n_resumed);

	if (n == BED_COMMANDS)
		abort();
	snprintf(b->resumed[n], sizeof(b->resumed[n]), "%s", token);
	atomic_store(&b->n_resumed, n + 1);
}

static inline void bed_send(struct rpc_call *call, const char *kind, uint32_t server)
{
	struct wire_alarm_event e = {.kind = kind,
				     .resume = strcmp(kind, "raised") == 0 ? "behind 1" : "",
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

static inline void bed_watch(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct pretended *p = user;
	struct wire_watch_request *r;

	atomic_fetch_add(&p->n_asked, 1);
	if (wire_watch_request_unpack(bytes, n, &r) != 0)
		abort();
	if (r->present)
		bed_send(call, "present", p->id);
	bed_resumed(p->bed, r->resume);
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
static inline void bed_dp_stats(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
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

#endif
