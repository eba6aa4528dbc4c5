/* What is promised of alarms and metrics on their way between servers: tests/lib/relay_net.h joins
 * three. */
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

static void cut(int a, int b, bool is_cut)
{
	net.is_cut[a][b] = is_cut;
	net.is_cut[b][a] = is_cut;
}

static void steps(int n)
{
	for (int i = 0; i < n; i++)
		net_step(&net);
}

static void alarms_reach_the_owner_once_and_in_order(void **state)
{
	net_tell_owner_all(&net, 0, 1, 1);
	ingest_alarms(0, 0, 700); /* more than one window */
	net_settle(&net, 8);	  /* three windows, no waiting for time-outs */
	net_assert_once_in_order(&net, 1, 0, 0, 700);
	assert_int_equal(count(0, STATS_RELAY_ACKNOWLEDGED), 700);
	assert_int_equal(count(0, STATS_RELAY_RESENT), 0);
}

static void over_ipv6_with_datagrams_of_1472_octets(void **state)
{
	net_fini(&net);
	net_init(&net, 1);
	for (int i = 0; i < NET_NODES; i++) {
		net_stop(&net, i);
		net.is_ipv6 = true;
		net_start(&net, i);
	}
	net_tell_owner_all(&net, 0, 1, 1);
	assert_true(net_ingest(&net, 0, 0, true, 1472));
	assert_true(net_ingest(&net, 0, 0, false, 1472));
	net_settle(&net, 10);
	assert_int_equal(net.nodes[1].n_log, 2);
}

static void loss_repeats_and_reordering_change_neither_number_nor_order(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		net_fini(&net);
		net_init(&net, seed);
		print_message("# seed %lu\n", seed);
		net.loss = 30;
		net.repeat = 20;
		net.delay = 20;
		net_tell_owner_all(&net, 0, 1, 1);
		net_tell_owner_all(&net, 1, 2, 1);
		for (int i = 0; i < 20; i++) {
			ingest_alarms(0, 0, 10);
			ingest_alarms(0, 1, 10);
			ingest_alarms(2, 0, 10);
			net_step(&net);
		}
		net_settle(&net, 20000);
		net_assert_once_in_order(&net, 1, 0, 0, 200);
		net_assert_once_in_order(&net, 2, 0, 1, 200);
		net_assert_once_in_order(&net, 1, 2, 0, 200);
		assert_true(count(0, STATS_RELAY_RESENT) > 0);
	}
}

static void an_alarm_is_kept_until_it_is_acknowledged(void **state)
{
	net_tell_owner_all(&net, 0, 1, 1);
	net.is_cut[1][0] = true; /* acknowledgements */
	ingest_alarms(0, 0, 3);
	steps(100);
	net_assert_once_in_order(&net, 1, 0, 0, 3);
	assert_int_equal(count(0, STATS_RELAY_WAITING), 3);
	assert_int_equal(count(0, STATS_RELAY_ACKNOWLEDGED), 0);
	net.is_cut[1][0] = false;
	net_settle(&net, 100);
	net_assert_once_in_order(&net, 1, 0, 0, 3);
	assert_int_equal(count(0, STATS_RELAY_WAITING), 0);
	assert_int_equal(count(0, STATS_RELAY_ACKNOWLEDGED), 3);
}

static void resends_to_a_silent_peer_become_rare_and_few(void **state)
{
	uint64_t before;

	net_tell_owner_all(&net, 0, 1, 1);
	cut(0, 1, true);
	ingest_alarms(0, 0, 1000);
	steps(1);
	assert_int_equal(net.n_sent, 256); /* the window */
	steps(200);
	before = net.n_sent;
	steps(320); /* time-outs of eight times four steps by now: ten, of one alarm each */
	assert_in_range(net.n_sent - before, 9, 11);
}

static void alarms_follow_their_cell_to_a_new_owner_in_order(void **state)
{
	net_tell_owner_all(&net, 0, 1, 1);
	net_tell_owner_all(&net, 1, 1, 1);
	cut(0, 1, true);
	for (int i = 0; i < 100; i++) {
		ingest_alarms(0, 0, 1);
		ingest_alarms(0, 1, 1);
	}
	steps(5);
	net_tell_owner_all(&net, 0, 2, 2);
	assert_int_equal(count(0, STATS_RELAY_REROUTED), 100);
	ingest_alarms(0, 0, 50);
	steps(10);
	net_assert_once_in_order(&net, 2, 0, 0, 150);
	cut(0, 1, false);
	/* What is left of the old stream has holes now. */
	net_settle(&net, 100);
	net_assert_once_in_order(&net, 1, 0, 1, 100);
	net_assert_once_in_order(&net, 1, 0, 0, 0);
}

