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
#include "cp/cli/draw.h"
#include "cp/cli/endpoints.h"
#include "cp/cli/options.h"
#include "cp/wire/wire.h"

struct session; /* opaque: see session_private.h */

struct session_reply {
	uint8_t *bytes;
	size_t n;
};
void session_reply_free(struct session_reply *r);

/* Takes 'e'. */
enum cli_exit session_open(struct session **out, const struct options *o, struct endpoints *e,
			   FILE *to, FILE *err);
const struct options *session_options(const struct session *s);
bool session_has(const struct session *s, uint32_t option); /* it was given */
const struct endpoints *session_endpoints(const struct session *s);
FILE *session_out(const struct session *s);
FILE *session_err(const struct session *s);

/* One call; tries every server once, in the order drawn, until one is not silent. */
enum cli_exit session_call(struct session *s, enum draw_service service, const char *path,
			   const uint8_t *bytes, size_t n, struct session_reply *reply);
/* One to Peered that nobody asked for: nothing is said of who answered, nor of a failure. */
enum cli_exit session_call_aside(struct session *s, const char *path, const uint8_t *bytes,
				 size_t n, struct session_reply *reply);
/* A command, to Peered. Goes round all servers until one is not silent, as long as --timeout: a
 * cluster without a master is silent too. The request id in 'bytes' makes it safe that one was done
 * whose answer was lost. */
enum cli_exit session_command(struct session *s, const char *path, const uint8_t *bytes, size_t n,
			      struct session_reply *reply);
/* 128 random bits, drawn once; the same for all that the session does. */
const char *session_request_id(const struct session *s);

/* What asks for the stream: called for each server that is asked. -errno: it could not be packed.
 */
typedef int (*session_pack)(void *user, struct wire_bytes *request);
/* For each message; false: enough. */
typedef bool (*session_message)(void *user, const uint8_t *bytes, size_t n);
/* A stream of Federated; goes on with another server when its server dies. CLI_DONE: interrupted,
 * or had enough. */
enum cli_exit session_watch(struct session *s, const char *path, session_pack pack,
			    session_message message, void *user);
/* The server did not speak our language. */
enum cli_exit session_misunderstood(const struct session *s, enum draw_service service);

void session_close(struct session *s); /* takes NULL */

#endif
