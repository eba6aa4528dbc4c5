#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cp/cluster/state.h"
#include "cp/core/core.h"

_Static_assert(sizeof(((struct fedmem_cell *)0)->name) == OWNERSHIP_NAME_BYTES,
	       "names fit as they are");

static int cell_compare(const void *a, const void *b)
{
	const struct fedmem_cell *x = a, *y = b;

	return strncmp(x->name, y->name, sizeof(x->name));
}

/* As it was published last; NULL: there was none. */
static struct fedmem_cell *cell_find(const struct fedmem_cell *cells, uint32_t n, const char *name)
{
	struct fedmem_cell key = {{0}};

	if (n == 0 || strlen(name) >= sizeof(key.name))
		return NULL;
	memcpy(key.name, name, strlen(name));
	return bsearch(&key, cells, n, sizeof(key), cell_compare);
}

static struct ownership_token token_of(const struct fedmem_cell *cell)
{
	return (struct ownership_token){cell->token.epoch, cell->token.generation};
}

/* ---- Elements ---- */

static void element_put(struct cluster *c, const struct fedmem_element *e)
{
	struct fedmem_element holder;
	uint32_t slot;
	int err = fedmem_element_put(c->fedmem, e, NULL);

	/* The address was another element's, which is described anew or removed after this one. */
	if (err == -EEXIST && fedmem_find_by_address(c->fedmem, &e->address, &slot) == 0 &&
	    fedmem_element_get(c->fedmem, slot, &holder) == 0 &&
	    fedmem_element_remove(c->fedmem, holder.id) == 0)
		err = fedmem_element_put(c->fedmem, e, NULL);
	if (err != 0)
		core_log(CORE_ERROR, "fedmem: element not described element=%llu error=%s",
			 (unsigned long long)e->id,
			 err == FEDMEM_FULL ? "the table is full" : strerror(-err));
}

static bool element_there(const struct cluster *c, uint64_t id, struct fedmem_element *out)
{
	uint32_t slot;

	return fedmem_find_by_id(c->fedmem, id, &slot) == 0 &&
	       fedmem_element_get(c->fedmem, slot, out) == 0;
}

/* Describes it as the inventory has it, unless the segment says the same. */
static void element_tell(struct cluster *c, const struct conf_element *from)
{
	const struct fedmem_cell *cell = cell_find(c->cells, c->n_cells, from->region);
	struct fedmem_element there,
		e = {
			.id = from->id,
			.address = from->address,
			.cell = cell == NULL ? FEDMEM_NONE : (uint32_t)(cell - c->cells),
		};

	if (!element_there(c, e.id, &there) || there.cell != e.cell ||
	    memcmp(&there.address, &e.address, sizeof(e.address)) != 0)
		element_put(c, &e);
}

static void elements_tell(struct cluster *c)
{
	for (const struct conf_element *e = inventory_next(c->inventory, 0); e != NULL;
	     e = inventory_next(c->inventory, e->id))
		element_tell(c, e);
}

/* All that the segment has, those too that are no longer in the inventory. */
static void elements_leave_cells(struct cluster *c)
{
	uint32_t elements_max = fedmem_sizes(c->fedmem)->elements_max;
	struct fedmem_element e;

	for (uint32_t slot = 0; slot < elements_max; slot++) {
		if (fedmem_element_get(c->fedmem, slot, &e) != 0 || e.cell == FEDMEM_NONE)
			continue;
		e.cell = FEDMEM_NONE;
		element_put(c, &e);
	}
}

/* What is in the segment and no longer in the inventory. */
static void strangers_remove(struct cluster *c)
{
	uint32_t elements_max = fedmem_sizes(c->fedmem)->elements_max, n_removed = 0;
	struct fedmem_element e;

	for (uint32_t slot = 0; slot < elements_max; slot++)
		if (fedmem_element_get(c->fedmem, slot, &e) == 0 &&
		    inventory_find_id(c->inventory, e.id) == NULL &&
		    fedmem_element_remove(c->fedmem, e.id) == 0)
			n_removed++;
	if (n_removed > 0)
		core_log(CORE_INFO, "fedmem: elements removed n=%u", n_removed);
}

/* ---- Cells ---- */

static void cells_publish(struct cluster *c)
{
	int err = fedmem_cells_publish(c->fedmem, c->cells, c->n_cells);

	c->is_cells_changed = false;
	if (err != 0)
		core_log(CORE_ERROR, "fedmem: cells not published n=%u error=%s", c->n_cells,
			 err == FEDMEM_FULL ? "the table is full" : strerror(-err));
}

static bool has_same_names(const struct fedmem_cell *a, uint32_t n_a, const struct fedmem_cell *b,
			   uint32_t n_b)
{
	if (n_a != n_b)
		return false;
	for (uint32_t i = 0; i < n_a; i++)
		if (cell_compare(&a[i], &b[i]) != 0)
			return false;
	return true;
}

/* The applied map as the segment is to have it. What is this server's and was not under the same
 * token has to be restored first. */
