#include "cp/inventory/inventory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cp/inventory/index.h"
#include "cp/inventory/order.h"

/* Elements with one region label. Lives as long as there is one. */
struct region {
	struct region *next; /* in its bucket */
	uint32_t n;
	struct inventory_order order;
	char name[];
};

struct item {
	struct conf_element e; /* name and kind: one block that 'name' begins; region: the region's
				  name */
	struct region *region;
};

/* What looks mend stands behind pointers, for whoever looks has a const inventory. */
struct inventory {
	struct inventory_index by_id, by_name, by_address;
	struct inventory_order *order;
	struct region **buckets;
	uint32_t n_regions, n_buckets; /* a power of two */
};

#define BUCKETS_MIN 64

int inventory_create(struct inventory **out)
{
	struct inventory *i = calloc(1, sizeof(*i));

	if (i == NULL)
		return -ENOMEM;
	i->by_id = inventory_index_by_id;
	i->by_name = inventory_index_by_name;
	i->by_address = inventory_index_by_address;
	i->order = calloc(1, sizeof(*i->order));
	i->buckets = calloc(BUCKETS_MIN, sizeof(*i->buckets));
	i->n_buckets = BUCKETS_MIN;
	if (i->order == NULL || i->buckets == NULL) {
		inventory_destroy(i);
		return -ENOMEM;
	}
	*out = i;
	return 0;
}

/* ---- Regions ---- */

static struct region **bucket_of(const struct inventory *i, const char *name)
{
	uint32_t hash = 2166136261u;

	for (; *name != '\0'; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	return &i->buckets[(hash ^ hash >> 15) & (i->n_buckets - 1)];
}

static struct region *region_find(const struct inventory *i, const char *name)
{
	for (struct region *r = *bucket_of(i, name); r != NULL; r = r->next)
		if (strcmp(r->name, name) == 0)
			return r;
	return NULL;
}

/* More buckets, where there is memory; without them it is slower, and right. */
static void regions_spread(struct inventory *i)
{
	struct inventory wider = *i;

	wider.n_buckets = i->n_buckets * 2;
	wider.buckets = calloc(wider.n_buckets, sizeof(struct region *));
	if (wider.buckets == NULL)
		return;
	for (uint32_t b = 0; b < i->n_buckets; b++) {
		for (struct region *r = i->buckets[b], *next; r != NULL; r = next) {
			struct region **to = bucket_of(&wider, r->name);

			next = r->next;
			r->next = *to;
			*to = r;
		}
	}
	free(i->buckets);
	*i = wider;
}

static struct region *region_add(struct inventory *i, const char *name)
{
	size_t n = strlen(name) + 1;
	struct region *r = calloc(1, sizeof(*r) + n), **bucket;

