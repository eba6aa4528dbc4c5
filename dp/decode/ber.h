/* ber.h - the part of BER (X.690) that SNMP uses (RFC 3417 8): tags of one octet, definite lengths.
 */
#ifndef BELLWETHER_DP_DECODE_BER_H
#define BELLWETHER_DP_DECODE_BER_H

#include <stdbool.h>
#include <stdint.h>

#include "dp/decode/cursor.h"
#include "dp/decode/decode.h"

/* Of the values of a binding (RFC 3416 3, RFC 2578 7.1) and of what holds them. */
enum ber_tag {
	BER_INTEGER = 0x02,
	BER_OCTETS = 0x04,
	BER_NULL = 0x05,
	BER_OID = 0x06,
	BER_SEQUENCE = 0x30,
	BER_IP_ADDRESS = 0x40,
	BER_COUNTER32 = 0x41,
	BER_GAUGE32 = 0x42,
	BER_TIME_TICKS = 0x43,
	BER_OPAQUE = 0x44,
	BER_COUNTER64 = 0x46,
	BER_NO_SUCH_OBJECT = 0x80,
	BER_NO_SUCH_INSTANCE = 0x81,
	BER_END_OF_MIB_VIEW = 0x82,
};

struct ber_element {
	uint8_t tag;
	struct cursor contents;
};

/* Takes the next element. DECODE_OK, DECODE_SNMP_TRUNCATED or DECODE_SNMP_BER. */
enum decode_refusal ber_next(struct cursor *c, struct ber_element *element);
/* The same; another tag than this one is DECODE_SNMP_BER. */
enum decode_refusal ber_expect(struct cursor *c, enum ber_tag tag, struct cursor *contents);

/* The number that contents hold, False: none, or out of range. Octets in front that only repeat the
 * sign are accepted: agents exist that write every integer with four octets. So is an unsigned
 * number of full width without the zero octet that should stand before its high bit. */
bool ber_signed32(struct cursor contents, int32_t *value);
bool ber_unsigned(struct cursor contents, uint64_t value_max, uint64_t *value);

/* Takes the next subidentifier of an OID's contents. False: there is none, it is cut off, does not
 * have its shortest form (X.690 8.19.2), or is above 2^32-1 (RFC 2578 3.5). */
bool ber_oid_next(struct cursor *c, uint32_t *subidentifier);
/* An OID of at most 128 arcs. */
bool ber_oid_is_valid(struct cursor contents);

#endif
