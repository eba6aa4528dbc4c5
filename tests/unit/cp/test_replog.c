#include <errno.h>

#include "tests/unit/cp/replog_bed.h"

static struct replog_append request_of(uint64_t epoch, uint64_t previous, uint64_t previous_epoch,
				       uint32_t n, uint64_t entry_epoch)
{
	return (struct replog_append){.epoch = epoch,
				      .previous_index = previous,
				      .previous_epoch = previous_epoch,
				      .n_entries = n,
				      .runs = {{entry_epoch, previous + 1}},
				      .n_runs = n > 0,
				      .last = previous + n,
				      .to_boot = BOOT};
}

static void request(uint16_t from, struct replog_append a)
{
	step((struct replog_input){.event = REPLOG_EV_REQUEST, .server = from, .append = &a});
}

static void part(uint64_t epoch, uint64_t index, uint64_t index_epoch, uint32_t n, bool is_last)
{
	step((struct replog_input){.event = REPLOG_EV_SNAPSHOT,
				   .server = 1,
				   .epoch = epoch,
				   .index = index,
				   .index_epoch = index_epoch,
				   .n = n,
				   .is_last = is_last});
}

static void assert_refused(uint64_t match)
{
	assert_int_equal(out.verdict, REPLOG_REFUSED);
	assert_non_null(out.why);
	assert_int_equal(out.match, match);
	assert_int_equal(out.write.number, 0);
	assert_int_equal(out.give_up_from, 0);
	assert_int_equal(out.take_from, 0);
	assert_false(out.begin_snapshot);
}

static void assert_taken(uint64_t give_up_from, uint64_t take_from, uint64_t match)
{
	assert_int_equal(out.verdict, REPLOG_ACCEPTED);
	assert_int_equal(out.give_up_from, give_up_from);
	assert_int_equal(out.take_from, take_from);
	assert_int_equal(out.match, match);
}

static void assert_position(uint64_t epoch, uint64_t index)
{
	assert_int_equal(replog_position(&r).epoch, epoch);
	assert_int_equal(replog_position(&r).version, index);
}

/* ---- What a follower takes ---- */

static void entries_are_answered_once_they_are_on_disk(void **state)
{
	start_with(3, 3);
	role(1, 2, false);
	request(1, request_of(2, 3, 1, 2, 2));
	assert_taken(0, 4, 5);
	assert_true(out.position_changed);
	assert_position(2, 5); /* counts at once: a vote may be asked for meanwhile */
	assert_int_equal(replog_answer(&r, 1, 2, 5), REPLOG_NO_ANSWER);
	store();
	assert_int_equal(replog_answer(&r, 1, 2, 5), REPLOG_ACCEPTED);
}

static void what_was_accepted_is_refused_once_another_is_followed(void **state)
{
	start_with(3, 3);
	role(1, 2, false);
	request(1, request_of(2, 3, 1, 2, 2));
	role(0, 3, false); /* a vote */
	stored((struct replog_write){1, 5});
	assert_int_equal(replog_answer(&r, 1, 2, 5), REPLOG_REFUSED);
	role(1, 3, false); /* the same one, in another epoch */
	assert_int_equal(replog_answer(&r, 1, 2, 5), REPLOG_REFUSED);
}

static void nothing_is_taken_but_from_the_master_of_the_present_epoch(void **state)
{
	start_with(3, 3);
	request(1, request_of(2, 3, 1, 1, 2));
	assert_refused(ANYWHERE);
	role(1, 2, false);
	request(3, request_of(2, 3, 1, 1, 2));
	assert_refused(ANYWHERE);
	request(1, request_of(1, 3, 1, 1, 1));
	assert_refused(ANYWHERE);
	role(SELF, 2, true);
	request(SELF, request_of(2, 3, 1, 1, 2));
	assert_refused(ANYWHERE);
	assert_int_equal(replog_last(&r), 3);
}

static void what_was_sent_to_an_earlier_start_is_refused(void **state)
{
	struct replog_append a = request_of(2, 3, 1, 1, 2);

	start_with(3, 3);
	role(1, 2, false);
	a.to_boot = BOOT - 1;
	request(1, a);
	assert_refused(ANYWHERE);
}

