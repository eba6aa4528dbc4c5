#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cp/alarm/alarm.h"
#include "tests/lib/played_server.h"

#define N_ELEMENTS 30 /* ten in each of three regions */

static const struct fedmem_token token = {3, 7};
static const struct fedmem_token older = {3, 6};

static struct played_server s;

/* Server 1 owns r0 and r2, server 2 owns r1. */
static int set_up(void **state)
{
	played_server_open(
		&s, &(struct played_config){
			    .id = 1, .n_servers = 2, .n_elements = N_ELEMENTS, .alarms_max = 4096});
	fake_cluster_cell(s.cluster, "r0", 1, token.epoch, token.generation);
	fake_cluster_cell(s.cluster, "r1", 2, token.epoch, token.generation);
	fake_cluster_cell(s.cluster, "r2", 1, token.epoch, token.generation);
	return 0;
}

static int tear_down(void **state)
{
	played_server_close(&s);
	return 0;
}

static const struct conf_element *element(uint64_t id)
{
	return inventory_find_id(s.inventory, id);
}

static void alarm_of(uint64_t id, struct fedmem_token t, const char *type, const char *resource,
		     uint8_t severity)
{
	played_alarm(&s, &(struct played_alarm){id, t, type, resource, severity});
}

/* ---- Elements ---- */

static bool is_owned(uint64_t id)
{
	return (id / 10 - 1) % PLAYED_REGIONS != 1;
}

static void only_elements_of_owned_cells_are_listed_in_order(void **state)
{
	struct wire_element_list list;
	struct memory_page *page;
	uint64_t expect = 0;

	assert_int_equal(memory_elements(s.memory, 0, 1000, &page, &list), 0);
	assert_int_equal(list.n_elements, 20);
	assert_int_equal(list.next_after, 0);
	assert_int_equal(list.answered_by, 1);
	for (uint32_t i = 0; i < list.n_elements; i++) {
		do
			expect += 10;
		while (!is_owned(expect));
		assert_int_equal(list.elements[i].id, expect);
		assert_int_equal(list.elements[i].owner, 1);
		assert_int_equal(list.elements[i].token.generation, token.generation);
	}
	memory_page_free(page);
}

static void pages_of_any_size_give_each_owned_element_once(void **state)
{
	for (uint32_t limit = 1; limit <= 21; limit++) {
		uint64_t after = 0, last = 0;
		uint32_t n = 0;

		do {
			struct wire_element_list list;
			struct memory_page *page;

			assert_int_equal(memory_elements(s.memory, after, limit, &page, &list), 0);
			assert_true(list.n_elements <= limit);
			for (uint32_t i = 0; i < list.n_elements; i++, n++) {
				assert_true(list.elements[i].id > last);
				last = list.elements[i].id;
			}
			assert_true(list.next_after == 0 || list.next_after > after);
			after = list.next_after;
			memory_page_free(page);
		} while (after != 0);
		assert_int_equal(n, 20);
	}
}

static void server_without_a_cell_lists_nothing(void **state)
{
	struct wire_element_list list;
	struct memory_page *page;

	fake_cluster_cell(s.cluster, "r0", 2, 4, 8);
	fake_cluster_cell(s.cluster, "r2", 0, 4, 8);
	assert_int_equal(memory_elements(s.memory, 0, 10, &page, &list), 0);
	assert_int_equal(list.n_elements, 0);
	assert_int_equal(list.next_after, 0);
	memory_page_free(page);
}

static void element_comes_with_what_was_reported_of_it(void **state)
{
	struct wire_element_reply reply;
	struct memory_page *page;

	played_report(&s, 10, token, 6); /* four lie in the record, two beside it */
	played_report(&s, 10, token, 6);
	alarm_of(10, token, "linkDown", "if1", FEDMEM_MAJOR);
	assert_int_equal(memory_element(s.memory, element(10), &page, &reply), 0);
	assert_int_equal(reply.element.id, 10);
	assert_string_equal(reply.element.name, "e10");
	assert_string_equal(reply.element.address, "10.0.0.0");
	assert_string_equal(reply.element.region, "r0");
	assert_int_equal(reply.element.answered_by, 1);
	assert_int_equal(reply.element.n_reports, 2);
	assert_int_equal(reply.element.n_metrics, 6);
	for (uint32_t i = 0; i < 6; i++) {
		assert_int_equal(reply.element.metrics[i].id, i + 1);
		assert_true(reply.element.metrics[i].value == i + 1.5);
	}
	assert_true(reply.element.last_seen_ns > 0);
	assert_true(reply.element.age_ms > 0); /* the played clock is long ago */
	assert_int_equal(reply.element.n_alarms, 1);
	assert_string_equal(reply.element.worst, "major");
	assert_int_equal(reply.n_alarms, 1);
	assert_string_equal(reply.alarms[0].resource, "if1");
	memory_page_free(page);
}

