#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cp/cluster/state.h"
#include "cp/core/core.h"
#include "cp/wire/wire.h"

#define ACCEPTED_KEY  "map"
#define COMMITTED_KEY "map_committed"
#define PROPOSE_PATH  WIRE_PATH("Cluster", "ProposeMap")
#define CALL_MS	      1000

static bool is_stored(const struct cluster *c)
{
	return cellmap_position_compare(c->stored, cellmap_position(&c->accepted)) == 0;
}

bool replica_is_committed(const struct cluster *c)
{
	struct election_position held = cellmap_position(&c->accepted);

	return held.version > 0 &&
	       cellmap_position_compare(cellmap_position(&c->committed), held) == 0;
}

/* Is 'from' the master of this server's present epoch? */
static bool is_followed(const struct cluster *c, uint16_t from, uint64_t epoch)
{
	return election_master(&c->election) == from && election_epoch(&c->election) == epoch;
}

/* ---- Commit ---- */

static void moves_log(const struct ownership_map *was, const struct ownership_map *now)
{
	uint32_t n_moved = 0;

	for (uint32_t i = 0; i < now->n_cells; i++) {
		const struct ownership_cell *cell = &now->cells[i];
		const struct ownership_cell *old = cellmap_find(was, cell->name);

		if (old != NULL && old->owner == cell->owner)
			continue;
		n_moved++;
		core_log(CORE_INFO,
			 "ownership: cell moved cell=%s owner=%u was=%u epoch=%llu generation=%llu",
			 cell->name, cell->owner, old != NULL ? old->owner : 0,
			 (unsigned long long)cell->token.epoch,
			 (unsigned long long)cell->token.generation);
	}
	core_log(CORE_INFO, "ownership: map committed epoch=%llu version=%llu cells=%u moved=%u",
		 (unsigned long long)now->epoch, (unsigned long long)now->version, now->n_cells,
		 n_moved);
}

static void on_commit_stored(void *user, int err)
{
	if (err != 0)
		cluster_die("ownership: committed map not stored", err);
}

static void map_put(struct cluster *c, const char *key, const struct ownership_map *m,
		    void (*done)(void *user, int err))
{
	struct wire_bytes bytes;
	int err = cellmap_pack(&bytes, m, c->self);

	if (err != 0)
		cluster_die("ownership: map not stored", err);
	err = store_put(c->store, REGISTRY_TABLE_SMALL, key, bytes.bytes, bytes.n, done, c);
	wire_bytes_free(&bytes);
	if (err != 0)
		cluster_die("ownership: map not stored", err);
}

/* Acts on the accepted map once it is on disk and a majority is known to have it. */
static void commit_if_due(struct cluster *c)
{
	struct election_position held = cellmap_position(&c->accepted);
	struct ownership_map copy;
	int err;

	if (held.version == 0 || !is_stored(c) || replica_is_committed(c) ||
	    cellmap_position_compare(c->majority, held) != 0)
		return;
	err = cellmap_copy(&copy, &c->accepted);
	if (err != 0)
		cluster_die("ownership: map not committed", err);
	moves_log(&c->committed, &copy);
	cellmap_fini(&c->committed);
	c->committed = copy;
	map_put(c, COMMITTED_KEY, &c->committed, on_commit_stored);
	mirror_cells(c);
	c->is_urgent = true;
}

/* ---- Accepting: on the master itself and on the others ---- */

static void answer(struct cluster *c, struct rpc_call *call, const char *refusal)
{
	struct wire_map_answer a = {
		.is_accepted = refusal == NULL,
		.epoch = election_epoch(&c->election),
		.from = c->self,
		.why = refusal != NULL ? refusal : "",
	};
	struct wire_bytes bytes;

	if (wire_map_answer_pack(&a, &bytes) != 0) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	rpc_call_reply(call, bytes.bytes, bytes.n);
	wire_bytes_free(&bytes);
}

