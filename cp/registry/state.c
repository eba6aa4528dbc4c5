#include "cp/registry/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The first cell whose name does not stand before this one. */
static uint32_t place_of(const struct state *s, const char *name)
{
	uint32_t low = 0, high = s->n_cells;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (strcmp(s->cells[middle].row.name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct state_cell *state_cell(const struct state *s, const char *name)
{
	uint32_t at = place_of(s, name);

	return at < s->n_cells && strcmp(s->cells[at].row.name, name) == 0 ? &s->cells[at] : NULL;
}

int state_cell_add(struct state *s, const char *name, struct state_cell **out, bool *is_new)
{
	uint32_t at = place_of(s, name);
	struct state_cell *cells = s->cells;

	*is_new = at == s->n_cells || strcmp(cells[at].row.name, name) != 0;
	if (*is_new && s->n_cells == s->cells_max) {
		uint32_t max = s->cells_max == 0 ? 64 : s->cells_max * 2;

		cells = realloc(cells, max * sizeof(*cells));
		if (cells == NULL)
			return -ENOMEM;
		s->cells = cells;
		s->cells_max = max;
	}
	if (*is_new) {
		memmove(&cells[at + 1], &cells[at], (s->n_cells - at) * sizeof(*cells));
		memset(&cells[at], 0, sizeof(*cells));
		memcpy(cells[at].row.name, name, strlen(name));
		s->n_cells++;
	}
	*out = &cells[at];
	return 0;
}

bool state_is_drained(const struct state *s, uint16_t server)
{
	return (s->drained[server / 64] >> server % 64 & 1) != 0;
}

void state_set_drained(struct state *s, uint16_t server, bool is_drained)
{
	uint64_t bit = UINT64_C(1) << server % 64;

	if (is_drained)
		s->drained[server / 64] |= bit;
	else
		s->drained[server / 64] &= ~bit;
}

int state_view(struct state *s)
{
	if (s->n_cells > s->view_max) {
		free(s->view.cells);
		s->view_max = 0;
		s->view.n_cells = 0;
		s->view.cells = calloc(s->cells_max, sizeof(*s->view.cells));
		if (s->view.cells == NULL)
			return -ENOMEM;
		s->view_max = s->cells_max;
	}
	s->view.n_cells = 0;
	for (uint32_t i = 0; i < s->n_cells; i++)
		if (s->cells[i].row.weight > 0)
			s->view.cells[s->view.n_cells++] = s->cells[i].row;
	s->view.epoch = s->map.epoch;
	s->view.version = s->map.number;
	return 0;
}

/* ---- Rows ---- */

static int read_element(struct state *s, const struct row_octets *row)
{
	struct inventory_change change;
	struct row_element e;
	int err;

	if (!row_read_element(&e, row))
		return -EBADMSG;
	err = inventory_put(s->inventory, &e.e, &change);
	if (err == 0 && e.e.id > s->last_id)
		s->last_id = e.e.id;
	return err == -EEXIST || (err == 0 && !change.is_new) ? -EBADMSG : err;
}

static int read_cell(struct state *s, const struct row_octets *row)
{
	struct ownership_cell c;
	struct state_cell *to;
	bool is_new;
	int err;

	if (!row_read_cell(&c, row))
		return -EBADMSG;
	err = state_cell_add(s, c.name, &to, &is_new);
	if (err == 0)
		to->row = c;
	return err == 0 && !is_new ? -EBADMSG : err;
}

static int read_drained(struct state *s, const struct row_octets *row)
{
	uint16_t server;

	if (!row_read_drained(&server, row) || state_is_drained(s, server))
		return -EBADMSG;
	state_set_drained(s, server, true);
	return 0;
}

static int read_event(struct state *s, const struct row_octets *row)
{
	struct wire_bytes packed;
	struct wire_event *e;
	uint64_t number, dropped;
	int err = row->key_bytes == 8 ? wire_event_unpack(row->value, row->n, &e) : -EBADMSG;

	if (err != 0)
		return err;
	number = row_get_u64(row->key);
	err = e->origin == 0 && e->number == number ? 0 : -EBADMSG;
	wire_free(e);
	if (err != 0)
		return err;
	packed = (struct wire_bytes){malloc(row->n), row->n};
	if (packed.bytes == NULL)
		return -ENOMEM;
	memcpy(packed.bytes, row->value, row->n);
	err = trail_add(&s->trail, number, packed, &dropped);
	return err == 0 && dropped != 0 ? -EBADMSG : err;
}

static int read_request(struct state *s, const struct row_octets *row)
{
	char id[WIRE_REQUEST_ID_MAX + 1];
	struct registry_outcome outcome;

	if (!row_read_request(id, &outcome, row))
		return -EBADMSG;
	return requests_read(&s->requests, id, &outcome);
}

static int read_map(struct state *s, const struct row_octets *row)
{
	struct row_position p;

	if (row->key_bytes != strlen(ROW_MAP) || memcmp(row->key, ROW_MAP, row->key_bytes) != 0 ||
	    !row_read_position(&p, row->value, row->n) || s->map.number != 0)
		return -EBADMSG;
	s->map = p;
	return 0;
}

int state_read(struct state *s, uint32_t table, const struct row_octets *row)
{
	switch (table) {
	case REGISTRY_TABLE_SMALL:
		return read_map(s, row);
	case REGISTRY_TABLE_ELEMENTS:
		return read_element(s, row);
	case REGISTRY_TABLE_CELLS:
		return read_cell(s, row);
	case REGISTRY_TABLE_SERVERS:
		return read_drained(s, row);
	case REGISTRY_TABLE_TRAIL:
		return read_event(s, row);
	case REGISTRY_TABLE_REQUESTS:
		return read_request(s, row);
	default:
		return -EBADMSG;
	}
}

static int contradiction(const struct state *s, uint64_t applied, const char **why)
{
	const struct requests *q = &s->requests;
	uint64_t weight = 0;

	for (uint32_t i = 0; i < s->n_cells; i++)
		weight += s->cells[i].row.weight;
	*why = NULL;
	if (weight != inventory_count(s->inventory))
		*why = "an element is in a region without a cell";
	else if (s->map.number > applied)
		*why = "the map is newer than what was applied";
	else if (trail_newest(&s->trail) >> REGISTRY_EVENT_SHIFT > applied)
		*why = "an event is newer than what was applied";
	else if (q->n > 0 && q->items[q->n - 1].outcome.index > applied)
		*why = "a request is newer than what was applied";
	return *why != NULL ? -EBADMSG : 0;
}

int state_settle(struct state *s, uint64_t applied, const char **why)
{
	int err = requests_settle(&s->requests);

	if (err != 0) {
		*why = "two requests are of one entry";
		return err;
	}
	for (uint32_t i = 0; i < s->n_cells; i++)
		s->cells[i].row.weight = inventory_count_region(s->inventory, s->cells[i].row.name);
	err = contradiction(s, applied, why);
	return err != 0 ? err : state_view(s);
}

void state_fini(struct state *s)
{
	struct inventory *inventory = s->inventory;

	free(s->cells);
	free(s->view.cells);
	trail_fini(&s->trail);
	requests_fini(&s->requests);
	*s = (struct state){.inventory = inventory};
}
