/* cli_case.h - one bed for the tests of a program, and what bellctl printed there.
 */
#ifndef BELLWETHER_TESTS_UNIT_CP_CLI_CASE_H
#define BELLWETHER_TESTS_UNIT_CP_CLI_CASE_H

#include <jansson.h>

#include "tests/unit/cp/cli_bed.h"

static struct bed bed;

static inline int all_well(void **state)
{
	unsetenv("BELLWETHER_SERVER");
	bed_start(&bed, MANNER_WELL, MANNER_WELL, MANNER_WELL);
	return 0;
}

static inline int stop(void **state)
{
	bed_stop(&bed);
	return 0;
}

/* Columns are aligned by spaces, as many as the widest cell wants: one is as good as ten. */
static inline const char *squeezed(const char *text)
{
	static char out[1 << 16];
	size_t n = 0;

	for (; *text != '\0' && n < sizeof(out) - 1; text++)
		if (*text != ' ' || (n > 0 && out[n - 1] != ' ' && out[n - 1] != '\n'))
			out[n++] = *text;
	out[n] = '\0';
	return out;
}

static inline void assert_out(const char *text)
{
	if (strstr(bed.out, text) == NULL && strstr(squeezed(bed.out), text) == NULL)
		fail_msg("\"%s\" is not in: %s", text, bed.out);
}

static inline void assert_err(const char *text)
{
	if (strstr(bed.err, text) == NULL)
		fail_msg("\"%s\" is not in: %s", text, bed.err);
}

static inline uint32_t n_lines(const char *text)
{
	uint32_t n = 0;

	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

/* The one object that was printed. */
static inline json_t *parsed(void)
{
	json_error_t error;
	json_t *object = json_loads(bed.out, 0, &error);

	if (object == NULL)
		fail_msg("%s: %s", error.text, bed.out);
	assert_int_equal(n_lines(bed.out), 1);
	return object;
}

static inline json_int_t number_in(const json_t *object, const char *name)
{
	assert_true(json_is_integer(json_object_get(object, name)));
	return json_integer_value(json_object_get(object, name));
}

#define WITH(start, name) cmocka_unit_test_setup_teardown(name, start, stop)

#endif
