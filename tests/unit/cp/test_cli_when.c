#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cp/cli/when.h"

#define S   1000000000ull
#define NOW (1700000000ull * S + 5) /* 2023-11-14T22:13:20Z */

static void a_moment_is_read_as_it_is_written(void **state)
{
	static const struct {
		const char *text;
		uint64_t unix_ns;
	} cases[] = {
		{"2023-11-14T22:13:20Z", 1700000000ull * S},
		{"2023-11-14t22:13:20z", 1700000000ull * S},
		{"2023-11-14 22:13:20.25Z", 1700000000ull * S + S / 4},
		{"2023-11-14T22:13:20.1234567891Z", 1700000000ull * S + 123456789},
		{"2023-11-14T23:43:20+01:30", 1700000000ull * S},
		{"2023-11-14T20:13:20-02:00", 1700000000ull * S},
		{"2023-11-14", 1699920000ull * S},
		{"-20s", NOW - 20 * S},
		{"-10m", NOW - 600 * S},
		{"-3h", NOW - 10800 * S},
		{"-2d", NOW - 172800 * S},
		{"-0s", NOW},
		{"-99999999999d", 1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t at = 0;

		if (!when_parse(&at, cases[i].text, NOW))
			fail_msg("%s is not read", cases[i].text);
		assert_int_equal(at, cases[i].unix_ns);
	}
}

static void what_is_no_moment_is_refused(void **state)
{
	static const char *const cases[] = {
		"",
		"-",
		"-10",
		"-10x",
		"-x",
		"10m",
		"now",
		"2023",
		"2023-13-01T00:00:00Z",
		"2023-11-14T22:13:20",
		"2023-11-14T22:13:20+1",
		"2023-11-14T22:13Z",
		"2023-11-14T22:13:20.Z",
		"2023-11-14T22:13:20Zx",
		"2023-11-14x",
		"1969-12-31T00:00:00Z",
		"9999-01-01T00:00:00Z",
		"-99999999999999999999s",
		"--10m",
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t at;

		if (when_parse(&at, cases[i], NOW))
			fail_msg("\"%s\" is read as %lu", cases[i], at);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_moment_is_read_as_it_is_written),
		cmocka_unit_test(what_is_no_moment_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
