#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#include "cp/store/crc32c.h"
#include "cp/store/store.h"

#define KILLS 50

static char dir[64], file[96], why[256];
static uv_loop_t loop;
static struct store *store;

static int make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/bellwether-store-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/data.mdb", dir);
	assert_int_equal(uv_loop_init(&loop), 0);
	store = NULL;
	return 0;
}

static void shut(void)
{
	store_close(store);
	store = NULL;
	uv_run(&loop, UV_RUN_DEFAULT);
}

static int remove_dir(void **state)
{
	char lock[96];

	(void)state;
	shut();
	assert_int_equal(uv_loop_close(&loop), 0);
	snprintf(lock, sizeof(lock), "%s/lock.mdb", dir);
	unlink(lock);
	unlink(file);
	assert_int_equal(rmdir(dir), 0);
	return 0;
}

static void open_ok(void)
{
	int err = store_open(&store, &loop, dir, why, sizeof(why));

	if (err != 0)
		fail_msg("store_open: %d %s", err, why);
}

struct waited {
	uint32_t n, order_broken;
	int err;
};
struct asked {
	struct waited *all;
	uint32_t number;
};

static void on_done(void *user, int err)
{
	struct asked *a = user;

	if (a->number != a->all->n)
		a->all->order_broken++;
	a->all->n++;
	if (err != 0)
		a->all->err = err;
}

static void wait_for(const struct waited *w, uint32_t n)
{
	while (w->n < n)
		assert_int_not_equal(uv_run(&loop, UV_RUN_ONCE), 0);
}

static void put_and_wait(const char *key, const void *value, size_t n)
{
	struct waited all = {0};
	struct asked one = {&all, 0};

	assert_int_equal(store_put(store, key, value, n, on_done, &one), 0);
	wait_for(&all, 1);
	assert_int_equal(all.err, 0);
}

