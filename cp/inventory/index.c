#include "cp/inventory/index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 16

/* The finalizer of splitmix64: every bit of the input reaches every bit of the output. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static uint64_t hash_id(const struct conf_element *e)
{
	return mix(e->id * 0x9e3779b97f4a7c15u);
}

static uint64_t hash_name(const struct conf_element *e)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (const char *c = e->name; *c != '\0'; c++)
		hash = (hash ^ (uint8_t)*c) * 0x100000001b3u;
	return mix(hash);
}

static uint64_t hash_address(const struct conf_element *e)
{
	uint64_t half[2];

	memcpy(half, e->address.octets, sizeof(half));
	return mix(mix(half[0]) + half[1]);
}

static bool is_same_id(const struct conf_element *a, const struct conf_element *b)
{
	return a->id == b->id;
}

static bool is_same_name(const struct conf_element *a, const struct conf_element *b)
{
	return strcmp(a->name, b->name) == 0;
}

static bool is_same_address(const struct conf_element *a, const struct conf_element *b)
{
	return memcmp(&a->address, &b->address, sizeof(a->address)) == 0;
}

const struct inventory_index inventory_index_by_id = {hash_id, is_same_id, NULL, 0, 0};
const struct inventory_index inventory_index_by_name = {hash_name, is_same_name, NULL, 0, 0};
const struct inventory_index inventory_index_by_address = {hash_address, is_same_address, NULL, 0,
							   0};

static uint32_t home(const struct inventory_index *x, const struct conf_element *e)
{
	return (uint32_t)x->hash(e) & (x->n_slots - 1);
}

static uint32_t next(const struct inventory_index *x, uint32_t at)
{
	return (at + 1) & (x->n_slots - 1);
}

/* The slot with the key of 'like', or the free one where it belongs. */
static uint32_t slot_of(const struct inventory_index *x, const struct conf_element *like)
{
	uint32_t at = home(x, like);

	while (x->slots[at] != NULL && !x->is_same(x->slots[at], like))
		at = next(x, at);
	return at;
}

int inventory_index_reserve(struct inventory_index *x)
{
	struct inventory_index larger = *x;

	if ((uint64_t)x->n * 4 + 4 <= (uint64_t)x->n_slots * 3)
		return 0;
	if (x->n_slots > UINT32_MAX / 4)
		return -ENOMEM;
	larger.n_slots = x->n_slots == 0 ? SLOTS_MIN : x->n_slots * 2;
	larger.slots = calloc(larger.n_slots, sizeof(struct conf_element *));
	if (larger.slots == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < x->n_slots; i++)
		if (x->slots[i] != NULL)
			larger.slots[slot_of(&larger, x->slots[i])] = x->slots[i];
	free(x->slots);
	*x = larger;
	return 0;
}

struct conf_element *inventory_index_find(const struct inventory_index *x,
					  const struct conf_element *like)
{
	return x->n == 0 ? NULL : x->slots[slot_of(x, like)];
}

void inventory_index_add(struct inventory_index *x, struct conf_element *e)
{
	x->slots[slot_of(x, e)] = e;
	x->n++;
}

void inventory_index_remove(struct inventory_index *x, const struct conf_element *e)
{
	uint32_t gap = slot_of(x, e);

	x->n--;
	/* What stands behind the gap and did not come there from behind it moves into it. */
	for (uint32_t at = next(x, gap); x->slots[at] != NULL; at = next(x, at)) {
		uint32_t way = (at - home(x, x->slots[at])) & (x->n_slots - 1);

		if (way < ((at - gap) & (x->n_slots - 1)))
			continue;
		x->slots[gap] = x->slots[at];
		gap = at;
	}
	x->slots[gap] = NULL;
}

void inventory_index_fini(struct inventory_index *x)
{
	free(x->slots);
	x->slots = NULL;
	x->n = x->n_slots = 0;
}
