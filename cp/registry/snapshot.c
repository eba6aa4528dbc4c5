#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cp/registry/registry_private.h"

#define BEGINNINGS_MAX 100

/* The map's position comes first, then the other tables in their order. */
static const uint32_t tables[] = {REGISTRY_TABLE_SMALL, REGISTRY_TABLE_ELEMENTS,
				  REGISTRY_TABLE_CELLS, REGISTRY_TABLE_SERVERS,
				  REGISTRY_TABLE_TRAIL, REGISTRY_TABLE_REQUESTS};
#define N_TABLES (sizeof(tables) / sizeof(tables[0]))

struct registry_snapshot {
	struct store_scan *scans[N_TABLES]; /* all of one moment */
	uint32_t at;			    /* which one is read */
	struct wire_snapshot_row *rows;
	uint32_t rows_max;
};

static void scans_end(struct registry_snapshot *s)
{
	for (uint32_t i = 0; i < N_TABLES; i++) {
		store_scan_end(s->scans[i]);
		s->scans[i] = NULL;
	}
}

static int scans_begin(struct registry_snapshot *s, struct registry *r)
{
	int err = 0;

	for (uint32_t i = 0; i < N_TABLES && err == 0; i++) {
		bool is_small = tables[i] == REGISTRY_TABLE_SMALL;

		err = store_scan_begin(&s->scans[i], r->store, tables[i], is_small ? ROW_MAP : NULL,
				       is_small ? strlen(ROW_MAP) : 0, STORE_ASCENDING);
	}
	return err;
}

int registry_snapshot_begin(struct registry_snapshot **out, struct registry *r, uint64_t *index,
			    uint64_t *epoch)
{
	struct registry_snapshot *s = calloc(1, sizeof(*s));
	struct row_position before, after = {0};
	int err = s == NULL ? -ENOMEM : r->is_rebuilding ? -EAGAIN : 0;

	/* Each scan sees the store as it is at its beginning, and the store's thread may commit
	 * between two of them. Each commit that changes the state changes this position. */
	for (int i = 0; err == 0; i++) {
		err = registry_applied_on_disk(r, &before);
		if (err == 0)
			err = scans_begin(s, r);
		if (err == 0)
			err = registry_applied_on_disk(r, &after);
		if (err == 0 && after.number == before.number)
			break;
		scans_end(s);
		if (err == 0 && i == BEGINNINGS_MAX)
			err = -EAGAIN;
	}
	if (err != 0) {
		registry_snapshot_end(s);
		return err;
	}
	*index = after.number;
	*epoch = after.epoch;
	*out = s;
	return 0;
}

static int rows_reserve(struct registry_snapshot *s, uint32_t n)
{
	uint32_t max = s->rows_max == 0 ? 256 : s->rows_max * 2;
	struct wire_snapshot_row *rows;

	if (n <= s->rows_max)
		return 0;
	rows = realloc(s->rows, max * sizeof(*rows));
	if (rows == NULL)
		return -ENOMEM;
	s->rows = rows;
	s->rows_max = max;
	return 0;
}

/* The next row, lent until the scans end. STORE_NOT_FOUND: there is none. */
static int row_next(struct registry_snapshot *s, struct wire_snapshot_row *row)
{
	for (; s->at < N_TABLES; s->at++) {
		const void *key, *value;
		size_t key_bytes, n;
		int err = store_scan_next(s->scans[s->at], &key, &key_bytes, &value, &n);
		bool is_small = tables[s->at] == REGISTRY_TABLE_SMALL;

		if (err == STORE_NOT_FOUND)
			continue;
		if (is_small &&
		    (key_bytes != strlen(ROW_MAP) || memcmp(key, ROW_MAP, strlen(ROW_MAP)) != 0))
			continue; /* others' records */
		if (err != 0)
			return err;
		*row = (struct wire_snapshot_row){.table = tables[s->at],
						  .key = {key, (uint32_t)key_bytes},
						  .value = {value, (uint32_t)n}};
		if (is_small)
			s->at++;
		return 0;
	}
	return STORE_NOT_FOUND;
}

int registry_snapshot_next(struct registry_snapshot *s, size_t bytes,
			   struct wire_snapshot_row **rows, uint32_t *n_rows, bool *is_last)
{
	size_t n_bytes = 0;
	uint32_t n = 0;
	int err = 0;

	while (n_bytes < bytes) {
		err = rows_reserve(s, n + 1);
		if (err == 0)
			err = row_next(s, &s->rows[n]);
		if (err != 0)
			break;
		n_bytes += s->rows[n].key.n + s->rows[n].value.n + 16;
		n++;
	}
	if (err != 0 && err != STORE_NOT_FOUND)
		return err;
	*rows = s->rows;
	*n_rows = n;
	*is_last = err == STORE_NOT_FOUND;
	return 0;
}

void registry_snapshot_end(struct registry_snapshot *s)
{
	if (s == NULL)
		return;
	scans_end(s);
	free(s->rows);
	free(s);
}
