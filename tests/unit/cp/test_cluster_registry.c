#include "tests/unit/cp/cluster_shell.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cp/registry/registry.h"

static const bool two_three[N + 1] = {false, false, true, true};
static const bool one_two[N + 1] = {false, true, true, false};

static void assert_begins(const char *line, const char *beginning)
{
	size_t n = strcspn(line, "\n");

	if (strncmp(line, beginning, strlen(beginning)) != 0)
		fail_msg("'%.*s' does not begin with '%s'", (int)n, line, beginning);
}

static unsigned long long value_in(const char *line, const char *word)
{
	const char *at = strstr(line, word);

	assert_non_null(at);
	return strtoull(at + strlen(word), NULL, 10);
}

static void a_committed_entry_survives_the_masters_kill_and_is_not_done_twice(void **state)
{
	const char *done;
	unsigned long long index;
	uint64_t epoch;

	(void)state;
	shell_start_all("deaf");
	epoch = servers[1].epoch;
	done = shell_command(1, "r1", "drain r1 3 1");
	assert_begins(done, "refused=0 ");
	index = value_in(done, "index=");
	shell_kill(1);
	/* Server 3 is all that can stand by, and nothing else is left for it. */
	UNTIL(is_led_by(2) && servers[2].n_cells == REGIONS && servers[2].epoch > epoch &&
	      cell_of(2, "east")->owner == 2 && cell_of(2, "zenith")->owner == 2);
	assert_int_equal(shell_status(2, "drained"), 1); /* "001" */
	done = shell_command(2, "r1", "drain r1 3 1");
	assert_begins(done, "refused=0 repeat=1 ");
	assert_int_equal(value_in(done, "index="), index);
}

static void only_the_acting_master_takes_commands(void **state)
{
	(void)state;
	shell_start_all("deaf");
	assert_begins(shell_try(2, "r1", "drain r1 3 1"), "err=Resource temporarily unavailable");
	assert_begins(shell_command(1, "r2", "drain r2 3 1"), "refused=0");
	/* One that makes no sense is refused, and stays refused. */
	assert_begins(shell_command(1, "r3", "move r3 nobody north"), "refused=1 ");
	assert_begins(shell_command(1, "r3", "move r3 nobody north"), "refused=1 repeat=1");
}

static void a_command_of_a_master_that_lost_the_others_is_not_known_to_be_done(void **state)
{
	(void)state;
	shell_start_all("deaf");
	shell_kill(2);
	shell_kill(3);
	/* It was put as long as the lease ran, or refused when that was over. */
	assert_begins(shell_try(1, "r1", "drain r1 3 1"), "err=");
	assert_int_equal(shell_status(1, "drained"), 0);
}

static void a_server_that_was_away_catches_up_by_entries(void **state)
{
	unsigned long long applied;

	(void)state;
	shell_start_all("deaf");
	shell_kill(3);
	for (int i = 0; i < 5; i++) {
		char id[8];

		snprintf(id, sizeof(id), "r%d", i);
		assert_begins(shell_command(1, id, "put %s %d new%d south", id, 100 + i, i),
			      "refused=0");
	}
	applied = shell_status(1, "applied");
	shell_start(3, "deaf");
	UNTIL(shell_status(3, "applied") >= applied);
	assert_int_equal(shell_status(3, "elements"), 2 * REGIONS + 5);
	assert_int_equal(shell_status(3, "has_first"), 1);
}

static void one_with_an_empty_disk_catches_up_by_a_snapshot(void **state)
{
	struct server was;
	char path[128];

	(void)state;
	shell_start_all("deaf");
	assert_begins(shell_command(1, "r1", "put r1 100 new south"), "refused=0");
	/* Until the log is compacted. */
	for (uint32_t n = 0; shell_status(1, "has_first") != 0; n++) {
		UNTIL(is_leading(1));
		shell_say(1, "many 5000");
		UNTIL(shell_count(1, "many done") == n + 1);
	}
	shell_kill(3);
	snprintf(path, sizeof(path), "%s/state3/data.mdb", dir);
	assert_int_equal(unlink(path), 0);
	UNTIL(seen_by(1, 3).state == FEDMEM_SERVER_FAILED && is_owned_by(one_two));
	was = servers[1];
	servers[3].epoch = 0; /* it forgot */
	shell_start(3, "deaf");
	UNTIL(shell_status(3, "applied") >= REGISTRY_LOG_KEPT &&
	      shell_status(3, "rebuilding") == 0);
	assert_int_equal(shell_status(3, "elements"), 2 * REGIONS + 1);
	assert_int_equal(shell_status(3, "has_first"), 0);
	UNTIL(is_led_by(1) && is_owned_by(all_live));
	for (uint32_t k = 0; k < was.n_cells; k++)
		assert_true(fedmem_token_equal(cell_of(3, was.cells[k].name)->token,
					       was.cells[k].token));
	/* It counts again: with it, without another, there is a majority. */
	shell_kill(2);
	assert_begins(shell_command(1, "r2", "drain r2 2 1"), "refused=0");
}

