#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cp/registry/registry_private.h"

int turn_refuse(struct turn *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(t->outcome->why, sizeof(t->outcome->why), format, args);
	va_end(args);
	t->outcome->is_refused = true;
	return 0;
}

int turn_store(struct turn *t, const struct row *row)
{
	return row_store(t->batch, row);
}

int registry_events_reserve(struct registry *r, uint32_t n)
{
	struct wire_event *events = r->events;

	if (n <= r->events_max)
		return 0;
	events = realloc(events, n * sizeof(*events));
	if (events == NULL)
		return -ENOMEM;
	r->events = events;
	r->events_max = n;
	return 0;
}

int turn_event(struct turn *t, struct wire_event e)
{
	struct registry *r = t->r;
	struct wire_bytes packed;
	uint64_t dropped;
	uint8_t key[8];
	int err = registry_events_reserve(r, r->n_events < 16 ? 16 : r->n_events * 2);

	if (err != 0)
		return err;
	e.number = t->index << REGISTRY_EVENT_SHIFT | r->n_events;
	e.time_ns = t->e->time_ns;
	e.epoch = t->epoch;
	e.operator_name = t->e->operator_name;
	e.request_id = t->e->request_id;
	e.cell = e.cell == NULL ? "" : e.cell;
	e.text = e.text == NULL ? "" : e.text;
	r->events[r->n_events++] = e;
	err = wire_event_pack(&e, &packed);
	if (err != 0)
		return err;
	row_put_u64(key, e.number);
	err = store_batch_put(t->batch, REGISTRY_TABLE_TRAIL, key, sizeof(key), packed.bytes,
			      packed.n);
	if (err != 0) {
		wire_bytes_free(&packed);
		return err;
	}
	err = trail_add(&r->state.trail, e.number, packed, &dropped);
	if (err != 0 || dropped == 0)
		return err;
	row_put_u64(key, dropped);
	return store_batch_delete(t->batch, REGISTRY_TABLE_TRAIL, key, sizeof(key));
}

/* ---- The short kinds; see elements.c and cells.c for the others ---- */

static int turn_epoch(struct turn *t)
{
	if (t->e->server == 0)
		return turn_refuse(t, "no server is the master of an epoch");
	return turn_event(
		t, (struct wire_event){.kind = "master", .server = t->e->server, .was = t->e->was});
}

static int turn_drain(struct turn *t)
{
	uint16_t server = (uint16_t)t->e->server;
	bool is_drained = t->e->is_set;
	struct row row;
	int err;

	if (server == 0)
		return turn_refuse(t, "no server is named to be drained");
	if (state_is_drained(&t->r->state, server) == is_drained) {
		t->outcome->n_same = 1;
		return 0;
	}
	state_set_drained(&t->r->state, server, is_drained);
	t->is_drain_changed = true;
	t->outcome->n_changed = 1;
	row_of_drained(&row, server);
	err = is_drained ? turn_store(t, &row) : row_delete(t->batch, &row);
	if (err != 0)
		return err;
	return turn_event(
		t, (struct wire_event){.kind = is_drained ? "server_drained" : "server_undrained",
				       .server = server});
}

static int turn_servers(struct turn *t)
{
	const struct wire_registry_entry *e = t->e;
	int err = 0;

	if (e->n_servers == 0 || e->n_servers > OWNERSHIP_SERVERS_MAX)
		return turn_refuse(t, "%u servers in one entry", e->n_servers);
	for (uint32_t i = 0; i < e->n_servers; i++)
		if (e->servers[i] == 0)
			return turn_refuse(t, "server 0 is none");
	for (uint32_t i = 0; i < e->n_servers && err == 0; i++)
		err = turn_event(
			t, (struct wire_event){.kind = e->is_set ? "server_failed" : "server_back",
					       .server = e->servers[i]});
	return err;
}

