/* memory.h - this server's own memory, in the words of the API: the elements that it owns, their
 * alarms, the data plane's counters. Only what counts is shown: a state or an alarm that was kept
 * under another token than its cell's present one is void.
 *
 * Thread:  control.
 * Memory:  a page owns everything that its lists point to but what the inventory holds;
 *          memory_page_free(). '*page' is written whatever is returned, and may be NULL.
 * Returns: 0 done; -ENOMEM; >0 an enum memory_answer.
 */
#ifndef BELLWETHER_CP_MEMORY_MEMORY_H
#define BELLWETHER_CP_MEMORY_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "cp/cluster/cluster.h"
#include "cp/inventory/inventory.h"
#include "cp/wire/wire.h"
#include "dp/fedmem/fedmem.h"

enum memory_answer {
	/* This server does not own the element; or what was given was kept under an older token. */
	MEMORY_NOT_OWNER = 1,
};

struct memory; /* opaque: see memory.c */
struct memory_page;

struct memory_config {
	struct fedmem *fedmem;
	struct cluster *cluster;
	const struct inventory *inventory;
};
int memory_create(struct memory **out, const struct memory_config *cfg);

void memory_page_free(struct memory_page *page); /* takes NULL */

/* Elements that this server owns with an id above 'after', lowest first, at most 'limit'.
 * next_after is 0 when these were the last. */
int memory_elements(struct memory *m, uint64_t after, uint32_t limit, struct memory_page **page,
		    struct wire_element_list *list);
/* Of an element with more alarms than these the least severe ones are left out, and counted in the
 * list's n_left_out: one element must not make the list of all others unreadable. */
#define MEMORY_ALARMS_PER_ELEMENT 1000
/* Their alarms, by element, then type, resource and qualifier; the limit counts elements with
 * alarms. A page ends earlier, at a whole element, where it gets longer than a message may be. */
int memory_alarms(struct memory *m, uint64_t after, uint32_t limit, bool with_cleared,
		  struct memory_page **page, struct wire_alarm_list *list);
/* One element with its alarms, cleared ones included. */
int memory_element(struct memory *m, const struct conf_element *e, struct memory_page **page,
		   struct wire_element_reply *reply);
int memory_dp_stats(struct memory *m, struct memory_page **page, struct wire_dp_stats *stats);

/* The alarm of an event in the words of the API. 'page' holds the texts. */
int memory_alarm(struct memory *m, const struct fedmem_alarm *a, struct memory_page **page,
		 struct wire_alarm *out);

void memory_destroy(struct memory *m); /* takes NULL */

#endif
