#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cp/core/core.h"
#include "dp/fedmem/fedmem.h"
#include "tests/unit/cp/archive_fixture.h"

/* ---- Each kind of record ---- */

struct collected {
	uint32_t n, room;
	uint64_t ids[16];
	struct wire_stored_alarm alarm; /* the last; its texts are gone */
	struct wire_stored_element element;
	char texts[4][64];
};

static void text_copy(char to[64], struct wire_octets o)
{
	assert_true(o.n < 64);
	snprintf(to, 64, "%.*s", (int)o.n, (const char *)o.bytes);
}

static bool see_alarm(void *user, const struct wire_stored_alarm *s)
{
	struct collected *c = user;

	c->ids[c->n++] = s->element_id;
	c->alarm = *s;
	text_copy(c->texts[0], s->type);
	text_copy(c->texts[1], s->resource);
	text_copy(c->texts[2], s->qualifier);
	text_copy(c->texts[3], s->text);
	return c->n < c->room;
}

static bool see_note(void *user, const struct wire_alarm_note *n)
{
	struct collected *c = user;

	c->ids[c->n++] = n->element_id;
	text_copy(c->texts[0], n->type);
	snprintf(c->texts[1], 64, "%s/%s/%s", n->operator_name, n->text, n->request_id);
	return c->n < c->room;
}

static bool see_element(void *user, const struct wire_stored_element *s)
{
	struct collected *c = user;

	c->ids[c->n++] = s->id;
	c->element = *s;
	return c->n < c->room;
}

static struct collected alarms_of(uint64_t first, uint64_t last)
{
	struct collected c = {.room = 16};

	assert_int_equal(archive_alarms(ax.archive, first, last, see_alarm, &c), 0);
	return c;
}

static struct collected notes_of(uint64_t first, uint64_t last)
{
	struct collected c = {.room = 16};

	assert_int_equal(archive_notes(ax.archive, first, last, see_note, &c), 0);
	return c;
}

static void put_alarm(uint64_t element, const char *type, const char *resource,
		      const char *qualifier, uint8_t alarm_state)
{
	struct archive_batch *b = archive_batch_ok();
	struct wire_stored_alarm s = archive_alarm(element, type, resource, qualifier);

	s.state = alarm_state;
	assert_int_equal(archive_put_alarm(b, &s), 0);
	archive_commit_wait(b);
}

static void alarms_are_what_was_put_after_a_restart(void **state)
{
	struct collected c;

	(void)state;
	archive_open_ok();
	assert_true(ax.is_new);
	put_alarm(5, "link-down", "eth0", "q", FEDMEM_ALARM_RAISED);
	archive_shut();
	archive_open_ok();
	assert_false(ax.is_new);
	c = alarms_of(0, UINT64_MAX);
	assert_int_equal(c.n, 1);
	assert_int_equal(c.alarm.element_id, 5);
	assert_int_equal(c.alarm.state, FEDMEM_ALARM_RAISED);
	assert_int_equal(c.alarm.severity, FEDMEM_MAJOR);
	assert_int_equal(c.alarm.raised_ns, 11);
	assert_int_equal(c.alarm.count, 14);
	assert_int_equal(c.alarm.stored_ns, 17);
	assert_int_equal(c.alarm.owner, 3);
	assert_int_equal(c.alarm.token.generation, 8);
	assert_string_equal(c.texts[0], "link-down");
	assert_string_equal(c.texts[1], "eth0");
	assert_string_equal(c.texts[2], "q");
	assert_string_equal(c.texts[3], "down");
}

/* Where one field ends and the next begins is part of the key. */
static void alarms_are_told_apart_by_every_part_of_their_key(void **state)
{
	(void)state;
	archive_open_ok();
	put_alarm(5, "ab", "c", "", FEDMEM_ALARM_RAISED);
	put_alarm(5, "a", "bc", "", FEDMEM_ALARM_RAISED);
	put_alarm(5, "a", "b", "c", FEDMEM_ALARM_RAISED);
	put_alarm(5, "", "ab", "c", FEDMEM_ALARM_RAISED);
	put_alarm(5, "ab", "", "c", FEDMEM_ALARM_RAISED);
	put_alarm(6, "ab", "", "c", FEDMEM_ALARM_RAISED);
	put_alarm(5, "1234567890123456789012345678901234567890",
		  "123456789012345678901234567890123456789012345678", "123456789012345678901234",
		  FEDMEM_ALARM_RAISED);
	assert_int_equal(alarms_of(0, UINT64_MAX).n, 7);
	put_alarm(5, "ab", "", "c", FEDMEM_ALARM_GONE);
	assert_int_equal(alarms_of(0, UINT64_MAX).n, 7);
	put_alarm(5, "ab", "", "c", FEDMEM_ALARM_FREE);
	assert_int_equal(alarms_of(0, UINT64_MAX).n, 6);
	assert_int_equal(alarms_of(5, 5).n, 5);
	assert_int_equal(alarms_of(6, 6).n, 1);
}

