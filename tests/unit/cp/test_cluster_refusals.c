#include "tests/unit/cp/cluster_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <uv.h>

#include "cp/rpc/rpc.h"
#include "cp/wire/wire.h"
#include "dp/seal/seal.h"

static void a_second_server_on_the_same_state_does_not_start(void **state)
{
	(void)state;
	start(1);
	UNTIL(seen_by(1, 1).id == 1);
	assert_int_equal(exit_status(run("1.yaml", -1)), 1);
	assert_int_equal(kill(servers[1].pid, 0), 0);
}

static void a_wrong_configuration_or_secret_is_refused(void **state)
{
	char path[96];

	(void)state;
	assert_int_equal(exit_status(run("absent.yaml", -1)), 1);
	file_write("wrong.yaml", "cluster: {name: test, colour: red}\n");
	assert_int_equal(exit_status(run("wrong.yaml", -1)), 1);
	snprintf(path, sizeof(path), "%s/secret", dir);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(exit_status(run("1.yaml", -1)), 1);
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
#define T(name) cmocka_unit_test_setup_teardown(name, cluster_set_up, cluster_tear_down)
	const struct CMUnitTest tests[] = {
		T(a_second_server_on_the_same_state_does_not_start),
		T(a_wrong_configuration_or_secret_is_refused),
		T(a_server_that_cannot_store_its_vote_ends_and_a_later_start_recovers),
		T(a_map_that_is_not_the_masters_changes_nothing),
	};

	if (seal_start() != 0)
		return 1;
	return cmocka_run_group_tests_name("cluster_refusals", tests, NULL, NULL);
}
