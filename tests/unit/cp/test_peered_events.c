/* The event log of all servers as one: each event once, in pages that neither lose nor double. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cp/wire/wire.h"
#include "tests/lib/service_cluster.h"

#define SEEN_MAX 2000

static struct service_cluster c;

static int set_up(void **state)
{
	service_cluster_open(&c, &(struct played_config){.n_elements = 9});
	return 0;
}

static int tear_down(void **state)
{
	service_cluster_close(&c);
	return 0;
}

/* Onto the disks of 'holders' (bit i: server i + 1). */
static void put(uint32_t holders, uint32_t origin, uint64_t number, uint64_t time_ns,
		const char *kind)
{
	for (uint16_t id = 1; id <= SERVICE_SERVERS; id++)
		if ((holders & 1u << (id - 1)) != 0)
			fake_eventlog_put(c.servers[id - 1].eventlog,
					  &(struct wire_event){.origin = origin,
							       .number = number,
							       .time_ns = time_ns,
							       .kind = kind});
}

static enum rpc_status query(uint16_t id, const struct wire_event_query *q,
			     struct wire_event_list **list)
{
	struct service_answer answer;
	struct wire_bytes bytes;
	enum rpc_status status;

	assert_int_equal(wire_event_query_pack(q, &bytes), 0);
	service_cluster_call(&c, id, WIRE_PATH("Peered", "ListEvents"), &bytes, &answer);
	wire_bytes_free(&bytes);
	status = answer.status;
	if (status == RPC_OK)
		assert_int_equal(wire_event_list_unpack(answer.bytes, answer.n, list), 0);
	service_answer_free(&answer);
	return status;
}

struct seen {
	uint32_t n;
	struct {
		uint32_t origin;
		uint64_t number, time_ns;
	} events[SEEN_MAX];
	char resume[EVENTLOG_TOKEN_MAX];
};

static void note(struct seen *seen, const struct wire_event_list *list)
{
	for (uint32_t i = 0; i < list->n_events; i++) {
		assert_true(seen->n < SEEN_MAX);
		seen->events[seen->n].origin = list->events[i].origin;
		seen->events[seen->n].number = list->events[i].number;
		seen->events[seen->n++].time_ns = list->events[i].time_ns;
	}
	snprintf(seen->resume, sizeof(seen->resume), "%s", list->resume);
}

/* Page by page, each through another server, until there is no more. */
static void read_all(struct seen *seen, uint32_t limit)
{
	struct wire_event_list *list;
	bool is_more;
	uint16_t id = 0;

	do {
		assert_int_equal(
			query((uint16_t)(id++ % SERVICE_SERVERS + 1),
			      &(struct wire_event_query){.after = seen->resume, .limit = limit},
			      &list),
			RPC_OK);
		assert_true(list->n_events <= limit);
		note(seen, list);
		is_more = list->is_more;
		wire_free(list);
	} while (is_more);
}

static uint32_t count(const struct seen *seen, uint32_t origin, uint64_t number)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < seen->n; i++)
		n += seen->events[i].origin == origin && seen->events[i].number == number;
	return n;
}

/* Each server has a log of its own, half of which its neighbour holds too, and all have the trail.
 * Gives how many different events there are. */
static uint32_t put_history(void)
{
	uint32_t n = 0;

	for (uint64_t i = 1; i <= 40; i++) {
		for (uint32_t origin = 1; origin <= SERVICE_SERVERS; origin++, n++)
			put(1u << (origin - 1) | (i % 2 ? 1u << origin % 3 : 0), origin, 10 * i,
			    1000 * i + origin * 7, "raised");
		if (i % 5 == 0)
			put(7, 0, i, 1000 * i, "master"), n++;
	}
	return n;
}

static void every_server_tells_each_event_once_by_time(void **state)
{
	uint32_t n = put_history();

	for (uint16_t id = 1; id <= SERVICE_SERVERS; id++) {
		struct wire_event_list *list;

		assert_int_equal(query(id, &(struct wire_event_query){0}, &list), RPC_OK);
		assert_int_equal(list->n_events, n);
		assert_false(list->is_more);
		assert_int_equal(list->n_silent, 0);
		assert_int_equal(list->answered_by, id);
		for (uint32_t i = 1; i < n; i++)
			assert_true(list->events[i - 1].time_ns <= list->events[i].time_ns);
		wire_free(list);
	}
}

