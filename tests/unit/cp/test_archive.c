#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cp/core/core.h"
#include "dp/fedmem/fedmem.h"
#include "tests/unit/cp/archive_fixture.h"
#include "tests/unit/cp/small_disk.h"

static bool is_disk_possible;

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

/* ---- Full ---- */

static int namespace_make(void **state)
{
	(void)state;
	is_disk_possible = small_disk_begin();
	if (!is_disk_possible)
		print_message("# no mount namespace: full disks are skipped\n");
	return 0;
}

static int disk_make(void **state)
{
	if (archive_fixture_make(state) != 0)
		return -1;
	return is_disk_possible ? small_disk_mount(ax.dir, "8m") : 0;
}

static int disk_remove(void **state)
{
	archive_shut();
	if (is_disk_possible && small_disk_unmount(ax.dir) != 0)
		return -1;
	return archive_fixture_remove(state);
}

static const char *look_name(void)
{
	struct archive_state look;

	archive_look(ax.archive, &look);
	assert_int_equal(look.full_since_ms != 0, strcmp(look.name, "full") == 0);
	return look.name;
}

/* Number i is an event, a mark and an alarm; a mark is long, so that there is soon no room. */
static void put_some(uint32_t i)
{
	static uint8_t filling[40000];
	struct wire_event e = archive_event(FIXTURE_SELF, 1000 + i, core_wall_ns());
	struct wire_stored_alarm s = archive_alarm(7, "t", "r", "");
	struct archive_batch *b = archive_batch_ok();
	char name[16];

	snprintf(name, sizeof(name), "m%u", i);
	s.count = i;
	assert_int_equal(archive_put_event(b, &e), 0);
	assert_int_equal(archive_put_mark(b, name, filling, sizeof(filling)), 0);
	assert_int_equal(archive_put_alarm(b, &s), 0);
	assert_int_equal(archive_commit_counted(b), 0);
}

static void on_disk_exactly(uint32_t n)
{
	static uint8_t filling[40000];
	struct collected c = alarms_of(7, 7);
	char name[16];

	for (uint32_t i = 0; i < n + 5; i++) {
		size_t room = sizeof(filling);

		snprintf(name, sizeof(name), "m%u", i);
		assert_int_equal(archive_mark(ax.archive, name, filling, &room), i < n);
	}
	assert_int_equal(c.n, n > 0);
	if (n > 0)
		assert_int_equal(c.alarm.count, n - 1);
}

static void on_a_full_disk_nothing_is_acknowledged_until_there_is_room(void **state)
{
	uint32_t n = 0, stored;

	(void)state;
	if (!is_disk_possible)
		skip();
	archive_open_ok();
	put_some(n++);
	while (ax.n_done < 1)
		archive_turn();
	small_disk_fill(ax.dir, 0);
	while (strcmp(look_name(), "ok") == 0) {
		put_some(n++);
		archive_turn();
	}
	stored = ax.n_done;
	assert_true(stored < n);
	on_disk_exactly(stored);
	for (int i = 0; i < 5; i++)
		put_some(n++);
	archive_turn(); /* the timer: it is tried again, in vain */
	archive_turn();
	assert_int_equal(ax.n_done, stored);
	assert_string_equal(look_name(), "full");
	on_disk_exactly(stored);
	small_disk_free(ax.dir);
	while (ax.n_done < n)
		archive_turn();
	assert_string_equal(look_name(), "ok");
	on_disk_exactly(n);
	archive_shut();
	archive_open_ok();
	on_disk_exactly(n);
}

static void a_full_disk_at_the_end_loses_nothing_acknowledged(void **state)
{
	uint32_t n = 0, stored;

	(void)state;
	if (!is_disk_possible)
		skip();
	archive_open_ok();
	small_disk_fill(ax.dir, 300000);
	while (strcmp(look_name(), "ok") == 0) {
		put_some(n++);
		archive_turn();
	}
	stored = ax.n_done;
	archive_shut();
	archive_open_ok();
	on_disk_exactly(stored);
}

/* ---- Damage ---- */

static void file_path(char path[96])
{
	snprintf(path, 96, "%s/data.mdb", ax.dir);
}

static void spoil(size_t at, const void *bytes, size_t n)
{
	char path[96];
	int fd;

	file_path(path);
	fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, n, (off_t)at), n);
	close(fd);
}

