#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cp/store/crc32c.h"
#include "tests/unit/cp/store_fixture.h"

static void checksum_is_the_one_of_rfc_3720(void **state)
{
	uint8_t bytes[32];

	(void)state;
	memset(bytes, 0, sizeof(bytes));
	assert_int_equal(store_crc32c(0, bytes, 32), 0x8a9136aa);
	memset(bytes, 0xff, sizeof(bytes));
	assert_int_equal(store_crc32c(0, bytes, 32), 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		bytes[i] = (uint8_t)i;
	assert_int_equal(store_crc32c(0, bytes, 32), 0x46dd794e);
	for (size_t cut = 0; cut <= 32; cut++)
		assert_int_equal(store_crc32c(store_crc32c(0, bytes, cut), bytes + cut, 32 - cut),
				 0x46dd794e);
}

static int get(uint32_t table, const char *key, char *value, size_t room)
{
	size_t n = room - 1;
	int err = store_get(fx.store, table, key, strlen(key), value, &n);

	if (err == 0)
		value[n] = '\0';
	return err;
}

static void what_was_put_is_there_after_a_restart(void **state)
{
	char value[16];
	size_t n = 4;

	(void)state;
	store_open_ok();
	assert_int_equal(get(0, "vote", value, sizeof(value)), STORE_NOT_FOUND);
	assert_int_equal(store_put_wait(0, "vote", "old", 3), 0);
	assert_int_equal(store_put_wait(0, "vote", "newer", 5), 0);
	assert_int_equal(store_put_wait(0, "empty", "", 0), 0);
	store_shut();
	store_open_ok();
	assert_int_equal(get(0, "vote", value, sizeof(value)), 0);
	assert_string_equal(value, "newer");
	assert_int_equal(get(0, "empty", value, sizeof(value)), 0);
	assert_string_equal(value, "");
	assert_int_equal(store_get(fx.store, 0, "vote", 4, value, &n), -ENOSPC);
}

static void the_same_key_in_two_tables_is_two_records(void **state)
{
	char value[16];

	(void)state;
	store_open_ok();
	assert_int_equal(store_put_wait(1, "k", "one", 3), 0);
	assert_int_equal(store_put_wait(2, "k", "two", 3), 0);
	assert_int_equal(get(1, "k", value, sizeof(value)), 0);
	assert_string_equal(value, "one");
	assert_int_equal(get(2, "k", value, sizeof(value)), 0);
	assert_string_equal(value, "two");
	assert_int_equal(get(3, "k", value, sizeof(value)), STORE_NOT_FOUND);
}

struct ordered {
	uint32_t *next, number, *n_wrong;
};

static void on_ordered(void *user, int err)
{
	struct ordered *o = user;

	*o->n_wrong += err != 0 || *o->next != o->number;
	++*o->next;
}

static void callbacks_come_in_the_order_of_the_commits(void **state)
{
	static struct ordered asked[STORE_WAITING_MAX];
	uint32_t next = 0, n_wrong = 0, value;
	size_t n = sizeof(value);
	struct store_state state_now;

	(void)state;
	store_open_ok();
	for (uint32_t i = 0; i < STORE_WAITING_MAX; i++) {
		asked[i] = (struct ordered){&next, i, &n_wrong};
		assert_int_equal(
			store_put(fx.store, 0, "same", &i, sizeof(i), on_ordered, &asked[i]), 0);
	}
	/* The loop did not turn, so none of them has been called back. */
	assert_int_equal(store_put(fx.store, 0, "k", "v", 1, NULL, NULL), -ENOBUFS);
	while (next < STORE_WAITING_MAX)
		assert_int_not_equal(uv_run(&fx.loop, UV_RUN_ONCE), 0);
	assert_int_equal(n_wrong, 0);
	assert_int_equal(store_get(fx.store, 0, "same", 4, &value, &n), 0);
	assert_int_equal(value, STORE_WAITING_MAX - 1);
	store_look(fx.store, &state_now);
	assert_int_equal(state_now.n_batches, STORE_WAITING_MAX);
	assert_true(state_now.n_commits < STORE_WAITING_MAX); /* those that waited went together */
	assert_int_equal(store_put(fx.store, 0, "k", "v", 1, NULL, NULL), 0);
}

static void more_octets_than_may_wait_are_refused(void **state)
{
	static uint8_t big[STORE_VALUE_MAX];
	struct store_waited w = {0};
	uint32_t n = 0;
	int err;

	(void)state;
	fx.cfg.bytes_max = 256u << 20;
	store_open_ok();
	do {
		err = store_put(fx.store, 0, "k", big, sizeof(big), store_on_done, &w);
		n += err == 0;
	} while (err == 0);
	assert_int_equal(err, -ENOBUFS);
	assert_int_equal(n, STORE_WAITING_BYTES / STORE_VALUE_MAX);
	store_wait(&w, n);
	assert_int_equal(w.err, 0);
	assert_int_equal(store_put_wait(0, "k", big, sizeof(big)), 0);
}

static void keys_and_values_out_of_bounds_are_refused(void **state)
{
	static char big[STORE_VALUE_MAX + 1];
	char key[STORE_KEY_MAX + 1];
	struct store_batch *b;

	(void)state;
	memset(key, 'k', sizeof(key));
	store_open_ok();
	assert_int_equal(store_batch_create(&b), 0);
	assert_int_equal(store_batch_put(b, 0, "", 0, "v", 1), -EINVAL);
	assert_int_equal(store_batch_put(b, 0, key, sizeof(key), "v", 1), -EINVAL);
	assert_int_equal(store_batch_put(b, STORE_TABLES_MAX, "k", 1, "v", 1), -EINVAL);
	assert_int_equal(store_batch_put(b, 0, "k", 1, big, sizeof(big)), -E2BIG);
	assert_int_equal(store_batch_delete(b, 0, "", 0), -EINVAL);
	assert_int_equal(store_batch_count(b), 0);
	assert_int_equal(store_batch_put(b, 0, key, STORE_KEY_MAX, big, STORE_VALUE_MAX), 0);
	assert_int_equal(store_batch_count(b), 1);
	assert_int_equal(store_commit_wait(b), 0);
	assert_int_equal(store_batch_create(&b), 0);
	assert_int_equal(store_batch_put(b, FIXTURE_TABLES, "k", 1, "v", 1), 0);
	assert_int_equal(store_commit(fx.store, b, NULL, NULL), -EINVAL);
}

static void a_batch_is_done_in_its_order(void **state)
{
	struct store_batch *b;
	char value[16];

	(void)state;
	store_open_ok();
	assert_int_equal(store_put_wait(0, "old", "v", 1), 0);
	assert_int_equal(store_batch_create(&b), 0);
	assert_int_equal(store_batch_put(b, 0, "a", 1, "first", 5), 0);
	assert_int_equal(store_batch_delete_range(b, 0, NULL, 0, NULL, 0), 0);
	assert_int_equal(store_batch_put(b, 0, "b", 1, "put", 3), 0);
	assert_int_equal(store_batch_put(b, 1, "c", 1, "put", 3), 0);
	assert_int_equal(store_batch_delete(b, 1, "c", 1), 0);
	assert_int_equal(store_batch_delete(b, 1, "none", 4), 0);
	assert_int_equal(store_commit_wait(b), 0);
	assert_int_equal(get(0, "old", value, sizeof(value)), STORE_NOT_FOUND);
	assert_int_equal(get(0, "a", value, sizeof(value)), STORE_NOT_FOUND);
	assert_int_equal(get(0, "b", value, sizeof(value)), 0);
	assert_int_equal(get(1, "c", value, sizeof(value)), STORE_NOT_FOUND);
}

/* ---- Ranges and scans ---- */

static void keys_put(uint32_t table, const char *const *keys)
{
	struct store_batch *b;

	assert_int_equal(store_batch_create(&b), 0);
	for (; *keys != NULL; keys++)
		assert_int_equal(
			store_batch_put(b, table, *keys, strlen(*keys), *keys, strlen(*keys)), 0);
	assert_int_equal(store_commit_wait(b), 0);
}

/* The keys that a scan meets, with a blank behind each. */
static const char *scanned(uint32_t table, const char *from, enum store_order order)
{
	static char text[256];
	struct store_scan *scan;
	const void *key, *value;
	size_t key_bytes, n, at = 0;
	int err;

	assert_int_equal(store_scan_begin(&scan, fx.store, table, from, strlen(from), order), 0);
	while ((err = store_scan_next(scan, &key, &key_bytes, &value, &n)) != STORE_NOT_FOUND) {
		assert_true(err == 0 || err == STORE_DAMAGED);
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%.*s%s ", (int)key_bytes,
				       (const char *)key, err == 0 ? "" : "!");
		if (err == 0) {
			assert_int_equal(n, key_bytes);
			assert_memory_equal(key, value, n);
		}
	}
	assert_int_equal(store_scan_next(scan, &key, &key_bytes, &value, &n), STORE_NOT_FOUND);
	store_scan_end(scan);
	text[at] = '\0';
	return text;
}

