#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cp/wire/wire.h"
#include "tests/lib/service_cluster.h"

#define LIST_ELEMENTS WIRE_PATH("Federated", "ListElements")
#define LIST_ALARMS   WIRE_PATH("Federated", "ListAlarms")
#define N_ELEMENTS    30

static const struct fedmem_token token = {1, 1};

static struct service_cluster c;

static int set_up(void **state)
{
	service_cluster_open(&c, &(struct played_config){.n_elements = N_ELEMENTS});
	return 0;
}

static int tear_down(void **state)
{
	service_cluster_close(&c);
	return 0;
}

static void ask(uint16_t id, const char *path, const struct wire_list_request *request,
		struct service_answer *answer)
{
	struct wire_bytes bytes;

	assert_int_equal(wire_list_request_pack(request, &bytes), 0);
	service_cluster_call(&c, id, path, &bytes, answer);
	wire_bytes_free(&bytes);
	assert_int_equal(answer->status, RPC_OK);
}

static struct wire_element_list *elements(uint16_t id, const struct wire_list_request *request)
{
	struct service_answer answer;
	struct wire_element_list *list;

	ask(id, LIST_ELEMENTS, request, &answer);
	assert_int_equal(wire_element_list_unpack(answer.bytes, answer.n, &list), 0);
	service_answer_free(&answer);
	return list;
}

static struct wire_alarm_list *alarms(uint16_t id, const struct wire_list_request *request)
{
	struct service_answer answer;
	struct wire_alarm_list *list;

	ask(id, LIST_ALARMS, request, &answer);
	assert_int_equal(wire_alarm_list_unpack(answer.bytes, answer.n, &list), 0);
	service_answer_free(&answer);
	return list;
}

static uint16_t owner_of(uint64_t element)
{
	return (uint16_t)((element / 10 - 1) % 3 + 1);
}

static void raise_at_owner(uint64_t element, const char *resource)
{
	played_alarm(&c.servers[owner_of(element) - 1].played,
		     &(struct played_alarm){element, token, "linkDown", resource, FEDMEM_MAJOR});
}

/* ---- What is merged ---- */

static void any_server_lists_the_elements_of_all_in_order(void **state)
{
	for (uint16_t id = 1; id <= SERVICE_SERVERS; id++) {
		struct wire_element_list *list = elements(id, &(struct wire_list_request){0});

		assert_int_equal(list->n_elements, N_ELEMENTS);
		assert_int_equal(list->n_silent, 0);
		assert_int_equal(list->next_after, 0);
		assert_int_equal(list->answered_by, id);
		for (uint32_t i = 0; i < N_ELEMENTS; i++) {
			assert_int_equal(list->elements[i].id, 10 * (i + 1));
			assert_int_equal(list->elements[i].owner, i % 3 + 1);
			assert_int_equal(list->elements[i].answered_by, i % 3 + 1);
		}
		wire_free(list);
	}
}

static void local_list_is_of_the_asked_server_alone(void **state)
{
	struct wire_element_list *list = elements(2, &(struct wire_list_request){.is_local = true});

	assert_int_equal(list->n_elements, N_ELEMENTS / 3);
	assert_int_equal(list->n_silent, 0);
	for (uint32_t i = 0; i < list->n_elements; i++)
		assert_int_equal(list->elements[i].owner, 2);
	wire_free(list);
}

static void check_element_pages(void)
{
	for (uint32_t limit = 1; limit <= N_ELEMENTS + 1; limit++) {
		uint64_t after = 0, expect = 10;

		do {
			struct wire_element_list *list =
				elements((uint16_t)(limit % 3 + 1),
					 &(struct wire_list_request){.after_element = after,
								     .limit = limit});

			assert_true(list->n_elements <= limit);
			for (uint32_t i = 0; i < list->n_elements; i++, expect += 10)
				assert_int_equal(list->elements[i].id, expect);
			assert_true(list->next_after == 0 || list->next_after > after);
			after = list->next_after;
			wire_free(list);
		} while (after != 0);
		assert_int_equal(expect, 10 * (N_ELEMENTS + 1));
	}
}

