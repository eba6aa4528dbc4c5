/* pages.h - a list that comes in pages: asks until there are no more. */
#ifndef BELLWETHER_CP_CLI_PAGES_H
#define BELLWETHER_CP_CLI_PAGES_H

#include <jansson.h>

#include "cp/cli/labels.h"
#include "cp/cli/session.h"

/* Servers that were silent for any page. */
struct pages_silent {
	uint32_t ids[ENDPOINTS_MAX];
	uint32_t n;
};
void pages_silent_add(struct pages_silent *s, const uint32_t *ids, uint32_t n);
json_t *pages_silent_json(const struct pages_silent *s);

/* What a page says of itself; 'silent' lies in the message. */
struct page {
	uint64_t next_after;
	const uint32_t *silent;
	uint32_t n_silent, answered_by;
};

struct pages {
	struct labels labels;
	const char *method; /* "ListElements" */
	/* One page, which is kept in '*message' for wire_free(); prints its rows, or appends them
	 * to 'json' when that is not NULL. */
	enum cli_exit (*take)(struct pages *p, const struct session_reply *reply, void **message,
			      struct page *page);
	struct table *table; /* NULL: 'take' prints nothing */
	json_t *json;
	void **messages; /* where all are kept, or NULL */
	uint32_t n_messages;
	bool keeps_messages;
	struct pages_silent silent;
	uint32_t answered_by;
};

/* Peered for --from store, else Federated. */
enum draw_service pages_service(const struct session *s);
/* All pages; the labels are for the caller to finish. */
enum cli_exit pages_fetch(struct pages *p, struct session *s);
/* All pages, printed; 'json_name': of the array. Uses p->table, destroys it not. */
enum cli_exit pages_run(struct pages *p, struct session *s, const char *json_name);
void pages_free(struct pages *p); /* the messages that were kept */

#endif
