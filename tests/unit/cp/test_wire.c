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

/* One sample of each kind of message, with awkward values; most tests go over all of them. */

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
static const struct wire_alarm_list alarm_list_sample = {alarms, 2, UINT64_MAX, silent, 3, 65535, 9};
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

/* ASan sees a read past the end only of a block of its own. */
static uint8_t *copy_exactly(const uint8_t *bytes, size_t n)
{
	uint8_t *copy = malloc(n > 0 ? n : 1);

	assert_non_null(copy);
	memcpy(copy, bytes, n);
	return copy;
}

static void every_message_packs_to_the_same_bytes_after_a_round_trip(void **state)
{
	for (size_t k = 0; k < N_KINDS; k++) {
		struct wire_bytes first, second;
		void *m;

		assert_int_equal(kinds[k].pack(kinds[k].sample, &first), 0);
		assert_true(first.n > 0);
		assert_int_equal(kinds[k].unpack(first.bytes, first.n, &m), 0);
		assert_int_equal(kinds[k].pack(m, &second), 0);
		assert_int_equal(first.n, second.n);
		assert_memory_equal(first.bytes, second.bytes, first.n);
		wire_free(m);
		wire_bytes_free(&first);
		wire_bytes_free(&second);
	}
}

/* Packs and unpacks; the caller frees the result. */
#define ROUND_TRIP(name, sample, out)                                                              \
	do {                                                                                       \
		struct wire_bytes b;                                                               \
		assert_int_equal(wire_##name##_pack((sample), &b), 0);                             \
		assert_int_equal(wire_##name##_unpack(b.bytes, b.n, (out)), 0);                    \
		wire_bytes_free(&b);                                                               \
	} while (0)

static void status_comes_back_with_every_value(void **state)
{
	struct wire_status *m;

	ROUND_TRIP(status, &status_sample, &m);
	assert_string_equal(m->cluster, "lab");
	assert_int_equal(m->server, 1);
	assert_int_equal(m->master, 65535);
	assert_int_equal(m->n_elements, UINT32_MAX);
	assert_int_equal(m->epoch, 4);
	assert_int_equal(m->map_epoch, 5);
	assert_int_equal(m->map_version, 6);
	assert_true(m->is_map_committed);
	assert_int_equal(m->n_servers, 2);
	assert_string_equal(m->servers[0].name, "");
	assert_false(m->servers[0].is_voter);
	assert_string_equal(m->servers[1].name, servers[1].name);
	assert_string_equal(m->servers[1].state, "suspect");
	assert_string_equal(m->servers[1].role, "master");
	assert_string_equal(m->servers[1].address, "[2001:db8::1]:7400");
	assert_string_equal(m->servers[1].client_address, "192.0.2.1:7400");
	assert_int_equal(m->servers[1].rank, UINT32_MAX);
	assert_int_equal(m->servers[1].n_cells, UINT32_MAX);
	assert_int_equal(m->servers[1].boot, UINT32_MAX);
	assert_int_equal(m->servers[1].epoch, UINT64_MAX);
	assert_int_equal(m->servers[1].heard_ms_ago, UINT64_MAX);
	assert_true(m->servers[1].is_voter && m->servers[1].is_dp_alive &&
		    m->servers[1].is_healthy);
	assert_int_equal(m->n_cells, 2);
	assert_string_equal(m->cells[1].name, cells[1].name);
	assert_int_equal(m->cells[1].owner, 65535);
	assert_int_equal(m->cells[1].standby, 2);
	assert_int_equal(m->cells[1].n_elements, UINT32_MAX);
	assert_int_equal(m->cells[1].token.epoch, 7);
	assert_int_equal(m->cells[1].token.generation, UINT64_MAX);
	wire_free(m);
}

static void element_reply_comes_back_with_every_value(void **state)
{
	struct wire_element_reply *m;

	ROUND_TRIP(element_reply, &element_reply_sample, &m);
	assert_int_equal(m->element.id, UINT64_MAX);
	assert_string_equal(m->element.name, "core-1");
	assert_string_equal(m->element.address, "192.0.2.7");
	assert_string_equal(m->element.kind, "router");
	assert_string_equal(m->element.region, "north");
	assert_string_equal(m->element.worst, "major");
	assert_int_equal(m->element.owner, 3);
	assert_int_equal(m->element.answered_by, 65535);
	assert_int_equal(m->element.n_alarms, 2);
	assert_int_equal(m->element.token.generation, 2);
	assert_int_equal(m->element.last_seen_ns, UINT64_MAX);
	assert_int_equal(m->element.age_ms, 5);
	assert_int_equal(m->element.n_reports, 6);
	assert_int_equal(m->element.n_gaps, 7);
	assert_int_equal(m->element.n_metrics, 4);
	assert_memory_equal(&m->element.metrics[1].value, &metrics[1].value, 8);
	assert_int_equal(m->element.metrics[1].id, UINT32_MAX);
	assert_true(isinf(m->element.metrics[2].value));
	assert_int_equal(m->n_alarms, 2);
	assert_string_equal(m->alarms[1].text, "two\nlines \"quoted\"");
	assert_string_equal(m->alarms[1].element, "core-1");
	assert_string_equal(m->alarms[1].resource, "ifIndex 7");
	assert_string_equal(m->alarms[1].type, "link-alarm");
	assert_string_equal(m->alarms[1].qualifier, "q");
	assert_string_equal(m->alarms[1].severity, "critical");
	assert_true(m->alarms[1].is_cleared);
	assert_int_equal(m->alarms[1].raised_ns, 1);
	assert_int_equal(m->alarms[1].changed_ns, 2);
	assert_int_equal(m->alarms[1].last_ns, UINT64_MAX);
	assert_int_equal(m->alarms[1].count, UINT64_MAX);
	assert_int_equal(m->alarms[1].owner, 3);
	assert_int_equal(m->alarms[1].token.epoch, 1);
	wire_free(m);
}

static void lists_come_back_with_every_value(void **state)
{
	struct wire_element_list *e;
	struct wire_alarm_list *a;

	ROUND_TRIP(element_list, &element_list_sample, &e);
	assert_int_equal(e->n_elements, 2);
	assert_int_equal(e->elements[0].id, 1);
	assert_int_equal(e->next_after, UINT64_MAX);
	assert_int_equal(e->n_silent, 3);
	assert_memory_equal(e->silent, silent, sizeof(silent));
	assert_int_equal(e->answered_by, 1);
	wire_free(e);
	ROUND_TRIP(alarm_list, &alarm_list_sample, &a);
	assert_int_equal(a->n_alarms, 2);
	assert_int_equal(a->alarms[1].element_id, UINT64_MAX);
	assert_int_equal(a->next_after, UINT64_MAX);
	assert_memory_equal(a->silent, silent, sizeof(silent));
	assert_int_equal(a->answered_by, 65535);
	assert_int_equal(a->n_left_out, 9);
	wire_free(a);
}

static void requests_come_back_with_every_value(void **state)
{
	struct wire_element_request *e;
	struct wire_list_request *l;
	struct wire_watch_request *w;
	struct wire_dp_stats_request *d;
	struct wire_probe_request *p;
	const struct wire_element_request by_id = {.id = UINT64_MAX, .name = ""};

	ROUND_TRIP(element_request, &element_request_sample, &e);
	assert_int_equal(e->id, 0);
	assert_string_equal(e->name, "core-1");
	assert_true(e->is_forwarded);
	wire_free(e);
	ROUND_TRIP(element_request, &by_id, &e);
	assert_int_equal(e->id, UINT64_MAX);
	assert_string_equal(e->name, "");
	wire_free(e);
	ROUND_TRIP(list_request, &list_request_sample, &l);
	assert_true(l->is_local && l->with_cleared);
	assert_int_equal(l->after_element, UINT64_MAX);
	assert_int_equal(l->limit, UINT32_MAX);
	assert_int_equal(l->deadline_ms, UINT32_MAX);
	wire_free(l);
	ROUND_TRIP(watch_request, &watch_request_sample, &w);
	assert_true(w->is_local && w->present);
	wire_free(w);
	ROUND_TRIP(dp_stats_request, &dp_stats_request_sample, &d);
	assert_int_equal(d->server, 65535);
	assert_true(d->is_forwarded);
	wire_free(d);
	ROUND_TRIP(probe_request, &probe_request_sample, &p);
	assert_int_equal(p->server, 65535);
	wire_free(p);
}

static void dp_stats_come_back_with_every_value(void **state)
{
	struct wire_dp_stats *m;

	ROUND_TRIP(dp_stats, &dp_stats_sample, &m);
	assert_int_equal(m->server, 65535);
	assert_int_equal(m->alarms_used, 3);
	assert_int_equal(m->alarms_max, 4);
	assert_true(m->is_dp_alive && m->holds);
	assert_int_equal(m->n_starts, UINT64_MAX);
	assert_int_equal(m->n_counters, 2);
	assert_string_equal(m->counters[0].name, "frames");
	assert_string_equal(m->counters[0].help, "frames received");
	assert_string_equal(m->counters[0].group, "frame in");
	assert_int_equal(m->counters[0].value, UINT64_MAX);
	assert_int_equal(m->n_refusals, 2);
	assert_int_equal(m->n_equations, 2);
	assert_string_equal(m->equations[0].name, "steer");
	assert_int_equal(m->equations[0].in, 0);
	assert_int_equal(m->equations[0].out, UINT64_MAX);
	assert_int_equal(m->n_unknown, 2);
	assert_string_equal(m->unknown[0].address, "2001:db8::2");
	assert_int_equal(m->unknown[0].first_ns, 1);
	assert_int_equal(m->unknown[0].last_ns, UINT64_MAX);
	assert_int_equal(m->unknown[0].n_datagrams, 3);
	assert_int_equal(m->unknown[0].udp_port, 65535);
	wire_free(m);
}

static void events_and_answers_come_back_with_every_value(void **state)
{
	struct wire_alarm_event *e;
	struct wire_map_answer *m;
	struct wire_probe_answer *p;
	struct wire_alarm_event bare = {.kind = "lost", .server = 1};

	ROUND_TRIP(alarm_event, &alarm_event_sample, &e);
	assert_string_equal(e->kind, "raised");
	assert_true(e->has_alarm);
	assert_int_equal(e->alarm.count, UINT64_MAX);
	assert_int_equal(e->time_ns, 9);
	assert_int_equal(e->server, 2);
	assert_int_equal(e->number, UINT64_MAX);
	wire_free(e);
	ROUND_TRIP(alarm_event, &bare, &e);
	assert_false(e->has_alarm);
	assert_string_equal(e->alarm.text, "");
	wire_free(e);
	ROUND_TRIP(map_answer, &map_answer_sample, &m);
	assert_true(m->is_accepted);
	assert_int_equal(m->epoch, UINT64_MAX);
	assert_int_equal(m->from, 65535);
	assert_string_equal(m->why, "why not");
	wire_free(m);
	ROUND_TRIP(probe_answer, &probe_answer_sample, &p);
	assert_true(p->is_reachable);
	wire_free(p);
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
		{"map_proposal", -EBADMSG},
		{"map_answer", -EBADMSG},
		{"probe_request", -EBADMSG},
		{"probe_answer", 0},
	};

	for (size_t k = 0; k < N_KINDS; k++) {
		void *m;

		assert_string_equal(kinds[k].name, expected[k].name);
		assert_int_equal(kinds[k].unpack(NULL, 0, &m), expected[k].err);
		if (expected[k].err == 0)
			wire_free(m);
	}
}

static void the_seal_covers_everything_but_itself(void **state)
{
	struct wire_map_proposal a = map_proposal_sample, b = map_proposal_sample;
	struct wire_map_proposal *m;
	struct wire_bytes one, other, whole;

	memset(b.seal, 0xff, sizeof(b.seal));
	assert_int_equal(wire_map_proposal_sealed_part(&a, &one), 0);
	assert_int_equal(wire_map_proposal_sealed_part(&b, &other), 0);
	assert_int_equal(one.n, other.n);
	assert_memory_equal(one.bytes, other.bytes, one.n);
	wire_bytes_free(&other);

	/* The receiver makes the same bytes of what it unpacked. */
	assert_int_equal(wire_map_proposal_pack(&b, &whole), 0);
	assert_int_equal(wire_map_proposal_unpack(whole.bytes, whole.n, &m), 0);
	assert_memory_equal(m->seal, b.seal, sizeof(b.seal));
	assert_int_equal(wire_map_proposal_sealed_part(m, &other), 0);
	assert_int_equal(one.n, other.n);
	assert_memory_equal(one.bytes, other.bytes, one.n);
	wire_bytes_free(&other);
	wire_free(m);

	a.sequence--;
	assert_int_equal(wire_map_proposal_sealed_part(&a, &other), 0);
	assert_true(one.n != other.n || memcmp(one.bytes, other.bytes, one.n) != 0);
	wire_bytes_free(&other);

	/* A seal of another length is no seal: the sealed part itself is not a proposal. */
	assert_int_equal(wire_map_proposal_unpack(one.bytes, one.n, &m), -EBADMSG);
	wire_bytes_free(&one);
	wire_bytes_free(&whole);
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
	struct wire_map_answer m = {.from = 1, .why = "bad \xff\xc3 octets \xc3\xa4"}, *got;

	ROUND_TRIP(map_answer, &m, &got);
	assert_string_equal(got->why, "bad ?? octets \xc3\xa4");
	wire_free(got);

	/* Cut between two characters, never inside one. */
	memset(longest, 'x', sizeof(longest));
	memcpy(longest + WIRE_TEXT_MAX - 1, "\xc3\xa4", 3);
	m.why = longest;
	ROUND_TRIP(map_answer, &m, &got);
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
		cmocka_unit_test(every_message_packs_to_the_same_bytes_after_a_round_trip),
		cmocka_unit_test(status_comes_back_with_every_value),
		cmocka_unit_test(element_reply_comes_back_with_every_value),
		cmocka_unit_test(lists_come_back_with_every_value),
		cmocka_unit_test(requests_come_back_with_every_value),
		cmocka_unit_test(dp_stats_come_back_with_every_value),
		cmocka_unit_test(events_and_answers_come_back_with_every_value),
		cmocka_unit_test(an_empty_message_is_one_where_nothing_has_to_be_there),
		cmocka_unit_test(the_seal_covers_everything_but_itself),
		cmocka_unit_test(only_utf8_without_nul_and_of_bounded_length_is_a_text),
		cmocka_unit_test(a_text_that_is_not_utf8_is_mended_when_sent),
		cmocka_unit_test(values_out_of_range_are_refused),
		cmocka_unit_test(unknown_fields_are_left_alone),
		cmocka_unit_test(truncated_messages_are_refused_or_whole),
		cmocka_unit_test(changed_messages_are_refused_or_whole),
		cmocka_unit_test(many_empty_parts_cannot_take_memory_without_bound),
		cmocka_unit_test(a_list_near_the_longest_comes_back),
		cmocka_unit_test(what_is_too_long_is_neither_packed_nor_unpacked),
	};

	return cmocka_run_group_tests(tests, samples_complete, NULL);
}
