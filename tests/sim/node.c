#include <string.h>

#include "tests/sim/sim.h"

static uint64_t local_us(const struct sim *s, const struct sim_node *n, uint64_t at_us)
{
	return n->clock_offset_us + at_us * n->clock_ppm / 1000000;
}

uint64_t node_now_ms(const struct sim *s, const struct sim_node *n)
{
	return local_us(s, n, s->now_us) / 1000;
}

bool node_has_lease(const struct sim *s, const struct sim_node *n)
{
	return n->is_up && n->lease_until_ms > node_now_ms(s, n);
}

/* The first moment at which the node's clock shows this. */
static uint64_t true_us(const struct sim *s, const struct sim_node *n, uint64_t local_ms)
{
	uint64_t at_us = local_ms * 1000 - n->clock_offset_us;

	if (local_ms * 1000 <= local_us(s, n, s->now_us))
		return s->now_us + 1;
	return at_us * 1000000 / n->clock_ppm + 1;
}

static int index_of(const struct sim *s, uint16_t id)
{
	for (uint32_t i = 0; i < s->n_nodes; i++)
		if (s->nodes[i].id == id)
			return (int)i;
	return -1;
}

static void trace_send(const struct sim *s, const struct election_message *m)
{
	static const char *const verdicts[] = {"refused", "granted", "stand down"};

	sim_trace(s, "%u -> %u %s epoch %llu %s", m->from, m->to, election_message_name(m->kind),
		  (unsigned long long)m->epoch,
		  m->kind == ELECTION_MSG_ANSWER || m->kind == ELECTION_MSG_GRANT
			  ? verdicts[m->verdict]
			  : "");
}

static void perform_election(struct sim *s, uint32_t i, const struct election_output *out)
{
	static const char *const roles[] = {"follower", "candidate", "master"};
	struct sim_node *n = &s->nodes[i];
	struct sim_event *ev;

	check_step(s, i, out);
	if (out->role_changed)
		sim_trace(s, "%u is %s epoch %llu master %u", n->id,
			  roles[election_role(&n->election)],
			  (unsigned long long)election_epoch(&n->election),
			  election_master(&n->election));
	if (out->persist) {
		n->is_writing = true;
		n->writing = out->durable;
		ev = queue_add(s,
			       s->now_us + 1000 + sim_random(s, sim_chance(s, 5) ? 200000 : 12000),
			       SIM_VOTE_STORED, i);
		ev->incarnation = n->incarnation;
	}
	log_role(s, i);
	for (uint32_t k = 0; k < out->n_sends; k++) {
		struct sim_event what = {.kind = SIM_MESSAGE, .message = out->sends[k]};

		if (s->is_traced)
			trace_send(s, &out->sends[k]);
		net_send(s, &what, i, (uint32_t)index_of(s, out->sends[k].to));
	}
	ev = queue_add(s, true_us(s, n, out->wake_at_ms) + sim_random(s, 2000), SIM_TIMER, i);
	ev->incarnation = n->incarnation;
	ev->generation = ++n->timer_generation;
}

/* True: a beat that may be acknowledged. */
static bool step_election(struct sim *s, uint32_t i, struct election_input *in)
{
	static struct election_output out;
	struct sim_node *n = &s->nodes[i];

	in->now_ms = node_now_ms(s, n);
	election_step(&n->election, in, &out);
	perform_election(s, i, &out);
	return out.ack_beat;
}

void node_tell_state(struct sim *s, uint32_t i)
{
	struct election_input in = {.event = ELECTION_EV_STATE,
				    .is_healthy = s->nodes[i].is_healthy &&
						  replog_may_lead(&s->nodes[i].log),
				    .is_forgetful = !replog_may_vote(&s->nodes[i].log),
				    .position = replog_position(&s->nodes[i].log)};

	step_election(s, i, &in);
}

