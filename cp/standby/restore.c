#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cp/core/core.h"
#include "cp/standby/standby_private.h"

#define FETCH_MS       500  /* for one page of one server, "not yet" included */
#define FETCH_AGAIN_MS 5    /* after "not yet" */
#define DISK_MS	       1000 /* for what came in from the owner and is not on disk yet */
#define PEERS_MS       3000 /* after a start: for servers that were not heard yet */
#define SLICE_ELEMENTS 512  /* of the archive, between other work */
#define RING_MS	       1
#define AWAY_MS	       20 /* between looks at a data plane that does not run */
#define ELEMENTS_MAX   16 /* that are stored one by one; of more the whole cell is */

enum phase {
	PHASE_OWNER,   /* asks the owner until now */
	PHASE_ARCHIVE, /* reads this server's own archive */
	PHASE_PEERS,   /* asks all the others */
	PHASE_MEMORY,  /* puts it into the memory */
	PHASE_DRAIN,   /* waits until the worker has taken it */
};

/* What came with one call of cluster_listener.gained(). */
struct want {
	uint64_t element; /* 0: the whole cell */
	uint16_t was;
	bool is_found; /* something is known of the element */
};

struct restore {
	struct standby_cell *c;
	struct ownership_token token;
	struct want *wants;
	uint32_t n_wants, room, at; /* 'at': the one that is being gathered */
	enum phase phase;
	uint64_t begun_ms, phase_ms, wake_ms;
	uint64_t after; /* page */
	uint32_t peer;	/* PEERS: index of the one that is asked */
	bool is_calling, is_abandoned;
	bool is_whole_there; /* PEERS: one of them has a whole copy */
	struct gather gather;
	size_t n_pushed;
	uint64_t last_push; /* number of the last one on the ring */
	uint32_t n_elements, n_alarms;
	const char *from; /* for the log */
	bool is_partial;
	char why[160];
};

bool restore_is_of(const struct restore *r, struct ownership_token token)
{
	return ownership_token_compare(r->token, token) == 0;
}

static void restore_free(struct restore *r)
{
	gather_fini(&r->gather);
	free(r->wants);
	free(r);
}

void restore_abandon(struct restore *r)
{
	core_log(CORE_INFO, "standby: restoring given up, the cell moved on cell=%s", r->c->name);
	r->is_abandoned = true;
	if (!r->is_calling)
		restore_free(r);
}

static struct standby *standby_of(const struct restore *r)
{
	return r->c->s;
}

static struct want *want_of(const struct restore *r)
{
	return &r->wants[r->at];
}

static void partial(struct restore *r, const char *why)
{
	r->is_partial = true;
	snprintf(r->why, sizeof(r->why), "%s", why);
}

static void phase_set(struct restore *r, enum phase phase)
{
	r->phase = phase;
	r->phase_ms = core_now_ms();
	r->wake_ms = 0;
	r->after = 0;
	r->peer = 0;
}

/* ---- What the sources say ---- */

static bool taken(struct restore *r, int err)
{
	if (err != 0)
		partial(r, "this server is out of memory");
	return err == 0;
}

static bool see_element(void *user, const struct wire_stored_element *e)
{
	struct restore *r = user;

	if (e->stored_ns == 0)
		return true;
	want_of(r)->is_found = true;
	return taken(r, gather_element(&r->gather, e));
}

static bool see_alarm(void *user, const struct wire_stored_alarm *a)
{
	struct restore *r = user;

	want_of(r)->is_found = true;
	return a->state == FEDMEM_ALARM_FREE || taken(r, gather_alarm(&r->gather, a));
}

static bool see_note(void *user, const struct wire_alarm_note *n)
{
	return taken(user, memory_note_put(standby_of(user)->cfg.memory, n));
}

static void records_see(struct restore *r, const struct wire_cell_records *a)
{
	for (uint32_t i = 0; i < a->n_elements; i++)
		see_element(r, &a->elements[i]);
	for (uint32_t i = 0; i < a->n_alarms; i++)
		see_alarm(r, &a->alarms[i]);
	for (uint32_t i = 0; i < a->n_notes; i++)
		see_note(r, &a->notes[i]);
}

/* ---- Which source ---- */