static void waiting_answer(struct cluster *c)
{
	for (uint32_t i = 0; i < c->n_waiting; i++) {
		const struct waiting_call *w = &c->waiting[i];
		bool is_held = cellmap_position_compare(w->position, c->stored) == 0;

		/* A vote may have been given while the disk was busy. */
		answer(c, w->call,
		       is_held && is_followed(c, w->from, w->position.epoch)
			       ? NULL
			       : "no longer the master");
	}
	c->n_waiting = 0;
}

static void on_map_stored(void *user, int err)
{
	struct cluster *c = user;

	if (err != 0)
		cluster_die("ownership: map not stored", err);
	c->is_storing = false;
	c->stored = cellmap_position(&c->accepted);
	waiting_answer(c);
	cluster_turn(c);
}

/* Takes 'map'. From now on nobody who holds less gets this server's vote, though the map is not yet
 * on disk: a vote that is given while the disk is busy must not overlook it. */
static void map_accept(struct cluster *c, struct ownership_map *map)
{
	cellmap_fini(&c->accepted);
	c->accepted = *map;
	c->is_storing = true;
	map_put(c, ACCEPTED_KEY, &c->accepted, on_map_stored);
	member_tell_state(c);
}

/* ---- A proposal of a master ---- */

static bool is_sealed(struct cluster *c, struct member *from, const struct wire_map_proposal *p)
{
	uint8_t key[SEAL_KEY_BYTES];
	struct wire_bytes bytes;
	bool is_valid;

	if (wire_map_proposal_sealed_part(p, &bytes) != 0)
		return false;
	seal_derive(key, c->secret, SEAL_MAP, from->conf->id, c->self, p->boot);
	is_valid = seal_is_valid(p->seal, key, p->sequence, bytes.bytes, bytes.n);
	seal_wipe(key, sizeof(key));
	wire_bytes_free(&bytes);
	if (!is_valid)
		return false;
	if (from->window_boot != p->boot) {
		from->window_boot = p->boot;
		from->window = (struct seal_window){0};
	}
	return seal_window_accept(&from->window, p->sequence);
}

/* NULL: it is from whom it says, meant for this server, and from the master of its epoch. */
static const char *proposal_refusal(struct cluster *c, const struct wire_map_proposal *p)
{
	struct member *from = cluster_member(c, (uint16_t)p->from);

	if (from == NULL || from == c->self_member || p->to != c->self)
		return "not between servers of this cluster";
	if (p->boot != from->boot)
		return "of a boot that is not heard";
	if (!is_sealed(c, from, p))
		return "seal wrong or seen before";
	if (!is_followed(c, from->conf->id, p->epoch))
		return "not from the master of my epoch";
	return NULL;
}

/* NULL: the map is accepted or was before; what has to be waited for is the disk. */
static const char *map_consider(struct cluster *c, const struct wire_map_proposal *p)
{
	struct election_position position = {p->epoch, p->version};
	int order = cellmap_position_compare(position, cellmap_position(&c->accepted));
	struct ownership_map map;

	if (order < 0)
		return "older than what is held";
	if (order > 0) {
		if (c->is_storing)
			return "busy storing another";
		if (p->n_cells > c->conf->memory.sizes.cells_max)
			return "more cells than memory.cells_max";
		if (cellmap_from_wire(&map, p) != 0)
			return "cells out of order";
		/* Tokens are judged by what was acted on. What was accepted and never committed may
		 * be replaced by less: its master did not have a majority. */
		if (!ownership_may_replace(&c->committed, &map)) {
			cellmap_fini(&map);
			return "a token is lower than the committed one";
		}
		map_accept(c, &map);
	}
	if (p->is_commit)
		c->majority = position;
	return NULL;
}

static void call_wait(struct cluster *c, struct rpc_call *call, const struct wire_map_proposal *p)
{
	if (c->n_waiting == CLUSTER_WAITING_MAX) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "too many wait for the disk");
		return;
	}
	c->waiting[c->n_waiting++] = (struct waiting_call){
		.call = call,
		.from = (uint16_t)p->from,
		.position = {p->epoch, p->version},
	};
}

