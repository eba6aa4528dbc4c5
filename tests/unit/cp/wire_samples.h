/* One sample of each kind of message, with awkward values. */
#ifndef BELLWETHER_TESTS_UNIT_CP_WIRE_SAMPLES_H
#define BELLWETHER_TESTS_UNIT_CP_WIRE_SAMPLES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cp/wire/wire.h"

static struct wire_server servers[] = {
	{.id = 1, .name = "", .state = "", .role = "", .address = "", .client_address = ""},
	{.id = 65535,
	 .rank = UINT32_MAX,
	 .n_cells = UINT32_MAX,
	 .boot = UINT32_MAX,
	 .name = "gamma-\xc3\xa4\xe2\x82\xac\xf0\x9f\x94\x94",
	 .state = "suspect",
	 .role = "master",
	 .address = "[2001:db8::1]:7400",
	 .client_address = "192.0.2.1:7400",
	 .epoch = UINT64_MAX,
	 .heard_ms_ago = UINT64_MAX,
	 .is_voter = true,
	 .is_dp_alive = true,
	 .is_healthy = true,
	 .is_drained = true,
	 .store = "full",
	 .store_used = UINT64_MAX,
	 .store_max = 1},
};
static struct wire_cell cells[] = {
	{.name = "a"},
	{.name = "thirty-nine-octets-are-the-longest-name",
	 .owner = 65535,
	 .standby = 2,
	 .n_elements = UINT32_MAX,
	 .pin = 65535,
	 .token = {7, UINT64_MAX}},
};
static struct wire_metric metrics[] = {
	{0, 0.0}, {UINT32_MAX, -1.7976931348623157e308}, {3, INFINITY}, {4, -0.0}};
static struct wire_alarm alarms[] = {
	{.element_id = 1,
	 .element = "",
	 .resource = "",
	 .type = "",
	 .qualifier = "",
	 .severity = "",
	 .text = ""},
	{.element_id = UINT64_MAX,
	 .element = "core-1",
	 .resource = "ifIndex 7",
	 .type = "link-alarm",
	 .qualifier = "q",
	 .severity = "critical",
	 .text = "two\nlines \"quoted\"",
	 .is_cleared = true,
	 .raised_ns = 1,
	 .changed_ns = 2,
	 .last_ns = UINT64_MAX,
	 .count = UINT64_MAX,
	 .owner = 3,
	 .token = {1, 2},
	 .operator_state = "ack",
	 .operator_name = "ada",
	 .operator_text = "on it",
	 .operator_ns = UINT64_MAX,
	 .age_ms = 7,
	 .source = "store"},
};
static struct wire_element elements[] = {
	{.id = 1, .name = "", .address = "", .kind = "", .region = "", .worst = ""},
	{.id = UINT64_MAX,
	 .name = "core-1",
	 .address = "192.0.2.7",
	 .kind = "router",
	 .region = "north",
	 .worst = "major",
	 .owner = 3,
	 .answered_by = 65535,
	 .n_alarms = 2,
	 .token = {1, 2},
	 .last_seen_ns = UINT64_MAX,
	 .age_ms = 5,
	 .n_reports = 6,
	 .n_gaps = 7,
	 .stored_ns = 8,
	 .source = "memory",
	 .metrics = metrics,
	 .n_metrics = 4},
};
static uint32_t silent[] = {0, 2, 65535};
static struct wire_counter counters[] = {{"frames", "frames received", "frame in", UINT64_MAX},
					 {"", "", "", 0}};
static struct wire_equation equations[] = {{"steer", 0, UINT64_MAX}, {"", 1, 1}};
static struct wire_unknown unknown[] = {{"2001:db8::2", 1, UINT64_MAX, 3, 65535}, {"", 0, 0, 0, 0}};

static const char *event_kinds[] = {"raised", "", "cell_moved"};
static struct wire_event events[] = {
	{.kind = "master"},
	{.origin = 65535,
	 .number = UINT64_MAX,
	 .time_ns = 2,
	 .kind = "acknowledged",
	 .has_alarm = true,
	 .cell = "north",
	 .token = {3, 4},
	 .server = 5,
	 .was = 65535,
	 .epoch = UINT64_MAX,
	 .operator_name = "ada",
	 .request_id = "sixty-four-octets-are-the-longest-request-id-that-can-be-told-of",
	 .text = "on it"},
};
static struct wire_element_spec specs[] = {
	{.name = "", .kind = "", .region = ""},
	{.id = UINT64_MAX,
	 .name = "core-1",
	 .kind = "router",
	 .region = "north",
	 .address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7}},
};
#define OCTETS(text)                                                                               \
	{                                                                                          \
		(const uint8_t *)(text), sizeof(text) - 1                                          \
	}
