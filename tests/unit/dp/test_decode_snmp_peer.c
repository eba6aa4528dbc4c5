/* What decode_snmp_trap() reads, compared with what libsnmp reads from the same octets. */
#include "dp/decode/snmp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <net-snmp/net-snmp-config.h>
#include <net-snmp/net-snmp-includes.h>
#include <net-snmp/library/snmp_impl.h>

#include "tests/fuzz/ber_write.h"

static const char *const communities[] = {"public"};
static const struct decode_context context = {.communities = communities, .n_communities = 1};

static uint64_t random_state;

static uint64_t random_next(void) /* xorshift64* */
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 0x2545f4914f6cdd1dULL;
}

static size_t random_below(size_t n)
{
	return random_next() % n;
}

/* Of all magnitudes, and below 'bits' bits. */
static uint64_t random_number(unsigned int bits)
{
	return (random_next() >> (64 - bits)) >> random_below(bits);
}

static void write_random_oid(struct ber_writer *w)
{
	size_t n = random_below(random_below(8) == 0 ? 127 : 14);

	ber_begin(w, 0x06);
	ber_octet(w, 0x2b);
	while (n-- > 0)
		ber_subidentifier(w, random_number(32));
	ber_end(w);
}

static void write_random_octets(struct ber_writer *w, uint8_t tag)
{
	size_t n = random_below(random_below(8) == 0 ? 300 : 20);

	ber_begin(w, tag);
	while (n-- > 0)
		ber_octet(w, (uint8_t)random_below(0x80));
	ber_end(w);
}

static void write_random_value(struct ber_writer *w)
{
	static const uint8_t tags[] = {0x02, 0x04, 0x05, 0x06, 0x40, 0x41,
				       0x42, 0x43, 0x44, 0x80, 0x81, 0x82};
	uint8_t tag = tags[random_below(sizeof(tags))], address[4];
	uint64_t number;

	switch (tag) {
	case 0x02:
		ber_number(w, tag, (int64_t)random_number(31) * (random_below(2) ? 1 : -1));
		break;
	case 0x04:
	case 0x44:
		write_random_octets(w, tag);
		break;
	case 0x06:
		write_random_oid(w);
		break;
	case 0x40:
		number = random_next();
		memcpy(address, &number, sizeof(address));
		ber_octets(w, tag, address, sizeof(address));
		break;
	case 0x41:
	case 0x42:
		ber_number(w, tag, (int64_t)random_number(32));
		break;
	case 0x43:
		ber_number(w, 0x46, (int64_t)random_number(63));
		break;
	default:
		ber_octets(w, tag, "", 0);
	}
}

static void write_random_trap(struct ber_writer *w)
{
	static const char *const oids[] = {"1.3.6.1.6.3.1.1.5.3", "1.3.6.1.4.1.8072.4.0.2", "0.0",
					   "1.3.6.1.4.1.4294967295.0.2147483647"};
	size_t n_bindings = random_below(random_below(8) == 0 ? 63 : 8);
	const char *oid = oids[random_below(4)];

	*w = (struct ber_writer){.length_octets = (uint8_t)random_below(5)};
	if (random_below(2) == 0)
		ber_v1_trap(w, oid, (int32_t)random_below(7), (int32_t)random_number(31));
	else
		ber_v2_trap(w, 0xa7, oid);
	while (n_bindings-- > 0 && w->n < 6000) {
		ber_begin(w, 0x30);
		write_random_oid(w);
		write_random_value(w);
		ber_end(w);
	}
	ber_end_all(w);
}

/* NULL: libsnmp refuses it. The caller frees. */
static netsnmp_pdu *peer_parse(const uint8_t *payload, size_t n_bytes)
{
	uint8_t *copy = malloc(n_bytes + 1), *at, community[300];
	size_t community_bytes = sizeof(community), length = n_bytes;
	netsnmp_pdu *pdu = NULL;
	long version;

	assert_non_null(copy);
	memcpy(copy, payload, n_bytes);
	at = snmp_comstr_parse(copy, &length, community, &community_bytes, &version);
	if (at != NULL) {
		pdu = snmp_pdu_create(0);
		pdu->version = version;
		if (snmp_pdu_parse(pdu, at, &length) != 0) {
			snmp_free_pdu(pdu);
			pdu = NULL;
		}
	}
	free(copy);
	return pdu;
}

static void expect_oid(struct cursor contents, const oid *expected, size_t n_expected)
{
	uint32_t subidentifier, first;

	assert_true(ber_oid_next(&contents, &subidentifier));
	first = subidentifier < 80 ? subidentifier / 40 : 2;
	assert_true(n_expected >= 2);
	assert_int_equal(first, expected[0]);
	assert_int_equal(subidentifier - 40 * first, expected[1]);
	for (size_t i = 2; i < n_expected; i++) {
		assert_true(ber_oid_next(&contents, &subidentifier));
		assert_int_equal(subidentifier, expected[i]);
	}
	assert_int_equal(cursor_left(&contents), 0);
}

static void expect_name_of_v1_trap(struct cursor name, const netsnmp_pdu *pdu)
{
	oid expected[MAX_OID_LEN + 2] = {1, 3, 6, 1, 6, 3, 1, 1, 5};
	size_t n = 9;

	if (pdu->trap_type < 6) {
		expected[n++] = (oid)pdu->trap_type + 1;
	} else {
		n = pdu->enterprise_length;
		memcpy(expected, pdu->enterprise, n * sizeof(oid));
		expected[n++] = 0;
		expected[n++] = (oid)pdu->specific_type;
	}
	expect_oid(name, expected, n);
}

