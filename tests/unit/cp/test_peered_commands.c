/* Commands: to the owner or the master, done once, said in clear words. */
#include <errno.h>
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

static const struct fedmem_token token = {1, 1};

static struct service_cluster c;

static int set_up(void **state)
{
	service_cluster_open(&c, &(struct played_config){.n_elements = 9});
	for (uint16_t id = 1; id <= SERVICE_SERVERS; id++)
		fake_cluster_master(c.servers[id - 1].played.cluster, 3, 1);
	fake_cluster_acting(c.servers[2].played.cluster, true);
	return 0;
}

static int tear_down(void **state)
{
	service_cluster_close(&c);
	return 0;
}

static struct cluster *cluster_of(uint16_t id)
{
	return c.servers[id - 1].played.cluster;
}

/* One command and what came of it. */
struct outcome {
	struct service_answer answer;
	struct wire_command_reply *reply; /* NULL: it failed */
};

static void begin(uint16_t id, const char *path, struct wire_bytes *bytes, struct outcome *o)
{
	service_cluster_ask(&c, id, path, bytes, &o->answer);
	wire_bytes_free(bytes);
}

static void await(struct outcome *o)
{
	service_cluster_await(&c, &o->answer);
	o->reply = NULL;
	if (o->answer.status == RPC_OK)
		assert_int_equal(wire_command_reply_unpack(o->answer.bytes, o->answer.n, &o->reply),
				 0);
}

static void end(struct outcome *o)
{
	wire_free(o->reply);
	service_answer_free(&o->answer);
}

static void drain(uint16_t id, const struct wire_drain_server_request *request, struct outcome *o)
{
	struct wire_bytes bytes;

	assert_int_equal(wire_drain_server_request_pack(request, &bytes), 0);
	begin(id, WIRE_PATH("Peered", "DrainServer"), &bytes, o);
}

static void move(uint16_t id, const struct wire_move_element_request *request, struct outcome *o)
{
	struct wire_bytes bytes;

	assert_int_equal(wire_move_element_request_pack(request, &bytes), 0);
	begin(id, WIRE_PATH("Peered", "MoveElement"), &bytes, o);
	await(o);
}

static void import(uint16_t id, const struct wire_import_elements_request *request,
		   struct outcome *o)
{
	struct wire_bytes bytes;

	assert_int_equal(wire_import_elements_request_pack(request, &bytes), 0);
	begin(id, WIRE_PATH("Peered", "ImportElements"), &bytes, o);
	await(o);
}

static void adopt(uint16_t id, const struct wire_adopt_element_request *request, struct outcome *o)
{
	struct wire_bytes bytes;

	assert_int_equal(wire_adopt_element_request_pack(request, &bytes), 0);
	begin(id, WIRE_PATH("Peered", "AdoptElement"), &bytes, o);
	await(o);
}

static void ask_ack(uint16_t id, const struct wire_ack_alarm_request *request, struct outcome *o)
{
	struct wire_bytes bytes;

	assert_int_equal(wire_ack_alarm_request_pack(request, &bytes), 0);
	begin(id, WIRE_PATH("Peered", "AckAlarm"), &bytes, o);
}

static void ack(uint16_t id, const struct wire_ack_alarm_request *request, struct outcome *o)
{
	ask_ack(id, request, o);
	await(o);
}

/* ---- To the master ---- */

static void command_through_any_server_is_the_masters_entry(void **state)
{
	for (uint16_t id = 1; id <= SERVICE_SERVERS; id++) {
		const struct wire_registry_entry *e;
		struct outcome o;

		drain(id,
		      &(struct wire_drain_server_request){
			      .command = {"r-1", "ada"}, .server = 2, .is_drained = true},
		      &o);
		await(&o);
		assert_int_equal(o.answer.status, RPC_OK);
		assert_true(o.reply->is_done);
		assert_int_equal(o.reply->answered_by, 3);
		assert_int_equal(o.reply->index, id);
		assert_int_equal(fake_cluster_commands(cluster_of(3)), id);
		e = fake_cluster_command(cluster_of(3), id - 1u);
		assert_int_equal(e->kind, WIRE_REGISTRY_DRAIN);
		assert_int_equal(e->server, 2);
		assert_true(e->is_set);
		assert_string_equal(e->request_id, "r-1");
		assert_string_equal(e->operator_name, "ada");
		end(&o);
	}
}

