#include "tests/unit/cp/cluster_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct server servers[N + 1];
char dir[64], net[32];

static pthread_t dp_thread;
static _Atomic bool is_dp_ending;

/* ---- The cluster ---- */

static void *dp_run(void *arg)
{
	while (!is_dp_ending) {
		for (int i = 1; i <= N; i++) {
			if (!servers[i].is_dp_silent)
				fedmem_dp_beat(servers[i].writer, core_now_ns());
			servers[i].n_dp_looks++;
		}
		usleep(20000);
	}
	return NULL;
}

void file_write(const char *name, const char *text)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void inventory_write(void)
{
	static const char *const regions[REGIONS] = {"east", "north", "south",
						     "up",   "west",  "zenith"};
	char text[2048] = "elements:\n";

	for (int i = 0; i < 2 * REGIONS; i++) {
		size_t n = strlen(text);

		snprintf(text + n, sizeof(text) - n,
			 "  - {id: %d, name: e%d, address: 10.9.0.%d, kind: router, region: %s}\n",
			 i + 1, i + 1, i + 1, regions[i / 2]);
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

pid_t run(const char *config, int log)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	if (chdir(dir) < 0)
		_exit(126);
	if (log < 0)
		log = open("log", O_CREAT | O_APPEND | O_WRONLY, 0600);
	dup2(log, STDERR_FILENO);
	execl(CP_PROGRAM, CP_PROGRAM, "--config", config, NULL);
	_exit(127);
}

void start(int i)
{
	char config[32];

	snprintf(config, sizeof(config), "%d.yaml", i);
	servers[i].pid = run(config, -1);
}

void stop(int i, int signal_number)
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

int cluster_set_up(void **state)
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
	inventory_write();
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

int cluster_tear_down(void **state)
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

struct fedmem_server seen_by(int i, int of)
{
	struct fedmem_server all[FEDMEM_SERVERS_MAX];
	uint32_t n, version;

	if (fedmem_servers_get(servers[i].fm, all, FEDMEM_SERVERS_MAX, &n, &version) == 0)
		for (uint32_t k = 0; k < n; k++)
			if (all[k].id == of)
				return all[k];
	return (struct fedmem_server){0};
}

void look(void)
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

void logs_show(void)
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

bool is_leading(int i)
{
	return servers[i].pid > 0 && seen_by(i, i).role == FEDMEM_ROLE_MASTER;
}

bool is_led_by(int i)
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

const struct cell *cell_of(int i, const char *name)
{
	for (uint32_t k = 0; k < servers[i].n_cells; k++)
		if (strcmp(servers[i].cells[k].name, name) == 0)
			return &servers[i].cells[k];
	return NULL;
}

bool is_owned_by(const bool living[N + 1])
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

const bool all_live[N + 1] = {false, true, true, true};

int exit_status(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

void start_all(void)
{
	for (int i = 1; i <= N; i++)
		start(i);
	UNTIL(is_led_by(1) && is_owned_by(all_live));
}