static void ranges_of_elements_have_both_ends_and_stop_when_told(void **state)
{
	static const uint64_t ids[] = {1, 255, 256, UINT64_MAX - 1, UINT64_MAX};
	struct archive_batch *b;
	struct collected c = {.room = 2};

	(void)state;
	archive_open_ok();
	b = archive_batch_ok();
	for (int i = 4; i >= 0; i--) {
		struct wire_stored_alarm s = archive_alarm(ids[i], "t", "r", "");
		struct wire_alarm_note n = archive_note(ids[i], "t", "r", "");

		assert_int_equal(archive_put_alarm(b, &s), 0);
		assert_int_equal(archive_put_note(b, &n), 0);
	}
	archive_commit_wait(b);
	assert_memory_equal(alarms_of(0, UINT64_MAX).ids, ids, sizeof(ids));
	assert_int_equal(alarms_of(255, 256).n, 2);
	assert_int_equal(alarms_of(2, 254).n, 0);
	assert_int_equal(alarms_of(UINT64_MAX, UINT64_MAX).n, 1);
	assert_int_equal(alarms_of(3, 2).n, 0);
	assert_int_equal(archive_alarms(ax.archive, 0, UINT64_MAX, see_alarm, &c), 0);
	assert_int_equal(c.n, 2);

	b = archive_batch_ok();
	assert_int_equal(archive_drop_alarms(b, UINT64_MAX), 0);
	assert_int_equal(archive_drop_alarms(b, 255), 0);
	archive_commit_wait(b);
	assert_int_equal(alarms_of(0, UINT64_MAX).n, 3);
	assert_int_equal(notes_of(0, UINT64_MAX).n, 3);
	assert_int_equal(notes_of(255, 255).n, 0);
}

static void what_is_put_behind_a_drop_in_one_batch_stays(void **state)
{
	struct wire_stored_alarm s = archive_alarm(5, "new", "r", "");
	struct archive_batch *b;

	(void)state;
	archive_open_ok();
	put_alarm(5, "old", "r", "", FEDMEM_ALARM_RAISED);
	b = archive_batch_ok();
	assert_int_equal(archive_drop_alarms(b, 5), 0);
	assert_int_equal(archive_put_alarm(b, &s), 0);
	archive_commit_wait(b);
	assert_int_equal(alarms_of(0, UINT64_MAX).n, 1);
	assert_string_equal(alarms_of(5, 5).texts[0], "new");
}

static void notes_elements_cells_status_and_marks_are_what_was_put(void **state)
{
	struct wire_metric metric = {3, 1.5};
	struct wire_alarm_note note = archive_note(5, "t", "r", "");
	struct wire_stored_element element = {.id = 9,
					      .cell = "east",
					      .owner = 3,
					      .n_alarms = 2,
					      .n_reports = 77,
					      .stored_ns = 5,
					      .worst = FEDMEM_MAJOR,
					      .metrics = &metric,
					      .n_metrics = 1};
	struct wire_cell_sync sync = {
		.cell = "east", .token = {1, 2}, .is_complete = true, .is_owner = false};
	struct wire_status status = {.cluster = "lab", .server = 1, .master = 1, .stored_ns = 99};
	struct archive_batch *b;
	struct wire_cell_sync *sync_out;
	struct wire_status *status_out;
	struct collected c = {.room = 16};
	char mark[8];
	size_t n = sizeof(mark);

	(void)state;
	archive_open_ok();
	assert_false(archive_sync(ax.archive, "east", &sync_out));
	assert_false(archive_status(ax.archive, &status_out));
	assert_false(archive_mark(ax.archive, "ring", mark, &n));
	b = archive_batch_ok();
	assert_int_equal(archive_put_note(b, &note), 0);
	assert_int_equal(archive_put_element(b, &element), 0);
	assert_int_equal(archive_put_sync(b, &sync), 0);
	assert_int_equal(archive_put_status(b, &status), 0);
	assert_int_equal(archive_put_mark(b, "ring", "12345", 5), 0);
	archive_commit_wait(b);
	archive_shut();
	archive_open_ok();

	assert_int_equal(notes_of(5, 5).n, 1);
	assert_string_equal(notes_of(5, 5).texts[1], "ann/seen/r1");
	assert_int_equal(archive_elements(ax.archive, 0, UINT64_MAX, see_element, &c), 0);
	assert_int_equal(c.n, 1);
	assert_int_equal(c.element.id, 9);
	assert_int_equal(c.element.n_reports, 77);
	assert_int_equal(c.element.n_metrics, 1);
	assert_true(archive_sync(ax.archive, "east", &sync_out));
	assert_true(sync_out->is_complete && !sync_out->is_owner && sync_out->token.epoch == 1);
	wire_free(sync_out);
	assert_false(archive_sync(ax.archive, "west", &sync_out));
	assert_true(archive_status(ax.archive, &status_out));
	assert_int_equal(status_out->stored_ns, 99);
	wire_free(status_out);
	n = sizeof(mark);
	assert_true(archive_mark(ax.archive, "ring", mark, &n));
	assert_int_equal(n, 5);
	assert_memory_equal(mark, "12345", 5);
}

