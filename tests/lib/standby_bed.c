#include "tests/lib/standby_bed.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cp/core/core.h"

struct bed_server *standby_bed_server(struct standby_bed *b, uint16_t id)
{
	return &b->servers[id - 1];
}

/* ---- The data plane ---- */

static bool give_to_nobody(void *relay, const struct apply_datagram *d, uint32_t cell,
			   bool is_alarm)
{
	return false;
}

static void dp_turn(struct bed_server *s)
{
	struct fedmem *fm = s->played.fm;
	uint32_t version = fedmem_cells_version(fm), n;
	struct fedmem_cell cells[PLAYED_REGIONS];
	struct fedmem_inject inject;

	if (s->is_dp_stopped)
		return;
	fedmem_dp_beat(s->played.writer, core_now_ns());
	if (version != 0 && version != s->followed && !s->is_dp_behind) {
		assert_int_equal(fedmem_cells_get(fm, cells, PLAYED_REGIONS, &n, &version), 0);
		assert_int_equal(apply_cells(s->apply, cells, n), 0);
		s->followed = version;
		fedmem_dp_cells_followed(s->played.writer, version);
	}
	while (fedmem_inject_peek(s->played.writer, &inject) == 0) {
		apply_restore(s->apply, &inject);
		fedmem_inject_done(s->played.writer);
	}
	fedmem_stats_publish(s->played.writer, &s->stats);
}

static void on_dp(uv_timer_t *timer)
{
	struct standby_bed *b = timer->data;

	for (int i = 0; i < BED_SERVERS; i++)
		dp_turn(&b->servers[i]);
}

/* ---- What the modules tell ---- */

static uint32_t cell_index(const char *name)
{
	return (uint32_t)(name[1] - '0');
}

static void on_restored(void *user, const char *cell, struct ownership_token token)
{
	struct bed_server *s = user;
	struct fedmem_cell *there = &s->cells[cell_index(cell)];

	if (there->token.epoch != token.epoch || there->token.generation != token.generation ||
	    !there->is_restoring)
		return;
	there->is_restoring = 0;
	s->n_restored++;
	assert_int_equal(fedmem_cells_publish(s->played.fm, s->cells, PLAYED_REGIONS), 0);
}

static void on_event(void *user, struct wire_event *e)
{
	struct bed_server *s = user;

	assert_string_equal(e->kind, "restored_in_part");
	s->n_partial++;
	snprintf(s->why, sizeof(s->why), "%s", e->text);
}

/* ---- Life ---- */

void standby_bed_start(struct standby_bed *b, uint16_t id)
{
	struct bed_server *s = standby_bed_server(b, id);
	const char *address = s->address;
	const struct rpc_method *methods;
	uint32_t n;

	assert_int_equal(rpc_client_create(&s->client, &b->loop), 0);
	fake_calls_attach(s->played.cluster, s->client, ++s->boot, on_restored, s);
	assert_int_equal(standby_create(&s->standby,
					&(struct standby_config){.loop = &b->loop,
								 .fedmem = s->played.fm,
								 .cluster = s->played.cluster,
								 .inventory = s->played.inventory,
								 .memory = s->played.memory,
								 .archive = s->archive,
								 .event = on_event,
								 .user = s}),
			 0);
	methods = standby_methods(s->standby, &n);
	assert_int_equal(rpc_server_create(&s->server, &b->loop, &address, 1, methods, n), 0);
	for (int i = 0; i < BED_SERVERS; i++)
		((struct cluster_server *)cluster_server(b->servers[i].played.cluster, id))->boot =
			s->boot;
	/* As cluster_listen() does: what was not restored is gained again. */
	for (int i = 0; i < PLAYED_REGIONS; i++)
		if (s->cells[i].owner == id && s->cells[i].is_restoring)
			standby_gained(s->standby,
				       cluster_cell(s->played.cluster, s->cells[i].name), 0, id);
}

void standby_bed_kill(struct standby_bed *b, uint16_t id)
{
	struct bed_server *s = standby_bed_server(b, id);

	rpc_server_destroy(s->server);
	rpc_client_destroy(s->client);
	standby_destroy(s->standby);
	fake_calls_detach(s->played.cluster);
	fake_archive_kill(s->archive);
	s->server = NULL;
	s->client = NULL;
	s->standby = NULL;
}

