#include "tests/lib/service_cluster.h"

#include "cp/alarm/alarm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define METHODS_MAX 24

void service_cluster_replace(struct service_cluster *c, uint16_t id,
			     const struct rpc_method *methods, uint32_t n)
{
	struct service_server *s = &c->servers[id - 1];
	const char *address = s->address;

	assert_null(s->server);
	assert_int_equal(rpc_server_create(&s->server, &c->loop, &address, 1, methods, n), 0);
}

void service_cluster_start(struct service_cluster *c, uint16_t id)
{
	struct service_server *s = &c->servers[id - 1];
	struct rpc_method methods[METHODS_MAX];
	const struct rpc_method *more;
	uint32_t n, n_more;

	assert_int_equal(rpc_client_create(&s->client, &c->loop), 0);
	assert_int_equal(
		federated_create(&s->federated,
				 &(struct federated_config){.loop = &c->loop,
							    .cluster = s->played.cluster,
							    .inventory = s->played.inventory,
							    .memory = s->played.memory,
							    .archive = s->archive,
							    .eventlog = s->eventlog,
							    .client = s->client}),
		0);
	assert_int_equal(
		peered_create(&s->peered, &(struct peered_config){.cluster_name = "lab",
								  .cluster = s->played.cluster,
								  .inventory = s->played.inventory,
								  .memory = s->played.memory,
								  .archive = s->archive,
								  .eventlog = s->eventlog,
								  .client = s->client}),
		0);
	more = federated_methods(s->federated, &n_more);
	memcpy(methods, more, n_more * sizeof(*more));
	n = n_more;
	more = peered_methods(s->peered, &n_more);
	assert_true(n + n_more <= METHODS_MAX);
	memcpy(methods + n, more, n_more * sizeof(*more));
	service_cluster_replace(c, id, methods, n + n_more);
}

void service_cluster_stop(struct service_cluster *c, uint16_t id)
{
	struct service_server *s = &c->servers[id - 1];

	rpc_server_destroy(s->server);
	rpc_client_destroy(s->client);
	federated_destroy(s->federated);
	peered_destroy(s->peered);
	s->client = NULL;
	s->federated = NULL;
	s->peered = NULL;
	s->server = NULL;
}

void service_cluster_own(struct service_cluster *c, const char *region, uint16_t owner,
			 struct fedmem_token token)
{
	for (int i = 0; i < SERVICE_SERVERS; i++)
		fake_cluster_cell(c->servers[i].played.cluster, region, owner, token.epoch,
				  token.generation);
}

void service_cluster_open(struct service_cluster *c, const struct played_config *each)
{
	struct played_config config = *each;

	memset(c, 0, sizeof(*c));
	assert_int_equal(uv_loop_init(&c->loop), 0);
	config.n_servers = SERVICE_SERVERS;
	for (uint16_t id = 1; id <= SERVICE_SERVERS; id++) {
		config.id = id;
		played_server_open(&c->servers[id - 1].played, &config);
		c->servers[id - 1].archive = fake_archive_create(NULL);
		c->servers[id - 1].eventlog = fake_eventlog_create(id);
		loopback_address(c->servers[id - 1].address, id);
	}
	for (uint16_t id = 1; id <= SERVICE_SERVERS; id++)
		for (int i = 0; i < SERVICE_SERVERS; i++)
			fake_cluster_address(c->servers[i].played.cluster, id,
					     c->servers[id - 1].address);
	service_cluster_own(c, "r0", 1, (struct fedmem_token){1, 1});
	service_cluster_own(c, "r1", 2, (struct fedmem_token){1, 1});
	service_cluster_own(c, "r2", 3, (struct fedmem_token){1, 1});
	for (uint16_t id = 1; id <= SERVICE_SERVERS; id++)
		service_cluster_start(c, id);
	assert_int_equal(rpc_client_create(&c->client, &c->loop), 0);
}

void service_cluster_close(struct service_cluster *c)
{
	rpc_client_destroy(c->client);
	for (uint16_t id = 1; id <= SERVICE_SERVERS; id++) {
		service_cluster_stop(c, id);
		eventlog_destroy(c->servers[id - 1].eventlog);
		fake_archive_destroy(c->servers[id - 1].archive);
		played_server_close(&c->servers[id - 1].played);
	}
	uv_run(&c->loop, UV_RUN_DEFAULT); /* only what is being closed is left in it */
	assert_int_equal(uv_loop_close(&c->loop), 0);
}

void service_cluster_alarm(struct service_cluster *c, uint16_t id, const struct played_alarm *a)
{
	struct service_server *s = &c->servers[id - 1];
	struct fedmem_event e;

	played_alarm(&s->played, a);
	while (fedmem_event_peek(s->played.fm, 0, &e) == 0) {
		struct wire_event event = {.origin = id,
					   .time_ns = e.time_ns,
					   .kind = alarm_event_name(e.kind),
					   .has_alarm = true};
		const struct ownership_cell *cell;
		struct wire_stored_alarm stored;
		struct memory_page *page;
		struct fedmem_alarm alarm;

		assert_int_equal(fedmem_alarm_read(s->played.fm, e.alarm, &alarm), 0);
		cell = cluster_cell(
			s->played.cluster,
			inventory_find_id(s->played.inventory, alarm.element_id)->region);
		if (cell->owner == id && cell->token.generation == alarm.token.generation) {
			page = memory_page_create();
			memory_stored_alarm(&alarm, cell, e.time_ns, &stored);
			assert_int_equal(memory_from_store_alarm(s->played.memory, page, &stored,
								 NULL, &event.alarm),
					 0);
			event.number = fake_eventlog_next(s->eventlog);
			fake_eventlog_put(s->eventlog, &event);
			memory_page_free(page);
		}
		fedmem_event_release(s->played.fm, e.number);
	}
}

void service_cluster_wait(struct service_cluster *c, bool (*is_so)(void *user), void *user)
{
	loopback_wait(&c->loop, is_so, user);
}

static void on_answer(void *user, enum rpc_status status, const char *why, const uint8_t *bytes,
		      size_t n)
{
	struct service_answer *a = user;

	a->is_done = true;
	a->status = status;
	snprintf(a->why, sizeof(a->why), "%s", why);
	a->n = n;
	a->bytes = malloc(n + 1);
	assert_non_null(a->bytes);
	if (n > 0)
		memcpy(a->bytes, bytes, n);
}

static bool is_done(void *user)
{
	const struct service_answer *a = user;

	return a->is_done;
}

void service_cluster_ask(struct service_cluster *c, uint16_t id, const char *path,
			 const struct wire_bytes *request, struct service_answer *answer)
{
	*answer = (struct service_answer){0};
	assert_int_equal(rpc_client_call(c->client, c->servers[id - 1].address, path,
					 request->bytes, request->n, UINT32_MAX, on_answer, answer),
			 0);
}

void service_cluster_await(struct service_cluster *c, struct service_answer *answer)
{
	service_cluster_wait(c, is_done, answer);
}

void service_cluster_call(struct service_cluster *c, uint16_t id, const char *path,
			  const struct wire_bytes *request, struct service_answer *answer)
{
	service_cluster_ask(c, id, path, request, answer);
	service_cluster_await(c, answer);
}

void service_answer_free(struct service_answer *answer)
{
	free(answer->bytes);
	*answer = (struct service_answer){0};
}
