#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/eventlog_bed.h"

#define SECOND UINT64_C(1000000000)
#define T0     (1500000000 * SECOND)

static struct eventlog_bed b;

static int set_up(void **state)
{
	eventlog_bed_open(&b, &(struct played_config){.id = 1, .n_servers = 3, .n_elements = 12});
	eventlog_bed_start(&b, false);
	return 0;
}

static int tear_down(void **state)
{
	eventlog_bed_close(&b);
	return 0;
}

/* ---- What is there ---- */

static void put_event(const struct wire_event *e)
{
	struct archive_batch *batch = archive_batch(b.archive);

	assert_int_equal(archive_put_event(batch, e), 0);
	assert_int_equal(archive_commit(b.archive, batch, NULL, NULL), 0);
	fake_archive_turn(b.archive);
}

static void put(uint32_t origin, uint64_t number, uint64_t seconds, const char *kind)
{
	put_event(&(struct wire_event){.origin = origin,
				       .number = number,
				       .time_ns = T0 + seconds * SECOND,
				       .kind = kind,
				       .cell = "r0",
				       .operator_name = "",
				       .request_id = "",
				       .text = ""});
}

static void put_alarm(uint64_t number, const char *element, const char *cell)
{
	put_event(&(struct wire_event){.origin = 1,
				       .number = number,
				       .time_ns = T0 + number * SECOND,
				       .kind = "raised",
				       .has_alarm = true,
				       .alarm = {.element_id = 10,
						 .element = element,
						 .resource = "if1",
						 .type = "linkDown",
						 .qualifier = "",
						 .severity = "major",
						 .text = "",
						 .operator_state = "none",
						 .operator_name = "",
						 .operator_text = "",
						 .source = "memory"},
				       .cell = cell,
				       .operator_name = "",
				       .request_id = "",
				       .text = ""});
}

/* ---- Asking ---- */

static const struct wire_event_query all = {.after = "", .element = "", .cell = ""};

static struct wire_event_list list;
static struct memory_page *page;
static char resume[EVENTLOG_TOKEN_MAX];

/* "1:5 0:1 ..." in the order of the page. */
static const char *ask(struct wire_event_query q)
{
	static char text[4096];
	size_t n = 0;

	text[0] = '\0';
	assert_int_equal(eventlog_query(b.log, &q, &page, &list), 0);
	for (uint32_t i = 0; i < list.n_events && n < sizeof(text) - 32; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%u:%u", i > 0 ? " " : "",
				      list.events[i].origin, (unsigned int)list.events[i].number);
	snprintf(resume, sizeof(resume), "%s", list.resume);
	memory_page_free(page);
	return text;
}

static const char *ask_after(const char *after)
{
	struct wire_event_query q = all;

	q.after = after;
	return ask(q);
}

static void events_of_all_origins_come_by_time_with_the_trail(void **state)
{
	put(1, 5, 10, "raised");
	put(1, 6, 30, "cleared");
	put(2, 3, 20, "raised");
	put(3, 9, 30, "raised");
	played_trail_put(T0 + 15 * SECOND);
	played_trail_put(T0 + 40 * SECOND);
	assert_string_equal(ask(all), "1:5 0:1 2:3 1:6 3:9 0:2");
	assert_false(list.is_more);
	assert_int_equal(list.answered_by, 1);
	assert_string_equal(ask_after(resume), "");
	assert_false(list.is_more);
}

static void empty_log_has_an_empty_page(void **state)
{
	assert_string_equal(ask(all), "");
	assert_false(list.is_more);
	put(1, 500, 1, "raised");
	assert_string_equal(ask_after(resume), "1:500");
}

static void what_comes_after_the_token_is_told_and_nothing_else(void **state)
{
	put(1, 5, 10, "raised");
	put(2, 3, 20, "raised");
	ask(all);
	put(1, 7, 5, "raised"); /* its clock was set back */
	put(2, 2, 30, "raised");
	put(2, 8, 31, "raised");
	assert_string_equal(ask_after(resume), "1:7 2:2 2:8");
	assert_string_equal(ask_after("1:9,2:1+2"), "2:2 2:8");
	assert_string_equal(ask_after(resume), "");
}

static void what_is_no_token_is_refused(void **state)
{
	struct wire_event_query q = all;

	q.after = "nonsense";
	assert_int_equal(eventlog_query(b.log, &q, &page, &list), -EINVAL);
	memory_page_free(page);
}

