/* The watch on the event log: nothing missed between replay and live, nothing told twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cp/federated/watch.h"
#include "cp/wire/wire.h"
#include "tests/lib/service_cluster.h"

#define WATCH_EVENTS WIRE_PATH("Federated", "WatchEvents")
#define WATCH_ALARMS WIRE_PATH("Federated", "WatchAlarms")
#define SEEN_MAX     40000

static const struct fedmem_token token = {1, 1};

static struct service_cluster c;

/* What a client has seen, and its newest token. */
static struct seen {
	char kind[16], what[16];
	uint32_t server; /* of notes: who; of events: the origin */
	uint64_t number;
} * seen;
static uint32_t n_seen;
static char resume[EVENTLOG_TOKEN_MAX];
static struct rpc_request *watch; /* NULL: it is over */
static enum rpc_status watch_status;

static int set_up(void **state)
{
	service_cluster_open(&c, &(struct played_config){.n_elements = 30});
	seen = calloc(SEEN_MAX, sizeof(*seen));
	n_seen = 0;
	resume[0] = '\0';
	return seen == NULL;
}

static int tear_down(void **state)
{
	service_cluster_close(&c);
	free(seen);
	return 0;
}

static void on_message(void *user, const uint8_t *bytes, size_t n)
{
	struct wire_event_notice *m;
	struct seen *s = &seen[n_seen];

	assert_true(n_seen++ < SEEN_MAX);
	assert_int_equal(wire_event_notice_unpack(bytes, n, &m), 0);
	snprintf(s->kind, sizeof(s->kind), "%s", m->kind);
	snprintf(s->what, sizeof(s->what), "%s", m->event.kind);
	s->server = m->has_event ? m->event.origin : m->server;
	s->number = m->event.number;
	if (m->resume[0] != '\0')
		snprintf(resume, sizeof(resume), "%s", m->resume);
	wire_free(m);
}

static void on_done(void *user, enum rpc_status status, const char *why, const uint8_t *bytes,
		    size_t n)
{
	watch = NULL;
	watch_status = status;
}

static void watch_with(uint16_t id, const struct wire_watch_request *request)
{
	struct wire_bytes bytes;

	assert_int_equal(wire_watch_request_pack(request, &bytes), 0);
	assert_int_equal(rpc_client_subscribe(c.client, &watch, c.servers[id - 1].address,
					      WATCH_EVENTS, bytes.bytes, bytes.n, on_message,
					      on_done, NULL),
			 0);
	wire_bytes_free(&bytes);
}

static bool is_over(void *user)
{
	return watch == NULL;
}

static void cancel(void)
{
	rpc_request_cancel(watch);
	service_cluster_wait(&c, is_over, NULL);
}

static uint32_t watchers_of(uint16_t id)
{
	const struct federated *f = c.servers[id - 1].federated;

	return f == NULL ? 0 : f->n_watchers;
}

static bool all_listen(void *user)
{
	return watchers_of(1) == 1 && watchers_of(2) == 1 && watchers_of(3) == 1;
}

static bool nobody_listens(void *user)
{
	return watchers_of(1) + watchers_of(2) + watchers_of(3) == 0;
}

static uint32_t count(uint32_t origin, uint64_t number)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < n_seen; i++)
		n += strcmp(seen[i].kind, "event") == 0 && seen[i].server == origin &&
		     seen[i].number == number;
	return n;
}

static uint32_t count_notes(const char *kind, uint32_t server)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < n_seen; i++)
		n += strcmp(seen[i].kind, kind) == 0 && seen[i].server == server;
	return n;
}

static uint32_t count_events(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < n_seen; i++)
		n += strcmp(seen[i].kind, "event") == 0;
	return n;
}

struct wanted {
	uint32_t origin;
	uint64_t number;
};

static bool has_come(void *user)
{
	const struct wanted *w = user;

	return count(w->origin, w->number) > 0;
}

static void wait_for(uint32_t origin, uint64_t number)
{
	service_cluster_wait(&c, has_come, &(struct wanted){origin, number});
}

static bool has_note(void *user)
{
	const char *kind = user;

	return count_notes(kind, 2) > 0;
}

