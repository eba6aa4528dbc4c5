#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/cp/registry_fixture.h"

static struct wire_registry_entry elements_entry(struct wire_element_spec *all, uint32_t n)
{
	return (struct wire_registry_entry){
		.kind = WIRE_REGISTRY_ELEMENTS, .elements = all, .n_elements = n};
}

static struct wire_registry_entry cells_entry(struct wire_cell *all, uint32_t n)
{
	return (struct wire_registry_entry){
		.kind = WIRE_REGISTRY_CELLS, .cells = all, .n_cells = n};
}

/* Three cells, owned by 1, 2, 3 with the next one as standby, under tokens (1, 1). */
static int make_three_cells(void **state)
{
	struct wire_cell rows[] = {cell_row("a", 1, 2, 1, 1), cell_row("b", 2, 3, 1, 1),
				   cell_row("c", 3, 1, 1, 1)};
	struct wire_registry_entry e = cells_entry(rows, 3);

	if (registry_fixture_make(state) != 0)
		return -1;
	import(1, "a");
	import(2, "b");
	import(3, "c");
	assert_applied(&e);
	return 0;
}

static void assert_event(uint32_t i, const char *kind, const char *cell, uint32_t server,
			 uint32_t was)
{
	const struct wire_event *e = &rf.effects.events[i];

	assert_in_range(i, 0, rf.effects.n_events - 1);
	assert_string_equal(e->kind, kind);
	assert_string_equal(e->cell, cell);
	assert_int_equal(e->server, server);
	assert_int_equal(e->was, was);
	assert_int_equal(e->origin, 0);
	assert_int_equal(e->number, rf.outcome.index << REGISTRY_EVENT_SHIFT | i);
	assert_int_equal(e->epoch, rf.epoch);
}

/* ---- Elements ---- */

static void an_empty_store_is_an_empty_registry(void **state)
{
	assert_true(registry_is_empty(rf.registry));
	assert_int_equal(registry_applied(rf.registry), 0);
	assert_int_equal(registry_map(rf.registry)->n_cells, 0);
	assert_int_equal(rf.durable.base, 0);
	assert_int_equal(rf.durable.last, 0);
	assert_false(rf.durable.is_rebuilding);
}

static void imported_elements_are_found_and_make_cells_with_weights(void **state)
{
	struct wire_element_spec all[] = {spec(7, "north"), spec(5, "south"), spec(6, "north")};
	struct wire_registry_entry e = elements_entry(all, 3);

	assert_applied(&e);
	assert_int_equal(rf.outcome.n_added, 3);
	assert_int_equal(rf.effects.n_changes, 3);
	assert_true(rf.effects.changes[0].is_new && rf.effects.changes[0].id == 7);
	assert_true(rf.effects.is_map_changed && rf.effects.is_inventory_changed);
	assert_string_equal(inventory_find_name(rf.inventory, "e5")->region, "south");
	assert_int_equal(registry_map(rf.registry)->n_cells, 2);
	assert_int_equal(map_cell("north")->weight, 2);
	assert_int_equal(map_cell("south")->weight, 1);
	assert_int_equal(map_cell("north")->owner, 0);
	assert_int_equal(rf.effects.n_events, 1);
	assert_event(0, "elements_imported", "", 0, 0);
	assert_string_equal(rf.effects.events[0].text, "3 added, 0 changed, 0 the same");
	assert_false(registry_is_empty(rf.registry));
}

static void what_is_imported_again_is_the_same_and_no_event(void **state)
{
	struct wire_element_spec all[] = {spec(1, "north"), spec(2, "north")};
	struct wire_registry_entry e = elements_entry(all, 2);

	assert_applied(&e);
	assert_applied(&e);
	assert_int_equal(rf.outcome.n_same, 2);
	assert_int_equal(rf.outcome.n_added + rf.outcome.n_changed, 0);
	assert_int_equal(rf.effects.n_events + rf.effects.n_changes, 0);
	assert_false(rf.effects.is_map_changed || rf.effects.is_inventory_changed);
	all[1].kind = "switch";
	assert_applied(&e);
	assert_int_equal(rf.outcome.n_same, 1);
	assert_int_equal(rf.outcome.n_changed, 1);
	assert_true(rf.effects.is_inventory_changed && !rf.effects.is_map_changed);
	assert_string_equal(inventory_find_id(rf.inventory, 2)->kind, "switch");
}

