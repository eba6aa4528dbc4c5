#include "cp/wire/arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define ALIGNMENT	_Alignof(max_align_t)
#define CHUNK_BYTES_MIN 1024u
#define CHUNK_BYTES_MAX (1u << 20)

struct chunk {
	struct chunk *before;
	_Alignas(max_align_t) uint8_t bytes[];
};

struct arena {
	struct chunk *chunks; /* but the first, which is below */
	uint8_t *next;
	size_t left, chunk_bytes, total;
	_Alignas(max_align_t) uint8_t bytes[];
};

struct arena *arena_create(size_t expected)
{
	size_t n = expected < CHUNK_BYTES_MIN ? CHUNK_BYTES_MIN : expected;
	struct arena *a = calloc(1, sizeof(*a) + n);

	if (a == NULL)
		return NULL;
	a->next = a->bytes;
	a->left = a->total = n;
	a->chunk_bytes = n;
	return a;
}

static bool arena_grow(struct arena *a, size_t n_bytes)
{
	struct chunk *c;
	size_t n = 2 * a->chunk_bytes;

	if (n > CHUNK_BYTES_MAX)
		n = CHUNK_BYTES_MAX;
	if (n < n_bytes)
		n = n_bytes;
	if (n > ARENA_BYTES_MAX || a->total > ARENA_BYTES_MAX - n)
		return false;
	c = calloc(1, sizeof(*c) + n);
	if (c == NULL)
		return false;
	c->before = a->chunks;
	a->chunks = c;
	a->next = c->bytes;
	a->left = n;
	a->chunk_bytes = n;
	a->total += n;
	return true;
}

void *arena_alloc(struct arena *a, size_t n_bytes)
{
	void *piece;

	if (n_bytes > ARENA_BYTES_MAX)
		return NULL;
	n_bytes = (n_bytes + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
	if (n_bytes == 0)
		n_bytes = ALIGNMENT; /* every piece has an address of its own */
	if (n_bytes > a->left && !arena_grow(a, n_bytes))
		return NULL;
	piece = a->next;
	a->next += n_bytes;
	a->left -= n_bytes;
	return piece;
}

void *arena_array(struct arena *a, size_t n, size_t record_bytes)
{
	if (n > ARENA_BYTES_MAX / record_bytes)
		return NULL;
	return arena_alloc(a, n * record_bytes);
}

struct arena *arena_of(void *first)
{
	return (struct arena *)((uint8_t *)first - offsetof(struct arena, bytes));
}

void arena_destroy(struct arena *a)
{
	if (a == NULL)
		return;
	for (struct chunk *c = a->chunks, *before; c != NULL; c = before) {
		before = c->before;
		free(c);
	}
	free(a);
}
