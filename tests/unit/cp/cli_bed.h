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

/* ---- The event log: numbers 1 to BED_EVENTS of the registry; a token is the number ---- */

#define BED_EVENTS 9

static inline struct wire_event bed_event_of(uint64_t number)
{
	struct wire_event e = {.number = number,
			       .time_ns = 1700000000000000000ull + number * 1000000000,
			       .kind = "cell_moved",
			       .cell = "north",
			       .server = 1,
			       .was = 3,
			       .epoch = 4};

	if (number == 1)
		e = (struct wire_event){.number = 1,
					.time_ns = 1700000000000000000ull,
					.kind = "master",
					.server = 3,
					.epoch = 4};
	if (number == 2)
		e = (struct wire_event){.origin = 2,
					.number = 2,
					.time_ns = 1700000001000000000ull,
					.kind = "acknowledged",
					.alarm = bed_alarm,
					.has_alarm = true,
					.operator_name = "ann",
					.text = "on my\x1b way"};
	return e;
}

/* At most four a page. */
static inline void bed_events(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct pretended *p = user;
	struct wire_event events[4];
	struct wire_event_list m = {.events = events, .answered_by = p->id};
	struct wire_event_query *q;
	uint64_t at, most;
	char token[24];

	if (p->manner == MANNER_MUTE || p->manner == MANNER_FOREIGN) {
		bed_manner(p, call);
		return;
	}
	if (wire_event_query_unpack(bytes, n, &q) != 0)
		abort();
	at = strtoull(q->after, NULL, 10);
	most = q->limit != 0 && q->limit < 4 ? q->limit : 4;
	if (q->is_newest)
		at = BED_EVENTS - most;
	if (q->n_kinds == 0 && q->since_ns == 0)
		while (m.n_events < most && at < BED_EVENTS)
			events[m.n_events++] = bed_event_of(++at);
	snprintf(token, sizeof(token), "%llu", (unsigned long long)at);
	m.resume = token;
	m.is_more = at < BED_EVENTS && m.n_events > 0;
	BED_REPLY(call, event_list, &m);
	wire_free(q);
}

/* Two events from the token on; then the server dies, or waits. */
static inline void bed_watch_events(struct rpc_call *call, const uint8_t *bytes, size_t n,
				    void *user)
{
	struct pretended *p = user;
	struct wire_watch_request *r;
	uint64_t at;

	atomic_fetch_add(&p->n_asked, 1);
	if (wire_watch_request_unpack(bytes, n, &r) != 0)
		abort();
	at = strtoull(r->resume, NULL, 10);
	bed_resumed(p->bed, r->resume);
	wire_free(r);
	for (int i = 0; i < 3; i++) {
		char token[24];
		struct wire_event_notice notice = {.kind = i < 2 ? "event" : "silent",
						   .has_event = i < 2,
						   .event = bed_event_of(++at),
						   .server = i < 2 ? 0 : 3,
						   .resume = i < 2 ? token : ""};
		struct wire_bytes b;

		snprintf(token, sizeof(token), "%llu", (unsigned long long)at);
		if (wire_event_notice_pack(&notice, &b) != 0)
			abort();
		rpc_call_send(call, b.bytes, b.n);
		wire_bytes_free(&b);
	}
	if (p->manner == MANNER_DYING)
		rpc_call_end(call);
	else
		bed_hold(call);
}

/* ---- Commands ---- */

/* Writes the command down and answers in the server's manner. 'said': what else it says. */
static inline void bed_command(struct rpc_call *call, struct pretended *p, const char *method,
			       const struct wire_command *command, const char *said,
			       struct wire_command_reply *reply)
{
	struct bed *b = p->bed;
	uint32_t n = atomic_load(&b->n_commands);

	if (n == BED_COMMANDS)
		abort();
	b->commands[n].server = p->id;
	snprintf(b->commands[n].method, sizeof(b->commands[n].method), "%s", method);
	snprintf(b->commands[n].request_id, sizeof(b->commands[n].request_id), "%s",
		 command->request_id);
	snprintf(b->commands[n].operator_name, sizeof(b->commands[n].operator_name), "%s",
		 command->operator_name);
	snprintf(b->commands[n].said, sizeof(b->commands[n].said), "%s", said);
	atomic_store(&b->n_commands, n + 1);
	if (p->manner == MANNER_LOST) {
		bed_hold(call);
	} else if (p->manner == MANNER_NO_MASTER && n < BED_REFUSALS) {
		rpc_call_fail(call, RPC_UNAVAILABLE, "no master");
	} else {
		reply->answered_by = 3;
		reply->index = 7;
		BED_REPLY(call, command_reply, reply);
	}
}

/* The element "taken" is refused. */
static inline void bed_ack(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct wire_command_reply reply = {.is_done = true, .is_degraded = true};
	struct wire_ack_alarm_request *r;
	char said[256];

	if (wire_ack_alarm_request_unpack(bytes, n, &r) != 0)
		abort();
	snprintf(said, sizeof(said), "%s|%s|%s|%s|%s|%d", r->element, r->type, r->resource,
		 r->qualifier, r->text, r->is_ack);
	if (strcmp(r->element, "taken") == 0)
		reply = (struct wire_command_reply){.why = "no such\x1b alarm"};
	bed_command(call, user, "AckAlarm", &r->command, said, &reply);
	wire_free(r);
}

