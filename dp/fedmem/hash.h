/* hash.h - one keyed hash for everything that is looked up in the segment. Private to dp/fedmem.
 * A product of two 64-bit words folded onto itself mixes every input bit into every output bit; the
 * key is drawn when the segment is made, so a sender cannot choose names that collide.
 *
 * Thread:  any.
 * Memory:  none.
 */
#ifndef BELLWETHER_DP_FEDMEM_HASH_H
#define BELLWETHER_DP_FEDMEM_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t hash_fold(uint64_t a, uint64_t b)
{
	__uint128_t product = (__uint128_t)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* 'bytes' is a multiple of 8. */
static inline uint32_t hash_words(uint64_t key, const void *data, size_t bytes)
{
	uint64_t h = key;

	for (size_t i = 0; i < bytes; i += 8) {
		uint64_t word;

		memcpy(&word, (const char *)data + i, 8);
		h = hash_fold(h ^ word ^ 0x9e3779b97f4a7c15u, key | 1) + word;
	}
	return (uint32_t)(hash_fold(h ^ bytes, 0xd6e8feb86659fd93u) >> 32);
}

#endif