static void element_pages_of_any_size_give_each_element_once(void **state)
{
	check_element_pages();
}

static void element_pages_go_on_while_one_server_alone_has_more(void **state)
{
	service_cluster_own(&c, "r0", 2, token);
	service_cluster_own(&c, "r2", 2, token);
	check_element_pages();
}

static void alarm_pages_of_any_size_give_each_alarm_once(void **state)
{
	/* Most elements have none, and the servers' parts end at different elements. */
	static const struct {
		uint64_t element;
		uint32_t n;
	} have[] = {{10, 2}, {20, 1}, {40, 3}, {70, 1}, {100, 2}, {150, 4}, {160, 1}, {300, 1}};
	char resource[16];

	for (size_t i = 0; i < sizeof(have) / sizeof(have[0]); i++)
		for (uint32_t k = 0; k < have[i].n; k++) {
			snprintf(resource, sizeof(resource), "if%u", k);
			raise_at_owner(have[i].element, resource);
		}
	for (uint32_t limit = 1; limit <= 9; limit++) {
		uint64_t after = 0;
		uint32_t at = 0, n_of_element = 0;

		do {
			struct wire_alarm_list *list = alarms(
				limit % 3 + 1, &(struct wire_list_request){.after_element = after,
									   .limit = limit});

			for (uint32_t i = 0; i < list->n_alarms; i++) {
				assert_int_equal(list->alarms[i].element_id, have[at].element);
				snprintf(resource, sizeof(resource), "if%u", n_of_element);
				assert_string_equal(list->alarms[i].resource, resource);
				if (++n_of_element == have[at].n) {
					n_of_element = 0;
					at++;
				}
			}
			assert_true(list->next_after == 0 || list->next_after > after);
			after = list->next_after;
			wire_free(list);
		} while (after != 0);
		assert_int_equal(at, sizeof(have) / sizeof(have[0]));
	}
}

static void cleared_alarms_are_listed_when_asked_for(void **state)
{
	struct wire_alarm_list *list;

	raise_at_owner(20, "if1");
	played_alarm(&c.servers[1].played,
		     &(struct played_alarm){20, token, "linkDown", "if1", FEDMEM_CLEARED});
	list = alarms(1, &(struct wire_list_request){0});
	assert_int_equal(list->n_alarms, 0);
	wire_free(list);
	list = alarms(1, &(struct wire_list_request){.with_cleared = true});
	assert_int_equal(list->n_alarms, 1);
	assert_true(list->alarms[0].is_cleared);
	wire_free(list);
}

/* While a cell moves, two servers may think that it is theirs. */
static void of_two_owners_the_one_with_the_higher_token_is_believed(void **state)
{
	const struct fedmem_token newer = {1, 2};
	struct wire_element_list *list;
	struct wire_alarm_list *found;

	raise_at_owner(10, "old");
	fake_cluster_cell(c.servers[1].played.cluster, "r0", 2, newer.epoch, newer.generation);
	played_report(&c.servers[1].played, 10, newer, 1);
	played_alarm(&c.servers[1].played,
		     &(struct played_alarm){10, newer, "linkDown", "new", FEDMEM_MINOR});
	for (uint16_t id = 1; id <= SERVICE_SERVERS; id++) {
		for (uint32_t limit = 1; limit <= N_ELEMENTS + 1; limit += N_ELEMENTS) {
			list = elements(id, &(struct wire_list_request){.limit = limit});
			assert_int_equal(list->n_elements, limit == 1 ? 1 : N_ELEMENTS);
			assert_int_equal(list->elements[0].id, 10);
			assert_int_equal(list->elements[0].owner, 2);
			assert_int_equal(list->elements[0].n_reports, 1);
			wire_free(list);
			found = alarms(id, &(struct wire_list_request){.limit = limit});
			assert_int_equal(found->n_alarms, 1);
			assert_string_equal(found->alarms[0].resource, "new");
			wire_free(found);
		}
	}
}

/* ---- Servers that are silent ---- */

