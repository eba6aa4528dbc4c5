#include <stdio.h>
#include <string.h>

#include "cp/registry/registry_private.h"

static struct ownership_token token_of(const struct wire_cell *c)
{
	return (struct ownership_token){c->token.epoch, c->token.generation};
}

/* The cell of the map; NULL: there is none. */
static struct state_cell *cell_in_map(const struct turn *t, const char *name)
{
	struct state_cell *cell = state_cell(&t->r->state, name);

	return cell != NULL && cell->row.weight > 0 ? cell : NULL;
}

static void untouch(struct turn *t)
{
	for (uint32_t i = 0; i < t->e->n_cells; i++) {
		struct state_cell *cell = cell_in_map(t, t->e->cells[i].name);

		if (cell != NULL)
			cell->is_touched = false;
	}
}

/* Refuses the entry when this row does not go with the others or with what is held. */
static void check_row(struct turn *t, const struct wire_cell *c)
{
	struct state_cell *cell = cell_in_map(t, c->name);
	int order;

	if (cell == NULL) {
		turn_refuse(t, "there is no cell %s", c->name);
		return;
	}
	order = ownership_token_compare(token_of(c), cell->row.token);
	if (cell->is_touched)
		turn_refuse(t, "cell %s is there twice", c->name);
	else if (order < 0)
		turn_refuse(t, "the token of cell %s is lower than the one held", c->name);
	else if (order == 0 && c->owner != cell->row.owner)
		turn_refuse(t, "cell %s gets another owner under the same token", c->name);
	else if (c->token.epoch > t->epoch)
		turn_refuse(t, "the token of cell %s is of a later epoch", c->name);
	else if (c->owner != 0 && c->owner == c->standby)
		turn_refuse(t, "the owner of cell %s is to stand by for itself", c->name);
	cell->is_touched = true;
}

static int row_replace(struct turn *t, struct state_cell *cell, const struct wire_cell *c)
{
	struct ownership_cell was = cell->row;
	bool has_moved = c->owner != was.owner, has_standby = c->standby != was.standby;
	struct wire_event e = {.kind = has_moved ? "cell_moved" : "standby_changed",
			       .cell = c->name,
			       .token = c->token,
			       .server = has_moved ? c->owner : c->standby,
			       .was = has_moved ? was.owner : was.standby};
	struct row row;
	int err;

	cell->row.owner = (uint16_t)c->owner;
	cell->row.standby = (uint16_t)c->standby;
	cell->row.token = token_of(c);
	if (!has_moved && !has_standby &&
	    ownership_token_compare(cell->row.token, was.token) == 0) {
		t->outcome->n_same++;
		return 0;
	}
	t->outcome->n_changed++;
	t->is_map_changed = true;
	row_of_cell(&row, &cell->row);
	err = turn_store(t, &row);
	return err != 0 || (!has_moved && !has_standby) ? err : turn_event(t, e);
}

int turn_cells(struct turn *t)
{
	const struct wire_registry_entry *e = t->e;
	int err = 0;

	if (e->n_cells == 0 || e->n_cells > REGISTRY_CELLS_MAX)
		return turn_refuse(t, "%u cells in one entry", e->n_cells);
	for (uint32_t i = 0; i < e->n_cells && !t->outcome->is_refused; i++)
		check_row(t, &e->cells[i]);
	untouch(t);
	for (uint32_t i = 0; i < e->n_cells && !t->outcome->is_refused && err == 0; i++)
		err = row_replace(t, cell_in_map(t, e->cells[i].name), &e->cells[i]);
	return err;
}

/* The cell that is named, or the one of the element that is. */
static struct state_cell *pinned_cell(struct turn *t)
{
	const struct wire_registry_entry *e = t->e;
	const struct conf_element *element = NULL;
	struct state_cell *cell;

	if (e->element[0] != '\0') {
		element = inventory_find_name(t->r->state.inventory, e->element);
		if (element == NULL) {
			turn_refuse(t, "there is no element %.*s", ROW_NAME_MAX, e->element);
			return NULL;
		}
		snprintf(t->r->text, sizeof(t->r->text), "%s", element->name);
	}
	cell = cell_in_map(t, element != NULL ? element->region : e->cell);
	if (cell == NULL)
		turn_refuse(t, "there is no cell %s", e->cell);
	return cell;
}

int turn_pin(struct turn *t)
{
	const struct wire_registry_entry *e = t->e;
	struct state_cell *cell;
	struct row row;
	uint16_t was;
	int err;

	t->r->text[0] = '\0';
	if (e->event[0] != '\0' && strcmp(e->event, "cell_pinned") != 0)
		return turn_refuse(t, "a pin makes no event %.*s", ROW_NAME_MAX, e->event);
	cell = pinned_cell(t);
	if (cell == NULL)
		return 0;
	was = cell->row.pin;
	if (was == e->server) {
		t->outcome->n_same = 1;
		return 0;
	}
	cell->row.pin = (uint16_t)e->server;
	t->outcome->n_changed = 1;
	t->is_map_changed = true;
	row_of_cell(&row, &cell->row);
	err = turn_store(t, &row);
	if (err != 0)
		return err;
	return turn_event(
		t, (struct wire_event){.kind = "cell_pinned",
				       .cell = cell->row.name,
				       .token = {cell->row.token.epoch, cell->row.token.generation},
				       .server = e->server,
				       .was = was,
				       .text = t->r->text});
}