void replica_handler(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct cluster *c = user;
	struct wire_map_proposal *p;
	const char *refusal;

	if (wire_map_proposal_unpack(bytes, n, &p) != 0) {
		rpc_call_fail(call, RPC_INVALID_ARGUMENT, "not a MapProposal");
		return;
	}
	refusal = proposal_refusal(c, p);
	if (refusal == NULL)
		refusal = map_consider(c, p);
	if (refusal != NULL)
		core_log(CORE_DEBUG,
			 "ownership: map refused from=%u epoch=%llu version=%llu why=%s", p->from,
			 (unsigned long long)p->epoch, (unsigned long long)p->version, refusal);
	if (refusal == NULL && c->is_storing)
		call_wait(c, call, p);
	else
		answer(c, call, refusal);
	wire_free(p);
	cluster_turn(c);
}

/* ---- The master's side ---- */

struct proposal_call {
	struct cluster *cluster;
	struct member *to;
	uint32_t boot; /* of 'to' */
	struct election_position position;
	bool is_commit;
};

static void on_answered(void *user, enum rpc_status status, const char *why, const uint8_t *bytes,
			size_t n)
{
	struct proposal_call call = *(struct proposal_call *)user;
	struct cluster *c = call.cluster;
	struct wire_map_answer *a = NULL;

	free(user);
	call.to->is_calling = false;
	call.to->retry_ms = core_now_ms() + c->conf->cluster.beat_ms;
	if (status != RPC_OK || wire_map_answer_unpack(bytes, n, &a) != 0) {
		core_log(CORE_DEBUG, "ownership: map not answered server=%u status=%s why=%s",
			 call.to->conf->id, rpc_status_name(status), why);
	} else if (!a->is_accepted) {
		/* Once for each reason: the same is asked again with every beat. */
		core_log(strncmp(a->why, call.to->refusal, sizeof(call.to->refusal) - 1) == 0
				 ? CORE_DEBUG
				 : CORE_INFO,
			 "ownership: map not accepted server=%u version=%llu why=%s",
			 call.to->conf->id, (unsigned long long)call.position.version, a->why);
		snprintf(call.to->refusal, sizeof(call.to->refusal), "%s", a->why);
	} else if (a->from == call.to->conf->id && call.boot == call.to->boot) {
		call.to->retry_ms = 0;
		call.to->refusal[0] = '\0';
		if (cellmap_position_compare(call.position, call.to->holds) > 0) {
			call.to->holds = call.position;
			call.to->has_commit = false;
		}
		if (cellmap_position_compare(call.position, call.to->holds) == 0 && call.is_commit)
			call.to->has_commit = true;
	}
	wire_free(a);
	cluster_turn(c);
}

static int proposal_pack(struct cluster *c, const struct member *to, bool is_commit,
			 struct wire_bytes *out)
{
	struct wire_map_proposal p = {
		.from = c->self,
		.to = to->conf->id,
		.boot = c->boot,
		.epoch = c->accepted.epoch,
		.version = c->accepted.version,
		.sequence = ++c->map_sequence,
		.n_cells = c->accepted.n_cells,
		.is_commit = is_commit,
	};
	uint8_t key[SEAL_KEY_BYTES];
	struct wire_bytes part;
	int err = cellmap_to_wire(&p.cells, &c->accepted);

	if (err == 0)
		err = wire_map_proposal_sealed_part(&p, &part);
	if (err == 0) {
		seal_derive(key, c->secret, SEAL_MAP, c->self, to->conf->id, c->boot);
		seal_tag(p.seal, key, p.sequence, part.bytes, part.n);
		seal_wipe(key, sizeof(key));
		wire_bytes_free(&part);
		err = wire_map_proposal_pack(&p, out);
	}
	free(p.cells);
	return err;
}

