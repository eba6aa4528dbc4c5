/* store.h - the door to LMDB: small named records that must survive, each with a CRC32C of its own.
 * Writes go to the store's own thread in the order given and are synced to disk before their callback runs; those
 * that wait together are one commit. A failed commit: the callback says so, and the caller ends
 * the process, because what the file holds is then unknown; recovery is the start.
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

#define STORE_VERSION 1u
#define STORE_VALUE_MAX (1u << 20)

struct store; /* opaque: see store.c */

/* Opens or makes the environment in 'dir'. 'why' says in words what was wrong. */
int store_open(struct store **out, struct uv_loop_s *loop, const char *dir, char *why,
	       size_t why_bytes);
/* '*n' is the room at first, then the length. -ENOSPC: longer than the room. Reads what is on disk, not
 * what waits. For the start: it may block on the disk. */
int store_get(struct store *s, const char *key, void *value, size_t *n);
/* 'done' runs on the control thread, 'err' 0 or -errno. -ENOBUFS: 1024 writes wait already. */
int store_put(struct store *s, const char *key, const void *value, size_t n,
	      void (*done)(void *user, int err), void *user);
/* Finishes what waits, without further callbacks. Takes NULL. */
void store_close(struct store *s);

#endif
