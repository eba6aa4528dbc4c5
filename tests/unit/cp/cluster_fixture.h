/* cluster_fixture.h - three real bellwether-cp on loopback addresses of this process's own.
 * What they decide is looked up where their data planes would: in the federated memory. Their data
 * planes are this process, as far as they can tell: it writes and beats through the segment's own
 * door.
 *
 * The inventory: elements 1 to 12, two in each region: east, north, south, up, west, zenith.
 *
 * Thread:  the test's. A thread of the fixture beats for the data planes.
 * Memory:  everything is removed by cluster_tear_down().
 * Returns: what goes wrong fails the test.
 */
#ifndef BELLWETHER_TESTS_UNIT_CP_CLUSTER_FIXTURE_H
#define BELLWETHER_TESTS_UNIT_CP_CLUSTER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>
#include <unistd.h>

#include <cmocka.h>

#include "cp/core/core.h"
#include "dp/fedmem/fedmem.h"

#define N	  3
#define WAIT_MS	  60000 /* a bound, not an expectation */
#define CELLS_MAX 16
#define REGIONS	  6

struct cell {
	uint16_t owner, standby;
	struct fedmem_token token;
	char name[41];
};

struct server {
	pid_t pid; /* 0: does not run */
	struct fedmem *fm;
	struct fedmem_writer *writer;
	_Atomic bool is_dp_silent;
	_Atomic uint32_t n_dp_looks; /* how often the data plane's thread looked at is_dp_silent */
	uint64_t epoch;		     /* highest seen */
	struct cell cells[CELLS_MAX];
	uint32_t n_cells;
};
extern struct server servers[N + 1]; /* by id */
extern char dir[64], net[32];	     /* of this test; net: "127.3.9" */
extern const bool all_live[N + 1];

int cluster_set_up(void **state);
int cluster_tear_down(void **state);

void file_write(const char *name, const char *text);

/* Starts the program with this configuration, its log to 'log' or, when that is -1, to the test's.
 */
pid_t run(const char *config, int log);
void start(int i);
void stop(int i, int signal_number);
int exit_status(pid_t pid);
void start_all(void); /* and waits until the best-ranked leads and all cells are owned */

/* Takes a look at all, and checks what must hold at every moment, crashes or not. */
void look(void);
void logs_show(void);
struct fedmem_server seen_by(int i, int of);
bool is_leading(int i);
/* Server i leads and all that run follow it: they hear it as the master of their own epoch. */
bool is_led_by(int i);
/* Every cell has an owner and a standby, different ones of 'living'; all that run agree. */
bool is_owned_by(const bool living[N + 1]);
const struct cell *cell_of(int i, const char *name);

#define UNTIL(condition)                                                                           \
	do {                                                                                       \
		uint64_t end_ms = core_now_ms() + WAIT_MS;                                         \
                                                                                                   \
		for (look(); !(condition); look()) {                                               \
			if (core_now_ms() > end_ms) {                                              \
				logs_show();                                                       \
				fail_msg("never came true: %s", #condition);                       \
			}                                                                          \
			usleep(5000);                                                              \
		}                                                                                  \
	} while (0)

#endif
