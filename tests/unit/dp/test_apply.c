/* Whose a report is, and what becomes of its metrics and its sequence. */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/apply_case.h"

static void a_report_is_about_the_sender_when_it_names_no_element(void **state)
{
	case_with_metric(case_report(0, 0, 0), 7, 70);
	assert_int_equal(case_apply(), APPLY_APPLIED);
	assert_int_equal(case_metric(OURS, 7), 70);
	case_with_metric(case_report(0, 0, 0), 7, 71);
	assert_int_equal(case_apply_as((struct apply_datagram){.report_bitmap = 1}, 0, true),
			 APPLY_REFUSED);
	assert_int_equal(apply_case.stats.n[STATS_REFUSED_UNKNOWN_ELEMENT], 1);
}

static void an_element_outside_the_inventory_is_unknown(void **state)
{
	case_report(999, 0, 0);
	case_assert_fate(STATS_REFUSED_UNKNOWN_ELEMENT);
	assert_int_equal(fedmem_element_remove(apply_case.fm, 2), 0);
	case_report(2, 0, 0);
	case_assert_fate(STATS_REFUSED_UNKNOWN_ELEMENT);
}

static void a_notification_without_a_rule_is_refused_wherever_its_element_is(void **state)
{
	case_report(OURS, 0, 0)->is_unmapped = true;
	case_assert_fate(STATS_REFUSED_NO_RULE);
	case_report(THEIRS, 0, 0)->is_unmapped = true;
	case_assert_fate(STATS_REFUSED_NO_RULE);
	assert_int_equal(apply_case.n_given, 0);
}

static void without_the_lease_alarms_are_kept_and_metrics_refused(void **state)
{
	struct apply_datagram d = {.report_bitmap = UINT64_MAX};

	case_with_metric(case_report(OURS, 0, 0), 1, 1);
	assert_int_equal(case_apply_as(d, OURS, false), APPLY_REFUSED);
	assert_int_equal(apply_case.stats.n[STATS_REFUSED_NO_LEASE], 1);
	case_with_alarm(case_report(OURS, 0, 0), "a", FEDMEM_MAJOR, "");
	assert_int_equal(case_apply_as(d, OURS, false), APPLY_RELAYED);
	assert_int_equal(apply_case.n_given, 1);
	assert_int_equal(apply_case.given[0].cell, CELL_OURS);
	assert_true(apply_case.given[0].is_alarm);
	assert_int_equal(fedmem_alarms_used(apply_case.fm), 0);
}

static void in_a_cell_of_nobodys_alarms_are_kept_and_metrics_refused(void **state)
{
	case_with_metric(case_report(NOBODYS, 0, 0), 1, 1);
	case_assert_fate(STATS_REFUSED_NO_OWNER);
	assert_int_equal(apply_case.n_given, 0);
	case_with_alarm(case_report(NOBODYS, 0, 0), "a", FEDMEM_MAJOR, "");
	case_assert_fate(STATS_REPORT_RELAYED);
	assert_int_equal(apply_case.given[0].cell, CELL_NOBODYS);
}

static void a_cell_behind_the_table_is_nobodys(void **state)
{
	assert_int_equal(apply_cells(apply_case.apply, apply_case.cells, N_CELLS + 1), -E2BIG);
	assert_int_equal(apply_cells(apply_case.apply, apply_case.cells, 0), 0);
	case_with_metric(case_report(OURS, 0, 0), 1, 1);
	case_assert_fate(STATS_REFUSED_NO_OWNER);
}

