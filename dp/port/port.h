/* port.h - a port of the data plane: an Ethernet device that DPDK drives, one receive and one
 * transmit queue, and, on a kernel interface, the XDP program that steers frames to it. Which
 * driver stands behind it makes no difference to anybody else.
 *
 * Thread:  control; port_rx() and port_tx_*() belong to the worker.
 * Memory:  from a pool of its own, made at start on the device's NUMA node. Keeps the
 * configuration. Returns: 0 done; <0 -errno, with a line in 'why' that an operator can act on.
 */
#ifndef BELLWETHER_DP_PORT_PORT_H
#define BELLWETHER_DP_PORT_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/steer.h"
#include "dp/conf/conf.h"

struct rte_mbuf;
struct port; /* opaque: see port.c */

#define PORT_BURST 32

/* What EAL is told of this port: "--vdev" or "-a", and the device with its arguments. For an AF_XDP
 * device a program that a killed process left on the interface is detached first: the caller holds
 * the segment for writing, so there is no living one. A foreign program is an error. */
int port_eal_argument(const struct conf *conf, uint32_t index, const char **option,
		      char argument[512], char *why, size_t why_bytes);

/* Starts device number 'index' of the configuration; EAL has probed it. The XDP program is loaded,
 * with its ports and addresses, and waits for its sources. */
int port_start(struct port **out, const struct conf *conf, uint32_t index, char *why,
	       size_t why_bytes);
/* Puts the XDP program in the place of the driver's, when the port has one. */
int port_attach(struct port *p, char *why, size_t why_bytes);

/* Says on standard error when the link of the port came or went since the last call. */
void port_watch(struct port *p);

bool port_is_relay(const struct port *p);
void port_ether_address(const struct port *p, uint8_t octets[6]);
/* Longest frame that it sends: of a kernel interface by its MTU at the start, else by the device's.
 */
uint16_t port_frame_max(const struct port *p);
struct steer *port_steer(struct port *p); /* NULL: no XDP program on this port */
uint64_t port_missed(struct port *p);	  /* frames that were lost before port_rx() */

/* At most PORT_BURST frames, which the caller frees. */
uint16_t port_rx(struct port *p, struct rte_mbuf **frames);

/* Room for one frame to send; NULL: no buffer. One frame is open at a time. */
uint8_t *port_tx_begin(struct port *p, uint16_t frame_bytes);
/* The open frame goes out with the next flush. False: the device took nothing of the last two
 * bursts, and the frame is dropped. */
bool port_tx_queue(struct port *p);
/* False: the device did not take all; the rest waits for the next flush. */
bool port_tx_flush(struct port *p);

void port_stop(struct port *p); /* takes NULL */

#endif
