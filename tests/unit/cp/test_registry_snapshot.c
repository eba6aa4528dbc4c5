#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/cp/registry_fixture.h"

/* ---- A snapshot as it is on its way ---- */

static struct {
	struct wire_snapshot_chunk *chunks[4096];
	uint32_t n;
	uint64_t index, epoch;
} taken;

static void taken_free(void)
{
	for (uint32_t i = 0; i < taken.n; i++)
		wire_free(taken.chunks[i]);
	taken.n = 0;
}

static void take_snapshot(size_t chunk_bytes)
{
	struct registry_snapshot *s;
	struct wire_snapshot_chunk chunk = {.epoch = 1};

	taken_free();
	registry_settle();
	assert_int_equal(registry_snapshot_begin(&s, rf.registry, &taken.index, &taken.epoch), 0);
	while (!chunk.is_last) {
		struct wire_bytes bytes;

		assert_int_equal(registry_snapshot_next(s, chunk_bytes, &chunk.rows, &chunk.n_rows,
							&chunk.is_last),
				 0);
		assert_int_equal(wire_snapshot_chunk_pack(&chunk, &bytes), 0);
		assert_int_equal(
			wire_snapshot_chunk_unpack(bytes.bytes, bytes.n, &taken.chunks[taken.n++]),
			0);
		wire_bytes_free(&bytes);
		assert_in_range(taken.n, 1, 4095);
	}
	registry_snapshot_end(s);
}

static void begin_install(void)
{
	struct store_batch *b;

	assert_int_equal(store_batch_create(&b), 0);
	assert_int_equal(registry_install_begin(rf.registry, b), 0);
	registry_commit(b);
}

static void install_chunk(uint32_t i)
{
	struct store_batch *b;

	assert_int_equal(store_batch_create(&b), 0);
	assert_int_equal(registry_install_rows(rf.registry, taken.chunks[i]->rows,
					       taken.chunks[i]->n_rows, b),
			 0);
	registry_commit(b);
}

static int end_install(void)
{
	struct store_batch *b;
	int err;

	assert_int_equal(store_batch_create(&b), 0);
	err = registry_install_end(rf.registry, taken.index, taken.epoch, b, &rf.effects);
	if (err == 0)
		registry_commit(b);
	else
		store_batch_free(b);
	return err;
}

static void install(void)
{
	begin_install();
	for (uint32_t i = 0; i < taken.n; i++)
		install_chunk(i);
	assert_int_equal(end_install(), 0);
}

static void assert_same_dump(const struct dump *a)
{
	struct dump b = dump_state();

	assert_string_equal(a->text, b.text);
	free(b.text);
}

/* ---- Any entries ---- */

#define ENTRIES 250

static struct {
	struct wire_bytes bytes;
	uint64_t epoch;
} history[ENTRIES];

static const char *const regions[] = {"east", "north", "south", "west", "zenith"};

static const char *any_region(void)
{
	return regions[rand() % 5];
}

static void make_elements(struct wire_registry_entry *e, struct wire_element_spec *all)
{
	static const char *const events[] = {"", "elements_imported", "element_adopted",
					     "element_moved"};
	static char names[8][16];

	e->kind = WIRE_REGISTRY_ELEMENTS;
	e->event = events[rand() % 4];
	e->elements = all;
	e->n_elements = rand() % 3 == 0 ? 1 + (uint32_t)rand() % 4 : 1;
	for (uint32_t i = 0; i < e->n_elements; i++) {
		int number = rand() % 40;

		snprintf(names[i], sizeof(names[i]), "n%d", number);
		all[i] = spec(rand() % 3 == 0 ? 0 : 1 + (uint64_t)number, any_region());
		all[i].name = names[i];
		all[i].kind = rand() % 2 == 0 ? "router" : "switch";
		all[i].address[15] = (uint8_t)(rand() % 8 == 0 ? rand() : number + 1);
	}
}

/* Of the map as it is, mostly as a master would plan it. */
static void make_cells(struct wire_registry_entry *e, struct wire_cell *rows)
{
	const struct ownership_map *map = registry_map(rf.registry);

	e->kind = WIRE_REGISTRY_CELLS;
	e->cells = rows;
	for (uint32_t i = 0; i < map->n_cells; i++) {
		const struct ownership_cell *c = &map->cells[i];
		uint32_t owner = 1 + (uint32_t)rand() % 3;

		if (rand() % 2 == 0)
			continue;
		rows[e->n_cells++] = cell_row(c->name, owner, owner % 3 + 1, rf.epoch,
					      c->token.generation + (rand() % 8 != 0));
	}
}

