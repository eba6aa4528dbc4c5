/* What an operator says of an alarm: to the alarm's owner, done when it is on disk there and at the
 * standby. A repeat of the request id is answered with the number of the event that is there. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cp/core/core.h"
#include "cp/peered/peered_private.h"
#include "cp/registry/registry.h"

#define DEADLINE_MS 5000
#define WHY_BYTES   256
/* So far back a repeated request id is looked for. */
#define REPEAT_NS      (15u * 60u * 1000000000ull)
#define REPEATS_MAX    1000
#define TEXT_BYTES_MAX 1024

struct ack {
	struct peered *peered; /* NULL: it ended before this was stored */
	uint16_t self;
	struct rpc_call *call;
	struct wire_ack_alarm_request *request;
	char made_id[COMMAND_ID_BYTES];
	struct ack *next; /* of those that wait to be stored here */
	struct ack *same; /* ... under the same request id: they get the same answer */
};

static void ack_free(void *matter)
{
	struct ack *a = matter;

	wire_free(a->request);
	free(a);
}

static void ack_fail(struct ack *a, enum rpc_status status, const char *why)
{
	rpc_call_fail(a->call, status, why);
	ack_free(a);
}

/* ---- On the owner ---- */

static void reply(struct ack *a, uint64_t number, bool is_repeat, bool is_degraded)
{
	command_reply(a->call, &(struct wire_command_reply){
				       .is_done = true,
				       .is_repeat = is_repeat,
				       .is_degraded = is_degraded,
				       .why = "",
				       .n_changed = 1,
				       .answered_by = a->self,
				       .index = number,
			       });
	ack_free(a);
}

static void answer(struct ack *a, uint64_t number, bool is_repeat, bool is_degraded)
{
	if (number != 0) {
		reply(a, number, is_repeat, is_degraded);
		return;
	}
	command_unknown(a->call, &a->request->command, "this server ends");
	ack_free(a);
}

static void stored(void *user, uint64_t number, bool is_degraded)
{
	struct ack *a = user, *same, *next;
	struct ack **link = a->peered == NULL ? NULL : &a->peered->acks;

	while (link != NULL && *link != a)
		link = &(*link)->next;
	if (link != NULL)
		*link = a->next;
	for (same = a->same; same != NULL; same = next) {
		next = same->same;
		answer(same, number, true, is_degraded);
	}
	answer(a, number, false, is_degraded);
}

void ack_leave_all(struct peered *p)
{
	while (p->acks != NULL) {
		struct ack *a = p->acks;

		p->acks = a->next;
		a->peered = NULL;
	}
}

/* True: it waits already, and this one waits with it. */
static bool joins_waiting(struct ack *a)
{
	for (struct ack *other = a->peered->acks; other != NULL; other = other->next) {
		if (strcmp(other->request->command.request_id, a->request->command.request_id) != 0)
			continue;
		a->same = other->same;
		other->same = a;
		return true;
	}
	return false;
}

/* The number of the event that this request made earlier; 0: it did not. <0: -errno. */
static int find_repeat(struct ack *a, uint64_t *number)
{
	static const char *kinds[] = {"acknowledged", "unacknowledged"};
	uint64_t now_ns = core_wall_ns();
	const struct wire_event_query query = {
		.after = "",
		.cell = "",
		.element = a->request->element,
		.since_ns = now_ns > REPEAT_NS ? now_ns - REPEAT_NS : 0,
		.kinds = kinds,
		.n_kinds = 2,
		.limit = REPEATS_MAX,
		.is_newest = true,
		.is_local = true,
	};
	struct memory_page *page = NULL;
	struct wire_event_list list;
	int err = eventlog_query(a->peered->cfg.eventlog, &query, &page, &list);

	*number = 0;
	for (uint32_t i = 0; err == 0 && i < list.n_events; i++)
		if (strcmp(list.events[i].request_id, a->request->command.request_id) == 0)
			*number = list.events[i].number;
	memory_page_free(page);
	return err;
}

