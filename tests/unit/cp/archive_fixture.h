/* archive_fixture.h - an archive in a directory of its own, and records to put into it.
 *
 * Thread:  the test's.
 * Memory:  everything is freed and removed by archive_fixture_remove().
 * Returns: what goes wrong fails the test.
 */
#ifndef BELLWETHER_TESTS_ARCHIVE_FIXTURE_H
#define BELLWETHER_TESTS_ARCHIVE_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "cp/archive/archive.h"

#define FIXTURE_SELF 2
#define SECOND_NS    UINT64_C(1000000000)

struct archive_fixture {
	char dir[64], why[256];
	struct archive_config cfg; /* of the next open */
	uv_loop_t loop;
	struct archive *archive;
	bool is_new;
	uint32_t n_done; /* commits that are on disk */
};
extern struct archive_fixture ax;

int archive_fixture_make(void **state);
int archive_fixture_remove(void **state);

void archive_open_ok(void);
void archive_shut(void);
/* One turn of the loop. */
void archive_turn(void);

struct archive_batch *archive_batch_ok(void);
/* Counts in ax.n_done. */
int archive_commit_counted(struct archive_batch *b);
void archive_commit_wait(struct archive_batch *b);

struct wire_event archive_event(uint16_t origin, uint64_t number, uint64_t time_ns);
struct wire_stored_alarm archive_alarm(uint64_t element, const char *type, const char *resource,
				       const char *qualifier);
struct wire_alarm_note archive_note(uint64_t element, const char *type, const char *resource,
				    const char *qualifier);

/* The numbers of an origin's events as text, "3 4 5 ". */
const char *archive_numbers(uint16_t origin, uint64_t after, uint64_t last, bool is_descending);

#endif
