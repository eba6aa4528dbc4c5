#include <errno.h>

#include "tests/unit/dp/fedmem_fixture.h"

struct fixture {
	struct place *p;
	struct fedmem *fm;
	struct fedmem_writer *w;
};

static struct fixture with_states(void)
{
	struct fixture f = {.p = place_make(small_sizes())};

	f.fm = must_open(f.p);
	f.w = must_write(f.fm);
	for (uint32_t slot = 0; slot < 8; slot++)
		touch(f.w, slot, token_one);
	return f;
}

static void done(struct fixture f)
{
	fedmem_writer_close(f.w);
	fedmem_close(f.fm);
	place_remove(f.p);
}

static uint32_t report(struct fixture f, uint32_t slot, const char *resource, uint8_t severity,
		       uint64_t now_ns)
{
	struct fedmem_alarm_key key = key_of(slot, resource);

	return report_alarm(f.w, f.fm, &key, severity, now_ns);
}

static const struct fedmem_alarm *find(struct fixture f, uint32_t slot, const char *resource)
{
	struct fedmem_alarm_key key = key_of(slot, resource);

	return fedmem_alarm_find(f.w, &key);
}

static struct fedmem_state state_of(struct fixture f, uint32_t slot)
{
	struct fedmem_state s;

	assert_int_equal(fedmem_state_read(f.fm, slot, &s, NULL), 0);
	return s;
}

static uint32_t drain(struct fixture f, struct fedmem_event *last)
{
	struct fedmem_event e = {0};
	uint32_t n = 0;

	while (fedmem_event_peek(f.fm, e.number, &e) == 0) {
		n++;
		if (last != NULL)
			*last = e;
	}
	fedmem_event_release(f.fm, e.number);
	return n;
}

static void the_state_says_how_many_are_raised_and_the_worst_of_them(void **state)
{
	struct fixture f = with_states();

	report(f, 3, "a", FEDMEM_MINOR, 1);
	report(f, 3, "b", FEDMEM_CRITICAL, 2);
	report(f, 3, "c", FEDMEM_WARNING, 3);
	report(f, 4, "a", FEDMEM_MAJOR, 4);
	assert_int_equal(state_of(f, 3).n_alarms, 3);
	assert_int_equal(state_of(f, 3).worst, FEDMEM_CRITICAL);
	report(f, 3, "b", FEDMEM_CLEARED, 5);
	assert_int_equal(state_of(f, 3).n_alarms, 2);
	assert_int_equal(state_of(f, 3).worst, FEDMEM_MINOR);
	report(f, 3, "a", FEDMEM_INDETERMINATE, 6);
	assert_int_equal(state_of(f, 3).worst, FEDMEM_WARNING);
	report(f, 3, "a", FEDMEM_CLEARED, 7);
	report(f, 3, "c", FEDMEM_CLEARED, 8);
	assert_int_equal(state_of(f, 3).n_alarms, 0);
	assert_int_equal(state_of(f, 3).worst, FEDMEM_CLEARED);
	assert_int_equal(chain_raised(f.fm, 3), 0);
	assert_int_equal(state_of(f, 4).n_alarms, 1);
	assert_int_equal(chain_raised(f.fm, 4), 1);
	assert_int_equal(fedmem_alarms_used(f.fm), 4);
	assert_int_equal(find(f, 3, "b")->state, FEDMEM_ALARM_GONE);
	assert_int_equal(find(f, 3, "b")->severity, FEDMEM_CRITICAL);
	done(f);
}

