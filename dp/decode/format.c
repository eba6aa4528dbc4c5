#include "dp/decode/decode.h"

#include <assert.h>

static const char *const format_names[DECODE_FORMATS] = {
	[DECODE_NONE] = "none",
	[DECODE_NATIVE] = "native",
	[DECODE_SNMP] = "snmp",
};

const char *decode_format_name(enum decode_format format)
{
	assert(format < DECODE_FORMATS);
	return format_names[format];
}

enum decode_refusal decode_payload(enum decode_format format, const struct decode_context *ctx,
				   const uint8_t *payload, size_t payload_bytes,
				   struct report_batch *batch)
{
	switch (format) {
	case DECODE_NATIVE:
		return decode_native(ctx, payload, payload_bytes, batch);
	case DECODE_SNMP:
		return decode_snmp(ctx, payload, payload_bytes, batch);
	default:
		/* A peer's data plane may be newer than this one and relay what only it can decode.
		 */
		batch->n = 0;
		batch->scratch_used = 0;
		return DECODE_UNKNOWN_FORMAT;
	}
}
