#include "cp/inventory/inventory.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Three orders of the same elements, each as places in the configuration's array. */
struct inventory {
	const struct conf_element *elements;
	uint32_t n;
	uint32_t *by_id, *by_name, *by_region; /* the last by region, then id */
};

static int compare_id(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int order_ids(const void *a, const void *b, void *elements)
{
	const struct conf_element *all = elements;

	return compare_id(all[*(const uint32_t *)a].id, all[*(const uint32_t *)b].id);
}

static int order_names(const void *a, const void *b, void *elements)
{
	const struct conf_element *all = elements;

	return strcmp(all[*(const uint32_t *)a].name, all[*(const uint32_t *)b].name);
}

static int order_regions(const void *a, const void *b, void *elements)
{
	const struct conf_element *all = elements;
	int order = strcmp(all[*(const uint32_t *)a].region, all[*(const uint32_t *)b].region);

	return order != 0 ? order : order_ids(a, b, elements);
}

static uint32_t *places(const struct inventory *i, int (*order)(const void *, const void *, void *))
{
	uint32_t *all = calloc((size_t)i->n + 1, sizeof(*all));

	if (all == NULL)
		return NULL;
	for (uint32_t e = 0; e < i->n; e++)
		all[e] = e;
	qsort_r(all, i->n, sizeof(*all), order, (void *)i->elements);
	return all;
}

int inventory_create(struct inventory **out, const struct conf_inventory *conf)
{
	struct inventory *i = calloc(1, sizeof(*i));

	if (i == NULL)
		return -ENOMEM;
	i->elements = conf->elements;
	i->n = conf->n_elements;
	i->by_id = places(i, order_ids);
	i->by_name = places(i, order_names);
	i->by_region = places(i, order_regions);
	if (i->by_id == NULL || i->by_name == NULL || i->by_region == NULL) {
		inventory_destroy(i);
		return -ENOMEM;
	}
	*out = i;
	return 0;
}

/* The first place in 'order' whose element does not stand before the key. */
static uint32_t lower_bound(const struct inventory *i, const uint32_t *order,
			    bool (*is_before)(const struct conf_element *e, const char *text,
					      uint64_t id),
			    const char *text, uint64_t id)
{
	uint32_t low = 0, high = i->n;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (is_before(&i->elements[order[middle]], text, id))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool id_is_not_above(const struct conf_element *e, const char *text, uint64_t id)
{
	return e->id <= id;
}

static bool name_is_before(const struct conf_element *e, const char *name, uint64_t id)
{
	return strcmp(e->name, name) < 0;
}

static bool is_not_above_in_region(const struct conf_element *e, const char *region, uint64_t id)
{
	int order = strcmp(e->region, region);

	return order < 0 || (order == 0 && e->id <= id);
}

const struct conf_element *inventory_find_id(const struct inventory *i, uint64_t id)
{
	const struct conf_element *e = id == 0 ? NULL : inventory_next(i, id - 1);

	return e != NULL && e->id == id ? e : NULL;
}

const struct conf_element *inventory_find_name(const struct inventory *i, const char *name)
{
	uint32_t at = lower_bound(i, i->by_name, name_is_before, name, 0);
	const struct conf_element *e = at < i->n ? &i->elements[i->by_name[at]] : NULL;

	return e != NULL && strcmp(e->name, name) == 0 ? e : NULL;
}

const struct conf_element *inventory_next(const struct inventory *i, uint64_t after_id)
{
	uint32_t at = lower_bound(i, i->by_id, id_is_not_above, NULL, after_id);

	return at < i->n ? &i->elements[i->by_id[at]] : NULL;
}

uint32_t inventory_count(const struct inventory *i)
{
	return i->n;
}

void inventory_walk_begin(struct inventory_walk *w, const struct inventory *i, const char *region,
			  uint64_t after_id)
{
	w->inventory = i;
	w->at = lower_bound(i, i->by_region, is_not_above_in_region, region, after_id);
	w->end = lower_bound(i, i->by_region, is_not_above_in_region, region, UINT64_MAX);
}

const struct conf_element *inventory_walk_next(struct inventory_walk *w)
{
	const struct inventory *i = w->inventory;

	return w->at < w->end ? &i->elements[i->by_region[w->at++]] : NULL;
}

void inventory_destroy(struct inventory *i)
{
	if (i == NULL)
		return;
	free(i->by_region);
	free(i->by_name);
	free(i->by_id);
	free(i);
}
