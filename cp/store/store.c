#include "cp/store/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "cp/store/crc32c.h"

#define VERSION_KEY "store_version"
#define SUM_BYTES   4

struct write {
	struct write *next;
	void (*done)(void *user, int err);
	void *user;
	int err;
	size_t key_bytes, record_bytes;
	uint8_t bytes[]; /* the key, then the record: checksum and value */
};

struct write_list {
	struct write *first, **end;
};

struct store {
	MDB_env *env;
	MDB_dbi dbi;
	int dir_fd; /* holds the lock that keeps a second process out */

	pthread_t thread;
	bool has_thread;
	int failed; /* store thread only: the first error, and the answer from then on */

	/* What control and the store's thread share, under 'lock'. */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct write_list waiting, done;
	uint32_t n_waiting; /* until its callback */
	bool is_closing;

	uv_async_t async;
	bool has_async;
};

static void list_init(struct write_list *l)
{
	l->first = NULL;
	l->end = &l->first;
}

static void list_append(struct write_list *l, struct write *w)
{
	w->next = NULL;
	*l->end = w;
	l->end = &w->next;
}

static struct write *list_take(struct write_list *l)
{
	struct write *first = l->first;

	list_init(l);
	return first;
}

static void list_free(struct write *w)
{
	while (w != NULL) {
		struct write *next = w->next;

		free(w);
		w = next;
	}
}

/* LMDB answers with errno values and with negative numbers of its own. */
static int lmdb_errno(int rc)
{
	if (rc >= 0)
		return -rc;
	switch (rc) {
	case MDB_MAP_FULL:
		return -ENOSPC;
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH:
		return -EINVAL;
	default:
		return -EIO;
	}
}

static void put_be32(uint8_t *to, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t get_be32(const uint8_t *from)
{
	return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

static uint32_t record_sum(const void *key, size_t key_bytes, const void *value, size_t n)
{
	return store_crc32c(store_crc32c(0, key, key_bytes), value, n);
}

/* ---- The store's thread ---- */

static int commit(struct store *s, const struct write *first)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(s->env, NULL, 0, &txn);

	if (rc != 0)
		return lmdb_errno(rc);
	for (const struct write *w = first; w != NULL; w = w->next) {
		MDB_val key = {w->key_bytes, (void *)w->bytes};
		MDB_val record = {w->record_bytes, (void *)(w->bytes + w->key_bytes)};

		rc = mdb_put(txn, s->dbi, &key, &record, 0);
		if (rc != 0) {
			mdb_txn_abort(txn);
			return lmdb_errno(rc);
		}
	}
	return lmdb_errno(mdb_txn_commit(txn));
}

static void *store_thread(void *arg)
{
	struct store *s = arg;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		struct write *batch;

		while (s->waiting.first == NULL && !s->is_closing)
			pthread_cond_wait(&s->wake, &s->lock);
		batch = list_take(&s->waiting);
		if (batch == NULL)
			break; /* closing, and nothing is left to finish */
		pthread_mutex_unlock(&s->lock);

		if (s->failed == 0)
			s->failed = commit(s, batch);

		pthread_mutex_lock(&s->lock);
		while (batch != NULL) {
			struct write *next = batch->next;

			batch->err = s->failed;
			list_append(&s->done, batch);
			batch = next;
		}
		uv_async_send(&s->async);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static void on_async(uv_async_t *async)
{
	struct store *s = async->data;
	struct write *done;

	pthread_mutex_lock(&s->lock);
	done = list_take(&s->done);
	for (const struct write *w = done; w != NULL; w = w->next)
		s->n_waiting--;
	pthread_mutex_unlock(&s->lock);

	/* A callback may close the store; then the others of this turn are dropped like all later
	 * ones. */
	while (done != NULL) {
		struct write *w = done;

		done = w->next;
		if (w->done != NULL && !uv_is_closing((uv_handle_t *)async))
			w->done(w->user, w->err);
		free(w);
	}
}

/* ---- Opening ---- */

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
	s->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd < 0) {
		err = -errno;
		snprintf(why, why_bytes, "%s: %s", dir, strerror(-err));
		return err;
	}
	if (flock(s->dir_fd, LOCK_EX | LOCK_NB) < 0) {
		err = errno == EWOULDBLOCK ? -EBUSY : -errno;
		snprintf(why, why_bytes, "%s: %s", dir,
			 err == -EBUSY ? "another process has it open" : strerror(-err));
		return err;
	}
	return 0;
}

