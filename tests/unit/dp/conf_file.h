/* conf_file.h - files that the tests of dp/conf write, load, and expect findings of.
 * A group of tests runs between make_folder() and remove_folder().
 */
#ifndef BELLWETHER_TESTS_UNIT_DP_CONF_FILE_H
#define BELLWETHER_TESTS_UNIT_DP_CONF_FILE_H

#include "dp/conf/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char folder[] = "/tmp/test_conf.XXXXXX";
static char path[sizeof(folder) + 16];

static inline int make_folder(void **state)
{
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/file.yaml", folder);
	return 0;
}

static inline int remove_folder(void **state)
{
	unlink(path);
	return rmdir(folder);
}

static inline void put_bytes(const char *text, size_t n)
{
	FILE *to = fopen(path, "w");

	assert_non_null(to);
	assert_int_equal(fwrite(text, 1, n, to), n);
	assert_int_equal(fclose(to), 0);
}

enum which { CONFIG, INVENTORY, RULES };

static inline int load(enum which which, struct conf_findings *f)
{
	struct conf_inventory *inventory = NULL;
	struct conf_rules *rules = NULL;
	struct conf *conf = NULL;
	int result = which == CONFIG	  ? conf_load(&conf, path, f)
		     : which == INVENTORY ? conf_inventory_load(&inventory, path, 3, f)
					  : conf_rules_load(&rules, path, 3, f);

	if (result != 0)
		assert_true(conf == NULL && inventory == NULL && rules == NULL);
	conf_free(conf);
	conf_inventory_free(inventory);
	conf_rules_free(rules);
	return result;
}

/* Loads the text and expects exactly these lines, "LINE:COLUMN: TEXT" each with its newline. */
static inline void expect_bytes(enum which which, const char *text, size_t n, const char *findings)
{
	struct conf_findings f;
	char *got = NULL, *line;
	size_t got_bytes;
	FILE *to = open_memstream(&got, &got_bytes);
	uint32_t n_lines = 0;
	int result;

	assert_non_null(to);
	put_bytes(text, n);
	result = load(which, &f);
	conf_findings_print(&f, "", to);
	fclose(to);
	for (line = got; (line = strchr(line, '\n')) != NULL; line++)
		n_lines++;
	for (line = got; *line != '\0'; line = strchr(line, '\n') + 1) /* off with the empty name */
		memmove(line, line + 1, strlen(line));
	assert_string_equal(got, findings);
	assert_int_equal(result, n_lines);
	assert_int_equal(f.n, n_lines);
	free(got);
	conf_findings_free(&f);
}

static inline void expect(enum which which, const char *text, const char *findings)
{
	expect_bytes(which, text, strlen(text), findings);
}

/* A right configuration, of which a test replaces single lines by others. */
static const char *const right[] = {
	/*  1 */ "cluster:",
	/*  2 */ "  name: lab",
	/*  3 */ "  secret_file: secret",
	/*  4 */ "server: 1",
	/*  5 */ "servers:",
	/*  6 */ "  - {id: 1, name: alpha, rank: 3, address: 10.90.0.1}",
	/*  7 */ "  - {id: 2, name: bravo, rank: 2, address: 10.90.0.2}",
	/*  8 */ "  - {id: 3, name: charlie, rank: 1, address: 10.90.0.3}",
	/*  9 */ "inventory: inventory.yaml",
	/* 10 */ "rules: rules.yaml",
	/* 11 */ "listen: {}",
	/* 12 */ "dataplane:",
	/* 13 */ "  ports:",
	/* 14 */ "    - {name: in, device: net_null0}",
	/* 15 */ "    - {name: out, device: net_null1, relay: true}",
	/* 16 */ "memory: {}",
};

struct change {
	uint32_t line; /* 0: no change */
	const char *text;
};

static inline void config_with(const struct change *changes, size_t n, char *out, size_t out_bytes)
{
	size_t used = 0;

	for (uint32_t i = 0; i < COUNT(right); i++) {
		const char *line = right[i];

		for (size_t k = 0; k < n; k++)
			if (changes[k].line == i + 1)
				line = changes[k].text;
		used += (size_t)snprintf(out + used, out_bytes - used, "%s\n", line);
		assert_true(used < out_bytes);
	}
}

static inline void expect_config(const struct change *changes, size_t n, const char *findings)
{
	char text[16384];

	config_with(changes, n, text, sizeof(text));
	expect(CONFIG, text, findings);
}

#define WITH(findings, ...)                                                                        \
	expect_config((const struct change[]){__VA_ARGS__},                                        \
		      COUNT(((const struct change[]){__VA_ARGS__})), findings)

#endif
