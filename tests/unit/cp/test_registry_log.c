#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/cp/registry_fixture.h"

static struct store_batch *batch(void)
{
	struct store_batch *b;

	assert_int_equal(store_batch_create(&b), 0);
	return b;
}

static void put(uint64_t index, uint64_t epoch, const char *entry)
{
	struct store_batch *b = batch();

	assert_int_equal(registry_log_put(b, index, epoch, (const uint8_t *)entry, strlen(entry)),
			 0);
	assert_int_equal(store_commit_wait(b), 0);
}

static void assert_entry(uint64_t index, uint64_t epoch, const char *entry)
{
	uint64_t found;
	uint8_t *bytes;
	size_t n;

	assert_int_equal(registry_log_get(rf.registry, index, &found, &bytes, &n), 0);
	assert_int_equal(found, epoch);
	assert_int_equal(n, strlen(entry));
	assert_memory_equal(bytes, entry, n);
	free(bytes);
}

static void assert_no_entry(uint64_t index)
{
	uint64_t epoch;
	uint8_t *bytes;
	size_t n;

	assert_int_equal(registry_log_get(rf.registry, index, &epoch, &bytes, &n), STORE_NOT_FOUND);
}

/* Entries 1 to 'n' of which 'n_applied' are applied. */
static void make_log(uint32_t n, uint32_t n_applied)
{
	for (uint32_t i = 1; i <= n_applied; i++)
		assert_applied(
			&(struct wire_registry_entry){.kind = WIRE_REGISTRY_EPOCH, .server = i});
	registry_settle();
	for (uint32_t i = n_applied + 1; i <= n; i++)
		put(i, rf.epoch, "");
}

static void assert_damaged(const char *why)
{
	registry_unload();
	assert_int_equal(registry_try_load(), STORE_DAMAGED);
	assert_null(rf.registry);
	if (strstr(rf.why, why) == NULL)
		fail_msg("damaged because '%s'", rf.why);
	assert_int_equal(inventory_count(rf.inventory), 0);
}

static void entries_are_kept_as_they_were_given(void **state)
{
	put(1, 3, "one");
	put(2, 3, "");
	put(256, 4, "far");
	assert_entry(1, 3, "one");
	assert_entry(2, 3, "");
	assert_entry(256, 4, "far");
	assert_no_entry(3);
	assert_no_entry(257);
}

static void the_longest_entry_is_kept_and_a_longer_one_refused(void **state)
{
	uint8_t *bytes = calloc(1, REGISTRY_ENTRY_MAX + 1), *found;
	struct store_batch *b = batch();
	uint64_t epoch;
	size_t n;

	assert_int_equal(registry_log_put(b, 1, 1, bytes, REGISTRY_ENTRY_MAX + 1), -E2BIG);
	assert_int_equal(registry_log_put(b, 1, 1, bytes, REGISTRY_ENTRY_MAX), 0);
	assert_int_equal(store_commit_wait(b), 0);
	assert_int_equal(registry_log_get(rf.registry, 1, &epoch, &found, &n), 0);
	assert_int_equal(n, REGISTRY_ENTRY_MAX);
	free(found);
	free(bytes);
}

static void given_up_entries_are_gone_from_there_on(void **state)
{
	struct store_batch *b = batch();

	for (uint64_t i = 1; i <= 300; i++)
		put(i, 1, "x");
	registry_log_give_up(b, 256);
	registry_log_put(b, 256, 2, (const uint8_t *)"new", 3);
	assert_int_equal(store_commit_wait(b), 0);
	assert_entry(255, 1, "x");
	assert_entry(256, 2, "new");
	assert_no_entry(257);
	assert_no_entry(300);
}

static void compacted_entries_are_gone_below(void **state)
{
	struct store_batch *b = batch();

	make_log(300, 290);
	registry_log_compact(b, 257);
	assert_int_equal(store_commit_wait(b), 0);
	assert_no_entry(1);
	assert_no_entry(256);
	assert_entry(300, 1, "");
	registry_reload();
	assert_int_equal(rf.durable.first, 257);
	assert_int_equal(rf.durable.base, 290);
	assert_int_equal(rf.durable.last, 300);
}

static void load_says_what_the_log_is_like(void **state)
{
	uint64_t bytes;

	make_log(3, 2);
	registry_reload();
	bytes = registry_log_bytes(rf.registry);
	put(4, 5, "four");
	put(5, 5, "");
	put(6, 9, "six");
	registry_reload();
	assert_int_equal(registry_log_bytes(rf.registry), bytes + 7);
	assert_int_equal(rf.durable.base, 2);
	assert_int_equal(rf.durable.base_epoch, 1);
	assert_int_equal(rf.durable.first, 1);
	assert_int_equal(rf.durable.last, 6);
	assert_int_equal(rf.durable.n_runs, 3);
	assert_int_equal(rf.durable.runs[1].epoch, 5);
	assert_int_equal(rf.durable.runs[1].first, 4);
	assert_int_equal(rf.durable.runs[2].first, 6);
}

static void a_log_that_was_compacted_away_whole_begins_behind_the_state(void **state)
{
	struct store_batch *b = batch();

	make_log(5, 5);
	registry_log_compact(b, 6);
	assert_int_equal(store_commit_wait(b), 0);
	registry_reload();
	assert_int_equal(rf.durable.first, 6);
	assert_int_equal(rf.durable.last, 5);
	assert_int_equal(rf.durable.n_runs, 0);
}