static void expect_same_value(const struct ber_element *value,
			      const netsnmp_variable_list *expected)
{
	uint64_t unsigned_value;
	int32_t signed_value;

	assert_int_equal(value->tag, expected->type);
	switch (value->tag) {
	case BER_INTEGER:
		assert_true(ber_signed32(value->contents, &signed_value));
		assert_int_equal(signed_value, *expected->val.integer);
		break;
	case BER_COUNTER32:
	case BER_GAUGE32:
	case BER_TIME_TICKS:
		assert_true(ber_unsigned(value->contents, UINT32_MAX, &unsigned_value));
		assert_int_equal(unsigned_value, *expected->val.integer);
		break;
	case BER_COUNTER64:
		assert_true(ber_unsigned(value->contents, UINT64_MAX, &unsigned_value));
		assert_int_equal(unsigned_value, (uint64_t)expected->val.counter64->high << 32 |
							 expected->val.counter64->low);
		break;
	case BER_OID:
		expect_oid(value->contents, expected->val.objid, expected->val_len / sizeof(oid));
		break;
	case BER_OCTETS:
	case BER_OPAQUE:
	case BER_IP_ADDRESS:
		assert_int_equal(cursor_left(&value->contents), expected->val_len);
		if (expected->val_len > 0)
			assert_memory_equal(value->contents.at, expected->val.string,
					    expected->val_len);
		break;
	default:
		assert_int_equal(cursor_left(&value->contents), 0);
	}
}

static void expect_same(const struct snmp_trap *trap, const netsnmp_pdu *pdu)
{
	const netsnmp_variable_list *expected = pdu->variables;

	for (uint32_t i = 0; i < trap->n_bindings; i++, expected = expected->next_variable) {
		assert_non_null(expected);
		expect_oid(trap->bindings[i].name, expected->name, expected->name_length);
		expect_same_value(&trap->bindings[i].value, expected);
	}
	assert_null(expected);
	if (pdu->command == SNMP_MSG_TRAP) {
		expect_name_of_v1_trap(trap->oid, pdu);
	} else {
		assert_int_equal(pdu->command, SNMP_MSG_TRAP2);
		expected = pdu->variables->next_variable;
		expect_oid(trap->oid, expected->val.objid, expected->val_len / sizeof(oid));
	}
}

/* libsnmp looks into an Opaque that wraps another type; we do not. */
static bool has_wrapped_type(const struct snmp_trap *trap)
{
	for (uint32_t i = 0; i < trap->n_bindings; i++) {
		const struct ber_element *value = &trap->bindings[i].value;

		if (value->tag == BER_OPAQUE && cursor_left(&value->contents) > 0 &&
		    value->contents.at[0] == 0x9f)
			return true;
	}
	return false;
}

/* What we take, libsnmp takes and reads alike. What libsnmp takes, we may refuse: it reads a good
 * deal that BER and the SMI forbid, and other PDUs. */
static enum decode_refusal expect_agreement(const uint8_t *payload, size_t n_bytes)
{
	struct snmp_trap trap;
	enum decode_refusal refusal = decode_snmp_trap(&context, payload, n_bytes, &trap);

	if (refusal == DECODE_OK && !has_wrapped_type(&trap)) {
		netsnmp_pdu *pdu = peer_parse(payload, n_bytes);

		assert_non_null(pdu);
		expect_same(&trap, pdu);
		snmp_free_pdu(pdu);
	}
	return refusal;
}

static void random_traps_are_read_as_libsnmp_reads_them(void **state)
{
	static struct ber_writer w;

	for (int i = 0; i < 4000; i++) {
		write_random_trap(&w);
		assert_int_equal(expect_agreement(w.octets, w.n), DECODE_OK);
	}
}

static void flipped_bits_are_refused_or_read_as_libsnmp_reads_them(void **state)
{
	unsigned int n_taken = 0, n_refused = 0;
	static struct ber_writer w;

	for (int i = 0; i < 20; i++) {
		write_random_trap(&w);
		for (size_t bit = 0; bit < w.n * 8; bit++) {
			w.octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
			if (expect_agreement(w.octets, w.n) == DECODE_OK)
				n_taken++;
			else
				n_refused++;
			w.octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
	assert_true(n_taken > 1000 && n_refused > 1000); /* both sides were seen */
}

static void changed_octets_are_refused_or_read_as_libsnmp_reads_them(void **state)
{
	static struct ber_writer w;

	for (int i = 0; i < 30000; i++) {
		if (i % 100 == 0)
			write_random_trap(&w);
		for (size_t n = random_below(3) + 1; n > 0; n--)
			w.octets[random_below(w.n)] = (uint8_t)random_below(0x90);
		expect_agreement(w.octets, w.n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_traps_are_read_as_libsnmp_reads_them),
		cmocka_unit_test(flipped_bits_are_refused_or_read_as_libsnmp_reads_them),
		cmocka_unit_test(changed_octets_are_refused_or_read_as_libsnmp_reads_them),
	};
	const char *seed = getenv("TEST_SEED");

	random_state = seed != NULL ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
	print_message("# TEST_SEED=%llu\n", (unsigned long long)random_state);
	random_state |= 1ULL << 63; /* xorshift must not start at zero */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
