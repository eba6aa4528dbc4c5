#include "dp/relay/spool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct spool {
	struct spool_entry *entries;
	uint32_t *chunk_next;
	uint8_t *octets;
	uint32_t entry_free; /* chained by 'after' */
	uint32_t chunk_free, n_chunks_free;
	uint64_t last_number;
};

int spool_create(struct spool **out, uint32_t alarms_max)
{
	uint32_t n_chunks = alarms_max * SPOOL_CHUNKS_EACH;
	struct spool *s;

	if (alarms_max >= SPOOL_NONE / SPOOL_CHUNKS_EACH)
		return -E2BIG;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	s->entries = calloc(alarms_max, sizeof(*s->entries));
	s->chunk_next = calloc(n_chunks, sizeof(*s->chunk_next));
	s->octets = calloc(n_chunks, SPOOL_CHUNK_BYTES);
	if (s->entries == NULL || s->chunk_next == NULL || s->octets == NULL) {
		spool_destroy(s);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < alarms_max; i++)
		s->entries[i].after = i + 1 < alarms_max ? i + 1 : SPOOL_NONE;
	for (uint32_t i = 0; i < n_chunks; i++)
		s->chunk_next[i] = i + 1 < n_chunks ? i + 1 : SPOOL_NONE;
	s->n_chunks_free = n_chunks;
	*out = s;
	return 0;
}

static uint32_t chunks_of(uint16_t n_bytes)
{
	return (n_bytes + SPOOL_CHUNK_BYTES - 1) / SPOOL_CHUNK_BYTES;
}

static uint32_t chunk_bytes(uint32_t n_left)
{
	return n_left < SPOOL_CHUNK_BYTES ? n_left : SPOOL_CHUNK_BYTES;
}

static uint8_t *chunk_octets(const struct spool *s, uint32_t chunk)
{
	return s->octets + (size_t)chunk * SPOOL_CHUNK_BYTES;
}

uint32_t spool_add(struct spool *s, const struct apply_datagram *d, uint32_t cell)
{
	uint32_t index = s->entry_free;
	struct spool_entry *e;
	uint32_t *link;

	if (index == SPOOL_NONE || chunks_of(d->payload_bytes) > s->n_chunks_free)
		return SPOOL_NONE;
	e = &s->entries[index];
	s->entry_free = e->after;
	*e = (struct spool_entry){
		.report_bitmap = d->report_bitmap,
		.source = d->source,
		.cell = cell,
		.before = SPOOL_NONE,
		.after = SPOOL_NONE,
		.payload_bytes = d->payload_bytes,
		.format = d->format,
	};
	link = &e->chunk;
	for (uint32_t at = 0; at < d->payload_bytes; at += SPOOL_CHUNK_BYTES) {
		*link = s->chunk_free;
		memcpy(chunk_octets(s, *link), d->payload + at, chunk_bytes(d->payload_bytes - at));
		link = &s->chunk_next[*link];
		s->chunk_free = *link;
		s->n_chunks_free--;
	}
	*link = SPOOL_NONE;
	return index;
}

struct spool_entry *spool_entry(struct spool *s, uint32_t index)
{
	return &s->entries[index];
}

void spool_copy(const struct spool *s, uint32_t index, uint8_t *to)
{
	const struct spool_entry *e = &s->entries[index];
	uint32_t chunk = e->chunk;

	for (uint32_t at = 0; at < e->payload_bytes; at += SPOOL_CHUNK_BYTES) {
		memcpy(to + at, chunk_octets(s, chunk), chunk_bytes(e->payload_bytes - at));
		chunk = s->chunk_next[chunk];
	}
}

void spool_free(struct spool *s, uint32_t index)
{
	struct spool_entry *e = &s->entries[index];

	for (uint32_t chunk = e->chunk; chunk != SPOOL_NONE;) {
		uint32_t next = s->chunk_next[chunk];

		s->chunk_next[chunk] = s->chunk_free;
		s->chunk_free = chunk;
		s->n_chunks_free++;
		chunk = next;
	}
	e->after = s->entry_free;
	s->entry_free = index;
}

void spool_destroy(struct spool *s)
{
	if (s == NULL)
		return;
	free(s->octets);
	free(s->chunk_next);
	free(s->entries);
	free(s);
}

void spool_queue_init(struct spool_queue *q)
{
	q->head = SPOOL_NONE;
	q->tail = SPOOL_NONE;
}

void spool_append(struct spool *s, struct spool_queue *q, uint32_t index)
{
	struct spool_entry *e = &s->entries[index];

	e->number = ++s->last_number;
	e->is_sent = false;
	e->before = q->tail;
	e->after = SPOOL_NONE;
	if (q->tail == SPOOL_NONE)
		q->head = index;
	else
		s->entries[q->tail].after = index;
	q->tail = index;
}

void spool_unlink(struct spool *s, struct spool_queue *q, uint32_t index)
{
	struct spool_entry *e = &s->entries[index];

	if (e->before == SPOOL_NONE)
		q->head = e->after;
	else
		s->entries[e->before].after = e->after;
	if (e->after == SPOOL_NONE)
		q->tail = e->before;
	else
		s->entries[e->after].before = e->before;
}
