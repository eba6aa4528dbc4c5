#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cp/cluster/cellmap.h"
#include "cp/cluster/neighbour.h"

static struct conf_element elements[] = {
	{.id = 1, .region = "north"}, {.id = 2, .region = "east"},  {.id = 3, .region = "north"},
	{.id = 4, .region = "west"},  {.id = 5, .region = "north"},
};
static const struct conf_inventory inventory = {elements, 5};
static struct ownership_cell held_cells[] = {
	{.name = "east", .weight = 7, .owner = 1, .standby = 2, .token = {3, 4}},
	{.name = "gone", .weight = 7, .owner = 2, .standby = 1, .token = {3, 5}},
	{.name = "west", .weight = 1, .owner = 3, .standby = 1, .token = {2, 1}},
};
static const struct ownership_map held = {
	.epoch = 3, .version = 9, .cells = held_cells, .n_cells = 3};

static void regions_make_cells_in_the_order_of_their_names(void **state)
{
	struct ownership_map regions = {0};

	(void)state;
	assert_int_equal(cellmap_from_inventory(&regions, &inventory), 0);
	assert_int_equal(regions.n_cells, 3);
	assert_string_equal(regions.cells[0].name, "east");
	assert_string_equal(regions.cells[1].name, "north");
	assert_string_equal(regions.cells[2].name, "west");
	assert_int_equal(regions.cells[1].weight, 3);
	assert_int_equal(regions.cells[1].owner, 0);
	cellmap_fini(&regions);
}

static void an_empty_inventory_makes_an_empty_map(void **state)
{
	const struct conf_inventory nothing = {0};
	struct ownership_map regions = {0}, copy = {0};

	(void)state;
	assert_int_equal(cellmap_from_inventory(&regions, &nothing), 0);
	assert_int_equal(regions.n_cells, 0);
	assert_null(cellmap_find(&regions, "north"));
	assert_int_equal(cellmap_copy(&copy, &regions), 0);
	assert_true(cellmap_is_same(&copy, &regions));
	cellmap_fini(&copy);
	cellmap_fini(&regions);
}

static void merging_keeps_owners_and_takes_weights(void **state)
{
	struct ownership_map regions = {0}, merged = {0};

	(void)state;
	assert_int_equal(cellmap_from_inventory(&regions, &inventory), 0);
	assert_int_equal(cellmap_merge(&merged, &regions, &held), 0);
	assert_int_equal(merged.n_cells, 3);
	assert_int_equal(merged.version, 9);
	assert_int_equal(merged.cells[0].owner, 1);
	assert_int_equal(merged.cells[0].token.generation, 4);
	assert_int_equal(merged.cells[0].weight, 1);
	assert_int_equal(merged.cells[1].owner, 0);
	assert_int_equal(merged.cells[1].token.generation, 0);
	assert_int_equal(merged.cells[2].owner, 3);
	assert_null(cellmap_find(&merged, "gone"));
	cellmap_fini(&merged);
	cellmap_fini(&regions);
}

static void any_difference_between_cells_is_seen(void **state)
{
	struct ownership_map other = {0};

	(void)state;
	assert_int_equal(cellmap_copy(&other, &held), 0);
	assert_true(cellmap_is_same(&other, &held));
	other.cells[1].standby = 3;
	assert_false(cellmap_is_same(&other, &held));
	other.cells[1] = held.cells[1];
	other.cells[2].token.generation++;
	assert_false(cellmap_is_same(&other, &held));
	assert_true(cellmap_has_same_names(&other, &held));
	other.cells[2].name[0] = 'x';
	assert_false(cellmap_has_same_names(&other, &held));
	cellmap_fini(&other);
}

static void positions_are_ordered_by_epoch_and_then_version(void **state)
{
	(void)state;
	assert_true(cellmap_position_compare((struct election_position){1, 9},
					     (struct election_position){2, 1}) < 0);
	assert_true(cellmap_position_compare((struct election_position){2, 2},
					     (struct election_position){2, 1}) > 0);
	assert_int_equal(cellmap_position_compare((struct election_position){2, 2},
						  (struct election_position){2, 2}),
			 0);
}