static void want_begin(struct restore *r)
{
	const struct want *w = want_of(r);
	const struct cluster_server *was = cluster_server(standby_of(r)->cfg.cluster, w->was);

	r->gather.is_by_time = w->element != 0;
	r->is_whole_there = false;
	if (was != NULL && w->was != standby_of(r)->self && was->state != DETECTOR_FAILED)
		phase_set(r, PHASE_OWNER);
	else
		phase_set(r, PHASE_ARCHIVE);
}

static void want_end(struct restore *r, const char *from)
{
	r->from = r->from == NULL || strcmp(r->from, from) == 0 ? from : "several";
	r->at++;
	if (r->at < r->n_wants) {
		want_begin(r);
		return;
	}
	gather_sort(&r->gather, (struct fedmem_token){r->token.epoch, r->token.generation});
	r->n_elements += r->gather.n_elements;
	r->n_alarms += r->gather.n_alarms;
	r->n_pushed = 0;
	phase_set(r, PHASE_MEMORY);
}

/* ---- Asking a server ---- */

static void next_peer(struct restore *r)
{
	r->peer++;
	r->after = 0;
	r->wake_ms = 0;
	r->phase_ms = core_now_ms();
}

/* This server will not say more. */
static void source_failed(struct restore *r, const char *why)
{
	if (r->phase == PHASE_OWNER) {
		core_log(CORE_WARNING,
			 "standby: not from the memory of the owner until now cell=%s was=%u "
			 "why=%s",
			 r->c->name, want_of(r)->was, why);
		phase_set(r, PHASE_ARCHIVE);
	} else {
		next_peer(r);
	}
}

static bool is_just_before(struct wire_token t, struct ownership_token now)
{
	struct ownership_token token = standby_token(t);

	return ownership_token_compare(token, now) == 0 || token.generation + 1 == now.generation;
}

static void answered(struct restore *r, const struct wire_cell_records *a)
{
	uint64_t now_ms = core_now_ms();

	if (!a->is_known && now_ms < r->phase_ms + FETCH_MS) {
		r->wake_ms = now_ms + FETCH_AGAIN_MS;
		return;
	}
	if (!a->is_known || (r->phase == PHASE_OWNER && !a->is_from_memory)) {
		source_failed(r, a->is_known ? "it is not in its memory" : a->why);
		return;
	}
	records_see(r, a);
	if (a->is_from_memory || is_just_before(a->token, r->token))
		r->is_whole_there = true;
	r->after = a->next_after;
	r->phase_ms = now_ms;
	if (a->next_after != 0)
		return;
	if (r->phase == PHASE_OWNER)
		want_end(r, "memory");
	else
		next_peer(r);
}

static void on_records(void *user, enum rpc_status status, const char *why, const uint8_t *bytes,
		       size_t n)
{
	struct restore *r = user;
	struct standby *s = standby_of(r);
	struct wire_cell_records *a = NULL;

	r->is_calling = false;
	if (r->is_abandoned) {
		restore_free(r);
		return;
	}
	if (status == RPC_OK && wire_cell_records_unpack(bytes, n, &a) == 0)
		answered(r, a);
	else
		source_failed(r, status == RPC_OK ? "not an answer" : why);
	wire_free(a);
	standby_wake(s);
}

/* Asks for the next page. */
static void ask(struct restore *r, uint16_t server)
{
	const struct wire_fetch_cell_request m = {
		.cell = r->c->name,
		.token = standby_wire_token(r->token),
		.after_element = r->after,
		.element = want_of(r)->element,
	};
	struct wire_bytes bytes;
	int err = wire_fetch_cell_request_pack(&m, &bytes);

	if (err == 0) {
		r->is_calling = true;
		err = cluster_call(standby_of(r)->cfg.cluster, server, "FetchCell", bytes.bytes,
				   bytes.n, FETCH_MS, on_records, r);
		wire_bytes_free(&bytes);
	}
	if (err != 0) {
		r->is_calling = false;
		source_failed(r, strerror(-err));
	}
}

/* ---- This server's own archive ---- */

/* NULL: the sync record says that it is whole, and nothing speaks against it. */
static const char *archive_doubt(struct restore *r, char *room, size_t n)
{
	struct standby_cell *c = r->c;
	uint64_t silent_ms = r->begun_ms > c->heard_ms ? r->begun_ms - c->heard_ms : 0;

	standby_sync_read(c);
	if (!c->is_complete || !is_just_before(standby_wire_token(c->sync), r->token))
		return "no whole copy of the cell is known";
	if (c->is_owner || (c->is_confirmed && silent_ms <= STANDBY_SURE_MS))
		return NULL;
	if (!c->is_confirmed)
		return "since this server started nothing came from the owner until now";
	snprintf(room, n, "nothing came from the owner until now in the last %llu ms",
		 (unsigned long long)silent_ms);
	return room;
}

