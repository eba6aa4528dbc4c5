/* writer.h - what the worker keeps beside the segment. Private to dp/fedmem.
 * All of it follows from the alarm records and the list of unknown sources, and is made anew by
 * fedmem_writer_open(); so it needs no place in the segment and no repair.
 *
 * Thread:  worker.
 */
#ifndef BELLWETHER_DP_FEDMEM_WRITER_H
#define BELLWETHER_DP_FEDMEM_WRITER_H

#include "dp/fedmem/segment.h"

#define SEVERITIES (FEDMEM_CRITICAL + 1)

/* Beside each alarm record. */
struct alarm_link {
	uint32_t chain_prev; /* of the same element, the one that was raised later */
	uint32_t age_prev,
		age_next; /* list of gone ones, longest gone first; or 'next': the free list */
	uint32_t n_raised[SEVERITIES]; /* of the whole chain; counts in its first alarm only */
};

struct fedmem_writer {
	struct fedmem *fm;
	struct alarm_link *links;
	struct line_table alarm_index, unknown_index;
	_Atomic uint64_t alarm_moves, unknown_moves;
	uint32_t free_first, gone_first, gone_last;
	uint32_t void_hand; /* where the search for void alarms goes on */
	uint32_t n_open;    /* records open: 0 or 1 */
	int lock_fd;
};

/* Opens a record: its image goes into the journal, then its sequence becomes odd. */
static inline void record_open(struct fedmem_writer *w, enum journal_kind kind, uint32_t index,
			       _Atomic uint32_t *seq, const void *record, size_t bytes)
{
	struct journal *j = w->fm->journal;

	__builtin_memcpy(j->image, record, bytes);
	atomic_store_explicit(&j->armed, (uint64_t)kind << 32 | index, memory_order_release);
	seqlock_write_begin(seq);
	w->n_open = 1;
}

static inline void record_close(struct fedmem_writer *w, _Atomic uint32_t *seq)
{
	seqlock_write_end(seq);
	/* The next image must not be written before this record counts as whole. A kill falls
	 * between two instructions, so the compiler's order is all that it takes. */
	atomic_signal_fence(memory_order_seq_cst);
	w->n_open = 0;
}

/* state.c */
void state_open(struct fedmem_writer *w, uint32_t slot);

/* alarm.c: an alarm into the index, a gone one behind the others, a free one in front of the
 * others; and all alarms of an element to the free ones. */
void alarm_index_add(struct fedmem_writer *w, uint32_t index);
void alarm_gone_append(struct fedmem_writer *w, uint32_t index);
void alarm_free_push(struct fedmem_writer *w, uint32_t index);
void alarm_free_chain(struct fedmem_writer *w, struct fedmem_state *s);

/* event.c: the newest number + 1. */
uint64_t event_next_number(const struct fedmem_writer *w);
void event_push(struct fedmem_writer *w, const struct fedmem_event *e);

/* unknown.c */
void unknown_index_build(struct fedmem_writer *w);

#endif
