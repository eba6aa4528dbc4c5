/* stored.h - this server's part of the data store, in the words of the API: what its archive holds
 * of elements and alarms, each with its age. Every element of the inventory is there, also one of
 * which nothing was ever stored.
 *
 * An archive keeps what a cell was like when this server last had to do with it. So it speaks for a
 * cell only as its owner; as its standby with a whole copy; and for want of anybody better when
 * owner and standby are both gone. Then what was put right elsewhere does not come back as it was.
 *
 * Thread:  control.
 * Memory:  borrows for the call; a page owns everything that its lists point to but what the
 *          inventory holds; memory_page_free(). '*page' is written whatever is returned.
 * Returns: 0 done; <0 -errno.
 */
#ifndef BELLWETHER_CP_STORED_STORED_H
#define BELLWETHER_CP_STORED_STORED_H

#include "cp/archive/archive.h"
#include "cp/cluster/cluster.h"
#include "cp/inventory/inventory.h"
#include "cp/memory/memory.h"

struct stored {
	struct cluster *cluster;
	const struct inventory *inventory;
	struct memory *memory;
	struct archive *archive;
};

/* Elements with an id above 'after', lowest first, at most 'limit'. One of which this server has
 * nothing to say has stored_ns 0. */
int stored_elements(const struct stored *s, uint64_t after, uint32_t limit,
		    struct memory_page **page, struct wire_element_list *list);
/* Alarms by element; the limit counts elements with alarms. As memory_alarms(): an element's least
 * severe ones above MEMORY_ALARMS_PER_ELEMENT are left out, and a page ends where it gets long. */
int stored_alarms(const struct stored *s, uint64_t after, uint32_t limit, bool with_cleared,
		  struct memory_page **page, struct wire_alarm_list *list);
/* One element with its alarms, cleared ones included. -ENOENT: nothing was stored of it here. */
int stored_element(const struct stored *s, const struct conf_element *e, struct memory_page **page,
		   struct wire_element_reply *reply);

#endif