static void the_chain_begins_with_the_most_recently_raised(void **state)
{
	struct fixture f = with_states();
	uint32_t a = report(f, 2, "a", FEDMEM_MINOR, 1);
	uint32_t b = report(f, 2, "b", FEDMEM_MINOR, 2);
	uint32_t c = report(f, 2, "c", FEDMEM_MINOR, 3);
	struct fedmem_alarm alarm;

	assert_int_equal(state_of(f, 2).alarm_first, c);
	report(f, 2, "a", FEDMEM_CLEARED, 4);
	report(f, 2, "b", FEDMEM_MAJOR, 5); /* a change is no raise */
	assert_int_equal(state_of(f, 2).alarm_first, c);
	report(f, 2, "a", FEDMEM_MAJOR, 6);
	assert_int_equal(state_of(f, 2).alarm_first, a);
	assert_int_equal(fedmem_alarm_read(f.fm, a, &alarm), 0);
	assert_int_equal(alarm.next, c);
	assert_int_equal(fedmem_alarm_read(f.fm, c, &alarm), 0);
	assert_int_equal(alarm.next, b);
	assert_int_equal(chain_raised(f.fm, 2), 3);
	done(f);
}

static void the_counts_outlive_the_first_alarm_of_the_chain(void **state)
{
	struct fixture f = with_states();
	char resource[8];

	report(f, 1, "stays", FEDMEM_MINOR, 1);
	report(f, 1, "goes", FEDMEM_MINOR, 2);
	report(f, 1, "stays", FEDMEM_CRITICAL, 3);
	report(f, 1, "goes", FEDMEM_CLEARED, 4);
	for (int i = 0; i < 15; i++) {
		snprintf(resource, sizeof(resource), "r%d", i);
		report(f, 2, resource, FEDMEM_MINOR, 5);
	}
	assert_null(find(f, 1, "goes"));
	recount(f.w, 1, token_one);
	assert_int_equal(state_of(f, 1).n_alarms, 1);
	assert_int_equal(state_of(f, 1).worst, FEDMEM_CRITICAL);
	done(f);
}

static void each_part_of_the_key_tells_alarms_apart(void **state)
{
	struct fixture f = with_states();
	struct fedmem_alarm_key base = key_of(1, "port 1");
	struct fedmem_alarm_key keys[6] = {base, base, base, base, base, base};

	keys[1].element = 2;
	keys[2].resource = "port 2";
	keys[3].type = "link-dowm";
	keys[4].qualifier = "q";
	keys[4].qualifier_bytes = 1;
	keys[5].resource_bytes = 5;
	for (int i = 0; i < 6; i++)
		assert_int_not_equal(report_alarm(f.w, f.fm, &keys[i], FEDMEM_MINOR, 1),
				     FEDMEM_NONE);
	assert_int_equal(fedmem_alarms_used(f.fm), 6);
	for (int i = 0; i < 6; i++)
		for (int k = 0; k < i; k++)
			assert_ptr_not_equal(fedmem_alarm_find(f.w, &keys[i]),
					     fedmem_alarm_find(f.w, &keys[k]));
	done(f);
}

static void texts_are_cut_to_what_a_record_holds(void **state)
{
	struct fixture f = with_states();
	struct fedmem_alarm_key key = key_of(1, "");
	char longer[200];

	memset(longer, 'r', sizeof(longer));
	key.resource = key.type = key.qualifier = longer;
	key.resource_bytes = key.type_bytes = key.qualifier_bytes = 200;
	assert_int_not_equal(report_alarm(f.w, f.fm, &key, FEDMEM_MINOR, 1), FEDMEM_NONE);
	key.resource_bytes = FEDMEM_RESOURCE_BYTES;
	key.type_bytes = FEDMEM_TYPE_BYTES;
	key.qualifier_bytes = FEDMEM_QUALIFIER_BYTES;
	assert_non_null(fedmem_alarm_find(f.w, &key));
	assert_int_equal(fedmem_alarm_find(f.w, &key)->text[0], 0);
	done(f);
}

