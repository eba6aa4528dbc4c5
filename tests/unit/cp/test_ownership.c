#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cp/ownership/ownership.h"

#define CELLS	4096
#define SERVERS 64

static struct ownership_cell cells[CELLS], before[CELLS];
static struct ownership_server servers[SERVERS];
static struct ownership_plan plan;

static int setup(void **state)
{
	memset(cells, 0, sizeof(cells));
	for (int i = 0; i < CELLS; i++) {
		snprintf(cells[i].name, sizeof(cells[i].name), "region-%04d", i);
		cells[i].weight = 1;
	}
	for (int i = 0; i < SERVERS; i++)
		servers[i] = (struct ownership_server){.id = i + 1, .weight = 1, .is_alive = true};
	return 0;
}

static uint32_t load_of(uint16_t id, uint32_t n_cells)
{
	uint32_t load = 0;

	for (uint32_t i = 0; i < n_cells; i++)
		load += cells[i].owner == id ? cells[i].weight : 0;
	return load;
}

static void assert_placed(uint32_t n_cells, uint32_t n_servers)
{
	for (uint32_t i = 0; i < n_cells; i++) {
		const struct ownership_cell *c = &cells[i];

		assert_in_range(c->owner, 1, n_servers);
		assert_in_range(c->standby, 1, n_servers);
		assert_true(servers[c->owner - 1].is_alive);
		assert_true(servers[c->standby - 1].is_alive);
		assert_int_not_equal(c->owner, c->standby);
	}
}

static void every_cell_gets_a_living_owner_and_another_standby(void **state)
{
	servers[7].is_alive = servers[63].is_alive = false;
	assert_int_equal(ownership_plan(cells, CELLS, servers, SERVERS, 1, &plan), 0);
	assert_placed(CELLS, SERVERS);
	assert_int_equal(plan.n_moved, CELLS);
	assert_int_equal(plan.n_standbys, 0);
	for (int i = 0; i < CELLS; i++) {
		assert_int_equal(cells[i].token.epoch, 1);
		assert_int_equal(cells[i].token.generation, 1);
	}
}

static void load_stays_within_the_bound(void **state)
{
	ownership_plan(cells, CELLS, servers, SERVERS, 1, &plan);
	for (int i = 0; i < SERVERS; i++)
		assert_in_range(load_of(i + 1, CELLS), 1, CELLS / SERVERS * 125 / 100);
}

static void load_follows_the_servers_weights(void **state)
{
	servers[0].weight = 3;
	servers[1].weight = 1;
	ownership_plan(cells, CELLS, servers, 2, 1, &plan);
	/* Three quarters are expected; the binomial's deviation is 28. */
	assert_in_range(load_of(1, CELLS), CELLS * 3 / 4 - 140, CELLS * 3 / 4 + 140);
}

static void heavy_cells_are_spread_by_weight_not_by_number(void **state)
{
	uint32_t total = 0;

	for (int i = 0; i < CELLS; i++)
		total += cells[i].weight = i % 100 == 0 ? 100 : 1;
	ownership_plan(cells, CELLS, servers, 8, 1, &plan);
	for (int i = 0; i < 8; i++)
		assert_in_range(load_of(i + 1, CELLS), 1, total / 8 * 135 / 100);
}

static void a_new_plan_of_a_settled_map_changes_nothing(void **state)
{
	ownership_plan(cells, CELLS, servers, SERVERS, 1, &plan);
	memcpy(before, cells, sizeof(cells));
	assert_int_equal(ownership_plan(cells, CELLS, servers, SERVERS, 2, &plan), 0);
	assert_memory_equal(before, cells, sizeof(cells));
	assert_int_equal(plan.n_moved, 0);
	assert_int_equal(plan.n_standbys, 0);
}

