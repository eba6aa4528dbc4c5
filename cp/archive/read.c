#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cp/archive/archive_private.h"
#include "cp/core/core.h"

static const char *const table_names[ARCHIVE_TABLES] = {
	[ARCHIVE_EVENTS] = "event",	[ARCHIVE_ALARMS] = "alarm", [ARCHIVE_NOTES] = "note",
	[ARCHIVE_ELEMENTS] = "element", [ARCHIVE_SYNCS] = "cell",   [ARCHIVE_STATUS] = "status",
	[ARCHIVE_MARKS] = "mark",
};

/* It is removed, so that it is met once, and so that a copy of a peer's can take its place. */
void archive_damaged(struct archive *a, enum archive_table table, const void *key, size_t key_bytes)
{
	struct archive_batch *b;
	char hex[2 * 16 + 1] = "";

	for (size_t i = 0; i < key_bytes && i < 16; i++)
		snprintf(hex + 2 * i, 3, "%02x", ((const uint8_t *)key)[i]);
	a->n_damaged++;
	if (table == ARCHIVE_EVENTS && a->n_events > 0)
		a->n_events--;
	core_log(CORE_ERROR, "archive: a damaged record is removed kind=%s key=%s%s",
		 table_names[table], hex, key_bytes > 16 ? ".." : "");
	b = archive_batch(a);
	if (b == NULL || store_batch_delete(b->ops, table, key, key_bytes) != 0)
		archive_batch_free(b);
	else
		(void)archive_commit(a, b, NULL, NULL); /* else it is met again */
}

int archive_scan(struct archive *a, enum archive_table table, const void *first, size_t first_bytes,
		 enum store_order order,
		 bool (*see)(void *user, const void *key, size_t key_bytes, const void *value,
			     size_t n),
		 void *user)
{
	const void *key, *value = NULL;
	struct store_scan *scan;
	size_t key_bytes, n = 0;
	int err = store_scan_begin(&scan, a->store, table, first, first_bytes, order);

	if (err != 0)
		return err;
	while ((err = store_scan_next(scan, &key, &key_bytes, &value, &n)) == 0 ||
	       err == STORE_DAMAGED)
		if (!see(user, key, key_bytes, err == 0 ? value : NULL, n))
			break;
	store_scan_end(scan);
	return err < 0 ? err : 0;
}

/* ---- Records between two keys ---- */

/* One scan for all kinds: bounds, damage and unpacking are the same. */
struct range {
	struct archive *a;
	enum archive_table table;
	uint64_t last; /* in the order of the scan: the end */
	uint16_t origin;
	bool is_descending;
	int err;
	int (*unpack)(const void *bytes, size_t n, void **out);
	bool (*see)(void *user, const void *record, const struct range *r);
	void *user, *call;
};

static bool is_behind(const struct range *r, const uint8_t *key, size_t key_bytes)
{
	uint64_t number;

	if (r->table == ARCHIVE_EVENTS) {
		if (key_bytes != EVENT_KEY_BYTES)
			return false; /* damaged; it is seen to be so */
		if (archive_get_be(key, 2) != r->origin)
			return true;
		key += 2;
	}
	if (key_bytes < 8)
		return false;
	number = archive_get_be(key, 8);
	return r->is_descending ? number < r->last : number > r->last;
}

static bool range_see(void *user, const void *key, size_t key_bytes, const void *value, size_t n)
{
	struct range *r = user;
	void *record;
	bool is_wanted;

	if (is_behind(r, key, key_bytes))
		return false;
	r->err = value == NULL ? -EBADMSG : r->unpack(value, n, &record);
	if (r->err == -EBADMSG) {
		r->err = 0;
		archive_damaged(r->a, r->table, key, key_bytes);
		return true;
	}
	if (r->err != 0)
		return false;
	is_wanted = r->see(r->user, record, r);
	wire_free(record);
	return is_wanted;
}

static int range_scan(struct range *r, uint64_t first, uint64_t last)
{
	uint8_t key[EVENT_KEY_BYTES];
	uint64_t from = r->is_descending ? last : first;
	size_t key_bytes = 8;
	int err;

	if (first > last)
		return 0;
	r->last = r->is_descending ? first : last;
	if (r->table == ARCHIVE_EVENTS) {
		archive_event_key(key, r->origin, from);
		key_bytes = EVENT_KEY_BYTES;
	} else {
		archive_put_be(key, from, 8);
	}
	err = archive_scan(r->a, r->table, key, key_bytes,
			   r->is_descending ? STORE_DESCENDING : STORE_ASCENDING, range_see, r);
	return err != 0 ? err : r->err;
}

/* The caller's call-back, with its own type of record. */
#define CALL(kind)                                                                                 \
	struct kind##_call {                                                                       \
		bool (*see)(void *user, const struct wire_##kind *record);                         \
	};                                                                                         \
	static bool kind##_see(void *user, const void *record, const struct range *r)              \
	{                                                                                          \
		const struct kind##_call *call = r->call;                                          \
                                                                                                   \
		return call->see(user, record);                                                    \
	}                                                                                          \
	static int kind##_unpack(const void *bytes, size_t n, void **out)                          \
	{                                                                                          \
		struct wire_##kind *record;                                                        \
		int err = wire_##kind##_unpack(bytes, n, &record);                                 \
                                                                                                   \
		if (err == 0)                                                                      \
			*out = record;                                                             \
		return err;                                                                        \
	}

