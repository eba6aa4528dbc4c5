/* What an earlier owner knew, put into the memory of the new one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/apply_case.h"

static struct fedmem_inject inject_of(uint64_t id, uint8_t kind)
{
	return (struct fedmem_inject){.kind = kind, .element_id = id, .token = {1, 1}};
}

/* An alarm that an earlier owner held: raised at 100, seen 7 times, last by report 20 of boot 3. */
static struct fedmem_inject earlier_alarm(const char *resource)
{
	struct fedmem_inject i = inject_of(OURS, FEDMEM_INJECT_ALARM);

	i.alarm = (struct fedmem_alarm){
		.state = FEDMEM_ALARM_RAISED,
		.severity = FEDMEM_MAJOR,
		.raised_ns = 100,
		.changed_ns = 150,
		.last_ns = 170,
		.count = 7,
		.boot = 3,
		.sequence = 20,
		.type = "link-down",
		.text = "as it was",
	};
	memcpy(i.alarm.resource, resource, strlen(resource));
	return i;
}

static struct fedmem_inject earlier_state(void)
{
	struct fedmem_inject i = inject_of(OURS, FEDMEM_INJECT_STATE);

	i.state = (struct fedmem_state){
		.first_seen_ns = 50,
		.last_seen_ns = 170,
		.n_reports = 40,
		.n_gaps = 2,
		.boot = 3,
		.sequence = 20,
		.n_metrics = 2,
		.metric_ids = {1, 2},
		.metric_values = {11, 22},
	};
	return i;
}

/* Puts it in; it meets this fate and no other. */
static void restore(const struct fedmem_inject *i, enum stats_counter fate)
{
	static const enum stats_counter fates[] = {STATS_ALARM_RESTORED, STATS_STATE_RESTORED,
						   STATS_RESTORE_REFUSED, STATS_RESTORE_FULL};
	struct stats before = apply_case.stats;

	apply_restore(apply_case.apply, i);
	for (size_t k = 0; k < sizeof(fates) / sizeof(fates[0]); k++)
		assert_int_equal(apply_case.stats.n[fates[k]] - before.n[fates[k]],
				 fates[k] == fate);
}

static void set_restoring(bool is_restoring)
{
	apply_case.cells[CELL_OURS].is_restoring = is_restoring;
	assert_int_equal(apply_cells(apply_case.apply, apply_case.cells, N_CELLS), 0);
}

static void a_restored_alarm_has_its_times_and_count_and_is_no_event(void **state)
{
	struct fedmem_inject i = earlier_alarm("a");
	struct fedmem_alarm a;

	restore(&i, STATS_ALARM_RESTORED);
	a = case_alarm_of("a");
	assert_int_equal(a.state, FEDMEM_ALARM_RAISED);
	assert_int_equal(a.severity, FEDMEM_MAJOR);
	assert_int_equal(a.raised_ns, 100);
	assert_int_equal(a.changed_ns, 150);
	assert_int_equal(a.last_ns, 170);
	assert_int_equal(a.count, 7);
	assert_int_equal(a.change, 0);
	assert_string_equal(a.text, "as it was");
	assert_int_equal(a.element_id, OURS);
	assert_true(fedmem_token_equal(a.token, apply_case.cells[CELL_OURS].token));
	assert_int_equal(case_next_event(), 0);
	assert_int_equal(case_state(OURS).n_alarms, 1);
	assert_int_equal(case_state(OURS).worst, FEDMEM_MAJOR);
	assert_int_equal(apply_case.stats.n[STATS_ALARM_RAISED], 0);
}

static void what_is_put_in_twice_changes_nothing_the_second_time(void **state)
{
	struct fedmem_inject alarm = earlier_alarm("a"), s = earlier_state();
	struct fedmem_inject more = inject_of(OURS, FEDMEM_INJECT_METRICS);
	struct fedmem_state once;
	struct fedmem_alarm alarm_once;

	more.n_metrics = 2;
	more.metrics[0] = (struct fedmem_metric){5, 55};
	more.metrics[1] = (struct fedmem_metric){6, 66};
	case_with_metric(case_report(OURS, 3, 21), 1, 111);
	case_apply(); /* and something of this owner's time */
	restore(&s, STATS_STATE_RESTORED);
	restore(&more, STATS_STATE_RESTORED);
	restore(&alarm, STATS_ALARM_RESTORED);
	once = case_state(OURS);
	alarm_once = case_alarm_of("a");
	restore(&s, STATS_STATE_RESTORED);
	restore(&more, STATS_STATE_RESTORED);
	restore(&alarm, STATS_ALARM_RESTORED);
	once.seq = case_state(OURS).seq; /* how often it was opened */
	alarm_once.seq = case_alarm_of("a").seq;
	assert_memory_equal(&once, &(struct fedmem_state[]){case_state(OURS)}, sizeof(once));
	assert_memory_equal(&alarm_once, &(struct fedmem_alarm[]){case_alarm_of("a")},
			    sizeof(alarm_once));
	assert_int_equal(case_next_event(), 0);
}

