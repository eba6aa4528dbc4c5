#include "cp/inventory/inventory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct inventory {
	uint32_t n;
	const struct conf_element **by_id, **by_name;
};

static int compare_ids(const void *a, const void *b)
{
	const struct conf_element *x = *(const struct conf_element *const *)a;
	const struct conf_element *y = *(const struct conf_element *const *)b;

	return (x->id > y->id) - (x->id < y->id);
}

static int compare_names(const void *a, const void *b)
{
	const struct conf_element *x = *(const struct conf_element *const *)a;
	const struct conf_element *y = *(const struct conf_element *const *)b;

	return strcmp(x->name, y->name);
}

int inventory_create(struct inventory **out, const struct conf_inventory *conf)
{
	struct inventory *i = calloc(1, sizeof(*i));

	if (i == NULL)
		return -ENOMEM;
	i->n = conf->n_elements;
	i->by_id = calloc(i->n + 1, sizeof(*i->by_id));
	i->by_name = calloc(i->n + 1, sizeof(*i->by_name));
	if (i->by_id == NULL || i->by_name == NULL) {
		inventory_destroy(i);
		return -ENOMEM;
	}
	for (uint32_t e = 0; e < i->n; e++)
		i->by_id[e] = i->by_name[e] = &conf->elements[e];
	qsort(i->by_id, i->n, sizeof(*i->by_id), compare_ids);
	qsort(i->by_name, i->n, sizeof(*i->by_name), compare_names);
	*out = i;
	return 0;
}

const struct conf_element *inventory_find_id(const struct inventory *i, uint64_t id)
{
	const struct conf_element *e = id == 0 ? NULL : inventory_next(i, id - 1);

	return e != NULL && e->id == id ? e : NULL;
}

const struct conf_element *inventory_find_name(const struct inventory *i, const char *name)
{
	uint32_t low = 0, high = i->n;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = strcmp(name, i->by_name[middle]->name);

		if (order == 0)
			return i->by_name[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

const struct conf_element *inventory_next(const struct inventory *i, uint64_t after_id)
{
	uint32_t low = 0, high = i->n;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (i->by_id[middle]->id > after_id)
			high = middle;
		else
			low = middle + 1;
	}
	return low < i->n ? i->by_id[low] : NULL;
}

uint32_t inventory_count(const struct inventory *i)
{
	return i->n;
}

void inventory_destroy(struct inventory *i)
{
	if (i == NULL)
		return;
	free(i->by_name);
	free(i->by_id);
	free(i);
}
