#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cp/wire/wire.h"
#include "tests/lib/service_cluster.h"

#define GET_ELEMENT  WIRE_PATH("Peered", "GetElement")
#define GET_DP_STATS WIRE_PATH("Peered", "GetDpStats")
#define GET_STATUS   WIRE_PATH("Peered", "GetStatus")

static const struct fedmem_token token = {1, 1};

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

/* What the server 'id' answers; '*reply' when that is OK, to be freed. */
static enum rpc_status get_element(uint16_t id, const struct wire_element_request *request,
				   struct wire_element_reply **reply, char why[256])
{
	struct service_answer answer;
	struct wire_bytes bytes;
	enum rpc_status status;

	assert_int_equal(wire_element_request_pack(request, &bytes), 0);
	service_cluster_call(&c, id, GET_ELEMENT, &bytes, &answer);
	wire_bytes_free(&bytes);
	status = answer.status;
	if (why != NULL)
		memcpy(why, answer.why, 256);
	if (status == RPC_OK)
		assert_int_equal(wire_element_reply_unpack(answer.bytes, answer.n, reply), 0);
	service_answer_free(&answer);
	return status;
}

static enum rpc_status get_by_id(uint16_t id, uint64_t element, struct wire_element_reply **reply)
{
	return get_element(id, &(struct wire_element_request){.id = element, .name = ""}, reply,
			   NULL);
}

/* ---- GetElement ---- */

static void unknown_element_is_not_found(void **state)
{
	char why[256];

	assert_int_equal(
		get_element(1, &(struct wire_element_request){.id = 11, .name = ""}, NULL, why),
		RPC_NOT_FOUND);
	assert_non_null(strstr(why, "11"));
	assert_int_equal(
		get_element(1, &(struct wire_element_request){.name = "nobody"}, NULL, why),
		RPC_NOT_FOUND);
	assert_non_null(strstr(why, "nobody"));
}

static void owner_answers_by_id_and_by_name(void **state)
{
	struct wire_element_reply *reply;

	played_report(&c.servers[0].played, 10, token, 3);
	assert_int_equal(get_by_id(1, 10, &reply), RPC_OK);
	assert_int_equal(reply->element.answered_by, 1);
	assert_int_equal(reply->element.n_metrics, 3);
	wire_free(reply);
	assert_int_equal(
		get_element(1, &(struct wire_element_request){.name = "e10"}, &reply, NULL),
		RPC_OK);
	assert_int_equal(reply->element.id, 10);
	wire_free(reply);
}

static void any_server_answers_with_the_owners_memory(void **state)
{
	struct wire_element_reply *reply;

	played_report(&c.servers[1].played, 20, token, 2);
	played_alarm(&c.servers[1].played,
		     &(struct played_alarm){20, token, "linkDown", "if1", FEDMEM_MAJOR});
	for (uint16_t id = 1; id <= SERVICE_SERVERS; id++) {
		assert_int_equal(get_by_id(id, 20, &reply), RPC_OK);
		assert_int_equal(reply->element.id, 20);
		assert_int_equal(reply->element.owner, 2);
		assert_int_equal(reply->element.answered_by, 2);
		assert_int_equal(reply->element.n_metrics, 2);
		assert_int_equal(reply->n_alarms, 1);
		wire_free(reply);
		assert_int_equal(get_element(id, &(struct wire_element_request){.name = "e20"},
					     &reply, NULL),
				 RPC_OK);
		assert_int_equal(reply->element.id, 20);
		wire_free(reply);
	}
}

static void forwarded_request_is_not_forwarded_again(void **state)
{
	assert_int_equal(get_element(1,
				     &(struct wire_element_request){
					     .id = 20, .name = "", .is_forwarded = true},
				     NULL, NULL),
			 RPC_FAILED_PRECONDITION);
}

static void cell_without_an_owner_is_unavailable(void **state)
{
	char why[256];

	service_cluster_own(&c, "r1", 0, (struct fedmem_token){1, 2});
	assert_int_equal(
		get_element(1, &(struct wire_element_request){.id = 20, .name = ""}, NULL, why),
		RPC_UNAVAILABLE);
	assert_non_null(strstr(why, "r1"));
}

static void element_of_a_dead_owner_is_unavailable_and_the_owner_is_named(void **state)
{
	char why[256];

	service_cluster_stop(&c, 2);
	assert_int_equal(
		get_element(1, &(struct wire_element_request){.id = 20, .name = ""}, NULL, why),
		RPC_UNAVAILABLE);
	assert_non_null(strstr(why, "server 2"));
}

/* ---- A cell that moves ---- */

static struct {
	uint32_t n_calls;
	uint16_t owner_now; /* what the first server's map says after the refusal; 0: the same */
} refusing[SERVICE_SERVERS];

