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

/* ---- Each service has its own ---- */

#define SERVICE_SERVERS_MAX 5

/* Pearson's statistic of counts that should all be equal. */
static double distance(const uint32_t *counts, uint32_t n)
{
	double expected = (double)N_DRAWS / n, x = 0;

	for (uint32_t i = 0; i < n; i++)
		x += (counts[i] - expected) * (counts[i] - expected) / expected;
	return x;
}

/* What is exceeded by chance once in a million runs, with n - 1 degrees of freedom. */
static double quantile(uint32_t n)
{
	return n == 3 ? 27.63 : n == 5 ? 33.38 : /* 9 */ 42.70;
}

static void assert_service_draws_uniformly(enum draw_service service, uint32_t n)
{
	uint32_t counts[SERVICE_SERVERS_MAX] = {0};

	for (int i = 0; i < N_DRAWS; i++) {
		struct draws d = {0};
		bool is_first;

		assert_int_equal(draws_make(&d, service, n, &is_first), 0);
		assert_true(is_first);
		assert_false(d.is_drawn[1 - service]);
		counts[draw_current(&d.of[service])]++;
	}
	print_message("# service %d, %u servers: %.2f of %.2f\n", service, n, distance(counts, n),
		      quantile(n));
	assert_true(distance(counts, n) < quantile(n));
}

static void peered_draws_every_server_equally_often(void **state)
{
	assert_service_draws_uniformly(DRAW_PEERED, 3);
	assert_service_draws_uniformly(DRAW_PEERED, 5);
}

static void federated_draws_every_server_equally_often(void **state)
{
	assert_service_draws_uniformly(DRAW_FEDERATED, 3);
	assert_service_draws_uniformly(DRAW_FEDERATED, 5);
}

static void what_one_service_draws_says_nothing_of_the_other(void **state)
{
	uint32_t counts[9] = {0};

	for (int i = 0; i < N_DRAWS; i++) {
		struct draws d = {0};
		bool is_first;

		assert_int_equal(draws_make(&d, DRAW_PEERED, 3, &is_first), 0);
		assert_int_equal(draws_make(&d, DRAW_FEDERATED, 3, &is_first), 0);
		counts[3 * draw_current(&d.of[DRAW_PEERED]) +
		       draw_current(&d.of[DRAW_FEDERATED])]++;
	}
	assert_true(distance(counts, 9) < quantile(9));
}

static void a_draw_is_made_once_for_each_service(void **state)
{
	struct draws d = {0};
	uint32_t first;
	bool is_first;

	assert_int_equal(draws_make(&d, DRAW_FEDERATED, DRAW_MAX, &is_first), 0);
	first = draw_current(&d.of[DRAW_FEDERATED]);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(draws_make(&d, DRAW_FEDERATED, DRAW_MAX, &is_first), 0);
		assert_false(is_first);
		assert_int_equal(draw_current(&d.of[DRAW_FEDERATED]), first);
	}
}

/* Of one draw in twenty that always goes to the first server the expected distance is 150 and 300.
 */
static void a_bias_of_one_in_twenty_is_found(void **state)
{
	for (uint32_t n = 3; n <= 5; n += 2) {
		uint32_t counts[SERVICE_SERVERS_MAX] = {0};

		for (int i = 0; i < N_DRAWS; i++) {
			struct draw d;

			assert_int_equal(draw_init(&d, n), 0);
			counts[i % 20 == 0 ? 0 : draw_current(&d)]++;
		}
		print_message("# biased, %u servers: %.2f of %.2f\n", n, distance(counts, n),
			      quantile(n));
		assert_true(distance(counts, n) > quantile(n));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_server_is_as_likely_in_every_place),
		cmocka_unit_test(who_comes_second_does_not_depend_on_who_came_first),
		cmocka_unit_test(each_server_is_tried_once_before_one_comes_again),
		cmocka_unit_test(peered_draws_every_server_equally_often),
		cmocka_unit_test(federated_draws_every_server_equally_often),
		cmocka_unit_test(what_one_service_draws_says_nothing_of_the_other),
		cmocka_unit_test(a_draw_is_made_once_for_each_service),
		cmocka_unit_test(a_bias_of_one_in_twenty_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
