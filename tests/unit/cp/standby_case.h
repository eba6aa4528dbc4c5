/* standby_case.h - what the tests of cp/standby begin with and look at: a standby_bed where server
 * 1 owns "r0", server 2 stands by and everything is copied. '*state' is the bed. */
#ifndef BELLWETHER_TESTS_UNIT_CP_STANDBY_CASE_H
#define BELLWETHER_TESTS_UNIT_CP_STANDBY_CASE_H

#include "tests/lib/standby_bed.h"

extern const struct fedmem_token case_first; /* (1, 1), of "r0" at the start */

/* e10, e40, e70 ...: each third of the elements is in "r0". */
void case_open(void **state, uint32_t n_elements);
int case_close(void **state);
struct bed_server *case_server(void **state, uint16_t id);

/* Until all changes at the server are done. */
void case_wait_done(void **state, uint16_t id);
/* What the server's archive says of its copy of "r0". */
struct wire_cell_sync case_sync(void **state, uint16_t id);

/* Alarms at server 1 with a history: raised, repeated, changed, cleared, raised again. There have
 * to be 300 elements. */
void case_history(void **state);
/* Server 'from' dies; all hear that 'to' owns "r0". */
void case_fail_over(void **state, uint16_t from, uint16_t to, uint16_t standby,
		    struct fedmem_token token);
/* The owner's memory of "r0" is what it was. Frees 'were'. */
void case_assert_restored(void **state, char *were, uint16_t owner);

#endif
