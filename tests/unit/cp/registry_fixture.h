/* registry_fixture.h - a registry on a store of its own, and entries that are applied to it as its
 * driver does: into the log and into the state with one batch.
 *
 * Thread:  the test's.
 * Memory:  everything is freed and removed by registry_fixture_remove().
 * Returns: what goes wrong fails the test.
 */
#ifndef BELLWETHER_TESTS_REGISTRY_FIXTURE_H
#define BELLWETHER_TESTS_REGISTRY_FIXTURE_H

#include "cp/registry/registry.h"
#include "tests/unit/cp/store_fixture.h"

struct registry_fixture {
	struct inventory *inventory;
	struct registry *registry;
	struct replog_durable durable; /* of the last load */
	char why[200];
	uint64_t epoch;			 /* of the entries; begins with 1 */
	struct registry_outcome outcome; /* of the last entry */
	struct registry_effects effects;
	struct store_waited waited;
	uint32_t n_commits;
};
extern struct registry_fixture rf;

int registry_fixture_make(void **state);
int registry_fixture_remove(void **state);

/* What registry_load() says, of what is on disk. */
int registry_try_load(void);
/* From memory to disk and back: all there is of the registry is what it finds there. */
void registry_reload(void);
void registry_unload(void);

void registry_commit(struct store_batch *b); /* without waiting */
void registry_settle(void);		     /* waits for all commits */
void registry_apply_bytes(const uint8_t *bytes, size_t n);
/* Gives the entry a time if it has none. */
void registry_apply_entry(const struct wire_registry_entry *e);
void assert_applied(const struct wire_registry_entry *e);
void assert_refused(const struct wire_registry_entry *e, const char *why_part);

/* Element 'id' called "eID" at 10.x.x.x. */
struct wire_element_spec spec(uint64_t id, const char *region);
/* One element by import. */
void import(uint64_t id, const char *region);
struct wire_cell cell_row(const char *name, uint32_t owner, uint32_t standby, uint64_t epoch,
			  uint64_t generation);
const struct ownership_cell *map_cell(const char *name); /* NULL: it is not in the map */

/* All of the state, as rows and as what can be looked at. 'text' is freed by the caller. */
struct dump {
	char *text;
	size_t n;
};
struct dump dump_state(void);

#endif
