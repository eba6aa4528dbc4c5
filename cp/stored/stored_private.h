/* stored_private.h - what the files of cp/stored share. */
#ifndef BELLWETHER_CP_STORED_STORED_PRIVATE_H
#define BELLWETHER_CP_STORED_STORED_PRIVATE_H

#include "cp/stored/stored.h"

/* For which cells this server speaks, found out once for each. */
struct voice {
	const struct stored *stored;
	uint8_t *verdicts; /* by the cell's place in the map; 0: not known yet */
};
int voice_init(struct voice *v, const struct stored *s, struct memory_page *p);
bool voice_speaks(struct voice *v, const char *cell);

/* Alarms of elements with ids in (after, last]. */
int stored_alarms_into(const struct stored *s, struct memory_page *p, uint64_t after, uint64_t last,
		       uint32_t limit, bool with_cleared, struct wire_alarm_list *list);

#endif
