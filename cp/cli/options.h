/* options.h - what stands after the dashes.
 * Memory: borrows argv and the environment. Returns: options_parse() false: said on 'err' what is
 * wrong.
 */
#ifndef BELLWETHER_CP_CLI_OPTIONS_H
#define BELLWETHER_CP_CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Bits: which were given; which a command takes beside the first ones, which all take. */
enum options_bit {
	OPTION_SERVER = 1 << 0,
	OPTION_CONFIG = 1 << 1,
	OPTION_JSON = 1 << 2,
	OPTION_VERBOSE = 1 << 3,
	OPTION_TIMEOUT = 1 << 4,
	OPTION_HELP = 1 << 5,
	OPTION_VERSION = 1 << 6,
	OPTION_ALL = 1 << 7,
	OPTION_PRESENT = 1 << 8,
	OPTION_COUNT = 1 << 9,
	OPTION_FROM = 1 << 10,
	OPTION_FRESH = 1 << 11,
	OPTION_MAX_AGE = 1 << 12,
	OPTION_SINCE = 1 << 13,
	OPTION_UNTIL = 1 << 14,
	OPTION_ELEMENT = 1 << 15,
	OPTION_CELL = 1 << 16,
	OPTION_KIND = 1 << 17,
	OPTION_LIMIT = 1 << 18,
	OPTION_NEWEST = 1 << 19,
	OPTION_AFTER = 1 << 20,
	OPTION_RESUME = 1 << 21,
	OPTION_RESOURCE = 1 << 22,
	OPTION_QUALIFIER = 1 << 23,
	OPTION_TEXT = 1 << 24,
	OPTION_UNDO = 1 << 25,
	OPTION_NAME = 1 << 26,
	OPTION_REGION = 1 << 27,
	OPTION_ID = 1 << 28,
	OPTION_OPERATOR = 1 << 29,
	/* Never given: of a command for which a --server behind its words says where to. */
	OPTION_TO_SERVER = 1 << 30,
};
#define OPTIONS_EVERYWHERE                                                                         \
	(OPTION_SERVER | OPTION_CONFIG | OPTION_JSON | OPTION_VERBOSE | OPTION_TIMEOUT |           \
	 OPTION_HELP | OPTION_VERSION)

#define OPTIONS_OPERANDS_MAX 16
#define OPTIONS_KINDS_MAX    16

/* Texts that were not given are NULL, numbers 0. */
struct options {
	uint32_t given;		   /* enum options_bit */
	const char *servers;	   /* NULL: from the configuration */
	const char *server_behind; /* the --server that stands behind noun and verb */
	const char *config, *from;
	const char *element, *cell; /* of events */
	const char *after, *resume; /* tokens */
	const char *resource, *qualifier, *text;
	const char *name, *region, *operator_name;
	const char *kinds[OPTIONS_KINDS_MAX];
	uint32_t n_kinds;
	uint64_t timeout_ms, max_age_ms, count, limit, id;
	uint64_t since_ns, until_ns;	      /* UNIX time */
	char *operands[OPTIONS_OPERANDS_MAX]; /* what is no option */
	int n_operands;
};

bool options_parse(struct options *o, int argc, char **argv, FILE *err);
/* The long names of those in 'set', for messages and completion: "--json". NULL: after the last. */
const char *options_name(uint32_t set, uint32_t index);
void options_help(uint32_t set, FILE *out);

#endif