static void a_scan_meets_its_own_table_in_either_order(void **state)
{
	static const char *const own[] = {"b", "d", "da", "e", NULL};
	static const char *const others[] = {"a", "c", "z", NULL};

	(void)state;
	store_open_ok();
	assert_string_equal(scanned(1, "", STORE_ASCENDING), "");
	assert_string_equal(scanned(1, "", STORE_DESCENDING), "");
	keys_put(1, own);
	assert_string_equal(scanned(3, "", STORE_DESCENDING), "");
	assert_string_equal(scanned(0, "", STORE_DESCENDING), "");
	assert_string_equal(scanned(0, "", STORE_ASCENDING), "");
	assert_string_equal(scanned(1, "z", STORE_ASCENDING), "");
	assert_string_equal(scanned(1, "z", STORE_DESCENDING), "e da d b ");
	keys_put(0, others);
	keys_put(2, others);
	assert_string_equal(scanned(1, "", STORE_ASCENDING), "b d da e ");
	assert_string_equal(scanned(1, "", STORE_DESCENDING), "e da d b ");
	assert_string_equal(scanned(1, "c", STORE_ASCENDING), "d da e ");
	assert_string_equal(scanned(1, "d", STORE_ASCENDING), "d da e ");
	assert_string_equal(scanned(1, "c", STORE_DESCENDING), "b ");
	assert_string_equal(scanned(1, "d", STORE_DESCENDING), "d b ");
	assert_string_equal(scanned(1, "a", STORE_DESCENDING), "");
	assert_string_equal(scanned(1, "f", STORE_ASCENDING), "");
}