static void a_damaged_archive_is_set_aside_and_a_new_one_begun(void **state)
{
	char path[128];

	(void)state;
	archive_open_ok();
	put_event(4, 1);
	archive_shut();
	spoil(0, "this is no page of any kind", 27);
	archive_open_ok();
	assert_true(ax.is_new);
	assert_string_equal(archive_numbers(4, 0, UINT64_MAX, false), "");
	snprintf(path, sizeof(path), "%s/data.mdb.damaged.1", ax.dir);
	assert_int_equal(access(path, F_OK), 0);
	put_event(4, 2);
	archive_shut();
	archive_open_ok();
	assert_false(ax.is_new);
	assert_string_equal(archive_numbers(4, 0, UINT64_MAX, false), "2 ");
}

static void an_archive_of_another_version_is_set_aside(void **state)
{
	const struct store_config other = {
		.dir = ax.dir, .bytes_max = 16u << 20, .n_tables = 1, .version = 99};
	struct store *store;
	char path[128];

	(void)state;
	assert_int_equal(store_open(&store, &ax.loop, &other, ax.why, sizeof(ax.why)), 0);
	store_close(store);
	archive_open_ok();
	assert_true(ax.is_new);
	snprintf(path, sizeof(path), "%s/data.mdb.other_version.1", ax.dir);
	assert_int_equal(access(path, F_OK), 0);
}

/* Changes an octet of the value of a record, wherever it lies in the file. */
static void record_spoil(const char *text)
{
	static char bytes[1 << 20];
	char path[96];
	ssize_t n;
	int fd;

	file_path(path);
	fd = open(path, O_RDWR);
	n = read(fd, bytes, sizeof(bytes));
	assert_true(n > 0);
	for (ssize_t i = 0; i + (ssize_t)strlen(text) < n; i++)
		if (memcmp(bytes + i, text, strlen(text)) == 0)
			assert_int_equal(pwrite(fd, "#", 1, i), 1);
	close(fd);
}

static void a_damaged_record_is_counted_and_left_out_and_the_others_stay(void **state)
{
	struct archive_state look;
	struct archive_batch *b;

	(void)state;
	archive_open_ok();
	b = archive_batch_ok();
	for (uint64_t i = 1; i <= 3; i++) {
		struct wire_event e = archive_event(4, i, core_wall_ns());

		if (i == 2)
			e.text = "spoil this one";
		assert_int_equal(archive_put_event(b, &e), 0);
	}
	archive_commit_wait(b);
	archive_shut();
	record_spoil("spoil this one");
	archive_open_ok();
	assert_string_equal(archive_numbers(4, 0, UINT64_MAX, false), "1 3 ");
	archive_look(ax.archive, &look);
	assert_int_equal(look.n_damaged, 1);
	put_event(4, 4);
	assert_string_equal(archive_numbers(4, 0, UINT64_MAX, true), "4 3 1 ");
	archive_look(ax.archive, &look);
	assert_int_equal(look.n_damaged, 1); /* it is gone, and can come again from a peer */
	put_event(4, 2);
	assert_string_equal(archive_numbers(4, 0, UINT64_MAX, false), "1 2 3 4 ");
}

/* What the file holds is not known then; the start finds out. */
static void an_error_that_is_not_about_room_ends_the_process(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		char path[96];
		int other = open("/dev/zero", O_RDWR);

		dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
		archive_open_ok();
		put_event(4, 1);
		for (int fd = 3; fd < 64; fd++) {
			char link[32], target[96] = "";

			snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
			file_path(path);
			if (readlink(link, target, sizeof(target) - 1) > 0 &&
			    strcmp(target, path) == 0)
				dup2(other, fd);
		}
		put_event(4, 2);
		_exit(77);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EXIT_FAILURE);
	archive_open_ok();
	assert_string_equal(archive_numbers(4, 0, UINT64_MAX, false), "1 ");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, archive_fixture_make, archive_fixture_remove)
#define D(name) cmocka_unit_test_setup_teardown(name, disk_make, disk_remove)
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
		D(on_a_full_disk_nothing_is_acknowledged_until_there_is_room),
		D(a_full_disk_at_the_end_loses_nothing_acknowledged),
		T(a_damaged_archive_is_set_aside_and_a_new_one_begun),
		T(an_archive_of_another_version_is_set_aside),
		T(a_damaged_record_is_counted_and_left_out_and_the_others_stay),
		T(an_error_that_is_not_about_room_ends_the_process),
	};

	return cmocka_run_group_tests_name("archive", tests, namespace_make, NULL);
}