static void pages_of_any_size_through_any_server_neither_lose_nor_double(void **state)
{
	static const uint32_t limits[] = {1, 2, 3, 7, 50, 127, 128, 129};
	uint32_t n = put_history();

	for (size_t l = 0; l < sizeof(limits) / sizeof(limits[0]); l++) {
		struct seen seen = {0};

		read_all(&seen, limits[l]);
		assert_int_equal(seen.n, n);
		for (uint64_t i = 1; i <= 40; i++)
			for (uint32_t origin = 1; origin <= SERVICE_SERVERS; origin++)
				assert_int_equal(count(&seen, origin, 10 * i), 1);
		for (uint32_t i = 1; i < n; i++)
			assert_true(seen.events[i - 1].time_ns <= seen.events[i].time_ns);
	}
}

static void what_comes_later_is_on_the_next_page_alone(void **state)
{
	struct seen seen = {0};
	uint32_t n = put_history();

	read_all(&seen, 50);
	put(2, 2, 401, 50000, "raised");
	put(4, 2, 402, 50001, "raised"); /* its origin has it, and the standby only this one */
	put(2, 2, 402, 50001, "raised");
	put(7, 0, 41, 50002, "cell_moved");
	read_all(&seen, 50);
	assert_int_equal(seen.n, n + 3);
	read_all(&seen, 50);
	assert_int_equal(seen.n, n + 3);
}

/* What the standby holds of a server that is silent must not make the rest of it count as told. */
static void what_a_silent_server_alone_holds_is_told_when_it_is_back(void **state)
{
	struct seen seen = {0};
	struct wire_event_list *list;

	put(1 | 2, 1, 10, 100, "raised");
	put(1, 1, 11, 101, "raised");
	put(1 | 2, 1, 12, 102, "raised");
	put(2, 2, 10, 103, "raised");
	service_cluster_stop(&c, 1);
	assert_int_equal(query(3, &(struct wire_event_query){0}, &list), RPC_OK);
	assert_int_equal(list->n_events, 3);
	assert_int_equal(list->n_silent, 1);
	assert_int_equal(list->silent[0], 1);
	note(&seen, list);
	wire_free(list);
	service_cluster_start(&c, 1);
	/* The servers' channels find their way back on their own. */
	do {
		assert_int_equal(query(3, &(struct wire_event_query){.after = seen.resume}, &list),
				 RPC_OK);
		note(&seen, list);
		wire_free(list);
	} while (count(&seen, 1, 11) == 0);
	assert_int_equal(seen.n, 4);
}

static void clock_that_was_set_back_loses_nothing(void **state)
{
	for (uint32_t limit = 1; limit <= 6; limit++) {
		struct seen seen = {0};

		put(1, 1, 1, 5000, "raised");
		put(1 | 2, 1, 2, 100, "raised"); /* set back */
		put(1, 1, 3, 200, "raised");
		put(2, 2, 1, 150, "raised");
		put(2, 2, 2, 6000, "raised");
		read_all(&seen, limit);
		assert_int_equal(seen.n, 5);
		for (uint32_t i = 1; i < 5; i++)
			for (uint32_t j = 0; j < i; j++)
				assert_false(seen.events[j].origin == seen.events[i].origin &&
					     seen.events[j].number >= seen.events[i].number);
	}
}

static void newest_ones_are_the_last_and_the_token_stands_behind_all(void **state)
{
	struct seen seen = {0};
	struct wire_event_list *list;

	put_history();
	assert_int_equal(query(2, &(struct wire_event_query){.is_newest = true, .limit = 5}, &list),
			 RPC_OK);
	assert_int_equal(list->n_events, 5);
	assert_int_equal(list->events[4].time_ns, 40000 + 21);
	assert_int_equal(list->events[1].time_ns, 40000);
	assert_true(list->is_more);
	note(&seen, list);
	wire_free(list);
	put(4, 3, 401, 99999, "raised");
	read_all(&seen, 50);
	assert_int_equal(seen.n, 6);
	assert_int_equal(seen.events[5].number, 401);
}