static void a_restored_state_goes_on_where_the_earlier_owner_stood(void **state)
{
	struct fedmem_inject i = earlier_state();
	struct fedmem_state s;

	restore(&i, STATS_STATE_RESTORED);
	s = case_state(OURS);
	assert_int_equal(s.first_seen_ns, 50);
	assert_int_equal(s.last_seen_ns, 170);
	assert_int_equal(s.n_reports, 40);
	assert_int_equal(s.n_gaps, 2);
	assert_int_equal(case_metric(OURS, 2), 22);
	case_with_metric(case_report(OURS, 3, 20), 1, 1);
	case_assert_fate(STATS_REFUSED_STALE);
	case_with_metric(case_report(OURS, 3, 23), 1, 1);
	case_assert_fate(STATS_REPORT_APPLIED);
	assert_int_equal(case_state(OURS).n_gaps, 4);
	assert_int_equal(case_state(OURS).n_reports, 41);
}

static void what_came_under_this_token_is_newer_than_what_is_restored(void **state)
{
	struct fedmem_inject i = earlier_state();
	struct fedmem_state s;

	case_with_metric(case_report(OURS, 3, 25), 1, 111);
	case_apply();
	restore(&i, STATS_STATE_RESTORED);
	s = case_state(OURS);
	assert_int_equal(s.boot, 3);
	assert_int_equal(s.sequence, 25);
	assert_int_equal(s.first_seen_ns, 50);
	assert_int_equal(s.last_seen_ns, 1000);
	assert_int_equal(s.n_reports, 41);
	assert_int_equal(case_metric(OURS, 1), 111);
	assert_int_equal(case_metric(OURS, 2), 22);
	i.state.n_reports = 45; /* of the same owner, a newer copy */
	restore(&i, STATS_STATE_RESTORED);
	assert_int_equal(case_state(OURS).n_reports, 45);
}

static void of_an_alarm_that_is_there_only_its_beginning_and_count_are_restored(void **state)
{
	struct fedmem_inject i = earlier_alarm("a");
	struct fedmem_alarm a;

	case_with_alarm(case_report(OURS, 4, 1), "a", FEDMEM_CRITICAL, "now");
	case_assert_fate(STATS_REPORT_APPLIED);
	restore(&i, STATS_ALARM_RESTORED);
	a = case_alarm_of("a");
	assert_int_equal(a.raised_ns, 100);
	assert_int_equal(a.count, 7);
	assert_int_equal(a.severity, FEDMEM_CRITICAL);
	assert_int_equal(a.changed_ns, 1000);
	assert_int_equal(a.boot, 4);
	assert_string_equal(a.text, "now");
	assert_int_equal(case_state(OURS).n_alarms, 1);
	assert_int_equal(case_state(OURS).worst, FEDMEM_CRITICAL);
}

static void an_alarm_that_was_cleared_meanwhile_stays_cleared(void **state)
{
	struct fedmem_inject i = earlier_alarm("a");
	struct fedmem_alarm a;

	case_alarm(3, 22, "a", FEDMEM_CLEARED, STATS_REPORT_APPLIED);
	restore(&i, STATS_ALARM_RESTORED);
	a = case_alarm_of("a");
	assert_int_equal(a.state, FEDMEM_ALARM_GONE);
	assert_int_equal(a.severity, FEDMEM_MAJOR);
	assert_int_equal(a.raised_ns, 100);
	assert_int_equal(case_state(OURS).n_alarms, 0);
}

static void an_earlier_raise_that_is_over_says_nothing_of_the_present_one(void **state)
{
	struct fedmem_inject i = earlier_alarm("a");

	i.alarm.state = FEDMEM_ALARM_GONE;
	case_alarm(3, 22, "a", FEDMEM_MINOR, STATS_REPORT_APPLIED);
	restore(&i, STATS_ALARM_RESTORED);
	assert_int_equal(case_alarm_of("a").state, FEDMEM_ALARM_RAISED);
	assert_int_equal(case_alarm_of("a").raised_ns, 1000);
	assert_int_equal(case_alarm_of("a").count, 1);
}

