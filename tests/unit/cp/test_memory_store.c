#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cp/core/core.h"
#include "tests/lib/played_server.h"

#define ALARMS_MAX 8

static const struct fedmem_token token = {3, 7};

static struct played_server s;

static int set_up(void **state)
{
	played_server_open(
		&s, &(struct played_config){
			    .id = 1, .n_servers = 2, .n_elements = 12, .alarms_max = ALARMS_MAX});
	fake_cluster_cell(s.cluster, "r0", 1, token.epoch, token.generation);
	fake_cluster_cell(s.cluster, "r1", 1, token.epoch, token.generation);
	return 0;
}

static int tear_down(void **state)
{
	played_server_close(&s);
	return 0;
}

static struct wire_octets octets(const char *text)
{
	return (struct wire_octets){(const uint8_t *)text, (uint32_t)strlen(text)};
}

static void raise_alarm(uint64_t element, const char *resource)
{
	played_alarm(&s,
		     &(struct played_alarm){element, token, "linkDown", resource, FEDMEM_MAJOR});
}

static void clear_alarm(uint64_t element, const char *resource)
{
	played_alarm(&s,
		     &(struct played_alarm){element, token, "linkDown", resource, FEDMEM_CLEARED});
}

/* The one alarm of the element with this resource, as the segment has it. */
static struct fedmem_alarm alarm_of(uint64_t element, const char *resource)
{
	struct fedmem_alarm a;

	for (uint32_t i = 0; i < ALARMS_MAX; i++)
		if (fedmem_alarm_read(s.fm, i, &a) == 0 && a.element_id == element &&
		    strncmp(a.resource, resource, sizeof(a.resource)) == 0)
			return a;
	fail();
	return a;
}

static struct wire_alarm_note note_of(uint64_t element, const char *resource, bool is_ack,
				      uint64_t time_ns, const char *text)
{
	return (struct wire_alarm_note){
		.element_id = element,
		.type = octets("linkDown"),
		.resource = octets(resource),
		.raised_ns = alarm_of(element, resource).raised_ns,
		.time_ns = time_ns,
		.is_ack = is_ack,
		.operator_name = "ada",
		.text = text,
		.request_id = "r-1",
	};
}

static void put(uint64_t element, const char *resource, bool is_ack, uint64_t time_ns,
		const char *text)
{
	struct wire_alarm_note n = note_of(element, resource, is_ack, time_ns, text);

	assert_int_equal(memory_note_put(s.memory, &n), 0);
}

static const struct wire_alarm_note *find(uint64_t element, const char *resource)
{
	return memory_note_find(s.memory, element, octets("linkDown"), octets(resource),
				octets(""));
}

/* ---- Notes ---- */

static void acknowledged_alarm_says_who_and_why(void **state)
{
	struct wire_element_reply reply;
	struct wire_alarm_list list;
	struct memory_page *page;

	raise_alarm(10, "if1");
	raise_alarm(10, "if2");
	put(10, "if1", true, 77, "on my way");
	assert_int_equal(memory_alarms(s.memory, 0, 10, false, &page, &list), 0);
	assert_int_equal(list.n_alarms, 2);
	assert_string_equal(list.alarms[0].operator_state, "ack");
	assert_string_equal(list.alarms[0].operator_name, "ada");
	assert_string_equal(list.alarms[0].operator_text, "on my way");
	assert_int_equal(list.alarms[0].operator_ns, 77);
	assert_string_equal(list.alarms[0].source, "memory");
	assert_int_equal(list.alarms[0].age_ms, 0);
	assert_string_equal(list.alarms[1].operator_state, "none");
	assert_string_equal(list.alarms[1].operator_name, "");
	assert_int_equal(list.alarms[1].operator_ns, 0);
	memory_page_free(page);
	assert_int_equal(
		memory_element(s.memory, inventory_find_id(s.inventory, 10), &page, &reply), 0);
	assert_string_equal(reply.element.source, "memory");
	assert_string_equal(reply.alarms[0].operator_state, "ack");
	memory_page_free(page);
}

static void note_that_was_taken_back_leaves_the_word_of_who_did(void **state)
{
	struct wire_alarm_list list;
	struct memory_page *page;

	raise_alarm(10, "if1");
	put(10, "if1", true, 77, "on my way");
	put(10, "if1", false, 78, "not mine");
	assert_int_equal(memory_alarms(s.memory, 0, 10, false, &page, &list), 0);
	assert_string_equal(list.alarms[0].operator_state, "none");
	assert_string_equal(list.alarms[0].operator_text, "not mine");
	memory_page_free(page);
}

