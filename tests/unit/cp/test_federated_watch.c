#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cp/federated/federated_private.h"
#include "cp/wire/wire.h"
#include "tests/lib/service_cluster.h"

#define WATCH_ALARMS WIRE_PATH("Federated", "WatchAlarms")
#define EVENTS_MAX   20000

static const struct fedmem_token token = {1, 1};

static struct service_cluster c;

/* What a client has seen. */
struct event {
	char kind[16], resource[16];
	uint64_t element;
	uint32_t server;
};
static struct event *events;
static uint32_t n_events;
static struct rpc_request *watch; /* NULL: it is over */
static enum rpc_status watch_status;

static int open_with(const struct played_config *config)
{
	service_cluster_open(&c, config);
	events = calloc(EVENTS_MAX, sizeof(*events));
	n_events = 0;
	return events == NULL;
}

static int set_up(void **state)
{
	return open_with(&(struct played_config){.n_elements = 30});
}

static int tear_down(void **state)
{
	service_cluster_close(&c);
	free(events);
	return 0;
}

static void on_message(void *user, const uint8_t *bytes, size_t n)
{
	struct wire_alarm_event *e;
	struct event *seen;

	assert_true(n_events < EVENTS_MAX);
	assert_int_equal(wire_alarm_event_unpack(bytes, n, &e), 0);
	seen = &events[n_events++];
	snprintf(seen->kind, sizeof(seen->kind), "%s", e->kind);
	snprintf(seen->resource, sizeof(seen->resource), "%s", e->alarm.resource);
	seen->element = e->has_alarm ? e->alarm.element_id : 0;
	seen->server = e->server;
	wire_free(e);
}

static void on_done(void *user, enum rpc_status status, const char *why, const uint8_t *bytes,
		    size_t n)
{
	watch = NULL;
	watch_status = status;
}

static uint32_t count(const char *kind, uint32_t server)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < n_events; i++)
		n += strcmp(events[i].kind, kind) == 0 && events[i].server == server;
	return n;
}

/* At which place the event stands; UINT32_MAX: it was not seen. */
static uint32_t place(const char *kind, uint64_t element, const char *resource)
{
	for (uint32_t i = 0; i < n_events; i++)
		if (strcmp(events[i].kind, kind) == 0 && events[i].element == element &&
		    strcmp(events[i].resource, resource) == 0)
			return i;
	return UINT32_MAX;
}

struct wanted {
	const char *kind;
	uint32_t server, n;
};

static bool has_come(void *user)
{
	const struct wanted *w = user;

	return count(w->kind, w->server) >= w->n;
}

