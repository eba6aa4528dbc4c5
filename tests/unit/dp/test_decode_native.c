#include "dp/decode/decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct report_batch batch;

/* From a copy that ends where the payload ends, so that the sanitizer sees one octet too many. The
 * copy lives until the next call, as the batch points into it. */
static enum decode_refusal decode(const uint8_t *payload, size_t n_bytes)
{
	static uint8_t *exact;

	free(exact);
	exact = malloc(n_bytes ? n_bytes : 1);
	assert_non_null(exact);
	memcpy(exact, payload, n_bytes);
	memset(&batch, 0xa5, sizeof(batch));
	return decode_native(NULL, exact, n_bytes, &batch);
}

static void expect_text(struct report_text text, const char *expected)
{
	assert_int_equal(text.n_bytes, strlen(expected));
	assert_memory_equal(text.chars, expected, text.n_bytes);
}

#define OCTETS(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

static void every_field_is_read(void **state)
{
	static const uint8_t payload[] = {
		0x0a, 74,					      /* report */
		0x09, 0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, /* element */
		0x11, 0x02, 0,	  0,	0,    0,    0,	  0,	0,    /* boot */
		0x19, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* sequence */
		0x22, 14,					      /* metric */
		0x0d, 0x78, 0x56, 0x34, 0x12,			      /* id */
		0x11, 0,    0,	  0,	0,    0,    0,	  0xf0, 0x3f, /* value 1.0 */
		0x2a, 29,					      /* alarm */
		0x0a, 4,    'l',  'i',	'n',  'k',		      /* type */
		0x12, 4,    'e',  't',	'h',  '0',		      /* resource */
		0x1a, 1,    'q',				      /* qualifier */
		0x20, 4,					      /* severity: major */
		0x2a, 10,   'd',  'o',	'w',  'n',  ' ',  0xe2, 0x82, 0xac, '!', '!', /* text */
	};
	const struct report *r = &batch.reports[0];
	const double one = 1.0;

	assert_int_equal(decode(payload, sizeof(payload)), DECODE_OK);
	assert_int_equal(batch.n, 1);
	assert_int_equal(batch.scratch_used, 0);
	assert_int_equal(r->element_id, 0x0102030405060708);
	assert_int_equal(r->boot, 2);
	assert_int_equal(r->sequence, UINT64_MAX);
	assert_false(r->is_unmapped);
	assert_int_equal(r->n_metrics, 1);
	assert_int_equal(r->metrics[0].id, 0x12345678);
	assert_memory_equal(&r->metrics[0].value, &one, sizeof(one));
	assert_int_equal(r->n_alarms, 1);
	expect_text(r->alarms[0].type, "link");
	expect_text(r->alarms[0].resource, "eth0");
	expect_text(r->alarms[0].qualifier, "q");
	expect_text(r->alarms[0].text, "down \xe2\x82\xac!!");
	assert_int_equal(r->alarms[0].severity, FEDMEM_MAJOR);
}

static void absent_fields_are_zero_and_empty(void **state)
{
	const struct report *r = &batch.reports[0];

	/* three reports: none of its fields; an empty metric; an alarm with its type only */
	assert_int_equal(decode(OCTETS(0x0a, 0, 0x0a, 2, 0x22, 0, 0x0a, 5, 0x2a, 3, 0x0a, 1, 't')),
			 DECODE_OK);
	assert_int_equal(batch.n, 3);
	assert_int_equal(r[0].element_id | r[0].boot | r[0].sequence, 0);
	assert_int_equal(r[0].n_metrics + r[0].n_alarms, 0);
	assert_int_equal(r[1].n_metrics, 1);
	assert_int_equal(r[1].metrics[0].id, 0);
	assert_int_equal(r[1].metrics[0].value, 0);
	assert_int_equal(r[2].n_alarms, 1);
	expect_text(r[2].alarms[0].type, "t");
	expect_text(r[2].alarms[0].resource, "");
	expect_text(r[2].alarms[0].qualifier, "");
	expect_text(r[2].alarms[0].text, "");
	assert_int_equal(r[2].alarms[0].severity, FEDMEM_CLEARED);
}

