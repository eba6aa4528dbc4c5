/* What a server that began with an empty disk may do in an election. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cp/election/election.h"

#define BEAT 100

/* Server 2 of 1, 2, 3, healthy and without a guard, but not knowing what it once held. */
static struct election e;
static struct election_output out;
static uint64_t now;

static void step(struct election_input in)
{
	in.now_ms = now;
	election_step(&e, &in, &out);
}

static void tell(bool is_forgetful)
{
	step((struct election_input){.event = ELECTION_EV_STATE,
				     .is_healthy = true,
				     .is_forgetful = is_forgetful,
				     .position = {!is_forgetful, is_forgetful ? 0 : 5}});
}

static int setup(void **state)
{
	struct election_config cfg = {.self = 2,
				      .n_voters = 3,
				      .voters = {{1, 10}, {2, 20}, {3, 30}},
				      .beat_ms = BEAT,
				      .hold_down_ms = 2000,
				      .seed = 1};
	struct election_durable disk = {.boot = 1, .epoch = 4};

	now = 10000;
	election_init(&e, &cfg, &disk, (struct election_position){0}, now, &out);
	step((struct election_input){.event = ELECTION_EV_PERSISTED});
	tell(true);
	now += 5 * BEAT;
	return 0;
}

static void hear(uint16_t from, uint64_t version)
{
	struct election_beat b = {.from = from,
				  .from_boot = 1,
				  .epoch = 4,
				  .is_healthy = true,
				  .position = {version != 0, version}};

	step((struct election_input){.event = ELECTION_EV_BEAT, .beat = &b});
}

static bool grants(uint16_t candidate, uint64_t version)
{
	struct election_message m = {.kind = ELECTION_MSG_CLAIM,
				     .from = candidate,
				     .to = 2,
				     .from_boot = 1,
				     .epoch = e.durable.epoch + 1,
				     .position = {version != 0, version}};

	step((struct election_input){.event = ELECTION_EV_MESSAGE, .message = &m});
	if (!out.persist)
		return false;
	step((struct election_input){.event = ELECTION_EV_PERSISTED});
	return out.sends[0].verdict == ELECTION_GRANTED;
}

static bool stands(void)
{
	for (int i = 0; i < 20; i++, now += BEAT) {
		step((struct election_input){.event = ELECTION_EV_TIMER});
		if (election_role(&e) == ELECTION_CANDIDATE)
			return true;
	}
	return false;
}

static void alone_it_neither_votes_nor_stands(void **state)
{
	assert_false(grants(3, 7));
	assert_false(grants(3, 0));
	assert_false(stands());
}

static void among_those_who_hold_something_it_neither_votes_nor_stands(void **state)
{
	hear(1, 7);
	hear(3, 7);
	assert_false(grants(3, 7));
	assert_false(stands());
}

static void where_a_majority_holds_nothing_it_votes_and_stands(void **state)
{
	hear(1, 0);
	assert_true(stands());
	setup(state);
	hear(1, 0);
	assert_true(grants(1, 0));
}

static void it_votes_for_one_with_nothing_only_where_nobody_alive_has_something(void **state)
{
	hear(1, 0);
	hear(3, 7);
	assert_false(stands());
	assert_false(grants(1, 0));
	assert_true(grants(3, 7));
	setup(state);
	hear(1, 0);
	hear(3, 7);
	step((struct election_input){.event = ELECTION_EV_FAILED, .server = 3});
	assert_true(grants(1, 0));
}

static void it_votes_and_stands_again_once_it_holds_all(void **state)
{
	hear(1, 5);
	hear(3, 5);
	tell(false);
	assert_true(stands());
	setup(state);
	tell(false);
	assert_false(grants(3, 4));
	assert_true(grants(3, 5));
}

static void it_does_not_take_over_what_it_is_handed(void **state)
{
	struct election_message m = {
		.kind = ELECTION_MSG_TRANSFER, .from = 3, .to = 2, .from_boot = 1, .epoch = 4};

	hear(1, 7);
	hear(3, 7);
	step((struct election_input){.event = ELECTION_EV_MESSAGE, .message = &m});
	assert_false(out.persist);
	tell(false);
	step((struct election_input){.event = ELECTION_EV_MESSAGE, .message = &m});
	assert_true(out.persist);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(alone_it_neither_votes_nor_stands, setup),
		cmocka_unit_test_setup(among_those_who_hold_something_it_neither_votes_nor_stands,
				       setup),
		cmocka_unit_test_setup(where_a_majority_holds_nothing_it_votes_and_stands, setup),
		cmocka_unit_test_setup(
			it_votes_for_one_with_nothing_only_where_nobody_alive_has_something, setup),
		cmocka_unit_test_setup(it_votes_and_stands_again_once_it_holds_all, setup),
		cmocka_unit_test_setup(it_does_not_take_over_what_it_is_handed, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