static void a_request_that_makes_no_sense_is_refused(void **state)
{
	const struct replog_append good = request_of(5, 3, 1, 4, 2);
	struct replog_append bad[12];
	uint32_t n = sizeof(bad) / sizeof(bad[0]);

	for (uint32_t i = 0; i < n; i++)
		bad[i] = good;
	bad[0].n_runs = 0;
	bad[1].runs[0].first = 5;
	bad[2].runs[0].epoch = 0;
	bad[3].previous_epoch = 3; /* falls to 2 */
	bad[4].epoch = 1;	   /* older than its entries */
	bad[5].n_runs = 2;
	bad[5].runs[1] = (struct replog_run){2, 5}; /* the same epoch again */
	bad[6].n_runs = 2;
	bad[6].runs[1] = (struct replog_run){3, 8}; /* behind the last */
	bad[7].n_runs = REPLOG_SEND_RUNS_MAX + 1;
	bad[8].n_entries = bad[8].last = REPLOG_BATCH_MAX + 1;
	bad[9].previous_index = UINT64_MAX - 1;
	bad[10].previous_epoch = 0;
	bad[11].last = 6; /* it sends more than it has */
	start_with(3, 3);
	for (uint32_t i = 0; i < n; i++) {
		role(1, bad[i].epoch, false);
		request(1, bad[i]);
		assert_refused(ANYWHERE);
		assert_string_equal(out.why, "makes no sense");
	}
	role(1, 5, false);
	request(1, good);
	assert_taken(0, 4, 7);
}

static void entries_with_a_gap_before_are_refused_with_the_last_one_here(void **state)
{
	start_with(3, 0);
	role(1, 2, false);
	request(1, request_of(2, 7, 1, 1, 2));
	assert_refused(3);
}

static void another_epoch_before_is_refused_with_a_place_that_passes_it(void **state)
{
	struct replog_durable d = {
		.first = 1, .last = 9, .runs = {{1, 1}, {3, 4}, {4, 7}}, .n_runs = 3};

	start(&d);
	role(1, 6, false);
	request(1, request_of(6, 8, 3, 1, 6)); /* newer here: the last one of its epoch */
	assert_refused(6);
	request(1, request_of(6, 8, 2, 1, 6));
	assert_refused(3);
	request(1, request_of(6, 5, 5, 1, 6)); /* older here: the master passes its own run */
	assert_refused(5);
	assert_int_equal(replog_last(&r), 9);
}

static void what_contradicts_is_given_up_in_the_same_write(void **state)
{
	start_with(6, 2);
	role(1, 3, false);
	request(1, request_of(3, 4, 1, 1, 3));
	assert_taken(5, 5, 5);
	assert_int_equal(out.write.last, 5);
	assert_position(3, 5);
	assert_int_equal(replog_epoch_at(&r, 4), 1);
	assert_int_equal(replog_epoch_at(&r, 5), 3);
	assert_int_equal(replog_epoch_at(&r, 6), 0);
}

static void a_late_request_cuts_nothing(void **state)
{
	start_with(6, 0);
	role(1, 2, false);
	request(1, request_of(2, 2, 1, 2, 1));
	assert_taken(0, 0, 4);
	assert_int_equal(out.write.number, 0);
	assert_int_equal(replog_last(&r), 6);
	assert_int_equal(replog_answer(&r, 1, 2, 4), REPLOG_ACCEPTED);
}

static void what_is_committed_is_never_given_up(void **state)
{
	start_with(6, 4);
	role(1, 3, false);
	request(1, request_of(3, 3, 1, 2, 2)); /* entry 4 another one */
	assert_refused(ANYWHERE);
	request(1, request_of(3, 4, 2, 1, 3)); /* and before */
	assert_refused(ANYWHERE);
	request(1, request_of(3, 4, 1, 1, 3));
	assert_taken(5, 5, 5);
}

static void the_commit_of_the_master_reaches_only_what_is_joined_and_on_disk(void **state)
{
	struct replog_append a = request_of(2, 3, 1, 2, 2);

	start_with(6, 2);
	role(1, 2, false);
	a.committed = 99;
	request(1, a); /* entries 4 and 5; what is behind 5 was given up */
	assert_int_equal(out.committed, 3);
	store();
	assert_int_equal(out.committed, 5);
}

/* ---- Word from the disk ---- */

