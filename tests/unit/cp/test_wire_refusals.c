#include "tests/unit/cp/wire_samples.h"

/* ASan sees a read past the end only of a block of its own. */
static uint8_t *copy_exactly(const uint8_t *bytes, size_t n)
{
	uint8_t *copy = malloc(n > 0 ? n : 1);

	assert_non_null(copy);
	memcpy(copy, bytes, n);
	return copy;
}

static void an_empty_message_is_one_where_nothing_has_to_be_there(void **state)
{
	static const struct {
		const char *name;
		int err;
	} expected[] = {
		{"status", 0},
		{"element_request", -EBADMSG},
		{"element_reply", -EBADMSG},
		{"list_request", 0},
		{"element_list", 0},
		{"alarm_list", 0},
		{"watch_request", 0},
		{"alarm_event", -EBADMSG},
		{"dp_stats_request", 0},
		{"dp_stats", 0},
		{"probe_request", -EBADMSG},
		{"probe_answer", 0},
		{"event", -EBADMSG},
		{"event_query", 0},
		{"event_list", 0},
		{"event_notice", -EBADMSG},
		{"import_elements_request", 0},
		{"adopt_element_request", -EBADMSG},
		{"move_element_request", 0},
		{"drain_server_request", 0},
		{"ack_alarm_request", 0},
		{"command_reply", 0},
		{"sealed_request", -EBADMSG},
		{"append_request", 0},
		{"append_answer", -EBADMSG},
		{"snapshot_chunk", 0},
		{"snapshot_answer", -EBADMSG},
		{"registry_entry", -EBADMSG},
		{"stored_alarm", -EBADMSG},
		{"stored_element", -EBADMSG},
		{"alarm_note", -EBADMSG},
		{"cell_sync", -EBADMSG},
		{"replicate_request", -EBADMSG},
		{"replicate_answer", 0},
		{"fetch_cell_request", -EBADMSG},
		{"cell_records", 0},
	};

	for (size_t k = 0; k < N_KINDS; k++) {
		void *m;

		assert_string_equal(kinds[k].name, expected[k].name);
		assert_int_equal(kinds[k].unpack(NULL, 0, &m), expected[k].err);
		if (expected[k].err == 0)
			wire_free(m);
	}
}

/* field 2 of ElementRequest: the name */
static int unpack_name(const char *name, size_t n)
{
	uint8_t bytes[8192] = {0x12};
	struct wire_element_request *m;
	size_t at = 1;
	int err;

	bytes[at++] = (uint8_t)(n & 0x7f) | 0x80;
	bytes[at++] = (uint8_t)(n >> 7);
	memcpy(bytes + at, name, n);
	err = wire_element_request_unpack(bytes, at + n, &m);
	if (err == 0) {
		assert_int_equal(strlen(m->name), n);
		wire_free(m);
	}
	return err;
}

static void only_utf8_without_nul_and_of_bounded_length_is_a_text(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		int err;
	} cases[] = {
		{"core-1", 6, 0},
		{"a\0b", 3, -EBADMSG},
		{"ab\0", 3, -EBADMSG},
		{"\xc3\xa4", 2, 0},
		{"\xc3", 1, -EBADMSG},
		{"\x80", 1, -EBADMSG},
		{"\xc0\x80", 2, -EBADMSG}, /* NUL in two octets */
		{"\xc1\xbf", 2, -EBADMSG},
		{"\xe0\x9f\xbf", 3, -EBADMSG}, /* too long a form */
		{"\xe0\xa0\x80", 3, 0},
		{"\xed\x9f\xbf", 3, 0},
		{"\xed\xa0\x80", 3, -EBADMSG}, /* surrogate */
		{"\xe2\x82", 2, -EBADMSG},
		{"\xe2\x82\x28", 3, -EBADMSG},
		{"\xf0\x8f\xbf\xbf", 4, -EBADMSG},
		{"\xf0\x90\x80\x80", 4, 0},
		{"\xf4\x8f\xbf\xbf", 4, 0},
		{"\xf4\x90\x80\x80", 4, -EBADMSG}, /* above U+10FFFF */
		{"\xf5\x80\x80\x80", 4, -EBADMSG},
		{"\xff", 1, -EBADMSG},
	};
	char longest[WIRE_TEXT_MAX + 1];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(unpack_name(cases[i].text, cases[i].n), cases[i].err);
	memset(longest, 'x', sizeof(longest));
	assert_int_equal(unpack_name(longest, WIRE_TEXT_MAX), 0);
	assert_int_equal(unpack_name(longest, WIRE_TEXT_MAX + 1), -EBADMSG);
}

