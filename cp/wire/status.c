#include <errno.h>

#include "cp/wire/codec.h"

static int fill_server(struct arena *a, const struct wire_server *s, Bellwether__Server *out)
{
	CODEC_TEXT(a, out->name, s->name);
	CODEC_TEXT(a, out->state, s->state);
	CODEC_TEXT(a, out->role, s->role);
	CODEC_TEXT(a, out->address, s->address);
	CODEC_TEXT(a, out->client_address, s->client_address);
	CODEC_TEXT(a, out->store, s->store);
	out->id = s->id;
	out->rank = s->rank;
	out->epoch = s->epoch;
	out->is_voter = s->is_voter;
	out->heard_ms_ago = s->heard_ms_ago;
	out->is_dp_alive = s->is_dp_alive;
	out->n_cells = s->n_cells;
	out->boot = s->boot;
	out->is_healthy = s->is_healthy;
	out->is_drained = s->is_drained;
	out->store_used = s->store_used;
	out->store_max = s->store_max;
	return 0;
}

static int read_server(const Bellwether__Server *s, struct wire_server *out)
{
	if (!codec_is_server_id(s->id) || s->id == 0)
		return -EBADMSG;
	*out = (struct wire_server){
		.id = s->id,
		.rank = s->rank,
		.n_cells = s->n_cells,
		.boot = s->boot,
		.name = s->name,
		.state = s->state,
		.role = s->role,
		.address = s->address,
		.client_address = s->client_address,
		.epoch = s->epoch,
		.heard_ms_ago = s->heard_ms_ago,
		.is_voter = s->is_voter,
		.is_dp_alive = s->is_dp_alive,
		.is_healthy = s->is_healthy,
		.is_drained = s->is_drained,
		.store = s->store,
		.store_used = s->store_used,
		.store_max = s->store_max,
	};
	return 0;
}

int codec_fill_cells(struct arena *a, const struct wire_cell *cells, uint32_t n,
		     Bellwether__Cell ***out)
{
	Bellwether__Cell **rows = codec_rows(a, &bellwether__cell__descriptor, n);

	if (rows == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		CODEC_TEXT(a, rows[i]->name, cells[i].name);
		if (codec_fill_token(a, &cells[i].token, &rows[i]->token) != 0)
			return -ENOMEM;
		rows[i]->owner = cells[i].owner;
		rows[i]->standby = cells[i].standby;
		rows[i]->n_elements = cells[i].n_elements;
		rows[i]->pin = cells[i].pin;
	}
	*out = rows;
	return 0;
}

int codec_read_cells(struct arena *a, Bellwether__Cell *const *cells, size_t n,
		     struct wire_cell **out)
{
	struct wire_cell *ours = arena_array(a, n, sizeof(*ours));

	if (ours == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const Bellwether__Cell *c = cells[i];

		if (!codec_is_cell_name(c->name) || !codec_is_server_id(c->owner) ||
		    !codec_is_server_id(c->standby) || !codec_is_server_id(c->pin))
			return -EBADMSG;
		ours[i] = (struct wire_cell){.name = c->name,
					     .owner = c->owner,
					     .standby = c->standby,
					     .n_elements = c->n_elements,
					     .pin = c->pin,
					     .token = codec_read_token(c->token)};
	}
	*out = ours;
	return 0;
}

static int fill_status(struct arena *a, const struct wire_status *m, Bellwether__Status *out)
{
	int err;

	CODEC_TEXT(a, out->cluster, m->cluster);
	out->server = m->server;
	out->master = m->master;
	out->epoch = m->epoch;
	out->map_epoch = m->map_epoch;
	out->map_version = m->map_version;
	out->n_elements = m->n_elements;
	out->is_map_committed = m->is_map_committed;
	out->registry_committed = m->registry_committed;
	out->stored_ns = m->stored_ns;
	out->servers = codec_rows(a, &bellwether__server__descriptor, m->n_servers);
	if (out->servers == NULL)
		return -ENOMEM;
	out->n_servers = m->n_servers;
	for (uint32_t i = 0; i < m->n_servers; i++) {
		err = fill_server(a, &m->servers[i], out->servers[i]);
		if (err != 0)
			return err;
	}
	out->n_cells = m->n_cells;
	return codec_fill_cells(a, m->cells, m->n_cells, &out->cells);
}

static int read_status(struct arena *a, const Bellwether__Status *m, struct wire_status *out)
{
	int err;

	if (!codec_is_server_id(m->server) || !codec_is_server_id(m->master))
		return -EBADMSG;
	*out = (struct wire_status){
		.cluster = m->cluster,
		.server = m->server,
		.master = m->master,
		.n_elements = m->n_elements,
		.epoch = m->epoch,
		.map_epoch = m->map_epoch,
		.map_version = m->map_version,
		.is_map_committed = m->is_map_committed,
		.registry_committed = m->registry_committed,
		.stored_ns = m->stored_ns,
		.n_servers = (uint32_t)m->n_servers,
		.n_cells = (uint32_t)m->n_cells,
	};
	out->servers = arena_array(a, m->n_servers, sizeof(*out->servers));
	if (out->servers == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_servers; i++) {
		err = read_server(m->servers[i], &out->servers[i]);
		if (err != 0)
			return err;
	}
	return codec_read_cells(a, m->cells, m->n_cells, &out->cells);
}
CODEC(status, Bellwether__Status, bellwether__status__descriptor)