static void element_of_another_server_is_refused(void **state)
{
	struct wire_element_reply reply;
	struct memory_page *page;

	assert_int_equal(memory_element(s.memory, element(20), &page, &reply), MEMORY_NOT_OWNER);
	memory_page_free(page);
}

static void state_of_an_older_token_is_void(void **state)
{
	struct wire_element_reply reply;
	struct memory_page *page;

	played_report(&s, 10, older, 2);
	assert_int_equal(memory_element(s.memory, element(10), &page, &reply), 0);
	assert_int_equal(reply.element.id, 10);
	assert_int_equal(reply.element.n_reports, 0);
	assert_int_equal(reply.element.last_seen_ns, 0);
	assert_int_equal(reply.element.n_metrics, 0);
	assert_string_equal(reply.element.worst, "cleared");
	memory_page_free(page);
}

/* ---- Alarms ---- */

static void list_alarms(uint64_t after, uint32_t limit, bool with_cleared,
			struct memory_page **page, struct wire_alarm_list *list)
{
	assert_int_equal(memory_alarms(s.memory, after, limit, with_cleared, page, list), 0);
}

static void alarms_are_listed_by_element_type_and_resource(void **state)
{
	struct wire_alarm_list list;
	struct memory_page *page;

	alarm_of(30, token, "linkDown", "if1", FEDMEM_MINOR);
	alarm_of(10, token, "linkDown", "if2", FEDMEM_MAJOR);
	alarm_of(10, token, "fanFailure", "fan1", FEDMEM_CRITICAL);
	alarm_of(10, token, "linkDown", "if1", FEDMEM_WARNING);
	alarm_of(10, token, "linkDown", "if1", FEDMEM_WARNING);
	alarm_of(20, token, "linkDown", "if1", FEDMEM_MAJOR); /* not ours */
	list_alarms(0, 100, false, &page, &list);
	assert_int_equal(list.n_alarms, 4);
	assert_string_equal(list.alarms[0].type, "fanFailure");
	assert_string_equal(list.alarms[1].resource, "if1");
	assert_int_equal(list.alarms[1].count, 2);
	assert_string_equal(list.alarms[1].severity, "warning");
	assert_string_equal(list.alarms[1].text, PLAYED_TEXT);
	assert_string_equal(list.alarms[1].element, "e10");
	assert_string_equal(list.alarms[2].resource, "if2");
	assert_int_equal(list.alarms[3].element_id, 30);
	assert_int_equal(list.alarms[3].owner, 1);
	assert_int_equal(list.next_after, 0);
	assert_int_equal(list.n_left_out, 0);
	memory_page_free(page);
}

static void alarm_of_an_older_token_is_void(void **state)
{
	struct wire_alarm_list list;
	struct memory_page *page;

	alarm_of(10, older, "linkDown", "if1", FEDMEM_MAJOR);
	alarm_of(30, token, "linkDown", "if1", FEDMEM_MAJOR);
	list_alarms(0, 100, true, &page, &list);
	assert_int_equal(list.n_alarms, 1);
	assert_int_equal(list.alarms[0].element_id, 30);
	memory_page_free(page);
}

static void cleared_alarms_are_listed_when_asked_for(void **state)
{
	struct wire_alarm_list list;
	struct memory_page *page;

	alarm_of(10, token, "linkDown", "if1", FEDMEM_MAJOR);
	alarm_of(10, token, "linkDown", "if1", FEDMEM_CLEARED);
	list_alarms(0, 100, false, &page, &list);
	assert_int_equal(list.n_alarms, 0);
	memory_page_free(page);
	list_alarms(0, 100, true, &page, &list);
	assert_int_equal(list.n_alarms, 1);
	assert_true(list.alarms[0].is_cleared);
	assert_string_equal(list.alarms[0].severity, "major");
	memory_page_free(page);
}