static void the_inventory_outlives_all_servers_and_a_changed_file_changes_nothing(void **state)
{
	unsigned long long applied;
	struct fedmem_element e;
	uint32_t slot;

	(void)state;
	shell_start_all("deaf");
	assert_begins(shell_command(1, "r1", "put r1 100 new south"), "refused=0");
	assert_begins(shell_command(1, "r2", "move r2 e3 west"), "refused=0");
	applied = shell_status(1, "applied");
	for (int i = 1; i <= N; i++)
		shell_kill(i);
	file_write("inventory.yaml",
		   "elements:\n"
		   "  - {id: 1, name: e1, address: 10.9.0.1, kind: router, region: abyss}\n"
		   "  - {id: 99, name: e99, address: 10.9.0.99, kind: router, region: abyss}\n");
	for (int i = 1; i <= N; i++)
		shell_start(i, "deaf");
	for (int i = 1; i <= N; i++)
		UNTIL(shell_status(i, "applied") > applied);
	for (int i = 1; i <= N; i++)
		assert_int_equal(shell_status(i, "elements"), 2 * REGIONS + 1);
	UNTIL(is_led_by(1) && is_owned_by(all_live));
	assert_null(cell_of(1, "abyss"));
	for (uint64_t id = 1; id <= 2 * REGIONS; id++) {
		static const char *const regions[REGIONS] = {"east", "north", "south",
							     "up",   "west",  "zenith"};

		assert_int_equal(fedmem_find_by_id(servers[2].fm, id, &slot), 0);
		assert_int_equal(fedmem_element_get(servers[2].fm, slot, &e), 0);
		assert_string_equal(servers[2].cells[e.cell].name,
				    id == 3 ? "west" : regions[(id - 1) / 2]);
	}
}

static void a_drained_servers_cells_move_and_do_not_come_back_by_themselves(void **state)
{
	struct server was;

	(void)state;
	shell_start_all("deaf");
	assert_begins(shell_command(1, "r1", "drain r1 3 1"), "refused=0");
	UNTIL(is_owned_by(one_two));
	was = servers[1];
	assert_begins(shell_command(1, "r2", "drain r2 3 0"), "refused=0");
	assert_begins(shell_command(1, "r3", "drain r3 3 0"), "refused=0 ");
	UNTIL(shell_status(3, "applied") >= shell_status(1, "applied"));
	look();
	for (uint32_t k = 0; k < was.n_cells; k++)
		assert_int_equal(cell_of(3, was.cells[k].name)->owner, was.cells[k].owner);
}

static void a_pinned_cell_goes_to_its_server(void **state)
{
	(void)state;
	shell_start_all("deaf");
	for (uint16_t to = 1; to <= N; to++) {
		char id[8];

		snprintf(id, sizeof(id), "r%u", to);
		assert_begins(shell_command(1, id, "pin %s north %u", id, to), "refused=0");
		UNTIL(is_owned_by(all_live) && cell_of(1, "north")->owner == to);
	}
}

/* cells_max is 16 here, elements_max 64; 6 and 12 are there. */
static void what_the_data_plane_has_no_room_for_is_not_put_into_the_log(void **state)
{
	uint32_t n = 2 * REGIONS, cells = REGIONS;
	char id[16];

	(void)state;
	shell_start_all("deaf");
	for (; n < 64; n++) {
		snprintf(id, sizeof(id), "r%u", n);
		if (cells < CELLS_MAX)
			assert_begins(
				shell_command(1, id, "put %s %u n%u c%u", id, 100 + n, n, cells++),
				"refused=0");
		else
			assert_begins(shell_command(1, id, "put %s %u n%u south", id, 100 + n, n),
				      "refused=0");
		if (cells == CELLS_MAX)
			assert_begins(shell_try(1, "more", "move more n%u another", n),
				      "err=Disk quota exceeded");
	}
	assert_begins(shell_try(1, "full", "put full 500 late south"), "err=Disk quota exceeded");
	/* What is there may change. */
	assert_begins(shell_command(1, "moved", "move moved n%u west", n - 1), "refused=0");
	assert_begins(shell_command(1, "same", "put same %u again south", 100 + n - 1),
		      "refused=0");
	assert_int_equal(shell_status(1, "elements"), 64);
	assert_int_equal(shell_status(1, "cells"), CELLS_MAX);
	UNTIL(servers[1].n_cells == CELLS_MAX && servers[2].n_cells == CELLS_MAX &&
	      servers[3].n_cells == CELLS_MAX);
}

