#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/cp/store_fixture.h"

#define RECORDS	  1500
#define MUTATIONS 2000
#define PAGE	  4096u

/* ---- Single records ---- */

static void a_damaged_record_is_answered_and_scans_go_on_behind_it(void **state)
{
	const uint8_t wrong[] = {1, 2, 3, 4, 'v'};
	struct store_state now;
	struct store_scan *scan;
	const void *key, *value;
	size_t key_bytes, n = 8;
	char copy[8];

	(void)state;
	store_open_ok();
	assert_int_equal(store_put_wait(1, "a", "v", 1), 0);
	assert_int_equal(store_put_wait(1, "c", "v", 1), 0);
	store_look(fx.store, &now);
	assert_int_equal(now.n_damaged, 0);
	store_shut();
	store_raw_put("\1bad", 4, wrong, sizeof(wrong));
	store_raw_put("\1cut", 4, wrong, 3);
	store_open_ok();
	store_look(fx.store, &now);
	assert_int_equal(now.n_damaged, 2);
	assert_int_equal(store_get(fx.store, 1, "bad", 3, copy, &n), STORE_DAMAGED);
	assert_int_equal(store_get(fx.store, 1, "cut", 3, copy, &n), STORE_DAMAGED);
	assert_int_equal(store_get(fx.store, 1, "a", 1, copy, &n), 0);
	assert_int_equal(store_scan_begin(&scan, fx.store, 1, NULL, 0, STORE_ASCENDING), 0);
	assert_int_equal(store_scan_next(scan, &key, &key_bytes, &value, &n), 0);
	assert_int_equal(store_scan_next(scan, &key, &key_bytes, &value, &n), STORE_DAMAGED);
	assert_int_equal(key_bytes, 3);
	assert_memory_equal(key, "bad", 3);
	assert_int_equal(store_scan_next(scan, &key, &key_bytes, &value, &n), 0);
	assert_memory_equal(key, "c", 1);
	assert_int_equal(store_scan_next(scan, &key, &key_bytes, &value, &n), STORE_DAMAGED);
	assert_int_equal(store_scan_next(scan, &key, &key_bytes, &value, &n), STORE_NOT_FOUND);
	store_scan_end(scan);
}

static void a_record_under_another_key_or_table_is_damaged(void **state)
{
	uint8_t record[16];
	size_t n = 8, record_bytes = store_raw_record(record, "\1a", 2, "v", 1);
	char value[8];

	(void)state;
	store_open_ok();
	store_shut();
	store_raw_put("\1a", 2, record, record_bytes);
	store_raw_put("\1b", 2, record, record_bytes);
	store_raw_put("\2a", 2, record, record_bytes);
	store_open_ok();
	assert_int_equal(store_get(fx.store, 1, "a", 1, value, &n), 0);
	assert_int_equal(store_get(fx.store, 1, "b", 1, value, &n), STORE_DAMAGED);
	assert_int_equal(store_get(fx.store, 2, "a", 1, value, &n), STORE_DAMAGED);
}

/* ---- Versions and other files ---- */

static void a_file_of_another_version_is_refused_in_words(void **state)
{
	uint8_t record[16];

	(void)state;
	store_raw_put("store_version", 13, record,
		      store_raw_record(record, "store_version", 13, "\0\0\0\1", 4));
	assert_int_equal(store_try_open(), STORE_OTHER_VERSION);
	assert_non_null(strstr(fx.why, "version 1,"));
	store_raw_put("store_version", 13, record,
		      store_raw_record(record, "store_version", 13, "\0\0\0\11\0\0\0\7", 8));
	assert_int_equal(store_try_open(), STORE_OTHER_VERSION);
	assert_non_null(strstr(fx.why, "version 9"));
	store_raw_put("store_version", 13, record, 5);
	assert_int_equal(store_try_open(), STORE_DAMAGED);
	assert_non_null(strstr(fx.why, "version record is damaged"));
}

static void records_of_another_version_are_refused_in_words(void **state)
{
	(void)state;
	store_open_ok();
	store_shut();
	fx.cfg.version = 8;
	assert_int_equal(store_try_open(), STORE_OTHER_VERSION);
	assert_non_null(strstr(fx.why, "version 7"));
	fx.cfg.version = 7;
	store_open_ok();
}

