/* archive.h - this server's part of the data store: the event log, and the records of elements,
 * alarms, operators' notes and servers as they were last. Owner and standby of a cell both keep
 * what belongs to it. A store of its own, apart from the registry's: that one must always have
 * room.
 *
 * Keys are such that writing a record twice is writing it once: events by (origin, number), alarms
 * and notes by (element, type, resource, qualifier), elements by id.
 *
 * When it fills: events older than the configured age go first, then the oldest ones above the
 * configured size, hour by hour; alarms, notes and elements stay. No room on the disk, or none left
 * to give: one line says so, store_state becomes "full", nothing more is acknowledged, what waits
 * is kept and tried again every second.
 * A commit that fails for another reason ends the process; the next start recovers.
 * A damaged file or one of another version is named in the log, set aside, and a new one begun.
 *
 * Thread:  control.
 * Memory:  copies what it is given; what it lends in a call-back lives for the call.
 * Returns: 0 done; <0 -errno.
 */
#ifndef BELLWETHER_CP_ARCHIVE_ARCHIVE_H
#define BELLWETHER_CP_ARCHIVE_ARCHIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "cp/store/store.h"
#include "cp/wire/wire.h"

struct archive; /* opaque: see archive.c */
struct archive_batch;

struct archive_config {
	struct uv_loop_s *loop;
	const char *dir; /* state_dir/archive */
	uint16_t self;
	uint64_t bytes_max;	   /* of the file */
	uint64_t events_bytes_max; /* that events may take of it */
	uint64_t events_keep_s;
};

/* '*is_new': there was none, or it was set aside: what the peers hold of us has to be fetched. */
int archive_open(struct archive **out, const struct archive_config *cfg, bool *is_new, char *why,
		 size_t why_bytes);

/* ---- Writing ---- */

/* NULL: no memory. What is put in is copied. After a failed put (-ENOMEM; -EMSGSIZE: too long a
 * record) the batch can only be freed. An event that is on disk already is not put again. */
struct archive_batch *archive_batch(struct archive *a);
int archive_put_event(struct archive_batch *b, const struct wire_event *e);
/* State FREE: it is no longer kept. */
int archive_put_alarm(struct archive_batch *b, const struct wire_stored_alarm *s);
int archive_put_element(struct archive_batch *b, const struct wire_stored_element *s);
int archive_put_note(struct archive_batch *b, const struct wire_alarm_note *n);
int archive_put_sync(struct archive_batch *b, const struct wire_cell_sync *s);
int archive_put_status(struct archive_batch *b, const struct wire_status *s);
/* Removes the element's alarms and notes; put new ones behind it in the same batch. */
int archive_drop_alarms(struct archive_batch *b, uint64_t element_id);
/* A small record of the caller's, by name. */
int archive_put_mark(struct archive_batch *b, const char *name, const void *value, size_t n);
void archive_batch_free(struct archive_batch *b); /* takes NULL */

/* Takes the batch, whatever it returns. 'done' runs on disk, never before; when there is no room it
 * runs when there is again. -ENOBUFS: too much waits, hold back and come again. */
int archive_commit(struct archive *a, struct archive_batch *b, void (*done)(void *user),
		   void *user);

/* The next number of this server's own events: rises over restarts, and over the loss of the file
 * (a new one begins at the seconds of UNIX time x 2^20). */
uint64_t archive_next_number(struct archive *a);

/* Called for every event once it is on disk, own and others', in the order of the commits. At most
 * one follower. */
void archive_follow(struct archive *a, void (*seen)(void *user, const struct wire_event *e),
		    void *user);

/* ---- Reading ---- */

/* Each 'see' says whether to go on. A record whose checksum is wrong is counted, logged, left out.
 */

/* Alarms of elements with ids in [first, last], by element. */
int archive_alarms(struct archive *a, uint64_t first, uint64_t last,
		   bool (*see)(void *user, const struct wire_stored_alarm *s), void *user);
int archive_notes(struct archive *a, uint64_t first, uint64_t last,
		  bool (*see)(void *user, const struct wire_alarm_note *n), void *user);
int archive_elements(struct archive *a, uint64_t first, uint64_t last,
		     bool (*see)(void *user, const struct wire_stored_element *s), void *user);
/* Events of one origin with numbers in (after, last], in the order asked for. */
int archive_events(struct archive *a, uint16_t origin, uint64_t after, uint64_t last,
		   bool is_descending, bool (*see)(void *user, const struct wire_event *e),
		   void *user);
uint32_t archive_origins(struct archive *a, uint16_t *out,
			 uint32_t room); /* that there are events of */
/* false: there is none. '*out' is freed with wire_free(). */
bool archive_sync(struct archive *a, const char *cell, struct wire_cell_sync **out);
bool archive_status(struct archive *a, struct wire_status **out);
bool archive_mark(struct archive *a, const char *name, void *value, size_t *n);

struct archive_state {
	const char *name; /* "ok", "full" */
	uint64_t bytes_used, bytes_max;
	uint64_t n_events, n_events_dropped; /* dropped: by age or size, since the start */
	uint64_t n_damaged;		     /* records found so, since the start */
	uint64_t full_since_ms;
	const char *set_aside; /* name of the file that was set aside at the start; "": none */
};
void archive_look(struct archive *a, struct archive_state *out);

void archive_close(struct archive *a); /* finishes what can be stored; takes NULL */

#endif
