#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dp/fedmem/hash.h"
#include "dp/fedmem/segment.h"

/* cell and the pad after it are read and replaced as one word */
_Static_assert(offsetof(struct fedmem_element, cell) == 24 &&
		       offsetof(struct fedmem_element, pad) == 28,
	       "the last word of a description");

static uint32_t hash_address(const struct fedmem *fm, const struct fedmem_address *a)
{
	return hash_words(fm->hash_key, a, sizeof(*a));
}

static uint32_t hash_id(const struct fedmem *fm, uint64_t id)
{
	return hash_words(fm->hash_key, &id, sizeof(id));
}

/* A description changes its id or address only when an element comes, goes or is renumbered, so
 * there is nothing to wait for: after a few looks it is FEDMEM_BUSY. */
static int element_copy(const struct fedmem *fm, uint32_t slot, struct fedmem_element *e)
{
	const struct described *d = &fm->elements[slot];

	for (uint32_t tries = 0; tries < SEGMENT_SPINS; tries++) {
		if (likely(seqlock_try_copy(&d->seq, e, &d->e, sizeof(*e))))
			return e->id == 0 ? FEDMEM_NOT_FOUND : 0;
		cpu_relax();
	}
	return FEDMEM_BUSY;
}

int fedmem_find_by_address(const struct fedmem *fm, const struct fedmem_address *a, uint32_t *slot)
{
	const uint32_t hash = hash_address(fm, a);

	for (uint32_t tries = 0; tries < SEGMENT_SPINS; tries++) {
		uint64_t moves = line_table_moves(&fm->by_address);
		struct line_cursor c = line_table_begin(&fm->by_address, hash);
		int answer = FEDMEM_NOT_FOUND;
		uint32_t found;

		while (line_table_next(&fm->by_address, hash, &c, &found)) {
			struct fedmem_element e;
			int err;

			if (unlikely(found >= fm->sizes.elements_max))
				continue;
			err = element_copy(fm, found, &e);
			if (likely(err == 0 && memcmp(&e.address, a, sizeof(*a)) == 0)) {
				*slot = found;
				return 0;
			}
			if (err == FEDMEM_BUSY)
				answer = FEDMEM_BUSY;
		}
		if (answer == FEDMEM_BUSY || !line_table_moved(&fm->by_address, moves))
			return answer;
	}
	return FEDMEM_BUSY;
}

int fedmem_find_by_id(const struct fedmem *fm, uint64_t id, uint32_t *slot)
{
	const uint32_t hash = hash_id(fm, id);

	for (uint32_t tries = 0; tries < SEGMENT_SPINS; tries++) {
		uint64_t moves = line_table_moves(&fm->by_id);
		struct line_cursor c = line_table_begin(&fm->by_id, hash);
		uint32_t found;

		while (line_table_next(&fm->by_id, hash, &c, &found)) {
			/* one word: no sequence is needed */
			if (likely(found < fm->sizes.elements_max &&
				   __atomic_load_n(&fm->elements[found].e.id, __ATOMIC_RELAXED) ==
					   id)) {
				*slot = found;
				return 0;
			}
		}
		if (!line_table_moved(&fm->by_id, moves))
			return FEDMEM_NOT_FOUND;
	}
	return FEDMEM_BUSY;
}

int fedmem_element_get(const struct fedmem *fm, uint32_t slot, struct fedmem_element *e)
{
	struct fedmem_element copy;
	int err;

	if (slot >= fm->sizes.elements_max)
		return FEDMEM_NOT_FOUND;
	err = element_copy(fm, slot, &copy);
	if (err == 0)
		*e = copy;
	return err;
}

uint32_t fedmem_elements_version(const struct fedmem *fm)
{
	return atomic_load_explicit(&fm->header->elements_version, memory_order_acquire);
}

/* ---- Control plane ---- */

static void slot_mark(struct fedmem *fm, uint32_t slot, bool is_used)
{
	uint64_t bit = 1ull << (slot % 64);

	if (is_used) {
		fm->used_slots[slot / 64] |= bit;
	} else {
		fm->used_slots[slot / 64] &= ~bit;
		if (slot / 64 < fm->first_free_word)
			fm->first_free_word = slot / 64;
	}
}

