#include "dp/decode/decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/fuzz/ber_write.h"

#define LINK_DOWN "1.3.6.1.6.3.1.1.5.3"

/* clang-format off */
static const struct fedmem_rule rules[] = {
	{ /* linkDown, 1.3.6.1.6.3.1.1.5.3 */
		.oid = {0x2b, 6, 1, 6, 3, 1, 1, 5, 3}, .oid_bytes = 9,
		.resource_oid = {0x2b, 6, 1, 2, 1, 2, 2, 1, 1}, .resource_oid_bytes = 9, /* ifIndex */
		.text_oid = {0x2b, 6, 1, 2, 1, 2, 2, 1, 2}, .text_oid_bytes = 9, /* ifDescr */
		.severity = FEDMEM_MAJOR, .type = "link-down", .resource = "if/",
	},
	{ /* linkUp clears it */
		.oid = {0x2b, 6, 1, 6, 3, 1, 1, 5, 4}, .oid_bytes = 9,
		.resource_oid = {0x2b, 6, 1, 2, 1, 2, 2, 1, 1}, .resource_oid_bytes = 9,
		.severity = FEDMEM_CLEARED, .type = "link-down", .resource = "if/",
	},
	{ /* 1.3.6.1.4.1.9.0.300: texts that fill their fields, without an end */
		.oid = {0x2b, 6, 1, 4, 1, 9, 0, 0x82, 0x2c}, .oid_bytes = 9,
		.severity = FEDMEM_WARNING,
		.type = "tttttttttttttttttttttttttttttttttttttttt",
		.resource = "rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr",
	},
	{ /* coldStart: neither resource nor text */
		.oid = {0x2b, 6, 1, 6, 3, 1, 1, 5, 1}, .oid_bytes = 9,
		.severity = FEDMEM_INDETERMINATE, .type = "restart",
	},
};
/* clang-format on */
static const char *const communities[] = {"public", "other"};
static const struct decode_context context = {rules, sizeof(rules) / sizeof(rules[0]), communities,
					      2};

static struct report_batch batch;

/* From a copy that ends where the payload ends; the copy lives until the next call. */
static enum decode_refusal decode(const uint8_t *payload, size_t n_bytes)
{
	static uint8_t *exact;
	enum decode_refusal refusal;

	free(exact);
	exact = malloc(n_bytes ? n_bytes : 1);
	assert_non_null(exact);
	memcpy(exact, payload, n_bytes);
	memset(&batch, 0xa5, sizeof(batch));
	refusal = decode_snmp(&context, exact, n_bytes, &batch);
	assert_int_equal(batch.n, refusal == DECODE_OK);
	return refusal;
}

static enum decode_refusal decode_written(struct ber_writer *w)
{
	ber_end_all(w);
	return decode(w->octets, w->n);
}

static void expect_text(struct report_text text, const char *expected)
{
	if (text.n_bytes != strlen(expected) || memcmp(text.chars, expected, text.n_bytes) != 0)
		fail_msg("\"%.*s\" instead of \"%s\"", text.n_bytes, text.chars, expected);
}

/* linkDown as an agent sends it, octet by octet. */
static const uint8_t link_down[] = {
	0x30, 98,  0x02, 1,  1,	   0x04, 6, 'p', 'u',  'b', 'l', 'i', 'c', /* v2c, community */
	0xa7, 85,  0x02, 1,  1,	   0x02, 1, 0,	 0x02, 1,   0, /* request id, no error */
	0x30, 74,					       /* bindings */
	0x30, 13,  0x06, 8,  0x2b, 6,	 1, 2,	 1,    1,   3,	 0,   0x43, 1, 9, /* sysUpTime.0 */
	0x30, 23,  0x06, 10, 0x2b, 6,	 1, 6,	 3,    1,   1,	 4,   1,    0, /* snmpTrapOID.0 */
	0x06, 9,   0x2b, 6,  1,	   6,	 3, 1,	 1,    5,   3,		       /* linkDown */
	0x30, 15,  0x06, 10, 0x2b, 6,	 1, 2,	 1,    2,   2,	 1,   1,    7, 0x02,
	1,    7, /* ifIndex.7 */
	0x30, 15,  0x06, 10, 0x2b, 6,	 1, 2,	 1,    2,   2,	 1,   2,    7, 0x04,
	1,    'e', /* ifDescr.7 */
};