static void a_report_that_the_earlier_owner_applied_counts_once(void **state)
{
	struct fedmem_inject alarm = earlier_alarm("a"), s = earlier_state();

	restore(&s, STATS_STATE_RESTORED);
	restore(&alarm, STATS_ALARM_RESTORED);
	case_alarm(3, 20, "a", FEDMEM_MAJOR, STATS_REFUSED_STALE); /* the peer sent it again */
	assert_int_equal(case_alarm_of("a").count, 7);
	case_alarm(3, 21, "a", FEDMEM_MAJOR, STATS_REPORT_APPLIED);
	assert_int_equal(case_alarm_of("a").count, 8);
	assert_int_equal(case_next_event(), 0);
	case_alarm(3, 22, "a", FEDMEM_CLEARED, STATS_REPORT_APPLIED);
	assert_int_equal(case_next_event(), FEDMEM_EV_CLEARED);
}

static void only_what_is_of_this_servers_cell_and_token_is_put_in(void **state)
{
	struct fedmem_inject i = earlier_alarm("a");

	i.token.generation = 2;
	restore(&i, STATS_RESTORE_REFUSED);
	i = earlier_alarm("a");
	i.element_id = 99;
	restore(&i, STATS_RESTORE_REFUSED);
	i.element_id = THEIRS;
	i.token = apply_case.cells[CELL_THEIRS].token;
	restore(&i, STATS_RESTORE_REFUSED);
	i.element_id = NOBODYS;
	i.token = apply_case.cells[CELL_NOBODYS].token;
	restore(&i, STATS_RESTORE_REFUSED);
	assert_int_equal(fedmem_alarms_used(apply_case.fm), 0);
}

static void what_makes_no_sense_is_refused(void **state)
{
	struct fedmem_inject i = earlier_alarm("a");

	i.kind = 0;
	restore(&i, STATS_RESTORE_REFUSED);
	i.kind = 255;
	restore(&i, STATS_RESTORE_REFUSED);
	i = earlier_alarm("a");
	i.alarm.severity = FEDMEM_CRITICAL + 1;
	restore(&i, STATS_RESTORE_REFUSED);
	i.alarm.severity = FEDMEM_CLEARED;
	restore(&i, STATS_RESTORE_REFUSED);
	i.alarm.severity = FEDMEM_MINOR;
	i.alarm.state = FEDMEM_ALARM_FREE;
	restore(&i, STATS_RESTORE_REFUSED);
	i.alarm.state = 200;
	restore(&i, STATS_RESTORE_REFUSED);
	i = earlier_alarm("a");
	i.alarm.type[0] = '\0';
	restore(&i, STATS_RESTORE_REFUSED);
	i = inject_of(OURS, FEDMEM_INJECT_METRICS);
	i.n_metrics = FEDMEM_INJECT_METRICS_MAX + 1;
	restore(&i, STATS_RESTORE_REFUSED);
	i = earlier_state();
	i.state.n_metrics = 255; /* what lies beside the record comes by itself */
	restore(&i, STATS_STATE_RESTORED);
	assert_int_equal(case_state(OURS).n_metrics, 3); /* 1, 2 and 0 */
}

static void texts_that_fill_their_fields_are_restored_whole(void **state)
{
	struct fedmem_inject i = earlier_alarm("");
	struct fedmem_alarm a;

	memset(i.alarm.type, 't', sizeof(i.alarm.type));
	memset(i.alarm.resource, 'r', sizeof(i.alarm.resource));
	memset(i.alarm.qualifier, 'q', sizeof(i.alarm.qualifier));
	memset(i.alarm.text, 'x', sizeof(i.alarm.text));
	restore(&i, STATS_ALARM_RESTORED);
	assert_int_equal(fedmem_alarm_read(apply_case.fm, 0, &a), 0);
	assert_memory_equal(a.type, i.alarm.type,
			    sizeof(a.type) + sizeof(a.resource) + sizeof(a.qualifier) +
				    sizeof(a.text));
}

