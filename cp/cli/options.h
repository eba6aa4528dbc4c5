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
};
#define OPTIONS_EVERYWHERE                                                                         \
	(OPTION_SERVER | OPTION_CONFIG | OPTION_JSON | OPTION_VERBOSE | OPTION_TIMEOUT |           \
	 OPTION_HELP | OPTION_VERSION)

struct options {
	uint32_t given;	     /* enum options_bit */
	const char *servers; /* NULL: from the configuration */
	const char *config;
	uint32_t timeout_ms;
	uint64_t count;	 /* 0: no end */
	char **operands; /* what is no option */
	int n_operands;
};

bool options_parse(struct options *o, int argc, char **argv, FILE *err);
/* The long names of those in 'set', for messages and completion: "--json". NULL: after the last. */
const char *options_name(uint32_t set, uint32_t index);
void options_help(uint32_t set, FILE *out);

#endif
