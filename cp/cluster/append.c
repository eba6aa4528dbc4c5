#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cp/cluster/state.h"
#include "cp/core/core.h"
#include "cp/wire/wire.h"

#define METHOD	"AppendEntries"
#define CALL_MS 1000
#define REQUEST_BYTES                                                                              \
	(1u << 21) /* of entries; one at least goes, and no more than fits a message */

/* ---- The master's side ---- */

struct append_call {
	struct cluster *cluster;
	struct member *to;
	uint64_t call;
};

static void refusal_log(struct member *to, uint64_t match, const char *why)
{
	/* Once for each reason: the same is asked again with every beat. */
	bool is_told = strncmp(why, to->refusal, sizeof(to->refusal) - 1) == 0;

	core_log(is_told ? CORE_DEBUG : CORE_INFO,
		 "registry: entries not taken server=%u match=%llu why=%s", to->conf->id,
		 (unsigned long long)match, why);
	snprintf(to->refusal, sizeof(to->refusal), "%s", why);
}

static void on_answered(void *user, enum rpc_status status, const char *why, const uint8_t *bytes,
			size_t n)
{
	struct append_call call = *(struct append_call *)user;
	struct cluster *c = call.cluster;
	struct replog_input in = {
		.event = REPLOG_EV_FAILED, .server = call.to->conf->id, .call = call.call};
	struct wire_append_answer *a = NULL;

	free(user);
	if (status != RPC_OK || wire_append_answer_unpack(bytes, n, &a) != 0 ||
	    a->from != call.to->conf->id) {
		core_log(CORE_DEBUG, "registry: entries not answered server=%u status=%s why=%s",
			 call.to->conf->id, rpc_status_name(status), why);
	} else {
		in.event = REPLOG_EV_ANSWER;
		in.is_accepted = a->is_accepted;
		in.index = a->match;
		if (a->is_accepted)
			call.to->refusal[0] = '\0';
		else
			refusal_log(call.to, a->match, a->why);
	}
	wire_free(a);
	replica_do(c, &in);
	cluster_turn(c);
}

/* Those of the entries that fit, with their epochs. '*owned' has room for all; the caller frees
 * what is in it. */
static int entries_fill(struct cluster *c, const struct replog_append *a,
			struct wire_append_request *r, struct wire_octets *entries, uint8_t **owned)
{
	size_t bytes = 0;
	uint32_t n = 0;

	for (; n < a->n_entries; n++) {
		struct tail_entry e;
		int err = replica_entry(c, a->previous_index + 1 + n, &e, &owned[n]);

		if (err != 0)
			return err;
		bytes += e.n;
		if (n > 0 && bytes > REQUEST_BYTES)
			break;
		entries[n] = (struct wire_octets){e.bytes, (uint32_t)e.n};
	}
	r->entries = entries;
	r->n_entries = n;
	while (r->n_runs < a->n_runs && a->runs[r->n_runs].first <= a->previous_index + n)
		r->n_runs++;
	return 0;
}

static int request_pack(struct cluster *c, const struct replog_append *a, struct wire_bytes *out)
{
	struct wire_octets entries[REPLOG_BATCH_MAX];
	uint8_t *owned[REPLOG_BATCH_MAX] = {NULL};
	struct wire_log_run runs[REPLOG_SEND_RUNS_MAX];
	struct wire_append_request r = {
		.epoch = a->epoch,
		.previous_index = a->previous_index,
		.previous_epoch = a->previous_epoch,
		.committed = a->committed,
		.last = a->last,
		.to_boot = a->to_boot,
		.runs = runs,
	};
	int err;

	for (uint32_t i = 0; i < a->n_runs; i++)
		runs[i] = (struct wire_log_run){a->runs[i].epoch, a->runs[i].first};
	err = entries_fill(c, a, &r, entries, owned);
	if (err == 0)
		err = wire_append_request_pack(&r, out);
	for (uint32_t i = 0; i < a->n_entries; i++)
		free(owned[i]);
	return err;
}

void append_send(struct cluster *c, const struct replog_send *send)
{
	struct append_call *call = malloc(sizeof(*call));
	struct wire_bytes bytes = {0};
	int err = call == NULL ? -ENOMEM : request_pack(c, &send->append, &bytes);

	if (err == 0) {
		*call = (struct append_call){c, cluster_member(c, send->to), send->call};
		err = cluster_call(c, send->to, METHOD, bytes.bytes, bytes.n, CALL_MS, on_answered,
				   call);
	}
	wire_bytes_free(&bytes);
	if (err == 0)
		return;
	free(call);
	replica_lost(c, send->to, send->call);
	if (err != -ECANCELED && err != -EHOSTUNREACH) /* we are ending; it is heard soon */
		core_log(CORE_WARNING, "registry: entries not sent server=%u error=%s", send->to,
			 strerror(-err));
}

/* ---- The other side ---- */

static void answer(struct cluster *c, struct rpc_call *call, uint64_t match, const char *refusal)
{
	struct wire_append_answer a = {
		.is_accepted = refusal == NULL,
		.epoch = election_epoch(&c->election),
		.match = match,
		.why = refusal != NULL ? refusal : "",
		.from = c->self,
	};
	struct wire_bytes bytes;

	if (wire_append_answer_pack(&a, &bytes) != 0) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	rpc_call_reply(call, bytes.bytes, bytes.n);
	wire_bytes_free(&bytes);
}