static void link_down_becomes_the_alarm_of_its_rule(void **state)
{
	const struct report *r = &batch.reports[0];

	assert_int_equal(decode(link_down, sizeof(link_down)), DECODE_OK);
	assert_int_equal(r->element_id | r->boot | r->sequence, 0);
	assert_int_equal(r->n_metrics, 0);
	assert_int_equal(r->n_alarms, 1);
	assert_false(r->is_unmapped);
	expect_text(r->alarms[0].type, "link-down");
	expect_text(r->alarms[0].resource, "if/7");
	expect_text(r->alarms[0].qualifier, "");
	expect_text(r->alarms[0].text, "e");
	assert_int_equal(r->alarms[0].severity, FEDMEM_MAJOR);
}

static void notification_without_a_rule_is_unmapped(void **state)
{
	struct ber_writer w = {.n = 0};

	ber_v2_trap(&w, 0xa7, "1.3.6.1.6.3.1.1.5.5");
	assert_int_equal(decode_written(&w), DECODE_OK);
	assert_true(batch.reports[0].is_unmapped);
	assert_int_equal(batch.reports[0].n_alarms, 0);
	w = (struct ber_writer){.n = 0};
	ber_v2_trap(&w, 0xa7, LINK_DOWN ".1"); /* begins like one, and is another */
	assert_int_equal(decode_written(&w), DECODE_OK);
	assert_true(batch.reports[0].is_unmapped);
}

static void v1_generic_trap_has_the_rule_of_its_v2_name(void **state)
{
	struct ber_writer w = {.n = 0};

	ber_v1_trap(&w, "1.3.6.1.4.1.9", 2, 99); /* the specific trap says nothing then */
	ber_binding(&w, "1.3.6.1.2.1.2.2.1.1.3");
	ber_number(&w, 0x02, 3);
	assert_int_equal(decode_written(&w), DECODE_OK);
	assert_false(batch.reports[0].is_unmapped);
	expect_text(batch.reports[0].alarms[0].type, "link-down");
	expect_text(batch.reports[0].alarms[0].resource, "if/3");
	w = (struct ber_writer){.n = 0};
	ber_v1_trap(&w, "1.3.6.1.4.1.9", 0, 0);
	assert_int_equal(decode_written(&w), DECODE_OK);
	expect_text(batch.reports[0].alarms[0].type, "restart");
	expect_text(batch.reports[0].alarms[0].resource, "");
}

static void v1_specific_trap_is_named_by_enterprise_zero_and_number(void **state)
{
	struct ber_writer w = {.n = 0};

	ber_v1_trap(&w, "1.3.6.1.4.1.9", 6, 300);
	assert_int_equal(decode_written(&w), DECODE_OK);
	assert_false(batch.reports[0].is_unmapped);
	expect_text(batch.reports[0].alarms[0].type, "tttttttttttttttttttttttttttttttttttttttt");
}

static void texts_that_fill_the_rules_fields_are_whole(void **state)
{
	struct ber_writer w = {.n = 0};

	ber_v2_trap(&w, 0xa7, "1.3.6.1.4.1.9.0.300");
	assert_int_equal(decode_written(&w), DECODE_OK);
	assert_int_equal(batch.reports[0].alarms[0].type.n_bytes, FEDMEM_TYPE_BYTES);
	assert_int_equal(batch.reports[0].alarms[0].resource.n_bytes, FEDMEM_RESOURCE_BYTES);
}

