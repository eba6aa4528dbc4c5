#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cp/peered/peered_private.h"
#include "cp/wire/wire.h"

static const char *role_name(enum election_role role)
{
	switch (role) {
	case ELECTION_MASTER:
		return "master";
	case ELECTION_CANDIDATE:
		return "candidate";
	case ELECTION_FOLLOWER:
		break;
	}
	return "follower";
}

static void fill_server(const struct cluster_view *view, const struct cluster_server *from,
			struct wire_server *to)
{
	*to = (struct wire_server){
		.id = from->conf->id,
		.name = from->conf->name,
		.rank = from->conf->rank,
		.state = detector_state_name(from->state),
		.role = role_name(from->role),
		.epoch = from->epoch,
		.is_voter = from->conf->is_voter,
		.address = from->conf->address,
		.client_address = from->conf->client_address,
		.heard_ms_ago = from->heard_ms_ago,
		.is_dp_alive = from->is_dp_alive,
		.boot = from->boot,
		.is_healthy = from->is_healthy,
	};
	for (uint32_t c = 0; c < view->map->n_cells; c++)
		to->n_cells += view->map->cells[c].owner == to->id;
}

void status_get(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct peered *p = user;
	const struct cluster_view *view = cluster_view(p->cfg.cluster);
	const struct ownership_map *map = view->map;
	struct wire_server *servers = calloc((size_t)view->n_servers + 1, sizeof(*servers));
	struct wire_cell *cells = calloc((size_t)map->n_cells + 1, sizeof(*cells));
	int err = -ENOMEM;
	struct wire_bytes packed = {0};
	struct wire_status status = {
		.cluster = p->cfg.cluster_name,
		.server = view->self,
		.master = view->master,
		.n_elements = inventory_count(p->cfg.inventory),
		.epoch = view->epoch,
		.map_epoch = map->epoch,
		.map_version = map->version,
		.is_map_committed = map->n_cells > 0,
		.servers = servers,
		.n_servers = view->n_servers,
		.cells = cells,
		.n_cells = map->n_cells,
	};

	if (servers == NULL || cells == NULL)
		goto out;
	for (uint32_t i = 0; i < view->n_servers; i++)
		fill_server(view, &view->servers[i], &servers[i]);
	for (uint32_t c = 0; c < map->n_cells; c++)
		cells[c] = (struct wire_cell){
			.name = map->cells[c].name,
			.owner = map->cells[c].owner,
			.standby = map->cells[c].standby,
			.n_elements = map->cells[c].weight,
			.token = {map->cells[c].token.epoch, map->cells[c].token.generation},
		};
	err = wire_status_pack(&status, &packed);
out:
	if (err == 0)
		rpc_call_reply(call, packed.bytes, packed.n);
	else
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory for the status");
	wire_bytes_free(&packed);
	free(servers);
	free(cells);
}