static void word_of_an_older_write_says_nothing_of_what_was_given_up(void **state)
{
	struct replog_write first, second, third;

	start_with(3, 3);
	role(1, 2, false);
	request(1, request_of(2, 3, 1, 5, 2));
	first = out.write;
	role(3, 3, false);
	request(3, request_of(3, 5, 2, 3, 3));
	assert_taken(6, 6, 8);
	second = out.write;
	role(1, 4, false);
	request(1, request_of(4, 7, 3, 1, 4));
	assert_taken(8, 8, 8);
	third = out.write;
	stored(first); /* 6 and behind are other ones by now */
	assert_int_equal(replog_answer(&r, 1, 4, 5), REPLOG_ACCEPTED);
	assert_int_equal(replog_answer(&r, 1, 4, 6), REPLOG_NO_ANSWER);
	stored(second);
	assert_int_equal(replog_answer(&r, 1, 4, 8), REPLOG_NO_ANSWER);
	stored(third);
	assert_int_equal(replog_answer(&r, 1, 4, 8), REPLOG_ACCEPTED);
}

static void word_of_a_write_that_nobody_asked_for_changes_nothing(void **state)
{
	start_with(3, 3);
	role(1, 2, false);
	request(1, request_of(2, 3, 1, 2, 2));
	stored((struct replog_write){2, 5});
	stored((struct replog_write){0, 5});
	assert_int_equal(replog_answer(&r, 1, 2, 5), REPLOG_NO_ANSWER);
}

/* ---- The log's own bounds ---- */

static void a_log_of_too_many_epochs_takes_no_other_until_it_is_compacted(void **state)
{
	static struct replog_durable d;
	uint64_t last = REPLOG_RUNS_MAX, below;

	d.base = d.last = last;
	d.base_epoch = last;
	for (uint64_t i = 1; i <= last; i++)
		d.runs[d.n_runs++] = (struct replog_run){i, i};
	start(&d);
	role(1, last + 1, false);
	request(1, request_of(last + 1, last, last, 1, last + 1));
	assert_refused(ANYWHERE);
	role(SELF, last + 1, true);
	assert_false(replog_may_append(&r));
	append(1);
	assert_int_equal(out.verdict, REPLOG_REFUSED);
	below = replog_compact_below(&r, last, 4096);
	assert_int_equal(below, last / 2 + 1);
	step((struct replog_input){.event = REPLOG_EV_COMPACTED, .index = below});
	assert_true(replog_may_append(&r));
	assert_true(out.is_own_entry_wanted);
}

static void compaction_keeps_what_was_asked_for_and_what_is_not_committed(void **state)
{
	start_with(500, 400);
	assert_int_equal(replog_compact_below(&r, 450, 100), 301);
	assert_int_equal(replog_compact_below(&r, 450, 400), 0); /* not worth it */
	assert_int_equal(replog_compact_below(&r, 450, 0), 401);
	step((struct replog_input){.event = REPLOG_EV_COMPACTED, .index = 402});
	assert_int_equal(replog_epoch_at(&r, 1), 1);
	step((struct replog_input){.event = REPLOG_EV_COMPACTED, .index = 401});
	assert_int_equal(replog_epoch_at(&r, 399), 0);
	assert_int_equal(replog_epoch_at(&r, 400), 1); /* what entry 401 goes on from */
	assert_int_equal(replog_epoch_at(&r, 401), 1);
	role(1, 2, false);
	request(1, request_of(2, 390, 1, 20, 1)); /* begins before what is kept */
	assert_taken(0, 0, 410);
}

static void a_disk_that_contradicts_itself_is_refused(void **state)
{
	const struct replog_durable good = {.base = 4,
					    .base_epoch = 1,
					    .first = 3,
					    .last = 6,
					    .runs = {{1, 3}, {2, 6}},
					    .n_runs = 2};
	struct replog_config cfg = config();
	struct replog_durable bad[9];
	uint32_t n = sizeof(bad) / sizeof(bad[0]);

	assert_int_equal(replog_init(&r, &cfg, &good), 0);
	for (uint32_t i = 0; i < n; i++)
		bad[i] = good;
	bad[0].last = 3;       /* the state is ahead of the log */
	bad[1].first = 6;      /* a hole between them */
	bad[2].base_epoch = 2; /* two epochs of one place */
	bad[3].base_epoch = 0;
	bad[4].n_runs = 0;
	bad[5].runs[0].first = 4;
	bad[6].runs[1].epoch = 1;
	bad[7].runs[1].first = 7;
	bad[8].n_runs = REPLOG_RUNS_MAX + 1;
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(replog_init(&r, &cfg, &bad[i]), -EINVAL);
	cfg.boot = 0;
	assert_int_equal(replog_init(&r, &cfg, &good), -EINVAL);
}

