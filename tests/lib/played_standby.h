/* played_standby.h - the sending side of cp/standby, and the registry's trail, as tables that a
 * test reads and fills: what was sent, each record once; and events of the trail.
 *
 * Memory:  x_create() allocates, x_destroy() frees.
 */
#ifndef BELLWETHER_TESTS_LIB_PLAYED_STANDBY_H
#define BELLWETHER_TESTS_LIB_PLAYED_STANDBY_H

#include "cp/cluster/cluster.h"
#include "cp/standby/standby.h"

struct played_sends {
	uint32_t n_requests, n_alarms, n_elements, n_notes, n_events;
	char cell[OWNERSHIP_NAME_BYTES]; /* of the last one */
	uint64_t event_number;		 /* of the last event */
};

struct standby *played_standby_create(void);
/* What was sent since the last call. */
struct played_sends played_standby_sends(struct standby *s);
/* Answers everything that waits. */
void played_standby_answer(struct standby *s, bool is_degraded);

#define PLAYED_TRAIL_MAX 256
/* cluster_registry() of every cluster: number 1, 2, 3 ... at these times; "master" events. */
void played_trail_put(uint64_t time_ns);
void played_trail_clear(void);

#endif
