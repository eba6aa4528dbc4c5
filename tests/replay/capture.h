/* capture.h - what the test has to know of a capture file (libpcap's classic format, microseconds
 * or nanoseconds, of this machine's byte order): the data plane's own reader is DPDK's.
 *
 * Thread:  one.
 * Memory:  none is left behind.
 * Returns: 0 done; <0 -errno. -EINVAL: another format.
 */
#ifndef BELLWETHER_TESTS_REPLAY_CAPTURE_H
#define BELLWETHER_TESTS_REPLAY_CAPTURE_H

#include <stdint.h>

/* Whole frames in the file; one that is cut short at its end is none. */
int capture_count(const char *file, uint64_t *n_frames);

struct capture_relay {
	uint64_t n_metrics; /* messages of that kind */
	uint64_t n_alarms;  /* different alarms; each may have been sent more than once */
};

/* Of a file with nothing but relay messages over IPv4 (dp/relay/relay.h) to one peer. A file that
 * is not there has none. */
int capture_relay(const char *file, struct capture_relay *found);

#endif
