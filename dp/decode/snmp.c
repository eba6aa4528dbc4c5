#include "dp/decode/snmp.h"

#include <string.h>

enum snmp_version { SNMP_V1 = 0, SNMP_V2C = 1, SNMP_V3 = 3 };

/* RFC 1157 4.1, RFC 3416 3 */
enum pdu_tag {
	PDU_FIRST = 0xa0,
	PDU_TRAP_V1 = 0xa4,
	PDU_INFORM = 0xa6,
	PDU_TRAP_V2 = 0xa7,
	PDU_LAST = 0xa8,
};

enum { GENERIC_ENTERPRISE_SPECIFIC = 6 };

/* 1.3.6.1.2.1.1.3.0 */
static const uint8_t sys_up_time_0[] = {0x2b, 6, 1, 2, 1, 1, 3, 0};
/* 1.3.6.1.6.3.1.1.4.1.0 */
static const uint8_t snmp_trap_oid_0[] = {0x2b, 6, 1, 6, 3, 1, 1, 4, 1, 0};
/* snmpTraps, 1.3.6.1.6.3.1.1.5: coldStart is 1 below it (RFC 3418 2) */
static const uint8_t snmp_traps[] = {0x2b, 6, 1, 6, 3, 1, 1, 5};

static bool octets_equal(struct cursor c, const void *octets, size_t n_bytes)
{
	return cursor_left(&c) == n_bytes && memcmp(c.at, octets, n_bytes) == 0;
}

static bool value_is_valid(const struct ber_element *value)
{
	uint64_t unsigned_value;
	int32_t signed_value;

	switch (value->tag) {
	case BER_INTEGER:
		return ber_signed32(value->contents, &signed_value);
	case BER_COUNTER32:
	case BER_GAUGE32:
	case BER_TIME_TICKS:
		return ber_unsigned(value->contents, UINT32_MAX, &unsigned_value);
	case BER_COUNTER64:
		return ber_unsigned(value->contents, UINT64_MAX, &unsigned_value);
	case BER_OCTETS:
	case BER_OPAQUE:
		return true;
	case BER_OID:
		return ber_oid_is_valid(value->contents);
	case BER_IP_ADDRESS:
		return cursor_left(&value->contents) == 4;
	case BER_NULL:
	case BER_NO_SUCH_OBJECT:
	case BER_NO_SUCH_INSTANCE:
	case BER_END_OF_MIB_VIEW:
		return cursor_left(&value->contents) == 0;
	default:
		return false;
	}
}

/* The next element, which must have this tag and a value of it. */
static enum decode_refusal take_value(struct cursor *c, enum ber_tag tag, struct cursor *contents)
{
	struct ber_element element = {.tag = (uint8_t)tag};
	enum decode_refusal refusal;

	refusal = ber_expect(c, tag, &element.contents);
	if (refusal == DECODE_OK && !value_is_valid(&element))
		return DECODE_SNMP_BER;
	*contents = element.contents;
	return refusal;
}

static enum decode_refusal take_integer(struct cursor *c, int32_t *value)
{
	enum decode_refusal refusal;
	struct cursor contents;

	refusal = ber_expect(c, BER_INTEGER, &contents);
	if (refusal != DECODE_OK)
		return refusal;
	return ber_signed32(contents, value) ? DECODE_OK : DECODE_SNMP_BER;
}

static enum decode_refusal take_binding(struct cursor *c, struct snmp_binding *binding)
{
	enum decode_refusal refusal;
	struct cursor pair;

	refusal = ber_expect(c, BER_SEQUENCE, &pair);
	if (refusal != DECODE_OK)
		return refusal;
	refusal = take_value(&pair, BER_OID, &binding->name);
	if (refusal != DECODE_OK)
		return refusal;
	refusal = ber_next(&pair, &binding->value);
	if (refusal != DECODE_OK)
		return refusal;
	if (!value_is_valid(&binding->value))
		return DECODE_SNMP_BER;
	return cursor_left(&pair) == 0 ? DECODE_OK : DECODE_SNMP_TRAILING;
}