static void clear_that_came_before_its_raise_is_no_alarm(void **state)
{
	struct wire_alarm_list list;
	struct memory_page *page;

	alarm_of(10, token, "linkDown", "if1", FEDMEM_CLEARED);
	list_alarms(0, 100, true, &page, &list);
	assert_int_equal(list.n_alarms, 0);
	memory_page_free(page);
}

static void alarm_pages_of_any_size_give_each_alarm_once(void **state)
{
	char resource[16];

	for (uint64_t id = 10; id <= 10 * N_ELEMENTS; id += 10)
		for (uint64_t i = 0; i < id / 10 % 4; i++) {
			snprintf(resource, sizeof(resource), "if%u", (unsigned int)i);
			alarm_of(id, token, "linkDown", resource, FEDMEM_MAJOR);
		}
	for (uint32_t limit = 1; limit <= 20; limit++) {
		uint64_t after = 0, n_alarms = 0, expect = 0;

		do {
			struct wire_alarm_list list;
			struct memory_page *page;
			uint32_t n_elements = 0;

			list_alarms(after, limit, false, &page, &list);
			for (uint32_t i = 0; i < list.n_alarms; i++) {
				bool is_first = i == 0 || list.alarms[i].element_id !=
								  list.alarms[i - 1].element_id;

				assert_true(list.alarms[i].element_id > after);
				n_elements += is_first;
				n_alarms++;
			}
			assert_true(n_elements <= limit);
			assert_true(list.next_after == 0 || list.next_after > after);
			after = list.next_after;
			memory_page_free(page);
		} while (after != 0);
		for (uint64_t id = 10; id <= 10 * N_ELEMENTS; id += 10)
			expect += is_owned(id) ? id / 10 % 4 : 0;
		assert_int_equal(n_alarms, expect);
	}
}

static void element_with_too_many_alarms_shows_the_worst_and_leaves_room_for_others(void **state)
{
	struct wire_alarm_list list;
	struct memory_page *page;
	uint32_t n_critical = 0;
	char resource[16];

	for (int i = 0; i < MEMORY_ALARMS_PER_ELEMENT + 50; i++) {
		snprintf(resource, sizeof(resource), "if%d", i);
		alarm_of(10, token, "linkDown", resource, FEDMEM_MINOR);
	}
	for (int i = 0; i < 20; i++) {
		snprintf(resource, sizeof(resource), "fan%d", i);
		alarm_of(10, token, "fanFailure", resource, FEDMEM_CRITICAL);
	}
	alarm_of(30, token, "linkDown", "if1", FEDMEM_WARNING);
	list_alarms(0, 100, false, &page, &list);
	assert_int_equal(list.n_alarms, MEMORY_ALARMS_PER_ELEMENT + 1);
	assert_int_equal(list.n_left_out, 70);
	for (uint32_t i = 0; i < list.n_alarms; i++)
		n_critical += strcmp(list.alarms[i].severity, "critical") == 0;
	assert_int_equal(n_critical, 20);
	assert_int_equal(list.alarms[list.n_alarms - 1].element_id, 30);
	memory_page_free(page);
}

static void text_without_an_end_is_shown_whole_and_no_further(void **state)
{
	char type[FEDMEM_TYPE_BYTES + 1], resource[FEDMEM_RESOURCE_BYTES + 1];
	struct wire_alarm_list list;
	struct memory_page *page;

	memset(type, 't', sizeof(type) - 1);
	memset(resource, 'r', sizeof(resource) - 1);
	type[sizeof(type) - 1] = resource[sizeof(resource) - 1] = '\0';
	alarm_of(10, token, type, resource, FEDMEM_MAJOR);
	list_alarms(0, 100, false, &page, &list);
	assert_string_equal(list.alarms[0].type, type);
	assert_string_equal(list.alarms[0].resource, resource);
	memory_page_free(page);
}

/* ---- Counters ---- */

