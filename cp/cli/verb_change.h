/* verb_change.h - what all commands that change something have in common. */
#ifndef BELLWETHER_CP_CLI_VERB_CHANGE_H
#define BELLWETHER_CP_CLI_VERB_CHANGE_H

#include "cp/cli/session.h"
#include "cp/wire/wire.h"

/* Under which a command goes: the session's request id, and --operator or the login name. Borrows.
 */
struct wire_command change_command(const struct session *s);
/* Sends it. CLI_FAILED: refused, which was said; '*out' is the reply all the same, else NULL. The
 * caller frees it with wire_free(). Frees 'request'. */
enum cli_exit change_send(struct session *s, const char *path, struct wire_bytes *request,
			  struct wire_command_reply **out);

#endif