/* The bindings are the last part of either PDU. */
static enum decode_refusal take_bindings(struct cursor *pdu, struct snmp_trap *trap)
{
	enum decode_refusal refusal;
	struct cursor list;

	trap->n_bindings = 0;
	refusal = ber_expect(pdu, BER_SEQUENCE, &list);
	if (refusal != DECODE_OK)
		return refusal;
	if (cursor_left(pdu) != 0)
		return DECODE_SNMP_TRAILING;
	while (cursor_left(&list) > 0) {
		if (trap->n_bindings == SNMP_BINDINGS_MAX)
			return DECODE_SNMP_TOO_MANY_BINDINGS;
		refusal = take_binding(&list, &trap->bindings[trap->n_bindings]);
		if (refusal != DECODE_OK)
			return refusal;
		trap->n_bindings++;
	}
	return DECODE_OK;
}

static void append_subidentifier(uint8_t *at, size_t *n_bytes, uint32_t subidentifier)
{
	for (int shift = 28; shift > 0; shift -= 7)
		if (subidentifier >> shift != 0)
			at[(*n_bytes)++] = (uint8_t)(0x80 | (subidentifier >> shift & 0x7f));
	at[(*n_bytes)++] = subidentifier & 0x7f;
}

/* RFC 3584 3.1 (2) and (3): what SNMPv2 would have called the notification. */
static enum decode_refusal name_v1_trap(struct cursor enterprise, int32_t generic, int32_t specific,
					struct snmp_trap *trap)
{
	size_t n_bytes;

	if (generic < 0 || generic > GENERIC_ENTERPRISE_SPECIFIC)
		return DECODE_SNMP_BER;
	if (generic < GENERIC_ENTERPRISE_SPECIFIC) {
		n_bytes = sizeof(snmp_traps);
		memcpy(trap->made, snmp_traps, n_bytes);
		append_subidentifier(trap->made, &n_bytes, (uint32_t)generic + 1);
	} else {
		if (specific < 0)
			return DECODE_SNMP_BER; /* no arc of an OID */
		/* take_value() let no more than 127 subidentifiers pass */
		n_bytes = cursor_left(&enterprise);
		memcpy(trap->made, enterprise.at, n_bytes);
		append_subidentifier(trap->made, &n_bytes, 0);
		append_subidentifier(trap->made, &n_bytes, (uint32_t)specific);
	}
	trap->oid = (struct cursor){trap->made, trap->made + n_bytes};
	return DECODE_OK;
}

static enum decode_refusal read_v1_trap(struct cursor pdu, struct snmp_trap *trap)
{
	struct cursor enterprise, agent_address, time_stamp;
	enum decode_refusal refusal;
	int32_t generic, specific;

	refusal = take_value(&pdu, BER_OID, &enterprise);
	if (refusal == DECODE_OK)
		refusal = take_value(&pdu, BER_IP_ADDRESS, &agent_address);
	if (refusal == DECODE_OK)
		refusal = take_integer(&pdu, &generic);
	if (refusal == DECODE_OK)
		refusal = take_integer(&pdu, &specific);
	if (refusal == DECODE_OK)
		refusal = take_value(&pdu, BER_TIME_TICKS, &time_stamp);
	if (refusal == DECODE_OK)
		refusal = take_bindings(&pdu, trap);
	if (refusal == DECODE_OK)
		refusal = name_v1_trap(enterprise, generic, specific, trap);
	return refusal;
}

static enum decode_refusal read_v2_trap(struct cursor pdu, struct snmp_trap *trap)
{
	const struct snmp_binding *first = &trap->bindings[0], *second = &trap->bindings[1];
	int32_t request_id, error_status, error_index; /* of other PDUs of this shape */
	enum decode_refusal refusal;

