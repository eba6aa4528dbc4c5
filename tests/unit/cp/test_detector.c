#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cp/detector/detector.h"

#define BEAT 100

static struct detector d;
static struct detector_output out;
static uint64_t now;

static void deliver(enum detector_event event, uint16_t peer, uint16_t via, bool is_reachable)
{
	struct detector_input in = {event, now, peer, via, is_reachable};

	detector_step(&d, &in, &out);
}

static void beat_of(uint16_t peer)
{
	deliver(DETECTOR_EV_BEAT, peer, 0, false);
}

/* Peers 2, 3 and 4. */
static int setup(void **state)
{
	const struct detector_config cfg = {.peers = {2, 3, 4}, .n_peers = 3, .beat_ms = BEAT};

	now = 1000;
	detector_init(&d, &cfg, now, &out);
	return 0;
}

/* One beat of time, in which all but 'silent' are heard. Actions and changes of the way add up to
 * the counts that are returned. */
static int pass(uint64_t ms, uint16_t silent)
{
	int n = 0;

	for (uint64_t end = now + ms; now < end;) {
		now += 25;
		deliver(DETECTOR_EV_TIMER, 0, 0, false);
		n += out.n_actions;
		for (uint16_t peer = 2; now % BEAT == 0 && peer <= 4; peer++)
			if (peer != silent)
				beat_of(peer);
	}
	return n;
}

static void make_suspect(uint16_t peer)
{
	pass(BEAT - now % BEAT, 0);
	pass(3 * BEAT, peer);
	assert_int_equal(detector_state(&d, peer), DETECTOR_ALIVE);
	now += 25;
	deliver(DETECTOR_EV_TIMER, 0, 0, false);
	assert_int_equal(detector_state(&d, peer), DETECTOR_SUSPECT);
}

static void a_heard_peer_is_alive(void **state)
{
	assert_int_equal(detector_state(&d, 2), DETECTOR_UNKNOWN);
	beat_of(2);
	assert_int_equal(detector_state(&d, 2), DETECTOR_ALIVE);
	assert_int_equal(out.n_changes, 1);
	assert_int_equal(out.changes[0].peer, 2);
	assert_int_equal(out.changes[0].from, DETECTOR_UNKNOWN);
	assert_int_equal(out.changes[0].to, DETECTOR_ALIVE);
}

static void beats_keep_a_peer_alive_without_probes(void **state)
{
	assert_int_equal(pass(100 * BEAT, 0), 0);
	assert_int_equal(detector_state(&d, 2), DETECTOR_ALIVE);
}

static void three_missing_beats_make_suspect_and_ask_two_others(void **state)
{
	make_suspect(3);
	assert_int_equal(out.n_actions, 3);
	assert_int_equal(out.actions[0].act, DETECTOR_PROBE);
	assert_int_equal(out.actions[0].peer, 3);
	assert_int_equal(out.actions[1].act, DETECTOR_ASK);
	assert_int_equal(out.actions[1].via, 4);
	assert_int_equal(out.actions[2].act, DETECTOR_ASK);
	assert_int_equal(out.actions[2].via, 2);
}

static void refusals_from_all_confirm_at_once(void **state)
{
	make_suspect(3);
	deliver(DETECTOR_EV_PROBE_RESULT, 3, 0, false);
	deliver(DETECTOR_EV_ASK_RESULT, 3, 2, false);
	assert_int_equal(detector_state(&d, 3), DETECTOR_SUSPECT);
	deliver(DETECTOR_EV_ASK_RESULT, 3, 4, false);
	assert_int_equal(detector_state(&d, 3), DETECTOR_FAILED);
	assert_int_equal(out.n_changes, 1);
}

static void the_same_answer_twice_counts_once(void **state)
{
	make_suspect(3);
	deliver(DETECTOR_EV_PROBE_RESULT, 3, 0, false);
	deliver(DETECTOR_EV_ASK_RESULT, 3, 2, false);
	deliver(DETECTOR_EV_ASK_RESULT, 3, 2, false);
	assert_int_equal(detector_state(&d, 3), DETECTOR_SUSPECT);
}

static void silence_of_all_confirms_after_two_beats(void **state)
{
	make_suspect(3);
	pass(2 * BEAT - 25, 3);
	assert_int_equal(detector_state(&d, 3), DETECTOR_SUSPECT);
	pass(25, 3);
	assert_int_equal(detector_state(&d, 3), DETECTOR_FAILED);
}

static void a_peer_that_anybody_reaches_is_not_failed_but_probed_again(void **state)
{
	make_suspect(3);
	deliver(DETECTOR_EV_PROBE_RESULT, 3, 0, false);
	deliver(DETECTOR_EV_ASK_RESULT, 3, 4, true);
	deliver(DETECTOR_EV_ASK_RESULT, 3, 2, false);
	assert_int_equal(detector_state(&d, 3), DETECTOR_SUSPECT);
	assert_int_equal(pass(2 * BEAT, 3), 3);
	assert_int_equal(detector_state(&d, 3), DETECTOR_SUSPECT);
	pass(2 * BEAT, 3);
	assert_int_equal(detector_state(&d, 3), DETECTOR_FAILED);
}

