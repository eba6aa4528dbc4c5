/* session.h - the client: a server drawn for each service, and another one when it is silent.
 *
 * Memory:  bytes of a struct session_reply are freed with session_reply_free(). Keeps options,
 * streams. Returns: an enum cli_exit; what is not CLI_DONE was said on 'err'.
 */
#ifndef BELLWETHER_CP_CLI_SESSION_H
#define BELLWETHER_CP_CLI_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cp/cli/cli.h"
#include "cp/cli/endpoints.h"
#include "cp/cli/options.h"

enum session_service { SESSION_PEERED, SESSION_FEDERATED, SESSION_SERVICES };

struct session; /* opaque: see session.c */

struct session_reply {
	uint8_t *bytes;
	size_t n;
};
void session_reply_free(struct session_reply *r);

/* Takes 'e'. */
enum cli_exit session_open(struct session **out, const struct options *o, struct endpoints *e,
			   FILE *to, FILE *err);
const struct options *session_options(const struct session *s);
const struct endpoints *session_endpoints(const struct session *s);
FILE *session_out(const struct session *s);
FILE *session_err(const struct session *s);

/* One call; tries every server once, in the order drawn, until one is not silent. */
enum cli_exit session_call(struct session *s, enum session_service service, const char *path,
			   const uint8_t *bytes, size_t n, struct session_reply *reply);

/* For each message; false: enough. */
typedef bool (*session_message)(void *user, const uint8_t *bytes, size_t n);
/* A stream; goes on with another server when its server dies. CLI_DONE: interrupted, or had enough.
 */
enum cli_exit session_watch(struct session *s, enum session_service service, const char *path,
			    const uint8_t *bytes, size_t n, session_message message, void *user);
/* The server did not speak our language. */
enum cli_exit session_misunderstood(const struct session *s, enum session_service service);

void session_close(struct session *s); /* takes NULL */

#endif
