/* config.h - the configuration file between libcyaml and struct conf.
 *
 * Memory:  struct conf_file is libcyaml's, unloaded by conf_load().
 */
#ifndef BELLWETHER_DP_CONF_CONFIG_H
#define BELLWETHER_DP_CONF_CONFIG_H

#include "dp/conf/source.h"

/* An entry of 'servers:' as it is written. The addresses are filled in by conf_check(). */
struct conf_server_entry {
	uint16_t id, rank;
	char *name, *address, *client_address, *relay_address; /* the last two: NULL when absent */
	bool *voter;					       /* NULL when absent */
	struct fedmem_address peer, client, relay;
};

struct conf_file {
	struct conf conf; /* all but servers, self, and what follows from other keys */
	struct conf_server_entry *servers;
	uint32_t n_servers;
};

/* A number with bounds narrower than those of its type, or a default, or both. */
struct conf_number {
	const char *path;
	size_t offset; /* in struct conf */
	size_t n_bytes;
	uint32_t min, max, by_default;
};
extern const struct conf_number conf_numbers[]; /* ends with a NULL path */

/* The bounds of the numbers that are written (the document fits the table). */
void conf_check_numbers(struct conf_source *s);
/* What only makes sense together. Fills the parsed addresses of the servers. */
void conf_check(struct conf_source *s, struct conf_file *f);

#endif
