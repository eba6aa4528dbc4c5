/* session_private.h - what session.c and watch.c share. */
#ifndef BELLWETHER_CP_CLI_SESSION_PRIVATE_H
#define BELLWETHER_CP_CLI_SESSION_PRIVATE_H

#include <uv.h>

#include "cp/cli/session.h"
#include "cp/rpc/rpc.h"

#define REQUEST_ID_BYTES 33 /* 32 hex digits */

struct session {
	const struct options *options;
	struct endpoints endpoints;
	FILE *out, *err;
	uv_loop_t loop;
	bool has_loop;
	struct rpc_client *client;
	struct draws draws;
	bool is_quiet;
	char request_id[REQUEST_ID_BYTES];
};

/* What has come back from one server. */
struct attempt {
	bool is_done;
	enum rpc_status status;
	char why[256];
	struct session_reply reply;
};

void attempt_done(void *attempt, enum rpc_status status, const char *why, const uint8_t *bytes,
		  size_t n);
/* The server has not answered; another one may. */
bool attempt_is_silent(const struct attempt *a);

const struct endpoint *session_drawn(const struct session *s, enum draw_service service);
enum cli_exit session_draw(struct session *s, enum draw_service service);
/* The next one, which is said. */
void session_go_on(struct session *s, enum draw_service service);
void session_say_answered(const struct session *s, enum draw_service service);
void session_say_silent(const struct session *s, enum draw_service service,
			const struct attempt *a);
enum cli_exit session_refused(const struct session *s, enum draw_service service,
			      const struct attempt *a);
enum cli_exit session_unreachable(const struct session *s, const struct attempt *last);

#endif
