/* Commands that the master puts into the registry: done when a majority has them on disk. Whoever
 * is asked looks whether it is the acting master; if not, the request goes to the one that is.
 *
 * An import that is longer than an entry may be goes as several, one after the other, each under a
 * request id of its own that follows from the request's: a repeat does the same again. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cp/peered/peered_private.h"
#include "cp/registry/registry.h"

#define DEADLINE_MS    10000
#define NAME_BYTES_MAX 255
#define WHY_BYTES      256
#define STEP_BYTES     (1 + 10 + 1 + 16) /* "/", the step, "-", the hash */

struct order;

/* What makes one kind of command different from the others. Every request begins with its struct
 * wire_command. */
struct order_kind {
	const char *path, *what;
	int (*unpack)(const uint8_t *bytes, size_t n, void **request);
	int (*pack)(const void *request, struct wire_bytes *out);
	/* In words what is wrong with it; "": nothing. */
	void (*check)(struct peered *p, const void *request, char why[WHY_BYTES]);
	/* Entry number 'step' of it; borrows. False: there are no more. */
	bool (*entry)(struct order *o, uint32_t step, struct wire_registry_entry *e);
};

struct order {
	struct peered *peered;
	struct rpc_call *call;
	const struct order_kind *kind;
	void *request;
	struct wire_command *command;
	char made_id[COMMAND_ID_BYTES];	       /* when the client chose none */
	char step_id[WIRE_REQUEST_ID_MAX + 1]; /* of one entry of several */
	struct wire_element_spec moved;
	uint32_t step;
	struct wire_command_reply reply;
};

static void order_free(void *matter)
{
	struct order *o = matter;

	wire_free(o->request);
	free(o);
}

/* ---- On the acting master ---- */

static void decide(struct order *o);

static void decided(void *user, int err, const struct registry_outcome *outcome)
{
	struct order *o = user;

	if (err < 0) {
		command_unknown(o->call, o->command, "this server is no longer master");
		order_free(o);
		return;
	}
	o->reply.n_added += outcome->n_added;
	o->reply.n_changed += outcome->n_changed;
	o->reply.n_same += outcome->n_same;
	o->reply.index = outcome->index;
	o->reply.element_id = outcome->element_id;
	o->reply.is_repeat = outcome->is_repeat && (o->step == 0 || o->reply.is_repeat);
	o->reply.is_done = !outcome->is_refused;
	if (outcome->is_refused) {
		o->reply.why = outcome->why;
		command_reply(o->call, &o->reply);
		order_free(o);
		return;
	}
	o->step++;
	decide(o);
}

/* ---- To it ---- */

static uint16_t master_now(struct peered *p, void *matter, struct wire_bytes *bytes)
{
	return cluster_view(p->cfg.cluster)->master;
}

static void master_failed(struct peered *p, struct rpc_call *call, void *matter,
			  enum rpc_status status, const char *why)
{
	const struct order *o = matter;

	command_failed(call, o->command, status, why, "there is no master at the moment");
}

static void forward_to_master(struct order *o)
{
	const struct cluster_view *view = cluster_view(o->peered->cfg.cluster);
	struct wire_bytes bytes;

	if (view->master == 0 || view->master == view->self) {
		rpc_call_fail(o->call, RPC_UNAVAILABLE, "there is no master at the moment");
		order_free(o);
		return;
	}
	o->command->is_forwarded = true;
	if (o->kind->pack(o->request, &bytes) < 0) {
		rpc_call_fail(o->call, RPC_RESOURCE_EXHAUSTED, "out of memory for this command");
		order_free(o);
		return;
	}
	forward(&(struct forward_request){
		.peered = o->peered,
		.call = o->call,
		.path = o->kind->path,
		.bytes = bytes.bytes,
		.n = bytes.n,
		.server = view->master,
		.deadline_ms = DEADLINE_MS,
		.again = master_now,
		.failed = master_failed,
		.matter = o,
		.free_matter = order_free,
	});
	wire_bytes_free(&bytes);
}

static void refused_here(struct order *o, int err)
{
	if (err == -EDQUOT) {
		rpc_call_fail(o->call, RPC_RESOURCE_EXHAUSTED,
			      "more elements or cells than memory.elements_max and "
			      "memory.cells_max allow");
		order_free(o);
	} else if (err == -EMSGSIZE) {
		rpc_call_fail(o->call, RPC_INVALID_ARGUMENT, "names that are too long");
		order_free(o);
	} else if (err != -EAGAIN) {
		rpc_call_fail(o->call, RPC_RESOURCE_EXHAUSTED, "too much waits here: again later");
		order_free(o);
	} else if (o->step > 0) {
		command_unknown(o->call, o->command, "this server is no longer master");
		order_free(o);
	} else if (o->command->is_forwarded) {
		rpc_call_fail(o->call, RPC_FAILED_PRECONDITION, "not the acting master");
		order_free(o);
	} else {
		forward_to_master(o);
	}
}

