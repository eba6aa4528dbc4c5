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

static void put_event(uint16_t origin, uint64_t number)
{
	struct wire_event e = archive_event(origin, number, core_wall_ns());
	struct archive_batch *b = archive_batch_ok();

	assert_int_equal(archive_put_event(b, &e), 0);
	archive_commit_wait(b);
}

static bool see_count(void *user, const struct wire_stored_alarm *s)
{
	uint64_t *counts = user;

	counts[0]++;
	counts[1] = s->count;
	return true;
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
	uint64_t counts[2] = {0}; /* of alarms, and the alarm's own */
	char name[16];

	assert_int_equal(archive_alarms(ax.archive, 7, 7, see_count, counts), 0);
	for (uint32_t i = 0; i < n + 5; i++) {
		size_t room = sizeof(filling);

		snprintf(name, sizeof(name), "m%u", i);
		assert_int_equal(archive_mark(ax.archive, name, filling, &room), i < n);
	}
	assert_int_equal(counts[0], n > 0);
	if (n > 0)
		assert_int_equal(counts[1], n - 1);
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
	snprintf(path, sizeof(path), "%s/data.mdb.version.1", ax.dir);
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
		D(on_a_full_disk_nothing_is_acknowledged_until_there_is_room),
		D(a_full_disk_at_the_end_loses_nothing_acknowledged),
		T(a_damaged_archive_is_set_aside_and_a_new_one_begun),
		T(an_archive_of_another_version_is_set_aside),
		T(a_damaged_record_is_counted_and_left_out_and_the_others_stay),
		T(an_error_that_is_not_about_room_ends_the_process),
	};

	return cmocka_run_group_tests_name("archive_loss", tests, namespace_make, NULL);
}