static void a_text_that_is_not_utf8_is_mended_when_sent(void **state)
{
	char longest[WIRE_TEXT_MAX + 10];
	struct wire_append_answer m = {.from = 1, .why = "bad \xff\xc3 octets \xc3\xa4"}, *got;

	ROUND_TRIP(append_answer, &m, &got);
	assert_string_equal(got->why, "bad ?? octets \xc3\xa4");
	wire_free(got);

	/* Cut between two characters, never inside one. */
	memset(longest, 'x', sizeof(longest));
	memcpy(longest + WIRE_TEXT_MAX - 1, "\xc3\xa4", 3);
	m.why = longest;
	ROUND_TRIP(append_answer, &m, &got);
	assert_int_equal(strlen(got->why), WIRE_TEXT_MAX - 1);
	wire_free(got);
}

static void values_out_of_range_are_refused(void **state)
{
	static const struct {
		const char *name, *bytes;
		size_t n;
	} cases[] = {
		{"status", "\x10\x80\x80\x04", 4},	     /* server 65536 */
		{"status", "\x2a\x00", 2},		     /* a server without an id */
		{"status", "\x32\x00", 2},		     /* a cell without a name */
		{"status", "\x0a\x01x\x0a\x01y", 6},	     /* the cluster's name twice */
		{"status", "\x0d\x00\x00\x00\x00", 5},	     /* the name as a number */
		{"status", "\x10\x80\x80\x80\x80\x10", 6},   /* server 2^32: not 0 */
		{"watch_request", "\x08\x02", 2},	     /* a bool of 2 */
		{"watch_request", "\x0b\x0c", 2},	     /* a group */
		{"watch_request", "\x00\x00", 2},	     /* field 0 */
		{"probe_request", "\x08\x00", 2},	     /* server 0 */
		{"element_list", "\x1a\x03\x80\x80\x04", 5}, /* silent 65536 */
		{"dp_stats", "\x42\x04\x28\x80\x80\x04", 6}, /* port 65536 */
		{"alarm_event", "\x0a\x01k\x12\x00", 5},     /* an alarm of no element */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t k = 0; k < N_KINDS; k++) {
			void *m;

			if (strcmp(kinds[k].name, cases[i].name) == 0)
				assert_int_equal(kinds[k].unpack((const uint8_t *)cases[i].bytes,
								 cases[i].n, &m),
						 -EBADMSG);
		}
}