static void an_element_without_an_id_gets_the_next_one(void **state)
{
	struct wire_element_spec all[] = {spec(0, "a"), spec(40, "a"), spec(0, "a")};
	struct wire_registry_entry e = elements_entry(all, 3);

	all[2].name = "third";
	all[2].address[15] = 99;
	all[0].address[15] = 98;
	import(12, "a");
	assert_applied(&e);
	assert_int_equal(rf.outcome.element_id, 13);
	assert_int_equal(inventory_find_name(rf.inventory, "e0")->id, 13);
	assert_int_equal(inventory_find_name(rf.inventory, "third")->id, 41);
}

static void where_there_is_no_higher_id_an_element_without_one_is_refused(void **state)
{
	struct wire_element_spec all[] = {spec(UINT64_MAX, "a"), spec(0, "a")};
	struct wire_registry_entry e = elements_entry(all, 2);

	all[1].address[15] = 98;
	assert_refused(&e, "no higher id for element e0");
	assert_int_equal(inventory_count(rf.inventory), 0);
}

static void assert_element_refused(struct wire_element_spec bad, const char *why)
{
	struct wire_element_spec all[] = {spec(100, "new"), bad};
	struct wire_registry_entry e = elements_entry(all, 2);

	assert_refused(&e, why);
	assert_null(inventory_find_id(rf.inventory, 100));
	assert_null(map_cell("new"));
}

static void one_wrong_element_refuses_the_whole_entry_by_name(void **state)
{
	static const char long_name[] =
		"a-name-that-is-one-octet-longer-than-the-sixty-three-which-fit-in";
	struct wire_element_spec bad;

	import(1, "a");
	bad = spec(2, "a");
	bad.name = "e1";
	assert_element_refused(bad, "the name of element 2 e1 is that of element 1");
	bad = spec(1, "a");
	bad.name = "other";
	bad.id = 2;
	assert_element_refused(bad,
			       "the address of element other, 10.0.0.1, is that of element e1");
	bad = spec(100, "a");
	assert_element_refused(bad, "elements 100 e100 and 100 e100 have one id");
	bad.id = 101;
	assert_element_refused(bad, "have one name");
	bad.name = "e101";
	assert_element_refused(bad, "have one address");
	bad = spec(2, "");
	assert_element_refused(bad, "no region");
	bad = spec(2, "a-region-of-forty-octets-is-one-too-many");
	assert_element_refused(bad, "no region");
	bad = spec(2, "a");
	bad.name = long_name;
	assert_element_refused(bad, "no name");
	bad = spec(2, "a");
	bad.kind = "";
	assert_element_refused(bad, "no kind");
	bad = spec(2, "a");
	bad.address[12] = 224;
	assert_element_refused(bad, "no address of one host");
}

static void too_many_elements_or_none_are_refused(void **state)
{
	struct wire_element_spec *all = calloc(REGISTRY_ELEMENTS_MAX + 1, sizeof(*all));
	struct wire_registry_entry e = elements_entry(all, REGISTRY_ELEMENTS_MAX + 1);

	for (uint32_t i = 0; i <= REGISTRY_ELEMENTS_MAX; i++)
		all[i] = spec(i + 1, "a");
	assert_refused(&e, "2001 elements in one entry");
	e = elements_entry(all, 0);
	assert_refused(&e, "0 elements in one entry");
	free(all);
}

static void adopted_element_gets_an_id_and_an_event(void **state)
{
	struct wire_element_spec s = spec(0, "a");
	struct wire_registry_entry e = elements_entry(&s, 1);

	s.address[15] = 77;
	e.event = "element_adopted";
	import(4, "b");
	assert_applied(&e);
	assert_int_equal(rf.outcome.n_added, 1);
	assert_int_equal(rf.outcome.element_id, 5);
	assert_event(0, "element_adopted", "a", 0, 0);
	assert_string_equal(rf.effects.events[0].text, "e0");
	s = spec(4, "a");
	s.name = "thief";
	assert_refused(&e, "the id of element thief, 4, is that of element e4");
}

