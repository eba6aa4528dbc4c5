/* steer.h - puts the XDP program 'steer' on an interface and tells it who may send.
 * The life of it: steer_detach_stale() before the port is opened; DPDK's net_af_xdp then loads
 * steer.bpf.o itself (xdp_prog=) and puts its sockets into xsks_map; after the port has started,
 * steer_create() loads a program that shares this xsks_map and has our sizes and options,
 * steer_source_put() names the sources, steer_attach() puts it in the place of the driver's, in one
 * step. Where no driver attached a program it brings an xsks_map of its own.
 *
 * Thread:  control; a struct steer is used by one thread at a time, in the interface's network
 *          namespace. libbpf has one printer a process: it is ours for the length of a call.
 * Memory:  copies what it is given. The kernel's tables are allocated by steer_create().
 * Returns: 0 done; <0 -errno, nothing changed; >0 an enum steer_answer, nothing changed.
 *          -EPERM: needs CAP_SYS_ADMIN (to find what a driver attached) and CAP_NET_ADMIN.
 */
#ifndef BELLWETHER_BPF_STEER_H
#define BELLWETHER_BPF_STEER_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/steer_shared.h"

struct steer; /* opaque: see steer.c */

enum steer_answer {
	STEER_NOT_FOUND = 1,
	STEER_FULL, /* sources_max sources are there */
};

/* One UDP port. What comes from others than its class shares the bucket of unknown sources. */
struct steer_port {
	uint16_t udp_port; /* host order */
	enum steer_class source_class;
};

struct steer_config {
	const char *interface;
	uint32_t sources_max; /* elements and peers; > 0 */
	bool take_lldp;
	const struct steer_port *listen;
	uint32_t n_listen;	     /* <= STEER_LISTEN_MAX */
	const uint8_t (*locals)[16]; /* our addresses; what is for others passes to the kernel */
	uint32_t n_locals;	     /* <= STEER_LOCALS_MAX; 0: any destination is taken for ours */
	uint32_t unknown_rate_pps;   /* datagrams a second of all unknown sources together */
	uint32_t unknown_burst;	     /* 0: none is taken */
	void (*log)(const char *line); /* what was refused, and libbpf's own words; may be NULL */
};

/* Detaches the program that a killed process of ours left on the interface; '*was_stale' says
 * whether there was one. It cannot tell a killed process from a living one: the caller knows, from
 * holding what only one process can hold, that it is the only one on this interface.
 * -EEXIST: a program that is not ours is there. -ENODEV: no such interface. */
int steer_detach_stale(const char *interface, bool *was_stale);

/* Loads the program, with ports and addresses filled in and no source yet; attaches nothing.
 * -EEXIST: a program that is not ours is attached. -ENODEV: no such interface. -EINVAL: no room for
 * a source, too many ports or addresses. */
int steer_create(struct steer **out, const struct steer_config *cfg);

/* Addresses are IPv6, or IPv4 mapped into it (::ffff:a.b.c.d). A known source that is put with
 * another class, rate or burst gets a full bucket; with the same ones nothing changes. 'rate_pps'
 * 0: the bucket is never refilled. A peer has no bucket. STEER_FULL. */
int steer_source_put(struct steer *s, const uint8_t address[16], enum steer_class source_class,
		     uint32_t rate_pps, uint32_t burst);
int steer_source_remove(struct steer *s, const uint8_t address[16]); /* STEER_NOT_FOUND */

/* Once. -EEXIST: since steer_create() another program came to the interface. -ERANGE or another
 * code of its driver: it takes no XDP program as the interface is set up, as a rule for its MTU. */
int steer_attach(struct steer *s);

/* Since steer_create(), summed over all processors. Reads again, a few times at most, while a frame
 * is just being counted, so that STEER_FRAMES is the sum of the others also under traffic. */
int steer_counters(const struct steer *s, uint64_t out[STEER_VERDICTS]);
int steer_prog_fd(const struct steer *s); /* borrowed; for the kernel's test-run call */

/* Takes NULL. Detaches the program if it is still the one on the interface: a driver that closes,
 * or a removed interface, may have been faster. */
void steer_destroy(struct steer *s);

#endif
