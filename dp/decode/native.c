#include "dp/decode/decode.h"

#include "dp/decode/cursor.h"
#include "dp/decode/utf8.h"

enum wire_type {
	WIRE_VARINT = 0,
	WIRE_FIXED64 = 1,
	WIRE_LENGTH = 2,
	WIRE_GROUP_START = 3,
	WIRE_GROUP_END = 4,
	WIRE_FIXED32 = 5,
};

enum {
	VARINT_OCTETS_MAX = 10,
	SHORT_VARINT_OCTETS_MAX = 5, /* of a tag or a length, which are 32 bits wide */
	GROUP_DEPTH_MAX = 16,
};

struct tag {
	uint32_t field;
	uint8_t wire_type;
};

static enum decode_refusal take_varint(struct cursor *c, unsigned int octets_max, uint64_t *value)
{
	uint8_t octet;

	*value = 0;
	for (unsigned int i = 0; i < octets_max; i++) {
		if (!cursor_octet(c, &octet))
			return DECODE_NATIVE_TRUNCATED;
		if (i == VARINT_OCTETS_MAX - 1 && octet > 1)
			return DECODE_NATIVE_VARINT; /* more than 64 bits */
		*value |= (uint64_t)(octet & 0x7f) << (7 * i);
		if (octet < 0x80)
			return DECODE_OK;
	}
	return DECODE_NATIVE_VARINT;
}

static enum decode_refusal take_tag(struct cursor *c, struct tag *tag)
{
	enum decode_refusal refusal;
	uint64_t value;

	refusal = take_varint(c, SHORT_VARINT_OCTETS_MAX, &value);
	if (refusal != DECODE_OK)
		return refusal;
	tag->field = (uint32_t)(value >> 3);
	tag->wire_type = value & 7;
	if (value > UINT32_MAX || tag->field == 0 || tag->wire_type > WIRE_FIXED32)
		return DECODE_NATIVE_TAG;
	return DECODE_OK;
}

static enum decode_refusal take_part(struct cursor *c, struct cursor *part)
{
	enum decode_refusal refusal;
	uint64_t n_bytes;

	refusal = take_varint(c, SHORT_VARINT_OCTETS_MAX, &n_bytes);
	if (refusal != DECODE_OK)
		return refusal;
	return cursor_take(c, n_bytes, part) ? DECODE_OK : DECODE_NATIVE_TRUNCATED;
}

/* Fields of the schema, whose wire type must be right. */

static enum decode_refusal take_message(struct cursor *c, struct tag tag, struct cursor *message)
{
	return tag.wire_type == WIRE_LENGTH ? take_part(c, message) : DECODE_NATIVE_WIRE_TYPE;
}

static enum decode_refusal take_fixed64(struct cursor *c, struct tag tag, uint64_t *value)
{
	if (tag.wire_type != WIRE_FIXED64)
		return DECODE_NATIVE_WIRE_TYPE;
	return cursor_little_endian(c, 8, value) ? DECODE_OK : DECODE_NATIVE_TRUNCATED;
}

static enum decode_refusal take_fixed32(struct cursor *c, struct tag tag, uint32_t *value)
{
	uint64_t wide;

	if (tag.wire_type != WIRE_FIXED32)
		return DECODE_NATIVE_WIRE_TYPE;
	if (!cursor_little_endian(c, 4, &wide))
		return DECODE_NATIVE_TRUNCATED;
	*value = (uint32_t)wide;
	return DECODE_OK;
}

static enum decode_refusal take_enum(struct cursor *c, struct tag tag, uint64_t *value)
{
	if (tag.wire_type != WIRE_VARINT)
		return DECODE_NATIVE_WIRE_TYPE;
	return take_varint(c, VARINT_OCTETS_MAX, value);
}

static enum decode_refusal skip_scalar(struct cursor *c, uint8_t wire_type)
{
	struct cursor part;
	uint64_t value;

	switch (wire_type) {
	case WIRE_VARINT:
		return take_varint(c, VARINT_OCTETS_MAX, &value);
	case WIRE_FIXED64:
		return cursor_take(c, 8, &part) ? DECODE_OK : DECODE_NATIVE_TRUNCATED;
	case WIRE_FIXED32:
		return cursor_take(c, 4, &part) ? DECODE_OK : DECODE_NATIVE_TRUNCATED;
	default:
		return take_part(c, &part);
	}
}

/* A field that the schema does not know: one scalar, or a group with all that is in it. */
static enum decode_refusal skip_unknown(struct cursor *c, struct tag tag)
{
	uint32_t open[GROUP_DEPTH_MAX]; /* groups that were begun and not ended */
	unsigned int depth = 0;
	enum decode_refusal refusal = DECODE_OK;

	for (;;) {
		if (tag.wire_type == WIRE_GROUP_START) {
			if (depth == GROUP_DEPTH_MAX)
				return DECODE_NATIVE_DEPTH;
			open[depth++] = tag.field;
		} else if (tag.wire_type == WIRE_GROUP_END) {
			if (depth == 0 || open[--depth] != tag.field)
				return DECODE_NATIVE_TAG;
		} else {
			refusal = skip_scalar(c, tag.wire_type);
		}
		if (refusal != DECODE_OK || depth == 0)
			return refusal;
		refusal = take_tag(c, &tag);
		if (refusal != DECODE_OK)
			return refusal;
	}
}

static enum decode_refusal decode_metric(struct cursor c, struct fedmem_metric *metric)
{
	enum decode_refusal refusal = DECODE_OK;
	struct tag tag;