static bool is_archive_whole(struct restore *r)
{
	char room[1];

	return archive_doubt(r, room, sizeof(room)) == NULL;
}

/* An element that this server had in another cell: its memory is not older than the archive. */
static void memory_see(struct restore *r)
{
	struct standby *s = standby_of(r);
	const struct ownership_cell cell = {.owner = s->self};
	const struct page_query q = {
		.fedmem = s->cfg.fedmem,
		.inventory = s->cfg.inventory,
		.memory = s->cfg.memory,
		.cell = &cell,
		.element = want_of(r)->element,
	};
	struct page p;

	if (page_read(&p, &q) == 0)
		records_see(r, &(struct wire_cell_records){.alarms = p.alarms,
							   .n_alarms = p.n_alarms,
							   .elements = p.elements,
							   .n_elements = p.n_elements});
	page_fini(&p);
}

/* A slice. Returns true when the next step can be done at once. */
static bool archive_step(struct restore *r, uint64_t now_ms)
{
	const struct fetch_see see = {see_element, see_alarm, see_note, r};
	const struct want *w = want_of(r);

	if (r->c->storing != NULL && now_ms < r->phase_ms + DISK_MS)
		return false;
	if (fetch_archive(standby_of(r), r->c->name, w->element, &r->after, SLICE_ELEMENTS, &see)) {
		r->wake_ms = 0;
		return false;
	}
	if (w->element != 0 && w->was == standby_of(r)->self)
		memory_see(r);
	/* An element that nobody had is new; what was here all the time is here. */
	if (w->element != 0 ? w->was == 0 || w->was == standby_of(r)->self : is_archive_whole(r))
		want_end(r, "archive");
	else
		phase_set(r, PHASE_PEERS);
	return true;
}

/* ---- All the others ---- */

static void peers_end(struct restore *r)
{
	const struct want *w = want_of(r);
	const char *doubt;
	char room[120];

	if (w->element != 0)
		doubt = w->is_found ? NULL : "nothing is known of the element";
	else
		doubt = archive_doubt(r, room, sizeof(room));
	/* Nobody owned it before and nobody knows anything: there is nothing that could miss. */
	if (w->element == 0 && w->was == 0 && r->gather.n == 0)
		doubt = NULL;
	if (doubt != NULL && !(w->element == 0 && r->is_whole_there))
		partial(r, doubt);
	want_end(r, r->gather.n > 0 ? "peers" : "nobody");
}

static bool peers_step(struct restore *r, uint64_t now_ms)
{
	const struct cluster_view *view = cluster_view(standby_of(r)->cfg.cluster);
	const struct cluster_server *to;

	if (r->peer == view->n_servers) {
		peers_end(r);
		return true;
	}
	to = &view->servers[r->peer];
	if (to->conf->id == view->self || to->state == DETECTOR_FAILED) {
		next_peer(r);
		return true;
	}
	if (to->state != DETECTOR_UNKNOWN) {
		ask(r, to->conf->id);
		return !r->is_calling;
	}
	if (now_ms > r->begun_ms + PEERS_MS) {
		next_peer(r);
		return true;
	}
	r->wake_ms = now_ms + AWAY_MS;
	return false;
}

/* ---- Into the memory ---- */

/* The worker judges by the map in which this server is the owner. */
static bool is_followed(const struct restore *r)
{
	const struct fedmem *fm = standby_of(r)->cfg.fedmem;

	return standby_owns(r->c, r->token) &&
	       (int32_t)(fedmem_dp_cells_version(fm) - fedmem_cells_version(fm)) >= 0;
}

static bool memory_step(struct restore *r, uint64_t now_ms)
{
	struct fedmem *fm = standby_of(r)->cfg.fedmem;

	r->wake_ms = now_ms + RING_MS;
	if (!is_followed(r))
		return false;
	for (; r->n_pushed < r->gather.n; r->n_pushed++) {
		if (fedmem_inject_push(fm, &r->gather.records[r->n_pushed].inject) != 0)
			return false;
	}
	r->last_push = fedmem_injects_pushed(fm);
	gather_fini(&r->gather);
	phase_set(r, PHASE_DRAIN);
	return true;
}

