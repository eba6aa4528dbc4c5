#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cp/core/core.h"
#include "cp/standby/standby_private.h"

/* An answer ends with the element with which it gets longer; no element may be longer than twice
 * that. */
#define ANSWER_BYTES	PAGE_BYTES
#define ANSWER_ELEMENTS PAGE_ELEMENTS
/* When the data plane has not beaten for so long nobody applies anything. */
#define DP_SILENT_NS UINT64_C(1000000000)

/* ---- The archive's records of a cell ---- */

static void element_see(struct standby *s, uint64_t id, const struct fetch_see *see)
{
	struct archive *a = s->cfg.archive;

	archive_elements(a, id, id, see->element, see->user);
	archive_alarms(a, id, id, see->alarm, see->user);
	archive_notes(a, id, id, see->note, see->user);
}

bool fetch_archive(struct standby *s, const char *cell, uint64_t element, uint64_t *after,
		   uint32_t n_elements, const struct fetch_see *see)
{
	const struct conf_element *e;
	struct inventory_walk walk;

	if (element != 0) {
		element_see(s, element, see);
		return false;
	}
	/* Element by element: the cell's size decides how long it takes, not the archive's. */
	inventory_walk_begin(&walk, s->cfg.inventory, cell, *after);
	for (uint32_t i = 0; i < n_elements; i++) {
		e = inventory_walk_next(&walk);
		if (e == NULL)
			return false;
		*after = e->id;
		element_see(s, e->id, see);
	}
	return true;
}

/* ---- Answers ---- */

static void answer(struct rpc_call *call, const struct wire_cell_records *r)
{
	struct wire_bytes bytes;
	int err = wire_cell_records_pack(r, &bytes);

	if (err != 0) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, strerror(-err));
		return;
	}
	rpc_call_reply(call, bytes.bytes, bytes.n);
	wire_bytes_free(&bytes);
}

static void refuse(struct rpc_call *call, const char *why)
{
	answer(call, &(struct wire_cell_records){.why = why});
}

/* An answer that grows record by record: packed messages one behind the other are, in protobuf's
 * encoding, the message with the records of all. */
struct growing {
	uint8_t *bytes;
	size_t n, room;
	int err;
};

static bool grow(struct growing *g, const struct wire_cell_records *part)
{
	struct wire_bytes bytes;

	if (g->err != 0 || g->n > 2 * (size_t)ANSWER_BYTES - 65536)
		return false;
	g->err = wire_cell_records_pack(part, &bytes);
	if (g->err != 0)
		return false;
	if (g->n + bytes.n > g->room) {
		size_t room = 2 * (g->n + bytes.n);
		uint8_t *more = realloc(g->bytes, room);

		if (more == NULL) {
			wire_bytes_free(&bytes);
			g->err = -ENOMEM;
			return false;
		}
		g->bytes = more;
		g->room = room;
	}
	memcpy(g->bytes + g->n, bytes.bytes, bytes.n);
	g->n += bytes.n;
	wire_bytes_free(&bytes);
	return true;
}

static bool see_element(void *user, const struct wire_stored_element *e)
{
	struct wire_stored_element one = *e;

	return grow(user,
		    &(struct wire_cell_records){.elements = &one, .n_elements = 1, .why = ""});
}

static bool see_alarm(void *user, const struct wire_stored_alarm *a)
{
	struct wire_stored_alarm one = *a;

	return grow(user, &(struct wire_cell_records){.alarms = &one, .n_alarms = 1, .why = ""});
}

static bool see_note(void *user, const struct wire_alarm_note *n)
{
	struct wire_alarm_note one = *n;

	return grow(user, &(struct wire_cell_records){.notes = &one, .n_notes = 1, .why = ""});
}

static void answer_archive(struct standby_cell *c, const struct wire_fetch_cell_request *m,
			   struct rpc_call *call)
{
	struct growing g = {0};
	const struct fetch_see see = {see_element, see_alarm, see_note, &g};
	struct wire_cell_records head = {.is_known = true, .why = ""};
	uint64_t after = m->after_element;
	bool is_more = true;