/* What is packed from our own structs, and what of them makes no sense when it comes in. */
#define REFUSED(name, ...)                                                                         \
	do {                                                                                       \
		struct wire_##name m_ = __VA_ARGS__, *out_;                                        \
		struct wire_bytes b_;                                                              \
		assert_int_equal(wire_##name##_pack(&m_, &b_), 0);                                 \
		assert_int_equal(wire_##name##_unpack(b_.bytes, b_.n, &out_), -EBADMSG);           \
		wire_bytes_free(&b_);                                                              \
	} while (0)

static void records_that_make_no_sense_are_refused(void **state)
{
	static const char long_cell[] = "forty-octets-are-one-more-than-a-cell-...";
	char long_id[WIRE_REQUEST_ID_MAX + 2];
	static uint8_t octets[64];
	static struct wire_log_run falling[] = {{2, 9}, {1, 10}}, same[] = {{2, 9}, {2, 10}},
				   back[] = {{1, 9}, {2, 9}}, zero[] = {{0, 9}};
	static struct wire_metric many[256];

	memset(long_id, 'r', sizeof(long_id) - 1);
	long_id[sizeof(long_id) - 1] = '\0';
	REFUSED(event, {.kind = ""});
	REFUSED(event, {.kind = "x", .origin = 65536});
	REFUSED(event, {.kind = "x", .server = 65536});
	REFUSED(event, {.kind = "x", .was = 65536});
	REFUSED(event, {.kind = "x", .cell = long_cell});
	REFUSED(event, {.kind = "x", .request_id = long_id});
	REFUSED(event, {.kind = "x", .has_alarm = true}); /* of no element */
	REFUSED(event_query, {.origin = 65536});
	REFUSED(event_query, {.cell = long_cell});
	REFUSED(event_list, {.answered_by = 65536});
	REFUSED(event_notice, {.kind = "event", .has_event = true}); /* of no kind */
	REFUSED(event_notice, {.kind = "silent", .server = 65536});
	REFUSED(drain_server_request, {.command = {.request_id = long_id}});
	REFUSED(drain_server_request, {.server = 65536});
	REFUSED(move_element_request, {.server = 65536});
	REFUSED(ack_alarm_request, {.command = {.request_id = long_id}});
	REFUSED(command_reply, {.answered_by = 65536});
	REFUSED(sealed_request, {.from = 65536, .to = 1, .method = "x"});
	REFUSED(sealed_request, {.from = 1, .to = 0, .method = "x"});
	REFUSED(sealed_request, {.from = 1, .to = 2});
	REFUSED(append_request, {.entries = entries, .n_entries = 2, .runs = falling, .n_runs = 2});
	REFUSED(append_request, {.entries = entries, .n_entries = 2, .runs = same, .n_runs = 2});
	REFUSED(append_request, {.entries = entries, .n_entries = 2, .runs = back, .n_runs = 2});
	REFUSED(append_request, {.entries = entries, .n_entries = 1, .runs = zero, .n_runs = 1});
	REFUSED(append_request, {.entries = entries, .n_entries = 1});
	REFUSED(append_request, {.runs = runs, .n_runs = 1});
	REFUSED(append_request, {.previous_index = UINT64_MAX,
				 .entries = entries,
				 .n_entries = 1,
				 .runs = runs,
				 .n_runs = 1});
	REFUSED(append_answer, {.from = 65536});
	REFUSED(snapshot_answer, {.from = 0});
	REFUSED(snapshot_chunk, {.rows = &(struct wire_snapshot_row){.table = 1}, .n_rows = 1});
	REFUSED(registry_entry, {.kind = WIRE_REGISTRY_SERVERS + 1});
	REFUSED(registry_entry, {.kind = WIRE_REGISTRY_PIN, .server = 65536});
	REFUSED(registry_entry, {.kind = WIRE_REGISTRY_PIN, .was = 65536});
	REFUSED(registry_entry, {.kind = WIRE_REGISTRY_PIN, .cell = long_cell});
	REFUSED(registry_entry, {.kind = WIRE_REGISTRY_PIN, .request_id = long_id});
	REFUSED(registry_entry, {.kind = WIRE_REGISTRY_CELLS,
				 .cells = &(struct wire_cell){.name = "a", .pin = 65536},
				 .n_cells = 1});
	REFUSED(stored_alarm, {.cell = "a"});
	REFUSED(stored_alarm, {.element_id = 1, .state = 1}); /* of no cell */
	REFUSED(stored_alarm, {.element_id = 1, .cell = "a", .state = 3});
	REFUSED(stored_alarm, {.element_id = 1, .cell = "a", .severity = 6});
	REFUSED(stored_alarm, {.element_id = 1, .cell = "a", .owner = 65536});
	REFUSED(stored_alarm, {.element_id = 1, .cell = "a", .type = {octets, 41}});
	REFUSED(stored_alarm, {.element_id = 1, .cell = "a", .resource = {octets, 49}});
	REFUSED(stored_alarm, {.element_id = 1, .cell = "a", .qualifier = {octets, 25}});
	REFUSED(stored_alarm, {.element_id = 1, .cell = "a", .text = {octets, 49}});
	REFUSED(stored_element, {.cell = "a"});
	REFUSED(stored_element, {.id = 1});
	REFUSED(stored_element, {.id = 1, .cell = "a", .worst = 6});
	REFUSED(stored_element, {.id = 1, .cell = "a", .owner = 65536});
	REFUSED(stored_element, {.id = 1, .cell = "a", .metrics = many, .n_metrics = 256});
	REFUSED(alarm_note, {.is_ack = true});
	REFUSED(alarm_note, {.element_id = 1, .origin = 65536});
	REFUSED(alarm_note, {.element_id = 1, .request_id = long_id});
	REFUSED(alarm_note, {.element_id = 1, .type = {octets, 41}});
	REFUSED(cell_sync, {.cell = long_cell});
	REFUSED(replicate_request, {.cell = ""});
	REFUSED(replicate_request,
		{.cell = "a", .alarms = &(struct wire_stored_alarm){.state = 1}, .n_alarms = 1});
	REFUSED(replicate_request, {.cell = "a", .events = &(struct wire_event){0}, .n_events = 1});
	REFUSED(fetch_cell_request, {.cell = long_cell});
	REFUSED(cell_records, {.notes = &(struct wire_alarm_note){0}, .n_notes = 1});
}

static void a_spec_without_a_whole_address_is_refused(void **state)
{
	struct wire_import_elements_request *m;

	/* elements { address: 15 octets } */
	assert_int_equal(wire_import_elements_request_unpack((const uint8_t *)"\x12\x11\x1a\x0f"
									      "123456789012345",
							     19, &m),
			 -EBADMSG);
	/* a registry entry of a kind that nobody knows, and of one that is no number of ours */
	assert_int_equal(wire_registry_entry_unpack((const uint8_t *)"\x08\x63", 2, NULL),
			 -EBADMSG);
	assert_int_equal(
		wire_registry_entry_unpack(
			(const uint8_t *)"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, NULL),
		-EBADMSG);
}

static void unknown_fields_are_left_alone(void **state)
{
	struct wire_probe_request *m;

	/* field 100, a varint and a text, around the one that is known */
	assert_int_equal(wire_probe_request_unpack(
				 (const uint8_t *)"\xa0\x06\x01\x08\x05\xa2\x06\x02hi", 10, &m),
			 0);
	assert_int_equal(m->server, 5);
	wire_free(m);
}

static void truncated_messages_are_refused_or_whole(void **state)
{
	for (size_t k = 0; k < N_KINDS; k++) {
		struct wire_bytes b;

		assert_int_equal(kinds[k].pack(kinds[k].sample, &b), 0);
		for (size_t n = 0; n < b.n; n++) {
			uint8_t *bytes = copy_exactly(b.bytes, n);
			void *m = NULL;
			int err = kinds[k].unpack(bytes, n, &m);

			assert_true(err == 0 || err == -EBADMSG);
			wire_free(m);
			free(bytes);
		}
		wire_bytes_free(&b);
	}
}

static void changed_messages_are_refused_or_whole(void **state)
{
	for (size_t k = 0; k < N_KINDS; k++) {
		struct wire_bytes b;

		assert_int_equal(kinds[k].pack(kinds[k].sample, &b), 0);
		for (size_t at = 0; at < b.n; at++)
			for (unsigned int octet = 0; octet < 256; octet++) {
				uint8_t *bytes = copy_exactly(b.bytes, b.n);
				struct wire_bytes again;
				void *m = NULL;
				int err;

				bytes[at] = (uint8_t)octet;
				err = kinds[k].unpack(bytes, b.n, &m);
				assert_true(err == 0 || err == -EBADMSG);
				/* Whatever comes through is a message: every pointer in it is good.
				 */
				if (err == 0) {
					assert_int_equal(kinds[k].pack(m, &again), 0);
					wire_bytes_free(&again);
				}
				wire_free(m);
				free(bytes);
			}
		wire_bytes_free(&b);
	}
}

static void many_empty_parts_cannot_take_memory_without_bound(void **state)
{
	size_t n = WIRE_MESSAGE_MAX;
	uint8_t *bytes = calloc(1, n);
	struct wire_dp_stats *m;

	assert_non_null(bytes);
	for (size_t i = 0; i < n; i += 2)
		bytes[i] = 0x22; /* Counter {} */
	assert_int_equal(wire_dp_stats_unpack(bytes, n, &m), -EBADMSG);
	free(bytes);
}

static void a_list_near_the_longest_comes_back(void **state)
{
	uint32_t n_metrics = 64, n = 4500;
	struct wire_element *e = calloc(n, sizeof(*e));
	struct wire_metric *v = calloc(n_metrics, sizeof(*v));
	struct wire_element_list list = {.elements = e, .n_elements = n, .answered_by = 1}, *got;

	assert_non_null(e);
	assert_non_null(v);
	for (uint32_t i = 0; i < n_metrics; i++)
		v[i] = (struct wire_metric){i + 1, 1.5};
	for (uint32_t i = 0; i < n; i++) {
		e[i] = elements[1];
		e[i].id = i + 1;
		e[i].metrics = v;
		e[i].n_metrics = n_metrics;
	}
	ROUND_TRIP(element_list, &list, &got);
	assert_int_equal(got->n_elements, n);
	assert_int_equal(got->elements[n - 1].id, n);
	assert_int_equal(got->elements[n - 1].n_metrics, n_metrics);
	wire_free(got);
	free(e);
	free(v);
}

static void what_is_too_long_is_neither_packed_nor_unpacked(void **state)
{
	size_t n = WIRE_MESSAGE_MAX + 1;
	uint8_t *bytes = calloc(1, n);
	uint32_t *ids = calloc(1, sizeof(*ids) * n);
	struct wire_element_list list = {.silent = ids, .n_silent = WIRE_MESSAGE_MAX}, *m;
	struct wire_bytes b;

	assert_non_null(bytes);
	assert_non_null(ids);
	assert_int_equal(wire_element_list_unpack(bytes, n, &m), -EBADMSG);
	assert_int_equal(wire_element_list_pack(&list, &b), -EMSGSIZE);
	free(bytes);
	free(ids);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_message_is_one_where_nothing_has_to_be_there),
		cmocka_unit_test(only_utf8_without_nul_and_of_bounded_length_is_a_text),
		cmocka_unit_test(a_text_that_is_not_utf8_is_mended_when_sent),
		cmocka_unit_test(values_out_of_range_are_refused),
		cmocka_unit_test(records_that_make_no_sense_are_refused),
		cmocka_unit_test(a_spec_without_a_whole_address_is_refused),
		cmocka_unit_test(unknown_fields_are_left_alone),
		cmocka_unit_test(truncated_messages_are_refused_or_whole),
		cmocka_unit_test(changed_messages_are_refused_or_whole),
		cmocka_unit_test(many_empty_parts_cannot_take_memory_without_bound),
		cmocka_unit_test(a_list_near_the_longest_comes_back),
		cmocka_unit_test(what_is_too_long_is_neither_packed_nor_unpacked),
	};

	return cmocka_run_group_tests(tests, samples_complete, NULL);
}
