/* apply_private.h - what apply.c and restore.c share. */
#ifndef BELLWETHER_DP_APPLY_PRIVATE_H
#define BELLWETHER_DP_APPLY_PRIVATE_H

#include "dp/apply/apply.h"
#include "dp/apply/gaps.h"

struct apply {
	uint16_t self;
	const struct fedmem *fm;
	struct fedmem_writer *writer;
	struct stats *stats;
	struct apply_relay relay;
	struct gaps *gaps;
	struct fedmem_cell *cells;
	uint32_t n_cells, cells_max;
};

static inline bool apply_is_newer(uint64_t boot, uint64_t sequence, uint64_t known_boot,
				  uint64_t known_sequence)
{
	return boot > known_boot || (boot == known_boot && sequence > known_sequence);
}

#endif