static void wait_for(const char *kind, uint32_t server, uint32_t n)
{
	service_cluster_wait(&c, has_come, &(struct wanted){kind, server, n});
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

static void watch_from(uint16_t id, bool is_local, bool present)
{
	const struct wire_watch_request request = {.is_local = is_local, .present = present};
	struct wire_bytes bytes;

	assert_int_equal(wire_watch_request_pack(&request, &bytes), 0);
	assert_int_equal(rpc_client_subscribe(c.client, &watch, c.servers[id - 1].address,
					      WATCH_ALARMS, bytes.bytes, bytes.n, on_message,
					      on_done, NULL),
			 0);
	wire_bytes_free(&bytes);
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

static bool last_is_there(void *user)
{
	return place("raised", 10, "last") != UINT32_MAX;
}

static void report(uint64_t element, const char *resource, uint8_t severity)
{
	service_cluster_alarm(
		&c, (uint16_t)((element / 10 - 1) % 3 + 1),
		&(struct played_alarm){element, token, "linkDown", resource, severity});
}

/* ---- Changes ---- */

static void change_at_any_server_reaches_the_watcher(void **state)
{
	watch_from(1, false, false);
	service_cluster_wait(&c, all_listen, NULL);
	report(10, "if1", FEDMEM_MAJOR);
	report(20, "if2", FEDMEM_MAJOR);
	report(30, "if3", FEDMEM_MAJOR);
	report(20, "if2", FEDMEM_CRITICAL);
	report(20, "if2", FEDMEM_CLEARED);
	wait_for("raised", 1, 1);
	wait_for("cleared", 2, 1);
	wait_for("raised", 3, 1);
	assert_int_not_equal(place("raised", 10, "if1"), UINT32_MAX);
	assert_true(place("raised", 20, "if2") < place("severity", 20, "if2"));
	assert_true(place("severity", 20, "if2") < place("cleared", 20, "if2"));
	assert_int_not_equal(place("raised", 30, "if3"), UINT32_MAX);
	assert_string_equal(events[0].kind, "heard");
	assert_int_equal(events[0].server, 1);
	assert_int_equal(n_events, 6); /* each once, and the first */
	cancel();
}

static void local_watch_has_the_asked_servers_changes_alone(void **state)
{
	watch_from(1, true, false);
	wait_for("heard", 1, 1);
	report(20, "if2", FEDMEM_MAJOR);
	report(10, "if1", FEDMEM_MAJOR);
	wait_for("raised", 1, 1);
	assert_int_equal(n_events, 2);
	assert_int_equal(watchers_of(2) + watchers_of(3), 0);
	cancel();
}

static void what_is_present_comes_first(void **state)
{
	report(10, "if1", FEDMEM_MAJOR);
	report(20, "if1", FEDMEM_MAJOR);
	report(20, "if2", FEDMEM_MINOR);
	report(50, "gone", FEDMEM_MINOR);
	report(50, "gone", FEDMEM_CLEARED);
	watch_from(3, false, true);
	wait_for("present", 1, 1);
	wait_for("present", 2, 2);
	report(20, "if3", FEDMEM_MINOR);
	report(20, "if1", FEDMEM_CLEARED);
	wait_for("cleared", 2, 1);
	assert_true(place("present", 20, "if2") < place("raised", 20, "if3"));
	assert_true(place("raised", 20, "if3") < place("cleared", 20, "if1"));
	assert_int_equal(place("present", 50, "gone"), UINT32_MAX);
	assert_int_equal(place("raised", 10, "if1"), UINT32_MAX);
	assert_int_equal(count("present", 1) + count("present", 2) + count("present", 3), 3);
	cancel();
}

static void change_of_an_element_of_another_servers_cell_is_not_told(void **state)
{
	watch_from(1, true, false);
	wait_for("heard", 1, 1);
	/* Server 1 took the report before it knew that the cell had moved. */
	service_cluster_alarm(&c, 1,
			      &(struct played_alarm){20, token, "linkDown", "if1", FEDMEM_MAJOR});
	report(10, "if1", FEDMEM_MAJOR);
	wait_for("raised", 1, 1);
	assert_int_equal(place("raised", 20, "if1"), UINT32_MAX);
	cancel();
}

/* ---- Servers that fall silent ---- */

static void broken_branch_is_silent_then_heard_and_brings_what_is_present(void **state)
{
	watch_from(1, false, false);
	service_cluster_wait(&c, all_listen, NULL);
	service_cluster_stop(&c, 2);
	wait_for("silent", 2, 1);
	report(20, "meanwhile", FEDMEM_MAJOR);
	report(30, "other", FEDMEM_MAJOR);
	wait_for("raised", 3, 1);
	service_cluster_start(&c, 2);
	wait_for("heard", 2, 1);
	wait_for("present", 2, 1);
	assert_int_not_equal(place("present", 20, "meanwhile"), UINT32_MAX);
	assert_int_equal(count("silent", 2), 1);
	assert_int_equal(count("silent", 3), 0);
	report(20, "later", FEDMEM_MAJOR);
	wait_for("raised", 2, 1);
	cancel();
}

static void server_that_is_down_from_the_start_is_silent_at_once(void **state)
{
	service_cluster_stop(&c, 2);
	watch_from(1, false, false);
	wait_for("silent", 2, 1);
	service_cluster_start(&c, 2);
	wait_for("heard", 2, 1);
	cancel();
}

/* Its host may be gone without a word: the connection stands for a while longer. */
static void server_that_is_known_to_be_dead_is_silent_though_its_connection_stands(void **state)
{
	watch_from(1, false, false);
	service_cluster_wait(&c, all_listen, NULL);
	fake_cluster_state(c.servers[0].played.cluster, 3, DETECTOR_FAILED);
	wait_for("silent", 3, 1);
	report(30, "if1", FEDMEM_MAJOR);
	fake_cluster_state(c.servers[0].played.cluster, 3, DETECTOR_ALIVE);
	wait_for("heard", 3, 1);
	wait_for("present", 3, 1);
	assert_int_not_equal(place("present", 30, "if1"), UINT32_MAX);
	assert_int_equal(count("silent", 3), 1);
	cancel();
}

/* ---- More than fits ---- */

static int set_up_large(void **state)
{
	return open_with(&(struct played_config){.n_elements = 900, .alarms_max = 10000});
}

/* A page of 500 elements has more alarms than the stream's queue has places. Gives their number. */
static uint32_t raise_more_than_the_queue_holds(void)
{
	char resource[16];
	uint32_t n = 0;

	for (uint64_t element = 10; element <= 9000; element += 30)
		for (int i = 0; i < 30; i++, n++) {
			snprintf(resource, sizeof(resource), "if%02d", i);
			report(element, resource, FEDMEM_MAJOR);
		}
	assert_true(n > 2 * RPC_STREAM_QUEUE);
	return n;
}

static void more_alarms_than_the_queue_holds_are_present_each_once(void **state)
{
	uint32_t n = raise_more_than_the_queue_holds();

	watch_from(1, true, true);
	wait_for("present", 1, n);
	report(10, "last", FEDMEM_MAJOR);
	wait_for("raised", 1, 1);
	assert_int_equal(count("present", 1), n);
	for (uint32_t i = 2; i <= n; i++) {
		bool is_next = events[i].element > events[i - 1].element ||
			       (events[i].element == events[i - 1].element &&
				strcmp(events[i].resource, events[i - 1].resource) > 0);

		assert_true(is_next);
	}
	assert_int_equal(count("lost", 1), 0);
	cancel();
}

/* What a client believes that takes events as they come. */
static bool is_believed(uint64_t element, const char *resource)
{
	bool is_raised = false;

	for (uint32_t i = 0; i < n_events; i++)
		if (events[i].element == element && strcmp(events[i].resource, resource) == 0)
			is_raised = strcmp(events[i].kind, "cleared") != 0;
	return is_raised;
}

static void change_while_what_is_present_waits_for_room_is_believed(void **state)
{
	uint32_t n = raise_more_than_the_queue_holds();

	watch_from(1, true, true);
	wait_for("present", 1, 1);
	assert_int_equal(place("present", 7510, "if00"), UINT32_MAX);
	report(7510, "if00", FEDMEM_CLEARED);
	report(7510, "if99", FEDMEM_MAJOR);
	wait_for("present", 1, n);
	report(10, "last", FEDMEM_MAJOR);
	service_cluster_wait(&c, last_is_there, NULL);
	assert_false(is_believed(7510, "if00"));
	assert_true(is_believed(7510, "if99"));
	assert_true(is_believed(7510, "if01"));
	assert_true(is_believed(4000, "if29"));
	cancel();
}

/* ---- The end ---- */

static void cancelled_watch_ends_its_branches_and_is_freed(void **state)
{
	watch_from(1, false, true);
	service_cluster_wait(&c, all_listen, NULL);
	cancel();
	assert_int_equal(watch_status, RPC_CANCELLED);
	service_cluster_wait(&c, nobody_listens, NULL);
	for (int i = 0; i < SERVICE_SERVERS; i++)
		assert_null(c.servers[i].federated->watchers);
}

static void server_that_stops_ends_its_watches(void **state)
{
	watch_from(1, false, false);
	service_cluster_wait(&c, all_listen, NULL);
	service_cluster_stop(&c, 1);
	service_cluster_wait(&c, is_over, NULL);
	assert_int_equal(watch_status, RPC_UNAVAILABLE); /* another one can be asked */
	service_cluster_wait(&c, nobody_listens, NULL);
}

static void nonsense_is_an_invalid_argument(void **state)
{
	static const uint8_t nonsense[] = {0xff, 0xff, 0xff, 0x07, 0x00};

	assert_int_equal(rpc_client_subscribe(c.client, &watch, c.servers[0].address, WATCH_ALARMS,
					      nonsense, sizeof(nonsense), on_message, on_done,
					      NULL),
			 0);
	service_cluster_wait(&c, is_over, NULL);
	assert_int_equal(watch_status, RPC_INVALID_ARGUMENT);
	assert_int_equal(n_events, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(change_at_any_server_reaches_the_watcher),
		TEST(local_watch_has_the_asked_servers_changes_alone),
		TEST(what_is_present_comes_first),
		TEST(change_of_an_element_of_another_servers_cell_is_not_told),
		TEST(broken_branch_is_silent_then_heard_and_brings_what_is_present),
		TEST(server_that_is_down_from_the_start_is_silent_at_once),
		TEST(server_that_is_known_to_be_dead_is_silent_though_its_connection_stands),
		cmocka_unit_test_setup_teardown(
			more_alarms_than_the_queue_holds_are_present_each_once, set_up_large,
			tear_down),
		cmocka_unit_test_setup_teardown(
			change_while_what_is_present_waits_for_room_is_believed, set_up_large,
			tear_down),
		TEST(cancelled_watch_ends_its_branches_and_is_freed),
		TEST(server_that_stops_ends_its_watches),
		TEST(nonsense_is_an_invalid_argument),
	};

	return cmocka_run_group_tests_name("federated_watch", tests, NULL, NULL);
}
