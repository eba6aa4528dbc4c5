/* inventory.h - the elements, to be found by id, by name, by address and by region. The registry
 * alone changes it; everybody else looks.
 *
 * Thread:  control.
 * Memory:  owns copies. What it finds lives until that element is changed or removed: until the
 *          loop turns, to be safe.
 * Returns: 0 done; -ENOMEM, -EEXIST.
 */
#ifndef BELLWETHER_CP_INVENTORY_INVENTORY_H
#define BELLWETHER_CP_INVENTORY_INVENTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "dp/conf/conf.h"

struct inventory;
struct inventory_place; /* private to cp/inventory */

int inventory_create(struct inventory **out);
const struct conf_element *inventory_find_id(const struct inventory *i, uint64_t id);
const struct conf_element *inventory_find_name(const struct inventory *i, const char *name);
const struct conf_element *inventory_find_address(const struct inventory *i,
						  const struct fedmem_address *address);
/* The element with the lowest id above this one; NULL: there is none. For walks in order. */
const struct conf_element *inventory_next(const struct inventory *i, uint64_t after_id);
uint32_t inventory_count(const struct inventory *i);
uint32_t inventory_count_region(const struct inventory *i, const char *region);

/* A walk over the elements of one region, lowest id first. Fields are inventory's own. The
 * inventory must not change meanwhile. */
struct inventory_walk {
	const struct inventory_place *places;
	uint32_t at, end;
};
/* Begins behind 'after_id'. A region without elements is a walk that is over. */
void inventory_walk_begin(struct inventory_walk *w, const struct inventory *i, const char *region,
			  uint64_t after_id);
/* NULL: that was the last. */
const struct conf_element *inventory_walk_next(struct inventory_walk *w);

/* ---- For the registry ---- */

/* How an element changed. */
struct inventory_change {
	uint64_t id;
	bool is_new, is_removed, has_moved, has_new_address; /* has_moved: into another region */
};

/* Copies. Changes the element with this id in place, or adds it; ids are > 0. -EEXIST: another one
 * has the name or the address. Many in a row cost about as much as one: orders are mended at the
 * next look. */
int inventory_put(struct inventory *i, const struct conf_element *e,
		  struct inventory_change *change);
void inventory_remove(struct inventory *i, uint64_t id);
void inventory_clear(struct inventory *i);
/* Each gets what the other had; what was found in one lives on in the other. */
void inventory_swap(struct inventory *a, struct inventory *b);

void inventory_destroy(struct inventory *i); /* takes NULL */

#endif
