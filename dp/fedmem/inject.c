#include "dp/fedmem/writer.h"

/* One producer, the control plane, and one consumer, the worker; both positions lie in the segment
 * and only rise. What a killed producer had not finished is not there, what a killed worker had not
 * finished comes again. */

_Static_assert((FEDMEM_INJECTS & (FEDMEM_INJECTS - 1)) == 0,
	       "positions are cut to places by a mask");

static struct fedmem_inject *inject_at(const struct fedmem *fm, uint64_t position)
{
	return &fm->injects[position & (FEDMEM_INJECTS - 1)];
}

int fedmem_inject_push(struct fedmem *fm, const struct fedmem_inject *inject)
{
	struct segment_header *h = fm->header;
	uint64_t head = atomic_load_explicit(&h->inject_head, memory_order_relaxed);
	/* pairs with the release in fedmem_inject_done(): the place was read before it is written
	 * again */
	uint64_t tail = atomic_load_explicit(&h->inject_tail, memory_order_acquire);

	if (head - tail >= FEDMEM_INJECTS)
		return FEDMEM_FULL;
	*inject_at(fm, head) = *inject;
	/* pairs with the acquire in fedmem_inject_peek() */
	atomic_store_explicit(&h->inject_head, head + 1, memory_order_release);
	return 0;
}

uint64_t fedmem_injects_pushed(const struct fedmem *fm)
{
	return atomic_load_explicit(&fm->header->inject_head, memory_order_acquire);
}

uint64_t fedmem_injects_done(const struct fedmem *fm)
{
	return atomic_load_explicit(&fm->header->inject_tail, memory_order_acquire);
}

int fedmem_inject_peek(struct fedmem_writer *w, struct fedmem_inject *out)
{
	struct segment_header *h = w->fm->header;
	uint64_t tail = atomic_load_explicit(&h->inject_tail, memory_order_relaxed);

	if (likely(atomic_load_explicit(&h->inject_head, memory_order_acquire) == tail))
		return FEDMEM_NOT_FOUND;
	*out = *inject_at(w->fm, tail);
	return 0;
}

void fedmem_inject_done(struct fedmem_writer *w)
{
	struct segment_header *h = w->fm->header;
	uint64_t tail = atomic_load_explicit(&h->inject_tail, memory_order_relaxed);

	if (tail != atomic_load_explicit(&h->inject_head, memory_order_acquire))
		atomic_store_explicit(&h->inject_tail, tail + 1, memory_order_release);
}