static void map_send(struct cluster *c, struct member *to)
{
	bool is_commit = replica_is_committed(c);
	struct proposal_call *call = malloc(sizeof(*call));
	struct wire_bytes bytes = {0};
	int err = call == NULL ? -ENOMEM : proposal_pack(c, to, is_commit, &bytes);

	if (err == 0) {
		*call = (struct proposal_call){c, to, to->boot, cellmap_position(&c->accepted),
					       is_commit};
		err = rpc_client_call(c->client, to->call_address, PROPOSE_PATH, bytes.bytes,
				      bytes.n, CALL_MS, on_answered, call);
		wire_bytes_free(&bytes);
	}
	if (err != 0) {
		if (err != -ECANCELED) /* the client is ending, and so are we */
			core_log(CORE_WARNING, "ownership: map not sent server=%u error=%s",
				 to->conf->id, strerror(-err));
		to->retry_ms = core_now_ms() + CALL_MS;
		free(call);
		return;
	}
	to->is_calling = true;
}

static void map_send_to_all(struct cluster *c, uint64_t now_ms)
{
	struct election_position held = cellmap_position(&c->accepted);

	for (uint32_t i = 0; i < c->n_members; i++) {
		struct member *m = &c->members[i];
		enum detector_state state = member_state(c, m);
		int order = cellmap_position_compare(m->holds, held);

		if (m == c->self_member || m->boot == 0 || m->is_calling || now_ms < m->retry_ms ||
		    state == DETECTOR_FAILED || state == DETECTOR_UNKNOWN)
			continue;
		if (order < 0 || (order == 0 && replica_is_committed(c) && !m->has_commit))
			map_send(c, m);
	}
}

static bool has_majority(const struct cluster *c)
{
	struct election_position held = cellmap_position(&c->accepted);
	uint32_t n_voters = 0, n_hold = 0;

	for (uint32_t i = 0; i < c->n_members; i++) {
		const struct member *m = &c->members[i];
		struct election_position holds = m == c->self_member ? c->stored : m->holds;

		if (!m->conf->is_voter)
			continue;
		n_voters++;
		n_hold += cellmap_position_compare(holds, held) == 0;
	}
	return n_hold > n_voters / 2;
}

/* ---- Planning ---- */

static uint32_t living_servers(const struct cluster *c, struct ownership_server *servers)
{
	for (uint32_t i = 0; i < c->n_members; i++) {
		const struct member *m = &c->members[i];
		bool is_self = m == c->self_member;

		servers[i] = (struct ownership_server){
			.id = m->conf->id,
			.weight = 1,
			.is_alive = is_self ? c->is_dp_alive
					    : m->said.is_dp_alive &&
						      member_state(c, m) != DETECTOR_FAILED,
		};
	}
	return c->n_members;
}

/* A server that was not heard since we started is neither alive nor failed; it is one or the other
 * soon. */
static bool is_anybody_unknown(const struct cluster *c)
{
	for (uint32_t i = 0; i < c->n_members; i++)
		if (member_state(c, &c->members[i]) == DETECTOR_UNKNOWN)
			return true;
	return false;
}

/* Is this the first placement of all, and still worth waiting for a server that is not well yet? */
static bool is_first_plan_early(const struct cluster *c, const struct ownership_map *next,
				uint64_t now_ms)
{
	struct ownership_server servers[CLUSTER_SERVERS_MAX];
	uint32_t n = living_servers(c, servers);
	bool is_anybody_away = false;

	for (uint32_t i = 0; i < next->n_cells; i++)
		if (next->cells[i].owner != 0)
			return false;
	for (uint32_t i = 0; i < n; i++)
		is_anybody_away |= !servers[i].is_alive;
	return is_anybody_away && now_ms - c->started_ms < CLUSTER_FIRST_PLAN_MS;
}

/* The next map of this master: what it accepted last, with owners for the cells that lack a living
 * one. */
