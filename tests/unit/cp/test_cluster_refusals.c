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
	assert_non_null(strstr(text, "vote not stored error=No space left on device"));
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
	struct wire_append_answer *a;

	called->n++;
	called->status = status;
	snprintf(called->why, sizeof(called->why), "%s", why);
	if (status != RPC_OK)
		return;
	assert_int_equal(wire_append_answer_unpack(bytes, n, &a), 0);
	called->is_accepted = a->is_accepted;
	snprintf(called->why, sizeof(called->why), "%s", a->why);
	wire_free(a);
}

/* Whoever knows the cluster's secret: makes requests for server 2. */
struct forger {
	uv_loop_t loop;
	struct rpc_client *client;
	uint8_t secret[SEAL_KEY_BYTES];
	/* Both as they are when nothing is wrong with them. */
	struct wire_sealed_request good;
	struct wire_append_request append;
};

static struct called call(struct forger *f, const char *path, const uint8_t *bytes, size_t n)
{
	struct called called = {0};
	char address[64];

	snprintf(address, sizeof(address), "%s.2:7400", net);
	assert_int_equal(
		rpc_client_call(f->client, address, path, bytes, n, WAIT_MS, on_called, &called),
		0);
	while (called.n == 0)
		uv_run(&f->loop, UV_RUN_ONCE);
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

static void forger_start(struct forger *f)
{
	char path[96];

	memset(f, 0, sizeof(*f));
	snprintf(path, sizeof(path), "%s/secret", dir);
	assert_int_equal(seal_load_secret(path, f->secret), 0);
	assert_int_equal(uv_loop_init(&f->loop), 0);
	assert_int_equal(rpc_client_create(&f->client, &f->loop), 0);
	f->good = (struct wire_sealed_request){.from = 1,
					       .to = 2,
					       .boot = boot_of(1),
					       .to_boot = boot_of(2),
					       .sequence = 500,
					       .method = "AppendEntries"};
	f->append =
		(struct wire_append_request){.epoch = servers[1].epoch, .to_boot = f->good.to_boot};
}

static void forger_end(struct forger *f)
{
	rpc_client_destroy(f->client);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
}

/* Seals it with the key of who it says it is from, and sends it. */
static struct called send_sealed(struct forger *f, struct wire_sealed_request r, uint8_t spoil)
{
	uint8_t key[SEAL_KEY_BYTES];
	struct wire_bytes bytes;
	struct called called;

	seal_derive(key, f->secret, SEAL_CALL, (uint16_t)r.from, (uint16_t)r.to, r.boot);
	assert_int_equal(wire_sealed_request_sealed_part(&r, &bytes), 0);
	seal_tag(r.seal, key, r.sequence, bytes.bytes, bytes.n);
	wire_bytes_free(&bytes);
	r.seal[0] ^= spoil;
	assert_int_equal(wire_sealed_request_pack(&r, &bytes), 0);
	called = call(f, WIRE_PATH("Cluster", "AppendEntries"), bytes.bytes, bytes.n);
	wire_bytes_free(&bytes);
	return called;
}

static struct called append(struct forger *f, struct wire_append_request a, uint64_t sequence)
{
	struct wire_sealed_request r = f->good;
	struct wire_bytes bytes;
	struct called called;