static void a_packed_map_comes_back_whole_and_a_damaged_one_does_not(void **state)
{
	struct ownership_map back = {0};
	struct wire_bytes bytes;

	(void)state;
	assert_int_equal(cellmap_pack(&bytes, &held, 1), 0);
	assert_int_equal(cellmap_unpack(&back, bytes.bytes, bytes.n), 0);
	assert_int_equal(back.epoch, 3);
	assert_int_equal(back.version, 9);
	assert_true(cellmap_is_same(&back, &held));
	cellmap_fini(&back);
	for (size_t n = 0; n < bytes.n; n++)
		if (cellmap_unpack(&back, bytes.bytes, n) == 0) {
			assert_false(cellmap_is_same(&back, &held));
			cellmap_fini(&back);
		}
	wire_bytes_free(&bytes);
}

static void cells_out_of_order_are_no_map(void **state)
{
	struct ownership_map out = {0};
	struct wire_cell cells[2] = {{.name = "b"}, {.name = "a"}};
	struct wire_map_proposal p = {.epoch = 1, .version = 1, .cells = cells, .n_cells = 2};

	(void)state;
	assert_int_equal(cellmap_from_wire(&out, &p), -EBADMSG);
	cells[1].name = "b";
	assert_int_equal(cellmap_from_wire(&out, &p), -EBADMSG);
	cells[1].name = "c";
	assert_int_equal(cellmap_from_wire(&out, &p), 0);
	cellmap_fini(&out);
}

/* In a network of its own, which ends with this process. */
static int neighbours_in_child(void)
{
	struct neighbour n[3] = {
		{.address = {{[10] = 0xff, 0xff, 10, 90, 0, 2}}},
		{.address = {{0x20, 0x01, 0x0d, 0xb8, [15] = 2}}},
		{.address = {{[10] = 0xff, 0xff, 10, 90, 0, 3}}, .is_known = true},
	};
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 5}, mac6[6] = {2, 0, 0, 0, 0, 6};
	int fd;

	if (unshare(CLONE_NEWNET) != 0 ||
	    system("ip link add d0 type veth peer name d1 && ip link set d0 up && "
		   "ip addr add 10.90.0.1/24 dev d0 && ip -6 addr add 2001:db8::1/64 dev d0 && "
		   "ip neigh add 10.90.0.2 lladdr 02:00:00:00:00:05 dev d0 && "
		   "ip neigh add 2001:db8::2 lladdr 02:00:00:00:00:06 dev d0") != 0)
		return 77;
	fd = neighbour_open();
	if (fd < 0 || neighbour_refresh(fd, n, 3) != 0)
		return 1;
	if (!n[0].is_known || memcmp(n[0].mac, mac, 6) != 0)
		return 2;
	if (!n[1].is_known || memcmp(n[1].mac, mac6, 6) != 0)
		return 3;
	if (n[2].is_known) /* what the kernel forgot is not kept */
		return 4;
	if (system("ip neigh del 10.90.0.2 dev d0") != 0 || neighbour_refresh(fd, n, 3) != 0)
		return 5;
	return n[0].is_known || !n[1].is_known ? 6 : 0;
}

static void neighbours_are_as_the_kernel_knows_them(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	assert_true(child >= 0);
	if (child == 0)
		_exit(neighbours_in_child());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("# skipped: no network namespace of its own to be had here\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(regions_make_cells_in_the_order_of_their_names),
		cmocka_unit_test(an_empty_inventory_makes_an_empty_map),
		cmocka_unit_test(merging_keeps_owners_and_takes_weights),
		cmocka_unit_test(any_difference_between_cells_is_seen),
		cmocka_unit_test(positions_are_ordered_by_epoch_and_then_version),
		cmocka_unit_test(a_packed_map_comes_back_whole_and_a_damaged_one_does_not),
		cmocka_unit_test(cells_out_of_order_are_no_map),
		cmocka_unit_test(neighbours_are_as_the_kernel_knows_them),
	};

	return cmocka_run_group_tests_name("cluster_map", tests, NULL, NULL);
}
