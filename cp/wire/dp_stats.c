#include <errno.h>

#include "cp/wire/codec.h"

static int fill_dp_stats_request(struct arena *a, const struct wire_dp_stats_request *m,
				 Bellwether__DpStatsRequest *out)
{
	out->server = m->server;
	out->is_forwarded = m->is_forwarded;
	return 0;
}

static int read_dp_stats_request(struct arena *a, const Bellwether__DpStatsRequest *m,
				 struct wire_dp_stats_request *out)
{
	*out = (struct wire_dp_stats_request){.server = m->server, .is_forwarded = m->is_forwarded};
	return codec_is_server_id(m->server) ? 0 : -EBADMSG;
}
CODEC(dp_stats_request, Bellwether__DpStatsRequest, bellwether__dp_stats_request__descriptor)

static int fill_counters(struct arena *a, const struct wire_counter *counters, uint32_t n,
			 Bellwether__Counter ***out)
{
	Bellwether__Counter **rows = codec_rows(a, &bellwether__counter__descriptor, n);

	if (rows == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		CODEC_TEXT(a, rows[i]->name, counters[i].name);
		CODEC_TEXT(a, rows[i]->help, counters[i].help);
		CODEC_TEXT(a, rows[i]->group, counters[i].group);
		rows[i]->value = counters[i].value;
	}
	*out = rows;
	return 0;
}

static int read_counters(struct arena *a, Bellwether__Counter *const *counters, size_t n,
			 struct wire_counter **out)
{
	struct wire_counter *ours = arena_array(a, n, sizeof(*ours));

	if (ours == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		ours[i] = (struct wire_counter){counters[i]->name, counters[i]->help,
						counters[i]->group, counters[i]->value};
	*out = ours;
	return 0;
}

static int fill_equations(struct arena *a, const struct wire_equation *equations, uint32_t n,
			  Bellwether__Equation ***out)
{
	Bellwether__Equation **rows = codec_rows(a, &bellwether__equation__descriptor, n);

	if (rows == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		CODEC_TEXT(a, rows[i]->name, equations[i].name);
		rows[i]->in = equations[i].in;
		rows[i]->out = equations[i].out;
	}
	*out = rows;
	return 0;
}

static int fill_unknown(struct arena *a, const struct wire_unknown *unknown, uint32_t n,
			Bellwether__UnknownSource ***out)
{
	Bellwether__UnknownSource **rows =
		codec_rows(a, &bellwether__unknown_source__descriptor, n);

	if (rows == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		CODEC_TEXT(a, rows[i]->address, unknown[i].address);
		rows[i]->first_ns = unknown[i].first_ns;
		rows[i]->last_ns = unknown[i].last_ns;
		rows[i]->n_datagrams = unknown[i].n_datagrams;
		rows[i]->udp_port = unknown[i].udp_port;
	}
	*out = rows;
	return 0;
}

static int fill_dp_stats(struct arena *a, const struct wire_dp_stats *m, Bellwether__DpStats *out)
{
	int err;

	out->server = m->server;
	out->is_dp_alive = m->is_dp_alive;
	out->n_starts = m->n_starts;
	out->holds = m->holds;
	out->alarms_used = m->alarms_used;
	out->alarms_max = m->alarms_max;
	out->n_counters = m->n_counters;
	out->n_refusals = m->n_refusals;
	out->n_equations = m->n_equations;
	out->n_unknown = m->n_unknown;
	err = fill_counters(a, m->counters, m->n_counters, &out->counters);
	if (err != 0)
		return err;
	err = fill_counters(a, m->refusals, m->n_refusals, &out->refusals);
	if (err != 0)
		return err;
	err = fill_equations(a, m->equations, m->n_equations, &out->equations);
	if (err != 0)
		return err;
	return fill_unknown(a, m->unknown, m->n_unknown, &out->unknown);
}

static int read_dp_stats(struct arena *a, const Bellwether__DpStats *m, struct wire_dp_stats *out)
{
	int err;

	if (!codec_is_server_id(m->server))
		return -EBADMSG;
	*out = (struct wire_dp_stats){
		.server = m->server,
		.alarms_used = m->alarms_used,
		.alarms_max = m->alarms_max,
		.is_dp_alive = m->is_dp_alive,
		.holds = m->holds,
		.n_starts = m->n_starts,
		.n_counters = (uint32_t)m->n_counters,
		.n_refusals = (uint32_t)m->n_refusals,
		.n_equations = (uint32_t)m->n_equations,
		.n_unknown = (uint32_t)m->n_unknown,
	};
	err = read_counters(a, m->counters, m->n_counters, &out->counters);
	if (err != 0)
		return err;
	err = read_counters(a, m->refusals, m->n_refusals, &out->refusals);
	if (err != 0)
		return err;
	out->equations = arena_array(a, m->n_equations, sizeof(*out->equations));
	out->unknown = arena_array(a, m->n_unknown, sizeof(*out->unknown));
	if (out->equations == NULL || out->unknown == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_equations; i++)
		out->equations[i] = (struct wire_equation){
			m->equations[i]->name, m->equations[i]->in, m->equations[i]->out};
	for (size_t i = 0; i < m->n_unknown; i++) {
		const Bellwether__UnknownSource *u = m->unknown[i];

		if (u->udp_port > UINT16_MAX)
			return -EBADMSG;
		out->unknown[i] = (struct wire_unknown){u->address, u->first_ns, u->last_ns,
							u->n_datagrams, u->udp_port};
	}
	return 0;
}
CODEC(dp_stats, Bellwether__DpStats, bellwether__dp_stats__descriptor)
