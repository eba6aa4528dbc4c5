/* eventlog_bed.h - an event log with everything around it: a played server, an archive and a
 * standby that the test plays, a loop.
 *
 * Memory:  eventlog_bed_open() makes, eventlog_bed_close() removes.
 * Returns: nothing; what cannot be made fails the test.
 */
#ifndef BELLWETHER_TESTS_LIB_EVENTLOG_BED_H
#define BELLWETHER_TESTS_LIB_EVENTLOG_BED_H

#include <uv.h>

#include "cp/eventlog/eventlog.h"
#include "cp/rpc/rpc.h"
#include "tests/lib/fake_archive.h"
#include "tests/lib/played_server.h"
#include "tests/lib/played_standby.h"

#define BED_SEEN_MAX 4096

struct eventlog_bed {
	uv_loop_t loop;
	struct played_server server;
	struct archive *archive;
	struct standby *standby;
	struct rpc_client *client;
	struct eventlog *log;
	struct eventlog_follower follower;
	/* What the follower was told: "raised e10 if1 major", "dp_silent", and the events' numbers.
	 */
	char seen[BED_SEEN_MAX][48];
	uint64_t numbers[BED_SEEN_MAX];
	uint32_t n_seen, n_lost;
};

/* This is server 1; it owns r0, server 2 owns r1, server 1 r2. */
#define BED_TOKEN ((struct fedmem_token){3, 7})

void eventlog_bed_open(struct eventlog_bed *b, const struct played_config *cfg);
void eventlog_bed_start(struct eventlog_bed *b, bool is_archive_new);
/* The log goes, the segment and what is on the disk stay. */
void eventlog_bed_stop(struct eventlog_bed *b);
/* Lets the log follow once, and nothing onto the disk. */
void eventlog_bed_follow(struct eventlog_bed *b);
/* Follows and stores until nothing comes any more. */
void eventlog_bed_settle(struct eventlog_bed *b);
/* An alarm of the type "linkDown". */
void eventlog_bed_report(struct eventlog_bed *b, uint64_t element, const char *resource,
			 uint8_t severity);
void eventlog_bed_close(struct eventlog_bed *b);

#endif