static void last_value_of_a_field_counts(void **state)
{
	const struct report *r = &batch.reports[0];

	static const uint8_t payload[] = {
		0x0a, 41,				  /* report */
		0x09, 1,  0,	0,    0, 0,    0, 0,   0, /* element 1 */
		0x2a, 14,				  /* alarm */
		0x20, 9,  0x20, 2,			  /* severity: none such; warning */
		0x0a, 1,  0xff, 0x0a, 0, 0x0a, 1, 'a',	  /* type: no UTF-8; empty; "a" */
		0x12, 0,				  /* resource */
		0x09, 2,  0,	0,    0, 0,    0, 0,   0, /* element 2 */
		0x22, 5,  0x0d, 7,    0, 0,    0,	  /* metric 7 */
	};

	assert_int_equal(decode(payload, sizeof(payload)), DECODE_OK);
	assert_int_equal(r->element_id, 2);
	assert_int_equal(r->alarms[0].severity, FEDMEM_WARNING);
	expect_text(r->alarms[0].type, "a");
	assert_int_equal(r->metrics[0].id, 7);
}

static void unknown_fields_of_every_wire_type_are_skipped(void **state)
{
	static const uint8_t unknown[] = {
		0x78, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, /* 15: varint */
		0x79, 1,    2,	  3,	4,    5,    6,	  7,	8,		  /* 15: fixed64 */
		0x7a, 3,    'a',  'b',	'c',					  /* 15: length */
		0x7d, 1,    2,	  3,	4,					  /* 15: fixed32 */
		0x7b, 0x83, 0x01, 0x08, 0,    0x84, 0x01, 0x7c, /* 15: group with group 16 in it */
		0xfa, 0xff, 0xff, 0xff, 0x0f, 0, /* 2^29-1, the highest field: length 0 */
	};
	uint8_t payload[256] = {0};
	size_t n = 0;

	/* datagram { unknown, report { unknown, metric { unknown }, alarm { unknown, type "t" } } }
	 */
	_Static_assert(sizeof(unknown) == 44, "the lengths below are made for it");
	memcpy(payload, unknown, sizeof(unknown));
	n += sizeof(unknown);
	payload[n++] = 0x0a;
	payload[n++] = 0x80 | (139 & 0x7f); /* 44 + 2 + 44 + 2 + 44 + 3 */
	payload[n++] = 139 >> 7;
	memcpy(payload + n, unknown, sizeof(unknown));
	n += sizeof(unknown);
	payload[n++] = 0x22;
	payload[n++] = 44;
	memcpy(payload + n, unknown, sizeof(unknown));
	n += sizeof(unknown);
	payload[n++] = 0x2a;
	payload[n++] = 44 + 3;
	memcpy(payload + n, unknown, sizeof(unknown));
	n += sizeof(unknown);
	memcpy(payload + n, "\x0a\x01t", 3);
	n += 3;

	assert_int_equal(decode(payload, n), DECODE_OK);
	assert_int_equal(batch.n, 1);
	assert_int_equal(batch.reports[0].n_metrics, 1);
	assert_int_equal(batch.reports[0].n_alarms, 1);
	expect_text(batch.reports[0].alarms[0].type, "t");
}

/* A datagram with an alarm of this text in the field, and the type "t". */
static enum decode_refusal decode_alarm_text(uint8_t field, const char *text, size_t text_bytes)
{
	uint8_t payload[128] = {0x0a,
				(uint8_t)(text_bytes + 7),
				0x2a,
				(uint8_t)(text_bytes + 5),
				0x0a,
				1,
				't',
				(uint8_t)(field << 3 | 2),
				(uint8_t)text_bytes};