/* Refuses as a server does that has just given the cell away. */
static void refuse(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	uint16_t id = *(const uint16_t *)user;

	refusing[id - 1].n_calls++;
	if (refusing[id - 1].owner_now != 0)
		fake_cluster_cell(c.servers[0].played.cluster, "r1", refusing[id - 1].owner_now, 1,
				  2);
	rpc_call_fail(call, RPC_FAILED_PRECONDITION, "not the owner of this element");
}

static void make_refuse(uint16_t id, uint16_t owner_now)
{
	static uint16_t ids[SERVICE_SERVERS] = {1, 2, 3};
	const struct rpc_method method = {
		.path = GET_ELEMENT, .handler = refuse, .user = &ids[id - 1]};

	refusing[id - 1].n_calls = 0;
	refusing[id - 1].owner_now = owner_now;
	service_cluster_stop(&c, id);
	service_cluster_replace(&c, id, &method, 1);
}

static void cell_that_moved_costs_one_redirect(void **state)
{
	struct wire_element_reply *reply;

	make_refuse(2, 3);
	fake_cluster_cell(c.servers[2].played.cluster, "r1", 3, 1, 2);
	assert_int_equal(get_by_id(1, 20, &reply), RPC_OK);
	assert_int_equal(reply->element.answered_by, 3);
	assert_int_equal(reply->element.token.generation, 2);
	assert_int_equal(refusing[1].n_calls, 1);
	wire_free(reply);
}

static void cell_that_came_to_the_asked_server_is_answered(void **state)
{
	struct wire_element_reply *reply;

	make_refuse(2, 1);
	assert_int_equal(get_by_id(1, 20, &reply), RPC_OK);
	assert_int_equal(reply->element.answered_by, 1);
	wire_free(reply);
}

static void second_refusal_stands(void **state)
{
	make_refuse(2, 3);
	make_refuse(3, 2);
	assert_int_equal(get_by_id(1, 20, NULL), RPC_FAILED_PRECONDITION);
	assert_int_equal(refusing[1].n_calls, 1);
	assert_int_equal(refusing[2].n_calls, 1);
}

static void refusal_stands_while_nobody_else_is_known_as_the_owner(void **state)
{
	make_refuse(2, 0);
	assert_int_equal(get_by_id(1, 20, NULL), RPC_FAILED_PRECONDITION);
	assert_int_equal(refusing[1].n_calls, 1);
}

/* ---- An owner that is silent ---- */

static struct rpc_call *kept;

static void keep(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	kept = call;
}

static void owner_that_does_not_answer_costs_a_bounded_time(void **state)
{
	const struct rpc_method method = {.path = GET_ELEMENT, .handler = keep};
	char why[256];

	service_cluster_stop(&c, 2);
	service_cluster_replace(&c, 2, &method, 1);
	assert_int_equal(
		get_element(1, &(struct wire_element_request){.id = 20, .name = ""}, NULL, why),
		RPC_DEADLINE_EXCEEDED);
	assert_non_null(strstr(why, "server 2"));
	rpc_call_fail(kept, RPC_INTERNAL, "the test is over");
}

/* ---- GetDpStats ---- */

static enum rpc_status get_dp_stats(uint16_t id, const struct wire_dp_stats_request *request,
				    struct wire_dp_stats **reply)
{
	struct service_answer answer;
	struct wire_bytes bytes;
	enum rpc_status status;

	assert_int_equal(wire_dp_stats_request_pack(request, &bytes), 0);
	service_cluster_call(&c, id, GET_DP_STATS, &bytes, &answer);
	wire_bytes_free(&bytes);
	status = answer.status;
	if (status == RPC_OK)
		assert_int_equal(wire_dp_stats_unpack(answer.bytes, answer.n, reply), 0);
	service_answer_free(&answer);
	return status;
}

static void counters_come_from_the_server_that_is_asked_about(void **state)
{
	for (uint16_t id = 1; id <= SERVICE_SERVERS; id++) {
		struct stats stats = {0};

		stats.n[STATS_FRAMES] = stats.n[STATS_DROP_NOT_IP] = 100u + id;
		fedmem_stats_publish(c.servers[id - 1].played.writer, &stats);
	}
	for (uint16_t about = 0; about <= SERVICE_SERVERS; about++) {
		struct wire_dp_stats *reply;
		uint32_t expect = about == 0 ? 2 : about;

		assert_int_equal(
			get_dp_stats(2, &(struct wire_dp_stats_request){.server = about}, &reply),
			RPC_OK);
		assert_int_equal(reply->server, expect);
		assert_int_equal(reply->n_counters, STATS_N);
		assert_int_equal(reply->counters[STATS_FRAMES].value, 100 + expect);
		assert_true(reply->holds);
		wire_free(reply);
	}
}

