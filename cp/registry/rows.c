#include "cp/registry/rows.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define OUTCOME_REFUSED 1u

/* Writing ends where the row does, reading where the octets do; then nothing more is good. */
struct cursor {
	const uint8_t *at, *end;
	bool is_bad;
};

void row_put_u64(uint8_t to[8], uint64_t v)
{
	for (int i = 0; i < 8; i++)
		to[i] = (uint8_t)(v >> (56 - 8 * i));
}

uint64_t row_get_u64(const uint8_t from[8])
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | from[i];
	return v;
}

static void put(struct row *row, uint64_t v, int n_bytes)
{
	assert(row->n + (size_t)n_bytes <= sizeof(row->value));
	for (int i = n_bytes - 1; i >= 0; i--)
		row->value[row->n++] = (uint8_t)(v >> (8 * i));
}

static void put_octets(struct row *row, const void *from, size_t n)
{
	assert(row->n + n <= sizeof(row->value));
	memcpy(row->value + row->n, from, n);
	row->n += n;
}

static void put_text(struct row *row, const char *text)
{
	size_t n = strlen(text);

	put(row, n, 1);
	put_octets(row, text, n);
}

static const uint8_t *take(struct cursor *c, size_t n)
{
	const uint8_t *at = c->at;

	if (c->is_bad || (size_t)(c->end - c->at) < n) {
		c->is_bad = true;
		return NULL;
	}
	c->at += n;
	return at;
}

static uint64_t get(struct cursor *c, int n_bytes)
{
	const uint8_t *from = take(c, (size_t)n_bytes);
	uint64_t v = 0;

	for (int i = 0; from != NULL && i < n_bytes; i++)
		v = v << 8 | from[i];
	return v;
}

/* A text of at least 'min' octets and without NUL, with an end of its own. */
static void get_text(struct cursor *c, char *to, size_t to_bytes, size_t min)
{
	size_t n = get(c, 1);
	const uint8_t *from = take(c, n);

	to[0] = '\0';
	if (from == NULL || n >= to_bytes || n < min || memchr(from, '\0', n) != NULL) {
		c->is_bad = true;
		return;
	}
	memcpy(to, from, n);
	to[n] = '\0';
}

static bool is_whole(const struct cursor *c)
{
	return !c->is_bad && c->at == c->end;
}

static struct cursor value_of(const struct row_octets *row)
{
	return (struct cursor){row->value, row->value + row->n, false};
}

static void row_begin(struct row *row, uint32_t table, const void *key, size_t key_bytes)
{
	row->table = table;
	memcpy(row->key, key, key_bytes);
	row->key_bytes = key_bytes;
	row->n = 0;
}

void row_of_element(struct row *row, const struct conf_element *e)
{
	uint8_t key[8];

	row_put_u64(key, e->id);
	row_begin(row, REGISTRY_TABLE_ELEMENTS, key, sizeof(key));
	put_octets(row, e->address.octets, sizeof(e->address.octets));
	put_text(row, e->name);
	put_text(row, e->kind);
	put_text(row, e->region);
}

bool row_read_element(struct row_element *out, const struct row_octets *row)
{
	struct cursor c = value_of(row);
	const uint8_t *address = take(&c, sizeof(out->e.address.octets));

	get_text(&c, out->name, sizeof(out->name), 1);
	get_text(&c, out->kind, sizeof(out->kind), 1);
	get_text(&c, out->region, sizeof(out->region), 1);
	if (!is_whole(&c) || row->key_bytes != 8)
		return false;
	out->e = (struct conf_element){.id = row_get_u64(row->key),
				       .name = out->name,
				       .kind = out->kind,
				       .region = out->region};
	memcpy(out->e.address.octets, address, sizeof(out->e.address.octets));
	return out->e.id != 0;
}

