#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cp/archive/archive_private.h"
#include "cp/core/core.h"

#define GROUP_BYTES (4u << 20) /* of batches that are written as one */

/* The registry's store ends the process in the same way: what the file holds is not known. */
static void die(int err)
{
	core_log(CORE_ERROR,
		 "archive: not stored error=%s; this process ends, the next start recovers",
		 strerror(-err));
	_exit(EXIT_FAILURE);
}

/* ---- Full, and not any more ---- */

static void full_begin(struct archive *a)
{
	struct store_state s;

	if (a->full_since_ms != 0)
		return;
	a->full_since_ms = core_now_ms();
	store_look(a->store, &s);
	core_log(CORE_ERROR,
		 "archive: full, nothing more is acknowledged dir=%s used_mb=%llu max_mb=%llu",
		 a->dir, (unsigned long long)(s.bytes_used >> 20),
		 (unsigned long long)(s.bytes_max >> 20));
}

static void full_end(struct archive *a)
{
	if (a->full_since_ms == 0)
		return;
	core_log(CORE_INFO, "archive: there is room again seconds=%llu",
		 (unsigned long long)((core_now_ms() - a->full_since_ms) / 1000));
	a->full_since_ms = 0;
}

/* ---- What came back ---- */

static void follow(struct archive *a, const struct archive_batch *b)
{
	for (const struct event_copy *e = b->events; e != NULL && a->seen != NULL; e = e->next) {
		struct wire_event *event;

		if (wire_event_unpack(e->packed.bytes, e->packed.n, &event) != 0)
			continue; /* no memory; it is on disk all the same */
		a->seen(a->seen_user, event);
		wire_free(event);
	}
}

static void first_done(struct archive *a)
{
	struct archive_batch *b = a->first;

	a->first = b->next;
	if (a->first == NULL)
		a->end = &a->first;
	a->bytes_waiting -= store_batch_bytes(b->ops);
	a->n_waiting -= b->n_batches;
	a->n_events += b->n_events;
	a->events_bytes += b->events_bytes;
	full_end(a);
	/* First those who wait for their own, then who follows: so a follower knows what its own
	 * commit was about. */
	for (struct archive_done *d = b->dones; d != NULL; d = d->next)
		d->done(d->user);
	follow(a, b);
	archive_batch_free(b);
}

static void on_flown(void *user, int err)
{
	struct archive *a = user;
	bool is_drop = a->drop.ops != NULL;

	a->is_flying = false;
	if (err != 0 && err != -ENOSPC)
		die(err);
	if (err != 0) {
		archive_drop_free(a);
		full_begin(a);
		return; /* the timer tries again */
	}
	if (is_drop) {
		archive_drop_done(a);
	} else {
		first_done(a);
	}
	archive_pump(a, is_drop);
}

void archive_pump(struct archive *a, bool is_retry)
{
	struct store_batch *ops;
	int err;

	if (a->is_flying || (a->full_since_ms != 0 && !is_retry))
		return;
	archive_drop_find(a);
	ops = a->drop.ops;
	if (ops == NULL && a->first != NULL)
		ops = a->first->ops;
	if (ops == NULL) {
		full_end(a);
		return;
	}
	a->is_flying = true;
	err = store_commit_kept(a->store, ops, on_flown, a);
	if (err != 0)
		die(err);
}

/* ---- What goes in ---- */

/* Into the last one that waits, unless that is under way or long enough. */
static bool join(struct archive *a, struct archive_batch *b)
{
	struct archive_batch *last = a->first;

	while (last != NULL && last->next != NULL)
		last = last->next;
	if (last == NULL || (last == a->first && a->is_flying && a->drop.ops == NULL) ||
	    store_batch_bytes(last->ops) + store_batch_bytes(b->ops) > GROUP_BYTES ||
	    store_batch_append(last->ops, b->ops) != 0)
		return false;
	*last->events_end = b->events;
	if (b->events != NULL)
		last->events_end = b->events_end;
	*last->dones_end = b->dones;
	if (b->dones != NULL)
		last->dones_end = b->dones_end;
	b->events = NULL;
	b->dones = NULL;
	last->n_events += b->n_events;
	last->events_bytes += b->events_bytes;
	last->n_batches++;
	archive_batch_free(b);
	return true;
}

static int finish_batch(struct archive_batch *b, void (*done)(void *user), void *user)
{
	uint8_t number[8];

	if (done != NULL) {
		struct archive_done *d = calloc(1, sizeof(*d));

		if (d == NULL)
			return -ENOMEM;
		d->done = done;
		d->user = user;
		*b->dones_end = d;
		b->dones_end = &d->next;
	}
	if (b->highest == 0)
		return 0;
	archive_put_be(number, b->highest, 8);
	return store_batch_put(b->ops, ARCHIVE_MARKS, KEY_NUMBER, KEY_OWN_BYTES(KEY_NUMBER), number,
			       sizeof(number));
}

int archive_commit(struct archive *a, struct archive_batch *b, void (*done)(void *user), void *user)
{
	uint64_t n_bytes;
	int err;

	if (a->n_waiting >= STORE_WAITING_MAX || a->bytes_waiting >= STORE_WAITING_BYTES)
		err = -ENOBUFS;
	else
		err = finish_batch(b, done, user);
	if (err != 0) {
		archive_batch_free(b);
		return err;
	}
	n_bytes = store_batch_bytes(b->ops);
	if (!join(a, b)) {
		*a->end = b;
		a->end = &b->next;
	}
	a->n_waiting++;
	a->bytes_waiting += n_bytes;
	archive_pump(a, false);
	return 0;
}

void archive_queue_free(struct archive *a)
{
	while (a->first != NULL) {
		struct archive_batch *b = a->first;

		a->first = b->next;
		archive_batch_free(b);
	}
}

struct store_batch *archive_queue_join(struct archive *a)
{
	struct store_batch *all;

	if (a->first == NULL || store_batch_create(&all) != 0)
		return NULL;
	for (struct archive_batch *b = a->first; b != NULL; b = b->next) {
		if (store_batch_append(all, b->ops) != 0) {
			store_batch_free(all);
			return NULL;
		}
	}
	return all;
}
