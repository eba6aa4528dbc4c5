#include "dp/stats/stats.h"

#include <assert.h>

struct counter_info {
	const char *name, *help;
	enum stats_group group;
};

static const struct counter_info counters[STATS_N] = {
#define X(symbol, name_, group_, help_) [STATS_##symbol] = {name_, help_, group_},
	STATS_COUNTERS(X)
#undef X
};

const char *stats_name(enum stats_counter counter)
{
	assert(counter < STATS_N);
	return counters[counter].name;
}

const char *stats_help(enum stats_counter counter)
{
	assert(counter < STATS_N);
	return counters[counter].help;
}

enum stats_group stats_group(enum stats_counter counter)
{
	assert(counter < STATS_N);
	return counters[counter].group;
}

static const struct {
	const char *name, *help;
} refusals[DECODE_REFUSAL_N] = {[DECODE_OK] = {"ok", "decoded"},
#define X(symbol, name_, help_) [DECODE_##symbol] = {name_, help_},
				DECODE_REFUSALS(X)
#undef X
};

const char *stats_refusal_name(enum decode_refusal refusal)
{
	assert(refusal < DECODE_REFUSAL_N);
	return refusals[refusal].name;
}

const char *stats_refusal_help(enum decode_refusal refusal)
{
	assert(refusal < DECODE_REFUSAL_N);
	return refusals[refusal].help;
}

static uint64_t group_sum(const struct stats *s, enum stats_group group)
{
	uint64_t sum = 0;

	for (int i = 0; i < STATS_N; i++)
		if (counters[i].group == group)
			sum += s->n[i];
	return sum;
}

unsigned int stats_check(const struct stats *s, struct stats_equation equations[STATS_EQUATIONS])
{
	uint64_t refused = 0;
	unsigned int broken = 0;

	for (int i = 1; i < STATS_DECODE_MAX; i++)
		refused += s->decode[i];

	const struct stats_equation all[STATS_EQUATIONS] = {
		{"steer", group_sum(s, STATS_STEER_IN), group_sum(s, STATS_STEER_OUT)},
		{"frames", group_sum(s, STATS_FRAME_IN), group_sum(s, STATS_FRAME_OUT)},
		{"wire", s->n[STATS_FRAME_DATAGRAM], s->n[STATS_DGRAMS_WIRE]},
		{"peer", s->n[STATS_FRAME_RELAY_DATA], s->n[STATS_DGRAMS_PEER]},
		{"datagrams", group_sum(s, STATS_DGRAM_IN), group_sum(s, STATS_DGRAM_OUT)},
		{"reports", group_sum(s, STATS_REPORT_IN), group_sum(s, STATS_REPORT_OUT)},
		{"relay", group_sum(s, STATS_RELAY_IN), group_sum(s, STATS_RELAY_OUT)},
		{"decode", s->n[STATS_DROP_UNDECODABLE], refused},
	};

	for (unsigned int i = 0; i < STATS_EQUATIONS; i++) {
		equations[i] = all[i];
		broken += all[i].in != all[i].out;
	}
	return broken;
}