static void what_is_held_is_kept_until_it_need_not_be(void **state)
{
	struct store_batch *b = batch();

	registry_log_hold(b, (struct election_position){7, 8});
	assert_int_equal(store_commit_wait(b), 0);
	registry_reload();
	assert_int_equal(rf.durable.held.epoch, 7);
	assert_int_equal(rf.durable.held.version, 8);
	assert_false(rf.durable.is_rebuilding);
	b = batch();
	registry_log_hold(b, (struct election_position){0});
	assert_int_equal(store_commit_wait(b), 0);
	registry_reload();
	assert_int_equal(rf.durable.held.epoch, 0);
}

/* ---- What is damaged ---- */

static void remove_key(uint32_t table, const void *key, size_t n)
{
	struct store_batch *b = batch();

	store_batch_delete(b, table, key, n);
	assert_int_equal(store_commit_wait(b), 0);
}

static void put_row(uint32_t table, const void *key, size_t key_bytes, const void *value, size_t n)
{
	struct store_batch *b = batch();

	store_batch_put(b, table, key, key_bytes, value, n);
	assert_int_equal(store_commit_wait(b), 0);
}

static void a_gap_in_the_log_is_damage(void **state)
{
	make_log(5, 2);
	remove_key(REGISTRY_TABLE_LOG, "\0\0\0\0\0\0\0\4", 8);
	assert_damaged("the log has a gap at entry 5");
}

static void an_epoch_that_falls_is_damage(void **state)
{
	rf.epoch = 4;
	make_log(5, 2);
	put(6, 3, "");
	assert_damaged("the log's epoch falls at entry 6");
}

static void a_log_that_ends_before_what_was_applied_is_damage(void **state)
{
	struct store_batch *b = batch();

	make_log(5, 5);
	registry_log_give_up(b, 5);
	assert_int_equal(store_commit_wait(b), 0);
	assert_damaged("the log ends before what was applied at entry 4");
}

static void a_log_that_begins_behind_what_was_applied_is_damage(void **state)
{
	struct store_batch *b = batch();

	make_log(5, 2);
	registry_log_compact(b, 4);
	assert_int_equal(store_commit_wait(b), 0);
	assert_damaged("the log begins behind what was applied at entry 4");
}

static void a_log_of_another_epoch_than_what_was_applied_is_damage(void **state)
{
	make_log(2, 2);
	put(2, 2, "");
	assert_damaged("the log has another epoch than what was applied at entry 2");
}

static void a_log_record_without_an_epoch_is_damage(void **state)
{
	make_log(2, 2);
	put_row(REGISTRY_TABLE_LOG, "\0\0\0\0\0\0\0\3", 8, "short", 5);
	assert_damaged("the log's record makes no sense at entry 3");
}

static void a_row_that_cannot_be_read_is_damage(void **state)
{
	static const uint32_t tables[] = {REGISTRY_TABLE_ELEMENTS, REGISTRY_TABLE_CELLS,
					  REGISTRY_TABLE_SERVERS, REGISTRY_TABLE_TRAIL,
					  REGISTRY_TABLE_REQUESTS};

	import(1, "a");
	for (uint32_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		char why[32];

		put_row(tables[i], "zzz", 3, "nonsense", 8);
		snprintf(why, sizeof(why), "of table %u is damaged", tables[i]);
		assert_damaged(why);
		remove_key(tables[i], "zzz", 3);
		registry_reload();
	}
	put_row(REGISTRY_TABLE_SMALL, "registry.applied", 16, "nonsense", 8);
	assert_damaged("registry.applied is damaged");
}

static void a_record_with_a_wrong_checksum_is_damage(void **state)
{
	static const uint8_t key[] = {REGISTRY_TABLE_ELEMENTS, 0, 0, 0, 0, 0, 0, 0, 1};

	import(1, "a");
	registry_unload();
	store_shut();
	store_raw_put(key, sizeof(key), "no checksum", 11);
	store_open_ok();
	assert_damaged("row 1 of table 2 is damaged");
}

static void state_that_contradicts_itself_is_damage(void **state)
{
	import(1, "a");
	registry_settle();
	remove_key(REGISTRY_TABLE_CELLS, "a", 1);
	assert_damaged("an element is in a region without a cell");
}

static void others_small_records_are_left_alone(void **state)
{
	import(1, "a");
	put_row(REGISTRY_TABLE_SMALL, "vote", 4, "anything", 8);
	put_row(REGISTRY_TABLE_SMALL, "registry.mapper", 15, "anything", 8);
	registry_reload();
	assert_int_equal(inventory_count(rf.inventory), 1);
}

int main(void)
{
#define T(test)                                                                                    \
	cmocka_unit_test_setup_teardown(test, registry_fixture_make, registry_fixture_remove)
	const struct CMUnitTest tests[] = {
		T(entries_are_kept_as_they_were_given),
		T(the_longest_entry_is_kept_and_a_longer_one_refused),
		T(given_up_entries_are_gone_from_there_on),
		T(compacted_entries_are_gone_below),
		T(load_says_what_the_log_is_like),
		T(a_log_that_was_compacted_away_whole_begins_behind_the_state),
		T(what_is_held_is_kept_until_it_need_not_be),
		T(a_gap_in_the_log_is_damage),
		T(an_epoch_that_falls_is_damage),
		T(a_log_that_ends_before_what_was_applied_is_damage),
		T(a_log_that_begins_behind_what_was_applied_is_damage),
		T(a_log_of_another_epoch_than_what_was_applied_is_damage),
		T(a_log_record_without_an_epoch_is_damage),
		T(a_row_that_cannot_be_read_is_damage),
		T(a_record_with_a_wrong_checksum_is_damage),
		T(state_that_contradicts_itself_is_damage),
		T(others_small_records_are_left_alone),
	};
#undef T
	return cmocka_run_group_tests_name("registry_log", tests, NULL, NULL);
}
