#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cp/election/election.h"

#define BEAT  100
#define HOLD  2000
#define GUARD (4 * BEAT + 1)
#define LEASE 325

/* Server 2 of 1, 2, 3, and where a test says so 4 and 5; the ranks are 10, 20, ... */
static struct election e;
static struct election_output out;
static struct election_durable disk;
static uint64_t now;

static void step(struct election_input in)
{
	in.now_ms = now;
	election_step(&e, &in, &out);
	if (out.persist)
		disk = out.durable;
}

static void timer(void)
{
	step((struct election_input){.event = ELECTION_EV_TIMER});
}

static void stored(void)
{
	step((struct election_input){.event = ELECTION_EV_PERSISTED});
}

static void tell(bool is_healthy, uint64_t version)
{
	step((struct election_input){
		.event = ELECTION_EV_STATE, .is_healthy = is_healthy, .position = {1, version}});
}

static void message(uint8_t kind, uint8_t verdict, uint16_t from, uint64_t epoch,
		    uint16_t released_by)
{
	struct election_message m = {.kind = kind,
				     .verdict = verdict,
				     .from = from,
				     .to = 2,
				     .from_boot = 1,
				     .epoch = epoch,
				     .position = {1, 5},
				     .released_by = released_by,
				     .round = e.round};

	step((struct election_input){.event = ELECTION_EV_MESSAGE, .message = &m});
}

static void beat(uint16_t from, uint64_t epoch, uint16_t master, uint64_t acked_ms)
{
	struct election_beat b = {.from = from,
				  .from_boot = 1,
				  .epoch = epoch,
				  .master = master,
				  .is_healthy = true,
				  .position = {1, 5},
				  .acked_sent_ms = acked_ms};

	step((struct election_input){.event = ELECTION_EV_BEAT, .beat = &b});
}

static void start(uint16_t self, uint32_t n_voters, uint64_t epoch)
{
	struct election_config cfg = {.self = self,
				      .n_voters = n_voters,
				      .voters = {{1, 10}, {2, 20}, {3, 30}, {4, 40}, {5, 50}},
				      .beat_ms = BEAT,
				      .hold_down_ms = HOLD,
				      .seed = 1};

	if (n_voters == 1)
		cfg.voters[0].id = self;
	disk = (struct election_durable){.boot = 1, .epoch = epoch, .voted_for = epoch ? 1 : 0};
	election_init(&e, &cfg, &disk, (struct election_position){1, 5}, now, &out);
}

/* In epoch 1, healthy, without a master and without a guard. */
static int setup(void **state)
{
	now = 10000;
	start(2, 3, 1);
	stored();
	tell(true, 5);
	now += GUARD;
	return 0;
}

static void assert_sent(uint8_t kind, uint8_t verdict, uint16_t to)
{
	assert_int_equal(out.n_sends, 1);
	assert_int_equal(out.sends[0].kind, kind);
	assert_int_equal(out.sends[0].verdict, verdict);
	assert_int_equal(out.sends[0].to, to);
}

static void assert_sent_to_all(uint8_t kind)
{
	assert_int_equal(out.n_sends, 2);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(out.sends[i].kind, kind);
		assert_int_equal(out.sends[i].to, i == 0 ? 1 : 3);
	}
}

static void ask(void)
{
	now += 3 * BEAT;
	timer();
	assert_int_equal(election_role(&e), ELECTION_CANDIDATE);
}

static void lead(void)
{
	ask();
	message(ELECTION_MSG_ANSWER, ELECTION_GRANTED, 1, 1, 0);
	message(ELECTION_MSG_ANSWER, ELECTION_GRANTED, 3, 1, 0);
	stored();
	message(ELECTION_MSG_GRANT, ELECTION_GRANTED, 1, 2, 0);
	assert_int_equal(election_role(&e), ELECTION_MASTER);
}

static void nothing_is_said_before_the_boot_is_stored(void **state)
{
	start(2, 3, 1);
	assert_true(out.persist);
	tell(true, 5);
	for (int i = 0; i < 100; i++, now += BEAT) {
		message(ELECTION_MSG_ELECTION, 0, 1, 2, 0);
		assert_int_equal(out.n_sends, 0);
		message(ELECTION_MSG_CLAIM, 0, 1, 2, 0);
		assert_int_equal(out.n_sends, 0);
		timer();
		assert_int_equal(out.n_sends, 0);
	}
}

