#include "cp/election/election.h"

#include <assert.h>
#include <string.h>

#include "cp/election/machine.h"

bool machine_is_voter(const struct election *e)
{
	return e->self_index < e->cfg.n_voters;
}

/* splitmix64 */
uint32_t machine_random(struct election *e, uint64_t below)
{
	uint64_t x = e->random += 0x9e3779b97f4a7c15u;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return (uint32_t)((x ^ (x >> 31)) % below);
}

void machine_send(struct election *e, struct election_output *out, uint32_t to,
		  struct election_message m)
{
	assert(out->n_sends < ELECTION_SENDS_MAX);
	assert(e->pending == PENDING_NONE); /* nothing is revealed before it is stored */
	m.from = e->cfg.self;
	m.to = e->cfg.voters[to].id;
	m.from_boot = e->durable.boot;
	if (m.kind == ELECTION_MSG_ANSWER || m.kind == ELECTION_MSG_GRANT)
		m.position = e->position;
	out->sends[out->n_sends++] = m;
}

void machine_send_all(struct election *e, struct election_output *out, struct election_message m)
{
	for (uint32_t i = 0; i < e->cfg.n_voters; i++)
		if (i != e->self_index)
			machine_send(e, out, i, m);
}

void machine_persist(struct election *e, struct election_output *out, enum pending pending,
		     uint64_t epoch, uint16_t for_server)
{
	assert(e->pending == PENDING_NONE);
	assert(epoch > e->durable.epoch); /* I1, I2: a vote is never changed */
	e->durable.epoch = epoch;
	e->durable.voted_for = for_server;
	if (epoch > e->seen_epoch)
		e->seen_epoch = epoch;
	e->pending = pending;
	e->pending_for = for_server;
	out->persist = true;
}

static void handle_persisted(struct election *e, struct election_output *out)
{
	enum pending what = (enum pending)e->pending;

	e->pending = PENDING_NONE;
	e->stored_epoch = e->durable.epoch;
	switch (what) {
	case PENDING_NONE:
		break;
	case PENDING_BOOT:
		e->phase = PHASE_FOLLOWING;
		if (e->n_majority == 1)
			e->deadline_ms = e->now_ms;
		else if (e->is_first_start)
			e->deadline_ms = e->now_ms + FIRST_START_BEATS * e->beat_ms;
		else
			candidate_wait(e, e->guard_ms + SILENCE_BEATS * e->beat_ms);
		break;
	case PENDING_OWN_VOTE:
		candidate_vote_stored(e, out);
		break;
	case PENDING_GRANT:
		voter_grant_stored(e, out);
		break;
	case PENDING_FOLLOW:
		voter_follow(e, e->pending_for);
		break;
	}
}

static bool is_sound(const struct election *e, const struct election_message *m)
{
	/* A voter that answers may know no epoch yet. */
	bool may_be_new = m->kind == ELECTION_MSG_ANSWER || m->kind == ELECTION_MSG_GRANT;

	return m->to == e->cfg.self && m->kind >= ELECTION_MSG_ELECTION &&
	       m->kind <= ELECTION_MSG_TRANSFER && m->verdict <= ELECTION_STAND_DOWN &&
	       (m->epoch != 0 || may_be_new) && m->position.epoch <= EPOCH_MAX;
}

static void handle_message(struct election *e, const struct election_message *m,
			   struct election_output *out)
{
	int from = peers_find(e, m->from);
	/* An ELECTION only proposes its epoch. */
	uint64_t epoch = m->kind == ELECTION_MSG_ELECTION ? m->epoch - 1 : m->epoch;

	if (from < 0 || !machine_is_voter(e) || !is_sound(e, m) ||
	    !peers_admit(e, (uint32_t)from, m->from_boot, epoch)) {
		e->n_rejected++;
		return;
	}
	if (e->pending != PENDING_NONE)
		return;
	switch (m->kind) {
	case ELECTION_MSG_ELECTION:
		voter_handle_election(e, (uint32_t)from, m, out);
		break;
	case ELECTION_MSG_ANSWER:
		candidate_handle_answer(e, (uint32_t)from, m, out);
		break;
	case ELECTION_MSG_CLAIM:
		voter_handle_claim(e, (uint32_t)from, m, out);
		break;
	case ELECTION_MSG_GRANT:
		candidate_handle_grant(e, (uint32_t)from, m, out);
		break;
	case ELECTION_MSG_COORDINATOR:
		voter_handle_master(e, (uint32_t)from, m->epoch, out);
		break;
	case ELECTION_MSG_TRANSFER:
		candidate_handle_transfer(e, (uint32_t)from, m, out);
		break;
	}
}

static void handle_beat(struct election *e, const struct election_beat *b,
			struct election_output *out)
{
	int from = peers_find(e, b->from);

	if (from < 0)
		return;
	if (b->position.epoch > EPOCH_MAX || (b->master != 0 && b->epoch == 0) ||
	    !peers_admit(e, (uint32_t)from, b->from_boot, b->epoch)) {
		e->n_rejected++;
		return;
	}
	peers_beat(e, (uint32_t)from, b);
	if (b->master == b->from)
		out->ack_beat = voter_handle_master(e, (uint32_t)from, b->epoch, out);
	if (e->phase == PHASE_LEADING)
		master_handle_beat(e, (uint32_t)from, b);
}

