/* relay.h - datagrams for elements of other owners, from data plane to data plane. Metrics are
 * sent once, and forgotten. Alarms lie in a bounded spool until the owner acknowledges them: they
 * are sent in order, again after a time-out, and the owner takes them over in order and once
 * (go-back-N). When a cell gets another owner, or none, its alarms in the spool follow it, in
 * their order; when it becomes ours, they are handed back. So an alarm that a living server
 * received survives the death of the owner. The spool does not survive this process: what lay in
 * it is counted as relay_lost at the next start. Why the protocol is as it is: docs/relay.md.
 *
 * The message, after UDP (all integers big-endian): RELAY_HEADER_BYTES octets, the datagram, and
 * the tag:
 *    0 version 1   1 kind: 1 metrics, 2 alarms, 3 acknowledgement, 4 again   2 format   3 zero
 *    4 ingest server (2)   6 destination server (2)
 *    8 boot of the sender's data plane (4)   12 ... of the destination's, as far as known (4)
 *   16 sequence (8): of the frame, rising, never used twice in one boot: the nonce of the tag
 *   24 number (8): of the alarm in its stream, rising, with gaps; of an acknowledgement: the
 *      highest number taken over
 *   32 before (8): number of the alarm before it in the stream; 0: none before it is coming
 *   40 source address (16)   56 bitmap of the reports meant (8)
 *   64 the datagram   then the tag (16): seal.h over all octets before it
 * What a kind does not use is zero; an acknowledgement carries no datagram, nor does "again", with
 * which a receiver that had to refuse an alarm says that its tables changed since: the sender goes
 * back at once, without waiting for its time-out. Largest datagram of
 * 1472 octets: 1600 octets of IPv6, so relay networks want an MTU of 1600.
 *
 * Thread:  worker.
 * Memory:  all at creation. Keeps 'stats' and the port's 'port'. All else is copied, peers,
 *          keys and neighbours included.
 * Returns: 0 done; <0 -errno. What becomes of a message is counted in the STATS_RELAY_OUT group,
 *          of a frame in STATS_FRAME_OUT. RELAY_WAITING is kept current, so the equation "relay"
 *          holds after every call.
 */
#ifndef BELLWETHER_DP_RELAY_RELAY_H
#define BELLWETHER_DP_RELAY_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "dp/apply/apply.h"
#include "dp/fedmem/fedmem.h"
#include "dp/pkt/pkt.h"
#include "dp/stats/stats.h"

#define RELAY_HEADER_BYTES 64
#define RELAY_TAG_BYTES	   16
#define RELAY_FRAME_MAX	   2048 /* longest frame that is ever written */

/* Where frames leave. 'begin' gives room for one frame of n octets or NULL (no buffer); 'send'
 * takes the frame of the last 'begin'. False: the port's queue is full; the frame is gone. */
struct relay_port {
	void *port;
	uint8_t *(*begin)(void *port, uint16_t frame_bytes);
	bool (*send)(void *port);
	uint8_t ether_address[6];
	uint16_t frame_max; /* longest frame that the port sends, with its Ethernet header */
};

struct relay_config {
	uint16_t self;
	uint16_t udp_port;		     /* 7402 */
	struct fedmem_address local_address; /* where frames come from */
	uint32_t cells_max;		     /* fedmem's */
	uint32_t spool_max;		     /* alarms of 512 octets; longer ones take more */
	uint64_t resend_ns;		     /* first time-out; doubles up to eight times as long */
};

struct relay; /* opaque: see relay.c */

/* 'port' may be NULL: a server without a relay port keeps alarms and counts metrics as
 * relay_no_neighbour. What 'stats' says is waiting was in the spool of the process before: it is
 * moved to relay_lost. -EINVAL: no cells, no room or no time-out. */
int relay_create(struct relay **out, const struct relay_config *cfg, const struct relay_port *port,
		 struct stats *stats);

/* The server table changed: peers, keys, boots, neighbours. When a boot changes, the peer's or ours
 * (relay_boot_tx), both directions start anew: what was not acknowledged is sent again. */
void relay_servers(struct relay *r, const struct fedmem_server *servers, uint32_t n);
/* The cell table changed, or the lease began or ended: alarms follow their cells. Those of a cell
 * that is ours but being restored are kept. Cells after the first cells_max have no owner here. */
void relay_cells(struct relay *r, const struct fedmem_cell *cells, uint32_t n, bool may_own);
/* The inventory changed: an element may be in another cell now, whose owner would be asked in
 * vain. The whole spool is handed back by relay_take_back(), to be judged anew. */
void relay_elements(struct relay *r);

/* For struct apply_relay. */
bool relay_give(void *relay, const struct apply_datagram *d, uint32_t cell, bool is_alarm);

/* The next alarm of the spool whose cell is ours now, those of one cell in the order of arrival;
 * it is out of the spool then and counted as taken back and as datagram (DGRAMS_TAKEN_BACK); the
 * caller counts what becomes of it. is_relayed is not set: what cannot be applied here comes back
 * to relay_give(). So the caller tells relay_cells() of cells and lease before, as it tells apply;
 * and it takes all before it applies anything newer. The datagram lives until the next call.
 * False: there is none. */
bool relay_take_back(struct relay *r, struct apply_datagram *d);

/* Handles one message that came to the relay port. Counts the frame, and, when it returns true,
 * the datagram (DGRAMS_PEER); the caller counts FRAMES before and what becomes of the datagram
 * after. True: 'd', which points into 'message', is to be applied now (is_relayed set); the caller
 * must then call relay_taken(). */
bool relay_receive(struct relay *r, const uint8_t *message, uint16_t n_bytes,
		   struct apply_datagram *d);
/* The datagram of the last relay_receive() was handled. 'is_kept' false, for an alarm: this server
 * does not own it (APPLY_NOT_OWNER); it is not acknowledged, and the peer will send it again, here
 * or to the owner that it learns of. */
void relay_taken(struct relay *r, bool is_kept);

/* Sends what is due: new alarms, those that waited too long, acknowledgements. Between bursts. */
void relay_poll(struct relay *r, uint64_t now_ns);
/* Nothing to send, resend, acknowledge or hand back: alarms without an owner, or whose owner's
 * link address or boot is not known, have to wait. */
bool relay_is_idle(const struct relay *r);

void relay_destroy(struct relay *r); /* takes NULL */

#endif
