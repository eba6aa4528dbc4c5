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
	 .is_healthy = true},
};
static struct wire_cell cells[] = {
	{.name = "a"},
	{.name = "thirty-nine-octets-are-the-longest-name",
	 .owner = 65535,
	 .standby = 2,
	 .n_elements = UINT32_MAX,
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
	 .token = {1, 2}},
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
	 .metrics = metrics,
	 .n_metrics = 4},
};
static uint32_t silent[] = {0, 2, 65535};
static struct wire_counter counters[] = {{"frames", "frames received", "frame in", UINT64_MAX},
					 {"", "", "", 0}};
static struct wire_equation equations[] = {{"steer", 0, UINT64_MAX}, {"", 1, 1}};
static struct wire_unknown unknown[] = {{"2001:db8::2", 1, UINT64_MAX, 3, 65535}, {"", 0, 0, 0, 0}};

static const struct wire_status status_sample = {"lab", 1,    65535,   UINT32_MAX, 4,	  5,
						 6,	true, servers, 2,	   cells, 2};
static const struct wire_element_request element_request_sample = {0, "core-1", true};
static struct wire_element_reply element_reply_sample = {.alarms = alarms, .n_alarms = 2};
static const struct wire_list_request list_request_sample = {true, true, UINT64_MAX, UINT32_MAX,
							     UINT32_MAX};
static const struct wire_element_list element_list_sample = {elements, 2, UINT64_MAX, silent, 3, 1};
static const struct wire_alarm_list alarm_list_sample = {alarms, 2,	UINT64_MAX, silent,
							 3,	 65535, 9};
static const struct wire_watch_request watch_request_sample = {true, true};
static struct wire_alarm_event alarm_event_sample = {
	.kind = "raised", .has_alarm = true, .time_ns = 9, .server = 2, .number = UINT64_MAX};
static const struct wire_dp_stats_request dp_stats_request_sample = {65535, true};
static const struct wire_dp_stats dp_stats_sample = {
	65535, 3, 4, true, true, UINT64_MAX, counters, counters, 2, 2, equations, 2, unknown, 2};
static const struct wire_map_proposal map_proposal_sample = {
	1,	    65535, UINT32_MAX, 2,    3,
	UINT64_MAX, cells, 2,	       true, {1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9}};
static const struct wire_map_answer map_answer_sample = {true, UINT64_MAX, 65535, "why not"};
static const struct wire_probe_request probe_request_sample = {65535};
static const struct wire_probe_answer probe_answer_sample = {true};

static int samples_complete(void **state)
{
	element_reply_sample.element = elements[1];
	alarm_event_sample.alarm = alarms[1];
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
