/* cli_servers_change.h - what the pretended servers of cli_bed.h tell of events and do with
 * commands.
 */
#ifndef BELLWETHER_TESTS_UNIT_CP_CLI_SERVERS_CHANGE_H
#define BELLWETHER_TESTS_UNIT_CP_CLI_SERVERS_CHANGE_H

#include "tests/unit/cp/cli_servers.h"

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

#endif
