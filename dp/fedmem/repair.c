#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dp/fedmem/writer.h"

/* A worker comes to a segment that another one may have left at any instruction. First the record
 * that was open gets its image back. Everything else that a kill can cut off follows from the alarm
 * records, and is made from them: nothing is repaired by guessing what was going on. */

/* ---- What was half-written ---- */

static void image_back(struct journal *j, void *record, size_t bytes, _Atomic uint32_t *seq)
{
	/* but the sequence, which must go on: readers hold the one from before */
	words_store((char *)record + 8, (const char *)j->image + 8, bytes - 8);
	__atomic_store_n((uint32_t *)record + 1, ((uint32_t *)j->image)[1], __ATOMIC_RELAXED);
	seqlock_write_end(seq);
}

/* Puts the open record back. How many there were: 0 or 1. */
static uint32_t journal_undo(struct fedmem *fm)
{
	struct journal *j = fm->journal;
	uint64_t armed = atomic_load_explicit(&j->armed, memory_order_acquire);
	uint32_t index = (uint32_t)armed;

	switch ((uint32_t)(armed >> 32)) {
	case JOURNAL_STATE:
		if (index >= fm->sizes.elements_max || !seqlock_is_odd(&fm->states[index].seq))
			return 0;
		if (j->n_rows <= fm->n_extra)
			words_store(fm->metrics + (size_t)index * fm->n_extra, j->rows,
				    j->n_rows * sizeof(j->rows[0]));
		image_back(j, &fm->states[index], sizeof(fm->states[0]), &fm->states[index].seq);
		return 1;
	case JOURNAL_ALARM:
		if (index >= fm->sizes.alarms_max || !seqlock_is_odd(&fm->alarms[index].seq))
			return 0;
		image_back(j, &fm->alarms[index], sizeof(fm->alarms[0]), &fm->alarms[index].seq);
		return 1;
	case JOURNAL_UNKNOWN:
		if (index >= fm->sizes.unknowns_max || !seqlock_is_odd(&fm->unknowns[index].seq))
			return 0;
		image_back(j, &fm->unknowns[index], sizeof(fm->unknowns[0]),
			   &fm->unknowns[index].seq);
		return 1;
	default:
		return 0;
	}
}

/* A record whose sequence is odd and that no journal knows is damage from outside. It counts as
 * never written. */
static bool drop_damaged(_Atomic uint32_t *seq, void *record, size_t bytes)
{
	static const uint64_t zeros[sizeof(struct fedmem_alarm) / 8];

	if (!seqlock_is_odd(seq))
		return false;
	words_store((char *)record + 8, zeros, bytes - 8);
	__atomic_store_n((uint32_t *)record + 1, 0, __ATOMIC_RELAXED);
	seqlock_write_end(seq);
	return true;
}

/* ---- What follows from the alarms ---- */

static bool alarm_counts(const struct fedmem *fm, const struct fedmem_alarm *a)
{
	const struct fedmem_state *s;

	if ((a->state != FEDMEM_ALARM_RAISED && a->state != FEDMEM_ALARM_GONE) ||
	    a->severity >= SEVERITIES || a->element >= fm->sizes.elements_max)
		return false;
	s = &fm->states[a->element];
	return a->element_id != 0 && s->element_id == a->element_id &&
	       fedmem_token_equal(s->token, a->token);
}

