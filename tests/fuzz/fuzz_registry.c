/* Any octets as entries of the registry: each is a length in two octets and as many of them. They
 * are refused or applied, never the end of the program, and what they leave makes sense. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cp/registry/registry.h"

#include <uv.h>

#define ENTRIES_MAX 64

static struct inventory *inventory;
static struct store *store;

static void remove_file(const char *dir, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	unlink(path);
}

/* An empty store, that nothing is ever committed to. Its file is gone as soon as it is open. */
static void open_store(void)
{
	static char dir[] = "/tmp/bellwether-fuzz-XXXXXX";
	static uv_loop_t loop;
	struct store_config cfg = {.dir = dir,
				   .bytes_max = 1u << 20,
				   .n_tables = REGISTRY_TABLES,
				   .version = REGISTRY_VERSION};
	char why[200] = "no directory";

	if (uv_loop_init(&loop) != 0 || mkdtemp(dir) == NULL ||
	    store_open(&store, &loop, &cfg, why, sizeof(why)) != 0 ||
	    inventory_create(&inventory) != 0) {
		fprintf(stderr, "fuzz_registry: %s: %s\n", dir, why);
		exit(EXIT_FAILURE);
	}
	remove_file(dir, "data.mdb");
	remove_file(dir, "lock.mdb");
	rmdir(dir);
}

static void check(const struct registry *r)
{
	const struct ownership_map *map = registry_map(r);
	uint64_t weight = 0;

	for (uint32_t i = 0; i < map->n_cells; i++) {
		const struct ownership_cell *c = &map->cells[i];

		assert(c->weight > 0 && c->weight == inventory_count_region(inventory, c->name));
		assert(i == 0 || ownership_cell_compare(c - 1, c) < 0);
		assert(c->owner == 0 || c->owner != c->standby);
		weight += c->weight;
	}
	assert(weight == inventory_count(inventory));
	assert(registry_is_empty(r) == (weight == 0));
}

static void apply(struct registry *r, uint64_t index, const uint8_t *bytes, size_t n)
{
	struct registry_outcome outcome;
	struct registry_effects effects;
	struct store_batch *b;

	if (store_batch_create(&b) != 0)
		abort();
	if (registry_apply(r, index, 1 + index / 4, bytes, n, b, &outcome, &effects) != 0)
		abort();
	assert(!outcome.is_refused || effects.n_events + effects.n_changes == 0);
	assert(outcome.is_refused == (outcome.why[0] != '\0'));
	store_batch_free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n_bytes)
{
	struct replog_durable durable;
	struct registry *r;
	char why[200];

	if (store == NULL)
		open_store();
	if (registry_load(&r, store, inventory, &durable, why, sizeof(why)) != 0)
		abort();
	for (uint64_t index = 1; index <= ENTRIES_MAX && n_bytes >= 2; index++) {
		size_t n = (size_t)input[0] << 8 | input[1];

		input += 2;
		n_bytes -= 2;
		n = n < n_bytes ? n : n_bytes;
		apply(r, index, input, n);
		check(r);
		input += n;
		n_bytes -= n;
	}
	registry_destroy(r);
	inventory_clear(inventory);
	return 0;
}