/* ---- Snapshots ---- */

static void a_snapshot_leaves_the_old_position_and_no_right_to_lead(void **state)
{
	start_with(6, 2);
	role(1, 3, false);
	part(3, 20, 2, 0, false);
	assert_int_equal(out.verdict, REPLOG_ACCEPTED);
	assert_true(out.begin_snapshot);
	assert_true(out.put_held);
	assert_int_equal(out.held.version, 6);
	assert_int_equal(out.next, 1);
	assert_int_equal(out.committed, 0);
	assert_position(1, 6);
	assert_true(replog_may_vote(&r));
	assert_false(replog_may_lead(&r));
	store();
	request(1, request_of(3, 0, 0, 1, 3)); /* the master learns that a snapshot is wanted */
	assert_refused(0);
	part(3, 20, 2, 1, true);
	assert_false(out.begin_snapshot);
	assert_true(replog_is_rebuilding(&r));
	assert_int_equal(replog_answer(&r, 1, 3, 20), REPLOG_NO_ANSWER);
	store();
	assert_int_equal(replog_answer(&r, 1, 3, 20), REPLOG_ACCEPTED);
	assert_false(replog_is_rebuilding(&r));
	assert_true(replog_may_lead(&r));
	assert_int_equal(out.committed, 20);
	assert_position(2, 20);
	request(1, request_of(3, 20, 2, 1, 3));
	assert_taken(0, 21, 21);
}

static void a_snapshot_that_a_crash_cut_off_begins_anew(void **state)
{
	start(&(struct replog_durable){.is_rebuilding = true, .held = {2, 6}, .last = 3});
	assert_position(2, 6);
	assert_false(replog_may_lead(&r));
	role(1, 3, false);
	part(3, 20, 2, 1, false);
	assert_refused(ANYWHERE);
	assert_int_equal(out.next, 0);
	part(3, 20, 2, 0, false);
	assert_true(out.begin_snapshot);
	assert_int_equal(out.held.version, 6);
	part(3, 20, 2, 2, false); /* a part is missing */
	assert_refused(ANYWHERE);
	assert_int_equal(out.next, 1);
	role(3, 4, false);
	step((struct replog_input){.event = REPLOG_EV_SNAPSHOT, /* another master's */
				   .server = 3,
				   .epoch = 4,
				   .index = 20,
				   .index_epoch = 2,
				   .n = 1});
	assert_refused(ANYWHERE);
}

static void a_state_that_is_behind_what_was_held_leaves_the_old_position(void **state)
{
	start(&(struct replog_durable){.is_rebuilding = true, .held = {2, 30}});
	role(1, 3, false);
	part(3, 20, 2, 0, true);
	store();
	assert_false(replog_is_rebuilding(&r));
	assert_position(2, 30);
	assert_false(replog_may_lead(&r));
	request(1, request_of(3, 20, 2, 9, 2));
	assert_position(2, 30);
	request(1, request_of(3, 29, 2, 1, 2));
	assert_true(out.put_held);
	assert_int_equal(out.held.epoch, 0);
	assert_position(2, 30);
	assert_true(replog_may_lead(&r));
}

static void a_snapshot_of_less_than_is_held_is_refused(void **state)
{
	start_with(6, 2);
	role(1, 3, false);
	part(3, 6, 1, 0, false);
	assert_refused(ANYWHERE);
	part(3, 2, 2, 0, false); /* committed here */
	assert_refused(ANYWHERE);
	part(2, 20, 2, 0, false); /* of another epoch's master */
	assert_refused(ANYWHERE);
	part(3, 20, 4, 0, false); /* newer than its master */
	assert_refused(ANYWHERE);
	assert_position(1, 6);
}

static void word_of_a_last_part_that_was_begun_anew_installs_nothing(void **state)
{
	struct replog_write last;

	start_with(6, 2);
	role(1, 3, false);
	part(3, 20, 2, 0, true);
	last = out.write;
	part(3, 30, 2, 0, false);
	stored(last);
	assert_true(replog_is_rebuilding(&r));
	assert_position(1, 6);
}

/* ---- An empty disk ---- */

