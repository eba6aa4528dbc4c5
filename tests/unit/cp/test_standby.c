/* Sending a cell's changes to its standby, and storing them there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/cp/standby_case.h"

static const struct fedmem_token second = {1, 2};

static int bed_open(void **state)
{
	case_open(state, 12); /* e10, e40, e70 and e100 are in "r0" */
	return 0;
}

static bool is_archive_waited_for(void *user)
{
	const struct bed_server *s = user;

	return fake_archive_waiting(s->archive) > 0;
}

/* ---- Changes ---- */

static void a_change_is_done_when_the_standby_has_it_on_disk(void **state)
{
	fake_archive_hold(case_server(state, 2)->archive, true);
	standby_bed_alarm(*state, 1, 10, "port 1", FEDMEM_MAJOR);
	standby_bed_wait(*state, is_archive_waited_for, case_server(state, 2));
	standby_bed_turn(*state, 50);
	assert_int_equal(case_server(state, 1)->n_done, 0);
	fake_archive_hold(case_server(state, 2)->archive, false);
	case_wait_done(state, 1);
	assert_int_equal(case_server(state, 1)->n_degraded, 0);
	standby_bed_assert_same(*state, 1, 2, "r0");
	assert_int_equal(standby_bed_events(*state, 2, 1), 1);
}

static void changes_arrive_in_their_order_and_once(void **state)
{
	for (int i = 0; i < 100; i++) {
		standby_bed_alarm(*state, 1, 10, "port 1", FEDMEM_MAJOR);
		standby_bed_alarm(*state, 1, 40, "port 1", FEDMEM_MINOR);
		standby_bed_alarm(*state, 1, 10, "port 1", FEDMEM_CLEARED);
		if (i % 10 == 0)
			standby_bed_turn(*state, 1);
		/* What is sent again stays ahead of what came meanwhile. */
		if (i % 50 == 20)
			fake_calls_fate(case_server(state, 1)->played.cluster, 2, FAKE_CALLS_FAIL);
		if (i % 50 == 40)
			fake_calls_fate(case_server(state, 1)->played.cluster, 2, FAKE_CALLS_GO);
	}
	standby_bed_alarm(*state, 1, 10, "port 1", FEDMEM_WARNING);
	case_wait_done(state, 1);
	assert_int_equal(case_server(state, 1)->n_degraded, 0);
	standby_bed_assert_same(*state, 1, 2, "r0");
	assert_int_equal(standby_bed_events(*state, 2, 1), 301);
	/* Far fewer calls than changes: what waits goes together. */
	assert_true(fake_calls_made(case_server(state, 1)->played.cluster, 2) < 100);
}

static void a_repeat_after_a_lost_answer_doubles_nothing(void **state)
{
	fake_calls_fate(case_server(state, 1)->played.cluster, 2, FAKE_CALLS_LOSE_ANSWER);
	standby_bed_alarm(*state, 1, 10, "port 1", FEDMEM_MAJOR);
	standby_bed_turn(*state, 100);
	fake_calls_fate(case_server(state, 1)->played.cluster, 2, FAKE_CALLS_GO);
	case_wait_done(state, 1);
	assert_int_equal(case_server(state, 1)->n_degraded, 0);
	standby_bed_assert_same(*state, 1, 2, "r0");
	assert_int_equal(standby_bed_events(*state, 2, 1), 1);
}

static void what_is_sent_again_stays_ahead_of_what_came_meanwhile(void **state)
{
	struct bed_server *owner = case_server(state, 1), *standby = case_server(state, 2);

	fake_calls_fate(owner->played.cluster, 2, FAKE_CALLS_LOSE_ANSWER);
	fake_archive_hold(standby->archive, true);
	standby_bed_alarm(*state, 1, 10, "port 1", FEDMEM_MAJOR);
	standby_bed_wait(*state, is_archive_waited_for, standby);
	standby_bed_alarm(*state, 1, 10, "port 1", FEDMEM_CLEARED);
	fake_calls_fate(owner->played.cluster, 2, FAKE_CALLS_GO);
	fake_archive_hold(standby->archive, false);
	case_wait_done(state, 1);
	assert_int_equal(owner->n_degraded, 0);
	standby_bed_assert_same(*state, 1, 2, "r0");
}

/* ---- Gaps and copies ---- */

