/* merge.h - parts of lists as one list. Private to cp/fanout.
 * Memory: records are copied as structs; what they point to stays their owner's. merge_fini().
 * Returns: 0; -ENOMEM.
 */
#ifndef BELLWETHER_CP_FANOUT_MERGE_H
#define BELLWETHER_CP_FANOUT_MERGE_H

#include "cp/fanout/fanout.h"

struct merge {
	enum fanout_kind kind;
	uint8_t *records; /* struct wire_element or struct wire_alarm */
	size_t record_bytes;
	uint32_t n, room;
	uint64_t whole_until; /* element id: up to here every part is whole */
	uint64_t n_left_out;
};

void merge_init(struct merge *m, enum fanout_kind kind);
int merge_add(struct merge *m, const struct fanout_list *part);
uint64_t merge_element_id(const struct merge *m, uint32_t at);
/* Leaves one of each, by element, then type, resource and qualifier; see fanout.h. */
void merge_memories(struct merge *m);
void merge_stores(struct merge *m);
/* Leaves what 'is_kept' says. */
void merge_keep(struct merge *m, bool (*is_kept)(const void *record, void *user), void *user);
/* Puts what 'other' has beside what 'm' has: both are merged, and of no element do both speak. */
int merge_join(struct merge *m, const struct merge *other);
/* The first 'limit' elements of it, into the list. May be done again with a lower limit. */
void merge_cut(struct merge *m, uint32_t limit, struct fanout_list *list);
void merge_fini(struct merge *m);

#endif
