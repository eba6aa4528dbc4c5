/* fake_cluster.h - the part of cp/cluster that the services ask, as a table that a test fills: who
 * is there, which cell is whose. No election, no peers, no time.
 *
 * Memory:  fake_cluster_create() allocates, fake_cluster_destroy() frees; texts are copied.
 */
#ifndef BELLWETHER_TESTS_LIB_FAKE_CLUSTER_H
#define BELLWETHER_TESTS_LIB_FAKE_CLUSTER_H

#include "cp/cluster/cluster.h"

/* Servers 1 to n, all alive, of which 'self' is this one. No cells. NULL: no memory. */
struct cluster *fake_cluster_create(uint16_t self, uint16_t n_servers);
void fake_cluster_address(struct cluster *c, uint16_t server, const char *call_address);
void fake_cluster_state(struct cluster *c, uint16_t server, enum detector_state state);
void fake_cluster_master(struct cluster *c, uint16_t server, uint64_t epoch);
/* Adds the cell, or gives it to another owner. */
void fake_cluster_cell(struct cluster *c, const char *name, uint16_t owner, uint64_t epoch,
		       uint64_t generation);
void fake_cluster_standby(struct cluster *c, const char *name, uint16_t standby);

/* ---- Commands ---- */

/* Is it the acting master? Then a command is committed at once, with this outcome (its index rises
 * with each); while they are held, none is until they are ended with 'err'. */
void fake_cluster_acting(struct cluster *c, bool is_acting);
void fake_cluster_outcome(struct cluster *c, const struct registry_outcome *outcome);
void fake_cluster_hold(struct cluster *c);
void fake_cluster_end_held(struct cluster *c, int err);
uint32_t fake_cluster_commands(const struct cluster *c);
const struct wire_registry_entry *fake_cluster_command(const struct cluster *c, uint32_t at);

void fake_cluster_destroy(struct cluster *c); /* takes NULL */

#endif
