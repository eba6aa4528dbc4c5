/* stream.h - what relay.c and stream.c share: the relay and its peers. relay.c decides where an
 * alarm waits; stream.c speaks with one peer.
 *
 * Thread:  worker.
 * Memory:  everything belongs to the struct relay.
 */
#ifndef BELLWETHER_DP_RELAY_STREAM_H
#define BELLWETHER_DP_RELAY_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "dp/relay/message.h"
#include "dp/relay/relay.h"
#include "dp/relay/spool.h"
#include "dp/seal/seal.h"

/* A peer stays known by its id when it leaves the server table: if it comes back with the same
 * boots, what it sent before is still seen to be repeated. */
struct peer {
	uint16_t id; /* 0: the entry is not used */
	bool is_listed;
	bool has_neighbour;
	struct pkt_headers headers;
	uint32_t boot_tx, boot_rx; /* 0: not known */
	uint8_t key_tx[FEDMEM_KEY_BYTES], key_rx[FEDMEM_KEY_BYTES];

	/* To it. */
	struct spool_queue queue;
	uint32_t next;	     /* to be sent; SPOOL_NONE: all are in flight */
	uint32_t n_flying;   /* sent since the last time-out, before 'next' in the queue */
	uint32_t n_timeouts; /* since it acknowledged something new; RESEND_DOUBLINGS at most */
	uint64_t due_ns;     /* time-out of what is in flight */

	/* From it. */
	struct seal_window seen;
	uint64_t taken; /* highest alarm number taken over */
	bool owes_ack;
	bool was_refused; /* an alarm of it, since it was asked to send again */
	bool owes_again;  /* it is to be asked */
};

struct relay {
	struct relay_config cfg;
	bool has_port;
	struct relay_port port;
	struct stats *stats;
	uint16_t overhead_bytes; /* of a frame: all headers and the tag */
	uint16_t frame_max;
	uint64_t sequence; /* of the last frame to anybody; never goes back, whatever restarts */
	uint64_t now_ns;   /* of the last poll */

	struct spool *spool;
	struct peer peers[FEDMEM_SERVERS_MAX];
	struct spool_queue waiting; /* for an owner */
	struct spool_queue ours;    /* to be handed back */
	bool may_own;
	uint32_t n_cells;
	uint16_t *owners; /* by cell */
	uint8_t *routes;  /* by cell: see relay.c */

	struct peer *pending; /* of the last relay_receive(); NULL: relay_taken() was called */
	uint64_t pending_number;
	uint8_t taken_back[RELAY_FRAME_MAX];
};

bool stream_is_reachable(const struct relay *r, const struct peer *p);
/* Everything not acknowledged will be sent anew; nothing of it was received. */
void stream_restart(struct peer *p);
void stream_append(struct relay *r, struct peer *p, uint32_t index);
void stream_unlink(struct relay *r, struct peer *p, uint32_t index);
/* STATS_RELAY_SENT, or why not. */
enum stats_counter stream_send_metrics(struct relay *r, struct peer *p,
				       const struct apply_datagram *d);

#endif
