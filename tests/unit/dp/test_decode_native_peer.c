/* What decode_native() reads, compared with what protobuf-c reads from the same octets. */
#include "dp/decode/decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "dp/decode/cursor.h"
#include "report.pb-c.h"

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

/* Often 0, as that is not encoded. */
static uint64_t random_number(void)
{
	return random_below(4) == 0 ? 0 : random_next() >> random_below(64);
}

static char *random_text(size_t bytes_min, size_t bytes_max)
{
	static const char *const characters[] = {
		"a", "Z", " ", "\t", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x94\xa5"};
	size_t n = bytes_min + random_below(bytes_max - bytes_min + 1);
	char *text = calloc(1, bytes_max + 5);

	assert_non_null(text);
	while (strlen(text) < n) {
		const char *c =
			characters[random_below(sizeof(characters) / sizeof(characters[0]))];

		strcat(text, strlen(text) + strlen(c) <= bytes_max ? c : "x");
	}
	return text;
}

static void random_report(Bellwether__Report *r)
{
	bellwether__report__init(r);
	r->element = random_number();
	r->boot = random_number();
	r->sequence = random_number();
	r->n_metrics = random_below(REPORT_METRICS_MAX + 1);
	r->metrics = calloc(REPORT_METRICS_MAX, sizeof(*r->metrics));
	for (size_t i = 0; i < r->n_metrics; i++) {
		uint64_t bits = random_number();

		r->metrics[i] = malloc(sizeof(*r->metrics[i]));
		bellwether__metric__init(r->metrics[i]);
		r->metrics[i]->id = (uint32_t)random_number();
		memcpy(&r->metrics[i]->value, &bits, sizeof(bits));
	}
	r->n_alarms = random_below(REPORT_ALARMS_MAX + 1);
	r->alarms = calloc(REPORT_ALARMS_MAX, sizeof(*r->alarms));
	for (size_t i = 0; i < r->n_alarms; i++) {
		Bellwether__Alarm *a = malloc(sizeof(*a));

		bellwether__alarm__init(a);
		a->type = random_text(1, FEDMEM_TYPE_BYTES);
		a->resource = random_text(0, FEDMEM_RESOURCE_BYTES);
		a->qualifier = random_text(0, FEDMEM_QUALIFIER_BYTES);
		a->text = random_text(0, FEDMEM_TEXT_BYTES);
		a->severity = (Bellwether__Severity)random_below(6);
		r->alarms[i] = a;
	}
}

/* Encoded by protobuf-c; the caller frees. */
static uint8_t *random_datagram(size_t reports_max, size_t *n_bytes)
{
	Bellwether__Datagram *d = malloc(sizeof(*d));
	uint8_t *payload;

	bellwether__datagram__init(d);
	d->n_reports = 1 + random_below(reports_max);
	d->reports = calloc(d->n_reports, sizeof(*d->reports));
	for (size_t i = 0; i < d->n_reports; i++) {
		d->reports[i] = malloc(sizeof(*d->reports[i]));
		random_report(d->reports[i]);
	}
	*n_bytes = bellwether__datagram__get_packed_size(d);
	payload = malloc(*n_bytes + 1);
	assert_int_equal(bellwether__datagram__pack(d, payload), *n_bytes);
	bellwether__datagram__free_unpacked(d, NULL);
	return payload;
}

static void expect_same_report(const struct report *r, const Bellwether__Report *expected)
{
	assert_int_equal(r->element_id, expected->element);
	assert_int_equal(r->boot, expected->boot);
	assert_int_equal(r->sequence, expected->sequence);
	assert_int_equal(r->n_metrics, expected->n_metrics);
	for (size_t i = 0; i < expected->n_metrics; i++) {
		assert_int_equal(r->metrics[i].id, expected->metrics[i]->id);
		assert_memory_equal(&r->metrics[i].value, &expected->metrics[i]->value, 8);
	}
	assert_int_equal(r->n_alarms, expected->n_alarms);
	for (size_t i = 0; i < expected->n_alarms; i++) {
		expect_text(r->alarms[i].type, expected->alarms[i]->type);
		expect_text(r->alarms[i].resource, expected->alarms[i]->resource);
		expect_text(r->alarms[i].qualifier, expected->alarms[i]->qualifier);
		expect_text(r->alarms[i].text, expected->alarms[i]->text);
		assert_int_equal(r->alarms[i].severity, expected->alarms[i]->severity);
	}
}

/* Is a group in the datagram? Told from the wire alone, and only asked of what decode_native()
 * took. */
static bool has_group(struct cursor c, const char *path)
{
	while (cursor_left(&c) > 0) {
		uint64_t key = 0, n = 0;
		struct cursor part;
		uint8_t octet = 0x80;
		bool is_message;

		for (int shift = 0; octet & 0x80; shift += 7) {
			assert_true(cursor_octet(&c, &octet));
			key |= (uint64_t)(octet & 0x7f) << shift;
		}
		if ((key & 7) == 3)
			return true;
		octet = (key & 7) == 0 || (key & 7) == 2 ? 0x80 : 0;
		for (int shift = 0; octet & 0x80; shift += 7) {
			assert_true(cursor_octet(&c, &octet));
			n |= (uint64_t)(octet & 0x7f) << shift;
		}
		n = (key & 7) == 0 ? 0 : (key & 7) == 1 ? 8 : (key & 7) == 5 ? 4 : n;
		assert_true(cursor_take(&c, n, &part));
		is_message = (path[0] == 'd' && key == 0x0a) ||
			     (path[0] == 'r' && (key == 0x22 || key == 0x2a));
		if (is_message && has_group(part, path + 1))
			return true;
	}
	return false;
}

/* What we take, protobuf-c takes and reads alike, but for groups, which it does not know. What it
 * takes, we may refuse for what the schema's comments and our tables say beyond the encoding: the
 * number of reports, metrics and alarms; texts; severities outside 0 to 5 also in 64 bits; field 0;
 * varints of more than 64 bits. Never for the structure. */
static enum decode_refusal expect_agreement(const uint8_t *payload, size_t n_bytes)
{
	Bellwether__Datagram *d = bellwether__datagram__unpack(NULL, n_bytes, payload);
	enum decode_refusal refusal = decode(payload, n_bytes);

	switch (refusal) {
	case DECODE_OK:
		if (d == NULL) {
			assert_true(has_group((struct cursor){payload, payload + n_bytes}, "dr."));
			break;
		}
		assert_int_equal(batch.n, d->n_reports);
		for (size_t i = 0; i < d->n_reports; i++)
			expect_same_report(&batch.reports[i], d->reports[i]);
		break;
	case DECODE_NATIVE_TRUNCATED:
	case DECODE_NATIVE_WIRE_TYPE:
	case DECODE_NATIVE_DEPTH:
		assert_null(d);
		break;
	default:
		assert_int_equal(batch.n, 0);
		assert_in_range(refusal, DECODE_NATIVE_TAG, DECODE_NATIVE_SEVERITY);
	}
	if (d != NULL)
		bellwether__datagram__free_unpacked(d, NULL);
	return refusal;
}

static void random_datagrams_are_read_as_protobuf_reads_them(void **state)
{
	for (int i = 0; i < 4000; i++) {
		size_t n_bytes;
		uint8_t *payload = random_datagram(i % 100 == 0 ? REPORT_BATCH_MAX : 4, &n_bytes);

		assert_int_equal(expect_agreement(payload, n_bytes), DECODE_OK);
		free(payload);
	}
}

static void flipped_bits_are_refused_or_read_as_protobuf_reads_them(void **state)
{
	unsigned int n_taken = 0, n_refused = 0;

	for (int i = 0; i < 20; i++) {
		size_t n_bytes;
		uint8_t *payload = random_datagram(2, &n_bytes);

		for (size_t bit = 0; bit < n_bytes * 8; bit++) {
			payload[bit / 8] ^= (uint8_t)(1 << bit % 8);
			if (expect_agreement(payload, n_bytes) == DECODE_OK)
				n_taken++;
			else
				n_refused++;
			payload[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		free(payload);
	}
	assert_true(n_taken > 1000 && n_refused > 1000); /* both sides were seen */
}

static void cut_datagrams_are_refused_or_read_as_protobuf_reads_them(void **state)
{
	for (int i = 0; i < 20; i++) {
		size_t n_bytes;
		uint8_t *payload = random_datagram(4, &n_bytes);

		for (size_t n = 0; n < n_bytes; n++)
			expect_agreement(payload, n);
		free(payload);
	}
}

static void random_octets_are_refused_or_read_as_protobuf_reads_them(void **state)
{
	/* octets that mean something, so that one in some gets past the first field */
	static const uint8_t some[] = {0x0a, 0x22, 0x2a, 0x0d, 0x11, 0x09, 0x20, 0x7b, 0x7c,
				       0,    1,	   2,	 3,    5,    8,	   0x80, 0xff, 't'};
	uint8_t payload[24];

	for (int i = 0; i < 50000; i++) {
		size_t n_bytes = random_below(sizeof(payload) + 1);

		for (size_t k = 0; k < n_bytes; k++)
			payload[k] = some[random_below(sizeof(some))];
		expect_agreement(payload, n_bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_datagrams_are_read_as_protobuf_reads_them),
		cmocka_unit_test(flipped_bits_are_refused_or_read_as_protobuf_reads_them),
		cmocka_unit_test(cut_datagrams_are_refused_or_read_as_protobuf_reads_them),
		cmocka_unit_test(random_octets_are_refused_or_read_as_protobuf_reads_them),
	};
	const char *seed = getenv("TEST_SEED");

	random_state = seed != NULL ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
	print_message("# TEST_SEED=%llu\n", (unsigned long long)random_state);
	random_state |= 1ULL << 63; /* xorshift must not start at zero */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
