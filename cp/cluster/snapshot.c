#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cp/cluster/state.h"
#include "cp/core/core.h"
#include "cp/wire/wire.h"

#define METHOD	    "InstallSnapshot"
#define CALL_MS	    10000 /* for one chunk, onto the other's disk */
#define CHUNK_BYTES (1u << 19)
/* The store cannot use a page again that was replaced since the snapshot began. */
#define SEND_MS_MAX 120000

/* ---- The master's side ---- */

struct snapshot_sending {
	struct registry_snapshot *snapshot;
	uint64_t call;		     /* of replog */
	uint64_t epoch;		     /* of this master */
	uint64_t index, index_epoch; /* the state is that after this entry */
	uint64_t begun_ms;
	uint32_t number; /* of the chunk under way */
	bool is_last;
};

struct chunk_call {
	struct cluster *cluster;
	struct member *to;
	uint64_t call;
};

static void sending_end(struct member *to)
{
	if (to->sends == NULL)
		return;
	registry_snapshot_end(to->sends->snapshot);
	free(to->sends);
	to->sends = NULL;
}

static void sending_fail(struct cluster *c, struct member *to, const char *why)
{
	core_log(CORE_INFO, "registry: snapshot given up server=%u index=%llu chunk=%u why=%s",
		 to->conf->id, (unsigned long long)to->sends->index, to->sends->number, why);
	replica_lost(c, to->conf->id, to->sends->call);
	sending_end(to);
}

static void on_chunk_answered(void *user, enum rpc_status status, const char *why,
			      const uint8_t *bytes, size_t n);

static int chunk_send(struct cluster *c, struct member *to)
{
	struct snapshot_sending *s = to->sends;
	struct wire_snapshot_chunk chunk = {
		.epoch = s->epoch,
		.index = s->index,
		.index_epoch = s->index_epoch,
		.number = s->number,
	};
	struct chunk_call *call = malloc(sizeof(*call));
	struct wire_bytes packed = {0};
	int err = call == NULL ? -ENOMEM : 0;

	if (err == 0)
		err = registry_snapshot_next(s->snapshot, CHUNK_BYTES, &chunk.rows, &chunk.n_rows,
					     &chunk.is_last);
	if (err == 0)
		err = wire_snapshot_chunk_pack(&chunk, &packed);
	if (err == 0) {
		s->is_last = chunk.is_last;
		*call = (struct chunk_call){c, to, s->call};
		err = cluster_call(c, to->conf->id, METHOD, packed.bytes, packed.n, CALL_MS,
				   on_chunk_answered, call);
	}
	wire_bytes_free(&packed);
	if (err != 0)
		free(call);
	return err > 0 ? -EBADMSG : err;
}

static void sending_done(struct cluster *c, struct member *to)
{
	struct replog_input in = {
		.event = REPLOG_EV_ANSWER,
		.server = to->conf->id,
		.call = to->sends->call,
		.is_accepted = true,
		.index = to->sends->index,
	};

	core_log(CORE_INFO, "registry: snapshot sent server=%u index=%llu chunks=%u", to->conf->id,
		 (unsigned long long)in.index, to->sends->number + 1);
	sending_end(to);
	replica_do(c, &in);
}

static void chunk_answered(struct cluster *c, struct member *to,
			   const struct wire_snapshot_answer *a)
{
	struct snapshot_sending *s = to->sends;
	int err;

	if (!a->is_accepted || a->from != to->conf->id) {
		sending_fail(c, to, a->why);
		return;
	}
	if (s->is_last) {
		sending_done(c, to);
		return;
	}
	if (core_now_ms() - s->begun_ms > SEND_MS_MAX) {
		sending_fail(c, to, "it takes too long");
		return;
	}
	s->number++;
	err = chunk_send(c, to);
	if (err != 0)
		sending_fail(c, to, strerror(-err));
}

static void on_chunk_answered(void *user, enum rpc_status status, const char *why,
			      const uint8_t *bytes, size_t n)
{
	struct chunk_call call = *(struct chunk_call *)user;
	struct wire_snapshot_answer *a = NULL;

	free(user);
	if (call.to->sends == NULL || call.to->sends->call != call.call)
		return; /* given up meanwhile */
	if (status != RPC_OK || wire_snapshot_answer_unpack(bytes, n, &a) != 0)
		sending_fail(call.cluster, call.to,
			     status != RPC_OK ? why : "not a SnapshotAnswer");
	else
		chunk_answered(call.cluster, call.to, a);
	wire_free(a);
	cluster_turn(call.cluster);
}

void snapshot_send(struct cluster *c, const struct replog_send *send)
{
	struct member *to = cluster_member(c, send->to);
	struct snapshot_sending *s = calloc(1, sizeof(*s));
	int err = s == NULL ? -ENOMEM : 0;

	sending_end(to);
	if (err == 0)
		err = registry_snapshot_begin(&s->snapshot, c->registry, &s->index,
					      &s->index_epoch);
	if (err != 0) {
		free(s);
		core_log(CORE_WARNING, "registry: snapshot not begun server=%u error=%s", send->to,
			 err < 0 ? strerror(-err) : "the store is damaged");
		replica_lost(c, send->to, send->call);
		return;
	}
	s->call = send->call;
	s->epoch = c->role.epoch;
	s->begun_ms = core_now_ms();
	to->sends = s;
	core_log(CORE_INFO, "registry: snapshot begun server=%u index=%llu", send->to,
		 (unsigned long long)s->index);
	err = chunk_send(c, to);
	if (err != 0)
		sending_fail(c, to, strerror(-err));
}

