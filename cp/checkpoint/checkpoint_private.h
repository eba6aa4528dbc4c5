/* checkpoint_private.h - what the files of cp/checkpoint share. */
#ifndef BELLWETHER_CP_CHECKPOINT_CHECKPOINT_PRIVATE_H
#define BELLWETHER_CP_CHECKPOINT_CHECKPOINT_PRIVATE_H

#include <uv.h>

#include "cp/checkpoint/checkpoint.h"

/* A turn of the loop looks at so many, and writes so many, then others have their turn. */
#define LOOKS_A_TURN  4096
#define WRITES_A_TURN 500

/* What is written with one batch. */
struct slice {
	struct memory_page *page;
	struct wire_stored_element *elements; /* WRITES_A_TURN, of one cell */
	struct wire_stored_alarm *alarms;     /* WRITES_A_TURN, by cell when it is written */
	struct {
		uint64_t *at, mark;
	} * marks; /* to be remembered when the archive took it */
	uint32_t n_elements, n_alarms, n_marks, n_looks;
};

enum phase { PHASE_WAIT, PHASE_ELEMENTS, PHASE_ALARMS, PHASE_FORGET, PHASE_STATUS, PHASE_END };

struct checkpoint {
	struct checkpoint_config cfg;
	uint16_t self;
	uv_timer_t *timer; /* closes after checkpoint_destroy(): lives on the heap */
	/* Hashes of what was written: by the element's slot, by the alarm's entry. 0: nothing. */
	uint64_t *element_marks, *alarm_marks;
	struct fedmem_metric *metrics; /* of one element */
	struct fedmem_cell *cells;     /* forget.c alone */
	enum phase phase;
	uint64_t began_ms;
	char cell[OWNERSHIP_NAME_BYTES]; /* being looked at; "": none yet */
	uint64_t after;			 /* element: of the cell, or of the archive */
	uint32_t alarm_at;
	uint64_t n_rounds;
	uint32_t n_waiting; /* batches that are not on disk yet */
	bool is_begun;	    /* the first round */
};

/* NULL: no memory. */
struct wire_stored_alarm *slice_alarm(struct slice *s);

/* ---- forget.c ---- */

/* Adds alarms that the archive keeps and the memory does not any more, as FREE; goes on behind
 * c->after. '*is_over': that were all. -ENOMEM, or what the archive says. */
int forget_look(struct checkpoint *c, struct slice *s, bool *is_over);

#endif
