#include "tests/unit/cp/cluster_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Of the cells as they were: those of 'lost' moved, all others kept owner and token. */
static void assert_only_these_moved(const struct server *was, uint16_t lost, int seen_at)
{
	for (uint32_t k = 0; k < was->n_cells; k++) {
		const struct cell *old = &was->cells[k], *now = cell_of(seen_at, old->name);

		assert_non_null(now);
		if (old->owner == lost) {
			assert_int_not_equal(now->owner, lost);
			assert_true(fedmem_token_compare(now->token, old->token) > 0);
		} else {
			assert_int_equal(now->owner, old->owner);
			assert_true(fedmem_token_equal(now->token, old->token));
		}
	}
}

static void the_best_ranked_server_leads_and_every_cell_is_owned(void **state)
{
	uint32_t n_of[N + 1] = {0};

	(void)state;
	start_all();
	for (uint32_t k = 0; k < REGIONS; k++)
		n_of[servers[1].cells[k].owner]++;
	for (int i = 1; i <= N; i++)
		assert_in_range(n_of[i], 1, 3); /* a bound of 1.25 x mean, in whole cells */
	/* The data plane's view: each element lies in the cell of its region, and the lease runs.
	 */
	for (int i = 1; i <= N; i++) {
		struct fedmem_element e;
		uint32_t slot;

		assert_int_equal(fedmem_find_by_id(servers[i].fm, 3, &slot), 0);
		assert_int_equal(fedmem_element_get(servers[i].fm, slot, &e), 0);
		assert_string_equal(servers[i].cells[e.cell].name, "north");
		assert_true(fedmem_lease_until(servers[i].fm) != 0);
	}
	for (int i = 1; i <= N; i++)
		stop(i, SIGTERM);
}

static void a_killed_masters_cells_move_and_no_others(void **state)
{
	static const bool two_three[N + 1] = {false, false, true, true};
	struct server was;
	uint64_t epoch;

	(void)state;
	start_all();
	was = servers[1];
	epoch = servers[1].epoch;
	stop(1, SIGKILL);
	UNTIL(is_led_by(2) && is_owned_by(two_three));
	assert_true(servers[2].epoch > epoch);
	assert_only_these_moved(&was, 1, 2);

	/* It comes back, follows, and leads again after its hold-down; nothing moves back by
	 * itself. */
	epoch = servers[2].epoch;
	was = servers[2];
	start(1);
	UNTIL(is_led_by(1) && is_owned_by(all_live));
	assert_true(servers[1].epoch > epoch);
	assert_only_these_moved(&was, 0, 1);
}

static void a_silent_data_plane_costs_its_server_the_cells(void **state)
{
	static const bool one_two[N + 1] = {false, true, true, false};
	struct server was;

	(void)state;
	start_all();
	was = servers[1];
	servers[3].is_dp_silent = true;
	UNTIL(is_led_by(1) && is_owned_by(one_two));
	assert_only_these_moved(&was, 3, 1);
	servers[3].is_dp_silent = false;
}

static void without_a_majority_nothing_is_reassigned(void **state)
{
	struct server was;

	(void)state;
	start_all();
	was = servers[1];
	stop(2, SIGKILL);
	stop(3, SIGKILL);
	UNTIL(!is_leading(1) && seen_by(1, 2).state == FEDMEM_SERVER_FAILED &&
	      seen_by(1, 3).state == FEDMEM_SERVER_FAILED);
	/* It may have moved the cells of the first before the second was gone, not those of both.
	 */
	for (uint32_t k = 0; k < was.n_cells; k++)
		if (was.cells[k].owner == 3)
			assert_int_not_equal(cell_of(1, was.cells[k].name)->owner, 1);
	start(3);
	UNTIL(is_led_by(1) && seen_by(1, 3).state == FEDMEM_SERVER_ALIVE);
	start(2);
	UNTIL(is_led_by(1) && is_owned_by(all_live));
}

static void a_stopped_master_that_goes_on_finds_its_cells_gone(void **state)
{
	static const bool two_three[N + 1] = {false, false, true, true};
	pid_t pid;

	(void)state;
	start_all();
	pid = servers[1].pid;
	assert_int_equal(kill(pid, SIGSTOP), 0);
	servers[1].pid = 0; /* for who asks what runs */
	UNTIL(is_led_by(2) && is_owned_by(two_three));
	assert_int_equal(kill(pid, SIGCONT), 0);
	servers[1].pid = pid;
	UNTIL(is_led_by(1) && is_owned_by(all_live));
	for (uint32_t k = 0; k < REGIONS; k++)
		assert_int_not_equal(servers[1].cells[k].owner, 1);
}

static void the_map_outlives_the_kill_of_all_servers(void **state)
{
	struct server was;

	(void)state;
	start_all();
	was = servers[1];
	for (int i = 1; i <= N; i++)
		stop(i, SIGKILL);
	for (int i = 1; i <= N; i++)
		start(i);
	UNTIL(is_led_by(1) && is_owned_by(all_live) && servers[1].epoch > was.epoch);
	assert_only_these_moved(&was, 0, 1);
}