static void a_standby_that_was_away_gets_exactly_what_the_owner_has(void **state)
{
	for (uint64_t e = 10; e <= 100; e += 30)
		standby_bed_alarm(*state, 1, e, "port 1", FEDMEM_MAJOR);
	case_wait_done(state, 1);

	fake_calls_fate(case_server(state, 1)->played.cluster, 2, FAKE_CALLS_FAIL);
	standby_bed_alarm(*state, 1, 10, "port 1", FEDMEM_CLEARED);
	standby_bed_alarm(*state, 1, 40, "port 2", FEDMEM_MINOR);
	case_wait_done(state, 1);
	assert_int_equal(case_server(state, 1)->n_degraded, 2);
	assert_false(standby_is_whole(case_server(state, 1)->standby, "r0"));
	/* Nobody waits for one that is known to be away. */
	standby_bed_alarm(*state, 1, 70, "port 2", FEDMEM_MINOR);
	assert_int_equal(case_server(state, 1)->n_degraded, 3);

	fake_calls_fate(case_server(state, 1)->played.cluster, 2, FAKE_CALLS_GO);
	standby_bed_wait_whole(*state, 1, "r0");
	standby_bed_assert_same(*state, 1, 2, "r0");
	assert_int_equal(standby_bed_events(*state, 2, 1), standby_bed_events(*state, 1, 1));
}

static void events_that_an_earlier_life_of_the_owner_sent_to_nobody_come_with_the_copy(void **state)
{
	fake_calls_fate(case_server(state, 1)->played.cluster, 2, FAKE_CALLS_FAIL);
	standby_bed_alarm(*state, 1, 10, "port 1", FEDMEM_MAJOR);
	standby_bed_alarm(*state, 1, 40, "port 1", FEDMEM_MAJOR);
	case_wait_done(state, 1);
	standby_bed_kill(*state, 1);
	standby_bed_start(*state, 1);
	fake_calls_fate(case_server(state, 1)->played.cluster, 2, FAKE_CALLS_GO);
	standby_bed_wait_whole(*state, 1, "r0");
	assert_int_equal(standby_bed_events(*state, 1, 1), 2);
	assert_int_equal(standby_bed_events(*state, 2, 1), 2);
}

static uint32_t n_lines(char *text)
{
	uint32_t n = 0;

	for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
		n++;
	free(text);
	return n;
}

static bool is_stray_gone(void *user)
{
	return n_lines(standby_bed_archive(user, 2, "r0")) == 1;
}

static void what_the_owner_does_not_have_is_given_up_with_the_copy(void **state)
{
	struct archive_batch *b = archive_batch(case_server(state, 2)->archive);
	const struct wire_stored_alarm stray = {.element_id = 40,
						.type = {(const uint8_t *)"link", 4},
						.state = FEDMEM_ALARM_RAISED,
						.severity = FEDMEM_MAJOR,
						.cell = "r0",
						.token = {1, 1}};

	assert_int_equal(archive_put_alarm(b, &stray), 0);
	assert_int_equal(archive_commit(case_server(state, 2)->archive, b, NULL, NULL), 0);
	standby_bed_alarm(*state, 1, 10, "port 1", FEDMEM_MAJOR);
	case_wait_done(state, 1);
	/* The standby's control plane starts anew, and gets a copy. */
	standby_bed_kill(*state, 2);
	standby_bed_start(*state, 2);
	standby_bed_wait(*state, is_stray_gone, *state);
	standby_bed_wait_whole(*state, 1, "r0");
	standby_bed_assert_same(*state, 1, 2, "r0");
	assert_true(case_sync(state, 2).is_complete);
}

static void the_sync_record_says_whole_only_from_the_end_of_a_copy_on(void **state)
{
	assert_true(case_sync(state, 2).is_complete);
	assert_false(case_sync(state, 2).is_owner);
	assert_true(case_sync(state, 1).is_complete);
	assert_true(case_sync(state, 1).is_owner);
	standby_bed_map(*state, "r0", 1, 3, case_first);
	standby_bed_wait_whole(*state, 1, "r0");
	standby_bed_alarm(*state, 1, 10, "port 1", FEDMEM_MAJOR);
	case_wait_done(state, 1);
	standby_bed_assert_same(*state, 1, 3, "r0");
	assert_true(case_sync(state, 3).is_complete);
}

/* ---- Copies of many pages ---- */