static void an_alarm_that_is_left_free_gives_its_entry_back(void **state)
{
	struct fixture f = with_states();
	struct fedmem_alarm_key key = key_of(1, "x");

	for (int i = 0; i < 100; i++) {
		struct fedmem_alarm *a = fedmem_alarm_begin(f.w, &key);

		assert_non_null(a);
		assert_int_equal(a->state, FEDMEM_ALARM_FREE);
		fedmem_alarm_commit(f.w, a, 0);
		assert_null(fedmem_alarm_find(f.w, &key));
	}
	assert_int_equal(fedmem_alarms_used(f.fm), 0);
	assert_int_equal(drain(f, NULL), 0);
	done(f);
}

static void a_table_full_of_raised_alarms_takes_no_more_and_loses_none(void **state)
{
	struct fixture f = with_states();
	char resource[8];

	for (int i = 0; i < 16; i++) {
		snprintf(resource, sizeof(resource), "r%d", i);
		assert_int_not_equal(report(f, (uint32_t)i % 8, resource, FEDMEM_MINOR, 1),
				     FEDMEM_NONE);
	}
	assert_int_equal(report(f, 1, "one too many", FEDMEM_CRITICAL, 2), FEDMEM_NONE);
	assert_int_equal(fedmem_alarms_used(f.fm), 16);
	for (int i = 0; i < 16; i++) {
		snprintf(resource, sizeof(resource), "r%d", i);
		assert_int_equal(find(f, (uint32_t)i % 8, resource)->state, FEDMEM_ALARM_RAISED);
	}
	assert_int_not_equal(report(f, 1, "r1", FEDMEM_CRITICAL, 2), FEDMEM_NONE);
	done(f);
}

/* 'reopen': the order is made from the records. */
static void check_recycling(bool reopen)
{
	static const int order[] = {11, 3, 7, 0, 15};
	struct fixture f = with_states();
	char resource[8], other[8];

	for (int i = 0; i < 16; i++) {
		snprintf(resource, sizeof(resource), "r%d", i);
		report(f, (uint32_t)i % 8, resource, FEDMEM_MINOR, (uint64_t)i + 1);
	}
	for (int i = 0; i < 5; i++) {
		snprintf(resource, sizeof(resource), "r%d", order[i]);
		report(f, (uint32_t)order[i] % 8, resource, FEDMEM_CLEARED, (uint64_t)i + 100);
	}
	if (reopen) {
		fedmem_writer_close(f.w);
		f.w = must_write(f.fm);
	}
	/* one comes back, out of the middle */
	report(f, 7, "r7", FEDMEM_MINOR, 200);
	for (int i = 0; i < 5; i++) {
		snprintf(resource, sizeof(resource), "r%d", order[i]);
		snprintf(other, sizeof(other), "new %d", i);
		if (order[i] == 7)
			continue;
		assert_non_null(find(f, (uint32_t)order[i] % 8, resource));
		assert_int_not_equal(report(f, 2, other, FEDMEM_MINOR, 300), FEDMEM_NONE);
		assert_null(find(f, (uint32_t)order[i] % 8, resource));
	}
	assert_int_equal(report(f, 2, "more", FEDMEM_MINOR, 300), FEDMEM_NONE);
	assert_int_equal(find(f, 7, "r7")->state, FEDMEM_ALARM_RAISED);
	assert_int_equal(fedmem_alarms_used(f.fm), 16);
	assert_int_equal(chain_raised(f.fm, 2), 2 + 4);
	assert_int_equal(chain_raised(f.fm, 3), 0);
	done(f);
}

static void a_full_table_gives_up_the_longest_gone_alarm_first(void **state)
{
	check_recycling(false);
}

static void the_order_of_gone_alarms_survives_a_restart(void **state)
{
	check_recycling(true);
}

