/* Three real bellwether-cp on loopback addresses of this process's own. What they decide is looked
 * up where their data planes would: in the federated memory. Their data planes are this process, as
 * far as they can tell: it writes and beats through the segment's own door. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#include "cp/core/core.h"
#include "cp/rpc/rpc.h"
#include "cp/wire/wire.h"
#include "dp/fedmem/fedmem.h"
#include "dp/seal/seal.h"

#define N	  3
#define WAIT_MS	  60000 /* a bound, not an expectation */
#define CELLS_MAX 16
#define REGIONS	  6

static char dir[64], net[32]; /* "127.3.9" */

struct cell {
	uint16_t owner, standby;
	struct fedmem_token token;
	char name[41];
};

static struct server {
	pid_t pid; /* 0: does not run */
	struct fedmem *fm;
	struct fedmem_writer *writer;
	_Atomic bool is_dp_silent;
	uint64_t epoch; /* highest seen */
	struct cell cells[CELLS_MAX];
	uint32_t n_cells;
} servers[N + 1]; /* by id */

static pthread_t dp_thread;
static _Atomic bool is_dp_ending;

/* ---- The cluster ---- */

static void *dp_run(void *arg)
{
	while (!is_dp_ending) {
		for (int i = 1; i <= N; i++)
			if (!servers[i].is_dp_silent)
				fedmem_dp_beat(servers[i].writer, core_now_ns());
		usleep(20000);
	}
	return NULL;
}

static void file_write(const char *name, const char *text)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* Elements 1 to 12, two in each region. */
static void inventory_write(const char *last_region)
{
	static const char *const regions[REGIONS - 1] = {"east", "north", "south", "up", "west"};
	char text[2048] = "elements:\n";

	for (int i = 0; i < 2 * REGIONS; i++) {
		size_t n = strlen(text);

		snprintf(text + n, sizeof(text) - n,
			 "  - {id: %d, name: e%d, address: 10.9.0.%d, kind: router, region: %s}\n",
			 i + 1, i + 1, i + 1, i / 2 < REGIONS - 1 ? regions[i / 2] : last_region);
	}
	file_write("inventory.yaml", text);
}

static void config_write(int i)
{
	char text[2048], name[32];

	snprintf(text, sizeof(text),
		 "cluster: {name: test, secret_file: secret, beat_ms: 100, hold_down_ms: 1000}\n"
		 "server: %d\n"
		 "servers:\n"
		 "  - {id: 1, name: alpha, rank: 3, address: %s.1}\n"
		 "  - {id: 2, name: bravo, rank: 2, address: %s.2}\n"
		 "  - {id: 3, name: charlie, rank: 1, address: %s.3}\n"
		 "inventory: inventory.yaml\n"
		 "rules: rules.yaml\n"
		 "state_dir: state%d\n"
		 "run_dir: run%d\n"
		 "dataplane: {ports: [{name: p, device: net_null0}]}\n"
		 "memory: {elements_max: 64, alarms_max: 64, cells_max: %d, rules_max: 1,\n"
		 "  unknowns_max: 1, events_max: 16}\n",
		 i, net, net, net, i, i, CELLS_MAX);
	snprintf(name, sizeof(name), "%d.yaml", i);
	file_write(name, text);
}

static pid_t run(const char *config)
{
	pid_t pid = fork();
	int log;

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	if (chdir(dir) < 0)
		_exit(126);
	log = open("log", O_CREAT | O_APPEND | O_WRONLY, 0600);
	dup2(log, STDERR_FILENO);
	execl(CP_PROGRAM, CP_PROGRAM, "--config", config, NULL);
	_exit(127);
}

static void start(int i)
{
	char config[32];

	snprintf(config, sizeof(config), "%d.yaml", i);
	servers[i].pid = run(config);
}