static void a_foreign_lmdb_file_is_refused(void **state)
{
	(void)state;
	store_raw_put("something", 9, "else", 4);
	assert_int_equal(store_try_open(), STORE_OTHER_VERSION);
	assert_non_null(strstr(fx.why, "no version"));
}

static void a_garbage_file_is_refused_in_words(void **state)
{
	uint8_t garbage[16384];
	int fd = open(fx.file, O_CREAT | O_WRONLY, 0600);

	(void)state;
	for (size_t i = 0; i < sizeof(garbage); i++)
		garbage[i] = (uint8_t)(i * 37 + 11);
	assert_int_equal(write(fd, garbage, sizeof(garbage)), sizeof(garbage));
	close(fd);
	assert_int_equal(store_try_open(), STORE_DAMAGED);
	assert_non_null(strstr(fx.why, "data.mdb: it is no LMDB file"));
	assert_null(fx.store);
}

static void an_empty_file_is_a_new_one(void **state)
{
	int fd = open(fx.file, O_CREAT | O_WRONLY, 0600);

	(void)state;
	close(fd);
	store_open_ok();
}

/* ---- Whole files ---- */

/* What a store holds that was written, changed and deleted in many commits: trees of some depth,
 * long records, lists of free pages. Record i is in table i % 3; those divisible by 7 are gone. */
static void store_fill(void)
{
	static uint8_t value[12000];

	store_open_ok();
	for (uint32_t round = 0; round < 6; round++) {
		struct store_batch *b;

		assert_int_equal(store_batch_create(&b), 0);
		for (uint32_t i = round % 2; i < RECORDS; i += round < 3 ? 1 : 3) {
			char key[32];
			int n = snprintf(key, sizeof(key), "record-%06u", i * 7919 % 100003);

			memset(value, (int)i, sizeof(value));
			assert_int_equal(
				store_batch_put(b, i % 3, key, (size_t)n, value,
						i % 50 == 0 ? sizeof(value) - i : 20 + i % 200),
				0);
			if (i % 7 == 0)
				assert_int_equal(store_batch_delete(b, i % 3, key, (size_t)n), 0);
		}
		assert_int_equal(store_commit_wait(b), 0);
	}
	store_shut();
}

static uint32_t records_left(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < RECORDS; i++)
		n += i % 7 != 0;
	return n;
}

static uint8_t *file_read(size_t *n)
{
	struct stat file;
	uint8_t *bytes;
	int fd = open(fx.file, O_RDONLY);

	assert_int_equal(fstat(fd, &file), 0);
	*n = (size_t)file.st_size;
	bytes = malloc(*n);
	assert_int_equal(read(fd, bytes, *n), *n);
	close(fd);
	return bytes;
}

static void file_write(const uint8_t *bytes, size_t n)
{
	int fd = open(fx.file, O_CREAT | O_WRONLY | O_TRUNC, 0600);

	if (fd < 0 || write(fd, bytes, n) != (ssize_t)n)
		_exit(10);
	close(fd);
}

/* The file as it is in use: what was taken ahead of need is not in it. */
static size_t used_part(const uint8_t *bytes)
{
	uint64_t last[2], transaction[2];

	for (uint32_t i = 0; i < 2; i++) {
		memcpy(&last[i], bytes + i * PAGE + 16 + 120, 8);
		memcpy(&transaction[i], bytes + i * PAGE + 16 + 128, 8);
	}
	return (size_t)(last[transaction[1] > transaction[0]] + 1) * PAGE;
}

static void a_file_cut_short_anywhere_is_refused(void **state)
{
	size_t n, used;
	uint8_t *bytes;

	(void)state;
	store_fill();
	bytes = file_read(&n);
	used = used_part(bytes);
	for (size_t cut = 1; cut < used; cut += cut < 3 * PAGE ? 97 : 3 * PAGE + 1) {
		int err;

		file_write(bytes, cut);
		err = store_try_open();
		/* Only free pages may be missing. */
		if (err == 0)
			store_shut();
		else
			assert_int_equal(err, STORE_DAMAGED);
		assert_true(err != 0 || cut > used / 2);
	}
	free(bytes);
}

/* What a reader and a writer meet. What is there and what is known to be damaged are all records:
 * nothing is silently missing. */
