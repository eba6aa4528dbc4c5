#include <string.h>

#include "dp/apply/apply_private.h"

/* Where an injection goes. */
struct target {
	uint32_t slot;
	struct fedmem_element element;
	struct fedmem_token token;
};

/* True: this server owns the element's cell under the token that the injection names. */
static bool find_target(const struct apply *a, const struct fedmem_inject *inject, struct target *t)
{
	const struct fedmem_cell *cell;

	if (fedmem_find_by_id(a->fm, inject->element_id, &t->slot) != 0 ||
	    fedmem_element_get(a->fm, t->slot, &t->element) != 0 ||
	    t->element.id != inject->element_id || t->element.cell >= a->n_cells)
		return false;
	cell = &a->cells[t->element.cell];
	t->token = cell->token;
	return cell->owner == a->self && fedmem_token_equal(cell->token, inject->token);
}

static struct fedmem_state *open_state(struct apply *a, const struct target *t)
{
	return fedmem_state_begin(a->writer, t->slot, t->element.id, t->token);
}

/* True: it is there now, this one or a newer one. */
static bool restore_metric(struct apply *a, struct fedmem_state *s, uint32_t id, uint64_t value)
{
	return fedmem_state_has_metric(a->writer, s, id) ||
	       fedmem_state_metric(a->writer, s, id, value) == 0;
}

/* Counts of two owners are added once, when the earlier one's begin is not in the record yet; of
 * two copies of one owner's the higher counts. */
static uint64_t merged(uint64_t known, uint64_t restored, bool is_first)
{
	if (!is_first)
		return known > restored ? known : restored;
	return known + restored < known ? UINT64_MAX : known + restored;
}

static enum stats_counter restore_state(struct apply *a, const struct target *t,
					const struct fedmem_state *from)
{
	struct fedmem_state *s = open_state(a, t);
	bool is_first = from->first_seen_ns != 0 &&
			(s->first_seen_ns == 0 || from->first_seen_ns < s->first_seen_ns);
	uint64_t n_gaps = merged(s->n_gaps, from->n_gaps, is_first);
	bool has_room = true;

	s->n_reports = merged(s->n_reports, from->n_reports, is_first);
	s->n_gaps = n_gaps < UINT32_MAX ? (uint32_t)n_gaps : UINT32_MAX;
	if (is_first)
		s->first_seen_ns = from->first_seen_ns;
	if (from->last_seen_ns > s->last_seen_ns)
		s->last_seen_ns = from->last_seen_ns;
	if (apply_is_newer(from->boot, from->sequence, s->boot, s->sequence)) {
		s->boot = from->boot;
		s->sequence = from->sequence;
	}
	for (uint32_t i = 0; i < from->n_metrics && i < FEDMEM_METRICS_INLINE; i++)
		has_room &= restore_metric(a, s, from->metric_ids[i], from->metric_values[i]);
	fedmem_state_commit(a->writer, s);
	return has_room ? STATS_STATE_RESTORED : STATS_RESTORE_FULL;
}

static enum stats_counter restore_metrics(struct apply *a, const struct target *t,
					  const struct fedmem_inject *inject)
{
	struct fedmem_state *s;
	bool has_room = true;

	if (inject->n_metrics > FEDMEM_INJECT_METRICS_MAX)
		return STATS_RESTORE_REFUSED;
	s = open_state(a, t);
	for (uint32_t i = 0; i < inject->n_metrics; i++)
		has_room &= restore_metric(a, s, inject->metrics[i].id, inject->metrics[i].value);
	fedmem_state_commit(a->writer, s);
	return has_room ? STATS_STATE_RESTORED : STATS_RESTORE_FULL;
}

static struct fedmem_alarm_key key_of(uint32_t slot, const struct fedmem_alarm *alarm)
{
	return (struct fedmem_alarm_key){
		.element = slot,
		.type = alarm->type,
		.resource = alarm->resource,
		.qualifier = alarm->qualifier,
		.type_bytes = (uint8_t)strnlen(alarm->type, FEDMEM_TYPE_BYTES),
		.resource_bytes = (uint8_t)strnlen(alarm->resource, FEDMEM_RESOURCE_BYTES),
		.qualifier_bytes = (uint8_t)strnlen(alarm->qualifier, FEDMEM_QUALIFIER_BYTES),
	};
}

static bool is_alarm_valid(const struct fedmem_alarm *alarm)
{
	if (alarm->type[0] == '\0' || alarm->severity > FEDMEM_CRITICAL)
		return false;
	return alarm->state == FEDMEM_ALARM_GONE ||
	       (alarm->state == FEDMEM_ALARM_RAISED && alarm->severity != FEDMEM_CLEARED);
}

static void fill_alarm(struct fedmem_alarm *to, const struct fedmem_alarm *from)
{
	to->state = from->state;
	to->severity = from->severity;
	to->raised_ns = from->raised_ns;
	to->changed_ns = from->changed_ns;
	to->last_ns = from->last_ns;
	to->count = from->count;
	to->boot = from->boot;
	to->sequence = from->sequence;
	memset(to->text, 0, sizeof(to->text));
	memcpy(to->text, from->text, strnlen(from->text, sizeof(from->text)));
}

/* What is there is newer, but it may not know since when it is raised. A raise of before that is
 * gone is another matter than the one that is there. */
static void merge_alarm(struct fedmem_alarm *known, const struct fedmem_alarm *from)
{
	if (from->state != FEDMEM_ALARM_RAISED)
		return;
	if (known->raised_ns == 0 || (from->raised_ns != 0 && from->raised_ns < known->raised_ns))
		known->raised_ns = from->raised_ns;
	if (known->severity == FEDMEM_CLEARED)
		known->severity = from->severity; /* a clear that came before what it clears */
	if (from->count > known->count)
		known->count = from->count;
}

static enum stats_counter restore_alarm(struct apply *a, const struct target *t,
					const struct fedmem_alarm *from)
{
	struct fedmem_alarm_key key = key_of(t->slot, from);
	struct fedmem_alarm *alarm;
	struct fedmem_state *s;

	if (!is_alarm_valid(from))
		return STATS_RESTORE_REFUSED;
	/* An alarm hangs on its element's committed record. */
	fedmem_state_commit(a->writer, open_state(a, t));
	alarm = fedmem_alarm_begin(a->writer, &key);
	if (alarm == NULL)
		return STATS_RESTORE_FULL;
	if (alarm->state == FEDMEM_ALARM_FREE)
		fill_alarm(alarm, from);
	else
		merge_alarm(alarm, from);
	fedmem_alarm_commit(a->writer, alarm, 0);
	s = open_state(a, t);
	fedmem_state_recount(a->writer, s);
	fedmem_state_commit(a->writer, s);
	return STATS_ALARM_RESTORED;
}

void apply_restore(struct apply *a, const struct fedmem_inject *inject)
{
	enum stats_counter fate = STATS_RESTORE_REFUSED;
	struct target t;

	if (find_target(a, inject, &t)) {
		switch (inject->kind) {
		case FEDMEM_INJECT_STATE:
			fate = restore_state(a, &t, &inject->state);
			break;
		case FEDMEM_INJECT_METRICS:
			fate = restore_metrics(a, &t, inject);
			break;
		case FEDMEM_INJECT_ALARM:
			fate = restore_alarm(a, &t, &inject->alarm);
			break;
		}
	}
	a->stats->n[fate]++;
}