static void moved_element_changes_its_region_alone(void **state)
{
	struct wire_element_spec s = {.name = "e4", .kind = "", .region = "b"};
	struct wire_registry_entry e = elements_entry(&s, 1);

	import(3, "a");
	import(4, "a");
	e.event = "element_moved";
	assert_applied(&e);
	assert_int_equal(rf.outcome.n_changed, 1);
	assert_int_equal(rf.outcome.element_id, 4);
	assert_true(rf.effects.changes[0].has_moved && !rf.effects.changes[0].is_new);
	assert_event(0, "element_moved", "b", 0, 0);
	assert_string_equal(rf.effects.events[0].text, "e4 from a");
	assert_string_equal(inventory_find_name(rf.inventory, "e4")->region, "b");
	assert_string_equal(inventory_find_name(rf.inventory, "e4")->kind, "router");
	assert_int_equal(map_cell("a")->weight, 1);
	assert_int_equal(map_cell("b")->weight, 1);
	assert_applied(&e);
	assert_int_equal(rf.outcome.n_same, 1);
	s.name = "nobody";
	assert_refused(&e, "there is no element 0 nobody");
}

static void a_cell_that_lost_its_elements_comes_back_with_its_token_and_no_owner(void **state)
{
	struct wire_element_spec s = spec(1, "b");
	struct wire_registry_entry move = elements_entry(&s, 1);
	struct wire_cell row = cell_row("a", 1, 2, 1, 2);
	struct wire_registry_entry cells = cells_entry(&row, 1);

	move.event = "element_moved";
	assert_applied(&move);
	assert_true(rf.effects.is_map_changed);
	assert_null(map_cell("a"));
	assert_refused(&cells, "there is no cell a");
	registry_reload();
	s.region = "a";
	assert_applied(&move);
	assert_int_equal(map_cell("a")->owner, 0);
	assert_int_equal(map_cell("a")->standby, 0);
	assert_int_equal(map_cell("a")->token.generation, 1);
	assert_int_equal(map_cell("a")->weight, 1);
	assert_applied(&cells);
}

/* ---- Cells ---- */

static void rows_of_cells_are_replaced_and_moves_are_told(void **state)
{
	struct wire_cell rows[] = {cell_row("c", 1, 3, 2, 2), cell_row("a", 1, 3, 1, 1),
				   cell_row("b", 2, 3, 1, 1)};
	struct wire_registry_entry e = cells_entry(rows, 3);

	rf.epoch = 2;
	assert_applied(&e);
	assert_int_equal(rf.outcome.n_changed, 2);
	assert_int_equal(rf.outcome.n_same, 1);
	assert_int_equal(rf.effects.n_events, 2);
	assert_event(0, "cell_moved", "c", 1, 3);
	assert_int_equal(rf.effects.events[0].token.generation, 2);
	assert_event(1, "standby_changed", "a", 3, 2);
	assert_int_equal(map_cell("c")->owner, 1);
	assert_int_equal(map_cell("c")->token.epoch, 2);
	assert_int_equal(map_cell("a")->standby, 3);
	assert_int_equal(registry_map(rf.registry)->epoch, 2);
	assert_int_equal(registry_map(rf.registry)->version, rf.outcome.index);
}

static void assert_row_refused(struct wire_cell bad, const char *why)
{
	struct wire_cell rows[] = {cell_row("a", 3, 2, 1, 2), bad};
	struct wire_registry_entry e = cells_entry(rows, 2);

	assert_refused(&e, why);
	assert_int_equal(map_cell("a")->owner, 1);
}

static void a_row_that_must_not_be_refuses_the_whole_entry(void **state)
{
	assert_row_refused(cell_row("b", 2, 3, 1, 0), "the token of cell b is lower");
	assert_row_refused(cell_row("b", 2, 3, 0, 9), "the token of cell b is lower");
	assert_row_refused(cell_row("b", 1, 3, 1, 1), "another owner under the same token");
	assert_row_refused(cell_row("b", 1, 3, 2, 1), "of a later epoch");
	assert_row_refused(cell_row("b", 3, 3, 1, 2), "stand by for itself");
	assert_row_refused(cell_row("d", 1, 2, 1, 1), "there is no cell d");
	assert_row_refused(cell_row("a", 3, 2, 1, 2), "cell a is there twice");
	assert_refused(&(struct wire_registry_entry){.kind = WIRE_REGISTRY_CELLS},
		       "0 cells in one entry");
	/* None of that left a mark. */
	rf.epoch = 2;
	assert_applied(&(struct wire_registry_entry){
		.kind = WIRE_REGISTRY_CELLS,
		.cells = (struct wire_cell[]){cell_row("a", 3, 2, 2, 2), cell_row("b", 2, 1, 1, 1)},
		.n_cells = 2});
}