#define MANY 9000 /* elements, of which a third is in "r0": three pages */

static int many_open(void **state)
{
	case_open(state, MANY);
	return 0;
}

/* One alarm on each tenth element. */
static void many_alarms(void **state, const char *resource, uint8_t severity)
{
	for (uint64_t e = 10; e <= 10 * MANY; e += 300)
		standby_bed_alarm(*state, 1, e, resource, severity);
}

static bool is_first_page_stored(void *user)
{
	struct wire_cell_sync *sync = NULL;
	bool is_so = archive_sync(user, "r0", &sync) && !sync->is_complete;

	wire_free(sync);
	return is_so;
}

static void an_interrupted_copy_loses_no_alarm(void **state)
{
	struct bed_server *standby = case_server(state, 2);

	many_alarms(state, "port 1", FEDMEM_MAJOR);
	case_wait_done(state, 1);
	assert_int_equal(case_server(state, 1)->n_degraded, 0);
	assert_int_equal(n_lines(standby_bed_archive(*state, 2, "r0")), MANY / 30);

	standby_bed_kill(*state, 2);
	standby_bed_start(*state, 2);
	fake_archive_refuse(standby->archive, 1, UINT32_MAX);
	standby_bed_wait(*state, is_first_page_stored, standby->archive);
	standby_bed_turn(*state, 100);
	assert_false(case_sync(state, 2).is_complete);
	assert_int_equal(n_lines(standby_bed_archive(*state, 2, "r0")), MANY / 30);
	standby_bed_assert_same(*state, 1, 2, "r0");

	fake_archive_refuse(standby->archive, 0, 0);
	standby_bed_wait_whole(*state, 1, "r0");
	standby_bed_assert_same(*state, 1, 2, "r0");
	assert_true(case_sync(state, 2).is_complete);
}

static void a_new_standby_gets_every_page(void **state)
{
	many_alarms(state, "port 1", FEDMEM_MAJOR);
	case_wait_done(state, 1);
	/* What was kept under another token is void. */
	played_alarm(&case_server(state, 1)->played,
		     &(struct played_alarm){.element = 40,
					    .token = {7, 7},
					    .type = "link",
					    .resource = "old",
					    .severity = FEDMEM_MAJOR});
	standby_bed_map(*state, "r0", 1, 3, case_first);
	standby_bed_wait_whole(*state, 1, "r0");
	assert_int_equal(n_lines(standby_bed_archive(*state, 3, "r0")), MANY / 30);
	standby_bed_assert_same(*state, 1, 3, "r0");
}

static void a_change_between_two_pages_is_not_lost(void **state)
{
	struct bed_server *standby = case_server(state, 2);

	many_alarms(state, "port 1", FEDMEM_MAJOR);
	case_wait_done(state, 1);
	standby_bed_kill(*state, 2);
	standby_bed_start(*state, 2);
	fake_archive_hold(standby->archive, true);
	standby_bed_wait(*state, is_archive_waited_for, standby);
	many_alarms(state, "port 1", FEDMEM_CLEARED);
	many_alarms(state, "port 2", FEDMEM_MINOR);
	fake_archive_hold(standby->archive, false);
	standby_bed_turn(*state, 1);
	many_alarms(state, "port 3", FEDMEM_WARNING);
	standby_bed_wait_whole(*state, 1, "r0");
	standby_bed_assert_same(*state, 1, 2, "r0");
	assert_int_equal(standby_bed_events(*state, 2, 1), case_server(state, 1)->n_events);
}

/* ---- Fencing ---- */

struct answer {
	bool is_done;
	enum rpc_status status;
	struct wire_replicate_answer a;
	char why[128];
};

static void on_answer(void *user, enum rpc_status status, const char *why, const uint8_t *bytes,
		      size_t n)
{
	struct answer *answer = user;
	struct wire_replicate_answer *a;

	answer->is_done = true;
	answer->status = status;
	if (status != RPC_OK)
		return;
	assert_int_equal(wire_replicate_answer_unpack(bytes, n, &a), 0);
	answer->a = *a;
	snprintf(answer->why, sizeof(answer->why), "%s", a->why);
	wire_free(a);
}

static bool is_answered(void *user)
{
	const struct answer *a = user;

	return a->is_done;
}

