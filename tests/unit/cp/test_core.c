#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "cp/core/core.h"

static int log_pipe[2], real_stderr;

static int capture(void **state)
{
	(void)state;
	assert_int_equal(pipe(log_pipe), 0);
	real_stderr = dup(STDERR_FILENO);
	assert_true(real_stderr >= 0);
	assert_true(dup2(log_pipe[1], STDERR_FILENO) >= 0);
	return 0;
}

static int release(void **state)
{
	(void)state;
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	close(log_pipe[0]);
	close(log_pipe[1]);
	core_log_level_set(CORE_INFO);
	return 0;
}

static size_t captured(char *text, size_t room)
{
	ssize_t n;

	core_log(CORE_ERROR, "end"); /* so that the read has something to return */
	n = read(log_pipe[0], text, room - 1);
	assert_true(n > 0);
	text[n] = '\0';
	return (size_t)n;
}

static void a_line_carries_utc_time_level_and_event(void **state)
{
	char text[4096], *rest;
	struct tm utc = {0};

	(void)state;
	core_log(CORE_INFO, "election: master server=%d epoch=%d", 2, 7);
	captured(text, sizeof(text));
	rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &utc);
	assert_non_null(rest);
	assert_int_equal(rest[0], '.');
	assert_int_equal(strncmp(rest + 4, "Z info election: master server=2 epoch=7\n", 41), 0);
}

static void what_is_logged_cannot_break_the_line(void **state)
{
	char text[4096];

	(void)state;
	core_log(CORE_WARNING, "rpc: refused why=%s", "a\nb\x1b[31m\x7f");
	captured(text, sizeof(text));
	assert_non_null(strstr(text, "why=a?b?[31m?\n"));
}

static void a_long_line_is_cut_and_still_ends(void **state)
{
	char text[4096], longer[2 * CORE_LOG_BYTES];

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	core_log(CORE_INFO, "%s", longer);
	captured(text, sizeof(text));
	assert_in_range((size_t)(strchr(text, '\n') - text), CORE_LOG_BYTES / 2,
			CORE_LOG_BYTES - 1);
	assert_non_null(strstr(text, "error end\n"));
}

static void lines_above_the_level_are_left_out(void **state)
{
	char text[4096];

	(void)state;
	core_log(CORE_DEBUG, "unseen");
	core_log_level_set(CORE_DEBUG);
	core_log(CORE_DEBUG, "seen now");
	captured(text, sizeof(text));
	assert_null(strstr(text, "unseen"));
	assert_non_null(strstr(text, "debug seen now\n"));
}

static void monotonic_time_does_not_go_back_and_units_agree(void **state)
{
	uint64_t before_ns = core_now_ns(), ms = core_now_ms(), after_ns = core_now_ns();

	(void)state;
	assert_true(before_ns / 1000000u <= ms && ms <= after_ns / 1000000u);
	assert_true(core_wall_ns() > UINT64_C(1500000000000000000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_line_carries_utc_time_level_and_event, capture,
						release),
		cmocka_unit_test_setup_teardown(what_is_logged_cannot_break_the_line, capture,
						release),
		cmocka_unit_test_setup_teardown(a_long_line_is_cut_and_still_ends, capture,
						release),
		cmocka_unit_test_setup_teardown(lines_above_the_level_are_left_out, capture,
						release),
		cmocka_unit_test(monotonic_time_does_not_go_back_and_units_agree),
	};

	return cmocka_run_group_tests_name("core", tests, NULL, NULL);
}