	for (uint32_t i = 0; is_more && i < ANSWER_ELEMENTS && g.n < ANSWER_BYTES; i++)
		is_more = fetch_archive(c->s, c->name, m->element, &after, 1, &see);
	standby_sync_read(c);
	if (c->is_complete && (c->is_owner || c->is_confirmed))
		head.token = standby_wire_token(c->sync);
	head.next_after = is_more ? after : 0;
	grow(&g, &head);
	if (g.err != 0)
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, strerror(-g.err));
	else
		rpc_call_reply(call, g.bytes, g.n);
	free(g.bytes);
}

/* ---- The memory of the owner until now ---- */

static bool is_dp_silent(const struct standby *s)
{
	uint64_t beat_ns = fedmem_dp_beat_ns(s->cfg.fedmem), now_ns = core_now_ns();

	return now_ns > beat_ns && now_ns - beat_ns > DP_SILENT_NS;
}

/* Has the worker stopped applying under what the map said before? */
static bool has_stopped(const struct standby_cell *c, const struct wire_fetch_cell_request *m)
{
	const struct fedmem *fm = c->s->cfg.fedmem;

	if (is_dp_silent(c->s))
		return true;
	if (m->element != 0)
		return fedmem_dp_beat_ns(fm) >= c->s->changed_ns;
	return (int32_t)(fedmem_dp_cells_version(fm) - c->had_version) >= 0;
}

/* Whose memory holds all that is asked for, up to the end? */
static bool was_owner(const struct standby_cell *c, const struct wire_fetch_cell_request *m)
{
	if (m->element != 0)
		return true; /* the asking server says that it was in a cell of this one */
	return c->has_had && c->had.generation + 1 == m->token.generation;
}

static bool answer_memory(struct standby_cell *c, const struct wire_fetch_cell_request *m,
			  struct rpc_call *call)
{
	struct ownership_cell cell = {.owner = c->s->self, .token = c->had};
	const struct page_query q = {
		.fedmem = c->s->cfg.fedmem,
		.inventory = c->s->cfg.inventory,
		.memory = c->s->cfg.memory,
		.cell = &cell,
		.after = m->after_element,
		.element = m->element,
	};
	struct wire_cell_records r;
	struct page p;
	int err;

	memcpy(cell.name, c->name, sizeof(cell.name));
	err = page_read(&p, &q);
	r = (struct wire_cell_records){
		.is_known = true,
		.is_from_memory = true,
		.token = standby_wire_token(p.cell.token),
		.alarms = p.alarms,
		.n_alarms = p.n_alarms,
		.elements = p.elements,
		.n_elements = p.n_elements,
		.notes = p.notes,
		.n_notes = p.n_notes,
		.next_after = p.next_after,
		.why = "",
	};
	/* Of an element that was here long ago the archive may know more. */
	if (err == 0 && m->element != 0 && (p.n_elements == 0 || p.elements[0].stored_ns == 0))
		err = -ENOENT;
	if (err == 0)
		answer(call, &r);
	page_fini(&p);
	return err == 0;
}

static void handle(struct standby *s, const struct wire_fetch_cell_request *m,
		   struct rpc_call *call)
{
	const struct ownership_cell *cell = cluster_cell(s->cfg.cluster, m->cell);
	struct standby_cell *c = cell == NULL ? NULL : standby_cell(s, m->cell);
	int order = c == NULL ? 1 : ownership_token_compare(standby_token(m->token), cell->token);

	if (order < 0)
		refuse(call, "the cell has a newer token");
	else if (order > 0 || ownership_token_compare(c->token, cell->token) != 0)
		refuse(call, "not yet: the token is not known here");
	else if (c->owner == s->self)
		refuse(call, "this server owns the cell");
	else if (was_owner(c, m) && !has_stopped(c, m))
		refuse(call, "not yet: the data plane still applies");
	else if (!was_owner(c, m) || !answer_memory(c, m, call))
		answer_archive(c, m, call);
}

void fetch_handler(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct standby *s = user;
	struct wire_sealed_request *sealed;
	struct wire_fetch_cell_request *m;
	const char *why = cluster_unseal(s->cfg.cluster, "FetchCell", bytes, n, &sealed);

	if (why != NULL) {
		rpc_call_fail(call, RPC_PERMISSION_DENIED, why);
		return;
	}
	if (wire_fetch_cell_request_unpack(sealed->payload.bytes, sealed->payload.n, &m) == 0) {
		handle(s, m, call);
		wire_free(m);
	} else {
		rpc_call_fail(call, RPC_INVALID_ARGUMENT, "not a FetchCellRequest");
	}
	wire_free(sealed);
}
