#include <string.h>

#include "tests/sim/sim.h"

enum fault {
	FAULT_CRASH,
	FAULT_PAUSE,
	FAULT_STALL,
	FAULT_SPLIT,
	FAULT_ISOLATE,
	FAULT_ONE_WAY,
	FAULT_LINK, /* two that cannot hear each other, while others hear both */
	FAULT_JOIN, /* all links work again; always on */
	FAULT_HEALTH,
	FAULT_WIPE, /* a crash that loses the disk */
	FAULT_N
};

/* Each seed has its own mixture: some faults hide others. */
void faults_draw(struct sim *s)
{
	memset(s->is_cut, 0, sizeof(s->is_cut));
	s->faults = (uint32_t)sim_random(s, 1u << FAULT_N) | 1u << FAULT_JOIN;
	s->loss_pct = sim_chance(s, 50) ? (uint32_t)sim_random(s, 31) : 0;
	s->repeat_pct = sim_chance(s, 50) ? (uint32_t)sim_random(s, 51) : 0;
	s->delay_pct = sim_chance(s, 50) ? (uint32_t)sim_random(s, 21) : 0;
	s->slow_pct = sim_chance(s, 30) ? (uint32_t)sim_random(s, 61) : 5; /* writes of the log */
	s->is_calm = false;
}

static void cut(struct sim *s, uint32_t side, bool is_inbound_too)
{
	for (uint32_t a = 0; a < s->n_nodes; a++)
		for (uint32_t b = 0; b < s->n_nodes; b++)
			if ((side >> a & 1) != 0 && (side >> b & 1) == 0) {
				s->is_cut[a][b] = true;
				s->is_cut[b][a] |= is_inbound_too;
			}
}

static void crash(struct sim *s, uint32_t i)
{
	uint64_t away_ms = sim_chance(s, 70) ? 1 + sim_random(s, 100) : sim_random(s, 3000);

	if (!s->nodes[i].is_up)
		return;
	node_crash(s, i);
	queue_add(s, s->now_us + away_ms * 1000, SIM_START, i);
}

/* The promise is for a minority: without this server a majority has to hold what it ever had, and
 * for so long that the others' beats no longer say anything else. */
static bool may_lose(const struct sim *s, uint32_t i)
{
	uint32_t n_whole = 0;

	for (uint32_t k = 0; k < s->n_nodes; k++) {
		const struct sim_disk *d = &s->logs[k].disk;

		n_whole += k != i && disk_is_whole(d) &&
			   d->whole_since_us + 10 * SIM_BEAT_MS * 1000 < s->now_us;
	}
	return n_whole > s->n_nodes / 2;
}

/* The boot rises all the same: it comes from the clock when the disk has none. What is forgotten
 * with the votes is I1 and I2; I3 has to hold. */
static void wipe(struct sim *s, uint32_t i)
{
	struct sim_node *n = &s->nodes[i];

	if (!n->is_up || !may_lose(s, i))
		return;
	crash(s, i);
	s->reached[SIM_R_WIPE]++;
	sim_trace(s, "%u lost its disk", n->id);
	n->disk.epoch = n->revealed_epoch = 0;
	n->disk.voted_for = 0;
	memset(n->votes, 0, sizeof(n->votes));
	disk_wipe(&s->logs[i].disk);
}

void faults_strike(struct sim *s)
{
	uint32_t i = (uint32_t)sim_random(s, s->n_nodes), what = (uint32_t)sim_random(s, FAULT_N),
		 k;
	uint64_t until_us = s->now_us + 1000 * (1 + sim_random(s, sim_chance(s, 30) ? 1500 : 300));
	bool is_wide = sim_chance(s, 25);
	struct sim_node *n = &s->nodes[i];

	if ((s->faults >> what & 1) == 0)
		return;
	switch ((enum fault)what) {
	case FAULT_CRASH:
		crash(s, i);
		/* One cause, several servers. */
		for (k = 0; k < s->n_nodes && is_wide; k++)
			if (sim_chance(s, 60))
				crash(s, k);
		break;
	case FAULT_PAUSE:
		n->paused_until_us = until_us;
		s->reached[SIM_R_PAUSE]++;
		break;
	case FAULT_STALL:
		n->stalled_until_us = until_us;
		s->reached[SIM_R_STALL]++;
		break;
	case FAULT_SPLIT:
		cut(s, (uint32_t)sim_random(s, 1u << s->n_nodes), true);
		s->reached[SIM_R_SPLIT]++;
		break;
	case FAULT_ISOLATE:
		cut(s, 1u << i, true);
		s->reached[SIM_R_ISOLATE]++;
		break;
	case FAULT_ONE_WAY:
		cut(s, sim_chance(s, 50) ? 1u << i : ~(1u << i), false);
		s->reached[SIM_R_ONE_WAY]++;
		break;
	case FAULT_LINK:
		k = (uint32_t)sim_random(s, s->n_nodes);
		s->is_cut[i][k] = s->is_cut[k][i] = true;
		s->reached[SIM_R_LINK]++;
		break;
	case FAULT_JOIN:
		memset(s->is_cut, 0, sizeof(s->is_cut));
		break;
	case FAULT_WIPE:
		wipe(s, i);
		break;
	default:
		n->is_healthy = !n->is_healthy;
		s->reached[SIM_R_UNHEALTHY] += !n->is_healthy;
		queue_add(s, s->now_us, SIM_HEALTH, i);
		break;
	}
	sim_trace(s, "fault %u at %u until %llu ms", what, n->id,
		  (unsigned long long)until_us / 1000);
}

/* A server that holds nothing cannot help those that remain: it may have forgotten. */
static bool may_stay_away(const struct sim *s, uint32_t first, uint32_t n_away)
{
	uint32_t n_whole = 0, n_any = 0;

	for (uint32_t k = 0; k < s->n_nodes; k++) {
		bool is_whole = disk_is_whole(&s->logs[(first + k) % s->n_nodes].disk);

		n_any += is_whole;
		n_whole += k >= n_away && is_whole;
	}
	return n_any == 0 || n_whole > s->n_nodes / 2;
}

/* All is well from now on, but for a minority that may stay away. */
void faults_heal(struct sim *s)
{
	uint32_t n_away = sim_chance(s, 30) ? (uint32_t)sim_random(s, (s->n_nodes + 1) / 2) : 0;
	uint32_t first = (uint32_t)sim_random(s, s->n_nodes);

	if (!may_stay_away(s, first, n_away))
		n_away = 0;
	sim_trace(s, "healed");
	s->is_calm = true;
	s->loss_pct = s->repeat_pct = s->delay_pct = s->slow_pct = 0;
	memset(s->is_cut, 0, sizeof(s->is_cut));
	for (uint32_t k = 0; k < s->n_nodes; k++) {
		uint32_t i = (first + k) % s->n_nodes;
		struct sim_node *n = &s->nodes[i];

		n->is_healthy = true;
		if (k < n_away)
			node_crash(s, i);
		else
			node_start(s, i);
		queue_add(s, s->now_us, SIM_HEALTH, i);
	}
}