static void a_restarted_voter_grants_nobody_for_one_guard(void **state)
{
	start(2, 3, 1);
	stored();
	tell(true, 5);
	now += GUARD - 1;
	message(ELECTION_MSG_CLAIM, 0, 3, 2, 1);
	assert_sent(ELECTION_MSG_GRANT, ELECTION_REFUSED, 3);
	now += 1;
	message(ELECTION_MSG_CLAIM, 0, 3, 2, 0);
	assert_true(out.persist);
}

static void the_first_start_waits_for_all_voters(void **state)
{
	start(2, 3, 0);
	stored();
	tell(true, 5);
	now += 30 * BEAT;
	beat(1, 0, 0, 0);
	timer();
	assert_int_equal(out.n_sends, 0);
	beat(3, 0, 0, 0);
	now += 3 * BEAT;
	timer();
	assert_sent_to_all(ELECTION_MSG_ELECTION);
}

static void the_first_start_waits_forty_beats_at_most(void **state)
{
	start(2, 3, 0);
	stored();
	tell(true, 5);
	now += 40 * BEAT - 1;
	timer();
	assert_int_equal(out.n_sends, 0);
	now += 1;
	timer();
	assert_sent_to_all(ELECTION_MSG_ELECTION);
}

static void a_claim_is_stored_before_it_is_said_and_then_won_by_a_majority(void **state)
{
	ask();
	message(ELECTION_MSG_ANSWER, ELECTION_GRANTED, 3, 1, 0);
	assert_true(out.persist);
	assert_int_equal(disk.epoch, 2);
	assert_int_equal(disk.voted_for, 2);
	assert_int_equal(out.n_sends, 0);
	assert_int_equal(election_epoch(&e), 1);
	stored();
	assert_sent_to_all(ELECTION_MSG_CLAIM);
	message(ELECTION_MSG_GRANT, ELECTION_GRANTED, 3, 2, 0);
	assert_sent_to_all(ELECTION_MSG_COORDINATOR);
	assert_int_equal(election_master(&e), 2);
	assert_int_equal(out.lease_until_ms, 0);
}

static void grants_of_another_epoch_or_refusals_do_not_count(void **state)
{
	ask();
	message(ELECTION_MSG_ANSWER, ELECTION_GRANTED, 3, 1, 0);
	stored();
	message(ELECTION_MSG_GRANT, ELECTION_GRANTED, 3, 1, 0);
	message(ELECTION_MSG_GRANT, ELECTION_REFUSED, 1, 2, 0);
	message(ELECTION_MSG_GRANT, ELECTION_REFUSED, 3, 2, 0);
	assert_int_equal(election_role(&e), ELECTION_CANDIDATE);
}

static void a_grant_that_comes_twice_counts_once(void **state)
{
	start(2, 5, 1);
	stored();
	tell(true, 5);
	now += GUARD;
	ask();
	message(ELECTION_MSG_ANSWER, ELECTION_GRANTED, 1, 1, 0);
	message(ELECTION_MSG_ANSWER, ELECTION_GRANTED, 3, 1, 0);
	now += BEAT; /* the better ones say nothing */
	timer();
	stored();
	for (int i = 0; i < 5; i++)
		message(ELECTION_MSG_GRANT, ELECTION_GRANTED, 1, 2, 0);
	assert_int_equal(election_role(&e), ELECTION_CANDIDATE);
	message(ELECTION_MSG_GRANT, ELECTION_GRANTED, 3, 2, 0);
	assert_int_equal(election_role(&e), ELECTION_MASTER);
}

static void without_a_majority_of_answers_no_epoch_is_spent(void **state)
{
	for (int i = 0; i < 100; i++, now += BEAT) {
		timer();
		assert_false(out.persist);
	}
	assert_int_equal(disk.epoch, 1);
}

static void a_stand_down_is_obeyed_once(void **state)
{
	ask();
	message(ELECTION_MSG_ANSWER, ELECTION_STAND_DOWN, 3, 1, 0);
	assert_int_equal(election_role(&e), ELECTION_FOLLOWER);
	now += 4 * BEAT;
	timer();
	assert_sent_to_all(ELECTION_MSG_ELECTION);
	message(ELECTION_MSG_ANSWER, ELECTION_STAND_DOWN, 3, 1, 0);
	assert_true(out.persist); /* it counts as a vote now */
}

static void a_stand_down_by_a_worse_server_is_nonsense(void **state)
{
	ask();
	message(ELECTION_MSG_ANSWER, ELECTION_STAND_DOWN, 1, 1, 0);
	assert_int_equal(election_role(&e), ELECTION_CANDIDATE);
	assert_int_equal(election_n_rejected(&e), 1);
}

