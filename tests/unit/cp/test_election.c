#include "election_case.h"

static void nothing_is_said_before_the_boot_is_stored(void **state)
{
	case_start(2, 3, 1);
	assert_true(case_out.persist);
	case_tell(true, 5);
	for (int i = 0; i < 100; i++, case_now += BEAT) {
		case_message(ELECTION_MSG_ELECTION, 0, 1, 2, 0);
		assert_int_equal(case_out.n_sends, 0);
		case_message(ELECTION_MSG_CLAIM, 0, 1, 2, 0);
		assert_int_equal(case_out.n_sends, 0);
		case_timer();
		assert_int_equal(case_out.n_sends, 0);
	}
}

static void a_restarted_voter_grants_nobody_for_one_guard(void **state)
{
	case_start(2, 3, 1);
	case_stored();
	case_tell(true, 5);
	case_now += GUARD - 1;
	case_message(ELECTION_MSG_CLAIM, 0, 3, 2, 1);
	case_assert_sent(ELECTION_MSG_GRANT, ELECTION_REFUSED, 3);
	case_now += 1;
	case_message(ELECTION_MSG_CLAIM, 0, 3, 2, 0);
	assert_true(case_out.persist);
}

static void the_first_start_waits_for_all_voters(void **state)
{
	case_start(2, 3, 0);
	case_stored();
	case_tell(true, 5);
	case_now += 30 * BEAT;
	case_beat(1, 0, 0, 0);
	case_timer();
	assert_int_equal(case_out.n_sends, 0);
	case_beat(3, 0, 0, 0);
	case_now += 3 * BEAT;
	case_timer();
	case_assert_sent_to_all(ELECTION_MSG_ELECTION);
}

static void the_first_start_waits_forty_beats_at_most(void **state)
{
	case_start(2, 3, 0);
	case_stored();
	case_tell(true, 5);
	case_now += 40 * BEAT - 1;
	case_timer();
	assert_int_equal(case_out.n_sends, 0);
	case_now += 1;
	case_timer();
	case_assert_sent_to_all(ELECTION_MSG_ELECTION);
}

static void a_claim_is_stored_before_it_is_said_and_then_won_by_a_majority(void **state)
{
	case_ask();
	case_message(ELECTION_MSG_ANSWER, ELECTION_GRANTED, 3, 1, 0);
	assert_true(case_out.persist);
	assert_int_equal(case_disk.epoch, 2);
	assert_int_equal(case_disk.voted_for, 2);
	assert_int_equal(case_out.n_sends, 0);
	assert_int_equal(election_epoch(&case_election), 1);
	case_stored();
	case_assert_sent_to_all(ELECTION_MSG_CLAIM);
	case_message(ELECTION_MSG_GRANT, ELECTION_GRANTED, 3, 2, 0);
	case_assert_sent_to_all(ELECTION_MSG_COORDINATOR);
	assert_int_equal(election_master(&case_election), 2);
	assert_int_equal(case_out.lease_until_ms, 0);
}

static void grants_of_another_epoch_or_refusals_do_not_count(void **state)
{
	case_ask();
	case_message(ELECTION_MSG_ANSWER, ELECTION_GRANTED, 3, 1, 0);
	case_stored();
	case_message(ELECTION_MSG_GRANT, ELECTION_GRANTED, 3, 1, 0);
	case_message(ELECTION_MSG_GRANT, ELECTION_REFUSED, 1, 2, 0);
	case_message(ELECTION_MSG_GRANT, ELECTION_REFUSED, 3, 2, 0);
	assert_int_equal(election_role(&case_election), ELECTION_CANDIDATE);
}

static void a_grant_that_comes_twice_counts_once(void **state)
{
	case_start(2, 5, 1);
	case_stored();
	case_tell(true, 5);
	case_now += GUARD;
	case_ask();
	case_message(ELECTION_MSG_ANSWER, ELECTION_GRANTED, 1, 1, 0);
	case_message(ELECTION_MSG_ANSWER, ELECTION_GRANTED, 3, 1, 0);
	case_now += BEAT; /* the better ones say nothing */
	case_timer();
	case_stored();
	for (int i = 0; i < 5; i++)
		case_message(ELECTION_MSG_GRANT, ELECTION_GRANTED, 1, 2, 0);
	assert_int_equal(election_role(&case_election), ELECTION_CANDIDATE);
	case_message(ELECTION_MSG_GRANT, ELECTION_GRANTED, 3, 2, 0);
	assert_int_equal(election_role(&case_election), ELECTION_MASTER);
}

