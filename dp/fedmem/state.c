#include <assert.h>
#include <string.h>

#include "dp/fedmem/writer.h"

static struct fedmem_metric *metric_row(const struct fedmem *fm, uint32_t slot)
{
	return fm->metrics + (size_t)slot * fm->n_extra;
}

/* Of n_metrics, those that lie beside the record; whatever a torn copy says, never more than there
 * are. */
static uint32_t metrics_beside(const struct fedmem *fm, uint32_t n_metrics)
{
	uint32_t n = n_metrics > FEDMEM_METRICS_INLINE ? n_metrics - FEDMEM_METRICS_INLINE : 0;

	return n < fm->n_extra ? n : fm->n_extra;
}

int fedmem_state_read(const struct fedmem *fm, uint32_t slot, struct fedmem_state *out,
		      struct fedmem_metric *metrics)
{
	const struct fedmem_state *s;
	struct fedmem_state copy;
	uint32_t n;

	if (slot >= fm->sizes.elements_max)
		return FEDMEM_NOT_FOUND;
	s = &fm->states[slot];
	for (uint32_t tries = 0;; tries++) {
		uint32_t begun = seqlock_read_begin(&s->seq);

		if (likely((begun & 1) == 0)) {
			words_load(&copy, s, sizeof(copy));
			if (metrics != NULL)
				words_load(metrics + FEDMEM_METRICS_INLINE, metric_row(fm, slot),
					   metrics_beside(fm, copy.n_metrics) * sizeof(*metrics));
			if (likely(seqlock_read_ok(&s->seq, begun)))
				break;
		}
		if (!lock_writer_wait(fm, tries))
			return FEDMEM_BUSY;
	}
	if (copy.element_id == 0)
		return FEDMEM_NOT_FOUND;
	memcpy(out, &copy, sizeof(copy));
	n = copy.n_metrics < FEDMEM_METRICS_INLINE ? copy.n_metrics : FEDMEM_METRICS_INLINE;
	for (uint32_t i = 0; metrics != NULL && i < n; i++)
		metrics[i] = (struct fedmem_metric){copy.metric_ids[i], copy.metric_values[i]};
	return 0;
}

void fedmem_state_prefetch(const struct fedmem_writer *w, uint32_t slot)
{
	const char *record = (const char *)&w->fm->states[slot];

	__builtin_prefetch(record, 0, 2);
	__builtin_prefetch(record + 64, 0, 2);
}

void state_open(struct fedmem_writer *w, uint32_t slot)
{
	struct fedmem_state *s = &w->fm->states[slot];
	struct journal *j = w->fm->journal;

	assert(w->n_open == 0);
	j->n_rows = metrics_beside(w->fm, s->n_metrics);
	if (unlikely(j->n_rows > 0))
		memcpy(j->rows, metric_row(w->fm, slot), j->n_rows * sizeof(j->rows[0]));
	record_open(w, JOURNAL_STATE, slot, &s->seq, s, sizeof(*s));
}

struct fedmem_state *fedmem_state_begin(struct fedmem_writer *w, uint32_t slot, uint64_t id,
					struct fedmem_token token)
{
	struct fedmem_state *s = &w->fm->states[slot];

	assert(slot < w->fm->sizes.elements_max);
	if (likely(s->element_id == id && fedmem_token_equal(s->token, token))) {
		state_open(w, slot);
		return s;
	}
	if (s->element_id != 0)
		alarm_free_chain(w, s);
	state_open(w, slot);
	memset((char *)s + sizeof(s->seq), 0, sizeof(*s) - sizeof(s->seq));
	s->alarm_first = FEDMEM_NONE;
	s->element_id = id;
	s->token = token;
	return s;
}

void fedmem_state_commit(struct fedmem_writer *w, struct fedmem_state *s)
{
	assert(w->n_open == 1 && seqlock_is_odd(&s->seq));
	record_close(w, &s->seq);
}

const struct fedmem_state *fedmem_state_peek(const struct fedmem_writer *w, uint32_t slot)
{
	assert(slot < w->fm->sizes.elements_max);
	return &w->fm->states[slot];
}

/* Where the element keeps this metric. NULL: it has none such. */
static uint64_t *metric_find(const struct fedmem_writer *w, const struct fedmem_state *s,
			     uint32_t id)
{
	uint32_t slot = (uint32_t)(s - w->fm->states);
	uint32_t n_inline =
		s->n_metrics < FEDMEM_METRICS_INLINE ? s->n_metrics : FEDMEM_METRICS_INLINE;
	struct fedmem_metric *row = metric_row(w->fm, slot);

	for (uint32_t i = 0; i < n_inline; i++)
		if (s->metric_ids[i] == id)
			return &w->fm->states[slot].metric_values[i];
	for (uint32_t i = FEDMEM_METRICS_INLINE; i < s->n_metrics; i++)
		if (row[i - FEDMEM_METRICS_INLINE].id == id)
			return &row[i - FEDMEM_METRICS_INLINE].value;
	return NULL;
}

bool fedmem_state_has_metric(const struct fedmem_writer *w, const struct fedmem_state *s,
			     uint32_t id)
{
	return metric_find(w, s, id) != NULL;
}

int fedmem_state_metric(struct fedmem_writer *w, struct fedmem_state *s, uint32_t id,
			uint64_t value)
{
	struct fedmem_metric *row = metric_row(w->fm, (uint32_t)(s - w->fm->states));
	uint64_t *known = metric_find(w, s, id);
	uint32_t n = s->n_metrics;

	if (known != NULL) {
		*known = value;
		return 0;
	}
	if (n >= w->fm->sizes.metrics_per_element)
		return FEDMEM_FULL;
	if (n < FEDMEM_METRICS_INLINE) {
		s->metric_ids[n] = id;
		s->metric_values[n] = value;
	} else {
		row[n - FEDMEM_METRICS_INLINE] = (struct fedmem_metric){id, value};
	}
	s->n_metrics = (uint8_t)(n + 1);
	return 0;
}

void fedmem_state_recount(struct fedmem_writer *w, struct fedmem_state *s)
{
	uint64_t n = 0;

	s->worst = FEDMEM_CLEARED;
	if (s->alarm_first != FEDMEM_NONE) {
		const struct alarm_link *first = &w->links[s->alarm_first];

		for (uint8_t severity = 0; severity < SEVERITIES; severity++) {
			n += first->n_raised[severity];
			if (first->n_raised[severity] > 0)
				s->worst = severity;
		}
	}
	s->n_alarms = n < UINT16_MAX ? (uint16_t)n : UINT16_MAX;
}
