#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
static struct inventory_change change;

static struct fedmem_address address_of(uint64_t number)
{
	struct fedmem_address a = {{0xfd}};

	memcpy(a.octets + 8, &number, sizeof(number));
	return a;
}

static int set_up(void **state)
{
	int err = inventory_create(&inventory);

	for (size_t i = 0; i < N && err == 0; i++) {
		elements[i].kind = (char *)"router";
		elements[i].address = address_of(elements[i].id);
		err = inventory_put(inventory, &elements[i], &change);
	}
	return err;
}

static int tear_down(void **state)
{
	inventory_destroy(inventory);
	return 0;
}

static void assert_same(const struct conf_element *a, const struct conf_element *b)
{
	assert_non_null(a);
	assert_int_equal(a->id, b->id);
	assert_string_equal(a->name, b->name);
	assert_string_equal(a->kind, b->kind);
	assert_string_equal(a->region, b->region);
	assert_memory_equal(&a->address, &b->address, sizeof(a->address));
}

static void every_element_is_found_by_its_id_name_and_address(void **state)
{
	for (size_t i = 0; i < N; i++) {
		assert_same(inventory_find_id(inventory, elements[i].id), &elements[i]);
		assert_same(inventory_find_name(inventory, elements[i].name), &elements[i]);
		assert_same(inventory_find_address(inventory, &elements[i].address), &elements[i]);
	}
	assert_int_equal(inventory_count(inventory), N);
}

