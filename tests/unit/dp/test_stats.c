#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dp/stats/stats.h"

/* One frame of each kind: every counter that stands in an equation is above zero and all hold. */
static struct stats balanced(void)
{
	struct stats s = {0};

	for (int i = 0; i < STATS_N; i++) {
		switch (stats_group((enum stats_counter)i)) {
		case STATS_STEER_OUT:
		case STATS_FRAME_OUT:
		case STATS_DGRAM_OUT:
		case STATS_REPORT_OUT:
		case STATS_RELAY_OUT:
			s.n[i] = 3;
			break;
		default:
			break;
		}
	}
	s.n[STATS_FRAME_DATAGRAM] = s.n[STATS_DGRAMS_WIRE] = 100;
	s.n[STATS_FRAME_RELAY_DATA] = s.n[STATS_DGRAMS_PEER] = 200;
	s.n[STATS_DGRAMS_TAKEN_BACK] = 50;
	s.n[STATS_DGRAM_APPLIED] = 350;
	s.decode[1] = 1;
	s.decode[STATS_DECODE_MAX - 1] = s.n[STATS_DROP_UNDECODABLE] - 1;

	/* What came in is what went out; of datagrams, what went out is what came in. */
	for (int i = 0; i < STATS_N; i++) {
		switch (stats_group((enum stats_counter)i)) {
		case STATS_STEER_OUT:
			s.n[STATS_STEER_FRAMES] += s.n[i];
			break;
		case STATS_FRAME_OUT:
			s.n[STATS_FRAMES] += s.n[i];
			break;
		case STATS_DGRAM_OUT:
			if (i != STATS_DGRAM_APPLIED)
				s.n[STATS_DGRAM_APPLIED] -= s.n[i];
			break;
		case STATS_REPORT_OUT:
			s.n[STATS_REPORTS] += s.n[i];
			break;
		case STATS_RELAY_OUT:
			s.n[STATS_RELAY_GIVEN] += s.n[i];
			break;
		default:
			break;
		}
	}
	return s;
}

static void nothing_counted_is_balanced(void **state)
{
	struct stats s = {0};
	struct stats_equation e[STATS_EQUATIONS];

	assert_int_equal(stats_check(&s, e), 0);
}

static void every_equation_holds_for_counts_that_add_up(void **state)
{
	struct stats s = balanced();
	struct stats_equation e[STATS_EQUATIONS];

	assert_int_equal(stats_check(&s, e), 0);
	for (int i = 0; i < STATS_EQUATIONS; i++) {
		assert_int_equal(e[i].in, e[i].out);
		assert_true(e[i].in > 0);
		assert_true(strlen(e[i].name) > 0);
	}
}

static void one_more_in_any_counter_of_an_equation_breaks_the_check(void **state)
{
	for (int i = 0; i < STATS_N; i++) {
		struct stats s = balanced();
		struct stats_equation e[STATS_EQUATIONS];
		unsigned int broken, marked = 0;

		s.n[i]++;
		broken = stats_check(&s, e);
		for (int k = 0; k < STATS_EQUATIONS; k++)
			marked += e[k].in != e[k].out;
		assert_int_equal(marked, broken);
		if (stats_group((enum stats_counter)i) == STATS_NOTE)
			assert_int_equal(broken, 0);
		else if (broken == 0)
			fail_msg("%s can be miscounted unseen", stats_name((enum stats_counter)i));
	}
}

static void one_less_in_any_counter_of_an_equation_breaks_the_check(void **state)
{
	for (int i = 0; i < STATS_N; i++) {
		struct stats s = balanced();
		struct stats_equation e[STATS_EQUATIONS];

		if (stats_group((enum stats_counter)i) == STATS_NOTE)
			continue;
		assert_true(s.n[i] > 0);
		s.n[i]--;
		if (stats_check(&s, e) == 0)
			fail_msg("%s can be miscounted unseen", stats_name((enum stats_counter)i));
	}
}

static void a_miscounted_reason_of_a_decoder_breaks_the_check(void **state)
{
	for (int i = 1; i < STATS_DECODE_MAX; i++) {
		struct stats s = balanced();
		struct stats_equation e[STATS_EQUATIONS];

		s.decode[i]++;
		assert_int_equal(stats_check(&s, e), 1);
	}
}

static void every_group_but_the_notes_has_a_counter(void **state)
{
	unsigned int seen = 0;

	for (int i = 0; i < STATS_N; i++)
		seen |= 1u << stats_group((enum stats_counter)i);
	assert_int_equal(seen, (1u << (STATS_NOTE + 1)) - 1);
}

static void names_are_there_and_differ(void **state)
{
	for (int i = 0; i < STATS_N; i++) {
		const char *name = stats_name((enum stats_counter)i);

		assert_non_null(name);
		assert_true(strlen(name) > 0);
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_"),
				 strlen(name));
		assert_non_null(stats_help((enum stats_counter)i));
		assert_true(strlen(stats_help((enum stats_counter)i)) > 0);
		for (int k = 0; k < i; k++)
			assert_string_not_equal(name, stats_name((enum stats_counter)k));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_counted_is_balanced),
		cmocka_unit_test(every_equation_holds_for_counts_that_add_up),
		cmocka_unit_test(one_more_in_any_counter_of_an_equation_breaks_the_check),
		cmocka_unit_test(one_less_in_any_counter_of_an_equation_breaks_the_check),
		cmocka_unit_test(a_miscounted_reason_of_a_decoder_breaks_the_check),
		cmocka_unit_test(every_group_but_the_notes_has_a_counter),
		cmocka_unit_test(names_are_there_and_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