static void only_what_was_asked_for_is_told_and_the_token_passes_the_rest(void **state)
{
	const char *kinds[] = {"cleared", "master"};
	const struct wire_event_query asked = {.kinds = kinds, .n_kinds = 2};
	struct wire_event_list *list;
	struct seen seen = {0};

	put_history();
	put(1, 1, 500, 90000, "cleared");
	assert_int_equal(query(3, &asked, &list), RPC_OK);
	assert_int_equal(list->n_events, 9);
	note(&seen, list);
	wire_free(list);
	read_all(&seen, 50); /* of the others the token says that they were passed */
	assert_int_equal(seen.n, 9);
	assert_int_equal(query(3, &(struct wire_event_query){.origin = 2}, &list), RPC_OK);
	assert_int_equal(list->n_events, 40);
	wire_free(list);
	assert_int_equal(
		query(3, &(struct wire_event_query){.since_ns = 39000, .until_ns = 40000}, &list),
		RPC_OK);
	assert_int_equal(list->n_events, 4);
	wire_free(list);
}

static void until_a_time_the_token_does_not_pass_what_came_later(void **state)
{
	struct seen seen = {0};
	struct wire_event_list *list;
	uint32_t n = put_history();

	assert_int_equal(query(1, &(struct wire_event_query){.until_ns = 20000}, &list), RPC_OK);
	note(&seen, list);
	wire_free(list);
	assert_true(seen.n > 0 && seen.n < n);
	read_all(&seen, 50);
	assert_int_equal(seen.n, n);
}

static void local_query_is_of_the_asked_servers_disk_alone(void **state)
{
	struct wire_event_list *list;

	put_history();
	assert_int_equal(query(2, &(struct wire_event_query){.is_local = true}, &list), RPC_OK);
	assert_int_equal(list->n_events, 40 + 20 + 8);
	wire_free(list);
}

static void what_is_no_token_is_refused(void **state)
{
	assert_int_equal(query(1, &(struct wire_event_query){.after = "yesterday"}, NULL),
			 RPC_INVALID_ARGUMENT);
}

/* A part that looked at all that it could bear, found nothing, and says how far it came. */
static uint32_t n_empty;

static void answer_empty(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	const struct wire_event_list first = {.resume = "2:50", .is_more = true, .answered_by = 2};
	struct wire_event e = {.origin = 2, .number = 60, .time_ns = 60, .kind = "raised"};
	const struct wire_event_list second = {
		.events = &e, .n_events = 1, .resume = "2:60", .answered_by = 2};
	struct wire_event_query *asked;
	struct wire_bytes reply;

	assert_int_equal(wire_event_query_unpack(bytes, n, &asked), 0);
	if (n_empty++ > 0)
		assert_non_null(strstr(asked->after, "2:50"));
	wire_free(asked);
	assert_int_equal(wire_event_list_pack(n_empty == 1 ? &first : &second, &reply), 0);
	rpc_call_reply(call, reply.bytes, reply.n);
	wire_bytes_free(&reply);
}

static void page_without_events_goes_on(void **state)
{
	const struct rpc_method method = {.path = WIRE_PATH("Peered", "ListEvents"),
					  .handler = answer_empty};
	struct seen seen = {0};
	struct wire_event_list *list;

	put(1, 1, 1, 70, "raised");
	n_empty = 0;
	service_cluster_stop(&c, 2);
	service_cluster_replace(&c, 2, &method, 1);
	assert_int_equal(query(1, &(struct wire_event_query){0}, &list), RPC_OK);
	assert_int_equal(list->n_events, 0); /* what server 2 has may be older */
	assert_true(list->is_more);
	note(&seen, list);
	wire_free(list);
	assert_int_equal(query(1, &(struct wire_event_query){.after = seen.resume}, &list), RPC_OK);
	assert_int_equal(list->n_events, 2);
	assert_int_equal(list->events[0].origin, 2);
	assert_false(list->is_more);
	wire_free(list);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_server_tells_each_event_once_by_time),
		TEST(pages_of_any_size_through_any_server_neither_lose_nor_double),
		TEST(what_comes_later_is_on_the_next_page_alone),
		TEST(what_a_silent_server_alone_holds_is_told_when_it_is_back),
		TEST(clock_that_was_set_back_loses_nothing),
		TEST(newest_ones_are_the_last_and_the_token_stands_behind_all),
		TEST(only_what_was_asked_for_is_told_and_the_token_passes_the_rest),
		TEST(until_a_time_the_token_does_not_pass_what_came_later),
		TEST(local_query_is_of_the_asked_servers_disk_alone),
		TEST(what_is_no_token_is_refused),
		TEST(page_without_events_goes_on),
	};

	return cmocka_run_group_tests_name("peered_events", tests, NULL, NULL);
}
