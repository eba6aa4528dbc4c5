/* What Peered lists: the stores of all servers as one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cp/core/core.h"
#include "cp/wire/wire.h"
#include "tests/lib/service_cluster.h"

#define LIST_ELEMENTS WIRE_PATH("Peered", "ListElements")
#define LIST_ALARMS   WIRE_PATH("Peered", "ListAlarms")
#define N_ELEMENTS    30
#define SECOND_NS     1000000000ull

static struct service_cluster c;

static struct archive *archive_of(uint16_t id)
{
	return c.servers[id - 1].archive;
}

/* Onto the disk of server 'at'. */
#define STORE(put, at, record)                                                                     \
	do {                                                                                       \
		struct archive_batch *batch_ = archive_batch(archive_of(at));                      \
		assert_int_equal(put(batch_, record), 0);                                          \
		assert_int_equal(archive_commit(archive_of(at), batch_, NULL, NULL), 0);           \
		fake_archive_turn(archive_of(at));                                                 \
	} while (0)

static void store_sync(uint16_t at, const char *cell, bool is_complete)
{
	const struct wire_cell_sync sync = {.cell = cell, .is_complete = is_complete};

	STORE(archive_put_sync, at, &sync);
}

static int set_up(void **state)
{
	service_cluster_open(&c, &(struct played_config){.n_elements = N_ELEMENTS});
	for (uint16_t id = 1; id <= SERVICE_SERVERS; id++) {
		struct cluster *cluster = c.servers[id - 1].played.cluster;

		/* Each region's standby is the server behind its owner. */
		fake_cluster_standby(cluster, "r0", 2);
		fake_cluster_standby(cluster, "r1", 3);
		fake_cluster_standby(cluster, "r2", 1);
		store_sync(id, id == 1 ? "r2" : id == 2 ? "r0" : "r1", true);
	}
	return 0;
}

static int tear_down(void **state)
{
	service_cluster_close(&c);
	return 0;
}

static uint16_t owner_of(uint64_t element)
{
	return (uint16_t)((element / 10 - 1) % 3 + 1);
}

static const char *region_of(uint64_t element)
{
	static const char *const regions[] = {"r0", "r1", "r2"};

	return regions[owner_of(element) - 1];
}

struct stored_state {
	uint64_t element, generation, n_reports, age_s;
};

static void store_element(uint16_t at, struct stored_state s)
{
	const struct wire_stored_element record = {
		.id = s.element,
		.cell = region_of(s.element),
		.owner = owner_of(s.element),
		.token = {1, s.generation},
		.n_reports = s.n_reports,
		.last_seen_ns = 1,
		.stored_ns = core_wall_ns() - s.age_s * SECOND_NS,
	};

	STORE(archive_put_element, at, &record);
}

#define OCTETS(text)                                                                               \
	(struct wire_octets)                                                                       \
	{                                                                                          \
		(const uint8_t *)(text), (uint32_t)strlen(text)                                    \
	}

struct stored_change {
	uint64_t element, generation;
	const char *resource;
	uint8_t state;
	uint64_t changed_ns, count;
};

static void store_alarm(uint16_t at, struct stored_change s)
{
	const struct wire_stored_alarm record = {
		.element_id = s.element,
		.type = OCTETS("linkDown"),
		.resource = OCTETS(s.resource),
		.state = s.state,
		.severity = FEDMEM_MAJOR,
		.raised_ns = 7,
		.changed_ns = s.changed_ns,
		.last_ns = s.changed_ns,
		.count = s.count,
		.owner = owner_of(s.element),
		.token = {1, s.generation},
		.cell = region_of(s.element),
		.stored_ns = core_wall_ns(),
	};

	STORE(archive_put_alarm, at, &record);
}

static void store_note(uint16_t at, uint64_t element, uint64_t raised_ns, uint64_t time_ns,
		       const char *who)
{
	const struct wire_alarm_note record = {.element_id = element,
					       .type = OCTETS("linkDown"),
					       .resource = OCTETS("if1"),
					       .raised_ns = raised_ns,
					       .time_ns = time_ns,
					       .is_ack = true,
					       .operator_name = who};

	STORE(archive_put_note, at, &record);
}

static void ask(uint16_t id, const char *path, const struct wire_list_request *request,
		struct service_answer *answer)
{
	struct wire_bytes bytes;

	assert_int_equal(wire_list_request_pack(request, &bytes), 0);
	service_cluster_call(&c, id, path, &bytes, answer);
	wire_bytes_free(&bytes);
}

