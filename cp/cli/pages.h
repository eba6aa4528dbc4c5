/* pages.h - a list that comes in pages: asks until there are no more. */
#ifndef BELLWETHER_CP_CLI_PAGES_H
#define BELLWETHER_CP_CLI_PAGES_H

#include <jansson.h>

#include "cp/cli/labels.h"
#include "cp/cli/session.h"

struct pages {
	struct labels labels;
	const char *path;
	bool with_cleared;
	/* One page; prints its rows, or appends them to 'json' when that is not NULL. '*silent'
	 * lies in what '*message' is, for wire_free(). */
	enum cli_exit (*take)(struct pages *p, const struct session_reply *reply, void **message,
			      uint64_t *next_after, const uint32_t **silent, uint32_t *n_silent,
			      uint32_t *answered_by);
	struct table *table;
	json_t *json;
};

/* 'json_name': of the array. Uses p->table, destroys neither. */
enum cli_exit pages_run(struct pages *p, struct session *s, const char *json_name);

#endif
