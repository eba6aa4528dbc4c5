#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cp/cluster/state.h"
#include "cp/core/core.h"

#define APPLY_MAX 256 /* entries in one batch of the state */
#define APPLY_MS  10  /* at once; an entry can have thousands of elements */
#define LOG_BYTES_KEPT                                                                             \
	(16u << 20) /* when more was put the log is compacted, however few its entries */

/* One write of the log that is under way. */
struct log_write {
	struct log_write *next;
	struct cluster *cluster;
	struct replog_write write;
};

bool replica_is_committed(const struct cluster *c)
{
	return replog_committed(&c->replog) == replog_last(&c->replog);
}

/* ---- Steps ---- */

int replica_held_put(struct cluster *c, struct store_batch *b)
{
	return c->replog_out.put_held ? registry_log_hold(b, c->replog_out.held) : 0;
}

static void perform(struct cluster *c, const struct replog_output *out)
{
	c->replog_wake_ms = out->wake_at_ms;
	/* From now on nobody who holds less gets this server's vote, though it is not yet on disk:
	 * a vote that is given while the disk is busy must not overlook it. */
	if (out->position_changed)
		member_tell_state(c);
	for (uint32_t i = 0; i < out->n_sends; i++)
		if (out->sends[i].is_snapshot)
			snapshot_send(c, &out->sends[i]);
		else
			append_send(c, &out->sends[i]);
}

static void step(struct cluster *c, struct replog_input *in)
{
	in->now_ms = core_now_ms();
	replog_step(&c->replog, in, &c->replog_out);
	perform(c, &c->replog_out);
}

/* What was decided since the last step comes before it. */
static void role_tell(struct cluster *c)
{
	struct replog_input in = {
		.event = REPLOG_EV_ROLE,
		.master = election_master(&c->election),
		.epoch = election_epoch(&c->election),
		.is_acting = member_is_acting(c),
	};

	if (in.master == c->role.master && in.epoch == c->role.epoch &&
	    in.is_acting == c->role.is_acting)
		return;
	c->role.master = in.master;
	c->role.epoch = in.epoch;
	c->role.is_acting = in.is_acting;
	step(c, &in);
	append_answer_waiting(c);
}

void replica_do(struct cluster *c, struct replog_input *in)
{
	role_tell(c);
	step(c, in);
}

void replica_peer(struct cluster *c, uint16_t server, uint32_t boot)
{
	struct replog_input in = {.event = REPLOG_EV_PEER, .server = server, .boot = boot};

	replica_do(c, &in);
}

void replica_lost(struct cluster *c, uint16_t server, uint64_t call)
{
	uint32_t i = 0;

	while (i < c->n_lost && c->lost[i].server != server)
		i++;
	c->lost[i].server = server;
	c->lost[i].call = call;
	c->n_lost += i == c->n_lost;
}

static void lost_tell(struct cluster *c)
{
	while (c->n_lost > 0) {
		struct replog_input in = {.event = REPLOG_EV_FAILED};

		c->n_lost--;
		in.server = c->lost[c->n_lost].server;
		in.call = c->lost[c->n_lost].call;
		replica_do(c, &in);
	}
}

/* ---- The log on disk ---- */

static void on_log_written(void *user, int err)
{
	struct log_write *w = user;
	struct cluster *c = w->cluster;
	struct replog_input in = {.event = REPLOG_EV_STORED, .write = w->write};

	if (err != 0)
		cluster_die("registry: log not stored", err);
	c->log_writes = w->next; /* they end in the order in which they began */
	free(w);
	replica_do(c, &in);
	append_answer_waiting(c);
	cluster_turn(c);
}

void replica_log_write(struct cluster *c, struct store_batch *b, struct replog_write write)
{
	struct log_write *w = malloc(sizeof(*w)), **end = &c->log_writes;
	int err;

	if (w == NULL)
		cluster_die("registry: log not stored", -ENOMEM);
	*w = (struct log_write){.cluster = c, .write = write};
	while (*end != NULL)
		end = &(*end)->next;
	*end = w;
	err = store_commit(c->store, b, on_log_written, w);
	if (err != 0)
		cluster_die("registry: log not stored", err);
}

int replica_entry(struct cluster *c, uint64_t index, struct tail_entry *out, uint8_t **owned)
{
	const struct tail_entry *e = tail_find(&c->tail, index);
	int err;

	*owned = NULL;
	if (e != NULL) {
		*out = *e;
		return 0;
	}
	err = registry_log_get(c->registry, index, &out->epoch, owned, &out->n);
	out->bytes = *owned;
	return err > 0 ? -ENOENT : err;
}

/* ---- Appending ---- */