/* The lowest free slot, or FEDMEM_NONE. */
static uint32_t slot_find_free(struct fedmem *fm)
{
	uint64_t n_words = ((uint64_t)fm->sizes.elements_max + 63) / 64;

	for (; fm->first_free_word < n_words; fm->first_free_word++) {
		uint64_t free_bits = ~fm->used_slots[fm->first_free_word];

		if (free_bits != 0) {
			uint64_t slot =
				fm->first_free_word * 64 + (uint32_t)__builtin_ctzll(free_bits);

			return slot < fm->sizes.elements_max ? (uint32_t)slot : FEDMEM_NONE;
		}
	}
	return FEDMEM_NONE;
}

static bool table_has(const struct line_table *t, uint32_t hash, uint32_t slot, uint64_t *place)
{
	struct line_cursor c = line_table_begin(t, hash);
	uint32_t found;

	while (line_table_next(t, hash, &c, &found)) {
		if (found == slot) {
			*place = (uint64_t)c.line * LINE_TABLE_ENTRIES + c.entry - 1;
			return true;
		}
	}
	return false;
}

/* Takes out what names no element, or names it twice: a removal was cut off between copy and
 * erasure. */
static void table_sweep(struct fedmem *fm, struct line_table *t, bool is_by_id)
{
	uint64_t n_places = (uint64_t)t->n_lines * LINE_TABLE_ENTRIES;

	for (uint64_t place = 0; place < n_places;) {
		uint32_t hash, slot, wanted;
		uint64_t first;
		const struct fedmem_element *e;

		if (!line_table_at(t, place, &hash, &slot)) {
			place++;
			continue;
		}
		e = slot < fm->sizes.elements_max ? &fm->elements[slot].e : NULL;
		if (e != NULL && e->id != 0) {
			wanted = is_by_id ? hash_id(fm, e->id) : hash_address(fm, &e->address);
			if (hash == wanted && table_has(t, hash, slot, &first) && first == place) {
				place++;
				continue;
			}
		}
		line_table_remove_at(t, place); /* and look at what came there instead */
	}
}

/* A control plane died while it changed an element: the description goes back to what it was, the
 * look-up tables follow it. Readers go on meanwhile. */
static void elements_repair(struct fedmem *fm)
{
	struct segment_header *h = fm->header;
	uint32_t slot = atomic_load_explicit(&h->changing_slot, memory_order_relaxed);
	uint64_t place;

	if (slot < fm->sizes.elements_max && seqlock_is_odd(&fm->elements[slot].seq)) {
		words_store(&fm->elements[slot].e, &h->changing_image, sizeof(h->changing_image));
		seqlock_write_end(&fm->elements[slot].seq);
	}
	table_sweep(fm, &fm->by_address, false);
	table_sweep(fm, &fm->by_id, true);
	for (slot = 0; slot < fm->sizes.elements_max; slot++) {
		const struct fedmem_element *e = &fm->elements[slot].e;
		uint32_t hash;

		if (e->id == 0)
			continue;
		hash = hash_address(fm, &e->address);
		if (!table_has(&fm->by_address, hash, slot, &place))
			line_table_insert(&fm->by_address, hash, slot);
		hash = hash_id(fm, e->id);
		if (!table_has(&fm->by_id, hash, slot, &place))
			line_table_insert(&fm->by_id, hash, slot);
	}
	atomic_fetch_add_explicit(&h->elements_version, 1, memory_order_release);
	atomic_store_explicit(&h->is_changing, 0, memory_order_release);
}

/* What the control plane does with its first call. */
static int control_adopt(struct fedmem *fm)
{
	if (fm->used_slots != NULL)
		return 0;
	fm->used_slots = calloc(((size_t)fm->sizes.elements_max + 63) / 64, sizeof(uint64_t));
	if (fm->used_slots == NULL)
		return -ENOMEM;
	if (atomic_load_explicit(&fm->header->is_changing, memory_order_acquire))
		elements_repair(fm);
	for (uint32_t slot = 0; slot < fm->sizes.elements_max; slot++)
		if (fm->elements[slot].e.id != 0)
			slot_mark(fm, slot, true);
	return 0;
}

