/* What the worker puts into the memory for the control plane, and what it keeps back meanwhile. */
#include "tests/unit/dp/worker_fixture.h"

static void push_alarm(uint64_t generation, char resource)
{
	const struct fedmem_inject inject = {
		.kind = FEDMEM_INJECT_ALARM,
		.element_id = 1,
		.token = {1, generation},
		.alarm = {.state = FEDMEM_ALARM_RAISED,
			  .severity = FEDMEM_MAJOR,
			  .type = "t",
			  .resource = {resource},
			  .raised_ns = 5,
			  .count = 7},
	};

	assert_int_equal(fedmem_inject_push(fm, &inject), 0);
}

static void play_many_injects(uint32_t t)
{
	if (t == 0)
		for (int i = 0; i < 150; i++)
			push_alarm(1, 'r');
	assert_int_equal(fedmem_injects_done(fm), t < 3 ? t * 64 : 150);
}

static void at_most_64_are_put_in_between_two_bursts(void **state)
{
	struct stats s = run(5, play_many_injects, NULL);

	assert_int_equal(fedmem_injects_pushed(fm), 150);
	assert_int_equal(s.n[STATS_ALARM_RESTORED], 150);
	assert_int_equal(n_sleeps, 0);
}

static void play_restoring_cell(uint32_t t)
{
	if (t == 1)
		put_cells_restoring(true);
	if (t == 2) {
		assert_int_equal(fedmem_dp_cells_version(fm), fedmem_cells_version(fm));
		add_alarm(1);
		add_metric(1);
		push_alarm(1, 0);
	}
	if (t == 3)
		put_cells();
	if (t == 4)
		assert_int_equal(fedmem_dp_cells_version(fm), fedmem_cells_version(fm));
}

static void alarm_of_a_cell_that_is_restored_comes_after_what_was_put_in(void **state)
{
	struct stats s = run(5, play_restoring_cell, NULL);
	struct fedmem_alarm a;

	assert_int_equal(s.n[STATS_DGRAM_RELAYED], 1);
	assert_int_equal(s.n[STATS_DGRAMS_TAKEN_BACK], 1);
	assert_int_equal(s.n[STATS_ALARM_RESTORED], 1);
	assert_int_equal(s.n[STATS_ALARM_RAISED], 0);
	assert_int_equal(s.n[STATS_ALARM_REPEATED], 1);
	assert_int_equal(fedmem_alarm_read(fm, 0, &a), 0);
	assert_int_equal(a.count, 8);
	assert_int_equal(a.raised_ns, 5);
}

static void play_table_before_inject(uint32_t t)
{
	const struct fedmem_cell cells[] = {[OURS] = {.token = {1, 9}, .owner = SELF}};

	is_table_busy = t < 3;
	if (t == 0) { /* behind the worker's look at the table */
		assert_int_equal(fedmem_cells_publish(fm, cells, 1), 0);
		push_alarm(9, 'r');
	}
	assert_int_equal(fedmem_injects_done(fm), t < 4 ? 0 : 1);
}

static void what_is_put_in_waits_for_the_cells_that_were_published_before_it(void **state)
{
	struct stats s = run(5, play_table_before_inject, NULL);

	assert_int_equal(s.n[STATS_ALARM_RESTORED], 1);
	assert_int_equal(s.n[STATS_RESTORE_REFUSED], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(at_most_64_are_put_in_between_two_bursts),
		TEST(alarm_of_a_cell_that_is_restored_comes_after_what_was_put_in),
		TEST(what_is_put_in_waits_for_the_cells_that_were_published_before_it),
	};

	return cmocka_run_group_tests_name("worker_restore", tests, NULL, NULL);
}
