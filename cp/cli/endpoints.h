/* endpoints.h - the servers that may be asked.
 * Memory: endpoints_free() frees. Returns: an enum cli_exit; said on 'err' what is wrong.
 */
#ifndef BELLWETHER_CP_CLI_ENDPOINTS_H
#define BELLWETHER_CP_CLI_ENDPOINTS_H

#include <stdint.h>
#include <stdio.h>

#include "cp/cli/cli.h"

#define ENDPOINTS_MAX 64

struct endpoint {
	uint32_t id;	  /* 0: not known, it came from the command line */
	char *name;	  /* as it was given, or from the configuration */
	char address[64]; /* "10.0.0.1:7400" */
};

struct endpoints {
	struct endpoint items[ENDPOINTS_MAX];
	uint32_t n; /* > 0 */
};

/* "HOST[:PORT],..."; names are resolved. CLI_UNREACHABLE: none could be. */
enum cli_exit endpoints_parse(struct endpoints *e, const char *list, FILE *err);
enum cli_exit endpoints_load(struct endpoints *e, const char *config, FILE *err);
void endpoints_free(struct endpoints *e);

#endif