static void only_a_dead_servers_cells_move_and_they_go_to_their_standbys(void **state)
{
	uint32_t n_moved = 0, n_standbys = 0;

	ownership_plan(cells, CELLS, servers, SERVERS, 1, &plan);
	memcpy(before, cells, sizeof(cells));
	servers[4].is_alive = false;
	assert_int_equal(ownership_plan(cells, CELLS, servers, SERVERS, 2, &plan), 0);
	assert_placed(CELLS, SERVERS);
	for (int i = 0; i < CELLS; i++) {
		if (before[i].owner == 5) {
			n_moved++;
			assert_int_equal(cells[i].owner, before[i].standby);
			assert_int_equal(cells[i].token.epoch, 2);
			assert_int_equal(cells[i].token.generation, 2);
			continue;
		}
		assert_int_equal(cells[i].owner, before[i].owner);
		assert_int_equal(ownership_token_compare(cells[i].token, before[i].token), 0);
		n_standbys += before[i].standby == 5;
		if (before[i].standby != 5)
			assert_int_equal(cells[i].standby, before[i].standby);
	}
	assert_true(n_moved > 0 && n_standbys > 0);
	assert_int_equal(plan.n_moved, n_moved);
	assert_int_equal(plan.n_standbys, n_standbys);
	for (int i = 0; i < SERVERS; i++)
		assert_in_range(load_of(i + 1, CELLS), 0, CELLS / (SERVERS - 1) * 135 / 100);
}

static void a_cell_that_lost_owner_and_standby_goes_to_a_third_server(void **state)
{
	ownership_plan(cells, 1, servers, 3, 1, &plan);
	servers[cells[0].owner - 1].is_alive = servers[cells[0].standby - 1].is_alive = false;
	assert_int_equal(ownership_plan(cells, 1, servers, 3, 1, &plan), 0);
	assert_true(servers[cells[0].owner - 1].is_alive);
	assert_int_equal(cells[0].standby, 0);
	assert_int_equal(cells[0].token.generation, 2);
}

static void a_server_that_comes_gives_the_single_ones_cells_a_standby(void **state)
{
	ownership_plan(cells, 100, servers, 1, 1, &plan);
	assert_int_equal(cells[0].standby, 0);
	assert_int_equal(ownership_plan(cells, 100, servers, 2, 1, &plan), 0);
	assert_int_equal(plan.n_moved, 0);
	assert_int_equal(plan.n_standbys, 100);
	for (int i = 0; i < 100; i++)
		assert_int_equal(cells[i].standby, 2);
}

static void an_owner_that_left_the_list_is_a_dead_one(void **state)
{
	ownership_plan(cells, 100, servers, 3, 1, &plan);
	assert_int_equal(ownership_plan(cells, 100, servers, 2, 2, &plan), 0);
	assert_true(plan.n_moved > 0);
	assert_placed(100, 2);
}

static void without_a_living_server_nothing_changes(void **state)
{
	ownership_plan(cells, 100, servers, 2, 1, &plan);
	memcpy(before, cells, sizeof(cells));
	servers[0].is_alive = servers[1].is_alive = false;
	assert_int_equal(ownership_plan(cells, 100, servers, 2, 2, &plan), -ENOENT);
	assert_memory_equal(before, cells, sizeof(cells));
}

static void assert_refused(uint32_t n_cells, uint32_t n_servers, uint64_t epoch)
{
	memcpy(before, cells, sizeof(cells));
	assert_int_equal(ownership_plan(cells, n_cells, servers, n_servers, epoch, &plan), -EINVAL);
	assert_memory_equal(before, cells, sizeof(cells));
}

static int setup_three(void **state)
{
	setup(NULL);
	return ownership_plan(cells, CELLS, servers, 3, 1, &plan);
}

static void a_drained_servers_cells_go_to_their_standbys(void **state)
{
	uint32_t n_moved = 0, n_standbys = 0;

	memcpy(before, cells, sizeof(cells));
	servers[1].is_drained = true;
	assert_int_equal(ownership_plan(cells, CELLS, servers, 3, 2, &plan), 0);
	for (int i = 0; i < CELLS; i++) {
		assert_int_not_equal(cells[i].owner, 2);
		assert_int_not_equal(cells[i].standby, 2);
		if (before[i].owner == 2) {
			n_moved++;
			assert_int_equal(cells[i].owner, before[i].standby);
			assert_int_equal(cells[i].token.epoch, 2);
			assert_int_equal(cells[i].token.generation, 2);
			continue;
		}
		assert_int_equal(cells[i].owner, before[i].owner);
		assert_int_equal(ownership_token_compare(cells[i].token, before[i].token), 0);
		n_standbys += before[i].standby == 2;
	}
	assert_true(n_moved > 0 && n_standbys > 0);
	assert_int_equal(plan.n_moved, n_moved);
	assert_int_equal(plan.n_standbys, n_standbys);
}