static void a_server_that_lost_its_state_is_taken_back(void **state)
{
	char path[128];

	(void)state;
	start_all();
	stop(3, SIGKILL);
	snprintf(path, sizeof(path), "%s/state3/data.mdb", dir);
	assert_int_equal(unlink(path), 0);
	UNTIL(seen_by(1, 3).state == FEDMEM_SERVER_FAILED);
	servers[3].epoch = 0; /* it forgot */
	start(3);
	UNTIL(is_led_by(1) && seen_by(1, 3).state == FEDMEM_SERVER_ALIVE && is_owned_by(all_live));
}

static char *state_read(int i, size_t *n)
{
	char path[128], *bytes;
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/state%d/data.mdb", dir, i);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	bytes = malloc((size_t)st.st_size);
	assert_non_null(bytes);
	assert_int_equal(read(fd, bytes, (size_t)st.st_size), st.st_size);
	close(fd);
	*n = (size_t)st.st_size;
	return bytes;
}

static void state_write(int i, const char *bytes, size_t n)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/state%d/data.mdb", dir, i);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	close(fd);
}

static bool is_there(int i, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/state%d/%s", dir, i, name);
	return access(path, F_OK) == 0;
}

static bool has_on_disk(int i, const char *text)
{
	size_t n;
	char *bytes = state_read(i, &n);
	bool has = memmem(bytes, n, text, strlen(text)) != NULL;

	free(bytes);
	return has;
}

/* Starts it on what is left of its store: it comes back with what the others know. */
static void assert_filled_again(int i, const char *name, const struct server *was)
{
	servers[i].epoch = 0; /* it forgot */
	start(i);
	UNTIL(is_there(i, name));
	UNTIL(is_there(i, "data.mdb") && has_on_disk(i, "router"));
	UNTIL(is_led_by(1) && is_owned_by(all_live));
	/* Its own may have moved meanwhile, or not. */
	for (uint32_t k = 0; k < was->n_cells; k++)
		if (was->cells[k].owner != i)
			assert_true(fedmem_token_equal(cell_of(i, was->cells[k].name)->token,
						       was->cells[k].token));
}

static void a_damaged_store_is_set_aside_by_name_and_filled_again(void **state)
{
	struct server was;
	char *bytes;
	size_t n;

	(void)state;
	start_all();
	was = servers[1];
	stop(3, SIGTERM);
	bytes = state_read(3, &n);
	/* A record: its checksum is wrong. */
	for (size_t at = 0; at + 6 <= n; at++)
		if (memcmp(bytes + at, "router", 6) == 0)
			bytes[at] = 'R';
	state_write(3, bytes, n);
	assert_filled_again(3, "data.mdb.damaged.1", &was);

	/* The file itself: no page of it is one. */
	was = servers[1];
	stop(3, SIGKILL);
	UNTIL(seen_by(1, 3).state == FEDMEM_SERVER_FAILED);
	memset(bytes, 0xa5, n < 65536 ? n : 65536);
	state_write(3, bytes, n);
	free(bytes);
	assert_filled_again(3, "data.mdb.damaged.2", &was);
}

static void relay_boots_rise_with_every_start_of_a_data_plane(void **state)
{
	uint32_t boot, n_looks, n_repaired;

	(void)state;
	start_all();
	UNTIL(fedmem_relay_boot_met(servers[1].fm) == fedmem_relay_boot_wanted(servers[1].fm) &&
	      seen_by(1, 2).relay_boot_tx != 0 &&
	      seen_by(2, 1).relay_boot_rx == seen_by(1, 2).relay_boot_tx);
	assert_memory_equal(seen_by(1, 2).relay_key_tx, seen_by(2, 1).relay_key_rx,
			    FEDMEM_KEY_BYTES);
	boot = seen_by(1, 2).relay_boot_tx;
	servers[1].is_dp_silent = true;
	n_looks = servers[1].n_dp_looks;
	UNTIL(servers[1].n_dp_looks >= n_looks + 2); /* it is not inside the writer any more */
	fedmem_writer_close(servers[1].writer);
	assert_int_equal(fedmem_writer_open(&servers[1].writer, servers[1].fm, &n_repaired), 0);
	servers[1].is_dp_silent = false;
	UNTIL(fedmem_relay_boot_met(servers[1].fm) == fedmem_relay_boot_wanted(servers[1].fm) &&
	      seen_by(2, 1).relay_boot_rx > boot);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, cluster_set_up, cluster_tear_down)
	const struct CMUnitTest tests[] = {
		T(the_best_ranked_server_leads_and_every_cell_is_owned),
		T(a_killed_masters_cells_move_and_no_others),
		T(a_silent_data_plane_costs_its_server_the_cells),
		T(without_a_majority_nothing_is_reassigned),
		T(a_stopped_master_that_goes_on_finds_its_cells_gone),
		T(the_map_outlives_the_kill_of_all_servers),
		T(a_server_that_lost_its_state_is_taken_back),
		T(a_damaged_store_is_set_aside_by_name_and_filled_again),
		T(relay_boots_rise_with_every_start_of_a_data_plane),
	};

	return cmocka_run_group_tests_name("cluster", tests, NULL, NULL);
}