static void reports_of_one_cell_go_to_the_relay_as_one_message(void **state)
{
	case_with_metric(case_report(THEIRS, 0, 0), 1, 1);
	case_with_metric(case_report(OURS, 0, 0), 1, 1);
	case_with_metric(case_report(THEIRS_2, 0, 0), 1, 1);
	case_with_alarm(case_report(THEIRS + 1, 0, 0), "a", FEDMEM_MAJOR, "");
	assert_int_equal(case_apply(), APPLY_APPLIED);
	assert_int_equal(apply_case.n_given, 2);
	assert_int_equal(apply_case.given[0].cell, CELL_THEIRS);
	assert_int_equal(apply_case.given[0].bitmap, 0x9);
	assert_true(apply_case.given[0].is_alarm);
	assert_int_equal(apply_case.given[1].cell, CELL_THEIRS_TOO);
	assert_int_equal(apply_case.given[1].bitmap, 0x4);
	assert_false(apply_case.given[1].is_alarm);
	assert_int_equal(apply_case.stats.n[STATS_REPORT_RELAYED], 3);
	assert_int_equal(apply_case.stats.n[STATS_REPORT_APPLIED], 1);
}

static void what_the_relay_does_not_take_is_refused_report_by_report(void **state)
{
	apply_case.is_refusing = true;
	case_report(THEIRS, 0, 0);
	case_report(THEIRS + 1, 0, 0);
	assert_int_equal(case_apply(), APPLY_REFUSED);
	assert_int_equal(apply_case.stats.n[STATS_REFUSED_RELAY], 2);
}

static void sixty_four_reports_meet_sixty_four_fates(void **state)
{
	for (uint64_t i = 0; i < REPORT_BATCH_MAX; i++)
		case_with_metric(case_report((uint64_t[]){OURS, THEIRS, NOBODYS, 999}[i % 4], 0, 0),
				 1, i);
	assert_int_equal(case_apply(), APPLY_APPLIED);
	assert_int_equal(apply_case.stats.n[STATS_REPORTS], 64);
	assert_int_equal(apply_case.stats.n[STATS_REPORT_APPLIED], 16);
	assert_int_equal(apply_case.stats.n[STATS_REPORT_RELAYED], 16);
	assert_int_equal(apply_case.given[0].bitmap, 0x2222222222222222u);
}

static void of_a_relayed_datagram_only_the_reports_meant_count(void **state)
{
	case_with_metric(case_report(OURS, 0, 0), 1, 1);
	case_with_metric(case_report(OURS, 0, 0), 1, 2);
	case_with_metric(case_report(OURS, 0, 0), 1, 3);
	assert_int_equal(case_apply_relayed(0x2, true), APPLY_APPLIED);
	assert_int_equal(apply_case.stats.n[STATS_REPORTS], 1);
	assert_int_equal(case_metric(OURS, 1), 2);
	case_report(OURS, 0, 0);
	assert_int_equal(case_apply_relayed(0, true), APPLY_REFUSED);
	assert_int_equal(apply_case.stats.n[STATS_REPORTS], 1);
}

static void a_relayed_report_is_never_relayed_again(void **state)
{
	case_with_alarm(case_report(THEIRS, 0, 0), "a", FEDMEM_MAJOR, "");
	assert_int_equal(case_apply_relayed(UINT64_MAX, true), APPLY_NOT_OWNER);
	case_with_alarm(case_report(NOBODYS, 0, 0), "a", FEDMEM_MAJOR, "");
	assert_int_equal(case_apply_relayed(UINT64_MAX, true), APPLY_NOT_OWNER);
	case_with_alarm(case_report(OURS, 0, 0), "a", FEDMEM_MAJOR, "");
	assert_int_equal(case_apply_relayed(UINT64_MAX, false), APPLY_NOT_OWNER);
	assert_int_equal(apply_case.stats.n[STATS_REFUSED_NOT_OWNER], 3);
	assert_int_equal(apply_case.n_given, 0);
	case_report(999, 0, 0);
	assert_int_equal(case_apply_relayed(UINT64_MAX, true), APPLY_REFUSED);
}

/* ---- Metrics and sequences ---- */