static void resource_is_the_rules_alone_without_its_binding(void **state)
{
	struct ber_writer w = {.n = 0};

	ber_v2_trap(&w, 0xa7, LINK_DOWN);
	ber_binding(&w, "1.3.6.1.2.1.2.2.1.10.7"); /* another column, whose number begins alike */
	ber_number(&w, 0x02, 7);
	ber_end(&w);
	assert_int_equal(decode_written(&w), DECODE_OK);
	expect_text(batch.reports[0].alarms[0].resource, "if/");
	expect_text(batch.reports[0].alarms[0].text, "");
}

/* The resource of a linkDown whose ifIndex has this value. */
static void expect_resource(uint8_t tag, const void *octets, size_t n_bytes, const char *expected)
{
	struct ber_writer w = {.n = 0};

	ber_v2_trap(&w, 0xa7, LINK_DOWN);
	ber_binding(&w, "1.3.6.1.2.1.2.2.1.1.7");
	ber_octets(&w, tag, octets, n_bytes);
	ber_end(&w);
	ber_binding(&w, "1.3.6.1.2.1.2.2.1.1.8"); /* only the first counts */
	ber_number(&w, 0x02, 8);
	assert_int_equal(decode_written(&w), DECODE_OK);
	expect_text(batch.reports[0].alarms[0].resource, expected);
}

static void values_are_written_by_their_type(void **state)
{
	expect_resource(0x02, "\x80\0\0\0", 4, "if/-2147483648");
	expect_resource(0x02, "\x7f\xff\xff\xff", 4, "if/2147483647");
	expect_resource(0x02, "\xff", 1, "if/-1");
	expect_resource(0x02, "\0\0\0\0\0\7", 6, "if/7"); /* needless octets in front */
	expect_resource(0x41, "\0\xff\xff\xff\xff", 5, "if/4294967295");
	expect_resource(0x42, "\0", 1, "if/0");
	expect_resource(0x43, "\x01\0", 2, "if/256");
	expect_resource(0x46, "\0\xff\xff\xff\xff\xff\xff\xff\xff", 9, "if/18446744073709551615");
	expect_resource(0x40, "\xc0\0\x02\xff", 4, "if/192.0.2.255");
	expect_resource(0x06, "\x2b\x06\x81\0", 4, "if/1.3.6.128");
	expect_resource(0x06, "\x27", 1, "if/0.39");
	expect_resource(0x06, "\x78", 1, "if/2.40");
	expect_resource(0x06, "\x8f\xff\xff\xff\x7f", 5, "if/2.4294967215");
	expect_resource(0x04, "", 0, "if/");
	expect_resource(0x04, "ge-0/0/1", 8, "if/ge-0/0/1");
	expect_resource(0x04, "f\xc3\xbcnf", 5, "if/f\xc3\xbcnf");
	expect_resource(0x04, "\0\x1b\x21\xab\xcd\xef", 6, "if/00:1b:21:ab:cd:ef");
	expect_resource(0x04, "a\n", 2, "if/61:0a");
	expect_resource(0x04, "\xc2\x85", 2, "if/c2:85"); /* U+0085 is a control character */
	expect_resource(0x44, "\x9f\x78", 2, "if/9f:78");
	expect_resource(0x05, "", 0, "if/");
	expect_resource(0x80, "", 0, "if/");
	expect_resource(0x81, "", 0, "if/");
	expect_resource(0x82, "", 0, "if/");
}

static void long_values_are_cut_between_characters(void **state)
{
	/* "if/" leaves 45 octets */
	char text[46], expected[64];

	memset(text, 'x', sizeof(text));
	snprintf(expected, sizeof(expected), "if/%.45s", text);
	expect_resource(0x04, text, 46, expected);
	memcpy(text + 43, "\xe2\x82\xac", 3); /* would need octet 46 */
	snprintf(expected, sizeof(expected), "if/%.43s", text);
	expect_resource(0x04, text, 46, expected);
	memset(text, 0, sizeof(text)); /* 15 pairs of three, less a colon: 44 */
	expect_resource(0x04, text, 46, "if/00:00:00:00:00:00:00:00:00:00:00:00:00:00:00");
}