static void a_server_with_an_empty_disk_votes_once_it_is_known_on_disk_to_hold_all(void **state)
{
	struct replog_append a = request_of(2, 0, 0, 5, 2);

	start_with(0, 0);
	assert_false(replog_may_vote(&r));
	assert_true(replog_may_lead(&r)); /* where nobody holds anything */
	role(1, 2, false);
	a.last = 8;
	request(1, a);
	assert_true(out.put_held);
	assert_memory_equal(&out.held, &REPLOG_LOST, sizeof(out.held));
	assert_position(0, 0);
	store();
	assert_int_equal(replog_answer(&r, 1, 2, 5), REPLOG_ACCEPTED);
	assert_false(replog_may_vote(&r));
	request(1, request_of(2, 5, 2, 3, 2));
	assert_true(out.put_held);
	assert_int_equal(out.held.epoch, 0);
	assert_false(replog_may_vote(&r));
	assert_int_equal(replog_answer(&r, 1, 2, 8), REPLOG_NO_ANSWER);
	store();
	assert_true(replog_may_vote(&r));
	assert_int_equal(replog_answer(&r, 1, 2, 8), REPLOG_ACCEPTED);
	assert_position(2, 8);
}

static void the_first_entries_of_all_make_no_server_forgetful(void **state)
{
	start_with(0, 0);
	role(1, 1, false);
	request(1, request_of(1, 0, 0, 1, 1));
	assert_false(out.put_held);
	assert_true(replog_may_vote(&r));
	start_with(0, 0);
	role(SELF, 1, true);
	assert_true(out.is_own_entry_wanted);
	append(1);
	assert_false(out.put_held);
	assert_true(replog_may_vote(&r));
}

static void a_forgetful_server_stays_one_over_a_start_and_a_snapshot(void **state)
{
	start(&(struct replog_durable){
		.last = 3, .runs = {{1, 1}}, .n_runs = 1, .held = REPLOG_LOST});
	assert_false(replog_may_vote(&r));
	role(1, 3, false);
	part(3, 20, 2, 0, true);
	assert_memory_equal(&out.held, &REPLOG_LOST, sizeof(out.held));
	store();
	assert_false(replog_may_vote(&r));
	request(1, request_of(3, 20, 2, 0, 0));
	assert_true(out.put_held);
	store();
	assert_true(replog_may_vote(&r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_are_answered_once_they_are_on_disk),
		cmocka_unit_test(what_was_accepted_is_refused_once_another_is_followed),
		cmocka_unit_test(nothing_is_taken_but_from_the_master_of_the_present_epoch),
		cmocka_unit_test(what_was_sent_to_an_earlier_start_is_refused),
		cmocka_unit_test(a_request_that_makes_no_sense_is_refused),
		cmocka_unit_test(entries_with_a_gap_before_are_refused_with_the_last_one_here),
		cmocka_unit_test(another_epoch_before_is_refused_with_a_place_that_passes_it),
		cmocka_unit_test(what_contradicts_is_given_up_in_the_same_write),
		cmocka_unit_test(a_late_request_cuts_nothing),
		cmocka_unit_test(what_is_committed_is_never_given_up),
		cmocka_unit_test(the_commit_of_the_master_reaches_only_what_is_joined_and_on_disk),
		cmocka_unit_test(word_of_an_older_write_says_nothing_of_what_was_given_up),
		cmocka_unit_test(word_of_a_write_that_nobody_asked_for_changes_nothing),
		cmocka_unit_test(a_log_of_too_many_epochs_takes_no_other_until_it_is_compacted),
		cmocka_unit_test(compaction_keeps_what_was_asked_for_and_what_is_not_committed),
		cmocka_unit_test(a_disk_that_contradicts_itself_is_refused),
		cmocka_unit_test(a_snapshot_leaves_the_old_position_and_no_right_to_lead),
		cmocka_unit_test(a_snapshot_that_a_crash_cut_off_begins_anew),
		cmocka_unit_test(a_state_that_is_behind_what_was_held_leaves_the_old_position),
		cmocka_unit_test(a_snapshot_of_less_than_is_held_is_refused),
		cmocka_unit_test(word_of_a_last_part_that_was_begun_anew_installs_nothing),
		cmocka_unit_test(
			a_server_with_an_empty_disk_votes_once_it_is_known_on_disk_to_hold_all),
		cmocka_unit_test(the_first_entries_of_all_make_no_server_forgetful),
		cmocka_unit_test(a_forgetful_server_stays_one_over_a_start_and_a_snapshot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
