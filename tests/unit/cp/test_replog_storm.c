/* Anything may come in, from anybody, in any order: nothing of it may reach an assertion. */
#include "tests/unit/cp/replog_bed.h"

#define STEPS 1000000

static uint64_t state_of_random = 1;

/* splitmix64 */
static uint64_t draw(uint64_t below)
{
	uint64_t x = state_of_random += 0x9e3779b97f4a7c15u;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return (x ^ (x >> 31)) % below;
}

/* Mostly near what is there, so that much of it gets through. */
static uint64_t place(void)
{
	return draw(50) == 0 ? UINT64_MAX - draw(3) : r.last + 3 - draw(r.last < 12 ? 4 : 16);
}

static struct replog_append any_request(void)
{
	struct replog_append a = {.epoch = r.epoch,
				  .previous_index = place(),
				  .n_entries = (uint32_t)draw(6),
				  .to_boot = BOOT - (draw(20) == 0),
				  .committed = place()};
	uint64_t first = a.previous_index + 1;

	a.previous_epoch = draw(4) == 0 ? draw(r.epoch + 1) : replog_epoch_at(&r, first - 1);
	a.last = a.previous_index + a.n_entries + draw(2) * draw(5);
	for (uint64_t epoch = a.previous_epoch; a.n_runs < 3 && a.n_entries > 0; a.n_runs++) {
		epoch += draw(3);
		if (a.n_runs > 0 && draw(2) == 0)
			break;
		a.runs[a.n_runs] = (struct replog_run){epoch, first};
		first += 1 + draw(3);
	}
	return a;
}

static void any_input(void)
{
	struct replog_append a = any_request();
	struct replog_input in = {
		.event = (enum replog_event)draw(REPLOG_EV_TIMER + 1),
		.server = (uint16_t)(draw(10) == 0 ? draw(6) : r.master),
		.master = (uint16_t)draw(4),
		.boot = (uint32_t)draw(3),
		.n = (uint32_t)draw(4),
		.epoch = r.epoch,
		.index = draw(3) == 0 ? r.known + draw(9) : place(),
		.call = r.calls - draw(r.calls < 4 ? r.calls + 1 : 4),
		.is_acting = draw(2),
		.is_accepted = draw(2),
		.is_last = draw(2),
		.write = {r.writes - draw(r.writes < 3 ? r.writes + 1 : 3), place()},
		.append = &a,
	};

	in.index_epoch = draw(r.epoch + 2);
	if (in.event == REPLOG_EV_ROLE && draw(4) != 0)
		in.event = REPLOG_EV_STORED;
	if (in.event == REPLOG_EV_ROLE) {
		in.epoch += draw(2);
	} else if (in.event == REPLOG_EV_ANSWER || in.event == REPLOG_EV_FAILED ||
		   in.event == REPLOG_EV_PEER) {
		in.server = (uint16_t)(1 + draw(4));
	}
	now += draw(30);
	step(in);
}

static void assert_sound(void)
{
	assert_true(r.first >= 1 && r.first <= r.last + 1);
	assert_true(r.stored <= r.last && r.known <= r.last && r.committed <= r.known);
	assert_true(out.n_sends <= 3);
	assert_int_equal(r.n_runs > 0, r.last >= r.first);
	for (uint32_t i = 1; i < r.n_runs; i++)
		assert_true(r.runs[i].epoch > r.runs[i - 1].epoch &&
			    r.runs[i].first > r.runs[i - 1].first && r.runs[i].first <= r.last);
}

static void no_order_of_inputs_breaks_the_log(void **state)
{
	uint64_t n_taken = 0, n_given_up = 0, n_snapshots = 0, n_committed = 0, n_refused = 0;

	for (int i = 0; i < STEPS; i++) {
		uint64_t committed;

		if (i % 500 == 0)
			start_with(i % 1000 == 0 ? 0 : 9, i % 1000 == 0 ? 0 : 4);
		committed = r.committed;
		any_input();
		assert_sound();
		assert_true(out.begin_snapshot || r.committed >= committed);
		n_taken += out.take_from != 0;
		n_given_up += out.give_up_from != 0;
		n_snapshots += out.begin_snapshot;
		n_committed += r.committed > committed;
		n_refused += out.verdict == REPLOG_REFUSED;
	}
	/* It was not all refused at the door. */
	assert_true(n_taken > STEPS / 1000 && n_given_up > STEPS / 10000);
	assert_true(n_snapshots > STEPS / 1000 && n_committed > STEPS / 10000);
	assert_true(n_refused > STEPS / 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_order_of_inputs_breaks_the_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
