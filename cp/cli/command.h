/* command.h - the one table of commands: parsing, help and completion words come from it.
 * Memory: static.
 */
#ifndef BELLWETHER_CP_CLI_COMMAND_H
#define BELLWETHER_CP_CLI_COMMAND_H

#include <stdint.h>
#include <stdio.h>

#include "cp/cli/cli.h"
#include "cp/cli/session.h"

struct command {
	const char *noun, *verb; /* verb NULL: the noun alone */
	const char *args;	 /* for help: "NAME" */
	int n_args_min, n_args_max;
	uint32_t options; /* beside OPTIONS_EVERYWHERE */
	enum cli_exit (*run)(struct session *s, char **args, int n_args);
	const char *help;
};

/* The command that the words name, prefixes allowed where only one fits. '*n_words': how many named
 * it. NULL: said on 'err' why not, unless 'err' is NULL. */
const struct command *command_find(char *const *words, int n, int *n_words, FILE *err);
/* Help for all commands, for those of a noun, or for one: as far as the words go. */
void command_help(char *const *words, int n, FILE *out);
/* What may stand in place of the last word, one a line. */
void command_complete(char *const *words, int n, FILE *out);

#endif
