/* cellmap.h - ownership maps that own their cells: copying, storing, sending, planning from an
 * inventory.
 *
 * Thread:  control.
 * Memory:  a map that a function here fills is emptied with cellmap_fini(); an all-zero map is
 *          empty.
 * Returns: 0 done; <0 -errno, nothing changed.
 */
#ifndef BELLWETHER_CP_CLUSTER_CELLMAP_H
#define BELLWETHER_CP_CLUSTER_CELLMAP_H

#include "cp/election/election.h"
#include "cp/ownership/ownership.h"
#include "cp/wire/wire.h"
#include "dp/conf/conf.h"

void cellmap_fini(struct ownership_map *m);
int cellmap_copy(struct ownership_map *out, const struct ownership_map *m);
bool cellmap_is_same(const struct ownership_map *a, const struct ownership_map *b); /* cells */
bool cellmap_has_same_names(const struct ownership_map *a, const struct ownership_map *b);
const struct ownership_cell *cellmap_find(const struct ownership_map *m, const char *name);

struct election_position cellmap_position(const struct ownership_map *m);
/* <0, 0, >0 */
int cellmap_position_compare(struct election_position a, struct election_position b);

/* The cells that the inventory's regions make, by name, with their weights and without owners. */
int cellmap_from_inventory(struct ownership_map *out, const struct conf_inventory *inventory);
/* The cells of 'regions'; those that 'held' has too keep owner, standby and token. */
int cellmap_merge(struct ownership_map *out, const struct ownership_map *regions,
		  const struct ownership_map *held);

/* '*cells' is freed with free(); its names point into 'm'. */
int cellmap_to_wire(struct wire_cell **cells, const struct ownership_map *m);
int cellmap_from_wire(struct ownership_map *out, const struct wire_map_proposal *m);

/* As the store keeps it. -EBADMSG: no map. */
int cellmap_pack(struct wire_bytes *out, const struct ownership_map *m, uint16_t self);
int cellmap_unpack(struct ownership_map *out, const uint8_t *bytes, size_t n);

#endif