/* Onto the disks of 'holders' (bit i: server i + 1). */
static void put(uint32_t holders, uint32_t origin, uint64_t number, const char *kind)
{
	for (uint16_t id = 1; id <= SERVICE_SERVERS; id++)
		if ((holders & 1u << (id - 1)) != 0)
			fake_eventlog_put(c.servers[id - 1].eventlog,
					  &(struct wire_event){.origin = origin,
							       .number = number,
							       .time_ns = 1000 * number + origin,
							       .kind = kind});
}

static void from_now_on_each_event_is_told_once_whoever_holds_it(void **state)
{
	put(7, 0, 1, "master");
	put(1, 1, 1, "raised");
	put(2 | 4, 2, 1, "raised");
	watch_with(1, &(struct wire_watch_request){0});
	service_cluster_wait(&c, all_listen, NULL);
	put(2 | 1, 2, 2, "raised"); /* the standby's copy comes first, or second */
	put(2 | 4, 2, 3, "cleared");
	put(1, 1, 2, "raised");
	put(7, 0, 2, "cell_moved");
	put(4, 3, 9, "raised");
	wait_for(2, 2);
	wait_for(2, 3);
	wait_for(1, 2);
	wait_for(0, 2);
	wait_for(3, 9);
	put(4 | 2 | 1, 3, 10, "raised");
	wait_for(3, 10);
	assert_int_equal(count_events(), 6);
	assert_int_equal(count(1, 1) + count(2, 1) + count(0, 1), 0);
	cancel();
	service_cluster_wait(&c, nobody_listens, NULL);
}

static void watch_that_comes_back_through_another_server_is_told_what_it_missed(void **state)
{
	watch_with(1, &(struct wire_watch_request){0});
	service_cluster_wait(&c, all_listen, NULL);
	put(1 | 2, 1, 1, "raised");
	put(2 | 4, 2, 1, "raised");
	wait_for(1, 1);
	wait_for(2, 1);
	cancel();
	service_cluster_wait(&c, nobody_listens, NULL);
	put(1 | 2, 1, 2, "raised");
	put(2 | 4, 2, 2, "raised");
	put(7, 0, 1, "master");
	put(4, 3, 1, "raised");
	watch_with(2, &(struct wire_watch_request){.resume = resume});
	wait_for(3, 1);
	service_cluster_wait(&c, all_listen, NULL);
	put(4 | 1, 3, 2, "raised");
	wait_for(3, 2);
	assert_int_equal(count_events(), 7);
	for (uint32_t origin = 1; origin <= 2; origin++)
		assert_int_equal(count(origin, 1) + count(origin, 2), 2);
	assert_int_equal(count(0, 1), 1);
	cancel();
}

/* Events come all the time while it is told what it missed. */
static uint64_t n_put;

static void on_tick(uv_timer_t *timer)
{
	if (n_put < 3000)
		for (int i = 0; i < 10; i++) {
			uint32_t origin = (uint32_t)(n_put % 3 + 1);

			n_put++;
			put(1u << (origin - 1) | 1u << origin % 3, origin, n_put, "raised");
		}
}

static bool all_came(void *user)
{
	return n_put == 3000 && count_events() >= 3000;
}

static void nothing_is_missed_or_doubled_between_replay_and_live(void **state)
{
	uv_timer_t timer;

	n_put = 0;
	uv_timer_init(&c.loop, &timer);
	on_tick(&timer);
	for (int i = 0; i < 100; i++)
		on_tick(&timer);
	uv_timer_start(&timer, on_tick, 1, 1);
	watch_with(1, &(struct wire_watch_request){.resume = "0:0"});
	service_cluster_wait(&c, all_came, NULL);
	uv_close((uv_handle_t *)&timer, NULL);
	assert_int_equal(count_events(), 3000);
	for (uint64_t number = 1; number <= 3000; number += 7)
		assert_int_equal(count((uint32_t)((number - 1) % 3 + 1), number), 1);
	assert_int_equal(count_notes("lost", 1), 0);
	cancel();
}

