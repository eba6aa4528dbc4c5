#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cp/core/core.h"
#include "tests/unit/cp/archive_fixture.h"

#define HOUR_NS (3600 * SECOND_NS)

/* ---- Events by the hour ---- */

/* Events first..last of an origin, of that time and a second more each. */
static void put_events(uint16_t origin, uint64_t first, uint64_t last, uint64_t time_ns)
{
	struct archive_batch *b = archive_batch_ok();

	for (uint64_t i = first; i <= last; i++) {
		struct wire_event e = archive_event(origin, i, time_ns);

		assert_int_equal(archive_put_event(b, &e), 0);
		time_ns += SECOND_NS;
	}
	archive_commit_wait(b);
}

struct tally {
	uint64_t n, first, last;
};

static bool see(void *user, const struct wire_event *e)
{
	struct tally *t = user;

	if (t->n++ == 0)
		t->first = e->number;
	t->last = e->number;
	return true;
}

static struct tally tally(uint16_t origin)
{
	struct tally t = {0};

	assert_int_equal(archive_events(ax.archive, origin, 0, UINT64_MAX, false, see, &t), 0);
	return t;
}

static struct archive_state look(void)
{
	struct archive_state state;

	archive_look(ax.archive, &state);
	return state;
}

static void wait_for_events(uint64_t n)
{
	while (look().n_events != n)
		archive_turn();
}

static void events_older_than_the_age_are_dropped(void **state)
{
	uint64_t now = core_wall_ns();

	(void)state;
	ax.cfg.events_keep_s = 1000 * 3600;
	archive_open_ok();
	put_events(0, 1, 10, now - 30 * HOUR_NS);
	put_events(1, 1, 2500, now - 50 * HOUR_NS); /* more than a slice of old ones */
	put_events(1, 2501, 2510, now - 10 * HOUR_NS);
	put_events(7, 1, 10, now);
	assert_int_equal(look().n_events, 2530);
	archive_shut();
	ax.cfg.events_keep_s = 20 * 3600;
	archive_open_ok();
	assert_int_equal(look().n_events, 2530);
	wait_for_events(20);
	assert_int_equal(look().n_events_dropped, 2510);
	assert_int_equal(tally(0).n, 0);
	assert_int_equal(tally(1).first, 2501);
	assert_int_equal(tally(1).n, 10);
	assert_int_equal(tally(7).n, 10);
	/* Nothing else is dropped while there is nothing older. */
	put_events(7, 11, 11, now);
	assert_int_equal(look().n_events, 21);
	archive_shut();
	archive_open_ok();
	assert_int_equal(look().n_events, 21);
}

static void the_oldest_events_of_all_are_dropped_above_the_size(void **state)
{
	uint64_t now = core_wall_ns(), hour = now - now % HOUR_NS;

	(void)state;
	ax.cfg.events_bytes_max = 120 << 10;
	archive_open_ok();
	/* Two origins, whose hours take turns: 6, 5, 4, 3 hours ago. */
	put_events(1, 1, 500, hour - 6 * HOUR_NS);
	put_events(2, 1, 500, hour - 5 * HOUR_NS);
	put_events(1, 501, 1000, hour - 4 * HOUR_NS);
	put_events(2, 501, 1000, hour - 3 * HOUR_NS);
	while (look().n_events + look().n_events_dropped < 2000 || look().n_events_dropped < 500)
		archive_turn();
	put_events(3, 1, 1, now); /* what was due before it is done then */
	assert_true(look().n_events_dropped > 500);
	assert_true(look().n_events > 1000); /* and not much more than was needed */
	/* All of origin 1's first hour went before origin 2's, and that before 1's second. */
	assert_int_equal(tally(1).first, 501);
	assert_true(tally(2).first > 1);
	assert_int_equal(tally(1).n, 500);
	assert_int_equal(tally(2).last, 1000);
	assert_int_equal(tally(1).n + tally(2).n + 1, look().n_events);
}

/* The limit of events does not help when other records take the room. */
static void events_go_before_the_file_is_full(void **state)
{
	static uint8_t value[100000];
	uint64_t now = core_wall_ns(), n = 0;

	(void)state;
	ax.cfg.bytes_max = 8 << 20;
	ax.cfg.events_bytes_max = 8 << 20;
	archive_open_ok();
	for (uint32_t i = 0; i < 60; i++) { /* 6 of 8 MB */
		struct archive_batch *b = archive_batch_ok();
		char name[8];

		snprintf(name, sizeof(name), "m%u", i);
		assert_int_equal(archive_put_mark(b, name, value, sizeof(value)), 0);
		archive_commit_wait(b);
	}
	while (look().n_events_dropped == 0) {
		assert_true(n < 100000);
		put_events(1, n + 1, n + 500, now);
		n += 500;
		assert_string_equal(look().name, "ok");
	}
	for (int i = 0; i < 40; i++) {
		put_events(1, n + 1, n + 500, now);
		n += 500;
		assert_string_equal(look().name, "ok");
	}
	assert_int_equal(tally(1).last, n);
	assert_true(look().bytes_used < 8 << 20);
}

static void what_dropped_events_took_is_used_again(void **state)
{
	uint64_t now = core_wall_ns(), n = 0, used = 0;

	(void)state;
	ax.cfg.events_bytes_max = 1 << 20;
	archive_open_ok();
	for (int i = 0; i < 60; i++) {
		put_events(1, n + 1, n + 1000, now - HOUR_NS + (uint64_t)i * SECOND_NS);
		n += 1000;
		if (i == 30)
			used = look().bytes_used;
	}
	assert_int_equal(look().n_events + look().n_events_dropped, n);
	assert_true(look().bytes_used < used * 3 / 2);
	assert_true(look().bytes_used < 3 << 20);
	assert_int_equal(tally(1).n, look().n_events);
	assert_int_equal(tally(1).last, n);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, archive_fixture_make, archive_fixture_remove)
	const struct CMUnitTest tests[] = {
		T(events_older_than_the_age_are_dropped),
		T(the_oldest_events_of_all_are_dropped_above_the_size),
		T(events_go_before_the_file_is_full),
		T(what_dropped_events_took_is_used_again),
	};

	return cmocka_run_group_tests_name("archive_retention", tests, NULL, NULL);
}
