#include "dp/fedmem/line_table.h"

#include <stddef.h>

#define NO_PLACE UINT64_MAX

static uint64_t load(const struct line_table *t, uint64_t place)
{
	return atomic_load_explicit(&t->entries[place], memory_order_relaxed);
}

static void store(struct line_table *t, uint64_t place, uint64_t entry)
{
	/* pairs with the acquire in line_table_next() */
	atomic_store_explicit(&t->entries[place], entry, memory_order_release);
}

static uint32_t line_after(const struct line_table *t, uint32_t line)
{
	return line + 1 == t->n_lines ? 0 : line + 1;
}

/* How many lines 'to' lies behind 'from', around the end. */
static uint32_t lines_between(const struct line_table *t, uint32_t from, uint32_t to)
{
	return to >= from ? to - from : to + (t->n_lines - from);
}

bool line_table_insert(struct line_table *t, uint32_t hash, uint32_t number)
{
	uint32_t line = line_table_home(t, hash);

	for (uint32_t n = 0; n < t->n_lines; n++, line = line_after(t, line)) {
		uint64_t first = (uint64_t)line * LINE_TABLE_ENTRIES;

		for (uint64_t place = first; place < first + LINE_TABLE_ENTRIES; place++) {
			if (load(t, place) == 0) {
				store(t, place, (uint64_t)hash << 32 | (number + 1));
				return true;
			}
		}
	}
	return false;
}

static bool line_has_other_hole(const struct line_table *t, uint32_t line, uint64_t but)
{
	uint64_t first = (uint64_t)line * LINE_TABLE_ENTRIES;

	for (uint64_t place = first; place < first + LINE_TABLE_ENTRIES; place++)
		if (place != but && load(t, place) == 0)
			return true;
	return false;
}

/* An entry of a later line that overflowed past the line of 'place' and could stand there. */
static uint64_t find_overflowed(const struct line_table *t, uint64_t hole)
{
	uint32_t line = (uint32_t)(hole / LINE_TABLE_ENTRIES);
	uint32_t at = line;

	if (line_has_other_hole(t, line, hole))
		return NO_PLACE;
	for (uint32_t n = 1; n < t->n_lines; n++) {
		uint64_t first;

		at = line_after(t, at);
		first = (uint64_t)at * LINE_TABLE_ENTRIES;
		for (uint64_t place = first; place < first + LINE_TABLE_ENTRIES; place++) {
			uint64_t e = load(t, place);
			uint32_t home = line_table_home(t, (uint32_t)(e >> 32));

			if (e != 0 && lines_between(t, home, at) >= n)
				return place;
		}
		if (line_has_other_hole(t, at, NO_PLACE))
			return NO_PLACE;
	}
	return NO_PLACE;
}

void line_table_remove_at(struct line_table *t, uint64_t place)
{
	uint64_t donor;

	/* The line stays full, and look-ups go on past it, as long as somebody stands behind it. */
	while ((donor = find_overflowed(t, place)) != NO_PLACE) {
		uint64_t moves = atomic_load_explicit(t->moves, memory_order_relaxed);

		store(t, place, load(t, donor));
		/* After the copy and before the old place changes: who misses both sees it rise. */
		atomic_store_explicit(t->moves, moves + 1, memory_order_release);
		place = donor;
	}
	store(t, place, 0);
}

bool line_table_remove(struct line_table *t, uint32_t hash, uint32_t number)
{
	struct line_cursor c = line_table_begin(t, hash);
	uint32_t found;

	while (line_table_next(t, hash, &c, &found)) {
		if (found == number) {
			line_table_remove_at(t,
					     (uint64_t)c.line * LINE_TABLE_ENTRIES + c.entry - 1);
			return true;
		}
	}
	return false;
}