static void event_tell(const struct restore *r)
{
	const struct standby_config *cfg = &standby_of(r)->cfg;
	struct wire_event e = {
		.kind = "restored_in_part",
		.cell = r->c->name,
		.token = standby_wire_token(r->token),
		.server = standby_of(r)->self,
		.was = r->wants[0].was,
		.operator_name = "",
		.request_id = "",
		.text = r->why,
	};

	core_log(CORE_WARNING, "standby: something may be missing cell=%s was=%u why=%s",
		 r->c->name, e.was, r->why);
	if (cfg->event != NULL)
		cfg->event(cfg->user, &e);
}

/* Under the new token it goes into the own archive too, and to the standby. */
static void store(struct standby_cell *c, const struct restore *r)
{
	uint32_t n_found = 0;
	bool is_whole = false;

	for (uint32_t i = 0; i < r->n_wants; i++) {
		is_whole = is_whole || r->wants[i].element == 0;
		n_found += r->wants[i].is_found;
	}
	if (is_whole || n_found > ELEMENTS_MAX) {
		copy_own_begin(c);
		copy_want(c);
		return;
	}
	for (uint32_t i = 0; i < r->n_wants; i++)
		if (r->wants[i].is_found)
			copy_element(c, r->wants[i].element);
}

static void finish(struct restore *r)
{
	struct standby_cell *c = r->c;

	core_log(CORE_INFO,
		 "standby: restored cell=%s epoch=%llu generation=%llu was=%u from=%s "
		 "elements=%u alarms=%u ms=%llu",
		 c->name, (unsigned long long)r->token.epoch,
		 (unsigned long long)r->token.generation, r->wants[0].was, r->from, r->n_elements,
		 r->n_alarms, (unsigned long long)(core_now_ms() - r->begun_ms));
	c->restore = NULL;
	c->full = r->token;
	store(c, r);
	cluster_restored(c->s->cfg.cluster, c->name, r->token);
	if (r->is_partial)
		event_tell(r);
	restore_free(r);
}

/* ---- The steps ---- */

uint64_t restore_tick(struct restore *r, uint64_t now_ms)
{
	bool is_more = true;

	while (is_more && !r->is_calling) {
		if (now_ms < r->wake_ms)
			return r->wake_ms;
		switch (r->phase) {
		case PHASE_OWNER:
			ask(r, want_of(r)->was);
			break;
		case PHASE_ARCHIVE:
			is_more = archive_step(r, now_ms);
			break;
		case PHASE_PEERS:
			is_more = peers_step(r, now_ms);
			break;
		case PHASE_MEMORY:
			is_more = memory_step(r, now_ms);
			break;
		case PHASE_DRAIN:
			if (fedmem_injects_done(standby_of(r)->cfg.fedmem) < r->last_push)
				return now_ms + RING_MS;
			if (r->at == r->n_wants) {
				finish(r);
				return UINT64_MAX;
			}
			want_begin(r); /* what was gained meanwhile */
			break;
		}
	}
	return r->is_calling ? UINT64_MAX : r->wake_ms;
}

/* ---- What has to be restored ---- */

static int want_add(struct restore *r, uint64_t element, uint16_t was)
{
	if (r->n_wants == r->room) {
		uint32_t room = r->room == 0 ? 4 : 2 * r->room;
		struct want *more = reallocarray(r->wants, room, sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		r->wants = more;
		r->room = room;
	}
	r->wants[r->n_wants++] = (struct want){.element = element, .was = was};
	return 0;
}

static int begin(struct standby_cell *c, struct ownership_token token, struct restore **out)
{
	struct restore *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return -ENOMEM;
	r->c = c;
	r->token = token;
	r->begun_ms = core_now_ms();
	r->gather.cell = c->name;
	*out = r;
	return 0;
}

int restore_want(struct standby_cell *c, struct ownership_token token, uint64_t element,
		 uint16_t was)
{
	struct restore *r = c->restore;
	int err = 0;

	if (r != NULL && !restore_is_of(r, token)) {
		restore_abandon(r);
		r = c->restore = NULL;
	}
	if (r == NULL)
		err = begin(c, token, &r);
	if (err == 0)
		err = want_add(r, element, was);
	if (err == 0 && c->restore == NULL) {
		c->restore = r;
		want_begin(r);
	} else if (err != 0 && c->restore == NULL && r != NULL) {
		restore_free(r);
	}
	return err;
}
