#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cp/store/record.h"
#include "cp/store/store_private.h"
#include "cp/store/verify.h"

#define FILE_NAME     "data.mdb"
#define SET_ASIDE_MAX 1000 /* files of one directory */

/* ---- The directory ---- */

static int dir_sync(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0)
		err = -errno;
	close(fd);
	return err;
}

/* The descriptor holds the lock. */
static int dir_lock(const char *dir, int *out)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		err = errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (err != 0)
		close(fd);
	else
		*out = fd;
	return err;
}

/* Makes 'dir' where there is none, durably, and locks it. */
static int dir_open(struct store *s, const char *dir, char *why, size_t why_bytes)
{
	int err;

	if (mkdir(dir, 0700) == 0) {
		char *copy = strdup(dir);

		err = copy == NULL ? -ENOMEM : dir_sync(dirname(copy));
		free(copy);
		if (err != 0) {
			snprintf(why, why_bytes, "%s: cannot be synced: %s", dir, strerror(-err));
			return err;
		}
	} else if (errno != EEXIST) {
		err = -errno;
		snprintf(why, why_bytes, "%s: cannot be made: %s", dir, strerror(-err));
		return err;
	}
	err = dir_lock(dir, &s->dir_fd);
	if (err != 0)
		snprintf(why, why_bytes, "%s: %s", dir,
			 err == -EBUSY ? "another process has it open" : strerror(-err));
	return err;
}

int store_set_aside(const char *dir, const char *reason, char *name, size_t name_bytes)
{
	int fd, err;

	if (reason[0] == '\0' || strchr(reason, '/') != NULL)
		return -EINVAL;
	err = dir_lock(dir, &fd);
	if (err != 0)
		return err;
	for (uint32_t i = 1; i <= SET_ASIDE_MAX; i++) {
		if (snprintf(name, name_bytes, FILE_NAME ".%s.%u", reason, i) >= (int)name_bytes) {
			err = -ENAMETOOLONG;
			break;
		}
		err = renameat2(fd, FILE_NAME, fd, name, RENAME_NOREPLACE) < 0 ? -errno : 0;
		if (err != -EEXIST)
			break;
	}
	if (err == 0 && fsync(fd) < 0)
		err = -errno;
	close(fd);
	return err;
}

/* ---- The file ---- */

static int version_write(struct store *s, uint32_t version)
{
	static const char key[] = RECORD_VERSION_KEY;
	uint8_t record[RECORD_SUM_BYTES + 8];
	MDB_val k = {sizeof(key) - 1, (void *)key}, v = {sizeof(record), record};
	MDB_txn *txn;
	int rc;

	record_put_be(record + RECORD_SUM_BYTES, STORE_VERSION, 4);
	record_put_be(record + RECORD_SUM_BYTES + 4, version, 4);
	record_put_be(record, record_sum(key, k.mv_size, record + RECORD_SUM_BYTES, 8),
		      RECORD_SUM_BYTES);
	rc = mdb_txn_begin(s->env, NULL, 0, &txn);
	if (rc != 0)
		return store_lmdb_errno(rc);
	rc = mdb_put(txn, s->dbi, &k, &v, 0);
	if (rc != 0) {
		mdb_txn_abort(txn);
		return store_lmdb_errno(rc);
	}
	rc = mdb_txn_commit(txn);
	return rc != 0 ? store_lmdb_errno(rc) : fsync(s->dir_fd) < 0 ? -errno : 0;
}

static int version_compare(const uint8_t *stored, size_t n, uint32_t wanted, char *why,
			   size_t why_bytes)
{
	uint32_t store = n >= 4 ? (uint32_t)record_get_be(stored, 4) : 0;
	uint32_t caller = n >= 8 ? (uint32_t)record_get_be(stored + 4, 4) : 0;

	if (store != STORE_VERSION || n != 8)
		snprintf(why, why_bytes, "it is of version %u, this program writes version %u",
			 store, STORE_VERSION);
	else if (caller != wanted)
		snprintf(why, why_bytes, "its records are of version %u, this program's %u", caller,
			 wanted);
	else
		return 0;
	return STORE_OTHER_VERSION;
}

/* Checks the version record, or writes it into a file that is still empty. */
static int version_check(struct store *s, uint32_t version, char *why, size_t why_bytes)
{
	uint8_t stored[64];
	size_t n = sizeof(stored);
	MDB_stat stat;
	int err = store_get_raw(s, RECORD_VERSION_KEY, sizeof(RECORD_VERSION_KEY) - 1, stored, &n);

	if (err == 0)
		return version_compare(stored, n, version, why, why_bytes);
	if (err == STORE_DAMAGED || err == -ENOSPC) {
		snprintf(why, why_bytes, "its version record is damaged");
		return STORE_DAMAGED;
	}
	if (err != STORE_NOT_FOUND)
		return err;
	if (mdb_env_stat(s->env, &stat) == 0 && stat.ms_entries == 0)
		return version_write(s, version);
	snprintf(why, why_bytes, "it has records but no version");
	return STORE_OTHER_VERSION;
}