	if (r == NULL)
		return NULL;
	memcpy(r->name, name, n);
	if (i->n_regions >= i->n_buckets)
		regions_spread(i);
	bucket = bucket_of(i, name);
	r->next = *bucket;
	*bucket = r;
	i->n_regions++;
	return r;
}

static void region_drop_if_empty(struct inventory *i, struct region *region)
{
	struct region **at;

	if (region == NULL || region->n > 0)
		return;
	for (at = bucket_of(i, region->name); *at != region; at = &(*at)->next)
		;
	*at = region->next;
	i->n_regions--;
	inventory_order_fini(&region->order);
	free(region);
}

/* ---- Looking ---- */

const struct conf_element *inventory_find_id(const struct inventory *i, uint64_t id)
{
	return inventory_index_find(&i->by_id, &(struct conf_element){.id = id});
}

const struct conf_element *inventory_find_name(const struct inventory *i, const char *name)
{
	return inventory_index_find(&i->by_name, &(struct conf_element){.name = (char *)name});
}

const struct conf_element *inventory_find_address(const struct inventory *i,
						  const struct fedmem_address *address)
{
	return inventory_index_find(&i->by_address, &(struct conf_element){.address = *address});
}

const struct conf_element *inventory_next(const struct inventory *i, uint64_t after_id)
{
	uint32_t at;

	inventory_order_mend(i->order);
	at = inventory_order_above(i->order, after_id);
	return at < i->order->n ? i->order->places[at].element : NULL;
}

uint32_t inventory_count(const struct inventory *i)
{
	return i->by_id.n;
}

uint32_t inventory_count_region(const struct inventory *i, const char *region)
{
	const struct region *r = region_find(i, region);

	return r != NULL ? r->n : 0;
}

void inventory_walk_begin(struct inventory_walk *w, const struct inventory *i, const char *region,
			  uint64_t after_id)
{
	struct region *r = region_find(i, region);

	*w = (struct inventory_walk){0};
	if (r == NULL)
		return;
	inventory_order_mend(&r->order);
	w->places = r->order.places;
	w->at = inventory_order_above(&r->order, after_id);
	w->end = r->order.n;
}

const struct conf_element *inventory_walk_next(struct inventory_walk *w)
{
	return w->at < w->end ? w->places[w->at++].element : NULL;
}

/* ---- Changing ---- */

static bool is_another(const struct conf_element *found, const struct conf_element *e)
{
	return found != NULL && found->id != e->id;
}

/* Name and kind in one block. */
static char *texts_copy(const struct conf_element *e)
{
	size_t name = strlen(e->name) + 1, kind = strlen(e->kind) + 1;
	char *block = malloc(name + kind);

	if (block != NULL) {
		memcpy(block, e->name, name);
		memcpy(block + name, e->kind, kind);
	}
	return block;
}

static void region_enter(struct item *item, struct region *r)
{
	item->region = r;
	item->e.region = r->name;
	r->n++;
	inventory_order_add(&r->order, &item->e);
}

/* What a change needs. Nothing has changed before there is all of it. */
struct room {
	struct item *item; /* a new one, or the one there is */
	struct region *region;
	char *texts;
};

static int room_make(struct inventory *i, struct room *room, const struct conf_element *e)
{
	struct item *old = room->item;

	room->texts = texts_copy(e);
	room->region = region_find(i, e->region);
	if (room->region == NULL)
		room->region = region_add(i, e->region);
	if (old == NULL)
		room->item = calloc(1, sizeof(*room->item));
	if (room->texts == NULL || room->region == NULL || room->item == NULL ||
	    inventory_index_reserve(&i->by_name) != 0 ||
	    inventory_index_reserve(&i->by_address) != 0 ||
	    inventory_order_reserve(&room->region->order) != 0)
		goto fail;
	if (old == NULL &&
	    (inventory_index_reserve(&i->by_id) != 0 || inventory_order_reserve(i->order) != 0))
		goto fail;
	return 0;
fail:
	free(room->texts);
	region_drop_if_empty(i, room->region);
	if (old == NULL)
		free(room->item);
	return -ENOMEM;
}

static void add(struct inventory *i, const struct room *room, const struct conf_element *e)
{
	struct item *item = room->item;

	item->e = (struct conf_element){.id = e->id, .name = room->texts, .address = e->address};
	item->e.kind = room->texts + strlen(room->texts) + 1;
	inventory_index_add(&i->by_id, &item->e);
	inventory_index_add(&i->by_name, &item->e);
	inventory_index_add(&i->by_address, &item->e);
	inventory_order_add(i->order, &item->e);
	region_enter(item, room->region);
}

static void change_in_place(struct inventory *i, const struct room *room,
			    const struct conf_element *e, const struct inventory_change *change)
{
	struct item *item = room->item;
	struct region *before = item->region;
	char *old_texts = item->e.name;

	inventory_index_remove(&i->by_name, &item->e);
	item->e.name = room->texts;
	item->e.kind = room->texts + strlen(room->texts) + 1;
	inventory_index_add(&i->by_name, &item->e);
	if (change->has_new_address) {
		inventory_index_remove(&i->by_address, &item->e);
		item->e.address = e->address;
		inventory_index_add(&i->by_address, &item->e);
	}
	if (change->has_moved) {
		before->n--;
		inventory_order_remove(&before->order, e->id);
		region_enter(item, room->region);
		region_drop_if_empty(i, before);
	}
	free(old_texts);
}

int inventory_put(struct inventory *i, const struct conf_element *e,
		  struct inventory_change *change)
{
	struct room room = {.item = (struct item *)inventory_find_id(i, e->id)};
	int err;

	if (is_another(inventory_find_name(i, e->name), e) ||
	    is_another(inventory_find_address(i, &e->address), e))
		return -EEXIST;
	*change = (struct inventory_change){.id = e->id, .is_new = room.item == NULL};
	if (room.item != NULL) {
		const struct conf_element *old = &room.item->e;

		change->has_moved = strcmp(old->region, e->region) != 0;
		change->has_new_address =
			memcmp(&old->address, &e->address, sizeof(e->address)) != 0;
	}
	err = room_make(i, &room, e);
	if (err != 0)
		return err;
	if (change->is_new)
		add(i, &room, e);
	else
		change_in_place(i, &room, e, change);
	return 0;
}

static void item_free(struct item *item)
{
	free(item->e.name);
	free(item);
}

void inventory_remove(struct inventory *i, uint64_t id)
{
	struct item *item = (struct item *)inventory_find_id(i, id);

	if (item == NULL)
		return;
	inventory_index_remove(&i->by_id, &item->e);
	inventory_index_remove(&i->by_name, &item->e);
	inventory_index_remove(&i->by_address, &item->e);
	inventory_order_remove(i->order, id);
	item->region->n--;
	inventory_order_remove(&item->region->order, id);
	region_drop_if_empty(i, item->region);
	item_free(item);
}

void inventory_clear(struct inventory *i)
{
	for (uint32_t s = 0; s < i->by_id.n_slots; s++)
		if (i->by_id.slots[s] != NULL)
			item_free((struct item *)i->by_id.slots[s]);
	inventory_index_fini(&i->by_id);
	inventory_index_fini(&i->by_name);
	inventory_index_fini(&i->by_address);
	inventory_order_fini(i->order);
	for (uint32_t b = 0; b < i->n_buckets; b++) {
		for (struct region *r = i->buckets[b], *next; r != NULL; r = next) {
			next = r->next;
			inventory_order_fini(&r->order);
			free(r);
		}
		i->buckets[b] = NULL;
	}
	i->n_regions = 0;
}

void inventory_swap(struct inventory *a, struct inventory *b)
{
	struct inventory was = *a;

	*a = *b;
	*b = was;
}

void inventory_destroy(struct inventory *i)
{
	if (i == NULL)
		return;
	if (i->buckets != NULL && i->order != NULL)
		inventory_clear(i);
	free(i->buckets);
	free(i->order);
	free(i);
}
