#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cp/store/record.h"
#include "cp/store/store_private.h"

struct store_scan {
	MDB_txn *txn;
	MDB_cursor *cursor;
	enum store_order order;
	bool is_begun, is_ended;
	size_t key_bytes;
	uint8_t key[1 + STORE_KEY_MAX]; /* with its table */
};

int store_get_raw(struct store *s, const void *key, size_t key_bytes, void *value, size_t *n)
{
	MDB_val k = {key_bytes, (void *)key}, record;
	const uint8_t *bytes;
	MDB_txn *txn;
	int rc, err = 0;

	rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
	if (rc != 0)
		return store_lmdb_errno(rc);
	rc = mdb_get(txn, s->dbi, &k, &record);
	if (rc != 0) {
		mdb_txn_abort(txn);
		return rc == MDB_NOTFOUND ? STORE_NOT_FOUND : store_lmdb_errno(rc);
	}
	bytes = record.mv_data;
	if (!record_is_whole(key, key_bytes, bytes, record.mv_size)) {
		err = STORE_DAMAGED;
	} else if (record.mv_size - RECORD_SUM_BYTES > *n) {
		err = -ENOSPC;
	} else {
		*n = record.mv_size - RECORD_SUM_BYTES;
		if (*n > 0)
			memcpy(value, bytes + RECORD_SUM_BYTES, *n);
	}
	mdb_txn_abort(txn);
	return err;
}

int store_get(struct store *s, uint32_t table, const void *key, size_t key_bytes, void *value,
	      size_t *n)
{
	uint8_t with_table[1 + STORE_KEY_MAX];

	if (table >= s->n_tables || key_bytes == 0 || key_bytes > STORE_KEY_MAX)
		return -EINVAL;
	with_table[0] = (uint8_t)table;
	memcpy(with_table + 1, key, key_bytes);
	return store_get_raw(s, with_table, 1 + key_bytes, value, n);
}

/* ---- Scans ---- */

int store_scan_begin(struct store_scan **out, struct store *s, uint32_t table, const void *key,
		     size_t key_bytes, enum store_order order)
{
	struct store_scan *scan;
	int rc;

	if (table >= s->n_tables || key_bytes > STORE_KEY_MAX)
		return -EINVAL;
	scan = calloc(1, sizeof(*scan));
	if (scan == NULL)
		return -ENOMEM;
	scan->order = order;
	scan->key[0] = (uint8_t)table;
	scan->key_bytes = 1 + key_bytes;
	if (key_bytes > 0)
		memcpy(scan->key + 1, key, key_bytes);
	rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &scan->txn);
	if (rc == 0)
		rc = mdb_cursor_open(scan->txn, s->dbi, &scan->cursor);
	if (rc != 0) {
		store_scan_end(scan);
		return store_lmdb_errno(rc);
	}
	*out = scan;
	return 0;
}

/* To the first record of the scan. Behind the last record of a table is the first of another one,
 * or nothing; the one before that is where a descending scan without a key begins. */
static int first_find(struct store_scan *scan, MDB_val *key, MDB_val *record)
{
	uint8_t behind = (uint8_t)(scan->key[0] + 1);
	bool is_from_end = scan->order == STORE_DESCENDING && scan->key_bytes == 1;
	int rc;

	*key = is_from_end ? (MDB_val){1, &behind} : (MDB_val){scan->key_bytes, scan->key};
	rc = mdb_cursor_get(scan->cursor, key, record, MDB_SET_RANGE);
	if (scan->order == STORE_ASCENDING)
		return rc;
	if (rc == MDB_NOTFOUND)
		return mdb_cursor_get(scan->cursor, key, record, MDB_LAST);
	if (rc == 0 && (is_from_end || key->mv_size != scan->key_bytes ||
			memcmp(key->mv_data, scan->key, scan->key_bytes) != 0))
		rc = mdb_cursor_get(scan->cursor, key, record, MDB_PREV);
	return rc;
}

int store_scan_next(struct store_scan *scan, const void **key, size_t *key_bytes,
		    const void **value, size_t *n)
{
	MDB_val k, record;
	const uint8_t *bytes;
	int rc;

	if (scan->is_ended)
		return STORE_NOT_FOUND;
	if (scan->is_begun)
		rc = mdb_cursor_get(scan->cursor, &k, &record,
				    scan->order == STORE_ASCENDING ? MDB_NEXT : MDB_PREV);
	else
		rc = first_find(scan, &k, &record);
	scan->is_begun = true;
	scan->is_ended = rc != 0 || ((const uint8_t *)k.mv_data)[0] != scan->key[0];
	if (scan->is_ended)
		return rc == 0 || rc == MDB_NOTFOUND ? STORE_NOT_FOUND : store_lmdb_errno(rc);
	*key = (const uint8_t *)k.mv_data + 1;
	*key_bytes = k.mv_size - 1;
	bytes = record.mv_data;
	if (!record_is_whole(k.mv_data, k.mv_size, bytes, record.mv_size))
		return STORE_DAMAGED;
	*value = bytes + RECORD_SUM_BYTES;
	*n = record.mv_size - RECORD_SUM_BYTES;
	return 0;
}

void store_scan_end(struct store_scan *scan)
{
	if (scan == NULL)
		return;
	if (scan->cursor != NULL)
		mdb_cursor_close(scan->cursor);
	if (scan->txn != NULL)
		mdb_txn_abort(scan->txn);
	free(scan);
}