	assert_true(text_bytes + 9 <= sizeof(payload));
	memcpy(payload + 9, text, text_bytes);
	return decode(payload, text_bytes + 9);
}

static void texts_are_utf8_without_nul(void **state)
{
	static const struct {
		const char *text;
		size_t n_bytes;
		bool is_good;
	} rows[] = {
		{"", 0, true},
		{"plain\t\x7f", 7, true},
		{"\xc2\x80\xdf\xbf", 4, true},		       /* U+0080, U+07FF */
		{"\xe0\xa0\x80\xef\xbf\xbf", 6, true},	       /* U+0800, U+FFFF */
		{"\xed\x9f\xbf\xee\x80\x80", 6, true},	       /* around the surrogates */
		{"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8, true}, /* U+10000, U+10FFFF */
		{"a\0b", 3, false},
		{"\x80", 1, false},		/* continuation alone */
		{"\xc0\x80", 2, false},		/* overlong NUL */
		{"\xc1\xbf", 2, false},		/* overlong */
		{"\xe0\x9f\xbf", 3, false},	/* overlong */
		{"\xf0\x8f\xbf\xbf", 4, false}, /* overlong */
		{"\xed\xa0\x80", 3, false},	/* surrogate */
		{"\xf4\x90\x80\x80", 4, false}, /* above U+10FFFF */
		{"\xf5\x80\x80\x80", 4, false},
		{"\xe2\x82", 2, false}, /* cut off */
		{"\xe2\x82x", 3, false},
		{"\xff", 1, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (uint8_t field = 2; field <= 5; field += field == 3 ? 2 : 1) {
			enum decode_refusal refusal =
				decode_alarm_text(field, rows[i].text, rows[i].n_bytes);

			if (refusal != (rows[i].is_good ? DECODE_OK : DECODE_NATIVE_TEXT))
				fail_msg("row %zu, field %u: %s", i, field,
					 stats_refusal_name(refusal));
		}
}

static void texts_longer_than_their_field_are_refused(void **state)
{
	static const struct {
		uint8_t field, bytes_max;
	} rows[] = {{1, FEDMEM_TYPE_BYTES},
		    {2, FEDMEM_RESOURCE_BYTES},
		    {3, FEDMEM_QUALIFIER_BYTES},
		    {5, FEDMEM_TEXT_BYTES}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[64];

		memset(text, 'x', sizeof(text));
		assert_int_equal(decode_alarm_text(rows[i].field, text, rows[i].bytes_max),
				 DECODE_OK);
		assert_int_equal(decode_alarm_text(rows[i].field, text, rows[i].bytes_max + 1u),
				 DECODE_NATIVE_TEXT);
	}
}

static void bad_datagrams_are_refused_by_name(void **state)
{
	const struct {
		const char *what;
		const uint8_t *octets;
		size_t n;
		enum decode_refusal refusal;
	} rows[] = {
		{"a zero octet", OCTETS(0), DECODE_NATIVE_TAG},
		{"field 0", OCTETS(0x02, 0), DECODE_NATIVE_TAG},
		{"wire type 6", OCTETS(0x7e), DECODE_NATIVE_TAG},
		{"wire type 7", OCTETS(0x7f), DECODE_NATIVE_TAG},
		{"tag above 32 bits", OCTETS(0xfa, 0xff, 0xff, 0xff, 0x1f, 0), DECODE_NATIVE_TAG},
		{"tag of six octets", OCTETS(0xfa, 0x80, 0x80, 0x80, 0x80, 0, 0),
		 DECODE_NATIVE_VARINT},
		{"tag cut off", OCTETS(0x8a), DECODE_NATIVE_TRUNCATED},
		{"length missing", OCTETS(0x0a), DECODE_NATIVE_TRUNCATED},
		{"length cut off", OCTETS(0x0a, 0x80), DECODE_NATIVE_TRUNCATED},
		{"length one too large", OCTETS(0x0a, 1), DECODE_NATIVE_TRUNCATED},
		{"length of all ones", OCTETS(0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f),
		 DECODE_NATIVE_TRUNCATED},
		{"length of six octets", OCTETS(0x0a, 0x80, 0x80, 0x80, 0x80, 0x80, 0),
		 DECODE_NATIVE_VARINT},
		{"unknown fields alone", OCTETS(0x78, 1), DECODE_NATIVE_EMPTY},
		{"reports as a varint", OCTETS(0x08, 1), DECODE_NATIVE_WIRE_TYPE},
		{"reports as a group", OCTETS(0x0b, 0x0c), DECODE_NATIVE_WIRE_TYPE},
		{"element as a varint", OCTETS(0x0a, 2, 0x08, 1), DECODE_NATIVE_WIRE_TYPE},
		{"boot as fixed32", OCTETS(0x0a, 5, 0x15, 0, 0, 0, 0), DECODE_NATIVE_WIRE_TYPE},
		{"sequence cut off", OCTETS(0x0a, 8, 0x19, 0, 0, 0, 0, 0, 0, 0),
		 DECODE_NATIVE_TRUNCATED},
		{"metric id as a varint", OCTETS(0x0a, 4, 0x22, 2, 0x08, 1),
		 DECODE_NATIVE_WIRE_TYPE},
		{"metric id cut off", OCTETS(0x0a, 6, 0x22, 4, 0x0d, 0, 0, 0),
		 DECODE_NATIVE_TRUNCATED},
		{"metric behind its report", OCTETS(0x0a, 2, 0x22, 5, 0x0d, 0, 0, 0, 0),
		 DECODE_NATIVE_TRUNCATED},
		{"value as fixed32", OCTETS(0x0a, 7, 0x22, 5, 0x15, 0, 0, 0, 0),
		 DECODE_NATIVE_WIRE_TYPE},
		{"type as a varint", OCTETS(0x0a, 4, 0x2a, 2, 0x08, 1), DECODE_NATIVE_WIRE_TYPE},
		{"severity as a text", OCTETS(0x0a, 7, 0x2a, 5, 0x0a, 1, 't', 0x22, 0),
		 DECODE_NATIVE_WIRE_TYPE},
		{"severity 6", OCTETS(0x0a, 7, 0x2a, 5, 0x0a, 1, 't', 0x20, 6),
		 DECODE_NATIVE_SEVERITY},
		{"severity 2^32 + 1",
		 OCTETS(0x0a, 11, 0x2a, 9, 0x0a, 1, 't', 0x20, 0x81, 0x80, 0x80, 0x80, 0x10),
		 DECODE_NATIVE_SEVERITY},
		{"alarm without a type", OCTETS(0x0a, 2, 0x2a, 0), DECODE_NATIVE_TEXT},
		{"varint of eleven octets",
		 OCTETS(0x78, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0),
		 DECODE_NATIVE_VARINT},
		{"varint of 65 bits",
		 OCTETS(0x78, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2),
		 DECODE_NATIVE_VARINT},
		{"varint cut off", OCTETS(0x78, 0x80), DECODE_NATIVE_TRUNCATED},
		{"fixed32 cut off", OCTETS(0x7d, 0, 0, 0), DECODE_NATIVE_TRUNCATED},
		{"fixed64 cut off", OCTETS(0x79, 0, 0, 0, 0, 0, 0, 0), DECODE_NATIVE_TRUNCATED},
		{"group without end", OCTETS(0x7b, 0x78, 1), DECODE_NATIVE_TRUNCATED},
		{"end without group", OCTETS(0x7c), DECODE_NATIVE_TAG},
		{"end of another group", OCTETS(0x7b, 0x74), DECODE_NATIVE_TAG},
		{"good report, then a bad one", OCTETS(0x0a, 0, 0x0a, 2, 0x2a, 0),
		 DECODE_NATIVE_TEXT},
	};

	assert_int_equal(decode((const uint8_t *)"", 0), DECODE_NATIVE_EMPTY);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum decode_refusal refusal = decode(rows[i].octets, rows[i].n);

		if (refusal != rows[i].refusal)
			fail_msg("%s: %s", rows[i].what, stats_refusal_name(refusal));
		assert_int_equal(batch.n, 0);
	}
}

static void groups_nest_sixteen_deep_and_no_deeper(void **state)
{
	uint8_t payload[2 + 2 * 17] = {0x0a, 0};

	memset(payload + 2, 0x7b, 16);
	memset(payload + 18, 0x7c, 16);
	assert_int_equal(decode(payload, 34), DECODE_OK);
	memset(payload + 2, 0x7b, 17);
	memset(payload + 19, 0x7c, 17);
	assert_int_equal(decode(payload, 36), DECODE_NATIVE_DEPTH);
}

/* Reports with 'n_inner' empty parts of the field each. */
static size_t write_reports(uint8_t *at, size_t n_reports, uint8_t n_inner, const char *inner,
			    uint8_t inner_bytes)
{
	size_t n = 0;

	for (size_t i = 0; i < n_reports; i++) {
		at[n++] = 0x0a;
		at[n++] = (uint8_t)(n_inner * inner_bytes);
		for (uint8_t k = 0; k < n_inner; k++, n += inner_bytes)
			memcpy(at + n, inner, inner_bytes);
	}
	return n;
}

static void more_than_fits_is_refused(void **state)
{
	uint8_t p[1024];

	assert_int_equal(decode(p, write_reports(p, REPORT_BATCH_MAX, 0, "", 0)), DECODE_OK);
	assert_int_equal(batch.n, REPORT_BATCH_MAX);
	assert_int_equal(decode(p, write_reports(p, REPORT_BATCH_MAX + 1, 0, "", 0)),
			 DECODE_NATIVE_TOO_MANY_REPORTS);
	assert_int_equal(decode(p, write_reports(p, 2, REPORT_METRICS_MAX, "\x22\0", 2)),
			 DECODE_OK);
	assert_int_equal(batch.reports[1].n_metrics, REPORT_METRICS_MAX);
	assert_int_equal(decode(p, write_reports(p, 2, REPORT_METRICS_MAX + 1, "\x22\0", 2)),
			 DECODE_NATIVE_TOO_MANY_METRICS);
	assert_int_equal(decode(p, write_reports(p, 2, REPORT_ALARMS_MAX, "\x2a\3\x0a\1t", 5)),
			 DECODE_OK);
	assert_int_equal(batch.reports[1].n_alarms, REPORT_ALARMS_MAX);
	assert_int_equal(decode(p, write_reports(p, 2, REPORT_ALARMS_MAX + 1, "\x2a\3\x0a\1t", 5)),
			 DECODE_NATIVE_TOO_MANY_ALARMS);
}

static void unknown_format_is_refused(void **state)
{
	assert_int_equal(decode_payload(DECODE_NONE, NULL, NULL, 0, &batch), DECODE_UNKNOWN_FORMAT);
	assert_int_equal(decode_payload(DECODE_FORMATS, NULL, NULL, 0, &batch),
			 DECODE_UNKNOWN_FORMAT);
	assert_int_equal(batch.n, 0);
	assert_int_equal(decode_payload(DECODE_NATIVE, NULL, OCTETS(0x0a, 0), &batch), DECODE_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_is_read),
		cmocka_unit_test(absent_fields_are_zero_and_empty),
		cmocka_unit_test(last_value_of_a_field_counts),
		cmocka_unit_test(unknown_fields_of_every_wire_type_are_skipped),
		cmocka_unit_test(texts_are_utf8_without_nul),
		cmocka_unit_test(texts_longer_than_their_field_are_refused),
		cmocka_unit_test(bad_datagrams_are_refused_by_name),
		cmocka_unit_test(groups_nest_sixteen_deep_and_no_deeper),
		cmocka_unit_test(more_than_fits_is_refused),
		cmocka_unit_test(unknown_format_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
