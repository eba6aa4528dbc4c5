#include "cp/wire/check.h"

#include "cp/wire/text.h"

struct cursor {
	const uint8_t *at;
	size_t left;
};

/* One field as it lies in the message. */
struct found {
	uint32_t number;
	uint8_t wire_type;
	uint64_t value; /* of a varint */
	struct cursor body;
};

static bool take_varint(struct cursor *c, uint64_t *value)
{
	*value = 0;
	for (unsigned int shift = 0; shift < 64 && c->left > 0; shift += 7) {
		uint8_t octet = *c->at++;

		c->left--;
		if (shift == 63 && octet > 1)
			return false;
		*value |= (uint64_t)(octet & 0x7f) << shift;
		if ((octet & 0x80) == 0)
			return true;
	}
	return false;
}

static bool take_body(struct cursor *c, size_t n, struct found *f)
{
	if (c->left < n)
		return false;
	f->body = (struct cursor){c->at, n};
	c->at += n;
	c->left -= n;
	return true;
}

static bool take_field(struct cursor *c, struct found *f)
{
	uint64_t tag;

	if (!take_varint(c, &tag) || tag >> 3 == 0 || tag > UINT32_MAX)
		return false;
	f->number = (uint32_t)(tag >> 3);
	f->wire_type = tag & 7;
	switch (f->wire_type) {
	case PROTOBUF_C_WIRE_TYPE_VARINT:
		return take_varint(c, &f->value);
	case PROTOBUF_C_WIRE_TYPE_64BIT:
		return take_body(c, 8, f);
	case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
		return take_varint(c, &f->value) && f->value <= c->left &&
		       take_body(c, f->value, f);
	case PROTOBUF_C_WIRE_TYPE_32BIT:
		return take_body(c, 4, f);
	default:
		return false; /* groups are not ours */
	}
}

/* proto3 packs repeated numbers. */
static bool check_packed_uint32(struct cursor body)
{
	uint64_t value;

	while (body.left > 0)
		if (!take_varint(&body, &value) || value > UINT32_MAX)
			return false;
	return true;
}

static bool check_field(const ProtobufCFieldDescriptor *d, const struct found *f)
{
	bool is_varint = f->wire_type == PROTOBUF_C_WIRE_TYPE_VARINT;
	bool is_prefixed = f->wire_type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;

	switch (d->type) {
	case PROTOBUF_C_TYPE_UINT32:
		if (is_prefixed && d->label == PROTOBUF_C_LABEL_REPEATED)
			return check_packed_uint32(f->body);
		return is_varint && f->value <= UINT32_MAX;
	case PROTOBUF_C_TYPE_UINT64:
		return is_varint;
	case PROTOBUF_C_TYPE_ENUM:
		return is_varint && f->value <= INT32_MAX;
	case PROTOBUF_C_TYPE_BOOL:
		return is_varint && f->value <= 1;
	case PROTOBUF_C_TYPE_DOUBLE:
		return f->wire_type == PROTOBUF_C_WIRE_TYPE_64BIT;
	case PROTOBUF_C_TYPE_STRING:
		return is_prefixed && text_is_sound(f->body.at, f->body.left);
	case PROTOBUF_C_TYPE_BYTES:
		return is_prefixed;
	case PROTOBUF_C_TYPE_MESSAGE:
		return is_prefixed && check_message(d->descriptor, f->body.at, f->body.left);
	default:
		return false; /* a type that our .proto does not use: teach it here first */
	}
}

/* Recurses as deep as the messages are nested in the .proto file, where none contains itself. */
bool check_message(const ProtobufCMessageDescriptor *d, const uint8_t *bytes, size_t n)
{
	struct cursor c = {bytes, n};
	uint64_t seen = 0; /* by position in the descriptor */

	while (c.left > 0) {
		const ProtobufCFieldDescriptor *field;
		struct found f;

		if (!take_field(&c, &f))
			return false;
		field = protobuf_c_message_descriptor_get_field(d, f.number);
		if (field == NULL)
			continue;
		if (field->label != PROTOBUF_C_LABEL_REPEATED) {
			uint64_t bit = 1ull << (field - d->fields);

			if ((seen & bit) != 0)
				return false;
			seen |= bit;
		}
		if (!check_field(field, &f))
			return false;
	}
	return true;
}
