#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cp/core/core.h"
#include "cp/standby/standby_private.h"

/* One that is being stored: answered when it is on disk. */
struct storing {
	struct standby_cell *c;
	struct rpc_call *call;
	bool is_copy_wanted;
};

static void answer(struct rpc_call *call, const struct wire_replicate_answer *a)
{
	struct wire_bytes bytes;

	if (wire_replicate_answer_pack(a, &bytes) != 0) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	rpc_call_reply(call, bytes.bytes, bytes.n);
	wire_bytes_free(&bytes);
}

/* ---- May it be stored? ---- */

/* NULL: it comes from the cell's owner, under the token that this server knows too. */
static const char *refusal(struct standby *s, const struct wire_sealed_request *sealed,
			   const struct wire_replicate_request *m)
{
	const struct ownership_cell *cell = cluster_cell(s->cfg.cluster, m->cell);
	int order =
		cell == NULL ? 1 : ownership_token_compare(standby_token(m->token), cell->token);

	if (order < 0)
		return "the cell has a newer token";
	if (order > 0)
		return "not yet: the token is not known here";
	if (cell->owner != sealed->from)
		return "not from the cell's owner";
	if (cell->standby != s->self)
		return "not yet: not the cell's standby";
	return NULL;
}

/* What was given up as lost may still be on its way, and is older than what came since. */
static bool is_in_order(struct standby_cell *c, const struct wire_sealed_request *sealed)
{
	if (c->from == sealed->from && c->from_boot == sealed->boot &&
	    sealed->sequence <= c->from_sequence)
		return false;
	if (c->from != sealed->from || c->from_boot != sealed->boot)
		c->is_copying = false; /* an owner that started anew starts its copy anew */
	c->from = (uint16_t)sealed->from;
	c->from_boot = sealed->boot;
	c->from_sequence = sealed->sequence;
	return true;
}

/* ---- Into a batch ---- */

/* An owner speaks for its own cell only, under its own token. */
static int alarms_put(struct archive_batch *b, const struct wire_replicate_request *m,
		      uint32_t from)
{
	int err = 0;

	for (uint32_t i = 0; err == 0 && i < m->n_alarms; i++) {
		m->alarms[i].cell = m->cell;
		m->alarms[i].token = m->token;
		m->alarms[i].owner = from;
		err = archive_put_alarm(b, &m->alarms[i]);
	}
	return err;
}

static int elements_put(struct archive_batch *b, const struct wire_replicate_request *m,
			uint32_t from)
{
	int err = 0;

	for (uint32_t i = 0; err == 0 && i < m->n_elements; i++) {
		struct wire_stored_element *e = &m->elements[i];

		if (m->is_copy)
			err = archive_drop_alarms(b, e->id);
		if (err != 0 || e->stored_ns == 0)
			continue;
		e->cell = m->cell;
		e->token = m->token;
		e->owner = from;
		err = archive_put_element(b, e);
	}
	return err;
}

static int records_put(struct archive_batch *b, const struct wire_replicate_request *m,
		       uint32_t from)
{
	/* Elements first: of those of a copy what was there before goes. */
	int err = elements_put(b, m, from);

	if (err == 0)
		err = alarms_put(b, m, from);
	for (uint32_t i = 0; err == 0 && i < m->n_notes; i++)
		err = archive_put_note(b, &m->notes[i]);
	for (uint32_t i = 0; err == 0 && i < m->n_events; i++)
		err = archive_put_event(b, &m->events[i]);
	return err;
}

/* What the archive says of the cell from this request on. */
static int sync_put(struct standby_cell *c, struct archive_batch *b,
		    const struct wire_replicate_request *m)
{
	struct ownership_token token = standby_token(m->token);
	bool is_other = c->is_owner || ownership_token_compare(c->sync, token) != 0;

	if (m->is_copy && m->is_end)
		return standby_sync_put(c, b, token, true, false);
	if (is_other || (m->is_copy && m->is_begin && c->is_complete))
		return standby_sync_put(c, b, token, false, false);
	return 0;
}

/* ---- One request ---- */

static void on_stored(void *user)
{
	struct storing *w = user;

	w->c->storing = NULL;
	answer(w->call, &(struct wire_replicate_answer){
				.is_stored = true,
				.is_copy_wanted = w->is_copy_wanted,
				.why = "",
				.token = standby_wire_token(w->c->sync),
			});
	free(w);
}