static int turn_kind(struct turn *t)
{
	if (strlen(t->e->operator_name) > REGISTRY_OPERATOR_MAX)
		return turn_refuse(t, "the operator's name is longer than %u octets",
				   REGISTRY_OPERATOR_MAX);
	switch (t->e->kind) {
	case WIRE_REGISTRY_EPOCH:
		return turn_epoch(t);
	case WIRE_REGISTRY_CELLS:
		return turn_cells(t);
	case WIRE_REGISTRY_ELEMENTS:
		return turn_elements(t);
	case WIRE_REGISTRY_DRAIN:
		return turn_drain(t);
	case WIRE_REGISTRY_PIN:
		return turn_pin(t);
	case WIRE_REGISTRY_SERVERS:
		return turn_servers(t);
	}
	return turn_refuse(t, "an entry of kind %d", (int)t->e->kind);
}

/* ---- The turn ---- */

static int request_done(struct turn *t)
{
	char dropped[WIRE_REQUEST_ID_MAX + 1];
	struct row row;
	int err = requests_add(&t->r->state.requests, t->e->request_id, t->outcome, dropped);

	if (err != 0)
		return err;
	if (dropped[0] != '\0') {
		err = store_batch_delete(t->batch, REGISTRY_TABLE_REQUESTS, dropped,
					 strlen(dropped));
		if (err != 0)
			return err;
	}
	row_of_request(&row, t->e->request_id, t->outcome);
	return turn_store(t, &row);
}

static int map_changed(struct turn *t)
{
	struct state *s = &t->r->state;
	struct row row;
	int err;

	s->map = (struct row_position){t->epoch, t->index};
	row_of_position(&row, ROW_MAP, s->map);
	err = turn_store(t, &row);
	return err != 0 ? err : state_view(s);
}

static int turn_do(struct turn *t)
{
	const struct registry_outcome *before;
	int err;

	before = requests_find(&t->r->state.requests, t->e->request_id);
	if (before != NULL) {
		*t->outcome = *before;
		t->outcome->is_repeat = true;
		return 0;
	}
	err = turn_kind(t);
	if (err == 0 && t->is_map_changed)
		err = map_changed(t);
	if (err == 0 && t->e->request_id[0] != '\0')
		err = request_done(t);
	return err;
}

void registry_effects_end(struct registry *r)
{
	wire_free(r->entry);
	r->entry = NULL;
	free(r->changes);
	r->changes = NULL;
	r->n_changes = r->n_events = 0;
	for (uint32_t i = 0; i < r->n_unpacked; i++)
		wire_free(r->unpacked[i]);
	free(r->unpacked);
	r->unpacked = NULL;
	r->n_unpacked = 0;
}

int registry_apply(struct registry *r, uint64_t index, uint64_t epoch, const uint8_t *bytes,
		   size_t n, struct store_batch *b, struct registry_outcome *outcome,
		   struct registry_effects *effects)
{
	struct turn t = {.r = r, .index = index, .epoch = epoch, .batch = b, .outcome = outcome};
	struct row row;
	int err;

	assert(index == r->applied + 1 && !r->is_rebuilding);
	registry_effects_end(r);
	*outcome = (struct registry_outcome){.index = index};
	*effects = (struct registry_effects){0};
	if (n > REGISTRY_ENTRY_MAX)
		err = -EBADMSG;
	else
		err = wire_registry_entry_unpack(bytes, n, &r->entry);
	t.e = r->entry;
	if (err == -EBADMSG)
		err = turn_refuse(&t, "an entry that cannot be read");
	else if (err == 0)
		err = turn_do(&t);
	row_of_position(&row, ROW_APPLIED, (struct row_position){epoch, index});
	if (err == 0)
		err = turn_store(&t, &row);
	if (err != 0)
		return err;
	r->applied = index;
	r->applied_epoch = epoch;
	*effects = (struct registry_effects){
		.is_map_changed = t.is_map_changed,
		.is_inventory_changed = r->n_changes > 0,
		.is_drain_changed = t.is_drain_changed,
		.changes = r->changes,
		.n_changes = r->n_changes,
		.events = r->events,
		.n_events = r->n_events,
	};
	return 0;
}
