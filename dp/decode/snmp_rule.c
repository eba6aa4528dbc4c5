#include "dp/decode/snmp.h"

#include <string.h>

#include "dp/decode/utf8.h"

/* All that one alarm can put into a batch. */
_Static_assert(FEDMEM_TYPE_BYTES + FEDMEM_RESOURCE_BYTES + FEDMEM_TEXT_BYTES <=
		       sizeof(((struct report_batch *)NULL)->scratch),
	       "a notification's texts fit the scratch");

/* A text in the making, at the end of the batch's scratch. What passes its longest is left out. */
struct draft {
	char *chars;
	uint16_t n_bytes, bytes_max;
};

static struct draft draft_begin(struct report_batch *batch, uint16_t bytes_max)
{
	return (struct draft){batch->scratch + batch->scratch_used, 0, bytes_max};
}

static struct report_text draft_end(const struct draft *draft, struct report_batch *batch)
{
	batch->scratch_used += draft->n_bytes;
	return (struct report_text){draft->chars, draft->n_bytes};
}

/* Whole or not at all. */
static bool append(struct draft *draft, const void *chars, size_t n_bytes)
{
	if (n_bytes > (size_t)(draft->bytes_max - draft->n_bytes))
		return false;
	memcpy(draft->chars + draft->n_bytes, chars, n_bytes);
	draft->n_bytes += (uint16_t)n_bytes;
	return true;
}

static void append_text(struct draft *draft, struct cursor text)
{
	const uint8_t *first = text.at;
	uint32_t character;

	while (utf8_next(&text, &character) && append(draft, first, (size_t)(text.at - first)))
		first = text.at;
}

static void append_number(struct draft *draft, uint64_t number)
{
	uint8_t digits[20];
	uint8_t *first = digits + sizeof(digits);

	do {
		*--first = (uint8_t)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	append_text(draft, (struct cursor){first, digits + sizeof(digits)});
}

static void append_octets(struct draft *draft, struct cursor octets)
{
	static const char hex[] = "0123456789abcdef";
	const uint8_t *first = octets.at;
	uint8_t octet;

	if (utf8_is_printable(octets)) {
		append_text(draft, octets);
		return;
	}
	/* As the DISPLAY-HINT of a MacAddress has it (RFC 2579): most of these are some. */
	while (cursor_octet(&octets, &octet)) {
		const char pair[3] = {':', hex[octet >> 4], hex[octet & 0xf]};
		bool is_first = octets.at == first + 1;

		if (!append(draft, pair + is_first, sizeof(pair) - is_first))
			return;
	}
}

static void append_address(struct draft *draft, struct cursor octets)
{
	const uint8_t *first = octets.at;
	uint8_t octet;

	while (cursor_octet(&octets, &octet)) {
		if (octets.at != first + 1)
			append(draft, ".", 1);
		append_number(draft, octet);
	}
}

static void append_oid(struct draft *draft, struct cursor oid)
{
	uint32_t subidentifier, first_arc;

	if (!ber_oid_next(&oid, &subidentifier))
		return;
	first_arc = subidentifier < 80 ? subidentifier / 40 : 2; /* X.690 8.19.4 */
	append_number(draft, first_arc);
	append(draft, ".", 1);
	append_number(draft, subidentifier - 40 * first_arc);
	while (ber_oid_next(&oid, &subidentifier)) {
		append(draft, ".", 1);
		append_number(draft, subidentifier);
	}
}

static void append_integer(struct draft *draft, int32_t value)
{
	if (value < 0)
		append(draft, "-", 1);
	append_number(draft, (uint64_t)(value < 0 ? -(int64_t)value : value));
}

static void append_value(struct draft *draft, const struct ber_element *value)
{
	uint64_t unsigned_value;
	int32_t signed_value;

	switch (value->tag) {
	case BER_INTEGER:
		if (ber_signed32(value->contents, &signed_value))
			append_integer(draft, signed_value);
		break;
	case BER_COUNTER32:
	case BER_GAUGE32:
	case BER_TIME_TICKS:
	case BER_COUNTER64:
		if (ber_unsigned(value->contents, UINT64_MAX, &unsigned_value))
			append_number(draft, unsigned_value);
		break;
	case BER_OCTETS:
	case BER_OPAQUE:
		append_octets(draft, value->contents);
		break;
	case BER_IP_ADDRESS:
		append_address(draft, value->contents);
		break;
	case BER_OID:
		append_oid(draft, value->contents);
		break;
	default: /* NULL and the exceptions have no value */
		break;
	}
}

/* The value of the first binding below 'prefix'; nothing without one. An arc ends where its octets
 * say, so octets that begin alike are arcs that begin alike. */
static void append_binding(struct draft *draft, const struct snmp_trap *trap, const uint8_t *prefix,
			   size_t prefix_bytes)
{
	for (uint32_t i = 0; prefix_bytes > 0 && i < trap->n_bindings; i++) {
		const struct snmp_binding *binding = &trap->bindings[i];

		if (cursor_left(&binding->name) >= prefix_bytes &&
		    memcmp(binding->name.at, prefix, prefix_bytes) == 0) {
			append_value(draft, &binding->value);
			return;
		}
	}
}

static struct cursor rule_text(const char *chars, size_t bytes_max)
{
	const uint8_t *at = (const uint8_t *)chars;

	return (struct cursor){at, at + strnlen(chars, bytes_max)};
}

const struct fedmem_rule *decode_snmp_rule(const struct decode_context *ctx,
					   const struct snmp_trap *trap)
{
	size_t oid_bytes = cursor_left(&trap->oid);

	for (uint32_t i = 0; i < ctx->n_rules; i++) {
		const struct fedmem_rule *rule = &ctx->rules[i];

		if (rule->oid_bytes == oid_bytes && memcmp(rule->oid, trap->oid.at, oid_bytes) == 0)
			return rule;
	}
	return NULL;
}

void decode_snmp_alarm(const struct fedmem_rule *rule, const struct snmp_trap *trap,
		       struct report_batch *batch, struct report_alarm *alarm)
{
	struct draft draft = draft_begin(batch, FEDMEM_TYPE_BYTES);

	/* The rules may be replaced while the report still lives, so nothing points into them. */
	append_text(&draft, rule_text(rule->type, sizeof(rule->type)));
	alarm->type = draft_end(&draft, batch);

	draft = draft_begin(batch, FEDMEM_RESOURCE_BYTES);
	append_text(&draft, rule_text(rule->resource, sizeof(rule->resource)));
	append_binding(&draft, trap, rule->resource_oid, rule->resource_oid_bytes);
	alarm->resource = draft_end(&draft, batch);

	draft = draft_begin(batch, 0);
	alarm->qualifier = draft_end(&draft, batch);

	draft = draft_begin(batch, FEDMEM_TEXT_BYTES);
	append_binding(&draft, trap, rule->text_oid, rule->text_oid_bytes);
	alarm->text = draft_end(&draft, batch);

	alarm->severity = rule->severity;
}