static void the_newest_metrics_win(void **state)
{
	struct fedmem_state s;

	case_with_metric(case_report(OURS, 5, 10), 1, 100);
	case_assert_fate(STATS_REPORT_APPLIED);
	case_with_metric(case_report(OURS, 5, 9), 1, 90);
	case_assert_fate(STATS_REFUSED_STALE);
	case_with_metric(case_report(OURS, 5, 10), 1, 91);
	case_assert_fate(STATS_REFUSED_STALE);
	case_with_metric(case_report(OURS, 4, 99), 1, 92);
	case_assert_fate(STATS_REFUSED_STALE);
	assert_int_equal(case_metric(OURS, 1), 100);
	s = case_state(OURS);
	assert_int_equal(s.n_reports, 1);
	assert_int_equal(s.first_seen_ns, 1000);
	assert_int_equal(s.last_seen_ns, 1000);

	case_with_metric(case_report(OURS, 6, 1), 1, 110); /* the source started again */
	case_assert_fate(STATS_REPORT_APPLIED);
	case_with_metric(case_report(OURS, 0, 0), 1, 120); /* in order of arrival */
	case_assert_fate(STATS_REPORT_APPLIED);
	assert_int_equal(case_metric(OURS, 1), 120);
	s = case_state(OURS);
	assert_int_equal(s.boot, 6);
	assert_int_equal(s.sequence, 1);
	assert_int_equal(s.last_seen_ns, apply_case.now_ns - 1);
}

static void a_report_of_nothing_is_applied_once(void **state)
{
	case_report(OURS, 1, 1);
	case_assert_fate(STATS_REPORT_APPLIED);
	case_report(OURS, 1, 1);
	case_assert_fate(STATS_REFUSED_STALE);
}

static void metrics_without_room_are_refused_unless_others_had_some(void **state)
{
	struct report *r = case_report(OURS, 1, 1);

	for (uint32_t id = 1; id <= 7; id++)
		case_with_metric(r, id, id);
	case_assert_fate(STATS_REPORT_APPLIED);
	case_with_metric(case_report(OURS, 1, 2), 7, 7);
	case_assert_fate(STATS_REFUSED_METRIC_TABLE_FULL);
	assert_int_equal(case_state(OURS).sequence, 2); /* it came, it is not missing */
	assert_int_equal(case_state(OURS).n_reports, 1);
}

static void missing_reports_are_counted_until_they_come(void **state)
{
	case_report(OURS, 1, 100);
	case_apply(); /* what was before is not known */
	assert_int_equal(case_state(OURS).n_gaps, 0);
	case_report(OURS, 1, 105);
	case_apply();
	assert_int_equal(case_state(OURS).n_gaps, 4);
	assert_int_equal(apply_case.stats.n[STATS_SEQUENCE_GAPS], 4);
	case_report(OURS, 1, 103);
	case_assert_fate(STATS_REFUSED_STALE);
	assert_int_equal(case_state(OURS).n_gaps, 3);
	case_report(OURS, 1, 103); /* a duplicate */
	case_report(OURS, 1, 100);
	case_report(OURS, 1, 105);
	case_report(OURS, 1, 99);
	case_apply();
	assert_int_equal(case_state(OURS).n_gaps, 3);
	case_report(OURS, 1, 106);
	case_report(OURS, 1, 108);
	case_report(OURS, 1, 106);
	case_report(OURS, 1, 104);
	case_apply();
	assert_int_equal(case_state(OURS).n_gaps, 3);
	case_report(OURS, 2, 50); /* another boot: where it began is not known */
	case_report(OURS, 1, 107);
	case_apply();
	assert_int_equal(case_state(OURS).n_gaps, 3);
	assert_int_equal(apply_case.stats.n[STATS_SEQUENCE_GAPS], 3);
}

static void a_jump_of_any_size_is_counted_and_its_newest_can_be_filled(void **state)
{
	case_report(OURS, 1, 1);
	case_report(OURS, 1, 1002);
	case_apply();
	assert_int_equal(case_state(OURS).n_gaps, 1000);
	case_report(OURS, 1, 746); /* 256 before */
	case_report(OURS, 1, 745); /* forgotten */
	case_apply();
	assert_int_equal(case_state(OURS).n_gaps, 999);
	case_report(OURS, 1, UINT64_MAX);
	case_report(OURS, 1, UINT64_MAX - 1);
	case_apply();
	assert_int_equal(case_state(OURS).n_gaps, UINT32_MAX - 1);
	assert_int_equal(apply_case.stats.n[STATS_SEQUENCE_GAPS], UINT32_MAX - 1);
}

