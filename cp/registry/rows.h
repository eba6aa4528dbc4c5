/* rows.h - the state's rows as they lie in the store: fixed layouts, numbers big-endian, so that
 * the same state is the same octets everywhere. Private to cp/registry.
 *
 * Thread:  control.
 * Memory:  works on the caller's structs; what is read borrows from the row.
 * Returns: true: it is a row of this kind and makes sense by itself.
 */
#ifndef BELLWETHER_CP_REGISTRY_ROWS_H
#define BELLWETHER_CP_REGISTRY_ROWS_H

#include "cp/ownership/ownership.h"
#include "cp/registry/registry.h"
#include "cp/wire/wire.h"

#define ROW_NAME_MAX 63 /* octets of an element's name */
#define ROW_KIND_MAX 31

struct row {
	uint32_t table;
	uint8_t key[WIRE_REQUEST_ID_MAX];
	uint8_t value[256];
	size_t key_bytes, n;
};
/* What is read. */
struct row_octets {
	const uint8_t *key, *value;
	size_t key_bytes, n;
};

void row_put_u64(uint8_t to[8], uint64_t v);
uint64_t row_get_u64(const uint8_t from[8]);

/* Texts of an element are copied, for rows have them without an end. */
struct row_element {
	struct conf_element e;
	char name[ROW_NAME_MAX + 1], kind[ROW_KIND_MAX + 1], region[OWNERSHIP_NAME_BYTES];
};
void row_of_element(struct row *row, const struct conf_element *e);
bool row_read_element(struct row_element *out, const struct row_octets *row);

void row_of_cell(struct row *row, const struct ownership_cell *c); /* without its weight */
bool row_read_cell(struct ownership_cell *out, const struct row_octets *row);

/* A server that is drained has one. */
void row_of_drained(struct row *row, uint16_t server);
bool row_read_drained(uint16_t *server, const struct row_octets *row);

void row_of_request(struct row *row, const char *id, const struct registry_outcome *o);
bool row_read_request(char id[WIRE_REQUEST_ID_MAX + 1], struct registry_outcome *out,
		      const struct row_octets *row);

/* A position: (epoch, version) or (epoch, index). */
struct row_position {
	uint64_t epoch, number;
};
#define ROW_APPLIED    "registry.applied"
#define ROW_MAP	       "registry.map"
#define ROW_REBUILDING "registry.rebuilding" /* there or not */
#define ROW_HELD       "registry.held"
void row_of_position(struct row *row, const char *key, struct row_position p);
bool row_read_position(struct row_position *out, const uint8_t *value, size_t n);

int row_store(struct store_batch *b, const struct row *row);
int row_delete(struct store_batch *b, const struct row *row);

#endif