static bool is_empty(const struct wire_replicate_request *m)
{
	return !m->is_copy && m->n_alarms + m->n_elements + m->n_notes + m->n_events == 0;
}

/* Does this process know that everything is here? */
static bool is_whole(const struct standby_cell *c, struct wire_token token)
{
	return c->is_confirmed && c->is_complete &&
	       ownership_token_compare(c->sync, standby_token(token)) == 0;
}

static int store(struct standby_cell *c, const struct wire_replicate_request *m, uint32_t from,
		 struct rpc_call *call)
{
	struct archive_batch *b = archive_batch(c->s->cfg.archive);
	struct storing *w = calloc(1, sizeof(*w));
	int err = b == NULL || w == NULL ? -ENOMEM : records_put(b, m, from);

	if (err == 0)
		err = sync_put(c, b, m);
	if (err == 0) {
		if (m->is_copy) {
			c->is_copying = !m->is_end;
			c->is_confirmed = m->is_end;
		}
		*w = (struct storing){
			.c = c,
			.call = call,
			.is_copy_wanted = !c->is_copying && !is_whole(c, m->token),
		};
		c->storing = w;
		err = archive_commit(c->s->cfg.archive, b, on_stored, w);
		b = NULL;
	}
	if (err == 0)
		return 0;
	/* What the sync record says is not what is on disk: nothing counts until a new copy. */
	c->storing = NULL;
	c->is_copying = c->is_confirmed = false;
	c->is_sync_read = false;
	archive_batch_free(b);
	free(w);
	return err;
}

static void receive(struct standby_cell *c, const struct wire_sealed_request *sealed,
		    const struct wire_replicate_request *m, struct rpc_call *call)
{
	struct wire_replicate_answer a = {.why = "", .token = m->token};

	standby_sync_read(c);
	if (c->storing != NULL) {
		a.why = "busy: the one before is not on disk yet";
	} else if (!is_in_order(c, sealed)) {
		a.why = "out of order";
	} else if (m->is_copy && !m->is_begin && !c->is_copying) {
		a.why = "the beginning of this copy is not here";
		a.is_copy_wanted = true;
	} else if (is_empty(m)) {
		a.is_stored = true;
		a.is_copy_wanted = !c->is_copying && !is_whole(c, m->token);
		c->heard_ms = core_now_ms();
	} else {
		int err = store(c, m, sealed->from, call);

		if (err == 0) {
			c->heard_ms = core_now_ms();
			return;
		}
		a.why = err == -ENOBUFS ? "busy: too much waits for the disk" : strerror(-err);
		a.is_copy_wanted = true;
	}
	answer(call, &a);
}

static void handle(struct standby *s, const struct wire_sealed_request *sealed,
		   struct rpc_call *call)
{
	struct wire_replicate_request *m;
	struct standby_cell *c;
	const char *why;

	if (wire_replicate_request_unpack(sealed->payload.bytes, sealed->payload.n, &m) != 0) {
		rpc_call_fail(call, RPC_INVALID_ARGUMENT, "not a ReplicateRequest");
		return;
	}
	why = refusal(s, sealed, m);
	c = why == NULL ? standby_cell(s, m->cell) : NULL;
	if (why != NULL) {
		const struct ownership_cell *cell = cluster_cell(s->cfg.cluster, m->cell);

		answer(call, &(struct wire_replicate_answer){
				     .why = why,
				     .token = cell != NULL ? standby_wire_token(cell->token)
							   : (struct wire_token){0}});
	} else if (c == NULL) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
	} else {
		receive(c, sealed, m, call);
	}
	wire_free(m);
}

void receiver_handler(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct standby *s = user;
	struct wire_sealed_request *sealed;
	const char *why = cluster_unseal(s->cfg.cluster, "Replicate", bytes, n, &sealed);

	if (why != NULL) {
		rpc_call_fail(call, RPC_PERMISSION_DENIED, why);
		return;
	}
	handle(s, sealed, call);
	wire_free(sealed);
}

void receiver_end(struct standby_cell *c)
{
	if (c->storing == NULL)
		return;
	rpc_call_fail(c->storing->call, RPC_UNAVAILABLE, "ending");
	free(c->storing);
	c->storing = NULL;
}
