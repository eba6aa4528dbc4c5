#include <string.h>

#include "tests/sim/sim.h"

/* ---- Mail ---- */

struct sim_mail *log_mail(struct sim *s)
{
	struct sim_mail *m = &s->mails[++s->n_mails % SIM_MAILS];

	m->number = s->n_mails;
	return m;
}

const struct sim_mail *log_mail_of(struct sim *s, const struct sim_event *ev)
{
	const struct sim_mail *m = &s->mails[ev->mail % SIM_MAILS];

	if (m->number != ev->mail)
		sim_break(s, "sim: a message was kept too long");
	return m;
}

void log_call_over(struct sim *s, uint32_t i, uint32_t peer, uint64_t call, uint32_t part)
{
	struct sim_mail *m = log_mail(s);
	struct sim_event *ev = queue_add(s, s->now_us + SIM_CALL_MS * 1000, SIM_CALL_OVER, i);

	m->call = call;
	m->part = part;
	ev->mail = m->number;
	ev->from = (uint8_t)peer;
	ev->incarnation = s->nodes[i].incarnation;
}

/* ---- What a step wants done ---- */

static uint32_t index_of(const struct sim *s, uint16_t id)
{
	uint32_t i = 0;

	while (s->nodes[i].id != id)
		i++;
	return i;
}

static void store(struct sim *s, uint32_t i, const struct replog_input *in,
		  const struct replog_output *out, const struct sim_mail *mail)
{
	struct sim_log *l = &s->logs[i];
	struct sim_write *w;

	if (out->write.number == 0 && !out->put_held)
		return;
	w = disk_write(s, i);
	w->write = out->write;
	w->put_held = out->put_held;
	w->held = out->held;
	w->give_up_from = out->give_up_from;
	w->take_from = out->take_from;
	s->reached[SIM_R_GIVEN_UP] += out->give_up_from != 0;
	s->reached[SIM_R_WHOLE] += out->put_held && out->held.epoch == 0;
	if (in->event == REPLOG_EV_APPENDED)
		w->take_from = out->write.last - in->n + 1;
	for (uint64_t k = w->take_from; k != 0 && k <= out->write.last; k++) {
		if (mail != NULL)
			l->entries[k] = mail->entries[k - mail->append.previous_index - 1];
		w->entries[w->n_entries++] = l->entries[k];
	}
	if (in->event == REPLOG_EV_SNAPSHOT && out->verdict == REPLOG_ACCEPTED) {
		w->begin_snapshot = out->begin_snapshot;
		w->is_part = true;
		w->part = in->n;
		w->is_last_part = in->is_last;
		w->state = mail->state;
		if (out->begin_snapshot) {
			s->reached[SIM_R_SNAPSHOT]++;
			l->applied = (struct sim_state){0};
		}
	}
}

static void apply(struct sim *s, uint32_t i, uint64_t committed)
{
	struct sim_log *l = &s->logs[i];
	struct sim_state *a = &l->applied;
	uint64_t was = a->index;

	while (a->index < committed) {
		struct sim_entry e = l->entries[a->index + 1];

		a->index++;
		a->epoch = e.epoch;
		a->hash = check_hash(a->hash, e);
	}
	if (a->index == was)
		return;
	check_applied(s, i);
	if (!disk_is_busy(&l->disk, SIM_WRITES_MAX / 2)) {
		struct sim_write *w = disk_write(s, i);

		w->is_state = true;
		w->state = *a;
	}
}

static void compact(struct sim *s, uint32_t i)
{
	struct sim_log *l = &s->logs[i];
	struct replog_input in = {.event = REPLOG_EV_COMPACTED};
	struct replog_output out;

	in.index = replog_compact_below(&s->nodes[i].log, l->disk.state.index, sim_random(s, 20));
	if (in.index == 0 || disk_is_busy(&l->disk, 8))
		return;
	s->reached[SIM_R_COMPACT]++;
	disk_write(s, i)->compact_below = in.index;
	log_step(s, i, &in, &out, NULL);
}