static void change_begin(struct fedmem *fm)
{
	atomic_store_explicit(&fm->header->is_changing, 1, memory_order_release);
	atomic_signal_fence(memory_order_seq_cst); /* against a kill, see record_close() */
}

static void change_end(struct fedmem *fm)
{
	atomic_fetch_add_explicit(&fm->header->elements_version, 1, memory_order_release);
	atomic_store_explicit(&fm->header->is_changing, 0, memory_order_release);
}

static void description_write(struct fedmem *fm, uint32_t slot, const struct fedmem_element *e)
{
	struct described *d = &fm->elements[slot];

	fm->header->changing_image = d->e;
	atomic_store_explicit(&fm->header->changing_slot, slot, memory_order_release);
	seqlock_write_begin(&d->seq);
	words_store(&d->e, e, sizeof(*e));
	seqlock_write_end(&d->seq);
	atomic_signal_fence(memory_order_seq_cst);
}

static int element_add(struct fedmem *fm, const struct fedmem_element *e, uint32_t *slot)
{
	uint32_t free_slot = slot_find_free(fm);
	bool is_in;

	if (free_slot == FEDMEM_NONE)
		return FEDMEM_FULL;
	change_begin(fm);
	description_write(fm, free_slot, e);
	is_in = line_table_insert(&fm->by_id, hash_id(fm, e->id), free_slot);
	is_in &= line_table_insert(&fm->by_address, hash_address(fm, &e->address), free_slot);
	assert(is_in); /* both have places for all slots and more */
	(void)is_in;
	change_end(fm);
	slot_mark(fm, free_slot, true);
	*slot = free_slot;
	return 0;
}

static void element_change(struct fedmem *fm, uint32_t slot, const struct fedmem_element *e)
{
	struct fedmem_element old = fm->elements[slot].e;

	if (memcmp(&old, e, sizeof(old)) == 0)
		return;
	change_begin(fm);
	if (memcmp(&old.address, &e->address, sizeof(old.address)) == 0) {
		uint64_t cell_and_kind;

		memcpy(&cell_and_kind, &e->cell, sizeof(cell_and_kind));
		__atomic_store_n((uint64_t *)(void *)&fm->elements[slot].e.cell, cell_and_kind,
				 __ATOMIC_RELAXED);
	} else {
		/* The new way in first: a hit under it counts only once the description says so. */
		line_table_insert(&fm->by_address, hash_address(fm, &e->address), slot);
		description_write(fm, slot, e);
		line_table_remove(&fm->by_address, hash_address(fm, &old.address), slot);
	}
	change_end(fm);
}

int fedmem_element_put(struct fedmem *fm, const struct fedmem_element *e, uint32_t *slot)
{
	uint32_t at, with_address;
	int err;

	if (e->id == 0)
		return -EINVAL;
	err = control_adopt(fm);
	if (err != 0)
		return err;
	err = fedmem_find_by_id(fm, e->id, &at);
	if (err != 0)
		at = FEDMEM_NONE;
	if (fedmem_find_by_address(fm, &e->address, &with_address) == 0 && with_address != at)
		return -EEXIST;
	if (at == FEDMEM_NONE) {
		err = element_add(fm, e, &at);
		if (err != 0)
			return err;
	} else {
		element_change(fm, at, e);
	}
	if (slot != NULL)
		*slot = at;
	return 0;
}

int fedmem_element_remove(struct fedmem *fm, uint64_t id)
{
	static const struct fedmem_element nobody;
	struct fedmem_element old;
	uint32_t slot;
	int err = control_adopt(fm);

	if (err != 0)
		return err;
	if (id == 0)
		return FEDMEM_NOT_FOUND;
	err = fedmem_find_by_id(fm, id, &slot);
	if (err != 0)
		return err;
	old = fm->elements[slot].e;
	change_begin(fm);
	description_write(fm, slot, &nobody);
	line_table_remove(&fm->by_id, hash_id(fm, id), slot);
	line_table_remove(&fm->by_address, hash_address(fm, &old.address), slot);
	change_end(fm);
	slot_mark(fm, slot, false);
	return 0;
}
