#include "cp/election/machine.h"

/* Does the guard allow to vote for this server? The guard protects the lease of one master in one
 * epoch; that master's own claim, or its word that it left exactly that epoch, ends the need. */
bool voter_is_free(const struct election *e, uint16_t for_server, uint16_t released_by,
		   uint64_t epoch)
{
	if (e->now_ms >= e->guard_until_ms)
		return true;
	if (e->guard_master == 0)
		return false;
	return e->guard_master == for_server ||
	       (e->guard_master == released_by && epoch == e->guard_epoch + 1);
}

bool voter_may_vote(const struct election *e, bool for_one_with_nothing)
{
	uint32_t n_with_nothing = 1;
	bool is_anything_alive = false;

	if (!e->is_forgetful)
		return true;
	for (uint32_t i = 0; i < e->cfg.n_voters; i++) {
		const struct election_peer *p = &e->peers[i];

		if (i == e->self_index || !p->is_heard)
			continue;
		n_with_nothing += p->position.version == 0;
		is_anything_alive |= p->position.version != 0 && !p->is_failed;
	}
	return n_with_nothing >= e->n_majority && !(for_one_with_nothing && is_anything_alive);
}

static bool would_grant(const struct election *e, const struct election_message *m)
{
	return voter_may_vote(e, m->position.version == 0) &&
	       voter_is_free(e, m->from, m->released_by, m->epoch) && !master_is_firm(e) &&
	       (peers_compare(m->position, e->position) >= 0 || MUTANT(6));
}

/* A better server stands: leave it the field for a while, but only once in a suspicion. */
static void defer_to(struct election *e, uint32_t i, const struct election_message *m)
{
	uint64_t until_ms = e->now_ms + STAND_DOWN_BEATS * e->beat_ms;

	if (!peers_is_better(e, i) || (e->ignored & 1u << i) != 0 ||
	    peers_compare(m->position, e->position) < 0)
		return;
	if (e->phase != PHASE_ASKING && e->phase != PHASE_FOLLOWING)
		return;
	if (e->phase == PHASE_ASKING || e->deadline_ms < until_ms)
		e->deadline_ms = until_ms;
	e->ignored |= 1u << i;
	e->phase = PHASE_STOOD_DOWN;
}

void voter_handle_election(struct election *e, uint32_t from, const struct election_message *m,
			   struct election_output *out)
{
	struct election_message answer = {.kind = ELECTION_MSG_ANSWER,
					  .verdict = ELECTION_REFUSED,
					  .epoch = e->stored_epoch,
					  .round = m->round};
	bool is_free = voter_is_free(e, 0, 0, 0) && !master_is_firm(e);
	bool is_better = e->is_healthy && voter_may_vote(e, true) && !peers_is_better(e, from) &&
			 peers_compare(e->position, m->position) >= 0;

	if (is_free && is_better)
		answer.verdict = ELECTION_STAND_DOWN;
	else if (would_grant(e, m))
		answer.verdict = ELECTION_GRANTED;
	machine_send(e, out, from, answer);
	if (answer.verdict == ELECTION_GRANTED)
		defer_to(e, from, m);
	else if (answer.verdict == ELECTION_STAND_DOWN && e->phase == PHASE_FOLLOWING)
		candidate_stand(e, out);
}

static void refuse(struct election *e, uint32_t to, struct election_output *out)
{
	struct election_message m = {
		.kind = ELECTION_MSG_GRANT, .verdict = ELECTION_REFUSED, .epoch = e->stored_epoch};

	machine_send(e, out, to, m);
}

static void grant(struct election *e, uint16_t candidate, struct election_output *out)
{
	struct election_message m = {
		.kind = ELECTION_MSG_GRANT, .verdict = ELECTION_GRANTED, .epoch = e->durable.epoch};

	machine_send(e, out, (uint32_t)peers_find(e, candidate), m);
}

void voter_handle_claim(struct election *e, uint32_t from, const struct election_message *m,
			struct election_output *out)
{
	bool is_new = m->epoch > e->durable.epoch;

	if (m->epoch == e->durable.epoch && (e->durable.voted_for == m->from || MUTANT(3))) {
		grant(e, m->from, out); /* once more: the first one may be lost */
		return;
	}
	if (!is_new || !would_grant(e, m)) {
		refuse(e, from, out);
		return;
	}
	candidate_wait(e, STAND_DOWN_BEATS * e->beat_ms);
	machine_persist(e, out, PENDING_GRANT, m->epoch, m->from);
	if (MUTANT(2)) {
		out->persist = false;
		voter_grant_stored(e, out);
	}
}

void voter_grant_stored(struct election *e, struct election_output *out)
{
	e->pending = PENDING_NONE;
	e->stored_epoch = e->durable.epoch;
	grant(e, e->pending_for, out);
}

void voter_follow(struct election *e, uint16_t master)
{
	e->phase = PHASE_FOLLOWING;
	e->master = master;
	e->guard_master = master;
	e->guard_epoch = e->durable.epoch;
	e->guard_until_ms = e->now_ms + e->guard_ms;
	e->is_first_start = false;
	e->ignored = e->n_attempts = 0;
	e->deadline_ms = e->guard_until_ms + SILENCE_BEATS * e->beat_ms + candidate_backoff_ms(e);
}

bool voter_handle_master(struct election *e, uint32_t from, uint64_t epoch,
			 struct election_output *out)
{
	uint16_t master = e->cfg.voters[from].id;

	if (epoch < e->durable.epoch || e->pending != PENDING_NONE)
		return false;
	if (epoch > e->durable.epoch) {
		candidate_wait(e, STAND_DOWN_BEATS * e->beat_ms);
		machine_persist(e, out, PENDING_FOLLOW, epoch, master);
		return false;
	}
	/* One epoch has one winner; anything else is not this cluster's. */
	if (e->phase == PHASE_LEADING || (e->master != 0 && e->master != master)) {
		e->n_rejected++;
		return false;
	}
	voter_follow(e, master);
	return true;
}
