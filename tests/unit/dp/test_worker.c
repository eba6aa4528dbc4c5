/* The worker's loop between ports that are played here and a real segment: what it follows, counts
 * and publishes, and when it sleeps. What it makes of frames is for tests/replay. */
#include "tests/unit/dp/worker_fixture.h"

#define LINK_DOWN 0x2b, 6, 1, 6, 3, 1, 1, 5, 3 /* 1.3.6.1.6.3.1.1.5.3 */

static void add_trap(uint8_t source)
{
	/* clang-format off */
	static const uint8_t trap[] = {
		0x30, 64, 0x02, 1, 1, 0x04, 6, 'p', 'u', 'b', 'l', 'i', 'c',
		0xa7, 51, 0x02, 1, 1, 0x02, 1, 0, 0x02, 1, 0, 0x30, 40,
		0x30, 13, 0x06, 8, 0x2b, 6, 1, 2, 1, 1, 3, 0, 0x43, 1, 1,
		0x30, 23, 0x06, 10, 0x2b, 6, 1, 6, 3, 1, 1, 4, 1, 0, 0x06, 9, LINK_DOWN,
	};
	/* clang-format on */

	add_frame(source, 162, trap, sizeof(trap));
}

/* ---- Frames ---- */

static void play_three_frames(uint32_t t)
{
	add_metric(1);
	add_metric(1);
	mbufs[1].nb_segs = 2;
	add_metric(9);
}

static void each_frame_is_counted_once_and_freed_once(void **state)
{
	struct stats s = run(1, play_three_frames, NULL);

	assert_int_equal(s.n[STATS_FRAMES], 3);
	assert_int_equal(s.n[STATS_DGRAM_APPLIED], 1);
	assert_int_equal(s.n[STATS_DROP_TRUNCATED], 1);
	assert_int_equal(s.n[STATS_DROP_UNKNOWN_SOURCE], 1);
	assert_int_equal(fedmem_unknowns_read(fm, (struct fedmem_unknown[4]){{{{0}}}}, 4), 1);
	assert_int_equal(mbufs[0].refcnt, REFERENCES - 1);
	assert_int_equal(mbufs[2].refcnt, REFERENCES - 1);
}

static void play_metric_of_busy_element(uint32_t t)
{
	is_element_busy = true;
	add_metric(1);
}

static void element_being_renumbered_is_not_listed_as_unknown(void **state)
{
	struct stats s = run(1, play_metric_of_busy_element, NULL);

	assert_int_equal(s.n[STATS_DROP_UNKNOWN_SOURCE], 1);
	assert_int_equal(fedmem_unknowns_read(fm, (struct fedmem_unknown[4]){{{{0}}}}, 4), 0);
}

/* ---- What control changes ---- */

static void play_lease_that_ends_and_returns(uint32_t t)
{
	if (t == 0)
		fedmem_lease_set(fm, 0);
	if (t == 1)
		add_alarm(1);
	if (t == 2)
		fedmem_lease_set(fm, LEASE_FOREVER);
}

static void alarms_of_a_time_without_lease_are_applied_when_it_returns(void **state)
{
	struct stats s = run(2, play_lease_that_ends_and_returns, NULL);

	assert_int_equal(s.n[STATS_DGRAM_RELAYED], 1);
	assert_int_equal(s.n[STATS_DGRAM_APPLIED], 0);
	assert_int_equal(s.n[STATS_RELAY_WAITING], 1);
	/* The spool ends with its process: so this time in one. */
	s = run(3, play_lease_that_ends_and_returns, NULL);
	assert_int_equal(s.n[STATS_RELAY_LOST], 1);
	assert_int_equal(s.n[STATS_DGRAMS_TAKEN_BACK], 1);
	assert_int_equal(s.n[STATS_RELAY_TAKEN_BACK], 1);
	assert_int_equal(s.n[STATS_DGRAM_APPLIED], 1);
	assert_int_equal(s.n[STATS_RELAY_WAITING], 0);
	assert_int_equal(s.n[STATS_ALARM_RAISED], 1);
}

static void play_element_that_moves_to_us(uint32_t t)
{
	if (t == 0)
		add_alarm(2);
	if (t == 1)
		put_element(2, OURS);
}

static void alarm_of_an_element_that_came_to_us_is_applied_here(void **state)
{
	struct stats s = run(3, play_element_that_moves_to_us, NULL);

	assert_int_equal(s.n[STATS_DGRAM_RELAYED], 1);
	assert_int_equal(s.n[STATS_DGRAMS_TAKEN_BACK], 1);
	assert_int_equal(s.n[STATS_DGRAM_APPLIED], 1);
}

