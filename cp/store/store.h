/* store.h - the door to LMDB: tables of records that must survive, each record with a CRC32C.
 * What belongs together goes into a batch; batches go to the store's own thread in the order given.
 * Those that wait together are one transaction and one sync (group commit), and a batch's callback
 * runs once it is on disk.
 *
 * What can go wrong with a commit:
 *   no room (disk full, the map full)   nothing of the transaction is stored, its batches are
 *                                       answered -ENOSPC, and the store goes on: the caller tries
 *                                       again, or gives way
 *   anything else                       what the file holds is unknown; every batch from then on
 *                                       gets that error, and the caller ends the process. The start
 *                                       is the recovery
 *
 * Thread:  control. The module's own thread: "store".
 * Memory:  copies keys and values given; store_get() copies out, a scan lends.
 * Returns: 0 done; <0 -errno; >0 an enum store_answer.
 */
#ifndef BELLWETHER_CP_STORE_STORE_H
#define BELLWETHER_CP_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uv_loop_s;

enum store_answer {
	STORE_NOT_FOUND = 1,
	STORE_DAMAGED, /* a record's checksum is wrong, or the file is no whole one; see 'why' */
	STORE_OTHER_VERSION, /* the file was made by another version; see 'why' */
};

#define STORE_VERSION	    2u
#define STORE_KEY_MAX	    255 /* octets; at least 1 */
#define STORE_VALUE_MAX	    (1u << 20)
#define STORE_TABLES_MAX    16
#define STORE_WAITING_MAX   4096	/* batches */
#define STORE_WAITING_BYTES (64u << 20) /* of the batches that wait; then -ENOBUFS */

struct store;	    /* opaque: see store.c */
struct store_batch; /* writes that are stored together or not at all */

struct store_config {
	const char *dir;    /* made where there is none, its parents not */
	uint64_t bytes_max; /* of the file; rounded up to whole pages */
	bool is_reserved;   /* the disk's room for all of it is taken at once: no write fails later
			       for that reason */
	uint32_t n_tables;  /* numbered from 0 */
	uint32_t version;   /* of the caller's records; another one there: STORE_OTHER_VERSION */
};

/* Reads the whole file first, and lets LMDB have it only when every page is right (verify.h).
 * 'why' says in words what was wrong. -EBUSY: another process has it open. STORE_DAMAGED,
 * STORE_OTHER_VERSION: see store_set_aside(). -ENOSPC: no room to reserve. */
int store_open(struct store **out, struct uv_loop_s *loop, const struct store_config *cfg,
	       char *why, size_t why_bytes);
/* Renames the file in 'dir' out of the way, durably, so that the next store_open() makes a new one.
 * 'name' gets the new name: "data.mdb.damaged.1". Nothing is ever overwritten. */
int store_set_aside(const char *dir, const char *reason, char *name, size_t name_bytes);

/* ---- Writing ---- */

int store_batch_create(struct store_batch **out);
/* -EINVAL: an empty or too long key; -E2BIG: a too long value; -ENOMEM. */
int store_batch_put(struct store_batch *b, uint32_t table, const void *key, size_t key_bytes,
		    const void *value, size_t n);
/* One that is not there is no error. */
int store_batch_delete(struct store_batch *b, uint32_t table, const void *key, size_t key_bytes);
/* All with first <= key < end, octet by octet. An end of 0 octets: all from 'first' on. */
int store_batch_delete_range(struct store_batch *b, uint32_t table, const void *first,
			     size_t first_bytes, const void *end, size_t end_bytes);
uint32_t store_batch_count(const struct store_batch *b);
size_t store_batch_bytes(const struct store_batch *b);
/* Puts what is in 'from' behind what is in 'to'. -ENOMEM: 'to' is as it was. */
int store_batch_append(struct store_batch *to, const struct store_batch *from);
void store_batch_free(struct store_batch *b); /* one that was not committed; takes NULL */

/* Takes the batch, whatever it returns. 'done' (may be NULL) runs on the control thread, 'err' 0 or
 * -errno. -ENOBUFS: too much waits already. */
int store_commit(struct store *s, struct store_batch *b, void (*done)(void *user, int err),
		 void *user);
/* The same, but the batch stays the caller's, who leaves it alone until 'done', and may commit it
 * again then. It must outlive store_close(). */
int store_commit_kept(struct store *s, struct store_batch *b, void (*done)(void *user, int err),
		      void *user);
/* A batch of one put, with a key that is a text. */
int store_put(struct store *s, uint32_t table, const char *key, const void *value, size_t n,
	      void (*done)(void *user, int err), void *user);

/* ---- Reading: what is on disk, not what waits. It may block on the disk. ---- */

/* '*n' is the room at first, then the length. -ENOSPC: longer than the room. */
int store_get(struct store *s, uint32_t table, const void *key, size_t key_bytes, void *value,
	      size_t *n);

struct store_scan;
enum store_order { STORE_ASCENDING, STORE_DESCENDING };
/* Over one table as it is now, from 'key' on (no octets: from the end where the order begins). */
int store_scan_begin(struct store_scan **out, struct store *s, uint32_t table, const void *key,
		     size_t key_bytes, enum store_order order);
/* Lends key and value until the scan ends. STORE_NOT_FOUND: that was the last. STORE_DAMAGED: this
 * record's checksum is wrong; its key is lent, and the scan goes on behind it. */
int store_scan_next(struct store_scan *scan, const void **key, size_t *key_bytes,
		    const void **value, size_t *n);
/* Soon: while a scan lasts no page that was replaced can be used again. Takes NULL. */
void store_scan_end(struct store_scan *scan);

struct store_state {
	uint64_t bytes_used, bytes_max; /* of the file; pages that may be used again do not count */
	uint64_t n_commits, n_batches, commit_ns; /* so far; the longest commit's duration */
	uint64_t n_damaged; /* records with a wrong checksum, when it was opened: what a get answers
			       as not found may be one whose key was hit */
	bool is_full;	    /* the last commit found no room */
	int failed;	    /* 0, or the error that ended writing */
};
void store_look(struct store *s, struct store_state *out);

/* Finishes what waits, without further callbacks. The loop has to turn once more before it is
 * closed. Takes NULL. */
void store_close(struct store *s);

#endif