static void send(struct sim *s, uint32_t i, const struct replog_send *to)
{
	struct sim_event what = {.kind = SIM_REQUEST};
	struct sim_mail *m;
	struct replog_append *a;
	uint32_t peer = index_of(s, to->to), max;

	s->n_requests++;
	sim_trace(s, "%u -> %u %s after %llu, %u entries", s->nodes[i].id, to->to,
		  to->is_snapshot ? "snapshot" : "request",
		  (unsigned long long)to->append.previous_index, to->append.n_entries);
	if (to->is_snapshot) {
		snapshot_send(s, i, to);
		return;
	}
	m = log_mail(s);
	m->call = to->call;
	a = &m->append;
	*a = to->append;
	max = 1 + (uint32_t)sim_random(s, SIM_SEND_MAX);
	if (a->n_entries > max)
		a->n_entries = max;
	while (a->n_runs > 0 && a->runs[a->n_runs - 1].first > a->previous_index + a->n_entries)
		a->n_runs--;
	for (uint32_t k = 0; k < a->n_entries; k++)
		m->entries[k] = s->logs[i].entries[a->previous_index + 1 + k];
	what.mail = m->number;
	net_send(s, &what, i, peer);
	log_call_over(s, i, peer, to->call, 0);
}

static void set_timer(struct sim *s, uint32_t i, uint64_t wake_at_ms)
{
	struct sim_node *n = &s->nodes[i];
	uint64_t now_ms = node_now_ms(s, n), wait_ms;
	struct sim_event *ev;

	s->logs[i].timer_generation++;
	if (wake_at_ms == UINT64_MAX)
		return;
	wait_ms = wake_at_ms > now_ms ? wake_at_ms - now_ms : 0;
	ev = queue_add(s, s->now_us + wait_ms * 1200 + sim_random(s, 2000), SIM_LOG_TIMER, i);
	ev->incarnation = n->incarnation;
	ev->generation = s->logs[i].timer_generation;
}

static void answer_waiting(struct sim *s, uint32_t i)
{
	struct sim_log *l = &s->logs[i];
	uint32_t n = 0;

	for (uint32_t k = 0; k < l->n_waiting; k++) {
		struct sim_waiting w = l->waiting[k];
		enum replog_verdict v =
			replog_answer(&s->nodes[i].log, s->nodes[w.from].id, w.epoch, w.match);

		if (v == REPLOG_NO_ANSWER)
			l->waiting[n++] = w;
		else
			log_answer(s, i, &w, v == REPLOG_ACCEPTED,
				   v == REPLOG_ACCEPTED ? w.match : UINT64_MAX, SIM_PARTS);
	}
	l->n_waiting = n;
}

void log_step(struct sim *s, uint32_t i, struct replog_input *in, struct replog_output *out,
	      const struct sim_mail *mail)
{
	struct sim_node *n = &s->nodes[i];

	if (in->event != REPLOG_EV_ROLE)
		log_role(s, i);
	in->now_ms = node_now_ms(s, n);
	replog_step(&n->log, in, out);
	if (out->verdict == REPLOG_REFUSED)
		sim_trace(s, "%u refuses %u: %s", n->id, in->server, out->why);
	store(s, i, in, out, mail);
	check_log_step(s, i);
	for (uint32_t k = 0; k < out->n_sends && s->broken == NULL; k++)
		send(s, i, &out->sends[k]);
	set_timer(s, i, out->wake_at_ms);
	if (in->event == REPLOG_EV_ROLE || in->event == REPLOG_EV_STORED)
		answer_waiting(s, i);
	apply(s, i, out->committed);
	if (out->position_changed)
		node_tell_state(s, i);
}

void log_role(struct sim *s, uint32_t i)
{
	struct sim_node *n = &s->nodes[i];
	struct sim_log *l = &s->logs[i];
	struct replog_output out;
	struct replog_input in = {
		.event = REPLOG_EV_ROLE,
		.master = election_master(&n->election),
		.epoch = election_epoch(&n->election),
		.is_acting = n->is_master && node_has_lease(s, n),
	};

	if (in.master == l->role.master && in.epoch == l->role.epoch &&
	    in.is_acting == l->role.is_acting)
		return;
	l->role.master = in.master;
	l->role.epoch = in.epoch;
	l->role.is_acting = in.is_acting;
	log_step(s, i, &in, &out, NULL);
	if (in.is_acting)
		check_acting(s, i);
}

void log_peer(struct sim *s, uint32_t i, uint32_t peer, uint32_t boot)
{
	struct sim_log *l = &s->logs[i];
	struct replog_input in = {
		.event = REPLOG_EV_PEER, .server = s->nodes[peer].id, .boot = boot};
	struct replog_output out;

	if (l->boots[peer] == boot)
		return;
	l->boots[peer] = boot;
	log_step(s, i, &in, &out, NULL);
}

