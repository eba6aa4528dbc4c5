/* apply.h - what becomes of a decoded datagram: its reports go into the federated memory, to the relay,
 * or are refused by name. The one place that decides whose a report is.
 *
 *   element not in the inventory              refused_unknown_element
 *   this server owns its cell, lease runs     applied
 *   ... and the lease is over                 alarms: to the relay, which keeps them; else refused_no_lease
 *   another server owns its cell              to the relay; of a relayed datagram: refused_not_owner
 *   nobody owns its cell                      alarms: to the relay, which keeps them; else refused_no_owner
 *
 * Applying: metrics are state, the newest by the source's (boot, sequence) wins. Alarms are state with a
 * history (RFC 8632 3.5): a repeat only counts; raised, severity changed and cleared are events. An
 * alarm that arrives late but is newer than what is known of that alarm is still applied, although a
 * newer report went before it. A higher boot is a restart of the source, its sequence starts anew.
 * A report without a sequence (a trap) is taken in the order of arrival.
 *
 * Thread:  worker.
 * Memory:  keeps fedmem's writer, the relay and the statistics given at creation; borrows the rest.
 * Returns: apply_batch() says what the datagram as a whole was; every report is counted inside.
 */
#ifndef BELLWETHER_DP_APPLY_APPLY_H
#define BELLWETHER_DP_APPLY_APPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "dp/decode/decode.h"
#include "dp/fedmem/fedmem.h"
#include "dp/stats/stats.h"

/* A datagram as the relay carries it: what the worker got, and which reports of it are meant. */
struct apply_datagram {
	struct fedmem_address source;
	uint8_t format;		/* enum decode_format */
	bool is_relayed;	/* came from a peer: never relayed again */
	uint64_t report_bitmap; /* which of its reports; all ones for one from the wire */
	const uint8_t *payload;
	uint16_t payload_bytes;
};

/* The relay's side of the door; dp/relay fills it, tests put a fake there. True: the relay has it, and
 * counts what becomes of it. False: it did not take it and counted why. */
struct apply_relay {
	void *relay;
	bool (*give)(void *relay, const struct apply_datagram *d, uint32_t cell, bool is_alarm);
};

struct apply; /* opaque: see apply.c */

/* 'self' is this server's id. */
int apply_create(struct apply **out, uint16_t self, const struct fedmem *fm,
		 struct fedmem_writer *writer, struct stats *stats,
		 const struct apply_relay *relay);
/* The cell table changed; copies it. -ENOMEM. */
int apply_cells(struct apply *a, const struct fedmem_cell *cells, uint32_t n);

enum apply_verdict {
	APPLY_APPLIED,
	APPLY_RELAYED,
	APPLY_REFUSED,
	APPLY_NOT_OWNER, /* refused, and at least one report because this server is not its owner: the
			    peer that relayed it must keep it */
};

/* 'now_ns' CLOCK_REALTIME for the records; 'may_own': the lease runs. 'sender' is the slot of the element
 * that the datagram came from. Counts REPORTS and each report's fate; the caller counts the datagram's.
 * Reports of one cell go to the relay as one message. */
enum apply_verdict apply_batch(struct apply *a, const struct apply_datagram *d,
			       const struct report_batch *batch, uint32_t sender, uint64_t now_ns,
			       bool may_own);
void apply_destroy(struct apply *a); /* takes NULL */

#endif