static void long_replay_is_told_whole_though_the_queue_is_shorter(void **state)
{
	const uint32_t n = 2 * RPC_STREAM_QUEUE + 100;

	for (uint32_t number = 1; number <= n; number++)
		put(2, 2, number, "raised");
	watch_with(1, &(struct wire_watch_request){.resume = "0:0"});
	wait_for(2, n);
	assert_int_equal(count_events(), n);
	assert_int_equal(count_notes("lost", 1) + count_notes("lost", 2), 0);
	cancel();
}

/* More at once than a stream's queue holds, while it is live. */
static void burst_that_is_longer_than_the_queue_is_told_whole(void **state)
{
	const uint32_t n = 2 * RPC_STREAM_QUEUE;

	watch_with(1, &(struct wire_watch_request){0});
	service_cluster_wait(&c, all_listen, NULL);
	for (uint32_t number = 1; number <= n; number++)
		put(1, 1, number, "raised");
	wait_for(1, n);
	assert_int_equal(count_events(), n);
	for (uint32_t number = 1; number <= n; number++)
		put(2 | 4, 2, number, "raised"); /* from two servers at a time */
	wait_for(2, n);
	assert_int_equal(count_events(), 2 * n);
	assert_int_equal(count_notes("lost", 1) + count_notes("lost", 2), 0);
	cancel();
}

/* A client that takes nothing: its loop does not turn. */
static uv_loop_t slow_loop;
static struct rpc_client *slow_client;

static bool branch_is_held(void *user)
{
	const struct watcher *w = c.servers[0].federated->watchers;

	return w != NULL && (w->branches[0].is_held || w->branches[1].is_held);
}

static bool slow_has_come(void *user)
{
	uv_run(&slow_loop, UV_RUN_NOWAIT);
	return has_come(user);
}

static void slow_is_over(void)
{
	rpc_request_cancel(watch);
	while (watch != NULL) {
		uv_run(&slow_loop, UV_RUN_NOWAIT);
		uv_run(&c.loop, UV_RUN_NOWAIT);
	}
	rpc_client_destroy(slow_client);
	uv_run(&slow_loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&slow_loop), 0);
}

static void what_another_server_tells_waits_for_a_slow_client(void **state)
{
	const struct wire_watch_request request = {0};
	const uint32_t n = 3 * RPC_STREAM_QUEUE;
	char text[3000];
	struct wire_bytes bytes;

	assert_int_equal(uv_loop_init(&slow_loop), 0);
	assert_int_equal(rpc_client_create(&slow_client, &slow_loop), 0);
	assert_int_equal(wire_watch_request_pack(&request, &bytes), 0);
	assert_int_equal(rpc_client_subscribe(slow_client, &watch, c.servers[0].address,
					      WATCH_EVENTS, bytes.bytes, bytes.n, on_message,
					      on_done, NULL),
			 0);
	wire_bytes_free(&bytes);
	service_cluster_wait(&c, all_listen, NULL);
	/* More than what lies between two ends of a connection. */
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (uint32_t number = 1; number <= n; number++)
		fake_eventlog_put(c.servers[1].eventlog, &(struct wire_event){.origin = 2,
									      .number = number,
									      .kind = "raised",
									      .text = text});
	service_cluster_wait(&c, branch_is_held, NULL);
	service_cluster_wait(&c, slow_has_come, &(struct wanted){2, n});
	assert_int_equal(count_events(), n);
	assert_int_equal(count_notes("lost", 1) + count_notes("silent", 2), 0);
	slow_is_over();
}

static void branch_that_broke_goes_on_from_its_place(void **state)
{
	watch_with(1, &(struct wire_watch_request){0});
	service_cluster_wait(&c, all_listen, NULL);
	put(2, 2, 1, "raised");
	wait_for(2, 1);
	service_cluster_stop(&c, 2);
	service_cluster_wait(&c, has_note, "silent");
	put(2, 2, 2, "raised"); /* nobody else has it */
	put(2 | 4, 2, 3, "raised");
	wait_for(2, 3);
	service_cluster_start(&c, 2);
	service_cluster_wait(&c, has_note, "heard");
	wait_for(2, 2);
	put(2, 2, 4, "raised");
	wait_for(2, 4);
	assert_int_equal(count_events(), 4);
	assert_int_equal(count_notes("silent", 2), 1);
	assert_int_equal(count_notes("heard", 2), 1);
	cancel();
}