static int map_plan(struct cluster *c, struct ownership_map *out, uint64_t now_ms)
{
	struct ownership_server servers[CLUSTER_SERVERS_MAX];
	uint64_t epoch = election_epoch(&c->election);
	struct ownership_plan plan;
	int err = cellmap_merge(out, &c->regions, &c->accepted);

	if (err != 0)
		return err;
	if (is_anybody_unknown(c) || is_first_plan_early(c, out, now_ms))
		return 0; /* the wish for a plan stays */
	c->is_replan_wanted = false;
	err = ownership_plan(out->cells, out->n_cells, servers, living_servers(c, servers), epoch,
			     &plan);
	if (err != 0 && err != -ENOENT) {
		core_log(CORE_ERROR, "ownership: no plan epoch=%llu error=%s",
			 (unsigned long long)epoch, strerror(-err));
		cellmap_fini(out);
	}
	return err == -ENOENT ? 0 : err; /* nobody is alive: owners stay as they are */
}

static void propose_if_due(struct cluster *c, uint64_t now_ms)
{
	uint64_t epoch = election_epoch(&c->election);
	bool is_first =
		c->accepted.epoch != epoch; /* a new master puts what it holds into its epoch */
	struct ownership_map next;

	if (c->is_storing || (!is_first && (!c->is_replan_wanted || !replica_is_committed(c))))
		return;
	if (map_plan(c, &next, now_ms) != 0)
		return;
	if (!is_first && cellmap_is_same(&next, &c->accepted)) {
		cellmap_fini(&next);
		return;
	}
	next.epoch = epoch;
	next.version = c->accepted.version + 1;
	core_log(CORE_INFO, "ownership: map proposed epoch=%llu version=%llu cells=%u",
		 (unsigned long long)epoch, (unsigned long long)next.version, next.n_cells);
	map_accept(c, &next);
}

void replica_turn(struct cluster *c, uint64_t now_ms)
{
	if (member_is_acting(c)) {
		propose_if_due(c, now_ms);
		if (c->accepted.epoch == election_epoch(&c->election) && has_majority(c))
			c->majority = cellmap_position(&c->accepted);
	}
	commit_if_due(c);
	if (member_is_acting(c) && c->accepted.epoch == election_epoch(&c->election))
		map_send_to_all(c, now_ms);
}

/* ---- The start and the end ---- */

static int map_load(struct cluster *c, const char *key, struct ownership_map *out)
{
	size_t n = STORE_VALUE_MAX;
	uint8_t *bytes = malloc(n);
	int err = bytes == NULL
			  ? -ENOMEM
			  : store_get(c->store, REGISTRY_TABLE_SMALL, key, strlen(key), bytes, &n);

	if (err == 0)
		err = cellmap_unpack(out, bytes, n);
	free(bytes);
	if (err == STORE_NOT_FOUND)
		return 0;
	if (err != 0)
		core_log(CORE_ERROR, "ownership: the stored record %s is %s", key,
			 err < 0 ? strerror(-err) : "damaged");
	return err > 0 ? -EIO : err;
}

int replica_load(struct cluster *c)
{
	int err = map_load(c, ACCEPTED_KEY, &c->accepted);

	if (err == 0)
		err = map_load(c, COMMITTED_KEY, &c->committed);
	if (err == 0)
		err = cellmap_from_inventory(&c->regions, c->inventory);
	if (err != 0)
		return err;
	c->stored = cellmap_position(&c->accepted);
	c->majority = cellmap_position(&c->committed);
	core_log(CORE_INFO, "ownership: map loaded epoch=%llu version=%llu committed=%llu/%llu",
		 (unsigned long long)c->stored.epoch, (unsigned long long)c->stored.version,
		 (unsigned long long)c->majority.epoch, (unsigned long long)c->majority.version);
	return 0;
}

void replica_stop(struct cluster *c)
{
	for (uint32_t i = 0; i < c->n_waiting; i++)
		rpc_call_fail(c->waiting[i].call, RPC_UNAVAILABLE, "the server ends");
	c->n_waiting = 0;
	cellmap_fini(&c->regions);
	cellmap_fini(&c->accepted);
	cellmap_fini(&c->committed);
}