/* ---- The listener ---- */

static uint32_t restoring_at(int i)
{
	struct fedmem_cell cells[CELLS_MAX];
	uint32_t n, version, n_restoring = 0;

	assert_int_equal(fedmem_cells_get(servers[i].fm, cells, CELLS_MAX, &n, &version), 0);
	for (uint32_t k = 0; k < n; k++) {
		assert_true(cells[k].is_restoring == 0 || cells[k].owner == i);
		n_restoring += cells[k].is_restoring != 0;
	}
	return n_restoring;
}

static uint32_t owned_by(int i)
{
	uint32_t n = 0;

	for (uint32_t k = 0; k < servers[i].n_cells; k++)
		n += servers[i].cells[k].owner == i;
	return n;
}

static void restore_all(int i)
{
	for (uint32_t k = 0; k < servers[i].n_cells; k++) {
		const struct cell *cell = &servers[i].cells[k];

		if (cell->owner == i)
			shell_say(i, "restored %s %llu %llu", cell->name,
				  (unsigned long long)cell->token.epoch,
				  (unsigned long long)cell->token.generation);
	}
	UNTIL(restoring_at(i) == 0);
}

static void a_gained_cell_is_held_back_until_it_is_restored_under_its_token(void **state)
{
	const struct cell *mine = NULL;

	(void)state;
	shell_start_all("listen");
	UNTIL(shell_count(2, "gained ") == owned_by(2) && restoring_at(2) == owned_by(2));
	for (uint32_t k = 0; k < servers[2].n_cells; k++)
		if (servers[2].cells[k].owner == 2)
			mine = &servers[2].cells[k];
	assert_non_null(mine);
	shell_say(2, "restored %s %llu %llu", mine->name, (unsigned long long)mine->token.epoch,
		  (unsigned long long)mine->token.generation + 1);
	shell_heard(2, "ok");
	assert_int_equal(restoring_at(2), owned_by(2));
	restore_all(2);

	/* A restart finds in the segment that nothing is missing; a new segment lacks everything.
	 */
	stop(2, SIGKILL);
	shell_start(2, "listen");
	shell_heard(2, "ready");
	assert_int_equal(shell_status(2, "cells"), REGIONS);
	assert_int_equal(shell_count(2, "gained "), 0);
	assert_int_equal(restoring_at(2), 0);
}

static void a_cell_that_was_not_restored_before_a_restart_is_gained_again(void **state)
{
	char wanted[64];

	(void)state;
	shell_start_all("listen");
	UNTIL(shell_count(3, "gained ") == owned_by(3) && restoring_at(3) == owned_by(3));
	stop(3, SIGKILL);
	shell_start(3, "listen");
	shell_heard(3, "ready");
	assert_int_equal(shell_count(3, "gained "), owned_by(3));
	for (uint32_t k = 0; k < servers[3].n_cells; k++)
		if (servers[3].cells[k].owner == 3) {
			snprintf(wanted, sizeof(wanted), "gained %s element=0 was=3 ",
				 servers[3].cells[k].name);
			assert_true(shell_has_said(3, wanted));
		}
	restore_all(3);
}

/* All that ever was is in the entries that it gets. */
static void a_server_that_catches_up_from_nothing_gains_nothing_that_is_not_its_own(void **state)
{
	char path[128];

	(void)state;
	shell_start_all("restore");
	UNTIL(restoring_at(3) == 0);
	shell_kill(3);
	snprintf(path, sizeof(path), "%s/state3/data.mdb", dir);
	assert_int_equal(unlink(path), 0);
	UNTIL(seen_by(1, 3).state == FEDMEM_SERVER_FAILED && is_owned_by(one_two));
	servers[3].epoch = 0; /* it forgot */
	shell_start(3, "restore");
	UNTIL(is_led_by(1) && is_owned_by(one_two) && shell_status(3, "cells") == REGIONS);
	assert_int_equal(shell_status(3, "has_first"), 1);
	assert_int_equal(shell_count(3, "gained "), 0);
}

