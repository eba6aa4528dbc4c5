#include "cp/election/machine.h"

void master_begin(struct election *e, struct election_output *out)
{
	struct election_message m = {.kind = ELECTION_MSG_COORDINATOR,
				     .epoch = e->durable.epoch,
				     .position = e->position};

	e->phase = PHASE_LEADING;
	e->master = e->cfg.self;
	e->leading_since_ms = e->lease_seen_ms = e->unhealthy_since_ms = e->now_ms;
	e->ignored = e->n_attempts = 0;
	e->is_outrun = false;
	for (uint32_t i = 0; i < e->cfg.n_voters; i++)
		e->peers[i].acked_sent_ms = 0;
	machine_send_all(e, out, m);
}

/* The majority-th newest of the send times that were acknowledged; its own counts as now. */
uint64_t master_lease_until_ms(const struct election *e)
{
	uint64_t newest[ELECTION_VOTERS_MAX];
	uint32_t n = 0;

	if (e->phase != PHASE_LEADING)
		return 0;
	for (uint32_t i = 0; i < e->cfg.n_voters; i++) {
		uint64_t t = i == e->self_index ? e->now_ms : e->peers[i].acked_sent_ms;
		uint32_t at = n++;

		for (; at > 0 && newest[at - 1] < t; at--)
			newest[at] = newest[at - 1];
		newest[at] = t;
	}
	n = e->n_majority - 1;
	return newest[n] == 0 && n > 0 ? 0 : newest[n] + e->lease_ms;
}

bool master_is_firm(const struct election *e)
{
	return e->phase == PHASE_LEADING && (e->now_ms < master_lease_until_ms(e) ||
					     e->now_ms < e->leading_since_ms + e->guard_ms);
}

void master_handle_beat(struct election *e, uint32_t from, const struct election_beat *b)
{
	struct election_peer *p = &e->peers[from];
	uint64_t acked_ms = MUTANT(5) && b->acked_sent_ms != 0 ? e->now_ms : b->acked_sent_ms;

	if (b->epoch == e->durable.epoch && b->master == e->cfg.self &&
	    acked_ms >= e->leading_since_ms && acked_ms <= e->now_ms && acked_ms > p->acked_sent_ms)
		p->acked_sent_ms = acked_ms;
	if (b->epoch <= e->durable.epoch)
		return;
	if (b->master !=
	    0) { /* somebody won a later epoch; that one's own beats are on their way */
		candidate_wait(e, STAND_DOWN_BEATS * e->beat_ms);
	} else if (!e->is_outrun) {
		e->is_outrun = true;
		e->outrun_since_ms = e->now_ms;
	}
}

/* A claim that failed left voters in a higher epoch, where they can follow nobody: win one above
 * it. The lease ends here. Rank has no say, or they would depose a healthy master. */
static void renew(struct election *e, struct election_output *out)
{
	e->ignored = (1u << e->cfg.n_voters) - 1;
	e->phase = PHASE_FOLLOWING;
	candidate_stand(e, out);
}

static bool is_outrun(struct election *e)
{
	bool is_any = false;

	for (uint32_t i = 0; i < e->cfg.n_voters; i++)
		is_any |= i != e->self_index && !e->peers[i].is_failed &&
			  e->peers[i].epoch > e->durable.epoch;
	e->is_outrun &= is_any;
	return e->is_outrun && e->now_ms >= e->outrun_since_ms + OUTRUN_BEATS * e->beat_ms;
}

/* The best-ranked one that is ready: it follows this server, lives, holds all of the map; and has
 * been well for its hold-down, unless this server has to go. */
static int find_successor(const struct election *e, bool must_go)
{
	int best = -1;

	for (uint32_t i = 0; i < e->cfg.n_voters; i++) {
		const struct election_peer *p = &e->peers[i];

		if (!peers_is_candidate(e, i) || !p->is_well ||
		    p->acked_sent_ms + e->lease_ms <= e->now_ms)
			continue;
		if (!must_go && (!peers_is_better(e, i) ||
				 e->now_ms - p->well_since_ms < peers_hold_down_ms(e, i)))
			continue;
		if (best < 0 || e->cfg.voters[i].rank > e->cfg.voters[best].rank)
			best = (int)i;
	}
	return best;
}

void master_run(struct election *e, struct election_output *out)
{
	uint64_t lease_until_ms = master_lease_until_ms(e);
	struct election_message m = {.kind = ELECTION_MSG_TRANSFER, .epoch = e->durable.epoch};
	bool must_go;
	int successor;

	if (lease_until_ms > e->lease_seen_ms)
		e->lease_seen_ms = lease_until_ms;
	if (e->now_ms >= e->lease_seen_ms + NO_LEASE_BEATS * e->beat_ms) {
		candidate_wait(e, SILENCE_BEATS * e->beat_ms);
		return;
	}
	if (e->is_healthy)
		e->unhealthy_since_ms = e->now_ms;
	must_go = e->now_ms >= e->unhealthy_since_ms + UNHEALTHY_BEATS * e->beat_ms;
	successor = e->now_ms < lease_until_ms ? find_successor(e, must_go) : -1;
	if (successor >= 0) {
		candidate_wait(e, TRANSFER_BEATS * e->beat_ms);
		machine_send(e, out, (uint32_t)successor, m);
	} else if (is_outrun(e)) {
		renew(e, out);
	}
}
