/* What a server that gets a dead owner's cell knows of it before it applies alarms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cp/core/core.h"
#include "tests/unit/cp/standby_case.h"

static const struct fedmem_token second = {2, 2}, third = {3, 3};

static int bed_open(void **state)
{
	case_open(state, 300);
	return 0;
}

/* ---- The owner is dead ---- */

static void a_take_over_restores_every_alarm_with_its_first_time_and_count(void **state)
{
	uint64_t begun_ms;
	char *were;

	case_history(state);
	were = standby_bed_memory(*state, 1, "r0");
	assert_non_null(strstr(were, "10 link port 1 gone"));
	assert_non_null(strstr(were, "40 link port 1 raised"));
	assert_non_null(strstr(were, "count=2"));
	case_fail_over(state, 1, 2, 3, second);
	begun_ms = core_now_ms();
	standby_bed_wait_restored(*state, 2, 1);
	print_message("# restored after %d ms\n", (int)(core_now_ms() - begun_ms));
	case_assert_restored(state, were, 2);
	assert_int_equal(case_server(state, 2)->n_partial, 0);
}

static void
what_was_restored_is_written_under_the_new_token_here_and_at_the_new_standby(void **state)
{
	case_history(state);
	case_fail_over(state, 1, 2, 3, second);
	standby_bed_wait_restored(*state, 2, 1);
	standby_bed_wait_whole(*state, 2, "r0");
	standby_bed_assert_same(*state, 2, 2, "r0");
	standby_bed_assert_same(*state, 2, 3, "r0");
	assert_true(case_sync(state, 2).is_owner);
	assert_int_equal(case_sync(state, 2).token.generation, 2);
	assert_false(case_sync(state, 3).is_owner);
	assert_true(case_sync(state, 3).is_complete);
	assert_int_equal(case_sync(state, 3).token.generation, 2);
}

static void a_second_take_over_loses_nothing_either(void **state)
{
	char *were;

	case_history(state);
	case_fail_over(state, 1, 2, 3, second);
	standby_bed_wait_restored(*state, 2, 1);
	standby_bed_wait_whole(*state, 2, "r0");
	standby_bed_alarm(*state, 2, 40, "port 9", FEDMEM_MAJOR);
	case_wait_done(state, 2);
	were = standby_bed_memory(*state, 2, "r0");
	case_fail_over(state, 2, 3, 0, third);
	standby_bed_wait_restored(*state, 3, 1);
	case_assert_restored(state, were, 3);
	assert_int_equal(case_server(state, 3)->n_partial, 0);
}

static void what_the_old_owner_sends_late_does_not_come_back(void **state)
{
	char *were;

	standby_bed_alarm(*state, 1, 10, "port 1", FEDMEM_MAJOR);
	case_wait_done(state, 1);
	were = standby_bed_memory(*state, 1, "r0");
	/* Server 1 lives, hears nothing, and does not know the new map. */
	standby_bed_state(*state, 1, DETECTOR_FAILED);
	standby_bed_map_one(*state, 2, "r0", 2, 3, second);
	standby_bed_map_one(*state, 3, "r0", 2, 3, second);
	standby_bed_alarm(*state, 1, 40, "port 1", FEDMEM_MAJOR);
	standby_bed_wait_restored(*state, 2, 1);
	case_wait_done(state, 1);
	assert_int_equal(case_server(state, 1)->n_degraded, 1);
	standby_bed_wait_whole(*state, 2, "r0");
	case_assert_restored(state, were, 2);
	standby_bed_assert_same(*state, 2, 3, "r0");
}

static void notes_come_along(void **state)
{
	const struct wire_alarm_note note = {.element_id = 40,
					     .raised_ns = 5,
					     .time_ns = 7,
					     .type = {(const uint8_t *)"link", 4},
					     .resource = {(const uint8_t *)"port 1", 6},
					     .is_ack = true,
					     .operator_name = "ada",
					     .text = "on it",
					     .request_id = "r-1"};
	const struct wire_alarm_note *there;
	struct bed_server *owner = case_server(state, 1);

	standby_bed_alarm(*state, 1, 40, "port 1", FEDMEM_MAJOR);
	assert_int_equal(memory_note_put(owner->played.memory, &note), 0);
	standby_send(owner->standby, "r0",
		     &(struct wire_replicate_request){.notes = (struct wire_alarm_note *)&note,
						      .n_notes = 1},
		     NULL, NULL);
	standby_bed_wait_idle(*state, 1);
	case_fail_over(state, 1, 2, 3, second);
	standby_bed_wait_restored(*state, 2, 1);
	standby_bed_wait_whole(*state, 2, "r0");
	case_fail_over(state, 2, 3, 0, third);
	standby_bed_wait_restored(*state, 3, 1);
	there = memory_note_find(case_server(state, 3)->played.memory, 40, note.type, note.resource,
				 note.qualifier);
	assert_non_null(there);
	assert_string_equal(there->operator_name, "ada");
	assert_string_equal(there->text, "on it");
	assert_int_equal(there->raised_ns, 5);
}