static void decide(struct order *o)
{
	struct wire_registry_entry e = {.request_id = o->command->request_id,
					.operator_name = o->command->operator_name,
					.cell = "",
					.element = "",
					.event = ""};
	int err;

	if (!o->kind->entry(o, o->step, &e)) {
		command_reply(o->call, &o->reply);
		order_free(o);
		return;
	}
	err = cluster_command(o->peered->cfg.cluster, &e, decided, o);
	if (err < 0)
		refused_here(o, err);
}

static void handle(const struct order_kind *kind, struct rpc_call *call, const uint8_t *bytes,
		   size_t n, struct peered *p)
{
	struct order *o = calloc(1, sizeof(*o));
	char why[WHY_BYTES] = "";
	const char *fault;

	if (o == NULL) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory for this command");
		return;
	}
	*o = (struct order){.peered = p, .call = call, .kind = kind};
	if (kind->unpack(bytes, n, &o->request) < 0) {
		snprintf(why, sizeof(why), "this is no request to %s", kind->what);
		goto refuse;
	}
	o->command = o->request;
	command_complete(o->command, o->made_id);
	fault = command_name_fault(o->command->operator_name, REGISTRY_OPERATOR_MAX);
	if (fault != NULL)
		snprintf(why, sizeof(why), "the operator's name %s", fault);
	else
		kind->check(p, o->request, why);
	if (why[0] != '\0')
		goto refuse;
	o->reply = (struct wire_command_reply){.why = "",
					       .answered_by = cluster_view(p->cfg.cluster)->self};
	decide(o);
	return;
refuse:
	rpc_call_fail(call, RPC_INVALID_ARGUMENT, why);
	order_free(o);
}

/* ---- The kinds ---- */

#define UNPACK_AND_PACK(name)                                                                      \
	static int unpack_##name(const uint8_t *bytes, size_t n, void **request)                   \
	{                                                                                          \
		struct wire_##name##_request *m = NULL;                                            \
		int err = wire_##name##_request_unpack(bytes, n, &m);                              \
                                                                                                   \
		*request = m;                                                                      \
		return err;                                                                        \
	}                                                                                          \
	static int pack_##name(const void *request, struct wire_bytes *out)                        \
	{                                                                                          \
		return wire_##name##_request_pack(request, out);                                   \
	}
UNPACK_AND_PACK(import_elements)
UNPACK_AND_PACK(adopt_element)
UNPACK_AND_PACK(move_element)
UNPACK_AND_PACK(drain_server)

/* What the registry cannot say better: it refuses what does not go together with what is there. */
static bool check_spec(const struct wire_element_spec *s, char why[WHY_BYTES])
{
	const char *fault = command_name_fault(s->name, NAME_BYTES_MAX);

	if (fault != NULL)
		snprintf(why, WHY_BYTES, "the name of element %llu %s", (unsigned long long)s->id,
			 fault);
	else if ((fault = command_name_fault(s->region, WIRE_CELL_NAME_MAX)) != NULL)
		snprintf(why, WHY_BYTES, "the region of element %.100s %s", s->name, fault);
	return fault == NULL;
}

static void check_server(struct peered *p, uint32_t server, char why[WHY_BYTES])
{
	if (server > UINT16_MAX || cluster_server(p->cfg.cluster, (uint16_t)server) == NULL)
		snprintf(why, WHY_BYTES, "no server has the id %u", server);
}

static void check_import(struct peered *p, const void *request, char why[WHY_BYTES])
{
	const struct wire_import_elements_request *r = request;

	if (r->n_elements == 0)
		snprintf(why, WHY_BYTES, "there are no elements to import");
	for (uint32_t i = 0; i < r->n_elements; i++) {
		if (r->elements[i].id == 0)
			snprintf(why, WHY_BYTES, "element %.100s has no id", r->elements[i].name);
		if (why[0] != '\0' || !check_spec(&r->elements[i], why))
			return;
	}
}

/* The request's id, as far as there is room, and what tells it from all others: the step of another
 * request would count as done. */
static void step_name(struct order *o, uint32_t step)
{
	const char *id = o->command->request_id;
	size_t n = strnlen(id, WIRE_REQUEST_ID_MAX - STEP_BYTES);
	uint64_t hash = 0xcbf29ce484222325u;

	for (const char *at = id; *at != '\0'; at++)
		hash = (hash ^ (uint8_t)*at) * 0x100000001b3u;
	while (n > 0 && ((uint8_t)id[n] & 0xc0) == 0x80)
		n--; /* not inside a character */
	snprintf(o->step_id, sizeof(o->step_id), "%.*s/%u-%016llx", (int)n, id, step,
		 (unsigned long long)hash);
}

