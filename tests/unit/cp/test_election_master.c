#include "election_case.h"

static void the_lease_counts_from_the_send_time_that_a_majority_acknowledged(void **state)
{
	case_lead();
	uint64_t sent = case_now;

	assert_int_equal(case_out.lease_until_ms, 0);
	case_now += 30;
	case_beat(1, 2, 2, sent);
	assert_int_equal(case_out.lease_until_ms, sent + LEASE);
	case_beat(3, 2, 2, sent + 20);
	assert_int_equal(case_out.lease_until_ms, sent + 20 + LEASE);
	case_beat(3, 1, 2, sent + 30); /* of another epoch */
	case_beat(3, 2, 0, sent + 30);
	case_beat(3, 2, 2, sent + 500); /* from the future */
	assert_int_equal(case_out.lease_until_ms, sent + 20 + LEASE);
	case_now = sent + 20 + LEASE;
	case_timer();
	assert_int_equal(case_out.lease_until_ms, 0);
	assert_int_equal(election_role(&case_election), ELECTION_MASTER);
}

static void a_master_without_a_lease_steps_down_after_ten_beats(void **state)
{
	case_lead();
	case_now += 10 * BEAT - 1;
	case_timer();
	assert_int_equal(election_role(&case_election), ELECTION_MASTER);
	case_now += 1;
	case_timer();
	assert_int_equal(election_role(&case_election), ELECTION_FOLLOWER);
	assert_int_equal(election_master(&case_election), 0);
}

static void a_master_with_a_lease_is_not_deposed_by_a_claim(void **state)
{
	case_lead();
	case_now += 5 * BEAT;
	case_beat(1, 2, 2, case_now - 10);
	case_message(ELECTION_MSG_CLAIM, 0, 3, 9, 0);
	case_assert_sent(ELECTION_MSG_GRANT, ELECTION_REFUSED, 3);
	assert_int_equal(election_role(&case_election), ELECTION_MASTER);
}

static void a_master_steps_down_for_one_of_a_later_epoch(void **state)
{
	case_lead();
	case_beat(1, 2, 2, case_now);
	assert_int_not_equal(case_out.lease_until_ms, 0);
	case_message(ELECTION_MSG_COORDINATOR, 0, 3, 3, 0);
	assert_int_equal(case_out.lease_until_ms, 0);
	assert_int_equal(election_role(&case_election), ELECTION_FOLLOWER);
	case_stored();
	assert_int_equal(election_master(&case_election), 3);
}

/* Both peers follow for 'n' beats; returns after how many it had something to say, -1: nothing. */
static int serve(int n)
{
	for (int i = 1; i <= n; i++) {
		case_now += BEAT;
		for (uint16_t peer = 1; peer <= 3; peer += 2) {
			case_beat(peer, 2, 2, case_now - 10);
			if (case_out.n_sends > 0)
				return i;
		}
	}
	return -1;
}

static void a_better_server_is_given_the_lead_after_its_hold_down(void **state)
{
	case_lead();
	assert_in_range(serve(100), HOLD / BEAT, HOLD / BEAT + 2);
	case_assert_sent(ELECTION_MSG_TRANSFER, 0, 3);
	assert_int_equal(case_out.sends[0].epoch, 2);
	assert_int_equal(case_out.lease_until_ms, 0);
	assert_int_equal(election_role(&case_election), ELECTION_FOLLOWER);
	case_message(ELECTION_MSG_CLAIM, 0, 3, 3, 2);
	assert_true(case_out.persist);
}

static void each_loss_doubles_the_hold_down_up_to_eight_times(void **state)
{
	static const int factors[] = {2, 4, 8, 8};

	for (int n = 0; n < 4; n++) {
		case_setup(NULL);
		case_lead();
		for (int i = 0; i <= n; i++) {
			serve(1);
			case_step(
				(struct election_input){.event = ELECTION_EV_FAILED, .server = 3});
		}
		assert_in_range(serve(1000), factors[n] * HOLD / BEAT,
				factors[n] * HOLD / BEAT + 2);
	}
}

static void an_unhealthy_master_hands_over_to_the_best_healthy_one(void **state)
{
	case_lead();
	serve(2);
	case_tell(false, 5);
	assert_in_range(serve(100), 9, 11);
	case_assert_sent(ELECTION_MSG_TRANSFER, 0, 3);
}

static void the_chosen_one_claims_at_once(void **state)
{
	case_beat(1, 1, 1, 0);
	case_message(ELECTION_MSG_TRANSFER, 0, 1, 1, 0);
	assert_true(case_out.persist);
	case_stored();
	case_assert_sent_to_all(ELECTION_MSG_CLAIM);
	assert_int_equal(case_out.sends[0].epoch, 2);
	assert_int_equal(case_out.sends[0].released_by, 1);
}

static void an_old_transfer_is_ignored(void **state)
{
	case_beat(1, 4, 1, 0);
	case_stored();
	case_message(ELECTION_MSG_TRANSFER, 0, 1, 3, 0);
	assert_false(case_out.persist);
}

static void a_voter_left_behind_in_a_later_epoch_makes_the_master_renew(void **state)
{
	case_lead();
	for (int i = 0; i < 4; i++) {
		case_now += BEAT;
		case_beat(3, 2, 2, case_now - 10);
		case_beat(1, 5, 0, 0);
		assert_int_equal(election_role(&case_election), ELECTION_MASTER);
	}
	case_now += BEAT;
	case_beat(3, 2, 2, case_now - 10);
	assert_int_equal(election_role(&case_election), ELECTION_CANDIDATE);
	case_assert_sent_to_all(ELECTION_MSG_ELECTION);
	assert_int_equal(case_out.sends[0].epoch, 6);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup(test, case_setup)
	const struct CMUnitTest tests[] = {
		T(the_lease_counts_from_the_send_time_that_a_majority_acknowledged),
		T(a_master_without_a_lease_steps_down_after_ten_beats),
		T(a_master_with_a_lease_is_not_deposed_by_a_claim),
		T(a_master_steps_down_for_one_of_a_later_epoch),
		T(a_better_server_is_given_the_lead_after_its_hold_down),
		T(each_loss_doubles_the_hold_down_up_to_eight_times),
		T(an_unhealthy_master_hands_over_to_the_best_healthy_one),
		T(the_chosen_one_claims_at_once),
		T(an_old_transfer_is_ignored),
		T(a_voter_left_behind_in_a_later_epoch_makes_the_master_renew),
	};
#undef T
	return cmocka_run_group_tests(tests, NULL, NULL);
}