static const struct wire_alarm *find_alarm(const struct wire_element_reply *element,
					   const struct wire_ack_alarm_request *r)
{
	for (uint32_t i = 0; i < element->n_alarms; i++) {
		const struct wire_alarm *alarm = &element->alarms[i];

		if (strcmp(alarm->type, r->type) == 0 &&
		    strcmp(alarm->resource, r->resource) == 0 &&
		    strcmp(alarm->qualifier, r->qualifier) == 0)
			return alarm;
	}
	return NULL;
}

static struct wire_octets octets(const char *text)
{
	return (struct wire_octets){(const uint8_t *)text, (uint32_t)strlen(text)};
}

static int append(struct ack *a, const struct ownership_cell *cell, const struct wire_alarm *alarm)
{
	const struct wire_ack_alarm_request *r = a->request;
	uint64_t now_ns = core_wall_ns();
	const struct wire_alarm_note note = {
		.element_id = alarm->element_id,
		.raised_ns = alarm->raised_ns,
		.time_ns = now_ns,
		.type = octets(alarm->type),
		.resource = octets(alarm->resource),
		.qualifier = octets(alarm->qualifier),
		.is_ack = r->is_ack,
		.operator_name = r->command.operator_name,
		.text = r->text,
		.request_id = r->command.request_id,
	};
	struct wire_event e = {
		.kind = r->is_ack ? "acknowledged" : "unacknowledged",
		.alarm = *alarm,
		.has_alarm = true,
		.cell = cell->name,
		.token = {cell->token.epoch, cell->token.generation},
		.operator_name = r->command.operator_name,
		.request_id = r->command.request_id,
		.text = r->text,
	};

	e.alarm.operator_state = r->is_ack ? "ack" : "none";
	e.alarm.operator_name = r->command.operator_name;
	e.alarm.operator_text = r->text;
	e.alarm.operator_ns = now_ns;
	return eventlog_append(a->peered->cfg.eventlog, &e, &note, stored, a);
}

static void apply(struct ack *a, const struct conf_element *element,
		  const struct ownership_cell *cell)
{
	struct wire_element_reply known;
	struct memory_page *page = NULL;
	const struct wire_alarm *alarm;
	char why[WHY_BYTES];
	uint64_t number;
	int err;

	if (joins_waiting(a))
		return;
	err = find_repeat(a, &number);
	if (err == 0 && number != 0) {
		reply(a, number, true, false);
		return;
	}
	if (err == 0)
		err = memory_element(a->peered->cfg.memory, element, &page, &known);
	if (err == 0) {
		alarm = find_alarm(&known, a->request);
		if (alarm == NULL) {
			snprintf(why, sizeof(why), "element %.100s has no alarm %.60s of %.60s",
				 element->name, a->request->type, a->request->resource);
			ack_fail(a, RPC_NOT_FOUND, why);
			memory_page_free(page);
			return;
		}
		a->next = a->peered->acks;
		a->peered->acks = a;
		err = append(a, cell, alarm);
		if (err < 0)
			a->peered->acks = a->next;
	}
	memory_page_free(page);
	if (err != 0)
		ack_fail(a, RPC_RESOURCE_EXHAUSTED, "no room to store this");
}

/* ---- To the owner ---- */

static const struct ownership_cell *cell_of(struct peered *p,
					    const struct wire_ack_alarm_request *r)
{
	const struct conf_element *e = inventory_find_name(p->cfg.inventory, r->element);

	return e == NULL ? NULL : cluster_cell(p->cfg.cluster, e->region);
}

static int pack_forwarded(struct ack *a, const struct ownership_cell *cell, struct wire_bytes *out)
{
	a->request->command.is_forwarded = true;
	a->request->command.token = (struct wire_token){cell->token.epoch, cell->token.generation};
	return wire_ack_alarm_request_pack(a->request, out);
}