static void command_without_an_id_gets_one_from_the_first_server(void **state)
{
	char first[WIRE_REQUEST_ID_MAX + 1];
	struct outcome o;

	for (uint32_t i = 0; i < 2; i++) {
		const struct wire_registry_entry *e;

		drain(1, &(struct wire_drain_server_request){.server = 2}, &o);
		await(&o);
		end(&o);
		e = fake_cluster_command(cluster_of(3), i);
		assert_true(strlen(e->request_id) > 16);
		assert_string_equal(e->operator_name, "unnamed");
		if (i == 0)
			snprintf(first, sizeof(first), "%s", e->request_id);
		else
			assert_string_not_equal(first, e->request_id);
	}
}

static void refusal_comes_with_its_reason(void **state)
{
	struct outcome o;

	fake_cluster_outcome(cluster_of(3),
			     &(struct registry_outcome){.is_refused = true, .why = "no room"});
	drain(2, &(struct wire_drain_server_request){.server = 2}, &o);
	await(&o);
	assert_int_equal(o.answer.status, RPC_OK);
	assert_false(o.reply->is_done);
	assert_string_equal(o.reply->why, "no room");
	end(&o);
}

static void repeat_is_said_to_be_one(void **state)
{
	struct outcome o;

	fake_cluster_outcome(cluster_of(3),
			     &(struct registry_outcome){.is_repeat = true, .n_changed = 4});
	drain(2, &(struct wire_drain_server_request){.server = 2}, &o);
	await(&o);
	assert_true(o.reply->is_done && o.reply->is_repeat);
	assert_int_equal(o.reply->n_changed, 4);
	end(&o);
}

static void without_a_master_it_is_unavailable(void **state)
{
	struct outcome o;

	fake_cluster_master(cluster_of(1), 0, 1);
	drain(1, &(struct wire_drain_server_request){.server = 2}, &o);
	await(&o);
	assert_int_equal(o.answer.status, RPC_UNAVAILABLE);
	assert_non_null(strstr(o.answer.why, "no master"));
	end(&o);
	/* Named, but it has no lease, and nobody else is known. */
	fake_cluster_acting(cluster_of(3), false);
	drain(2, &(struct wire_drain_server_request){.server = 2}, &o);
	await(&o);
	assert_int_equal(o.answer.status, RPC_UNAVAILABLE);
	assert_non_null(strstr(o.answer.why, "no master"));
	end(&o);
}

static void forwarded_command_is_not_forwarded_again(void **state)
{
	struct outcome o;

	drain(1,
	      &(struct wire_drain_server_request){.command = {.is_forwarded = true}, .server = 2},
	      &o);
	await(&o);
	assert_int_equal(o.answer.status, RPC_FAILED_PRECONDITION);
	end(&o);
}

static bool is_held_there(void *user)
{
	return fake_cluster_commands(cluster_of(3)) == 1;
}

static void master_that_goes_leaves_the_outcome_unknown_and_says_the_id(void **state)
{
	struct outcome o;

	fake_cluster_hold(cluster_of(3));
	drain(1, &(struct wire_drain_server_request){.command = {"r-7"}, .server = 2}, &o);
	service_cluster_wait(&c, is_held_there, NULL);
	fake_cluster_end_held(cluster_of(3), -ECANCELED);
	await(&o);
	assert_int_equal(o.answer.status, RPC_UNAVAILABLE);
	assert_non_null(strstr(o.answer.why, "outcome is not known"));
	assert_non_null(strstr(o.answer.why, "r-7"));
	end(&o);
}

/* Refuses as a server does that was master, and the asking server hears who is now. */
static void refuse_as_former_master(struct rpc_call *call, const uint8_t *bytes, size_t n,
				    void *user)
{
	fake_cluster_master(cluster_of(1), 3, 2);
	rpc_call_fail(call, RPC_FAILED_PRECONDITION, "not the acting master");
}

static void master_that_changed_costs_one_redirect(void **state)
{
	const struct rpc_method method = {.path = WIRE_PATH("Peered", "DrainServer"),
					  .handler = refuse_as_former_master};
	struct outcome o;

	fake_cluster_master(cluster_of(1), 2, 1);
	service_cluster_stop(&c, 2);
	service_cluster_replace(&c, 2, &method, 1);
	drain(1, &(struct wire_drain_server_request){.server = 2}, &o);
	await(&o);
	assert_int_equal(o.answer.status, RPC_OK);
	assert_int_equal(o.reply->answered_by, 3);
	end(&o);
}

/* ---- What operators give ---- */