static int by_time(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/* By element, and of one element the most recently raised first. */
static int compare_chain(const void *left, const void *right, void *alarms)
{
	uint32_t i = *(const uint32_t *)left, k = *(const uint32_t *)right;
	const struct fedmem_alarm *a = (const struct fedmem_alarm *)alarms + i;
	const struct fedmem_alarm *b = (const struct fedmem_alarm *)alarms + k;

	if (a->element != b->element)
		return a->element < b->element ? -1 : 1;
	if (a->raised_ns != b->raised_ns)
		return by_time(b->raised_ns, a->raised_ns);
	return by_time(k, i);
}

static int compare_gone(const void *left, const void *right, void *alarms)
{
	uint32_t i = *(const uint32_t *)left, k = *(const uint32_t *)right;
	const struct fedmem_alarm *a = (const struct fedmem_alarm *)alarms + i;
	const struct fedmem_alarm *b = (const struct fedmem_alarm *)alarms + k;

	return a->changed_ns != b->changed_ns ? by_time(a->changed_ns, b->changed_ns)
					      : by_time(i, k);
}

static void put_index(uint32_t *word, uint32_t index)
{
	if (*word != index)
		__atomic_store_n(word, index, __ATOMIC_RELEASE);
}

/* Links order[0 .. n), the alarms of one element, and says what its state must say of them. */
static void chain_build(struct fedmem_writer *w, const uint32_t *order, uint32_t n,
			uint32_t *n_raised, uint8_t *worst)
{
	struct alarm_link *first = &w->links[order[0]];

	memset(first->n_raised, 0, sizeof(first->n_raised));
	*n_raised = 0;
	*worst = FEDMEM_CLEARED;
	for (uint32_t i = 0; i < n; i++) {
		struct fedmem_alarm *a = &w->fm->alarms[order[i]];

		w->links[order[i]].chain_prev = i == 0 ? FEDMEM_NONE : order[i - 1];
		put_index(&a->next, i + 1 == n ? FEDMEM_NONE : order[i + 1]);
		if (a->state != FEDMEM_ALARM_RAISED)
			continue;
		first->n_raised[a->severity]++;
		++*n_raised;
		if (a->severity > *worst)
			*worst = a->severity;
	}
}

/* 'order': all used alarms, as compare_chain() sorts them. One pass over both. */
static void states_follow(struct fedmem_writer *w, const uint32_t *order, uint32_t n_used)
{
	struct fedmem *fm = w->fm;
	uint32_t done = 0;

	for (uint32_t slot = 0; slot < fm->sizes.elements_max; slot++) {
		struct fedmem_state *s = &fm->states[slot];
		uint32_t first = FEDMEM_NONE, n_raised = 0, begun = done;
		uint8_t worst = FEDMEM_CLEARED;
		uint16_t n_alarms;

		while (done < n_used && fm->alarms[order[done]].element == slot)
			done++;
		if (done > begun) {
			first = order[begun];
			chain_build(w, order + begun, done - begun, &n_raised, &worst);
		}
		n_alarms = n_raised < UINT16_MAX ? (uint16_t)n_raised : UINT16_MAX;
		if (s->element_id == 0)
			continue;
		put_index(&s->alarm_first, first);
		if (s->n_alarms != n_alarms || s->worst != worst) {
			state_open(w, slot);
			s->n_alarms = n_alarms;
			s->worst = worst;
			fedmem_state_commit(w, s);
		}
	}
}

static uint32_t drop_all_damaged(struct fedmem *fm)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < fm->sizes.elements_max; i++)
		n += drop_damaged(&fm->states[i].seq, &fm->states[i], sizeof(fm->states[0]));
	for (uint32_t i = 0; i < fm->sizes.alarms_max; i++)
		n += drop_damaged(&fm->alarms[i].seq, &fm->alarms[i], sizeof(fm->alarms[0]));
	for (uint32_t i = 0; i < fm->sizes.unknowns_max; i++)
		n += drop_damaged(&fm->unknowns[i].seq, &fm->unknowns[i], sizeof(fm->unknowns[0]));
	return n;
}

