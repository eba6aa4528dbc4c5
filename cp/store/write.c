#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cp/store/record.h"
#include "cp/store/store_private.h"

#define GROW_BYTES  (UINT64_C(1) << 20)
#define SLACK_PAGES 256 /* for the list of free pages, and for ranges */
#define NODE_BYTES  16	/* of LMDB around a record */
#define DEPTH	    6	/* of a tree; none is deeper that fits a disk */
/* Deleting takes pages too, before it gives any back. So this part of the map, and this much of the
 * file on a full disk, is only for what makes less of it used. */
#define RESERVE_PART 32
#define RESERVE_MIN  (UINT64_C(64) << 10)
#define RESERVE_DISK (UINT64_C(512) << 10)

int store_lmdb_errno(int rc)
{
	if (rc >= 0)
		return -rc;
	switch (rc) {
	case MDB_MAP_FULL:
		return -ENOSPC;
	case MDB_READERS_FULL:
		return -EAGAIN;
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH:
		return -EINVAL;
	default:
		return -EIO;
	}
}

bool store_is_room_error(int err)
{
	return err == -ENOSPC || err == -EDQUOT || err == -EFBIG;
}

/* ---- Room on the disk ---- */

/* A write that the disk has only half the room for is an EIO of LMDB's; so room is taken before
 * anything is written. Where the file system cannot do that, the file only gets longer. */
int store_file_grow(struct store *s, uint64_t bytes)
{
	int fd, rc;

	if (bytes <= s->file_bytes)
		return 0;
	if (mdb_env_get_fd(s->env, &fd) != 0)
		return -EIO;
	do {
		rc = fallocate(fd, 0, (off_t)s->file_bytes, (off_t)(bytes - s->file_bytes));
	} while (rc < 0 && errno == EINTR);
	if (rc < 0 && errno == EOPNOTSUPP)
		rc = ftruncate(fd, (off_t)bytes);
	if (rc < 0)
		return store_is_room_error(-errno) ? -ENOSPC : -errno;
	s->file_bytes = bytes;
	return 0;
}

/* Pages that these batches may take: the records' octets in pages that are half full, and one new
 * page for each that is touched on the way there, which are no more than there are. */
static uint64_t pages_for(const struct store *s, const struct store_batch *first)
{
	uint64_t bytes = 0, touched = 0, there = s->state.bytes_used / s->page_bytes;

	for (const struct store_batch *b = first; b != NULL; b = b->next) {
		bytes += b->n_bytes + b->n_operations * NODE_BYTES;
		touched += b->n_operations * DEPTH;
	}
	return 2 * bytes / s->page_bytes + (touched < there ? touched : there) + SLACK_PAGES;
}

/* What may be in use after these batches have put something. On a full disk that is less: pages
 * that are free in the file may do. */
static uint64_t room_for_puts(struct store *s, const struct store_batch *first)
{
	uint64_t reserve = s->bytes_max / RESERVE_PART, most = s->bytes_max, pages, bytes;
	MDB_envinfo info;

	if (reserve < RESERVE_MIN)
		reserve = RESERVE_MIN;
	if (most > 2 * reserve)
		most -= reserve;
	if (s->is_reserved || mdb_env_info(s->env, &info) != 0)
		return most;
	pages = info.me_last_pgno + 1 + pages_for(s, first);
	bytes = (pages * s->page_bytes + GROW_BYTES - 1) / GROW_BYTES * GROW_BYTES;
	if (store_file_grow(s, bytes < s->bytes_max ? bytes : s->bytes_max) == 0 ||
	    most + RESERVE_DISK < s->file_bytes)
		return most;
	return s->file_bytes > RESERVE_DISK ? s->file_bytes - RESERVE_DISK : 0;
}

/* ---- One transaction ---- */

static int put(MDB_txn *txn, MDB_dbi dbi, const MDB_val *key, const void *value, size_t n)
{
	MDB_val k = *key, record = {RECORD_SUM_BYTES + n, NULL};
	int rc = mdb_put(txn, dbi, &k, &record, MDB_RESERVE);

	if (rc != 0)
		return rc;
	record_put_be(record.mv_data, record_sum(key->mv_data, key->mv_size, value, n),
		      RECORD_SUM_BYTES);
	if (n > 0)
		memcpy((uint8_t *)record.mv_data + RECORD_SUM_BYTES, value, n);
	return 0;
}

