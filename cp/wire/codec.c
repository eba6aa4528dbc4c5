#include "cp/wire/codec.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cp/wire/check.h"

static void *allocator_alloc(void *arena, size_t n)
{
	return arena_alloc(arena, n);
}

static void allocator_free(void *arena, void *piece)
{
	/* with the arena */
}

int codec_pack(const struct codec *c, const void *ours, struct wire_bytes *out)
{
	struct arena *a = arena_create(0);
	ProtobufCMessage *m;
	struct wire_bytes b;
	int err = -ENOMEM;

	if (a == NULL)
		return -ENOMEM;
	m = codec_row(a, c->descriptor);
	if (m == NULL)
		goto end;
	err = c->fill(a, ours, m);
	if (err != 0)
		goto end;
	b.n = protobuf_c_message_get_packed_size(m);
	err = -EMSGSIZE;
	if (b.n > WIRE_MESSAGE_MAX)
		goto end;
	err = -ENOMEM;
	b.bytes = malloc(b.n > 0 ? b.n : 1);
	if (b.bytes == NULL)
		goto end;
	protobuf_c_message_pack(m, b.bytes);
	*out = b;
	err = 0;
end:
	arena_destroy(a);
	return err;
}

int codec_unpack(const struct codec *c, const uint8_t *bytes, size_t n, void **out)
{
	ProtobufCAllocator allocator = {allocator_alloc, allocator_free, NULL};
	const ProtobufCMessage *m;
	struct arena *a;
	void *ours;
	int err;

	if (n > WIRE_MESSAGE_MAX || !check_message(c->descriptor, bytes, n))
		return -EBADMSG;
	a = arena_create(c->bytes + 8 * n);
	if (a == NULL)
		return -ENOMEM;
	ours = arena_alloc(a, c->bytes); /* the first piece: wire_free() finds the arena by it */
	allocator.allocator_data = a;
	err = -EBADMSG;
	if (ours == NULL)
		goto fail;
	m = protobuf_c_message_unpack(c->descriptor, &allocator, n, bytes);
	if (m == NULL)
		goto fail;
	err = c->read(a, m, ours);
	if (err != 0)
		goto fail;
	*out = ours;
	return 0;
fail:
	arena_destroy(a);
	return err;
}

void wire_bytes_free(struct wire_bytes *b)
{
	free(b->bytes);
	*b = (struct wire_bytes){NULL, 0};
}

void wire_free(void *unpacked)
{
	if (unpacked != NULL)
		arena_destroy(arena_of(unpacked));
}

void *codec_row(struct arena *a, const ProtobufCMessageDescriptor *d)
{
	void *row = arena_alloc(a, d->sizeof_message);

	if (row != NULL)
		protobuf_c_message_init(d, row);
	return row;
}

void *codec_rows(struct arena *a, const ProtobufCMessageDescriptor *d, uint32_t n)
{
	void **rows = arena_array(a, n, sizeof(void *));
	uint8_t *structs = arena_array(a, n, d->sizeof_message);

	if (rows == NULL || structs == NULL)
		return NULL;
	for (uint32_t i = 0; i < n; i++) {
		rows[i] = structs + i * d->sizeof_message;
		protobuf_c_message_init(d, rows[i]);
	}
	return rows;
}

int codec_fill_token(struct arena *a, const struct wire_token *t, Bellwether__Token **out)
{
	Bellwether__Token *token;

	/* Left out, as other fields are when they are zero: who joins messages by their octets needs
	 * that single fields come in one of them only. */
	*out = NULL;
	if (t->epoch == 0 && t->generation == 0)
		return 0;
	token = codec_row(a, &bellwether__token__descriptor);
	if (token == NULL)
		return -ENOMEM;
	token->epoch = t->epoch;
	token->generation = t->generation;
	*out = token;
	return 0;
}

struct wire_token codec_read_token(const Bellwether__Token *t)
{
	if (t == NULL)
		return (struct wire_token){0, 0};
	return (struct wire_token){t->epoch, t->generation};
}

int codec_fill_texts(struct arena *a, const char *const *texts, uint32_t n, char ***out)
{
	char **copy = arena_array(a, n, sizeof(*copy));

	if (copy == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		CODEC_TEXT(a, copy[i], texts[i]);
	*out = copy;
	return 0;
}

ProtobufCBinaryData codec_fill_octets(struct wire_octets octets)
{
	/* protobuf-c's structs are not const; packing only reads */
	return (ProtobufCBinaryData){octets.n, (uint8_t *)octets.bytes};
}

struct wire_octets codec_read_octets(ProtobufCBinaryData octets)
{
	return (struct wire_octets){octets.data, (uint32_t)octets.len};
}

bool codec_is_cell_name(const char *name)
{
	return name[0] != '\0' && codec_is_cell_name_or_none(name);
}

bool codec_is_cell_name_or_none(const char *name)
{
	return strlen(name) <= WIRE_CELL_NAME_MAX;
}

bool codec_is_request_id(const char *id)
{
	return strlen(id) <= WIRE_REQUEST_ID_MAX;
}

int codec_read_servers(struct arena *a, const uint32_t *ids, size_t n, uint32_t **out)
{
	uint32_t *copy = arena_array(a, n, sizeof(*copy));

	if (copy == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (!codec_is_server_id(ids[i]))
			return -EBADMSG;
		copy[i] = ids[i];
	}
	*out = copy;
	return 0;
}