static void stop(int i, int signal_number)
{
	int status;

	assert_int_equal(kill(servers[i].pid, signal_number), 0);
	assert_int_equal(waitpid(servers[i].pid, &status, 0), servers[i].pid);
	servers[i].pid = 0;
	if (signal_number == SIGTERM)
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void dp_open(int i)
{
	char path[96], why[200];
	struct fedmem_config cfg = {
		.path = path,
		.server_id = (uint16_t)i,
		.sizes = {64, 4, 64, CELLS_MAX, 1, 1, 16},
	};
	uint32_t n_repaired;

	snprintf(path, sizeof(path), "%s/run%d", dir, i);
	assert_int_equal(mkdir(path, 0700), 0);
	strcat(path, "/fedmem");
	if (fedmem_open(&servers[i].fm, &cfg, why, sizeof(why)) != 0)
		fail_msg("%s", why);
	assert_int_equal(fedmem_writer_open(&servers[i].writer, servers[i].fm, &n_repaired), 0);
}

static int set_up(void **state)
{
	static const char secret[] =
		"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";
	unsigned int who = (unsigned int)getpid() % 60000 + 300;

	(void)state;
	memset(servers, 0, sizeof(servers));
	snprintf(net, sizeof(net), "127.%u.%u", who >> 8, who & 255);
	snprintf(dir, sizeof(dir), "/tmp/bellwether-cluster-XXXXXX");
	assert_non_null(mkdtemp(dir));
	file_write("secret", secret);
	file_write("rules.yaml", "rules: []\n");
	inventory_write("zenith");
	for (int i = 1; i <= N; i++) {
		config_write(i);
		dp_open(i);
	}
	is_dp_ending = false;
	return pthread_create(&dp_thread, NULL, dp_run, NULL);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	return remove(path);
}

static int tear_down(void **state)
{
	(void)state;
	for (int i = 1; i <= N; i++)
		if (servers[i].pid > 0) {
			kill(servers[i].pid, SIGKILL);
			waitpid(servers[i].pid, NULL, 0);
		}
	is_dp_ending = true;
	pthread_join(dp_thread, NULL);
	for (int i = 1; i <= N; i++) {
		fedmem_writer_close(servers[i].writer);
		fedmem_close(servers[i].fm);
	}
	return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- Looking ---- */

static struct fedmem_server seen_by(int i, int of)
{
	struct fedmem_server all[FEDMEM_SERVERS_MAX];
	uint32_t n, version;

	if (fedmem_servers_get(servers[i].fm, all, FEDMEM_SERVERS_MAX, &n, &version) == 0)
		for (uint32_t k = 0; k < n; k++)
			if (all[k].id == of)
				return all[k];
	return (struct fedmem_server){0};
}

/* What must hold at every moment, crashes or not. */
static void look(void)
{
	for (int i = 1; i <= N; i++) {
		struct server *s = &servers[i];
		struct fedmem_cell cells[CELLS_MAX];
		uint64_t epoch = seen_by(i, i).epoch;
		uint32_t version;

		if (s->pid > 0 && epoch != 0) {
			assert_true(epoch >= s->epoch);
			s->epoch = epoch;
		}
		if (fedmem_cells_get(s->fm, cells, CELLS_MAX, &s->n_cells, &version) != 0)
			s->n_cells = 0;
		for (uint32_t k = 0; k < s->n_cells; k++) {
			s->cells[k] =
				(struct cell){cells[k].owner, cells[k].standby, cells[k].token, ""};
			memcpy(s->cells[k].name, cells[k].name, 40);
		}
	}
	/* One generation of a cell never has two owners. */
	for (int i = 1; i <= N; i++)
		for (int j = i + 1; j <= N; j++)
			for (uint32_t k = 0; k < servers[i].n_cells; k++)
				for (uint32_t m = 0; m < servers[j].n_cells; m++) {
					struct cell *a = &servers[i].cells[k];
					struct cell *b = &servers[j].cells[m];

					if (strcmp(a->name, b->name) == 0 &&
					    fedmem_token_equal(a->token, b->token))
						assert_int_equal(a->owner, b->owner);
				}
}

static void logs_show(void)
{
	char path[96], bytes[4096];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/log", dir);
	fd = open(path, O_RDONLY);
	while (fd >= 0 && (n = read(fd, bytes, sizeof(bytes))) > 0)
		if (write(STDERR_FILENO, bytes, (size_t)n) < 0)
			break;
	close(fd);
}

#define UNTIL(condition)                                                                           \
	do {                                                                                       \
		uint64_t end_ms = core_now_ms() + WAIT_MS;                                         \
                                                                                                   \
		for (look(); !(condition); look()) {                                               \
			if (core_now_ms() > end_ms) {                                              \
				logs_show();                                                       \
				fail_msg("never came true: %s", #condition);                       \
			}                                                                          \
			usleep(5000);                                                              \
		}                                                                                  \
	} while (0)

static bool is_leading(int i)
{
	return servers[i].pid > 0 && seen_by(i, i).role == FEDMEM_ROLE_MASTER;
}

/* Server i leads and all that run follow it: they hear it as the master of their own epoch. */
static bool is_led_by(int i)
{
	if (!is_leading(i))
		return false;
	for (int k = 1; k <= N; k++)
		if (k != i && servers[k].pid > 0 &&
		    (seen_by(k, i).role != FEDMEM_ROLE_MASTER || is_leading(k) ||
		     seen_by(k, i).state != FEDMEM_SERVER_ALIVE ||
		     servers[k].epoch != servers[i].epoch))
			return false;
	return true;
}

static const struct cell *cell_of(int i, const char *name)
{
	for (uint32_t k = 0; k < servers[i].n_cells; k++)
		if (strcmp(servers[i].cells[k].name, name) == 0)
			return &servers[i].cells[k];
	return NULL;
}

/* Every cell has an owner and a standby that are different and among 'living'; all that run agree.
 */
static bool is_owned_by(const bool living[N + 1])
{
	const struct server *first = NULL;

	for (int i = 1; i <= N; i++) {
		const struct server *s = &servers[i];

		if (s->pid == 0)
			continue;
		if (first == NULL)
			first = s;
		if (s->n_cells != REGIONS ||
		    memcmp(s->cells, first->cells, REGIONS * sizeof(s->cells[0])) != 0)
			return false;
		for (uint32_t k = 0; k < s->n_cells; k++)
			if (s->cells[k].owner < 1 || s->cells[k].owner > N ||
			    !living[s->cells[k].owner] ||
			    s->cells[k].owner == s->cells[k].standby ||
			    !living[s->cells[k].standby])
				return false;
	}
	return first != NULL;
}

static const bool all_live[N + 1] = {false, true, true, true};

static void start_all(void)
{
	for (int i = 1; i <= N; i++)
		start(i);
	UNTIL(is_led_by(1) && is_owned_by(all_live));
}

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

/* ---- Claims ---- */

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

static void the_map_outlives_all_servers(void **state)
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

static void regions_come_and_go_with_the_inventory(void **state)
{
	struct fedmem_element e;
	uint32_t slot;

	(void)state;
	start_all();
	for (int i = 1; i <= N; i++)
		stop(i, SIGTERM);
	inventory_write("abyss"); /* the first of the names, so that all cells get other numbers */
	for (int i = 1; i <= N; i++)
		start(i);
	UNTIL(is_led_by(1) && cell_of(1, "abyss") != NULL && is_owned_by(all_live));
	assert_null(cell_of(1, "zenith"));
	for (uint64_t id = 1; id <= 2 * REGIONS; id++) {
		static const char *const regions[REGIONS] = {"east", "north", "south",
							     "up",   "west",  "abyss"};

		assert_int_equal(fedmem_find_by_id(servers[2].fm, id, &slot), 0);
		assert_int_equal(fedmem_element_get(servers[2].fm, slot, &e), 0);
		assert_string_equal(servers[2].cells[e.cell].name, regions[(id - 1) / 2]);
	}
}

static void relay_boots_rise_with_every_start_of_a_data_plane(void **state)
{
	uint32_t boot, n_repaired;

	(void)state;
	start_all();
	UNTIL(fedmem_relay_boot_met(servers[1].fm) == fedmem_relay_boot_wanted(servers[1].fm) &&
	      seen_by(1, 2).relay_boot_tx != 0 &&
	      seen_by(2, 1).relay_boot_rx == seen_by(1, 2).relay_boot_tx);
	assert_memory_equal(seen_by(1, 2).relay_key_tx, seen_by(2, 1).relay_key_rx,
			    FEDMEM_KEY_BYTES);
	boot = seen_by(1, 2).relay_boot_tx;
	servers[1].is_dp_silent = true;
	usleep(50000); /* the data plane's thread has looked at it */
	fedmem_writer_close(servers[1].writer);
	assert_int_equal(fedmem_writer_open(&servers[1].writer, servers[1].fm, &n_repaired), 0);
	servers[1].is_dp_silent = false;
	UNTIL(fedmem_relay_boot_met(servers[1].fm) == fedmem_relay_boot_wanted(servers[1].fm) &&
	      seen_by(2, 1).relay_boot_rx > boot);
}

/* ---- Wrong starts, and calls of strangers ---- */

static int exit_status(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void a_second_server_on_the_same_state_does_not_start(void **state)
{
	(void)state;
	start(1);
	UNTIL(seen_by(1, 1).id == 1);
	assert_int_equal(exit_status(run("1.yaml")), 1);
	assert_int_equal(kill(servers[1].pid, 0), 0);
}

static void a_wrong_configuration_or_secret_is_refused(void **state)
{
	char path[96];

	(void)state;
	assert_int_equal(exit_status(run("absent.yaml")), 1);
	file_write("wrong.yaml", "cluster: {name: test, colour: red}\n");
	assert_int_equal(exit_status(run("wrong.yaml")), 1);
	snprintf(path, sizeof(path), "%s/secret", dir);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(exit_status(run("1.yaml")), 1);
}

/* Its disk takes nothing behind the first two pages of the store's file. */
static pid_t run_with_full_disk(const char *config, int log)
{
	const struct rlimit limit = {8192, 8192};
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	signal(SIGXFSZ, SIG_IGN); /* so that the write fails instead */
	if (chdir(dir) < 0 || setrlimit(RLIMIT_FSIZE, &limit) < 0)
		_exit(126);
	dup2(log, STDERR_FILENO);
	execl(CP_PROGRAM, CP_PROGRAM, "--config", config, NULL);
	_exit(127);
}

static void a_server_that_cannot_store_its_vote_ends_and_a_later_start_recovers(void **state)
{
	char text[4096] = "";
	int fds[2];

	(void)state;
	start_all();
	stop(3, SIGKILL);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(exit_status(run_with_full_disk("3.yaml", fds[1])), 1);
	assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
	assert_non_null(strstr(text, "vote not stored error=File too large"));
	assert_null(strstr(text, "started"));
	close(fds[0]);
	close(fds[1]);
	start(3);
	UNTIL(is_led_by(1) && is_owned_by(all_live));
}

struct called {
	uint32_t n;
	enum rpc_status status;
	bool is_accepted;
	char why[128];
};

static void on_called(void *user, enum rpc_status status, const char *why, const uint8_t *bytes,
		      size_t n)
{
	struct called *called = user;
	struct wire_map_answer *a;

	called->n++;
	called->status = status;
	if (status != RPC_OK)
		return;
	assert_int_equal(wire_map_answer_unpack(bytes, n, &a), 0);
	called->is_accepted = a->is_accepted;
	snprintf(called->why, sizeof(called->why), "%s", a->why);
	wire_free(a);
}

static struct called call(uv_loop_t *loop, struct rpc_client *client, const uint8_t *bytes,
			  size_t n)
{
	struct called called = {0};
	char address[64];

	snprintf(address, sizeof(address), "%s.2:7400", net);
	assert_int_equal(rpc_client_call(client, address, WIRE_PATH("Cluster", "ProposeMap"), bytes,
					 n, WAIT_MS, on_called, &called),
			 0);
	while (called.n == 0)
		uv_run(loop, UV_RUN_ONCE);
	return called;
}

/* Of the last start, as it logged it. */
static uint32_t boot_of(int i)
{
	static char text[1 << 20];
	char path[96], wanted[64], *at = text, *last = NULL;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/log", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	assert_true(n > 0);
	text[n] = '\0';
	snprintf(wanted, sizeof(wanted), "started server=%d boot=", i);
	while ((at = strstr(at, wanted)) != NULL)
		last = at += strlen(wanted);
	assert_non_null(last);
	return (uint32_t)strtoul(last, NULL, 10);
}

/* Sends 'p' to server 2, sealed with the key of who it says it is from. */
static struct called propose(uv_loop_t *loop, struct rpc_client *client, struct wire_map_proposal p,
			     bool is_forged)
{
	uint8_t secret[SEAL_KEY_BYTES], key[SEAL_KEY_BYTES];
	struct wire_bytes bytes;
	struct called called;
	char path[96];

	snprintf(path, sizeof(path), "%s/secret", dir);
	assert_int_equal(seal_load_secret(path, secret), 0);
	seal_derive(key, secret, SEAL_MAP, (uint16_t)p.from, 2, p.boot);
	assert_int_equal(wire_map_proposal_sealed_part(&p, &bytes), 0);
	seal_tag(p.seal, key, p.sequence, bytes.bytes, bytes.n);
	wire_bytes_free(&bytes);
	p.seal[0] ^= is_forged;
	assert_int_equal(wire_map_proposal_pack(&p, &bytes), 0);
	called = call(loop, client, bytes.bytes, bytes.n);
	wire_bytes_free(&bytes);
	return called;
}

static void assert_refused(struct called called, const char *why)
{
	assert_int_equal(called.status, RPC_OK);
	assert_false(called.is_accepted);
	assert_string_equal(called.why, why);
}

static void a_map_that_is_not_the_masters_changes_nothing(void **state)
{
	struct wire_cell cells[2] = {{.name = "north", .owner = 3, .standby = 1, .n_elements = 2}};
	struct wire_map_proposal good = {.from = 1,
					 .to = 2,
					 .version = 99,
					 .sequence = 500,
					 .cells = cells,
					 .n_cells = 1,
					 .is_commit = true};
	struct wire_map_proposal p;
	struct rpc_client *client;
	uv_loop_t loop;

	(void)state;
	start_all();
	good.epoch = servers[1].epoch;
	good.boot = boot_of(1);
	cells[0].token = (struct wire_token){good.epoch, 50};
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(rpc_client_create(&client, &loop), 0);

	assert_int_equal(call(&loop, client, (const uint8_t *)"\xff\xff\xff", 3).status,
			 RPC_INVALID_ARGUMENT);
	assert_refused(propose(&loop, client, good, true), "seal wrong or seen before");
	p = good;
	p.to = 3;
	assert_refused(propose(&loop, client, p, false), "not between servers of this cluster");
	p = good;
	p.boot++;
	assert_refused(propose(&loop, client, p, false), "of a boot that is not heard");
	p = good;
	p.from = 3;
	p.boot = boot_of(3);
	assert_refused(propose(&loop, client, p, false), "not from the master of my epoch");
	p = good;
	p.epoch++;
	p.sequence = 501;
	assert_refused(propose(&loop, client, p, false), "not from the master of my epoch");
	p = good;
	p.version = 0;
	p.sequence = 502;
	assert_refused(propose(&loop, client, p, false), "older than what is held");
	p = good;
	p.sequence = 503;
	cells[0].token = (struct wire_token){0, 0};
	assert_refused(propose(&loop, client, p, false), "a token is lower than the committed one");
	p.n_cells = 2;
	p.sequence = 504;
	cells[1] = cells[0];
	assert_refused(propose(&loop, client, p, false), "cells out of order");
	look();
	assert_int_equal(servers[2].n_cells, REGIONS);

	/* That the good one is taken shows that each was refused for its one fault. */
	cells[0].token = (struct wire_token){good.epoch, 50};
	assert_true(propose(&loop, client, good, false).is_accepted);
	assert_refused(propose(&loop, client, good, false), "seal wrong or seen before");
	UNTIL(servers[2].n_cells == 1 && cell_of(2, "north")->token.generation == 50);

	rpc_client_destroy(client);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(the_best_ranked_server_leads_and_every_cell_is_owned),
		T(a_killed_masters_cells_move_and_no_others),
		T(a_silent_data_plane_costs_its_server_the_cells),
		T(without_a_majority_nothing_is_reassigned),
		T(a_stopped_master_that_goes_on_finds_its_cells_gone),
		T(the_map_outlives_all_servers),
		T(a_server_that_lost_its_state_is_taken_back),
		T(regions_come_and_go_with_the_inventory),
		T(relay_boots_rise_with_every_start_of_a_data_plane),
		T(a_second_server_on_the_same_state_does_not_start),
		T(a_wrong_configuration_or_secret_is_refused),
		T(a_server_that_cannot_store_its_vote_ends_and_a_later_start_recovers),
		T(a_map_that_is_not_the_masters_changes_nothing),
	};

	if (seal_start() != 0)
		return 1;
	return cmocka_run_group_tests_name("cluster", tests, NULL, NULL);
}