static void a_scan_keeps_to_the_state_it_began_with(void **state)
{
	static const char *const before[] = {"a", "b", NULL}, *const after[] = {"c", NULL};
	struct store_scan *scan;
	const void *key, *value;
	size_t key_bytes, n, room = 8;
	char copy[8];

	(void)state;
	store_open_ok();
	keys_put(0, before);
	assert_int_equal(store_scan_begin(&scan, fx.store, 0, NULL, 0, STORE_ASCENDING), 0);
	assert_int_equal(store_scan_next(scan, &key, &key_bytes, &value, &n), 0);
	keys_put(0, after);
	/* Reading beside a scan is possible, and sees what is new. */
	assert_int_equal(store_get(fx.store, 0, "c", 1, copy, &room), 0);
	assert_int_equal(store_scan_next(scan, &key, &key_bytes, &value, &n), 0);
	assert_memory_equal(key, "b", 1);
	assert_int_equal(store_scan_next(scan, &key, &key_bytes, &value, &n), STORE_NOT_FOUND);
	store_scan_end(scan);
}

static void a_range_ends_before_its_end(void **state)
{
	static const char *const keys[] = {"a", "b", "ba", "c", "d", NULL};
	struct store_batch *b;

	(void)state;
	store_open_ok();
	keys_put(0, keys);
	keys_put(1, keys);
	keys_put(2, keys);
	assert_int_equal(store_batch_create(&b), 0);
	assert_int_equal(store_batch_delete_range(b, 1, "b", 1, "c", 1), 0);
	assert_int_equal(store_batch_delete_range(b, 2, "c", 1, NULL, 0), 0);
	assert_int_equal(store_batch_delete_range(b, 0, NULL, 0, "b", 1), 0);
	assert_int_equal(store_commit_wait(b), 0);
	assert_string_equal(scanned(0, "", STORE_ASCENDING), "b ba c d ");
	assert_string_equal(scanned(1, "", STORE_ASCENDING), "a c d ");
	assert_string_equal(scanned(2, "", STORE_ASCENDING), "a b ba ");
}