static void counters_of_a_server_that_does_not_exist_are_not_found(void **state)
{
	assert_int_equal(get_dp_stats(1, &(struct wire_dp_stats_request){.server = 4}, NULL),
			 RPC_NOT_FOUND);
	assert_int_equal(get_dp_stats(1, &(struct wire_dp_stats_request){.server = 65535}, NULL),
			 RPC_NOT_FOUND);
}

static void counters_are_not_forwarded_twice(void **state)
{
	assert_int_equal(
		get_dp_stats(1, &(struct wire_dp_stats_request){.server = 2, .is_forwarded = true},
			     NULL),
		RPC_FAILED_PRECONDITION);
}

/* ---- GetStatus ---- */

static void status_shows_servers_cells_and_the_master(void **state)
{
	const struct wire_bytes nothing = {0};
	struct service_answer answer;
	struct wire_status *status;

	fake_cluster_master(c.servers[1].played.cluster, 3, 5);
	fake_cluster_state(c.servers[1].played.cluster, 1, DETECTOR_FAILED);
	service_cluster_call(&c, 2, GET_STATUS, &nothing, &answer);
	assert_int_equal(answer.status, RPC_OK);
	assert_int_equal(wire_status_unpack(answer.bytes, answer.n, &status), 0);
	assert_string_equal(status->cluster, "lab");
	assert_int_equal(status->server, 2);
	assert_int_equal(status->master, 3);
	assert_int_equal(status->epoch, 5);
	assert_int_equal(status->n_elements, 9);
	assert_true(status->is_map_committed);
	assert_int_equal(status->n_servers, 3);
	assert_string_equal(status->servers[0].name, "s1");
	assert_string_equal(status->servers[0].state, "failed");
	assert_string_equal(status->servers[1].role, "follower");
	assert_string_equal(status->servers[2].role, "master");
	assert_int_equal(status->servers[2].rank, 30);
	assert_int_equal(status->servers[2].n_cells, 1);
	assert_int_equal(status->n_cells, 3);
	assert_string_equal(status->cells[1].name, "r1");
	assert_int_equal(status->cells[1].owner, 2);
	wire_free(status);
	service_answer_free(&answer);
}

static void nonsense_is_an_invalid_argument(void **state)
{
	static const uint8_t nonsense[] = {0xff, 0xff, 0xff, 0x07, 0x00};
	const struct wire_bytes bytes = {(uint8_t *)nonsense, sizeof(nonsense)};
	static const char *const paths[] = {GET_ELEMENT, GET_DP_STATS};

	for (size_t i = 0; i < 2; i++) {
		struct service_answer answer;

		service_cluster_call(&c, 1, paths[i], &bytes, &answer);
		assert_int_equal(answer.status, RPC_INVALID_ARGUMENT);
		service_answer_free(&answer);
	}
}

static bool is_kept(void *user)
{
	return kept != NULL;
}

static void server_that_stops_ends_what_it_has_forwarded(void **state)
{
	const struct rpc_method method = {.path = GET_ELEMENT, .handler = keep};
	const struct wire_element_request request = {.id = 20, .name = ""};
	struct service_answer answer;
	struct wire_bytes bytes;

	service_cluster_stop(&c, 2);
	service_cluster_replace(&c, 2, &method, 1);
	kept = NULL;
	assert_int_equal(wire_element_request_pack(&request, &bytes), 0);
	service_cluster_ask(&c, 1, GET_ELEMENT, &bytes, &answer);
	wire_bytes_free(&bytes);
	service_cluster_wait(&c, is_kept, NULL);
	assert_false(answer.is_done);
	service_cluster_stop(&c, 1);
	service_cluster_await(&c, &answer);
	assert_int_equal(answer.status, RPC_UNAVAILABLE); /* another one can be asked */
	service_answer_free(&answer);
	rpc_call_fail(kept, RPC_INTERNAL, "the test is over");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(unknown_element_is_not_found),
		TEST(owner_answers_by_id_and_by_name),
		TEST(any_server_answers_with_the_owners_memory),
		TEST(forwarded_request_is_not_forwarded_again),
		TEST(cell_without_an_owner_is_unavailable),
		TEST(element_of_a_dead_owner_is_unavailable_and_the_owner_is_named),
		TEST(cell_that_moved_costs_one_redirect),
		TEST(cell_that_came_to_the_asked_server_is_answered),
		TEST(second_refusal_stands),
		TEST(refusal_stands_while_nobody_else_is_known_as_the_owner),
		TEST(owner_that_does_not_answer_costs_a_bounded_time),
		TEST(counters_come_from_the_server_that_is_asked_about),
		TEST(counters_of_a_server_that_does_not_exist_are_not_found),
		TEST(counters_are_not_forwarded_twice),
		TEST(status_shows_servers_cells_and_the_master),
		TEST(nonsense_is_an_invalid_argument),
		TEST(server_that_stops_ends_what_it_has_forwarded),
	};

	return cmocka_run_group_tests_name("peered", tests, NULL, NULL);
}