static bool import_entry(struct order *o, uint32_t step, struct wire_registry_entry *e)
{
	const struct wire_import_elements_request *r = o->request;
	uint32_t first = step * REGISTRY_ELEMENTS_MAX;

	if (first >= r->n_elements)
		return false;
	e->kind = WIRE_REGISTRY_ELEMENTS;
	e->event = "elements_imported";
	e->elements = r->elements + first;
	e->n_elements = r->n_elements - first < REGISTRY_ELEMENTS_MAX ? r->n_elements - first
								      : REGISTRY_ELEMENTS_MAX;
	if (step > 0) {
		step_name(o, step);
		e->request_id = o->step_id;
	}
	return true;
}

static void check_adoption(struct peered *p, const void *request, char why[WHY_BYTES])
{
	check_spec(&((const struct wire_adopt_element_request *)request)->element, why);
}

static bool adoption_entry(struct order *o, uint32_t step, struct wire_registry_entry *e)
{
	struct wire_adopt_element_request *r = o->request;

	e->kind = WIRE_REGISTRY_ELEMENTS;
	e->event = "element_adopted";
	e->element = r->element.name;
	e->elements = &r->element;
	e->n_elements = 1;
	return step == 0;
}

static void check_move(struct peered *p, const void *request, char why[WHY_BYTES])
{
	const struct wire_move_element_request *r = request;
	const char *fault = command_name_fault(r->element, NAME_BYTES_MAX);

	if (fault != NULL)
		snprintf(why, WHY_BYTES, "the element's name %s", fault);
	else if ((r->region[0] == '\0') == (r->server == 0))
		snprintf(why, WHY_BYTES,
			 "name the region that it goes into, or the server that its cell goes to");
	else if (r->server != 0)
		check_server(p, r->server, why);
	else if ((fault = command_name_fault(r->region, WIRE_CELL_NAME_MAX)) != NULL)
		snprintf(why, WHY_BYTES, "the region %s", fault);
	if (why[0] == '\0' && inventory_find_name(p->cfg.inventory, r->element) == NULL)
		snprintf(why, WHY_BYTES, "no element is named %.100s", r->element);
}

static bool move_entry(struct order *o, uint32_t step, struct wire_registry_entry *e)
{
	const struct wire_move_element_request *r = o->request;
	const struct conf_element *found =
		inventory_find_name(o->peered->cfg.inventory, r->element);

	if (step > 0)
		return false;
	e->element = r->element;
	if (r->server != 0) {
		e->kind = WIRE_REGISTRY_PIN;
		e->event = "cell_pinned";
		e->server = r->server;
		e->cell = found == NULL ? "" : found->region;
		return true;
	}
	o->moved = (struct wire_element_spec){.name = r->element, .kind = "", .region = r->region};
	e->kind = WIRE_REGISTRY_ELEMENTS;
	e->event = "element_moved";
	e->cell = r->region;
	e->elements = &o->moved;
	e->n_elements = 1;
	return true;
}

static void check_drain(struct peered *p, const void *request, char why[WHY_BYTES])
{
	check_server(p, ((const struct wire_drain_server_request *)request)->server, why);
}

static bool drain_entry(struct order *o, uint32_t step, struct wire_registry_entry *e)
{
	const struct wire_drain_server_request *r = o->request;

	e->kind = WIRE_REGISTRY_DRAIN;
	e->server = r->server;
	e->is_set = r->is_drained;
	return step == 0;
}

#define KIND(method, words, name, check_name, entry_name)                                          \
	{                                                                                          \
		WIRE_PATH("Peered", method), words, unpack_##name, pack_##name, check_name,        \
			entry_name                                                                 \
	}

void order_import(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	static const struct order_kind kind = KIND("ImportElements", "import elements",
						   import_elements, check_import, import_entry);

	handle(&kind, call, bytes, n, user);
}

void order_adopt(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	static const struct order_kind kind = KIND("AdoptElement", "adopt an element",
						   adopt_element, check_adoption, adoption_entry);

	handle(&kind, call, bytes, n, user);
}

void order_move(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	static const struct order_kind kind =
		KIND("MoveElement", "move an element", move_element, check_move, move_entry);

	handle(&kind, call, bytes, n, user);
}

void order_drain(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	static const struct order_kind kind =
		KIND("DrainServer", "drain a server", drain_server, check_drain, drain_entry);

	handle(&kind, call, bytes, n, user);
}
