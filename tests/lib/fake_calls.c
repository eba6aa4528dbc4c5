#include "tests/lib/fake_calls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cp/wire/wire.h"

#define CLUSTERS_MAX 8
#define SERVERS_MAX  8
#define NOBODY	     "127.0.0.1:9" /* discard: nobody listens */

struct calls {
	struct cluster *cluster;
	struct rpc_client *client;
	uint32_t boot;
	uint64_t sequence;
	enum fake_calls_fate fates[SERVERS_MAX];
	uint32_t n_made[SERVERS_MAX];
	void (*restored)(void *user, const char *cell, struct ownership_token token);
	void *user;
};

static struct calls all[CLUSTERS_MAX];

static struct calls *find(struct cluster *c)
{
	for (int i = 0; i < CLUSTERS_MAX; i++)
		if (all[i].cluster == c)
			return &all[i];
	abort();
}

void fake_calls_attach(struct cluster *c, struct rpc_client *client, uint32_t boot,
		       void (*restored)(void *user, const char *cell, struct ownership_token token),
		       void *user)
{
	*find(NULL) = (struct calls){.cluster = c,
				     .client = client,
				     .boot = boot,
				     .sequence = 1000,
				     .restored = restored,
				     .user = user};
}

void fake_calls_delay(struct cluster *c, uint64_t by)
{
	find(c)->sequence -= by;
}

void fake_calls_fate(struct cluster *c, uint16_t to, enum fake_calls_fate fate)
{
	find(c)->fates[to] = fate;
}

uint32_t fake_calls_made(struct cluster *c, uint16_t to)
{
	return find(c)->n_made[to];
}

void fake_calls_detach(struct cluster *c)
{
	*find(c) = (struct calls){0};
}

struct lost {
	rpc_done done;
	void *user;
};

static void on_lost(void *user, enum rpc_status status, const char *why, const uint8_t *bytes,
		    size_t n)
{
	struct lost *l = user;

	l->done(l->user, RPC_UNAVAILABLE, "the answer was lost", NULL, 0);
	free(l);
}

/* ---- What cluster.h promises ---- */

int cluster_call(struct cluster *c, uint16_t to, const char *method, const uint8_t *payload,
		 size_t n, uint32_t deadline_ms, rpc_done done, void *user)
{
	struct calls *calls = find(c);
	const struct wire_sealed_request r = {
		.from = cluster_view(c)->self,
		.to = to,
		.boot = calls->boot,
		.sequence = ++calls->sequence,
		.method = method,
		.payload = {payload, (uint32_t)n},
	};
	const char *address = cluster_server(c, to)->call_address;
	struct wire_bytes bytes;
	char path[64];
	int err;

	calls->n_made[to]++;
	if (calls->fates[to] == FAKE_CALLS_FAIL)
		address = NOBODY;
	if (calls->fates[to] == FAKE_CALLS_LOSE_ANSWER) {
		struct lost *l = malloc(sizeof(*l));

		if (l == NULL)
			abort();
		*l = (struct lost){done, user};
		done = on_lost;
		user = l;
	}
	if (wire_sealed_request_pack(&r, &bytes) != 0)
		abort();
	snprintf(path, sizeof(path), WIRE_PATH("Cluster", "%s"), method);
	err = rpc_client_call(calls->client, address, path, bytes.bytes, bytes.n, deadline_ms, done,
			      user);
	if (err != 0)
		abort();
	wire_bytes_free(&bytes);
	return 0;
}

const char *cluster_unseal(struct cluster *c, const char *method, const uint8_t *bytes, size_t n,
			   struct wire_sealed_request **out)
{
	if (wire_sealed_request_unpack(bytes, n, out) != 0)
		return "not a SealedRequest";
	if (strcmp((*out)->method, method) == 0)
		return NULL;
	wire_free(*out);
	return "sealed for another method";
}

void cluster_restored(struct cluster *c, const char *cell, struct ownership_token token)
{
	struct calls *calls = find(c);

	calls->restored(calls->user, cell, token);
}