/* Changes the file behind the store's back, as a bad disk or another program would. */
static void raw_put(const char *key, const void *bytes, size_t n)
{
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_val k = {strlen(key), (void *)key}, v = {n, (void *)bytes};

	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_open(env, dir, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
	assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

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
	assert_int_equal(store_crc32c(store_crc32c(0, bytes, 5), bytes + 5, 27), 0x46dd794e);
}

static void what_was_put_is_there_after_a_restart(void **state)
{
	char value[16];
	size_t n = sizeof(value);

	(void)state;
	open_ok();
	assert_int_equal(store_get(store, "vote", value, &n), STORE_NOT_FOUND);
	put_and_wait("vote", "old", 3);
	put_and_wait("vote", "newer", 5);
	put_and_wait("empty", "", 0);
	shut();
	open_ok();
	n = sizeof(value);
	assert_int_equal(store_get(store, "vote", value, &n), 0);
	assert_int_equal(n, 5);
	assert_memory_equal(value, "newer", 5);
	n = sizeof(value);
	assert_int_equal(store_get(store, "empty", value, &n), 0);
	assert_int_equal(n, 0);
	n = 4;
	assert_int_equal(store_get(store, "vote", value, &n), -ENOSPC);
}

static void callbacks_come_in_the_order_of_the_writes(void **state)
{
	struct waited all = {0};
	struct asked asked[STORE_WAITING_MAX];
	uint32_t value;
	size_t n = sizeof(value);

	(void)state;
	open_ok();
	for (uint32_t i = 0; i < STORE_WAITING_MAX; i++) {
		asked[i] = (struct asked){&all, i};
		assert_int_equal(store_put(store, "same", &i, sizeof(i), on_done, &asked[i]), 0);
	}
	wait_for(&all, STORE_WAITING_MAX);
	assert_int_equal(all.order_broken, 0);
	assert_int_equal(all.err, 0);
	assert_int_equal(store_get(store, "same", &value, &n), 0);
	assert_int_equal(value, STORE_WAITING_MAX - 1);
}

static void more_writes_than_may_wait_are_refused(void **state)
{
	struct waited all = {0};
	struct asked asked[STORE_WAITING_MAX];

	(void)state;
	open_ok();
	for (uint32_t i = 0; i < STORE_WAITING_MAX; i++) {
		asked[i] = (struct asked){&all, i};
		assert_int_equal(store_put(store, "k", "v", 1, on_done, &asked[i]), 0);
	}
	/* The loop did not turn, so none of them has been called back. */
	assert_int_equal(store_put(store, "k", "v", 1, NULL, NULL), -ENOBUFS);
	wait_for(&all, STORE_WAITING_MAX);
	assert_int_equal(store_put(store, "k", "v", 1, NULL, NULL), 0);
}

static void keys_and_values_out_of_bounds_are_refused(void **state)
{
	static char big[STORE_VALUE_MAX + 1];
	char key[STORE_KEY_MAX + 2];

	(void)state;
	memset(key, 'k', sizeof(key));
	key[sizeof(key) - 1] = '\0';
	open_ok();
	assert_int_equal(store_put(store, "", "v", 1, NULL, NULL), -EINVAL);
	assert_int_equal(store_put(store, key, "v", 1, NULL, NULL), -EINVAL);
	assert_int_equal(store_put(store, "store_version", "v", 1, NULL, NULL), -EINVAL);
	assert_int_equal(store_put(store, "k", big, sizeof(big), NULL, NULL), -E2BIG);
	put_and_wait("k", big, STORE_VALUE_MAX);
}

static void closing_finishes_what_waits_without_callbacks(void **state)
{
	struct waited all = {0};
	struct asked asked[100];
	uint32_t value;
	size_t n = sizeof(value);

	(void)state;
	open_ok();
	for (uint32_t i = 0; i < 100; i++) {
		asked[i] = (struct asked){&all, i};
		assert_int_equal(store_put(store, "k", &i, sizeof(i), on_done, &asked[i]), 0);
	}
	shut();
	assert_int_equal(all.n, 0);
	open_ok();
	assert_int_equal(store_get(store, "k", &value, &n), 0);
	assert_int_equal(value, 99);
}

static void a_damaged_record_is_found(void **state)
{
	const uint8_t wrong[] = {1, 2, 3, 4, 'v'};
	char value[16];
	size_t n = sizeof(value);

	(void)state;
	open_ok();
	put_and_wait("good", "v", 1);
	shut();
	raw_put("bad", wrong, sizeof(wrong));
	raw_put("short", wrong, 3);
	open_ok();
	assert_int_equal(store_get(store, "bad", value, &n), STORE_DAMAGED);
	assert_int_equal(store_get(store, "short", value, &n), STORE_DAMAGED);
	assert_int_equal(store_get(store, "good", value, &n), 0);
}

static void a_record_under_another_key_is_damaged(void **state)
{
	uint32_t sum = store_crc32c(store_crc32c(0, "a", 1), "v", 1);
	const uint8_t record[] = {(uint8_t)(sum >> 24), (uint8_t)(sum >> 16), (uint8_t)(sum >> 8),
				  (uint8_t)sum, 'v'};
	char value[16];
	size_t n = sizeof(value);

	(void)state;
	open_ok();
	shut();
	raw_put("a", record, sizeof(record));
	raw_put("b", record, sizeof(record));
	open_ok();
	assert_int_equal(store_get(store, "a", value, &n), 0);
	assert_int_equal(store_get(store, "b", value, &n), STORE_DAMAGED);
}

static void a_file_of_another_version_is_refused_in_words(void **state)
{
	const uint8_t version[] = {0, 0, 0, 9};
	uint32_t sum = store_crc32c(store_crc32c(0, "store_version", 13), version, 4);
	const uint8_t record[] = {(uint8_t)(sum >> 24),
				  (uint8_t)(sum >> 16),
				  (uint8_t)(sum >> 8),
				  (uint8_t)sum,
				  0,
				  0,
				  0,
				  9};

	(void)state;
	raw_put("store_version", record, sizeof(record));
	assert_int_equal(store_open(&store, &loop, dir, why, sizeof(why)), STORE_OTHER_VERSION);
	assert_non_null(strstr(why, "version 9"));
	raw_put("store_version", record, 5);
	assert_int_equal(store_open(&store, &loop, dir, why, sizeof(why)), STORE_DAMAGED);
	assert_non_null(strstr(why, "damaged"));
}

static void a_foreign_lmdb_file_is_refused(void **state)
{
	(void)state;
	raw_put("something", "else", 4);
	assert_int_equal(store_open(&store, &loop, dir, why, sizeof(why)), STORE_OTHER_VERSION);
	assert_non_null(strstr(why, "no version"));
}

static void a_garbage_file_is_refused_in_words(void **state)
{
	uint8_t garbage[16384];
	int fd = open(file, O_CREAT | O_WRONLY, 0600);

	(void)state;
	for (size_t i = 0; i < sizeof(garbage); i++)
		garbage[i] = (uint8_t)(i * 37 + 11);
	assert_int_equal(write(fd, garbage, sizeof(garbage)), sizeof(garbage));
	close(fd);
	assert_int_equal(store_open(&store, &loop, dir, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "data.mdb"));
	assert_null(store);
}

static void a_file_cut_short_is_refused_and_does_not_crash(void **state)
{
	char value[16];
	size_t n = sizeof(value);
	static uint8_t big[100000];
	int err;

	(void)state;
	open_ok();
	put_and_wait("a", big, sizeof(big));
	put_and_wait("b", "v", 1);
	shut();
	assert_int_equal(truncate(file, 2 * 4096), 0);
	err = store_open(&store, &loop, dir, why, sizeof(why));
	if (err == 0)
		err = store_get(store, "b", value, &n);
	assert_true(err < 0 || err == STORE_DAMAGED);
}

static void a_second_process_is_kept_out(void **state)
{
	struct store *second = NULL;

	(void)state;
	open_ok();
	assert_int_equal(store_open(&second, &loop, dir, why, sizeof(why)), -EBUSY);
	assert_non_null(strstr(why, "another process"));
	assert_null(second);
}

static void a_missing_directory_is_made_but_not_its_parents(void **state)
{
	char inner[96], lock[160], data[160];

	(void)state;
	snprintf(inner, sizeof(inner), "%s/a/b", dir);
	assert_int_equal(store_open(&store, &loop, inner, why, sizeof(why)), -ENOENT);
	snprintf(inner, sizeof(inner), "%s/a", dir);
	assert_int_equal(store_open(&store, &loop, inner, why, sizeof(why)), 0);
	shut();
	snprintf(lock, sizeof(lock), "%s/lock.mdb", inner);
	snprintf(data, sizeof(data), "%s/data.mdb", inner);
	unlink(lock);
	unlink(data);
	assert_int_equal(rmdir(inner), 0);
}

static void a_full_file_is_an_error_to_the_callback_and_stays_one(void **state)
{
	static uint8_t big[STORE_VALUE_MAX];
	struct waited all = {0};
	struct asked asked[STORE_BYTES_MAX / STORE_VALUE_MAX + 2];
	uint32_t n = 0;
	char key[16], value[16];
	size_t value_bytes = sizeof(value);

	(void)state;
	open_ok();
	put_and_wait("before", "kept", 4);
	while (all.err == 0) {
		assert_true(n < STORE_BYTES_MAX / STORE_VALUE_MAX + 1);
		snprintf(key, sizeof(key), "big%u", n);
		asked[n] = (struct asked){&all, n};
		assert_int_equal(store_put(store, key, big, sizeof(big), on_done, &asked[n]), 0);
		wait_for(&all, ++n);
	}
	assert_int_equal(all.err, -ENOSPC);
	all.err = 0;
	asked[n] = (struct asked){&all, n};
	assert_int_equal(store_put(store, "small", "v", 1, on_done, &asked[n]), 0);
	wait_for(&all, n + 1);
	assert_int_equal(all.err, -ENOSPC);
	shut();
	open_ok();
	assert_int_equal(store_get(store, "before", value, &value_bytes), 0);
	assert_memory_equal(value, "kept", 4);
}

/* ---- A writer that is killed ---- */

struct writer {
	uv_loop_t loop;
	struct store *store;
	uint32_t asked, acked;
	int ack_fd;
};

static void writer_fill(struct writer *w);

static void writer_acked(void *user, int err)
{
	struct writer *w = user;

	if (err != 0)
		_exit(3);
	w->acked++;
	if (write(w->ack_fd, &w->acked, sizeof(w->acked)) != sizeof(w->acked))
		_exit(0);
	writer_fill(w);
}

/* Keeps some writes waiting: number i goes to its own record and to a common one. */
static void writer_fill(struct writer *w)
{
	while (w->asked < w->acked + 8) {
		char key[16];

		w->asked++;
		snprintf(key, sizeof(key), "n%u", w->asked % 64);
		if (store_put(w->store, key, &w->asked, sizeof(w->asked), NULL, NULL) != 0 ||
		    store_put(w->store, "newest", &w->asked, sizeof(w->asked), writer_acked, w) !=
			    0)
			_exit(4);
	}
}

static void writer_run(uint32_t from, int ack_fd)
{
	struct writer w = {.asked = from, .acked = from, .ack_fd = ack_fd};

	if (uv_loop_init(&w.loop) != 0 || store_open(&w.store, &w.loop, dir, why, sizeof(why)) != 0)
		_exit(2);
	writer_fill(&w);
	uv_run(&w.loop, UV_RUN_DEFAULT);
	_exit(5);
}

static uint32_t stored_number(const char *key)
{
	uint32_t number = 0;
	size_t n = sizeof(number);
	int err = store_get(store, key, &number, &n);

	assert_true(err == STORE_NOT_FOUND || (err == 0 && n == sizeof(number)));
	return number;
}

static void nothing_acknowledged_is_lost_when_the_writer_is_killed(void **state)
{
	uint32_t acked = 0, stored = 0;

	(void)state;
	srand(7);
	for (int kill_no = 0; kill_no < KILLS; kill_no++) {
		uint32_t until = acked + 1 + (uint32_t)rand() % 24, heard;
		int fds[2], status;
		pid_t child;

		assert_int_equal(pipe(fds), 0);
		child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			close(fds[0]);
			writer_run(stored, fds[1]);
		}
		close(fds[1]);
		while (acked < until) {
			assert_int_equal(read(fds[0], &heard, sizeof(heard)), sizeof(heard));
			acked = heard;
		}
		usleep((useconds_t)(rand() %
				    3000)); /* so that the kill falls somewhere in a commit */
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		while (read(fds[0], &heard, sizeof(heard)) == sizeof(heard))
			acked = heard;
		close(fds[0]);

		open_ok();
		stored = stored_number("newest");
		assert_true(stored >= acked);
		for (uint32_t i = acked > 63 ? acked - 63 : 1; i <= acked; i++) {
			char key[16];

			snprintf(key, sizeof(key), "n%u", i % 64);
			assert_true(stored_number(key) >= i);
		}
		shut();
		acked = stored;
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checksum_is_the_one_of_rfc_3720),
		T(what_was_put_is_there_after_a_restart),
		T(callbacks_come_in_the_order_of_the_writes),
		T(more_writes_than_may_wait_are_refused),
		T(keys_and_values_out_of_bounds_are_refused),
		T(closing_finishes_what_waits_without_callbacks),
		T(a_damaged_record_is_found),
		T(a_record_under_another_key_is_damaged),
		T(a_file_of_another_version_is_refused_in_words),
		T(a_foreign_lmdb_file_is_refused),
		T(a_garbage_file_is_refused_in_words),
		T(a_file_cut_short_is_refused_and_does_not_crash),
		T(a_second_process_is_kept_out),
		T(a_missing_directory_is_made_but_not_its_parents),
		T(a_full_file_is_an_error_to_the_callback_and_stays_one),
		T(nothing_acknowledged_is_lost_when_the_writer_is_killed),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