static void perform_detector(struct sim *s, uint32_t i, const struct detector_output *out)
{
	struct sim_node *n = &s->nodes[i];
	struct sim_event *ev;

	for (uint32_t k = 0; k < out->n_actions; k++) {
		const struct detector_action *a = &out->actions[k];
		uint32_t peer = (uint32_t)index_of(s, a->peer);

		if (a->act == DETECTOR_PROBE)
			net_probe(s, i, peer);
		else
			net_ask(s, i, peer, (uint32_t)index_of(s, a->via));
	}
	ev = queue_add(s, true_us(s, n, out->wake_at_ms) + sim_random(s, 2000), SIM_DETECT_TIMER,
		       i);
	ev->incarnation = n->incarnation;
	ev->generation = ++n->detect_generation;
	for (uint32_t k = 0; k < out->n_changes; k++) {
		struct election_input in = {.event = ELECTION_EV_FAILED,
					    .server = out->changes[k].peer};

		sim_trace(s, "%u sees %u %s", n->id, in.server,
			  detector_state_name(out->changes[k].to));
		if (out->changes[k].to != DETECTOR_FAILED)
			continue;
		log_peer(s, i, (uint32_t)index_of(s, in.server), 0);
		s->reached[SIM_R_FAILED]++;
		s->reached[SIM_R_FALSE_FAILED] += s->nodes[index_of(s, in.server)].is_up;
		step_election(s, i, &in);
	}
}

static void step_detector(struct sim *s, uint32_t i, enum detector_event event, uint16_t peer,
			  uint16_t via, bool is_reachable)
{
	static struct detector_output out;
	struct sim_node *n = &s->nodes[i];
	struct detector_input in = {event, node_now_ms(s, n), peer, via, is_reachable};

	detector_step(&n->detector, &in, &out);
	perform_detector(s, i, &out);
}

/* What the disk holds is what it starts from; all else is gone. */
void node_start(struct sim *s, uint32_t i)
{
	static struct election_output out;
	static struct detector_output detected;
	struct sim_node *n = &s->nodes[i];
	struct election_durable durable = n->disk;
	struct election_config cfg = {.self = n->id,
				      .n_voters = s->n_nodes,
				      .beat_ms = SIM_BEAT_MS,
				      .hold_down_ms = SIM_HOLD_MS,
				      .seed = s->seed};
	struct detector_config watch = {.beat_ms = SIM_BEAT_MS};

	if (n->is_up)
		return;
	n->is_up = true;
	n->incarnation++;
	n->paused_until_us = n->stalled_until_us = 0;
	n->is_writing = false;
	log_start(s, i);
	memset(n->acked_ms, 0, sizeof(n->acked_ms));
	n->acked_epoch = 0;
	durable.boot++;
	for (uint32_t k = 0; k < s->n_nodes; k++) {
		cfg.voters[k].id = s->nodes[k].id;
		cfg.voters[k].rank = s->nodes[k].rank;
		if (k != i)
			watch.peers[watch.n_peers++] = s->nodes[k].id;
	}
	sim_trace(s, "%u starts, boot %u epoch %llu", n->id, durable.boot,
		  (unsigned long long)durable.epoch);
	detector_init(&n->detector, &watch, node_now_ms(s, n), &detected);
	election_init(&n->election, &cfg, &durable, replog_position(&n->log), node_now_ms(s, n),
		      &out);
	perform_election(s, i, &out);
	perform_detector(s, i, &detected);
	node_tell_state(s, i);
	queue_add(s, s->now_us + sim_random(s, SIM_BEAT_MS * 1000), SIM_BEAT_SEND, i)->incarnation =
		n->incarnation;
}

/* A write that was asked for may have reached the disk or not; nobody was told. */
void node_crash(struct sim *s, uint32_t i)
{
	struct sim_node *n = &s->nodes[i];

	if (!n->is_up)
		return;
	s->reached[SIM_R_CRASH]++;
	sim_trace(s, "%u crashes", n->id);
	if (n->is_writing && sim_chance(s, 50)) {
		s->reached[SIM_R_KEPT_WRITE]++;
		n->disk = n->writing;
	} else if (n->is_writing) {
		s->reached[SIM_R_LOST_WRITE]++;
	}
	log_crash(s, i);
	s->reached[SIM_R_REJECTED] += election_n_rejected(&n->election);
	n->is_up = n->is_master = n->is_writing = false;
	n->lease_until_ms = 0;
}