static struct wire_element_list *elements(uint16_t id, const char *path,
					  const struct wire_list_request *request)
{
	struct service_answer answer;
	struct wire_element_list *list;

	ask(id, path, request, &answer);
	assert_int_equal(answer.status, RPC_OK);
	assert_int_equal(wire_element_list_unpack(answer.bytes, answer.n, &list), 0);
	service_answer_free(&answer);
	return list;
}

static struct wire_alarm_list *alarms(uint16_t id, const char *path,
				      const struct wire_list_request *request)
{
	struct service_answer answer;
	struct wire_alarm_list *list;

	ask(id, path, request, &answer);
	assert_int_equal(answer.status, RPC_OK);
	assert_int_equal(wire_alarm_list_unpack(answer.bytes, answer.n, &list), 0);
	service_answer_free(&answer);
	return list;
}

static const struct wire_list_request everything = {0};

/* ---- Elements ---- */

static void elements_that_were_never_stored_are_listed_too(void **state)
{
	store_element(1, (struct stored_state){10, 1, 5, 2});
	for (uint16_t id = 1; id <= SERVICE_SERVERS; id++) {
		struct wire_element_list *list = elements(id, LIST_ELEMENTS, &everything);

		assert_int_equal(list->n_elements, N_ELEMENTS);
		assert_int_equal(list->n_silent, 0);
		for (uint32_t i = 0; i < N_ELEMENTS; i++) {
			assert_int_equal(list->elements[i].id, 10 * (i + 1));
			assert_string_equal(list->elements[i].source, "store");
			assert_int_equal(list->elements[i].owner, i % 3 + 1);
			assert_true((list->elements[i].stored_ns != 0) == (i == 0));
		}
		assert_int_equal(list->elements[0].n_reports, 5);
		assert_string_equal(list->elements[0].name, "e10");
		wire_free(list);
	}
}

static void the_newest_copy_of_an_element_wins(void **state)
{
	struct wire_element_list *list;

	store_element(1, (struct stored_state){10, 1, 5, 2});
	store_element(2, (struct stored_state){10, 1, 6, 1}); /* later under the same token */
	store_element(2, (struct stored_state){20, 1, 9, 1});
	store_element(3, (struct stored_state){20, 2, 1, 9}); /* under a higher token */
	list = elements(3, LIST_ELEMENTS, &everything);
	assert_int_equal(list->elements[0].n_reports, 6);
	assert_int_equal(list->elements[1].n_reports, 1);
	wire_free(list);
}

static void element_pages_of_any_size_give_each_element_once(void **state)
{
	for (uint64_t e = 10; e <= 300; e += 20)
		store_element(owner_of(e), (struct stored_state){e, 1, e, 1});
	for (uint32_t limit = 1; limit <= N_ELEMENTS + 1; limit += 3) {
		uint64_t after = 0, expect = 10;

		do {
			struct wire_element_list *list =
				elements((uint16_t)(limit % 3 + 1), LIST_ELEMENTS,
					 &(struct wire_list_request){.after_element = after,
								     .limit = limit});

			for (uint32_t i = 0; i < list->n_elements; i++, expect += 10) {
				assert_int_equal(list->elements[i].id, expect);
				assert_int_equal(list->elements[i].n_reports,
						 expect % 20 == 10 ? expect : 0);
			}
			after = list->next_after;
			wire_free(list);
		} while (after != 0);
		assert_int_equal(expect, 10 * (N_ELEMENTS + 1));
	}
}

/* ---- Who speaks for a cell ---- */

static void server_that_is_neither_owner_nor_standby_does_not_bring_back_what_was(void **state)
{
	struct wire_alarm_list *list;

	store_alarm(3, (struct stored_change){10, 1, "old", FEDMEM_ALARM_RAISED, 5, 1});
	store_alarm(1, (struct stored_change){10, 1, "if1", FEDMEM_ALARM_RAISED, 5, 1});
	list = alarms(2, LIST_ALARMS, &everything);
	assert_int_equal(list->n_alarms, 1);
	assert_string_equal(list->alarms[0].resource, "if1");
	wire_free(list);
}

static void standby_whose_copy_is_not_whole_leaves_it_to_the_owner(void **state)
{
	struct wire_alarm_list *list;

	store_sync(2, "r0", false);
	store_alarm(2, (struct stored_change){10, 1, "old", FEDMEM_ALARM_RAISED, 5, 1});
	list = alarms(3, LIST_ALARMS, &everything);
	assert_int_equal(list->n_alarms, 0);
	wire_free(list);
	for (int i = 0; i < SERVICE_SERVERS; i++)
		fake_cluster_state(c.servers[i].played.cluster, 1, DETECTOR_FAILED);
	list = alarms(3, LIST_ALARMS, &everything);
	assert_int_equal(list->n_alarms, 1);
	wire_free(list);
}

