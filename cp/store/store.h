/* store.h - the door to LMDB: small named records that must survive, each with a CRC32C of its own.
 * Writes go to the store's own thread in the order given and are synced to disk before their
 * callback runs; those that wait together are one commit. A failed commit: the callback says so,
 * and the caller ends the process, because what the file holds is then unknown; recovery is the
 * start. Every write after it is answered with the same error, so that nothing is acknowledged on
 * top of an unknown.
 *
 * Thread:  control. The module's own thread: "store".
 * Memory:  copies keys and values given; store_get() copies out.
 * Returns: 0 done; <0 -errno; >0 an enum store_answer.
 */
#ifndef BELLWETHER_CP_STORE_STORE_H
#define BELLWETHER_CP_STORE_STORE_H

#include <stddef.h>
#include <stdint.h>

struct uv_loop_s;

enum store_answer {
	STORE_NOT_FOUND = 1,
	STORE_DAMAGED,	     /* the record's checksum is wrong */
	STORE_OTHER_VERSION, /* the file was made by another version; see 'why' */
};

#define STORE_VERSION	  1u
#define STORE_KEY_MAX	  255 /* octets, without the terminator */
#define STORE_VALUE_MAX	  (1u << 20)
#define STORE_BYTES_MAX	  (64u << 20) /* of the whole file; then writes fail with -ENOSPC */
#define STORE_WAITING_MAX 1024

struct store; /* opaque: see store.c */

/* Opens or makes the environment in 'dir' (and 'dir' itself, not its parents). 'why' says in words
 * what was wrong. -EBUSY: another process has it open; -EINVAL: the file there is another. */
int store_open(struct store **out, struct uv_loop_s *loop, const char *dir, char *why,
	       size_t why_bytes);
/* '*n' is the room at first, then the length. -ENOSPC: longer than the room. Reads what is on disk,
 * not what waits. For the start: it may block on the disk. */
int store_get(struct store *s, const char *key, void *value, size_t *n);
/* 'done' (may be NULL) runs on the control thread, 'err' 0 or -errno. -ENOBUFS: STORE_WAITING_MAX
 * writes wait already. -EINVAL: an empty or too long key; -E2BIG: a too long value. */
int store_put(struct store *s, const char *key, const void *value, size_t n,
	      void (*done)(void *user, int err), void *user);
/* Finishes what waits, without further callbacks. The loop has to turn once more before it is
 * closed. Takes NULL. */
void store_close(struct store *s);

#endif
