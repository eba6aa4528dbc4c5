/* store_fixture.h - a store in a directory of its own below /tmp, and writes that are waited for.
 *
 * Thread:  the test's.
 * Memory:  everything is freed and removed by store_fixture_remove().
 * Returns: what goes wrong fails the test.
 */
#ifndef BELLWETHER_TESTS_STORE_FIXTURE_H
#define BELLWETHER_TESTS_STORE_FIXTURE_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "cp/store/store.h"

#define FIXTURE_TABLES 4

struct store_fixture {
	char dir[64], file[96], why[256];
	struct store_config cfg; /* of the next open */
	uv_loop_t loop;
	struct store *store;
};
extern struct store_fixture fx;

int store_fixture_make(void **state);
int store_fixture_remove(void **state);

int store_try_open(void);
void store_open_ok(void);
void store_shut(void);

struct store_waited {
	uint32_t n;
	int err; /* the last that was not 0 */
};
/* For store_commit(): 'user' is a struct store_waited. */
void store_on_done(void *user, int err);
void store_wait(const struct store_waited *w, uint32_t n);
/* What the commit says. */
int store_commit_wait(struct store_batch *b);
int store_put_wait(uint32_t table, const char *key, const void *value, size_t n);

/* Changes the file behind the store's back, as a bad disk or another program would. The key is
 * LMDB's: with the table's octet. */
void store_raw_put(const void *key, size_t key_bytes, const void *bytes, size_t n);
/* A record with a right checksum, below 'room'; its length. */
size_t store_raw_record(uint8_t *record, const void *key, size_t key_bytes, const void *value,
			size_t n);

#endif
