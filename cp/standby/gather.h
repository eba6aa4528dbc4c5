/* gather.h - what several sources know of a cell, the newest of each record, as injections.
 * Private to cp/standby. */
#ifndef BELLWETHER_CP_STANDBY_GATHER_H
#define BELLWETHER_CP_STANDBY_GATHER_H

#include "cp/wire/wire.h"
#include "dp/fedmem/fedmem.h"

struct gathered {
	struct fedmem_inject inject;
	struct wire_token token; /* under which it was kept; zero: kept for another cell */
};

struct gather {
	const char *cell; /* lent */
	bool is_by_time;  /* an element came from another cell: tokens say nothing */
	struct gathered *records;
	size_t n, room;
	uint32_t n_elements, n_alarms; /* after gather_sort() */
};

/* Copies. An alarm in state FREE is no alarm. -ENOMEM. */
int gather_element(struct gather *g, const struct wire_stored_element *e);
int gather_alarm(struct gather *g, const struct wire_stored_alarm *a);
/* Leaves the newest of each, states before metrics before alarms, all under this token. */
void gather_sort(struct gather *g, struct fedmem_token token);
void gather_fini(struct gather *g);

#endif