/* ---- Events ---- */

static void put_event(uint16_t origin, uint64_t number)
{
	struct wire_event e = archive_event(origin, number, core_wall_ns());
	struct archive_batch *b = archive_batch_ok();

	assert_int_equal(archive_put_event(b, &e), 0);
	archive_commit_wait(b);
}

static void events_are_in_order_and_doubles_are_one(void **state)
{
	static const uint64_t numbers[] = {256, 3, 255, 4, 3, 255};
	uint16_t origins[8];
	struct archive_state look;

	(void)state;
	archive_open_ok();
	assert_int_equal(archive_origins(ax.archive, origins, 8), 0);
	for (int i = 0; i < 6; i++)
		put_event(4, numbers[i]);
	put_event(0, 1);
	put_event(UINT16_MAX, 9);
	assert_string_equal(archive_numbers(4, 0, UINT64_MAX, false), "3 4 255 256 ");
	assert_string_equal(archive_numbers(4, 0, UINT64_MAX, true), "256 255 4 3 ");
	assert_string_equal(archive_numbers(4, 3, 255, false), "4 255 ");
	assert_string_equal(archive_numbers(4, 3, 255, true), "255 4 ");
	assert_string_equal(archive_numbers(4, 256, UINT64_MAX, false), "");
	assert_string_equal(archive_numbers(5, 0, UINT64_MAX, true), "");
	assert_string_equal(archive_numbers(UINT16_MAX, 0, UINT64_MAX, true), "9 ");
	assert_int_equal(archive_origins(ax.archive, origins, 8), 3);
	assert_int_equal(origins[0], 0);
	assert_int_equal(origins[1], 4);
	assert_int_equal(origins[2], UINT16_MAX);
	assert_int_equal(archive_origins(ax.archive, origins, 2), 2);
	archive_look(ax.archive, &look);
	assert_int_equal(look.n_events, 6);
	archive_shut();
	archive_open_ok();
	archive_look(ax.archive, &look);
	assert_int_equal(look.n_events, 6);
}

static void numbers_rise_over_restarts_and_over_loss(void **state)
{
	uint64_t first, second, number = 0;
	char name[64];

	(void)state;
	archive_open_ok();
	first = archive_next_number(ax.archive);
	assert_true(first >= (core_wall_ns() / SECOND_NS - 60) << 20);
	for (int i = 0; i < 3; i++)
		number = archive_next_number(ax.archive);
	assert_int_equal(number, first + 3);
	put_event(FIXTURE_SELF, number);
	put_event(FIXTURE_SELF + 1, UINT64_MAX); /* another one's does not count */
	for (int i = 0; i < 1000; i++)		 /* given, but not stored */
		number = archive_next_number(ax.archive);
	archive_shut();
	archive_open_ok();
	second = archive_next_number(ax.archive);
	assert_true(second > number);
	/* Ahead of the clock by more than a test can last. */
	put_event(FIXTURE_SELF, second + (UINT64_C(1) << 40));
	archive_shut();
	archive_open_ok();
	assert_true(archive_next_number(ax.archive) > second + (UINT64_C(1) << 40));
	archive_shut();
	assert_int_equal(store_set_aside(ax.dir, "lost", name, sizeof(name)), 0);
	archive_open_ok();
	assert_true(ax.is_new);
	assert_true(archive_next_number(ax.archive) > number);
}