static void a_worse_candidate_is_stood_down_by_one_that_stands_itself(void **state)
{
	message(ELECTION_MSG_ELECTION, 0, 1, 2, 0);
	assert_int_equal(out.n_sends, 3);
	assert_int_equal(out.sends[0].kind, ELECTION_MSG_ANSWER);
	assert_int_equal(out.sends[0].verdict, ELECTION_STAND_DOWN);
	assert_int_equal(out.sends[1].kind, ELECTION_MSG_ELECTION);
}

static void an_unhealthy_server_neither_stands_nor_stands_others_down(void **state)
{
	tell(false, 5);
	message(ELECTION_MSG_ELECTION, 0, 1, 2, 0);
	assert_sent(ELECTION_MSG_ANSWER, ELECTION_GRANTED, 1);
	now += 100 * BEAT;
	timer();
	assert_int_equal(out.n_sends, 0);
}

static void a_better_candidate_would_get_the_vote_and_the_field(void **state)
{
	ask();
	message(ELECTION_MSG_ELECTION, 0, 3, 2, 0);
	assert_sent(ELECTION_MSG_ANSWER, ELECTION_GRANTED, 3);
	assert_int_equal(election_role(&e), ELECTION_FOLLOWER);
}

static void a_grant_is_said_only_when_it_is_stored_and_repeated_on_demand(void **state)
{
	message(ELECTION_MSG_CLAIM, 0, 3, 2, 0);
	assert_true(out.persist);
	assert_int_equal(out.n_sends, 0);
	stored();
	assert_sent(ELECTION_MSG_GRANT, ELECTION_GRANTED, 3);
	message(ELECTION_MSG_CLAIM, 0, 3, 2, 0);
	assert_sent(ELECTION_MSG_GRANT, ELECTION_GRANTED, 3);
	assert_false(out.persist);
}

static void one_epoch_has_one_grant_also_after_a_restart(void **state)
{
	message(ELECTION_MSG_CLAIM, 0, 3, 2, 0);
	stored();
	message(ELECTION_MSG_CLAIM, 0, 1, 2, 0);
	assert_sent(ELECTION_MSG_GRANT, ELECTION_REFUSED, 1);

	struct election_config cfg = e.cfg;

	disk.boot++;
	election_init(&e, &cfg, &disk, (struct election_position){1, 5}, now, &out);
	stored();
	now += GUARD;
	message(ELECTION_MSG_CLAIM, 0, 1, 2, 0);
	assert_sent(ELECTION_MSG_GRANT, ELECTION_REFUSED, 1);
}

static void a_candidate_that_is_behind_is_refused(void **state)
{
	tell(true, 6);
	message(ELECTION_MSG_CLAIM, 0, 3, 2, 0);
	assert_sent(ELECTION_MSG_GRANT, ELECTION_REFUSED, 3);
}

static void a_guard_refuses_until_it_is_over(void **state)
{
	beat(1, 1, 1, 0);
	assert_true(out.ack_beat);
	now += GUARD - 1;
	message(ELECTION_MSG_ELECTION, 0, 3, 2, 0);
	assert_sent(ELECTION_MSG_ANSWER, ELECTION_REFUSED, 3);
	message(ELECTION_MSG_CLAIM, 0, 3, 2, 0);
	assert_sent(ELECTION_MSG_GRANT, ELECTION_REFUSED, 3);
	now += 1;
	message(ELECTION_MSG_CLAIM, 0, 3, 2, 0);
	assert_true(out.persist);
}

static void a_release_opens_the_guard_for_the_next_epoch_only(void **state)
{
	beat(1, 1, 1, 0);
	message(ELECTION_MSG_CLAIM, 0, 3, 3, 1);
	assert_sent(ELECTION_MSG_GRANT, ELECTION_REFUSED, 3);
	message(ELECTION_MSG_CLAIM, 0, 3, 2, 3);
	assert_sent(ELECTION_MSG_GRANT, ELECTION_REFUSED, 3);
	message(ELECTION_MSG_CLAIM, 0, 3, 2, 1);
	assert_true(out.persist);
}

static void a_failed_master_is_replaced_when_the_guard_is_over(void **state)
{
	beat(3, 1, 3, 0);
	now += BEAT;
	step((struct election_input){.event = ELECTION_EV_FAILED, .server = 3});
	assert_int_equal(election_role(&e), ELECTION_FOLLOWER);
	now += GUARD - BEAT - 1;
	timer();
	assert_int_equal(election_role(&e), ELECTION_FOLLOWER);
	now += BEAT / 2;
	timer();
	assert_int_equal(election_role(&e), ELECTION_CANDIDATE);
	/* The better one is known to be gone: nothing is left to wait for. */
	message(ELECTION_MSG_ANSWER, ELECTION_GRANTED, 1, 1, 0);
	assert_true(out.persist);
}

