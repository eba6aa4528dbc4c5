#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cp/peered/peered_private.h"

#define DEADLINE_MS 2000
/* What is left of the client's own deadline for the way back. */
#define ANSWER_MS 20

/* One request that is on its way to a peer. */
struct forward {
	struct peered *peered;
	struct rpc_call *call;
	const char *path;
	uint16_t server;
	uint64_t key;
	uint16_t (*again)(struct peered *p, uint64_t key);
	size_t n;
	uint8_t bytes[];
};

static void send_on(struct forward *f);

static void answered(void *user, enum rpc_status status, const char *why, const uint8_t *bytes,
		     size_t n)
{
	struct forward *f = user;
	char text[256];

	if (status == RPC_FAILED_PRECONDITION && f->again != NULL) {
		uint16_t now = f->again(f->peered, f->key);

		f->again = NULL;
		if (now != 0 && now != f->server) {
			f->server = now;
			send_on(f);
			return;
		}
	}
	if (status == RPC_OK) {
		rpc_call_reply(f->call, bytes, n);
	} else {
		snprintf(text, sizeof(text), "server %u: %s", f->server, why);
		rpc_call_fail(f->call, status, text);
	}
	free(f);
}

static void send_on(struct forward *f)
{
	const struct cluster_server *to = cluster_server(f->peered->cfg.cluster, f->server);
	uint32_t left_ms = rpc_call_time_left_ms(f->call);
	uint32_t deadline_ms = DEADLINE_MS;

	if (left_ms < deadline_ms + ANSWER_MS)
		deadline_ms = left_ms > 2 * ANSWER_MS ? left_ms - ANSWER_MS : ANSWER_MS;
	if (to == NULL || rpc_client_call(f->peered->cfg.client, to->call_address, f->path,
					  f->bytes, f->n, deadline_ms, answered, f) < 0)
		answered(f, RPC_UNAVAILABLE, "cannot be called", NULL, 0);
}

void forward(const struct forward_request *request)
{
	struct forward *f = malloc(sizeof(*f) + request->n);

	if (f == NULL) {
		rpc_call_fail(request->call, RPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	f->peered = request->peered;
	f->call = request->call;
	f->path = request->path;
	f->server = request->server;
	f->key = request->key;
	f->again = request->again;
	f->n = request->n;
	memcpy(f->bytes, request->bytes, request->n);
	send_on(f);
}