static void the_map_has_the_position_of_the_entry_that_changed_it(void **state)
{
	uint64_t version = registry_map(rf.registry)->version;

	assert_int_equal(version, registry_applied(rf.registry));
	rf.epoch = 4;
	assert_applied(
		&(struct wire_registry_entry){.kind = WIRE_REGISTRY_EPOCH, .server = 2, .was = 1});
	assert_int_equal(registry_map(rf.registry)->version, version);
	assert_int_equal(registry_map(rf.registry)->epoch, 1);
	import(9, "a");
	registry_reload();
	assert_int_equal(registry_map(rf.registry)->version, version + 2);
	assert_int_equal(registry_map(rf.registry)->epoch, 4);
}

/* ---- Pins, drains, servers ---- */

static void a_cell_is_pinned_by_its_name_or_by_an_elements(void **state)
{
	struct wire_registry_entry e = {.kind = WIRE_REGISTRY_PIN, .cell = "b", .server = 3};

	assert_applied(&e);
	assert_true(rf.effects.is_map_changed);
	assert_int_equal(map_cell("b")->pin, 3);
	assert_int_equal(map_cell("b")->owner, 2); /* moving it is the master's matter */
	assert_event(0, "cell_pinned", "b", 3, 0);
	e = (struct wire_registry_entry){.kind = WIRE_REGISTRY_PIN, .element = "e2", .server = 1};
	assert_applied(&e);
	assert_int_equal(map_cell("b")->pin, 1);
	assert_event(0, "cell_pinned", "b", 1, 3);
	assert_string_equal(rf.effects.events[0].text, "e2");
	assert_applied(&e);
	assert_int_equal(rf.outcome.n_same, 1);
	assert_int_equal(rf.effects.n_events, 0);
	registry_reload();
	assert_int_equal(map_cell("b")->pin, 1);
	e.server = 0;
	assert_applied(&e);
	assert_int_equal(map_cell("b")->pin, 0);
	e.element = "nobody";
	assert_refused(&e, "there is no element nobody");
	e = (struct wire_registry_entry){.kind = WIRE_REGISTRY_PIN, .cell = "d", .server = 3};
	assert_refused(&e, "there is no cell d");
}

static void a_new_plan_leaves_pins_alone(void **state)
{
	struct wire_cell row = cell_row("b", 3, 2, 1, 2);
	struct wire_registry_entry e = cells_entry(&row, 1);

	assert_applied(
		&(struct wire_registry_entry){.kind = WIRE_REGISTRY_PIN, .cell = "b", .server = 3});
	assert_applied(&e);
	assert_int_equal(map_cell("b")->pin, 3);
}

static void a_server_is_drained_until_it_is_no_longer(void **state)
{
	struct wire_registry_entry e = {
		.kind = WIRE_REGISTRY_DRAIN, .server = 65535, .is_set = true};

	assert_applied(&e);
	assert_true(rf.effects.is_drain_changed && registry_is_drained(rf.registry, 65535));
	assert_false(registry_is_drained(rf.registry, 65534));
	assert_event(0, "server_drained", "", 65535, 0);
	assert_applied(&e);
	assert_int_equal(rf.outcome.n_same, 1);
	assert_int_equal(rf.effects.n_events, 0);
	assert_false(rf.effects.is_drain_changed);
	registry_reload();
	assert_true(registry_is_drained(rf.registry, 65535));
	e.is_set = false;
	assert_applied(&e);
	assert_event(0, "server_undrained", "", 65535, 0);
	registry_reload();
	assert_false(registry_is_drained(rf.registry, 65535));
	e.server = 0;
	assert_refused(&e, "no server");
}