	refusal = take_integer(&pdu, &request_id);
	if (refusal == DECODE_OK)
		refusal = take_integer(&pdu, &error_status);
	if (refusal == DECODE_OK)
		refusal = take_integer(&pdu, &error_index);
	if (refusal == DECODE_OK)
		refusal = take_bindings(&pdu, trap);
	if (refusal != DECODE_OK)
		return refusal;
	if (trap->n_bindings < 2 ||
	    !octets_equal(first->name, sys_up_time_0, sizeof(sys_up_time_0)) ||
	    first->value.tag != BER_TIME_TICKS ||
	    !octets_equal(second->name, snmp_trap_oid_0, sizeof(snmp_trap_oid_0)) ||
	    second->value.tag != BER_OID)
		return DECODE_SNMP_NO_TRAP_OID;
	trap->oid = second->value.contents;
	return DECODE_OK;
}

static bool community_is_accepted(const struct decode_context *ctx, struct cursor community)
{
	for (uint32_t i = 0; i < ctx->n_communities; i++)
		if (octets_equal(community, ctx->communities[i], strlen(ctx->communities[i])))
			return true;
	return false;
}

static enum decode_refusal read_pdu(struct cursor c, int32_t version, struct snmp_trap *trap)
{
	enum decode_refusal refusal;
	struct ber_element pdu;

	refusal = ber_next(&c, &pdu);
	if (refusal != DECODE_OK)
		return refusal;
	if (pdu.tag < PDU_FIRST || pdu.tag > PDU_LAST)
		return DECODE_SNMP_BER;
	if (cursor_left(&c) != 0)
		return DECODE_SNMP_TRAILING;
	if (version == SNMP_V1 && pdu.tag == PDU_TRAP_V1)
		return read_v1_trap(pdu.contents, trap);
	if (version == SNMP_V2C && pdu.tag == PDU_TRAP_V2)
		return read_v2_trap(pdu.contents, trap);
	if (version == SNMP_V2C && pdu.tag == PDU_INFORM)
		return DECODE_SNMP_INFORM;
	return DECODE_SNMP_NOT_A_TRAP;
}

enum decode_refusal decode_snmp_trap(const struct decode_context *ctx, const uint8_t *payload,
				     size_t payload_bytes, struct snmp_trap *trap)
{
	struct cursor c = {payload, payload + payload_bytes}, message, community;
	enum decode_refusal refusal;
	int32_t version;

	refusal = ber_expect(&c, BER_SEQUENCE, &message);
	if (refusal != DECODE_OK)
		return refusal;
	if (cursor_left(&c) != 0)
		return DECODE_SNMP_TRAILING;
	refusal = take_integer(&message, &version);
	if (refusal != DECODE_OK)
		return refusal;
	if (version == SNMP_V3)
		return DECODE_SNMP_V3;
	if (version != SNMP_V1 && version != SNMP_V2C)
		return DECODE_SNMP_VERSION;
	refusal = ber_expect(&message, BER_OCTETS, &community);
	if (refusal != DECODE_OK)
		return refusal;
	if (!community_is_accepted(ctx, community))
		return DECODE_SNMP_COMMUNITY;
	return read_pdu(message, version, trap);
}

enum decode_refusal decode_snmp(const struct decode_context *ctx, const uint8_t *payload,
				size_t payload_bytes, struct report_batch *batch)
{
	struct report *report = &batch->reports[0];
	const struct fedmem_rule *rule;
	enum decode_refusal refusal;
	struct snmp_trap trap;

	batch->n = 0;
	batch->scratch_used = 0;
	refusal = decode_snmp_trap(ctx, payload, payload_bytes, &trap);
	if (refusal != DECODE_OK)
		return refusal;
	report->element_id = 0;
	report->boot = 0;
	report->sequence = 0;
	report->n_metrics = 0;
	rule = decode_snmp_rule(ctx, &trap);
	report->is_unmapped = rule == NULL;
	report->n_alarms = rule != NULL;
	if (rule != NULL)
		decode_snmp_alarm(rule, &trap, batch, &report->alarms[0]);
	batch->n = 1;
	return DECODE_OK;
}