static void a_suspect_or_failed_peer_that_is_heard_is_alive(void **state)
{
	make_suspect(3);
	beat_of(3);
	assert_int_equal(detector_state(&d, 3), DETECTOR_ALIVE);
	make_suspect(4);
	pass(2 * BEAT, 4);
	assert_int_equal(detector_state(&d, 4), DETECTOR_FAILED);
	beat_of(4);
	assert_int_equal(detector_state(&d, 4), DETECTOR_ALIVE);
}

static void an_answer_that_comes_too_late_is_ignored(void **state)
{
	make_suspect(3);
	beat_of(3);
	deliver(DETECTOR_EV_PROBE_RESULT, 3, 0, false);
	assert_int_equal(detector_state(&d, 3), DETECTOR_ALIVE);
	assert_int_equal(out.n_changes, 0);
}

static void a_peer_never_heard_is_suspect_after_the_grace(void **state)
{
	pass(20 * BEAT - 25, 3);
	assert_int_equal(detector_state(&d, 3), DETECTOR_UNKNOWN);
	pass(25, 3);
	assert_int_equal(detector_state(&d, 3), DETECTOR_SUSPECT);
	pass(2 * BEAT, 3);
	assert_int_equal(detector_state(&d, 3), DETECTOR_FAILED);
}

static void own_absence_makes_nobody_suspect(void **state)
{
	pass(5 * BEAT, 0);
	now += 30 * BEAT;
	deliver(DETECTOR_EV_TIMER, 0, 0, false);
	assert_int_equal(out.n_changes, 0);
	assert_int_equal(detector_state(&d, 2), DETECTOR_ALIVE);
}

static void own_slowness_stretches_up_to_eight_and_is_forgotten(void **state)
{
	pass(BEAT, 0);
	assert_true(detector_stretch(&d) == 1.0);
	for (int i = 0; i < 20; i++) {
		now += 3 * BEAT;
		deliver(DETECTOR_EV_TIMER, 0, 0, false);
		assert_true(detector_stretch(&d) == (i < 7 ? i + 2.0 : 8.0));
	}
	pass(100 * BEAT, 0);
	assert_true(detector_stretch(&d) == 1.0);
}

static void stretched_suspicion_takes_longer(void **state)
{
	pass(BEAT, 0);
	now += 3 * BEAT;
	deliver(DETECTOR_EV_TIMER, 0, 0, false);
	pass(BEAT, 0);
	pass(6 * BEAT, 3);
	assert_int_equal(detector_state(&d, 3), DETECTOR_ALIVE);
	pass(BEAT, 3);
	assert_int_equal(detector_state(&d, 3), DETECTOR_SUSPECT);
}

static void a_peer_that_is_not_in_the_list_is_ignored(void **state)
{
	deliver(DETECTOR_EV_BEAT, 9, 0, false);
	deliver(DETECTOR_EV_PROBE_RESULT, 9, 0, false);
	deliver(DETECTOR_EV_ASK_RESULT, 0, 0, false);
	assert_int_equal(out.n_changes, 0);
	assert_int_equal(detector_state(&d, 9), DETECTOR_UNKNOWN);
}

static void a_full_list_that_falls_silent_fits_the_output(void **state)
{
	struct detector_config cfg = {.n_peers = DETECTOR_PEERS_MAX, .beat_ms = BEAT};

	for (int i = 0; i < DETECTOR_PEERS_MAX; i++)
		cfg.peers[i] = i + 1;
	detector_init(&d, &cfg, now, &out);
	for (int i = 0; i < 4; i++, now += BEAT)
		deliver(DETECTOR_EV_TIMER, 0, 0, false);
	for (int i = 0; i < DETECTOR_PEERS_MAX; i++)
		beat_of(i + 1);
	for (int i = 0; i < 3; i++) {
		now += BEAT;
		deliver(DETECTOR_EV_TIMER, 0, 0, false);
	}
	now += BEAT / 4;
	deliver(DETECTOR_EV_TIMER, 0, 0, false);
	assert_int_equal(out.n_changes, DETECTOR_PEERS_MAX);
	assert_in_range(out.n_actions, DETECTOR_PEERS_MAX, DETECTOR_ASKS_MAX);
}

static void the_wake_up_is_never_later_than_a_beat(void **state)
{
	pass(BEAT, 0);
	assert_in_range(out.wake_at_ms, now + 1, now + BEAT);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup(test, setup)
	const struct CMUnitTest tests[] = {
		T(a_heard_peer_is_alive),
		T(beats_keep_a_peer_alive_without_probes),
		T(three_missing_beats_make_suspect_and_ask_two_others),
		T(refusals_from_all_confirm_at_once),
		T(the_same_answer_twice_counts_once),
		T(silence_of_all_confirms_after_two_beats),
		T(a_peer_that_anybody_reaches_is_not_failed_but_probed_again),
		T(a_suspect_or_failed_peer_that_is_heard_is_alive),
		T(an_answer_that_comes_too_late_is_ignored),
		T(a_peer_never_heard_is_suspect_after_the_grace),
		T(own_absence_makes_nobody_suspect),
		T(own_slowness_stretches_up_to_eight_and_is_forgotten),
		T(stretched_suspicion_takes_longer),
		T(a_peer_that_is_not_in_the_list_is_ignored),
		T(a_full_list_that_falls_silent_fits_the_output),
		T(the_wake_up_is_never_later_than_a_beat),
	};
#undef T
	return cmocka_run_group_tests(tests, NULL, NULL);
}