static void a_server_that_is_no_longer_drained_gets_nothing_back_by_itself(void **state)
{
	servers[1].is_drained = true;
	ownership_plan(cells, CELLS, servers, 3, 1, &plan);
	memcpy(before, cells, sizeof(cells));
	servers[1].is_drained = false;
	assert_int_equal(ownership_plan(cells, CELLS, servers, 3, 1, &plan), 0);
	assert_memory_equal(before, cells, sizeof(cells));
}

static void cells_whose_standby_is_drained_are_spread_when_their_owner_dies(void **state)
{
	setup(NULL);
	ownership_plan(cells, 100, servers, 2, 1, &plan);
	servers[0].is_alive = false;
	servers[1].is_drained = true;
	assert_int_equal(ownership_plan(cells, 100, servers, 4, 1, &plan), 0);
	assert_int_equal(plan.n_moved, 100);
	for (int i = 0; i < 100; i++)
		assert_int_equal(cells[i].owner + cells[i].standby, 3 + 4);
	assert_in_range(load_of(3, 100), 37, 63);
}

static void a_drained_server_stands_by_where_nobody_else_can(void **state)
{
	servers[2].is_drained = true;
	servers[1].is_alive = false;
	assert_int_equal(ownership_plan(cells, CELLS, servers, 3, 2, &plan), 0);
	for (int i = 0; i < CELLS; i++) {
		assert_int_equal(cells[i].owner, 1);
		assert_int_equal(cells[i].standby, 3);
	}
	servers[1].is_alive = true;
	assert_int_equal(ownership_plan(cells, CELLS, servers, 3, 2, &plan), 0);
	assert_int_equal(plan.n_moved, 0);
	assert_int_equal(plan.n_standbys, CELLS);
	for (int i = 0; i < CELLS; i++)
		assert_int_equal(cells[i].standby, 2);
}

static void where_all_are_drained_cells_stay_and_go_to_standbys_as_ever(void **state)
{
	memcpy(before, cells, sizeof(cells));
	for (int i = 0; i < 3; i++)
		servers[i].is_drained = true;
	assert_int_equal(ownership_plan(cells, CELLS, servers, 3, 2, &plan), 0);
	assert_memory_equal(before, cells, sizeof(cells));
	servers[0].is_alive = false;
	assert_int_equal(ownership_plan(cells, CELLS, servers, 3, 2, &plan), 0);
	assert_true(plan.n_moved > 0);
	for (int i = 0; i < CELLS; i++)
		assert_int_equal(cells[i].owner,
				 before[i].owner == 1 ? before[i].standby : before[i].owner);
	servers[1].is_drained = false;
	assert_int_equal(ownership_plan(cells, CELLS, servers, 3, 2, &plan), 0);
	assert_int_equal(load_of(2, CELLS), CELLS);
}

static void a_pinned_cell_goes_to_its_server_and_its_owner_stands_by(void **state)
{
	uint16_t owner = cells[7].owner;

	memcpy(before, cells, sizeof(cells));
	for (uint16_t to = 1; to <= 3; to++) {
		memcpy(cells, before, sizeof(cells));
		cells[7].pin = to;
		assert_int_equal(ownership_plan(cells, CELLS, servers, 3, 2, &plan), 0);
		assert_int_equal(plan.n_moved, to != owner);
		assert_int_equal(plan.n_standbys, 0);
		assert_int_equal(cells[7].owner, to);
		assert_int_equal(cells[7].standby, to != owner ? owner : before[7].standby);
		assert_int_equal(cells[7].token.generation, to != owner ? 2 : 1);
		assert_memory_equal(cells, before, 7 * sizeof(cells[0]));
	}
}

static void a_pinned_cell_of_a_drained_owner_gets_a_standby_that_is_good(void **state)
{
	uint16_t owner = cells[0].owner, standby = cells[0].standby;

	servers[owner - 1].is_drained = true;
	cells[0].pin = standby;
	assert_int_equal(ownership_plan(cells, 1, servers, 3, 2, &plan), 0);
	assert_int_equal(cells[0].owner, standby);
	assert_int_equal(cells[0].standby, 6 - owner - standby);
	assert_int_equal(plan.n_standbys, 0);
}

