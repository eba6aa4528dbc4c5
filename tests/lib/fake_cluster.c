#include "tests/lib/fake_cluster.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVERS_MAX  8
#define CELLS_MAX    64
#define COMMANDS_MAX 64

struct held {
	void (*done)(void *user, int err, const struct registry_outcome *outcome);
	void *user;
};

struct cluster {
	struct cluster_view view;
	struct conf_server conf[SERVERS_MAX];
	char names[SERVERS_MAX][8];
	struct cluster_server servers[SERVERS_MAX];
	struct ownership_map map;
	struct ownership_cell cells[CELLS_MAX];
	bool is_acting, is_held;
	struct registry_outcome outcome;
	struct wire_registry_entry *commands[COMMANDS_MAX];
	uint32_t n_commands;
	struct held held[COMMANDS_MAX];
	uint32_t n_held;
};

struct cluster *fake_cluster_create(uint16_t self, uint16_t n_servers)
{
	struct cluster *c = calloc(1, sizeof(*c));

	if (c == NULL || n_servers > SERVERS_MAX)
		abort();
	for (uint16_t i = 0; i < n_servers; i++) {
		snprintf(c->names[i], sizeof(c->names[i]), "s%u", i + 1);
		c->conf[i] = (struct conf_server){
			.id = (uint16_t)(i + 1),
			.rank = (uint16_t)(10 * (i + 1)),
			.name = c->names[i],
			.address = (char *)"127.0.0.1",
			.client_address = (char *)"127.0.0.1",
			.is_voter = true,
		};
		c->servers[i] = (struct cluster_server){.conf = &c->conf[i],
							.state = DETECTOR_ALIVE,
							.role = ELECTION_FOLLOWER,
							.is_healthy = true,
							.is_dp_alive = true};
	}
	c->map = (struct ownership_map){.cells = c->cells};
	c->view = (struct cluster_view){
		.self = self, .servers = c->servers, .n_servers = n_servers, .map = &c->map};
	return c;
}

void fake_cluster_address(struct cluster *c, uint16_t server, const char *call_address)
{
	snprintf(c->servers[server - 1].call_address, sizeof(c->servers[0].call_address), "%s",
		 call_address);
}

void fake_cluster_state(struct cluster *c, uint16_t server, enum detector_state state)
{
	c->servers[server - 1].state = state;
}

void fake_cluster_master(struct cluster *c, uint16_t server, uint64_t epoch)
{
	c->view.master = server;
	c->view.epoch = epoch;
	for (uint32_t i = 0; i < c->view.n_servers; i++) {
		bool is_master = c->conf[i].id == server;

		c->servers[i].role = is_master ? ELECTION_MASTER : ELECTION_FOLLOWER;
		c->servers[i].epoch = epoch;
	}
}

void fake_cluster_cell(struct cluster *c, const char *name, uint16_t owner, uint64_t epoch,
		       uint64_t generation)
{
	struct ownership_cell *cell = (struct ownership_cell *)cluster_cell(c, name);

	if (cell == NULL && c->map.n_cells == CELLS_MAX)
		abort();
	if (cell == NULL)
		cell = &c->cells[c->map.n_cells++];
	snprintf(cell->name, sizeof(cell->name), "%s", name);
	cell->weight = 1;
	cell->owner = owner;
	cell->token = (struct ownership_token){epoch, generation};
	c->map.epoch = epoch;
	c->map.version++;
}

void fake_cluster_standby(struct cluster *c, const char *name, uint16_t standby)
{
	((struct ownership_cell *)cluster_cell(c, name))->standby = standby;
}

/* ---- Commands ---- */

void fake_cluster_acting(struct cluster *c, bool is_acting)
{
	c->is_acting = is_acting;
}

void fake_cluster_outcome(struct cluster *c, const struct registry_outcome *outcome)
{
	c->outcome = *outcome;
}

void fake_cluster_hold(struct cluster *c)
{
	c->is_held = true;
}

void fake_cluster_end_held(struct cluster *c, int err)
{
	uint32_t n = c->n_held;

	c->is_held = false;
	c->n_held = 0;
	for (uint32_t i = 0; i < n; i++)
		c->held[i].done(c->held[i].user, err, err == 0 ? &c->outcome : NULL);
}

uint32_t fake_cluster_commands(const struct cluster *c)
{
	return c->n_commands;
}

const struct wire_registry_entry *fake_cluster_command(const struct cluster *c, uint32_t at)
{
	return c->commands[at];
}

void fake_cluster_destroy(struct cluster *c)
{
	for (uint32_t i = 0; c != NULL && i < c->n_commands; i++)
		wire_free(c->commands[i]);
	free(c);
}

/* ---- What cluster.h promises ---- */

const struct cluster_view *cluster_view(struct cluster *c)
{
	return &c->view;
}

const struct cluster_server *cluster_server(struct cluster *c, uint16_t id)
{
	return id >= 1 && id <= c->view.n_servers ? &c->servers[id - 1] : NULL;
}

const struct ownership_cell *cluster_cell(struct cluster *c, const char *name)
{
	for (uint32_t i = 0; i < c->map.n_cells; i++)
		if (strcmp(c->cells[i].name, name) == 0)
			return &c->cells[i];
	return NULL;
}

int cluster_command(struct cluster *c, const struct wire_registry_entry *entry,
		    void (*done)(void *user, int err, const struct registry_outcome *outcome),
		    void *user)
{
	struct wire_bytes bytes;

	if (!c->is_acting)
		return -EAGAIN;
	if (c->n_commands == COMMANDS_MAX || wire_registry_entry_pack(entry, &bytes) != 0 ||
	    wire_registry_entry_unpack(bytes.bytes, bytes.n, &c->commands[c->n_commands]) != 0)
		abort();
	wire_bytes_free(&bytes);
	c->n_commands++;
	c->outcome.index++;
	if (c->is_held)
		c->held[c->n_held++] = (struct held){done, user};
	else
		done(user, 0, &c->outcome);
	return 0;
}
