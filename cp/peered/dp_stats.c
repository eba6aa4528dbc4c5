#include <stdio.h>

#include "cp/peered/peered_private.h"
#include "cp/wire/wire.h"

static void reply_own(struct peered *p, struct rpc_call *call)
{
	struct memory_page *page = NULL;
	struct wire_bytes bytes = {0};
	struct wire_dp_stats stats;
	int err = memory_dp_stats(p->cfg.memory, &page, &stats);

	if (err == 0)
		err = wire_dp_stats_pack(&stats, &bytes);
	if (err == 0)
		rpc_call_reply(call, bytes.bytes, bytes.n);
	else
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory for these counters");
	wire_bytes_free(&bytes);
	memory_page_free(page);
}

static void forward_to(struct peered *p, struct rpc_call *call, uint16_t server)
{
	const struct wire_dp_stats_request request = {.server = server, .is_forwarded = true};
	struct wire_bytes bytes;

	if (wire_dp_stats_request_pack(&request, &bytes) < 0) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	forward(&(struct forward_request){
		.peered = p,
		.call = call,
		.path = WIRE_PATH("Peered", "GetDpStats"),
		.bytes = bytes.bytes,
		.n = bytes.n,
		.server = server,
	});
	wire_bytes_free(&bytes);
}

void dp_stats_get(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct wire_dp_stats_request *request;
	struct peered *p = user;
	uint16_t self = cluster_view(p->cfg.cluster)->self;
	char why[64];

	if (wire_dp_stats_request_unpack(bytes, n, &request) < 0) {
		rpc_call_fail(call, RPC_INVALID_ARGUMENT, "this is no request for counters");
		return;
	}
	if (request->server == 0 || request->server == self) {
		reply_own(p, call);
	} else if (request->is_forwarded) {
		snprintf(why, sizeof(why), "this is server %u, not %u", self, request->server);
		rpc_call_fail(call, RPC_FAILED_PRECONDITION, why);
	} else if (request->server > UINT16_MAX ||
		   cluster_server(p->cfg.cluster, (uint16_t)request->server) == NULL) {
		snprintf(why, sizeof(why), "no server has the id %u", request->server);
		rpc_call_fail(call, RPC_NOT_FOUND, why);
	} else {
		forward_to(p, call, (uint16_t)request->server);
	}
	wire_free(request);
}
