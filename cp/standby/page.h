/* page.h - elements, alarms and notes of one cell out of the memory. Private to cp/standby. */
#ifndef BELLWETHER_CP_STANDBY_PAGE_H
#define BELLWETHER_CP_STANDBY_PAGE_H

#include "cp/inventory/inventory.h"
#include "cp/memory/memory.h"
#include "cp/wire/wire.h"
#include "dp/fedmem/fedmem.h"

#define PAGE_ELEMENTS 1000
#define PAGE_METRICS  32768
/* A page ends behind the element with which it gets longer, estimated; a message holds twice that.
 */
#define PAGE_BYTES  (2u << 20)
#define PAGE_ALARMS 4000 /* of one element */

struct page_query {
	struct fedmem *fedmem;
	const struct inventory *inventory;
	struct memory *memory;
	/* Records count that were kept under its token; of a single element those under the token
	 * of its state, whichever that is. */
	const struct ownership_cell *cell;
	uint64_t after;
	uint64_t element; /* only this one; 0: all of the cell */
};

struct page {
	struct wire_stored_element *elements; /* each of the cell; stored_ns 0: nothing is known */
	struct wire_stored_alarm *alarms;
	struct wire_alarm_note *notes;
	uint32_t n_elements, n_alarms, n_notes;
	uint64_t next_after; /* 0: that was the last */
	uint32_t n_left_out; /* alarms and notes of elements with more of them than fit a page */

	/* What the records lend from: the page must stay where it is. */
	struct fedmem_alarm *raw;
	uint32_t n_raw;
	struct wire_metric *metrics;
	struct ownership_cell cell;
};

/* What is in the memory at this moment. -ENOMEM; -EAGAIN: a record is half-written, and stays so
 * until the data plane is back. page_fini() in any case. */
int page_read(struct page *p, const struct page_query *q);
void page_fini(struct page *p);

#endif
