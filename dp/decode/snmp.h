/* snmp.h - a notification as it stands in its message: what BER says, before any rule is looked at.
 */
#ifndef BELLWETHER_DP_DECODE_SNMP_H
#define BELLWETHER_DP_DECODE_SNMP_H

#include "dp/decode/ber.h"
#include "dp/decode/cursor.h"
#include "dp/decode/decode.h"

#define SNMP_BINDINGS_MAX 64
/* An enterprise of 127 subidentifiers of five octets, zero, and the specific trap's five. */
#define SNMP_TRAP_OID_BYTES (127 * 5 + 1 + 5)

struct snmp_binding {
	struct cursor name;	  /* contents of a valid OID */
	struct ber_element value; /* of a tag in enum ber_tag, with contents that it may have */
};

struct snmp_trap {
	struct cursor oid; /* of the notification; its octets lie in the message or in 'made' */
	uint8_t made[SNMP_TRAP_OID_BYTES];
	uint32_t n_bindings;
	struct snmp_binding bindings[SNMP_BINDINGS_MAX];
};

/* '*trap' points into the payload and into itself: it is not to be copied. */
enum decode_refusal decode_snmp_trap(const struct decode_context *ctx, const uint8_t *payload,
				     size_t payload_bytes, struct snmp_trap *trap);

/* The rule of the notification, or NULL. */
const struct fedmem_rule *decode_snmp_rule(const struct decode_context *ctx,
					   const struct snmp_trap *trap);
/* The alarm that the rule makes of it. All its texts are put into the batch. */
void decode_snmp_alarm(const struct fedmem_rule *rule, const struct snmp_trap *trap,
		       struct report_batch *batch, struct report_alarm *alarm);

#endif
