/* test_steer_rate.c - who is slowed down, and who is not: the program's buckets and its sources. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include <bpf/bpf.h>

#include "bpf/steer.h"
#include "tests/bpf/frame.h"
#include "tests/bpf/lab.h"
#include "tests/bpf/trial.h"

static void fragments_cost_their_element_tokens(void **state)
{
	trial_put(*state, KNOWN_4, STEER_ELEMENT, 0, 1);
	assert_int_equal(TRIAL(*state, .fragment = 0x0005), STEER_TAKEN);
	assert_int_equal(TRIAL(*state, .fragment = 0x0005), STEER_SOURCE_RATE);
	assert_int_equal(TRIAL(*state, .udp_port = PORT_SNMP), STEER_SOURCE_RATE);
}

static void burst_is_taken_and_what_is_over_it_dropped(void **state)
{
	trial_put(*state, KNOWN_4, STEER_ELEMENT, 0, 5);
	for (int i = 0; i < 5; i++)
		assert_int_equal(TRIAL(*state, .udp_port = PORT_SNMP), STEER_TAKEN);
	for (int i = 0; i < 5; i++)
		assert_int_equal(TRIAL(*state, .udp_port = PORT_SNMP), STEER_SOURCE_RATE);
	/* No element slows another, and other traffic of the same host goes on. */
	assert_int_equal(TRIAL(*state, .udp_port = PORT_SNMP, .source = OTHER_4), STEER_TAKEN);
	assert_int_equal(TRIAL(*state, .udp_port = PORT_SNMP, .source = KNOWN_6), STEER_TAKEN);
	assert_int_equal(TRIAL(*state, .udp_port = 53), STEER_PASSED);
}

static void bucket_refills_with_time(void **state)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	enum steer_verdict verdict;
	int tries = 0;

	trial_put(*state, KNOWN_4, STEER_ELEMENT, 20, 1);
	assert_int_equal(TRIAL(*state, .udp_port = PORT_SNMP), STEER_TAKEN);
	do {
		nanosleep(&pause, NULL);
		verdict = TRIAL(*state, .udp_port = PORT_SNMP);
	} while (verdict == STEER_SOURCE_RATE && ++tries < 10000);
	assert_int_equal(verdict, STEER_TAKEN);
}

/* Puts the known element with 1/s and a burst of 4, as if it had this many tokens 'age_s' ago. */
static void bucket_set(const struct steer *s, unsigned int tokens, unsigned int age_s)
{
	int fd = lab_map_open(steer_prog_fd(s), "sources");
	struct steer_source source;
	uint8_t address[16];
	struct timespec now;

	frame_address(address, KNOWN_4);
	assert_int_equal(bpf_map_lookup_elem(fd, address, &source), 0);
	clock_gettime(CLOCK_MONOTONIC, &now); /* the clock of bpf_ktime_get_ns() */
	source.last_ns = (uint64_t)(now.tv_sec - age_s) * 1000000000u + (uint64_t)now.tv_nsec;
	source.tokens = tokens * STEER_TOKEN;
	assert_int_equal(bpf_map_update_elem(fd, address, &source, BPF_F_LOCK), 0);
	close(fd);
}

static void bucket_never_holds_more_than_its_burst(void **state)
{
	static const struct {
		unsigned int tokens, age_s, taken;
	} cases[] = {
		{0, 2, 2}, /* half refilled */
		{4, 2, 4}, /* full, and two seconds would add two */
		{0, 9, 4}, /* idle for longer than it takes to fill */
		{4, 9, 4},
	};
	const struct frame f = {.udp_port = PORT_SNMP};
	uint8_t bytes[FRAME_BYTES_MAX];
	size_t n = frame_write(bytes, &f);

	trial_put(*state, KNOWN_4, STEER_ELEMENT, 1, 4);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t before[STEER_VERDICTS], after[STEER_VERDICTS];

		bucket_set(*state, cases[i].tokens, cases[i].age_s);
		assert_int_equal(steer_counters(*state, before), 0);
		trial_run(*state, bytes, n, 100);
		assert_int_equal(steer_counters(*state, after), 0);
		assert_int_equal(after[STEER_TAKEN] - before[STEER_TAKEN], cases[i].taken);
		assert_int_equal(after[STEER_SOURCE_RATE] - before[STEER_SOURCE_RATE],
				 100 - cases[i].taken);
	}
}

static void putting_the_same_source_again_refills_nothing(void **state)
{
	trial_put(*state, KNOWN_4, STEER_ELEMENT, 0, 1);
	assert_int_equal(TRIAL(*state, .udp_port = PORT_SNMP), STEER_TAKEN);
	trial_put(*state, KNOWN_4, STEER_ELEMENT, 0, 1);
	assert_int_equal(TRIAL(*state, .udp_port = PORT_SNMP), STEER_SOURCE_RATE);
	trial_put(*state, KNOWN_4, STEER_ELEMENT, 0, 2);
	assert_int_equal(TRIAL(*state, .udp_port = PORT_SNMP), STEER_TAKEN);
	assert_int_equal(TRIAL(*state, .udp_port = PORT_SNMP), STEER_TAKEN);
	assert_int_equal(TRIAL(*state, .udp_port = PORT_SNMP), STEER_SOURCE_RATE);
}

