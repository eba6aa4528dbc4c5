#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cp/cluster/state.h"
#include "cp/core/core.h"
#include "cp/wire/wire.h"

/* Puts an entry of the master's own; 0: it could not be put, and is tried again. */
static uint64_t put(struct cluster *c, struct wire_registry_entry *entry)
{
	uint64_t index = 0;
	int err;

	entry->time_ns = core_wall_ns();
	err = replica_append(c, entry, &index);
	if (err != 0)
		core_log(CORE_ERROR, "registry: entry not put kind=%d error=%s", entry->kind,
			 strerror(-err));
	return index;
}

/* ---- The beginning of an epoch ---- */

/* A new master's first entry commits what earlier ones left. Until that is applied it does not know
 * what to plan on; mostly it knows already, and its plan follows in the same write. */
static void epoch_begin(struct cluster *c)
{
	struct wire_registry_entry entry = {
		.kind = WIRE_REGISTRY_EPOCH, .server = c->self, .was = c->last_master};
	uint64_t last = replog_last(&c->replog);

	c->epoch_index = put(c, &entry);
	if (c->epoch_index == 0)
		return;
	c->plan_epoch = c->role.epoch;
	c->plan_after = c->record_after = last;
	c->is_replan_wanted = true;
}

void plan_give_up(struct cluster *c, uint64_t from)
{
	if (c->epoch_index >= from)
		c->plan_epoch = 0;
	if (c->plan_after >= from)
		c->plan_after = from - 1;
	if (c->record_after >= from)
		c->record_after = from - 1;
	c->seed_epoch = 0;
	c->is_replan_wanted = true;
}

/* ---- Failures ---- */

/* Those that failed, or are back, and of whom the trail says otherwise. */
static void servers_put(struct cluster *c, bool is_failed)
{
	uint32_t servers[CLUSTER_SERVERS_MAX];
	struct wire_registry_entry entry = {
		.kind = WIRE_REGISTRY_SERVERS, .is_set = is_failed, .servers = servers};
	uint64_t index;

	for (uint32_t i = 0; i < c->n_members; i++) {
		const struct member *m = &c->members[i];
		enum detector_state state = is_failed ? DETECTOR_FAILED : DETECTOR_ALIVE;

		if (m->is_failed_on_record != is_failed && member_state(c, m) == state)
			servers[entry.n_servers++] = m->conf->id;
	}
	if (entry.n_servers == 0)
		return;
	index = put(c, &entry);
	if (index > c->record_after)
		c->record_after = index;
}

/* ---- The inventory of the configuration ---- */

static void seed_request_id(const struct cluster *c, uint32_t at, char id[WIRE_REQUEST_ID_MAX])
{
	snprintf(id, WIRE_REQUEST_ID_MAX, "seed from %u of %u", at, c->seed->n_elements);
}

/* '*n' of them from 'at' on. A master before this one may have put them: the request's name is the
 * same, and its outcome says how many there were. */
static int seed_put(struct cluster *c, uint32_t at, uint32_t *n)
{
	static struct wire_element_spec specs[REGISTRY_ELEMENTS_MAX];
	char request_id[WIRE_REQUEST_ID_MAX];
	struct wire_registry_entry entry = {
		.kind = WIRE_REGISTRY_ELEMENTS,
		.event = "elements_imported",
		.request_id = request_id,
		.elements = specs,
		.n_elements = *n,
		.time_ns = core_wall_ns(),
	};
	struct registry_outcome outcome;
	uint64_t index;

	seed_request_id(c, at, request_id);
	if (registry_request(c->registry, request_id, &outcome)) {
		*n = outcome.n_added + outcome.n_changed + outcome.n_same;
		return *n > 0 ? 0 : -EINVAL;
	}
	for (uint32_t i = 0; i < *n; i++) {
		const struct conf_element *from = &c->seed->elements[at + i];

		specs[i] = (struct wire_element_spec){
			from->id, from->name, from->kind, from->region, {0}};
		_Static_assert(sizeof(specs->address) == sizeof(from->address.octets), "as it is");
		memcpy(specs[i].address, from->address.octets, sizeof(specs->address));
	}
	return replica_append(c, &entry, &index);
}

static bool is_seed_wanted(const struct cluster *c)
{
	char request_id[WIRE_REQUEST_ID_MAX];
	struct registry_outcome outcome;

	if (c->seed == NULL || c->seed->n_elements == 0)
		return false;
	seed_request_id(c, 0, request_id);
	return registry_is_empty(c->registry) ||
	       registry_request(c->registry, request_id, &outcome);
}

/* A registry that nobody has put an element into gets those of the configuration; one that a master
 * before this one began to fill gets the rest. */