static void dead_owners_elements_and_alarms_are_there_from_its_standby(void **state)
{
	struct wire_element_list *e;
	struct wire_alarm_list *a;

	store_element(1, (struct stored_state){10, 1, 5, 2});
	store_element(2, (struct stored_state){10, 1, 5, 2});
	store_alarm(1, (struct stored_change){10, 1, "if1", FEDMEM_ALARM_RAISED, 5, 3});
	store_alarm(2, (struct stored_change){10, 1, "if1", FEDMEM_ALARM_RAISED, 5, 3});
	service_cluster_stop(&c, 1);
	e = elements(3, LIST_ELEMENTS, &everything);
	assert_int_equal(e->n_elements, N_ELEMENTS);
	assert_int_equal(e->elements[0].n_reports, 5);
	assert_int_equal(e->n_silent, 1);
	assert_int_equal(e->silent[0], 1);
	wire_free(e);
	a = alarms(3, LIST_ALARMS, &everything);
	assert_int_equal(a->n_alarms, 1);
	assert_int_equal(a->alarms[0].count, 3);
	assert_int_equal(a->silent[0], 1);
	wire_free(a);
}

/* ---- Alarms ---- */

static void cleared_alarm_wins_over_an_older_copy_that_is_raised(void **state)
{
	struct wire_alarm_list *list;

	store_alarm(1, (struct stored_change){10, 1, "if1", FEDMEM_ALARM_GONE, 9, 2});
	store_alarm(2, (struct stored_change){10, 1, "if1", FEDMEM_ALARM_RAISED, 5, 1});
	list = alarms(3, LIST_ALARMS, &everything);
	assert_int_equal(list->n_alarms, 0);
	wire_free(list);
	list = alarms(3, LIST_ALARMS, &(struct wire_list_request){.with_cleared = true});
	assert_int_equal(list->n_alarms, 1);
	assert_true(list->alarms[0].is_cleared);
	assert_int_equal(list->alarms[0].count, 2);
	wire_free(list);
}

static void records_of_one_element_under_different_tokens_are_all_listed(void **state)
{
	struct wire_alarm_list *list;

	store_alarm(1, (struct stored_change){10, 1, "if1", FEDMEM_ALARM_RAISED, 5, 1});
	store_alarm(1, (struct stored_change){10, 2, "if2", FEDMEM_ALARM_RAISED, 6, 1});
	store_alarm(2, (struct stored_change){10, 1, "if2", FEDMEM_ALARM_RAISED, 9, 7});
	list = alarms(3, LIST_ALARMS, &everything);
	assert_int_equal(list->n_alarms, 2);
	assert_string_equal(list->alarms[0].resource, "if1");
	assert_string_equal(list->alarms[1].resource, "if2");
	assert_int_equal(list->alarms[1].count, 1); /* the higher token, not the later change */
	wire_free(list);
}

static void what_the_operator_said_is_joined_from_whichever_copy_has_it(void **state)
{
	struct wire_alarm_list *list;

	store_alarm(1, (struct stored_change){10, 1, "if1", FEDMEM_ALARM_RAISED, 6, 2});
	store_alarm(2, (struct stored_change){10, 1, "if1", FEDMEM_ALARM_RAISED, 5, 1});
	store_note(1, 10, 7, 100, "ada");
	store_note(2, 10, 7, 200, "bob");
	list = alarms(3, LIST_ALARMS, &everything);
	assert_int_equal(list->n_alarms, 1);
	assert_int_equal(list->alarms[0].count, 2);
	assert_string_equal(list->alarms[0].operator_state, "ack");
	assert_string_equal(list->alarms[0].operator_name, "bob");
	wire_free(list);
	store_note(2, 10, 6, 300, "eve"); /* of the alarm before this one */
	list = alarms(3, LIST_ALARMS, &everything);
	assert_string_equal(list->alarms[0].operator_name, "ada");
	wire_free(list);
}

