#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cp/archive/archive_private.h"
#include "cp/core/core.h"

#define RETRY_MS  1000
#define SECOND_NS UINT64_C(1000000000)
/* More own events than can wait: numbers that were given but did not come onto the disk are not
 * given again, a peer may have seen them. */
#define NUMBER_STEP (UINT64_C(1) << 20)

/* ---- Opening ---- */

static int store_begin(struct archive *a, char *why, size_t why_bytes)
{
	const struct store_config cfg = {
		.dir = a->dir,
		.bytes_max = a->cfg.bytes_max,
		.n_tables = ARCHIVE_TABLES,
		.version = ARCHIVE_VERSION,
	};
	int err = store_open(&a->store, a->cfg.loop, &cfg, why, why_bytes);

	if (err <= 0)
		return err;
	core_log(CORE_ERROR, "archive: not usable why=%s", why);
	err = store_set_aside(a->dir, err == STORE_DAMAGED ? "damaged" : "version", a->set_aside,
			      sizeof(a->set_aside));
	if (err != 0) {
		snprintf(why, why_bytes, "%s: cannot be set aside: %s", a->dir, strerror(-err));
		return err;
	}
	core_log(CORE_WARNING, "archive: set aside, a new one begins dir=%s name=%s", a->dir,
		 a->set_aside);
	err = store_open(&a->store, a->cfg.loop, &cfg, why, why_bytes);
	return err > 0 ? -EIO : err;
}

static bool event_count(void *user, const void *key, size_t key_bytes, const void *value, size_t n)
{
	struct archive *a = user;

	a->n_events++;
	if (value != NULL)
		a->events_bytes += EVENT_KEY_BYTES + EVENT_MORE_BYTES + n;
	if (key_bytes == EVENT_KEY_BYTES && archive_get_be(key, 2) == a->cfg.self &&
	    archive_get_be((const uint8_t *)key + 2, 8) > a->next_number)
		a->next_number = archive_get_be((const uint8_t *)key + 2, 8);
	return true;
}

/* How much there is of events, and the highest own number. */
static int account(struct archive *a)
{
	uint64_t now_ns = core_wall_ns();
	uint64_t by_time =
		now_ns / SECOND_NS * NUMBER_STEP + now_ns % SECOND_NS * NUMBER_STEP / SECOND_NS;
	struct store_state s;
	uint8_t stored[8];
	size_t n = sizeof(stored);
	int err = archive_scan(a, ARCHIVE_EVENTS, NULL, 0, STORE_ASCENDING, event_count, a);

	if (err != 0)
		return err;
	err = store_get(a->store, ARCHIVE_MARKS, KEY_NUMBER, KEY_OWN_BYTES(KEY_NUMBER), stored, &n);
	if (err < 0)
		return err;
	if (err == 0 && n == sizeof(stored) && archive_get_be(stored, 8) > a->next_number)
		a->next_number = archive_get_be(stored, 8);
	a->next_number += NUMBER_STEP;
	if (a->next_number < by_time)
		a->next_number = by_time;
	store_look(a->store, &s);
	if (s.n_damaged > 0)
		core_log(CORE_WARNING, "archive: damaged records n=%llu",
			 (unsigned long long)s.n_damaged);
	core_log(CORE_INFO, "archive: opened dir=%s events=%llu used_mb=%llu max_mb=%llu", a->dir,
		 (unsigned long long)a->n_events, (unsigned long long)(s.bytes_used >> 20),
		 (unsigned long long)(s.bytes_max >> 20));
	return 0;
}

/* A new one says when it was made, so that the next start knows it for an old one. */
static int begun_check(struct archive *a, bool *is_new)
{
	struct archive_batch *b;
	uint8_t when[8];
	size_t n = sizeof(when);
	int err = store_get(a->store, ARCHIVE_MARKS, KEY_BEGUN, KEY_OWN_BYTES(KEY_BEGUN), when, &n);

	*is_new = err == STORE_NOT_FOUND;
	if (err < 0)
		return err;
	if (err == 0)
		return 0;
	b = archive_batch(a);
	if (b == NULL)
		return -ENOMEM;
	archive_put_be(when, core_wall_ns(), 8);
	err = store_batch_put(b->ops, ARCHIVE_MARKS, KEY_BEGUN, KEY_OWN_BYTES(KEY_BEGUN), when,
			      sizeof(when));
	if (err != 0) {
		archive_batch_free(b);
		return err;
	}
	return archive_commit(a, b, NULL, NULL);
}

static void on_timer(uv_timer_t *timer)
{
	archive_pump(timer->data, true);
}

static int timer_begin(struct archive *a)
{
	a->timer = calloc(1, sizeof(*a->timer));
	if (a->timer == NULL)
		return -ENOMEM;
	uv_timer_init(a->cfg.loop, a->timer);
	a->timer->data = a;
	return uv_timer_start(a->timer, on_timer, 0, RETRY_MS);
}

int archive_open(struct archive **out, const struct archive_config *cfg, bool *is_new, char *why,
		 size_t why_bytes)
{
	struct archive *a = calloc(1, sizeof(*a));
	int err = -ENOMEM;

	snprintf(why, why_bytes, "out of memory");
	if (a == NULL)
		return -ENOMEM;
	a->cfg = *cfg;
	a->end = &a->first;
	a->dir = strdup(cfg->dir);
	if (a->dir != NULL)
		err = store_begin(a, why, why_bytes);
	if (err != 0) {
		archive_close(a);
		return err;
	}
	err = account(a);
	if (err == 0)
		err = begun_check(a, is_new);
	if (err == 0)
		err = timer_begin(a);
	if (err != 0) {
		snprintf(why, why_bytes, "%s: %s", a->dir, strerror(-err));
		archive_close(a);
		return err;
	}
	why[0] = '\0';
	*out = a;
	return 0;
}

/* ---- Use ---- */

uint64_t archive_next_number(struct archive *a)
{
	return a->next_number++;
}

void archive_follow(struct archive *a, void (*seen)(void *user, const struct wire_event *e),
		    void *user)
{
	a->seen = seen;
	a->seen_user = user;
}

void archive_look(struct archive *a, struct archive_state *out)
{
	struct store_state s;

	store_look(a->store, &s);
	*out = (struct archive_state){
		.name = a->full_since_ms != 0 ? "full" : "ok",
		.bytes_used = s.bytes_used,
		.bytes_max = s.bytes_max,
		.n_events = a->n_events,
		.n_events_dropped = a->n_dropped,
		.n_damaged = a->n_damaged,
		.full_since_ms = a->full_since_ms,
		.set_aside = a->set_aside,
	};
}

/* ---- The end ---- */

static void on_timer_closed(uv_handle_t *handle)
{
	free(handle);
}

/* What waits, in one transaction: one that is under way may have found no room, and what came
 * behind it must not be stored without it. Storing it twice is storing it once. */
static void finish(struct archive *a)
{
	struct store_batch *all = archive_queue_join(a);

	if (all != NULL)
		(void)store_commit(a->store, all, NULL, NULL);
}

void archive_close(struct archive *a)
{
	if (a == NULL)
		return;
	if (a->store != NULL) {
		archive_tell_dropped(a, true);
		finish(a);
	}
	if (a->timer != NULL)
		uv_close((uv_handle_t *)a->timer, on_timer_closed);
	store_close(a->store);
	archive_queue_free(a);
	archive_drop_free(a);
	free(a->dir);
	free(a);
}