static void other_community_is_refused_and_each_accepted_one_is_not(void **state)
{
	static const struct {
		const char *community;
		enum decode_refusal refusal;
	} rows[] = {{"public", DECODE_SNMP_NOT_A_TRAP},
		    {"other", DECODE_SNMP_NOT_A_TRAP},
		    {"publi", DECODE_SNMP_COMMUNITY},
		    {"publicc", DECODE_SNMP_COMMUNITY},
		    {"", DECODE_SNMP_COMMUNITY}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ber_writer w = {.n = 0};

		ber_message(&w, 1, rows[i].community, 0xa0);
		assert_int_equal(decode_written(&w), rows[i].refusal);
	}
}

static void messages_that_are_no_trap_are_refused_by_name(void **state)
{
	static const struct {
		uint8_t version, pdu_tag;
		enum decode_refusal refusal;
	} rows[] = {
		{0, 0xa0, DECODE_SNMP_NOT_A_TRAP}, {0, 0xa2, DECODE_SNMP_NOT_A_TRAP},
		{1, 0xa4, DECODE_SNMP_NOT_A_TRAP}, /* the v1 PDU in a v2c message */
		{0, 0xa7, DECODE_SNMP_NOT_A_TRAP}, {0, 0xa6, DECODE_SNMP_NOT_A_TRAP},
		{1, 0xa5, DECODE_SNMP_NOT_A_TRAP}, {1, 0xa8, DECODE_SNMP_NOT_A_TRAP},
		{1, 0xa6, DECODE_SNMP_INFORM},	   {1, 0xa9, DECODE_SNMP_BER},
		{1, 0x30, DECODE_SNMP_BER},	   {2, 0xa7, DECODE_SNMP_VERSION},
		{4, 0xa7, DECODE_SNMP_VERSION},	   {3, 0xa7, DECODE_SNMP_V3},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ber_writer w = {.n = 0};

		ber_message(&w, rows[i].version, "public", rows[i].pdu_tag);
		if (decode_written(&w) != rows[i].refusal)
			fail_msg("row %zu", i);
	}
}

static void values_that_their_type_cannot_have_are_refused(void **state)
{
	static const struct {
		uint8_t tag;
		const char *octets;
		size_t n;
	} rows[] = {
		{0x02, "", 0},			   /* no integer at all */
		{0x02, "\0\x80\0\0\0", 5},	   /* 2^31 */
		{0x02, "\xff\x7f\xff\xff\xff", 5}, /* -2^31 - 1 */
		{0x02, "\0\0\0\0\0\0\0\0\7", 9},   /* more than eight octets */
		{0x41, "\xff\xff", 2},		   /* negative */
		{0x42, "\x01\0\0\0\0", 5},	   /* 2^32 */
		{0x43, "", 0},
		{0x46, "\x80\0\0\0\0\0\0", 7},	 /* negative */
		{0x46, "\1\0\0\0\0\0\0\0\0", 9}, /* 2^64 */
		{0x46, "\0\0\0\0\0\0\0\0\0\7", 10},
		{0x40, "\1\2\3", 3},
		{0x40, "\1\2\3\4\5", 5},
		{0x05, "x", 1},
		{0x80, "x", 1},
		{0x06, "", 0},
		{0x06, "\x2b\x86", 2},	   /* the last arc is cut off */
		{0x06, "\x2b\x80\x06", 3}, /* not the shortest form */
		{0x06, "\x80\x2b", 2},
		{0x06, "\x2b\x90\x80\x80\x80\0", 6}, /* 2^32 */
		{0x06, "\x2b\xff\xff\xff\xff\xff\x7f", 7},
		{0x03, "\0", 1}, /* BIT STRING */
		{0x30, "", 0},	 /* SEQUENCE */
		{0x47, "\1", 1}, /* UInteger32 of 1993 */
		{0x24, "", 0},	 /* OCTET STRING in parts */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ber_writer w = {.n = 0};

		ber_v2_trap(&w, 0xa7, LINK_DOWN);
		ber_binding(&w, "1.3.6.1.2.1.1.1.0"); /* that no rule asks for */
		ber_octets(&w, rows[i].tag, rows[i].octets, rows[i].n);
		if (decode_written(&w) != DECODE_SNMP_BER)
			fail_msg("row %zu", i);
	}
}

