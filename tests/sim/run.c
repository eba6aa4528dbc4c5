#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/sim.h"

#define SECOND_US 1000000ull
/* With three losses in a row the hold-down is eight times as long, and a clock may be 10 % slow. */
#define LEAD_US	      (8 * SIM_HOLD_MS * 1000ull * 12 / 10 + 5 * SECOND_US)
#define LAST_PAUSE_US (1600 * 1000ull) /* what began before the healing is over after this */

/* splitmix64 */
uint64_t sim_random(struct sim *s, uint64_t below)
{
	uint64_t x = s->random += 0x9e3779b97f4a7c15u;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return (x ^ (x >> 31)) % below;
}

bool sim_chance(struct sim *s, uint32_t percent)
{
	return percent != 0 && sim_random(s, 100) < percent;
}

void sim_break(struct sim *s, const char *what)
{
	if (s->broken == NULL)
		s->broken = what;
	sim_trace(s, "BROKEN: %s", what);
}

void sim_trace(const struct sim *s, const char *format, ...)
{
	va_list args;

	if (!s->is_traced)
		return;
	printf("%10.3f ms  ", (double)s->now_us / 1000);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

const char *sim_reached_name(enum sim_reached what)
{
	static const char *const names[SIM_R_N] = {
		[SIM_R_WIN] = "wins",
		[SIM_R_TRANSFER] = "transfers",
		[SIM_R_STAND_DOWN] = "stand-downs",
		[SIM_R_COMMIT] = "commits",
		[SIM_R_GIVEN_UP] = "entries given up",
		[SIM_R_COMPACT] = "compactions",
		[SIM_R_SNAPSHOT] = "snapshots begun",
		[SIM_R_INSTALL] = "snapshots whole",
		[SIM_R_CUT_SNAPSHOT] = "snapshots cut",
		[SIM_R_REBUILT] = "starts in a half snapshot",
		[SIM_R_WIPE] = "lost disks",
		[SIM_R_WHOLE] = "whole again",
		[SIM_R_CRASH] = "crashes",
		[SIM_R_LOST_WRITE] = "lost writes",
		[SIM_R_KEPT_WRITE] = "untold writes",
		[SIM_R_PAUSE] = "pauses",
		[SIM_R_STALL] = "stalls",
		[SIM_R_SPLIT] = "splits",
		[SIM_R_ISOLATE] = "isolations",
		[SIM_R_ONE_WAY] = "one-way cuts",
		[SIM_R_LINK] = "cut links",
		[SIM_R_UNHEALTHY] = "unhealthy",
		[SIM_R_LOSS] = "lost",
		[SIM_R_REPEAT] = "repeated",
		[SIM_R_DELAY] = "delayed",
		[SIM_R_FAILED] = "failures seen",
		[SIM_R_FALSE_FAILED] = "seen wrongly",
		[SIM_R_REJECTED] = "rejected",
	};

	return names[what];
}

static void begin(struct sim *s, uint64_t seed)
{
	static const uint8_t sizes[] = {3, 3, 3, 5, 5, 7};

	s->seed = seed;
	s->random = seed;
	sim_random(s, 2); /* seeds that follow each other begin alike */
	s->now_us = 0;
	queue_init(s);
	check_begin(s);
	s->n_nodes = sizes[sim_random(s, sizeof(sizes))];
	memset(s->nodes, 0, s->n_nodes * sizeof(s->nodes[0]));
	s->is_quiet = false;
	s->n_values = 0;
	faults_draw(s);
	for (uint32_t i = 0; i < s->n_nodes; i++) {
		struct sim_node *n = &s->nodes[i];

		n->id = (uint16_t)(i + 1);
		n->rank = (uint16_t)((i + seed) % s->n_nodes * 10);
		n->is_healthy = true;
		disk_wipe(&s->logs[i].disk);
		n->clock_ppm = 900000 + sim_random(s, 200001);
		n->clock_offset_us = 1000000 + sim_random(s, 1000000000);
		queue_add(s, sim_random(s, 200000), SIM_START, i);
	}
	queue_add(s, 0, SIM_FAULT, 0);
}

static bool advance(struct sim *s)
{
	struct sim_event ev;

	if (!queue_take(s, &ev))
		return false;
	s->now_us = ev.at_us;
	s->n_events++;
	switch (ev.kind) {
	case SIM_START:
		if (!s->is_calm)
			node_start(s, ev.node);
		break;
	case SIM_FAULT:
		if (s->is_calm)
			break;
		faults_strike(s);
		queue_add(s, s->now_us + sim_random(s, 400000), SIM_FAULT, 0);
		break;
	default:
		node_handle(s, &ev);
		break;
	}
	return s->broken == NULL;
}

static const struct sim_node *only_master(const struct sim *s)
{
	const struct sim_node *master = NULL;

	for (uint32_t i = 0; i < s->n_nodes; i++) {
		const struct sim_node *n = &s->nodes[i];

		if (!n->is_up || !n->is_master)
			continue;
		if (master != NULL)
			return NULL;
		master = n;
	}
	return master != NULL && node_has_lease(s, master) ? master : NULL;
}

static const struct sim_node *best(const struct sim *s)
{
	const struct sim_node *b = NULL;

	for (uint32_t i = 0; i < s->n_nodes; i++)
		if (s->nodes[i].is_up && (b == NULL || s->nodes[i].rank > b->rank))
			b = &s->nodes[i];
	return b;
}

static bool is_settled(const struct sim *s)
{
	const struct sim_node *b = best(s);

	if (only_master(s) != b)
		return false;
	for (uint32_t i = 0; i < s->n_nodes; i++)
		if (s->nodes[i].is_up &&
		    (election_master(&s->nodes[i].election) != b->id ||
		     election_epoch(&s->nodes[i].election) != election_epoch(&b->election)))
			return false;
	return true;
}

static bool run_until(struct sim *s, uint64_t until_us)
{
	while (s->now_us < until_us)
		if (!advance(s))
			return false;
	return true;
}

static bool is_applied_by_all(const struct sim *s, uint64_t index)
{
	for (uint32_t i = 0; i < s->n_nodes; i++)
		if (s->nodes[i].is_up && s->logs[i].applied.index < index)
			return false;
	return true;
}

/* A command is applied everywhere, and then nothing more is said of the log. */
static bool run_command(struct sim *s)
{
	uint64_t until_us = s->now_us + SECOND_US, index = 0, n_requests;

	s->is_quiet = true;
	while (index == 0 && s->now_us < until_us) {
		index = log_command(s, (uint32_t)(only_master(s) - s->nodes));
		if (index == 0 && !advance(s))
			return false;
	}
	until_us = s->now_us + 2 * SECOND_US;
	while ((index == 0 || !is_applied_by_all(s, index)) && s->now_us < until_us)
		if (!advance(s))
			return false;
	if (index == 0 || !is_applied_by_all(s, index))
		sim_break(s, "L4: a command is not applied everywhere");
	if (!run_until(s, s->now_us + SECOND_US / 4))
		return false;
	n_requests = s->n_requests;
	if (!run_until(s, s->now_us + SECOND_US / 4))
		return false;
	if (s->n_requests != n_requests)
		sim_break(s, "L5: the log is not at rest");
	return s->broken == NULL;
}

bool sim_run(struct sim *s, uint64_t seed)
{
	uint64_t healed_us;

	begin(s, seed);
	if (!run_until(s, 3 * SECOND_US + sim_random(s, 5 * SECOND_US)))
		return false;
	faults_heal(s);
	if (!run_until(s, s->now_us + LAST_PAUSE_US))
		return false;
	healed_us = s->now_us;
	while (only_master(s) == NULL && s->now_us < healed_us + 10 * SECOND_US)
		if (!advance(s))
			return false;
	if (only_master(s) == NULL)
		sim_break(s, "L1: no master ten seconds after the network healed");
	while (s->broken == NULL && !is_settled(s) && s->now_us < healed_us + LEAD_US)
		if (!advance(s))
			return false;
	if (s->broken == NULL && !is_settled(s))
		sim_break(s, "L2: the best-ranked server does not lead, or is not followed by all");
	if (s->broken == NULL && !run_until(s, s->now_us + SECOND_US))
		return false;
	if (s->broken == NULL && !is_settled(s))
		sim_break(s, "L3: the cluster does not stay at rest");
	return s->broken == NULL && run_command(s);
}
