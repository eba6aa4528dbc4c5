#include "dp/fedmem/writer.h"

/* Single words, each with one writer. Release and acquire, so that what was published before a word
 * is there for who sees the word: a server table before the relay boot that it meets. */

static void put64(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_release);
}

static uint64_t get64(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_acquire);
}

void fedmem_lease_set(struct fedmem *fm, uint64_t until_ns)
{
	put64(&fm->header->lease_until_ns, until_ns);
}

uint64_t fedmem_lease_until(const struct fedmem *fm)
{
	return get64(&fm->header->lease_until_ns);
}

uint32_t fedmem_relay_boot_wanted(const struct fedmem *fm)
{
	return (uint32_t)get64(&fm->header->dp_starts);
}

void fedmem_relay_boot_given(struct fedmem *fm, uint32_t wanted)
{
	atomic_store_explicit(&fm->header->relay_boot_met, wanted, memory_order_release);
}

uint32_t fedmem_relay_boot_met(const struct fedmem *fm)
{
	return atomic_load_explicit(&fm->header->relay_boot_met, memory_order_acquire);
}

void fedmem_dp_beat(struct fedmem_writer *w, uint64_t now_ns)
{
	put64(&w->fm->header->dp_beat_ns, now_ns);
}

uint64_t fedmem_dp_beat_ns(const struct fedmem *fm)
{
	return get64(&fm->header->dp_beat_ns);
}

uint64_t fedmem_dp_starts(const struct fedmem *fm)
{
	return get64(&fm->header->dp_starts);
}

void fedmem_dp_cells_followed(struct fedmem_writer *w, uint32_t version)
{
	atomic_store_explicit(&w->fm->header->dp_cells_version, version, memory_order_release);
}

uint32_t fedmem_dp_cells_version(const struct fedmem *fm)
{
	return atomic_load_explicit(&fm->header->dp_cells_version, memory_order_acquire);
}

uint64_t fedmem_identity(const struct fedmem *fm)
{
	return fm->header->identity;
}

uint32_t fedmem_alarms_used(const struct fedmem *fm)
{
	return atomic_load_explicit(&fm->header->alarms_used, memory_order_acquire);
}
