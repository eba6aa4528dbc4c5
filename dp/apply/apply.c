#include "dp/apply/apply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dp/apply/apply_private.h"

/* A report on its way into the memory. */
struct applying {
	const struct report *report;
	uint32_t slot;
	uint64_t now_ns;
	/* What became of its parts. */
	bool is_new; /* not older than what is known of the element */
	bool any_applied, any_change, any_alarm_full, any_metric_full;
	/* Alarms that this report changed: a second word on one of them in the same report is
	 * newer. */
	const struct fedmem_alarm *touched[REPORT_ALARMS_MAX];
	uint32_t n_touched;
};

/* The reports of one datagram that go to the relay as one message. */
struct relay_group {
	uint32_t cell;
	bool is_alarm;
	uint64_t bitmap;
};

int apply_create(struct apply **out, uint16_t self, const struct fedmem *fm,
		 struct fedmem_writer *writer, struct stats *stats, const struct apply_relay *relay)
{
	struct apply *a = calloc(1, sizeof(*a));
	int err = -ENOMEM;

	if (a == NULL)
		return -ENOMEM;
	a->self = self;
	a->fm = fm;
	a->writer = writer;
	a->stats = stats;
	a->relay = *relay;
	a->cells_max = fedmem_sizes(fm)->cells_max;
	a->cells = calloc(a->cells_max, sizeof(*a->cells));
	if (a->cells == NULL)
		goto fail;
	err = gaps_create(&a->gaps);
	if (err < 0)
		goto fail;
	*out = a;
	return 0;
fail:
	apply_destroy(a);
	return err;
}

int apply_cells(struct apply *a, const struct fedmem_cell *cells, uint32_t n)
{
	if (n > a->cells_max)
		return -E2BIG;
	memcpy(a->cells, cells, n * sizeof(*cells));
	a->n_cells = n;
	return 0;
}

/* ---- One report into the memory ---- */

static void note_missing(struct apply *a, struct fedmem_state *s, const struct report *r)
{
	struct gaps_source source = {s->element_id, r->boot};
	uint64_t n_missing = r->sequence - s->sequence - 1;

	if (s->sequence == 0 || r->boot != s->boot || n_missing == 0)
		return; /* the first of this boot: where it began is not known */
	if (n_missing > UINT32_MAX - s->n_gaps)
		n_missing = UINT32_MAX - s->n_gaps;
	s->n_gaps += n_missing;
	a->stats->n[STATS_SEQUENCE_GAPS] += n_missing;
	gaps_open(a->gaps, &source, s->sequence, r->sequence);
}

static void note_late(struct apply *a, struct fedmem_state *s, const struct report *r)
{
	struct gaps_source source = {s->element_id, r->boot};

	if (r->boot != s->boot || !gaps_fill(a->gaps, &source, r->sequence) || s->n_gaps == 0)
		return;
	s->n_gaps--;
	a->stats->n[STATS_SEQUENCE_GAPS]--;
}

/* What the report does to the element's state, its alarms apart. */
static void apply_state(struct apply *a, struct applying *x, struct fedmem_state *s)
{
	const struct report *r = x->report;

	x->is_new = r->sequence == 0 || apply_is_newer(r->boot, r->sequence, s->boot, s->sequence);
	if (!x->is_new) {
		note_late(a, s, r);
		return;
	}
	if (r->sequence != 0) {
		note_missing(a, s, r);
		s->boot = r->boot;
		s->sequence = r->sequence;
	}
	if (s->first_seen_ns == 0)
		s->first_seen_ns = x->now_ns;
	s->last_seen_ns = x->now_ns;
	for (uint32_t i = 0; i < r->n_metrics; i++) {
		if (fedmem_state_metric(a->writer, s, r->metrics[i].id, r->metrics[i].value) == 0)
			x->any_applied = true;
		else
			x->any_metric_full = true;
	}
	if (r->n_metrics == 0 && r->n_alarms == 0)
		x->any_applied = true;
}

static uint8_t cut(uint16_t n_bytes, uint8_t max)
{
	return n_bytes < max ? n_bytes : max;
}

static const char *chars_of(const struct report_text *text)
{
	return text->n_bytes > 0 ? text->chars : "";
}

