#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cp/cluster/state.h"
#include "cp/wire/wire.h"

/* A call names the lives of both ends, so that what somebody recorded in an earlier one of either
 * is refused, though its window forgot it. */

static int request_pack(struct cluster *c, struct wire_sealed_request *r, struct wire_bytes *out)
{
	uint8_t key[SEAL_KEY_BYTES];
	struct wire_bytes part;
	int err = wire_sealed_request_sealed_part(r, &part);

	if (err != 0)
		return err;
	seal_derive(key, c->secret, SEAL_CALL, c->self, (uint16_t)r->to, c->boot);
	seal_tag(r->seal, key, r->sequence, part.bytes, part.n);
	seal_wipe(key, sizeof(key));
	wire_bytes_free(&part);
	return wire_sealed_request_pack(r, out);
}

int cluster_call(struct cluster *c, uint16_t to, const char *method, const uint8_t *payload,
		 size_t n, uint32_t deadline_ms, rpc_done done, void *user)
{
	struct member *m = cluster_member(c, to);
	struct wire_sealed_request r = {
		.from = c->self,
		.to = to,
		.boot = c->boot,
		.method = method,
		.payload = {payload, (uint32_t)n},
	};
	struct wire_bytes bytes;
	char path[64];
	int err;

	if (m == NULL || m == c->self_member)
		return -EINVAL;
	if (n > WIRE_MESSAGE_MAX)
		return -EMSGSIZE;
	if (m->boot == 0 || !member_is_started(c))
		return -EHOSTUNREACH;
	r.to_boot = m->boot;
	r.sequence = ++m->call_sequence;
	err = request_pack(c, &r, &bytes);
	if (err != 0)
		return err;
	snprintf(path, sizeof(path), WIRE_PATH("Cluster", "%s"), method);
	err = rpc_client_call(c->client, m->call_address, path, bytes.bytes, bytes.n, deadline_ms,
			      done, user);
	wire_bytes_free(&bytes);
	return err;
}

static bool is_seal_valid(struct cluster *c, const struct wire_sealed_request *r)
{
	uint8_t key[SEAL_KEY_BYTES];
	struct wire_bytes part;
	bool is_valid;

	if (wire_sealed_request_sealed_part(r, &part) != 0)
		return false;
	seal_derive(key, c->secret, SEAL_CALL, (uint16_t)r->from, c->self, r->boot);
	is_valid = seal_is_valid(r->seal, key, r->sequence, part.bytes, part.n);
	seal_wipe(key, sizeof(key));
	wire_bytes_free(&part);
	return is_valid;
}

/* Calls under way at the same time overtake each other: any of the window's width may come in any
 * order, each once. */
static bool is_new(struct member *from, const struct wire_sealed_request *r)
{
	if (from->window_boot != r->boot) {
		from->window_boot = r->boot;
		from->window = (struct seal_window){0};
	}
	return seal_window_accept(&from->window, r->sequence);
}

static const char *refusal(struct cluster *c, const char *method,
			   const struct wire_sealed_request *r)
{
	struct member *from = cluster_member(c, (uint16_t)r->from);

	if (from == NULL || from == c->self_member || r->to != c->self)
		return "not between servers of this cluster";
	if (r->boot != from->boot)
		return "of a boot that is not heard";
	if (r->to_boot != c->boot)
		return "not for this boot of mine";
	if (strcmp(r->method, method) != 0)
		return "sealed for another method";
	if (!is_seal_valid(c, r) || !is_new(from, r))
		return "seal wrong or seen before";
	return NULL;
}

const char *cluster_unseal(struct cluster *c, const char *method, const uint8_t *bytes, size_t n,
			   struct wire_sealed_request **out)
{
	struct wire_sealed_request *r;
	const char *why;

	if (wire_sealed_request_unpack(bytes, n, &r) != 0)
		return "not a SealedRequest";
	why = refusal(c, method, r);
	if (why != NULL) {
		wire_free(r);
		return why;
	}
	*out = r;
	return NULL;
}