static void what_makes_no_sense_is_refused_in_words(void **state)
{
	static const struct {
		struct wire_move_element_request request;
		const char *words;
	} moves[] = {
		{{.element = "", .server = 1}, "the element's name is empty"},
		{{.element = "e10"}, "name the region"},
		{{.element = "e10", .region = "r1", .server = 1}, "name the region"},
		{{.element = "e10", .server = 9}, "no server has the id 9"},
		{{.element = "e11", .server = 1}, "no element is named e11"},
		{{.element = "e10", .region = "a\nb"}, "control character"},
		{{.element = "e10", .region = "forty-octets-are-one-more-than-a-cell-..."},
		 "the region is too long"},
		{{.command = {.operator_name = "a\tb"}, .element = "e10", .server = 1},
		 "the operator's name"},
	};
	struct wire_element_spec spec = {.id = 1, .name = "", .kind = "router", .region = "r"};
	struct outcome o;

	for (size_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++) {
		move(1, &moves[i].request, &o);
		assert_int_equal(o.answer.status, RPC_INVALID_ARGUMENT);
		assert_non_null(strstr(o.answer.why, moves[i].words));
		end(&o);
	}
	drain(1, &(struct wire_drain_server_request){.server = 0}, &o);
	await(&o);
	assert_int_equal(o.answer.status, RPC_INVALID_ARGUMENT);
	end(&o);
	import(1, &(struct wire_import_elements_request){0}, &o);
	assert_int_equal(o.answer.status, RPC_INVALID_ARGUMENT);
	end(&o);
	import(1, &(struct wire_import_elements_request){.elements = &spec, .n_elements = 1}, &o);
	assert_non_null(strstr(o.answer.why, "name of element 1 is empty"));
	end(&o);
	spec = (struct wire_element_spec){.name = "x", .region = "r"};
	import(1, &(struct wire_import_elements_request){.elements = &spec, .n_elements = 1}, &o);
	assert_non_null(strstr(o.answer.why, "element x has no id"));
	end(&o);
	assert_int_equal(fake_cluster_commands(cluster_of(3)), 0);
}

static void moves_are_into_a_region_or_of_the_cell_to_a_server(void **state)
{
	const struct wire_registry_entry *e;
	struct outcome o;

	move(1, &(struct wire_move_element_request){.element = "e20", .region = "r0"}, &o);
	assert_true(o.reply->is_done);
	end(&o);
	e = fake_cluster_command(cluster_of(3), 0);
	assert_int_equal(e->kind, WIRE_REGISTRY_ELEMENTS);
	assert_string_equal(e->event, "element_moved");
	assert_string_equal(e->element, "e20");
	assert_int_equal(e->n_elements, 1);
	assert_string_equal(e->elements[0].name, "e20");
	assert_string_equal(e->elements[0].region, "r0");
	move(1, &(struct wire_move_element_request){.element = "e20", .server = 3}, &o);
	assert_true(o.reply->is_done);
	end(&o);
	e = fake_cluster_command(cluster_of(3), 1);
	assert_int_equal(e->kind, WIRE_REGISTRY_PIN);
	assert_string_equal(e->cell, "r1");
	assert_int_equal(e->server, 3);
}

static void adopted_element_without_an_id_goes_to_the_registry_as_it_is(void **state)
{
	const struct wire_registry_entry *e;
	struct outcome o;

	fake_cluster_outcome(cluster_of(3),
			     &(struct registry_outcome){.n_added = 1, .element_id = 91});
	adopt(2,
	      &(struct wire_adopt_element_request){
		      .element = {.name = "new", .kind = "switch", .region = "r9"}},
	      &o);
	assert_true(o.reply->is_done);
	assert_int_equal(o.reply->element_id, 91);
	end(&o);
	e = fake_cluster_command(cluster_of(3), 0);
	assert_string_equal(e->event, "element_adopted");
	assert_int_equal(e->elements[0].id, 0);
	assert_string_equal(e->elements[0].region, "r9");
}

static void long_import_goes_as_several_entries_each_once(void **state)
{
	const uint32_t n = 2 * REGISTRY_ELEMENTS_MAX + 1;
	struct wire_element_spec *specs = calloc(n, sizeof(*specs));
	const struct wire_import_elements_request request = {
		.command = {.request_id = "big"}, .elements = specs, .n_elements = n};
	struct outcome o;

	assert_non_null(specs);
	for (uint32_t i = 0; i < n; i++)
		specs[i] = (struct wire_element_spec){
			.id = i + 1, .name = "n", .kind = "k", .region = "r"};
	fake_cluster_outcome(cluster_of(3), &(struct registry_outcome){.n_added = 5, .n_same = 1});
	import(1, &request, &o);
	assert_true(o.reply->is_done);
	assert_int_equal(o.reply->n_added, 15);
	assert_int_equal(o.reply->n_same, 3);
	end(&o);
	assert_int_equal(fake_cluster_commands(cluster_of(3)), 3);
	assert_string_equal(fake_cluster_command(cluster_of(3), 0)->request_id, "big");
	assert_memory_equal(fake_cluster_command(cluster_of(3), 1)->request_id, "big/1-", 6);
	assert_memory_equal(fake_cluster_command(cluster_of(3), 2)->request_id, "big/2-", 6);
	assert_int_equal(fake_cluster_command(cluster_of(3), 1)->elements[0].id,
			 REGISTRY_ELEMENTS_MAX + 1);
	assert_int_equal(fake_cluster_command(cluster_of(3), 2)->n_elements, 1);
	free(specs);
}

