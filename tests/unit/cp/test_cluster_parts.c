#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cp/cluster/cellmap.h"
#include "cp/cluster/neighbour.h"
#include "cp/cluster/tail.h"

static struct ownership_cell held_cells[] = {
	{.name = "east", .weight = 7, .owner = 1, .standby = 2, .token = {3, 4}},
	{.name = "gone", .weight = 7, .owner = 2, .standby = 1, .token = {3, 5}},
	{.name = "west", .weight = 1, .owner = 3, .standby = 1, .token = {2, 1}},
};
static const struct ownership_map held = {
	.epoch = 3, .version = 9, .cells = held_cells, .n_cells = 3};

static void a_copied_map_is_found_in_and_outlives_its_original(void **state)
{
	struct ownership_map copy = {0}, nothing = {0};
	char long_name[64];

	(void)state;
	assert_int_equal(cellmap_copy(&copy, &held), 0);
	assert_int_equal(copy.epoch, 3);
	assert_int_equal(copy.version, 9);
	for (uint32_t i = 0; i < 3; i++) {
		const struct ownership_cell *cell = cellmap_find(&copy, held_cells[i].name);

		assert_ptr_equal(cell, &copy.cells[i]);
		assert_true(cellmap_is_same_row(cell, &held_cells[i]));
	}
	memset(long_name, 'e', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	assert_null(cellmap_find(&copy, long_name));
	assert_null(cellmap_find(&copy, "fast"));
	assert_null(cellmap_find(&nothing, "east"));
	cellmap_fini(&copy);
	assert_int_equal(cellmap_copy(&copy, &nothing), 0);
	assert_int_equal(copy.n_cells, 0);
	cellmap_fini(&copy);
}

static void any_difference_between_rows_is_seen(void **state)
{
	struct ownership_cell other = held_cells[1];

	(void)state;
	assert_true(cellmap_is_same_row(&other, &held_cells[1]));
	other.weight++;
	assert_true(cellmap_is_same_row(&other, &held_cells[1]));
	other.standby = 3;
	assert_false(cellmap_is_same_row(&other, &held_cells[1]));
	other = held_cells[1];
	other.token.generation++;
	assert_false(cellmap_is_same_row(&other, &held_cells[1]));
	other = held_cells[1];
	other.owner = 3;
	assert_false(cellmap_is_same_row(&other, &held_cells[1]));
}

static void push(struct tail *t, uint64_t epoch, const char *text)
{
	assert_int_equal(tail_push(t, epoch, (const uint8_t *)text, strlen(text)), 0);
}

static void the_tail_of_the_log_gives_up_from_the_end_and_drops_from_the_front(void **state)
{
	struct tail t;

	(void)state;
	tail_init(&t, 5);
	assert_null(tail_find(&t, 5));
	for (uint64_t i = 5; i < 205; i++)
		push(&t, i, i == 100 ? "" : "entry");
	assert_int_equal(tail_find(&t, 100)->n, 0);
	assert_int_equal(tail_find(&t, 204)->epoch, 204);
	assert_null(tail_find(&t, 205));
	assert_null(tail_find(&t, 4));
	tail_give_up(&t, 150);
	assert_null(tail_find(&t, 150));
	push(&t, 999, "another");
	assert_int_equal(tail_find(&t, 150)->epoch, 999);
	tail_drop(&t, 149);
	assert_null(tail_find(&t, 148));
	assert_int_equal(tail_find(&t, 149)->epoch, 149);
	assert_memory_equal(tail_find(&t, 150)->bytes, "another", 7);
	/* What is given up may have left before: the next one takes its place. */
	tail_give_up(&t, 120);
	push(&t, 7, "x");
	assert_int_equal(tail_find(&t, 120)->epoch, 7);
	tail_drop(&t, 1000);
	assert_int_equal(t.n, 0);
	tail_fini(&t);
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
		cmocka_unit_test(a_copied_map_is_found_in_and_outlives_its_original),
		cmocka_unit_test(any_difference_between_rows_is_seen),
		cmocka_unit_test(
			the_tail_of_the_log_gives_up_from_the_end_and_drops_from_the_front),
		cmocka_unit_test(neighbours_are_as_the_kernel_knows_them),
	};

	return cmocka_run_group_tests_name("cluster_parts", tests, NULL, NULL);
}
