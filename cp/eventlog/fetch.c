/* What the peers hold of this server's events, when its own archive is new. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cp/core/core.h"
#include "cp/eventlog/eventlog_private.h"
#include "cp/rpc/rpc.h"

#define FETCH_AGAIN_MS	  1000
#define FETCH_DEADLINE_MS 2000
#define FETCH_PAGE	  500
/* In the archive until every peer has answered: 1. A process that is killed goes on. */
#define MARK_NAME "fetch"

static void again_later(struct fetch *f)
{
	f->is_under_way = false;
	f->retry_ms = core_now_ms() + FETCH_AGAIN_MS;
}

static void put_mark(struct eventlog *l, uint8_t is_wanted)
{
	struct archive_batch *b = archive_batch(l->cfg.archive);

	/* One that is lost costs another round of questions. */
	if (b != NULL && archive_put_mark(b, MARK_NAME, &is_wanted, sizeof(is_wanted)) == 0)
		(void)archive_commit(l->cfg.archive, b, NULL, NULL);
	else
		archive_batch_free(b);
}

static void server_done(struct fetch *f)
{
	struct eventlog *l = f->l;

	f->is_done = true;
	core_log(CORE_INFO, "eventlog: has what a peer holds of its events peer=%u", f->server);
	for (uint32_t i = 0; i < l->n_fetches; i++)
		if (!l->fetches[i].is_done)
			return;
	put_mark(l, 0);
}

static void on_stored(void *user)
{
	struct fetch *f = user;

	f->is_under_way = false;
	f->retry_ms = 0;
	if (f->is_last)
		server_done(f);
}

static int store(struct fetch *f, const struct wire_event_list *list)
{
	struct archive_batch *b = archive_batch(f->l->cfg.archive);
	int err = b == NULL ? -ENOMEM : 0;

	for (uint32_t i = 0; err == 0 && i < list->n_events; i++)
		if (list->events[i].origin == f->l->self &&
		    list->events[i].number < f->l->first_number)
			err = archive_put_event(b, &list->events[i]);
	if (err < 0) {
		archive_batch_free(b);
		return err;
	}
	return archive_commit(f->l->cfg.archive, b, on_stored, f);
}

static int take(struct fetch *f, const struct wire_event_list *list)
{
	char *after;
	int err;

	/* A page that leads nowhere would be asked for for ever. */
	if (list->is_more && strcmp(list->resume, f->after) == 0)
		return -EBADMSG;
	after = strdup(list->resume);
	if (after == NULL)
		return -ENOMEM;
	err = store(f, list);
	if (err < 0) {
		free(after);
		return err;
	}
	free(f->after);
	f->after = after;
	f->is_last = !list->is_more;
	return 0;
}

static void on_answer(void *user, enum rpc_status status, const char *why, const uint8_t *bytes,
		      size_t n)
{
	struct wire_event_list *list = NULL;
	struct fetch *f = user;

	if (status != RPC_OK || wire_event_list_unpack(bytes, n, &list) < 0 || take(f, list) < 0)
		again_later(f);
	wire_free(list);
}

static void ask(struct fetch *f)
{
	const struct cluster_server *server = cluster_server(f->l->cfg.cluster, f->server);
	const struct wire_event_query q = {
		.is_local = true,
		.after = f->after,
		.element = "",
		.cell = "",
		.limit = FETCH_PAGE,
		.origin = f->l->self,
	};
	struct wire_bytes bytes;
	int err;

	if (server == NULL || server->state == DETECTOR_FAILED ||
	    wire_event_query_pack(&q, &bytes) < 0) {
		again_later(f);
		return;
	}
	f->is_under_way = true;
	err = rpc_client_call(f->l->cfg.client, server->call_address,
			      WIRE_PATH("Peered", "ListEvents"), bytes.bytes, bytes.n,
			      FETCH_DEADLINE_MS, on_answer, f);
	wire_bytes_free(&bytes);
	if (err < 0)
		again_later(f);
}

/* One peer after the other: it is not urgent. */
void fetch_turn(struct eventlog *l)
{
	uint64_t now_ms = core_now_ms();

	for (uint32_t i = 0; i < l->n_fetches; i++)
		if (l->fetches[i].is_under_way)
			return;
	for (uint32_t i = 0; i < l->n_fetches; i++) {
		struct fetch *f = &l->fetches[i];

		if (f->is_done || now_ms < f->retry_ms)
			continue;
		ask(f);
		return;
	}
}

int fetch_begin(struct eventlog *l)
{
	const struct cluster_view *view = cluster_view(l->cfg.cluster);
	uint8_t is_wanted = 0;
	size_t n = sizeof(is_wanted);

	if (!archive_mark(l->cfg.archive, MARK_NAME, &is_wanted, &n))
		is_wanted = l->cfg.is_archive_new;
	if (is_wanted == 0)
		return 0;
	l->fetches = calloc(view->n_servers, sizeof(*l->fetches));
	if (l->fetches == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < view->n_servers; i++) {
		struct fetch *f = &l->fetches[l->n_fetches];

		if (view->servers[i].conf->id == l->self)
			continue;
		*f = (struct fetch){
			.l = l, .server = view->servers[i].conf->id, .after = strdup("")};
		l->n_fetches++;
		if (f->after == NULL)
			return -ENOMEM;
	}
	put_mark(l, 1);
	return 0;
}

void fetch_end(struct eventlog *l)
{
	for (uint32_t i = 0; i < l->n_fetches; i++)
		free(l->fetches[i].after);
	free(l->fetches);
}