/* ---- Nobody lives, or nobody is sure ---- */

static void memory_forget(struct bed_server *s)
{
	/* The segment is lost with the host: every record is of no token that counts. */
	for (uint64_t e = 10; e <= 3000; e += 10)
		played_report(&s->played, e, (struct fedmem_token){9, 9}, 0);
}

static void a_cold_start_restores_from_the_own_archive(void **state)
{
	char *were;

	case_history(state);
	standby_bed_wait_idle(*state, 1);
	were = standby_bed_memory(*state, 1, "r0");
	standby_bed_kill(*state, 1);
	memory_forget(case_server(state, 1));
	case_server(state, 1)->cells[0].is_restoring = 1;
	standby_bed_start(*state, 1);
	standby_bed_wait_restored(*state, 1, 2);
	case_assert_restored(state, were, 1);
	assert_int_equal(case_server(state, 1)->n_partial, 0);
}

static void an_archive_that_was_lost_is_written_again_from_the_memory(void **state)
{
	case_history(state);
	standby_bed_kill(*state, 1);
	fake_archive_lose(case_server(state, 1)->archive);
	standby_bed_start(*state, 1);
	standby_bed_wait_whole(*state, 1, "r0");
	standby_bed_assert_same(*state, 1, 1, "r0");
	standby_bed_assert_same(*state, 1, 2, "r0");
	assert_int_equal(case_server(state, 1)->n_restored, 1); /* nothing was to be restored */
	assert_true(case_sync(state, 1).is_owner);
}

static void an_owner_without_its_archive_gets_everything_from_its_standby(void **state)
{
	char *were;

	case_history(state);
	were = standby_bed_memory(*state, 1, "r0");
	standby_bed_kill(*state, 1);
	memory_forget(case_server(state, 1));
	fake_archive_lose(case_server(state, 1)->archive);
	case_server(state, 1)->cells[0].is_restoring = 1;
	standby_bed_start(*state, 1);
	standby_bed_wait_restored(*state, 1, 2);
	case_assert_restored(state, were, 1);
	assert_int_equal(case_server(state, 1)->n_partial, 0);
	standby_bed_wait_idle(*state, 1);
	standby_bed_assert_same(*state, 1, 1, "r0");
}

static void a_server_that_was_no_standby_asks_all_and_says_nothing_misses(void **state)
{
	char *were;

	case_history(state);
	were = standby_bed_memory(*state, 1, "r0");
	case_fail_over(state, 1, 3, 2, second);
	standby_bed_wait_restored(*state, 3, 1);
	case_assert_restored(state, were, 3);
	assert_int_equal(case_server(state, 3)->n_partial, 0); /* server 2 has a whole copy */
}

static void a_standby_that_is_not_sure_says_so(void **state)
{
	char *were;

	case_history(state);
	were = standby_bed_memory(*state, 1, "r0");
	/* It was started anew and heard nothing from the owner since. */
	fake_calls_fate(case_server(state, 1)->played.cluster, 2, FAKE_CALLS_FAIL);
	standby_bed_kill(*state, 2);
	standby_bed_start(*state, 2);
	case_fail_over(state, 1, 2, 3, second);
	standby_bed_wait_restored(*state, 2, 1);
	case_assert_restored(state, were, 2);
	assert_int_equal(case_server(state, 2)->n_partial, 1);
	assert_non_null(strstr(case_server(state, 2)->why, "since this server started"));
}

static bool is_silent_for_long(void *user)
{
	const uint64_t *since_ms = user;

	return core_now_ms() > *since_ms + STANDBY_SURE_MS;
}

static void a_standby_that_was_cut_off_for_long_says_so(void **state)
{
	uint64_t since_ms;
	char *were;

	case_history(state);
	were = standby_bed_memory(*state, 1, "r0");
	fake_calls_fate(case_server(state, 1)->played.cluster, 2, FAKE_CALLS_FAIL);
	since_ms = core_now_ms();
	standby_bed_wait(*state, is_silent_for_long, &since_ms);
	case_fail_over(state, 1, 2, 3, second);
	standby_bed_wait_restored(*state, 2, 1);
	case_assert_restored(state, were, 2);
	assert_int_equal(case_server(state, 2)->n_partial, 1);
	assert_non_null(strstr(case_server(state, 2)->why, "nothing came from the owner"));
}

static void an_owner_that_has_nothing_to_say_keeps_its_standby_sure(void **state)
{
	uint64_t since_ms;
	char *were;

	case_history(state);
	were = standby_bed_memory(*state, 1, "r0");
	since_ms = core_now_ms();
	standby_bed_wait(*state, is_silent_for_long, &since_ms);
	case_fail_over(state, 1, 2, 3, second);
	standby_bed_wait_restored(*state, 2, 1);
	case_assert_restored(state, were, 2);
	assert_int_equal(case_server(state, 2)->n_partial, 0);
}