static struct fedmem_alarm_key key_of(const struct applying *x, const struct report_alarm *ra)
{
	return (struct fedmem_alarm_key){
		.element = x->slot,
		.type = chars_of(&ra->type),
		.resource = chars_of(&ra->resource),
		.qualifier = chars_of(&ra->qualifier),
		.type_bytes = cut(ra->type.n_bytes, FEDMEM_TYPE_BYTES),
		.resource_bytes = cut(ra->resource.n_bytes, FEDMEM_RESOURCE_BYTES),
		.qualifier_bytes = cut(ra->qualifier.n_bytes, FEDMEM_QUALIFIER_BYTES),
	};
}

static bool is_touched(const struct applying *x, const struct fedmem_alarm *known)
{
	for (uint32_t i = 0; i < x->n_touched; i++)
		if (x->touched[i] == known)
			return true;
	return false;
}

static bool is_alarm_stale(const struct applying *x, const struct fedmem_alarm *known)
{
	return known != NULL && x->report->sequence != 0 && !is_touched(x, known) &&
	       !apply_is_newer(x->report->boot, x->report->sequence, known->boot, known->sequence);
}

static void alarm_text(struct fedmem_alarm *alarm, const struct report_text *text)
{
	uint8_t n = cut(text->n_bytes, FEDMEM_TEXT_BYTES);

	memset(alarm->text, 0, sizeof(alarm->text));
	memcpy(alarm->text, chars_of(text), n);
}

/* 'kind' 0: no event. */
static void alarm_done(struct apply *a, struct applying *x, struct fedmem_alarm *alarm,
		       enum fedmem_event_kind kind)
{
	uint64_t overflows = fedmem_event_overflows(a->fm);

	alarm->last_ns = x->now_ns;
	if (kind != 0)
		alarm->changed_ns = x->now_ns;
	if (x->report->sequence != 0) {
		alarm->boot = x->report->boot;
		alarm->sequence = x->report->sequence;
	}
	x->touched[x->n_touched++] = alarm;
	fedmem_alarm_commit(a->writer, alarm, kind);
	a->stats->n[STATS_EVENT_RING_FULL] += fedmem_event_overflows(a->fm) - overflows;
	x->any_change |= kind != 0;
}

static void alarm_raise(struct apply *a, struct applying *x, const struct report_alarm *ra)
{
	struct fedmem_alarm_key key = key_of(x, ra);
	struct fedmem_alarm *alarm = fedmem_alarm_begin(a->writer, &key);
	enum fedmem_event_kind kind = 0;

	if (alarm == NULL) {
		x->any_alarm_full = true;
		return;
	}
	if (alarm->state != FEDMEM_ALARM_RAISED) {
		kind = FEDMEM_EV_RAISED;
		alarm->state = FEDMEM_ALARM_RAISED;
		alarm->raised_ns = x->now_ns;
		alarm->count = 0;
		a->stats->n[STATS_ALARM_RAISED]++;
	} else if (alarm->severity != ra->severity) {
		kind = FEDMEM_EV_SEVERITY;
		a->stats->n[STATS_ALARM_CHANGED]++;
	} else {
		a->stats->n[STATS_ALARM_REPEATED]++;
	}
	alarm->severity = ra->severity;
	alarm->count++;
	alarm_text(alarm, &ra->text);
	x->any_applied = true;
	alarm_done(a, x, alarm, kind);
}

static void alarm_clear(struct apply *a, struct applying *x, const struct report_alarm *ra,
			const struct fedmem_alarm *known)
{
	struct fedmem_alarm_key key = key_of(x, ra);
	bool is_raised = known != NULL && known->state == FEDMEM_ALARM_RAISED;
	struct fedmem_alarm *alarm;

	x->any_applied = true;
	if (!is_raised) {
		a->stats->n[STATS_ALARM_CLEAR_UNMATCHED]++;
		if (x->report->sequence == 0)
			return;
		/* Its raise may still come, late: it must be seen to be older. */
	}
	alarm = fedmem_alarm_begin(a->writer, &key);
	if (alarm == NULL)
		return; /* full of raised ones: nothing is remembered of this clear */
	if (alarm->state == FEDMEM_ALARM_FREE)
		alarm->changed_ns = x->now_ns;
	alarm->state = FEDMEM_ALARM_GONE;
	if (is_raised)
		a->stats->n[STATS_ALARM_CLEARED]++;
	alarm_done(a, x, alarm, is_raised ? FEDMEM_EV_CLEARED : 0);
}

