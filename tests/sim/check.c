#include <string.h>

#include "tests/sim/sim.h"

void check_begin(struct sim *s)
{
	memset(s->winners, 0, sizeof(s->winners));
	memset(s->committed, 0, sizeof(s->committed));
	check_log_begin(s);
	s->epoch_max = 0;
	s->broken = NULL;
}

static bool is_behind(struct election_position a, struct election_position b)
{
	return a.epoch != b.epoch ? a.epoch < b.epoch : a.version < b.version;
}

static void check_vote(struct sim *s, struct sim_node *n, uint64_t epoch, uint16_t candidate)
{
	uint32_t at = epoch % SIM_EPOCHS_MAX;

	if (n->votes[at].epoch == epoch && n->votes[at].candidate != candidate)
		sim_break(s, "I2: two votes of one server in one epoch");
	n->votes[at].epoch = epoch;
	n->votes[at].candidate = candidate;
}

static void check_epoch(struct sim *s, struct sim_node *n, uint64_t epoch)
{
	if (epoch < n->revealed_epoch)
		sim_break(s, "I1: the epoch of a server fell");
	n->revealed_epoch = epoch;
}

static void check_win(struct sim *s, struct sim_node *n)
{
	uint64_t epoch = election_epoch(&n->election);

	s->reached[SIM_R_WIN]++;
	if (epoch >= SIM_EPOCHS_MAX) {
		sim_break(s, "L0: epochs run away");
		return;
	}
	if (s->winners[epoch] != 0)
		sim_break(s, "I3: two winners of one epoch");
	s->winners[epoch] = n->id;
	s->won_with[epoch] = replog_position(&n->log);
	if (epoch > s->epoch_max)
		s->epoch_max = epoch;
	/* A winner that learns of it late, when a later epoch has begun, is harmless: it gets no
	 * lease and no majority accepts what it proposes. */
	for (uint64_t e = 0; e < epoch; e++)
		if (s->committed[e] != 0 &&
		    is_behind(s->won_with[epoch], (struct election_position){e, s->committed[e]}))
			sim_break(s, "I5: a new master lacks what is committed");
	for (uint32_t k = 0; k < s->n_nodes; k++)
		if (node_has_lease(s, &s->nodes[k]) &&
		    election_epoch(&s->nodes[k].election) < epoch)
			sim_break(s, "I4: won while another master's lease runs");
}

/* A later master must have held it when it won, though the commit is noticed only now. */
void check_commit(struct sim *s, struct election_position p)
{
	s->reached[SIM_R_COMMIT]++;
	if (s->committed[p.epoch] < p.version)
		s->committed[p.epoch] = p.version;
	for (uint64_t epoch = p.epoch + 1; epoch <= s->epoch_max; epoch++)
		if (s->winners[epoch] != 0 && is_behind(s->won_with[epoch], p))
			sim_break(s, "I5: committed, but a later master lacks it");
}

void check_step(struct sim *s, uint32_t i, const struct election_output *out)
{
	struct sim_node *n = &s->nodes[i];
	bool is_master = election_role(&n->election) == ELECTION_MASTER;

	check_epoch(s, n, election_epoch(&n->election));
	for (uint32_t k = 0; k < out->n_sends; k++) {
		const struct election_message *m = &out->sends[k];

		if (m->kind == ELECTION_MSG_GRANT && m->verdict == ELECTION_GRANTED)
			check_vote(s, n, m->epoch, m->to);
		if (m->kind == ELECTION_MSG_CLAIM)
			check_vote(s, n, m->epoch, n->id);
		s->reached[SIM_R_TRANSFER] += m->kind == ELECTION_MSG_TRANSFER;
		s->reached[SIM_R_STAND_DOWN] += m->verdict == ELECTION_STAND_DOWN;
	}
	n->lease_until_ms = out->lease_until_ms;
	if (is_master && !n->is_master)
		check_win(s, n);
	n->is_master = is_master;
	if (!is_master && out->lease_until_ms != 0)
		sim_break(s, "I4: a lease without a master");
	if (!node_has_lease(s, n))
		return;
	for (uint32_t k = 0; k < s->n_nodes; k++)
		if (k != i && node_has_lease(s, &s->nodes[k]))
			sim_break(s, "I4: two masters with a running lease");
}
