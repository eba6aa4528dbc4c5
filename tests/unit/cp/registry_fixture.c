#include "tests/unit/cp/registry_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct registry_fixture rf;

int registry_fixture_make(void **state)
{
	int err = store_fixture_make(state);

	memset(&rf, 0, sizeof(rf));
	rf.epoch = 1;
	fx.cfg.n_tables = REGISTRY_TABLES;
	fx.cfg.version = REGISTRY_VERSION;
	if (err == 0)
		err = store_try_open();
	if (err == 0)
		err = inventory_create(&rf.inventory);
	return err == 0 ? registry_try_load() : err;
}

void registry_unload(void)
{
	registry_settle();
	registry_destroy(rf.registry);
	rf.registry = NULL;
	inventory_clear(rf.inventory);
}

int registry_fixture_remove(void **state)
{
	registry_unload();
	inventory_destroy(rf.inventory);
	return store_fixture_remove(state);
}

int registry_try_load(void)
{
	return registry_load(&rf.registry, fx.store, rf.inventory, &rf.durable, rf.why,
			     sizeof(rf.why));
}

void registry_reload(void)
{
	int err;

	registry_unload();
	err = registry_try_load();
	if (err != 0)
		fail_msg("registry_load: %d %s", err, rf.why);
}

void registry_commit(struct store_batch *b)
{
	assert_int_equal(store_commit(fx.store, b, store_on_done, &rf.waited), 0);
	if (++rf.n_commits % 500 == 0)
		registry_settle();
}

void registry_settle(void)
{
	store_wait(&rf.waited, rf.n_commits);
	assert_int_equal(rf.waited.err, 0);
}

void registry_apply_bytes(const uint8_t *bytes, size_t n)
{
	uint64_t index = registry_applied(rf.registry) + 1;
	struct store_batch *b;

	assert_int_equal(store_batch_create(&b), 0);
	assert_int_equal(registry_log_put(b, index, rf.epoch, bytes, n), 0);
	assert_int_equal(
		registry_apply(rf.registry, index, rf.epoch, bytes, n, b, &rf.outcome, &rf.effects),
		0);
	assert_int_equal(registry_applied(rf.registry), index);
	registry_commit(b);
}

void registry_apply_entry(const struct wire_registry_entry *e)
{
	struct wire_registry_entry timed = *e;
	struct wire_bytes bytes;

	if (timed.time_ns == 0)
		timed.time_ns = 1000000 * (registry_applied(rf.registry) + 1);
	assert_int_equal(wire_registry_entry_pack(&timed, &bytes), 0);
	registry_apply_bytes(bytes.bytes, bytes.n);
	wire_bytes_free(&bytes);
}

void assert_applied(const struct wire_registry_entry *e)
{
	registry_apply_entry(e);
	if (rf.outcome.is_refused)
		fail_msg("refused: %s", rf.outcome.why);
	assert_string_equal(rf.outcome.why, "");
}

void assert_refused(const struct wire_registry_entry *e, const char *why_part)
{
	registry_apply_entry(e);
	assert_true(rf.outcome.is_refused);
	if (strstr(rf.outcome.why, why_part) == NULL)
		fail_msg("refused with '%s'", rf.outcome.why);
	assert_int_equal(rf.effects.n_changes, 0);
	assert_int_equal(rf.effects.n_events, 0);
	assert_false(rf.effects.is_map_changed || rf.effects.is_inventory_changed ||
		     rf.effects.is_drain_changed);
}

struct wire_element_spec spec(uint64_t id, const char *region)
{
	static char names[8][32];
	static uint32_t next;
	char *name = names[next++ % 8];
	struct wire_element_spec s = {.id = id, .name = name, .kind = "router", .region = region};

	snprintf(name, sizeof(names[0]), "e%llu", (unsigned long long)id);
	s.address[10] = s.address[11] = 0xff;
	s.address[12] = 10;
	s.address[13] = (uint8_t)(id >> 16);
	s.address[14] = (uint8_t)(id >> 8);
	s.address[15] = (uint8_t)id;
	return s;
}

void import(uint64_t id, const char *region)
{
	struct wire_element_spec s = spec(id, region);

	assert_applied(&(struct wire_registry_entry){
		.kind = WIRE_REGISTRY_ELEMENTS, .elements = &s, .n_elements = 1});
}

struct wire_cell cell_row(const char *name, uint32_t owner, uint32_t standby, uint64_t epoch,
			  uint64_t generation)
{
	return (struct wire_cell){
		.name = name, .owner = owner, .standby = standby, .token = {epoch, generation}};
}

const struct ownership_cell *map_cell(const char *name)
{
	const struct ownership_map *map = registry_map(rf.registry);

	for (uint32_t i = 0; i < map->n_cells; i++)
		if (strcmp(map->cells[i].name, name) == 0)
			return &map->cells[i];
	return NULL;
}

/* ---- Dumps ---- */

static void dump_octets(FILE *to, const uint8_t *octets, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fprintf(to, "%02x", octets[i]);
}

static void dump_table(FILE *to, uint32_t table)
{
	struct store_scan *scan;

	assert_int_equal(store_scan_begin(&scan, fx.store, table, NULL, 0, STORE_ASCENDING), 0);
	for (;;) {
		const void *key, *value;
		size_t key_bytes, n;
		int err = store_scan_next(scan, &key, &key_bytes, &value, &n);

		if (err == STORE_NOT_FOUND)
			break;
		assert_int_equal(err, 0);
		fprintf(to, "row %u ", table);
		dump_octets(to, key, key_bytes);
		fprintf(to, " ");
		dump_octets(to, value, n);
		fprintf(to, "\n");
	}
	store_scan_end(scan);
}

static bool dump_event(void *user, const struct wire_event *e)
{
	fprintf(user, "event %llu %s %s %u %u %s %s\n", (unsigned long long)e->number, e->kind,
		e->cell, e->server, e->was, e->operator_name, e->text);
	return true;
}

static void dump_looks(FILE *to)
{
	const struct ownership_map *map = registry_map(rf.registry);
	const struct conf_element *e = NULL;

	fprintf(to, "map %llu %llu\n", (unsigned long long)map->epoch,
		(unsigned long long)map->version);
	for (uint32_t i = 0; i < map->n_cells; i++) {
		const struct ownership_cell *c = &map->cells[i];

		fprintf(to, "cell %s %u %u %u %u %llu %llu\n", c->name, c->weight, c->owner,
			c->standby, c->pin, (unsigned long long)c->token.epoch,
			(unsigned long long)c->token.generation);
	}
	while ((e = inventory_next(rf.inventory, e == NULL ? 0 : e->id)) != NULL) {
		fprintf(to, "element %llu %s %s %s ", (unsigned long long)e->id, e->name, e->kind,
			e->region);
		dump_octets(to, e->address.octets, sizeof(e->address.octets));
		fprintf(to, "\n");
	}
	for (uint32_t server = 1; server < 65536; server++)
		if (registry_is_drained(rf.registry, (uint16_t)server))
			fprintf(to, "drained %u\n", server);
	assert_int_equal(registry_trail(rf.registry, 0, UINT64_MAX, false, dump_event, to), 0);
}

struct dump dump_state(void)
{
	struct dump d;
	FILE *to = open_memstream(&d.text, &d.n);

	assert_non_null(to);
	registry_settle();
	for (uint32_t table = 0; table < REGISTRY_TABLES; table++)
		if (table != REGISTRY_TABLE_LOG)
			dump_table(to, table);
	dump_looks(to);
	assert_int_equal(fclose(to), 0);
	return d;
}
