#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/cp/small_disk.h"
#include "tests/unit/cp/store_fixture.h"

static bool is_disk_possible;
static uint8_t value[50000];

/* ---- A small disk of the test's own ---- */

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
	if (store_fixture_make(state) != 0)
		return -1;
	return is_disk_possible ? small_disk_mount(fx.dir, "12m") : 0;
}

static int disk_remove(void **state)
{
	store_shut();
	if (is_disk_possible && small_disk_unmount(fx.dir) != 0)
		return -1;
	return store_fixture_remove(state);
}

static void disk_needed(void)
{
	if (!is_disk_possible)
		skip();
}

/* ---- What the tests write ---- */

static int put_number(uint32_t i)
{
	char key[16];

	snprintf(key, sizeof(key), "n%06u", i);
	memcpy(value, &i, sizeof(i));
	return store_put_wait(1, key, value, sizeof(value));
}

/* Until there is no room; how many were acknowledged. */
static uint32_t put_until_full(uint32_t from)
{
	struct store_state now;
	int err = 0;

	for (uint32_t i = from;; i++) {
		err = put_number(i);
		store_look(fx.store, &now);
		assert_int_equal(now.is_full, err != 0);
		if (err != 0) {
			assert_int_equal(err, -ENOSPC);
			assert_int_equal(now.failed, 0);
			return i;
		}
	}
}

static void all_there(uint32_t from, uint32_t end)
{
	static uint8_t copy[sizeof(value)];

	for (uint32_t i = from; i < end; i++) {
		size_t n = sizeof(copy);
		char key[16];

		snprintf(key, sizeof(key), "n%06u", i);
		assert_int_equal(store_get(fx.store, 1, key, strlen(key), copy, &n), 0);
		assert_int_equal(n, sizeof(value));
		assert_memory_equal(copy, &i, sizeof(i));
	}
}

static void delete_numbers(uint32_t from, uint32_t end)
{
	struct store_batch *b;
	char first[16], behind[16];

	snprintf(first, sizeof(first), "n%06u", from);
	snprintf(behind, sizeof(behind), "n%06u", end);
	assert_int_equal(store_batch_create(&b), 0);
	assert_int_equal(store_batch_delete_range(b, 1, first, 7, behind, 7), 0);
	assert_int_equal(store_commit_wait(b), 0);
}

static void a_full_disk_is_an_answer_and_ends_when_there_is_room(void **state)
{
	(void)state;
	disk_needed();
	/* How much is left when it begins decides where in a commit the room ends. */
	for (size_t left = 0; left < 2500000; left += 333000) {
		uint32_t first, n;

		store_open_ok();
		assert_int_equal(store_put_wait(0, "before", "v", 1), 0);
		small_disk_fill(fx.dir, left);
		first = put_until_full(0);
		for (int again = 0; again < 3; again++)
			assert_int_equal(put_until_full(first), first);
		small_disk_free(fx.dir);
		for (n = first; n < first + 10; n++)
			assert_int_equal(put_number(n), 0);
		all_there(0, n);
		store_shut();
		store_open_ok();
		all_there(0, n);
		store_shut();
		assert_int_equal(unlink(fx.file), 0);
	}
}

static void what_the_file_gave_back_can_be_used_on_a_full_disk(void **state)
{
	uint32_t n;

	(void)state;
	disk_needed();
	store_open_ok();
	for (n = 0; n < 60; n++)
		assert_int_equal(put_number(n), 0);
	small_disk_fill(fx.dir, 0);
	n = put_until_full(n);
	delete_numbers(0, 40);
	for (uint32_t i = n; i < n + 20; i++)
		assert_int_equal(put_number(i), 0);
	all_there(40, n + 20);
	delete_numbers(40, n + 20);
	store_shut();
	store_open_ok();
	assert_int_equal(put_number(0), 0);
}

/* Each page that is touched is first written elsewhere, and the disk takes only a part of them. */
static void deleting_too_much_at_once_on_a_full_disk_is_an_answer(void **state)
{
	struct store_batch *puts, *deletes;
	uint32_t n = 0;
	size_t room = sizeof(value);

	(void)state;
	disk_needed();
	store_open_ok();
	assert_int_equal(store_batch_create(&puts), 0);
	assert_int_equal(store_batch_create(&deletes), 0);
	for (n = 0; n < 20000; n++) {
		char key[16];
		size_t key_bytes = (size_t)snprintf(key, sizeof(key), "n%06u", n);

		assert_int_equal(store_batch_put(puts, 1, key, key_bytes, value, 200), 0);
		if (n % 10 == 0)
			assert_int_equal(store_batch_delete(deletes, 1, key, key_bytes), 0);
	}
	assert_int_equal(store_commit_wait(puts), 0);
	small_disk_fill(fx.dir, 0);
	assert_int_equal(store_commit_wait(deletes), -ENOSPC);
	assert_int_equal(store_get(fx.store, 1, "n000000", 7, value, &room), 0);
	delete_numbers(0, 300);
	room = sizeof(value);
	assert_int_equal(store_get(fx.store, 1, "n000000", 7, value, &room), STORE_NOT_FOUND);
	memset(value, 0, sizeof(value));
}

