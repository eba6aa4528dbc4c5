#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cp/registry/registry_private.h"

#define KEY_BYTES   8
#define EPOCH_BYTES 8 /* in front of the entry */

int registry_log_put(struct store_batch *b, uint64_t index, uint64_t epoch, const uint8_t *bytes,
		     size_t n)
{
	uint8_t key[KEY_BYTES], *value;
	int err;

	if (n > REGISTRY_ENTRY_MAX)
		return -E2BIG;
	value = malloc(EPOCH_BYTES + n);
	if (value == NULL)
		return -ENOMEM;
	row_put_u64(key, index);
	row_put_u64(value, epoch);
	if (n > 0)
		memcpy(value + EPOCH_BYTES, bytes, n);
	err = store_batch_put(b, REGISTRY_TABLE_LOG, key, sizeof(key), value, EPOCH_BYTES + n);
	free(value);
	return err;
}

int registry_log_give_up(struct store_batch *b, uint64_t from)
{
	uint8_t key[KEY_BYTES];

	row_put_u64(key, from);
	return store_batch_delete_range(b, REGISTRY_TABLE_LOG, key, sizeof(key), NULL, 0);
}

int registry_log_compact(struct store_batch *b, uint64_t below)
{
	uint8_t first[KEY_BYTES] = {0}, key[KEY_BYTES];

	row_put_u64(key, below);
	return store_batch_delete_range(b, REGISTRY_TABLE_LOG, first, sizeof(first), key,
					sizeof(key));
}

int registry_log_hold(struct store_batch *b, struct election_position held)
{
	struct row row;

	row_of_position(&row, ROW_HELD, (struct row_position){held.epoch, held.version});
	return held.epoch == 0 && held.version == 0 ? row_delete(b, &row) : row_store(b, &row);
}

int registry_log_get(struct registry *r, uint64_t index, uint64_t *epoch, uint8_t **bytes,
		     size_t *n)
{
	const void *found, *value;
	size_t found_bytes, value_bytes;
	uint8_t key[KEY_BYTES];
	struct store_scan *scan;
	int err;

	row_put_u64(key, index);
	err = store_scan_begin(&scan, r->store, REGISTRY_TABLE_LOG, key, sizeof(key),
			       STORE_ASCENDING);
	if (err != 0)
		return err;
	err = store_scan_next(scan, &found, &found_bytes, &value, &value_bytes);
	if (err == 0 && (found_bytes != sizeof(key) || memcmp(found, key, sizeof(key)) != 0))
		err = STORE_NOT_FOUND;
	if (err == 0 && value_bytes < EPOCH_BYTES)
		err = STORE_DAMAGED;
	if (err == 0) {
		*n = value_bytes - EPOCH_BYTES;
		*epoch = row_get_u64(value);
		*bytes = malloc(*n + 1);
		err = *bytes == NULL ? -ENOMEM : 0;
		if (err == 0)
			memcpy(*bytes, (const uint8_t *)value + EPOCH_BYTES, *n);
	}
	store_scan_end(scan);
	return err;
}

static int damaged(char *why, size_t why_bytes, const char *what, uint64_t index)
{
	snprintf(why, why_bytes, "%s at entry %llu", what, (unsigned long long)index);
	return STORE_DAMAGED;
}

/* The next entry of the log. What is wrong with it; NULL: nothing. */
static const char *entry_read(struct replog_durable *d, uint64_t index, uint64_t epoch,
			      size_t value_bytes)
{
	struct replog_run *last = d->n_runs > 0 ? &d->runs[d->n_runs - 1] : NULL;

	if (value_bytes < EPOCH_BYTES || index == 0 || epoch == 0)
		return "the log's record makes no sense";
	if (last != NULL && index != d->last + 1)
		return "the log has a gap";
	if (last != NULL && epoch < last->epoch)
		return "the log's epoch falls";
	if (last == NULL)
		d->first = index;
	if (last == NULL || epoch > last->epoch) {
		if (d->n_runs == REPLOG_RUNS_MAX)
			return "the log has too many epochs";
		d->runs[d->n_runs++] = (struct replog_run){epoch, index};
	}
	d->last = index;
	return NULL;
}

static int entries_read(struct registry *r, struct store_scan *scan, struct replog_durable *d,
			char *why, size_t why_bytes)
{
	for (;;) {
		const void *key, *value;
		size_t key_bytes, n;
		const char *wrong;
		uint64_t index;
		int err = store_scan_next(scan, &key, &key_bytes, &value, &n);

		if (err == STORE_NOT_FOUND)
			return 0;
		if (err < 0)
			return err;
		index = key_bytes == KEY_BYTES ? row_get_u64(key) : 0;
		if (err == STORE_DAMAGED)
			return damaged(why, why_bytes, "the log's record is damaged", index);
		wrong = entry_read(d, index, n < EPOCH_BYTES ? 0 : row_get_u64(value), n);
		if (wrong != NULL)
			return damaged(why, why_bytes, wrong, index);
		r->log_bytes += n - EPOCH_BYTES;
	}
}

/* Does the log go on from what was applied, and agree with it? */
static int goes_with_state(const struct registry *r, const struct replog_durable *d, char *why,
			   size_t why_bytes)
{
	uint64_t epoch = 0;

	if (d->n_runs == 0)
		return 0;
	if (d->first > r->applied + 1)
		return damaged(why, why_bytes, "the log begins behind what was applied", d->first);
	if (d->last < r->applied)
		return damaged(why, why_bytes, "the log ends before what was applied", d->last);
	for (uint32_t i = 0; i < d->n_runs; i++)
		if (d->runs[i].first <= r->applied)
			epoch = d->runs[i].epoch;
	if (epoch != 0 && epoch != r->applied_epoch)
		return damaged(why, why_bytes, "the log has another epoch than what was applied",
			       r->applied);
	if (d->runs[0].first > r->applied && d->runs[0].epoch < r->applied_epoch)
		return damaged(why, why_bytes, "the log's epoch falls", d->first);
	return 0;
}

uint64_t registry_log_bytes(const struct registry *r)
{
	return r->log_bytes;
}

int registry_log_read(struct registry *r, struct replog_durable *d, char *why, size_t why_bytes)
{
	struct store_scan *scan;
	int err = store_scan_begin(&scan, r->store, REGISTRY_TABLE_LOG, NULL, 0, STORE_ASCENDING);

	if (err != 0)
		return err;
	*d = (struct replog_durable){
		.base = r->applied,
		.base_epoch = r->applied_epoch,
		.first = r->applied + 1,
		.last = r->applied,
	};
	err = entries_read(r, scan, d, why, why_bytes);
	store_scan_end(scan);
	return err != 0 ? err : goes_with_state(r, d, why, why_bytes);
}
