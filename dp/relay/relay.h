/* relay.h - datagrams for elements of other owners, from data plane to data plane.
 * Two streams to each peer. Metrics are sent once, and forgotten. Alarms lie in a bounded spool until the
 * owner acknowledges them: they are sent in order, again after a time-out, and the owner takes them over in
 * order and once (go-back-N; sequence numbers per stream, ingest server and boot). When a cell gets
 * another owner, or none, its alarms in the spool follow it, in their order; when it becomes ours,
 * they are handed back. So an alarm that a living server received survives the death of the owner.
 *
 * The message, after UDP (all integers big-endian), RELAY_HEADER_BYTES octets and the datagram:
 *    0 version 1   1 kind: 1 metrics, 2 alarms, 3 acknowledgement   2 format   3 zero
 *    4 ingest server (2)   6 destination server (2)   8 boot of the sender's data plane (4)
 *   12 sequence (8)   20 source address (16)   36 bitmap of the reports meant (8)
 *   44 tag (16): seal.h over octets 0-43 and the datagram, nonce = sequence with the top two bits = kind
 * An acknowledgement: sequence = its own count, octets 20-27 the boot it acknowledges (as 8), 28-35 the
 * highest alarm sequence taken over, the others zero; no datagram.
 * An alarm message larger than a port's frames is dropped when it is given, by name.
 *
 * Thread:  worker.
 * Memory:  all at creation. Keeps 'stats' and the port. Peers, keys and neighbours are copied.
 * Returns: 0 done; <0 -errno. What becomes of a message is counted in the STATS_RELAY_OUT group, of a
 *          frame in STATS_FRAME_OUT. RELAY_WAITING is kept current.
 */
#ifndef BELLWETHER_DP_RELAY_RELAY_H
#define BELLWETHER_DP_RELAY_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "dp/apply/apply.h"
#include "dp/fedmem/fedmem.h"
#include "dp/pkt/pkt.h"
#include "dp/stats/stats.h"

#define RELAY_HEADER_BYTES 60
#define RELAY_FRAME_MAX	   2048 /* longest frame that is ever written */

/* Where frames leave. 'begin' gives room for one frame of n octets or NULL (no buffer); 'send' takes the
 * frame of the last 'begin'. False: the port's queue is full; the frame is gone. */
struct relay_port {
	void *port;
	uint8_t *(*begin)(void *port, uint16_t frame_bytes);
	bool (*send)(void *port);
	uint8_t ether_address[6];
	uint16_t frame_max; /* longest frame that the port sends */
};

struct relay_config {
	uint16_t self;
	uint16_t udp_port;		     /* 7402 */
	struct fedmem_address local_address; /* where frames come from */
	uint32_t spool_max;		     /* alarms */
	uint64_t resend_ns;		     /* first time-out; doubles up to eight times */
};

struct relay; /* opaque: see relay.c */

/* 'port' may be NULL: a server without a relay port keeps alarms and counts metrics as
 * relay_no_neighbour. */
int relay_create(struct relay **out, const struct relay_config *cfg, const struct relay_port *port,
		 struct stats *stats);

/* The server table changed: peers, keys, boots, neighbours. A peer's new boot starts its streams anew: what
 * it has not acknowledged is sent again. Our own new boot (relay_boot_tx) starts ours anew. */
void relay_servers(struct relay *r, const struct fedmem_server *servers, uint32_t n);
/* The cell table changed, or the lease began or ended: alarms follow their cells. */
void relay_cells(struct relay *r, const struct fedmem_cell *cells, uint32_t n, bool may_own);

/* For struct apply_relay. */
bool relay_give(void *relay, const struct apply_datagram *d, uint32_t cell, bool is_alarm);

/* The next alarm of the spool whose cell is ours now, oldest first; it is out of the spool then and counted
 * as taken back. The datagram lives until the next call. False: there is none. */
bool relay_take_back(struct relay *r, struct apply_datagram *d);

/* Handles one message that came to the relay port from 'from'. Counts the frame. True: 'd' is a datagram to
 * be applied now (is_relayed set); the caller must then call relay_taken(), which owes the peer an
 * acknowledgement of an alarm. */
bool relay_receive(struct relay *r, const uint8_t *message, uint16_t n_bytes,
		   struct apply_datagram *d);
/* The datagram of the last relay_receive() was handled. 'is_kept' false, for an alarm: this server does not
 * own it, it is not acknowledged, and the peer will send it to the owner that it learns of. */
void relay_taken(struct relay *r, bool is_kept);

/* Sends what is due: new alarms, those that waited too long, acknowledgements. Between bursts. */
void relay_poll(struct relay *r, uint64_t now_ns);
bool relay_is_idle(const struct relay *r); /* nothing to send, resend or acknowledge */

void relay_destroy(struct relay *r); /* takes NULL */

#endif
