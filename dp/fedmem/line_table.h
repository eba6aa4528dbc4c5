/* line_table.h - hash to number, one cache line a bucket. Private to dp/fedmem.
 * An entry is one 64-bit word, hash << 32 | number + 1, and is replaced by one atomic store; a
 * bucket is eight of them. A full bucket overflows into the next one, so a look-up ends at the
 * first bucket with a hole. The bucket follows from the hash alone, so the table moves its entries
 * without looking at the keys; who finds a number compares the key himself.
 *
 * Thread:  one writer, any number of readers. An entry that moves back is copied first and erased
 *          then; a reader between the two places can still miss it, so 'moves' counts the moves,
 *          and a look-up that found nothing while it rose has to be made again.
 * Memory:  the caller's, position-independent: 'entries' (LINE_TABLE_BYTES of a line each, aligned
 *          to it, zeroed) and 'moves' may lie in a shared segment.
 */
#ifndef BELLWETHER_DP_FEDMEM_LINE_TABLE_H
#define BELLWETHER_DP_FEDMEM_LINE_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINE_TABLE_ENTRIES 8u
#define LINE_TABLE_BYTES   64u

struct line_table {
	_Atomic uint64_t *entries;
	_Atomic uint64_t *moves;
	uint32_t n_lines;
};

/* Lines for so many entries and one more, at most 60 % full; never all full. */
static inline uint32_t line_table_lines(uint32_t entries_max)
{
	return (uint32_t)(((uint64_t)entries_max * 5 + 23) / 24 + 1);
}

static inline uint32_t line_table_home(const struct line_table *t, uint32_t hash)
{
	return (uint32_t)((uint64_t)hash * t->n_lines >> 32);
}

struct line_cursor {
	uint32_t line, n_lines; /* the one to look at, and how many were */
	uint32_t entry;
	bool is_last;
};

static inline struct line_cursor line_table_begin(const struct line_table *t, uint32_t hash)
{
	return (struct line_cursor){.line = line_table_home(t, hash)};
}

/* The next number under this hash; false: there is none. */
static inline bool line_table_next(const struct line_table *t, uint32_t hash, struct line_cursor *c,
				   uint32_t *number)
{
	for (;;) {
		const _Atomic uint64_t *line = t->entries + (size_t)c->line * LINE_TABLE_ENTRIES;

		while (c->entry < LINE_TABLE_ENTRIES) {
			/* pairs with the releases of insert and remove: behind an entry stands its
			 * record */
			uint64_t e = atomic_load_explicit(&line[c->entry++], memory_order_acquire);

			if (e >> 32 == hash && (uint32_t)e != 0) {
				*number = (uint32_t)e - 1;
				return true;
			}
			c->is_last |= e == 0;
		}
		if (c->is_last || ++c->n_lines == t->n_lines)
			return false;
		c->line = c->line + 1 == t->n_lines ? 0 : c->line + 1;
		c->entry = 0;
	}
}

static inline uint64_t line_table_moves(const struct line_table *t)
{
	/* pairs with the release in line_table_remove() */
	return atomic_load_explicit(t->moves, memory_order_acquire);
}

/* After a look-up without a hit: did entries move meanwhile, so that it proves nothing? */
static inline bool line_table_moved(const struct line_table *t, uint64_t moves_before)
{
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(t->moves, memory_order_relaxed) != moves_before;
}

/* False: no room, which line_table_lines() rules out. */
bool line_table_insert(struct line_table *t, uint32_t hash, uint32_t number);
/* False: it is not there. */
bool line_table_remove(struct line_table *t, uint32_t hash, uint32_t number);

/* For a repair: the entry at a place (0 .. 8 n_lines), and its removal, which may fill the place
 * with another entry. */
static inline bool line_table_at(const struct line_table *t, uint64_t place, uint32_t *hash,
				 uint32_t *number)
{
	uint64_t e = atomic_load_explicit(&t->entries[place], memory_order_relaxed);

	*hash = (uint32_t)(e >> 32);
	*number = (uint32_t)e - 1;
	return e != 0;
}
void line_table_remove_at(struct line_table *t, uint64_t place);

#endif
