#include "cp/election/machine.h"

#define LOSSES_MAX 3 /* each doubles the hold-down */

int peers_find(const struct election *e, uint16_t id)
{
	for (uint32_t i = 0; i < e->cfg.n_voters; i++)
		if (e->cfg.voters[i].id == id && i != e->self_index)
			return (int)i;
	return -1;
}

static void stop_being_well(struct election *e, struct election_peer *p)
{
	if (!p->is_well)
		return;
	p->is_well = false;
	p->lost_ms[p->n_losses++ % LOSSES_MAX] = e->now_ms;
}

/* False: an incarnation that is no more, or an epoch that cannot be. */
bool peers_admit(struct election *e, uint32_t i, uint32_t boot, uint64_t epoch)
{
	struct election_peer *p = &e->peers[i];

	if (boot == 0 || boot < p->boot || epoch > EPOCH_MAX)
		return false;
	if (boot > p->boot) {
		stop_being_well(e, p);
		p->boot = boot;
	}
	if (epoch > e->seen_epoch)
		e->seen_epoch = epoch;
	return true;
}

void peers_beat(struct election *e, uint32_t i, const struct election_beat *b)
{
	struct election_peer *p = &e->peers[i];

	if (p->is_heard && e->now_ms - p->heard_ms > e->guard_ms)
		stop_being_well(e, p);
	p->is_heard = true;
	p->heard_ms = e->now_ms;
	p->is_failed = false;
	p->is_healthy = b->is_healthy;
	p->epoch = b->epoch;
	p->position = b->position;
	if (!b->is_healthy) {
		stop_being_well(e, p);
	} else if (!p->is_well) {
		p->is_well = true;
		p->well_since_ms = e->now_ms;
	}
}

void peers_failed(struct election *e, uint32_t i)
{
	e->peers[i].is_failed = true;
	stop_being_well(e, &e->peers[i]);
}

bool peers_is_better(const struct election *e, uint32_t i)
{
	return !machine_is_voter(e) || e->cfg.voters[i].rank > e->cfg.voters[e->self_index].rank;
}

bool peers_is_candidate(const struct election *e, uint32_t i)
{
	const struct election_peer *p = &e->peers[i];

	return i != e->self_index && p->is_heard && !p->is_failed && p->is_healthy &&
	       e->now_ms - p->heard_ms <= e->guard_ms &&
	       peers_compare(p->position, e->position) >= 0;
}

bool peers_all_heard(const struct election *e)
{
	for (uint32_t i = 0; i < e->cfg.n_voters; i++)
		if (i != e->self_index && !e->peers[i].is_heard)
			return false;
	return true;
}

/* Flap damping: who was lost of late is trusted later. */
uint64_t peers_hold_down_ms(const struct election *e, uint32_t i)
{
	const struct election_peer *p = &e->peers[i];
	uint64_t hold_down_ms = e->cfg.hold_down_ms;

	for (uint32_t k = 0; k < LOSSES_MAX && k < p->n_losses; k++)
		if (e->now_ms - p->lost_ms[k] < (uint64_t)DAMPED_HOLD_DOWNS * e->cfg.hold_down_ms)
			hold_down_ms *= 2;
	return hold_down_ms;
}

int peers_compare(struct election_position a, struct election_position b)
{
	if (a.epoch != b.epoch)
		return a.epoch < b.epoch ? -1 : 1;
	if (a.version != b.version)
		return a.version < b.version ? -1 : 1;
	return 0;
}
