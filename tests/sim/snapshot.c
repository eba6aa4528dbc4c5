/* A state, sent in parts. Each part is a call of its own, and any of them may be the last that
 * comes. */
#include <stddef.h>

#include "tests/sim/sim.h"

static void end(struct sim *s, uint32_t i, uint32_t peer, bool is_accepted)
{
	struct sim_transfer *t = &s->logs[i].transfers[peer];
	struct replog_input in = {.event = REPLOG_EV_ANSWER,
				  .server = s->nodes[peer].id,
				  .call = t->call,
				  .is_accepted = is_accepted,
				  .index = t->state.index};
	struct replog_output out;

	t->call = 0;
	log_step(s, i, &in, &out, NULL);
}

static void send_part(struct sim *s, uint32_t i, uint32_t peer)
{
	struct sim_transfer *t = &s->logs[i].transfers[peer];
	struct sim_event what = {.kind = SIM_PART};
	struct sim_mail *m = log_mail(s);

	m->call = t->call;
	m->part = t->part;
	m->epoch = s->nodes[i].log.epoch;
	m->state = t->state;
	m->state.hash &= UINT64_C(0xffff) << (16 * t->part);
	what.mail = m->number;
	net_send(s, &what, i, peer);
	log_call_over(s, i, peer, t->call, t->part + 1);
}

void snapshot_send(struct sim *s, uint32_t i, const struct replog_send *send)
{
	uint32_t peer = 0;

	while (s->nodes[peer].id != send->to)
		peer++;
	s->logs[i].transfers[peer] =
		(struct sim_transfer){.call = send->call, .state = s->logs[i].disk.state};
	send_part(s, i, peer);
}

void snapshot_over(struct sim *s, uint32_t i, uint32_t peer, uint64_t call, uint32_t part)
{
	struct sim_transfer *t = &s->logs[i].transfers[peer];

	if (t->call == call && t->part + 1 == part) {
		s->reached[SIM_R_CUT_SNAPSHOT]++;
		end(s, i, peer, false);
	}
}

static void handle_part(struct sim *s, const struct sim_event *ev)
{
	const struct sim_mail *m = log_mail_of(s, ev);
	struct replog_input in = {.event = REPLOG_EV_SNAPSHOT,
				  .server = s->nodes[ev->from].id,
				  .epoch = m->epoch,
				  .index = m->state.index,
				  .index_epoch = m->state.epoch,
				  .n = m->part,
				  .is_last = m->part == SIM_PARTS - 1};
	struct sim_waiting w = {
		.from = ev->from, .part = m->part + 1, .epoch = m->epoch, .call = m->call};
	struct replog_output out;

	if (disk_is_busy(&s->logs[ev->node].disk, 16))
		return;
	log_step(s, ev->node, &in, &out, m);
	w.match = out.match;
	if (out.verdict == REPLOG_ACCEPTED && in.is_last)
		log_wait(s, ev->node, w);
	else
		log_answer(s, ev->node, &w, out.verdict == REPLOG_ACCEPTED, 0, out.next);
}

static void handle_part_answer(struct sim *s, const struct sim_event *ev)
{
	const struct sim_mail *m = log_mail_of(s, ev);
	struct sim_transfer *t = &s->logs[ev->node].transfers[ev->from];

	if (t->call == 0 || t->call != m->call)
		return;
	if (!m->is_accepted || (!s->is_calm && sim_chance(s, 3)))
		end(s, ev->node, ev->from, false);
	else if (m->part == SIM_PARTS)
		end(s, ev->node, ev->from, true);
	else if (m->part == t->part + 1) {
		t->part++;
		send_part(s, ev->node, ev->from);
	}
}

void snapshot_handle(struct sim *s, const struct sim_event *ev)
{
	if (ev->kind == SIM_PART)
		handle_part(s, ev);
	else
		handle_part_answer(s, ev);
}