int replica_append(struct cluster *c, const struct wire_registry_entry *entry, uint64_t *index)
{
	uint64_t at = replog_last(&c->replog) + c->n_appending + 1;
	struct wire_bytes bytes;
	int err = wire_registry_entry_pack(entry, &bytes);

	if (err != 0)
		return err;
	err = bytes.n > REGISTRY_ENTRY_MAX ? -EMSGSIZE : 0;
	if (err == 0 && c->appending == NULL)
		err = store_batch_create(&c->appending);
	if (err == 0)
		err = registry_log_put(c->appending, at, c->role.epoch, bytes.bytes, bytes.n);
	if (err == 0)
		err = tail_push(&c->tail, c->role.epoch, bytes.bytes, bytes.n);
	wire_bytes_free(&bytes);
	if (err != 0)
		return err;
	c->n_appending++;
	c->log_bytes += bytes.n;
	*index = at;
	return 0;
}

/* The lease ended, or the log has no room for another epoch. */
static void appending_give_up(struct cluster *c)
{
	uint64_t last = replog_last(&c->replog);

	store_batch_free(c->appending);
	c->appending = NULL;
	c->n_appending = 0;
	tail_give_up(&c->tail, last + 1);
	plan_give_up(c, last + 1);
	command_give_up(c, last + 1);
}

void replica_flush(struct cluster *c)
{
	struct replog_input in = {.event = REPLOG_EV_APPENDED, .n = c->n_appending};
	struct store_batch *b = c->appending;

	if (c->n_appending == 0)
		return;
	/* The others store it at the same time as this server. */
	step(c, &in);
	if (c->replog_out.verdict != REPLOG_ACCEPTED) {
		appending_give_up(c);
		return;
	}
	c->appending = NULL;
	c->n_appending = 0;
	if (replica_held_put(c, b) != 0)
		cluster_die("registry: log not stored", -ENOMEM);
	replica_log_write(c, b, c->replog_out.write);
}

/* ---- Applying ---- */

/* What the trail says of a server's failure, so that the master says it once. */
static void record_note(struct cluster *c, const struct wire_event *e)
{
	struct member *m = cluster_member(c, (uint16_t)e->server);

	if (m != NULL && strcmp(e->kind, "server_failed") == 0)
		m->is_failed_on_record = true;
	if (m != NULL && strcmp(e->kind, "server_back") == 0)
		m->is_failed_on_record = false;
}

void replica_follow(struct cluster *c, const struct registry_effects *effects)
{
	mirror_follow(c, effects);
	if (effects->is_map_changed || effects->is_drain_changed)
		c->is_replan_wanted = true;
	for (uint32_t i = 0; i < effects->n_events; i++) {
		record_note(c, &effects->events[i]);
		if (c->listener.event != NULL)
			c->listener.event(c->listener.user, &effects->events[i]);
	}
	/* What is passed through while catching up nobody must act on: a cell that was ours once
	 * would count as one whose memory we hold. */
	if ((effects->is_map_changed || effects->is_inventory_changed) && !c->is_reconcile_wanted &&
	    c->listener.changed != NULL)
		c->listener.changed(c->listener.user);
}

static int apply_one(struct cluster *c, uint64_t index, struct store_batch *b)
{
	struct registry_outcome outcome;
	struct registry_effects effects = {0};
	struct tail_entry e;
	uint8_t *owned;
	int err = replica_entry(c, index, &e, &owned);

	if (err != 0)
		return err;
	err = registry_apply(c->registry, index, e.epoch, e.bytes, e.n, b, &outcome, &effects);
	if (err == 0) {
		if (outcome.is_refused)
			core_log(CORE_INFO, "registry: entry refused index=%llu why=%s",
				 (unsigned long long)index, outcome.why);
		replica_follow(c, &effects);
		command_applied(c, index, e.epoch, &outcome);
	}
	free(owned);
	return err;
}

static void on_state_written(void *user, int err)
{
	struct cluster *c = user;

	if (err != 0)
		cluster_die("registry: state not stored", err);
	c->state_stored = c->state_writes[0];
	c->n_state_writes--;
	memmove(c->state_writes, c->state_writes + 1,
		c->n_state_writes * sizeof(c->state_writes[0]));
	cluster_turn(c);
}

/* Everything that is committed takes effect at once. The state on disk may lag: the log has it. */
static void apply_due(struct cluster *c)
{
	uint64_t applied = registry_applied(c->registry);
	uint64_t committed = replog_committed(&c->replog);
	uint64_t until_ms = core_now_ms() + APPLY_MS;
	struct store_batch *b;
	uint32_t n = 0;
	int err;

	c->is_apply_due = false;
	if (replog_is_rebuilding(&c->replog) || applied >= committed ||
	    c->n_state_writes == CLUSTER_STATE_WRITES_MAX)
		return;
	err = store_batch_create(&b);
	while (err == 0 && applied < committed && n++ < APPLY_MAX && core_now_ms() <= until_ms)
		err = apply_one(c, ++applied, b);
	if (err == 0) {
		c->state_writes[c->n_state_writes++] = applied;
		err = store_commit(c->store, b, on_state_written, c);
	}
	if (err != 0)
		cluster_die("registry: entry not applied", err);
	tail_drop(&c->tail, applied + 1);
	c->is_apply_due = applied < committed && c->n_state_writes < CLUSTER_STATE_WRITES_MAX;
}