static int use(uint32_t n_wanted)
{
	struct store_waited w = {0};
	struct store_state now;
	struct store_batch *b;
	uint32_t n_seen[2] = {0};

	store_look(fx.store, &now);
	for (int order = 0; order < 2; order++) {
		for (uint32_t table = 0; table < FIXTURE_TABLES; table++) {
			const void *key, *value;
			struct store_scan *scan;
			size_t key_bytes, n;
			int err;

			if (store_scan_begin(&scan, fx.store, table, NULL, 0,
					     (enum store_order)order) != 0)
				return 11;
			while ((err = store_scan_next(scan, &key, &key_bytes, &value, &n)) !=
			       STORE_NOT_FOUND) {
				if (err < 0)
					return 12;
				n_seen[order] += err == 0;
			}
			store_scan_end(scan);
		}
		if (n_seen[order] > n_wanted || n_seen[order] + now.n_damaged < n_wanted)
			return 13;
	}
	if (store_batch_create(&b) != 0 || store_batch_delete_range(b, 0, NULL, 0, "record-05", 9))
		return 14;
	for (uint32_t i = 0; i < 300; i++) {
		char key[32];
		int n = snprintf(key, sizeof(key), "record-%06u", i * 331 % 100003);

		if (store_batch_put(b, i % 4, key, (size_t)n, key, (size_t)n) != 0)
			return 15;
	}
	if (store_commit(fx.store, b, store_on_done, &w) != 0)
		return 16;
	while (w.n == 0)
		uv_run(&fx.loop, UV_RUN_ONCE);
	return w.err == 0 ? 0 : 17;
}

struct mutation {
	uint32_t number, kind;
	size_t at;
};

static void mutate(uint8_t *bytes, size_t n, struct mutation *m)
{
	size_t page = (size_t)rand() % (n / PAGE) * PAGE;

	m->kind = (uint32_t)rand() % 8;
	m->at = (size_t)rand() % n;
	switch (m->kind) {
	case 0: /* a bit anywhere */
	case 1:
		bytes[m->at] ^= (uint8_t)(1 << rand() % 8);
		break;
	case 2: /* an octet of a meta page */
		m->at = (size_t)rand() % 2 * PAGE + (size_t)rand() % 152;
		bytes[m->at] = (uint8_t)rand();
		break;
	case 3: /* a bit of a page's header and first pointers */
	case 4:
		m->at = page + (size_t)rand() % 32;
		bytes[m->at] ^= (uint8_t)(1 << rand() % 8);
		break;
	case 5: /* a page of zeros */
		m->at = page;
		memset(bytes + page, 0, PAGE);
		break;
	case 6: /* a page where another one was */
		m->at = page;
		memmove(bytes + page, bytes + (size_t)rand() % (n / PAGE) * PAGE, PAGE);
		break;
	default: /* a sector of noise */
		m->at &= ~(size_t)511;
		for (int i = 0; i < 512; i++)
			bytes[m->at + (size_t)i] = (uint8_t)rand();
		break;
	}
}

/* One file after the other; where it is lies in memory that outlives it. */
static void mutations_run(const uint8_t *good, size_t n, struct mutation *m)
{
	uint8_t *bytes = malloc(n);

	for (; m->number < MUTATIONS; m->number++) {
		int err;

		memcpy(bytes, good, n);
		srand(m->number);
		mutate(bytes, n, m);
		file_write(bytes, n);
		err = store_try_open();
		if (err == 0)
			err = use(records_left());
		else if (err == STORE_DAMAGED || err == STORE_OTHER_VERSION)
			err = 0;
		else
			err = 9;
		if (err != 0)
			_exit(err);
		store_shut();
	}
	_exit(0);
}

static void no_damage_ends_the_process_or_hides_a_record(void **state)
{
	struct mutation *m =
		mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint8_t *good;
	int status;
	size_t n;
	pid_t child;

	(void)state;
	assert_true(m != MAP_FAILED);
	store_fill();
	good = file_read(&n);
	n = used_part(good);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		mutations_run(good, n, m);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("mutation %u of kind %u at octet %zu: status %x, '%s'", m->number, m->kind,
			 m->at, status, fx.why);
	assert_int_equal(m->number, MUTATIONS);
	free(good);
	munmap(m, sizeof(*m));
}