	r.sequence = sequence;
	assert_int_equal(wire_append_request_pack(&a, &bytes), 0);
	r.payload = (struct wire_octets){bytes.bytes, (uint32_t)bytes.n};
	called = send_sealed(f, r, 0);
	wire_bytes_free(&bytes);
	return called;
}

static void assert_denied(struct called called, const char *why)
{
	assert_int_equal(called.status, RPC_PERMISSION_DENIED);
	assert_string_equal(called.why, why);
}

static void assert_refused(struct called called, const char *why)
{
	assert_int_equal(called.status, RPC_OK);
	assert_false(called.is_accepted);
	assert_string_equal(called.why, why);
}

static void a_call_is_taken_once_from_whom_it_says_and_for_what_it_says(void **state)
{
	struct wire_sealed_request r;
	struct forger f;

	(void)state;
	start_all();
	forger_start(&f);
	assert_denied(
		call(&f, WIRE_PATH("Cluster", "AppendEntries"), (const uint8_t *)"\xff\xff\xff", 3),
		"not a SealedRequest");
	assert_denied(send_sealed(&f, f.good, 1), "seal wrong or seen before");
	r = f.good;
	r.to = 3;
	assert_denied(send_sealed(&f, r, 0), "not between servers of this cluster");
	r = f.good;
	r.from = 2;
	assert_denied(send_sealed(&f, r, 0), "not between servers of this cluster");
	r.from = 9;
	assert_denied(send_sealed(&f, r, 0), "not between servers of this cluster");
	r = f.good;
	r.boot--;
	assert_denied(send_sealed(&f, r, 0), "of a boot that is not heard");
	r = f.good;
	r.to_boot--;
	assert_denied(send_sealed(&f, r, 0), "not for this boot of mine");
	r = f.good;
	r.method = "InstallSnapshot";
	assert_denied(send_sealed(&f, r, 0), "sealed for another method");

	/* That the good one is taken shows that each was refused for its one fault. Those that were
	 * overtaken are taken too, each once. */
	r = f.good;
	r.payload = (struct wire_octets){(const uint8_t *)"\xff", 1};
	assert_int_equal(send_sealed(&f, r, 0).status, RPC_INVALID_ARGUMENT);
	assert_denied(send_sealed(&f, r, 0), "seal wrong or seen before");
	r.sequence = 300;
	assert_int_equal(send_sealed(&f, r, 0).status, RPC_INVALID_ARGUMENT);
	assert_denied(send_sealed(&f, r, 0), "seal wrong or seen before");
	/* What was recorded in an earlier life of the receiver is nothing in a later one. */
	stop(2, SIGKILL);
	start(2);
	UNTIL(is_led_by(1) && boot_of(2) != f.good.to_boot);
	r.sequence = 501;
	assert_denied(send_sealed(&f, r, 0), "not for this boot of mine");
	forger_end(&f);
}

static void entries_that_are_not_the_masters_change_nothing(void **state)
{
	static const char nonsense[] = "not an entry";
	struct wire_octets entry = {(const uint8_t *)nonsense, sizeof(nonsense)};
	struct wire_log_run run;
	struct wire_append_request a;
	struct forger f;

	(void)state;
	start_all();
	forger_start(&f);
	/* Of the master's own: asks nothing, and is not refused. */
	assert_true(append(&f, f.append, 600).is_accepted);
	f.good.from = 3;
	f.good.boot = boot_of(3);
	assert_refused(append(&f, f.append, 600), "not from the master of my epoch");
	f.good.from = 1;
	f.good.boot = boot_of(1);
	a = f.append;
	a.epoch++;
	assert_refused(append(&f, a, 601), "not from the master of my epoch");
	a = f.append;
	a.previous_index = a.last = 1000;
	a.previous_epoch = a.epoch;
	assert_refused(append(&f, a, 602), "entries between are missing");
	/* Another first entry than the one that is committed. */
	run = (struct wire_log_run){f.append.epoch + 1, 1};
	a = f.append;
	a.entries = &entry;
	a.n_entries = 1;
	a.last = 1;
	a.runs = &run;
	a.n_runs = 1;
	assert_refused(append(&f, a, 603), "makes no sense");
	look();
	assert_int_equal(servers[2].n_cells, REGIONS);
	forger_end(&f);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, cluster_set_up, cluster_tear_down)
	const struct CMUnitTest tests[] = {
		T(a_second_server_on_the_same_state_does_not_start),
		T(a_wrong_configuration_or_secret_is_refused),
		T(a_server_that_cannot_store_its_vote_ends_and_a_later_start_recovers),
		T(a_call_is_taken_once_from_whom_it_says_and_for_what_it_says),
		T(entries_that_are_not_the_masters_change_nothing),
	};

	if (seal_start() != 0)
		return 1;
	return cmocka_run_group_tests_name("cluster_refusals", tests, NULL, NULL);
}