static void without_a_majority_of_answers_no_epoch_is_spent(void **state)
{
	for (int i = 0; i < 100; i++, case_now += BEAT) {
		case_timer();
		assert_false(case_out.persist);
	}
	assert_int_equal(case_disk.epoch, 1);
}

static void a_stand_down_is_obeyed_once(void **state)
{
	case_ask();
	case_message(ELECTION_MSG_ANSWER, ELECTION_STAND_DOWN, 3, 1, 0);
	assert_int_equal(election_role(&case_election), ELECTION_FOLLOWER);
	case_now += 4 * BEAT;
	case_timer();
	case_assert_sent_to_all(ELECTION_MSG_ELECTION);
	case_message(ELECTION_MSG_ANSWER, ELECTION_STAND_DOWN, 3, 1, 0);
	assert_true(case_out.persist); /* it counts as a vote now */
}

static void a_stand_down_by_a_worse_server_is_nonsense(void **state)
{
	case_ask();
	case_message(ELECTION_MSG_ANSWER, ELECTION_STAND_DOWN, 1, 1, 0);
	assert_int_equal(election_role(&case_election), ELECTION_CANDIDATE);
	assert_int_equal(election_n_rejected(&case_election), 1);
}

static void a_worse_candidate_is_stood_down_by_one_that_stands_itself(void **state)
{
	case_message(ELECTION_MSG_ELECTION, 0, 1, 2, 0);
	assert_int_equal(case_out.n_sends, 3);
	assert_int_equal(case_out.sends[0].kind, ELECTION_MSG_ANSWER);
	assert_int_equal(case_out.sends[0].verdict, ELECTION_STAND_DOWN);
	assert_int_equal(case_out.sends[1].kind, ELECTION_MSG_ELECTION);
}

static void an_unhealthy_server_neither_stands_nor_stands_others_down(void **state)
{
	case_tell(false, 5);
	case_message(ELECTION_MSG_ELECTION, 0, 1, 2, 0);
	case_assert_sent(ELECTION_MSG_ANSWER, ELECTION_GRANTED, 1);
	case_now += 100 * BEAT;
	case_timer();
	assert_int_equal(case_out.n_sends, 0);
}

static void a_better_candidate_would_get_the_vote_and_the_field(void **state)
{
	case_ask();
	case_message(ELECTION_MSG_ELECTION, 0, 3, 2, 0);
	case_assert_sent(ELECTION_MSG_ANSWER, ELECTION_GRANTED, 3);
	assert_int_equal(election_role(&case_election), ELECTION_FOLLOWER);
}

static void a_grant_is_said_only_when_it_is_stored_and_repeated_on_demand(void **state)
{
	case_message(ELECTION_MSG_CLAIM, 0, 3, 2, 0);
	assert_true(case_out.persist);
	assert_int_equal(case_out.n_sends, 0);
	case_stored();
	case_assert_sent(ELECTION_MSG_GRANT, ELECTION_GRANTED, 3);
	case_message(ELECTION_MSG_CLAIM, 0, 3, 2, 0);
	case_assert_sent(ELECTION_MSG_GRANT, ELECTION_GRANTED, 3);
	assert_false(case_out.persist);
}

static void one_epoch_has_one_grant_also_after_a_restart(void **state)
{
	case_message(ELECTION_MSG_CLAIM, 0, 3, 2, 0);
	case_stored();
	case_message(ELECTION_MSG_CLAIM, 0, 1, 2, 0);
	case_assert_sent(ELECTION_MSG_GRANT, ELECTION_REFUSED, 1);

	struct election_config cfg = case_election.cfg;

	case_disk.boot++;
	election_init(&case_election, &cfg, &case_disk, (struct election_position){1, 5}, case_now,
		      &case_out);
	case_stored();
	case_now += GUARD;
	case_message(ELECTION_MSG_CLAIM, 0, 1, 2, 0);
	case_assert_sent(ELECTION_MSG_GRANT, ELECTION_REFUSED, 1);
}

