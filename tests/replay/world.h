/* world.h - what a data plane finds when it starts to replay a case: its configuration in a
 * temporary folder, and a segment that a control plane would have prepared.
 *
 * This is server 1. Cells are the regions of the inventory: 'here' is its own, 'there' belongs to
 * server 2, which can be reached, any other to nobody. One port reads the case's in.pcap and writes
 * out.pcap, as the relay port too. inventory.yaml is the case's own, or else the one beside all
 * cases; rules.yaml likewise.
 *
 * Thread:  one.
 * Memory:  world_fini() frees and removes everything; takes what world_init() left half-done.
 * Returns: 0 done; <0: standard output says why, as a TAP diagnostic.
 */
#ifndef BELLWETHER_TESTS_REPLAY_WORLD_H
#define BELLWETHER_TESTS_REPLAY_WORLD_H

#include <linux/limits.h>
#include <stdbool.h>

#include "dp/conf/conf.h"
#include "dp/fedmem/fedmem.h"
#include "tests/replay/lines.h"

/* What a case wants to be otherwise. */
struct world_given {
	struct lines configuration; /* SECTION.KEY VALUE, in bellwether.yaml */
	bool is_lease_over;
};

struct world {
	char folder[PATH_MAX - 64];
	char configuration[PATH_MAX], sent[PATH_MAX], log[PATH_MAX];
	struct conf *conf;
	struct fedmem *fm;
};

int world_init(struct world *w, const char *case_folder, const struct world_given *given);
void world_fini(struct world *w);

#endif
