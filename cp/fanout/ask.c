#include <errno.h>
#include <stdlib.h>

#include "cp/fanout/fanout.h"

#define DEADLINE_DEFAULT 1000
#define DEADLINE_MAX	 30000
/* What is left of the client's own deadline for the way back. */
#define ANSWER_MS 20

struct part {
	struct question *question;
	uint16_t server;
	bool is_answered;
};

/* Lives until the last of its parts has come or failed. */
struct question {
	struct fanout_ask ask;
	uint32_t n_parts, n_waiting;
	uint32_t *silent;
	struct part parts[];
};

static void end(struct question *q)
{
	uint32_t n_silent = 0;

	for (uint32_t i = 0; i < q->n_parts; i++)
		if (!q->parts[i].is_answered)
			q->silent[n_silent++] = q->parts[i].server;
	q->ask.done(q->ask.user, q->silent, n_silent);
	free(q->silent);
	free(q);
}

static void part_done(void *user, enum rpc_status status, const char *why, const uint8_t *bytes,
		      size_t n)
{
	struct part *p = user;
	struct question *q = p->question;

	if (status == RPC_OK)
		p->is_answered = q->ask.take(q->ask.user, p->server, bytes, n);
	if (--q->n_waiting == 0)
		end(q);
}

int fanout_ask(const struct fanout *f, const struct fanout_ask *ask)
{
	const struct cluster_view *view = cluster_view(f->cluster);
	struct question *q = calloc(1, sizeof(*q) + view->n_servers * sizeof(q->parts[0]));
	uint32_t *silent = calloc((size_t)view->n_servers + 1, sizeof(*silent));

	if (q == NULL || silent == NULL) {
		free(q);
		free(silent);
		return -ENOMEM;
	}
	q->ask = *ask;
	q->silent = silent;
	q->n_waiting = 1; /* ours, until all are asked */
	for (uint32_t i = 0; i < view->n_servers; i++) {
		const struct cluster_server *s = &view->servers[i];
		struct part *p = &q->parts[q->n_parts];

		if (s->conf->id == view->self)
			continue;
		*p = (struct part){.question = q, .server = s->conf->id};
		q->n_parts++;
		if (s->state == DETECTOR_FAILED)
			continue;
		if (rpc_client_call(f->client, s->call_address, ask->path, ask->bytes, ask->n,
				    ask->deadline_ms, part_done, p) == 0)
			q->n_waiting++;
	}
	if (--q->n_waiting == 0)
		end(q);
	return 0;
}

uint32_t fanout_deadline(const struct rpc_call *call, uint32_t wanted_ms)
{
	uint32_t wanted = wanted_ms != 0 ? wanted_ms : DEADLINE_DEFAULT;
	uint32_t left = rpc_call_time_left_ms(call);

	if (wanted > DEADLINE_MAX)
		wanted = DEADLINE_MAX;
	if (left != UINT32_MAX && wanted + ANSWER_MS > left)
		wanted = left > 2 * ANSWER_MS ? left - ANSWER_MS : ANSWER_MS;
	return wanted;
}
