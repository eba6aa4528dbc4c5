/* cellmap.h - ownership maps that own their cells, and finding a cell.
 *
 * Thread:  control.
 * Memory:  a map that a function here fills is emptied with cellmap_fini(); an all-zero map is
 *          empty.
 * Returns: 0 done; <0 -errno, nothing changed.
 */
#ifndef BELLWETHER_CP_CLUSTER_CELLMAP_H
#define BELLWETHER_CP_CLUSTER_CELLMAP_H

#include <stdbool.h>

#include "cp/ownership/ownership.h"

void cellmap_fini(struct ownership_map *m);
int cellmap_copy(struct ownership_map *out, const struct ownership_map *m);
const struct ownership_cell *cellmap_find(const struct ownership_map *m, const char *name);
/* Owner, standby and token; the rest follows from the inventory and from operators. */
bool cellmap_is_same_row(const struct ownership_cell *a, const struct ownership_cell *b);

#endif