/* LMDB reads through a mapping, and reading behind the end of a file that was cut short would end
 * the process. With zeros there, it finds a page that is none and says so. */
static int file_make_whole(struct store *s)
{
	MDB_envinfo info;
	MDB_stat stat;
	struct stat file;
	off_t wanted;
	int fd;

	if (mdb_env_info(s->env, &info) != 0 || mdb_env_stat(s->env, &stat) != 0 ||
	    mdb_env_get_fd(s->env, &fd) != 0)
		return -EIO;
	if (fstat(fd, &file) < 0)
		return -errno;
	wanted = (off_t)(info.me_last_pgno + 1) * stat.ms_psize;
	if (wanted > (off_t)STORE_BYTES_MAX)
		return -EINVAL;
	if (file.st_size < wanted && ftruncate(fd, wanted) < 0)
		return -errno;
	return 0;
}

static struct write *write_create(const char *key, const void *value, size_t n)
{
	size_t key_bytes = strlen(key);
	struct write *w = malloc(sizeof(*w) + key_bytes + SUM_BYTES + n);

	if (w == NULL)
		return NULL;
	*w = (struct write){.key_bytes = key_bytes, .record_bytes = SUM_BYTES + n};
	memcpy(w->bytes, key, key_bytes);
	put_be32(w->bytes + key_bytes, record_sum(key, key_bytes, value, n));
	if (n > 0)
		memcpy(w->bytes + key_bytes + SUM_BYTES, value, n);
	return w;
}

static int version_write(struct store *s)
{
	uint8_t version[4];
	struct write *w;
	int err;

	put_be32(version, STORE_VERSION);
	w = write_create(VERSION_KEY, version, sizeof(version));
	if (w == NULL)
		return -ENOMEM;
	err = commit(s, w);
	free(w);
	return err != 0 ? err : fsync(s->dir_fd) < 0 ? -errno : 0;
}

/* Checks the version record, or writes it into a file that is still empty. */
static int version_check(struct store *s, char *why, size_t why_bytes)
{
	uint8_t stored[4];
	size_t n = sizeof(stored);
	int err = store_get(s, VERSION_KEY, stored, &n);

	if (err == STORE_NOT_FOUND) {
		MDB_stat stat;
		int rc = mdb_env_stat(s->env, &stat);

		if (rc == 0 && stat.ms_entries == 0)
			return version_write(s);
		snprintf(why, why_bytes, "it has records but no version");
		return STORE_OTHER_VERSION;
	}
	if (err == STORE_DAMAGED || err == -ENOSPC) {
		snprintf(why, why_bytes, "its version record is damaged");
		return STORE_DAMAGED;
	}
	if (err != 0) {
		snprintf(why, why_bytes, "it cannot be read: %s", strerror(-err));
		return err;
	}
	if (n != sizeof(stored) || get_be32(stored) != STORE_VERSION) {
		snprintf(why, why_bytes, "it is of version %u, this program writes version %u",
			 n == sizeof(stored) ? get_be32(stored) : 0, STORE_VERSION);
		return STORE_OTHER_VERSION;
	}
	return 0;
}

static int env_open(struct store *s, const char *dir, char *why, size_t why_bytes)
{
	char what[160] = "";
	MDB_txn *txn;
	int rc = mdb_env_create(&s->env), err;

	if (rc != 0)
		return lmdb_errno(rc);
	rc = mdb_env_set_mapsize(s->env, STORE_BYTES_MAX);
	if (rc == 0)
		rc = mdb_env_open(s->env, dir, 0, 0600);
	if (rc != 0) {
		snprintf(why, why_bytes, "%s/data.mdb: cannot be opened: %s", dir,
			 mdb_strerror(rc));
		return lmdb_errno(rc);
	}
	err = file_make_whole(s);
	if (err == 0) {
		rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
		if (rc == 0) {
			rc = mdb_dbi_open(txn, NULL, 0, &s->dbi);
			mdb_txn_abort(txn);
		}
		err = lmdb_errno(rc);
	}
	if (err == 0)
		err = version_check(s, what, sizeof(what));
	if (err != 0)
		snprintf(why, why_bytes, "%s/data.mdb: %s", dir,
			 what[0] != '\0' ? what : strerror(err < 0 ? -err : EIO));
	return err;
}