static void a_silent_master_is_replaced_without_the_detector(void **state)
{
	beat(3, 1, 3, 0);
	now += GUARD + 4 * BEAT;
	timer();
	assert_int_equal(election_role(&e), ELECTION_CANDIDATE);
}

static void a_master_of_a_later_epoch_is_followed_when_that_is_stored(void **state)
{
	beat(3, 7, 3, 0);
	assert_true(out.persist);
	assert_false(out.ack_beat);
	assert_int_equal(election_epoch(&e), 1);
	stored();
	assert_int_equal(election_epoch(&e), 7);
	assert_int_equal(election_master(&e), 3);
	beat(1, 2, 1, 0);
	assert_false(out.ack_beat);
	assert_int_equal(election_master(&e), 3);
}

static void the_lease_counts_from_the_send_time_that_a_majority_acknowledged(void **state)
{
	lead();
	uint64_t sent = now;

	assert_int_equal(out.lease_until_ms, 0);
	now += 30;
	beat(1, 2, 2, sent);
	assert_int_equal(out.lease_until_ms, sent + LEASE);
	beat(3, 2, 2, sent + 20);
	assert_int_equal(out.lease_until_ms, sent + 20 + LEASE);
	beat(3, 1, 2, sent + 30); /* of another epoch */
	beat(3, 2, 0, sent + 30);
	beat(3, 2, 2, sent + 500); /* from the future */
	assert_int_equal(out.lease_until_ms, sent + 20 + LEASE);
	now = sent + 20 + LEASE;
	timer();
	assert_int_equal(out.lease_until_ms, 0);
	assert_int_equal(election_role(&e), ELECTION_MASTER);
}

static void a_master_without_a_lease_steps_down_after_ten_beats(void **state)
{
	lead();
	now += 10 * BEAT - 1;
	timer();
	assert_int_equal(election_role(&e), ELECTION_MASTER);
	now += 1;
	timer();
	assert_int_equal(election_role(&e), ELECTION_FOLLOWER);
	assert_int_equal(election_master(&e), 0);
}

static void a_master_with_a_lease_is_not_deposed_by_a_claim(void **state)
{
	lead();
	now += 5 * BEAT;
	beat(1, 2, 2, now - 10);
	message(ELECTION_MSG_CLAIM, 0, 3, 9, 0);
	assert_sent(ELECTION_MSG_GRANT, ELECTION_REFUSED, 3);
	assert_int_equal(election_role(&e), ELECTION_MASTER);
}

static void a_master_steps_down_for_one_of_a_later_epoch(void **state)
{
	lead();
	beat(1, 2, 2, now);
	assert_int_not_equal(out.lease_until_ms, 0);
	message(ELECTION_MSG_COORDINATOR, 0, 3, 3, 0);
	assert_int_equal(out.lease_until_ms, 0);
	assert_int_equal(election_role(&e), ELECTION_FOLLOWER);
	stored();
	assert_int_equal(election_master(&e), 3);
}

/* Both peers follow for 'n' beats; returns after how many it had something to say, -1: nothing. */
static int serve(int n)
{
	for (int i = 1; i <= n; i++) {
		now += BEAT;
		for (uint16_t peer = 1; peer <= 3; peer += 2) {
			beat(peer, 2, 2, now - 10);
			if (out.n_sends > 0)
				return i;
		}
	}
	return -1;
}

static void a_better_server_is_given_the_lead_after_its_hold_down(void **state)
{
	lead();
	assert_in_range(serve(100), HOLD / BEAT, HOLD / BEAT + 2);
	assert_sent(ELECTION_MSG_TRANSFER, 0, 3);
	assert_int_equal(out.sends[0].epoch, 2);
	assert_int_equal(out.lease_until_ms, 0);
	assert_int_equal(election_role(&e), ELECTION_FOLLOWER);
	message(ELECTION_MSG_CLAIM, 0, 3, 3, 2);
	assert_true(out.persist);
}

