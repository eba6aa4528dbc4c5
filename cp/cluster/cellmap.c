#include "cp/cluster/cellmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void cellmap_fini(struct ownership_map *m)
{
	free(m->cells);
	*m = (struct ownership_map){0};
}

int cellmap_copy(struct ownership_map *out, const struct ownership_map *m)
{
	struct ownership_map copy = *m;

	copy.cells = calloc(m->n_cells > 0 ? m->n_cells : 1, sizeof(*copy.cells));
	if (copy.cells == NULL)
		return -ENOMEM;
	if (m->n_cells > 0)
		memcpy(copy.cells, m->cells, m->n_cells * sizeof(*copy.cells));
	*out = copy;
	return 0;
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

bool cellmap_is_same_row(const struct ownership_cell *a, const struct ownership_cell *b)
{
	return a->owner == b->owner && a->standby == b->standby &&
	       ownership_token_compare(a->token, b->token) == 0;
}
