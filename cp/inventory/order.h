/* order.h - elements in the order of their ids. Changes wait until the next look; then they are
 * sorted and merged into the rest, so that many cost little more than one. Private to cp/inventory.
 *
 * Thread:  control.
 * Memory:  borrows the elements; an all-zero order is empty.
 * Returns: 0 done; -ENOMEM, nothing changed.
 */
#ifndef BELLWETHER_CP_INVENTORY_ORDER_H
#define BELLWETHER_CP_INVENTORY_ORDER_H

#include <stdint.h>

#include "dp/conf/conf.h"

struct inventory_place {
	uint64_t id;
	const struct conf_element *element;
};
struct inventory_wait {
	struct inventory_place place; /* element NULL: it goes */
	uint32_t number;	      /* in the order of the changes */
};

struct inventory_order {
	struct inventory_place *places; /* by id */
	uint32_t n, n_max;		/* n_max: room for all that wait, too */
	struct inventory_wait *waiting;
	uint32_t n_waiting, waiting_max;
};

/* Room for one more to be added. */
int inventory_order_reserve(struct inventory_order *o);
void inventory_order_add(struct inventory_order *o, const struct conf_element *e); /* reserved */
/* One that was added. */
void inventory_order_remove(struct inventory_order *o, uint64_t id);
/* Brings in what waits. To be called before a look. */
void inventory_order_mend(struct inventory_order *o);
/* The first place with a higher id than this; 'n' when there is none. */
uint32_t inventory_order_above(const struct inventory_order *o, uint64_t id);
void inventory_order_fini(struct inventory_order *o);

#endif