void snapshot_turn(struct cluster *c)
{
	for (uint32_t i = 0; i < c->n_members; i++) {
		struct member *m = &c->members[i];

		if (m->sends != NULL && (!c->role.is_acting || m->sends->epoch != c->role.epoch))
			sending_fail(c, m, "no longer the master");
	}
}

/* ---- The other side ---- */

static void answer(struct cluster *c, struct rpc_call *call, uint32_t next, const char *refusal)
{
	struct wire_snapshot_answer a = {
		.is_accepted = refusal == NULL,
		.epoch = election_epoch(&c->election),
		.next = next,
		.from = c->self,
		.why = refusal != NULL ? refusal : "",
	};
	struct wire_bytes bytes;

	if (wire_snapshot_answer_pack(&a, &bytes) != 0) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	rpc_call_reply(call, bytes.bytes, bytes.n);
	wire_bytes_free(&bytes);
}

/* The part is on disk: what else has to be there before it counts is not. */
static void part_done(struct cluster *c)
{
	struct snapshot_install i = c->install;
	struct replog_input in = {.event = REPLOG_EV_STORED, .write = i.write};
	bool is_followed;

	c->install.call = NULL;
	replica_do(c, &in);
	if (i.is_last && !replog_is_rebuilding(&c->replog)) {
		c->state_stored = i.index;
		tail_init(&c->tail, i.index + 1);
		core_log(CORE_INFO, "registry: snapshot installed from=%u index=%llu elements=%u",
			 i.from, (unsigned long long)i.index, inventory_count(c->inventory));
	}
	is_followed = member_is_followed(c, i.from, i.epoch);
	answer(c, i.call, i.next, is_followed ? NULL : "no longer the master");
	cluster_turn(c);
}

static void on_part_stored(void *user, int err)
{
	struct cluster *c = user;
	struct rpc_call *call = c->install.call;

	if (err != 0)
		cluster_die("registry: snapshot not stored", err);
	if (!c->install.is_bad) {
		part_done(c);
		return;
	}
	/* Replog does not hear of it: this snapshot never becomes whole, and the next one begins
	 * anew. */
	c->install.call = NULL;
	answer(c, call, 0, "rows that do not belong");
	cluster_turn(c);
}

static int install_begin(struct cluster *c, uint16_t from, uint64_t index, struct store_batch *b)
{
	core_log(CORE_INFO, "registry: snapshot comes from=%u index=%llu", from,
		 (unsigned long long)index);
	tail_fini(&c->tail);
	append_fail_waiting(c, "a snapshot is being installed");
	return registry_install_begin(c->registry, b);
}

/* All rows are there: they become what this server acts on. */
static int install_end(struct cluster *c, struct store_batch *b)
{
	struct registry_effects effects;
	int err = registry_install_end(c->registry, c->install.index, c->install.index_epoch, b,
				       &effects);

	if (err != 0)
		return err;
	replica_recall(c);
	replica_follow(c, &effects);
	return 0;
}

/* What replog accepted has to be stored: what it decides next stands on it. */
static void part_store(struct cluster *c, const struct wire_snapshot_chunk *chunk)
{
	struct store_batch *b;
	int err = store_batch_create(&b);

	if (err == 0)
		err = replica_held_put(c, b);
	if (err == 0 && c->replog_out.begin_snapshot)
		err = install_begin(c, c->install.from, chunk->index, b);
	if (err == 0)
		err = registry_install_rows(c->registry, chunk->rows, chunk->n_rows, b);
	if (err == 0 && chunk->is_last)
		err = install_end(c, b);
	c->install.is_bad = err == -EBADMSG;
	if (err == 0 || c->install.is_bad)
		err = store_commit(c->store, b, on_part_stored, c);
	if (err != 0)
		cluster_die("registry: snapshot not stored", err);
}

static void part_handle(struct cluster *c, struct rpc_call *call, uint16_t from,
			const struct wire_snapshot_chunk *chunk)
{
	struct replog_input in = {
		.event = REPLOG_EV_SNAPSHOT,
		.server = from,
		.epoch = chunk->epoch,
		.index = chunk->index,
		.index_epoch = chunk->index_epoch,
		.n = chunk->number,
		.is_last = chunk->is_last,
	};
	const struct replog_output *out = &c->replog_out;

	if (c->install.call != NULL) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "busy storing another part");
		return;
	}
	replica_do(c, &in);
	if (out->verdict != REPLOG_ACCEPTED) {
		answer(c, call, out->next, out->why);
		return;
	}
	c->install = (struct snapshot_install){
		.call = call,
		.from = from,
		.epoch = chunk->epoch,
		.index = chunk->index,
		.index_epoch = chunk->index_epoch,
		.next = out->next,
		.is_last = chunk->is_last,
		.write = out->write,
	};
	part_store(c, chunk);
}

void snapshot_handler(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct cluster *c = user;
	struct wire_sealed_request *sealed;
	struct wire_snapshot_chunk *chunk;
	const char *why = cluster_unseal(c, METHOD, bytes, n, &sealed);

	if (why != NULL) {
		rpc_call_fail(call, RPC_PERMISSION_DENIED, why);
		return;
	}
	if (wire_snapshot_chunk_unpack(sealed->payload.bytes, sealed->payload.n, &chunk) != 0) {
		rpc_call_fail(call, RPC_INVALID_ARGUMENT, "not a SnapshotChunk");
	} else {
		part_handle(c, call, (uint16_t)sealed->from, chunk);
		wire_free(chunk);
	}
	wire_free(sealed);
	cluster_turn(c);
}

void snapshot_stop(struct cluster *c)
{
	for (uint32_t i = 0; i < c->n_members; i++)
		sending_end(&c->members[i]);
	if (c->install.call != NULL)
		rpc_call_fail(c->install.call, RPC_UNAVAILABLE, "the server ends");
}