/* Server 'from' says to server 2 that e10 has an alarm. */
static struct answer replicate(void **state, uint16_t from, struct wire_token token)
{
	struct wire_stored_alarm alarm = {.element_id = 10,
					  .type = {(const uint8_t *)"forged", 6},
					  .state = FEDMEM_ALARM_RAISED,
					  .severity = FEDMEM_MAJOR,
					  .cell = "r0"};
	struct wire_replicate_request m = {
		.cell = "r0", .token = token, .alarms = &alarm, .n_alarms = 1};
	struct answer answer = {0};
	struct wire_bytes bytes;

	assert_int_equal(wire_replicate_request_pack(&m, &bytes), 0);
	assert_int_equal(cluster_call(case_server(state, from)->played.cluster, 2, "Replicate",
				      bytes.bytes, bytes.n, 1000, on_answer, &answer),
			 0);
	wire_bytes_free(&bytes);
	standby_bed_wait(*state, is_answered, &answer);
	assert_int_equal(answer.status, RPC_OK);
	return answer;
}

static void only_the_owner_under_the_token_that_is_known_is_stored(void **state)
{
	struct answer a;

	standby_bed_map_one(*state, 2, "r0", 1, 2, second);
	a = replicate(state, 1, (struct wire_token){1, 1});
	assert_false(a.a.is_stored);
	assert_string_equal(a.why, "the cell has a newer token");
	assert_int_equal(a.a.token.generation, 2);
	a = replicate(state, 1, (struct wire_token){1, 3});
	assert_false(a.a.is_stored);
	assert_string_equal(a.why, "not yet: the token is not known here");
	a = replicate(state, 3, (struct wire_token){1, 2});
	assert_false(a.a.is_stored);
	assert_string_equal(a.why, "not from the cell's owner");
	assert_int_equal(n_lines(standby_bed_archive(*state, 2, "r0")), 0);
	a = replicate(state, 1, (struct wire_token){1, 2});
	assert_true(a.a.is_stored);
	assert_true(a.a.is_copy_wanted); /* all of it is of an older token */
	assert_int_equal(n_lines(standby_bed_archive(*state, 2, "r0")), 1);
}

static void who_has_just_lost_the_cell_is_not_stored_any_more(void **state)
{
	struct answer a;

	/* Server 2 knows already that it is the owner, server 1 does not. */
	standby_bed_map_one(*state, 2, "r0", 2, 1, second);
	a = replicate(state, 1, (struct wire_token){1, 1});
	assert_false(a.a.is_stored);
	a = replicate(state, 1, (struct wire_token){1, 2});
	assert_false(a.a.is_stored);
	assert_int_equal(n_lines(standby_bed_archive(*state, 2, "r0")), 0);
}

static void what_was_overtaken_is_refused(void **state)
{
	struct answer a;

	standby_bed_alarm(*state, 1, 10, "port 1", FEDMEM_MAJOR);
	case_wait_done(state, 1);
	fake_calls_delay(case_server(state, 1)->played.cluster, 1);
	a = replicate(state, 1, (struct wire_token){1, 1});
	assert_false(a.a.is_stored);
	assert_string_equal(a.why, "out of order");
	standby_bed_assert_same(*state, 1, 2, "r0");
}

static void a_token_that_is_not_known_yet_is_waited_for(void **state)
{
	standby_bed_map_one(*state, 1, "r0", 1, 2, second);
	standby_bed_wait_restored(*state, 1, 2);
	standby_bed_turn(*state, 100);
	assert_false(standby_is_whole(case_server(state, 1)->standby, "r0"));
	standby_bed_map_one(*state, 2, "r0", 1, 2, second);
	standby_bed_wait_whole(*state, 1, "r0");
	assert_int_equal(case_sync(state, 2).token.generation, 2);
}

/* ---- The callback ---- */

static void without_a_standby_it_is_said_at_once(void **state)
{
	standby_bed_map(*state, "r0", 1, 0, case_first);
	standby_bed_alarm(*state, 1, 10, "port 1", FEDMEM_MAJOR);
	assert_int_equal(case_server(state, 1)->n_done, 1);
	assert_int_equal(case_server(state, 1)->n_degraded, 1);
	standby_send(case_server(state, 1)->standby, "no cell of ours",
		     &(struct wire_replicate_request){0}, NULL, NULL);
}

