#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cp/peered/peered_private.h"

#define DEADLINE_MS 2000
/* What is left of the client's own deadline for the way back. */
#define ANSWER_MS 20

/* One request that is on its way to a peer. */
struct forwarding {
	struct forward_request r; /* without the bytes */
	struct wire_bytes bytes;
};

static void forwarding_free(struct forwarding *f)
{
	if (f->r.free_matter != NULL)
		f->r.free_matter(f->r.matter);
	wire_bytes_free(&f->bytes);
	free(f);
}

static void send_on(struct forwarding *f);

static bool send_again(struct forwarding *f)
{
	struct wire_bytes bytes = {0};
	uint16_t now = f->r.again(f->r.peered, f->r.matter, &bytes);

	/* The same once more would be refused once more. */
	bool is_same = now == f->r.server &&
		       (bytes.bytes == NULL || (bytes.n == f->bytes.n &&
						memcmp(bytes.bytes, f->bytes.bytes, bytes.n) == 0));

	f->r.again = NULL;
	if (now == 0 || is_same) {
		wire_bytes_free(&bytes);
		return false;
	}
	if (bytes.bytes != NULL) {
		wire_bytes_free(&f->bytes);
		f->bytes = bytes;
	}
	f->r.server = now;
	send_on(f);
	return true;
}

static void answered(void *user, enum rpc_status status, const char *why, const uint8_t *bytes,
		     size_t n)
{
	struct forwarding *f = user;
	char text[256];

	if (status == RPC_FAILED_PRECONDITION && f->r.again != NULL && send_again(f))
		return;
	if (status == RPC_OK) {
		rpc_call_reply(f->r.call, bytes, n);
	} else {
		snprintf(text, sizeof(text), "server %u: %s", f->r.server, why);
		if (f->r.failed != NULL)
			f->r.failed(f->r.peered, f->r.call, f->r.matter, status, text);
		else
			rpc_call_fail(f->r.call, status, text);
	}
	forwarding_free(f);
}

static void send_on(struct forwarding *f)
{
	const struct cluster_server *to = cluster_server(f->r.peered->cfg.cluster, f->r.server);
	uint32_t left_ms = rpc_call_time_left_ms(f->r.call);
	uint32_t deadline_ms = f->r.deadline_ms != 0 ? f->r.deadline_ms : DEADLINE_MS;

	if (left_ms < deadline_ms + ANSWER_MS)
		deadline_ms = left_ms > 2 * ANSWER_MS ? left_ms - ANSWER_MS : ANSWER_MS;
	if (to == NULL || rpc_client_call(f->r.peered->cfg.client, to->call_address, f->r.path,
					  f->bytes.bytes, f->bytes.n, deadline_ms, answered, f) < 0)
		answered(f, RPC_UNAVAILABLE, "cannot be called", NULL, 0);
}

void forward(const struct forward_request *request)
{
	struct forwarding *f = calloc(1, sizeof(*f));

	if (f != NULL)
		f->bytes.bytes = malloc(request->n > 0 ? request->n : 1);
	if (f == NULL || f->bytes.bytes == NULL) {
		rpc_call_fail(request->call, RPC_RESOURCE_EXHAUSTED, "out of memory");
		if (request->free_matter != NULL)
			request->free_matter(request->matter);
		free(f);
		return;
	}
	f->r = *request;
	f->bytes.n = request->n;
	memcpy(f->bytes.bytes, request->bytes, request->n);
	send_on(f);
}