static void who_takes_over_hears_from_whom(void **state)
{
	struct server was;
	char wanted[64];

	(void)state;
	shell_start_all("restore");
	UNTIL(restoring_at(1) + restoring_at(2) + restoring_at(3) == 0);
	was = servers[1];
	shell_kill(1);
	UNTIL(is_led_by(2) && is_owned_by(two_three));
	for (uint32_t k = 0; k < was.n_cells; k++) {
		const struct cell *cell = &was.cells[k];

		if (cell->owner != 1)
			continue;
		snprintf(wanted, sizeof(wanted), "gained %s element=0 was=1 ", cell->name);
		shell_heard(cell_of(2, cell->name)->owner, wanted);
	}
	UNTIL(restoring_at(2) + restoring_at(3) == 0);
}

static void an_element_that_moves_is_gained_by_the_owner_of_its_new_cell(void **state)
{
	uint16_t from, to;
	char wanted[64];

	(void)state;
	shell_start_all("restore");
	from = cell_of(1, "east")->owner;
	to = cell_of(1, "west")->owner;
	assert_begins(shell_command(1, "r1", "move r1 e1 west"), "refused=0");
	snprintf(wanted, sizeof(wanted), "gained west element=1 was=%u ", from);
	shell_heard(to, wanted);
	/* Into a cell that there was not: whoever gets it. */
	assert_begins(shell_command(1, "r2", "move r2 e2 fresh"), "refused=0");
	UNTIL(cell_of(1, "fresh") != NULL && cell_of(1, "fresh")->owner != 0);
	snprintf(wanted, sizeof(wanted), "gained fresh element=2 was=%u ", from);
	shell_heard(cell_of(1, "fresh")->owner, wanted);
	UNTIL(cell_of(2, "fresh") != NULL && cell_of(3, "fresh") != NULL &&
	      restoring_at(1) + restoring_at(2) + restoring_at(3) == 0);
	assert_null(cell_of(1, "east"));
}

static void every_server_tells_the_same_story_once(void **state)
{
	static const char *const told[] = {"event master ", "event elements_imported ",
					   "event cell_moved ", "event server_failed ",
					   "event server_drained "};

	(void)state;
	shell_start_all("restore");
	shell_kill(3);
	UNTIL(seen_by(1, 3).state == FEDMEM_SERVER_FAILED && is_owned_by(one_two));
	assert_begins(shell_command(1, "r1", "drain r1 3 1"), "refused=0");
	shell_heard(1, "event server_failed server=3 ");
	UNTIL(shell_status(2, "applied") == shell_status(1, "applied"));
	assert_int_equal(shell_count(1, "event server_failed "), 1);
	for (size_t k = 0; k < sizeof(told) / sizeof(told[0]); k++) {
		assert_int_equal(shell_count(1, told[k]), shell_count(2, told[k]));
		assert_string_not_equal("", shell_heard(2, told[k]));
	}
	/* Another master does not say again what one said. */
	shell_start(3, "restore");
	shell_heard(2, "event server_back server=3 ");
	shell_kill(3);
	shell_start(3, "restore");
	shell_kill(1);
	UNTIL(is_led_by(2) && is_owned_by(two_three));
	shell_start(1, "restore");
	shell_heard(2, "event server_back server=1 ");
	UNTIL(is_led_by(1));
	assert_int_equal(shell_count(2, "event server_failed server=1 "), 1);
	assert_int_equal(shell_count(2, "event server_back server=1 "), 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, cluster_set_up, shell_tear_down)
	const struct CMUnitTest tests[] = {
		T(a_committed_entry_survives_the_masters_kill_and_is_not_done_twice),
		T(only_the_acting_master_takes_commands),
		T(a_command_of_a_master_that_lost_the_others_is_not_known_to_be_done),
		T(a_server_that_was_away_catches_up_by_entries),
		T(one_with_an_empty_disk_catches_up_by_a_snapshot),
		T(the_inventory_outlives_all_servers_and_a_changed_file_changes_nothing),
		T(a_drained_servers_cells_move_and_do_not_come_back_by_themselves),
		T(a_pinned_cell_goes_to_its_server),
		T(what_the_data_plane_has_no_room_for_is_not_put_into_the_log),
		T(a_gained_cell_is_held_back_until_it_is_restored_under_its_token),
		T(a_cell_that_was_not_restored_before_a_restart_is_gained_again),
		T(a_server_that_catches_up_from_nothing_gains_nothing_that_is_not_its_own),
		T(who_takes_over_hears_from_whom),
		T(an_element_that_moves_is_gained_by_the_owner_of_its_new_cell),
		T(every_server_tells_the_same_story_once),
	};

	return cmocka_run_group_tests_name("cluster_registry", tests, NULL, NULL);
}
