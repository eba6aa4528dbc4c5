/* trial.c - see trial.h. */
#include "tests/bpf/trial.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <bpf/bpf.h>

#include "tests/bpf/lab.h"

static const struct steer_port ports[] = {
	{PORT_SNMP, STEER_ELEMENT},
	{PORT_NATIVE, STEER_ELEMENT},
	{PORT_RELAY, STEER_PEER},
};

static void print_log(const char *line)
{
	printf("%s\n", line);
}

struct steer_config trial_config(void)
{
	return (struct steer_config){
		.interface = LAB_NEAR,
		.sources_max = 16,
		.listen = ports,
		.n_listen = sizeof(ports) / sizeof(ports[0]),
		.unknown_rate_pps = PLENTY,
		.unknown_burst = PLENTY,
		.log = print_log,
	};
}

void trial_put(struct steer *s, const char *source, enum steer_class source_class, uint32_t rate,
	       uint32_t burst)
{
	uint8_t address[16];

	frame_address(address, source);
	assert_int_equal(steer_source_put(s, address, source_class, rate, burst), 0);
}

struct steer *trial_create(const struct steer_config *cfg)
{
	struct steer *s;

	assert_int_equal(steer_create(&s, cfg), 0);
	trial_put(s, KNOWN_4, STEER_ELEMENT, PLENTY, PLENTY);
	trial_put(s, KNOWN_6, STEER_ELEMENT, PLENTY, PLENTY);
	trial_put(s, OTHER_4, STEER_ELEMENT, PLENTY, PLENTY);
	trial_put(s, PEER_4, STEER_PEER, 0, 0);
	return s;
}

int trial_setup(void **state)
{
	struct steer_config cfg = trial_config();

	*state = trial_create(&cfg);
	return 0;
}

int trial_teardown(void **state)
{
	steer_destroy(*state);
	return 0;
}

uint32_t trial_run(const struct steer *s, const uint8_t *bytes, size_t n, int repeat)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = bytes, .data_size_in = (uint32_t)n,
		    .repeat = repeat);

	assert_int_equal(bpf_prog_test_run_opts(steer_prog_fd(s), &opts), 0);
	return opts.retval;
}

enum steer_verdict trial_verdict_of_bytes(const struct steer *s, const uint8_t *bytes, size_t n)
{
	uint64_t before[STEER_VERDICTS], after[STEER_VERDICTS];
	enum steer_verdict verdict = STEER_FRAMES;
	uint32_t code;

	assert_int_equal(steer_counters(s, before), 0);
	code = trial_run(s, bytes, n, 1);
	assert_int_equal(steer_counters(s, after), 0);
	assert_int_equal(after[STEER_FRAMES] - before[STEER_FRAMES], 1);
	for (enum steer_verdict v = STEER_TAKEN; v < STEER_VERDICTS; v++) {
		if (after[v] == before[v])
			continue;
		assert_int_equal(after[v] - before[v], 1);
		assert_int_equal(verdict, STEER_FRAMES); /* one verdict only */
		verdict = v;
	}
	/* No socket is bound here: what is taken falls back to the kernel. */
	if (verdict == STEER_TAKEN || verdict == STEER_PASSED)
		assert_int_equal(code, XDP_PASS);
	else
		assert_int_equal(code, XDP_DROP);
	return verdict;
}

enum steer_verdict trial_verdict(const struct steer *s, const struct frame *f)
{
	uint8_t bytes[FRAME_BYTES_MAX];
	size_t n = frame_write(bytes, f);

	return trial_verdict_of_bytes(s, bytes, n);
}
