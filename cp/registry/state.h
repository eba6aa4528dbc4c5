/* state.h - what the entries made: inventory, cells, drained servers, trail, done requests. Read
 * row by row, from the store or from a snapshot. Private to cp/registry.
 *
 * Thread:  control.
 * Memory:  all-zero but for its inventory, which is the caller's, a state is empty.
 * Returns: 0 done; -ENOMEM; -EBADMSG: rows that make no sense.
 */
#ifndef BELLWETHER_CP_REGISTRY_STATE_H
#define BELLWETHER_CP_REGISTRY_STATE_H

#include "cp/registry/requests.h"
#include "cp/registry/rows.h"
#include "cp/registry/trail.h"

struct state_cell {
	struct ownership_cell row; /* weight 0: it has no elements, and is not in the map */
	bool is_touched;	   /* of an entry that is being applied */
};

struct state {
	struct inventory *inventory;
	uint64_t last_id;	  /* the highest of an element */
	struct state_cell *cells; /* by name */
	uint32_t n_cells, cells_max;
	uint64_t drained[65536 / 64]; /* bitmap by server id */
	struct trail trail;
	struct requests requests;
	struct row_position map;   /* the entry that changed the map last */
	struct ownership_map view; /* the cells with elements; see state_view() */
	uint32_t view_max;
};

/* A row with a key of its own. Tables in any order, the rows of one by their keys. */
int state_read(struct state *s, uint32_t table, const struct row_octets *row);
/* After the last row, which are all up to entry 'applied'. Gives cells their weights. '*why' says
 * what contradicts what. */
int state_settle(struct state *s, uint64_t applied, const char **why);

/* NULL: there never was one. */
struct state_cell *state_cell(const struct state *s, const char *name);
/* The cell of this name, made where there is none. Moves others: pointers to cells end. */
int state_cell_add(struct state *s, const char *name, struct state_cell **out, bool *is_new);
bool state_is_drained(const struct state *s, uint16_t server);
void state_set_drained(struct state *s, uint16_t server, bool is_drained);
/* Makes 'view' anew. */
int state_view(struct state *s);

/* Forgets all but the inventory, which stays as it is. */
void state_fini(struct state *s);

#endif
