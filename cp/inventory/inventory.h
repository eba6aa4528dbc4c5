/* inventory.h - the elements of the configuration, to be found by id, by name and by region.
 *
 * Thread:  any, once created.
 * Memory:  keeps the conf_inventory; what it finds lives as long as that.
 * Returns: 0 done; -ENOMEM.
 */
#ifndef BELLWETHER_CP_INVENTORY_INVENTORY_H
#define BELLWETHER_CP_INVENTORY_INVENTORY_H

#include <stdint.h>

#include "dp/conf/conf.h"

struct inventory; /* opaque: see inventory.c */

int inventory_create(struct inventory **out, const struct conf_inventory *conf);
const struct conf_element *inventory_find_id(const struct inventory *i, uint64_t id);
const struct conf_element *inventory_find_name(const struct inventory *i, const char *name);
/* The element with the lowest id above this one; NULL: there is none. For walks in order. */
const struct conf_element *inventory_next(const struct inventory *i, uint64_t after_id);
uint32_t inventory_count(const struct inventory *i);

/* A walk over the elements of one region, lowest id first. Fields are inventory's own. */
struct inventory_walk {
	const struct inventory *inventory;
	uint32_t at, end;
};
/* Begins behind 'after_id'. A region without elements is a walk that is over. */
void inventory_walk_begin(struct inventory_walk *w, const struct inventory *i, const char *region,
			  uint64_t after_id);
/* NULL: that was the last. */
const struct conf_element *inventory_walk_next(struct inventory_walk *w);

void inventory_destroy(struct inventory *i); /* takes NULL */

#endif
