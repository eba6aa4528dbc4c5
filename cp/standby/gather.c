#include "cp/standby/gather.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct gathered *add(struct gather *g, const char *cell, struct wire_token token)
{
	struct gathered *r;

	if (g->n == g->room) {
		size_t room = g->room == 0 ? 256 : 2 * g->room;
		struct gathered *more = reallocarray(g->records, room, sizeof(*more));

		if (more == NULL)
			return NULL;
		g->records = more;
		g->room = room;
	}
	r = &g->records[g->n++];
	memset(r, 0, sizeof(*r));
	if (!g->is_by_time && strcmp(cell, g->cell) == 0)
		r->token = token;
	return r;
}

static uint64_t bits_of(double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static int state_add(struct gather *g, const struct wire_stored_element *e)
{
	struct gathered *r = add(g, e->cell, e->token);

	if (r == NULL)
		return -ENOMEM;
	r->inject.kind = FEDMEM_INJECT_STATE;
	r->inject.element_id = e->id;
	r->inject.state.element_id = e->id;
	r->inject.state.first_seen_ns = e->first_seen_ns;
	r->inject.state.last_seen_ns = e->last_seen_ns;
	r->inject.state.n_reports = e->n_reports;
	r->inject.state.n_gaps = (uint32_t)e->n_gaps;
	r->inject.state.boot = e->boot;
	r->inject.state.sequence = e->sequence;
	for (uint32_t i = 0; i < e->n_metrics && i < FEDMEM_METRICS_INLINE; i++) {
		r->inject.state.metric_ids[i] = e->metrics[i].id;
		r->inject.state.metric_values[i] = bits_of(e->metrics[i].value);
		r->inject.state.n_metrics++;
	}
	return 0;
}

int gather_element(struct gather *g, const struct wire_stored_element *e)
{
	int err = state_add(g, e);

	for (uint32_t at = FEDMEM_METRICS_INLINE; err == 0 && at < e->n_metrics;) {
		struct gathered *r = add(g, e->cell, e->token);

		if (r == NULL)
			return -ENOMEM;
		r->inject.kind = FEDMEM_INJECT_METRICS;
		r->inject.element_id = e->id;
		for (; at < e->n_metrics && r->inject.n_metrics < FEDMEM_INJECT_METRICS_MAX; at++)
			r->inject.metrics[r->inject.n_metrics++] = (struct fedmem_metric){
				.id = e->metrics[at].id, .value = bits_of(e->metrics[at].value)};
	}
	return err;
}

static void text_put(char *to, size_t room, struct wire_octets from)
{
	if (from.n > 0)
		memcpy(to, from.bytes, from.n < room ? from.n : room);
}

int gather_alarm(struct gather *g, const struct wire_stored_alarm *s)
{
	struct gathered *r = add(g, s->cell, s->token);
	struct fedmem_alarm *a;

	if (r == NULL)
		return -ENOMEM;
	r->inject.kind = FEDMEM_INJECT_ALARM;
	r->inject.element_id = s->element_id;
	a = &r->inject.alarm;
	a->element_id = s->element_id;
	a->state = s->state;
	a->severity = s->severity;
	a->raised_ns = s->raised_ns;
	a->changed_ns = s->changed_ns;
	a->last_ns = s->last_ns;
	a->count = s->count;
	a->boot = s->boot;
	a->sequence = s->sequence;
	text_put(a->type, sizeof(a->type), s->type);
	text_put(a->resource, sizeof(a->resource), s->resource);
	text_put(a->qualifier, sizeof(a->qualifier), s->qualifier);
	text_put(a->text, sizeof(a->text), s->text);
	return 0;
}

/* ---- The newest ---- */

static int compare(uint64_t x, uint64_t y)
{
	return (x > y) - (x < y);
}

/* States, metrics, alarms; then what has the same key. */
static int compare_keys(const struct gathered *x, const struct gathered *y)
{
	int order = compare(x->inject.kind, y->inject.kind);

	if (order == 0)
		order = compare(x->inject.element_id, y->inject.element_id);
	if (order != 0 || x->inject.kind != FEDMEM_INJECT_ALARM)
		return order;
	order = memcmp(x->inject.alarm.type, y->inject.alarm.type, FEDMEM_TYPE_BYTES);
	if (order == 0)
		order = memcmp(x->inject.alarm.resource, y->inject.alarm.resource,
			       FEDMEM_RESOURCE_BYTES);
	if (order == 0)
		order = memcmp(x->inject.alarm.qualifier, y->inject.alarm.qualifier,
			       FEDMEM_QUALIFIER_BYTES);
	return order;
}

static int compare_tokens(const struct gathered *x, const struct gathered *y)
{
	int order = compare(x->token.epoch, y->token.epoch);

	return order != 0 ? order : compare(x->token.generation, y->token.generation);
}

/* <0: x is older. */
static int compare_ages(const struct gathered *x, const struct gathered *y)
{
	int order = compare_tokens(x, y);

	if (order != 0)
		return order;
	if (x->inject.kind == FEDMEM_INJECT_STATE) {
		order = compare(x->inject.state.last_seen_ns, y->inject.state.last_seen_ns);
		return order != 0 ? order
				  : compare(x->inject.state.n_reports, y->inject.state.n_reports);
	}
	order = compare(x->inject.alarm.changed_ns, y->inject.alarm.changed_ns);
	if (order == 0)
		order = compare(x->inject.alarm.last_ns, y->inject.alarm.last_ns);
	return order != 0 ? order : compare(x->inject.alarm.count, y->inject.alarm.count);
}

static int compare_records(const void *a, const void *b)
{
	const struct gathered *x = a, *y = b;
	int order = compare_keys(x, y);

	/* All metrics are kept: of one that is there already the first counts. */
	if (order == 0 && x->inject.kind == FEDMEM_INJECT_METRICS)
		return -compare_tokens(x, y);
	return order != 0 ? order : -compare_ages(x, y);
}

void gather_sort(struct gather *g, struct fedmem_token token)
{
	size_t n = 0;

	g->n_elements = g->n_alarms = 0;
	if (g->n > 0)
		qsort(g->records, g->n, sizeof(*g->records), compare_records);
	for (size_t i = 0; i < g->n; i++) {
		struct gathered *r = &g->records[i];

		if (n > 0 && r->inject.kind != FEDMEM_INJECT_METRICS &&
		    compare_keys(&g->records[n - 1], r) == 0)
			continue;
		r->inject.token = token;
		g->n_elements += r->inject.kind == FEDMEM_INJECT_STATE;
		g->n_alarms += r->inject.kind == FEDMEM_INJECT_ALARM;
		g->records[n++] = *r;
	}
	g->n = n;
}

void gather_fini(struct gather *g)
{
	free(g->records);
	g->records = NULL;
	g->n = g->room = 0;
}
