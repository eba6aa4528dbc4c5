/* archive_private.h - what the files of this folder share.
 *
 * Thread:  control.
 * Memory:  see archive.h.
 * Returns: see each.
 */
#ifndef BELLWETHER_CP_ARCHIVE_ARCHIVE_PRIVATE_H
#define BELLWETHER_CP_ARCHIVE_ARCHIVE_PRIVATE_H

#include <uv.h>

#include "cp/archive/archive.h"

#define ARCHIVE_VERSION 1u

enum archive_table {
	ARCHIVE_EVENTS,	  /* origin (2 octets), number (8) */
	ARCHIVE_ALARMS,	  /* element (8), octets of the type (1), type, the same of the resource,
			     qualifier */
	ARCHIVE_NOTES,	  /* as alarms */
	ARCHIVE_ELEMENTS, /* id (8) */
	ARCHIVE_SYNCS,	  /* the cell's name */
	ARCHIVE_STATUS,	  /* KEY_STATUS */
	ARCHIVE_MARKS,	  /* a name; names of our own begin with an octet 0 */
	ARCHIVE_TABLES,
};

#define KEY_STATUS	   "status"
#define KEY_BEGUN	   "\0begun"  /* when the file was made, 8 octets of nanoseconds */
#define KEY_NUMBER	   "\0number" /* the highest of our own events, 8 octets */
#define KEY_OWN_BYTES(key) (sizeof(key) - 1)

#define EVENT_KEY_BYTES	 10
#define RECORD_KEY_BYTES (8 + 1 + 40 + 1 + 48 + 24)
/* What an event takes beside its key and its packed form: the table's octet, the checksum, LMDB's
 * node and pointer. */
#define EVENT_MORE_BYTES 15

struct event_copy {
	struct event_copy *next;
	struct wire_bytes packed;
};

struct archive_done {
	struct archive_done *next;
	void (*done)(void *user);
	void *user;
};

/* One, or several that were committed behind each other and are written as one. */
struct archive_batch {
	struct archive_batch *next;
	struct archive *a;
	struct store_batch *ops;
	struct event_copy *events, **events_end;
	struct archive_done *dones, **dones_end;
	uint64_t n_events, events_bytes, highest; /* of our own numbers; 0: none */
	uint32_t n_batches;
};

/* Events that are being dropped: from one origin, the oldest. */
struct drop {
	struct store_batch *ops; /* NULL: nothing is */
	uint64_t n_events, bytes;
	bool is_by_age;
};

struct archive {
	struct archive_config cfg;
	struct store *store;
	char *dir;
	char set_aside[64]; /* name of the file that was, at the start; "": none */
	uv_timer_t *timer;
	void (*seen)(void *user, const struct wire_event *e);
	void *seen_user;
	uint64_t next_number;

	/* The queue: the first is what is tried; with one under way at a time a later one can never
	 * be stored without an earlier one. */
	struct archive_batch *first, **end;
	uint64_t bytes_waiting;
	uint32_t n_waiting;
	bool is_flying; /* the first, or the drop */
	struct drop drop;
	uint64_t full_since_ms; /* 0: it is not */

	uint64_t n_events, events_bytes;
	uint64_t n_dropped, n_dropped_told, told_ms;
	uint64_t age_checked_ms; /* and nothing was left to drop */
	uint64_t n_damaged;
};

/* ---- Keys ---- */

void archive_put_be(uint8_t *to, uint64_t v, int n);
uint64_t archive_get_be(const void *from, int n);
void archive_event_key(uint8_t key[EVENT_KEY_BYTES], uint16_t origin, uint64_t number);

/* ---- Between the files ---- */

/* Sends what is due: a drop of events, else what waits first. 'is_retry': though it was full. */
void archive_pump(struct archive *a, bool is_retry);
/* Makes a->drop when something has to go. */
void archive_drop_find(struct archive *a);
void archive_drop_free(struct archive *a);
/* It is on disk. */
void archive_drop_done(struct archive *a);
void archive_tell_dropped(struct archive *a, bool is_end);
/* Counts, logs and removes a record that cannot be read. */
void archive_damaged(struct archive *a, enum archive_table table, const void *key,
		     size_t key_bytes);
void archive_queue_free(struct archive *a);
/* Everything that waits, as one batch; NULL: nothing waits. */
struct store_batch *archive_queue_join(struct archive *a);

/* One of 'first' and 'last' with all between, in order. 'see' says whether to go on. */
int archive_scan(struct archive *a, enum archive_table table, const void *first, size_t first_bytes,
		 enum store_order order,
		 bool (*see)(void *user, const void *key, size_t key_bytes, const void *value,
			     size_t n),
		 void *user);

#endif
