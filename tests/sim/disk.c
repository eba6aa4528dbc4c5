#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

void disk_wipe(struct sim_disk *d)
{
	d->first = 1;
	d->last = 0;
	d->state = (struct sim_state){0};
	d->is_rebuilding = false;
	d->held = (struct election_position){0};
	d->whole_since_us = 0;
	d->head = d->n_writes = d->n_landed = 0;
	d->is_landing = d->is_telling = false;
}

bool disk_is_busy(const struct sim_disk *d, uint32_t n_free)
{
	return d->n_writes + n_free > SIM_WRITES_MAX;
}

static struct sim_write *at(struct sim_disk *d, uint32_t k)
{
	return &d->writes[(d->head + k) % SIM_WRITES_MAX];
}

struct sim_write *disk_write(struct sim *s, uint32_t i)
{
	struct sim_disk *d = &s->logs[i].disk;
	struct sim_write *w;

	if (disk_is_busy(d, 1)) {
		fprintf(stderr, "sim: more than %d writes wait\n", SIM_WRITES_MAX);
		abort();
	}
	w = at(d, d->n_writes++);
	memset(w, 0, offsetof(struct sim_write, entries));
	if (!d->is_landing) {
		d->is_landing = true;
		queue_add(s,
			  s->now_us + 1000 +
				  sim_random(s, sim_chance(s, s->slow_pct) ? 800000 : 12000),
			  SIM_LANDED, i)
			->incarnation = s->nodes[i].incarnation;
	}
	return w;
}

static void land_part(struct sim_disk *d, const struct sim_write *w)
{
	if (w->part == 0)
		d->state = (struct sim_state){0};
	d->state.hash |= w->state.hash;
	if (!w->is_last_part)
		return;
	d->is_rebuilding = false;
	d->state.index = d->last = w->state.index;
	d->state.epoch = w->state.epoch;
	d->first = d->last + 1;
}

static void land_one(struct sim *s, struct sim_disk *d, const struct sim_write *w)
{
	if (w->put_held)
		d->held = w->held;
	if (w->begin_snapshot) {
		d->first = 1;
		d->last = 0;
		d->is_rebuilding = true;
	}
	if (w->give_up_from != 0 && w->give_up_from <= d->last)
		d->last = w->give_up_from - 1;
	for (uint32_t k = 0; k < w->n_entries; k++) {
		if (w->take_from + k != d->last + 1)
			sim_break(s, "R2: a hole in the log");
		d->entries[w->take_from + k] = w->entries[k];
		d->last = w->take_from + k;
	}
	if (w->is_part)
		land_part(d, w);
	if (w->is_state)
		d->state = w->state;
	if (w->compact_below > d->first)
		d->first = w->compact_below;
	check_stored(s, d);
}

bool disk_is_whole(const struct sim_disk *d)
{
	return d->last > 0 && !d->is_rebuilding && d->held.epoch == 0;
}

void disk_land(struct sim *s, uint32_t i, uint32_t n)
{
	struct sim_disk *d = &s->logs[i].disk;

	for (; n > 0 && d->n_landed < d->n_writes; n--)
		land_one(s, d, at(d, d->n_landed++));
	if (!disk_is_whole(d))
		d->whole_since_us = 0;
	else if (d->whole_since_us == 0)
		d->whole_since_us = s->now_us;
}

void disk_load(const struct sim_disk *d, struct replog_durable *out)
{
	out->base = d->state.index;
	out->base_epoch = d->state.epoch;
	out->first = d->first;
	out->last = d->last;
	out->is_rebuilding = d->is_rebuilding;
	out->held = d->held;
	out->n_runs = 0;
	for (uint64_t k = d->first; k <= d->last; k++)
		if (out->n_runs == 0 || out->runs[out->n_runs - 1].epoch != d->entries[k].epoch)
			out->runs[out->n_runs++] = (struct replog_run){d->entries[k].epoch, k};
}