static void send_beats(struct sim *s, uint32_t i)
{
	struct sim_node *n = &s->nodes[i];
	uint64_t period_us = SIM_BEAT_MS * 1000000000ull / n->clock_ppm;
	struct sim_event what = {.kind = SIM_BEAT, .sent_ms = node_now_ms(s, n)};

	what.beat.from = n->id;
	what.beat.from_boot = n->election.durable.boot;
	what.beat.epoch = election_epoch(&n->election);
	what.beat.master = election_master(&n->election);
	what.beat.is_healthy = n->is_healthy && replog_may_lead(&n->log);
	what.beat.position = replog_position(&n->log);
	/* The boot must be on disk before anything is said. */
	for (uint32_t k = 0; k < s->n_nodes && n->disk.boot == what.beat.from_boot; k++) {
		if (k == i)
			continue;
		what.beat.acked_sent_ms = n->acked_epoch == what.beat.epoch ? n->acked_ms[k] : 0;
		net_send(s, &what, i, k);
	}
	queue_add(s, s->now_us + period_us - sim_random(s, period_us / 10), SIM_BEAT_SEND, i)
		->incarnation = n->incarnation;
}

static void handle_beat(struct sim *s, const struct sim_event *ev)
{
	struct sim_node *n = &s->nodes[ev->node];
	struct election_input in = {.event = ELECTION_EV_BEAT, .beat = &ev->beat};

	if (ev->beat.from_boot >= s->logs[ev->node].boots[ev->from])
		log_peer(s, ev->node, ev->from, ev->beat.from_boot);
	step_detector(s, ev->node, DETECTOR_EV_BEAT, ev->beat.from, 0, false);
	if (!step_election(s, ev->node, &in))
		return;
	if (n->acked_epoch != election_epoch(&n->election))
		memset(n->acked_ms, 0, sizeof(n->acked_ms));
	n->acked_epoch = election_epoch(&n->election);
	if (ev->sent_ms > n->acked_ms[ev->from])
		n->acked_ms[ev->from] = ev->sent_ms;
}

static bool is_due(struct sim *s, const struct sim_event *ev)
{
	const struct sim_node *n = &s->nodes[ev->node];
	uint64_t until_us = n->paused_until_us;

	if (!n->is_up || (ev->incarnation != 0 && ev->incarnation != n->incarnation))
		return false;
	if (ev->kind == SIM_TIMER && ev->generation != n->timer_generation)
		return false;
	if (ev->kind == SIM_DETECT_TIMER && ev->generation != n->detect_generation)
		return false;
	if (ev->kind != SIM_BEAT_SEND && n->stalled_until_us > until_us)
		until_us = n->stalled_until_us;
	if (until_us <= s->now_us)
		return true;
	queue_put_off(s, ev, until_us);
	return false;
}

void node_handle(struct sim *s, const struct sim_event *ev)
{
	struct sim_node *n = &s->nodes[ev->node];
	struct election_input in = {.event = ELECTION_EV_TIMER};

	if (!is_due(s, ev))
		return;
	switch (ev->kind) {
	case SIM_MESSAGE:
		in.event = ELECTION_EV_MESSAGE;
		in.message = &ev->message;
		/* fall through */
	case SIM_TIMER:
		step_election(s, ev->node, &in);
		break;
	case SIM_DETECT_TIMER:
		step_detector(s, ev->node, DETECTOR_EV_TIMER, 0, 0, false);
		break;
	case SIM_BEAT_SEND:
		send_beats(s, ev->node);
		if (n->stalled_until_us <= s->now_us)
			log_traffic(s, ev->node);
		break;
	case SIM_BEAT:
		handle_beat(s, ev);
		break;
	case SIM_VOTE_STORED:
		n->disk = n->writing;
		n->is_writing = false;
		in.event = ELECTION_EV_PERSISTED;
		step_election(s, ev->node, &in);
		break;
	case SIM_HEALTH:
		node_tell_state(s, ev->node);
		break;
	case SIM_PROBED:
		step_detector(s, ev->node, DETECTOR_EV_PROBE_RESULT, s->nodes[ev->from].id, 0,
			      ev->is_reachable);
		break;
	case SIM_ASKED:
		step_detector(s, ev->node, DETECTOR_EV_ASK_RESULT, s->nodes[ev->from].id,
			      s->nodes[ev->via].id, ev->is_reachable);
		break;
	default:
		log_handle(s, ev);
		break;
	}
}
