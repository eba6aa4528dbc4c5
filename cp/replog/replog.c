#include "cp/replog/replog.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "cp/replog/machine.h"

int machine_compare(struct election_position a, struct election_position b)
{
	if (a.epoch != b.epoch)
		return a.epoch < b.epoch ? -1 : 1;
	return (a.version > b.version) - (a.version < b.version);
}

bool machine_is_lost(const struct replog *r)
{
	return machine_compare(r->held, REPLOG_LOST) == 0;
}

static bool is_held(const struct replog *r)
{
	return r->held.epoch != 0;
}

bool machine_is_empty(const struct replog *r)
{
	return r->last == 0 && !r->is_rebuilding && !is_held(r);
}

void machine_hold(struct replog *r, struct election_position held, struct replog_output *out)
{
	r->held = held;
	out->put_held = true;
	out->held = held;
}

void machine_refuse(struct replog_output *out, uint64_t match, const char *why)
{
	out->verdict = REPLOG_REFUSED;
	out->match = match;
	out->why = why;
}

/* ---- Looking ---- */

struct election_position replog_position(const struct replog *r)
{
	struct election_position end = entries_end(r);

	if (machine_is_lost(r))
		return (struct election_position){0};
	return machine_compare(r->held, end) < 0 ? end : r->held;
}

bool replog_may_lead(const struct replog *r)
{
	return !r->is_rebuilding && (!is_held(r) || machine_is_lost(r));
}

bool replog_may_vote(const struct replog *r)
{
	return MUTANT(8) || (!machine_is_lost(r) && !machine_is_empty(r));
}

bool replog_may_append(const struct replog *r)
{
	struct replog_run run = {.epoch = r->epoch};

	return r->is_acting && replog_may_lead(r) && r->epoch != 0 &&
	       r->epoch >= entries_epoch_at(r, r->last) && entries_has_room(r, r->last, &run, 1);
}

uint64_t replog_last(const struct replog *r)
{
	return r->last;
}

uint64_t replog_committed(const struct replog *r)
{
	return r->committed;
}

uint64_t replog_epoch_at(const struct replog *r, uint64_t index)
{
	return entries_epoch_at(r, index);
}

bool replog_is_rebuilding(const struct replog *r)
{
	return r->is_rebuilding;
}

enum replog_verdict replog_answer(const struct replog *r, uint16_t master, uint64_t epoch,
				  uint64_t match)
{
	if (r->master != master || r->epoch != epoch)
		return REPLOG_REFUSED;
	if (r->whole_write != 0 && match >= r->whole_at)
		return REPLOG_NO_ANSWER;
	return r->stored >= match || MUTANT(2) ? REPLOG_ACCEPTED : REPLOG_NO_ANSWER;
}

uint64_t replog_compact_below(const struct replog *r, uint64_t applied, uint64_t kept)
{
	const uint32_t runs_kept = REPLOG_RUNS_MAX / 2;
	uint64_t from = r->first;

	if (applied > r->committed)
		applied = r->committed;
	if (applied >= kept && applied - kept >= r->first + kept / 8)
		from = applied - kept + 1;
	if (r->n_runs > runs_kept && r->runs[r->n_runs - runs_kept].first > from)
		from = r->runs[r->n_runs - runs_kept].first;
	if (from > applied + 1)
		from = applied + 1;
	return from > r->first ? from : 0;
}

/* ---- Life ---- */

static bool is_log_sound(const struct replog_durable *d, uint64_t first)
{
	if (d->last > PLACE_MAX || d->base > d->last || first > d->base + 1 ||
	    (d->base == 0) != (d->base_epoch == 0) || d->n_runs > REPLOG_RUNS_MAX ||
	    (d->n_runs > 0) != (d->last >= first))
		return false;
	for (uint32_t i = 0; i < d->n_runs; i++)
		if (d->runs[i].epoch == 0 || d->runs[i].epoch > PLACE_MAX ||
		    (i == 0 ? d->runs[i].first != first
			    : d->runs[i].first <= d->runs[i - 1].first ||
				      d->runs[i].epoch <= d->runs[i - 1].epoch) ||
		    d->runs[i].first > d->last)
			return false;
	return true;
}

/* What was kept of a state that is only half there is worth nothing. */
static int log_load(struct replog *r, const struct replog_durable *d)
{
	uint64_t first = d->first == 0 ? 1 : d->first;

	r->held = d->held;
	r->is_rebuilding = d->is_rebuilding;
	r->first = 1;
	if (d->is_rebuilding) {
		if (!is_held(r))
			r->held = REPLOG_LOST;
		return 0;
	}
	if (!is_log_sound(d, first))
		return -EINVAL;
	r->first = first;
	r->last = r->stored = d->last;
	r->n_runs = d->n_runs;
	memcpy(r->runs, d->runs, d->n_runs * sizeof(d->runs[0]));
	r->base = r->known = r->committed = d->base;
	r->base_epoch = d->base_epoch;
	/* The same place with two epochs. */
	if (first <= d->base ? entries_epoch_at(r, d->base) != d->base_epoch
			     : d->n_runs > 0 && d->runs[0].epoch < d->base_epoch)
		return -EINVAL;
	if (!machine_is_lost(r) && machine_compare(entries_end(r), r->held) >= 0)
		r->held = (struct election_position){0};
	return 0;
}