static struct wire_octets entries[] = {{NULL, 0}, OCTETS("one\0entry"), OCTETS("\xff")};
static struct wire_log_run runs[] = {{1, 8}, {UINT64_MAX, UINT64_MAX}};
static struct wire_snapshot_row rows[] = {{0, OCTETS("k"), {NULL, 0}},
					  {UINT32_MAX, OCTETS("\0key"), OCTETS("\0value\xff")}};
static struct wire_stored_alarm stored_alarms[] = {
	{.element_id = 1}, /* free: the key only */
	{.element_id = UINT64_MAX,
	 .type = OCTETS("forty octets are the longest type of all"),
	 .resource = OCTETS("forty-eight octets are the longest resource, \xff\0\x80"),
	 .qualifier = OCTETS("twenty-four at most hold"),
	 .text = OCTETS("forty-eight octets are as well the longest text."),
	 .state = 2,
	 .severity = 5,
	 .raised_ns = 1,
	 .changed_ns = 2,
	 .last_ns = UINT64_MAX,
	 .count = 4,
	 .boot = 5,
	 .sequence = 6,
	 .stored_ns = 7,
	 .owner = 65535,
	 .token = {8, 9},
	 .cell = "north"},
};
static struct wire_stored_element stored_elements[] = {
	{.id = 1, .cell = "a"},
	{.id = UINT64_MAX,
	 .cell = "north",
	 .owner = 65535,
	 .n_alarms = UINT32_MAX,
	 .token = {8, 9},
	 .first_seen_ns = 1,
	 .last_seen_ns = 2,
	 .n_reports = 3,
	 .n_gaps = 4,
	 .boot = 5,
	 .sequence = 6,
	 .stored_ns = UINT64_MAX,
	 .worst = 5,
	 .metrics = metrics,
	 .n_metrics = 4},
};
static struct wire_alarm_note notes[] = {
	{.element_id = 1},
	{.element_id = UINT64_MAX,
	 .raised_ns = 1,
	 .time_ns = 2,
	 .number = UINT64_MAX,
	 .type = OCTETS("t"),
	 .resource = OCTETS("\0r"),
	 .qualifier = OCTETS("q"),
	 .is_ack = true,
	 .operator_name = "ada",
	 .text = "on it",
	 .request_id = "r-1",
	 .origin = 65535},
};

#define COMMAND                                                                                    \
	{                                                                                          \
		"r-1", "ada", true,                                                                \
		{                                                                                  \
			3, 4                                                                       \
		}                                                                                  \
	}

static const struct wire_status status_sample = {.cluster = "lab",
						 .server = 1,
						 .master = 65535,
						 .n_elements = UINT32_MAX,
						 .epoch = 4,
						 .map_epoch = 5,
						 .map_version = 6,
						 .is_map_committed = true,
						 .registry_committed = 7,
						 .stored_ns = UINT64_MAX,
						 .servers = servers,
						 .n_servers = 2,
						 .cells = cells,
						 .n_cells = 2};
static const struct wire_element_request element_request_sample = {
	.name = "core-1", .is_forwarded = true, .is_fresh = true, .max_age_ms = 9, .token = {1, 2}};
static struct wire_element_reply element_reply_sample = {.alarms = alarms, .n_alarms = 2};
static const struct wire_list_request list_request_sample = {.is_local = true,
							     .with_cleared = true,
							     .after_element = UINT64_MAX,
							     .limit = UINT32_MAX,
							     .deadline_ms = UINT32_MAX,
							     .max_age_ms = 5,
							     .is_fresh = true};
static const struct wire_element_list element_list_sample = {elements, 2, UINT64_MAX, silent, 3, 1};
static const struct wire_alarm_list alarm_list_sample = {alarms, 2,	UINT64_MAX, silent,
							 3,	 65535, 9};
static const struct wire_watch_request watch_request_sample = {true, true, "1:7", event_kinds, 3};
static struct wire_alarm_event alarm_event_sample = {.kind = "raised",
						     .has_alarm = true,
						     .time_ns = 9,
						     .server = 2,
						     .number = UINT64_MAX,
						     .resume = "2:9+11"};
static const struct wire_dp_stats_request dp_stats_request_sample = {65535, true};
static const struct wire_dp_stats dp_stats_sample = {
	65535, 3, 4, true, true, UINT64_MAX, counters, counters, 2, 2, equations, 2, unknown, 2};
static const struct wire_probe_request probe_request_sample = {65535};
static const struct wire_probe_answer probe_answer_sample = {true};
static struct wire_event event_sample;
static const struct wire_event_query event_query_sample = {.is_local = true,
							   .is_newest = true,
							   .after = "1:2",
							   .element = "core-1",
							   .cell = "north",
							   .since_ns = 3,
							   .until_ns = UINT64_MAX,
							   .kinds = event_kinds,
							   .n_kinds = 3,
							   .limit = 4,
							   .deadline_ms = UINT32_MAX,
							   .origin = 65535};
static const struct wire_event_list event_list_sample = {events, 2, "1:9", true, silent, 3, 65535};
static struct wire_event_notice event_notice_sample = {
	.kind = "event", .has_event = true, .server = 65535, .resume = "1:9"};