static void pages_of_any_size_give_each_event_once(void **state)
{
	for (uint32_t i = 1; i <= 60; i++) {
		put(1 + i % 3, 10 + i, 7 * i % 41, i % 5 == 0 ? "cleared" : "raised");
		if (i % 6 == 0)
			played_trail_put(T0 + i * SECOND / 2);
	}
	for (uint32_t limit = 1; limit <= 75; limit++) {
		uint32_t n_told[4][128] = {0}, n = 0;
		struct wire_event_query q = all;
		char after[EVENTLOG_TOKEN_MAX] = "";

		q.limit = limit;
		do {
			uint64_t last[4] = {0};

			q.after = after;
			assert_int_equal(eventlog_query(b.log, &q, &page, &list), 0);
			assert_true(list.n_events <= limit);
			for (uint32_t i = 0; i < list.n_events; i++, n++) {
				const struct wire_event *e = &list.events[i];

				assert_true(e->number > last[e->origin]);
				last[e->origin] = e->number;
				n_told[e->origin][e->number]++;
			}
			strcpy(after, list.resume);
			memory_page_free(page);
		} while (list.is_more);
		assert_int_equal(n, 70);
		for (uint32_t i = 0; i < 4 * 128; i++)
			assert_true(n_told[i / 128][i % 128] <= 1);
	}
}

static void only_what_is_asked_for_comes(void **state)
{
	const char *kinds[] = {"cleared", "master"};
	struct wire_event_query q;

	put_alarm(1, "e10", "r0");
	put_alarm(2, "e30", "r2");
	put(1, 3, 3, "cleared");
	put(2, 4, 4, "cleared");
	played_trail_put(T0 + 5 * SECOND);
	q = all;
	q.element = "e30";
	assert_string_equal(ask(q), "1:2");
	q = all;
	q.cell = "r0";
	assert_string_equal(ask(q), "1:1 1:3 2:4");
	q = all;
	q.kinds = kinds;
	q.n_kinds = 2;
	assert_string_equal(ask(q), "1:3 2:4 0:1");
	q = all;
	q.origin = 2;
	assert_string_equal(ask(q), "2:4");
	q = all;
	q.since_ns = T0 + 2 * SECOND;
	q.until_ns = T0 + 4 * SECOND;
	assert_string_equal(ask(q), "1:2 1:3 2:4");
	/* What was left out is behind the token too. */
	assert_string_equal(ask_after(resume), "");
}

static void newest_ones_come_in_the_order_of_time_and_the_token_is_behind_all(void **state)
{
	struct wire_event_query q = all;

	for (uint32_t i = 1; i <= 10; i++) {
		put(1, i, 2 * i, "raised");
		put(2, i, 2 * i + 1, "raised");
	}
	played_trail_put(T0 + 20 * SECOND + 1);
	q.is_newest = true;
	q.limit = 4;
	assert_string_equal(ask(q), "2:9 1:10 0:1 2:10");
	assert_true(list.is_more);
	assert_string_equal(ask_after(resume), "");
	put(2, 11, 1, "raised");
	assert_string_equal(ask_after(resume), "2:11");
	q.limit = 100;
	ask(q);
	assert_int_equal(list.n_events, 22);
	assert_false(list.is_more);
	q.limit = 3;
	q.origin = 1;
	assert_string_equal(ask(q), "1:8 1:9 1:10");
}

/* More than one page may look at: pages come empty, and go on. */
static void rare_event_is_found_over_pages_that_are_empty(void **state)
{
	const char *kinds[] = {"rare"};
	struct wire_event_query q = all;
	uint32_t n_pages = 0, n_found = 0;
	char after[EVENTLOG_TOKEN_MAX] = "";
	struct archive_batch *batch = archive_batch(b.archive);

	for (uint32_t i = 1; i <= 30000; i++) {
		const struct wire_event e = {.origin = 2 + (i > 15000),
					     .number = i,
					     .time_ns = T0 + i,
					     .kind = i == 29990 ? "rare" : "often",
					     .cell = "",
					     .operator_name = "",
					     .request_id = "",
					     .text = ""};

		assert_int_equal(archive_put_event(batch, &e), 0);
	}
	archive_commit(b.archive, batch, NULL, NULL);
	archive_follow(b.archive, NULL, NULL);
	fake_archive_turn(b.archive);
	q.kinds = kinds;
	q.n_kinds = 1;
	do {
		q.after = after;
		assert_int_equal(eventlog_query(b.log, &q, &page, &list), 0);
		n_found += list.n_events;
		strcpy(after, list.resume);
		memory_page_free(page);
		n_pages++;
	} while (list.is_more);
	assert_int_equal(n_found, 1);
	assert_true(n_pages > 1 && n_pages < 10);
}

