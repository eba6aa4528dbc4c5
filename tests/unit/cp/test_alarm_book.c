#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cp/alarm/alarm.h"
#include "tests/lib/played_server.h"

static const struct fedmem_token token = {1, 1};

static int open_with(struct played_server *s, uint32_t alarms_max, uint32_t events_max)
{
	played_server_open(s, &(struct played_config){.id = 1,
						      .n_servers = 1,
						      .n_elements = 4,
						      .alarms_max = alarms_max,
						      .events_max = events_max});
	return 0;
}

static struct played_server s;

static int set_up(void **state)
{
	return open_with(&s, 4, 16);
}

static int tear_down(void **state)
{
	played_server_close(&s);
	return 0;
}

#define TOLD_MAX 64

static struct {
	char text[TOLD_MAX][64]; /* "raised e10 linkDown if1 major" */
	uint64_t numbers[TOLD_MAX];
	uint32_t n;
} told;

static void note(void *user, uint8_t kind, uint64_t number, uint64_t time_ns,
		 const struct fedmem_alarm *a)
{
	assert_true(told.n < TOLD_MAX);
	assert_true(time_ns > 0);
	/* The word and the state say the same. */
	assert_int_equal(kind == FEDMEM_EV_CLEARED, a->state == FEDMEM_ALARM_GONE);
	told.numbers[told.n] = number;
	snprintf(told.text[told.n++], sizeof(told.text[0]), "%s %u %.16s %.16s %s",
		 alarm_event_name(kind), (unsigned int)a->element_id, a->type, a->resource,
		 alarm_severity_name(a->severity));
}

/* Follows until there is no more, and gives the ring's places back; returns whether something was
 * lost. */
static bool follow(struct alarm_book *b)
{
	struct alarm_place before, after = alarm_book_place(b);
	bool has_lost = false;

	told.n = 0;
	do {
		bool has_lost_now;

		before = after;
		alarm_book_follow(b, note, NULL, &has_lost_now);
		has_lost |= has_lost_now;
		after = alarm_book_place(b);
	} while (memcmp(&before, &after, sizeof(before)) != 0);
	alarm_book_release(b, after.number);
	return has_lost;
}

static void report(uint64_t element, const char *resource, uint8_t severity)
{
	played_alarm(&s, &(struct played_alarm){element, token, "linkDown", resource, severity});
}

static uint8_t was_never(void *user, const struct fedmem_alarm *a)
{
	return FEDMEM_ALARM_FREE;
}

static struct alarm_book *book_from(struct alarm_place place)
{
	struct alarm_book *b;

	assert_int_equal(alarm_book_create(&b, s.fm, &place, was_never, NULL), 0);
	return b;
}

/* That has seen the data plane's start, with which nothing is lost. */
static struct alarm_book *new_book(void)
{
	struct alarm_book *b = book_from((struct alarm_place){0});

	assert_false(follow(b));
	assert_int_equal(told.n, 0);
	return b;
}

static void changes_are_told_once_each_and_in_order(void **state)
{
	struct alarm_book *b = new_book();

	report(10, "if1", FEDMEM_MAJOR);
	report(20, "if2", FEDMEM_MINOR);
	report(10, "if1", FEDMEM_CRITICAL);
	report(10, "if1", FEDMEM_CRITICAL); /* a repeat is no change */
	report(10, "if1", FEDMEM_CLEARED);
	report(10, "if1", FEDMEM_WARNING);
	assert_false(follow(b));
	assert_int_equal(told.n, 5);
	assert_string_equal(told.text[0], "raised 10 linkDown if1 major");
	assert_string_equal(told.text[1], "raised 20 linkDown if2 minor");
	assert_string_equal(told.text[2], "severity 10 linkDown if1 critical");
	assert_string_equal(told.text[3], "cleared 10 linkDown if1 critical");
	assert_string_equal(told.text[4], "raised 10 linkDown if1 warning");
	for (uint32_t i = 1; i < told.n; i++)
		assert_true(told.numbers[i] > told.numbers[i - 1]);
	assert_false(follow(b));
	assert_int_equal(told.n, 0);
	alarm_book_destroy(b);
}

static void changes_up_to_the_place_are_not_told_again(void **state)
{
	struct alarm_book *b = new_book();
	struct alarm_place place;

	report(10, "if1", FEDMEM_MAJOR);
	report(20, "if1", FEDMEM_MAJOR);
	follow(b);
	place = alarm_book_place(b);
	report(10, "if1", FEDMEM_CLEARED);
	alarm_book_destroy(b);
	b = book_from(place);
	assert_false(follow(b));
	assert_int_equal(told.n, 1);
	assert_string_equal(told.text[0], "cleared 10 linkDown if1 major");
	alarm_book_destroy(b);
}