void row_of_cell(struct row *row, const struct ownership_cell *cell)
{
	row_begin(row, REGISTRY_TABLE_CELLS, cell->name, strlen(cell->name));
	put(row, cell->owner, 2);
	put(row, cell->standby, 2);
	put(row, cell->token.epoch, 8);
	put(row, cell->token.generation, 8);
	put(row, cell->pin, 2);
}

bool row_read_cell(struct ownership_cell *out, const struct row_octets *row)
{
	struct cursor c = value_of(row);

	*out = (struct ownership_cell){0};
	if (row->key_bytes == 0 || row->key_bytes >= sizeof(out->name) ||
	    memchr(row->key, '\0', row->key_bytes) != NULL)
		return false;
	memcpy(out->name, row->key, row->key_bytes);
	out->owner = (uint16_t)get(&c, 2);
	out->standby = (uint16_t)get(&c, 2);
	out->token.epoch = get(&c, 8);
	out->token.generation = get(&c, 8);
	out->pin = (uint16_t)get(&c, 2);
	return is_whole(&c);
}

void row_of_drained(struct row *row, uint16_t server)
{
	uint8_t key[2] = {(uint8_t)(server >> 8), (uint8_t)server};

	row_begin(row, REGISTRY_TABLE_SERVERS, key, sizeof(key));
	put(row, 1, 1);
}

bool row_read_drained(uint16_t *server, const struct row_octets *row)
{
	if (row->key_bytes != 2 || row->n != 1 || row->value[0] != 1)
		return false;
	*server = (uint16_t)(row->key[0] << 8 | row->key[1]);
	return *server != 0;
}

void row_of_request(struct row *row, const char *id, const struct registry_outcome *o)
{
	row_begin(row, REGISTRY_TABLE_REQUESTS, id, strlen(id));
	put(row, o->index, 8);
	put(row, o->is_refused ? OUTCOME_REFUSED : 0, 1);
	put_text(row, o->why);
	put(row, o->n_added, 4);
	put(row, o->n_changed, 4);
	put(row, o->n_same, 4);
	put(row, o->element_id, 8);
}

bool row_read_request(char id[WIRE_REQUEST_ID_MAX + 1], struct registry_outcome *out,
		      const struct row_octets *row)
{
	struct cursor c = value_of(row);
	uint64_t flags;

	*out = (struct registry_outcome){0};
	if (row->key_bytes == 0 || row->key_bytes > WIRE_REQUEST_ID_MAX ||
	    memchr(row->key, '\0', row->key_bytes) != NULL)
		return false;
	memcpy(id, row->key, row->key_bytes);
	id[row->key_bytes] = '\0';
	out->index = get(&c, 8);
	flags = get(&c, 1);
	get_text(&c, out->why, sizeof(out->why), 0);
	out->n_added = (uint32_t)get(&c, 4);
	out->n_changed = (uint32_t)get(&c, 4);
	out->n_same = (uint32_t)get(&c, 4);
	out->element_id = get(&c, 8);
	out->is_refused = flags == OUTCOME_REFUSED;
	return is_whole(&c) && flags <= OUTCOME_REFUSED;
}

void row_of_position(struct row *row, const char *key, struct row_position p)
{
	row_begin(row, REGISTRY_TABLE_SMALL, key, strlen(key));
	put(row, REGISTRY_VERSION, 4);
	put(row, p.epoch, 8);
	put(row, p.number, 8);
}

bool row_read_position(struct row_position *out, const uint8_t *value, size_t n)
{
	struct cursor c = {value, value + n, false};
	bool is_ours = get(&c, 4) == REGISTRY_VERSION;

	out->epoch = get(&c, 8);
	out->number = get(&c, 8);
	return is_ours && is_whole(&c);
}

int row_store(struct store_batch *b, const struct row *row)
{
	return store_batch_put(b, row->table, row->key, row->key_bytes, row->value, row->n);
}

int row_delete(struct store_batch *b, const struct row *row)
{
	return store_batch_delete(b, row->table, row->key, row->key_bytes);
}
