#include "tests/unit/cp/replog_bed.h"

static void timer(void)
{
	step((struct replog_input){.event = REPLOG_EV_TIMER});
}

static void peer(uint16_t server, uint32_t boot)
{
	step((struct replog_input){.event = REPLOG_EV_PEER, .server = server, .boot = boot});
}

static void answer(uint16_t server, uint64_t call, bool is_accepted, uint64_t index)
{
	step((struct replog_input){.event = REPLOG_EV_ANSWER,
				   .server = server,
				   .call = call,
				   .is_accepted = is_accepted,
				   .index = index});
}

static void failed(uint16_t server, uint64_t call)
{
	step((struct replog_input){.event = REPLOG_EV_FAILED, .server = server, .call = call});
}

/* What the last output sends to the server; NULL: nothing. */
static const struct replog_send *sent(uint16_t server)
{
	for (uint32_t i = 0; i < out.n_sends; i++)
		if (out.sends[i].to == server)
			return &out.sends[i];
	return NULL;
}

/* Master of epoch 2 with an entry of its own on disk; 1 was asked whether it has all before. */
static uint64_t lead(void)
{
	struct replog_write write;
	uint64_t call;

	peer(1, 7);
	role(SELF, 2, true);
	append(1);
	write = out.write;
	call = sent(1)->call;
	stored(write);
	return call;
}

static void a_new_master_sends_nothing_before_an_entry_of_its_own(void **state)
{
	start_with(3, 0);
	peer(1, 7);
	role(SELF, 2, true);
	assert_true(out.is_own_entry_wanted);
	assert_int_equal(out.n_sends, 0);
	append(1);
	assert_int_equal(out.verdict, REPLOG_ACCEPTED);
	assert_int_equal(out.write.last, 4);
	assert_false(out.is_own_entry_wanted);
	assert_non_null(sent(1));
	assert_int_equal(sent(1)->append.n_entries, 0); /* asks first */
	assert_int_equal(sent(1)->append.previous_index, 3);
	assert_int_equal(sent(1)->append.last, 4);
	assert_int_equal(sent(1)->append.to_boot, 7);
}

static void only_an_acting_master_appends_sends_and_counts(void **state)
{
	uint64_t call;

	start_with(3, 0);
	role(1, 2, false);
	append(1);
	assert_int_equal(out.verdict, REPLOG_REFUSED);
	answer(1, lead(), true, 3);
	call = sent(1)->call;
	role(SELF, 2, false); /* the lease is over */
	append(1);
	assert_int_equal(out.verdict, REPLOG_REFUSED);
	answer(1, call, true, 4);
	assert_int_equal(out.committed, 0);
	assert_int_equal(out.n_sends, 0);
	assert_true(out.wake_at_ms == UINT64_MAX);
	role(SELF, 2, true); /* it runs again */
	assert_int_equal(out.committed, 4);
}

static void an_entry_of_its_own_epoch_on_a_majority_of_disks_is_committed(void **state)
{
	struct replog_write write;

	start_with(3, 0);
	peer(1, 7);
	role(SELF, 2, true);
	append(1);
	write = out.write;
	answer(1, sent(1)->call, true, 3);
	assert_int_equal(sent(1)->append.n_entries, 1);
	answer(1, sent(1)->call, true, 4);
	assert_int_equal(out.committed, 0); /* not on this disk */
	stored(write);
	assert_int_equal(out.committed, 4);
}

static void entries_of_an_older_epoch_are_not_committed_by_counting(void **state)
{
	uint64_t call;

	start_with(3, 0);
	call = lead();
	peer(3, 7);
	answer(3, sent(3)->call, false, 3);
	answer(3, sent(3)->call, true, 3);
	answer(1, call, true, 3); /* all three hold 1 to 3 */
	assert_int_equal(out.committed, 0);
	answer(1, sent(1)->call, true, 4);
	assert_int_equal(out.committed, 4);
}

static void the_word_of_one_that_may_be_forgetful_does_not_count(void **state)
{
	uint64_t call;

	start_with(3, 0);
	answer(1, lead(), false, 0);
	answer(1, sent(1)->call, true, 0);
	append(3);
	store();
	answer(1, 3, true, 4); /* all that there was when that was sent: it may vote again */
	assert_int_equal(out.committed, 4);
	start_with(3, 0);
	answer(1, lead(), false, 0);
	append(3);
	store();
	answer(1, 2, true, 0);
	assert_int_equal(sent(1)->append.n_entries, 7);
	call = sent(1)->call;
	answer(1, call, true, 5); /* the caller sent fewer */
	assert_int_equal(out.committed, 0);
	answer(1, sent(1)->call, true, 7);
	assert_int_equal(out.committed, 7);
}

