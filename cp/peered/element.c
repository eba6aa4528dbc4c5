/* One element: from its owner's memory, or from the store where that will do. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cp/core/core.h"
#include "cp/peered/peered_private.h"

#define WHY_BYTES 256

/* What is asked for, while others are asked. */
struct matter {
	uint64_t id;
	bool is_fresh;
};

static void reply_element(struct rpc_call *call, int answer, const struct wire_element_reply *reply)
{
	struct wire_bytes bytes = {0};

	if (answer == 0)
		answer = wire_element_reply_pack(reply, &bytes);
	if (answer == 0)
		rpc_call_reply(call, bytes.bytes, bytes.n);
	else if (answer == MEMORY_NOT_OWNER)
		rpc_call_fail(call, RPC_FAILED_PRECONDITION, "not the owner of this element");
	else
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory for this element");
	wire_bytes_free(&bytes);
}

static void reply_own(struct peered *p, struct rpc_call *call, const struct conf_element *e)
{
	struct wire_element_reply reply;
	struct memory_page *page = NULL;
	int answer = memory_element(p->cfg.memory, e, &page, &reply);

	reply_element(call, answer, &reply);
	memory_page_free(page);
}

/* False: this server's store has nothing of it, or nothing that is young enough. */
static bool reply_young(struct peered *p, struct rpc_call *call, const struct conf_element *e,
			uint32_t max_age_ms)
{
	struct wire_element_reply reply;
	struct memory_page *page = NULL;
	uint64_t now_ns = core_wall_ns();
	int err = stored_element(&p->stored, e, &page, &reply);
	bool is_young = err == 0 && (now_ns <= reply.element.stored_ns ||
				     (now_ns - reply.element.stored_ns) / 1000000 <= max_age_ms);

	if (is_young)
		reply_element(call, 0, &reply);
	memory_page_free(page);
	return is_young;
}

/* ---- From the stores of all servers ---- */

/* The owner cannot be asked, and this is what will be said if the stores do not know either. */
struct fallback {
	struct peered *peered;
	struct rpc_call *call;
	uint64_t id;
	struct wire_element_reply *reply; /* without its alarms */
	enum rpc_status status;
	char why[WHY_BYTES];
};

static void fallback_end(struct fallback *f)
{
	rpc_call_fail(f->call, f->status, f->why);
	wire_free(f->reply);
	free(f);
}

static void got_alarms(void *user, int err, struct fanout_list *list)
{
	struct fallback *f = user;

	if (err < 0) {
		fallback_end(f);
		return;
	}
	f->reply->alarms = list->alarms.alarms;
	f->reply->n_alarms = 0;
	while (f->reply->n_alarms < list->alarms.n_alarms &&
	       list->alarms.alarms[f->reply->n_alarms].element_id == f->id)
		f->reply->n_alarms++;
	reply_element(f->call, 0, f->reply);
	wire_free(f->reply);
	free(f);
}

static int ask_store(struct fallback *f, enum fanout_kind kind, fanout_list_done done)
{
	const struct wire_list_request request = {
		.after_element = f->id - 1, .limit = 1, .with_cleared = true};
	/* Elements, then alarms: half of what is left for each. */
	uint32_t deadline_ms = fanout_deadline(f->call, 0) / (kind == FANOUT_ELEMENTS ? 2 : 1);

	return fanout_list(&f->peered->lists, kind, &request, deadline_ms, done, f);
}

/* A copy: the list is lent. */
static int keep_element(struct fallback *f, const struct wire_element *e)
{
	const struct wire_element_reply reply = {.element = *e};
	struct wire_bytes bytes;
	int err = wire_element_reply_pack(&reply, &bytes);

	if (err == 0) {
		err = wire_element_reply_unpack(bytes.bytes, bytes.n, &f->reply);
		wire_bytes_free(&bytes);
	}
	return err;
}

static void got_element(void *user, int err, struct fanout_list *list)
{
	struct fallback *f = user;
	const struct wire_element *e =
		err < 0 || list->elements.n_elements == 0 ? NULL : &list->elements.elements[0];

	if (e == NULL || e->id != f->id || e->stored_ns == 0 || keep_element(f, e) < 0 ||
	    ask_store(f, FANOUT_ALARMS, got_alarms) < 0)
		fallback_end(f);
}

static void fall_back(struct peered *p, struct rpc_call *call, uint64_t id, enum rpc_status status,
		      const char *why)
{
	struct fallback *f = calloc(1, sizeof(*f));

	if (f == NULL) {
		rpc_call_fail(call, status, why);
		return;
	}
	*f = (struct fallback){.peered = p, .call = call, .id = id, .status = status};
	snprintf(f->why, sizeof(f->why), "%s", why);
	if (ask_store(f, FANOUT_ELEMENTS, got_element) < 0)
		fallback_end(f);
}