static void make_entry(struct wire_registry_entry *e)
{
	static struct wire_element_spec elements[8];
	static struct wire_cell cells[8];
	static uint32_t servers[] = {1, 2, 3};
	static char id[16];

	*e = (struct wire_registry_entry){.server = 1 + (uint32_t)rand() % 3,
					  .was = (uint32_t)rand() % 4,
					  .is_set = rand() % 2 == 0,
					  .operator_name = rand() % 2 == 0 ? "ada" : ""};
	if (rand() % 2 == 0) {
		snprintf(id, sizeof(id), "r%d", rand() % 100);
		e->request_id = id;
	}
	switch (rand() % 8) {
	case 0:
		e->kind = WIRE_REGISTRY_EPOCH;
		rf.epoch++;
		break;
	case 1:
		e->kind = WIRE_REGISTRY_DRAIN;
		break;
	case 2:
		e->kind = WIRE_REGISTRY_PIN;
		e->cell = any_region();
		break;
	case 3:
		e->kind = WIRE_REGISTRY_SERVERS;
		e->servers = servers;
		e->n_servers = 3;
		break;
	case 4:
	case 5:
		make_cells(e, cells);
		break;
	default:
		make_elements(e, elements);
	}
}

/* Makes the history, and what comes of it: without a restart, without a snapshot. */
static struct dump make_history(unsigned int seed)
{
	uint32_t n_refused = 0;

	srand(seed);
	for (uint32_t i = 0; i < ENTRIES; i++) {
		struct wire_registry_entry e;

		make_entry(&e);
		e.time_ns = 1000 + i;
		assert_int_equal(wire_registry_entry_pack(&e, &history[i].bytes), 0);
		history[i].epoch = rf.epoch;
		registry_apply_bytes(history[i].bytes.bytes, history[i].bytes.n);
		n_refused += rf.outcome.is_refused;
	}
	assert_in_range(n_refused, ENTRIES / 20, ENTRIES * 2 / 3); /* else it tests too little */
	return dump_state();
}

static void replay(uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		rf.epoch = history[i].epoch;
		registry_apply_bytes(history[i].bytes.bytes, history[i].bytes.n);
	}
}

static void history_free(void)
{
	for (uint32_t i = 0; i < ENTRIES; i++)
		wire_bytes_free(&history[i].bytes);
	taken_free();
}

static void start_anew(void)
{
	assert_int_equal(registry_fixture_remove(NULL), 0);
	assert_int_equal(registry_fixture_make(NULL), 0);
}

static void restarts_at_any_place_change_nothing(void **state)
{
	for (unsigned int seed = 1; seed <= 12; seed++) {
		struct dump straight = make_history(seed);

		start_anew();
		for (uint32_t at = 0; at < ENTRIES;) {
			uint32_t to = at + 1 + (uint32_t)rand() % 30;

			to = to < ENTRIES ? to : ENTRIES;
			replay(at, to);
			at = to;
			registry_unload();
			if (rand() % 8 == 0) {
				store_shut();
				store_open_ok();
			}
			assert_int_equal(registry_try_load(), 0);
			assert_int_equal(registry_applied(rf.registry), at);
			assert_int_equal(rf.durable.last, at);
		}
		assert_same_dump(&straight);
		free(straight.text);
		history_free();
		start_anew();
	}
}

/* A row in each table that is in no history. */
static void make_another_past(void)
{
	import(1000, "stale");
	assert_applied(&(struct wire_registry_entry){
		.kind = WIRE_REGISTRY_DRAIN, .server = 999, .is_set = true, .request_id = "stale"});
	for (uint32_t i = 0; i < ENTRIES; i++)
		assert_applied(
			&(struct wire_registry_entry){.kind = WIRE_REGISTRY_EPOCH, .server = 1});
}