static uint16_t owner_now(struct peered *p, void *matter, struct wire_bytes *bytes)
{
	struct ack *a = matter;
	const struct ownership_cell *cell = cell_of(p, a->request);

	return cell == NULL || pack_forwarded(a, cell, bytes) < 0 ? 0 : cell->owner;
}

static void owner_failed(struct peered *p, struct rpc_call *call, void *matter,
			 enum rpc_status status, const char *why)
{
	const struct ack *a = matter;

	command_failed(call, &a->request->command, status, why, "the alarm's cell is moving");
}

static void forward_to_owner(struct ack *a, const struct ownership_cell *cell)
{
	struct wire_bytes bytes;

	if (pack_forwarded(a, cell, &bytes) < 0) {
		ack_fail(a, RPC_RESOURCE_EXHAUSTED, "out of memory for this command");
		return;
	}
	forward(&(struct forward_request){
		.peered = a->peered,
		.call = a->call,
		.path = WIRE_PATH("Peered", "AckAlarm"),
		.bytes = bytes.bytes,
		.n = bytes.n,
		.server = cell->owner,
		.deadline_ms = DEADLINE_MS,
		.again = owner_now,
		.failed = owner_failed,
		.matter = a,
		.free_matter = ack_free,
	});
	wire_bytes_free(&bytes);
}

/* A forwarded command that was sent under another token was sent by a server that does not know yet
 * what became of the cell, or knows what we do not. */
static bool is_same_token(const struct wire_command *c, const struct ownership_cell *cell)
{
	return c->token.epoch == cell->token.epoch && c->token.generation == cell->token.generation;
}

static void route(struct ack *a)
{
	struct peered *p = a->peered;
	const struct wire_command *c = &a->request->command;
	const struct conf_element *e = inventory_find_name(p->cfg.inventory, a->request->element);
	const struct ownership_cell *cell;
	char why[WHY_BYTES];

	if (e == NULL) {
		snprintf(why, sizeof(why), "no element is named %.100s", a->request->element);
		ack_fail(a, RPC_NOT_FOUND, why);
		return;
	}
	cell = cluster_cell(p->cfg.cluster, e->region);
	if (cell == NULL || cell->owner == 0) {
		snprintf(why, sizeof(why), "cell %s has no owner at the moment", e->region);
		ack_fail(a, RPC_UNAVAILABLE, why);
	} else if (c->is_forwarded && cell->owner != cluster_view(p->cfg.cluster)->self) {
		ack_fail(a, RPC_FAILED_PRECONDITION, "not the owner of this alarm");
	} else if (c->is_forwarded && !is_same_token(c, cell)) {
		ack_fail(a, RPC_FAILED_PRECONDITION, "the cell has another token");
	} else if (cell->owner == cluster_view(p->cfg.cluster)->self) {
		apply(a, e, cell);
	} else {
		forward_to_owner(a, cell);
	}
}

static const char *fault_of(const struct wire_ack_alarm_request *r)
{
	if (r->element[0] == '\0')
		return "no element is named";
	if (r->type[0] == '\0')
		return "no alarm type is named";
	if (strlen(r->text) > TEXT_BYTES_MAX)
		return "the text is longer than 1024 octets";
	if (command_name_fault(r->command.operator_name, REGISTRY_OPERATOR_MAX) != NULL)
		return "the operator's name is too long or has a control character in it";
	return NULL;
}

void ack_alarm(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct ack *a = calloc(1, sizeof(*a));
	const char *fault;

	if (a == NULL) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory for this command");
		return;
	}
	a->peered = user;
	a->self = cluster_view(a->peered->cfg.cluster)->self;
	a->call = call;
	if (wire_ack_alarm_request_unpack(bytes, n, &a->request) < 0) {
		ack_fail(a, RPC_INVALID_ARGUMENT, "this is no acknowledgement");
		return;
	}
	command_complete(&a->request->command, a->made_id);
	fault = fault_of(a->request);
	if (fault != NULL)
		ack_fail(a, RPC_INVALID_ARGUMENT, fault);
	else
		route(a);
}