/* ---- From the owner ---- */

static int pack_forwarded(struct peered *p, uint64_t id, struct wire_bytes *out)
{
	const struct ownership_cell *cell = peered_cell_of(p, id);
	struct wire_element_request request = {.id = id, .is_forwarded = true, .is_fresh = true};

	if (cell != NULL)
		request.token = (struct wire_token){cell->token.epoch, cell->token.generation};
	return wire_element_request_pack(&request, out);
}

static uint16_t owner_now(struct peered *p, void *user, struct wire_bytes *bytes)
{
	const struct matter *m = user;
	const struct ownership_cell *cell = peered_cell_of(p, m->id);

	if (cell == NULL || pack_forwarded(p, m->id, bytes) < 0)
		return 0;
	return cell->owner;
}

static void owner_failed(struct peered *p, struct rpc_call *call, void *user,
			 enum rpc_status status, const char *why)
{
	const struct matter *m = user;

	if (m->is_fresh || rpc_call_time_left_ms(call) == 0)
		rpc_call_fail(call, status, why);
	else
		fall_back(p, call, m->id, status, why);
}

static void forward_to(struct peered *p, struct rpc_call *call, uint64_t id, uint16_t owner,
		       bool is_fresh)
{
	uint32_t left_ms = rpc_call_time_left_ms(call);
	struct matter *m = malloc(sizeof(*m));
	struct wire_bytes bytes = {0};

	if (m == NULL || pack_forwarded(p, id, &bytes) < 0) {
		free(m);
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	*m = (struct matter){id, is_fresh};
	forward(&(struct forward_request){
		.peered = p,
		.call = call,
		.path = WIRE_PATH("Peered", "GetElement"),
		.bytes = bytes.bytes,
		.n = bytes.n,
		.server = owner,
		/* The store may have to be asked behind it. */
		.deadline_ms = is_fresh || left_ms > 4000 ? 0 : left_ms / 2 + 1,
		.again = owner_now,
		.failed = owner_failed,
		.matter = m,
		.free_matter = free,
	});
	wire_bytes_free(&bytes);
}

static bool is_known_dead(struct peered *p, uint16_t server)
{
	const struct cluster_server *s = cluster_server(p->cfg.cluster, server);

	return s == NULL || s->state == DETECTOR_FAILED;
}

static void get(struct peered *p, struct rpc_call *call, const struct wire_element_request *request,
		const struct conf_element *e)
{
	const struct ownership_cell *cell = cluster_cell(p->cfg.cluster, e->region);
	uint16_t owner = cell == NULL ? 0 : cell->owner;
	char why[WHY_BYTES];

	if (owner == cluster_view(p->cfg.cluster)->self) {
		reply_own(p, call, e);
		return;
	}
	if (request->is_forwarded) {
		rpc_call_fail(call, RPC_FAILED_PRECONDITION, "not the owner of this element");
		return;
	}
	if (request->max_age_ms > 0 && !request->is_fresh &&
	    reply_young(p, call, e, request->max_age_ms))
		return;
	if (owner != 0 && (request->is_fresh || !is_known_dead(p, owner))) {
		forward_to(p, call, e->id, owner, request->is_fresh);
		return;
	}
	if (owner == 0)
		snprintf(why, sizeof(why), "cell %s has no owner at the moment", e->region);
	else
		snprintf(why, sizeof(why), "server %u, the owner of cell %s, has failed", owner,
			 e->region);
	if (request->is_fresh)
		rpc_call_fail(call, RPC_UNAVAILABLE, why);
	else
		fall_back(p, call, e->id, RPC_UNAVAILABLE, why);
}

void element_get(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct wire_element_request *request;
	const struct conf_element *e;
	struct peered *p = user;
	char why[WHY_BYTES];

	if (wire_element_request_unpack(bytes, n, &request) < 0) {
		rpc_call_fail(call, RPC_INVALID_ARGUMENT, "this is no element request");
		return;
	}
	e = request->id != 0 ? inventory_find_id(p->cfg.inventory, request->id)
			     : inventory_find_name(p->cfg.inventory, request->name);
	if (e != NULL) {
		get(p, call, request, e);
	} else {
		if (request->id != 0)
			snprintf(why, sizeof(why), "no element has the id %llu",
				 (unsigned long long)request->id);
		else
			snprintf(why, sizeof(why), "no element is named %.100s", request->name);
		rpc_call_fail(call, RPC_NOT_FOUND, why);
	}
	wire_free(request);
}