static void what_was_missing_before_a_new_token_is_not_taken_off_after_it(void **state)
{
	case_report(OURS, 1, 1);
	case_report(OURS, 1, 5);
	case_apply();
	apply_case.cells[CELL_OURS].token.generation++;
	assert_int_equal(apply_cells(apply_case.apply, apply_case.cells, N_CELLS), 0);
	case_report(OURS, 1, 6);
	case_report(OURS, 1, 3);
	case_apply();
	assert_int_equal(case_state(OURS).n_gaps, 0);
	assert_int_equal(apply_case.stats.n[STATS_SEQUENCE_GAPS], 3);
}

static void a_number_that_never_came_is_not_taken_for_a_later_one(void **state)
{
	case_report(OURS, 1, 1);
	case_report(OURS, 1, 3);
	case_apply();
	for (uint64_t sequence = 4; sequence <= 300; sequence++) {
		case_report(OURS, 1, sequence);
		case_apply();
	}
	case_report(OURS, 1, 302);
	case_report(OURS, 1, 2 + 256); /* came in its turn */
	case_apply();
	assert_int_equal(case_state(OURS).n_gaps, 2);
}

static void a_new_token_starts_the_element_anew(void **state)
{
	case_with_metric(case_report(OURS, 5, 10), 1, 100);
	case_with_alarm(&apply_case.batch.reports[0], "a", FEDMEM_MAJOR, "");
	case_apply();
	assert_int_equal(fedmem_alarms_used(apply_case.fm), 1);
	apply_case.cells[CELL_OURS].token.generation++;
	assert_int_equal(apply_cells(apply_case.apply, apply_case.cells, N_CELLS), 0);
	case_with_metric(case_report(OURS, 5, 9), 2, 90);
	case_assert_fate(STATS_REPORT_APPLIED);
	assert_int_equal(case_state(OURS).n_metrics, 1);
	assert_int_equal(fedmem_alarms_used(apply_case.fm), 0);
	assert_int_equal(case_state(OURS).token.generation, 2);
}

#define CLAIM(f) cmocka_unit_test_setup_teardown(f, case_start, case_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLAIM(a_report_is_about_the_sender_when_it_names_no_element),
		CLAIM(an_element_outside_the_inventory_is_unknown),
		CLAIM(a_notification_without_a_rule_is_refused_wherever_its_element_is),
		CLAIM(without_the_lease_alarms_are_kept_and_metrics_refused),
		CLAIM(in_a_cell_of_nobodys_alarms_are_kept_and_metrics_refused),
		CLAIM(a_cell_behind_the_table_is_nobodys),
		CLAIM(reports_of_one_cell_go_to_the_relay_as_one_message),
		CLAIM(what_the_relay_does_not_take_is_refused_report_by_report),
		CLAIM(sixty_four_reports_meet_sixty_four_fates),
		CLAIM(of_a_relayed_datagram_only_the_reports_meant_count),
		CLAIM(a_relayed_report_is_never_relayed_again),
		CLAIM(the_newest_metrics_win),
		CLAIM(a_report_of_nothing_is_applied_once),
		CLAIM(metrics_without_room_are_refused_unless_others_had_some),
		CLAIM(missing_reports_are_counted_until_they_come),
		CLAIM(a_jump_of_any_size_is_counted_and_its_newest_can_be_filled),
		CLAIM(what_was_missing_before_a_new_token_is_not_taken_off_after_it),
		CLAIM(a_number_that_never_came_is_not_taken_for_a_later_one),
		CLAIM(a_new_token_starts_the_element_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
