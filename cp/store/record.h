/* record.h - how records lie in LMDB: one database, each key behind one octet with its table's
 * number, each value behind the CRC32C of key and value. Two records of the store's own have names
 * that no table's number can begin:
 *   "store_version"   be32 of the store, be32 of the caller. It looks the same in every version
 *   "store_head"      be64: the transaction that wrote the file last. It is compared with LMDB's
 * own number, which has no checksum: a flipped bit there would bring back an older state, whole,
 * but without what was acknowledged since
 *
 * Thread:  any; no state.
 * Memory:  borrows.
 * Returns: see each.
 */
#ifndef BELLWETHER_CP_STORE_RECORD_H
#define BELLWETHER_CP_STORE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cp/store/crc32c.h"

#define RECORD_VERSION_KEY "store_version"
#define RECORD_HEAD_KEY	   "store_head"
#define RECORD_SUM_BYTES   4

static inline void record_put_be(uint8_t *to, uint64_t v, int n)
{
	for (int i = 0; i < n; i++)
		to[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
}

static inline uint64_t record_get_be(const uint8_t *from, int n)
{
	uint64_t v = 0;

	for (int i = 0; i < n; i++)
		v = v << 8 | from[i];
	return v;
}

static inline uint32_t record_sum(const void *key, size_t key_bytes, const void *value, size_t n)
{
	return store_crc32c(store_crc32c(0, key, key_bytes), value, n);
}

/* Whether record[0..n), with the sum in front, belongs to this key. */
static inline bool record_is_whole(const void *key, size_t key_bytes, const uint8_t *record,
				   size_t n)
{
	return n >= RECORD_SUM_BYTES &&
	       record_get_be(record, RECORD_SUM_BYTES) ==
		       record_sum(key, key_bytes, record + RECORD_SUM_BYTES, n - RECORD_SUM_BYTES);
}

#endif
