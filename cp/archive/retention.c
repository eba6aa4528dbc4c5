#include <stdlib.h>

#include "cp/archive/archive_private.h"
#include "cp/core/core.h"

#define SLICE_EVENTS 1000
#define HOUR_NS	     (UINT64_C(3600) * 1000000000)
#define AGE_CHECK_MS 1000
#define TELL_MS	     60000
#define SPARE_PART   64
/* Of the file. Records of another kind, and pages that are only half full, take what events were
 * not meant to; above it events go before anything is refused. */
#define PRESSURE(bytes) ((bytes) / 8 * 7)

/* The oldest event of an origin: its first, for numbers and times rise together. */
struct head {
	bool is_found;
	uint16_t origin;
	uint64_t number, time_ns;
};

/* 0 when it cannot be read: then it may go at once. */
static uint64_t time_of(const void *value, size_t n)
{
	struct wire_event *e;
	uint64_t time_ns = 0;

	if (wire_event_unpack(value, n, &e) == 0) {
		time_ns = e->time_ns;
		wire_free(e);
	}
	return time_ns;
}

/* The first one from 'origin' on, whichever has one. */
static struct head head_find(struct archive *a, uint16_t origin)
{
	struct head head = {0};
	struct store_scan *scan;
	const void *key, *value;
	uint8_t from[EVENT_KEY_BYTES];
	size_t key_bytes, n;
	int err;

	archive_event_key(from, origin, 0);
	if (store_scan_begin(&scan, a->store, ARCHIVE_EVENTS, from, sizeof(from),
			     STORE_ASCENDING) != 0)
		return head;
	err = store_scan_next(scan, &key, &key_bytes, &value, &n);
	if ((err == 0 || err == STORE_DAMAGED) && key_bytes == EVENT_KEY_BYTES) {
		head = (struct head){
			.is_found = true,
			.origin = (uint16_t)archive_get_be(key, 2),
			.number = archive_get_be((const uint8_t *)key + 2, 8),
			.time_ns = err == 0 ? time_of(value, n) : 0,
		};
	}
	store_scan_end(scan);
	return head;
}

static struct head oldest_find(struct archive *a)
{
	struct head oldest = {0}, head;

	for (uint32_t origin = 0; origin <= UINT16_MAX; origin = head.origin + 1u) {
		head = head_find(a, (uint16_t)origin);
		if (!head.is_found)
			break;
		if (!oldest.is_found || head.time_ns < oldest.time_ns)
			oldest = head;
	}
	return oldest;
}

/* The events of the head's origin that are older than 'before_ns', up to a slice and to so many
 * octets. */
static uint64_t slice_take(struct archive *a, const struct head *head, uint64_t before_ns,
			   uint64_t bytes_wanted)
{
	struct store_scan *scan;
	const void *key, *value;
	uint8_t from[EVENT_KEY_BYTES];
	size_t key_bytes, n;
	uint64_t last = head->number;
	int err;

	archive_event_key(from, head->origin, head->number);
	if (store_scan_begin(&scan, a->store, ARCHIVE_EVENTS, from, sizeof(from),
			     STORE_ASCENDING) != 0)
		return 0;
	while (a->drop.n_events < SLICE_EVENTS && a->drop.bytes < bytes_wanted) {
		err = store_scan_next(scan, &key, &key_bytes, &value, &n);
		if ((err != 0 && err != STORE_DAMAGED) || key_bytes != EVENT_KEY_BYTES ||
		    archive_get_be(key, 2) != head->origin ||
		    (err == 0 && time_of(value, n) >= before_ns))
			break;
		last = archive_get_be((const uint8_t *)key + 2, 8);
		a->drop.n_events++;
		a->drop.bytes += err == 0 ? EVENT_KEY_BYTES + EVENT_MORE_BYTES + n : 0;
	}
	store_scan_end(scan);
	return last;
}