static int head_check(struct store *s, uint64_t transaction, char *why, size_t why_bytes)
{
	uint8_t stored[8];
	size_t n = sizeof(stored);
	int err = store_get_raw(s, RECORD_HEAD_KEY, sizeof(RECORD_HEAD_KEY) - 1, stored, &n);

	if (err < 0 && err != -ENOSPC)
		return err;
	/* The first transaction wrote the version only. */
	if (err == STORE_NOT_FOUND && transaction <= 1)
		return 0;
	if (err == 0 && n == sizeof(stored) && record_get_be(stored, 8) == transaction)
		return 0;
	snprintf(why, why_bytes, "its meta page and its records are of different transactions");
	return STORE_DAMAGED;
}

/* Reads all of the file. None, or an empty one, is one to be made. */
static int file_verify(struct store *s, struct verify_result *v, char *why, size_t why_bytes)
{
	int fd = openat(s->dir_fd, FILE_NAME, O_RDONLY | O_CLOEXEC), err = 0;
	struct stat file;

	*v = (struct verify_result){0};
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &file) < 0)
		err = -errno;
	else if (!S_ISREG(file.st_mode))
		err = -EINVAL;
	else if (file.st_size > 0)
		err = verify_file(fd, v, why, why_bytes);
	close(fd);
	return err;
}

/* What of the disk's room the file has already. */
static int file_size_note(struct store *s)
{
	struct stat file;
	int fd;

	if (mdb_env_get_fd(s->env, &fd) != 0)
		return -EIO;
	if (fstat(fd, &file) < 0)
		return -errno;
	s->file_bytes = (uint64_t)file.st_size;
	return 0;
}

static int env_open(struct store *s, const struct store_config *cfg, const struct verify_result *v)
{
	uint64_t map_bytes = v->bytes + v->bytes / 16 + (1u << 20);
	MDB_stat stat;
	MDB_txn *txn;
	int rc = mdb_env_create(&s->env);

	if (rc != 0)
		return store_lmdb_errno(rc);
	/* A file that is longer than it may be now must still have room for deleting. */
	if (map_bytes < s->bytes_max)
		map_bytes = s->bytes_max;
	rc = mdb_env_set_mapsize(s->env, map_bytes);
	if (rc == 0) /* a scan and a get are two readers of one thread */
		rc = mdb_env_open(s->env, cfg->dir, MDB_NOTLS, 0600);
	if (rc == 0)
		rc = mdb_env_stat(s->env, &stat);
	if (rc == 0)
		rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
	if (rc == 0) {
		s->page_bytes = stat.ms_psize;
		rc = mdb_dbi_open(txn, NULL, 0, &s->dbi);
		if (rc == 0)
			s->state.bytes_used = store_used_bytes(txn, s->dbi, s->page_bytes);
		mdb_txn_abort(txn);
	}
	return rc == 0 ? file_size_note(s) : store_lmdb_errno(rc);
}

static int reserve(struct store *s, char *why, size_t why_bytes)
{
	int fd, err;

	if (!s->is_reserved)
		return 0;
	if (mdb_env_get_fd(s->env, &fd) != 0)
		return -EIO;
	err = -posix_fallocate(fd, 0, (off_t)s->bytes_max);
	if (store_is_room_error(err)) {
		snprintf(why, why_bytes, "the disk has no room for its %llu octets",
			 (unsigned long long)s->bytes_max);
		return -ENOSPC;
	}
	return err;
}

int store_files_open(struct store *s, const struct store_config *cfg, char *why, size_t why_bytes)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct verify_result v;
	char what[160] = "";
	int err = dir_open(s, cfg->dir, why, why_bytes);

	if (err != 0)
		return err;
	s->n_tables = cfg->n_tables;
	s->is_reserved = cfg->is_reserved;
	s->bytes_max = (cfg->bytes_max + page - 1) / page * page;
	err = file_verify(s, &v, what, sizeof(what));
	if (err == 0)
		err = env_open(s, cfg, &v);
	if (err == 0)
		err = version_check(s, cfg->version, what, sizeof(what));
	if (err == 0)
		err = head_check(s, v.transaction, what, sizeof(what));
	if (err == 0)
		err = reserve(s, what, sizeof(what));
	s->state.bytes_max = s->bytes_max;
	s->state.n_damaged = v.n_damaged;
	if (err != 0)
		snprintf(why, why_bytes, "%s/" FILE_NAME ": %s", cfg->dir,
			 what[0] != '\0' ? what : strerror(err < 0 ? -err : EIO));
	return err;
}