/* A batch that begins with id 4001 is refused. */
static inline void bed_import(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct wire_command_reply reply = {.is_done = true, .n_added = 1, .n_changed = 2};
	struct wire_import_elements_request *r;
	char said[256];

	if (wire_import_elements_request_unpack(bytes, n, &r) != 0)
		abort();
	snprintf(said, sizeof(said), "%u from %s %llu %s %s, address %u", r->n_elements,
		 r->elements[0].name, (unsigned long long)r->elements[0].id, r->elements[0].kind,
		 r->elements[0].region, r->elements[0].address[15]);
	reply.n_same = r->n_elements - 3;
	if (r->elements[0].id == 4001)
		reply = (struct wire_command_reply){.why = "ne4001 is taken"};
	bed_command(call, user, "ImportElements", &r->command, said, &reply);
	wire_free(r);
}

static inline void bed_adopt(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct wire_command_reply reply = {.is_done = true, .element_id = 77};
	struct wire_adopt_element_request *r;
	char said[256];

	if (wire_adopt_element_request_unpack(bytes, n, &r) != 0)
		abort();
	snprintf(said, sizeof(said), "%llu|%s|%s|%s|%u.%u", (unsigned long long)r->element.id,
		 r->element.name, r->element.kind, r->element.region, r->element.address[14],
		 r->element.address[15]);
	bed_command(call, user, "AdoptElement", &r->command, said, &reply);
	wire_free(r);
}

static inline void bed_move(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct wire_command_reply reply = {.is_done = true, .is_repeat = true};
	struct wire_move_element_request *r;
	char said[256];

	if (wire_move_element_request_unpack(bytes, n, &r) != 0)
		abort();
	snprintf(said, sizeof(said), "%s|%s|%u", r->element, r->region, r->server);
	bed_command(call, user, "MoveElement", &r->command, said, &reply);
	wire_free(r);
}

static inline void bed_drain(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct wire_command_reply reply = {.is_done = true};
	struct wire_drain_server_request *r;
	char said[256];

	if (wire_drain_server_request_unpack(bytes, n, &r) != 0)
		abort();
	snprintf(said, sizeof(said), "%u|%d", r->server, r->is_drained);
	bed_command(call, user, "DrainServer", &r->command, said, &reply);
	wire_free(r);
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

static inline void bed_stopped(uv_async_t *stop)
{
	uv_stop(stop->loop);
}

static inline void bed_listen(struct pretended *p)
{
	const struct rpc_method methods[] = {
		{WIRE_PATH("Peered", "GetStatus"), false, bed_status, p},
		{WIRE_PATH("Peered", "GetElement"), false, bed_element, p},
		{WIRE_PATH("Peered", "GetDpStats"), false, bed_dp_stats, p},
		{WIRE_PATH("Federated", "ListElements"), false, bed_elements, p},
		{WIRE_PATH("Federated", "ListAlarms"), false, bed_alarms, p},
		{WIRE_PATH("Federated", "WatchAlarms"), true, bed_watch, p},
		{WIRE_PATH("Federated", "WatchEvents"), true, bed_watch_events, p},
		{WIRE_PATH("Peered", "GetStoredStatus"), false, bed_stored_status, p},
		{WIRE_PATH("Peered", "ListElements"), false, bed_stored_elements, p},
		{WIRE_PATH("Peered", "ListAlarms"), false, bed_stored_alarms, p},
		{WIRE_PATH("Peered", "ListEvents"), false, bed_events, p},
		{WIRE_PATH("Peered", "AckAlarm"), false, bed_ack, p},
		{WIRE_PATH("Peered", "ImportElements"), false, bed_import, p},
		{WIRE_PATH("Peered", "AdoptElement"), false, bed_adopt, p},
		{WIRE_PATH("Peered", "MoveElement"), false, bed_move, p},
		{WIRE_PATH("Peered", "DrainServer"), false, bed_drain, p},
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
	    rpc_server_create(&p->server, &p->bed->loop, &address, 1, methods,
			      sizeof(methods) / sizeof(methods[0])) != 0)
		abort();
}

static inline void *bed_thread(void *bed)
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

static inline void bed_start(struct bed *b, enum manner one, enum manner two, enum manner three)
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

static inline void bed_stop(struct bed *b)
{
	uv_async_send(&b->stop);
	pthread_join(b->thread, NULL);
	uv_barrier_destroy(&b->started);
	free(b->out);
	free(b->err);
}

static inline uint32_t bed_n_asked(struct bed *b)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < N_SERVERS; i++)
		n += atomic_load(&b->servers[i].n_asked);
	return n;
}

/* 'line': the words after "bellctl --server ...", one blank between two. */
static inline enum cli_exit bed_run(struct bed *b, const char *line)
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