static void the_highest_number_outlives_its_event(void **state)
{
	uint64_t ahead;

	(void)state;
	archive_open_ok();
	ahead = archive_next_number(ax.archive) + (UINT64_C(1) << 40);
	put_event(FIXTURE_SELF, ahead);
	archive_shut();
	ax.cfg.events_keep_s = 0;
	archive_open_ok();
	while (archive_numbers(FIXTURE_SELF, 0, UINT64_MAX, false)[0] != '\0')
		archive_turn();
	archive_shut();
	archive_open_ok();
	assert_true(archive_next_number(ax.archive) > ahead);
}

struct followed {
	uint32_t n, n_done;
	uint64_t numbers[64];
};

static void on_event(void *user, const struct wire_event *e)
{
	struct followed *f = user;
	char wanted[32];

	/* It is on disk when it is told of. */
	snprintf(wanted, sizeof(wanted), "%llu ", (unsigned long long)e->number);
	assert_string_equal(archive_numbers((uint16_t)e->origin, e->number - 1, e->number, false),
			    wanted);
	assert_string_equal(e->text, "a text that says what happened");
	f->numbers[f->n++] = e->number;
}

static void a_follower_is_told_of_what_is_on_disk_in_order(void **state)
{
	struct followed f = {0};

	(void)state;
	archive_open_ok();
	archive_follow(ax.archive, on_event, &f);
	for (uint64_t i = 0; i < 50; i++) {
		struct wire_event e = archive_event(4 - i % 3, 100 - i, core_wall_ns());
		struct archive_batch *b = archive_batch_ok();

		assert_int_equal(archive_put_event(b, &e), 0);
		assert_int_equal(archive_commit_counted(b), 0);
	}
	assert_int_equal(f.n, 0);
	while (ax.n_done < 50)
		archive_turn();
	assert_int_equal(f.n, 50);
	for (uint64_t i = 0; i < 50; i++)
		assert_int_equal(f.numbers[i], 100 - i);
	put_event(4, 100); /* a double */
	assert_int_equal(f.n, 50);
}

/* ---- Waiting ---- */

static void too_much_that_waits_is_refused(void **state)
{
	uint32_t n = 0;
	int err;

	(void)state;
	archive_open_ok();
	do {
		struct archive_batch *b = archive_batch_ok();

		assert_int_equal(archive_put_mark(b, "m", &n, sizeof(n)), 0);
		err = archive_commit_counted(b);
		n += err == 0;
	} while (err == 0);
	assert_int_equal(err, -ENOBUFS);
	assert_true(n >= STORE_WAITING_MAX - 1);
	while (ax.n_done < n)
		archive_turn();
	put_alarm(5, "t", "r", "", FEDMEM_ALARM_RAISED);
}

static void closing_stores_what_waits(void **state)
{
	uint32_t value = 0;
	size_t n = sizeof(value);

	(void)state;
	archive_open_ok();
	for (uint32_t i = 1; i <= 200; i++) {
		struct archive_batch *b = archive_batch_ok();

		assert_int_equal(archive_put_mark(b, "m", &i, sizeof(i)), 0);
		assert_int_equal(archive_commit_counted(b), 0);
	}
	archive_shut();
	assert_int_equal(ax.n_done, 0);
	archive_open_ok();
	assert_true(archive_mark(ax.archive, "m", &value, &n));
	assert_int_equal(value, 200);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, archive_fixture_make, archive_fixture_remove)
	const struct CMUnitTest tests[] = {
		T(alarms_are_what_was_put_after_a_restart),
		T(alarms_are_told_apart_by_every_part_of_their_key),
		T(ranges_of_elements_have_both_ends_and_stop_when_told),
		T(what_is_put_behind_a_drop_in_one_batch_stays),
		T(notes_elements_cells_status_and_marks_are_what_was_put),
		T(events_are_in_order_and_doubles_are_one),
		T(numbers_rise_over_restarts_and_over_loss),
		T(the_highest_number_outlives_its_event),
		T(a_follower_is_told_of_what_is_on_disk_in_order),
		T(too_much_that_waits_is_refused),
		T(closing_stores_what_waits),
	};

	return cmocka_run_group_tests_name("archive", tests, NULL, NULL);
}