static void unknown_sources_share_a_bucket_that_no_element_feels(void **state)
{
	struct steer_config cfg = trial_config();
	struct steer *s;

	cfg.unknown_rate_pps = 0;
	cfg.unknown_burst = 2;
	s = trial_create(&cfg);
	assert_int_equal(TRIAL(s, .udp_port = PORT_SNMP, .source = STRANGER), STEER_TAKEN);
	assert_int_equal(TRIAL(s, .udp_port = PORT_SNMP, .source = "2001:db8::dead"), STEER_TAKEN);
	assert_int_equal(TRIAL(s, .udp_port = PORT_SNMP, .source = STRANGER), STEER_UNKNOWN_RATE);
	assert_int_equal(TRIAL(s, .udp_port = PORT_NATIVE, .source = "192.0.2.201"),
			 STEER_UNKNOWN_RATE);
	assert_int_equal(TRIAL(s, .udp_port = PORT_SNMP), STEER_TAKEN);
	assert_int_equal(TRIAL(s, .udp_port = 53, .source = STRANGER), STEER_PASSED);
	steer_destroy(s);
}

static void removed_source_is_unknown_again(void **state)
{
	struct steer_config cfg = trial_config();
	uint8_t address[16];
	struct steer *s;

	cfg.unknown_burst = 0;
	s = trial_create(&cfg);
	assert_int_equal(TRIAL(s, .udp_port = PORT_SNMP), STEER_TAKEN);
	frame_address(address, KNOWN_4);
	assert_int_equal(steer_source_remove(s, address), 0);
	assert_int_equal(steer_source_remove(s, address), STEER_NOT_FOUND);
	assert_int_equal(TRIAL(s, .udp_port = PORT_SNMP), STEER_UNKNOWN_RATE);
	steer_destroy(s);
}

static void table_of_sources_says_when_it_is_full(void **state)
{
	struct steer_config cfg = trial_config();
	uint8_t address[16];
	struct steer *s;

	cfg.sources_max = 4; /* as many as trial_create() puts */
	s = trial_create(&cfg);
	frame_address(address, STRANGER);
	assert_int_equal(steer_source_put(s, address, STEER_ELEMENT, 1, 1), STEER_FULL);
	frame_address(address, KNOWN_4);
	assert_int_equal(steer_source_put(s, address, STEER_ELEMENT, 1, 1), 0);
	assert_int_equal(steer_source_remove(s, address), 0);
	frame_address(address, STRANGER);
	assert_int_equal(steer_source_put(s, address, STEER_ELEMENT, 1, 1), 0);
	steer_destroy(s);
}

#define RUNS_A_THREAD 200000

static void *run_many(void *arg)
{
	const struct frame f = {.udp_port = PORT_SNMP};
	uint8_t bytes[FRAME_BYTES_MAX];
	size_t n = frame_write(bytes, &f);
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = bytes, .data_size_in = (uint32_t)n,
		    .repeat = RUNS_A_THREAD);

	/* cmocka's own state belongs to the main thread: the counters tell what happened here. */
	bpf_prog_test_run_opts(steer_prog_fd(arg), &opts);
	return NULL;
}

static void two_processors_never_take_one_token_twice(void **state)
{
	uint64_t n[STEER_VERDICTS];
	pthread_t threads[2];

	trial_put(*state, KNOWN_4, STEER_ELEMENT, 0, RUNS_A_THREAD);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_many, *state), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(steer_counters(*state, n), 0);
	assert_int_equal(n[STEER_FRAMES], 2 * RUNS_A_THREAD);
	assert_int_equal(n[STEER_TAKEN], RUNS_A_THREAD);
	assert_int_equal(n[STEER_SOURCE_RATE], RUNS_A_THREAD);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, trial_setup, trial_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(fragments_cost_their_element_tokens),
		TEST(burst_is_taken_and_what_is_over_it_dropped),
		TEST(bucket_refills_with_time),
		TEST(bucket_never_holds_more_than_its_burst),
		TEST(putting_the_same_source_again_refills_nothing),
		TEST(unknown_sources_share_a_bucket_that_no_element_feels),
		TEST(removed_source_is_unknown_again),
		TEST(table_of_sources_says_when_it_is_full),
		TEST(two_processors_never_take_one_token_twice),
	};
	int skipped = lab_enter();

	return skipped != 0 ? skipped : cmocka_run_group_tests(tests, NULL, NULL);
}