/* ---- Compacting ---- */

static void on_compacted(void *user, int err)
{
	struct cluster *c = user;

	if (err != 0)
		cluster_die("registry: log not compacted", err);
	c->is_compacting = false;
}

static void compact_if_due(struct cluster *c)
{
	struct replog_input in = {.event = REPLOG_EV_COMPACTED};
	uint64_t kept = REGISTRY_LOG_KEPT;
	struct store_batch *b;
	int err;

	if (c->is_compacting || replog_is_rebuilding(&c->replog))
		return;
	/* Entries may be large: fewer of them stay then. */
	if (c->log_bytes > LOG_BYTES_KEPT)
		kept = REGISTRY_LOG_KEPT / 256;
	in.index = replog_compact_below(&c->replog, c->state_stored, kept);
	if (in.index == 0)
		return;
	err = store_batch_create(&b);
	if (err == 0)
		err = registry_log_compact(b, in.index);
	if (err == 0)
		err = store_commit(c->store, b, on_compacted, c);
	if (err != 0)
		cluster_die("registry: log not compacted", err);
	c->is_compacting = true;
	/* A ninth or more is gone, see replog_compact_below(); or all but a few. */
	c->log_bytes -= kept == REGISTRY_LOG_KEPT ? c->log_bytes / 9 : c->log_bytes;
	replica_do(c, &in);
}

/* ---- The turn ---- */

void replica_turn(struct cluster *c, uint64_t now_ms)
{
	struct replog_input in = {.event = REPLOG_EV_TIMER};

	role_tell(c);
	if (now_ms >= c->replog_wake_ms)
		step(c, &in);
	command_turn(c);
	snapshot_turn(c);
	apply_due(c);
	plan_turn(c, now_ms);
	replica_flush(c);
	lost_tell(c);
	compact_if_due(c);
}

/* ---- The start and the end ---- */

static bool event_recall(void *user, const struct wire_event *e)
{
	record_note(user, e);
	return true;
}

void replica_recall(struct cluster *c)
{
	int err;

	for (uint32_t i = 0; i < c->n_members; i++)
		c->members[i].is_failed_on_record = false;
	err = registry_trail(c->registry, 0, UINT64_MAX, false, event_recall, c);
	if (err < 0)
		cluster_die("registry: trail not read", err);
}

static int replog_start(struct cluster *c, const struct replog_durable *durable)
{
	struct replog_config cfg = {
		.self = c->self,
		.boot = c->boot,
		.n_servers = c->n_members,
		.retry_ms = c->conf->cluster.beat_ms,
	};

	for (uint32_t i = 0; i < c->n_members; i++) {
		cfg.servers[i].id = c->members[i].conf->id;
		cfg.servers[i].is_voter = c->members[i].conf->is_voter;
	}
	c->state_stored = durable->base;
	tail_init(&c->tail, durable->last + 1);
	return replog_init(&c->replog, &cfg, durable);
}

int replica_load(struct cluster *c, char *why, size_t why_bytes)
{
	struct replog_durable durable;
	int err = registry_load(&c->registry, c->store, c->inventory, &durable, why, why_bytes);

	if (err == 0 && replog_start(c, &durable) != 0) {
		snprintf(why, why_bytes, "the log contradicts itself");
		err = STORE_DAMAGED;
	}
	if (err != 0)
		return err > 0 ? -EBADMSG : err;
	c->log_bytes = registry_log_bytes(c->registry);
	replica_recall(c);
	core_log(CORE_INFO, "registry: loaded applied=%llu last=%llu elements=%u cells=%u%s",
		 (unsigned long long)durable.base, (unsigned long long)durable.last,
		 inventory_count(c->inventory), registry_map(c->registry)->n_cells,
		 replog_is_rebuilding(&c->replog) ? " rebuilding"
		 : replog_may_vote(&c->replog)	  ? ""
						  : " empty");
	return 0;
}

void replica_stop(struct cluster *c)
{
	append_fail_waiting(c, "the server ends");
	snapshot_stop(c);
	while (c->log_writes != NULL) {
		struct log_write *w = c->log_writes;

		c->log_writes = w->next;
		free(w);
	}
	store_batch_free(c->appending);
	tail_fini(&c->tail);
	registry_destroy(c->registry);
}
