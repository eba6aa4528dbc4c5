#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/cp/registry_fixture.h"

/* ---- Requests ---- */

static void a_request_is_done_once_and_its_outcome_told_again(void **state)
{
	struct wire_element_spec s = spec(0, "a");
	struct wire_registry_entry e = {
		.kind = WIRE_REGISTRY_ELEMENTS, .elements = &s, .n_elements = 1};
	struct registry_outcome first, found;
	struct dump before, after;

	e.event = "element_adopted";
	e.request_id = "r-1";
	assert_false(registry_request(rf.registry, "r-1", &found));
	assert_applied(&e);
	first = rf.outcome;
	assert_false(first.is_repeat);
	s = spec(50, "b"); /* another one under the same id */
	for (int i = 0; i < 2; i++) {
		registry_apply_entry(&e);
		assert_true(rf.outcome.is_repeat && !rf.outcome.is_refused);
		assert_int_equal(rf.outcome.index, first.index);
		assert_int_equal(rf.outcome.element_id, first.element_id);
		assert_int_equal(rf.outcome.n_added, 1);
		assert_int_equal(rf.effects.n_events + rf.effects.n_changes, 0);
		assert_null(inventory_find_id(rf.inventory, 50));
		registry_reload();
	}
	assert_true(registry_request(rf.registry, "r-1", &found));
	assert_true(found.is_repeat);
	assert_int_equal(found.index, first.index);
	before = dump_state();
	registry_reload();
	after = dump_state();
	assert_string_equal(before.text, after.text);
	free(before.text);
	free(after.text);
}

static void a_refused_request_stays_refused(void **state)
{
	struct wire_registry_entry e = {
		.kind = WIRE_REGISTRY_PIN, .cell = "later", .server = 1, .request_id = "r-2"};

	assert_refused(&e, "there is no cell later");
	import(8, "later");
	registry_reload();
	registry_apply_entry(&e);
	assert_true(rf.outcome.is_refused && rf.outcome.is_repeat);
	assert_string_equal(rf.outcome.why, "there is no cell later");
	assert_int_equal(map_cell("later")->pin, 0);
}

static void only_the_newest_requests_are_kept(void **state)
{
	struct wire_registry_entry e = {.kind = WIRE_REGISTRY_DRAIN, .server = 1};
	struct registry_outcome found;
	char id[32];

	for (int i = 0; i < REGISTRY_REQUESTS_MAX + 3; i++) {
		snprintf(id, sizeof(id), "r-%d", i);
		e.request_id = id;
		assert_applied(&e);
		if (i == REGISTRY_REQUESTS_MAX / 2)
			registry_reload();
	}
	for (int reloads = 0; reloads < 2; reloads++) {
		assert_false(registry_request(rf.registry, "r-2", &found));
		assert_true(registry_request(rf.registry, "r-3", &found));
		assert_int_equal(found.index, 4);
		registry_reload();
	}
}

/* ---- The trail ---- */

static void events_say_who_asked_and_when(void **state)
{
	struct wire_registry_entry e = {.kind = WIRE_REGISTRY_DRAIN,
					.server = 1,
					.is_set = true,
					.operator_name = "ada",
					.request_id = "r-3",
					.time_ns = 1234567};
	const struct wire_event *event;

	assert_applied(&e);
	event = &rf.effects.events[0];
	assert_string_equal(event->operator_name, "ada");
	assert_string_equal(event->request_id, "r-3");
	assert_int_equal(event->time_ns, 1234567);
	e.operator_name = "an operator whose name is a good deal longer than sixty-four octets";
	e.request_id = "r-4";
	assert_refused(&e, "operator's name is longer");
}

struct seen {
	uint64_t numbers[8];
	uint32_t n, stop_at;
};

static bool note_event(void *user, const struct wire_event *e)
{
	struct seen *s = user;

	s->numbers[s->n++ % 8] = e->number;
	return s->n != s->stop_at;
}

static void the_trail_is_read_in_both_directions_and_between_numbers(void **state)
{
	struct seen s = {0};

	for (uint32_t i = 1; i <= 5; i++)
		assert_applied(
			&(struct wire_registry_entry){.kind = WIRE_REGISTRY_EPOCH, .server = i});
	registry_trail(rf.registry, 1 << REGISTRY_EVENT_SHIFT, 4 << REGISTRY_EVENT_SHIFT, false,
		       note_event, &s);
	assert_int_equal(s.n, 3);
	assert_int_equal(s.numbers[0], 2 << REGISTRY_EVENT_SHIFT);
	assert_int_equal(s.numbers[2], 4 << REGISTRY_EVENT_SHIFT);
	s = (struct seen){.stop_at = 2};
	registry_trail(rf.registry, 0, UINT64_MAX, true, note_event, &s);
	assert_int_equal(s.n, 2);
	assert_int_equal(s.numbers[1], 4 << REGISTRY_EVENT_SHIFT);
	s = (struct seen){0};
	registry_trail(rf.registry, 5 << REGISTRY_EVENT_SHIFT, UINT64_MAX, false, note_event, &s);
	assert_int_equal(s.n, 0);
}

static bool count_event(void *user, const struct wire_event *e)
{
	++*(uint32_t *)user;
	return true;
}

static void only_the_newest_events_are_kept(void **state)
{
	uint32_t servers[OWNERSHIP_SERVERS_MAX], n = 0;
	struct wire_registry_entry e = {.kind = WIRE_REGISTRY_SERVERS,
					.servers = servers,
					.n_servers = OWNERSHIP_SERVERS_MAX};
	struct dump before, after;
	struct seen s = {.stop_at = 1};

	for (uint32_t i = 0; i < OWNERSHIP_SERVERS_MAX; i++)
		servers[i] = i + 1;
	for (uint32_t i = 0; i < REGISTRY_TRAIL_MAX / OWNERSHIP_SERVERS_MAX + 1; i++)
		assert_applied(&e);
	registry_trail(rf.registry, 0, UINT64_MAX, false, count_event, &n);
	assert_int_equal(n, REGISTRY_TRAIL_MAX);
	registry_trail(rf.registry, 0, UINT64_MAX, false, note_event, &s);
	assert_int_equal(s.numbers[0], 1 << REGISTRY_EVENT_SHIFT |
					       (157 * OWNERSHIP_SERVERS_MAX - REGISTRY_TRAIL_MAX));
	before = dump_state();
	registry_reload();
	after = dump_state();
	assert_string_equal(before.text, after.text);
	free(before.text);
	free(after.text);
}

int main(void)
{
#define T(test)                                                                                    \
	cmocka_unit_test_setup_teardown(test, registry_fixture_make, registry_fixture_remove)
	const struct CMUnitTest tests[] = {
		T(a_request_is_done_once_and_its_outcome_told_again),
		T(a_refused_request_stays_refused),
		T(only_the_newest_requests_are_kept),
		T(events_say_who_asked_and_when),
		T(the_trail_is_read_in_both_directions_and_between_numbers),
		T(only_the_newest_events_are_kept),
	};
#undef T
	return cmocka_run_group_tests_name("registry_trail", tests, NULL, NULL);
}
