#include "tests/unit/cp/standby_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

const struct fedmem_token case_first = {1, 1};

void case_open(void **state, uint32_t n_elements)
{
	static struct standby_bed b;

	standby_bed_open(&b, n_elements);
	standby_bed_map(&b, "r0", 1, 2, case_first);
	standby_bed_wait_restored(&b, 1, 1);
	standby_bed_wait_whole(&b, 1, "r0");
	*state = &b;
}

int case_close(void **state)
{
	standby_bed_close(*state);
	return 0;
}

struct bed_server *case_server(void **state, uint16_t id)
{
	return standby_bed_server(*state, id);
}

static bool all_done(void *user)
{
	const struct bed_server *s = user;

	return s->n_done == s->n_events;
}

void case_wait_done(void **state, uint16_t id)
{
	standby_bed_wait(*state, all_done, case_server(state, id));
}

struct wire_cell_sync case_sync(void **state, uint16_t id)
{
	struct wire_cell_sync *sync, copy;

	assert_true(archive_sync(case_server(state, id)->archive, "r0", &sync));
	copy = *sync;
	copy.cell = NULL;
	wire_free(sync);
	return copy;
}

void case_history(void **state)
{
	for (uint64_t e = 10; e <= 3000; e += 30) {
		standby_bed_alarm(*state, 1, e, "port 1", FEDMEM_MAJOR);
		standby_bed_alarm(*state, 1, e, "port 2", FEDMEM_MINOR);
		standby_bed_alarm(*state, 1, e, "port 2", FEDMEM_CRITICAL);
		standby_bed_alarm(*state, 1, e, "port 3", FEDMEM_MAJOR);
		standby_bed_alarm(*state, 1, e, "port 3", FEDMEM_CLEARED);
		standby_bed_alarm(*state, 1, e, "port 1", FEDMEM_MAJOR);
		if (e % 60 == 10)
			standby_bed_alarm(*state, 1, e, "port 1", FEDMEM_CLEARED);
	}
	case_wait_done(state, 1);
	assert_int_equal(case_server(state, 1)->n_degraded, 0);
}

void case_fail_over(void **state, uint16_t from, uint16_t to, uint16_t standby,
		    struct fedmem_token token)
{
	if (case_server(state, from)->standby != NULL)
		standby_bed_kill(*state, from);
	case_server(state, from)->is_dp_stopped = true;
	standby_bed_state(*state, from, DETECTOR_FAILED);
	standby_bed_map(*state, "r0", to, standby, token);
}

void case_assert_restored(void **state, char *were, uint16_t owner)
{
	char *are = standby_bed_memory(*state, owner, "r0");

	assert_string_equal(are, were);
	free(are);
	free(were);
}
