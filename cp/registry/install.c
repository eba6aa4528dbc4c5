#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cp/registry/registry_private.h"

/* ---- Coming in ---- */

void registry_install_forget(struct registry *r)
{
	if (r->incoming == NULL)
		return;
	inventory_destroy(r->incoming->inventory);
	state_fini(r->incoming);
	free(r->incoming);
	r->incoming = NULL;
}

static int begin_incoming(struct registry *r)
{
	registry_install_forget(r);
	r->incoming = calloc(1, sizeof(*r->incoming));
	if (r->incoming == NULL)
		return -ENOMEM;
	if (inventory_create(&r->incoming->inventory) == 0)
		return 0;
	free(r->incoming);
	r->incoming = NULL;
	return -ENOMEM;
}

/* All of a table. */
static int table_wipe(struct store_batch *b, uint32_t table)
{
	static const uint8_t first = 0;

	return store_batch_delete_range(b, table, &first, sizeof(first), NULL, 0);
}

static int small_wipe(struct store_batch *b, const char *key)
{
	return store_batch_delete(b, REGISTRY_TABLE_SMALL, key, strlen(key));
}

int registry_install_begin(struct registry *r, struct store_batch *b)
{
	struct row row;
	int err = begin_incoming(r);

	row_of_position(&row, ROW_REBUILDING, (struct row_position){0});
	if (err == 0)
		err = row_store(b, &row);
	if (err == 0)
		err = small_wipe(b, ROW_APPLIED);
	if (err == 0)
		err = small_wipe(b, ROW_MAP);
	for (uint32_t table = REGISTRY_TABLE_LOG; table < REGISTRY_TABLES && err == 0; table++)
		err = table_wipe(b, table);
	if (err == 0)
		r->is_rebuilding = true;
	else
		registry_install_forget(r);
	return err;
}

int registry_install_rows(struct registry *r, const struct wire_snapshot_row *rows, uint32_t n,
			  struct store_batch *b)
{
	int err = r->incoming == NULL ? -EBADMSG : 0;

	for (uint32_t i = 0; i < n && err == 0; i++) {
		const struct wire_snapshot_row *from = &rows[i];
		const struct row_octets row = {from->key.bytes, from->value.bytes, from->key.n,
					       from->value.n};

		err = state_read(r->incoming, from->table, &row);
		if (err == 0)
			err = store_batch_put(b, from->table, row.key, row.key_bytes, row.value,
					      row.n);
	}
	if (err != 0)
		registry_install_forget(r);
	return err;
}

/* ---- What has changed ---- */

static bool is_same_cell(const struct ownership_cell *a, const struct ownership_cell *b)
{
	return strcmp(a->name, b->name) == 0 && a->weight == b->weight && a->owner == b->owner &&
	       a->standby == b->standby && a->pin == b->pin &&
	       ownership_token_compare(a->token, b->token) == 0;
}

static bool is_same_map(const struct ownership_map *a, const struct ownership_map *b)
{
	if (a->n_cells != b->n_cells)
		return false;
	for (uint32_t i = 0; i < a->n_cells; i++)
		if (!is_same_cell(&a->cells[i], &b->cells[i]))
			return false;
	return true;
}

static bool describe(const struct conf_element *old, const struct conf_element *new,
		     struct inventory_change *change)
{
	*change = (struct inventory_change){.id = old != NULL ? old->id : new->id};
	change->is_new = old == NULL;
	change->is_removed = new == NULL;
	if (old == NULL || new == NULL)
		return true;
	change->has_moved = strcmp(old->region, new->region) != 0;
	change->has_new_address = memcmp(&old->address, &new->address, sizeof(old->address)) != 0;
	return change->has_moved || change->has_new_address || strcmp(old->name, new->name) != 0 ||
	       strcmp(old->kind, new->kind) != 0;
}

/* Both inventories side by side, by id. */
static int changes_find(struct registry *r, const struct inventory *now)
{
	const struct inventory *before = r->state.inventory;
	size_t max = (size_t)inventory_count(before) + inventory_count(now);
	const struct conf_element *old = inventory_next(before, 0), *new = inventory_next(now, 0);

	r->changes = calloc(max + 1, sizeof(*r->changes));
	if (r->changes == NULL)
		return -ENOMEM;
	while (old != NULL || new != NULL) {
		bool takes_old = new == NULL || (old != NULL && old->id <= new->id);
		bool takes_new = old == NULL || (new != NULL &&new->id <= old->id);

		r->n_changes += describe(takes_old ? old : NULL, takes_new ? new : NULL,
					 &r->changes[r->n_changes]);
		if (takes_old)
			old = inventory_next(before, old->id);
		if (takes_new)
			new = inventory_next(now, new->id);
	}
	return 0;
}

/* What came onto the trail since the newest one that was known. */
static int events_find(struct registry *r, const struct trail *now)
{
	uint32_t first = trail_above(now, trail_newest(&r->state.trail));
	uint32_t n = now->n - first;
	int err = registry_events_reserve(r, n);

	r->unpacked = calloc((size_t)n + 1, sizeof(struct wire_event *));
	if (r->unpacked == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n && err == 0; i++) {
		const struct wire_bytes *packed = &trail_item(now, first + i)->packed;
		struct wire_event *e;

		err = wire_event_unpack(packed->bytes, packed->n, &e);
		if (err != 0)
			break;
		r->unpacked[r->n_unpacked++] = e;
		r->events[r->n_events++] = *e;
	}
	return err;
}

/* ---- The end ---- */

static int end_store(struct store_batch *b, uint64_t index, uint64_t epoch)
{
	struct row row;
	int err;

	row_of_position(&row, ROW_APPLIED, (struct row_position){epoch, index});
	err = row_store(b, &row);
	return err != 0 ? err : small_wipe(b, ROW_REBUILDING);
}

/* The incoming state becomes the state. The inventory stays the caller's object. */
static void take_over(struct registry *r)
{
	struct state *now = r->incoming;

	inventory_swap(r->state.inventory, now->inventory);
	inventory_destroy(now->inventory);
	now->inventory = r->state.inventory;
	state_fini(&r->state);
	r->state = *now;
	free(now);
	r->incoming = NULL;
	r->is_rebuilding = false;
}

int registry_install_end(struct registry *r, uint64_t index, uint64_t epoch, struct store_batch *b,
			 struct registry_effects *effects)
{
	struct state *now = r->incoming;
	const char *wrong;
	int err = now == NULL ? -EBADMSG : state_settle(now, index, &wrong);

	registry_effects_end(r);
	*effects = (struct registry_effects){0};
	if (err == 0)
		err = changes_find(r, now->inventory);
	if (err == 0)
		err = events_find(r, &now->trail);
	if (err == 0)
		err = end_store(b, index, epoch);
	if (err != 0) {
		registry_effects_end(r);
		registry_install_forget(r);
		return err;
	}
	*effects = (struct registry_effects){
		.is_map_changed = !is_same_map(&r->state.view, &now->view),
		.is_inventory_changed = r->n_changes > 0,
		.is_drain_changed =
			memcmp(r->state.drained, now->drained, sizeof(now->drained)) != 0,
		.changes = r->changes,
		.n_changes = r->n_changes,
		.events = r->events,
		.n_events = r->n_events,
	};
	take_over(r);
	r->applied = index;
	r->applied_epoch = epoch;
	return 0;
}
