/* memory_private.h - what the files of cp/memory share. */
#ifndef BELLWETHER_CP_MEMORY_MEMORY_PRIVATE_H
#define BELLWETHER_CP_MEMORY_MEMORY_PRIVATE_H

#include "cp/memory/memory.h"

struct memory {
	struct fedmem *fm;
	struct cluster *cluster;
	const struct inventory *inventory;
	struct fedmem_metric *metrics; /* room for one element's */
	struct note **notes;	       /* by the hash of their alarm's key; see note.c */
	uint32_t n_notes, n_note_chains;
};

/* The cell of the element when this server owns it; else NULL. */
const struct ownership_cell *memory_owned_cell(struct memory *m, const struct conf_element *e);
/* Does a state or an alarm that carries this token count, now that the cell has its present one? */
bool memory_is_kept_under(struct fedmem_token token, const struct ownership_cell *cell);
/* Alarms of elements with an id in (after, last]; see memory_alarms(). */
int memory_alarms_into(struct memory *m, struct memory_page *p, uint64_t after, uint64_t last,
		       uint32_t limit, bool with_cleared, struct wire_alarm_list *list);

/* A text that ends at its first zero or fills its field. */
struct wire_octets memory_octets(const char *text, size_t room);
void memory_notes_free(struct memory *m);

#endif
