/* trial.h - the real program on one frame, and what it made of it.
 *
 * Thread:  the one that runs the tests: what is wrong here fails the test.
 * Memory:  a struct steer belongs to the caller of trial_create(); trial_setup()'s to the test.
 */
#ifndef BELLWETHER_TESTS_BPF_TRIAL_H
#define BELLWETHER_TESTS_BPF_TRIAL_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/steer.h"
#include "tests/bpf/frame.h"

#define PORT_SNMP   162
#define PORT_NATIVE 7410
#define PORT_RELAY  7402

#define KNOWN_4	 FRAME_SOURCE
#define KNOWN_6	 "2001:db8::a"
#define OTHER_4	 "192.0.2.2"
#define PEER_4	 "192.0.2.77"
#define STRANGER "192.0.2.200"
#define PLENTY	 1000000

/* The ports above on the laboratory's interface; plenty for unknown sources. */
struct steer_config trial_config(void);
/* With the four known sources above in it. */
struct steer *trial_create(const struct steer_config *cfg);
void trial_put(struct steer *s, const char *source, enum steer_class source_class,
	       uint32_t rate_pps, uint32_t burst);
int trial_setup(void **state); /* *state: a struct steer with trial_config() */
int trial_teardown(void **state);

/* What the kernel does with the frame, an XDP_ code. */
uint32_t trial_run(const struct steer *s, const uint8_t *bytes, size_t n, int repeat);
/* The verdict as the counters tell it; it has to be one, and to agree with the kernel's code. */
enum steer_verdict trial_verdict_of_bytes(const struct steer *s, const uint8_t *bytes, size_t n);
enum steer_verdict trial_verdict(const struct steer *s, const struct frame *f);

#define TRIAL(s, ...) trial_verdict(s, &(struct frame){__VA_ARGS__})

#endif