int store_open(struct store **out, struct uv_loop_s *loop, const char *dir, char *why,
	       size_t why_bytes)
{
	struct store *s = calloc(1, sizeof(*s));
	int err = -ENOMEM;

	snprintf(why, why_bytes, "out of memory");
	if (s == NULL)
		return -ENOMEM;
	s->dir_fd = -1;
	list_init(&s->waiting);
	list_init(&s->done);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake, NULL);
	err = dir_open(s, dir, why, why_bytes);
	if (err != 0)
		goto fail;
	err = env_open(s, dir, why, why_bytes);
	if (err != 0)
		goto fail;
	err = uv_async_init(loop, &s->async, on_async);
	if (err != 0)
		goto fail_thread;
	s->async.data = s;
	s->has_async = true;
	err = -pthread_create(&s->thread, NULL, store_thread, s);
	if (err != 0)
		goto fail_thread;
	s->has_thread = true;
	pthread_setname_np(s->thread, "store");
	why[0] = '\0';
	*out = s;
	return 0;
fail_thread:
	snprintf(why, why_bytes, "the store's thread: %s", strerror(-err));
fail:
	store_close(s);
	return err;
}

/* ---- Use ---- */

int store_get(struct store *s, const char *key, void *value, size_t *n)
{
	MDB_val k = {strlen(key), (void *)key}, record;
	const uint8_t *bytes;
	MDB_txn *txn;
	int rc, err = 0;

	rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
	if (rc != 0)
		return lmdb_errno(rc);
	rc = mdb_get(txn, s->dbi, &k, &record);
	if (rc != 0) {
		mdb_txn_abort(txn);
		return rc == MDB_NOTFOUND ? STORE_NOT_FOUND : lmdb_errno(rc);
	}
	bytes = record.mv_data;
	if (record.mv_size < SUM_BYTES ||
	    get_be32(bytes) !=
		    record_sum(key, k.mv_size, bytes + SUM_BYTES, record.mv_size - SUM_BYTES)) {
		err = STORE_DAMAGED;
	} else if (record.mv_size - SUM_BYTES > *n) {
		err = -ENOSPC;
	} else {
		*n = record.mv_size - SUM_BYTES;
		if (*n > 0)
			memcpy(value, bytes + SUM_BYTES, *n);
	}
	mdb_txn_abort(txn);
	return err;
}

int store_put(struct store *s, const char *key, const void *value, size_t n,
	      void (*done)(void *user, int err), void *user)
{
	size_t key_bytes = strlen(key);
	struct write *w;

	if (key_bytes == 0 || key_bytes > STORE_KEY_MAX || strcmp(key, VERSION_KEY) == 0)
		return -EINVAL;
	if (n > STORE_VALUE_MAX)
		return -E2BIG;
	w = write_create(key, value, n);
	if (w == NULL)
		return -ENOMEM;
	w->done = done;
	w->user = user;
	pthread_mutex_lock(&s->lock);
	if (s->n_waiting >= STORE_WAITING_MAX) {
		pthread_mutex_unlock(&s->lock);
		free(w);
		return -ENOBUFS;
	}
	s->n_waiting++;
	list_append(&s->waiting, w);
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static void store_free(struct store *s)
{
	list_free(list_take(&s->done));
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static void on_closed(uv_handle_t *handle)
{
	store_free(handle->data);
}

void store_close(struct store *s)
{
	if (s == NULL)
		return;
	if (s->has_thread) {
		pthread_mutex_lock(&s->lock);
		s->is_closing = true;
		pthread_cond_signal(&s->wake);
		pthread_mutex_unlock(&s->lock);
		pthread_join(s->thread, NULL);
		s->has_thread = false;
	}
	if (s->env != NULL)
		mdb_env_close(s->env);
	if (s->dir_fd >= 0)
		close(s->dir_fd);
	if (s->has_async)
		uv_close((uv_handle_t *)&s->async, on_closed);
	else
		store_free(s);
}
