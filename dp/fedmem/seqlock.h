/* seqlock.h - sequence locks over plain records in shared memory. Private to dp/fedmem.
 * The sequence is odd while the record changes. Readers copy word by word with relaxed atomic loads
 * between two looks at the sequence, and throw the copy away when it moved (Boehm, "Can seqlocks
 * get along with programming language memory models?", 2012, section 4).
 *
 * Thread:  one writer per record, any number of readers.
 * Memory:  none of its own. Records are aligned to 8 and a multiple of 8 long.
 */
#ifndef BELLWETHER_DP_FEDMEM_SEQLOCK_H
#define BELLWETHER_DP_FEDMEM_SEQLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline void cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#else
	atomic_signal_fence(memory_order_seq_cst);
#endif
}

static inline void words_load(void *to, const void *from, size_t bytes)
{
	uint64_t *t = to;
	const uint64_t *f = from;

	for (size_t i = 0; i < bytes / 8; i++)
		t[i] = __atomic_load_n(&f[i], __ATOMIC_RELAXED);
}

static inline void words_store(void *to, const void *from, size_t bytes)
{
	uint64_t *t = to;
	const uint64_t *f = from;

	for (size_t i = 0; i < bytes / 8; i++)
		__atomic_store_n(&t[i], f[i], __ATOMIC_RELAXED);
}

/* The even sequence to hand to seqlock_read_ok(), or an odd one: being written. */
static inline uint32_t seqlock_read_begin(const _Atomic uint32_t *seq)
{
	/* pairs with the release in seqlock_write_end() */
	return atomic_load_explicit(seq, memory_order_acquire);
}

static inline bool seqlock_read_ok(const _Atomic uint32_t *seq, uint32_t begun)
{
	/* pairs with the release fence in seqlock_write_begin(): who copied a new word sees the odd
	 */
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(seq, memory_order_relaxed) == begun;
}

static inline bool seqlock_try_copy(const _Atomic uint32_t *seq, void *to, const void *from,
				    size_t bytes)
{
	uint32_t begun = seqlock_read_begin(seq);

	if (begun & 1)
		return false;
	words_load(to, from, bytes);
	return seqlock_read_ok(seq, begun);
}

static inline void seqlock_write_begin(_Atomic uint32_t *seq)
{
	uint32_t s = atomic_load_explicit(seq, memory_order_relaxed);

	/* release: what was put into a journal before is there when the sequence is odd */
	atomic_store_explicit(seq, s + 1, memory_order_release);
	atomic_thread_fence(memory_order_release);
}

static inline void seqlock_write_end(_Atomic uint32_t *seq)
{
	uint32_t s = atomic_load_explicit(seq, memory_order_relaxed);

	atomic_store_explicit(seq, s + 1, memory_order_release);
}

static inline bool seqlock_is_odd(const _Atomic uint32_t *seq)
{
	return atomic_load_explicit(seq, memory_order_relaxed) & 1;
}

#endif