/* ---- Commands ---- */

static uint64_t append(struct sim *s, uint32_t i, uint32_t n)
{
	struct replog *r = &s->nodes[i].log;
	struct replog_input in = {.event = REPLOG_EV_APPENDED, .n = n};
	struct replog_output out;
	uint64_t first = replog_last(r) + 1;

	if (disk_is_busy(&s->logs[i].disk, SIM_WRITES_MAX / 2) || first + n > SIM_LOG_MAX)
		return 0;
	for (uint32_t k = 0; k < n; k++)
		s->logs[i].entries[first + k] = (struct sim_entry){r->epoch, ++s->n_values};
	log_step(s, i, &in, &out, NULL);
	if (out.verdict != REPLOG_ACCEPTED)
		sim_break(s, "R0: an acting master could not append");
	return out.match;
}

static bool may_append(struct sim *s, uint32_t i)
{
	log_role(s, i);
	return s->broken == NULL && replog_may_append(&s->nodes[i].log);
}

uint64_t log_command(struct sim *s, uint32_t i)
{
	return may_append(s, i) ? append(s, i, 1) : 0;
}

void log_traffic(struct sim *s, uint32_t i)
{
	struct replog *r = &s->nodes[i].log;

	if (!may_append(s, i))
		return;
	/* A master begins with an entry of its own. */
	if (replog_epoch_at(r, replog_last(r)) != r->epoch)
		append(s, i, 1);
	else if (!s->is_quiet && sim_chance(s, 40))
		append(s, i, 1 + (uint32_t)sim_random(s, sim_chance(s, 10) ? SIM_SEND_MAX : 2));
}

/* ---- What comes in ---- */

void log_answer(struct sim *s, uint32_t i, const struct sim_waiting *w, bool is_accepted,
		uint64_t match, uint32_t next)
{
	struct sim_event what = {.kind = w->part == 0 ? SIM_ANSWER : SIM_PART_ANSWER};
	struct sim_mail *m = log_mail(s);

	m->call = w->call;
	m->is_accepted = is_accepted;
	m->match = match;
	m->part = next;
	what.mail = m->number;
	net_send(s, &what, i, w->from);
}

void log_wait(struct sim *s, uint32_t i, struct sim_waiting w)
{
	struct sim_log *l = &s->logs[i];

	if (l->n_waiting < SIM_WAITING_MAX)
		l->waiting[l->n_waiting++] = w;
	answer_waiting(s, i);
}

static void handle_request(struct sim *s, const struct sim_event *ev)
{
	const struct sim_mail *m = log_mail_of(s, ev);
	struct replog_input in = {
		.event = REPLOG_EV_REQUEST, .server = s->nodes[ev->from].id, .append = &m->append};
	struct sim_waiting w = {.from = ev->from, .epoch = m->append.epoch, .call = m->call};
	struct replog_output out;

	if (disk_is_busy(&s->logs[ev->node].disk, 16))
		return;
	log_step(s, ev->node, &in, &out, m);
	w.match = out.match;
	if (out.verdict == REPLOG_ACCEPTED)
		log_wait(s, ev->node, w);
	else
		log_answer(s, ev->node, &w, false, out.match, 0);
}

static void handle_answer(struct sim *s, const struct sim_event *ev)
{
	const struct sim_mail *m = log_mail_of(s, ev);
	struct replog_input in = {.event = REPLOG_EV_ANSWER,
				  .server = s->nodes[ev->from].id,
				  .call = m->call,
				  .is_accepted = m->is_accepted,
				  .index = m->match};
	struct replog_output out;

	log_step(s, ev->node, &in, &out, NULL);
}

static void handle_call_over(struct sim *s, const struct sim_event *ev)
{
	const struct sim_mail *m = log_mail_of(s, ev);
	struct replog_input in = {
		.event = REPLOG_EV_FAILED, .server = s->nodes[ev->from].id, .call = m->call};
	struct replog_output out;

	if (m->part != 0)
		snapshot_over(s, ev->node, ev->from, m->call, m->part);
	else
		log_step(s, ev->node, &in, &out, NULL);
}