static void a_snapshot_at_any_place_is_as_good_as_the_entries(void **state)
{
	for (unsigned int seed = 1; seed <= 12; seed++) {
		struct dump straight = make_history(seed), there;
		uint32_t at = 1 + (uint32_t)rand() % (ENTRIES - 1), dirty = (uint32_t)rand() % at;

		start_anew();
		replay(0, at);
		there = dump_state();
		take_snapshot(1 + (size_t)rand() % 4000);
		assert_int_equal(taken.index, at);
		assert_int_equal(taken.epoch, history[at - 1].epoch);
		start_anew();
		/* Onto an older state, or onto another one altogether. */
		if (seed % 2 == 0)
			replay(0, dirty);
		else
			make_another_past();
		install();
		assert_same_dump(&there);
		registry_reload();
		assert_same_dump(&there);
		assert_int_equal(rf.durable.base, at);
		assert_int_equal(rf.durable.base_epoch, taken.epoch);
		assert_int_equal(rf.durable.n_runs, 0);
		replay(at, ENTRIES);
		assert_same_dump(&straight);
		free(there.text);
		free(straight.text);
		history_free();
		start_anew();
	}
}

/* ---- Installing ---- */

static void make_small_state(void)
{
	import(1, "a");
	import(2, "a");
	import(3, "b");
	assert_applied(&(struct wire_registry_entry){
		.kind = WIRE_REGISTRY_DRAIN, .server = 2, .is_set = true, .request_id = "r-1"});
	assert_applied(&(struct wire_registry_entry){.kind = WIRE_REGISTRY_EPOCH, .server = 1});
}

static void an_installed_snapshot_tells_what_changed(void **state)
{
	struct wire_element_spec moved = spec(2, "b"), readdressed = spec(3, "b");
	uint64_t newest;

	make_small_state();
	take_snapshot(1000);
	newest = registry_applied(rf.registry) << REGISTRY_EVENT_SHIFT;
	start_anew();
	import(4, "c");
	readdressed.address[15] = 200;
	assert_applied(&(struct wire_registry_entry){
		.kind = WIRE_REGISTRY_ELEMENTS,
		.elements = (struct wire_element_spec[]){spec(1, "a"), moved, readdressed},
		.n_elements = 3});
	install();
	assert_int_equal(rf.effects.n_changes, 3);
	assert_true(rf.effects.changes[0].id == 2 && rf.effects.changes[0].has_moved);
	assert_true(rf.effects.changes[1].id == 3 && rf.effects.changes[1].has_new_address);
	assert_true(rf.effects.changes[2].id == 4 && rf.effects.changes[2].is_removed);
	assert_true(rf.effects.is_map_changed && rf.effects.is_drain_changed &&
		    rf.effects.is_inventory_changed);
	/* Entries 1 and 2 were known here, if others. */
	assert_int_equal(rf.effects.n_events, 3);
	assert_int_equal(rf.effects.events[2].number, newest);
	assert_string_equal(rf.effects.events[2].kind, "master");
	assert_null(inventory_find_id(rf.inventory, 4));
	assert_int_equal(registry_applied(rf.registry), 5);
	install();
	assert_int_equal(rf.effects.n_changes + rf.effects.n_events, 0);
	assert_false(rf.effects.is_map_changed || rf.effects.is_drain_changed);
}

static void what_was_known_stays_in_memory_until_the_snapshot_is_whole(void **state)
{
	make_small_state();
	take_snapshot(100);
	start_anew();
	import(9, "z");
	begin_install();
	for (uint32_t i = 0; i < taken.n; i++) {
		install_chunk(i);
		assert_non_null(inventory_find_id(rf.inventory, 9));
		assert_null(inventory_find_id(rf.inventory, 1));
	}
	assert_int_equal(end_install(), 0);
	assert_null(inventory_find_id(rf.inventory, 9));
	assert_non_null(inventory_find_id(rf.inventory, 1));
}

static void a_restart_in_an_installation_leaves_an_empty_registry_that_is_rebuilding(void **state)
{
	struct registry_snapshot *s;
	uint64_t index, epoch;

	make_small_state();
	take_snapshot(60);
	assert_in_range(taken.n, 3, 4096);
	begin_install();
	install_chunk(0);
	install_chunk(1);
	registry_reload();
	assert_true(rf.durable.is_rebuilding);
	assert_int_equal(rf.durable.last, 0);
	assert_int_equal(rf.durable.base, 0);
	assert_true(registry_is_empty(rf.registry));
	assert_int_equal(inventory_count(rf.inventory), 0);
	assert_int_equal(registry_snapshot_begin(&s, rf.registry, &index, &epoch), -EAGAIN);
	install();
	registry_reload();
	assert_false(rf.durable.is_rebuilding);
	assert_int_equal(inventory_count(rf.inventory), 3);
}

