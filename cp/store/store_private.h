/* store_private.h - what the files of this folder share.
 *
 * Thread:  see the fields.
 * Memory:  see store.h.
 * Returns: see each.
 */
#ifndef BELLWETHER_CP_STORE_STORE_PRIVATE_H
#define BELLWETHER_CP_STORE_STORE_PRIVATE_H

#include <lmdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "cp/store/store.h"

struct batch_list {
	struct store_batch *first, **end;
};

/* Operations lie one behind the other in 'bytes'. */
struct store_batch {
	struct store_batch *next;
	void (*done)(void *user, int err);
	void *user;
	int err;
	bool is_kept;			   /* by the caller: not freed here */
	uint32_t n_operations, tables_end; /* all tables are below tables_end */
	size_t n_bytes, room;
	uint8_t *bytes;
};

enum batch_kind { BATCH_PUT, BATCH_DELETE, BATCH_DELETE_RANGE };

/* Keys carry the octet of their table. A range: from 'key' on, below 'value', which may be empty.
 */
struct batch_operation {
	enum batch_kind kind;
	MDB_val key, value;
};
/* Walks a batch: '*at' is 0 at first. false: that was the last. */
bool batch_next(const struct store_batch *b, size_t *at, struct batch_operation *out);

void batch_list_init(struct batch_list *l);
void batch_list_append(struct batch_list *l, struct store_batch *b);
void batch_list_free(struct batch_list *l);
void batch_done(struct store_batch *b); /* frees one that is not kept */

struct store {
	MDB_env *env;
	MDB_dbi dbi;
	int dir_fd; /* holds the lock that keeps a second process out */
	uint32_t n_tables, page_bytes;
	uint64_t bytes_max;
	bool is_reserved;

	pthread_t thread;
	bool has_thread;
	uint64_t file_bytes; /* store thread only, once it runs: what the disk has given */

	/* What control and the store's thread share, under 'lock'. */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct batch_list waiting, done;
	uint32_t n_waiting;	/* until its callback */
	uint64_t bytes_waiting; /* the same */
	bool is_closing;
	struct store_state state;

	uv_async_t async;
	bool has_async;
};

/* LMDB answers with errno values and with negative numbers of its own. */
int store_lmdb_errno(int rc);
bool store_is_room_error(int err);
/* One transaction of all these batches, and nothing of it when it fails. -ENOSPC: the environment
 * can be used again; everything else has to end writing. 'used' gets the octets in use then. */
int store_write(struct store *s, const struct store_batch *first, uint64_t *used);
/* What a transaction sees in use: free pages do not count. */
uint64_t store_used_bytes(MDB_txn *txn, MDB_dbi dbi, uint32_t page_bytes);
/* Takes the disk's room for the file up to 'bytes'. -ENOSPC: there is none. */
int store_file_grow(struct store *s, uint64_t bytes);
/* A raw record by its LMDB key; otherwise store_get(). */
int store_get_raw(struct store *s, const void *key, size_t key_bytes, void *value, size_t *n);
/* Opens what is in 'dir' into a store that has nothing yet. */
int store_files_open(struct store *s, const struct store_config *cfg, char *why, size_t why_bytes);

#endif
