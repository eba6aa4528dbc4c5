#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cp/store/record.h"
#include "cp/store/store_private.h"

/* kind, octets of the key, octets of the value */
#define HEADER_BYTES (1 + 2 + 4)
int store_batch_create(struct store_batch **out)
{
	struct store_batch *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return -ENOMEM;
	*out = b;
	return 0;
}

void store_batch_free(struct store_batch *b)
{
	if (b == NULL)
		return;
	free(b->bytes);
	free(b);
}

uint32_t store_batch_count(const struct store_batch *b)
{
	return b->n_operations;
}

size_t store_batch_bytes(const struct store_batch *b)
{
	return b->n_bytes;
}

static int room_make(struct store_batch *b, size_t n)
{
	size_t room = b->room > 0 ? b->room : 512;
	uint8_t *more;

	if (b->room - b->n_bytes >= n)
		return 0;
	while (room - b->n_bytes < n)
		room *= 2;
	more = realloc(b->bytes, room);
	if (more == NULL)
		return -ENOMEM;
	b->bytes = more;
	b->room = room;
	return 0;
}

static int append(struct store_batch *b, enum batch_kind kind, uint32_t table, const void *key,
		  size_t key_bytes, const void *value, size_t n)
{
	uint8_t *to;

	if (table >= STORE_TABLES_MAX || key_bytes > STORE_KEY_MAX)
		return -EINVAL;
	if (room_make(b, HEADER_BYTES + 1 + key_bytes + n) != 0)
		return -ENOMEM;
	to = b->bytes + b->n_bytes;
	to[0] = (uint8_t)kind;
	record_put_be(to + 1, 1 + key_bytes, 2);
	record_put_be(to + 3, n, 4);
	to[HEADER_BYTES] = (uint8_t)table;
	if (key_bytes > 0)
		memcpy(to + HEADER_BYTES + 1, key, key_bytes);
	if (n > 0)
		memcpy(to + HEADER_BYTES + 1 + key_bytes, value, n);
	b->n_bytes += HEADER_BYTES + 1 + key_bytes + n;
	b->n_operations++;
	if (table >= b->tables_end)
		b->tables_end = table + 1;
	return 0;
}

int store_batch_put(struct store_batch *b, uint32_t table, const void *key, size_t key_bytes,
		    const void *value, size_t n)
{
	if (key_bytes == 0)
		return -EINVAL;
	if (n > STORE_VALUE_MAX)
		return -E2BIG;
	return append(b, BATCH_PUT, table, key, key_bytes, value, n);
}

int store_batch_delete(struct store_batch *b, uint32_t table, const void *key, size_t key_bytes)
{
	if (key_bytes == 0)
		return -EINVAL;
	return append(b, BATCH_DELETE, table, key, key_bytes, NULL, 0);
}

int store_batch_delete_range(struct store_batch *b, uint32_t table, const void *first,
			     size_t first_bytes, const void *end, size_t end_bytes)
{
	uint8_t with_table[1 + STORE_KEY_MAX];

	if (end_bytes > STORE_KEY_MAX)
		return -EINVAL;
	with_table[0] = (uint8_t)(end_bytes > 0 ? table : table + 1);
	if (end_bytes > 0)
		memcpy(with_table + 1, end, end_bytes);
	return append(b, BATCH_DELETE_RANGE, table, first, first_bytes, with_table, 1 + end_bytes);
}

int store_batch_append(struct store_batch *to, const struct store_batch *from)
{
	if (room_make(to, from->n_bytes) != 0)
		return -ENOMEM;
	if (from->n_bytes > 0)
		memcpy(to->bytes + to->n_bytes, from->bytes, from->n_bytes);
	to->n_bytes += from->n_bytes;
	to->n_operations += from->n_operations;
	if (from->tables_end > to->tables_end)
		to->tables_end = from->tables_end;
	return 0;
}

bool batch_next(const struct store_batch *b, size_t *at, struct batch_operation *out)
{
	uint8_t *from = b->bytes + *at;

	if (*at >= b->n_bytes)
		return false;
	out->kind = (enum batch_kind)from[0];
	out->key = (MDB_val){record_get_be(from + 1, 2), from + HEADER_BYTES};
	out->value = (MDB_val){record_get_be(from + 3, 4), from + HEADER_BYTES + out->key.mv_size};
	*at += HEADER_BYTES + out->key.mv_size + out->value.mv_size;
	return true;
}

void batch_list_init(struct batch_list *l)
{
	l->first = NULL;
	l->end = &l->first;
}

void batch_list_append(struct batch_list *l, struct store_batch *b)
{
	b->next = NULL;
	*l->end = b;
	l->end = &b->next;
}

void batch_done(struct store_batch *b)
{
	if (!b->is_kept)
		store_batch_free(b);
}

void batch_list_free(struct batch_list *l)
{
	while (l->first != NULL) {
		struct store_batch *b = l->first;

		l->first = b->next;
		batch_done(b);
	}
	batch_list_init(l);
}