static void without_room_it_is_counted_and_the_rest_stays(void **state)
{
	struct fedmem_inject i = earlier_state();
	char resource[] = "a";

	for (; resource[0] < 'e'; resource[0]++) {
		i = earlier_alarm(resource);
		restore(&i, STATS_ALARM_RESTORED);
	}
	i = earlier_alarm("e");
	restore(&i, STATS_RESTORE_FULL);
	assert_int_equal(case_state(OURS).n_alarms, 4);

	i = inject_of(OURS, FEDMEM_INJECT_METRICS);
	i.n_metrics = 7; /* of six */
	for (uint32_t k = 0; k < 7; k++)
		i.metrics[k] = (struct fedmem_metric){k, k};
	restore(&i, STATS_RESTORE_FULL);
	assert_int_equal(case_state(OURS).n_metrics, 6);
	assert_int_equal(case_metric(OURS, 5), 5);
}

/* ---- While it is being restored ---- */

static void alarms_go_to_the_relay_and_metrics_are_applied(void **state)
{
	set_restoring(true);
	case_with_metric(case_report(OURS, 0, 0), 1, 1);
	case_with_alarm(case_report(OURS, 0, 0), "a", FEDMEM_MAJOR, "");
	assert_int_equal(case_apply(), APPLY_APPLIED);
	assert_int_equal(apply_case.stats.n[STATS_REPORT_APPLIED], 1);
	assert_int_equal(apply_case.n_given, 1);
	assert_int_equal(apply_case.given[0].bitmap, 2);
	assert_int_equal(apply_case.given[0].cell, CELL_OURS);
	assert_true(apply_case.given[0].is_alarm);
	assert_int_equal(fedmem_alarms_used(apply_case.fm), 0);
	set_restoring(false);
	case_alarm(0, 0, "a", FEDMEM_MAJOR, STATS_REPORT_APPLIED);
}

static void a_relayed_alarm_stays_with_its_peer_and_all_that_came_with_it(void **state)
{
	set_restoring(true);
	case_with_metric(case_report(OURS, 0, 0), 1, 1);
	case_with_alarm(case_report(OURS, 0, 0), "a", FEDMEM_MAJOR, "");
	assert_int_equal(case_apply_relayed(UINT64_MAX, true), APPLY_NOT_OWNER);
	assert_int_equal(apply_case.stats.n[STATS_REFUSED_NOT_OWNER], 2);
	assert_int_equal(apply_case.stats.n[STATS_REPORT_APPLIED], 0);
	assert_int_equal(apply_case.n_given, 0);
	case_with_metric(case_report(OURS, 0, 0), 1, 1);
	assert_int_equal(case_apply_relayed(UINT64_MAX, true), APPLY_APPLIED);
}

/* The peer put them into one message when they were in one cell. */
static void relayed_alarms_of_two_cells_are_taken_over_both_or_none(void **state)
{
	case_with_alarm(case_report(OURS, 0, 0), "a", FEDMEM_MAJOR, "");
	case_with_alarm(case_report(THEIRS, 0, 0), "b", FEDMEM_MAJOR, "");
	assert_int_equal(case_apply_relayed(UINT64_MAX, true), APPLY_NOT_OWNER);
	assert_int_equal(apply_case.stats.n[STATS_REFUSED_NOT_OWNER], 2);
	assert_int_equal(fedmem_alarms_used(apply_case.fm), 0);
}

int main(void)
{
#define CLAIM(f) cmocka_unit_test_setup_teardown(f, case_start, case_stop)
	const struct CMUnitTest tests[] = {
		CLAIM(a_restored_alarm_has_its_times_and_count_and_is_no_event),
		CLAIM(what_is_put_in_twice_changes_nothing_the_second_time),
		CLAIM(a_restored_state_goes_on_where_the_earlier_owner_stood),
		CLAIM(what_came_under_this_token_is_newer_than_what_is_restored),
		CLAIM(of_an_alarm_that_is_there_only_its_beginning_and_count_are_restored),
		CLAIM(an_alarm_that_was_cleared_meanwhile_stays_cleared),
		CLAIM(an_earlier_raise_that_is_over_says_nothing_of_the_present_one),
		CLAIM(a_report_that_the_earlier_owner_applied_counts_once),
		CLAIM(only_what_is_of_this_servers_cell_and_token_is_put_in),
		CLAIM(what_makes_no_sense_is_refused),
		CLAIM(texts_that_fill_their_fields_are_restored_whole),
		CLAIM(without_room_it_is_counted_and_the_rest_stays),
		CLAIM(alarms_go_to_the_relay_and_metrics_are_applied),
		CLAIM(a_relayed_alarm_stays_with_its_peer_and_all_that_came_with_it),
		CLAIM(relayed_alarms_of_two_cells_are_taken_over_both_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