static void alarm_pages_of_any_size_give_each_alarm_once(void **state)
{
	char resource[16];

	for (uint64_t e = 10; e <= 300; e += 10)
		for (uint64_t i = 0; i < e / 10 % 4; i++) {
			snprintf(resource, sizeof(resource), "if%u", (unsigned int)i);
			store_alarm(owner_of(e),
				    (struct stored_change){e, 1, resource,
							   i == 2 ? FEDMEM_ALARM_GONE
								  : FEDMEM_ALARM_RAISED,
							   5, e + i});
		}
	for (uint32_t limit = 1; limit <= N_ELEMENTS; limit += 4) {
		uint64_t after = 0, sum = 0;

		do {
			struct wire_alarm_list *list =
				alarms((uint16_t)(limit % 3 + 1), LIST_ALARMS,
				       &(struct wire_list_request){.after_element = after,
								   .limit = limit});

			for (uint32_t i = 0; i < list->n_alarms; i++)
				sum += list->alarms[i].count;
			assert_true(list->next_after == 0 || list->next_after > after);
			after = list->next_after;
			wire_free(list);
		} while (after != 0);
		/* Raised: of 1, 2, 3, 0, 1 ... alarms those that are not the third. */
		uint64_t expect = 0;

		for (uint64_t e = 10; e <= 300; e += 10)
			for (uint64_t i = 0; i < e / 10 % 4; i++)
				expect += i == 2 ? 0 : e + i;
		assert_int_equal(sum, expect);
	}
}

/* ---- Federated lists that are filled from it ---- */

static void what_silent_servers_own_is_filled_when_it_is_young_enough(void **state)
{
	const struct wire_list_request young = {.max_age_ms = 60000}, plain = {0};
	const char *path = WIRE_PATH("Federated", "ListElements");
	struct wire_element_list *list;

	store_element(2, (struct stored_state){10, 1, 5, 1});
	store_element(2, (struct stored_state){40, 1, 5, 3600});
	store_element(3, (struct stored_state){20, 1, 77, 1}); /* its owner answers itself */
	service_cluster_stop(&c, 1);
	list = elements(3, path, &plain);
	assert_int_equal(list->n_elements, 20);
	wire_free(list);
	list = elements(3, path, &young);
	assert_int_equal(list->n_elements, 21);
	assert_int_equal(list->elements[0].id, 10);
	assert_string_equal(list->elements[0].source, "store");
	assert_string_equal(list->elements[1].source, "memory");
	assert_int_equal(list->elements[1].n_reports, 0);
	assert_int_equal(list->n_silent, 1);
	wire_free(list);
}

static void alarms_of_silent_servers_are_filled_too(void **state)
{
	const char *path = WIRE_PATH("Federated", "ListAlarms");
	struct wire_alarm_list *list;

	store_alarm(2, (struct stored_change){10, 1, "if1", FEDMEM_ALARM_RAISED, 5, 3});
	store_alarm(3, (struct stored_change){20, 1, "if1", FEDMEM_ALARM_RAISED, 5, 3});
	service_cluster_stop(&c, 1);
	list = alarms(3, path, &(struct wire_list_request){.max_age_ms = 60000});
	assert_int_equal(list->n_alarms, 1); /* server 2 answers for its own: it has none */
	assert_int_equal(list->alarms[0].element_id, 10);
	wire_free(list);
}

static void fresh_list_with_a_silent_server_is_an_error_that_names_it(void **state)
{
	struct service_answer answer;

	ask(3, WIRE_PATH("Federated", "ListAlarms"), &(struct wire_list_request){.is_fresh = true},
	    &answer);
	assert_int_equal(answer.status, RPC_OK);
	service_answer_free(&answer);
	service_cluster_stop(&c, 1);
	ask(3, WIRE_PATH("Federated", "ListAlarms"), &(struct wire_list_request){.is_fresh = true},
	    &answer);
	assert_int_equal(answer.status, RPC_UNAVAILABLE);
	assert_non_null(strstr(answer.why, "from server 1"));
	service_answer_free(&answer);
}

/* ---- One element ---- */

static enum rpc_status get_element(uint16_t id, const struct wire_element_request *request,
				   struct wire_element_reply **reply)
{
	struct service_answer answer;
	struct wire_bytes bytes;
	enum rpc_status status;

	assert_int_equal(wire_element_request_pack(request, &bytes), 0);
	service_cluster_call(&c, id, WIRE_PATH("Peered", "GetElement"), &bytes, &answer);
	wire_bytes_free(&bytes);
	status = answer.status;
	if (status == RPC_OK)
		assert_int_equal(wire_element_reply_unpack(answer.bytes, answer.n, reply), 0);
	service_answer_free(&answer);
	return status;
}

