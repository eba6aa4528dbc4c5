/* apply_case.h - a dp/apply to try reports on: a real segment in a file that is removed, a relay
 * that only writes down, and four cells of three elements each. Every application checks the
 * equation of reports.
 *
 * Thread:  one.
 * Memory:  one case at a time, in 'apply_case'.
 */
#ifndef BELLWETHER_TESTS_LIB_APPLY_CASE_H
#define BELLWETHER_TESTS_LIB_APPLY_CASE_H

#include <stdbool.h>
#include <stdint.h>

#include "dp/apply/apply.h"

/* Server ids. */
#define SELF  1
#define OTHER 2

enum { CELL_OURS, CELL_THEIRS, CELL_NOBODYS, CELL_THEIRS_TOO, N_CELLS };

/* Elements have the ids 10 * cell + 1 ... 10 * cell + 3 */
#define OURS	 1
#define THEIRS	 11
#define NOBODYS	 21
#define THEIRS_2 31

struct given {
	uint64_t bitmap;
	uint32_t cell;
	bool is_alarm;
};

struct apply_case {
	char path[32];
	struct fedmem *fm;
	struct fedmem_writer *writer;
	struct stats stats;
	struct apply *apply;
	struct fedmem_cell cells[N_CELLS];
	struct report_batch batch;
	uint64_t now_ns;
	/* The relay. */
	bool is_refusing;
	struct given given[16];
	uint32_t n_given;
};
extern struct apply_case apply_case;

/* cmocka set-up and tear-down. */
int case_start(void **state);
int case_stop(void **state);

/* One more report in the batch, and what is in it. */
struct report *case_report(uint64_t id, uint64_t boot, uint64_t sequence);
void case_with_metric(struct report *r, uint32_t id, uint64_t value);
void case_with_alarm(struct report *r, const char *resource, uint8_t severity, const char *text);

/* Applies the batch as what came from 'sender' (0: of nobody known), and empties it. A nanosecond
 * passes. */
enum apply_verdict case_apply_as(struct apply_datagram d, uint64_t sender, bool may_own);
enum apply_verdict case_apply(void); /* from the wire, from OURS, with the lease */
enum apply_verdict case_apply_relayed(uint64_t bitmap, bool may_own);
/* The batch has one report; it is applied and meets this fate. */
void case_assert_fate(enum stats_counter fate);
/* A report of OURS of one alarm and nothing else meets this fate. */
void case_alarm(uint64_t boot, uint64_t sequence, const char *resource, uint8_t severity,
		enum stats_counter fate);

struct fedmem_state case_state(uint64_t id);
struct fedmem_alarm case_alarm_of(const char *resource); /* of OURS */
uint64_t case_metric(uint64_t id, uint32_t metric);
int case_next_event(void); /* its kind; 0: none */

#endif