static void note_ends_with_the_alarm_that_it_is_of(void **state)
{
	struct wire_alarm_list list;
	struct memory_page *page;

	raise_alarm(10, "if1");
	put(10, "if1", true, 77, "");
	clear_alarm(10, "if1");
	raise_alarm(10, "if1");
	assert_int_equal(memory_alarms(s.memory, 0, 10, false, &page, &list), 0);
	assert_int_equal(list.n_alarms, 1);
	assert_string_equal(list.alarms[0].operator_state, "none");
	assert_string_equal(list.alarms[0].operator_name, "");
	memory_page_free(page);
}

static void older_word_changes_nothing(void **state)
{
	struct wire_alarm_note n;

	raise_alarm(10, "if1");
	put(10, "if1", true, 77, "second");
	put(10, "if1", false, 76, "first");
	assert_string_equal(find(10, "if1")->text, "second");
	n = note_of(10, "if1", true, 99, "of the alarm before");
	n.raised_ns--;
	assert_int_equal(memory_note_put(s.memory, &n), 0);
	assert_string_equal(find(10, "if1")->text, "second");
}

static void note_is_found_by_the_whole_key(void **state)
{
	raise_alarm(10, "if1");
	put(10, "if1", true, 77, "");
	assert_non_null(find(10, "if1"));
	assert_null(find(20, "if1"));
	assert_null(find(10, "if"));
	assert_null(find(10, "if11"));
	assert_null(memory_note_find(s.memory, 10, octets("linkDow"), octets("nif1"), octets("")));
	assert_null(memory_note_find(s.memory, 10, octets("linkDown"), octets(""), octets("if1")));
}

/* Sixteen alarms' worth of notes fit beside eight alarms. */
static void notes_of_alarms_that_are_gone_are_forgotten_when_there_are_too_many(void **state)
{
	raise_alarm(10, "kept");
	put(10, "kept", true, 1, "still needed");
	for (int i = 0; i < 1000; i++) {
		char resource[16];

		snprintf(resource, sizeof(resource), "if%d", i);
		raise_alarm(20, resource);
		put(20, resource, true, 2, "");
		assert_non_null(find(20, resource));
		clear_alarm(20, resource);
		assert_string_equal(find(10, "kept")->text, "still needed");
		snprintf(resource, sizeof(resource), "if%d", i - 2 * ALARMS_MAX);
		assert_null(find(20, resource));
	}
}

/* ---- To the store and back ---- */

static void alarm_is_the_same_behind_the_store(void **state)
{
	const struct ownership_cell *cell = cluster_cell(s.cluster, "r0");
	struct memory_page *page = memory_page_create(), *direct_page;
	uint64_t then_ns = core_wall_ns() - 5000000000u;
	struct wire_stored_alarm stored;
	struct wire_alarm_note n;
	struct wire_alarm_list list;
	struct fedmem_alarm a;
	struct wire_alarm back;

	assert_non_null(page);
	raise_alarm(10, "if1");
	raise_alarm(10, "if1");
	put(10, "if1", true, 77, "on my way");
	a = alarm_of(10, "if1");
	memory_stored_alarm(&a, cell, then_ns, &stored);
	assert_int_equal(stored.type.n, strlen("linkDown"));
	assert_string_equal(stored.cell, "r0");
	assert_int_equal(stored.state, FEDMEM_ALARM_RAISED);
	assert_int_equal(stored.stored_ns, then_ns);
	n = note_of(10, "if1", true, 77, "on my way");
	assert_int_equal(memory_from_store_alarm(s.memory, page, &stored, &n, &back), 0);
	assert_string_equal(back.source, "store");
	assert_true(back.age_ms >= 5000 && back.age_ms < 600000);
	assert_int_equal(memory_alarms(s.memory, 0, 10, false, &direct_page, &list), 0);
	assert_string_equal(back.element, list.alarms[0].element);
	assert_string_equal(back.resource, list.alarms[0].resource);
	assert_string_equal(back.type, list.alarms[0].type);
	assert_string_equal(back.qualifier, list.alarms[0].qualifier);
	assert_string_equal(back.severity, list.alarms[0].severity);
	assert_string_equal(back.text, list.alarms[0].text);
	assert_string_equal(back.operator_state, "ack");
	assert_int_equal(back.count, 2);
	assert_int_equal(back.count, list.alarms[0].count);
	assert_int_equal(back.raised_ns, list.alarms[0].raised_ns);
	assert_int_equal(back.changed_ns, list.alarms[0].changed_ns);
	assert_int_equal(back.last_ns, list.alarms[0].last_ns);
	assert_int_equal(back.owner, 1);
	assert_int_equal(back.token.generation, token.generation);
	n.raised_ns++;
	assert_int_equal(memory_from_store_alarm(s.memory, page, &stored, &n, &back), 0);
	assert_string_equal(back.operator_state, "none");
	memory_page_free(direct_page);
	memory_page_free(page);
}

