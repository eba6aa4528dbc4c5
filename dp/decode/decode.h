/* decode.h - payloads to typed reports. One decoder a file, all of one shape.
 * A decoder reads through a bounded cursor, allocates nothing, recurses nowhere deeper than 16 and
 * never asserts on what it reads. It refuses a datagram as a whole, with a named reason, or
 * gives out all its reports.
 *
 * Thread:  any; no state.
 * Memory:  texts of a report point into the payload or into the batch; they live as long as both.
 * Returns: DECODE_OK with the batch filled, or the reason; the batch is then empty.
 */
#ifndef BELLWETHER_DP_DECODE_DECODE_H
#define BELLWETHER_DP_DECODE_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dp/fedmem/fedmem.h"

enum decode_format { DECODE_NONE, DECODE_NATIVE, DECODE_SNMP, DECODE_FORMATS };

const char *decode_format_name(enum decode_format format);

#define REPORT_METRICS_MAX 16
#define REPORT_ALARMS_MAX  8
#define REPORT_BATCH_MAX   64

struct report_text {
	const char *chars; /* UTF-8, not terminated */
	uint16_t n_bytes;
};

struct report_alarm {
	struct report_text type, resource, qualifier, text;
	uint8_t severity; /* enum fedmem_severity; FEDMEM_CLEARED clears */
};

struct report {
	uint64_t element_id; /* 0: the element whose address the datagram came from */
	uint64_t boot;	     /* of the source, rises with its restarts; 0: it has none */
	uint64_t sequence;   /* of the source within 'boot', per element; 0: it has none */
	bool is_unmapped;    /* a notification that no rule names: no alarm in it */
	uint8_t n_metrics, n_alarms;
	struct fedmem_metric metrics[REPORT_METRICS_MAX];
	struct report_alarm alarms[REPORT_ALARMS_MAX];
};

struct report_batch {
	uint32_t n;
	uint32_t scratch_used;
	struct report reports[REPORT_BATCH_MAX];
	char scratch[1024]; /* where decoders put texts that do not stand in the payload */
};

/* What a decoder may look up. */
struct decode_context {
	const struct fedmem_rule *rules;
	uint32_t n_rules;
	const char *const *communities; /* those that are accepted */
	uint32_t n_communities;
};

/* proto/report.proto, by walking the wire (protobuf encoding); unknown fields are skipped. The
 * last value of a scalar field counts, as protobuf demands. */
enum decode_refusal decode_native(const struct decode_context *ctx, const uint8_t *payload,
				  size_t payload_bytes, struct report_batch *batch);

/* SNMPv1 (RFC 1157 4.1.6) and SNMPv2c (RFC 3416 4.2.6) notifications, v1 ones named by
 * RFC 3584 3.1, to the alarm that the rule of the notification's OID names. BER as X.690, definite
 * lengths. */
enum decode_refusal decode_snmp(const struct decode_context *ctx, const uint8_t *payload,
				size_t payload_bytes, struct report_batch *batch);

/* By 'format', which may be any number: a relaying peer names it. */
enum decode_refusal decode_payload(enum decode_format format, const struct decode_context *ctx,
				   const uint8_t *payload, size_t payload_bytes,
				   struct report_batch *batch);

#endif
