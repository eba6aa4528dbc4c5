/* A cell, or an element, that moves while its owner lives: what comes along. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cp/core/core.h"
#include "tests/unit/cp/standby_case.h"

static const struct fedmem_token second = {2, 2};

static int bed_open(void **state)
{
	case_open(state, 300);
	return 0;
}

static void a_move_takes_the_memory_of_the_owner_until_now(void **state)
{
	char *were;

	case_history(state);
	/* What the standby never heard of is there too. */
	played_alarm(&case_server(state, 1)->played,
		     &(struct played_alarm){.element = 70,
					    .token = case_first,
					    .type = "link",
					    .resource = "port 8",
					    .severity = FEDMEM_MAJOR});
	played_alarm(&case_server(state, 1)->played,
		     &(struct played_alarm){.element = 40,
					    .token = case_first,
					    .type = "link",
					    .resource = "port 1",
					    .severity = FEDMEM_CLEARED});
	were = standby_bed_memory(*state, 1, "r0");
	assert_non_null(strstr(were, "70 link port 8 raised"));
	assert_non_null(strstr(were, "40 link port 1 gone"));
	standby_bed_map(*state, "r0", 3, 1, second);
	standby_bed_wait_restored(*state, 3, 1);
	case_assert_restored(state, were, 3);
	assert_int_equal(case_server(state, 3)->n_partial, 0);
	standby_bed_wait_whole(*state, 3, "r0");
	standby_bed_assert_same(*state, 3, 1, "r0");
}

static void states_and_metrics_come_along(void **state)
{
	struct fedmem_metric metrics[8];
	struct fedmem_state s;
	uint32_t slot;

	played_report(&case_server(state, 1)->played, 40, case_first, 7);
	played_report(&case_server(state, 1)->played, 40, case_first, 7);
	standby_bed_map(*state, "r0", 3, 1, second);
	standby_bed_wait_restored(*state, 3, 1);
	assert_int_equal(fedmem_find_by_id(case_server(state, 3)->played.fm, 40, &slot), 0);
	assert_int_equal(fedmem_state_read(case_server(state, 3)->played.fm, slot, &s, metrics), 0);
	assert_int_equal(s.token.generation, 2);
	assert_int_equal(s.n_reports, 2);
	assert_int_equal(s.n_metrics, 7);
	for (uint32_t i = 0; i < 7; i++) {
		double value;

		memcpy(&value, &metrics[i].value, sizeof(value));
		assert_true(value == metrics[i].id + 0.5);
	}
}

struct fetched {
	bool is_done;
	bool is_known, is_from_memory;
	uint32_t n_alarms;
	char why[64];
};

static void on_fetched(void *user, enum rpc_status status, const char *why, const uint8_t *bytes,
		       size_t n)
{
	struct fetched *f = user;
	struct wire_cell_records *r;

	f->is_done = true;
	assert_int_equal(status, RPC_OK);
	assert_int_equal(wire_cell_records_unpack(bytes, n, &r), 0);
	f->is_known = r->is_known;
	f->is_from_memory = r->is_from_memory;
	f->n_alarms = r->n_alarms;
	snprintf(f->why, sizeof(f->why), "%s", r->why);
	wire_free(r);
}

static bool is_fetched(void *user)
{
	const struct fetched *f = user;

	return f->is_done;
}

static struct fetched fetch(void **state, uint16_t by, uint16_t of, struct wire_token token)
{
	const struct wire_fetch_cell_request m = {.cell = "r0", .token = token};
	struct fetched f = {0};
	struct wire_bytes bytes;

	assert_int_equal(wire_fetch_cell_request_pack(&m, &bytes), 0);
	assert_int_equal(cluster_call(case_server(state, by)->played.cluster, of, "FetchCell",
				      bytes.bytes, bytes.n, 1000, on_fetched, &f),
			 0);
	wire_bytes_free(&bytes);
	standby_bed_wait(*state, is_fetched, &f);
	return f;
}

