/* standby_bed.h - three servers with cp/standby, real rpc between them on the loopback, in one
 * event loop of one process. Each has the memory of a played_server and an archive in memory; a
 * data plane that runs beside takes in what is restored, as the worker does. What cp/cluster would
 * decide the test says; what cp/eventlog would write at each change of an alarm is written.
 *
 * Memory:  standby_bed_open() makes, standby_bed_close() removes.
 * Returns: nothing; what cannot be made, and a wait that does not come to its end, fail the test.
 */
#ifndef BELLWETHER_TESTS_LIB_STANDBY_BED_H
#define BELLWETHER_TESTS_LIB_STANDBY_BED_H

#include <uv.h>

#include "cp/standby/standby.h"
#include "dp/apply/apply.h"
#include "tests/lib/fake_archive.h"
#include "tests/lib/fake_calls.h"
#include "tests/lib/loopback.h"
#include "tests/lib/played_server.h"

#define BED_SERVERS 3

struct bed_server {
	struct standby_bed *bed;
	struct played_server played;
	struct archive *archive;
	struct rpc_client *client;
	struct rpc_server *server;
	struct standby *standby; /* NULL: the control plane is down */
	char address[LOOPBACK_ADDRESS_BYTES];
	uint32_t boot;

	/* The data plane. */
	struct apply *apply;
	struct stats stats;
	struct fedmem_cell cells[PLAYED_REGIONS];
	uint32_t followed;
	bool is_dp_stopped;
	bool is_dp_behind; /* it runs, and has not looked at its cells yet */

	uint64_t n_events; /* of its own, numbered from 1 */
	uint32_t n_done, n_degraded;
	uint32_t n_restored; /* calls of cluster_restored() that counted */
	uint32_t n_partial;
	char why[256]; /* of the last restored_in_part */
};

struct standby_bed {
	uv_loop_t loop;
	uv_timer_t dp;
	struct bed_server servers[BED_SERVERS]; /* servers[0] has the id 1 */
};

/* Nobody owns anything yet. */
void standby_bed_open(struct standby_bed *b, uint32_t n_elements);
void standby_bed_close(struct standby_bed *b);
struct bed_server *standby_bed_server(struct standby_bed *b, uint16_t id);

/* The map of one server, or of all whose control plane is up, in the order of their ids. */
void standby_bed_map_one(struct standby_bed *b, uint16_t id, const char *cell, uint16_t owner,
			 uint16_t standby, struct fedmem_token token);
void standby_bed_map(struct standby_bed *b, const char *cell, uint16_t owner, uint16_t standby,
		     struct fedmem_token token);
/* As the others' detectors say. */
void standby_bed_state(struct standby_bed *b, uint16_t id, enum detector_state state);
/* kill -9 of the control plane; the segment and what is on disk stay. And its start: it knows the
 * map that it had. */
void standby_bed_kill(struct standby_bed *b, uint16_t id);
void standby_bed_start(struct standby_bed *b, uint16_t id);
/* The element moves into another cell of the same map, in the inventory of all. */
void standby_bed_move(struct standby_bed *b, uint64_t element, const char *cell);

/* A change of an alarm at its owner, as played_alarm(), stored there and sent to the standby. */
void standby_bed_alarm(struct standby_bed *b, uint16_t id, uint64_t element, const char *resource,
		       uint8_t severity);

void standby_bed_wait(struct standby_bed *b, bool (*is_so)(void *user), void *user);
void standby_bed_wait_idle(struct standby_bed *b, uint16_t id);
void standby_bed_wait_whole(struct standby_bed *b, uint16_t id, const char *cell);
void standby_bed_wait_restored(struct standby_bed *b, uint16_t id, uint32_t n);
void standby_bed_turn(struct standby_bed *b, uint32_t ms);

/* The cell's alarms, one line each, sorted: as the memory of its owner has them, as an archive has
 * them. Freed by the caller. */
char *standby_bed_memory(struct standby_bed *b, uint16_t id, const char *cell);
char *standby_bed_archive(struct standby_bed *b, uint16_t id, const char *cell);
uint32_t standby_bed_events(struct standby_bed *b, uint16_t id, uint16_t origin);
/* Both say the same. */
void standby_bed_assert_same(struct standby_bed *b, uint16_t memory_of, uint16_t archive_of,
			     const char *cell);

#endif