static void a_change_of_token_frees_the_alarms_from_before(void **state)
{
	struct fixture f = with_states();
	struct fedmem_token newer = {1, 2};
	uint32_t a = report(f, 3, "a", FEDMEM_MINOR, 1), b = report(f, 3, "b", FEDMEM_MAJOR, 2);
	struct fedmem_alarm alarm;

	report(f, 3, "b", FEDMEM_CLEARED, 3);
	report(f, 4, "a", FEDMEM_MINOR, 4);
	touch(f.w, 3, newer);
	assert_int_equal(fedmem_alarm_read(f.fm, a, &alarm), FEDMEM_NOT_FOUND);
	assert_int_equal(fedmem_alarm_read(f.fm, b, &alarm), FEDMEM_NOT_FOUND);
	assert_null(find(f, 3, "a"));
	assert_null(find(f, 3, "b"));
	assert_non_null(find(f, 4, "a"));
	assert_int_equal(fedmem_alarms_used(f.fm), 1);
	assert_int_equal(state_of(f, 3).n_alarms, 0);
	for (int i = 0; i < 15; i++) {
		char resource[8];

		snprintf(resource, sizeof(resource), "n%d", i);
		assert_int_not_equal(report(f, 3, resource, FEDMEM_MINOR, 5), FEDMEM_NONE);
	}
	assert_int_equal(fedmem_alarm_read(f.fm, a, &alarm), 0);
	assert_true(fedmem_token_equal(alarm.token, newer));
	done(f);
}

/* Alarms of cells that moved away must not keep new ones out. */
static void a_full_table_gives_up_alarms_whose_cell_moved_on_or_element_went(void **state)
{
	struct fixture f = with_states();
	struct fedmem_cell cells[2] = {{.token = {1, 1}, .owner = 7},
				       {.token = {1, 1}, .owner = 7}};
	char resource[8];

	for (uint64_t id = 1; id <= 8; id++) { /* slots 0..7, as the states say */
		struct fedmem_element e = element_of(id);
		uint32_t slot;

		e.cell = id <= 4 ? 0 : 1;
		assert_int_equal(fedmem_element_put(f.fm, &e, &slot), 0);
		assert_int_equal(slot, id - 1);
	}
	assert_int_equal(fedmem_cells_publish(f.fm, cells, 2), 0);
	for (int i = 0; i < 16; i++) {
		snprintf(resource, sizeof(resource), "r%d", i);
		report(f, (uint32_t)i % 8, resource, FEDMEM_MINOR, 1);
	}
	assert_int_equal(report(f, 0, "more", FEDMEM_MINOR, 1), FEDMEM_NONE);

	cells[1].token.generation = 2;
	assert_int_equal(fedmem_cells_publish(f.fm, cells, 2), 0);
	assert_int_equal(fedmem_element_remove(f.fm, 4), 0);
	for (int i = 0; i < 10; i++) { /* 8 of cell 1, 2 of element 4 */
		snprintf(resource, sizeof(resource), "n%d", i);
		assert_int_not_equal(report(f, 0, resource, FEDMEM_MINOR, 2), FEDMEM_NONE);
	}
	assert_int_equal(report(f, 0, "more", FEDMEM_MINOR, 1), FEDMEM_NONE);
	for (int i = 0; i < 16; i++) {
		snprintf(resource, sizeof(resource), "r%d", i);
		assert_true((find(f, (uint32_t)i % 8, resource) != NULL) == (i % 8 < 3));
	}
	done(f);
}

static void events_are_numbered_without_a_gap_over_restarts_of_both_sides(void **state)
{
	struct fixture f = with_states();
	struct fedmem_event e;
	uint64_t wanted = 1;

	for (int round = 0; round < 10; round++) {
		report(f, 1, "a", FEDMEM_MINOR, 10);
		report(f, 1, "a", FEDMEM_CRITICAL, 20);
		report(f, 1, "a", FEDMEM_CLEARED, 30);
		fedmem_writer_close(f.w);
		fedmem_close(f.fm);
		f.fm = must_open(f.p);
		f.w = must_write(f.fm);
		for (int i = 0; i < 3; i++) {
			assert_int_equal(fedmem_event_peek(f.fm, 0, &e), 0);
			fedmem_event_release(f.fm, e.number);
			assert_int_equal(e.number, wanted++);
			assert_int_equal(e.kind, i == 0	  ? FEDMEM_EV_RAISED
						 : i == 1 ? FEDMEM_EV_SEVERITY
							  : FEDMEM_EV_CLEARED);
			assert_int_equal(e.severity, i == 0 ? FEDMEM_MINOR : FEDMEM_CRITICAL);
			assert_int_equal(e.time_ns, 10 * (i + 1));
			assert_int_equal(e.element, 1);
		}
		assert_int_equal(fedmem_event_peek(f.fm, 0, &e), FEDMEM_NOT_FOUND);
		assert_int_equal(find(f, 1, "a")->change, wanted - 1);
	}
	done(f);
}