static void only_the_kinds_that_were_asked_for_are_told(void **state)
{
	const char *kinds[] = {"master", "cleared"};

	put(2, 2, 1, "cleared");
	put(2, 2, 2, "raised");
	watch_with(1, &(struct wire_watch_request){.resume = "0:0", .kinds = kinds, .n_kinds = 2});
	service_cluster_wait(&c, all_listen, NULL);
	put(2, 2, 3, "raised");
	put(2, 2, 4, "cleared");
	put(7, 0, 1, "master");
	put(1, 1, 1, "raised");
	wait_for(2, 4);
	wait_for(0, 1);
	assert_int_equal(count(2, 1), 1);
	assert_int_equal(count_events(), 3);
	cancel();
}

static void what_is_no_token_is_refused(void **state)
{
	watch_with(1, &(struct wire_watch_request){.resume = "tomorrow"});
	service_cluster_wait(&c, is_over, NULL);
	assert_int_equal(watch_status, RPC_INVALID_ARGUMENT);
}

/* ---- The watch on alarms has the same tokens ---- */

static uint32_t n_raised;

static void on_alarm(void *user, const uint8_t *bytes, size_t n)
{
	struct wire_alarm_event *m;

	assert_int_equal(wire_alarm_event_unpack(bytes, n, &m), 0);
	n_raised += strcmp(m->kind, "raised") == 0;
	if (m->resume[0] != '\0')
		snprintf(resume, sizeof(resume), "%s", m->resume);
	wire_free(m);
}

static void watch_alarms_with(uint16_t id, const struct wire_watch_request *request)
{
	struct wire_bytes bytes;

	assert_int_equal(wire_watch_request_pack(request, &bytes), 0);
	assert_int_equal(rpc_client_subscribe(c.client, &watch, c.servers[id - 1].address,
					      WATCH_ALARMS, bytes.bytes, bytes.n, on_alarm, on_done,
					      NULL),
			 0);
	wire_bytes_free(&bytes);
}

static bool has_raised(void *user)
{
	return n_raised >= *(const uint32_t *)user;
}

static void raise_at(uint16_t id, const char *resource)
{
	service_cluster_alarm(
		&c, id,
		&(struct played_alarm){10u * id, token, "linkDown", resource, FEDMEM_MAJOR});
}

static void watch_on_alarms_goes_on_behind_its_token(void **state)
{
	n_raised = 0;
	watch_alarms_with(1, &(struct wire_watch_request){0});
	service_cluster_wait(&c, all_listen, NULL);
	raise_at(1, "if1");
	raise_at(2, "if1");
	service_cluster_wait(&c, has_raised, &(uint32_t){2});
	cancel();
	service_cluster_wait(&c, nobody_listens, NULL);
	raise_at(2, "if2");
	raise_at(3, "if2");
	put(2, 2, 1000, "dp_silent"); /* no alarm */
	watch_alarms_with(3, &(struct wire_watch_request){.resume = resume});
	service_cluster_wait(&c, has_raised, &(uint32_t){4});
	raise_at(1, "if3");
	service_cluster_wait(&c, has_raised, &(uint32_t){5});
	assert_int_equal(n_raised, 5);
	cancel();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(from_now_on_each_event_is_told_once_whoever_holds_it),
		TEST(watch_that_comes_back_through_another_server_is_told_what_it_missed),
		TEST(nothing_is_missed_or_doubled_between_replay_and_live),
		TEST(long_replay_is_told_whole_though_the_queue_is_shorter),
		TEST(burst_that_is_longer_than_the_queue_is_told_whole),
		TEST(what_another_server_tells_waits_for_a_slow_client),
		TEST(branch_that_broke_goes_on_from_its_place),
		TEST(only_the_kinds_that_were_asked_for_are_told),
		TEST(what_is_no_token_is_refused),
		TEST(watch_on_alarms_goes_on_behind_its_token),
	};

	return cmocka_run_group_tests_name("federated_events", tests, NULL, NULL);
}