static void play_metrics_to_a_peer(uint32_t t)
{
	add_metric(2);
	if (t == 0)
		fedmem_relay_boot_given(fm, fedmem_relay_boot_wanted(fm));
}

static void nothing_is_sent_to_a_peer_under_the_boot_of_an_earlier_start(void **state)
{
	struct stats s = run(2, play_metrics_to_a_peer, NULL);

	assert_int_equal(s.n[STATS_RELAY_NO_NEIGHBOUR], 1);
	assert_int_equal(s.n[STATS_RELAY_SENT], 1);
	assert_int_equal(port.n_sent, 1);
}

static void play_tables_that_cannot_be_read(uint32_t t)
{
	if (t == 0) {
		is_table_busy = true;
		put_cells();
		assert_int_equal(fedmem_rules_publish(fm, NULL, 0), 0);
		/* Has the worker route its alarms anew, by the cells that it has. */
		put_element(3, OURS);
	}
	if (t == 1) {
		add_trap(1);
		add_alarm(2);
	}
	if (t == 2) {
		assert_int_equal(port.n_sent, 1); /* to the owner that was known */
		is_table_busy = false;
		add_metric(1);
	}
	if (t == 3)
		add_trap(1);
}

static void table_that_cannot_be_read_leaves_the_old_one_in_use(void **state)
{
	const struct fedmem_rule rule = {
		.oid = {LINK_DOWN}, .oid_bytes = 9, .severity = FEDMEM_MAJOR, .type = "link-down"};
	struct stats s;

	assert_int_equal(fedmem_rules_publish(fm, &rule, 1), 0);
	fedmem_relay_boot_given(fm, fedmem_relay_boot_wanted(fm));
	s = run(4, play_tables_that_cannot_be_read, NULL);
	assert_int_equal(s.n[STATS_DGRAM_APPLIED], 2);
	assert_int_equal(s.n[STATS_ALARM_RAISED], 1);
	assert_int_equal(s.n[STATS_DGRAM_RELAYED], 1);
	assert_int_equal(s.n[STATS_REFUSED_NO_RULE], 1); /* the new table has none */
}

/* ---- What control counts ---- */

static void counters_of_control_go_on_over_a_restart(void **state)
{
	const struct worker_note first = {.steer_frames = 10, .steer_taken = 7, .steer_passed = 3};
	const struct worker_note second = {
		.steer_frames = 5, .steer_malformed = 5, .port_missed = 2};
	struct stats s;

	run(1, NULL, &first);
	s = run(1, NULL, &second);
	assert_int_equal(s.n[STATS_STEER_FRAMES], 15);
	assert_int_equal(s.n[STATS_STEER_TAKEN], 7);
	assert_int_equal(s.n[STATS_STEER_PASSED], 3);
	assert_int_equal(s.n[STATS_STEER_MALFORMED], 5);
	assert_int_equal(s.n[STATS_PORT_MISSED], 2);
}

/* ---- Sleep ---- */

static void adaptive_idle_sleeps_no_longer_than_configured(void **state)
{
	run(200, NULL, NULL);
	assert_in_range(n_sleeps, 1, 199); /* it spins at first */
	assert_in_range(first_ns, 1, 100000);
	assert_int_equal(longest_ns, 300000);
}

static void play_a_frame_now_and_then(uint32_t t)
{
	if (t % 50 == 0)
		add_metric(1);
}

static void idle_begins_anew_after_each_frame(void **state)
{
	run(500, play_a_frame_now_and_then, NULL);
	assert_int_equal(n_sleeps, 0);
}

static void busy_idle_never_sleeps(void **state)
{
	conf.dataplane.idle = CONF_IDLE_BUSY;
	run(500, NULL, NULL);
	assert_int_equal(n_sleeps, 0);
}

static void frames_that_wait_to_be_sent_keep_the_worker_awake(void **state)
{
	port.is_stuck = true;
	run(500, NULL, NULL);
	assert_int_equal(n_sleeps, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_frame_is_counted_once_and_freed_once),
		TEST(element_being_renumbered_is_not_listed_as_unknown),
		TEST(alarms_of_a_time_without_lease_are_applied_when_it_returns),
		TEST(alarm_of_an_element_that_came_to_us_is_applied_here),
		TEST(nothing_is_sent_to_a_peer_under_the_boot_of_an_earlier_start),
		TEST(table_that_cannot_be_read_leaves_the_old_one_in_use),
		TEST(counters_of_control_go_on_over_a_restart),
		TEST(adaptive_idle_sleeps_no_longer_than_configured),
		TEST(idle_begins_anew_after_each_frame),
		TEST(busy_idle_never_sleeps),
		TEST(frames_that_wait_to_be_sent_keep_the_worker_awake),
	};

	return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