static void the_newest_of_each_record_counts(void **state)
{
	char *were, *are;

	/* Server 2 has an old word, server 3 a newer one, of the same token; neither is whole. */
	standby_bed_alarm(*state, 1, 40, "port 1", FEDMEM_MAJOR);
	case_wait_done(state, 1);
	standby_bed_map(*state, "r0", 1, 3, case_first);
	standby_bed_wait_whole(*state, 1, "r0");
	standby_bed_alarm(*state, 1, 40, "port 1", FEDMEM_CLEARED);
	standby_bed_alarm(*state, 1, 70, "port 1", FEDMEM_MAJOR);
	case_wait_done(state, 1);
	were = standby_bed_memory(*state, 1, "r0");
	standby_bed_kill(*state, 3);
	standby_bed_start(*state, 3);
	case_fail_over(state, 1, 2, 3, third); /* two tokens on: no copy is the last owner's */
	standby_bed_wait_restored(*state, 2, 1);
	are = standby_bed_memory(*state, 2, "r0");
	assert_string_equal(are, were);
	free(are);
	free(were);
	assert_int_equal(case_server(state, 2)->n_partial, 1);
}

static void a_cell_that_nobody_had_is_there_at_once(void **state)
{
	standby_bed_map(*state, "r2", 3, 1, case_first);
	standby_bed_wait_restored(*state, 3, 1);
	assert_int_equal(case_server(state, 3)->n_partial, 0);
}

/* ---- Waiting for the data plane ---- */

static void a_data_plane_that_is_away_is_waited_for(void **state)
{
	char *were;

	case_history(state);
	were = standby_bed_memory(*state, 1, "r0");
	case_server(state, 2)->is_dp_stopped = true;
	case_fail_over(state, 1, 2, 3, second);
	standby_bed_turn(*state, 200);
	assert_int_equal(case_server(state, 2)->n_restored, 0);
	assert_false(standby_is_idle(case_server(state, 2)->standby));
	case_server(state, 2)->is_dp_stopped = false;
	standby_bed_wait_restored(*state, 2, 1);
	case_assert_restored(state, were, 2);
}

static void nothing_is_put_in_before_the_worker_follows_the_map(void **state)
{
	char *were;

	case_history(state);
	were = standby_bed_memory(*state, 1, "r0");
	case_server(state, 2)->is_dp_behind = true;
	case_fail_over(state, 1, 2, 3, second);
	standby_bed_turn(*state, 50);
	assert_int_equal(fedmem_injects_pushed(case_server(state, 2)->played.fm), 0);
	case_server(state, 2)->is_dp_behind = false;
	standby_bed_wait_restored(*state, 2, 1);
	case_assert_restored(state, were, 2);
}

static void a_cell_that_is_lost_again_is_given_up(void **state)
{
	char *were;

	case_history(state);
	were = standby_bed_memory(*state, 1, "r0");
	case_server(state, 2)->is_dp_stopped = true;
	case_fail_over(state, 1, 2, 3, second);
	standby_bed_turn(*state, 50);
	standby_bed_map(*state, "r0", 3, 2, third);
	standby_bed_wait_restored(*state, 3, 1);
	case_assert_restored(state, were, 3);
	case_server(state, 2)->is_dp_stopped = false;
	standby_bed_wait_whole(*state, 3, "r0");
	assert_int_equal(case_server(state, 2)->n_restored, 0);
	assert_true(standby_is_idle(case_server(state, 2)->standby));
}

#define T(name) cmocka_unit_test_setup_teardown(name, bed_open, case_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_take_over_restores_every_alarm_with_its_first_time_and_count),
		T(what_was_restored_is_written_under_the_new_token_here_and_at_the_new_standby),
		T(a_second_take_over_loses_nothing_either),
		T(what_the_old_owner_sends_late_does_not_come_back),
		T(notes_come_along),
		T(a_cold_start_restores_from_the_own_archive),
		T(an_archive_that_was_lost_is_written_again_from_the_memory),
		T(an_owner_without_its_archive_gets_everything_from_its_standby),
		T(a_server_that_was_no_standby_asks_all_and_says_nothing_misses),
		T(a_standby_that_is_not_sure_says_so),
		T(a_standby_that_was_cut_off_for_long_says_so),
		T(an_owner_that_has_nothing_to_say_keeps_its_standby_sure),
		T(the_newest_of_each_record_counts),
		T(a_cell_that_nobody_had_is_there_at_once),
		T(a_data_plane_that_is_away_is_waited_for),
		T(nothing_is_put_in_before_the_worker_follows_the_map),
		T(a_cell_that_is_lost_again_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
