/* cli.h - bellctl: asks a server of the cluster, drawn at random, and shows what it says.
 * The command table (command.c) drives parsing, help and completion; docs/bellctl.md describes the
 * output.
 *
 * Thread:  control, which is the program's only one beside cp/rpc's.
 */
#ifndef BELLWETHER_CP_CLI_CLI_H
#define BELLWETHER_CP_CLI_CLI_H

#include <stdio.h>

enum cli_exit {
	CLI_DONE = 0,
	CLI_USAGE = 1,
	CLI_FAILED = 2,	     /* refused, or failed; dp stats: an equation is broken */
	CLI_UNREACHABLE = 3, /* no server answered */
	CLI_NOT_FOUND = 4,
};

/* The whole program; 'argv' as main() has it. */
enum cli_exit cli_run(int argc, char **argv, FILE *out, FILE *err);

#endif