static void a_pin_to_a_server_that_is_not_good_waits(void **state)
{
	uint16_t owner = cells[0].owner, to = owner % 3 + 1;

	memcpy(before, cells, sizeof(cells));
	cells[0].pin = before[0].pin = to;
	servers[to - 1].is_drained = true;
	ownership_plan(cells, 1, servers, 3, 2, &plan);
	assert_int_equal(cells[0].owner, owner);
	servers[to - 1].is_drained = servers[to - 1].is_alive = false;
	ownership_plan(cells, 1, servers, 3, 2, &plan);
	assert_int_equal(cells[0].owner, owner);
	cells[0].pin = 99;
	ownership_plan(cells, 1, servers, 3, 2, &plan);
	assert_int_equal(cells[0].owner, owner);
	cells[0].pin = to;
	servers[to - 1].is_alive = true;
	ownership_plan(cells, 1, servers, 3, 2, &plan);
	assert_int_equal(cells[0].owner, to);
	assert_int_equal(cells[0].standby, owner);
}

static void a_pinned_cell_leaves_a_dead_server_and_comes_back_to_it(void **state)
{
	uint16_t owner = cells[0].owner, standby = cells[0].standby;

	cells[0].pin = owner;
	servers[owner - 1].is_alive = false;
	ownership_plan(cells, 1, servers, 3, 2, &plan);
	assert_int_equal(cells[0].owner, standby);
	servers[owner - 1].is_alive = true;
	ownership_plan(cells, 1, servers, 3, 2, &plan);
	assert_int_equal(cells[0].owner, owner);
	assert_int_equal(cells[0].standby, standby);
	assert_int_equal(cells[0].token.generation, 3);
}

static bool may_stand_by(uint16_t id, uint16_t owner, uint32_t n_good)
{
	bool is_any_good = n_good - !servers[owner - 1].is_drained > 0;

	return id != 0 && id != owner && servers[id - 1].is_alive &&
	       (!servers[id - 1].is_drained || !is_any_good);
}

/* What must hold after any plan. */
static void assert_is_plan(uint32_t n_cells, uint32_t n_servers, uint64_t epoch)
{
	uint32_t n_living = 0, n_good = 0, n_moved = 0, n_standbys = 0;

	for (uint32_t i = 0; i < n_servers; i++) {
		n_living += servers[i].is_alive;
		n_good += servers[i].is_alive && !servers[i].is_drained;
	}
	for (uint32_t i = 0; i < n_cells; i++) {
		const struct ownership_cell *c = &cells[i], *was = &before[i];
		const struct ownership_server *owner = &servers[c->owner - 1];
		bool has_moved = c->owner != was->owner;

		assert_in_range(c->owner, 1, n_servers);
		assert_true(owner->is_alive && (n_good == 0 || !owner->is_drained));
		if (c->pin != 0 && servers[c->pin - 1].is_alive && !servers[c->pin - 1].is_drained)
			assert_int_equal(c->owner, c->pin);
		assert_int_equal(c->standby != 0, n_living > 1);
		if (c->standby != 0)
			assert_true(may_stand_by(c->standby, c->owner, n_good));
		if (c->standby != was->standby)
			assert_true(c->standby == was->owner ||
				    !may_stand_by(was->standby, c->owner, n_good));
		assert_int_equal(c->token.generation, was->token.generation + has_moved);
		assert_int_equal(c->token.epoch, has_moved ? epoch : was->token.epoch);
		n_moved += has_moved;
		n_standbys += !has_moved && c->standby != was->standby;
	}
	assert_int_equal(plan.n_moved, n_moved);
	assert_int_equal(plan.n_standbys, n_standbys);
	memcpy(before, cells, sizeof(cells));
	assert_int_equal(ownership_plan(cells, n_cells, servers, n_servers, epoch + 1, &plan), 0);
	assert_memory_equal(before, cells, sizeof(cells));
}