static void rows_that_do_not_belong_are_refused_and_end_the_installation(void **state)
{
	static const struct wire_snapshot_row bad[] = {
		{REGISTRY_TABLE_SMALL, {(const uint8_t *)"vote", 4}, {(const uint8_t *)"x", 1}},
		{REGISTRY_TABLE_LOG, {(const uint8_t *)"12345678", 8}, {(const uint8_t *)"x", 1}},
		{REGISTRY_TABLES, {(const uint8_t *)"k", 1}, {(const uint8_t *)"x", 1}},
		{REGISTRY_TABLE_ELEMENTS, {(const uint8_t *)"k", 1}, {(const uint8_t *)"x", 1}},
		{REGISTRY_TABLE_CELLS, {NULL, 0}, {(const uint8_t *)"x", 1}},
		{REGISTRY_TABLE_SERVERS, {(const uint8_t *)"\0\0", 2}, {(const uint8_t *)"\1", 1}},
		{REGISTRY_TABLE_TRAIL, {(const uint8_t *)"12345678", 8}, {NULL, 0}},
		{REGISTRY_TABLE_REQUESTS, {(const uint8_t *)"id", 2}, {(const uint8_t *)"", 0}},
	};
	struct store_batch *b;

	make_small_state();
	take_snapshot(1000);
	for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		begin_install();
		install_chunk(0);
		assert_int_equal(store_batch_create(&b), 0);
		assert_int_equal(registry_install_rows(rf.registry, &bad[i], 1, b), -EBADMSG);
		assert_int_equal(registry_install_rows(rf.registry, NULL, 0, b), -EBADMSG);
		store_batch_free(b);
		assert_int_equal(end_install(), -EBADMSG);
	}
	/* The same ones twice. */
	begin_install();
	install_chunk(0);
	assert_int_equal(store_batch_create(&b), 0);
	assert_int_equal(registry_install_rows(rf.registry, taken.chunks[0]->rows,
					       taken.chunks[0]->n_rows, b),
			 -EBADMSG);
	store_batch_free(b);
	install();
	assert_int_equal(inventory_count(rf.inventory), 3);
}

static void a_snapshot_without_one_of_its_cells_is_refused_at_its_end(void **state)
{
	make_small_state();
	take_snapshot(1);
	begin_install();
	for (uint32_t i = 0; i < taken.n; i++)
		if (taken.chunks[i]->n_rows == 0 ||
		    taken.chunks[i]->rows[0].table != REGISTRY_TABLE_CELLS)
			install_chunk(i);
	assert_int_equal(end_install(), -EBADMSG);
	assert_int_equal(inventory_count(rf.inventory), 3); /* as it was */
}

static void a_snapshot_is_of_one_moment_while_entries_go_on(void **state)
{
	struct registry_snapshot *s;
	struct wire_snapshot_row *rows;
	uint32_t n_rows, n = 0;
	uint64_t index, epoch;
	bool is_last = false;

	assert_int_equal(registry_snapshot_begin(&s, rf.registry, &index, &epoch), STORE_NOT_FOUND);
	make_small_state();
	registry_settle();
	assert_int_equal(registry_snapshot_begin(&s, rf.registry, &index, &epoch), 0);
	assert_int_equal(index, 5);
	for (uint64_t id = 10; !is_last; id++) {
		import(id, "late");
		registry_settle();
		assert_int_equal(registry_snapshot_next(s, 1, &rows, &n_rows, &is_last), 0);
		for (uint32_t i = 0; i < n_rows; i++)
			n += rows[i].table == REGISTRY_TABLE_ELEMENTS;
	}
	registry_snapshot_end(s);
	assert_int_equal(n, 3);
}

static int tear_down(void **state)
{
	history_free();
	return registry_fixture_remove(state);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, registry_fixture_make, tear_down)
	const struct CMUnitTest tests[] = {
		T(restarts_at_any_place_change_nothing),
		T(a_snapshot_at_any_place_is_as_good_as_the_entries),
		T(an_installed_snapshot_tells_what_changed),
		T(what_was_known_stays_in_memory_until_the_snapshot_is_whole),
		T(a_restart_in_an_installation_leaves_an_empty_registry_that_is_rebuilding),
		T(rows_that_do_not_belong_are_refused_and_end_the_installation),
		T(a_snapshot_without_one_of_its_cells_is_refused_at_its_end),
		T(a_snapshot_is_of_one_moment_while_entries_go_on),
	};
#undef T
	return cmocka_run_group_tests_name("registry_snapshot", tests, NULL, NULL);
}