static void masters_failures_and_returns_are_events(void **state)
{
	uint32_t servers[OWNERSHIP_SERVERS_MAX + 1] = {2, 3, 0};
	struct wire_registry_entry e = {
		.kind = WIRE_REGISTRY_SERVERS, .servers = servers, .n_servers = 2, .is_set = true};

	assert_applied(
		&(struct wire_registry_entry){.kind = WIRE_REGISTRY_EPOCH, .server = 2, .was = 1});
	assert_event(0, "master", "", 2, 1);
	assert_applied(&e);
	assert_event(0, "server_failed", "", 2, 0);
	assert_event(1, "server_failed", "", 3, 0);
	e.is_set = false;
	assert_applied(&e);
	assert_event(1, "server_back", "", 3, 0);
	e.n_servers = 3;
	assert_refused(&e, "server 0 is none");
	e.n_servers = OWNERSHIP_SERVERS_MAX + 1;
	assert_refused(&e, "65 servers in one entry");
	assert_refused(&(struct wire_registry_entry){.kind = WIRE_REGISTRY_EPOCH}, "no server");
}

/* ---- Anything ---- */

static void octets_that_are_no_entry_are_refused(void **state)
{
	uint8_t *bytes = calloc(1, REGISTRY_ENTRY_MAX);

	srand(5);
	for (int i = 0; i < 2000; i++) {
		size_t n = (size_t)rand() % 40;

		for (size_t k = 0; k < n; k++)
			bytes[k] = (uint8_t)rand();
		registry_apply_bytes(bytes, n);
		assert_int_equal(rf.effects.n_changes, 0);
	}
	memset(bytes, 0, REGISTRY_ENTRY_MAX);
	registry_apply_bytes(bytes, REGISTRY_ENTRY_MAX);
	assert_true(rf.outcome.is_refused);
	assert_string_equal(rf.outcome.why, "an entry that cannot be read");
	assert_true(registry_is_empty(rf.registry));
	free(bytes);
}

/* They are small on the way and large in memory. */
static void an_entry_of_nothing_but_empty_parts_is_refused(void **state)
{
	static const uint8_t tags[] = {0x42, 0x4a, 0x60}; /* cells, elements, servers */
	uint8_t *bytes = calloc(1, REGISTRY_ENTRY_MAX);

	for (uint32_t t = 0; t < sizeof(tags); t++) {
		memcpy(bytes, (const uint8_t[]){0x08, WIRE_REGISTRY_CELLS + t}, 2);
		for (uint32_t i = 2; i < REGISTRY_ENTRY_MAX; i += 2)
			bytes[i] = tags[t];
		registry_apply_bytes(bytes, REGISTRY_ENTRY_MAX);
		assert_true(rf.outcome.is_refused);
	}
	free(bytes);
}

int main(void)
{
#define T(test)                                                                                    \
	cmocka_unit_test_setup_teardown(test, registry_fixture_make, registry_fixture_remove)
#define T3(test) cmocka_unit_test_setup_teardown(test, make_three_cells, registry_fixture_remove)
	const struct CMUnitTest tests[] = {
		T(an_empty_store_is_an_empty_registry),
		T(imported_elements_are_found_and_make_cells_with_weights),
		T(what_is_imported_again_is_the_same_and_no_event),
		T(an_element_without_an_id_gets_the_next_one),
		T(where_there_is_no_higher_id_an_element_without_one_is_refused),
		T(one_wrong_element_refuses_the_whole_entry_by_name),
		T(too_many_elements_or_none_are_refused),
		T(adopted_element_gets_an_id_and_an_event),
		T(moved_element_changes_its_region_alone),
		T3(a_cell_that_lost_its_elements_comes_back_with_its_token_and_no_owner),
		T3(rows_of_cells_are_replaced_and_moves_are_told),
		T3(a_row_that_must_not_be_refuses_the_whole_entry),
		T3(the_map_has_the_position_of_the_entry_that_changed_it),
		T3(a_cell_is_pinned_by_its_name_or_by_an_elements),
		T3(a_new_plan_leaves_pins_alone),
		T(a_server_is_drained_until_it_is_no_longer),
		T(masters_failures_and_returns_are_events),
		T(octets_that_are_no_entry_are_refused),
		T(an_entry_of_nothing_but_empty_parts_is_refused),
	};
#undef T
#undef T3
	return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
