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

/* ---- For the store ---- */

/* What the store keeps of an alarm or a state as it was read. 'cell': whose it was when it was
 * kept. Texts are lent from 'a' and 'cell'; the metrics, of which there are s->n_metrics, go into
 * 'room'. */
void memory_stored_alarm(const struct fedmem_alarm *a, const struct ownership_cell *cell,
			 uint64_t now_ns, struct wire_stored_alarm *out);
void memory_stored_element(const struct fedmem_state *s, const struct fedmem_metric *metrics,
			   const struct ownership_cell *cell, uint64_t now_ns,
			   struct wire_metric *room, struct wire_stored_element *out);
/* ... and back, in the words of the API: source "store", with its age and with names from the
 * inventory ("" of an element that it does not have). 'note' may be NULL, or of an alarm that was
 * raised at another time: then it does not count. */
int memory_from_store_alarm(struct memory *m, struct memory_page *p,
			    const struct wire_stored_alarm *s, const struct wire_alarm_note *note,
			    struct wire_alarm *out);
int memory_from_store_element(struct memory *m, struct memory_page *p,
			      const struct wire_stored_element *s, struct wire_element *out);
struct memory_page *memory_page_create(void);
/* Zeroed memory of the page, aligned for anything; NULL: none. */
void *memory_page_take(struct memory_page *p, size_t n_items, size_t item_bytes);

/* What an operator said of an alarm. It counts as long as the alarm that was raised then is, and
 * may be forgotten after that. An older word than the one that is known changes nothing. Copies. */
int memory_note_put(struct memory *m, const struct wire_alarm_note *n);
/* NULL: there is none. Lent until the next put. */
const struct wire_alarm_note *memory_note_find(struct memory *m, uint64_t element_id,
					       struct wire_octets type, struct wire_octets resource,
					       struct wire_octets qualifier);

void memory_destroy(struct memory *m); /* takes NULL */

#endif
