/* ownership.h - which server owns which cell, and which stands by.
 * Weighted rendezvous hashing (Thaler and Ravishankar, 1998; weights after Schindelhauer and
 * Schomaker, 2005) with a load bound (Mirrokni, Thorup, Zadimoghaddam, 2018), and sticky: a cell
 * whose owner lives stays where it is. Decides; sends and stores nothing.
 *
 * Thread:  control.
 * Memory:  works on the caller's arrays; nothing it returns has to be freed. Arrays of cells are in
 * the ascending order of their names (strcmp), all different: see ownership_cell_compare().
 * Returns: 0 done; <0 -errno, nothing changed.
 */
#ifndef BELLWETHER_CP_OWNERSHIP_OWNERSHIP_H
#define BELLWETHER_CP_OWNERSHIP_OWNERSHIP_H

#include <stdbool.h>
#include <stdint.h>

#define OWNERSHIP_NAME_BYTES  40
#define OWNERSHIP_SERVERS_MAX 64

/* (epoch, generation): whoever is shown a lower one than it has seen refuses. */
struct ownership_token {
	uint64_t epoch, generation;
};
int ownership_token_compare(struct ownership_token a, struct ownership_token b); /* <0, 0, >0 */

struct ownership_cell {
	char name[OWNERSHIP_NAME_BYTES]; /* zero-terminated */
	uint32_t weight;		 /* its load, e.g. its number of elements; > 0 */
	uint16_t owner, standby;	 /* 0: nobody */
	struct ownership_token token;	 /* of its present owner */
	uint16_t pin;			 /* the server that an operator chose; 0: none */
};

/* For qsort() and bsearch(): by name. */
int ownership_cell_compare(const void *a, const void *b);

struct ownership_server {
	uint16_t id;
	uint32_t weight; /* its capacity; > 0 */
	bool is_alive;	 /* the master's word */
	bool is_drained; /* an operator's: owns and stands by only where nobody else can */
};

struct ownership_plan {
	uint32_t n_moved;    /* cells that got another owner, or their first */
	uint32_t n_standbys; /* cells that kept their owner and got another standby */
};

/* Gives every cell a living owner and, where two servers live, a living standby on another server,
 * in place. Good: a living server that is not drained; one that is drained gets something only
 * where no good one is left to take it. pinned to a good server    it goes there; its former owner
 * stands by if it is good owner good                 it stays, and its token too owner dead or
 * drained      it goes to its standby if that is good, else to the best good one by hash under the
 * load bound of 1.25 x mean standby dead or drained    another one by hash A pin to any other
 * server waits until that is good. A server that is no longer drained gets nothing back by itself.
 * A cell that moves gets the token (epoch, its generation + 1). With no living server nothing is
 * changed and owners stay as they are: -ENOENT. -EINVAL: cells out of order or two of one name, a
 * name that is empty or without an end, a weight of zero, two servers of one id, more of them than
 * OWNERSHIP_SERVERS_MAX, or a cell whose token is of a later epoch than 'epoch'. */
int ownership_plan(struct ownership_cell *cells, uint32_t n_cells,
		   const struct ownership_server *servers, uint32_t n_servers, uint64_t epoch,
		   struct ownership_plan *plan);

/* The map as a whole, as it was after an entry of the registry: the position is (the entry's epoch,
 * its index). */
struct ownership_map {
	uint64_t epoch, version;
	struct ownership_cell *cells;
	uint32_t n_cells;
};

#endif