static void unsigned_number_of_full_width_needs_no_zero_before_its_high_bit(void **state)
{
	static const struct {
		uint8_t tag;
		const char *octets;
		size_t n;
	} rows[] = {
		{0x41, "\xff\xff\xff\xff", 4},
		{0x43, "\x80\0\0\0", 4},
		{0x46, "\x80\0\0\0\0\0\0\0", 8},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ber_writer w = {.n = 0};

		ber_v2_trap(&w, 0xa7, LINK_DOWN);
		ber_binding(&w, "1.3.6.1.2.1.1.1.0");
		ber_octets(&w, rows[i].tag, rows[i].octets, rows[i].n);
		if (decode_written(&w) != DECODE_OK)
			fail_msg("row %zu", i);
	}
}

static void v1_numbers_outside_their_range_are_refused(void **state)
{
	static const int32_t rows[][2] = {{-1, 0}, {7, 0}, {6, -1}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ber_writer w = {.n = 0};

		ber_v1_trap(&w, "1.3.6.1.4.1.9", rows[i][0], rows[i][1]);
		assert_int_equal(decode_written(&w), DECODE_SNMP_BER);
	}
}

/* Changes one octet of link_down. */
static enum decode_refusal with(size_t at, uint8_t octet)
{
	uint8_t payload[sizeof(link_down)];

	memcpy(payload, link_down, sizeof(payload));
	payload[at] = octet;
	return decode(payload, sizeof(payload));
}

static void trap_without_its_first_two_bindings_is_refused(void **state)
{
	struct ber_writer w = {.n = 0};

	ber_message(&w, 1, "public", 0xa7);
	for (int i = 0; i < 3; i++)
		ber_number(&w, 0x02, 0);
	ber_begin(&w, 0x30);
	assert_int_equal(decode_written(&w), DECODE_SNMP_NO_TRAP_OID);
	assert_int_equal(with(37, 1), DECODE_SNMP_NO_TRAP_OID);	   /* not sysUpTime.0, but .1 */
	assert_int_equal(with(38, 0x42), DECODE_SNMP_NO_TRAP_OID); /* its value no TimeTicks */
	assert_int_equal(with(54, 3), DECODE_SNMP_NO_TRAP_OID);	   /* not snmpTrapOID.0, but .3 */
	assert_int_equal(with(55, 0x04), DECODE_SNMP_NO_TRAP_OID); /* its value no OID */
}

static void octets_after_a_part_are_refused(void **state)
{
	/* A part that ends one octet earlier than what holds it: by the depth of the part that is
	 * put in, from the message itself to the pair of a binding. */
	for (unsigned int depth = 0; depth <= 4; depth++) {
		struct ber_writer w = {.n = 0};
		enum decode_refusal refusal;

		ber_v2_trap(&w, 0xa7, LINK_DOWN);
		ber_binding(&w, "1.3.6.1.2.1.1.1.0");
		ber_number(&w, 0x02, 0);
		while (w.depth > depth)
			ber_end(&w);
		ber_octets(&w, 0x05, "", 0); /* any element */
		refusal = decode_written(&w);
		/* in the list of bindings it is a binding that is none */
		assert_int_equal(refusal, depth == 3 ? DECODE_SNMP_BER : DECODE_SNMP_TRAILING);
	}
}