/* The process is killed before it could say that anything is stored. */
static void changes_that_were_not_stored_are_told_again(void **state)
{
	struct alarm_book *b = new_book();
	struct alarm_place place = alarm_book_place(b);
	bool has_lost;

	report(10, "if1", FEDMEM_MAJOR);
	report(10, "if1", FEDMEM_CLEARED);
	for (int i = 0; i < 3; i++) {
		told.n = 0;
		alarm_book_follow(b, note, NULL, &has_lost);
		assert_int_equal(told.n, 2);
		assert_string_equal(told.text[0], "raised 10 linkDown if1 major");
		assert_string_equal(told.text[1], "cleared 10 linkDown if1 major");
		alarm_book_destroy(b);
		b = book_from(place);
	}
	alarm_book_destroy(b);
}

static void ring_keeps_what_was_not_released(void **state)
{
	struct alarm_book *b = new_book();
	uint64_t overflows = fedmem_event_overflows(s.fm);
	bool has_lost;

	for (int i = 0; i < 8; i++) {
		report(10, "if1", FEDMEM_MAJOR);
		report(10, "if1", FEDMEM_CLEARED);
	}
	alarm_book_follow(b, note, NULL, &has_lost);
	assert_int_equal(fedmem_event_overflows(s.fm), overflows);
	report(10, "if1", FEDMEM_MAJOR); /* all sixteen places are taken */
	assert_int_equal(fedmem_event_overflows(s.fm), overflows + 1);
	follow(b);
	report(10, "if1", FEDMEM_CLEARED);
	assert_int_equal(fedmem_event_overflows(s.fm), overflows + 1);
	alarm_book_destroy(b);
}

static uint8_t was_raised(void *user, const struct fedmem_alarm *a)
{
	return a->element_id == 10 ? FEDMEM_ALARM_RAISED : FEDMEM_ALARM_FREE;
}

/* Cleared and raised again while nobody followed: the record says only the last of it. */
static void clear_of_what_was_raised_since_is_told_when_it_is_known_whose_it_was(void **state)
{
	struct alarm_book *b = new_book();
	struct alarm_place place;

	report(10, "if1", FEDMEM_MAJOR);
	report(20, "if1", FEDMEM_MAJOR);
	follow(b);
	place = alarm_book_place(b);
	alarm_book_destroy(b);
	for (uint64_t element = 10; element <= 20; element += 10) {
		report(element, "if1", FEDMEM_CLEARED);
		report(element, "if1", FEDMEM_MINOR);
	}
	assert_int_equal(alarm_book_create(&b, s.fm, &place, was_raised, NULL), 0);
	follow(b);
	assert_int_equal(told.n, 3);
	assert_string_equal(told.text[0], "cleared 10 linkDown if1 major");
	assert_string_equal(told.text[1], "raised 10 linkDown if1 minor");
	assert_string_equal(told.text[2], "raised 20 linkDown if1 minor");
	alarm_book_destroy(b);
}

static void after_an_overflow_the_table_is_told_anew_and_nothing_twice(void **state)
{
	struct alarm_book *b = new_book();

	report(10, "told", FEDMEM_MAJOR);
	report(20, "worse", FEDMEM_MINOR);
	assert_false(follow(b));
	/* Twenty changes do not fit the ring's sixteen places. */
	for (int i = 0; i < 9; i++) {
		report(30, "flaps", FEDMEM_MAJOR);
		report(30, "flaps", FEDMEM_CLEARED);
	}
	report(40, "late", FEDMEM_CRITICAL);
	report(20, "worse", FEDMEM_CRITICAL);
	assert_true(follow(b));
	/* What fitted, then what the table has beyond it. */
	assert_true(told.n >= 16);
	assert_string_equal(told.text[0], "raised 30 linkDown flaps major");
	for (uint32_t i = 0; i < told.n; i++)
		for (uint32_t k = 0; k < i; k++)
			assert_int_not_equal(told.numbers[i], told.numbers[k]);
	assert_int_equal(told.n, 16 + 3);
	for (uint32_t i = 0, n = 0; i < told.n; i++) {
		n += strcmp(told.text[i], "raised 40 linkDown late critical") == 0;
		n += strcmp(told.text[i], "severity 20 linkDown worse critical") == 0;
		n += i >= 16 && strcmp(told.text[i], "cleared 30 linkDown flaps major") == 0;
		assert_int_equal(n == 3, i == told.n - 1);
	}
	assert_false(follow(b));
	assert_int_equal(told.n, 0);
	alarm_book_destroy(b);
}