static void a_full_event_ring_raises_the_overflow_word_and_loses_no_alarm(void **state)
{
	struct fixture f = with_states();
	uint64_t overflows = fedmem_event_overflows(f.fm);
	struct fedmem_event last;
	char resource[8];

	for (int i = 0; i < 13; i++) {
		snprintf(resource, sizeof(resource), "r%d", i);
		report(f, 1, resource, FEDMEM_MINOR, 1);
		assert_int_equal(fedmem_event_overflows(f.fm) - overflows, i < 8 ? 0 : i - 7);
	}
	assert_int_equal(drain(f, &last), 8);
	assert_int_equal(last.number, 8);
	for (uint32_t i = 0; i < 13; i++) {
		struct fedmem_alarm a;

		assert_int_equal(fedmem_alarm_read(f.fm, i, &a), 0);
		assert_int_equal(a.state, FEDMEM_ALARM_RAISED);
		assert_int_equal(a.change, i + 1);
	}
	report(f, 1, "r0", FEDMEM_CLEARED,
	       2); /* and goes on, with the number after the lost ones */
	assert_int_equal(drain(f, &last), 1);
	assert_int_equal(last.number, 14);
	done(f);
}

static void a_change_without_a_kind_is_no_event(void **state)
{
	struct fixture f = with_states();
	struct fedmem_alarm_key key = key_of(1, "a");
	uint32_t index = report(f, 1, "a", FEDMEM_MINOR, 1);
	struct fedmem_alarm *a = fedmem_alarm_begin(f.w, &key), copy;

	assert_int_equal(drain(f, NULL), 1);
	a->count++;
	fedmem_alarm_commit(f.w, a, 0);
	assert_int_equal(drain(f, NULL), 0);
	assert_int_equal(fedmem_alarm_read(f.fm, index, &copy), 0);
	assert_int_equal(copy.count, 2);
	assert_int_equal(copy.change, 1);
	done(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_state_says_how_many_are_raised_and_the_worst_of_them),
		cmocka_unit_test(the_chain_begins_with_the_most_recently_raised),
		cmocka_unit_test(the_counts_outlive_the_first_alarm_of_the_chain),
		cmocka_unit_test(each_part_of_the_key_tells_alarms_apart),
		cmocka_unit_test(texts_are_cut_to_what_a_record_holds),
		cmocka_unit_test(an_alarm_that_is_left_free_gives_its_entry_back),
		cmocka_unit_test(a_table_full_of_raised_alarms_takes_no_more_and_loses_none),
		cmocka_unit_test(a_full_table_gives_up_the_longest_gone_alarm_first),
		cmocka_unit_test(the_order_of_gone_alarms_survives_a_restart),
		cmocka_unit_test(a_change_of_token_frees_the_alarms_from_before),
		cmocka_unit_test(a_full_table_gives_up_alarms_whose_cell_moved_on_or_element_went),
		cmocka_unit_test(events_are_numbered_without_a_gap_over_restarts_of_both_sides),
		cmocka_unit_test(a_full_event_ring_raises_the_overflow_word_and_loses_no_alarm),
		cmocka_unit_test(a_change_without_a_kind_is_no_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
