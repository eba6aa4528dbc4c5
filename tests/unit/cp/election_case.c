#include "election_case.h"

struct election case_election;
struct election_output case_out;
struct election_durable case_disk;
uint64_t case_now;

void case_step(struct election_input in)
{
	in.now_ms = case_now;
	election_step(&case_election, &in, &case_out);
	if (case_out.persist)
		case_disk = case_out.durable;
}

void case_timer(void)
{
	case_step((struct election_input){.event = ELECTION_EV_TIMER});
}

void case_stored(void)
{
	case_step((struct election_input){.event = ELECTION_EV_PERSISTED});
}

void case_tell(bool is_healthy, uint64_t version)
{
	case_step((struct election_input){
		.event = ELECTION_EV_STATE, .is_healthy = is_healthy, .position = {1, version}});
}

void case_message(uint8_t kind, uint8_t verdict, uint16_t from, uint64_t epoch,
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
				     .round = case_election.round};

	case_step((struct election_input){.event = ELECTION_EV_MESSAGE, .message = &m});
}

void case_beat(uint16_t from, uint64_t epoch, uint16_t master, uint64_t acked_ms)
{
	struct election_beat b = {.from = from,
				  .from_boot = 1,
				  .epoch = epoch,
				  .master = master,
				  .is_healthy = true,
				  .position = {1, 5},
				  .acked_sent_ms = acked_ms};

	case_step((struct election_input){.event = ELECTION_EV_BEAT, .beat = &b});
}

void case_start(uint16_t self, uint32_t n_voters, uint64_t epoch)
{
	struct election_config cfg = {.self = self,
				      .n_voters = n_voters,
				      .voters = {{1, 10}, {2, 20}, {3, 30}, {4, 40}, {5, 50}},
				      .beat_ms = BEAT,
				      .hold_down_ms = HOLD,
				      .seed = 1};

	if (n_voters == 1)
		cfg.voters[0].id = self;
	case_disk =
		(struct election_durable){.boot = 1, .epoch = epoch, .voted_for = epoch ? 1 : 0};
	election_init(&case_election, &cfg, &case_disk, (struct election_position){1, 5}, case_now,
		      &case_out);
}

/* In epoch 1, healthy, without a master and without a guard. */
int case_setup(void **state)
{
	case_now = 10000;
	case_start(2, 3, 1);
	case_stored();
	case_tell(true, 5);
	case_now += GUARD;
	return 0;
}

void case_assert_sent(uint8_t kind, uint8_t verdict, uint16_t to)
{
	assert_int_equal(case_out.n_sends, 1);
	assert_int_equal(case_out.sends[0].kind, kind);
	assert_int_equal(case_out.sends[0].verdict, verdict);
	assert_int_equal(case_out.sends[0].to, to);
}

void case_assert_sent_to_all(uint8_t kind)
{
	assert_int_equal(case_out.n_sends, 2);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(case_out.sends[i].kind, kind);
		assert_int_equal(case_out.sends[i].to, i == 0 ? 1 : 3);
	}
}

void case_ask(void)
{
	case_now += 3 * BEAT;
	case_timer();
	assert_int_equal(election_role(&case_election), ELECTION_CANDIDATE);
}

void case_lead(void)
{
	case_ask();
	case_message(ELECTION_MSG_ANSWER, ELECTION_GRANTED, 1, 1, 0);
	case_message(ELECTION_MSG_ANSWER, ELECTION_GRANTED, 3, 1, 0);
	case_stored();
	case_message(ELECTION_MSG_GRANT, ELECTION_GRANTED, 1, 2, 0);
	assert_int_equal(election_role(&case_election), ELECTION_MASTER);
}