static void a_range_of_thousands_is_one_batch(void **state)
{
	struct store_batch *b;
	struct store_state before, after;
	uint8_t key[4], value[200] = {0};

	(void)state;
	store_open_ok();
	assert_int_equal(store_batch_create(&b), 0);
	for (uint32_t i = 0; i < 20000; i++) {
		key[0] = (uint8_t)(i >> 16);
		key[1] = (uint8_t)(i >> 8);
		key[2] = (uint8_t)i;
		assert_int_equal(store_batch_put(b, 1, key, 3, value, sizeof(value)), 0);
	}
	assert_int_equal(store_commit_wait(b), 0);
	store_look(fx.store, &before);
	assert_true(before.bytes_used > 20000 * sizeof(value));
	assert_int_equal(store_batch_create(&b), 0);
	assert_int_equal(store_batch_delete_range(b, 1, NULL, 0, NULL, 0), 0);
	assert_int_equal(store_commit_wait(b), 0);
	assert_string_equal(scanned(1, "", STORE_ASCENDING), "");
	store_look(fx.store, &after);
	assert_true(after.bytes_used < before.bytes_used / 10);
}

/* ---- Opening and closing ---- */

static void closing_finishes_what_waits_without_callbacks(void **state)
{
	struct store_waited w = {0};
	uint32_t value;
	size_t n = sizeof(value);

	(void)state;
	store_open_ok();
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(store_put(fx.store, 0, "k", &i, sizeof(i), store_on_done, &w), 0);
	store_shut();
	assert_int_equal(w.n, 0);
	store_open_ok();
	assert_int_equal(store_get(fx.store, 0, "k", 1, &value, &n), 0);
	assert_int_equal(value, 99);
}

static void a_second_process_is_kept_out(void **state)
{
	struct store *second = NULL;
	char name[64];

	(void)state;
	store_open_ok();
	assert_int_equal(store_open(&second, &fx.loop, &fx.cfg, fx.why, sizeof(fx.why)), -EBUSY);
	assert_non_null(strstr(fx.why, "another process"));
	assert_null(second);
	assert_int_equal(store_set_aside(fx.dir, "damaged", name, sizeof(name)), -EBUSY);
}

static void a_missing_directory_is_made_but_not_its_parents(void **state)
{
	char inner[96], path[160];

	(void)state;
	fx.cfg.dir = inner;
	snprintf(inner, sizeof(inner), "%s/a/b", fx.dir);
	assert_int_equal(store_try_open(), -ENOENT);
	snprintf(inner, sizeof(inner), "%s/a", fx.dir);
	store_open_ok();
	store_shut();
	snprintf(path, sizeof(path), "%s/lock.mdb", inner);
	unlink(path);
	snprintf(path, sizeof(path), "%s/data.mdb", inner);
	unlink(path);
	assert_int_equal(rmdir(inner), 0);
}

static void what_is_set_aside_gets_a_name_of_its_own(void **state)
{
	char name[64], path[160], value[16];

	(void)state;
	assert_int_equal(store_set_aside(fx.dir, "damaged", name, sizeof(name)), -ENOENT);
	for (int i = 1; i <= 2; i++) {
		store_open_ok();
		assert_int_equal(get(0, "k", value, sizeof(value)), STORE_NOT_FOUND);
		assert_int_equal(store_put_wait(0, "k", "v", 1), 0);
		store_shut();
		assert_int_equal(store_set_aside(fx.dir, "damaged", name, sizeof(name)), 0);
		snprintf(path, sizeof(path), "data.mdb.damaged.%d", i);
		assert_string_equal(name, path);
		snprintf(path, sizeof(path), "%s/%s", fx.dir, name);
		assert_int_equal(access(path, F_OK), 0);
		assert_int_equal(access(fx.file, F_OK), -1);
	}
	assert_int_equal(store_set_aside(fx.dir, "a/b", name, sizeof(name)), -EINVAL);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, store_fixture_make, store_fixture_remove)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checksum_is_the_one_of_rfc_3720),
		T(what_was_put_is_there_after_a_restart),
		T(the_same_key_in_two_tables_is_two_records),
		T(callbacks_come_in_the_order_of_the_commits),
		T(more_octets_than_may_wait_are_refused),
		T(keys_and_values_out_of_bounds_are_refused),
		T(a_batch_is_done_in_its_order),
		T(a_scan_meets_its_own_table_in_either_order),
		T(a_scan_keeps_to_the_state_it_began_with),
		T(a_range_ends_before_its_end),
		T(a_range_of_thousands_is_one_batch),
		T(closing_finishes_what_waits_without_callbacks),
		T(a_second_process_is_kept_out),
		T(a_missing_directory_is_made_but_not_its_parents),
		T(what_is_set_aside_gets_a_name_of_its_own),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
