#include <stdio.h>

#include "cp/peered/peered_private.h"
#include "cp/wire/wire.h"

#define WHY_BYTES 256

static void reply_own(struct peered *p, struct rpc_call *call, const struct conf_element *e)
{
	struct wire_element_reply reply;
	struct memory_page *page = NULL;
	struct wire_bytes bytes = {0};
	int answer = memory_element(p->cfg.memory, e, &page, &reply);

	if (answer == 0)
		answer = wire_element_reply_pack(&reply, &bytes);
	if (answer == 0)
		rpc_call_reply(call, bytes.bytes, bytes.n);
	else if (answer == MEMORY_NOT_OWNER)
		rpc_call_fail(call, RPC_FAILED_PRECONDITION, "not the owner of this element");
	else
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory for this element");
	wire_bytes_free(&bytes);
	memory_page_free(page);
}

static uint16_t owner_of(struct peered *p, uint64_t id)
{
	const struct conf_element *e = inventory_find_id(p->cfg.inventory, id);
	const struct ownership_cell *cell =
		e == NULL ? NULL : cluster_cell(p->cfg.cluster, e->region);

	return cell == NULL ? 0 : cell->owner;
}

static void forward_to(struct peered *p, struct rpc_call *call, const struct conf_element *e,
		       uint16_t owner)
{
	const struct wire_element_request request = {.id = e->id, .name = "", .is_forwarded = true};
	struct wire_bytes bytes;

	if (wire_element_request_pack(&request, &bytes) < 0) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	forward(&(struct forward_request){
		.peered = p,
		.call = call,
		.path = WIRE_PATH("Peered", "GetElement"),
		.bytes = bytes.bytes,
		.n = bytes.n,
		.server = owner,
		.key = e->id,
		.again = owner_of,
	});
	wire_bytes_free(&bytes);
}

void element_get(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct wire_element_request *request;
	const struct conf_element *e;
	struct peered *p = user;
	char why[WHY_BYTES];
	uint16_t owner;

	if (wire_element_request_unpack(bytes, n, &request) < 0) {
		rpc_call_fail(call, RPC_INVALID_ARGUMENT, "this is no element request");
		return;
	}
	e = request->id != 0 ? inventory_find_id(p->cfg.inventory, request->id)
			     : inventory_find_name(p->cfg.inventory, request->name);
	owner = e == NULL ? 0 : owner_of(p, e->id);
	if (e == NULL) {
		if (request->id != 0)
			snprintf(why, sizeof(why), "no element has the id %llu",
				 (unsigned long long)request->id);
		else
			snprintf(why, sizeof(why), "no element is named %.100s", request->name);
		rpc_call_fail(call, RPC_NOT_FOUND, why);
	} else if (owner == cluster_view(p->cfg.cluster)->self) {
		reply_own(p, call, e);
	} else if (request->is_forwarded) {
		rpc_call_fail(call, RPC_FAILED_PRECONDITION, "not the owner of this element");
	} else if (owner == 0) {
		snprintf(why, sizeof(why), "cell %s has no owner at the moment", e->region);
		rpc_call_fail(call, RPC_UNAVAILABLE, why);
	} else {
		forward_to(p, call, e, owner);
	}
	wire_free(request);
}
