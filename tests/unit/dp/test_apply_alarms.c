/* What becomes of the alarms in reports. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/apply_case.h"

static void an_alarm_is_raised_repeated_changed_and_cleared(void **state)
{
	struct fedmem_alarm a;

	case_with_alarm(case_report(OURS, 0, 0), "a", FEDMEM_MAJOR, "down");
	case_assert_fate(STATS_REPORT_APPLIED);
	assert_int_equal(case_next_event(), FEDMEM_EV_RAISED);
	case_with_alarm(case_report(OURS, 0, 0), "a", FEDMEM_MAJOR, "still");
	case_assert_fate(STATS_REPORT_APPLIED);
	assert_int_equal(case_next_event(), 0);
	a = case_alarm_of("a");
	assert_int_equal(a.count, 2);
	assert_int_equal(a.raised_ns, 1000);
	assert_int_equal(a.changed_ns, 1000);
	assert_int_equal(a.last_ns, 1001);
	assert_string_equal(a.text, "still");
	assert_int_equal(case_state(OURS).n_alarms, 1);
	assert_int_equal(case_state(OURS).worst, FEDMEM_MAJOR);

	case_alarm(0, 0, "a", FEDMEM_CRITICAL, STATS_REPORT_APPLIED);
	assert_int_equal(case_next_event(), FEDMEM_EV_SEVERITY);
	a = case_alarm_of("a");
	assert_int_equal(a.count, 3);
	assert_int_equal(a.raised_ns, 1000);
	assert_int_equal(a.changed_ns, 1002);
	assert_string_equal(a.text, "");
	assert_int_equal(case_state(OURS).worst, FEDMEM_CRITICAL);

	case_alarm(0, 0, "a", FEDMEM_CLEARED, STATS_REPORT_APPLIED);
	assert_int_equal(case_next_event(), FEDMEM_EV_CLEARED);
	a = case_alarm_of("a");
	assert_int_equal(a.state, FEDMEM_ALARM_GONE);
	assert_int_equal(a.severity, FEDMEM_CRITICAL);
	assert_int_equal(case_state(OURS).n_alarms, 0);
	assert_int_equal(case_state(OURS).worst, FEDMEM_CLEARED);

	case_alarm(0, 0, "a", FEDMEM_CRITICAL, STATS_REPORT_APPLIED);
	assert_int_equal(case_next_event(), FEDMEM_EV_RAISED);
	a = case_alarm_of("a");
	assert_int_equal(a.count, 1);
	assert_int_equal(a.raised_ns, 1004);
	assert_int_equal(apply_case.stats.n[STATS_ALARM_RAISED], 2);
	assert_int_equal(apply_case.stats.n[STATS_ALARM_REPEATED], 1);
	assert_int_equal(apply_case.stats.n[STATS_ALARM_CHANGED], 1);
	assert_int_equal(apply_case.stats.n[STATS_ALARM_CLEARED], 1);
	assert_int_equal(case_state(OURS).n_reports, 5);
}

static void a_clear_without_a_raised_alarm_is_applied_and_changes_nothing(void **state)
{
	case_alarm(0, 0, "a", FEDMEM_CLEARED, STATS_REPORT_APPLIED);
	assert_int_equal(apply_case.stats.n[STATS_ALARM_CLEAR_UNMATCHED], 1);
	assert_int_equal(fedmem_alarms_used(apply_case.fm), 0);
	assert_int_equal(case_next_event(), 0);
	assert_int_equal(case_state(OURS).n_reports, 1);
	assert_int_equal(case_state(OURS).last_seen_ns, 1000);
}

static void a_late_alarm_is_applied_when_it_is_newer_than_what_is_known_of_it(void **state)
{
	case_alarm(1, 5, "a", FEDMEM_MAJOR, STATS_REPORT_APPLIED);
	case_with_metric(case_report(OURS, 1, 9), 1, 9);
	case_assert_fate(STATS_REPORT_APPLIED);
	/* Of another alarm, then of this one; the metrics beside it are old. */
	case_alarm(1, 7, "b", FEDMEM_MINOR, STATS_REPORT_APPLIED);
	case_with_metric(case_report(OURS, 1, 8), 1, 8);
	case_with_alarm(&apply_case.batch.reports[0], "a", FEDMEM_CLEARED, "");
	case_assert_fate(STATS_REPORT_APPLIED);
	assert_int_equal(case_metric(OURS, 1), 9);
	assert_int_equal(case_alarm_of("a").state, FEDMEM_ALARM_GONE);
	assert_int_equal(case_state(OURS).sequence, 9);
	assert_int_equal(case_state(OURS).n_reports, 4);
	/* Older than that clear. */
	case_alarm(1, 6, "a", FEDMEM_MAJOR, STATS_REFUSED_STALE);
	case_alarm(1, 8, "a", FEDMEM_MAJOR, STATS_REFUSED_STALE);
	assert_int_equal(case_alarm_of("a").state, FEDMEM_ALARM_GONE);
	assert_int_equal(apply_case.stats.n[STATS_SEQUENCE_GAPS], 0); /* 6, 7 and 8 all came */
}

static void a_repeat_is_newer_than_a_clear_that_was_sent_before_it(void **state)
{
	case_alarm(1, 1, "a", FEDMEM_MAJOR, STATS_REPORT_APPLIED);
	case_alarm(1, 3, "a", FEDMEM_MAJOR, STATS_REPORT_APPLIED);
	case_alarm(1, 2, "a", FEDMEM_CLEARED, STATS_REFUSED_STALE);
	assert_int_equal(case_alarm_of("a").state, FEDMEM_ALARM_RAISED);
}

