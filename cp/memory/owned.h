/* owned.h - a walk over the elements that this server owns, lowest id first, however many others
 * the inventory has. Private to cp/memory. */
#ifndef BELLWETHER_CP_MEMORY_OWNED_H
#define BELLWETHER_CP_MEMORY_OWNED_H

#include "cp/memory/memory_private.h"

struct owned_region {
	const struct ownership_cell *cell;
	const struct conf_element *element; /* that comes next */
	struct inventory_walk walk;	    /* what comes behind it */
};

struct owned_walk {
	struct owned_region *heap; /* lowest next element first */
	uint32_t n;
};

/* Begins behind 'after'. Takes its memory from the page; lasts until the loop turns. -ENOMEM. */
int owned_walk_begin(struct owned_walk *w, struct memory *m, struct memory_page *p, uint64_t after);
/* The element and its cell; NULL: that was the last. */
const struct conf_element *owned_walk_next(struct owned_walk *w,
					   const struct ownership_cell **cell);

#endif