static void query_by_time_begins_where_that_time_is(void **state)
{
	struct wire_event_query q = all;
	struct archive_batch *batch = archive_batch(b.archive);

	for (uint32_t i = 1; i <= 30000; i++) {
		const struct wire_event e = {.origin = 1,
					     .number = i,
					     .time_ns = T0 + i * SECOND,
					     .kind = "raised",
					     .cell = "",
					     .operator_name = "",
					     .request_id = "",
					     .text = ""};

		assert_int_equal(archive_put_event(batch, &e), 0);
	}
	archive_commit(b.archive, batch, NULL, NULL);
	archive_follow(b.archive, NULL, NULL);
	fake_archive_turn(b.archive);
	q.since_ns = T0 + 29998 * SECOND;
	assert_string_equal(ask(q), "1:29998 1:29999 1:30000");
	assert_false(list.is_more);
	q.since_ns = T0 + 30001 * SECOND;
	assert_string_equal(ask(q), "");
	assert_false(list.is_more);
	q.since_ns = 1;
	q.limit = 2;
	assert_string_equal(ask(q), "1:1 1:2");
}

static void page_is_never_longer_than_a_message(void **state)
{
	static char text[4096];
	struct wire_event_query q = all;
	uint32_t n = 0;
	char after[EVENTLOG_TOKEN_MAX] = "";

	memset(text, 'x', sizeof(text) - 1);
	for (uint32_t i = 1; i <= 2000; i++)
		put_event(&(struct wire_event){.origin = 1,
					       .number = i,
					       .time_ns = T0 + i,
					       .kind = "raised",
					       .cell = "",
					       .operator_name = "",
					       .request_id = "",
					       .text = text});
	q.limit = EVENTLOG_PAGE_MAX;
	do {
		struct wire_bytes bytes;

		q.after = after;
		assert_int_equal(eventlog_query(b.log, &q, &page, &list), 0);
		assert_true(list.n_events > 0);
		n += list.n_events;
		assert_int_equal(wire_event_list_pack(&list, &bytes), 0);
		wire_bytes_free(&bytes);
		strcpy(after, list.resume);
		memory_page_free(page);
	} while (list.is_more);
	assert_int_equal(n, 2000);
}

static void event_is_copied_whole(void **state)
{
	struct wire_event_query q = all;
	struct wire_event *e;

	eventlog_bed_report(&b, 10, "if1", FEDMEM_MAJOR);
	eventlog_bed_settle(&b);
	assert_int_equal(eventlog_query(b.log, &q, &page, &list), 0);
	assert_int_equal(list.n_events, 1);
	e = &list.events[0];
	assert_int_equal(e->origin, 1);
	assert_string_equal(e->kind, "raised");
	assert_string_equal(e->cell, "r0");
	assert_int_equal(e->token.epoch, BED_TOKEN.epoch);
	assert_true(e->has_alarm);
	assert_int_equal(e->alarm.element_id, 10);
	assert_string_equal(e->alarm.element, "e10");
	assert_string_equal(e->alarm.type, "linkDown");
	assert_string_equal(e->alarm.resource, "if1");
	assert_string_equal(e->alarm.severity, "major");
	assert_string_equal(e->alarm.text, PLAYED_TEXT);
	assert_string_equal(e->alarm.operator_state, "none");
	assert_string_equal(e->alarm.source, "memory");
	assert_int_equal(e->alarm.count, 1);
	assert_int_equal(e->alarm.raised_ns, e->time_ns);
	assert_int_equal(e->alarm.age_ms, 0);
	memory_page_free(page);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(events_of_all_origins_come_by_time_with_the_trail),
		TEST(empty_log_has_an_empty_page),
		TEST(what_comes_after_the_token_is_told_and_nothing_else),
		TEST(what_is_no_token_is_refused),
		TEST(pages_of_any_size_give_each_event_once),
		TEST(only_what_is_asked_for_comes),
		TEST(newest_ones_come_in_the_order_of_time_and_the_token_is_behind_all),
		TEST(rare_event_is_found_over_pages_that_are_empty),
		TEST(query_by_time_begins_where_that_time_is),
		TEST(page_is_never_longer_than_a_message),
		TEST(event_is_copied_whole),
	};

	return cmocka_run_group_tests_name("eventlog_query", tests, NULL, NULL);
}