static void a_full_map_is_an_answer_and_deleting_makes_room(void **state)
{
	struct store_state now;
	uint32_t first, n;

	(void)state;
	fx.cfg.bytes_max = 8u << 20;
	store_open_ok();
	first = put_until_full(0);
	assert_true(first > 100);
	store_look(fx.store, &now);
	assert_int_equal(now.bytes_max, 8u << 20);
	assert_true(now.bytes_used > (8u << 20) / 10 * 9 && now.bytes_used <= 8u << 20);
	assert_int_equal(put_until_full(first), first);
	delete_numbers(0, first / 2);
	store_look(fx.store, &now);
	assert_true(now.bytes_used < (8u << 20) / 10 * 6);
	n = put_until_full(first);
	assert_true(n > first + first / 3);
	store_shut();
	store_open_ok();
	all_there(first / 2, n);
	/* And to the last record, many times over. */
	for (int i = 0; i < 5; i++) {
		delete_numbers(0, n);
		n = put_until_full(0);
		all_there(0, n);
	}
}

static void reserved_room_is_there_when_the_disk_is_full(void **state)
{
	uint32_t n;

	(void)state;
	disk_needed();
	fx.cfg.bytes_max = 8u << 20;
	fx.cfg.is_reserved = true;
	store_open_ok();
	small_disk_fill(fx.dir, 0);
	n = put_until_full(0);
	assert_true(n > 100);
	store_shut();
	store_open_ok();
	all_there(0, n);
}

static void room_that_cannot_be_reserved_is_no_start(void **state)
{
	(void)state;
	disk_needed();
	fx.cfg.bytes_max = 64u << 20;
	fx.cfg.is_reserved = true;
	assert_int_equal(store_try_open(), -ENOSPC);
	assert_non_null(strstr(fx.why, "no room for its 67108864 octets"));
}

static void a_file_above_its_limit_can_still_get_smaller(void **state)
{
	struct store_state now;

	(void)state;
	store_open_ok();
	for (uint32_t n = 0; n < 100; n++)
		assert_int_equal(put_number(n), 0);
	store_shut();
	fx.cfg.bytes_max = 1u << 20;
	store_open_ok();
	assert_int_equal(put_number(100), -ENOSPC);
	delete_numbers(0, 95);
	store_look(fx.store, &now);
	assert_true(now.bytes_used < 1u << 20);
	assert_int_equal(put_number(100), 0);
	all_there(95, 101);
}

/* ---- Errors that are not about room ---- */

/* Puts 'path' in the place of the store's file; the descriptor that syncs is LMDB's for meta
 * pages. */
static void descriptors_replace(const char *path, bool is_syncing)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	int other = open(path, O_RDWR), n = 0;

	assert_true(other >= 0);
	while ((entry = readdir(dir)) != NULL) {
		char link[64], target[128] = "";
		int fd = atoi(entry->d_name);

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		if (readlink(link, target, sizeof(target) - 1) < 0 ||
		    strcmp(target, fx.file) != 0 ||
		    ((fcntl(fd, F_GETFL) & O_DSYNC) != 0) != is_syncing)
			continue;
		assert_int_equal(dup2(other, fd), fd);
		n++;
	}
	closedir(dir);
	close(other);
	assert_int_equal(n, 1);
}

static void another_error_ends_writing(void **state)
{
	struct store_state now;
	size_t n = 8;
	char copy[8];

	(void)state;
	store_open_ok();
	assert_int_equal(store_put_wait(0, "before", "v", 1), 0);
	descriptors_replace("/dev/zero", false); /* writes succeed, syncing does not */
	assert_int_equal(store_put_wait(0, "k", "v", 1), -EINVAL);
	store_look(fx.store, &now);
	assert_int_equal(now.failed, -EINVAL);
	assert_int_equal(store_put_wait(0, "k", "v", 1), -EINVAL);
	assert_int_equal(store_get(fx.store, 0, "before", 6, copy, &n), 0);
	assert_int_equal(store_get(fx.store, 0, "k", 1, copy, &n), STORE_NOT_FOUND);
}

/* LMDB cannot tell then what is on disk. */
static void no_room_for_the_meta_page_ends_writing(void **state)
{
	struct store_state now;

	(void)state;
	store_open_ok();
	assert_int_equal(store_put_wait(0, "before", "v", 1), 0);
	descriptors_replace("/dev/full", true);
	assert_int_equal(store_put_wait(0, "k", "v", 1), -EIO);
	store_look(fx.store, &now);
	assert_int_equal(now.failed, -EIO);
	assert_false(now.is_full);
	assert_int_equal(store_put_wait(0, "k", "v", 1), -EIO);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, store_fixture_make, store_fixture_remove)
#define D(name) cmocka_unit_test_setup_teardown(name, disk_make, disk_remove)
	const struct CMUnitTest tests[] = {
		D(a_full_disk_is_an_answer_and_ends_when_there_is_room),
		D(what_the_file_gave_back_can_be_used_on_a_full_disk),
		D(deleting_too_much_at_once_on_a_full_disk_is_an_answer),
		T(a_full_map_is_an_answer_and_deleting_makes_room),
		D(reserved_room_is_there_when_the_disk_is_full),
		D(room_that_cannot_be_reserved_is_no_start),
		T(a_file_above_its_limit_can_still_get_smaller),
		T(another_error_ends_writing),
		T(no_room_for_the_meta_page_ends_writing),
	};

	return cmocka_run_group_tests_name("store_room", tests, namespace_make, NULL);
}