static void a_hole_in_the_stream_costs_no_time_out(void **state)
{
	net_tell_owner_all(&net, 0, 1, 1);
	net_tell_owner_all(&net, 1, 1, 1);
	net.nodes[0].has_mac[1] = false;
	net_tell_servers(&net, 0);
	for (int i = 0; i < 10; i++) {
		ingest_alarms(0, 0, 1);
		ingest_alarms(0, 1, 1);
	}
	net_tell_owner_all(&net, 1, 2, 2);
	net.nodes[0].has_mac[1] = true;
	net_tell_servers(&net, 0);
	steps(2);
	net_assert_once_in_order(&net, 1, 0, 0, 10);
	net_assert_once_in_order(&net, 2, 0, 1, 10);
	assert_int_equal(count(1, STATS_DROP_RELAY_EARLY), 0);
	assert_int_equal(count(0, STATS_RELAY_RESENT), 0);
}

static void a_dead_owners_alarms_are_not_lost(void **state)
{
	net_tell_owner_all(&net, 0, 1, 1);
	cut(0, 1, true);
	cut(1, 2, true);
	ingest_alarms(0, 0, 20);
	ingest_alarms(2, 0, 20);
	steps(50);
	net_tell_owner(&net, 0, 0, -1, 2); /* declared failed */
	net_tell_owner(&net, 2, 0, -1, 2);
	ingest_alarms(0, 0, 5);
	steps(20);
	assert_int_equal(count(0, STATS_RELAY_WAITING), 25);
	assert_true(relay_is_idle(net.nodes[0].relay)); /* nobody to send to */
	net_tell_owner(&net, 0, 0, 2, 3);
	net_tell_owner(&net, 2, 0, 2, 3); /* its own ones come back to it */
	net_settle(&net, 20);
	net_assert_once_in_order(&net, 2, 0, 0, 25);
	net_assert_once_in_order(&net, 2, 2, 0, 20);
	assert_int_equal(count(2, STATS_RELAY_TAKEN_BACK), 20);
	assert_int_equal(count(2, STATS_DGRAMS_TAKEN_BACK), 20);
}

static void alarms_for_us_wait_for_the_lease(void **state)
{
	net_tell_owner_all(&net, 0, 0, 1);
	net_tell_lease(&net, 0, false);
	ingest_alarms(0, 0, 7);
	steps(10);
	assert_int_equal(net.nodes[0].n_log, 0);
	assert_int_equal(count(0, STATS_RELAY_WAITING), 7);
	net_tell_lease(&net, 0, true);
	steps(1);
	net_assert_once_in_order(&net, 0, 0, 0, 7);
}

static void what_an_owner_does_not_keep_is_sent_until_it_does(void **state)
{
	net_tell_owner(&net, 0, 0, 1, 1); /* node 1 does not know yet */
	ingest_alarms(0, 0, 10);
	steps(30);
	assert_int_equal(net.nodes[1].n_log, 0);
	assert_true(count(1, STATS_REFUSED_NOT_OWNER) > 1);
	assert_int_equal(count(1, STATS_RELAY_ACKS_SENT), 0);
	assert_int_equal(count(0, STATS_RELAY_WAITING), 10);
	net_tell_owner(&net, 1, 0, 1, 1);
	net_settle(&net, 200);
	net_assert_once_in_order(&net, 1, 0, 0, 10);
}

static void alarms_of_an_element_in_another_cell_are_judged_anew(void **state)
{
	struct apply_datagram d;

	net_tell_owner_all(&net, 0, 1, 1);
	net_tell_owner_all(&net, 1, -1, 1);
	cut(0, 1, true);
	ingest_alarms(0, 0, 3);
	ingest_alarms(0, 1, 2);
	steps(2);
	relay_elements(net.nodes[0].relay);
	for (int i = 0; i < 5; i++)
		assert_true(relay_take_back(net.nodes[0].relay, &d));
	assert_false(relay_take_back(net.nodes[0].relay, &d));
	assert_int_equal(count(0, STATS_RELAY_TAKEN_BACK), 5);
	assert_int_equal(count(0, STATS_RELAY_WAITING), 0);
}

