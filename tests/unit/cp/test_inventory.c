#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cp/inventory/inventory.h"

/* In no order of anything. */
static struct conf_element elements[] = {
	{.id = 30, .name = (char *)"alpha", .region = (char *)"north"},
	{.id = 7, .name = (char *)"zulu", .region = (char *)"south"},
	{.id = UINT64_MAX, .name = (char *)"bravo", .region = (char *)"north"},
	{.id = 1, .name = (char *)"mike", .region = (char *)"north"},
	{.id = 12, .name = (char *)"Alpha", .region = (char *)"nor"},
};
#define N (sizeof(elements) / sizeof(elements[0]))

static struct inventory *inventory;

static int set_up(void **state)
{
	const struct conf_inventory conf = {.elements = elements, .n_elements = N};

	return inventory_create(&inventory, &conf);
}

static int tear_down(void **state)
{
	inventory_destroy(inventory);
	return 0;
}

static void every_element_is_found_by_its_id(void **state)
{
	for (size_t i = 0; i < N; i++)
		assert_ptr_equal(inventory_find_id(inventory, elements[i].id), &elements[i]);
	assert_int_equal(inventory_count(inventory), N);
}

static void every_element_is_found_by_its_name(void **state)
{
	for (size_t i = 0; i < N; i++)
		assert_ptr_equal(inventory_find_name(inventory, elements[i].name), &elements[i]);
}

static void what_is_not_there_is_not_found(void **state)
{
	assert_null(inventory_find_id(inventory, 0));
	assert_null(inventory_find_id(inventory, 2));
	assert_null(inventory_find_id(inventory, UINT64_MAX - 1));
	assert_null(inventory_find_name(inventory, ""));
	assert_null(inventory_find_name(inventory, "alph"));
	assert_null(inventory_find_name(inventory, "zzz"));
}

static void walk_goes_through_all_ids_in_order(void **state)
{
	static const uint64_t ids[] = {1, 7, 12, 30, UINT64_MAX};
	uint64_t after = 0;

	for (size_t i = 0; i < N; i++) {
		const struct conf_element *e = inventory_next(inventory, after);

		assert_non_null(e);
		assert_int_equal(e->id, ids[i]);
		after = e->id;
	}
	assert_null(inventory_next(inventory, after));
	assert_int_equal(inventory_next(inventory, 8)->id, 12);
}

static void walk_of_a_region_has_its_elements_alone_in_order(void **state)
{
	struct inventory_walk w;

	inventory_walk_begin(&w, inventory, "north", 0);
	assert_int_equal(inventory_walk_next(&w)->id, 1);
	assert_int_equal(inventory_walk_next(&w)->id, 30);
	assert_int_equal(inventory_walk_next(&w)->id, UINT64_MAX);
	assert_null(inventory_walk_next(&w));
	assert_null(inventory_walk_next(&w));
}

static void walk_of_a_region_begins_behind_the_given_id(void **state)
{
	struct inventory_walk w;

	inventory_walk_begin(&w, inventory, "north", 29);
	assert_int_equal(inventory_walk_next(&w)->id, 30);
	inventory_walk_begin(&w, inventory, "north", 30);
	assert_int_equal(inventory_walk_next(&w)->id, UINT64_MAX);
	inventory_walk_begin(&w, inventory, "north", UINT64_MAX);
	assert_null(inventory_walk_next(&w));
}

static void walk_of_an_unknown_region_is_over(void **state)
{
	static const char *const regions[] = {"", "no", "nort", "northern", "zzz"};
	struct inventory_walk w;

	for (size_t i = 0; i < sizeof(regions) / sizeof(regions[0]); i++) {
		inventory_walk_begin(&w, inventory, regions[i], 0);
		assert_null(inventory_walk_next(&w));
	}
}

static void empty_inventory_has_nothing_to_find(void **state)
{
	const struct conf_inventory conf = {0};
	struct inventory_walk w;
	struct inventory *i;

	assert_int_equal(inventory_create(&i, &conf), 0);
	assert_int_equal(inventory_count(i), 0);
	assert_null(inventory_find_id(i, 1));
	assert_null(inventory_find_name(i, "a"));
	assert_null(inventory_next(i, 0));
	inventory_walk_begin(&w, i, "north", 0);
	assert_null(inventory_walk_next(&w));
	inventory_destroy(i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_element_is_found_by_its_id),
		cmocka_unit_test(every_element_is_found_by_its_name),
		cmocka_unit_test(what_is_not_there_is_not_found),
		cmocka_unit_test(walk_goes_through_all_ids_in_order),
		cmocka_unit_test(walk_of_a_region_has_its_elements_alone_in_order),
		cmocka_unit_test(walk_of_a_region_begins_behind_the_given_id),
		cmocka_unit_test(walk_of_an_unknown_region_is_over),
		cmocka_unit_test(empty_inventory_has_nothing_to_find),
	};

	return cmocka_run_group_tests_name("inventory", tests, set_up, tear_down);
}