static void drop_make(struct archive *a, const struct head *head, uint64_t before_ns,
		      uint64_t bytes_wanted)
{
	uint8_t first[EVENT_KEY_BYTES], end[EVENT_KEY_BYTES];
	uint64_t last = slice_take(a, head, before_ns, bytes_wanted);
	size_t end_bytes = sizeof(end);

	if (a->drop.n_events == 0 || store_batch_create(&a->drop.ops) != 0) {
		archive_drop_free(a);
		return;
	}
	archive_event_key(first, head->origin, head->number);
	archive_event_key(end, head->origin, last + 1);
	if (last == UINT64_MAX) { /* then the next origin's first is the end, if there is one */
		archive_event_key(end, (uint16_t)(head->origin + 1), 0);
		end_bytes = head->origin == UINT16_MAX ? 0 : sizeof(end);
	}
	if (store_batch_delete_range(a->drop.ops, ARCHIVE_EVENTS, first, sizeof(first), end,
				     end_bytes) != 0)
		archive_drop_free(a);
}

/* How much has to go; 0: nothing. Some more goes with it, so that not every commit is followed by
 * one that drops a few. */
static uint64_t bytes_above(struct archive *a)
{
	uint64_t events_max = a->cfg.events_bytes_max;
	struct store_state s;

	store_look(a->store, &s);
	if (a->events_bytes > events_max)
		return a->events_bytes - events_max + events_max / SPARE_PART;
	if (s.bytes_used > PRESSURE(s.bytes_max))
		return s.bytes_used - PRESSURE(s.bytes_max) + s.bytes_max / SPARE_PART;
	return 0;
}

void archive_drop_find(struct archive *a)
{
	uint64_t now_ns = core_wall_ns(), keep_ns = a->cfg.events_keep_s * UINT64_C(1000000000);
	uint64_t before_ns = now_ns > keep_ns ? now_ns - keep_ns : 0, above;
	struct head oldest;

	if (a->drop.ops != NULL)
		return;
	above = bytes_above(a);
	if (above == 0 && core_now_ms() - a->age_checked_ms < AGE_CHECK_MS)
		return;
	oldest = oldest_find(a);
	a->drop.is_by_age = oldest.is_found && oldest.time_ns < before_ns;
	if (a->drop.is_by_age) {
		drop_make(a, &oldest, before_ns, UINT64_MAX);
	} else if (oldest.is_found && above > 0) {
		/* Of this hour only: then those of other origins may be the oldest. */
		drop_make(a, &oldest, oldest.time_ns - oldest.time_ns % HOUR_NS + HOUR_NS, above);
	}
	if (a->drop.ops != NULL)
		return;
	a->age_checked_ms = core_now_ms();
	if (!oldest.is_found)
		a->n_events = a->events_bytes = 0; /* doubles that waited together count twice */
	archive_tell_dropped(a, false);
}

void archive_drop_free(struct archive *a)
{
	store_batch_free(a->drop.ops);
	a->drop = (struct drop){0};
}

void archive_drop_done(struct archive *a)
{
	struct drop *d = &a->drop;

	a->n_events -= d->n_events < a->n_events ? d->n_events : a->n_events;
	a->events_bytes -= d->bytes < a->events_bytes ? d->bytes : a->events_bytes;
	a->n_dropped += d->n_events;
	archive_drop_free(a);
}

void archive_tell_dropped(struct archive *a, bool is_end)
{
	uint64_t now_ms = core_now_ms();

	if (a->n_dropped == a->n_dropped_told ||
	    (!is_end && a->told_ms != 0 && now_ms - a->told_ms < TELL_MS))
		return;
	core_log(CORE_INFO, "archive: events dropped n=%llu kept=%llu kept_mb=%llu",
		 (unsigned long long)(a->n_dropped - a->n_dropped_told),
		 (unsigned long long)a->n_events, (unsigned long long)(a->events_bytes >> 20));
	a->n_dropped_told = a->n_dropped;
	a->told_ms = now_ms;
}
