#include "cp/cluster/cellmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void cellmap_fini(struct ownership_map *m)
{
	free(m->cells);
	*m = (struct ownership_map){0};
}

static int cells_alloc(struct ownership_map *m, uint32_t n)
{
	m->cells = calloc(n > 0 ? n : 1, sizeof(*m->cells));
	m->n_cells = n;
	return m->cells == NULL ? -ENOMEM : 0;
}

int cellmap_copy(struct ownership_map *out, const struct ownership_map *m)
{
	struct ownership_map copy = {.epoch = m->epoch, .version = m->version};
	int err = cells_alloc(&copy, m->n_cells);

	if (err != 0)
		return err;
	if (m->n_cells > 0)
		memcpy(copy.cells, m->cells, m->n_cells * sizeof(*copy.cells));
	*out = copy;
	return 0;
}

bool cellmap_has_same_names(const struct ownership_map *a, const struct ownership_map *b)
{
	if (a->n_cells != b->n_cells)
		return false;
	for (uint32_t i = 0; i < a->n_cells; i++)
		if (strcmp(a->cells[i].name, b->cells[i].name) != 0)
			return false;
	return true;
}

bool cellmap_is_same(const struct ownership_map *a, const struct ownership_map *b)
{
	if (!cellmap_has_same_names(a, b))
		return false;
	for (uint32_t i = 0; i < a->n_cells; i++) {
		const struct ownership_cell *x = &a->cells[i], *y = &b->cells[i];

		if (x->weight != y->weight || x->owner != y->owner || x->standby != y->standby ||
		    ownership_token_compare(x->token, y->token) != 0)
			return false;
	}
	return true;
}

const struct ownership_cell *cellmap_find(const struct ownership_map *m, const char *name)
{
	struct ownership_cell key = {.weight = 1};
	size_t n = strlen(name);

	if (n >= sizeof(key.name) || m->n_cells == 0)
		return NULL;
	memcpy(key.name, name, n);
	return bsearch(&key, m->cells, m->n_cells, sizeof(key), ownership_cell_compare);
}

struct election_position cellmap_position(const struct ownership_map *m)
{
	return (struct election_position){m->epoch, m->version};
}

int cellmap_position_compare(struct election_position a, struct election_position b)
{
	if (a.epoch != b.epoch)
		return a.epoch < b.epoch ? -1 : 1;
	return (a.version > b.version) - (a.version < b.version);
}

static int text_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int cellmap_from_inventory(struct ownership_map *out, const struct conf_inventory *inventory)
{
	uint32_t n = inventory->n_elements, n_cells = 0;
	const char **regions = calloc(n > 0 ? n : 1, sizeof(*regions));
	struct ownership_map m = {0};
	int err;

	if (regions == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		regions[i] = inventory->elements[i].region;
	qsort(regions, n, sizeof(*regions), text_compare);
	for (uint32_t i = 0; i < n; i++)
		n_cells += i == 0 || strcmp(regions[i - 1], regions[i]) != 0;
	err = cells_alloc(&m, n_cells);
	n_cells = 0;
	for (uint32_t i = 0; err == 0 && i < n; i++) {
		if (i == 0 || strcmp(regions[i - 1], regions[i]) != 0)
			strncpy(m.cells[n_cells++].name, regions[i], OWNERSHIP_NAME_BYTES - 1);
		m.cells[n_cells - 1].weight++;
	}
	free(regions);
	if (err == 0)
		*out = m;
	return err;
}

int cellmap_merge(struct ownership_map *out, const struct ownership_map *regions,
		  const struct ownership_map *held)
{
	int err = cellmap_copy(out, regions);

	if (err != 0)
		return err;
	out->epoch = held->epoch;
	out->version = held->version;
	for (uint32_t i = 0; i < out->n_cells; i++) {
		const struct ownership_cell *old = cellmap_find(held, out->cells[i].name);
		uint32_t weight = out->cells[i].weight;

		if (old == NULL)
			continue;
		out->cells[i] = *old;
		out->cells[i].weight = weight;
	}
	return 0;
}

int cellmap_to_wire(struct wire_cell **cells, const struct ownership_map *m)
{
	struct wire_cell *to = calloc(m->n_cells > 0 ? m->n_cells : 1, sizeof(*to));

	if (to == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < m->n_cells; i++) {
		const struct ownership_cell *c = &m->cells[i];

		to[i] = (struct wire_cell){
			.name = c->name,
			.owner = c->owner,
			.standby = c->standby,
			.n_elements = c->weight,
			.token = {c->token.epoch, c->token.generation},
		};
	}
	*cells = to;
	return 0;
}

int cellmap_from_wire(struct ownership_map *out, const struct wire_map_proposal *from)
{
	struct ownership_map m = {.epoch = from->epoch, .version = from->version};
	int err = cells_alloc(&m, from->n_cells);

	if (err != 0)
		return err;
	for (uint32_t i = 0; i < from->n_cells; i++) {
		const struct wire_cell *c = &from->cells[i];
		struct ownership_cell *to = &m.cells[i];

		/* wire has checked the length of the name and the range of the ids */
		memcpy(to->name, c->name, strlen(c->name));
		to->weight = c->n_elements;
		to->owner = (uint16_t)c->owner;
		to->standby = (uint16_t)c->standby;
		to->token = (struct ownership_token){c->token.epoch, c->token.generation};
		if (i > 0 && ownership_cell_compare(to - 1, to) >= 0) {
			cellmap_fini(&m);
			return -EBADMSG;
		}
	}
	*out = m;
	return 0;
}

int cellmap_pack(struct wire_bytes *out, const struct ownership_map *m, uint16_t self)
{
	struct wire_map_proposal p = {
		.from = self,
		.to = self,
		.epoch = m->epoch,
		.version = m->version,
		.n_cells = m->n_cells,
	};
	int err = cellmap_to_wire(&p.cells, m);

	if (err == 0)
		err = wire_map_proposal_pack(&p, out);
	free(p.cells);
	return err;
}

int cellmap_unpack(struct ownership_map *out, const uint8_t *bytes, size_t n)
{
	struct wire_map_proposal *p;
	int err = wire_map_proposal_unpack(bytes, n, &p);

	if (err != 0)
		return err;
	err = cellmap_from_wire(out, p);
	wire_free(p);
	return err;
}