static int delete_range(MDB_txn *txn, MDB_dbi dbi, const MDB_val *first, MDB_val *end)
{
	MDB_cursor *cursor;
	int rc = mdb_cursor_open(txn, dbi, &cursor);

	if (rc != 0)
		return rc;
	for (;;) {
		MDB_val key = *first, record;

		rc = mdb_cursor_get(cursor, &key, &record, MDB_SET_RANGE);
		if (rc != 0 || mdb_cmp(txn, dbi, &key, end) >= 0)
			break;
		rc = mdb_cursor_del(cursor, 0);
		if (rc != 0)
			break;
	}
	mdb_cursor_close(cursor);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int apply(MDB_txn *txn, MDB_dbi dbi, const struct store_batch *b)
{
	struct batch_operation op;
	size_t at = 0;
	int rc = 0;

	while (rc == 0 && batch_next(b, &at, &op)) {
		switch (op.kind) {
		case BATCH_PUT:
			rc = put(txn, dbi, &op.key, op.value.mv_data, op.value.mv_size);
			break;
		case BATCH_DELETE:
			rc = mdb_del(txn, dbi, &op.key, NULL);
			if (rc == MDB_NOTFOUND)
				rc = 0;
			break;
		case BATCH_DELETE_RANGE:
			rc = delete_range(txn, dbi, &op.key, &op.value);
			break;
		}
	}
	return rc;
}

static int head_put(MDB_txn *txn, MDB_dbi dbi)
{
	const MDB_val key = {sizeof(RECORD_HEAD_KEY) - 1, RECORD_HEAD_KEY};
	uint8_t number[8];

	record_put_be(number, mdb_txn_id(txn), 8);
	return put(txn, dbi, &key, number, sizeof(number));
}

/* Both meta pages, the tree of free pages, the tree of records. */
uint64_t store_used_bytes(MDB_txn *txn, MDB_dbi dbi, uint32_t page_bytes)
{
	uint64_t pages = 2;
	const MDB_dbi trees[] = {0 /* that of free pages */, dbi};

	for (int i = 0; i < 2; i++) {
		MDB_stat stat;

		if (mdb_stat(txn, trees[i], &stat) == 0)
			pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
	}
	return pages * page_bytes;
}

/* After a write of the meta page failed, LMDB cannot tell what is on disk and begins no further
 * transaction. */
static bool is_usable(struct store *s)
{
	MDB_txn *txn;

	if (mdb_txn_begin(s->env, NULL, 0, &txn) != 0)
		return false;
	mdb_txn_abort(txn);
	return true;
}

static int transaction(struct store *s, const struct store_batch *first, uint64_t *used)
{
	uint64_t most = room_for_puts(s, first), before, after;
	MDB_txn *txn;
	int rc = mdb_txn_begin(s->env, NULL, 0, &txn);

	if (rc != 0)
		return rc;
	before = store_used_bytes(txn, s->dbi, s->page_bytes);
	for (const struct store_batch *b = first; b != NULL && rc == 0; b = b->next)
		rc = apply(txn, s->dbi, b);
	if (rc == 0)
		rc = head_put(txn, s->dbi);
	after = store_used_bytes(txn, s->dbi, s->page_bytes);
	if (rc == 0 && after > before && after > most)
		rc = MDB_MAP_FULL;
	if (rc != 0) {
		mdb_txn_abort(txn);
		return rc;
	}
	rc = mdb_txn_commit(txn);
	if (rc == 0)
		*used = after;
	return rc;
}

int store_write(struct store *s, const struct store_batch *first, uint64_t *used)
{
	int err = store_lmdb_errno(transaction(s, first, used));
	if (err == -EIO && !s->is_reserved &&
	    store_file_grow(s, s->file_bytes + GROW_BYTES) == -ENOSPC)
		err = -ENOSPC;
	if (!store_is_room_error(err))
		return err;
	return is_usable(s) ? -ENOSPC : -EIO;
}