static void a_raise_that_comes_after_its_own_clear_stays_cleared(void **state)
{
	case_alarm(1, 2, "a", FEDMEM_CLEARED, STATS_REPORT_APPLIED);
	assert_int_equal(apply_case.stats.n[STATS_ALARM_CLEAR_UNMATCHED], 1);
	case_alarm(1, 1, "a", FEDMEM_MAJOR, STATS_REFUSED_STALE);
	assert_int_equal(case_alarm_of("a").state, FEDMEM_ALARM_GONE);
	assert_int_equal(case_next_event(), 0);
	case_alarm(1, 3, "a", FEDMEM_MAJOR, STATS_REPORT_APPLIED);
	assert_int_equal(case_next_event(), FEDMEM_EV_RAISED);
}

static void a_second_word_on_an_alarm_in_one_report_counts(void **state)
{
	struct report *r = case_report(OURS, 1, 1);

	case_with_alarm(r, "a", FEDMEM_MAJOR, "");
	case_with_alarm(r, "a", FEDMEM_CLEARED, "");
	case_assert_fate(STATS_REPORT_APPLIED);
	assert_int_equal(case_alarm_of("a").state, FEDMEM_ALARM_GONE);
	r = case_report(OURS, 1, 1); /* but not that of a duplicate */
	case_with_alarm(r, "a", FEDMEM_MAJOR, "");
	case_with_alarm(r, "a", FEDMEM_CLEARED, "");
	case_assert_fate(STATS_REFUSED_STALE);
	assert_int_equal(apply_case.stats.n[STATS_ALARM_RAISED], 1);
}

static void a_notification_without_a_sequence_leaves_the_alarms_own(void **state)
{
	case_alarm(1, 5, "a", FEDMEM_MAJOR, STATS_REPORT_APPLIED);
	case_alarm(0, 0, "a", FEDMEM_CLEARED, STATS_REPORT_APPLIED);
	assert_int_equal(case_alarm_of("a").state, FEDMEM_ALARM_GONE);
	case_alarm(1, 5, "a", FEDMEM_MAJOR, STATS_REFUSED_STALE);
	case_alarm(1, 6, "a", FEDMEM_MAJOR, STATS_REPORT_APPLIED);
}

static void alarms_without_room_are_refused_unless_others_had_some(void **state)
{
	struct report *r = case_report(OURS, 0, 0);

	for (const char *name = "abcde"; *name != '\0'; name++) {
		static char resources[5][2];
		char *resource = resources[*name - 'a'];

		resource[0] = *name;
		case_with_alarm(r, resource, FEDMEM_MAJOR, "");
	}
	case_assert_fate(STATS_REPORT_APPLIED); /* four of five */
	assert_int_equal(case_state(OURS).n_alarms, 4);
	case_alarm(0, 0, "e", FEDMEM_MAJOR, STATS_REFUSED_ALARM_TABLE_FULL);
	case_with_metric(case_report(OURS, 0, 0), 1, 1);
	case_with_alarm(&apply_case.batch.reports[0], "e", FEDMEM_MAJOR, "");
	case_assert_fate(STATS_REPORT_APPLIED);
	case_alarm(1, 1, "e", FEDMEM_CLEARED, STATS_REPORT_APPLIED); /* nothing to remember it by */
	case_alarm(0, 0, "d", FEDMEM_CLEARED, STATS_REPORT_APPLIED);
	case_alarm(0, 0, "e", FEDMEM_MAJOR,
		   STATS_REPORT_APPLIED); /* in the place of the gone one */
}

static void events_that_do_not_fit_the_ring_are_counted(void **state)
{
	for (int i = 0; i < 6; i++) {
		case_alarm(0, 0, "a", FEDMEM_MAJOR, STATS_REPORT_APPLIED);
		case_alarm(0, 0, "a", FEDMEM_CLEARED, STATS_REPORT_APPLIED);
	}
	assert_int_equal(apply_case.stats.n[STATS_EVENT_RING_FULL], 4); /* twelve, room for eight */
}

static void texts_longer_than_a_record_are_cut(void **state)
{
	static const char text[] = "0123456789012345678901234567890123456789012345678901234567890";

	case_with_alarm(case_report(OURS, 0, 0), "a", FEDMEM_MAJOR, text);
	case_assert_fate(STATS_REPORT_APPLIED);
	assert_memory_equal(case_alarm_of("a").text, text, FEDMEM_TEXT_BYTES);
}

#define CLAIM(f) cmocka_unit_test_setup_teardown(f, case_start, case_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLAIM(an_alarm_is_raised_repeated_changed_and_cleared),
		CLAIM(a_clear_without_a_raised_alarm_is_applied_and_changes_nothing),
		CLAIM(a_late_alarm_is_applied_when_it_is_newer_than_what_is_known_of_it),
		CLAIM(a_repeat_is_newer_than_a_clear_that_was_sent_before_it),
		CLAIM(a_raise_that_comes_after_its_own_clear_stays_cleared),
		CLAIM(a_second_word_on_an_alarm_in_one_report_counts),
		CLAIM(a_notification_without_a_sequence_leaves_the_alarms_own),
		CLAIM(alarms_without_room_are_refused_unless_others_had_some),
		CLAIM(events_that_do_not_fit_the_ring_are_counted),
		CLAIM(texts_longer_than_a_record_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
