#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cp/store/store_private.h"

/* Of one transaction: a longer one keeps those waiting that come behind it. */
#define TRANSACTION_BYTES (8u << 20)

/* ---- The store's thread ---- */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* What waits, up to a transaction's size. */
static void batches_take(struct store *s, struct batch_list *out)
{
	size_t bytes = 0;

	batch_list_init(out);
	while (s->waiting.first != NULL) {
		struct store_batch *b = s->waiting.first;

		if (out->first != NULL && bytes + b->n_bytes > TRANSACTION_BYTES)
			return;
		bytes += b->n_bytes;
		s->waiting.first = b->next;
		if (b->next == NULL)
			batch_list_init(&s->waiting);
		batch_list_append(out, b);
	}
}

/* Under the lock. */
static void outcome_note(struct store *s, int err, uint64_t used, uint64_t took_ns, uint32_t n)
{
	if (err == 0) {
		s->state.bytes_used = used;
		s->state.n_commits++;
		s->state.n_batches += n;
		if (took_ns > s->state.commit_ns)
			s->state.commit_ns = took_ns;
	}
	s->state.is_full = err == -ENOSPC;
	if (err != 0 && err != -ENOSPC)
		s->state.failed = err;
}

static void *store_thread(void *arg)
{
	struct store *s = arg;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		struct batch_list batches;
		uint64_t used = 0, begun;
		uint32_t n = 0;
		int err;

		while (s->waiting.first == NULL && !s->is_closing)
			pthread_cond_wait(&s->wake, &s->lock);
		batches_take(s, &batches);
		if (batches.first == NULL)
			break; /* closing, and nothing is left to finish */
		err = s->state.failed;
		pthread_mutex_unlock(&s->lock);

		begun = now_ns();
		if (err == 0)
			err = store_write(s, batches.first, &used);

		pthread_mutex_lock(&s->lock);
		while (batches.first != NULL) {
			struct store_batch *b = batches.first;

			batches.first = b->next;
			b->err = err;
			batch_list_append(&s->done, b);
			n++;
		}
		outcome_note(s, err, used, now_ns() - begun, n);
		uv_async_send(&s->async);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* A kept batch is the caller's again in the call. */
static void batch_call(struct store_batch *b, bool is_wanted)
{
	void (*done)(void *user, int err) = b->done;
	void *user = b->user;
	int err = b->err;

	batch_done(b);
	if (done != NULL && is_wanted)
		done(user, err);
}

static void on_async(uv_async_t *async)
{
	struct store *s = async->data;
	struct store_batch *done;

	pthread_mutex_lock(&s->lock);
	done = s->done.first;
	batch_list_init(&s->done);
	for (const struct store_batch *b = done; b != NULL; b = b->next) {
		s->n_waiting--;
		s->bytes_waiting -= b->n_bytes;
	}
	pthread_mutex_unlock(&s->lock);

	/* A callback may close the store; then the others of this turn are dropped like all later
	 * ones. */
	while (done != NULL) {
		struct store_batch *b = done;

		done = b->next;
		batch_call(b, !uv_is_closing((uv_handle_t *)async));
	}
}

/* ---- The start ---- */

int store_open(struct store **out, struct uv_loop_s *loop, const struct store_config *cfg,
	       char *why, size_t why_bytes)
{
	struct store *s = calloc(1, sizeof(*s));
	int err;

	assert(cfg->n_tables > 0 && cfg->n_tables <= STORE_TABLES_MAX);
	snprintf(why, why_bytes, "out of memory");
	if (s == NULL)
		return -ENOMEM;
	s->dir_fd = -1;
	batch_list_init(&s->waiting);
	batch_list_init(&s->done);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake, NULL);
	err = store_files_open(s, cfg, why, why_bytes);
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

static int commit(struct store *s, struct store_batch *b, void (*done)(void *user, int err),
		  void *user, bool is_kept)
{
	bool is_too_much;

	b->is_kept = is_kept;
	b->done = done;
	b->user = user;
	if (b->tables_end > s->n_tables) {
		batch_done(b);
		return -EINVAL;
	}
	pthread_mutex_lock(&s->lock);
	is_too_much = s->n_waiting >= STORE_WAITING_MAX || s->bytes_waiting >= STORE_WAITING_BYTES;
	if (!is_too_much) {
		s->n_waiting++;
		s->bytes_waiting += b->n_bytes;
		batch_list_append(&s->waiting, b);
		pthread_cond_signal(&s->wake);
	}
	pthread_mutex_unlock(&s->lock);
	if (is_too_much)
		batch_done(b);
	return is_too_much ? -ENOBUFS : 0;
}

int store_commit(struct store *s, struct store_batch *b, void (*done)(void *user, int err),
		 void *user)
{
	return commit(s, b, done, user, false);
}

int store_commit_kept(struct store *s, struct store_batch *b, void (*done)(void *user, int err),
		      void *user)
{
	return commit(s, b, done, user, true);
}

int store_put(struct store *s, uint32_t table, const char *key, const void *value, size_t n,
	      void (*done)(void *user, int err), void *user)
{
	struct store_batch *b;
	int err = store_batch_create(&b);

	if (err != 0)
		return err;
	err = store_batch_put(b, table, key, strlen(key), value, n);
	if (err != 0) {
		store_batch_free(b);
		return err;
	}
	return store_commit(s, b, done, user);
}

void store_look(struct store *s, struct store_state *out)
{
	pthread_mutex_lock(&s->lock);
	*out = s->state;
	pthread_mutex_unlock(&s->lock);
}

/* ---- The end ---- */

static void store_free(struct store *s)
{
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
		batch_list_free(&s->done); /* now: kept ones may be gone when the loop turns */
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
