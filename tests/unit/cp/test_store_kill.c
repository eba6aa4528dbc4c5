#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/cp/store_fixture.h"

#define KILLS	   200
#define SLOTS	   64 /* of batches that can be told apart */
#define WAITING	   8
#define LONG_WORDS 1500

/* ---- The writer, a process of its own ---- */

struct writer {
	uv_loop_t loop;
	struct store *store;
	uint32_t asked, acked;
	int ack_fd;
};

static void writer_fill(struct writer *w);

static void writer_acked(void *user, int err)
{
	struct writer *w = user;

	if (err != 0)
		_exit(3);
	w->acked++;
	if (write(w->ack_fd, &w->acked, sizeof(w->acked)) != sizeof(w->acked))
		_exit(0);
	writer_fill(w);
}

/* Number i is in each table, once in a long record, and is the newest. */
static int batch_make(struct store_batch **out, uint32_t i)
{
	uint32_t words[LONG_WORDS];
	char key[16];
	size_t n = (size_t)snprintf(key, sizeof(key), "n%u", i % SLOTS);
	int err = store_batch_create(out);

	for (uint32_t k = 0; k < LONG_WORDS; k++)
		words[k] = i;
	for (uint32_t table = 0; table < FIXTURE_TABLES && err == 0; table++)
		err = store_batch_put(*out, table, key, n, words,
				      table == 2 ? sizeof(words) : sizeof(words[0]));
	if (err == 0)
		err = store_batch_put(*out, 0, "newest", 6, &i, sizeof(i));
	return err;
}

static void writer_fill(struct writer *w)
{
	while (w->asked < w->acked + WAITING) {
		struct store_batch *b;

		if (batch_make(&b, ++w->asked) != 0 ||
		    store_commit(w->store, b, writer_acked, w) != 0)
			_exit(4);
	}
}

static void writer_run(uint32_t from, int ack_fd)
{
	struct writer w = {.asked = from, .acked = from, .ack_fd = ack_fd};

	if (uv_loop_init(&w.loop) != 0 ||
	    store_open(&w.store, &w.loop, &fx.cfg, fx.why, sizeof(fx.why)) != 0)
		_exit(2);
	writer_fill(&w);
	uv_run(&w.loop, UV_RUN_DEFAULT);
	_exit(5);
}

/* ---- What the next start finds ---- */

/* 0: there is none. */
static uint32_t number_of(uint32_t table, const char *key)
{
	static uint32_t words[LONG_WORDS];
	size_t n = sizeof(words);
	int err = store_get(fx.store, table, key, strlen(key), words, &n);

	if (err == STORE_NOT_FOUND)
		return 0;
	assert_int_equal(err, 0);
	for (size_t k = 1; k < n / sizeof(words[0]); k++)
		assert_int_equal(words[k], words[0]);
	return words[0];
}

/* Every batch up to 'acked' is there, and each that is there is there whole. */
static uint32_t stored_check(uint32_t acked)
{
	uint32_t newest;

	store_open_ok();
	newest = number_of(0, "newest");
	assert_true(newest >= acked);
	for (uint32_t slot = 0; slot < SLOTS; slot++) {
		uint32_t wanted = newest - (newest + SLOTS - slot) % SLOTS;
		char key[16];

		snprintf(key, sizeof(key), "n%u", slot);
		if (newest < slot || wanted == 0)
			wanted = 0;
		for (uint32_t table = 0; table < FIXTURE_TABLES; table++)
			assert_int_equal(number_of(table, key), wanted);
	}
	store_shut();
	return newest;
}

static uint32_t write_and_kill(uint32_t stored)
{
	uint32_t acked = stored, until = stored + 1 + (uint32_t)rand() % 24, heard;
	int fds[2], status;
	pid_t child;

	assert_int_equal(pipe(fds), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		close(fds[0]);
		writer_run(stored, fds[1]);
	}
	close(fds[1]);
	while (acked < until) {
		assert_int_equal(read(fds[0], &heard, sizeof(heard)), sizeof(heard));
		acked = heard;
	}
	usleep((useconds_t)(rand() % 6000)); /* so that the kill falls anywhere in a commit */
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	while (read(fds[0], &heard, sizeof(heard)) == sizeof(heard))
		acked = heard;
	close(fds[0]);
	return acked;
}

static void nothing_acknowledged_is_lost_when_the_writer_is_killed(void **state)
{
	uint32_t stored = 0, n_unheard = 0;

	(void)state;
	srand(7);
	for (int i = 0; i < KILLS; i++) {
		uint32_t acked = write_and_kill(stored);

		stored = stored_check(acked);
		n_unheard += stored > acked;
	}
	print_message("# %u batches, %d kills, %u of them between commit and answer\n", stored,
		      KILLS, n_unheard);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			nothing_acknowledged_is_lost_when_the_writer_is_killed, store_fixture_make,
			store_fixture_remove),
	};

	return cmocka_run_group_tests_name("store_kill", tests, NULL, NULL);
}
