#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>

#include "cp/cli/draw.h"

#define N_DRAWS	  30000
#define N_SERVERS 7

/* Pearson's statistic of counts that should all be N_DRAWS / N_SERVERS. Above 40 with six degrees
 * of freedom comes by chance once in two million runs. */
static bool is_uniform(const uint32_t counts[N_SERVERS])
{
	double expected = (double)N_DRAWS / N_SERVERS, x = 0;

	for (int i = 0; i < N_SERVERS; i++)
		x += (counts[i] - expected) * (counts[i] - expected) / expected;
	return x < 40;
}

static void every_server_is_as_likely_in_every_place(void **state)
{
	uint32_t counts[N_SERVERS][N_SERVERS] = {{0}}; /* by place */

	for (int i = 0; i < N_DRAWS; i++) {
		struct draw d;

		assert_int_equal(draw_init(&d, N_SERVERS), 0);
		for (int place = 0; place < N_SERVERS; place++) {
			counts[place][draw_current(&d)]++;
			draw_next(&d);
		}
	}
	for (int place = 0; place < N_SERVERS; place++)
		assert_true(is_uniform(counts[place]));
}

static void who_comes_second_does_not_depend_on_who_came_first(void **state)
{
	uint32_t counts[N_SERVERS] = {0};

	for (int i = 0; i < N_DRAWS; i++) {
		struct draw d;
		uint32_t first;

		assert_int_equal(draw_init(&d, N_SERVERS + 1), 0);
		first = draw_current(&d);
		draw_next(&d);
		/* how far it is from the first, 1 to 7 */
		counts[(draw_current(&d) + N_SERVERS - first) % (N_SERVERS + 1)]++;
	}
	assert_true(is_uniform(counts));
}

static void each_server_is_tried_once_before_one_comes_again(void **state)
{
	for (uint32_t n = 1; n <= DRAW_MAX; n++) {
		uint64_t seen = 0;
		struct draw d;
		uint32_t first;

		assert_int_equal(draw_init(&d, n), 0);
		first = draw_current(&d);
		for (uint32_t i = 0; i < n; i++) {
			uint64_t bit = 1ull << draw_current(&d);

			assert_true(draw_current(&d) < n);
			assert_true((seen & bit) == 0);
			seen |= bit;
			draw_next(&d);
		}
		assert_int_equal(draw_current(&d), first);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_server_is_as_likely_in_every_place),
		cmocka_unit_test(who_comes_second_does_not_depend_on_who_came_first),
		cmocka_unit_test(each_server_is_tried_once_before_one_comes_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
