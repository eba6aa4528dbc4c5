#include "cp/inventory/order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_MIN     8
#define WAITING_KEPT 4096 /* room that stays for the next changes */

/* At least 'n' items in '*items', and twice as many as there were. */
static int grow(void **items, size_t item_bytes, uint32_t *max, uint64_t n)
{
	uint64_t room = *max * UINT64_C(2);
	void *larger;

	if (n <= *max)
		return 0;
	room = room < n ? n : room;
	room = room < ROOM_MIN ? ROOM_MIN : room;
	if (room > UINT32_MAX)
		return -ENOMEM;
	larger = realloc(*items, room * item_bytes);
	if (larger == NULL)
		return -ENOMEM;
	*items = larger;
	*max = (uint32_t)room;
	return 0;
}

static int grow_waiting(struct inventory_order *o)
{
	return grow((void **)&o->waiting, sizeof(*o->waiting), &o->waiting_max,
		    (uint64_t)o->n_waiting + 1);
}

int inventory_order_reserve(struct inventory_order *o)
{
	int err = grow((void **)&o->places, sizeof(*o->places), &o->n_max,
		       (uint64_t)o->n + o->n_waiting + 1);

	return err != 0 ? err : grow_waiting(o);
}

static void wait(struct inventory_order *o, uint64_t id, const struct conf_element *e)
{
	o->waiting[o->n_waiting] = (struct inventory_wait){{id, e}, o->n_waiting};
	o->n_waiting++;
}

void inventory_order_add(struct inventory_order *o, const struct conf_element *e)
{
	wait(o, e->id, e);
}

void inventory_order_remove(struct inventory_order *o, uint64_t id)
{
	/* This must not fail. Where there is no memory, what waits is brought in first, which
	 * leaves room; there is some, for the element was added once. */
	if (grow_waiting(o) != 0)
		inventory_order_mend(o);
	wait(o, id, NULL);
}

uint32_t inventory_order_above(const struct inventory_order *o, uint64_t id)
{
	uint32_t low = 0, high = o->n;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (o->places[middle].id <= id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int compare_waits(const void *a, const void *b)
{
	const struct inventory_wait *x = a, *y = b;

	if (x->place.id != y->place.id)
		return x->place.id < y->place.id ? -1 : 1;
	return x->number < y->number ? -1 : 1;
}

/* Sorts, and leaves the last change of each id. */
static uint32_t settle(struct inventory_wait *waiting, uint32_t n)
{
	uint32_t n_left = 0;

	qsort(waiting, n, sizeof(*waiting), compare_waits);
	for (uint32_t i = 0; i < n; i++) {
		if (n_left > 0 && waiting[n_left - 1].place.id == waiting[i].place.id)
			n_left--;
		waiting[n_left++] = waiting[i];
	}
	return n_left;
}

/* Takes those out that go, and those that came in anew, which leaves what is really to be added. */
static uint32_t take_out(struct inventory_order *o, uint32_t n_waiting)
{
	uint32_t first_hole = o->n, n_holes = 0, n_left = 0;

	for (uint32_t i = 0; i < n_waiting; i++) {
		const struct inventory_place *p = &o->waiting[i].place;
		uint32_t at = inventory_order_above(o, p->id - 1); /* ids are > 0 */

		if (at < o->n && o->places[at].id == p->id) {
			o->places[at].element = p->element;
			if (p->element == NULL && n_holes++ == 0)
				first_hole = at; /* changes come by id */
		} else if (p->element != NULL) {
			o->waiting[n_left++] = o->waiting[i];
		}
	}
	if (n_holes > 0) {
		uint32_t to = first_hole;

		for (uint32_t i = first_hole; i < o->n; i++)
			if (o->places[i].element != NULL)
				o->places[to++] = o->places[i];
		o->n = to;
	}
	return n_left;
}

void inventory_order_mend(struct inventory_order *o)
{
	uint32_t n_add, from = 0, to;

	if (o->n_waiting == 0)
		return;
	n_add = take_out(o, settle(o->waiting, o->n_waiting));
	/* From the highest down, in place: only what stands behind the lowest new one moves. */
	from = o->n;
	to = o->n + n_add;
	o->n = to;
	while (n_add > 0) {
		const struct inventory_place *p = &o->waiting[n_add - 1].place;

		if (from > 0 && o->places[from - 1].id > p->id) {
			o->places[--to] = o->places[--from];
		} else {
			o->places[--to] = *p;
			n_add--;
		}
	}
	o->n_waiting = 0;
	if (o->waiting_max > WAITING_KEPT) {
		struct inventory_wait *less =
			realloc(o->waiting, WAITING_KEPT * sizeof(*o->waiting));

		if (less != NULL) {
			o->waiting = less;
			o->waiting_max = WAITING_KEPT;
		}
	}
}

void inventory_order_fini(struct inventory_order *o)
{
	free(o->places);
	free(o->waiting);
	*o = (struct inventory_order){0};
}