static struct fedmem_cell *cells_make(struct cluster *c)
{
	const struct ownership_map *map = registry_map(c->registry);
	struct fedmem_cell *cells = calloc(map->n_cells > 0 ? map->n_cells : 1, sizeof(*cells));

	for (uint32_t i = 0; cells != NULL && i < map->n_cells; i++) {
		const struct ownership_cell *from = &map->cells[i];
		const struct fedmem_cell *was = cell_find(c->cells, c->n_cells, from->name);
		struct fedmem_cell *to = &cells[i];

		to->token = (struct fedmem_token){from->token.epoch, from->token.generation};
		to->owner = from->owner;
		to->standby = from->standby;
		memcpy(to->name, from->name, sizeof(to->name));
		if (to->owner == c->self)
			to->is_restoring = was != NULL && was->owner == c->self &&
							   fedmem_token_equal(was->token, to->token)
						   ? was->is_restoring
						   : 1;
	}
	return cells;
}

static void moves_log(const struct cluster *c, const struct fedmem_cell *next, uint32_t n)
{
	const struct ownership_map *map = registry_map(c->registry);
	uint32_t n_moved = 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct fedmem_cell *was = cell_find(c->cells, c->n_cells, next[i].name);

		if (next[i].owner == (was != NULL ? was->owner : 0))
			continue;
		n_moved++;
		core_log(CORE_INFO,
			 "ownership: cell moved cell=%s owner=%u was=%u epoch=%llu generation=%llu",
			 next[i].name, next[i].owner, was != NULL ? was->owner : 0,
			 (unsigned long long)next[i].token.epoch,
			 (unsigned long long)next[i].token.generation);
	}
	core_log(CORE_INFO, "ownership: map committed epoch=%llu version=%llu cells=%u moved=%u",
		 (unsigned long long)map->epoch, (unsigned long long)map->version, n, n_moved);
}

/* ---- Gains ---- */

static void gained_tell(struct cluster *c, const char *name, uint64_t element, uint16_t was)
{
	const struct ownership_cell *cell = cluster_cell(c, name);

	if (c->listener.gained != NULL && cell != NULL)
		c->listener.gained(c->listener.user, cell, element, was);
}

/* Whom an element was with before it moved. A cell that has no owner yet is gained later, by
 * whoever it is: until then it is remembered. */
static void wanderer_add(struct cluster *c, uint64_t id, uint16_t was)
{
	struct wanderer *more;

	if (was == 0)
		return;
	more = realloc(c->wanderers, (c->n_wanderers + 1) * sizeof(*more));
	if (more == NULL)
		cluster_die("fedmem: cells not published", -ENOMEM);
	c->wanderers = more;
	c->wanderers[c->n_wanderers++] = (struct wanderer){id, was};
}

static void moved_elements_note(struct cluster *c, const struct registry_effects *effects,
				const struct fedmem_cell *were, uint32_t n_were)
{
	for (uint32_t i = 0; i < effects->n_changes; i++) {
		uint64_t id = effects->changes[i].id;
		struct fedmem_element there;

		if (effects->changes[i].has_moved && element_there(c, id, &there) &&
		    there.cell < n_were)
			wanderer_add(c, id, were[there.cell].owner);
	}
}

/* Those whose cell has an owner now have arrived. */
static void moved_elements_tell(struct cluster *c)
{
	uint32_t n_waiting = 0;

	for (uint32_t i = 0; i < c->n_wanderers; i++) {
		struct wanderer w = c->wanderers[i];
		const struct conf_element *e = inventory_find_id(c->inventory, w.id);
		struct fedmem_cell *cell =
			e != NULL ? cell_find(c->cells, c->n_cells, e->region) : NULL;

		if (cell != NULL && cell->owner == 0)
			c->wanderers[n_waiting++] = w;
		if (cell == NULL || cell->owner != c->self)
			continue;
		cell->is_restoring = 1;
		c->is_cells_changed = true;
		gained_tell(c, cell->name, w.id, w.was);
	}
	c->n_wanderers = n_waiting;
}

static void gained_cells_tell(struct cluster *c, const struct fedmem_cell *were, uint32_t n_were)
{
	for (uint32_t i = 0; i < c->n_cells; i++) {
		const struct fedmem_cell *cell = &c->cells[i];
		const struct fedmem_cell *was = cell_find(were, n_were, cell->name);

		if (cell->owner == c->self && (was == NULL || was->owner != c->self ||
					       !fedmem_token_equal(was->token, cell->token)))
			gained_tell(c, cell->name, 0, was != NULL ? was->owner : 0);
	}
}

/* Nobody restores anything here. */
static void all_restored(struct cluster *c)
{
	for (uint32_t i = 0; i < c->n_cells; i++) {
		c->is_cells_changed |= c->cells[i].is_restoring != 0;
		c->cells[i].is_restoring = 0;
	}
}

void cluster_restored(struct cluster *c, const char *name, struct ownership_token token)
{
	struct fedmem_cell *cell = cell_find(c->cells, c->n_cells, name);

	if (cell == NULL || cell->is_restoring == 0 ||
	    ownership_token_compare(token_of(cell), token) != 0)
		return;
	cell->is_restoring = 0;
	c->is_cells_changed = true;
	if (!c->is_mirroring)
		cells_publish(c);
}