static void the_memory_is_given_out_only_when_its_worker_has_stopped(void **state)
{
	struct fetched f;

	standby_bed_alarm(*state, 1, 10, "port 1", FEDMEM_MAJOR);
	f = fetch(state, 3, 1, (struct wire_token){2, 2});
	assert_false(f.is_known);
	assert_string_equal(f.why, "not yet: the token is not known here");
	/* The worker of server 1 does not look at its cells for a while; it is not silent. */
	case_server(state, 1)->is_dp_stopped = true;
	fedmem_dp_beat(case_server(state, 1)->played.writer, core_now_ns() + 60000000000);
	standby_bed_map_one(*state, 1, "r0", 3, 1, second);
	f = fetch(state, 3, 1, (struct wire_token){2, 2});
	assert_false(f.is_known);
	assert_string_equal(f.why, "not yet: the data plane still applies");
	case_server(state, 1)->is_dp_stopped = false;
	standby_bed_turn(*state, 5);
	f = fetch(state, 3, 1, (struct wire_token){2, 2});
	assert_true(f.is_known);
	assert_true(f.is_from_memory);
	assert_int_equal(f.n_alarms, 1);
	f = fetch(state, 3, 1, (struct wire_token){1, 1});
	assert_false(f.is_known);
	assert_string_equal(f.why, "the cell has a newer token");
}

static void an_owner_that_does_not_answer_costs_half_a_second_not_the_alarms(void **state)
{
	char *were;

	case_history(state);
	were = standby_bed_memory(*state, 1, "r0");
	/* It never learns of the new map. */
	standby_bed_map_one(*state, 2, "r0", 2, 3, second);
	standby_bed_map_one(*state, 3, "r0", 2, 3, second);
	standby_bed_wait_restored(*state, 2, 1);
	case_assert_restored(state, were, 2);
}

static void an_element_takes_its_alarms_into_its_new_cell(void **state)
{
	char *are;

	standby_bed_map(*state, "r1", 2, 3, case_first);
	standby_bed_wait_restored(*state, 2, 1);
	standby_bed_alarm(*state, 1, 40, "port 1", FEDMEM_MAJOR);
	standby_bed_alarm(*state, 1, 40, "port 1", FEDMEM_MAJOR);
	case_wait_done(state, 1);
	standby_bed_move(*state, 40, "r1");
	standby_bed_wait_restored(*state, 2, 2);
	are = standby_bed_memory(*state, 2, "r1");
	assert_non_null(strstr(are, "40 link port 1 raised severity=4"));
	assert_non_null(strstr(are, "count=2"));
	free(are);
	standby_bed_wait_whole(*state, 2, "r1");
	standby_bed_assert_same(*state, 2, 2, "r1");
	standby_bed_assert_same(*state, 2, 3, "r1");
}

static void an_element_between_two_cells_of_one_server_keeps_its_alarms(void **state)
{
	char *are;

	standby_bed_map(*state, "r1", 1, 3, case_first);
	standby_bed_wait_restored(*state, 1, 2);
	standby_bed_alarm(*state, 1, 40, "port 1", FEDMEM_MAJOR);
	case_wait_done(state, 1);
	standby_bed_map(*state, "r1", 1, 3, second); /* of another token than "r0" */
	standby_bed_wait_restored(*state, 1, 3);
	standby_bed_move(*state, 40, "r1");
	standby_bed_wait_restored(*state, 1, 4);
	are = standby_bed_memory(*state, 1, "r1");
	assert_non_null(strstr(are, "40 link port 1 raised severity=4"));
	free(are);
}

#define T(name) cmocka_unit_test_setup_teardown(name, bed_open, case_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_move_takes_the_memory_of_the_owner_until_now),
		T(states_and_metrics_come_along),
		T(the_memory_is_given_out_only_when_its_worker_has_stopped),
		T(an_owner_that_does_not_answer_costs_half_a_second_not_the_alarms),
		T(an_element_takes_its_alarms_into_its_new_cell),
		T(an_element_between_two_cells_of_one_server_keeps_its_alarms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