/* The table has four places; the fifth alarm takes that of the one that is gone. */
static void clear_of_an_alarm_that_made_room_is_said_to_be_lost(void **state)
{
	struct alarm_book *b = new_book();

	for (uint32_t i = 1; i <= 4; i++)
		report(10 * i, "old", FEDMEM_MAJOR);
	assert_false(follow(b));
	assert_int_equal(told.n, 4);
	report(20, "old", FEDMEM_CLEARED);
	report(20, "new", FEDMEM_MINOR);
	assert_true(follow(b));
	assert_int_equal(told.n, 1);
	assert_string_equal(told.text[0], "raised 20 linkDown new minor");
	alarm_book_destroy(b);
}

/* The data plane remembers a clear that came before its raise, and that is no change. */
static void clear_is_not_told_of_what_took_the_place_without_a_change(void **state)
{
	struct alarm_book *b = new_book();

	for (uint32_t i = 1; i <= 4; i++)
		report(10 * i, "old", FEDMEM_MAJOR);
	assert_false(follow(b));
	report(20, "old", FEDMEM_CLEARED);
	report(20, "never", FEDMEM_CLEARED);
	assert_true(follow(b));
	assert_int_equal(told.n, 0);
	alarm_book_destroy(b);
}

static void alarm_that_came_and_made_room_unseen_does_no_harm(void **state)
{
	struct alarm_book *b = new_book();

	for (uint32_t i = 1; i <= 4; i++)
		report(10 * i, "first", FEDMEM_MAJOR);
	report(10, "first", FEDMEM_CLEARED);
	assert_false(follow(b));
	report(10, "second", FEDMEM_MINOR);
	report(10, "second", FEDMEM_CLEARED);
	report(10, "third", FEDMEM_WARNING);
	assert_false(follow(b));
	/* Whatever was said in between, the last word on the entry is right, and 'second' is not
	 * raised. */
	assert_string_equal(told.text[told.n - 1], "raised 10 linkDown third warning");
	for (uint32_t i = 0; i < told.n; i++)
		assert_null(strstr(told.text[i], "second"));
	alarm_book_destroy(b);
}

static void alarm_that_a_new_token_voids_is_said_to_be_lost_when_its_place_is_taken(void **state)
{
	struct alarm_book *b = new_book();

	report(10, "if1", FEDMEM_MAJOR);
	assert_false(follow(b));
	/* The cell went away and came back: the element's old alarms are freed without a word. */
	played_alarm(&s, &(struct played_alarm){10, {2, 2}, "linkDown", "if9", FEDMEM_MINOR});
	assert_true(follow(b));
	assert_int_equal(told.n, 1);
	assert_string_equal(told.text[0], "raised 10 linkDown if9 minor");
	alarm_book_destroy(b);
}

static void start_of_the_data_plane_is_said_to_lose_only_what_is_gone(void **state)
{
	struct alarm_book *b = new_book();
	struct fedmem_state *record;
	uint32_t slot;

	report(10, "if1", FEDMEM_MAJOR);
	report(20, "if1", FEDMEM_MAJOR);
	assert_false(follow(b));
	fedmem_writer_close(s.writer);
	assert_int_equal(fedmem_writer_open(&s.writer, s.fm, NULL), 0);
	assert_false(follow(b));
	assert_int_equal(told.n, 0);

	/* One alarm is freed without a word, and the next start has the table read. */
	assert_int_equal(fedmem_find_by_id(s.fm, 10, &slot), 0);
	record = fedmem_state_begin(s.writer, slot, 10, (struct fedmem_token){2, 2});
	fedmem_state_commit(s.writer, record);
	fedmem_writer_close(s.writer);
	assert_int_equal(fedmem_writer_open(&s.writer, s.fm, NULL), 0);
	assert_true(follow(b));
	assert_false(follow(b));
	alarm_book_destroy(b);
}

/* ---- Killed at any moment ---- */

#define LIFE_ELEMENTS	   4
#define LIFE_RESOURCES_MAX 400

/* What a store would hold: what was told and up to where, together or not at all. */
static struct {
	struct alarm_place place;
	uint8_t kinds[LIFE_ELEMENTS][LIFE_RESOURCES_MAX]; /* the last one told; 0: none */
	bool is_told[1 << 16];				  /* by number */
} disk, in_memory;

static void note_life(void *user, uint8_t kind, uint64_t number, uint64_t time_ns,
		      const struct fedmem_alarm *a)
{
	assert_true(number < sizeof(in_memory.is_told));
	assert_false(in_memory.is_told[number]);
	in_memory.is_told[number] = true;
	in_memory.kinds[a->element_id / 10 - 1][atoi(a->resource)] = kind;
}