static void metrics_are_sent_once_and_forgotten(void **state)
{
	net_tell_owner_all(&net, 0, 1, 1);
	assert_true(net_ingest(&net, 0, 0, false, 100));
	steps(1);
	assert_true(net_ingest(&net, 0, 0, false, 100));
	cut(0, 1, true);
	assert_true(net_ingest(&net, 0, 0, false, 100));
	cut(0, 1, false);
	assert_true(relay_is_idle(net.nodes[0].relay));
	steps(100);
	net_assert_once_in_order(&net, 1, 0, 0, 2);
	assert_int_equal(count(0, STATS_RELAY_SENT), 3);
	assert_int_equal(net.n_sent, 3);
}

static void metrics_that_cannot_be_sent_are_lost_by_name(void **state)
{
	struct net_node *me = &net.nodes[0];

	net_tell_owner_all(&net, 0, 1, 1);
	me->no_buffer = true;
	assert_false(net_ingest(&net, 0, 0, false, 100));
	me->no_buffer = false;
	me->port_full = true;
	assert_false(net_ingest(&net, 0, 0, false, 100));
	me->port_full = false;
	assert_false(net_ingest(&net, 0, 0, false, 1900));
	me->has_mac[1] = false;
	net_tell_servers(&net, 0);
	assert_false(net_ingest(&net, 0, 0, false, 100));
	assert_int_equal(count(0, STATS_RELAY_NO_MBUF), 1);
	assert_int_equal(count(0, STATS_RELAY_PORT_FULL), 1);
	assert_int_equal(count(0, STATS_RELAY_TOO_LONG), 1);
	assert_int_equal(count(0, STATS_RELAY_NO_NEIGHBOUR), 1);
	net_check(&net);
}

static void alarms_wait_for_a_neighbour_a_buffer_and_a_port(void **state)
{
	struct net_node *me = &net.nodes[0];

	net_tell_owner_all(&net, 0, 1, 1);
	me->has_mac[1] = false;
	net_tell_servers(&net, 0);
	ingest_alarms(0, 0, 3);
	steps(20);
	assert_int_equal(net.n_sent, 0);
	me->has_mac[1] = true;
	me->no_buffer = true;
	net_tell_servers(&net, 0);
	steps(20);
	me->no_buffer = false;
	me->port_full = true;
	steps(20);
	assert_int_equal(net.n_sent, 0);
	assert_int_equal(count(0, STATS_RELAY_WAITING), 3);
	me->port_full = false;
	net_settle(&net, 20);
	net_assert_once_in_order(&net, 1, 0, 0, 3);
}

static void without_a_port_alarms_are_kept_and_come_back(void **state)
{
	net_stop(&net, 0);
	net.has_port = false;
	net_start(&net, 0);
	net_tell_owner_all(&net, 0, 1, 1);
	ingest_alarms(0, 0, 3);
	assert_false(net_ingest(&net, 0, 0, false, 100));
	assert_int_equal(count(0, STATS_RELAY_NO_NEIGHBOUR), 1);
	steps(20);
	net_tell_owner_all(&net, 0, 0, 2);
	steps(1);
	net_assert_once_in_order(&net, 0, 0, 0, 3);
}

static void a_full_spool_loses_alarms_by_name(void **state)
{
	net_stop(&net, 0);
	net.cfg.spool_max = 10;
	net_start(&net, 0);
	ingest_alarms(0, 0, 1);
	for (int i = 0; i < 9; i++)
		assert_true(net_ingest(&net, 0, 0, true, 512));
	assert_false(net_ingest(&net, 0, 0, true, 12));
	assert_int_equal(count(0, STATS_RELAY_SPOOL_FULL), 1);
	net_check(&net);
	net_tell_owner_all(&net, 0, 1, 1);
	net_settle(&net, 20);
	/* All its room is back; 20 pieces of 256 octets: three datagrams of 1400 are 18 of them. */
	for (int i = 0; i < 3; i++)
		assert_true(net_ingest(&net, 0, 1, true, 1400));
	assert_false(net_ingest(&net, 0, 1, true, 1400));
	assert_true(net_ingest(&net, 0, 1, true, 512));
	assert_int_equal(count(0, STATS_RELAY_SPOOL_FULL), 2);
}

