/* The ownership map, reduced to its position: the master's next one is accepted by each server that
 * has it on disk and still follows; a majority makes it committed. */
#include "tests/sim/sim.h"

#define PROPOSAL_MS 300 /* given up after this */

static int compare(struct election_position a, struct election_position b)
{
	if (a.epoch != b.epoch)
		return a.epoch < b.epoch ? -1 : 1;
	return (a.version > b.version) - (a.version < b.version);
}

static void store(struct sim *s, uint32_t i, uint32_t proposer, struct election_position p)
{
	struct sim_node *n = &s->nodes[i];
	struct sim_event *ev;

	n->is_map_writing = true;
	n->map_writing = p;
	n->map_writing_for = (uint8_t)proposer;
	ev = queue_add(s, s->now_us + 1000 + sim_random(s, 12000), SIM_MAP_STORED, i);
	ev->incarnation = n->incarnation;
}

void map_propose(struct sim *s, uint32_t i)
{
	struct sim_node *n = &s->nodes[i];
	struct sim_event what = {.kind = SIM_PROPOSE};

	if (!n->is_master || !node_has_lease(s, n) || n->is_map_writing)
		return;
	if (n->proposed.epoch == election_epoch(&n->election) &&
	    compare(n->proposed, n->held) >= 0 && n->accepted != 0 &&
	    s->now_us < n->proposed_us + PROPOSAL_MS * 1000)
		return;
	n->proposed.epoch = election_epoch(&n->election);
	n->proposed.version = n->held.version + 1;
	n->proposed_us = s->now_us;
	n->accepted = 0;
	store(s, i, i, n->proposed);
	what.position = n->proposed;
	for (uint32_t k = 0; k < s->n_nodes; k++)
		if (k != i)
			net_send(s, &what, i, k);
}

static bool is_followed(const struct sim_node *n, uint16_t proposer, uint64_t epoch)
{
	return election_master(&n->election) == proposer && election_epoch(&n->election) == epoch;
}

static void count_accept(struct sim *s, uint32_t i, uint32_t from, struct election_position p)
{
	struct sim_node *n = &s->nodes[i];

	if (!n->is_master || compare(p, n->proposed) != 0 ||
	    p.epoch != election_epoch(&n->election))
		return;
	n->accepted |= 1u << from;
	if ((uint32_t)__builtin_popcount(n->accepted) > s->n_nodes / 2)
		check_commit(s, p);
}

static void accept(struct sim *s, uint32_t i, uint32_t proposer)
{
	struct sim_node *n = &s->nodes[i];
	struct sim_event what = {.kind = SIM_ACCEPT, .position = n->held};

	if (i == proposer)
		count_accept(s, i, i, n->held);
	else
		net_send(s, &what, i, proposer);
}

void map_handle(struct sim *s, const struct sim_event *ev)
{
	struct sim_node *n = &s->nodes[ev->node];
	uint32_t proposer;

	switch (ev->kind) {
	case SIM_PROPOSE:
		if (n->is_map_writing || !is_followed(n, s->nodes[ev->from].id, ev->position.epoch))
			break;
		if (compare(ev->position, n->held) > 0)
			store(s, ev->node, ev->from, ev->position);
		else if (compare(ev->position, n->held) == 0)
			accept(s, ev->node, ev->from);
		break;
	case SIM_MAP_STORED:
		proposer = n->map_writing_for;
		n->is_map_writing = false;
		n->held = n->map_disk = n->map_writing;
		node_tell_state(s, ev->node);
		/* A vote may have been given while the disk was busy. */
		if (is_followed(n, s->nodes[proposer].id, n->held.epoch))
			accept(s, ev->node, proposer);
		break;
	default:
		count_accept(s, ev->node, ev->from, ev->position);
		break;
	}
}

void map_crash(struct sim *s, uint32_t i)
{
	struct sim_node *n = &s->nodes[i];

	if (n->is_map_writing && sim_chance(s, 50))
		n->map_disk = n->map_writing;
	n->is_map_writing = false;
}