static void a_candidate_that_is_behind_is_refused(void **state)
{
	case_tell(true, 6);
	case_message(ELECTION_MSG_CLAIM, 0, 3, 2, 0);
	case_assert_sent(ELECTION_MSG_GRANT, ELECTION_REFUSED, 3);
}

static void a_guard_refuses_until_it_is_over(void **state)
{
	case_beat(1, 1, 1, 0);
	assert_true(case_out.ack_beat);
	case_now += GUARD - 1;
	case_message(ELECTION_MSG_ELECTION, 0, 3, 2, 0);
	case_assert_sent(ELECTION_MSG_ANSWER, ELECTION_REFUSED, 3);
	case_message(ELECTION_MSG_CLAIM, 0, 3, 2, 0);
	case_assert_sent(ELECTION_MSG_GRANT, ELECTION_REFUSED, 3);
	case_now += 1;
	case_message(ELECTION_MSG_CLAIM, 0, 3, 2, 0);
	assert_true(case_out.persist);
}

static void a_release_opens_the_guard_for_the_next_epoch_only(void **state)
{
	case_beat(1, 1, 1, 0);
	case_message(ELECTION_MSG_CLAIM, 0, 3, 3, 1);
	case_assert_sent(ELECTION_MSG_GRANT, ELECTION_REFUSED, 3);
	case_message(ELECTION_MSG_CLAIM, 0, 3, 2, 3);
	case_assert_sent(ELECTION_MSG_GRANT, ELECTION_REFUSED, 3);
	case_message(ELECTION_MSG_CLAIM, 0, 3, 2, 1);
	assert_true(case_out.persist);
}

static void a_failed_master_is_replaced_when_the_guard_is_over(void **state)
{
	case_beat(3, 1, 3, 0);
	case_now += BEAT;
	case_step((struct election_input){.event = ELECTION_EV_FAILED, .server = 3});
	assert_int_equal(election_role(&case_election), ELECTION_FOLLOWER);
	case_now += GUARD - BEAT - 1;
	case_timer();
	assert_int_equal(election_role(&case_election), ELECTION_FOLLOWER);
	case_now += BEAT / 2;
	case_timer();
	assert_int_equal(election_role(&case_election), ELECTION_CANDIDATE);
	/* The better one is known to be gone: nothing is left to wait for. */
	case_message(ELECTION_MSG_ANSWER, ELECTION_GRANTED, 1, 1, 0);
	assert_true(case_out.persist);
}

static void a_silent_master_is_replaced_without_the_detector(void **state)
{
	case_beat(3, 1, 3, 0);
	case_now += GUARD + 4 * BEAT;
	case_timer();
	assert_int_equal(election_role(&case_election), ELECTION_CANDIDATE);
}

static void a_master_of_a_later_epoch_is_followed_when_that_is_stored(void **state)
{
	case_beat(3, 7, 3, 0);
	assert_true(case_out.persist);
	assert_false(case_out.ack_beat);
	assert_int_equal(election_epoch(&case_election), 1);
	case_stored();
	assert_int_equal(election_epoch(&case_election), 7);
	assert_int_equal(election_master(&case_election), 3);
	case_beat(1, 2, 1, 0);
	assert_false(case_out.ack_beat);
	assert_int_equal(election_master(&case_election), 3);
}

static void a_single_voter_leads_as_soon_as_it_is_stored(void **state)
{
	case_start(2, 1, 0);
	case_stored();
	assert_true(case_out.persist);
	assert_int_equal(election_role(&case_election), ELECTION_CANDIDATE);
	case_stored();
	assert_int_equal(election_role(&case_election), ELECTION_MASTER);
	assert_int_equal(case_out.lease_until_ms, case_now + LEASE);
	case_now += 10000;
	case_timer();
	assert_int_equal(case_out.lease_until_ms, case_now + LEASE);
}

static void a_server_that_is_no_voter_follows_and_never_stands(void **state)
{
	case_start(9, 3, 0);
	case_stored();
	case_tell(true, 5);
	case_now += 100 * BEAT;
	case_timer();
	assert_int_equal(case_out.n_sends, 0);
	case_beat(1, 3, 1, 0);
	case_stored();
	assert_int_equal(election_master(&case_election), 1);
	assert_int_equal(election_epoch(&case_election), 3);
}