static void what_is_not_there_is_not_found(void **state)
{
	struct fedmem_address address = address_of(2);

	assert_null(inventory_find_id(inventory, 0));
	assert_null(inventory_find_id(inventory, 2));
	assert_null(inventory_find_id(inventory, UINT64_MAX - 1));
	assert_null(inventory_find_name(inventory, ""));
	assert_null(inventory_find_name(inventory, "alph"));
	assert_null(inventory_find_name(inventory, "zzz"));
	assert_null(inventory_find_address(inventory, &address));
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

static void assert_region(const char *region, const uint64_t *ids, uint32_t n)
{
	struct inventory_walk w;

	inventory_walk_begin(&w, inventory, region, 0);
	for (uint32_t i = 0; i < n; i++) {
		const struct conf_element *e = inventory_walk_next(&w);

		assert_non_null(e);
		assert_int_equal(e->id, ids[i]);
		assert_string_equal(e->region, region);
	}
	assert_null(inventory_walk_next(&w));
	assert_null(inventory_walk_next(&w));
	assert_int_equal(inventory_count_region(inventory, region), n);
}

static void walk_of_a_region_has_its_elements_alone_in_order(void **state)
{
	assert_region("north", (const uint64_t[]){1, 30, UINT64_MAX}, 3);
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

static void unknown_region_has_no_elements(void **state)
{
	static const char *const regions[] = {"", "no", "nort", "northern", "zzz"};

	for (size_t i = 0; i < sizeof(regions) / sizeof(regions[0]); i++)
		assert_region(regions[i], NULL, 0);
}

static void empty_inventory_has_nothing_to_find(void **state)
{
	struct inventory_walk w;
	struct inventory *i;

	assert_int_equal(inventory_create(&i), 0);
	assert_int_equal(inventory_count(i), 0);
	assert_null(inventory_find_id(i, 1));
	assert_null(inventory_find_name(i, "a"));
	assert_null(inventory_find_address(i, &elements[0].address));
	assert_null(inventory_next(i, 0));
	inventory_remove(i, 1);
	inventory_walk_begin(&w, i, "north", 0);
	assert_null(inventory_walk_next(&w));
	inventory_destroy(i);
}

static void put_owns_copies_of_what_it_is_given(void **state)
{
	char name[] = "lima", kind[] = "switch", region[] = "west";
	struct conf_element e = {.id = 5, .name = name, .kind = kind, .region = region};

	e.address = address_of(5);
	assert_int_equal(inventory_put(inventory, &e, &change), 0);
	assert_true(change.is_new && change.id == 5);
	name[0] = kind[0] = region[0] = 'x';
	assert_string_equal(inventory_find_name(inventory, "lima")->kind, "switch");
	assert_region("west", (const uint64_t[]){5}, 1);
}

static void changed_element_is_found_under_its_new_keys_alone(void **state)
{
	struct fedmem_address before = elements[0].address;
	struct conf_element e = elements[0];

	e.name = (char *)"kilo";
	e.address = address_of(99);
	e.kind = (char *)"switch";
	assert_int_equal(inventory_put(inventory, &e, &change), 0);
	assert_true(change.has_new_address && !change.is_new && !change.has_moved);
	assert_null(inventory_find_name(inventory, "alpha"));
	assert_null(inventory_find_address(inventory, &before));
	assert_same(inventory_find_name(inventory, "kilo"), &e);
	assert_same(inventory_find_address(inventory, &e.address), &e);
	assert_same(inventory_find_id(inventory, 30), &e);
	assert_int_equal(inventory_count(inventory), N);
}

static void moved_element_leaves_its_region(void **state)
{
	/* As a caller does who looked it up: the texts are the inventory's own. */
	struct conf_element e = *inventory_find_id(inventory, 7);

	e.region = (char *)"north";
	assert_int_equal(inventory_put(inventory, &e, &change), 0);
	assert_true(change.has_moved && !change.is_new && !change.has_new_address);
	assert_region("south", NULL, 0);
	assert_region("north", (const uint64_t[]){1, 7, 30, UINT64_MAX}, 4);
	e = *inventory_find_id(inventory, 7);
	e.region = (char *)"south";
	assert_int_equal(inventory_put(inventory, &e, &change), 0);
	assert_region("north", (const uint64_t[]){1, 30, UINT64_MAX}, 3);
	assert_region("south", (const uint64_t[]){7}, 1);
}

static void name_or_address_of_another_is_refused_and_changes_nothing(void **state)
{
	struct conf_element e = elements[0];

	e.name = (char *)"zulu";
	assert_int_equal(inventory_put(inventory, &e, &change), -EEXIST);
	e = elements[0];
	e.address = elements[1].address;
	e.region = (char *)"elsewhere";
	assert_int_equal(inventory_put(inventory, &e, &change), -EEXIST);
	e = (struct conf_element){.id = 2, .name = (char *)"mike", .kind = (char *)""};
	e.region = (char *)"elsewhere";
	assert_int_equal(inventory_put(inventory, &e, &change), -EEXIST);
	every_element_is_found_by_its_id_name_and_address(NULL);
	assert_region("elsewhere", NULL, 0);
}

static void removed_element_is_gone_from_everywhere(void **state)
{
	inventory_remove(inventory, 30);
	inventory_remove(inventory, 30);
	assert_null(inventory_find_id(inventory, 30));
	assert_null(inventory_find_name(inventory, "alpha"));
	assert_null(inventory_find_address(inventory, &elements[0].address));
	assert_int_equal(inventory_next(inventory, 12)->id, UINT64_MAX);
	assert_region("north", (const uint64_t[]){1, UINT64_MAX}, 2);
	assert_int_equal(inventory_put(inventory, &elements[0], &change), 0);
	assert_true(change.is_new);
	every_element_is_found_by_its_id_name_and_address(NULL);
}

static void cleared_inventory_is_empty_and_can_be_filled_again(void **state)
{
	inventory_clear(inventory);
	assert_int_equal(inventory_count(inventory), 0);
	assert_null(inventory_next(inventory, 0));
	assert_region("north", NULL, 0);
	for (size_t i = 0; i < N; i++)
		assert_int_equal(inventory_put(inventory, &elements[i], &change), 0);
	every_element_is_found_by_its_id_name_and_address(NULL);
}

/* ---- Compared with a plain list, under many changes in any order ---- */

#define IDS	3000
#define REGIONS 200

static struct {
	bool is_there;
	uint32_t name, address, region;
} model[IDS + 1];

static bool is_taken(uint32_t id, uint32_t name, uint32_t address)
{
	for (uint32_t other = 1; other <= IDS; other++)
		if (other != id && model[other].is_there &&
		    (model[other].name == name || model[other].address == address))
			return true;
	return false;
}

static void change_one(void)
{
	uint32_t id = 1 + (uint32_t)rand() % IDS, name = (uint32_t)rand() % (2 * IDS);
	uint32_t address = (uint32_t)rand() % (2 * IDS), region = (uint32_t)rand() % REGIONS;
	char texts[2][24];
	struct conf_element e = {.id = id, .name = texts[0], .region = texts[1]};

	if (rand() % 4 == 0) {
		inventory_remove(inventory, id);
		model[id].is_there = false;
		return;
	}
	snprintf(texts[0], sizeof(texts[0]), "n%u", name);
	snprintf(texts[1], sizeof(texts[1]), "r%u", region);
	e.kind = (char *)"";
	e.address = address_of(address);
	if (is_taken(id, name, address)) {
		assert_int_equal(inventory_put(inventory, &e, &change), -EEXIST);
		return;
	}
	assert_int_equal(inventory_put(inventory, &e, &change), 0);
	assert_int_equal(change.is_new, !model[id].is_there);
	assert_int_equal(change.has_moved, model[id].is_there && model[id].region != region);
	assert_int_equal(change.has_new_address,
			 model[id].is_there && model[id].address != address);
	model[id].is_there = true;
	model[id].name = name;
	model[id].address = address;
	model[id].region = region;
}

static void assert_is_the_model(void)
{
	static uint64_t ids[IDS];
	uint64_t after = 0;
	uint32_t n = 0;

	for (uint32_t id = 1; id <= IDS; id++) {
		const struct conf_element *e = inventory_find_id(inventory, id);

		assert_int_equal(e != NULL, model[id].is_there);
		if (e == NULL)
			continue;
		n++;
		assert_int_equal(strtoul(e->name + 1, NULL, 10), model[id].name);
		assert_int_equal(strtoul(e->region + 1, NULL, 10), model[id].region);
		assert_ptr_equal(inventory_find_name(inventory, e->name), e);
		assert_ptr_equal(inventory_find_address(inventory, &e->address), e);
		assert_ptr_equal(inventory_next(inventory, after), e);
		after = id;
	}
	assert_int_equal(inventory_count(inventory), n);
	assert_null(inventory_next(inventory, after));
	for (uint32_t region = 0; region < REGIONS; region++) {
		char name[24];

		n = 0;
		for (uint32_t id = 1; id <= IDS; id++)
			if (model[id].is_there && model[id].region == region)
				ids[n++] = id;
		snprintf(name, sizeof(name), "r%u", region);
		assert_region(name, ids, n);
	}
}

static void any_changes_in_any_order_leave_what_a_plain_list_would_hold(void **state)
{
	inventory_clear(inventory);
	srand(7);
	for (int round = 0; round < 60; round++) {
		int n = rand() % 3 == 0 ? 1 + rand() % 3 : rand() % 2000;

		for (int k = 0; k < n; k++)
			change_one();
		assert_is_the_model();
	}
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(every_element_is_found_by_its_id_name_and_address),
		T(what_is_not_there_is_not_found),
		T(walk_goes_through_all_ids_in_order),
		T(walk_of_a_region_has_its_elements_alone_in_order),
		T(walk_of_a_region_begins_behind_the_given_id),
		T(unknown_region_has_no_elements),
		T(empty_inventory_has_nothing_to_find),
		T(put_owns_copies_of_what_it_is_given),
		T(changed_element_is_found_under_its_new_keys_alone),
		T(moved_element_leaves_its_region),
		T(name_or_address_of_another_is_refused_and_changes_nothing),
		T(removed_element_is_gone_from_everywhere),
		T(cleared_inventory_is_empty_and_can_be_filled_again),
		T(any_changes_in_any_order_leave_what_a_plain_list_would_hold),
	};
#undef T
	return cmocka_run_group_tests_name("inventory", tests, NULL, NULL);
}
