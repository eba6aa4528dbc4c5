#include "cp/election/machine.h"

/* The best-ranked living server goes at once, each further one waits a beat more; what chance adds
 * grows with the attempts that failed, so that equals do not collide for ever. The eighth of a beat
 * lets the other voters' guards run out, which began a little later. */
uint64_t candidate_backoff_ms(struct election *e)
{
	uint64_t order = 0, spread = e->n_attempts < 4 ? e->n_attempts : 4;

	for (uint32_t i = 0; i < e->cfg.n_voters; i++)
		order += peers_is_candidate(e, i) && peers_is_better(e, i);
	return e->beat_ms / 8 + order * e->beat_ms +
	       machine_random(e, e->beat_ms / 4 + spread * e->beat_ms + 1);
}

void candidate_wait(struct election *e, uint64_t ms)
{
	e->phase = PHASE_FOLLOWING;
	e->master = 0;
	e->deadline_ms = e->now_ms + ms + candidate_backoff_ms(e);
}

static void try_later(struct election *e)
{
	e->n_attempts++;
	candidate_wait(e, 0);
}

static void claim(struct election *e, uint64_t epoch, uint16_t released_by,
		  struct election_output *out)
{
	e->phase = PHASE_CLAIMING;
	e->master = 0;
	e->released_by = released_by;
	machine_persist(e, out, PENDING_OWN_VOTE, epoch, e->cfg.self);
}

void candidate_stand(struct election *e, struct election_output *out)
{
	struct election_message m = {.kind = ELECTION_MSG_ELECTION, .position = e->position};
	bool is_free = voter_is_free(e, e->cfg.self, 0, 0);

	if (!machine_is_voter(e) || e->pending != PENDING_NONE ||
	    !voter_may_vote(e, e->position.version == 0) ||
	    (!e->is_healthy && e->cfg.n_voters > 1)) {
		e->deadline_ms = e->now_ms + e->beat_ms;
		return;
	}
	if (!is_free) { /* it is a voter itself, and the master counted on it */
		e->deadline_ms = e->guard_until_ms;
		return;
	}
	e->is_first_start = false;
	if (e->n_majority == 1) {
		claim(e, e->seen_epoch + 1, 0, out);
		return;
	}
	e->phase = PHASE_ASKING;
	e->master = 0;
	e->answered = e->granted = 1u << e->self_index;
	e->deadline_ms = e->now_ms + ANSWER_BEATS * e->beat_ms;
	m.round = ++e->round;
	m.epoch = e->seen_epoch + 1;
	machine_send_all(e, out, m);
}

static uint32_t n_bits(uint32_t set)
{
	return (uint32_t)__builtin_popcount(set);
}

/* Nobody is left whose answer could stand this server down. */
static bool is_answered_by_better(const struct election *e)
{
	for (uint32_t i = 0; i < e->cfg.n_voters; i++)
		if (i != e->self_index && peers_is_better(e, i) && !e->peers[i].is_failed &&
		    (e->answered & 1u << i) == 0)
			return false;
	return true;
}

void candidate_handle_answer(struct election *e, uint32_t from, const struct election_message *m,
			     struct election_output *out)
{
	bool is_behind = peers_compare(m->position, e->position) > 0;

	if (e->phase != PHASE_ASKING || m->round != e->round)
		return;
	if (m->verdict == ELECTION_STAND_DOWN && !peers_is_better(e, from)) {
		e->n_rejected++;
		return;
	}
	if (m->verdict == ELECTION_STAND_DOWN && (e->ignored & 1u << from) == 0) {
		e->ignored |= 1u << from;
		e->phase = PHASE_STOOD_DOWN;
		e->deadline_ms = e->now_ms + STAND_DOWN_BEATS * e->beat_ms;
		return;
	}
	e->answered |= 1u << from;
	/* One that would rather lead itself would still vote for this server. */
	if (m->verdict == ELECTION_GRANTED || (m->verdict == ELECTION_STAND_DOWN && !is_behind))
		e->granted |= 1u << from;
	if (n_bits(e->granted) >= e->n_majority && is_answered_by_better(e))
		claim(e, e->seen_epoch + 1, 0, out);
}

void candidate_handle_transfer(struct election *e, uint32_t from, const struct election_message *m,
			       struct election_output *out)
{
	if (m->epoch != e->durable.epoch || e->phase == PHASE_LEADING ||
	    e->phase == PHASE_CLAIMING || !e->is_healthy || !voter_may_vote(e, false) ||
	    !voter_is_free(e, e->cfg.self, m->from, m->epoch + 1))
		return;
	claim(e, m->epoch + 1, m->from, out);
}

void candidate_vote_stored(struct election *e, struct election_output *out)
{
	struct election_message m = {.kind = ELECTION_MSG_CLAIM,
				     .epoch = e->durable.epoch,
				     .position = e->position,
				     .released_by = e->released_by};

	e->pending = PENDING_NONE;
	e->stored_epoch = e->durable.epoch;
	e->granted = 1u << e->self_index;
	e->deadline_ms = e->now_ms + CLAIM_BEATS * e->beat_ms;
	if (e->n_majority == 1)
		master_begin(e, out);
	else
		machine_send_all(e, out, m);
}

void candidate_handle_grant(struct election *e, uint32_t from, const struct election_message *m,
			    struct election_output *out)
{
	if (e->phase != PHASE_CLAIMING || m->verdict != ELECTION_GRANTED ||
	    m->epoch != e->durable.epoch || e->now_ms >= e->deadline_ms)
		return;
	if (MUTANT(1))
		e->granted = e->granted << 1 | 1; /* a counter: repeats count */
	else
		e->granted |= 1u << from;
	if (n_bits(e->granted) >= e->n_majority)
		master_begin(e, out);
}

void candidate_run(struct election *e, struct election_output *out)
{
	if (e->is_first_start && e->phase == PHASE_FOLLOWING && e->pending == PENDING_NONE &&
	    peers_all_heard(e)) {
		e->is_first_start = false;
		candidate_wait(e, 0);
	}
	if (e->pending != PENDING_NONE || e->now_ms < e->deadline_ms)
		return;
	switch (e->phase) {
	case PHASE_FOLLOWING:
	case PHASE_STOOD_DOWN:
		e->phase = PHASE_FOLLOWING;
		candidate_stand(e, out);
		break;
	case PHASE_ASKING:
		if (n_bits(e->granted) >= e->n_majority)
			claim(e, e->seen_epoch + 1, 0, out);
		else
			try_later(e);
		break;
	case PHASE_CLAIMING:
		try_later(e);
		break;
	default:
		break;
	}
}
