#include <string.h>

#include "dp/fedmem/hash.h"
#include "dp/fedmem/writer.h"

static uint32_t hash_source(const struct fedmem *fm, const struct fedmem_address *a)
{
	return hash_words(fm->hash_key, a, sizeof(*a));
}

static uint32_t unknowns_used(const struct fedmem *fm)
{
	uint32_t n = atomic_load_explicit(&fm->header->n_unknowns, memory_order_acquire);

	return n < fm->sizes.unknowns_max ? n : fm->sizes.unknowns_max;
}

void unknown_index_build(struct fedmem_writer *w)
{
	uint32_t n = unknowns_used(w->fm);

	for (uint32_t i = 0; i < n; i++)
		line_table_insert(&w->unknown_index,
				  hash_source(w->fm, &w->fm->unknowns[i].u.address), i);
}

int fedmem_unknown_note(struct fedmem_writer *w, const struct fedmem_address *a, uint16_t udp_port,
			uint64_t now_ns)
{
	struct fedmem *fm = w->fm;
	uint32_t hash = hash_source(fm, a);
	uint32_t n = unknowns_used(fm);
	uint32_t found, at = FEDMEM_NONE;
	struct line_cursor c = line_table_begin(&w->unknown_index, hash);
	struct noted *entry;

	while (at == FEDMEM_NONE && line_table_next(&w->unknown_index, hash, &c, &found))
		if (memcmp(&fm->unknowns[found].u.address, a, sizeof(*a)) == 0)
			at = found;
	if (at == FEDMEM_NONE && n == fm->sizes.unknowns_max)
		return FEDMEM_FULL;
	entry = &fm->unknowns[at == FEDMEM_NONE ? n : at];
	record_open(w, JOURNAL_UNKNOWN, (uint32_t)(entry - fm->unknowns), &entry->seq, entry,
		    sizeof(*entry));
	if (at == FEDMEM_NONE)
		entry->u = (struct fedmem_unknown){.address = *a, .first_ns = now_ns};
	entry->u.last_ns = now_ns;
	entry->u.n_datagrams++;
	entry->u.udp_port = udp_port;
	record_close(w, &entry->seq);
	if (at == FEDMEM_NONE) {
		line_table_insert(&w->unknown_index, hash, n);
		atomic_store_explicit(&fm->header->n_unknowns, n + 1, memory_order_release);
	}
	return 0;
}

uint32_t fedmem_unknowns_read(const struct fedmem *fm, struct fedmem_unknown *out, uint32_t room)
{
	uint32_t n = unknowns_used(fm), n_out = 0;

	for (uint32_t i = 0; i < n && n_out < room; i++) {
		const struct noted *entry = &fm->unknowns[i];
		bool is_whole = false;

		for (uint32_t tries = 0; !is_whole; tries++) {
			is_whole = seqlock_try_copy(&entry->seq, &out[n_out], &entry->u,
						    sizeof(entry->u));
			if (!is_whole && !lock_writer_wait(fm, tries))
				break;
		}
		n_out += is_whole;
	}
	return n_out;
}
