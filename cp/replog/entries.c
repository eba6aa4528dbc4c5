#include <assert.h>
#include <string.h>

#include "cp/replog/machine.h"

/* The run that holds 'index', which is in first..last. */
static uint32_t run_of(const struct replog *r, uint64_t index)
{
	uint32_t low = 0, high = r->n_runs;

	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (r->runs[middle].first <= index)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static bool is_kept(const struct replog *r, uint64_t index)
{
	return index >= r->first && index <= r->last;
}

uint64_t entries_epoch_at(const struct replog *r, uint64_t index)
{
	if (is_kept(r, index))
		return r->runs[run_of(r, index)].epoch;
	return index == r->base ? r->base_epoch : 0;
}

struct election_position entries_end(const struct replog *r)
{
	return (struct election_position){entries_epoch_at(r, r->last), r->last};
}

uint64_t entries_last_of(const struct replog *r, uint64_t epoch)
{
	for (uint32_t i = r->n_runs; i > 0; i--)
		if (r->runs[i - 1].epoch <= epoch)
			return i == r->n_runs ? r->last : r->runs[i].first - 1;
	return r->base;
}

uint64_t entries_run_start(const struct replog *r, uint64_t index)
{
	return r->runs[run_of(r, index)].first;
}

bool entries_has_room(const struct replog *r, uint64_t after, const struct replog_run *runs,
		      uint32_t n)
{
	uint32_t n_kept = is_kept(r, after) ? run_of(r, after) + 1 : 0;

	if (n_kept > 0 && n > 0 && r->runs[n_kept - 1].epoch == runs[0].epoch)
		n--;
	return n_kept + n <= REPLOG_RUNS_MAX;
}

void entries_push(struct replog *r, uint64_t epoch, uint64_t n)
{
	if (r->n_runs == 0 || r->runs[r->n_runs - 1].epoch != epoch) {
		assert(r->n_runs < REPLOG_RUNS_MAX);
		assert(entries_epoch_at(r, r->last) <= epoch || MUTANT(6)); /* R2 */
		r->runs[r->n_runs++] = (struct replog_run){epoch, r->last + 1};
	}
	r->last += n;
}

/* A write that is still under way, or even one behind it that was not yet asked for when 'from' was
 * given up, may end later: what it says of 'from' and above is not true any more. */
static void cut(struct replog *r, uint64_t last)
{
	if (r->cut_write == 0 || last < r->cut_last)
		r->cut_last = last;
	r->cut_write = r->writes + 1;
	if (r->stored > last)
		r->stored = last;
}

void entries_give_up(struct replog *r, uint64_t from)
{
	assert(from > r->known || MUTANT(3)); /* R1 */
	assert(from >= r->first && from <= r->last);
	r->last = from - 1;
	while (r->n_runs > 0 && r->runs[r->n_runs - 1].first >= from)
		r->n_runs--;
	cut(r, r->last);
}

void entries_become(struct replog *r, uint64_t index, uint64_t epoch)
{
	r->base = r->last = index;
	r->base_epoch = epoch;
	r->first = index + 1;
	r->n_runs = 0;
	if (index == 0)
		cut(r, 0);
	r->stored = r->known = r->committed = index;
}

void entries_compact(struct replog *r, uint64_t below)
{
	uint32_t n_gone = 0;

	if (below <= r->first || below > r->committed + 1)
		return;
	r->base_epoch = entries_epoch_at(r, below - 1);
	r->base = below - 1;
	while (n_gone < r->n_runs &&
	       (n_gone + 1 < r->n_runs ? r->runs[n_gone + 1].first <= below : r->last < below))
		n_gone++;
	r->n_runs -= n_gone;
	memmove(r->runs, r->runs + n_gone, r->n_runs * sizeof(r->runs[0]));
	r->first = below;
	if (r->n_runs > 0)
		r->runs[0].first = below;
}

void entries_name_write(struct replog *r, struct replog_output *out)
{
	out->write = (struct replog_write){++r->writes, r->last};
}

void entries_stored(struct replog *r, struct replog_write write)
{
	if (write.number < r->cut_write && write.last > r->cut_last && !MUTANT(7))
		write.last = r->cut_last;
	if (write.number >= r->cut_write)
		r->cut_write = 0;
	if (write.last > r->last)
		write.last = r->last;
	if (write.last > r->stored)
		r->stored = write.last;
}