static void seed(struct cluster *c)
{
	uint32_t n_elements, n, at = 0;
	uint64_t last = replog_last(&c->replog) + c->n_appending;
	int err = 0;

	c->seed_epoch = c->role.epoch;
	if (!is_seed_wanted(c))
		return;
	n_elements = c->seed->n_elements;
	for (; at < n_elements && err == 0; at += n) {
		n = REGISTRY_ELEMENTS_MAX < n_elements - at ? REGISTRY_ELEMENTS_MAX
							    : n_elements - at;
		while ((err = seed_put(c, at, &n)) == -EMSGSIZE && n > 1)
			n /= 2;
	}
	if (err != 0)
		core_log(CORE_ERROR, "registry: inventory of the configuration not put error=%s",
			 strerror(-err));
	else if (replog_last(&c->replog) + c->n_appending > last)
		core_log(CORE_INFO, "registry: inventory of the configuration put elements=%u",
			 n_elements);
}

/* ---- Cells ---- */

static uint32_t living_servers(const struct cluster *c, struct ownership_server *servers)
{
	for (uint32_t i = 0; i < c->n_members; i++) {
		const struct member *m = &c->members[i];

		servers[i] = (struct ownership_server){
			.id = m->conf->id,
			.weight = 1,
			.is_alive = member_is_well(c, m),
			.is_drained = registry_is_drained(c->registry, m->conf->id),
		};
	}
	return c->n_members;
}

/* A server that was not heard since we started is neither alive nor failed; it is one or the other
 * soon. */
static bool is_anybody_unknown(const struct cluster *c)
{
	for (uint32_t i = 0; i < c->n_members; i++)
		if (member_state(c, &c->members[i]) == DETECTOR_UNKNOWN)
			return true;
	return false;
}

/* Soon after this server's own start: is there one that was not well since? After an outage of all
 * of them they come up one after the other, and whoever comes first would get all cells, and keep
 * them.
 */
static bool is_plan_early(const struct cluster *c, uint64_t now_ms)
{
	for (uint32_t i = 0; i < c->n_members; i++)
		if (!c->members[i].was_well)
			return now_ms - c->started_ms < CLUSTER_FIRST_PLAN_MS;
	return false;
}

/* The rows of 'next' that differ from what was applied, in as many entries as they need. */
static void rows_put(struct cluster *c, const struct ownership_map *next)
{
	static struct wire_cell rows[REGISTRY_CELLS_MAX];
	const struct ownership_map *map = registry_map(c->registry);
	struct wire_registry_entry entry = {.kind = WIRE_REGISTRY_CELLS, .cells = rows};
	uint32_t n_rows = 0;
	uint64_t index = 0;

	for (uint32_t i = 0; i < next->n_cells; i++) {
		const struct ownership_cell *cell = &next->cells[i];

		if (cellmap_is_same_row(cell, &map->cells[i]))
			continue;
		rows[entry.n_cells++] = (struct wire_cell){
			.name = cell->name,
			.owner = cell->owner,
			.standby = cell->standby,
			.n_elements = cell->weight,
			.pin = cell->pin,
			.token = {cell->token.epoch, cell->token.generation},
		};
		n_rows++;
		if (entry.n_cells == REGISTRY_CELLS_MAX) {
			index = put(c, &entry);
			entry.n_cells = 0;
		}
	}
	if (entry.n_cells > 0)
		index = put(c, &entry);
	if (index > c->plan_after)
		c->plan_after = index;
	if (n_rows > 0)
		core_log(CORE_INFO, "ownership: map proposed epoch=%llu index=%llu cells=%u",
			 (unsigned long long)c->role.epoch, (unsigned long long)index, n_rows);
}

/* Owners for the cells that lack a living one, and what drained servers and pins ask for. */
static void cells_plan(struct cluster *c, uint64_t now_ms)
{
	struct ownership_server servers[CLUSTER_SERVERS_MAX];
	struct ownership_map next;
	struct ownership_plan plan;
	int err;

	if (is_anybody_unknown(c) || is_plan_early(c, now_ms))
		return; /* the wish for a plan stays */
	err = cellmap_copy(&next, registry_map(c->registry));
	if (err == 0) {
		c->is_replan_wanted = false;
		err = ownership_plan(next.cells, next.n_cells, servers, living_servers(c, servers),
				     c->role.epoch, &plan);
		if (err == 0)
			rows_put(c, &next);
		cellmap_fini(&next);
	}
	if (err != 0 && err != -ENOENT) /* nobody is alive: owners stay as they are */
		core_log(CORE_ERROR, "ownership: no plan epoch=%llu error=%s",
			 (unsigned long long)c->role.epoch, strerror(-err));
}

void plan_turn(struct cluster *c, uint64_t now_ms)
{
	uint64_t applied = registry_applied(c->registry);

	if (!c->role.is_acting || !replog_may_append(&c->replog))
		return;
	if (c->plan_epoch != c->role.epoch)
		epoch_begin(c);
	if (c->plan_epoch != c->role.epoch)
		return;
	if (applied >= c->record_after) {
		servers_put(c, true);
		servers_put(c, false);
	}
	if (applied < c->plan_after)
		return;
	if (c->seed_epoch != c->role.epoch)
		seed(c);
	if (c->is_replan_wanted)
		cells_plan(c, now_ms);
}
