/* labels.h - a server's name with its id, for people: "alpha(1)".
 * Names come from the configuration; when the servers came from the command line, from one
 * GetStatus.
 */
#ifndef BELLWETHER_CP_CLI_LABELS_H
#define BELLWETHER_CP_CLI_LABELS_H

#include "cp/cli/session.h"
#include "cp/wire/wire.h"

#define LABEL_BYTES 80

struct labels {
	struct session *session;
	struct wire_status *status; /* NULL: not asked, or in vain */
	bool is_asked;
};

/* Asks for the names, once; when nobody answers ids have to do. */
void labels_ask(struct labels *l);
void label_of_server(char text[LABEL_BYTES], const struct wire_status *status, uint32_t id);
/* The same, and asks for the names when they are needed. "1": nobody knows it. "-": id 0. */
void label_find(struct labels *l, char text[LABEL_BYTES], uint32_t id);
/* "beta(2), gamma(3)" on 'err', when there are any: whose part is missing. 'is_stored': of what
 * servers have on disk, which others have too. */
void labels_say_silent(struct labels *l, bool is_stored, const uint32_t *ids, uint32_t n);
void labels_fini(struct labels *l);

#endif