static void check_without(const struct wire_element_list *list, uint16_t silent)
{
	assert_int_equal(list->n_silent, 1);
	assert_int_equal(list->silent[0], silent);
	assert_int_equal(list->n_elements, N_ELEMENTS * 2 / 3);
	for (uint32_t i = 0; i < list->n_elements; i++)
		assert_int_not_equal(list->elements[i].owner, silent);
}

static void dead_server_is_named_and_the_others_parts_are_there(void **state)
{
	struct wire_element_list *list;

	service_cluster_stop(&c, 2);
	list = elements(1, &(struct wire_list_request){0});
	check_without(list, 2);
	wire_free(list);
}

static void server_that_came_back_is_listed_again(void **state)
{
	struct wire_element_list *list;

	service_cluster_stop(&c, 2);
	wire_free(elements(1, &(struct wire_list_request){0}));
	service_cluster_start(&c, 2);
	for (uint32_t n_silent = 1;
	     n_silent > 0;) { /* the channel waits a moment between attempts */
		list = elements(1, &(struct wire_list_request){0});
		n_silent = list->n_silent;
		if (n_silent == 0)
			assert_int_equal(list->n_elements, N_ELEMENTS);
		wire_free(list);
	}
}

static uint32_t n_asked;
static struct rpc_call *kept;

static void keep(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	n_asked++;
	kept = call;
}

static void server_that_does_not_answer_is_silent_after_the_deadline(void **state)
{
	const struct rpc_method method = {.path = LIST_ELEMENTS, .handler = keep};
	struct wire_element_list *list;

	service_cluster_stop(&c, 3);
	service_cluster_replace(&c, 3, &method, 1);
	n_asked = 0;
	list = elements(1, &(struct wire_list_request){.deadline_ms = 150});
	assert_int_equal(n_asked, 1);
	check_without(list, 3);
	wire_free(list);
	rpc_call_fail(kept, RPC_INTERNAL, "the test is over");
}

static void server_that_is_known_to_be_dead_is_not_asked(void **state)
{
	const struct rpc_method method = {.path = LIST_ELEMENTS, .handler = keep};
	struct wire_element_list *list;

	service_cluster_stop(&c, 3);
	service_cluster_replace(&c, 3, &method, 1);
	fake_cluster_state(c.servers[0].played.cluster, 3, DETECTOR_FAILED);
	n_asked = 0;
	list = elements(1, &(struct wire_list_request){0});
	assert_int_equal(n_asked, 0);
	check_without(list, 3);
	wire_free(list);
}

static const uint8_t *canned;
static size_t n_canned;

static void answer_canned(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	rpc_call_reply(call, canned, n_canned);
}

static void server_whose_answer_makes_no_sense_is_silent(void **state)
{
	static const uint8_t nonsense[] = {0xff, 0xff, 0xff, 0x07};
	const struct rpc_method method = {.path = LIST_ELEMENTS, .handler = answer_canned};
	/* A page that ends before it began would be asked for again and again. */
	const struct wire_element_list backwards = {.next_after = 100, .answered_by = 3};
	struct wire_element_list *list;
	struct wire_bytes bytes;

	service_cluster_stop(&c, 3);
	service_cluster_replace(&c, 3, &method, 1);
	canned = nonsense;
	n_canned = sizeof(nonsense);
	list = elements(1, &(struct wire_list_request){0});
	check_without(list, 3);
	wire_free(list);

	assert_int_equal(wire_element_list_pack(&backwards, &bytes), 0);
	canned = bytes.bytes;
	n_canned = bytes.n;
	list = elements(1, &(struct wire_list_request){.after_element = 100});
	assert_int_equal(list->n_silent, 1);
	assert_int_equal(list->silent[0], 3);
	assert_int_equal(list->n_elements, 13); /* 110 to 300 without those of server 3 */
	wire_free(list);
	wire_bytes_free(&bytes);
}