void cluster_listen(struct cluster *c, const struct cluster_listener *listener)
{
	c->listener = *listener;
	c->is_mirroring = true;
	for (uint32_t i = 0; i < c->n_cells; i++)
		if (c->cells[i].is_restoring != 0)
			gained_tell(c, c->cells[i].name, 0, c->self);
	c->is_mirroring = false;
	if (c->is_cells_changed)
		cells_publish(c);
}

/* ---- What follows from the registry ---- */

static void changed_elements_tell(struct cluster *c, const struct registry_effects *effects)
{
	for (uint32_t i = 0; i < effects->n_changes; i++) {
		uint64_t id = effects->changes[i].id;
		const struct conf_element *e = inventory_find_id(c->inventory, id);

		if (e != NULL)
			element_tell(c, e);
		else
			fedmem_element_remove(c->fedmem, id);
	}
}

/* Gains are told before the data plane sees them, and a cell that waits for its alarms is marked
 * before an element is seen in it. */
void mirror_follow(struct cluster *c, const struct registry_effects *effects)
{
	const struct ownership_map *map = registry_map(c->registry);
	struct fedmem_cell *next, *were = c->cells;
	uint32_t n_were = c->n_cells;
	bool is_renumbered;

	if ((!effects->is_map_changed && !effects->is_inventory_changed) || c->is_reconcile_wanted)
		return;
	next = cells_make(c);
	if (next == NULL)
		cluster_die("fedmem: cells not published", -ENOMEM);
	is_renumbered = !has_same_names(next, map->n_cells, were, n_were);
	c->is_cells_changed |= is_renumbered || memcmp(next, were, n_were * sizeof(*next)) != 0;
	if (c->is_cells_changed && c->is_loop_turning)
		moves_log(c, next, map->n_cells);
	c->cells = next;
	c->n_cells = map->n_cells;
	c->is_mirroring = true;
	moved_elements_note(c, effects, were, n_were);
	gained_cells_tell(c, were, n_were);
	moved_elements_tell(c);
	c->is_mirroring = false;
	if (c->listener.gained == NULL && c->is_loop_turning)
		all_restored(c);
	/* When numbers change their meaning no element may be seen in a cell that is not its own.
	 */
	if (is_renumbered)
		elements_leave_cells(c);
	if (c->is_cells_changed)
		cells_publish(c);
	if (is_renumbered)
		elements_tell(c);
	changed_elements_tell(c, effects);
	c->is_urgent = true;
	free(were);
}

/* The segment becomes what the registry says, whatever was in it. */
static void reconcile(struct cluster *c)
{
	struct registry_effects all = {.is_map_changed = true, .is_inventory_changed = true};

	c->is_reconcile_wanted = false;
	strangers_remove(c);
	mirror_follow(c, &all);
	elements_tell(c); /* where the cells themselves are the same */
}

/* Does the registry hold again what the cluster has? Entry by entry it passes through all that ever
 * was, which the data plane must not follow. */
static bool is_caught_up(const struct cluster *c)
{
	return !registry_is_empty(c->registry) && replog_may_vote(&c->replog) &&
	       replog_may_lead(&c->replog) &&
	       registry_applied(c->registry) == replog_last(&c->replog);
}

void mirror_turn(struct cluster *c)
{
	if (c->is_reconcile_wanted && is_caught_up(c)) {
		reconcile(c);
		if (c->listener.changed != NULL)
			c->listener.changed(c->listener.user);
	}
	if (c->listener.gained == NULL && c->is_loop_turning)
		all_restored(c);
	if (c->is_cells_changed)
		cells_publish(c);
}

/* ---- The start and the end ---- */

static int segment_cells_read(struct cluster *c)
{
	uint32_t room = fedmem_sizes(c->fedmem)->cells_max, n = 0, version;

	c->cells = calloc(room > 0 ? room : 1, sizeof(*c->cells));
	if (c->cells == NULL)
		return -ENOMEM;
	if (fedmem_cells_get(c->fedmem, c->cells, room, &n, &version) == 0)
		c->n_cells = n;
	return 0;
}

int mirror_start(struct cluster *c)
{
	int err = segment_cells_read(c);

	if (err != 0)
		return err;
	/* There is no element 0, but what a killed predecessor left half-changed is put right
	 * first. */
	fedmem_element_remove(c->fedmem, 0);
	/* What was applied is told before the state is on disk: a killed predecessor may have told
	 * more than was loaded, and a registry that was lost comes back from the others. Until then
	 * the data plane goes on with what it was told. */
	c->is_reconcile_wanted =
		registry_is_empty(c->registry) ||
		(c->n_cells > 0 && replog_last(&c->replog) > registry_applied(c->registry));
	if (!c->is_reconcile_wanted)
		reconcile(c);
	return 0;
}

void mirror_stop(struct cluster *c)
{
	free(c->cells);
	free(c->wanderers);
}
