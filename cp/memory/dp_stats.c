#include <errno.h>

#include "cp/core/core.h"
#include "cp/memory/memory_private.h"
#include "cp/memory/page.h"

#define DP_SILENT_NS 1000000000u

static const char *group_name(enum stats_group group)
{
	switch (group) {
	case STATS_STEER_IN:
	case STATS_STEER_OUT:
		return "steer";
	case STATS_FRAME_IN:
	case STATS_FRAME_OUT:
		return "frames";
	case STATS_DGRAM_IN:
	case STATS_DGRAM_OUT:
		return "datagrams";
	case STATS_REPORT_IN:
	case STATS_REPORT_OUT:
		return "reports";
	case STATS_RELAY_IN:
	case STATS_RELAY_OUT:
		return "relay";
	case STATS_NOTE:
		break;
	}
	return "notes";
}

static int fill_counters(const struct stats *s, struct memory_page *p, struct wire_dp_stats *out)
{
	struct stats_equation equations[STATS_EQUATIONS];

	out->counters = memory_page_take(p, STATS_N, sizeof(*out->counters));
	out->equations = memory_page_take(p, STATS_EQUATIONS, sizeof(*out->equations));
	out->refusals = memory_page_take(p, DECODE_REFUSAL_N, sizeof(*out->refusals));
	if (out->counters == NULL || out->equations == NULL || out->refusals == NULL)
		return -ENOMEM;
	for (; out->n_counters < STATS_N; out->n_counters++) {
		enum stats_counter c = (enum stats_counter)out->n_counters;

		out->counters[c] = (struct wire_counter){.name = stats_name(c),
							 .help = stats_help(c),
							 .group = group_name(stats_group(c)),
							 .value = s->n[c]};
	}
	for (enum decode_refusal i = DECODE_OK + 1; i < DECODE_REFUSAL_N; i++)
		if (s->decode[i] != 0)
			out->refusals[out->n_refusals++] =
				(struct wire_counter){.name = stats_refusal_name(i),
						      .help = stats_refusal_help(i),
						      .group = "decode",
						      .value = s->decode[i]};
	out->holds = stats_check(s, equations) == 0;
	for (; out->n_equations < STATS_EQUATIONS; out->n_equations++)
		out->equations[out->n_equations] =
			(struct wire_equation){.name = equations[out->n_equations].name,
					       .in = equations[out->n_equations].in,
					       .out = equations[out->n_equations].out};
	return 0;
}

static int fill_unknown(struct memory *m, struct memory_page *p, struct wire_dp_stats *out)
{
	uint32_t room = fedmem_sizes(m->fm)->unknowns_max;
	struct fedmem_unknown *found = memory_page_take(p, room, sizeof(*found));

	out->unknown = memory_page_take(p, room, sizeof(*out->unknown));
	if (found == NULL || out->unknown == NULL)
		return -ENOMEM;
	out->n_unknown = fedmem_unknowns_read(m->fm, found, room);
	for (uint32_t i = 0; i < out->n_unknown; i++) {
		out->unknown[i] = (struct wire_unknown){
			.address = page_address(p, &found[i].address),
			.first_ns = found[i].first_ns,
			.last_ns = found[i].last_ns,
			.n_datagrams = found[i].n_datagrams,
			.udp_port = found[i].udp_port,
		};
		if (out->unknown[i].address == NULL)
			return -ENOMEM;
	}
	return 0;
}

int memory_dp_stats(struct memory *m, struct memory_page **page, struct wire_dp_stats *stats)
{
	uint64_t beat_ns = fedmem_dp_beat_ns(m->fm);
	struct stats s = {0};
	int err;

	*stats = (struct wire_dp_stats){
		.server = cluster_view(m->cluster)->self,
		.is_dp_alive = beat_ns != 0 && core_now_ns() - beat_ns < DP_SILENT_NS,
		.n_starts = fedmem_dp_starts(m->fm),
		.alarms_used = fedmem_alarms_used(m->fm),
		.alarms_max = fedmem_sizes(m->fm)->alarms_max,
	};
	*page = memory_page_create();
	if (*page == NULL)
		return -ENOMEM;
	/* Without a first snapshot all are zero, which is the truth. */
	(void)fedmem_stats_read(m->fm, &s);
	err = fill_counters(&s, *page, stats);
	return err < 0 ? err : fill_unknown(m, *page, stats);
}