	metric->id = 0;
	metric->value = 0;
	while (refusal == DECODE_OK && cursor_left(&c) > 0) {
		refusal = take_tag(&c, &tag);
		if (refusal != DECODE_OK)
			break;
		switch (tag.field) {
		case 1:
			refusal = take_fixed32(&c, tag, &metric->id);
			break;
		case 2:
			refusal = take_fixed64(&c, tag, &metric->value);
			break;
		default:
			refusal = skip_unknown(&c, tag);
		}
	}
	return refusal;
}

static bool text_fits(struct cursor c, size_t bytes_max, struct report_text *text)
{
	if (cursor_left(&c) > bytes_max || !utf8_is_text(c))
		return false;
	text->chars = (const char *)c.at;
	text->n_bytes = (uint16_t)cursor_left(&c);
	return true;
}

/* Values are checked at the end: one that a later one replaced counts for nothing. */
static enum decode_refusal decode_alarm(struct cursor c, struct report_alarm *alarm)
{
	struct cursor type = {c.at, c.at}, resource = type, qualifier = type, text = type;
	enum decode_refusal refusal = DECODE_OK;
	uint64_t severity = FEDMEM_CLEARED;
	struct tag tag;

	while (refusal == DECODE_OK && cursor_left(&c) > 0) {
		refusal = take_tag(&c, &tag);
		if (refusal != DECODE_OK)
			break;
		switch (tag.field) {
		case 1:
			refusal = take_message(&c, tag, &type);
			break;
		case 2:
			refusal = take_message(&c, tag, &resource);
			break;
		case 3:
			refusal = take_message(&c, tag, &qualifier);
			break;
		case 4:
			refusal = take_enum(&c, tag, &severity);
			break;
		case 5:
			refusal = take_message(&c, tag, &text);
			break;
		default:
			refusal = skip_unknown(&c, tag);
		}
	}
	if (refusal != DECODE_OK)
		return refusal;
	if (cursor_left(&type) == 0 || !text_fits(type, FEDMEM_TYPE_BYTES, &alarm->type) ||
	    !text_fits(resource, FEDMEM_RESOURCE_BYTES, &alarm->resource) ||
	    !text_fits(qualifier, FEDMEM_QUALIFIER_BYTES, &alarm->qualifier) ||
	    !text_fits(text, FEDMEM_TEXT_BYTES, &alarm->text))
		return DECODE_NATIVE_TEXT;
	if (severity > FEDMEM_CRITICAL)
		return DECODE_NATIVE_SEVERITY;
	alarm->severity = (uint8_t)severity;
	return DECODE_OK;
}

static enum decode_refusal decode_next_metric(struct cursor *c, struct tag tag, struct report *r)
{
	enum decode_refusal refusal;
	struct cursor message;

	refusal = take_message(c, tag, &message);
	if (refusal != DECODE_OK)
		return refusal;
	if (r->n_metrics == REPORT_METRICS_MAX)
		return DECODE_NATIVE_TOO_MANY_METRICS;
	return decode_metric(message, &r->metrics[r->n_metrics++]);
}

static enum decode_refusal decode_next_alarm(struct cursor *c, struct tag tag, struct report *r)
{
	enum decode_refusal refusal;
	struct cursor message;

	refusal = take_message(c, tag, &message);
	if (refusal != DECODE_OK)
		return refusal;
	if (r->n_alarms == REPORT_ALARMS_MAX)
		return DECODE_NATIVE_TOO_MANY_ALARMS;
	return decode_alarm(message, &r->alarms[r->n_alarms++]);
}

static enum decode_refusal decode_report(struct cursor c, struct report *r)
{
	enum decode_refusal refusal = DECODE_OK;
	struct tag tag;

	r->element_id = 0;
	r->boot = 0;
	r->sequence = 0;
	r->is_unmapped = false;
	r->n_metrics = 0;
	r->n_alarms = 0;
	while (refusal == DECODE_OK && cursor_left(&c) > 0) {
		refusal = take_tag(&c, &tag);
		if (refusal != DECODE_OK)
			break;
		switch (tag.field) {
		case 1:
			refusal = take_fixed64(&c, tag, &r->element_id);
			break;
		case 2:
			refusal = take_fixed64(&c, tag, &r->boot);
			break;
		case 3:
			refusal = take_fixed64(&c, tag, &r->sequence);
			break;
		case 4:
			refusal = decode_next_metric(&c, tag, r);
			break;
		case 5:
			refusal = decode_next_alarm(&c, tag, r);
			break;
		default:
			refusal = skip_unknown(&c, tag);
		}
	}
	return refusal;
}

static enum decode_refusal decode_next_report(struct cursor *c, struct tag tag,
					      struct report_batch *batch, uint32_t *n)
{
	enum decode_refusal refusal;
	struct cursor message;

	refusal = take_message(c, tag, &message);
	if (refusal != DECODE_OK)
		return refusal;
	if (*n == REPORT_BATCH_MAX)
		return DECODE_NATIVE_TOO_MANY_REPORTS;
	return decode_report(message, &batch->reports[(*n)++]);
}

enum decode_refusal decode_native(const struct decode_context *ctx, const uint8_t *payload,
				  size_t payload_bytes, struct report_batch *batch)
{
	struct cursor c = {payload, payload + payload_bytes};
	enum decode_refusal refusal;
	struct tag tag;
	uint32_t n = 0;

	batch->n = 0;
	batch->scratch_used = 0;
	while (cursor_left(&c) > 0) {
		refusal = take_tag(&c, &tag);
		if (refusal == DECODE_OK)
			refusal = tag.field == 1 ? decode_next_report(&c, tag, batch, &n)
						 : skip_unknown(&c, tag);
		if (refusal != DECODE_OK)
			return refusal;
	}
	if (n == 0)
		return DECODE_NATIVE_EMPTY;
	batch->n = n;
	return DECODE_OK;
}