static void server_open(struct standby_bed *b, uint16_t id, uint32_t n_elements)
{
	static const struct apply_relay nobody = {.give = give_to_nobody};
	struct bed_server *s = standby_bed_server(b, id);

	s->bed = b;
	played_server_open(&s->played, &(struct played_config){.id = id,
							       .n_servers = BED_SERVERS,
							       .n_elements = n_elements,
							       .alarms_max = 4096});
	for (uint32_t i = 0; i < n_elements; i++) {
		const struct conf_element *from = &s->played.conf.elements[i];
		struct fedmem_element e = {
			.id = from->id, .address = from->address, .cell = cell_index(from->region)};

		assert_int_equal(fedmem_element_put(s->played.fm, &e, NULL), 0);
	}
	assert_int_equal(
		apply_create(&s->apply, id, s->played.fm, s->played.writer, &s->stats, &nobody), 0);
	s->archive = fake_archive_create(&b->loop);
	loopback_address(s->address, id);
}

void standby_bed_open(struct standby_bed *b, uint32_t n_elements)
{
	memset(b, 0, sizeof(*b));
	assert_int_equal(uv_loop_init(&b->loop), 0);
	for (uint16_t id = 1; id <= BED_SERVERS; id++)
		server_open(b, id, n_elements);
	for (uint16_t id = 1; id <= BED_SERVERS; id++)
		for (int i = 0; i < BED_SERVERS; i++)
			fake_cluster_address(b->servers[i].played.cluster, id,
					     standby_bed_server(b, id)->address);
	for (uint16_t id = 1; id <= BED_SERVERS; id++)
		standby_bed_start(b, id);
	uv_timer_init(&b->loop, &b->dp);
	b->dp.data = b;
	uv_timer_start(&b->dp, on_dp, 1, 1);
}

void standby_bed_close(struct standby_bed *b)
{
	uv_close((uv_handle_t *)&b->dp, NULL);
	for (uint16_t id = 1; id <= BED_SERVERS; id++) {
		struct bed_server *s = standby_bed_server(b, id);

		if (s->standby != NULL)
			standby_bed_kill(b, id);
		fake_archive_destroy(s->archive);
		apply_destroy(s->apply);
		played_server_close(&s->played);
	}
	uv_run(&b->loop, UV_RUN_DEFAULT); /* only what is being closed is left in it */
	assert_int_equal(uv_loop_close(&b->loop), 0);
}

/* ---- The map ---- */

void standby_bed_map_one(struct standby_bed *b, uint16_t id, const char *cell, uint16_t owner,
			 uint16_t standby, struct fedmem_token token)
{
	struct bed_server *s = standby_bed_server(b, id);
	struct fedmem_cell *there = &s->cells[cell_index(cell)];
	bool is_gained =
		owner == id && (there->owner != id || !fedmem_token_equal(there->token, token));
	uint16_t was = there->owner;
	struct ownership_cell *row;

	snprintf(there->name, sizeof(there->name), "%s", cell);
	there->owner = owner;
	there->standby = standby;
	there->token = token;
	if (owner != id)
		there->is_restoring = 0;
	fake_cluster_cell(s->played.cluster, cell, owner, token.epoch, token.generation);
	row = (struct ownership_cell *)cluster_cell(s->played.cluster, cell);
	row->standby = standby;
	if (is_gained) {
		there->is_restoring = 1;
		standby_gained(s->standby, row, 0, was);
	}
	assert_int_equal(fedmem_cells_publish(s->played.fm, s->cells, PLAYED_REGIONS), 0);
	standby_changed(s->standby);
}

void standby_bed_map(struct standby_bed *b, const char *cell, uint16_t owner, uint16_t standby,
		     struct fedmem_token token)
{
	for (uint16_t id = 1; id <= BED_SERVERS; id++)
		if (standby_bed_server(b, id)->standby != NULL)
			standby_bed_map_one(b, id, cell, owner, standby, token);
}

void standby_bed_state(struct standby_bed *b, uint16_t id, enum detector_state state)
{
	for (uint16_t at = 1; at <= BED_SERVERS; at++)
		if (at != id)
			fake_cluster_state(standby_bed_server(b, at)->played.cluster, id, state);
}