/* False: not yet. */
static bool answer_if_due(struct cluster *c, const struct waiting_call *w)
{
	switch (replog_answer(&c->replog, w->from, w->epoch, w->match)) {
	case REPLOG_ACCEPTED:
		answer(c, w->call, w->match, NULL);
		return true;
	case REPLOG_REFUSED:
		answer(c, w->call, 0, "no longer the master");
		return true;
	default:
		return false;
	}
}

void append_answer_waiting(struct cluster *c)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->n_waiting; i++)
		if (!answer_if_due(c, &c->waiting[i]))
			c->waiting[n++] = c->waiting[i];
	c->n_waiting = n;
}

/* Which epoch an entry of the request is of. */
static uint64_t epoch_of(const struct replog_append *a, uint64_t index)
{
	uint64_t epoch = 0;

	for (uint32_t i = 0; i < a->n_runs && a->runs[i].first <= index; i++)
		epoch = a->runs[i].epoch;
	return epoch;
}

/* What of the request is to be given up and stored, in one write. */
static int entries_store(struct cluster *c, const struct wire_append_request *r,
			 const struct replog_append *a)
{
	const struct replog_output *out = &c->replog_out;
	uint64_t last = r->previous_index + r->n_entries;
	struct store_batch *b;
	int err = store_batch_create(&b);

	if (err == 0)
		err = replica_held_put(c, b);
	if (err == 0 && out->give_up_from != 0) {
		core_log(CORE_INFO, "registry: entries given up from=%llu epoch=%llu",
			 (unsigned long long)out->give_up_from, (unsigned long long)r->epoch);
		tail_give_up(&c->tail, out->give_up_from);
		err = registry_log_give_up(b, out->give_up_from);
	}
	for (uint64_t i = out->take_from; err == 0 && i != 0 && i <= last; i++) {
		const struct wire_octets *e = &r->entries[i - r->previous_index - 1];
		uint64_t epoch = epoch_of(a, i);

		err = tail_push(&c->tail, epoch, e->bytes, e->n);
		if (err == 0)
			err = registry_log_put(b, i, epoch, e->bytes, e->n);
		c->log_bytes += e->n;
	}
	if (err == 0)
		replica_log_write(c, b, out->write);
	return err;
}

/* What replog cannot see: it knows the entries' places, not how long they are. */
static bool is_storable(const struct wire_append_request *r)
{
	if (r->n_entries > REPLOG_BATCH_MAX || r->n_runs > REPLOG_SEND_RUNS_MAX)
		return false;
	for (uint32_t i = 0; i < r->n_entries; i++)
		if (r->entries[i].n > REGISTRY_ENTRY_MAX)
			return false;
	return true;
}

static void request_handle(struct cluster *c, struct rpc_call *call, uint16_t from,
			   const struct wire_append_request *r)
{
	struct replog_append a = {
		.epoch = r->epoch,
		.previous_index = r->previous_index,
		.previous_epoch = r->previous_epoch,
		.n_entries = r->n_entries,
		.n_runs = r->n_runs,
		.committed = r->committed,
		.last = r->last,
		.to_boot = r->to_boot,
	};
	struct replog_input in = {.event = REPLOG_EV_REQUEST, .server = from, .append = &a};
	const struct replog_output *out = &c->replog_out;
	struct waiting_call w = {call, from, r->epoch, 0};

	for (uint32_t i = 0; i < r->n_runs; i++)
		a.runs[i] = (struct replog_run){r->runs[i].epoch, r->runs[i].first};
	replica_do(c, &in);
	if (out->verdict != REPLOG_ACCEPTED) {
		answer(c, call, out->match, out->why);
		return;
	}
	w.match = out->match;
	/* Taken is taken: a vote may already stand on it. */
	if (out->write.number != 0 && entries_store(c, r, &a) != 0)
		cluster_die("registry: log not stored", -ENOMEM);
	if (answer_if_due(c, &w))
		return;
	if (c->n_waiting == CLUSTER_WAITING_MAX)
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "too many wait for the disk");
	else
		c->waiting[c->n_waiting++] = w;
}

void append_handler(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct cluster *c = user;
	struct wire_sealed_request *sealed;
	struct wire_append_request *r;
	const char *why = cluster_unseal(c, METHOD, bytes, n, &sealed);

	if (why != NULL) {
		rpc_call_fail(call, RPC_PERMISSION_DENIED, why);
		return;
	}
	if (wire_append_request_unpack(sealed->payload.bytes, sealed->payload.n, &r) != 0) {
		rpc_call_fail(call, RPC_INVALID_ARGUMENT, "not an AppendRequest");
	} else {
		if (is_storable(r))
			request_handle(c, call, (uint16_t)sealed->from, r);
		else
			rpc_call_fail(call, RPC_INVALID_ARGUMENT, "more than a log may hold");
		wire_free(r);
	}
	wire_free(sealed);
	cluster_turn(c);
}

void append_fail_waiting(struct cluster *c, const char *why)
{
	for (uint32_t i = 0; i < c->n_waiting; i++)
		rpc_call_fail(c->waiting[i].call, RPC_UNAVAILABLE, why);
	c->n_waiting = 0;
}