static void servers_that_do_not_vote_get_entries_and_do_not_count(void **state)
{
	start_with(3, 0);
	peer(4, 7);
	lead();
	answer(4, 1, true, 3); /* asked together with 1 */
	if (sent(4) == NULL)
		answer(4, 2, true, 3);
	assert_int_equal(sent(4)->append.n_entries, 1);
	answer(4, sent(4)->call, true, 4);
	assert_int_equal(out.committed, 0);
}

static void one_request_at_a_time_and_none_when_there_is_nothing_to_say(void **state)
{
	uint64_t call;

	start_with(3, 0);
	call = lead();
	append(1);
	assert_null(sent(1));
	answer(1, call, true, 3);
	assert_int_equal(sent(1)->append.n_entries, 2);
	answer(1, sent(1)->call, true, 5);
	assert_int_equal(out.committed, 4); /* 5 is not on this disk; the other one may go on */
	assert_int_equal(sent(1)->append.n_entries, 0);
	assert_int_equal(sent(1)->append.committed, 4);
	answer(1, sent(1)->call, true, 5);
	assert_null(sent(1));
	now += 1000000;
	timer();
	assert_int_equal(out.n_sends, 0);
	assert_true(out.wake_at_ms == UINT64_MAX);
}

static void what_was_not_answered_is_sent_again_after_a_while(void **state)
{
	start_with(3, 0);
	failed(1, lead());
	assert_int_equal(out.n_sends, 0);
	assert_int_equal(out.wake_at_ms, now + RETRY_MS);
	now += RETRY_MS;
	timer();
	answer(1, sent(1)->call, false, ANYWHERE); /* "not the master of my epoch" */
	assert_int_equal(out.n_sends, 0);
	now += RETRY_MS;
	timer();
	assert_int_equal(sent(1)->append.previous_index, 3); /* of the place it said nothing */
}

static void refusals_lead_to_the_place_where_both_agree(void **state)
{
	struct replog_durable d = {
		.first = 1, .last = 30, .runs = {{1, 1}, {4, 11}, {6, 21}}, .n_runs = 3};

	start(&d);
	peer(1, 7);
	role(SELF, 8, true);
	append(1);
	assert_int_equal(sent(1)->append.previous_index, 30);
	answer(1, sent(1)->call, false, 25); /* it is shorter */
	assert_int_equal(sent(1)->append.previous_index, 25);
	assert_int_equal(sent(1)->append.previous_epoch, 6);
	answer(1, sent(1)->call, false, 25); /* it has an older one there */
	assert_int_equal(sent(1)->append.previous_index, 20);
	answer(1, sent(1)->call, false, 12); /* it had a newer one there */
	assert_int_equal(sent(1)->append.previous_index, 12);
	answer(1, sent(1)->call, true, 12);
	assert_int_equal(sent(1)->append.n_entries, 19);
	assert_int_equal(sent(1)->append.n_runs, 3);
	assert_int_equal(sent(1)->append.runs[0].first, 13);
}

static void an_answer_that_cannot_be_or_comes_late_changes_nothing(void **state)
{
	uint64_t call;

	start_with(3, 0);
	call = lead();
	answer(3, call, true, 4); /* of another one */
	answer(1, call + 1, true, 4);
	answer(9, call, true, 4);
	assert_int_equal(out.n_sends, 0);
	answer(1, call, true, 99); /* more than was sent */
	assert_int_equal(out.committed, 0);
	assert_int_equal(out.wake_at_ms, now + RETRY_MS);
	answer(1, call, true, 3); /* once more */
	assert_int_equal(out.n_sends, 0);
}

static void another_start_of_a_server_is_asked_anew(void **state)
{
	struct replog_write write;
	uint64_t call;

	start_with(3, 0);
	peer(1, 7);
	role(SELF, 2, true);
	append(1);
	write = out.write;
	answer(1, sent(1)->call, true, 3);
	answer(1, sent(1)->call, true, 4); /* this server's own disk is slower */
	peer(1, 0);
	peer(1, 8);
	call = sent(1)->call;
	assert_int_equal(sent(1)->append.n_entries, 0);
	stored(write);
	assert_int_equal(out.committed, 0);
	peer(1, 9);
	answer(1, call, true, 4);
	assert_int_equal(out.committed, 0);
}