void standby_bed_move(struct standby_bed *b, uint64_t element, const char *cell)
{
	for (uint16_t id = 1; id <= BED_SERVERS; id++) {
		struct bed_server *s = standby_bed_server(b, id);
		const struct conf_element *is = inventory_find_id(s->played.inventory, element);
		const struct ownership_cell *row = cluster_cell(s->played.cluster, cell);
		struct fedmem_element e = {
			.id = element, .address = is->address, .cell = cell_index(cell)};
		uint16_t was = s->cells[cell_index(is->region)].owner;
		struct conf_element moved = *is;

		moved.region = (char *)cell;
		assert_int_equal(
			inventory_put(s->played.inventory, &moved, &(struct inventory_change){0}),
			0);
		if (row->owner == id) {
			s->cells[cell_index(cell)].is_restoring = 1;
			standby_gained(s->standby, row, element, was);
			assert_int_equal(
				fedmem_cells_publish(s->played.fm, s->cells, PLAYED_REGIONS), 0);
		}
		assert_int_equal(fedmem_element_put(s->played.fm, &e, NULL), 0);
		standby_changed(s->standby);
	}
}

/* ---- A change of an alarm ---- */

static void on_sent(void *user, bool is_degraded)
{
	struct bed_server *s = user;

	s->n_done++;
	s->n_degraded += is_degraded;
}

static void find_alarm(struct bed_server *s, uint64_t element, const char *resource,
		       struct fedmem_token token, struct fedmem_alarm *a)
{
	for (uint32_t i = 0; i < fedmem_sizes(s->played.fm)->alarms_max; i++)
		if (fedmem_alarm_read(s->played.fm, i, a) == 0 && a->element_id == element &&
		    fedmem_token_equal(a->token, token) && strcmp(a->resource, resource) == 0)
			return;
	fail_msg("no such alarm");
}

void standby_bed_alarm(struct standby_bed *b, uint16_t id, uint64_t element, const char *resource,
		       uint8_t severity)
{
	struct bed_server *s = standby_bed_server(b, id);
	const struct conf_element *e = inventory_find_id(s->played.inventory, element);
	const struct ownership_cell *cell = cluster_cell(s->played.cluster, e->region);
	const struct fedmem_token token = {cell->token.epoch, cell->token.generation};
	struct archive_batch *batch = archive_batch(s->archive);
	struct wire_stored_alarm stored;
	struct fedmem_alarm a;
	struct wire_event event = {
		.origin = id,
		.number = ++s->n_events,
		.time_ns = s->played.now_ns,
		.kind = severity == FEDMEM_CLEARED ? "cleared" : "raised",
		.cell = cell->name,
		.token = {token.epoch, token.generation},
		.operator_name = "",
		.request_id = "",
		.text = "",
	};

	played_alarm(&s->played, &(struct played_alarm){.element = element,
							.token = token,
							.type = "link",
							.resource = resource,
							.severity = severity});
	find_alarm(s, element, resource, token, &a);
	memory_stored_alarm(&a, cell, s->played.now_ns, &stored);
	assert_int_equal(archive_put_alarm(batch, &stored), 0);
	assert_int_equal(archive_put_event(batch, &event), 0);
	assert_int_equal(archive_commit(s->archive, batch, NULL, NULL), 0);
	standby_send(s->standby, cell->name,
		     &(struct wire_replicate_request){
			     .alarms = &stored, .n_alarms = 1, .events = &event, .n_events = 1},
		     on_sent, s);
}

/* ---- Waiting ---- */

void standby_bed_wait(struct standby_bed *b, bool (*is_so)(void *user), void *user)
{
	loopback_wait(&b->loop, is_so, user);
}

static bool is_idle(void *user)
{
	const struct bed_server *s = user;

	return standby_is_idle(s->standby);
}

void standby_bed_wait_idle(struct standby_bed *b, uint16_t id)
{
	standby_bed_wait(b, is_idle, standby_bed_server(b, id));
}

struct whole {
	struct standby *standby;
	const char *cell;
};

static bool is_whole(void *user)
{
	const struct whole *w = user;

	return standby_is_whole(w->standby, w->cell) && standby_is_idle(w->standby);
}

void standby_bed_wait_whole(struct standby_bed *b, uint16_t id, const char *cell)
{
	standby_bed_wait(b, is_whole, &(struct whole){standby_bed_server(b, id)->standby, cell});
}

struct restored {
	const struct bed_server *s;
	uint32_t n;
};

static bool is_restored(void *user)
{
	const struct restored *r = user;

	return r->s->n_restored >= r->n;
}

void standby_bed_wait_restored(struct standby_bed *b, uint16_t id, uint32_t n)
{
	standby_bed_wait(b, is_restored, &(struct restored){standby_bed_server(b, id), n});
}

