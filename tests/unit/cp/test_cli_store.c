/* bellctl: what comes from the store, the view, the event log, and going on behind a token. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/cp/cli_case.h"

static const char *text_in(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	assert_non_null(text);
	return text;
}

static size_t size_in(const json_t *object, const char *name)
{
	assert_true(json_is_array(json_object_get(object, name)));
	return json_array_size(json_object_get(object, name));
}

/* ---- The view ---- */

static void the_view_groups_elements_by_region_and_owner(void **state)
{
	const char *north, *south;

	assert_int_equal(bed_run(&bed, "view --from store"), CLI_DONE);
	assert_out("from         store, the servers as stored ");
	assert_out("\nSERVER STATE ROLE CELLS ELEMENTS DRAINED STORE\n");
	assert_out("\nbeta(2) failed unknown 1 3 no -\n");
	assert_out("\nREGION OWNER ELEMENT STATE WORST ALARMS SEEN SOURCE\n");
	assert_out("\nnorth beta(2) b silent cleared 0 3m store ");
	assert_out("\nnorth beta(2) c never cleared 0 - store ");
	assert_out("\nsouth beta(2) a reporting cleared 0 1500ms store ");
	north = strstr(squeezed(bed.out), "\nnorth");
	south = strstr(squeezed(bed.out), "\nsouth");
	assert_true(north < south);
}

static void the_view_from_memory_has_all_pages_and_says_who_is_silent(void **state)
{
	json_t *m, *elements;

	assert_int_equal(bed_run(&bed, "view --json"), CLI_DONE);
	m = parsed();
	assert_string_equal(text_in(m, "from"), "memory");
	elements = json_object_get(m, "elements");
	assert_int_equal(json_array_size(elements), 2 * N_PAGES);
	for (uint32_t i = 0; i < 2 * N_PAGES; i++)
		assert_int_equal(number_in(json_array_get(elements, i), "id"), i + 1);
	assert_string_equal(text_in(json_array_get(elements, 0), "state"), "reporting");
	assert_int_equal(size_in(m, "servers"), 3);
	assert_int_equal(number_in(json_array_get(json_object_get(m, "servers"), 1), "n_elements"),
			 2 * N_PAGES);
	assert_int_equal(size_in(m, "silent"), 1);
	json_decref(m);
	assert_int_equal(bed_run(&bed, "view"), CLI_DONE);
	assert_err("bellctl: silent, so what they own is missing: gamma(3)\n");
}

static void the_view_from_the_store_has_the_same_members(void **state)
{
	json_t *memory, *store, *value;
	const char *name;

	assert_int_equal(bed_run(&bed, "view --json"), CLI_DONE);
	memory = parsed();
	assert_int_equal(bed_run(&bed, "view --json --from store"), CLI_DONE);
	store = parsed();
	assert_int_equal(size_in(store, "elements"), 3);
	json_object_foreach(memory, name, value) assert_non_null(json_object_get(store, name));
	value = json_array_get(json_object_get(store, "elements"), 2);
	assert_string_equal(text_in(value, "state"), "never");
	assert_string_equal(text_in(value, "source"), "store");
	json_object_foreach(json_array_get(json_object_get(memory, "elements"), 0), name, value)
		assert_non_null(json_object_get(
			json_array_get(json_object_get(store, "elements"), 0), name));
	json_decref(memory);
	json_decref(store);
}

/* ---- Lists ---- */

static void lists_from_the_store_say_their_age(void **state)
{
	assert_int_equal(bed_run(&bed, "element list --from store"), CLI_DONE);
	assert_out(" cleared store ");
	assert_int_equal(bed_run(&bed, "alarm list --from store"), CLI_DONE);
	assert_out(" beta(2) ack ann store 3s ");
	assert_err("bellctl: at least 12 alarms are left out");
	assert_int_equal(bed_run(&bed, "alarm list"), CLI_DONE);
	assert_out(" beta(2) - memory ");
}

static void what_the_operator_said_is_in_the_json(void **state)
{
	json_t *m, *alarm;

	assert_int_equal(bed_run(&bed, "alarm list --from store --json"), CLI_DONE);
	m = parsed();
	alarm = json_array_get(json_object_get(m, "alarms"), 0);
	assert_string_equal(text_in(alarm, "operator_state"), "ack");
	assert_string_equal(text_in(alarm, "operator"), "ann");
	assert_int_equal(number_in(alarm, "age_ms"), 3000);
	json_decref(m);
}

/* ---- The log ---- */

static void the_log_has_all_pages_and_the_token_behind_them(void **state)
{
	json_t *m;

	assert_int_equal(bed_run(&bed, "event list --json"), CLI_DONE);
	m = parsed();
	assert_int_equal(size_in(m, "events"), BED_EVENTS);
	for (uint32_t i = 0; i < BED_EVENTS; i++)
		assert_int_equal(
			number_in(json_array_get(json_object_get(m, "events"), i), "number"),
			i + 1);
	assert_string_equal(text_in(m, "resume"), "9");
	json_decref(m);
	assert_int_equal(bed_run(&bed, "event list -v"), CLI_DONE);
	assert_int_equal(n_lines(bed.out), 1 + BED_EVENTS);
	assert_err("bellctl: resume 9\n");
}