static void who_was_away_goes_on_where_it_was(void **state)
{
	start_with(3, 0);
	answer(1, lead(), true, 3);
	answer(1, sent(1)->call, true, 4);
	answer(1, sent(1)->call, true, 4); /* told that 4 is committed */
	peer(1, 0);
	append(1);
	assert_null(sent(1));
	peer(1, 7);
	assert_int_equal(sent(1)->append.previous_index, 4);
	assert_int_equal(sent(1)->append.n_entries, 1);
}

static void one_that_lacks_what_is_gone_gets_a_snapshot_and_then_the_rest(void **state)
{
	start_with(10, 8);
	step((struct replog_input){.event = REPLOG_EV_COMPACTED, .index = 7});
	answer(1, lead(), false, 0); /* it holds nothing */
	assert_true(sent(1)->is_snapshot);
	append(1);
	assert_null(sent(1));
	failed(1, 2);
	now += RETRY_MS;
	timer();
	answer(1, sent(1)->call, false, 5);
	assert_true(sent(1)->is_snapshot);
	answer(1, sent(1)->call, true, 8);
	assert_false(sent(1)->is_snapshot);
	assert_int_equal(sent(1)->append.previous_index, 8);
	assert_int_equal(sent(1)->append.n_entries, 4);
}

static void one_that_was_cut_off_in_a_snapshot_gets_one(void **state)
{
	start_with(3, 3);
	answer(1, lead(), false, 0);
	assert_int_equal(sent(1)->append.previous_index, 0);
	answer(1, sent(1)->call, false, 0); /* not even from the beginning */
	assert_true(sent(1)->is_snapshot);
	answer(1, sent(1)->call, false, 0);
	assert_int_equal(out.n_sends, 0);
	assert_int_equal(out.wake_at_ms, now + RETRY_MS);
}

static void a_request_holds_no_more_epochs_and_entries_than_it_may(void **state)
{
	static struct replog_durable d;

	d.last = 20;
	for (uint64_t i = 1; i <= 20; i++)
		d.runs[d.n_runs++] = (struct replog_run){i, i};
	start(&d);
	peer(1, 7);
	role(SELF, 30, true);
	append(1);
	answer(1, sent(1)->call, false, 0);
	answer(1, sent(1)->call, true, 0);
	assert_int_equal(sent(1)->append.n_entries, REPLOG_SEND_RUNS_MAX);
	assert_int_equal(sent(1)->append.n_runs, REPLOG_SEND_RUNS_MAX);
	assert_int_equal(sent(1)->append.last, 21);
	start_with(1000, 0);
	answer(1, lead(), false, 0);
	answer(1, sent(1)->call, true, 0);
	assert_int_equal(sent(1)->append.n_entries, REPLOG_BATCH_MAX);
	assert_int_equal(sent(1)->append.n_runs, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_master_sends_nothing_before_an_entry_of_its_own),
		cmocka_unit_test(only_an_acting_master_appends_sends_and_counts),
		cmocka_unit_test(an_entry_of_its_own_epoch_on_a_majority_of_disks_is_committed),
		cmocka_unit_test(entries_of_an_older_epoch_are_not_committed_by_counting),
		cmocka_unit_test(the_word_of_one_that_may_be_forgetful_does_not_count),
		cmocka_unit_test(servers_that_do_not_vote_get_entries_and_do_not_count),
		cmocka_unit_test(one_request_at_a_time_and_none_when_there_is_nothing_to_say),
		cmocka_unit_test(what_was_not_answered_is_sent_again_after_a_while),
		cmocka_unit_test(refusals_lead_to_the_place_where_both_agree),
		cmocka_unit_test(an_answer_that_cannot_be_or_comes_late_changes_nothing),
		cmocka_unit_test(another_start_of_a_server_is_asked_anew),
		cmocka_unit_test(who_was_away_goes_on_where_it_was),
		cmocka_unit_test(one_that_lacks_what_is_gone_gets_a_snapshot_and_then_the_rest),
		cmocka_unit_test(one_that_was_cut_off_in_a_snapshot_gets_one),
		cmocka_unit_test(a_request_holds_no_more_epochs_and_entries_than_it_may),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
