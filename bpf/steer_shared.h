/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/* steer_shared.h - what the XDP program and its loader both see: map keys, map values, verdicts. */
#ifndef BELLWETHER_BPF_STEER_SHARED_H
#define BELLWETHER_BPF_STEER_SHARED_H

#include <linux/bpf.h>
#include <linux/types.h>

/* What became of a frame, in the order of the STEER_ counters in dp/stats/stats.h. The first is not
 * a verdict but every frame that the program saw; it equals the sum of the others. */
enum steer_verdict {
	STEER_FRAMES,
	STEER_TAKEN,  /* to the AF_XDP socket of its queue; to the kernel where none is bound */
	STEER_PASSED, /* to the kernel, untouched */
	STEER_SOURCE_RATE,  /* dropped: a known element over its own rate */
	STEER_UNKNOWN_RATE, /* dropped: all unknown sources together over their rate */
	STEER_MALFORMED, /* dropped: for a management port, but its headers are cut short or lie */
	STEER_VERDICTS
};

/* Who may send to a port, and what an address is. */
enum steer_class {
	STEER_ELEMENT,
	STEER_PEER,
};

#define STEER_LISTEN_MAX 64 /* UDP ports */
#define STEER_LOCALS_MAX 64
#define STEER_QUEUES_MAX 64 /* size of xsks_map */

/* An IPv6 address, or an IPv4 address mapped into one (::ffff:a.b.c.d, RFC 4291 2.5.5.2). */
struct steer_address {
	__u8 octets[16];
};
_Static_assert(sizeof(struct steer_address) == 16, "key of sources and locals");

/* A token is one datagram; it is kept as a number of nanodatagrams, so that rate_pps times elapsed
 * nanoseconds needs no division. */
#define STEER_TOKEN 1000000000ull

/* A source and its token bucket. 'lock' protects all that stands below it. */
struct steer_source {
	struct bpf_spin_lock lock;
	__u32 source_class; /* enum steer_class; a peer has no bucket */
	__u32 rate_pps;	    /* 0: what the burst allows, and then nothing more */
	__u32 burst;
	__u64 tokens;  /* times STEER_TOKEN */
	__u64 last_ns; /* of the last refill; bpf_ktime_get_ns() */
	__u64 full_ns; /* after this time without a datagram the bucket is full */
};
_Static_assert(sizeof(struct steer_source) == 40, "value of sources and unknown");

struct steer_counts {
	__u64 n[STEER_VERDICTS];
};
_Static_assert(sizeof(struct steer_counts) == 8 * STEER_VERDICTS, "value of counts");

#endif