static void what_waits_at_the_end_is_told_so_once(void **state)
{
	fake_archive_hold(case_server(state, 2)->archive, true);
	for (int i = 0; i < 10; i++)
		standby_bed_alarm(*state, 1, 10, "port 1", i % 2 ? FEDMEM_CLEARED : FEDMEM_MAJOR);
	standby_bed_wait(*state, is_archive_waited_for, case_server(state, 2));
	for (int i = 0; i < 10; i++)
		standby_bed_alarm(*state, 1, 10, "port 1", i % 2 ? FEDMEM_CLEARED : FEDMEM_MAJOR);
	assert_int_equal(case_server(state, 1)->n_done, 0);
	standby_bed_kill(*state, 1);
	assert_int_equal(case_server(state, 1)->n_done, 20);
	assert_int_equal(case_server(state, 1)->n_degraded, 20);
}

static void what_no_memory_was_left_for_comes_with_a_copy(void **state)
{
	played_alarm(&case_server(state, 1)->played,
		     &(struct played_alarm){.element = 10,
					    .token = case_first,
					    .type = "link",
					    .resource = "port 1",
					    .severity = FEDMEM_MAJOR});
	standby_send(case_server(state, 1)->standby, "r0", &(struct wire_replicate_request){0},
		     NULL, NULL);
	assert_false(standby_is_whole(case_server(state, 1)->standby, "r0"));
	standby_bed_wait_whole(*state, 1, "r0");
	standby_bed_assert_same(*state, 1, 2, "r0");
}

static void what_waits_is_bounded(void **state)
{
	static char text[4000];
	struct wire_event event = {.origin = 1,
				   .number = 1,
				   .kind = "raised",
				   .cell = "r0",
				   .operator_name = "",
				   .request_id = "",
				   .text = memset(text, 'x', sizeof(text) - 1)};
	uint32_t n = 0;

	/* 'n_degraded' of the bed is not counted here: nobody is asked for the others. */
	fake_archive_hold(case_server(state, 2)->archive, true);
	while (standby_is_whole(case_server(state, 1)->standby, "r0") || n == 0 || n % 100 != 0) {
		for (int i = 0; i < 100; i++, n++, event.number++)
			standby_send(
				case_server(state, 1)->standby, "r0",
				&(struct wire_replicate_request){.events = &event, .n_events = 1},
				NULL, NULL);
	}
	for (; n < 2 * STANDBY_WAITING_BYTES / sizeof(text); n++, event.number++)
		standby_send(case_server(state, 1)->standby, "r0",
			     &(struct wire_replicate_request){.events = &event, .n_events = 1},
			     NULL, NULL);
	standby_bed_alarm(*state, 1, 10, "port 1", FEDMEM_MAJOR);
	assert_int_equal(case_server(state, 1)->n_degraded, 1);
	fake_archive_hold(case_server(state, 2)->archive, false);
	standby_bed_wait_whole(*state, 1, "r0");
	standby_bed_assert_same(*state, 1, 2, "r0");
}

#define T(name) cmocka_unit_test_setup_teardown(name, bed_open, case_close)
#define M(name) cmocka_unit_test_setup_teardown(name, many_open, case_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_change_is_done_when_the_standby_has_it_on_disk),
		T(changes_arrive_in_their_order_and_once),
		T(what_is_sent_again_stays_ahead_of_what_came_meanwhile),
		T(a_repeat_after_a_lost_answer_doubles_nothing),
		T(a_standby_that_was_away_gets_exactly_what_the_owner_has),
		T(events_that_an_earlier_life_of_the_owner_sent_to_nobody_come_with_the_copy),
		T(what_the_owner_does_not_have_is_given_up_with_the_copy),
		T(the_sync_record_says_whole_only_from_the_end_of_a_copy_on),
		M(an_interrupted_copy_loses_no_alarm),
		M(a_new_standby_gets_every_page),
		M(a_change_between_two_pages_is_not_lost),
		T(only_the_owner_under_the_token_that_is_known_is_stored),
		T(who_has_just_lost_the_cell_is_not_stored_any_more),
		T(what_was_overtaken_is_refused),
		T(a_token_that_is_not_known_yet_is_waited_for),
		T(without_a_standby_it_is_said_at_once),
		T(what_waits_at_the_end_is_told_so_once),
		T(what_no_memory_was_left_for_comes_with_a_copy),
		T(what_waits_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
