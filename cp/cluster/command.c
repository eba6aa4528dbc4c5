#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cp/cluster/state.h"
#include "cp/core/core.h"

/* Somebody who waits for an entry. */
struct command {
	struct command *next;
	uint64_t index, epoch;
	bool is_repeat;		      /* another one asked the same before it, and put the entry */
	uint32_t n_elements, n_cells; /* that its entry adds */
	void (*done)(void *user, int err, const struct registry_outcome *outcome);
	void *user;
	char request_id[WIRE_REQUEST_ID_MAX + 1];
};

static void command_end(struct cluster *c, struct command *command, int err,
			const struct registry_outcome *outcome)
{
	struct registry_outcome copy = {0};

	if (outcome != NULL) {
		copy = *outcome;
		copy.is_repeat |= command->is_repeat;
	}
	c->n_commands--;
	command->done(command->user, err, err == 0 ? &copy : NULL);
	free(command);
}

void command_applied(struct cluster *c, uint64_t index, uint64_t epoch,
		     const struct registry_outcome *outcome)
{
	struct command *ready = NULL, **end = &ready;

	/* Out of the list first: whoever is called may put another. */
	while (c->commands != NULL && c->commands->index <= index) {
		*end = c->commands;
		c->commands = c->commands->next;
		end = &(*end)->next;
	}
	*end = NULL;
	while (ready != NULL) {
		struct command *command = ready;
		bool is_it = command->index == index && command->epoch == epoch;

		ready = command->next;
		command_end(c, command, is_it ? 0 : -ECANCELED, outcome);
	}
}

void command_give_up(struct cluster *c, uint64_t from)
{
	struct command **at = &c->commands, *all;

	while (*at != NULL && (*at)->index < from)
		at = &(*at)->next;
	all = *at;
	*at = NULL;
	while (all != NULL) {
		struct command *command = all;

		all = command->next;
		command_end(c, command, -ECANCELED, NULL);
	}
}

void cluster_end_commands(struct cluster *c)
{
	command_give_up(c, 0);
}

void command_turn(struct cluster *c)
{
	bool is_master = election_role(&c->election) == ELECTION_MASTER;

	/* What was put in an epoch that is over may be committed or given up: who is master now
	 * knows. */
	if (c->commands != NULL &&
	    (!is_master || c->commands->epoch != election_epoch(&c->election)))
		cluster_end_commands(c);
}

static const struct command *command_find(const struct cluster *c, const char *request_id)
{
	for (const struct command *i = c->commands; i != NULL; i = i->next)
		if (strcmp(i->request_id, request_id) == 0)
			return i;
	return NULL;
}

/* Behind all with its index or a lower one. */
static void command_insert(struct cluster *c, struct command *command)
{
	struct command **at = &c->commands;

	while (*at != NULL && (*at)->index <= command->index)
		at = &(*at)->next;
	command->next = *at;
	*at = command;
	c->n_commands++;
}

/* ---- What the segments have room for ---- */

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Regions of the entry's elements that have no element yet. */
static int cells_count(const struct cluster *c, const struct wire_registry_entry *entry,
		       uint32_t *n)
{
	const char **names = malloc((entry->n_elements + 1) * sizeof(*names));
	uint32_t n_names = 0;

	if (names == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < entry->n_elements; i++)
		if (inventory_count_region(c->inventory, entry->elements[i].region) == 0)
			names[n_names++] = entry->elements[i].region;
	qsort(names, n_names, sizeof(*names), compare_texts);
	*n = 0;
	for (uint32_t i = 0; i < n_names; i++)
		*n += i == 0 || strcmp(names[i - 1], names[i]) != 0;
	free(names);
	return 0;
}

static bool is_new(const struct cluster *c, const struct wire_element_spec *spec)
{
	return spec->id != 0 ? inventory_find_id(c->inventory, spec->id) == NULL
			     : inventory_find_name(c->inventory, spec->name) == NULL;
}

/* The registry would take them, and no segment could show them: then cells could not be published
 * either. What other commands under way add counts too. */
static int room_check(const struct cluster *c, struct command *command,
		      const struct wire_registry_entry *entry)
{
	const struct fedmem_sizes *sizes = fedmem_sizes(c->fedmem);
	uint64_t n_elements = inventory_count(c->inventory);
	uint64_t n_cells = registry_map(c->registry)->n_cells;
	int err = cells_count(c, entry, &command->n_cells);

	for (uint32_t i = 0; i < entry->n_elements; i++)
		command->n_elements += is_new(c, &entry->elements[i]);
	for (const struct command *i = c->commands; i != NULL; i = i->next) {
		n_elements += i->n_elements;
		n_cells += i->n_cells;
	}
	if (err != 0)
		return err;
	if ((command->n_elements > 0 && n_elements + command->n_elements > sizes->elements_max) ||
	    (command->n_cells > 0 && n_cells + command->n_cells > sizes->cells_max))
		return -EDQUOT;
	return 0;
}

static int command_put(struct cluster *c, struct command *command,
		       const struct wire_registry_entry *entry)
{
	const struct command *same =
		command->request_id[0] != '\0' ? command_find(c, command->request_id) : NULL;
	struct wire_registry_entry timed = *entry;
	int err;

	command->epoch = c->role.epoch;
	if (same != NULL) {
		command->index = same->index;
		command->is_repeat = true;
		return 0;
	}
	err = room_check(c, command, entry);
	if (err != 0)
		return err;
	timed.time_ns = core_wall_ns();
	return replica_append(c, &timed, &command->index);
}

/* What is left is for the vote, and for what the master itself has to put. */
static bool is_store_full(const struct cluster *c)
{
	struct store_state state;

	store_look(c->store, &state);
	return state.bytes_used > state.bytes_max / 4 * 3;
}

int cluster_command(struct cluster *c, const struct wire_registry_entry *entry,
		    void (*done)(void *user, int err, const struct registry_outcome *outcome),
		    void *user)
{
	const char *request_id = entry->request_id != NULL ? entry->request_id : "";
	struct registry_outcome outcome;
	struct command *command;
	int err;

	if (strlen(request_id) > WIRE_REQUEST_ID_MAX)
		return -EINVAL;
	if (!c->role.is_acting || !member_is_acting(c) || !replog_may_append(&c->replog) ||
	    c->plan_epoch != c->role.epoch)
		return -EAGAIN;
	if (request_id[0] != '\0' && registry_request(c->registry, request_id, &outcome)) {
		outcome.is_repeat = true;
		done(user, 0, &outcome);
		return 0;
	}
	if (c->n_commands >= CLUSTER_COMMANDS_MAX || c->tail.bytes > CLUSTER_TAIL_BYTES)
		return -ENOBUFS;
	if (is_store_full(c))
		return -ENOSPC;
	command = calloc(1, sizeof(*command));
	if (command == NULL)
		return -ENOMEM;
	command->done = done;
	command->user = user;
	memcpy(command->request_id, request_id, strlen(request_id));
	err = command_put(c, command, entry);
	if (err != 0) {
		free(command);
		return err;
	}
	command_insert(c, command);
	cluster_turn(c);
	return 0;
}