static void each_loss_doubles_the_hold_down_up_to_eight_times(void **state)
{
	static const int factors[] = {2, 4, 8, 8};

	for (int n = 0; n < 4; n++) {
		setup(NULL);
		lead();
		for (int i = 0; i <= n; i++) {
			serve(1);
			step((struct election_input){.event = ELECTION_EV_FAILED, .server = 3});
		}
		assert_in_range(serve(1000), factors[n] * HOLD / BEAT,
				factors[n] * HOLD / BEAT + 2);
	}
}

static void an_unhealthy_master_hands_over_to_the_best_healthy_one(void **state)
{
	lead();
	serve(2);
	tell(false, 5);
	assert_in_range(serve(100), 9, 11);
	assert_sent(ELECTION_MSG_TRANSFER, 0, 3);
}

static void the_chosen_one_claims_at_once(void **state)
{
	beat(1, 1, 1, 0);
	message(ELECTION_MSG_TRANSFER, 0, 1, 1, 0);
	assert_true(out.persist);
	stored();
	assert_sent_to_all(ELECTION_MSG_CLAIM);
	assert_int_equal(out.sends[0].epoch, 2);
	assert_int_equal(out.sends[0].released_by, 1);
}

static void an_old_transfer_is_ignored(void **state)
{
	beat(1, 4, 1, 0);
	stored();
	message(ELECTION_MSG_TRANSFER, 0, 1, 3, 0);
	assert_false(out.persist);
}

static void a_voter_left_behind_in_a_later_epoch_makes_the_master_renew(void **state)
{
	lead();
	for (int i = 0; i < 4; i++) {
		now += BEAT;
		beat(3, 2, 2, now - 10);
		beat(1, 5, 0, 0);
		assert_int_equal(election_role(&e), ELECTION_MASTER);
	}
	now += BEAT;
	beat(3, 2, 2, now - 10);
	assert_int_equal(election_role(&e), ELECTION_CANDIDATE);
	assert_sent_to_all(ELECTION_MSG_ELECTION);
	assert_int_equal(out.sends[0].epoch, 6);
}

static void a_single_voter_leads_as_soon_as_it_is_stored(void **state)
{
	start(2, 1, 0);
	stored();
	assert_true(out.persist);
	assert_int_equal(election_role(&e), ELECTION_CANDIDATE);
	stored();
	assert_int_equal(election_role(&e), ELECTION_MASTER);
	assert_int_equal(out.lease_until_ms, now + LEASE);
	now += 10000;
	timer();
	assert_int_equal(out.lease_until_ms, now + LEASE);
}

static void a_server_that_is_no_voter_follows_and_never_stands(void **state)
{
	start(9, 3, 0);
	stored();
	tell(true, 5);
	now += 100 * BEAT;
	timer();
	assert_int_equal(out.n_sends, 0);
	beat(1, 3, 1, 0);
	stored();
	assert_int_equal(election_master(&e), 1);
	assert_int_equal(election_epoch(&e), 3);
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
		step((struct election_input){.event = ELECTION_EV_MESSAGE, .message = &bad[i]});
		assert_int_equal(election_n_rejected(&e), i + 1);
		assert_int_equal(out.n_sends, 0);
		assert_false(out.persist);
	}
	step((struct election_input){.event = ELECTION_EV_MESSAGE, .message = &good});
	assert_true(out.persist);
}

static void an_old_incarnation_is_not_heard(void **state)
{
	struct election_beat b = {.from = 3, .from_boot = 2, .epoch = 1, .master = 3};

	step((struct election_input){.event = ELECTION_EV_BEAT, .beat = &b});
	assert_true(out.ack_beat);
	b.from_boot = 1;
	step((struct election_input){.event = ELECTION_EV_BEAT, .beat = &b});
	assert_false(out.ack_beat);
	message(ELECTION_MSG_CLAIM, 0, 3, 2, 0);
	assert_int_equal(out.n_sends, 0);
	assert_int_equal(election_n_rejected(&e), 2);
}

static void every_message_has_a_name(void **state)
{
	for (uint8_t kind = ELECTION_MSG_ELECTION; kind <= ELECTION_MSG_TRANSFER; kind++)
		assert_string_not_equal(election_message_name(kind), "unknown");
	assert_string_equal(election_message_name(0), "unknown");
}

int main(void)
{
#define T(test) cmocka_unit_test_setup(test, setup)
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
		T(a_single_voter_leads_as_soon_as_it_is_stored),
		T(a_server_that_is_no_voter_follows_and_never_stands),
		T(messages_that_make_no_sense_are_counted_and_change_nothing),
		T(an_old_incarnation_is_not_heard),
		T(every_message_has_a_name),
	};
#undef T
	return cmocka_run_group_tests(tests, NULL, NULL);
}