static const struct wire_import_elements_request import_elements_request_sample = {COMMAND, specs,
										   2};
static struct wire_adopt_element_request adopt_element_request_sample = {.command = COMMAND};
static const struct wire_move_element_request move_element_request_sample = {COMMAND, "core-1",
									     "south", 65535};
static const struct wire_drain_server_request drain_server_request_sample = {COMMAND, 65535, true};
static const struct wire_ack_alarm_request ack_alarm_request_sample = {
	COMMAND, "core-1", "ifIndex 7", "link-alarm", "q", "on it", true};
static const struct wire_command_reply command_reply_sample = {
	true, true, true, "why not", 1, 2, UINT32_MAX, 65535, UINT64_MAX, 9};
static const struct wire_sealed_request sealed_request_sample = {
	1,
	65535,
	UINT32_MAX,
	UINT32_MAX - 1,
	UINT64_MAX,
	"AppendEntries",
	OCTETS("\0payload\xff"),
	{1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9}};
static const struct wire_append_request append_request_sample = {
	7, 8, 9, UINT64_MAX, entries, 3, runs, 2, UINT64_MAX, UINT32_MAX};
static const struct wire_append_answer append_answer_sample = {true, UINT64_MAX, 8, "why not",
							       65535};
static const struct wire_snapshot_chunk snapshot_chunk_sample = {7,    8,    UINT64_MAX, UINT32_MAX,
								 true, rows, 2};
static const struct wire_snapshot_answer snapshot_answer_sample = {true, UINT64_MAX, UINT32_MAX,
								   65535, "why not"};
static const struct wire_registry_entry registry_entry_sample = {.kind = WIRE_REGISTRY_SERVERS,
								 .time_ns = UINT64_MAX,
								 .request_id = "r-1",
								 .operator_name = "ada",
								 .cell = "north",
								 .element = "core-1",
								 .event = "cell_pinned",
								 .server = 65535,
								 .was = 3,
								 .is_set = true,
								 .cells = cells,
								 .n_cells = 2,
								 .elements = specs,
								 .n_elements = 2,
								 .servers = silent,
								 .n_servers = 3};
static struct wire_stored_alarm stored_alarm_sample;
static struct wire_stored_element stored_element_sample;
static struct wire_alarm_note alarm_note_sample;
static const struct wire_cell_sync cell_sync_sample = {"north", {3, 4}, true, true};
static const struct wire_replicate_request replicate_request_sample = {
	"north", {3, 4}, true, true,   true, stored_alarms, 2, stored_elements,
	2,	 notes,	 2,    events, 2};
static const struct wire_replicate_answer replicate_answer_sample = {true, true, "why not", {3, 4}};
static const struct wire_fetch_cell_request fetch_cell_request_sample = {
	"north", {3, 4}, UINT64_MAX, 5};
static const struct wire_cell_records cell_records_sample = {
	true, true, {3, 4}, stored_alarms, 2, stored_elements, 2, notes, 2, UINT64_MAX, "why not"};

static int samples_complete(void **state)
{
	element_reply_sample.element = elements[1];
	alarm_event_sample.alarm = alarms[1];
	events[1].alarm = alarms[1];
	event_sample = event_notice_sample.event = events[1];
	adopt_element_request_sample.element = specs[1];
	stored_alarm_sample = stored_alarms[1];
	stored_element_sample = stored_elements[1];
	alarm_note_sample = notes[1];
	return 0;
}

typedef int (*unpack_fn)(const uint8_t *bytes, size_t n, void **out);
typedef int (*pack_fn)(const void *m, struct wire_bytes *out);

struct kind {
	const char *name;
	const void *sample;
	pack_fn pack;
	unpack_fn unpack;
};

#define X(name)                                                                                    \
	static int pack_##name(const void *m, struct wire_bytes *out)                              \
	{                                                                                          \
		return wire_##name##_pack(m, out);                                                 \
	}                                                                                          \
	static int unpack_##name(const uint8_t *bytes, size_t n, void **out)                       \
	{                                                                                          \
		struct wire_##name *m = NULL;                                                      \
		int err = wire_##name##_unpack(bytes, n, &m);                                      \
                                                                                                   \
		*out = m;                                                                          \
		return err;                                                                        \
	}
WIRE_MESSAGES(X)
#undef X

static const struct kind kinds[] = {
#define X(name) {#name, &name##_sample, pack_##name, unpack_##name},
	WIRE_MESSAGES(X)
#undef X
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* Packs and unpacks; the caller frees the result. */
#define ROUND_TRIP(name, sample, out)                                                              \
	do {                                                                                       \
		struct wire_bytes b;                                                               \
		assert_int_equal(wire_##name##_pack((sample), &b), 0);                             \
		assert_int_equal(wire_##name##_unpack(b.bytes, b.n, (out)), 0);                    \
		wire_bytes_free(&b);                                                               \
	} while (0)

#endif
