#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cp/registry/registry_private.h"

/* ---- Loading ---- */

static bool is_key(const void *key, size_t n, const char *name)
{
	return n == strlen(name) && memcmp(key, name, n) == 0;
}

static int position_get(struct store *store, const char *key, struct row_position *out)
{
	uint8_t value[64];
	size_t n = sizeof(value);
	int err = store_get(store, REGISTRY_TABLE_SMALL, key, strlen(key), value, &n);

	*out = (struct row_position){0};
	if (err == 0 && !row_read_position(out, value, n))
		err = STORE_DAMAGED;
	return err == -ENOSPC ? STORE_DAMAGED : err;
}

int registry_applied_on_disk(struct registry *r, struct row_position *out)
{
	return position_get(r->store, ROW_APPLIED, out);
}

/* One that may be missing. */
static int position_load(struct registry *r, const char *key, struct row_position *out,
			 bool *is_there, char *why, size_t why_bytes)
{
	int err = position_get(r->store, key, out);

	*is_there = err == 0;
	if (err == STORE_DAMAGED)
		snprintf(why, why_bytes, "the record %s is damaged", key);
	return err == STORE_NOT_FOUND ? 0 : err;
}

static int table_load(struct registry *r, uint32_t table, char *why, size_t why_bytes)
{
	struct store_scan *scan;
	int err = store_scan_begin(&scan, r->store, table, NULL, 0, STORE_ASCENDING);

	if (err != 0)
		return err;
	for (uint32_t n = 1; err == 0; n++) {
		const void *key, *value;
		struct row_octets row;

		err = store_scan_next(scan, &key, &row.key_bytes, &value, &row.n);
		row.key = key;
		row.value = value;
		if (err == 0 &&
		    (table != REGISTRY_TABLE_SMALL || is_key(key, row.key_bytes, ROW_MAP)))
			err = state_read(&r->state, table, &row);
		if (err == -EBADMSG || (err == STORE_DAMAGED && table != REGISTRY_TABLE_SMALL)) {
			snprintf(why, why_bytes, "row %u of table %u is damaged", n, table);
			err = STORE_DAMAGED;
		} else if (err == STORE_DAMAGED) {
			err = is_key(key, row.key_bytes, ROW_MAP) ? err : 0; /* another's record */
		}
	}
	store_scan_end(scan);
	return err == STORE_NOT_FOUND ? 0 : err;
}

static int state_load(struct registry *r, char *why, size_t why_bytes)
{
	struct row_position applied;
	const char *wrong = "";
	bool is_there;
	int err = position_load(r, ROW_APPLIED, &applied, &is_there, why, why_bytes);

	r->applied = applied.number;
	r->applied_epoch = applied.epoch;
	for (uint32_t table = 0; table < REGISTRY_TABLES && err == 0; table++)
		if (table != REGISTRY_TABLE_LOG)
			err = table_load(r, table, why, why_bytes);
	if (err != 0)
		return err;
	err = state_settle(&r->state, r->applied, &wrong);
	if (err == -EBADMSG)
		snprintf(why, why_bytes, "%s", wrong);
	return err == -EBADMSG ? STORE_DAMAGED : err;
}

int registry_load(struct registry **out, struct store *store, struct inventory *inventory,
		  struct replog_durable *durable, char *why, size_t why_bytes)
{
	struct registry *r = calloc(1, sizeof(*r));
	struct row_position held, mark;
	bool is_held;
	int err;

	if (r == NULL)
		return -ENOMEM;
	snprintf(why, why_bytes, "it cannot be read");
	r->store = store;
	r->state.inventory = inventory;
	err = position_load(r, ROW_REBUILDING, &mark, &r->is_rebuilding, why, why_bytes);
	if (err == 0)
		err = position_load(r, ROW_HELD, &held, &is_held, why, why_bytes);
	/* The rows of a snapshot that is not whole are no state. They go when it begins anew. */
	if (err == 0 && r->is_rebuilding)
		*durable = (struct replog_durable){.first = 1};
	else if (err == 0)
		err = state_load(r, why, why_bytes);
	if (err == 0 && !r->is_rebuilding)
		err = registry_log_read(r, durable, why, why_bytes);
	if (err != 0) {
		inventory_clear(inventory);
		registry_destroy(r);
		return err;
	}
	durable->is_rebuilding = r->is_rebuilding;
	durable->held = (struct election_position){held.epoch, held.number};
	*out = r;
	return 0;
}

void registry_destroy(struct registry *r)
{
	if (r == NULL)
		return;
	registry_install_forget(r);
	registry_effects_end(r);
	state_fini(&r->state);
	free(r->events);
	free(r);
}

/* ---- Looking ---- */

uint64_t registry_applied(const struct registry *r)
{
	return r->applied;
}

const struct ownership_map *registry_map(const struct registry *r)
{
	return &r->state.view;
}

bool registry_is_drained(const struct registry *r, uint16_t server)
{
	return state_is_drained(&r->state, server);
}

bool registry_is_empty(const struct registry *r)
{
	return r->state.last_id == 0;
}

bool registry_request(const struct registry *r, const char *request_id,
		      struct registry_outcome *out)
{
	const struct registry_outcome *found = requests_find(&r->state.requests, request_id);

	if (found == NULL)
		return false;
	*out = *found;
	out->is_repeat = true;
	return true;
}

int registry_trail(const struct registry *r, uint64_t after, uint64_t last, bool is_descending,
		   bool (*see)(void *user, const struct wire_event *e), void *user)
{
	const struct trail *t = &r->state.trail;
	uint32_t first = trail_above(t, after), end = trail_above(t, last);
	bool goes_on = true;

	for (uint32_t i = first; i < end && goes_on; i++) {
		uint32_t place = is_descending ? end - 1 - (i - first) : i;
		const struct wire_bytes *packed = &trail_item(t, place)->packed;
		struct wire_event *e;
		int err = wire_event_unpack(packed->bytes, packed->n, &e);

		if (err != 0)
			return err;
		goes_on = see(user, e);
		wire_free(e);
	}
	return 0;
}
