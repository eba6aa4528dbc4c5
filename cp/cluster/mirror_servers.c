#include <errno.h>
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
	int err = store_get(c->store, REGISTRY_TABLE_SMALL, RELAY_BOOT_KEY,
			    sizeof(RELAY_BOOT_KEY) - 1, bytes, &n);

	if (err != STORE_NOT_FOUND && (err != 0 || n != sizeof(bytes)))
		return err < 0 ? err : -EBADMSG;
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

int mirror_servers_start(struct cluster *c)
{
	int err = relay_boot_load(c);

	if (err != 0)
		return err;
	c->neighbour_fd = neighbour_open();
	if (c->neighbour_fd < 0)
		return c->neighbour_fd;
	for (uint32_t i = 0; i < c->n_members; i++)
		c->neighbours[i].address = c->members[i].conf->relay;
	return 0;
}

void mirror_servers_upkeep(struct cluster *c, uint64_t now_ms)
{
	relay_boot_upkeep(c);
	neighbours_upkeep(c, now_ms);
}
