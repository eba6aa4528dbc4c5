#include <errno.h>
#include <string.h>

#include "cp/peered/peered_private.h"

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

/* Of a server that failed, what it said last is no longer so. */
static void fill_server(const struct cluster_view *view, const struct cluster_server *from,
			struct wire_server *to)
{
	bool is_there = from->state == DETECTOR_ALIVE || from->state == DETECTOR_SUSPECT;

	*to = (struct wire_server){
		.id = from->conf->id,
		.name = from->conf->name,
		.rank = from->conf->rank,
		.state = detector_state_name(from->state),
		.role = is_there ? role_name(from->role) : "unknown",
		.epoch = from->epoch,
		.is_voter = from->conf->is_voter,
		.address = from->conf->address,
		.client_address = from->conf->client_address,
		.heard_ms_ago = from->heard_ms_ago,
		.is_dp_alive = is_there && from->is_dp_alive,
		.boot = from->boot,
		.is_healthy = is_there && from->is_healthy,
		.is_drained = from->is_drained,
		.store = "",
	};
	for (uint32_t c = 0; c < view->map->n_cells; c++)
		to->n_cells += view->map->cells[c].owner == to->id;
}

/* Of itself alone a server knows what its store is like. */
static void fill_store(struct peered *p, const struct cluster_view *view, struct wire_server *own)
{
	struct archive_state state;

	archive_look(p->cfg.archive, &state);
	own->store = view->is_rebuilding ? "rebuilding" : state.name;
	own->store_used = state.bytes_used;
	own->store_max = state.bytes_max;
}

int peered_status(void *user, struct memory_page **page, struct wire_status *out)
{
	struct peered *p = user;
	const struct cluster_view *view = cluster_view(p->cfg.cluster);
	const struct ownership_map *map = view->map;

	*out = (struct wire_status){
		.cluster = p->cfg.cluster_name,
		.server = view->self,
		.master = view->master,
		.n_elements = inventory_count(p->cfg.inventory),
		.epoch = view->epoch,
		.map_epoch = map->epoch,
		.map_version = map->version,
		.is_map_committed = map->n_cells > 0,
		.registry_committed = view->committed,
	};
	*page = memory_page_create();
	if (*page == NULL)
		return -ENOMEM;
	out->servers = memory_page_take(*page, view->n_servers, sizeof(*out->servers));
	out->cells = memory_page_take(*page, map->n_cells, sizeof(*out->cells));
	if (out->servers == NULL || out->cells == NULL)
		return -ENOMEM;
	for (; out->n_servers < view->n_servers; out->n_servers++) {
		struct wire_server *to = &out->servers[out->n_servers];

		fill_server(view, &view->servers[out->n_servers], to);
		if (to->id == view->self)
			fill_store(p, view, to);
	}
	for (; out->n_cells < map->n_cells; out->n_cells++) {
		const struct ownership_cell *from = &map->cells[out->n_cells];

		out->cells[out->n_cells] = (struct wire_cell){
			.name = from->name,
			.owner = from->owner,
			.standby = from->standby,
			.n_elements = from->weight,
			.pin = from->pin,
			.token = {from->token.epoch, from->token.generation},
		};
	}
	return 0;
}

static void reply_status(struct rpc_call *call, int err, const struct wire_status *status)
{
	struct wire_bytes packed = {0};

	if (err == 0)
		err = wire_status_pack(status, &packed);
	if (err == 0)
		rpc_call_reply(call, packed.bytes, packed.n);
	else
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory for the status");
	wire_bytes_free(&packed);
}

void status_get(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct memory_page *page;
	struct wire_status status;
	int err = peered_status(user, &page, &status);

	reply_status(call, err, &status);
	memory_page_free(page);
}

void status_get_stored(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct peered *p = user;
	struct wire_status *stored;

	if (!archive_status(p->cfg.archive, &stored)) {
		rpc_call_fail(call, RPC_NOT_FOUND, "this server has stored no status yet");
		return;
	}
	reply_status(call, 0, stored);
	wire_free(stored);
}
