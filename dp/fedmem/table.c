#include <errno.h>

#include "dp/fedmem/segment.h"

/* A publish takes microseconds and its predecessor stays readable, so a reader that needs more
 * looks than this meets a publisher that does nothing else. */
#define READ_TRIES 1000

static struct published *table_head(const struct fedmem *fm, enum published_table table)
{
	return &fm->header->published[table];
}

int published_put(struct fedmem *fm, enum published_table table, const void *records, uint32_t n)
{
	struct published *p = table_head(fm, table);
	uint32_t version = atomic_load_explicit(&p->version, memory_order_relaxed) + 1;

	if (n > segment_table_max(fm, table))
		return FEDMEM_FULL;
	/* Whoever still reads this buffer took the version before last for the newest: once it sees
	 * a word of ours it also sees the version that we stored then, and looks again. */
	atomic_thread_fence(memory_order_release);
	__atomic_store_n(&p->n[version & 1], n, __ATOMIC_RELAXED);
	words_store(segment_buffer(fm, table, version), records,
		    (size_t)n * segment_record_bytes(table));
	atomic_store_explicit(&p->version, version, memory_order_release);
	return 0;
}

int published_get(const struct fedmem *fm, enum published_table table, void *out, uint32_t room,
		  uint32_t *n, uint32_t *version)
{
	struct published *p = table_head(fm, table);
	uint32_t max = segment_table_max(fm, table);

	for (uint32_t tries = 0; tries < READ_TRIES; tries++) {
		/* pairs with the release in published_put() */
		uint32_t v = atomic_load_explicit(&p->version, memory_order_acquire);
		uint32_t there = __atomic_load_n(&p->n[v & 1], __ATOMIC_RELAXED);

		if (v == 0)
			there = 0;
		if (there <= room && there <= max)
			words_load(out, segment_buffer(fm, table, v),
				   (size_t)there * segment_record_bytes(table));
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&p->version, memory_order_relaxed) != v) {
			cpu_relax();
			continue;
		}
		if (there > room || there > max)
			return FEDMEM_FULL;
		*n = there;
		*version = v;
		return 0;
	}
	return FEDMEM_BUSY;
}

static uint32_t published_version(const struct fedmem *fm, enum published_table table)
{
	return atomic_load_explicit(&table_head(fm, table)->version, memory_order_acquire);
}

bool table_cell_token(const struct fedmem *fm, uint32_t cell, struct fedmem_token *token)
{
	struct published *p = table_head(fm, TABLE_CELLS);

	for (uint32_t tries = 0; tries < SEGMENT_SPINS; tries++) {
		uint32_t v = atomic_load_explicit(&p->version, memory_order_acquire);
		uint32_t n = __atomic_load_n(&p->n[v & 1], __ATOMIC_RELAXED);
		const struct fedmem_cell *cells = (const void *)segment_buffer(fm, TABLE_CELLS, v);

		if (v == 0 || cell >= n || cell >= fm->sizes.cells_max)
			return false;
		words_load(token, &cells[cell].token, sizeof(*token));
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&p->version, memory_order_relaxed) == v)
			return true;
		cpu_relax();
	}
	return false;
}

int fedmem_cells_publish(struct fedmem *fm, const struct fedmem_cell *cells, uint32_t n)
{
	return published_put(fm, TABLE_CELLS, cells, n);
}

int fedmem_servers_publish(struct fedmem *fm, const struct fedmem_server *servers, uint32_t n)
{
	return published_put(fm, TABLE_SERVERS, servers, n);
}

int fedmem_rules_publish(struct fedmem *fm, const struct fedmem_rule *rules, uint32_t n)
{
	return published_put(fm, TABLE_RULES, rules, n);
}

int fedmem_cells_get(const struct fedmem *fm, struct fedmem_cell *out, uint32_t room, uint32_t *n,
		     uint32_t *version)
{
	return published_get(fm, TABLE_CELLS, out, room, n, version);
}

int fedmem_servers_get(const struct fedmem *fm, struct fedmem_server *out, uint32_t room,
		       uint32_t *n, uint32_t *version)
{
	return published_get(fm, TABLE_SERVERS, out, room, n, version);
}

int fedmem_rules_get(const struct fedmem *fm, struct fedmem_rule *out, uint32_t room, uint32_t *n,
		     uint32_t *version)
{
	return published_get(fm, TABLE_RULES, out, room, n, version);
}

uint32_t fedmem_cells_version(const struct fedmem *fm)
{
	return published_version(fm, TABLE_CELLS);
}

uint32_t fedmem_servers_version(const struct fedmem *fm)
{
	return published_version(fm, TABLE_SERVERS);
}

uint32_t fedmem_rules_version(const struct fedmem *fm)
{
	return published_version(fm, TABLE_RULES);
}

bool fedmem_token_equal(struct fedmem_token a, struct fedmem_token b)
{
	return a.epoch == b.epoch && a.generation == b.generation;
}

int fedmem_token_compare(struct fedmem_token a, struct fedmem_token b)
{
	if (a.epoch != b.epoch)
		return a.epoch < b.epoch ? -1 : 1;
	if (a.generation != b.generation)
		return a.generation < b.generation ? -1 : 1;
	return 0;
}