static void a_limit_ends_the_log_and_its_token_goes_on_there(void **state)
{
	json_t *m;

	assert_int_equal(bed_run(&bed, "event list --limit 6 --json"), CLI_DONE);
	m = parsed();
	assert_int_equal(size_in(m, "events"), 6);
	assert_true(json_is_true(json_object_get(m, "is_more")));
	json_decref(m);
	assert_int_equal(bed_run(&bed, "event list --after 6 --json"), CLI_DONE);
	m = parsed();
	assert_int_equal(size_in(m, "events"), 3);
	assert_int_equal(number_in(json_array_get(json_object_get(m, "events"), 0), "number"), 7);
	json_decref(m);
	assert_int_equal(bed_run(&bed, "event list --newest --limit 2 --json"), CLI_DONE);
	m = parsed();
	assert_int_equal(size_in(m, "events"), 2);
	assert_int_equal(number_in(json_array_get(json_object_get(m, "events"), 0), "number"), 8);
	json_decref(m);
}

static void events_are_told_in_words(void **state)
{
	assert_int_equal(bed_run(&bed, "event list"), CLI_DONE);
	assert_out("\n2023-11-14T22:13:20.000Z master - gamma(3) epoch 4\n");
	assert_out(" acknowledged critical core-1 link-down if 7 by ann on my");
	assert_out(" cell_moved - north gamma(3) -> alpha(1)\n");
	assert_null(strchr(bed.out, '\x1b'));
	assert_int_equal(bed_run(&bed, "event list --kind master,cell_moved"), CLI_DONE);
	assert_int_equal(n_lines(bed.out), 1); /* the server was told of the kinds */
	assert_int_equal(bed_run(&bed, "event list --since -10m"), CLI_DONE);
	assert_int_equal(n_lines(bed.out), 1);
}

/* ---- Watching ---- */

static int all_dying(void **state)
{
	bed_start(&bed, MANNER_DYING, MANNER_DYING, MANNER_DYING);
	return 0;
}

static void a_watch_of_events_misses_and_repeats_none_when_its_servers_die(void **state)
{
	const char *line;
	uint64_t number = 2;

	assert_int_equal(bed_run(&bed, "event watch --json -v --count 6 --resume 2"), CLI_DONE);
	for (line = bed.out; *line != '\0'; line = strchr(line, '\n') + 1) {
		json_t *m = json_loads(line, JSON_DISABLE_EOF_CHECK, NULL);

		assert_non_null(m);
		if (strcmp(text_in(m, "kind"), "event") == 0) {
			const json_t *event = json_object_get(m, "event");

			assert_int_equal(number_in(event, "number"), ++number);
		}
		json_decref(m);
	}
	assert_int_equal(number, 8);
	assert_int_equal(bed.n_resumed, 3);
	assert_string_equal(bed.resumed[0], "2");
	assert_string_equal(bed.resumed[1], "4");
	assert_string_equal(bed.resumed[2], "6");
	assert_err("bellctl: resume 8\n");
}

static void a_watch_begins_where_the_log_ends(void **state)
{
	assert_int_equal(bed_run(&bed, "event watch --count 1"), CLI_DONE);
	assert_string_equal(bed.resumed[0], "9");
	assert_int_equal(n_lines(bed.out), 2);
}

static void a_watch_of_alarms_goes_on_behind_its_last_event(void **state)
{
	assert_int_equal(bed_run(&bed, "alarm watch --json -v --count 3 --resume 5"), CLI_DONE);
	assert_int_equal(bed.n_resumed, 3);
	assert_string_equal(bed.resumed[0], "5");
	assert_string_equal(bed.resumed[1], "behind 1");
	assert_err("bellctl: resume behind 1\n");
	/* What is present comes once: the token says more. */
	assert_int_equal(bed_run(&bed, "alarm watch --json --present --count 3"), CLI_DONE);
	assert_int_equal(bed.n_resumed, 5);
	assert_string_equal(bed.resumed[3], "");
	assert_string_equal(bed.resumed[4], "behind 1");
	assert_null(strstr(strstr(bed.out, "present") + 1, "\"kind\":\"present\""));
}

/* ---- Which server ---- */

static uint32_t n_drawn(const char *service)
{
	char wanted[64];
	uint32_t n = 0;

	snprintf(wanted, sizeof(wanted), "drawn service=%s server=", service);
	for (const char *at = bed.err; (at = strstr(at, wanted)) != NULL; at++)
		n++;
	return n;
}

static void each_answer_is_counted_for_its_service_and_names_for_none(void **state)
{
	assert_int_equal(bed_run(&bed, "status -v"), CLI_DONE);
	assert_int_equal(n_drawn("Peered"), 1);
	assert_int_equal(n_drawn("Federated"), 0);
	/* The names of the servers are asked for besides. */
	assert_int_equal(bed_run(&bed, "alarm list -v"), CLI_DONE);
	assert_int_equal(n_drawn("Peered"), 0);
	assert_int_equal(n_drawn("Federated"), 1);
	assert_int_equal(bed_run(&bed, "alarm watch -v --count 1"), CLI_DONE);
	assert_int_equal(n_drawn("Peered"), 0);
	assert_int_equal(n_drawn("Federated"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(all_well, the_view_groups_elements_by_region_and_owner),
		WITH(all_well, the_view_from_memory_has_all_pages_and_says_who_is_silent),
		WITH(all_well, the_view_from_the_store_has_the_same_members),
		WITH(all_well, lists_from_the_store_say_their_age),
		WITH(all_well, what_the_operator_said_is_in_the_json),
		WITH(all_well, the_log_has_all_pages_and_the_token_behind_them),
		WITH(all_well, a_limit_ends_the_log_and_its_token_goes_on_there),
		WITH(all_well, events_are_told_in_words),
		WITH(all_dying, a_watch_of_events_misses_and_repeats_none_when_its_servers_die),
		WITH(all_well, a_watch_begins_where_the_log_ends),
		WITH(all_dying, a_watch_of_alarms_goes_on_behind_its_last_event),
		WITH(all_well, each_answer_is_counted_for_its_service_and_names_for_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