/* One write's word. */
static void tell(struct sim *s, uint32_t i)
{
	struct sim_log *l = &s->logs[i];
	struct sim_disk *d = &l->disk;
	struct replog_input in = {.event = REPLOG_EV_STORED, .write = d->writes[d->head].write};
	struct replog *r = &s->nodes[i].log;
	struct replog_output out;
	bool was_rebuilding = r->is_rebuilding;

	d->head = (d->head + 1) % SIM_WRITES_MAX;
	d->n_writes--;
	d->n_landed--;
	if (in.write.number == 0)
		return;
	/* The state is there before its entries may be applied. */
	if (was_rebuilding && in.write.number == r->snapshot.last_write) {
		s->reached[SIM_R_INSTALL]++;
		l->applied = d->state;
		check_applied(s, i);
	}
	log_step(s, i, &in, &out, NULL);
}

static void handle_told(struct sim *s, uint32_t i)
{
	struct sim_disk *d = &s->logs[i].disk;

	d->is_telling = false;
	while (d->n_landed > 0 && s->broken == NULL)
		tell(s, i);
	if (!s->is_calm && sim_chance(s, 5))
		compact(s, i);
}

static void handle_landed(struct sim *s, uint32_t i)
{
	struct sim_disk *d = &s->logs[i].disk;
	uint32_t incarnation = s->nodes[i].incarnation;

	d->is_landing = false;
	disk_land(s, i, 1 + (uint32_t)sim_random(s, d->n_writes));
	if (d->n_landed < d->n_writes) {
		d->is_landing = true;
		queue_add(s, s->now_us + 1000 + sim_random(s, 8000), SIM_LANDED, i)->incarnation =
			incarnation;
	}
	if (!d->is_telling) {
		d->is_telling = true;
		queue_add(s, s->now_us + sim_random(s, sim_chance(s, 5) ? 300000 : 500), SIM_TOLD,
			  i)
			->incarnation = incarnation;
	}
}

void log_handle(struct sim *s, const struct sim_event *ev)
{
	struct replog_input in = {.event = REPLOG_EV_TIMER};
	struct replog_output out;

	switch (ev->kind) {
	case SIM_LOG_TIMER:
		if (ev->generation == s->logs[ev->node].timer_generation)
			log_step(s, ev->node, &in, &out, NULL);
		break;
	case SIM_LANDED:
		handle_landed(s, ev->node);
		break;
	case SIM_TOLD:
		handle_told(s, ev->node);
		break;
	case SIM_REQUEST:
		handle_request(s, ev);
		break;
	case SIM_ANSWER:
		handle_answer(s, ev);
		break;
	case SIM_CALL_OVER:
		handle_call_over(s, ev);
		break;
	default:
		snapshot_handle(s, ev);
		break;
	}
}

/* ---- The start and the end ---- */

void log_start(struct sim *s, uint32_t i)
{
	static struct replog_durable durable;
	struct sim_node *n = &s->nodes[i];
	struct sim_log *l = &s->logs[i];
	struct replog_config cfg = {.self = n->id,
				    .boot = n->disk.boot + 1,
				    .n_servers = s->n_nodes,
				    .retry_ms = SIM_RETRY_MS};

	for (uint32_t k = 0; k < s->n_nodes; k++) {
		cfg.servers[k].id = s->nodes[k].id;
		cfg.servers[k].is_voter = true;
	}
	disk_load(&l->disk, &durable);
	s->reached[SIM_R_REBUILT] += durable.is_rebuilding;
	if (replog_init(&n->log, &cfg, &durable) != 0)
		sim_break(s, "R2: what the disk holds contradicts itself");
	l->applied = l->disk.is_rebuilding ? (struct sim_state){0} : l->disk.state;
	for (uint64_t k = l->disk.first; k <= l->disk.last; k++)
		l->entries[k] = l->disk.entries[k];
	l->n_waiting = 0;
	memset(l->transfers, 0, sizeof(l->transfers));
	memset(&l->role, 0, sizeof(l->role));
	memset(l->boots, 0, sizeof(l->boots));
}

void log_crash(struct sim *s, uint32_t i)
{
	struct sim_disk *d = &s->logs[i].disk;

	if (d->n_landed < d->n_writes && sim_chance(s, 50))
		disk_land(s, i, (uint32_t)sim_random(s, d->n_writes - d->n_landed + 1));
	d->head = d->n_writes = d->n_landed = 0;
	d->is_landing = d->is_telling = false;
}