static bool is_over(void *user)
{
	const uint64_t *until_ms = user;

	return core_now_ms() >= *until_ms;
}

void standby_bed_turn(struct standby_bed *b, uint32_t ms)
{
	uint64_t until_ms = core_now_ms() + ms;

	standby_bed_wait(b, is_over, &until_ms);
}

/* ---- What is there ---- */

struct lines {
	char **lines;
	size_t n, room;
	const char *cell;
	const struct inventory *inventory;
};

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add(struct lines *l, uint64_t element, const char *type, const char *resource,
		int state, int severity, const uint64_t *times)
{
	const struct conf_element *e = inventory_find_id(l->inventory, element);

	if (e == NULL || strcmp(e->region, l->cell) != 0)
		return;
	if (l->n == l->room) {
		l->room = l->room == 0 ? 256 : 2 * l->room;
		l->lines = reallocarray(l->lines, l->room, sizeof(*l->lines));
		assert_non_null(l->lines);
	}
	assert_true(asprintf(&l->lines[l->n++],
			     "%" PRIu64 " %s %s %s severity=%d raised=%" PRIu64 " changed=%" PRIu64
			     " last=%" PRIu64 " count=%" PRIu64 "\n",
			     element, type, resource,
			     state == FEDMEM_ALARM_RAISED ? "raised" : "gone", severity, times[0],
			     times[1], times[2], times[3]) > 0);
}

static char *join(struct lines *l)
{
	char *all;
	size_t n;
	FILE *f = open_memstream(&all, &n);

	assert_non_null(f);
	if (l->n > 0)
		qsort(l->lines, l->n, sizeof(*l->lines), compare_lines);
	for (size_t i = 0; i < l->n; i++) {
		fputs(l->lines[i], f);
		free(l->lines[i]);
	}
	free(l->lines);
	fclose(f);
	return all;
}

char *standby_bed_memory(struct standby_bed *b, uint16_t id, const char *cell)
{
	struct bed_server *s = standby_bed_server(b, id);
	struct lines l = {.cell = cell, .inventory = s->played.inventory};
	struct fedmem_token token = s->cells[cell_index(cell)].token;

	for (uint32_t i = 0; i < fedmem_sizes(s->played.fm)->alarms_max; i++) {
		struct fedmem_alarm a;

		if (fedmem_alarm_read(s->played.fm, i, &a) == 0 &&
		    fedmem_token_equal(a.token, token))
			add(&l, a.element_id, a.type, a.resource, a.state, a.severity,
			    (uint64_t[]){a.raised_ns, a.changed_ns, a.last_ns, a.count});
	}
	return join(&l);
}

static bool see_alarm(void *user, const struct wire_stored_alarm *a)
{
	char type[FEDMEM_TYPE_BYTES + 1], resource[FEDMEM_RESOURCE_BYTES + 1];

	snprintf(type, sizeof(type), "%.*s", (int)a->type.n, (const char *)a->type.bytes);
	snprintf(resource, sizeof(resource), "%.*s", (int)a->resource.n,
		 a->resource.n > 0 ? (const char *)a->resource.bytes : "");
	add(user, a->element_id, type, resource, a->state, a->severity,
	    (uint64_t[]){a->raised_ns, a->changed_ns, a->last_ns, a->count});
	return true;
}

char *standby_bed_archive(struct standby_bed *b, uint16_t id, const char *cell)
{
	struct bed_server *s = standby_bed_server(b, id);
	struct lines l = {.cell = cell, .inventory = s->played.inventory};

	assert_int_equal(archive_alarms(s->archive, 0, UINT64_MAX, see_alarm, &l), 0);
	return join(&l);
}

static bool see_event(void *user, const struct wire_event *e)
{
	uint32_t *n = user;

	++*n;
	return true;
}

uint32_t standby_bed_events(struct standby_bed *b, uint16_t id, uint16_t origin)
{
	uint32_t n = 0;

	assert_int_equal(archive_events(standby_bed_server(b, id)->archive, origin, 0, UINT64_MAX,
					false, see_event, &n),
			 0);
	return n;
}

void standby_bed_assert_same(struct standby_bed *b, uint16_t memory_of, uint16_t archive_of,
			     const char *cell)
{
	char *memory = standby_bed_memory(b, memory_of, cell);
	char *archive = standby_bed_archive(b, archive_of, cell);

	assert_string_equal(memory, archive);
	free(memory);
	free(archive);
}
