#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

void queue_init(struct sim *s)
{
	s->n_queued = 0;
	s->order = 0;
	s->n_free = SIM_EVENTS_MAX;
	for (uint32_t i = 0; i < SIM_EVENTS_MAX; i++)
		s->free[i] = (uint16_t)(SIM_EVENTS_MAX - 1 - i);
}

static bool is_before(const struct sim *s, uint32_t a, uint64_t at_us, uint64_t order)
{
	return s->heap[a].at_us != at_us ? s->heap[a].at_us < at_us : s->heap[a].order < order;
}

static uint16_t insert(struct sim *s, uint64_t at_us)
{
	uint32_t at = s->n_queued;
	uint64_t order = s->order++;
	uint16_t slot;

	if (s->n_free == 0) {
		fprintf(stderr, "sim: more than %d events wait\n", SIM_EVENTS_MAX);
		abort();
	}
	slot = s->free[--s->n_free];
	s->events[slot].at_us = at_us;
	for (s->n_queued++; at > 0 && !is_before(s, (at - 1) / 2, at_us, order); at = (at - 1) / 2)
		s->heap[at] = s->heap[(at - 1) / 2];
	s->heap[at].at_us = at_us;
	s->heap[at].order = order;
	s->heap[at].slot = slot;
	return slot;
}

struct sim_event *queue_add(struct sim *s, uint64_t at_us, enum sim_event_kind kind, uint32_t node)
{
	struct sim_event *ev = &s->events[insert(s, at_us)];

	ev->kind = kind;
	ev->node = (uint8_t)node;
	ev->incarnation = 0;
	return ev;
}

void queue_put_off(struct sim *s, const struct sim_event *ev, uint64_t at_us)
{
	struct sim_event *to = queue_add(s, at_us, ev->kind, ev->node);

	*to = *ev;
	to->at_us = at_us;
}

bool queue_take(struct sim *s, struct sim_event *out)
{
	uint32_t at = 0, child, last;

	if (s->n_queued == 0)
		return false;
	*out = s->events[s->heap[0].slot];
	s->free[s->n_free++] = s->heap[0].slot;
	last = --s->n_queued;
	while ((child = 2 * at + 1) < last) {
		if (child + 1 < last &&
		    is_before(s, child + 1, s->heap[child].at_us, s->heap[child].order))
			child++;
		if (!is_before(s, child, s->heap[last].at_us, s->heap[last].order))
			break;
		s->heap[at] = s->heap[child];
		at = child;
	}
	s->heap[at] = s->heap[last];
	return true;
}