/* They differ only at their ends, and an id of the full length gives up its end for the step; or
 * one was chosen that looks like another's step. */
static void no_import_takes_the_entries_of_another_for_its_own(void **state)
{
	static const char *const ids[] = {
		"import-of-2026-11-22T20:54:01.123456-from-the-planning-system-01",
		"import-of-2026-11-22T20:54:01.123456-from-the-planning-system-02", "big", "big/1"};
	const uint32_t n = REGISTRY_ELEMENTS_MAX + 1, n_ids = sizeof(ids) / sizeof(ids[0]);
	struct wire_element_spec *specs = calloc(n, sizeof(*specs));
	struct outcome o;

	assert_non_null(specs);
	for (uint32_t i = 0; i < n; i++)
		specs[i] = (struct wire_element_spec){
			.id = i + 1, .name = "n", .kind = "k", .region = "r"};
	for (uint32_t i = 0; i < n_ids; i++) {
		import(1,
		       &(struct wire_import_elements_request){.command = {.request_id = ids[i]},
							      .elements = specs,
							      .n_elements = n},
		       &o);
		assert_true(o.reply->is_done);
		end(&o);
	}
	assert_int_equal(fake_cluster_commands(cluster_of(3)), 2 * n_ids);
	for (uint32_t i = 0; i < 2 * n_ids; i++) {
		const char *id = fake_cluster_command(cluster_of(3), i)->request_id;

		assert_true(strlen(id) <= WIRE_REQUEST_ID_MAX);
		for (uint32_t k = 0; k < i; k++)
			assert_string_not_equal(id,
						fake_cluster_command(cluster_of(3), k)->request_id);
	}
	free(specs);
}

/* ---- Acknowledging ---- */

static const struct wire_ack_alarm_request of_if1 = {.command = {"a-1", "ada"},
						     .element = "e20",
						     .resource = "if1",
						     .type = "linkDown",
						     .text = "on it",
						     .is_ack = true};

static void raise_if1(void)
{
	service_cluster_alarm(&c, 2,
			      &(struct played_alarm){20, token, "linkDown", "if1", FEDMEM_MAJOR});
}

static struct eventlog *log_of(uint16_t id)
{
	return c.servers[id - 1].eventlog;
}

static void acknowledgement_through_any_server_is_stored_by_the_owner(void **state)
{
	const struct wire_alarm_note *note;
	struct outcome o;

	raise_if1();
	ack(1, &of_if1, &o);
	assert_int_equal(o.answer.status, RPC_OK);
	assert_true(o.reply->is_done);
	assert_false(o.reply->is_degraded);
	assert_int_equal(o.reply->answered_by, 2);
	assert_true(o.reply->index != 0);
	end(&o);
	assert_int_equal(fake_eventlog_appends(log_of(2)), 1);
	note = fake_eventlog_note(log_of(2));
	assert_int_equal(note->element_id, 20);
	assert_true(note->is_ack);
	assert_string_equal(note->operator_name, "ada");
	assert_string_equal(note->text, "on it");
	assert_true(note->raised_ns != 0);
	assert_int_equal(note->type.n, 8);
}

static void repeat_through_another_server_gets_the_same_answer(void **state)
{
	struct outcome first, again;

	raise_if1();
	ack(1, &of_if1, &first);
	ack(3, &of_if1, &again);
	assert_true(again.reply->is_done && again.reply->is_repeat);
	assert_int_equal(again.reply->index, first.reply->index);
	assert_int_equal(fake_eventlog_appends(log_of(2)), 1);
	end(&first);
	end(&again);
}

static bool is_appended(void *user)
{
	return fake_eventlog_appends(log_of(2)) > 0;
}