static void any_state_of_servers_and_pins_gives_a_plan_that_stays(void **state)
{
	setup(NULL);
	srand(3);
	for (uint64_t epoch = 1; epoch < 3000; epoch++) {
		uint32_t n_servers = 5, n_cells = 40;

		for (uint32_t i = 0; i < n_servers; i++) {
			servers[i].is_alive = rand() % 3 != 0;
			servers[i].is_drained = rand() % 3 == 0;
		}
		cells[rand() % n_cells].pin = (uint16_t)(rand() % (n_servers + 1));
		cells[rand() % n_cells].pin = 0;
		memcpy(before, cells, sizeof(cells));
		if (ownership_plan(cells, n_cells, servers, n_servers, epoch, &plan) == 0)
			assert_is_plan(n_cells, n_servers, epoch);
		else
			assert_memory_equal(before, cells, sizeof(cells));
	}
}

static void senseless_input_is_refused_and_changes_nothing(void **state)
{
	strcpy(cells[1].name, cells[0].name);
	assert_refused(2, 2, 1);
	strcpy(cells[1].name, "region-"); /* before its predecessor */
	assert_refused(2, 2, 1);
	memset(cells[1].name, 'x', sizeof(cells[1].name)); /* has no end */
	assert_refused(2, 2, 1);
	setup(NULL);
	cells[0].name[0] = '\0';
	assert_refused(2, 2, 1);
	setup(NULL);
	cells[1].weight = 0;
	assert_refused(2, 2, 1);
	setup(NULL);
	servers[1].weight = 0;
	assert_refused(2, 2, 1);
	setup(NULL);
	servers[1].id = servers[0].id;
	assert_refused(2, 2, 1);
	setup(NULL);
	servers[1].id = 0;
	assert_refused(2, 2, 1);
	setup(NULL);
	cells[1].token.epoch = 2;
	assert_refused(2, 2, 1);
	setup(NULL);
	assert_refused(2, SERVERS + 1, 1);
}

static void placement_does_not_depend_on_the_order_of_servers(void **state)
{
	ownership_plan(cells, 20, servers, 5, 1, &plan);
	memcpy(before, cells, sizeof(cells));
	setup(NULL);
	for (int i = 0; i < 5; i++)
		servers[i].id = 5 - i;
	ownership_plan(cells, 20, servers, 5, 1, &plan);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(cells[i].owner, before[i].owner);
		assert_int_equal(cells[i].standby, before[i].standby);
	}
}

int main(void)
{
#define T(test)	 cmocka_unit_test_setup(test, setup)
#define T3(test) cmocka_unit_test_setup(test, setup_three)
	const struct CMUnitTest tests[] = {
		T(every_cell_gets_a_living_owner_and_another_standby),
		T(load_stays_within_the_bound),
		T(load_follows_the_servers_weights),
		T(heavy_cells_are_spread_by_weight_not_by_number),
		T(a_new_plan_of_a_settled_map_changes_nothing),
		T(only_a_dead_servers_cells_move_and_they_go_to_their_standbys),
		T(a_cell_that_lost_owner_and_standby_goes_to_a_third_server),
		T(a_server_that_comes_gives_the_single_ones_cells_a_standby),
		T(an_owner_that_left_the_list_is_a_dead_one),
		T(without_a_living_server_nothing_changes),
		T3(a_drained_servers_cells_go_to_their_standbys),
		T3(a_server_that_is_no_longer_drained_gets_nothing_back_by_itself),
		T3(cells_whose_standby_is_drained_are_spread_when_their_owner_dies),
		T3(a_drained_server_stands_by_where_nobody_else_can),
		T3(where_all_are_drained_cells_stay_and_go_to_standbys_as_ever),
		T3(a_pinned_cell_goes_to_its_server_and_its_owner_stands_by),
		T3(a_pinned_cell_of_a_drained_owner_gets_a_standby_that_is_good),
		T3(a_pin_to_a_server_that_is_not_good_waits),
		T3(a_pinned_cell_leaves_a_dead_server_and_comes_back_to_it),
		T(any_state_of_servers_and_pins_gives_a_plan_that_stays),
		T(senseless_input_is_refused_and_changes_nothing),
		T(placement_does_not_depend_on_the_order_of_servers),
	};
#undef T
#undef T3
	return cmocka_run_group_tests(tests, NULL, NULL);
}
