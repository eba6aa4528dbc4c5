#include "dp/apply/gaps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GAPS_WORDS (GAPS_WINDOW / 64)

struct row {
	struct gaps_source source;    /* element_id 0: not used */
	uint64_t end;		      /* numbers from here on are not covered */
	uint64_t missing[GAPS_WORDS]; /* bit (number % GAPS_WINDOW), of the last GAPS_WINDOW before
					 'end' */
};

struct gaps {
	struct row rows[GAPS_ROWS];
};

int gaps_create(struct gaps **out)
{
	*out = calloc(1, sizeof(**out));
	return *out == NULL ? -ENOMEM : 0;
}

/* Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4): ids are often consecutive. */
static struct row *row_of(struct gaps *g, const struct gaps_source *s)
{
	return &g->rows[(s->element_id * 0x9e3779b97f4a7c15u >> 32) & (GAPS_ROWS - 1)];
}

static bool is_row_of(const struct row *row, const struct gaps_source *s)
{
	return row->source.element_id == s->element_id && row->source.boot == s->boot;
}

static void mark(struct row *row, uint64_t from, uint64_t to, bool is_missing)
{
	if (to - from > GAPS_WINDOW)
		from = to - GAPS_WINDOW;
	for (uint64_t i = from; i != to; i++) {
		uint64_t bit = UINT64_C(1) << i % 64;
		uint64_t *word = &row->missing[i / 64 % GAPS_WORDS];

		*word = is_missing ? *word | bit : *word & ~bit;
	}
}

void gaps_open(struct gaps *g, const struct gaps_source *s, uint64_t newest, uint64_t next)
{
	struct row *row = row_of(g, s);

	/* An end behind 'newest': what the row knows is of another owner's time. */
	if (!is_row_of(row, s) || row->end > newest) {
		memset(row, 0, sizeof(*row));
		row->source = *s;
	} else {
		mark(row, row->end, newest + 1, false); /* those came in their turn */
	}
	mark(row, newest + 1, next, true);
	row->end = next;
}

bool gaps_fill(struct gaps *g, const struct gaps_source *s, uint64_t sequence)
{
	struct row *row = row_of(g, s);
	uint64_t bit = UINT64_C(1) << sequence % 64;
	uint64_t *word = &row->missing[sequence / 64 % GAPS_WORDS];

	if (!is_row_of(row, s) || sequence >= row->end || row->end - sequence > GAPS_WINDOW ||
	    !(*word & bit))
		return false;
	*word &= ~bit;
	return true;
}

void gaps_destroy(struct gaps *g)
{
	free(g);
}
