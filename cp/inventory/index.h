/* index.h - a hash table of elements by one of their keys: id, name or address. Open addressing
 * with linear probing; a removal closes its gap, so nothing is left behind by changes. Private to
 * cp/inventory.
 *
 * Thread:  control.
 * Memory:  borrows the elements; an all-zero index but for its two functions is empty.
 * Returns: 0 done; -ENOMEM, nothing changed.
 */
#ifndef BELLWETHER_CP_INVENTORY_INDEX_H
#define BELLWETHER_CP_INVENTORY_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "dp/conf/conf.h"

struct inventory_index {
	/* Of the element's key; and whether both have the same. */
	uint64_t (*hash)(const struct conf_element *e);
	bool (*is_same)(const struct conf_element *a, const struct conf_element *b);
	struct conf_element **slots; /* NULL: free */
	uint32_t n, n_slots;	     /* a power of two, or 0 */
};

/* Room for one more. */
int inventory_index_reserve(struct inventory_index *x);
/* The element with the key of 'like'; NULL: there is none. */
struct conf_element *inventory_index_find(const struct inventory_index *x,
					  const struct conf_element *like);
/* After a reserve; no other one has its key. */
void inventory_index_add(struct inventory_index *x, struct conf_element *e);
/* With the key under which it was added. */
void inventory_index_remove(struct inventory_index *x, const struct conf_element *e);
void inventory_index_fini(struct inventory_index *x); /* empty again */

extern const struct inventory_index inventory_index_by_id, inventory_index_by_name,
	inventory_index_by_address;

#endif
