/* played_server.h - one server's memory with everything around it that cp/memory and the services
 * need: a segment of its own, an inventory, a fake cluster, and a data plane that the test plays.
 *
 * Memory:  played_server_open() makes, played_server_close() removes, the segment's file included.
 * Returns: nothing; what cannot be made fails the test.
 */
#ifndef BELLWETHER_TESTS_LIB_PLAYED_SERVER_H
#define BELLWETHER_TESTS_LIB_PLAYED_SERVER_H

#include "cp/inventory/inventory.h"
#include "cp/memory/memory.h"
#include "tests/lib/fake_cluster.h"

/* The elements of all played servers: ids 10, 20, 30 ..., names "e10" ..., and element i (from 0)
 * in the region "r0", "r1" or "r2" by i modulo 3. */
#define PLAYED_REGIONS 3

struct played_server {
	uint16_t id;
	struct conf_inventory conf;
	struct inventory *inventory;
	struct cluster *cluster;
	struct fedmem *fm;
	struct fedmem_writer *writer;
	struct memory *memory;
	char path[64];
	uint64_t now_ns; /* of the played data plane, long ago; rises with every report */
};

struct played_config {
	uint16_t id, n_servers;
	uint32_t n_elements;
	uint32_t alarms_max, events_max; /* 0: 256 and 1024 */
};

struct played_alarm {
	uint64_t element;
	struct fedmem_token token;
	const char *type, *resource;
	uint8_t severity; /* FEDMEM_CLEARED clears */
};

#define PLAYED_TEXT "said by the element itself, in its own words" /* of every alarm */

void played_server_open(struct played_server *s, const struct played_config *cfg);
/* One report of the element with 'n_metrics' metrics, 1: 1.5, 2: 2.5 and so on. */
void played_report(struct played_server *s, uint64_t element, struct fedmem_token token,
		   uint32_t n_metrics);
/* Does as dp/apply does: raises, changes the severity, clears, or only counts. */
void played_alarm(struct played_server *s, const struct played_alarm *a);
void played_server_close(struct played_server *s);

#endif