static void apply_alarms(struct apply *a, struct applying *x)
{
	for (uint32_t i = 0; i < x->report->n_alarms; i++) {
		const struct report_alarm *ra = &x->report->alarms[i];
		struct fedmem_alarm_key key = key_of(x, ra);
		const struct fedmem_alarm *known = fedmem_alarm_find(a->writer, &key);

		if (is_alarm_stale(x, known))
			continue;
		if (ra->severity == FEDMEM_CLEARED)
			alarm_clear(a, x, ra, known);
		else
			alarm_raise(a, x, ra);
	}
}

static enum stats_counter apply_report(struct apply *a, const struct report *r, uint32_t slot,
				       const struct fedmem_element *e, uint64_t now_ns)
{
	struct fedmem_token token = a->cells[e->cell].token;
	struct applying x = {.report = r, .slot = slot, .now_ns = now_ns};
	struct fedmem_state *s = fedmem_state_begin(a->writer, slot, e->id, token);

	apply_state(a, &x, s);
	if (r->n_alarms > 0) {
		/* An alarm hangs on its element's committed record; one record is open at a time.
		 */
		fedmem_state_commit(a->writer, s);
		apply_alarms(a, &x);
		s = fedmem_state_begin(a->writer, slot, e->id, token);
		if (x.any_change)
			fedmem_state_recount(a->writer, s);
	}
	if (x.any_applied) {
		s->last_seen_ns = now_ns;
		s->n_reports++;
	}
	fedmem_state_commit(a->writer, s);

	if (x.any_applied)
		return STATS_REPORT_APPLIED;
	if (x.any_alarm_full)
		return STATS_REFUSED_ALARM_TABLE_FULL;
	return x.any_metric_full ? STATS_REFUSED_METRIC_TABLE_FULL : STATS_REFUSED_STALE;
}

/* ---- Whose report it is ---- */

static void group_add(struct relay_group *groups, uint32_t *n_groups, uint32_t cell, uint32_t index,
		      bool is_alarm)
{
	struct relay_group *g = groups;

	while (g < groups + *n_groups && g->cell != cell)
		g++;
	if (g == groups + *n_groups) {
		*g = (struct relay_group){.cell = cell};
		++*n_groups;
	}
	g->bitmap |= UINT64_C(1) << index;
	g->is_alarm |= is_alarm;
}

/* Looks all elements of the batch up, so that their records are on the way when they are needed. */
static void find_slots(const struct apply *a, const struct apply_datagram *d,
		       const struct report_batch *batch, uint32_t sender,
		       uint32_t slots[REPORT_BATCH_MAX])
{
	for (uint32_t i = 0; i < batch->n; i++) {
		uint64_t id = batch->reports[i].element_id;

		slots[i] = id == 0 ? sender : FEDMEM_NONE;
		if (!(d->report_bitmap >> i & 1))
			continue;
		if (id != 0 && fedmem_find_by_id(a->fm, id, &slots[i]) != 0)
			slots[i] = FEDMEM_NONE;
		if (slots[i] != FEDMEM_NONE)
			fedmem_state_prefetch(a->writer, slots[i]);
	}
}

/* Whose a report is, and which way its datagram goes. */
struct judgement {
	bool may_own;
	/* A peer relayed it and is to keep it: it has an alarm, and not all of it can be taken over
	 * here. What is acknowledged in part would be lost in part. */
	bool is_for_peer;
};

static bool is_ours(const struct apply *a, uint32_t cell, bool has_alarm, bool may_own)
{
	return cell < a->n_cells && a->cells[cell].owner == a->self && a->self != 0 && may_own &&
	       !(has_alarm && a->cells[cell].is_restoring);
}

/* The slot may have got another element since it was found. */
static bool is_known(const struct apply *a, const struct report *r, uint32_t slot,
		     struct fedmem_element *e)
{
	return slot != FEDMEM_NONE && fedmem_element_get(a->fm, slot, e) == 0 &&
	       (r->element_id == 0 || r->element_id == e->id);
}

