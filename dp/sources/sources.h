/* sources.h - keeps the XDP programs' tables of known sources in step with the inventory and the
 * peers in the federated memory, and reads the programs' counters.
 *
 * Thread:  control.
 * Memory:  an address for each slot of the segment, counts for each port; keeps configuration,
 * segment and ports. Returns: sources_create() 0, or -ENOMEM.
 */
#ifndef BELLWETHER_DP_SOURCES_SOURCES_H
#define BELLWETHER_DP_SOURCES_SOURCES_H

#include "dp/conf/conf.h"
#include "dp/fedmem/fedmem.h"
#include "dp/port/port.h"
#include "dp/worker/worker.h"

struct sources; /* opaque: see sources.c */

int sources_create(struct sources **out, const struct conf *conf, const struct fedmem *fm,
		   struct port **ports, uint32_t n_ports);
/* Puts and removes what changed since the last call: one comparison when nothing did, else a walk
 * over all slots. What a program refused is tried again with the next change, and said once. */
void sources_follow(struct sources *s);
/* The sum over all ports since their start. Of each port a moment at which its program had counted
 * every frame that it had seen. */
void sources_count(struct sources *s, struct worker_note *note);
void sources_destroy(struct sources *s); /* takes NULL */

#endif