static void messages_that_make_no_sense_are_counted_and_change_nothing(void **state)
{
	struct election_message good = {.kind = ELECTION_MSG_CLAIM,
					.from = 3,
					.to = 2,
					.from_boot = 4,
					.epoch = 2,
					.position = {1, 5}};
	struct election_message bad[9];

	for (int i = 0; i < 9; i++)
		bad[i] = good;
	bad[0].from = 8;
	bad[1].from = 2;
	bad[2].to = 1;
	bad[3].kind = 0;
	bad[4].kind = 7;
	bad[5].epoch = 0;
	bad[6].epoch = UINT64_MAX;
	bad[7].verdict = 3;
	bad[8].from_boot = 0;
	for (int i = 0; i < 9; i++) {
		case_step(
			(struct election_input){.event = ELECTION_EV_MESSAGE, .message = &bad[i]});
		assert_int_equal(election_n_rejected(&case_election), i + 1);
		assert_int_equal(case_out.n_sends, 0);
		assert_false(case_out.persist);
	}
	case_step((struct election_input){.event = ELECTION_EV_MESSAGE, .message = &good});
	assert_true(case_out.persist);
}

static void an_old_incarnation_is_not_heard(void **state)
{
	struct election_beat b = {.from = 3, .from_boot = 2, .epoch = 1, .master = 3};

	case_step((struct election_input){.event = ELECTION_EV_BEAT, .beat = &b});
	assert_true(case_out.ack_beat);
	b.from_boot = 1;
	case_step((struct election_input){.event = ELECTION_EV_BEAT, .beat = &b});
	assert_false(case_out.ack_beat);
	case_message(ELECTION_MSG_CLAIM, 0, 3, 2, 0);
	assert_int_equal(case_out.n_sends, 0);
	assert_int_equal(election_n_rejected(&case_election), 2);
}

static void every_message_has_a_name(void **state)
{
	for (uint8_t kind = ELECTION_MSG_ELECTION; kind <= ELECTION_MSG_TRANSFER; kind++)
		assert_string_not_equal(election_message_name(kind), "unknown");
	assert_string_equal(election_message_name(0), "unknown");
}

int main(void)
{
#define T(test) cmocka_unit_test_setup(test, case_setup)
	const struct CMUnitTest tests[] = {
		T(nothing_is_said_before_the_boot_is_stored),
		T(a_restarted_voter_grants_nobody_for_one_guard),
		T(the_first_start_waits_for_all_voters),
		T(the_first_start_waits_forty_beats_at_most),
		T(a_claim_is_stored_before_it_is_said_and_then_won_by_a_majority),
		T(grants_of_another_epoch_or_refusals_do_not_count),
		T(a_grant_that_comes_twice_counts_once),
		T(without_a_majority_of_answers_no_epoch_is_spent),
		T(a_stand_down_is_obeyed_once),
		T(a_stand_down_by_a_worse_server_is_nonsense),
		T(a_worse_candidate_is_stood_down_by_one_that_stands_itself),
		T(an_unhealthy_server_neither_stands_nor_stands_others_down),
		T(a_better_candidate_would_get_the_vote_and_the_field),
		T(a_grant_is_said_only_when_it_is_stored_and_repeated_on_demand),
		T(one_epoch_has_one_grant_also_after_a_restart),
		T(a_candidate_that_is_behind_is_refused),
		T(a_guard_refuses_until_it_is_over),
		T(a_release_opens_the_guard_for_the_next_epoch_only),
		T(a_failed_master_is_replaced_when_the_guard_is_over),
		T(a_silent_master_is_replaced_without_the_detector),
		T(a_master_of_a_later_epoch_is_followed_when_that_is_stored),
		T(a_single_voter_leads_as_soon_as_it_is_stored),
		T(a_server_that_is_no_voter_follows_and_never_stands),
		T(messages_that_make_no_sense_are_counted_and_change_nothing),
		T(an_old_incarnation_is_not_heard),
		T(every_message_has_a_name),
	};
#undef T
	return cmocka_run_group_tests(tests, NULL, NULL);
}