static void element_is_the_same_behind_the_store(void **state)
{
	const struct ownership_cell *cell = cluster_cell(s.cluster, "r0");
	struct memory_page *page = memory_page_create(), *direct_page;
	struct wire_metric room[8];
	struct fedmem_metric metrics[8];
	struct wire_stored_element stored;
	struct wire_element_reply direct;
	struct fedmem_state read;
	struct wire_element back;
	uint32_t slot;

	assert_non_null(page);
	played_report(&s, 10, token, 6);
	raise_alarm(10, "if1");
	assert_int_equal(fedmem_find_by_id(s.fm, 10, &slot), 0);
	assert_int_equal(fedmem_state_read(s.fm, slot, &read, metrics), 0);
	memory_stored_element(&read, metrics, cell, 1234, room, &stored);
	assert_string_equal(stored.cell, "r0");
	assert_int_equal(memory_from_store_element(s.memory, page, &stored, &back), 0);
	assert_int_equal(
		memory_element(s.memory, inventory_find_id(s.inventory, 10), &direct_page, &direct),
		0);
	assert_string_equal(back.source, "store");
	assert_int_equal(back.stored_ns, 1234);
	assert_string_equal(back.name, direct.element.name);
	assert_string_equal(back.address, direct.element.address);
	assert_string_equal(back.kind, direct.element.kind);
	assert_string_equal(back.region, direct.element.region);
	assert_string_equal(back.worst, "major");
	assert_int_equal(back.owner, 1);
	assert_int_equal(back.answered_by, 1);
	assert_int_equal(back.n_alarms, 1);
	assert_int_equal(back.n_reports, direct.element.n_reports);
	assert_int_equal(back.last_seen_ns, direct.element.last_seen_ns);
	assert_int_equal(back.n_metrics, 6);
	for (uint32_t i = 0; i < 6; i++) {
		assert_int_equal(back.metrics[i].id, direct.element.metrics[i].id);
		assert_true(back.metrics[i].value == direct.element.metrics[i].value);
	}
	memory_page_free(direct_page);
	memory_page_free(page);
}

static void record_of_an_unknown_element_has_no_name_and_does_no_harm(void **state)
{
	struct wire_stored_element element = {.id = 5, .cell = "gone", .owner = 2};
	struct wire_stored_alarm alarm = {.element_id = 5, .state = FEDMEM_ALARM_RAISED};
	struct memory_page *page = memory_page_create();
	struct wire_element e;
	struct wire_alarm a;

	assert_non_null(page);
	assert_int_equal(memory_from_store_element(s.memory, page, &element, &e), 0);
	assert_string_equal(e.name, "");
	assert_string_equal(e.address, "");
	assert_string_equal(e.region, "gone");
	assert_int_equal(e.age_ms, 0);
	assert_int_equal(memory_from_store_alarm(s.memory, page, &alarm, NULL, &a), 0);
	assert_string_equal(a.element, "");
	assert_string_equal(a.type, "");
	memory_page_free(page);
}

/* Texts that fill their fields have no end there. */
static void text_without_an_end_is_stored_whole_and_no_further(void **state)
{
	struct fedmem_alarm a = {.element_id = 10, .state = FEDMEM_ALARM_RAISED};
	struct wire_stored_alarm stored;

	memset(a.type, 't', sizeof(a.type));
	memset(a.text, 'x', sizeof(a.text));
	memory_stored_alarm(&a, cluster_cell(s.cluster, "r0"), 0, &stored);
	assert_int_equal(stored.type.n, FEDMEM_TYPE_BYTES);
	assert_int_equal(stored.text.n, FEDMEM_TEXT_BYTES);
	assert_int_equal(stored.resource.n, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(acknowledged_alarm_says_who_and_why),
		TEST(note_that_was_taken_back_leaves_the_word_of_who_did),
		TEST(note_ends_with_the_alarm_that_it_is_of),
		TEST(older_word_changes_nothing),
		TEST(note_is_found_by_the_whole_key),
		TEST(notes_of_alarms_that_are_gone_are_forgotten_when_there_are_too_many),
		TEST(alarm_is_the_same_behind_the_store),
		TEST(element_is_the_same_behind_the_store),
		TEST(record_of_an_unknown_element_has_no_name_and_does_no_harm),
		TEST(text_without_an_end_is_stored_whole_and_no_further),
	};

	return cmocka_run_group_tests_name("memory_store", tests, NULL, NULL);
}
