/* What must always hold of the log. A "hash" is the state after an entry: whoever applied others
 * before it, or in another order, has another one. */
#include <stddef.h>

#include "tests/sim/sim.h"

uint64_t check_hash(uint64_t hash, struct sim_entry e)
{
	uint64_t x = hash ^ e.epoch * 0x9e3779b97f4a7c15u ^ e.value;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	return x ^ (x >> 27);
}

void check_log_begin(struct sim *s)
{
	s->n_committed = 0;
	s->hashes[0] = 0;
}

static bool is_same(struct sim_entry a, struct sim_entry b)
{
	return a.epoch == b.epoch && a.value == b.value;
}

/* Entries that were put into a state are judged by its hash when it is loaded or applied. */
static bool is_on_disk(const struct sim_disk *d, uint64_t index, struct sim_entry e)
{
	if (d->is_rebuilding)
		return false;
	return index < d->first ? d->state.index >= index
				: index <= d->last && is_same(d->entries[index], e);
}

/* A server that lost its disk a moment ago may have answered before; its answer counts until its
 * new start is heard. */
static bool is_answer_old(const struct sim *s, uint32_t master, uint32_t i)
{
	const struct replog *r = &s->nodes[master].log;

	for (uint32_t k = 0; k < r->n_peers; k++)
		if (r->peers[k].id == s->nodes[i].id)
			return !s->nodes[i].is_up ||
			       r->peers[k].known_boot != s->nodes[i].election.durable.boot;
	return false;
}

static void commit(struct sim *s, uint32_t i, uint64_t index)
{
	const struct sim_log *l = &s->logs[i];
	struct sim_entry e = l->entries[index];
	uint32_t n_hold = 0;

	s->global[index] = e;
	s->hashes[index] = check_hash(s->hashes[index - 1], e);
	s->n_committed = index;
	for (uint32_t k = 0; k < s->n_nodes; k++)
		n_hold += is_on_disk(&s->logs[k].disk, index, e) ||
			  (k != i && is_answer_old(s, i, k));
	if (n_hold <= s->n_nodes / 2)
		sim_break(s, "R4: committed, but not on the disks of a majority");
}

void check_log_step(struct sim *s, uint32_t i)
{
	struct sim_node *n = &s->nodes[i];
	const struct replog *r = &n->log;

	if (r->known <= s->n_committed)
		return;
	if (!r->is_acting) {
		sim_break(s, "R1: a follower knows of a commit that no master made");
		return;
	}
	while (s->broken == NULL && s->n_committed < r->known)
		commit(s, i, s->n_committed + 1);
	check_commit(s, (struct election_position){replog_epoch_at(r, r->known), r->known});
	for (uint32_t k = 0; k < s->n_nodes; k++)
		if (k != i && s->nodes[k].is_up && s->nodes[k].log.is_acting &&
		    s->nodes[k].log.epoch > r->epoch)
			check_acting(s, k);
}

void check_acting(struct sim *s, uint32_t i)
{
	const struct replog *r = &s->nodes[i].log;
	const struct sim_log *l = &s->logs[i];

	if (r->last < s->n_committed)
		sim_break(s, "R3: a master lacks what was committed");
	for (uint64_t k = r->first; k <= s->n_committed && s->broken == NULL; k++)
		if (!is_same(l->entries[k], s->global[k]))
			sim_break(s, "R3: a master holds another entry than the committed one");
}

void check_applied(struct sim *s, uint32_t i)
{
	const struct sim_log *l = &s->logs[i];

	if (l->applied.index > s->n_committed)
		sim_break(s, "R1: applied, but never committed");
	else if (l->applied.hash != s->hashes[l->applied.index])
		sim_break(s, "R1: what was applied is not what was committed");
}

void check_stored(struct sim *s, const struct sim_disk *d)
{
	if (d->is_rebuilding)
		return;
	if (d->state.index > s->n_committed || d->state.hash != s->hashes[d->state.index])
		sim_break(s, "R1: the state on disk is not that of what was committed");
	if (d->first > d->last + 1 || d->state.index + 1 < d->first || d->state.index > d->last)
		sim_break(s, "R2: a hole between state and log");
	if (d->last > d->first && d->entries[d->last].epoch < d->entries[d->last - 1].epoch)
		sim_break(s, "R2: the epochs of a log fall");
}
