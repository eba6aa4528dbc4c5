#include "tests/unit/cp/store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <dirent.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cp/store/crc32c.h"

struct store_fixture fx;

int store_fixture_make(void **state)
{
	(void)state;
	snprintf(fx.dir, sizeof(fx.dir), "/tmp/bellwether-store-XXXXXX");
	assert_non_null(mkdtemp(fx.dir));
	snprintf(fx.file, sizeof(fx.file), "%s/data.mdb", fx.dir);
	fx.cfg = (struct store_config){
		.dir = fx.dir, .bytes_max = 64u << 20, .n_tables = FIXTURE_TABLES, .version = 7};
	fx.store = NULL;
	return uv_loop_init(&fx.loop);
}

void store_shut(void)
{
	store_close(fx.store);
	fx.store = NULL;
	uv_run(&fx.loop, UV_RUN_DEFAULT);
}

int store_fixture_remove(void **state)
{
	struct dirent *entry;
	DIR *dir;

	(void)state;
	store_shut();
	if (uv_loop_close(&fx.loop) != 0)
		return -1;
	dir = opendir(fx.dir);
	while (dir != NULL && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir != NULL)
		closedir(dir);
	return rmdir(fx.dir);
}

int store_try_open(void)
{
	return store_open(&fx.store, &fx.loop, &fx.cfg, fx.why, sizeof(fx.why));
}

void store_open_ok(void)
{
	int err = store_try_open();

	if (err != 0)
		fail_msg("store_open: %d %s", err, fx.why);
}

void store_on_done(void *user, int err)
{
	struct store_waited *w = user;

	w->n++;
	if (err != 0)
		w->err = err;
}

void store_wait(const struct store_waited *w, uint32_t n)
{
	while (w->n < n)
		assert_int_not_equal(uv_run(&fx.loop, UV_RUN_ONCE), 0);
}

int store_commit_wait(struct store_batch *b)
{
	struct store_waited w = {0};

	assert_int_equal(store_commit(fx.store, b, store_on_done, &w), 0);
	store_wait(&w, 1);
	return w.err;
}

int store_put_wait(uint32_t table, const char *key, const void *value, size_t n)
{
	struct store_waited w = {0};

	assert_int_equal(store_put(fx.store, table, key, value, n, store_on_done, &w), 0);
	store_wait(&w, 1);
	return w.err;
}

void store_raw_put(const void *key, size_t key_bytes, const void *bytes, size_t n)
{
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_val k = {key_bytes, (void *)key}, v = {n, (void *)bytes};
	MDB_val head = {10, "store_head"}, record;
	uint8_t whole[64], number[8];

	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_open(env, fx.dir, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
	assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
	/* So that what is put is the only thing that is wrong. */
	for (int i = 0; i < 8; i++)
		number[i] = (uint8_t)(mdb_txn_id(txn) >> (56 - 8 * i));
	record = (MDB_val){store_raw_record(whole, "store_head", 10, number, 8), whole};
	assert_int_equal(mdb_put(txn, dbi, &head, &record, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

size_t store_raw_record(uint8_t *record, const void *key, size_t key_bytes, const void *value,
			size_t n)
{
	uint32_t sum = store_crc32c(store_crc32c(0, key, key_bytes), value, n);

	for (int i = 0; i < 4; i++)
		record[i] = (uint8_t)(sum >> (24 - 8 * i));
	memcpy(record + 4, value, n);
	return 4 + n;
}