static void counters_all_have_their_names_and_values(void **state)
{
	struct stats stats = {0};
	struct wire_dp_stats out;
	struct memory_page *page;

	for (uint32_t i = 0; i < STATS_N; i++)
		stats.n[i] = 1000 + i;
	stats.decode[DECODE_SNMP_BER] = 5;
	fedmem_stats_publish(s.writer, &stats);
	assert_int_equal(memory_dp_stats(s.memory, &page, &out), 0);
	assert_int_equal(out.n_counters, STATS_N);
	for (uint32_t i = 0; i < STATS_N; i++) {
		assert_string_equal(out.counters[i].name, stats_name(i));
		assert_int_equal(out.counters[i].value, 1000 + i);
		assert_true(out.counters[i].help[0] != '\0');
		assert_true(out.counters[i].group[0] != '\0');
	}
	assert_int_equal(out.n_refusals, 1);
	assert_string_equal(out.refusals[0].name, "snmp_ber");
	assert_int_equal(out.refusals[0].value, 5);
	assert_int_equal(out.n_equations, STATS_EQUATIONS);
	assert_int_equal(out.server, 1);
	assert_int_equal(out.alarms_max, 4096);
	assert_int_equal(out.n_starts, 1);
	memory_page_free(page);
}

static bool holds(const struct stats *stats)
{
	struct wire_dp_stats out;
	struct memory_page *page;
	bool result;

	fedmem_stats_publish(s.writer, stats);
	assert_int_equal(memory_dp_stats(s.memory, &page, &out), 0);
	result = out.holds;
	memory_page_free(page);
	return result;
}

static void planted_miscount_is_said_not_to_hold(void **state)
{
	struct stats stats = {0};

	stats.n[STATS_FRAMES] = stats.n[STATS_FRAME_DATAGRAM] = stats.n[STATS_DGRAMS_WIRE] =
		stats.n[STATS_DGRAM_APPLIED] = 9;
	stats.n[STATS_REPORTS] = stats.n[STATS_REPORT_APPLIED] = 9;
	assert_true(holds(&stats));
	stats.n[STATS_REPORT_APPLIED]--;
	assert_false(holds(&stats));
}

static void before_the_first_snapshot_all_is_zero_and_holds(void **state)
{
	struct wire_dp_stats out;
	struct memory_page *page;

	assert_int_equal(memory_dp_stats(s.memory, &page, &out), 0);
	assert_true(out.holds);
	for (uint32_t i = 0; i < out.n_counters; i++)
		assert_int_equal(out.counters[i].value, 0);
	assert_false(out.is_dp_alive);
	memory_page_free(page);
}

static void unknown_sources_are_named(void **state)
{
	struct fedmem_address a;
	struct wire_dp_stats out;
	struct memory_page *page;

	assert_int_equal(conf_address_parse(&a, "192.0.2.9"), 0);
	assert_int_equal(fedmem_unknown_note(s.writer, &a, 162, 77), 0);
	assert_int_equal(fedmem_unknown_note(s.writer, &a, 162, 78), 0);
	assert_int_equal(memory_dp_stats(s.memory, &page, &out), 0);
	assert_int_equal(out.n_unknown, 1);
	assert_string_equal(out.unknown[0].address, "192.0.2.9");
	assert_int_equal(out.unknown[0].n_datagrams, 2);
	assert_int_equal(out.unknown[0].first_ns, 77);
	assert_int_equal(out.unknown[0].last_ns, 78);
	assert_int_equal(out.unknown[0].udp_port, 162);
	memory_page_free(page);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(only_elements_of_owned_cells_are_listed_in_order),
		TEST(pages_of_any_size_give_each_owned_element_once),
		TEST(server_without_a_cell_lists_nothing),
		TEST(element_comes_with_what_was_reported_of_it),
		TEST(element_of_another_server_is_refused),
		TEST(state_of_an_older_token_is_void),
		TEST(alarms_are_listed_by_element_type_and_resource),
		TEST(alarm_of_an_older_token_is_void),
		TEST(cleared_alarms_are_listed_when_asked_for),
		TEST(clear_that_came_before_its_raise_is_no_alarm),
		TEST(alarm_pages_of_any_size_give_each_alarm_once),
		TEST(element_with_too_many_alarms_shows_the_worst_and_leaves_room_for_others),
		TEST(text_without_an_end_is_shown_whole_and_no_further),
		TEST(counters_all_have_their_names_and_values),
		TEST(planted_miscount_is_said_not_to_hold),
		TEST(before_the_first_snapshot_all_is_zero_and_holds),
		TEST(unknown_sources_are_named),
	};

	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