CALL(stored_alarm)
CALL(alarm_note)
CALL(stored_element)
CALL(event)

int archive_alarms(struct archive *a, uint64_t first, uint64_t last,
		   bool (*see)(void *user, const struct wire_stored_alarm *s), void *user)
{
	struct stored_alarm_call call = {see};
	struct range r = {.a = a,
			  .table = ARCHIVE_ALARMS,
			  .unpack = stored_alarm_unpack,
			  .see = stored_alarm_see,
			  .user = user,
			  .call = &call};

	return range_scan(&r, first, last);
}

int archive_notes(struct archive *a, uint64_t first, uint64_t last,
		  bool (*see)(void *user, const struct wire_alarm_note *n), void *user)
{
	struct alarm_note_call call = {see};
	struct range r = {.a = a,
			  .table = ARCHIVE_NOTES,
			  .unpack = alarm_note_unpack,
			  .see = alarm_note_see,
			  .user = user,
			  .call = &call};

	return range_scan(&r, first, last);
}

int archive_elements(struct archive *a, uint64_t first, uint64_t last,
		     bool (*see)(void *user, const struct wire_stored_element *s), void *user)
{
	struct stored_element_call call = {see};
	struct range r = {.a = a,
			  .table = ARCHIVE_ELEMENTS,
			  .unpack = stored_element_unpack,
			  .see = stored_element_see,
			  .user = user,
			  .call = &call};

	return range_scan(&r, first, last);
}

int archive_events(struct archive *a, uint16_t origin, uint64_t after, uint64_t last,
		   bool is_descending, bool (*see)(void *user, const struct wire_event *e),
		   void *user)
{
	struct event_call call = {see};
	struct range r = {.a = a,
			  .table = ARCHIVE_EVENTS,
			  .origin = origin,
			  .is_descending = is_descending,
			  .unpack = event_unpack,
			  .see = event_see,
			  .user = user,
			  .call = &call};

	return after == UINT64_MAX ? 0 : range_scan(&r, after + 1, last);
}

/* ---- Origins ---- */

static bool origin_see(void *user, const void *key, size_t key_bytes, const void *value, size_t n)
{
	int32_t *origin = user;

	if (key_bytes == EVENT_KEY_BYTES)
		*origin = (int32_t)archive_get_be(key, 2);
	return key_bytes != EVENT_KEY_BYTES;
}

uint32_t archive_origins(struct archive *a, uint16_t *out, uint32_t room)
{
	uint8_t from[EVENT_KEY_BYTES];
	int32_t origin, next = 0;
	uint32_t n = 0;

	while (n < room && next <= UINT16_MAX) {
		origin = -1;
		archive_event_key(from, (uint16_t)next, 0);
		if (archive_scan(a, ARCHIVE_EVENTS, from, sizeof(from), STORE_ASCENDING, origin_see,
				 &origin) != 0 ||
		    origin < 0)
			break;
		out[n++] = (uint16_t)origin;
		next = origin + 1;
	}
	return n;
}

/* ---- One record ---- */

/* NULL: there is none that can be read. Freed with free(). */
static uint8_t *record_get(struct archive *a, enum archive_table table, const char *key, size_t *n)
{
	uint8_t *bytes = malloc(STORE_VALUE_MAX);
	int err;

	*n = STORE_VALUE_MAX;
	err = bytes == NULL ? -ENOMEM : store_get(a->store, table, key, strlen(key), bytes, n);
	if (err == STORE_DAMAGED)
		archive_damaged(a, table, key, strlen(key));
	if (err == 0)
		return bytes;
	free(bytes);
	return NULL;
}

bool archive_sync(struct archive *a, const char *cell, struct wire_cell_sync **out)
{
	size_t n;
	uint8_t *bytes = record_get(a, ARCHIVE_SYNCS, cell, &n);
	int err = bytes == NULL ? -ENOENT : wire_cell_sync_unpack(bytes, n, out);

	if (err == -EBADMSG)
		archive_damaged(a, ARCHIVE_SYNCS, cell, strlen(cell));
	free(bytes);
	return err == 0;
}

bool archive_status(struct archive *a, struct wire_status **out)
{
	size_t n;
	uint8_t *bytes = record_get(a, ARCHIVE_STATUS, KEY_STATUS, &n);
	int err = bytes == NULL ? -ENOENT : wire_status_unpack(bytes, n, out);

	if (err == -EBADMSG)
		archive_damaged(a, ARCHIVE_STATUS, KEY_STATUS, strlen(KEY_STATUS));
	free(bytes);
	return err == 0;
}

bool archive_mark(struct archive *a, const char *name, void *value, size_t *n)
{
	int err = store_get(a->store, ARCHIVE_MARKS, name, strlen(name), value, n);

	if (err == STORE_DAMAGED)
		archive_damaged(a, ARCHIVE_MARKS, name, strlen(name));
	return err == 0;
}