static void server_that_stops_ends_the_lists_that_wait(void **state)
{
	const struct rpc_method method = {.path = LIST_ELEMENTS, .handler = keep};
	const struct wire_list_request request = {.deadline_ms = 30000};
	struct service_answer answer;
	struct wire_bytes bytes;

	service_cluster_stop(&c, 3);
	service_cluster_replace(&c, 3, &method, 1);
	kept = NULL;
	assert_int_equal(wire_list_request_pack(&request, &bytes), 0);
	service_cluster_ask(&c, 1, LIST_ELEMENTS, &bytes, &answer);
	wire_bytes_free(&bytes);
	while (kept == NULL)
		uv_run(&c.loop, UV_RUN_ONCE);
	assert_false(answer.is_done);
	service_cluster_stop(&c, 1);
	service_cluster_await(&c, &answer);
	assert_int_equal(answer.status, RPC_UNAVAILABLE); /* another one can be asked */
	service_answer_free(&answer);
	rpc_call_fail(kept, RPC_INTERNAL, "the test is over");
}

/* ---- Requests and answers out of bounds ---- */

static void nonsense_is_an_invalid_argument(void **state)
{
	static const uint8_t nonsense[] = {0xff, 0xff, 0xff, 0x07, 0x00};
	const struct wire_bytes bytes = {(uint8_t *)nonsense, sizeof(nonsense)};
	static const char *const paths[] = {LIST_ELEMENTS, LIST_ALARMS};

	for (size_t i = 0; i < 2; i++) {
		struct service_answer answer;

		service_cluster_call(&c, 1, paths[i], &bytes, &answer);
		assert_int_equal(answer.status, RPC_INVALID_ARGUMENT);
		service_answer_free(&answer);
	}
}

static int set_up_large(void **state)
{
	service_cluster_open(&c, &(struct played_config){.n_elements = 1500, .alarms_max = 8000});
	return 0;
}

/* Three parts of 8000 alarms with long texts are more than a message may be. */
static void list_longer_than_a_message_ends_early_and_goes_on(void **state)
{
	uint64_t after = 0, last = 0;
	uint32_t n_alarms = 0, n_pages = 0;
	char resource[FEDMEM_RESOURCE_BYTES + 1];

	for (uint64_t element = 10; element <= 15000; element += 10)
		for (int i = 0; i < 16; i++) {
			snprintf(resource, sizeof(resource),
				 "interface-of-a-rather-long-name-in-slot-%08d", i);
			played_alarm(
				&c.servers[owner_of(element) - 1].played,
				&(struct played_alarm){element, token,
						       "an-alarm-type-of-a-rather-long-long-name",
						       resource, FEDMEM_MAJOR});
		}
	do {
		struct wire_alarm_list *list = alarms(
			1, &(struct wire_list_request){.after_element = after, .limit = 5000});

		for (uint32_t i = 0; i < list->n_alarms; i++) {
			assert_true(list->alarms[i].element_id >= last);
			last = list->alarms[i].element_id;
		}
		assert_int_equal(list->n_silent, 0);
		n_alarms += list->n_alarms;
		after = list->next_after;
		n_pages++;
		wire_free(list);
	} while (after != 0);
	assert_int_equal(n_alarms, 16 * 1500);
	assert_true(n_pages > 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(any_server_lists_the_elements_of_all_in_order),
		TEST(local_list_is_of_the_asked_server_alone),
		TEST(element_pages_of_any_size_give_each_element_once),
		TEST(element_pages_go_on_while_one_server_alone_has_more),
		TEST(alarm_pages_of_any_size_give_each_alarm_once),
		TEST(cleared_alarms_are_listed_when_asked_for),
		TEST(of_two_owners_the_one_with_the_higher_token_is_believed),
		TEST(dead_server_is_named_and_the_others_parts_are_there),
		TEST(server_that_came_back_is_listed_again),
		TEST(server_that_does_not_answer_is_silent_after_the_deadline),
		TEST(server_that_is_known_to_be_dead_is_not_asked),
		TEST(server_whose_answer_makes_no_sense_is_silent),
		TEST(server_that_stops_ends_the_lists_that_wait),
		TEST(nonsense_is_an_invalid_argument),
		cmocka_unit_test_setup_teardown(list_longer_than_a_message_ends_early_and_goes_on,
						set_up_large, tear_down),
	};

	return cmocka_run_group_tests_name("federated", tests, NULL, NULL);
}