static void an_alarm_longer_than_the_ports_frames_is_lost_by_name(void **state)
{
	net_stop(&net, 0);
	net.frame_max = 1514;
	net_start(&net, 0);
	net_tell_owner_all(&net, 0, 1, 1);
	assert_true(net_ingest(&net, 0, 0, true, 1514 - 42 - 80));
	assert_false(net_ingest(&net, 0, 0, true, 1514 - 42 - 80 + 1));
	assert_int_equal(count(0, STATS_RELAY_TOO_LONG), 1);
	/* One that waits for an owner is lost when the owner turns out to be another server. */
	assert_true(net_ingest(&net, 0, 1, true, 1500));
	assert_true(net_ingest(&net, 0, 2, true, 1500));
	net_tell_owner_all(&net, 1, 1, 1);
	assert_int_equal(count(0, STATS_RELAY_TOO_LONG), 2);
	net_tell_owner_all(&net, 2, 0, 1);
	net_settle(&net, 20);
	net_assert_once_in_order(&net, 0, 0, 2, 1);
	net_assert_once_in_order(&net, 1, 0, 0, 1);
}

static void a_restarted_peer_gets_what_it_has_not_acknowledged(void **state)
{
	net_tell_owner_all(&net, 0, 1, 1);
	ingest_alarms(0, 0, 5);
	net_settle(&net, 20);
	net.is_cut[1][0] = true;
	ingest_alarms(0, 0, 5);
	steps(3); /* 6..10 were applied, and their acknowledgement was lost */
	net_restart(&net, 1);
	net.is_cut[1][0] = false;
	steps(40); /* node 0 does not know of it */
	assert_true(count(1, STATS_DROP_RELAY_BOOT) > 0);
	assert_int_equal(count(0, STATS_RELAY_WAITING), 5);
	net_tell_servers(&net, 0);
	ingest_alarms(0, 0, 5);
	net_settle(&net, 20);
	for (uint32_t serial = 1; serial <= 15; serial++)
		assert_int_equal(net_count(&net, 1, 0, 0, serial),
				 serial > 5 && serial <= 10 ? 2 : 1);
	assert_int_equal(net.nodes[1].log[net.nodes[1].n_log - 1].serial, 15);
}

static void a_restarted_peer_gets_all_at_once_however_long_it_was_silent(void **state)
{
	net_tell_owner_all(&net, 0, 1, 1);
	cut(0, 1, true);
	ingest_alarms(0, 0, 200);
	steps(200);
	cut(0, 1, false);
	net_restart(&net, 1);
	net_tell_servers(&net, 0);
	steps(1);
	net_assert_once_in_order(&net, 1, 0, 0, 200);
}

static void our_own_restart_loses_the_spool_by_name_and_streams_start_anew(void **state)
{
	net_tell_owner_all(&net, 0, 1, 1);
	ingest_alarms(0, 0, 5);
	net_settle(&net, 20);
	cut(0, 1, true);
	ingest_alarms(0, 0, 4);
	net_restart(&net, 0);
	cut(0, 1, false);
	assert_int_equal(count(0, STATS_RELAY_LOST), 4);
	assert_int_equal(count(0, STATS_RELAY_WAITING), 0);
	net_check(&net);
	ingest_alarms(0, 0, 1);
	steps(20); /* the peer's control plane has not told the new boot yet */
	assert_true(count(1, STATS_DROP_RELAY_BOOT) > 0);
	net_tell_servers(&net, 1);
	net_settle(&net, 40);
	assert_int_equal(net_count(&net, 1, 0, 0, 10), 1);
}

static void a_peer_that_leaves_the_table_and_returns_repeats_nothing(void **state)
{
	net_tell_owner_all(&net, 0, 1, 1);
	ingest_alarms(0, 0, 5);
	net_settle(&net, 20);
	net.nodes[0].is_listed[1] = false;
	net_tell_servers(&net, 0);
	ingest_alarms(0, 0, 5);
	steps(10);
	assert_int_equal(count(0, STATS_RELAY_WAITING), 5);
	net.nodes[0].is_listed[1] = true;
	net_tell_servers(&net, 0);
	net_settle(&net, 20);
	net_assert_once_in_order(&net, 1, 0, 0, 10);
}

/* The newest of what was applied in one cell's one generation came last, or an older word would
 * stand. */
static void assert_newest_is_last(int node)
{
	const struct net_node *me = &net.nodes[node];

	for (uint32_t i = 0; i < me->n_log; i++) {
		const struct net_applied *a = &me->log[i];
		bool is_overtaken = false;

		for (uint32_t j = i + 1; j < me->n_log && !is_overtaken; j++)
			is_overtaken = me->log[j].ingest == a->ingest &&
				       me->log[j].cell == a->cell &&
				       me->log[j].generation == a->generation;
		if (is_overtaken)
			continue;
		for (uint32_t j = 0; j < i; j++)
			if (me->log[j].ingest == a->ingest && me->log[j].cell == a->cell &&
			    me->log[j].generation == a->generation)
				assert_true(me->log[j].serial <= a->serial);
	}
}