static void length_forms_that_snmp_may_use_are_read(void **state)
{
	for (uint8_t length_octets = 1; length_octets <= 4; length_octets++) {
		struct ber_writer w = {.length_octets = length_octets};

		ber_v2_trap(&w, 0xa7, LINK_DOWN);
		assert_int_equal(decode_written(&w), DECODE_OK);
		assert_false(batch.reports[0].is_unmapped);
	}
	assert_int_equal(decode((const uint8_t *)"\x30\x85\0\0\0\0\0", 7), DECODE_SNMP_BER);
	assert_int_equal(decode((const uint8_t *)"\x30\x80\0\0", 4),
			 DECODE_SNMP_BER); /* indefinite */
	assert_int_equal(decode((const uint8_t *)"\x30\xff\0\0", 4), DECODE_SNMP_BER);
	assert_int_equal(decode((const uint8_t *)"\x3f\x81\x01\0", 4),
			 DECODE_SNMP_BER); /* high tag */
	assert_int_equal(decode((const uint8_t *)"\x30\x84\xff\xff\xff\xff", 6),
			 DECODE_SNMP_TRUNCATED);
	assert_int_equal(decode((const uint8_t *)"\x30\x82\x01", 3), DECODE_SNMP_TRUNCATED);
}

static void every_cut_of_a_trap_is_truncated(void **state)
{
	for (size_t n = 0; n < sizeof(link_down); n++)
		assert_int_equal(decode(link_down, n), DECODE_SNMP_TRUNCATED);
}

static void bindings_up_to_sixty_four_are_read(void **state)
{
	for (int n = 64; n <= 65; n++) {
		struct ber_writer w = {.n = 0};

		ber_v2_trap(&w, 0xa7, LINK_DOWN);
		for (int i = 3; i <= n; i++) {
			ber_binding(&w, i == 64 ? "1.3.6.1.2.1.2.2.1.1.7" : "1.3.6.1.2.1.1.1.0");
			ber_number(&w, 0x02, i);
			ber_end(&w);
		}
		assert_int_equal(decode_written(&w),
				 n == 64 ? DECODE_OK : DECODE_SNMP_TOO_MANY_BINDINGS);
		if (n == 64)
			expect_text(batch.reports[0].alarms[0].resource, "if/64");
	}
}

static void oid_of_128_arcs_is_the_longest(void **state)
{
	for (int n_arcs = 128; n_arcs <= 129; n_arcs++) {
		struct ber_writer w = {.n = 0};
		char enterprise[2000] = "1.3";

		for (int i = 2; i < n_arcs; i++)
			strcat(enterprise, ".4294967295");
		ber_v1_trap(&w, enterprise, 6, INT32_MAX);
		assert_int_equal(decode_written(&w), n_arcs == 128 ? DECODE_OK : DECODE_SNMP_BER);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(link_down_becomes_the_alarm_of_its_rule),
		cmocka_unit_test(notification_without_a_rule_is_unmapped),
		cmocka_unit_test(v1_generic_trap_has_the_rule_of_its_v2_name),
		cmocka_unit_test(v1_specific_trap_is_named_by_enterprise_zero_and_number),
		cmocka_unit_test(texts_that_fill_the_rules_fields_are_whole),
		cmocka_unit_test(resource_is_the_rules_alone_without_its_binding),
		cmocka_unit_test(values_are_written_by_their_type),
		cmocka_unit_test(long_values_are_cut_between_characters),
		cmocka_unit_test(other_community_is_refused_and_each_accepted_one_is_not),
		cmocka_unit_test(messages_that_are_no_trap_are_refused_by_name),
		cmocka_unit_test(values_that_their_type_cannot_have_are_refused),
		cmocka_unit_test(unsigned_number_of_full_width_needs_no_zero_before_its_high_bit),
		cmocka_unit_test(v1_numbers_outside_their_range_are_refused),
		cmocka_unit_test(trap_without_its_first_two_bindings_is_refused),
		cmocka_unit_test(octets_after_a_part_are_refused),
		cmocka_unit_test(length_forms_that_snmp_may_use_are_read),
		cmocka_unit_test(every_cut_of_a_trap_is_truncated),
		cmocka_unit_test(bindings_up_to_sixty_four_are_read),
		cmocka_unit_test(oid_of_128_arcs_is_the_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
