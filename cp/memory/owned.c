#include "cp/memory/owned.h"

#include <errno.h>

#include "cp/memory/page.h"

static void sift_down(struct owned_walk *w, uint32_t at)
{
	for (;;) {
		uint32_t lowest = at, child = 2 * at + 1;
		struct owned_region swap;

		for (uint32_t i = child; i < w->n && i < child + 2; i++)
			if (w->heap[i].element->id < w->heap[lowest].element->id)
				lowest = i;
		if (lowest == at)
			return;
		swap = w->heap[at];
		w->heap[at] = w->heap[lowest];
		w->heap[lowest] = swap;
		at = lowest;
	}
}

int owned_walk_begin(struct owned_walk *w, struct memory *m, struct memory_page *p, uint64_t after)
{
	const struct cluster_view *view = cluster_view(m->cluster);
	const struct ownership_map *map = view->map;

	*w = (struct owned_walk){.heap = memory_page_take(p, map->n_cells, sizeof(*w->heap))};
	if (w->heap == NULL)
		return -ENOMEM;
	for (uint32_t c = 0; c < map->n_cells; c++) {
		struct owned_region *r = &w->heap[w->n];

		if (map->cells[c].owner != view->self)
			continue;
		r->cell = &map->cells[c];
		inventory_walk_begin(&r->walk, m->inventory, r->cell->name, after);
		r->element = inventory_walk_next(&r->walk);
		w->n += r->element != NULL;
	}
	for (uint32_t at = w->n / 2; at-- > 0;)
		sift_down(w, at);
	return 0;
}

const struct conf_element *owned_walk_next(struct owned_walk *w, const struct ownership_cell **cell)
{
	struct owned_region *first = w->heap;
	const struct conf_element *e;

	if (w->n == 0)
		return NULL;
	e = first->element;
	*cell = first->cell;
	first->element = inventory_walk_next(&first->walk);
	if (first->element == NULL)
		*first = w->heap[--w->n];
	sift_down(w, 0);
	return e;
}