static void handle_failed(struct election *e, uint16_t server)
{
	int i = peers_find(e, server);
	uint64_t at_ms = e->guard_until_ms > e->now_ms ? e->guard_until_ms : e->now_ms;

	if (i < 0)
		return;
	peers_failed(e, (uint32_t)i);
	at_ms += candidate_backoff_ms(e);
	if (e->phase == PHASE_FOLLOWING && e->master == server && at_ms < e->deadline_ms)
		e->deadline_ms = at_ms;
}

static void begin(struct election_output *out)
{
	out->persist = out->role_changed = out->ack_beat = false;
	out->n_sends = 0;
}

static void finish(struct election *e, struct election_output *out)
{
	enum election_role role = election_role(e);
	uint64_t epoch = election_epoch(e), lease_until_ms = master_lease_until_ms(e);
	uint16_t master = election_master(e);

	out->durable = e->durable;
	out->role_changed =
		role != e->told_role || epoch != e->told_epoch || master != e->told_master;
	e->told_role = role;
	e->told_epoch = epoch;
	e->told_master = master;
	out->lease_until_ms = lease_until_ms > e->now_ms ? lease_until_ms : 0;
	out->wake_at_ms = e->now_ms + e->beat_ms;
	if (e->phase != PHASE_LEADING && e->phase != PHASE_STARTING && e->deadline_ms > e->now_ms &&
	    e->pending == PENDING_NONE)
		out->wake_at_ms = e->deadline_ms;
}

void election_init(struct election *e, const struct election_config *cfg,
		   const struct election_durable *durable, struct election_position position,
		   uint64_t now_ms, struct election_output *out)
{
	assert(cfg->n_voters >= 1 && cfg->n_voters <= ELECTION_VOTERS_MAX);
	assert(cfg->self != 0 && cfg->beat_ms > 0 && durable->boot > 0);
	memset(e, 0, sizeof(*e));
	e->cfg = *cfg;
	e->n_majority = cfg->n_voters / 2 + 1;
	e->beat_ms = cfg->beat_ms;
	/* Times are whole milliseconds, cut off: a guard that began at 7.9 began at 7. */
	e->guard_ms = (uint64_t)(cfg->beat_ms * ELECTION_GUARD_BEATS) + 1;
	e->lease_ms = (uint64_t)(cfg->beat_ms * ELECTION_LEASE_BEATS);
	for (e->self_index = 0; e->self_index < cfg->n_voters; e->self_index++)
		if (cfg->voters[e->self_index].id == cfg->self)
			break;
	e->now_ms = now_ms;
	e->random = cfg->seed ^ ((uint64_t)cfg->self << 48) ^ durable->boot;
	e->durable = *durable;
	e->stored_epoch = e->seen_epoch = e->told_epoch = durable->epoch;
	e->position = position;
	e->is_first_start = durable->epoch == 0 && e->n_majority > 1;
	/* It may have handled a beat right before it stopped, and its master counts on that. */
	e->guard_until_ms = MUTANT(4) || e->n_majority == 1 ? now_ms : now_ms + e->guard_ms;
	e->phase = PHASE_STARTING;
	e->pending = PENDING_BOOT;
	begin(out);
	out->persist = true;
	finish(e, out);
}

void election_step(struct election *e, const struct election_input *in, struct election_output *out)
{
	uint64_t epoch_before = e->durable.epoch;

	begin(out);
	if (in->now_ms > e->now_ms)
		e->now_ms = in->now_ms;
	switch (in->event) {
	case ELECTION_EV_TIMER:
		break;
	case ELECTION_EV_MESSAGE:
		if (e->phase != PHASE_STARTING)
			handle_message(e, in->message, out);
		break;
	case ELECTION_EV_BEAT:
		if (e->phase != PHASE_STARTING)
			handle_beat(e, in->beat, out);
		break;
	case ELECTION_EV_FAILED:
		handle_failed(e, in->server);
		break;
	case ELECTION_EV_PERSISTED:
		handle_persisted(e, out);
		break;
	case ELECTION_EV_STATE:
		e->is_healthy = in->is_healthy;
		e->is_forgetful = in->is_forgetful;
		e->position = in->position;
		break;
	}
	if (e->phase == PHASE_LEADING)
		master_run(e, out);
	else
		candidate_run(e, out);
	assert(e->durable.epoch >= epoch_before);
	assert(e->phase != PHASE_LEADING || e->pending == PENDING_NONE);
	finish(e, out);
}

enum election_role election_role(const struct election *e)
{
	switch (e->phase) {
	case PHASE_LEADING:
		return ELECTION_MASTER;
	case PHASE_ASKING:
	case PHASE_CLAIMING:
		return ELECTION_CANDIDATE;
	default:
		return ELECTION_FOLLOWER;
	}
}

uint64_t election_epoch(const struct election *e)
{
	return e->stored_epoch;
}

uint16_t election_master(const struct election *e)
{
	return e->master;
}

uint64_t election_n_rejected(const struct election *e)
{
	return e->n_rejected;
}

const char *election_message_name(uint8_t kind)
{
	switch (kind) {
	case ELECTION_MSG_ELECTION:
		return "ELECTION";
	case ELECTION_MSG_ANSWER:
		return "ANSWER";
	case ELECTION_MSG_CLAIM:
		return "CLAIM";
	case ELECTION_MSG_GRANT:
		return "GRANT";
	case ELECTION_MSG_COORDINATOR:
		return "COORDINATOR";
	case ELECTION_MSG_TRANSFER:
		return "TRANSFER";
	default:
		return "unknown";
	}
}
