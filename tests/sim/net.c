#include "tests/sim/sim.h"

static uint64_t latency_us(struct sim *s)
{
	if (sim_chance(s, s->delay_pct)) {
		s->reached[SIM_R_DELAY]++;
		return sim_random(s, 6 * SIM_BEAT_MS * 1000);
	}
	return 50 + sim_random(s, 2000);
}

void net_send(struct sim *s, const struct sim_event *what, uint32_t from, uint32_t to)
{
	uint32_t n_copies = 1;

	if (s->is_cut[from][to])
		return;
	if (sim_chance(s, s->loss_pct)) {
		s->reached[SIM_R_LOSS]++;
		return;
	}
	if (sim_chance(s, s->repeat_pct)) {
		s->reached[SIM_R_REPEAT]++;
		n_copies = 2;
	}
	for (uint32_t i = 0; i < n_copies; i++) {
		uint64_t at_us = s->now_us + latency_us(s);
		struct sim_event *ev = queue_add(s, at_us, what->kind, to);

		ev->from = (uint8_t)from;
		ev->message = what->message;
		ev->beat = what->beat;
		ev->sent_ms = what->sent_ms;
		ev->mail = what->mail;
	}
}

static bool is_linked(const struct sim *s, uint32_t a, uint32_t b)
{
	return !s->is_cut[a][b] && !s->is_cut[b][a];
}

/* A connection needs both directions; a host whose process is gone refuses at once, one that is cut
 * off is given up after two beats. A paused process is reachable: its kernel accepts. */
static uint64_t connect_us(struct sim *s, uint32_t from, uint32_t to, bool *is_reachable)
{
	*is_reachable = is_linked(s, from, to) && s->nodes[to].is_up;
	return is_linked(s, from, to) ? 100 + sim_random(s, 3000) : 2 * SIM_BEAT_MS * 1000;
}

void net_probe(struct sim *s, uint32_t node, uint32_t peer)
{
	bool is_reachable;
	uint64_t at_us = s->now_us + connect_us(s, node, peer, &is_reachable);
	struct sim_event *ev = queue_add(s, at_us, SIM_PROBED, node);

	ev->from = (uint8_t)peer;
	ev->is_reachable = is_reachable;
	ev->incarnation = s->nodes[node].incarnation;
}

void net_ask(struct sim *s, uint32_t node, uint32_t peer, uint32_t via)
{
	bool is_reachable;
	uint64_t at_us = s->now_us + connect_us(s, via, peer, &is_reachable) + latency_us(s);
	struct sim_event *ev;

	if (!is_linked(s, node, via) || !s->nodes[via].is_up ||
	    s->nodes[via].paused_until_us > s->now_us)
		return;
	ev = queue_add(s, at_us, SIM_ASKED, node);
	ev->from = (uint8_t)peer;
	ev->via = (uint8_t)via;
	ev->is_reachable = is_reachable;
	ev->incarnation = s->nodes[node].incarnation;
}
