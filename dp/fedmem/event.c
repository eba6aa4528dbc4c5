#include "dp/fedmem/writer.h"

/* One producer, the worker, and one consumer, the control plane. Both positions lie in the segment
 * and only rise, so either may come back. */

uint64_t event_next_number(const struct fedmem_writer *w)
{
	return atomic_load_explicit(&w->fm->header->event_last, memory_order_relaxed) + 1;
}

void event_push(struct fedmem_writer *w, const struct fedmem_event *e)
{
	struct segment_header *h = w->fm->header;
	uint64_t head = atomic_load_explicit(&h->event_head, memory_order_relaxed);
	/* pairs with the release in fedmem_event_pop(): the place was read before it is written
	 * again */
	uint64_t tail = atomic_load_explicit(&h->event_tail, memory_order_acquire);

	atomic_store_explicit(&h->event_last, e->number, memory_order_release);
	if (head - tail >= w->fm->sizes.events_max) {
		atomic_fetch_add_explicit(&h->event_overflows, 1, memory_order_release);
		return;
	}
	w->fm->events[head & (w->fm->sizes.events_max - 1)] = *e;
	/* pairs with the acquire in fedmem_event_pop() */
	atomic_store_explicit(&h->event_head, head + 1, memory_order_release);
}

int fedmem_event_pop(struct fedmem *fm, struct fedmem_event *e)
{
	struct segment_header *h = fm->header;
	uint64_t tail = atomic_load_explicit(&h->event_tail, memory_order_relaxed);
	uint64_t head = atomic_load_explicit(&h->event_head, memory_order_acquire);

	if (head == tail)
		return FEDMEM_NOT_FOUND;
	*e = fm->events[tail & (fm->sizes.events_max - 1)];
	atomic_store_explicit(&h->event_tail, tail + 1, memory_order_release);
	return 0;
}

uint64_t fedmem_event_overflows(const struct fedmem *fm)
{
	return atomic_load_explicit(&fm->header->event_overflows, memory_order_acquire);
}
