#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cp/cluster/state.h"
#include "cp/core/core.h"

#define RELAY_BOOT_KEY "relay_boot"
#define NEIGHBOURS_MS  1000

_Static_assert((int)FEDMEM_SERVER_FAILED == (int)DETECTOR_FAILED &&
		       (int)FEDMEM_SERVER_SUSPECT == (int)DETECTOR_SUSPECT &&
		       (int)FEDMEM_SERVER_ALIVE == (int)DETECTOR_ALIVE &&
		       (int)FEDMEM_SERVER_UNKNOWN == (int)DETECTOR_UNKNOWN,
	       "states are the same numbers on both sides");
_Static_assert((int)FEDMEM_ROLE_MASTER == (int)ELECTION_MASTER &&
		       (int)FEDMEM_ROLE_CANDIDATE == (int)ELECTION_CANDIDATE &&
		       (int)FEDMEM_ROLE_FOLLOWER == (int)ELECTION_FOLLOWER,
	       "roles are the same numbers on both sides");

/* ---- Elements and cells ---- */

static void element_put(struct cluster *c, const struct fedmem_element *e)
{
	struct fedmem_element holder;
	uint32_t slot;
	int err = fedmem_element_put(c->fedmem, e, NULL);

	/* The address was another element's in an earlier inventory, which comes later in this one,
	 * if at all. */
	if (err == -EEXIST && fedmem_find_by_address(c->fedmem, &e->address, &slot) == 0 &&
	    fedmem_element_get(c->fedmem, slot, &holder) == 0 &&
	    fedmem_element_remove(c->fedmem, holder.id) == 0)
		err = fedmem_element_put(c->fedmem, e, NULL);
	if (err != 0)
		core_log(CORE_ERROR, "fedmem: element not described element=%llu error=%s",
			 (unsigned long long)e->id,
			 err == FEDMEM_FULL ? "the table is full" : strerror(-err));
}