static void repeat_while_the_first_waits_gets_the_same_answer(void **state)
{
	struct outcome first, again, other;
	const struct wire_ack_alarm_request unknown = {
		.element = "e20", .type = "linkDown", .resource = "none"};

	raise_if1();
	fake_eventlog_hold(log_of(2), true);
	ask_ack(1, &of_if1, &first);
	service_cluster_wait(&c, is_appended, NULL);
	ask_ack(2, &of_if1, &again);
	ack(2, &unknown, &other); /* was sent later, is answered: so the one before has come */
	assert_int_equal(other.answer.status, RPC_NOT_FOUND);
	end(&other);
	assert_false(first.answer.is_done || again.answer.is_done);
	fake_eventlog_degrade(log_of(2), true);
	fake_eventlog_hold(log_of(2), false);
	await(&first);
	await(&again);
	assert_int_equal(first.reply->index, again.reply->index);
	assert_true(first.reply->is_degraded && again.reply->is_degraded);
	assert_int_equal(fake_eventlog_appends(log_of(2)), 1);
	end(&first);
	end(&again);
}

static void alarm_that_is_not_there_cannot_be_acknowledged(void **state)
{
	struct wire_ack_alarm_request request = of_if1;
	struct outcome o;

	ack(1, &request, &o);
	assert_int_equal(o.answer.status, RPC_NOT_FOUND);
	assert_non_null(strstr(o.answer.why, "no alarm linkDown"));
	end(&o);
	request.element = "nobody";
	ack(1, &request, &o);
	assert_int_equal(o.answer.status, RPC_NOT_FOUND);
	end(&o);
	request.type = "";
	ack(1, &request, &o);
	assert_int_equal(o.answer.status, RPC_INVALID_ARGUMENT);
	end(&o);
	assert_int_equal(fake_eventlog_appends(log_of(2)), 0);
}

static void owner_refuses_another_token_than_it_has(void **state)
{
	struct wire_ack_alarm_request request = of_if1;
	struct outcome o;

	raise_if1();
	request.command.is_forwarded = true;
	request.command.token = (struct wire_token){1, 0};
	ack(2, &request, &o);
	assert_int_equal(o.answer.status, RPC_FAILED_PRECONDITION);
	end(&o);
	request.command.token = (struct wire_token){1, 1};
	ack(2, &request, &o);
	assert_int_equal(o.answer.status, RPC_OK);
	end(&o);
}

/* Refuses as an owner does whose map is newer, which then comes to the asking server too. */
static void refuse_and_move(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	fake_cluster_cell(cluster_of(1), "r1", 3, 1, 2);
	rpc_call_fail(call, RPC_FAILED_PRECONDITION, "not the owner of this alarm");
}

static void alarm_whose_cell_moved_is_acknowledged_at_the_new_owner(void **state)
{
	const struct rpc_method method = {.path = WIRE_PATH("Peered", "AckAlarm"),
					  .handler = refuse_and_move};
	struct outcome o;

	fake_cluster_cell(cluster_of(3), "r1", 3, 1, 2);
	service_cluster_alarm(&c, 3,
			      &(struct played_alarm){20, {1, 2}, "linkDown", "if1", FEDMEM_MAJOR});
	service_cluster_stop(&c, 2);
	service_cluster_replace(&c, 2, &method, 1);
	ack(1, &of_if1, &o);
	assert_int_equal(o.answer.status, RPC_OK);
	assert_int_equal(o.reply->answered_by, 3);
	end(&o);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(command_through_any_server_is_the_masters_entry),
		TEST(command_without_an_id_gets_one_from_the_first_server),
		TEST(refusal_comes_with_its_reason),
		TEST(repeat_is_said_to_be_one),
		TEST(without_a_master_it_is_unavailable),
		TEST(forwarded_command_is_not_forwarded_again),
		TEST(master_that_goes_leaves_the_outcome_unknown_and_says_the_id),
		TEST(master_that_changed_costs_one_redirect),
		TEST(what_makes_no_sense_is_refused_in_words),
		TEST(moves_are_into_a_region_or_of_the_cell_to_a_server),
		TEST(adopted_element_without_an_id_goes_to_the_registry_as_it_is),
		TEST(long_import_goes_as_several_entries_each_once),
		TEST(no_import_takes_the_entries_of_another_for_its_own),
		TEST(acknowledgement_through_any_server_is_stored_by_the_owner),
		TEST(repeat_through_another_server_gets_the_same_answer),
		TEST(repeat_while_the_first_waits_gets_the_same_answer),
		TEST(alarm_that_is_not_there_cannot_be_acknowledged),
		TEST(owner_refuses_another_token_than_it_has),
		TEST(alarm_whose_cell_moved_is_acknowledged_at_the_new_owner),
	};

	return cmocka_run_group_tests_name("peered_commands", tests, NULL, NULL);
}