static void element_of_a_dead_owner_comes_from_the_store_with_its_alarms(void **state)
{
	struct wire_element_reply *reply;

	store_element(2, (struct stored_state){10, 1, 5, 4});
	store_alarm(2, (struct stored_change){10, 1, "if1", FEDMEM_ALARM_RAISED, 5, 3});
	store_alarm(2, (struct stored_change){40, 1, "if1", FEDMEM_ALARM_RAISED, 5, 3});
	service_cluster_stop(&c, 1);
	for (int is_known = 0; is_known < 2; is_known++) {
		assert_int_equal(get_element(3, &(struct wire_element_request){.id = 10}, &reply),
				 RPC_OK);
		assert_string_equal(reply->element.source, "store");
		assert_int_equal(reply->element.n_reports, 5);
		assert_int_equal(reply->n_alarms, 1);
		assert_int_equal(reply->alarms[0].element_id, 10);
		wire_free(reply);
		fake_cluster_state(c.servers[2].played.cluster, 1, DETECTOR_FAILED);
	}
	/* Of this one nothing was stored, and so nothing is made up. */
	assert_int_equal(get_element(3, &(struct wire_element_request){.id = 70}, NULL),
			 RPC_UNAVAILABLE);
	assert_int_equal(
		get_element(3, &(struct wire_element_request){.id = 10, .is_fresh = true}, NULL),
		RPC_UNAVAILABLE);
}

static void young_record_saves_the_way_to_the_owner(void **state)
{
	struct wire_element_reply *reply;

	store_element(2, (struct stored_state){10, 1, 5, 2});
	assert_int_equal(get_element(2,
				     &(struct wire_element_request){.id = 10, .max_age_ms = 60000},
				     &reply),
			 RPC_OK);
	assert_string_equal(reply->element.source, "store");
	wire_free(reply);
	assert_int_equal(
		get_element(2, &(struct wire_element_request){.id = 10, .max_age_ms = 500}, &reply),
		RPC_OK);
	assert_string_equal(reply->element.source, "memory");
	assert_int_equal(reply->element.answered_by, 1);
	wire_free(reply);
	assert_int_equal(get_element(2,
				     &(struct wire_element_request){
					     .id = 10, .max_age_ms = 60000, .is_fresh = true},
				     &reply),
			 RPC_OK);
	assert_string_equal(reply->element.source, "memory");
	wire_free(reply);
}

/* ---- The stored status ---- */

static void stored_status_is_what_was_stored_last(void **state)
{
	const struct wire_bytes nothing = {0};
	const struct wire_status was = {.cluster = "lab", .server = 1, .stored_ns = 99};
	struct service_answer answer;
	struct wire_status *status;

	service_cluster_call(&c, 1, WIRE_PATH("Peered", "GetStoredStatus"), &nothing, &answer);
	assert_int_equal(answer.status, RPC_NOT_FOUND);
	service_answer_free(&answer);
	STORE(archive_put_status, 1, &was);
	service_cluster_call(&c, 1, WIRE_PATH("Peered", "GetStoredStatus"), &nothing, &answer);
	assert_int_equal(answer.status, RPC_OK);
	assert_int_equal(wire_status_unpack(answer.bytes, answer.n, &status), 0);
	assert_int_equal(status->stored_ns, 99);
	wire_free(status);
	service_answer_free(&answer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(elements_that_were_never_stored_are_listed_too),
		TEST(the_newest_copy_of_an_element_wins),
		TEST(element_pages_of_any_size_give_each_element_once),
		TEST(server_that_is_neither_owner_nor_standby_does_not_bring_back_what_was),
		TEST(standby_whose_copy_is_not_whole_leaves_it_to_the_owner),
		TEST(dead_owners_elements_and_alarms_are_there_from_its_standby),
		TEST(cleared_alarm_wins_over_an_older_copy_that_is_raised),
		TEST(records_of_one_element_under_different_tokens_are_all_listed),
		TEST(what_the_operator_said_is_joined_from_whichever_copy_has_it),
		TEST(alarm_pages_of_any_size_give_each_alarm_once),
		TEST(what_silent_servers_own_is_filled_when_it_is_young_enough),
		TEST(alarms_of_silent_servers_are_filled_too),
		TEST(fresh_list_with_a_silent_server_is_an_error_that_names_it),
		TEST(element_of_a_dead_owner_comes_from_the_store_with_its_alarms),
		TEST(young_record_saves_the_way_to_the_owner),
		TEST(stored_status_is_what_was_stored_last),
	};

	return cmocka_run_group_tests_name("peered_store", tests, NULL, NULL);
}