static void assert_none_is_lost(void)
{
	for (int ingest = 0; ingest < NET_NODES; ingest++)
		for (uint32_t cell = 0; cell < NET_CELLS; cell++)
			for (uint32_t s = 1; s <= net.nodes[ingest].serials[cell]; s++) {
				uint32_t n = 0;

				for (int node = 0; node < NET_NODES; node++)
					n += net_count(&net, node, ingest, cell, s);
				assert_true(n > 0);
			}
}

static void random_event(int owners[NET_CELLS], uint64_t generations[NET_CELLS])
{
	uint32_t cell = net_random(&net, NET_CELLS);
	int node = net_random(&net, NET_NODES), other = net_random(&net, NET_NODES);

	switch (net_random(&net, 20)) {
	case 0:
		owners[cell] = (int)net_random(&net, NET_NODES + 1) - 1;
		generations[cell]++;
		break;
	case 1:
	case 2:
	case 3: /* not everybody hears of it at once */
		net_tell_owner(&net, node, cell, owners[cell], generations[cell]);
		break;
	case 4:
		net_tell_lease(&net, node, net_random(&net, 2));
		break;
	case 5:
		cut(node, other, net_random(&net, 2));
		break;
	case 6:
		if (count(node, STATS_RELAY_WAITING) == 0)
			net_restart(&net, node);
		break;
	case 7:
		net_tell_servers(&net, node);
		break;
	case 8:
		net.nodes[node].port_full = net_random(&net, 2);
		break;
	default:
		ingest_alarms(node, cell, net_random(&net, 4));
	}
}

static void under_anything_no_alarm_is_lost_and_the_newest_comes_last(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		int owners[NET_CELLS] = {0};
		uint64_t generations[NET_CELLS] = {0};

		net_fini(&net);
		net_init(&net, seed);
		print_message("# seed %lu\n", seed);
		net.loss = 20;
		net.repeat = 10;
		net.delay = 20;
		for (int i = 0; i < 600; i++) {
			random_event(owners, generations);
			net_step(&net);
		}
		net.loss = 0;
		memset(net.is_cut, 0, sizeof(net.is_cut));
		for (int i = 0; i < NET_NODES; i++) {
			net.nodes[i].port_full = false;
			net_tell_servers(&net, i);
			net_tell_lease(&net, i, true);
		}
		for (uint32_t cell = 0; cell < NET_CELLS; cell++)
			net_tell_owner_all(&net, cell, cell % NET_NODES, generations[cell] + 1);
		net_settle(&net, 2000);
		assert_none_is_lost();
		for (int i = 0; i < NET_NODES; i++) {
			assert_newest_is_last(i);
			assert_int_equal(count(i, STATS_RELAY_WAITING), 0);
		}
	}
}

#define CLAIM(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLAIM(alarms_reach_the_owner_once_and_in_order),
		CLAIM(over_ipv6_with_datagrams_of_1472_octets),
		CLAIM(loss_repeats_and_reordering_change_neither_number_nor_order),
		CLAIM(an_alarm_is_kept_until_it_is_acknowledged),
		CLAIM(resends_to_a_silent_peer_become_rare_and_few),
		CLAIM(alarms_follow_their_cell_to_a_new_owner_in_order),
		CLAIM(a_hole_in_the_stream_costs_no_time_out),
		CLAIM(a_dead_owners_alarms_are_not_lost),
		CLAIM(alarms_for_us_wait_for_the_lease),
		CLAIM(what_an_owner_does_not_keep_is_sent_until_it_does),
		CLAIM(alarms_of_an_element_in_another_cell_are_judged_anew),
		CLAIM(metrics_are_sent_once_and_forgotten),
		CLAIM(metrics_that_cannot_be_sent_are_lost_by_name),
		CLAIM(alarms_wait_for_a_neighbour_a_buffer_and_a_port),
		CLAIM(without_a_port_alarms_are_kept_and_come_back),
		CLAIM(a_full_spool_loses_alarms_by_name),
		CLAIM(an_alarm_longer_than_the_ports_frames_is_lost_by_name),
		CLAIM(a_restarted_peer_gets_what_it_has_not_acknowledged),
		CLAIM(a_restarted_peer_gets_all_at_once_however_long_it_was_silent),
		CLAIM(our_own_restart_loses_the_spool_by_name_and_streams_start_anew),
		CLAIM(a_peer_that_leaves_the_table_and_returns_repeats_nothing),
		CLAIM(under_anything_no_alarm_is_lost_and_the_newest_comes_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