static uint8_t was_on_disk(void *user, const struct fedmem_alarm *a)
{
	switch (disk.kinds[a->element_id / 10 - 1][atoi(a->resource)]) {
	case 0:
		return FEDMEM_ALARM_FREE;
	case FEDMEM_EV_CLEARED:
		return FEDMEM_ALARM_GONE;
	default:
		return FEDMEM_ALARM_RAISED;
	}
}

static uint32_t draw(uint64_t *seed, uint32_t n)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33) % n;
}

static void report_any(uint64_t *seed, uint32_t n_resources)
{
	uint64_t element = 10 * (1 + draw(seed, LIFE_ELEMENTS));
	char resource[16];

	snprintf(resource, sizeof(resource), "%u", draw(seed, n_resources));
	report(element, resource,
	       draw(seed, 3) == 0 ? FEDMEM_CLEARED : (uint8_t)(1 + draw(seed, 5)));
}

static void live_once(uint64_t seed, uint32_t n_resources, uint32_t burst)
{
	struct alarm_book *b = NULL;
	bool has_lost;

	memset(&disk, 0, sizeof(disk));
	for (int step = 0; step < 400; step++) {
		uint32_t what = draw(&seed, 20);

		if (b == NULL) {
			in_memory = disk;
			assert_int_equal(
				alarm_book_create(&b, s.fm, &disk.place, was_on_disk, NULL), 0);
		}
		if (what < 13) {
			for (uint32_t i = 0; i < burst; i++)
				report_any(&seed, n_resources);
		} else if (what < 16) {
			alarm_book_follow(b, note_life, NULL, &has_lost);
			in_memory.place = alarm_book_place(b);
		} else if (what < 18) {
			disk = in_memory;
		} else if (what < 19) {
			alarm_book_release(b, disk.place.number);
		} else {
			alarm_book_destroy(b);
			b = NULL;
		}
	}
	if (b == NULL) {
		in_memory = disk;
		assert_int_equal(alarm_book_create(&b, s.fm, &disk.place, was_on_disk, NULL), 0);
	}
	do {
		disk.place = alarm_book_place(b);
		alarm_book_follow(b, note_life, NULL, &has_lost);
		in_memory.place = alarm_book_place(b);
	} while (memcmp(&disk.place, &in_memory.place, sizeof(disk.place)) != 0);
	alarm_book_release(b, in_memory.place.number);
	for (uint32_t i = 0; i < fedmem_sizes(s.fm)->alarms_max; i++) {
		struct fedmem_alarm a;
		uint8_t kind;

		if (fedmem_alarm_read(s.fm, i, &a) != 0)
			continue;
		kind = in_memory.kinds[a.element_id / 10 - 1][atoi(a.resource)];
		if (a.raised_ns == 0)
			assert_int_equal(kind, 0); /* a clear that nobody raised */
		else if (a.state == FEDMEM_ALARM_RAISED)
			assert_true(kind == FEDMEM_EV_RAISED || kind == FEDMEM_EV_SEVERITY);
		else
			assert_int_equal(kind, FEDMEM_EV_CLEARED);
	}
	alarm_book_destroy(b);
}

static void whenever_it_is_killed_no_change_is_told_twice_and_no_alarm_is_lost(void **state)
{
	for (uint64_t seed = 1; seed <= 200; seed++) {
		played_server_close(&s);
		open_with(&s, 16, 8);
		live_once(seed, 3, 1);
	}
}

/* A table that is longer than a turn, and a ring that overflows at once. */
static void killed_in_the_middle_of_the_table_it_goes_on_there(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		played_server_close(&s);
		open_with(&s, 2048, 16);
		live_once(seed, LIFE_RESOURCES_MAX, 100);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(changes_are_told_once_each_and_in_order),
		TEST(changes_up_to_the_place_are_not_told_again),
		TEST(changes_that_were_not_stored_are_told_again),
		TEST(ring_keeps_what_was_not_released),
		TEST(clear_of_what_was_raised_since_is_told_when_it_is_known_whose_it_was),
		TEST(after_an_overflow_the_table_is_told_anew_and_nothing_twice),
		TEST(clear_of_an_alarm_that_made_room_is_said_to_be_lost),
		TEST(clear_is_not_told_of_what_took_the_place_without_a_change),
		TEST(alarm_that_came_and_made_room_unseen_does_no_harm),
		TEST(alarm_that_a_new_token_voids_is_said_to_be_lost_when_its_place_is_taken),
		TEST(start_of_the_data_plane_is_said_to_lose_only_what_is_gone),
		TEST(whenever_it_is_killed_no_change_is_told_twice_and_no_alarm_is_lost),
		TEST(killed_in_the_middle_of_the_table_it_goes_on_there),
	};

	return cmocka_run_group_tests_name("alarm_book", tests, NULL, NULL);
}