/* Is there a report in the relayed datagram that is not for this server, and an alarm in any? */
static bool must_peer_keep(const struct apply *a, const struct apply_datagram *d,
			   const struct report_batch *batch, const uint32_t *slots, bool may_own)
{
	bool has_alarm = false, any_others = false;

	for (uint32_t i = 0; i < batch->n; i++)
		if (d->report_bitmap >> i & 1)
			has_alarm |= batch->reports[i].n_alarms > 0;
	for (uint32_t i = 0; has_alarm && i < batch->n; i++) {
		const struct report *r = &batch->reports[i];
		struct fedmem_element e;

		if ((d->report_bitmap >> i & 1) && !r->is_unmapped && is_known(a, r, slots[i], &e))
			any_others |= !is_ours(a, e.cell, true, may_own);
	}
	return any_others;
}

/* The fate of a report that is applied or refused here; STATS_REPORT_RELAYED: of one for the relay.
 */
static enum stats_counter judge(struct apply *a, const struct apply_datagram *d,
				const struct report *r, uint32_t slot, uint64_t now_ns,
				const struct judgement *j, uint32_t *cell)
{
	struct fedmem_element e;
	uint16_t owner;

	if (!is_known(a, r, slot, &e))
		return STATS_REFUSED_UNKNOWN_ELEMENT;
	if (r->is_unmapped)
		return STATS_REFUSED_NO_RULE;

	*cell = e.cell;
	if (!j->is_for_peer && is_ours(a, e.cell, r->n_alarms > 0, j->may_own))
		return apply_report(a, r, slot, &e, now_ns);
	if (d->is_relayed)
		return STATS_REFUSED_NOT_OWNER;
	owner = e.cell < a->n_cells ? a->cells[e.cell].owner : 0;
	if (r->n_alarms > 0 || (owner != 0 && owner != a->self))
		return STATS_REPORT_RELAYED;
	return owner == 0 ? STATS_REFUSED_NO_OWNER : STATS_REFUSED_NO_LEASE;
}

/* True: the relay has at least one of the groups. */
static bool give_groups(struct apply *a, const struct apply_datagram *d,
			const struct relay_group *groups, uint32_t n_groups)
{
	bool any = false;

	for (uint32_t i = 0; i < n_groups; i++) {
		struct apply_datagram part = *d;
		bool is_given;

		part.report_bitmap = groups[i].bitmap;
		is_given = a->relay.give(a->relay.relay, &part, groups[i].cell, groups[i].is_alarm);
		a->stats->n[is_given ? STATS_REPORT_RELAYED : STATS_REFUSED_RELAY] +=
			(uint64_t)__builtin_popcountll(part.report_bitmap);
		any |= is_given;
	}
	return any;
}

enum apply_verdict apply_batch(struct apply *a, const struct apply_datagram *d,
			       const struct report_batch *batch, uint32_t sender, uint64_t now_ns,
			       bool may_own)
{
	struct relay_group groups[REPORT_BATCH_MAX];
	uint32_t slots[REPORT_BATCH_MAX];
	uint32_t n_groups = 0;
	bool any_applied = false, any_not_owner = false;
	struct judgement j = {.may_own = may_own};

	find_slots(a, d, batch, sender, slots);
	j.is_for_peer = d->is_relayed && must_peer_keep(a, d, batch, slots, may_own);
	for (uint32_t i = 0; i < batch->n; i++) {
		const struct report *r = &batch->reports[i];
		enum stats_counter fate;
		uint32_t cell;

		if (!(d->report_bitmap >> i & 1))
			continue;
		a->stats->n[STATS_REPORTS]++;
		fate = judge(a, d, r, slots[i], now_ns, &j, &cell);
		if (fate == STATS_REPORT_RELAYED) {
			group_add(groups, &n_groups, cell, i, r->n_alarms > 0);
			continue;
		}
		a->stats->n[fate]++;
		any_applied |= fate == STATS_REPORT_APPLIED;
		any_not_owner |= fate == STATS_REFUSED_NOT_OWNER;
	}

	bool any_relayed = give_groups(a, d, groups, n_groups);

	if (any_applied)
		return APPLY_APPLIED;
	if (any_relayed)
		return APPLY_RELAYED;
	return any_not_owner ? APPLY_NOT_OWNER : APPLY_REFUSED;
}

void apply_destroy(struct apply *a)
{
	if (a == NULL)
		return;
	gaps_destroy(a->gaps);
	free(a->cells);
	free(a);
}
