#include "dp/fedmem/writer.h"

/* One producer, the worker, and one consumer, the control plane. Both positions lie in the segment
 * and only rise, so either may come back. Between them stand the events that nobody released yet,
 * their numbers rising. */

uint64_t event_next_number(const struct fedmem_writer *w)
{
	return atomic_load_explicit(&w->fm->header->event_last, memory_order_relaxed) + 1;
}

void event_push(struct fedmem_writer *w, const struct fedmem_event *e)
{
	struct segment_header *h = w->fm->header;
	uint64_t head = atomic_load_explicit(&h->event_head, memory_order_relaxed);
	/* pairs with the release in fedmem_event_release(): the place was read before it is written
	 * again */
	uint64_t tail = atomic_load_explicit(&h->event_tail, memory_order_acquire);

	atomic_store_explicit(&h->event_last, e->number, memory_order_release);
	if (head - tail >= w->fm->sizes.events_max) {
		atomic_fetch_add_explicit(&h->event_overflows, 1, memory_order_release);
		return;
	}
	w->fm->events[head & (w->fm->sizes.events_max - 1)] = *e;
	/* pairs with the acquire in position_after() */
	atomic_store_explicit(&h->event_head, head + 1, memory_order_release);
}

static const struct fedmem_event *event_at(const struct fedmem *fm, uint64_t position)
{
	return &fm->events[position & (fm->sizes.events_max - 1)];
}

/* The position of the oldest event with a number above this one; that behind the newest one when
 * there is none. */
static uint64_t position_after(const struct fedmem *fm, uint64_t number, uint64_t *end)
{
	uint64_t low = atomic_load_explicit(&fm->header->event_tail, memory_order_relaxed);
	uint64_t high = atomic_load_explicit(&fm->header->event_head, memory_order_acquire);

	*end = high;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (event_at(fm, middle)->number > number)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

int fedmem_event_peek(struct fedmem *fm, uint64_t after, struct fedmem_event *e)
{
	uint64_t end, position = position_after(fm, after, &end);

	if (position == end)
		return FEDMEM_NOT_FOUND;
	*e = *event_at(fm, position);
	return 0;
}

void fedmem_event_release(struct fedmem *fm, uint64_t number)
{
	uint64_t end;

	atomic_store_explicit(&fm->header->event_tail, position_after(fm, number, &end),
			      memory_order_release);
}

uint64_t fedmem_event_overflows(const struct fedmem *fm)
{
	return atomic_load_explicit(&fm->header->event_overflows, memory_order_acquire);
}

uint64_t fedmem_event_last(const struct fedmem *fm)
{
	return atomic_load_explicit(&fm->header->event_last, memory_order_acquire);
}
