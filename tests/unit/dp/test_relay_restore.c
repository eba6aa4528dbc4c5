/* Alarms of a cell whose owner does not have its earlier alarms yet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/relay_net.h"

static struct net net;

static int start(void **state)
{
	net_init(&net, 1);
	return 0;
}

static int stop(void **state)
{
	net_fini(&net);
	return 0;
}

static uint64_t count(int node, enum stats_counter c)
{
	return net.nodes[node].stats.n[c];
}

static void ingest_alarms(int node, uint32_t cell, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		assert_true(net_ingest(&net, node, cell, true, 12 + net_random(&net, 600)));
}

static void steps(int n)
{
	for (int i = 0; i < n; i++)
		net_step(&net);
}

static void alarms_for_us_wait_until_the_cell_is_restored(void **state)
{
	net_tell_restoring(&net, 0, 0, true);
	net_tell_owner_all(&net, 0, 0, 1);
	ingest_alarms(0, 0, 7);
	assert_true(net_ingest(&net, 0, 0, false, 100)); /* metrics are applied */
	assert_int_equal(net.nodes[0].n_log, 1);
	net.nodes[0].n_log = 0;
	steps(10);
	assert_int_equal(net.nodes[0].n_log, 0);
	assert_int_equal(count(0, STATS_RELAY_WAITING), 7);
	net_tell_restoring(&net, 0, 0, false);
	steps(1);
	net_assert_once_in_order(&net, 0, 0, 0, 7);
}

static void what_an_owner_refused_while_it_restored_comes_at_once_when_it_has(void **state)
{
	uint64_t resent;

	net_tell_restoring(&net, 1, 0, true);
	net_tell_owner_all(&net, 0, 1, 1);
	ingest_alarms(0, 0, 300);
	steps(100); /* by now it is tried every 32 steps */
	assert_int_equal(net.nodes[1].n_log, 0);
	resent = count(0, STATS_RELAY_RESENT);
	steps(4);
	net_tell_restoring(&net, 1, 0, false);
	net_settle(&net, 6);
	net_assert_once_in_order(&net, 1, 0, 0, 300);
	assert_int_equal(count(1, STATS_RELAY_ASKED_AGAIN), 1);
	assert_int_equal(count(0, STATS_FRAME_RELAY_AGAIN), 1);
	assert_in_range(count(0, STATS_RELAY_RESENT) - resent, 256, 257); /* what was in flight */
}

static void a_wish_to_have_it_again_that_is_lost_costs_a_time_out(void **state)
{
	net_tell_restoring(&net, 1, 0, true);
	net_tell_owner_all(&net, 0, 1, 1);
	ingest_alarms(0, 0, 3);
	steps(100);
	net.is_cut[1][0] = true;
	net_tell_restoring(&net, 1, 0, false);
	steps(1);
	assert_int_equal(count(1, STATS_RELAY_ASKED_AGAIN), 1);
	net.is_cut[1][0] = false;
	net_settle(&net, 40); /* eight times four steps, and the rest */
	net_assert_once_in_order(&net, 1, 0, 0, 3);
}

static void who_was_never_refused_is_asked_for_nothing(void **state)
{
	net_tell_owner_all(&net, 0, 1, 1);
	ingest_alarms(0, 0, 3);
	net_settle(&net, 10);
	net_tell_owner_all(&net, 1, 1, 1);
	relay_elements(net.nodes[1].relay);
	steps(2);
	assert_int_equal(count(1, STATS_RELAY_ASKED_AGAIN), 0);
}

#define CLAIM(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLAIM(alarms_for_us_wait_until_the_cell_is_restored),
		CLAIM(what_an_owner_refused_while_it_restored_comes_at_once_when_it_has),
		CLAIM(a_wish_to_have_it_again_that_is_lost_costs_a_time_out),
		CLAIM(who_was_never_refused_is_asked_for_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
