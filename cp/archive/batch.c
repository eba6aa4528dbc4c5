#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cp/archive/archive_private.h"
#include "cp/core/core.h"
#include "dp/fedmem/fedmem.h"

_Static_assert(RECORD_KEY_BYTES == 8 + 2 + FEDMEM_TYPE_BYTES + FEDMEM_RESOURCE_BYTES +
					   FEDMEM_QUALIFIER_BYTES &&
		       RECORD_KEY_BYTES <= STORE_KEY_MAX,
	       "an alarm's key");

struct archive_batch *archive_batch(struct archive *a)
{
	struct archive_batch *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	b->a = a;
	b->n_batches = 1;
	b->events_end = &b->events;
	b->dones_end = &b->dones;
	if (store_batch_create(&b->ops) != 0) {
		free(b);
		return NULL;
	}
	return b;
}

void archive_batch_free(struct archive_batch *b)
{
	if (b == NULL)
		return;
	while (b->events != NULL) {
		struct event_copy *e = b->events;

		b->events = e->next;
		wire_bytes_free(&e->packed);
		free(e);
	}
	while (b->dones != NULL) {
		struct archive_done *d = b->dones;

		b->dones = d->next;
		free(d);
	}
	store_batch_free(b->ops);
	free(b);
}

/* ---- Keys ---- */

void archive_put_be(uint8_t *to, uint64_t v, int n)
{
	for (int i = 0; i < n; i++)
		to[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
}

uint64_t archive_get_be(const void *from, int n)
{
	const uint8_t *b = from;
	uint64_t v = 0;

	for (int i = 0; i < n; i++)
		v = v << 8 | b[i];
	return v;
}

void archive_event_key(uint8_t key[EVENT_KEY_BYTES], uint16_t origin, uint64_t number)
{
	archive_put_be(key, origin, 2);
	archive_put_be(key + 2, number, 8);
}

static uint8_t *put_octets(uint8_t *to, struct wire_octets o)
{
	if (o.n > 0)
		memcpy(to, o.bytes, o.n);
	return to + o.n;
}

/* 0: too long, which fields of the segment cannot be. */
static size_t record_key(uint8_t key[RECORD_KEY_BYTES], uint64_t element_id,
			 struct wire_octets type, struct wire_octets resource,
			 struct wire_octets qualifier)
{
	uint8_t *to = key + 8;

	if (type.n > FEDMEM_TYPE_BYTES || resource.n > FEDMEM_RESOURCE_BYTES ||
	    qualifier.n > FEDMEM_QUALIFIER_BYTES)
		return 0;
	archive_put_be(key, element_id, 8);
	*to++ = (uint8_t)type.n;
	to = put_octets(to, type);
	*to++ = (uint8_t)resource.n;
	to = put_octets(to, resource);
	to = put_octets(to, qualifier);
	return (size_t)(to - key);
}

/* ---- Records ---- */

/* Frees what was packed. */
static int put_packed(struct archive_batch *b, enum archive_table table, const void *key,
		      size_t key_bytes, struct wire_bytes *packed)
{
	int err = store_batch_put(b->ops, table, key, key_bytes, packed->bytes, packed->n);

	wire_bytes_free(packed);
	return err == -E2BIG ? -EMSGSIZE : err;
}

static bool is_on_disk(struct archive *a, const uint8_t key[EVENT_KEY_BYTES])
{
	size_t n = 0;
	int err = store_get(a->store, ARCHIVE_EVENTS, key, EVENT_KEY_BYTES, NULL, &n);

	return err == 0 || err == -ENOSPC;
}

int archive_put_event(struct archive_batch *b, const struct wire_event *e)
{
	uint8_t key[EVENT_KEY_BYTES];
	struct event_copy *copy;
	int err;

	archive_event_key(key, (uint16_t)e->origin, e->number);
	if (is_on_disk(b->a, key))
		return 0;
	copy = calloc(1, sizeof(*copy));
	if (copy == NULL)
		return -ENOMEM;
	err = wire_event_pack(e, &copy->packed);
	if (err == 0)
		err = store_batch_put(b->ops, ARCHIVE_EVENTS, key, sizeof(key), copy->packed.bytes,
				      copy->packed.n);
	if (err != 0) {
		wire_bytes_free(&copy->packed);
		free(copy);
		return err == -E2BIG ? -EMSGSIZE : err;
	}
	*b->events_end = copy;
	b->events_end = &copy->next;
	b->n_events++;
	b->events_bytes += EVENT_KEY_BYTES + EVENT_MORE_BYTES + copy->packed.n;
	if (e->origin == b->a->cfg.self && e->number > b->highest)
		b->highest = e->number;
	return 0;
}

int archive_put_alarm(struct archive_batch *b, const struct wire_stored_alarm *s)
{
	uint8_t key[RECORD_KEY_BYTES];
	size_t key_bytes = record_key(key, s->element_id, s->type, s->resource, s->qualifier);
	struct wire_bytes packed;
	int err;

	if (key_bytes == 0)
		return -EMSGSIZE;
	if (s->state == FEDMEM_ALARM_FREE)
		return store_batch_delete(b->ops, ARCHIVE_ALARMS, key, key_bytes);
	err = wire_stored_alarm_pack(s, &packed);
	return err != 0 ? err : put_packed(b, ARCHIVE_ALARMS, key, key_bytes, &packed);
}

int archive_put_note(struct archive_batch *b, const struct wire_alarm_note *n)
{
	uint8_t key[RECORD_KEY_BYTES];
	size_t key_bytes = record_key(key, n->element_id, n->type, n->resource, n->qualifier);
	struct wire_bytes packed;
	int err;

	if (key_bytes == 0)
		return -EMSGSIZE;
	err = wire_alarm_note_pack(n, &packed);
	return err != 0 ? err : put_packed(b, ARCHIVE_NOTES, key, key_bytes, &packed);
}

int archive_put_element(struct archive_batch *b, const struct wire_stored_element *s)
{
	struct wire_bytes packed;
	uint8_t key[8];
	int err = wire_stored_element_pack(s, &packed);

	archive_put_be(key, s->id, 8);
	return err != 0 ? err : put_packed(b, ARCHIVE_ELEMENTS, key, sizeof(key), &packed);
}

int archive_put_sync(struct archive_batch *b, const struct wire_cell_sync *s)
{
	struct wire_bytes packed;
	int err = wire_cell_sync_pack(s, &packed);

	return err != 0 ? err : put_packed(b, ARCHIVE_SYNCS, s->cell, strlen(s->cell), &packed);
}

int archive_put_status(struct archive_batch *b, const struct wire_status *s)
{
	struct wire_bytes packed;
	int err = wire_status_pack(s, &packed);

	return err != 0 ? err
			: put_packed(b, ARCHIVE_STATUS, KEY_STATUS, strlen(KEY_STATUS), &packed);
}

int archive_drop_alarms(struct archive_batch *b, uint64_t element_id)
{
	static const enum archive_table tables[] = {ARCHIVE_ALARMS, ARCHIVE_NOTES};
	uint8_t first[8], end[8];
	int err = 0;

	archive_put_be(first, element_id, 8);
	archive_put_be(end, element_id + 1, 8);
	for (int i = 0; i < 2 && err == 0; i++)
		err = store_batch_delete_range(b->ops, tables[i], first, 8, end,
					       element_id == UINT64_MAX ? 0 : 8);
	return err;
}

int archive_put_mark(struct archive_batch *b, const char *name, const void *value, size_t n)
{
	return store_batch_put(b->ops, ARCHIVE_MARKS, name, strlen(name), value, n);
}