int replog_init(struct replog *r, const struct replog_config *cfg,
		const struct replog_durable *durable)
{
	uint32_t n_voters = 0;
	int err;

	if (cfg->self == 0 || cfg->boot == 0 || cfg->n_servers > REPLOG_SERVERS_MAX)
		return -EINVAL;
	memset(r, 0, sizeof(*r));
	r->cfg = *cfg;
	for (uint32_t i = 0; i < cfg->n_servers; i++) {
		n_voters += cfg->servers[i].is_voter;
		if (cfg->servers[i].id == cfg->self) {
			r->is_voter = cfg->servers[i].is_voter;
			continue;
		}
		r->peers[r->n_peers++] = (struct replog_peer){
			.id = cfg->servers[i].id,
			.is_voter = cfg->servers[i].is_voter,
		};
	}
	r->n_majority = n_voters / 2 + 1;
	err = log_load(r, durable);
	if (err != 0)
		return err;
	r->told_position = replog_position(r);
	r->told_may_lead = replog_may_lead(r);
	r->told_may_vote = replog_may_vote(r);
	return 0;
}

static void handle_role(struct replog *r, const struct replog_input *in)
{
	bool is_other = in->master != r->master || in->epoch != r->epoch;

	r->master = in->master;
	r->epoch = in->epoch;
	r->is_acting = in->is_acting && in->master == r->cfg.self && r->is_voter;
	if (is_other)
		sender_begin(r);
}

static void handle_appended(struct replog *r, const struct replog_input *in,
			    struct replog_output *out)
{
	if (!replog_may_append(r) || in->n == 0 || r->last + in->n > PLACE_MAX) {
		machine_refuse(out, r->last, "not the acting master, or no room for its epoch");
		return;
	}
	entries_push(r, r->epoch, in->n);
	entries_name_write(r, out);
	if (is_held(r)) /* those who elected it knew of nothing better */
		machine_hold(r, (struct election_position){0}, out);
	out->verdict = REPLOG_ACCEPTED;
	out->match = r->last;
}

static void handle_stored(struct replog *r, const struct replog_input *in)
{
	if (in->write.number == 0 || in->write.number > r->writes)
		return;
	entries_stored(r, in->write);
	follower_stored(r, in->write);
}

static void begin(struct replog_output *out)
{
	out->verdict = REPLOG_NO_ANSWER;
	out->match = out->give_up_from = out->take_from = 0;
	out->next = 0;
	out->why = NULL;
	out->write = (struct replog_write){0};
	out->put_held = out->begin_snapshot = false;
	out->n_sends = 0;
	out->wake_at_ms = UINT64_MAX;
}

static void finish(struct replog *r, struct replog_output *out)
{
	struct election_position position;
	uint64_t committed = r->known < r->stored ? r->known : r->stored;

	/* Entries known to be committed may be on their way to this disk only now. */
	if (committed > r->committed)
		r->committed = committed;
	out->committed = r->committed;
	position = replog_position(r);
	out->position_changed = machine_compare(position, r->told_position) != 0 ||
				replog_may_lead(r) != r->told_may_lead ||
				replog_may_vote(r) != r->told_may_vote;
	r->told_position = position;
	r->told_may_lead = replog_may_lead(r);
	r->told_may_vote = replog_may_vote(r);
	out->is_own_entry_wanted = replog_may_append(r) && entries_epoch_at(r, r->last) != r->epoch;
	sender_send(r, out);
}

void replog_step(struct replog *r, const struct replog_input *in, struct replog_output *out)
{
	begin(out);
	if (in->now_ms > r->now_ms)
		r->now_ms = in->now_ms;
	switch (in->event) {
	case REPLOG_EV_ROLE:
		handle_role(r, in);
		break;
	case REPLOG_EV_PEER:
		sender_peer(r, in);
		break;
	case REPLOG_EV_APPENDED:
		handle_appended(r, in, out);
		break;
	case REPLOG_EV_STORED:
		handle_stored(r, in);
		break;
	case REPLOG_EV_REQUEST:
		follower_request(r, in, out);
		break;
	case REPLOG_EV_ANSWER:
		sender_answer(r, in);
		break;
	case REPLOG_EV_FAILED:
		sender_failed(r, in);
		break;
	case REPLOG_EV_SNAPSHOT:
		follower_snapshot(r, in, out);
		break;
	case REPLOG_EV_COMPACTED:
		entries_compact(r, in->index);
		break;
	case REPLOG_EV_TIMER:
		break;
	}
	sender_commit(r);
	finish(r, out);
}