/* A page of the newest meta page's trees: 0 that of free pages, 1 that of records. */
static uint64_t root_of(const uint8_t *bytes, int tree)
{
	uint64_t transaction[2], root;

	for (uint32_t i = 0; i < 2; i++)
		memcpy(&transaction[i], bytes + i * PAGE + 16 + 128, 8);
	memcpy(&root,
	       bytes + (transaction[1] > transaction[0] ? PAGE : 0) + 16 + 24 + 48 * tree + 40, 8);
	return root;
}

static void a_page_that_is_in_use_and_free_is_refused(void **state)
{
	uint64_t list[2] = {1, 0}; /* how many, and which */
	uint8_t *bytes;
	uint16_t at;
	size_t n;

	(void)state;
	store_fill();
	bytes = file_read(&n);
	list[1] = root_of(bytes, 1);
	memcpy(&at, bytes + root_of(bytes, 0) * PAGE + 16, 2);
	memcpy(bytes + root_of(bytes, 0) * PAGE + at + 8 + 8, list, sizeof(list));
	file_write(bytes, n);
	free(bytes);
	assert_int_equal(store_try_open(), STORE_DAMAGED);
	assert_non_null(strstr(fx.why, "used twice"));
}

static void keys_out_of_order_are_refused(void **state)
{
	uint16_t pointers[2], swapped[2];
	uint8_t *bytes, *page;
	size_t n;

	(void)state;
	store_open_ok();
	assert_int_equal(store_put_wait(0, "a", "v", 1), 0);
	assert_int_equal(store_put_wait(0, "b", "v", 1), 0);
	store_shut();
	bytes = file_read(&n);
	page = bytes + root_of(bytes, 1) * PAGE;
	memcpy(pointers, page + 16, 4);
	swapped[0] = pointers[1];
	swapped[1] = pointers[0];
	memcpy(page + 16, swapped, 4);
	file_write(bytes, n);
	free(bytes);
	assert_int_equal(store_try_open(), STORE_DAMAGED);
	assert_non_null(strstr(fx.why, "out of order"));
}

/* A bit of the older meta page's number makes it the newer one. */
static void an_older_state_does_not_come_back(void **state)
{
	uint64_t numbers[2];
	uint8_t *bytes;
	size_t n;
	int older;

	(void)state;
	store_open_ok();
	do {
		assert_int_equal(store_put_wait(0, "k", "v", 1), 0);
		bytes = file_read(&n);
		for (uint32_t i = 0; i < 2; i++)
			memcpy(&numbers[i], bytes + i * PAGE + 16 + 128, 8);
		free(bytes);
		older = numbers[1] < numbers[0];
	} while ((numbers[older] & 2) != 0);
	store_shut();
	bytes = file_read(&n);
	bytes[(uint32_t)older * PAGE + 16 + 128] |= 2;
	file_write(bytes, n);
	free(bytes);
	assert_int_equal(store_try_open(), STORE_DAMAGED);
	assert_non_null(strstr(fx.why, "different transactions"));
}

/* The mutations are many, and each is a file that is written and synced: in memory. */
static int make_in_memory(void **state)
{
	if (store_fixture_make(state) != 0)
		return -1;
	if (access("/dev/shm", W_OK) != 0)
		return 0;
	rmdir(fx.dir);
	snprintf(fx.dir, sizeof(fx.dir), "/dev/shm/bellwether-store-XXXXXX");
	if (mkdtemp(fx.dir) == NULL)
		return -1;
	snprintf(fx.file, sizeof(fx.file), "%s/data.mdb", fx.dir);
	return 0;
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, store_fixture_make, store_fixture_remove)
#define M(name) cmocka_unit_test_setup_teardown(name, make_in_memory, store_fixture_remove)
	const struct CMUnitTest tests[] = {
		T(a_damaged_record_is_answered_and_scans_go_on_behind_it),
		T(a_record_under_another_key_or_table_is_damaged),
		T(a_file_of_another_version_is_refused_in_words),
		T(records_of_another_version_are_refused_in_words),
		T(a_foreign_lmdb_file_is_refused),
		T(a_garbage_file_is_refused_in_words),
		T(an_empty_file_is_a_new_one),
		M(a_file_cut_short_anywhere_is_refused),
		M(no_damage_ends_the_process_or_hides_a_record),
		T(a_page_that_is_in_use_and_free_is_refused),
		T(keys_out_of_order_are_refused),
		T(an_older_state_does_not_come_back),
	};

	return cmocka_run_group_tests_name("store_damage", tests, NULL, NULL);
}