static int id_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* What is in the segment and no longer in the inventory. */
static int strangers_remove(struct cluster *c)
{
	uint32_t n = c->inventory->n_elements, n_removed = 0;
	uint32_t elements_max = fedmem_sizes(c->fedmem)->elements_max;
	uint64_t *ids = malloc((n > 0 ? n : 1) * sizeof(*ids));
	struct fedmem_element e;

	if (ids == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		ids[i] = c->inventory->elements[i].id;
	qsort(ids, n, sizeof(*ids), id_compare);
	for (uint32_t slot = 0; slot < elements_max; slot++)
		if (fedmem_element_get(c->fedmem, slot, &e) == 0 &&
		    bsearch(&e.id, ids, n, sizeof(*ids), id_compare) == NULL &&
		    fedmem_element_remove(c->fedmem, e.id) == 0)
			n_removed++;
	free(ids);
	if (n_removed > 0)
		core_log(CORE_INFO, "fedmem: elements removed n=%u", n_removed);
	return 0;
}

static uint32_t cell_wanted(const struct cluster *c, const struct conf_element *e)
{
	const struct ownership_cell *cell = cellmap_find(&c->committed, e->region);

	return cell == NULL ? FEDMEM_NONE : (uint32_t)(cell - c->committed.cells);
}

/* Tells every element whose cell has another number than it was told: that number, or that it has
 * none. */
static void elements_tell(struct cluster *c, bool is_none)
{
	for (uint32_t i = 0; i < c->inventory->n_elements; i++) {
		const struct conf_element *from = &c->inventory->elements[i];
		struct fedmem_element e = {.id = from->id, .address = from->address};
		uint32_t wanted = cell_wanted(c, from);

		if (c->cell_of[i] == wanted)
			continue;
		e.cell = c->cell_of[i] = is_none ? FEDMEM_NONE : wanted;
		element_put(c, &e);
	}
}

/* The segment's cells are compared, not what we remember: they outlive us. */
static bool has_same_cells(struct cluster *c)
{
	uint32_t room = fedmem_sizes(c->fedmem)->cells_max, n = 0, version;
	struct fedmem_cell *there = malloc((room > 0 ? room : 1) * sizeof(*there));
	bool is_same = there != NULL &&
		       fedmem_cells_get(c->fedmem, there, room, &n, &version) == 0 &&
		       n == c->committed.n_cells;

	for (uint32_t i = 0; is_same && i < n; i++)
		is_same = strncmp(there[i].name, c->committed.cells[i].name,
				  sizeof(there[i].name)) == 0;
	free(there);
	return is_same;
}

void mirror_cells(struct cluster *c)
{
	uint32_t n = c->committed.n_cells;
	struct fedmem_cell *cells = calloc(n > 0 ? n : 1, sizeof(*cells));
	bool is_same = has_same_cells(c);
	int err = cells == NULL ? -ENOMEM : 0;

	_Static_assert(sizeof(cells->name) == OWNERSHIP_NAME_BYTES, "names fit as they are");
	for (uint32_t i = 0; err == 0 && i < n; i++) {
		const struct ownership_cell *from = &c->committed.cells[i];

		cells[i].owner = from->owner;
		cells[i].standby = from->standby;
		cells[i].token = (struct fedmem_token){from->token.epoch, from->token.generation};
		memcpy(cells[i].name, from->name, sizeof(cells[i].name));
	}
	/* When numbers change their meaning no element may be seen in a cell that is not its own.
	 */
	if (err == 0 && !is_same)
		elements_tell(c, true);
	if (err == 0)
		err = fedmem_cells_publish(c->fedmem, cells, n);
	if (err == 0 && !is_same)
		elements_tell(c, false);
	if (err != 0)
		core_log(CORE_ERROR, "fedmem: cells not published n=%u error=%s", n,
			 err == FEDMEM_FULL ? "the table is full" : strerror(-err));
	free(cells);
}

/* ---- Servers ---- */

static void server_fill(struct cluster *c, struct fedmem_server *to, uint32_t i)
{
	const struct member *m = &c->members[i];
	bool is_self = m == c->self_member;

	*to = (struct fedmem_server){
		.id = m->conf->id,
		.rank = m->conf->rank,
		.state = (uint8_t)member_state(c, m),
		.role = (uint8_t)member_role(c, m),
		.is_self = is_self,
		.epoch = is_self ? election_epoch(&c->election) : m->said.epoch,
		.last_heard_ns = m->heard_ms * 1000000u,
		.relay_address = m->conf->relay,
	};
	strncpy(to->name, m->conf->name, sizeof(to->name) - 1);
	if (is_self)
		return;
	if (c->neighbours[i].is_known) {
		to->has_relay_mac = 1;
		memcpy(to->relay_mac, c->neighbours[i].mac, sizeof(to->relay_mac));
	}
	to->relay_boot_tx = c->relay_boot;
	to->relay_boot_rx = m->said.relay_boot;
	if (to->relay_boot_tx != 0)
		seal_derive(to->relay_key_tx, c->secret, SEAL_RELAY, c->self, m->conf->id,
			    to->relay_boot_tx);
	if (to->relay_boot_rx != 0)
		seal_derive(to->relay_key_rx, c->secret, SEAL_RELAY, m->conf->id, c->self,
			    to->relay_boot_rx);
}

void mirror_servers(struct cluster *c)
{
	struct fedmem_server now[CLUSTER_SERVERS_MAX];
	bool is_same = true;
	int err;

	for (uint32_t i = 0; i < c->n_members; i++) {
		uint64_t heard_ns;

		server_fill(c, &now[i], i);
		/* That time went by is no change. */
		heard_ns = now[i].last_heard_ns;
		now[i].last_heard_ns = c->told[i].last_heard_ns;
		is_same = is_same && memcmp(&now[i], &c->told[i], sizeof(now[i])) == 0;
		now[i].last_heard_ns = heard_ns;
	}
	if (!is_same) {
		err = fedmem_servers_publish(c->fedmem, now, c->n_members);
		if (err != 0)
			core_log(CORE_ERROR, "fedmem: servers not published error=%s",
				 err == FEDMEM_FULL ? "the table is full" : strerror(-err));
		memcpy(c->told, now, c->n_members * sizeof(now[0]));
	}
	seal_wipe(now, sizeof(now));
}

/* ---- The data plane's wish for a new relay boot ---- */

static void on_relay_boot_stored(void *user, int err)
{
	struct cluster *c = user;

	if (err != 0)
		cluster_die("fedmem: relay boot not stored", err);
	c->is_relay_storing = false;
	c->relay_boot = c->relay_boot_stored;
	core_log(CORE_INFO, "fedmem: relay boot given server=%u relay_boot=%u", c->self,
		 c->relay_boot);
	mirror_servers(c);
	fedmem_relay_boot_given(c->fedmem, c->relay_wanted);
	c->is_urgent = true;
	cluster_turn(c);
}

/* A boot that was used once is never used again: its keys would meet the same sequence numbers. */
static void relay_boot_upkeep(struct cluster *c)
{
	uint32_t wanted = fedmem_relay_boot_wanted(c->fedmem);
	uint8_t bytes[4];
	int err;

	if (c->is_relay_storing || wanted == 0)
		return;
	if (wanted == fedmem_relay_boot_met(c->fedmem) && c->relay_boot_stored != 0) {
		c->relay_boot = c->relay_boot_stored;
		return;
	}
	c->relay_boot = 0;
	c->relay_wanted = wanted;
	c->relay_boot_stored = cluster_next_boot(c->relay_boot_stored);
	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(c->relay_boot_stored >> (24 - 8 * i));
	c->is_relay_storing = true;
	err = store_put(c->store, REGISTRY_TABLE_SMALL, RELAY_BOOT_KEY, bytes, sizeof(bytes),
			on_relay_boot_stored, c);
	if (err != 0)
		cluster_die("fedmem: relay boot not stored", err);
}

static int relay_boot_load(struct cluster *c)
{
	uint8_t bytes[4] = {0};
	size_t n = sizeof(bytes);
	int err = store_get(c->store, REGISTRY_TABLE_SMALL, RELAY_BOOT_KEY, strlen(RELAY_BOOT_KEY),
			    bytes, &n);

	if (err != STORE_NOT_FOUND && (err != 0 || n != sizeof(bytes))) {
		core_log(CORE_ERROR, "fedmem: the stored relay boot is %s",
			 err < 0 ? strerror(-err) : "damaged");
		return err < 0 ? err : -EIO;
	}
	c->relay_boot_stored = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
			       (uint32_t)bytes[2] << 8 | bytes[3];
	return 0;
}

/* ---- Neighbours ---- */

/* A living server's link address that is not known costs metrics: then every upkeep looks for it.
 */
static bool is_neighbour_missing(const struct cluster *c)
{
	for (uint32_t i = 0; i < c->n_members; i++)
		if (&c->members[i] != c->self_member && !c->neighbours[i].is_known &&
		    member_state(c, &c->members[i]) == DETECTOR_ALIVE)
			return true;
	return false;
}

static void neighbours_upkeep(struct cluster *c, uint64_t now_ms)
{
	if (now_ms < c->neighbours_ms && !is_neighbour_missing(c))
		return;
	c->neighbours_ms = now_ms + NEIGHBOURS_MS;
	if (neighbour_refresh(c->neighbour_fd, c->neighbours, c->n_members) != 0)
		return; /* what was known stays known; the next second is soon */
	/* Beats keep the entry of the peers' network fresh; of a relay network of its own nobody
	 * does. */
	for (uint32_t i = 0; i < c->n_members; i++) {
		const struct member *m = &c->members[i];
		struct fedmem_address address;

		if (m != c->self_member && !c->neighbours[i].is_known &&
		    member_state(c, m) == DETECTOR_ALIVE &&
		    conf_address_parse(&address, m->conf->address) == 0 &&
		    memcmp(&address, &m->conf->relay, sizeof(address)) != 0)
			neighbour_solicit(&m->conf->relay);
	}
}

/* ---- The start and the upkeep ---- */

int mirror_start(struct cluster *c)
{
	uint32_t n = c->inventory->n_elements;
	int err = relay_boot_load(c);

	if (err != 0)
		return err;
	c->neighbour_fd = neighbour_open();
	if (c->neighbour_fd < 0)
		return c->neighbour_fd;
	for (uint32_t i = 0; i < c->n_members; i++)
		c->neighbours[i].address = c->members[i].conf->relay;
	c->cell_of = malloc((n > 0 ? n : 1) * sizeof(*c->cell_of));
	if (c->cell_of == NULL)
		return -ENOMEM;
	/* There is no element 0, but what a killed predecessor left half-changed is put right
	 * first. */
	fedmem_element_remove(c->fedmem, 0);
	err = strangers_remove(c);
	if (err != 0)
		return err;
	for (uint32_t i = 0; i < n; i++) {
		const struct conf_element *from = &c->inventory->elements[i];
		struct fedmem_element there;
		uint32_t slot;

		if (fedmem_find_by_id(c->fedmem, from->id, &slot) == 0 &&
		    fedmem_element_get(c->fedmem, slot, &there) == 0 &&
		    memcmp(&there.address, &from->address, sizeof(there.address)) == 0) {
			c->cell_of[i] = there.cell;
			continue;
		}
		c->cell_of[i] = FEDMEM_NONE;
		there = (struct fedmem_element){
			.id = from->id, .address = from->address, .cell = FEDMEM_NONE};
		element_put(c, &there);
	}
	if (c->committed.version > 0) {
		mirror_cells(c);
		elements_tell(c, false); /* new ones, where the cells themselves are the same */
	}
	return 0;
}

void mirror_upkeep(struct cluster *c, uint64_t now_ms)
{
	fedmem_lease_set(c->fedmem, core_now_ns() + CLUSTER_LEASE_MS * UINT64_C(1000000));
	relay_boot_upkeep(c);
	neighbours_upkeep(c, now_ms);
}