static int alarms_rebuild(struct fedmem_writer *w)
{
	struct fedmem *fm = w->fm;
	struct segment_header *h = fm->header;
	uint64_t last = atomic_load_explicit(&h->event_last, memory_order_relaxed);
	uint32_t *order = calloc(fm->sizes.alarms_max, sizeof(*order));
	uint32_t n_used = 0, n_gone = 0;

	if (order == NULL)
		return -ENOMEM;
	for (uint32_t i = fm->sizes.alarms_max; i-- > 0;) {
		struct fedmem_alarm *a = &fm->alarms[i];

		if (alarm_counts(fm, a)) {
			order[n_used++] = i;
			if (a->change > last)
				last = a->change;
			continue;
		}
		if (a->state != FEDMEM_ALARM_FREE)
			__atomic_store_n(&a->state, FEDMEM_ALARM_FREE, __ATOMIC_RELEASE);
		alarm_free_push(w, i);
	}
	qsort_r(order, n_used, sizeof(*order), compare_chain, fm->alarms);
	states_follow(w, order, n_used);
	for (uint32_t i = 0; i < n_used; i++) {
		alarm_index_add(w, order[i]);
		if (fm->alarms[order[i]].state == FEDMEM_ALARM_GONE)
			order[n_gone++] = order[i];
	}
	qsort_r(order, n_gone, sizeof(*order), compare_gone, fm->alarms);
	for (uint32_t i = 0; i < n_gone; i++)
		alarm_gone_append(w, order[i]);
	atomic_store_explicit(&h->event_last, last, memory_order_release);
	atomic_store_explicit(&h->alarms_used, n_used, memory_order_release);
	free(order);
	return 0;
}

/* ---- The door ---- */

/* The lock is on an open file of its own: it must end with this writer and not with the segment,
 * which a child of ours may have inherited. */
static int writer_lock(struct fedmem_writer *w)
{
	struct stat ours, there;

	w->lock_fd = open(w->fm->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (w->lock_fd < 0)
		return -errno;
	if (fstat(w->lock_fd, &there) < 0 || fstat(w->fm->fd, &ours) < 0)
		return -errno;
	if (ours.st_dev != there.st_dev || ours.st_ino != there.st_ino)
		return -ESTALE;
	return lock_writer(w->lock_fd);
}

static int table_alloc(struct line_table *t, _Atomic uint64_t *moves, uint32_t entries_max)
{
	void *lines;

	t->n_lines = line_table_lines(entries_max);
	t->moves = moves;
	if (posix_memalign(&lines, LINE_TABLE_BYTES, (size_t)t->n_lines * LINE_TABLE_BYTES) != 0)
		return -ENOMEM;
	memset(lines, 0, (size_t)t->n_lines * LINE_TABLE_BYTES);
	t->entries = lines;
	return 0;
}

int fedmem_writer_open(struct fedmem_writer **out, struct fedmem *fm, uint32_t *n_repaired)
{
	struct fedmem_writer *w = calloc(1, sizeof(*w));
	uint32_t n;
	int err;

	if (w == NULL)
		return -ENOMEM;
	w->fm = fm;
	w->lock_fd = -1;
	w->free_first = w->gone_first = w->gone_last = FEDMEM_NONE;
	err = writer_lock(w);
	if (err < 0)
		goto fail;
	err = -ENOMEM;
	w->links = calloc(fm->sizes.alarms_max, sizeof(w->links[0]));
	if (w->links == NULL ||
	    table_alloc(&w->alarm_index, &w->alarm_moves, fm->sizes.alarms_max) < 0 ||
	    table_alloc(&w->unknown_index, &w->unknown_moves, fm->sizes.unknowns_max) < 0)
		goto fail;
	n = journal_undo(fm);
	n += drop_all_damaged(fm);
	err = alarms_rebuild(w);
	if (err < 0)
		goto fail;
	unknown_index_build(w);
	/* In this order, so that nobody takes the start for an overflow that lost something. */
	atomic_fetch_add_explicit(&fm->header->dp_starts, 1, memory_order_release);
	atomic_fetch_add_explicit(&fm->header->event_overflows, 1, memory_order_release);
	if (n_repaired != NULL)
		*n_repaired = n;
	*out = w;
	return 0;
fail:
	fedmem_writer_close(w);
	return err;
}

void fedmem_writer_close(struct fedmem_writer *w)
{
	if (w == NULL)
		return;
	if (w->lock_fd >= 0)
		close(w->lock_fd);
	free(w->links);
	free(w->alarm_index.entries);
	free(w->unknown_index.entries);
	free(w);
}
