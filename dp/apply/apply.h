/* apply.h - what becomes of a decoded datagram: its reports go into the federated memory, to the
 * relay, or are refused by name. The one place that decides whose a report is.
 *
 *   element not in the inventory              refused_unknown_element
 *   a notification that no rule names         refused_no_rule
 *   this server owns its cell, lease runs     applied
 *   ... and the lease is over                 alarms: to the relay, which keeps them
 *                                             metrics: refused_no_lease
 *   another server owns its cell              to the relay
 *   ... and the cell is being restored        alarms: to the relay, which keeps them
 *                                             metrics: applied
 *   nobody owns its cell                      alarms: to the relay, which keeps them
 *                                             metrics: refused_no_owner
 *   the last four, of a relayed datagram      refused_not_owner; a datagram with an alarm as a
 *                                             whole, so that its peer keeps all of it
 *
 * Applying: metrics are state, the newest by the source's (boot, sequence) wins. Alarms are state
 * with a history (RFC 8632 3.5): a repeat only counts; raised, severity changed and cleared are
 * events. An alarm that arrives late but is newer than what is known of that alarm is still
 * applied, although a newer report went before it; a clear that came before its raise is
 * remembered as a gone alarm, as long as the table has room, so that the late raise is known to be
 * older. A higher boot is a restart of the source, its sequence starts anew. A report without a
 * sequence (a trap) is taken in the order of arrival and leaves the sequences that are known as
 * they are. A source that counts its reports but names no boot is taken never to restart.
 *
 * A report has one fate. Applied, when anything of it was: a metric; an alarm, repeats and clears
 * without a raised alarm included; or its sequence, when it has neither. Else the first of these
 * that is true: refused_alarm_table_full, refused_metric_table_full, refused_stale. A stale report
 * leaves no trace but in the count of the missing; one that found no room counts as seen, with its
 * sequence.
 *
 * Missing reports: when the newest sequence of one boot jumps by k, k - 1 are missing, in the
 * element's n_gaps and in sequence_gaps. One that comes late is taken off both again when it is
 * known to have been missing; a duplicate changes nothing. See gaps.h for how far back that is
 * known.
 *
 * Thread:  worker.
 * Memory:  keeps the segment, its writer, the relay and the statistics given at creation; borrows
 *          the rest.
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

/* The relay's side of the door; dp/relay fills it, tests put a fake there. True: the relay has it,
 * and counts what becomes of it. False: it did not take it and counted why. */
struct apply_relay {
	void *relay;
	bool (*give)(void *relay, const struct apply_datagram *d, uint32_t cell, bool is_alarm);
};

struct apply; /* opaque: see apply.c */

/* 'self' is this server's id. */
int apply_create(struct apply **out, uint16_t self, const struct fedmem *fm,
		 struct fedmem_writer *writer, struct stats *stats,
		 const struct apply_relay *relay);
/* The cell table changed; copies it. -E2BIG: more cells than the segment was made for; nothing
 * changed. */
int apply_cells(struct apply *a, const struct fedmem_cell *cells, uint32_t n);

enum apply_verdict {
	APPLY_APPLIED,	 /* at least one report was */
	APPLY_RELAYED,	 /* none was applied, at least one went to the relay */
	APPLY_REFUSED,	 /* every report, or none was meant */
	APPLY_NOT_OWNER, /* refused, and at least one report because this server is not its owner:
			    the peer that relayed it must keep it */
};

/* 'now_ns' CLOCK_REALTIME for the records; 'may_own': the lease runs. 'sender' is the slot of the
 * element that the datagram came from; FEDMEM_NONE: of none that is known, which refuses the
 * reports that name no element. Counts REPORTS and each report's fate; the caller counts the
 * datagram's. Only the reports in the datagram's bitmap are looked at and counted. Reports of one
 * cell go to the relay as one message, of the alarm class when one of them has an alarm. */
enum apply_verdict apply_batch(struct apply *a, const struct apply_datagram *d,
			       const struct report_batch *batch, uint32_t sender, uint64_t now_ns,
			       bool may_own);
/* Puts in what an earlier owner knew; no event comes of it. Only for a cell that this server owns
 * under the token that the injection names, else it is refused. What the memory holds under this
 * token already is newer: of an alarm that is there the earlier raised_ns and the higher count
 * stay; of a state the newer (boot, sequence), the metrics that are there, the earlier first_seen.
 * Counts STATS_ALARM_RESTORED, STATS_STATE_RESTORED, or why not: STATS_RESTORE_REFUSED (stale
 * token, unknown element), STATS_RESTORE_FULL (no room). */
void apply_restore(struct apply *a, const struct fedmem_inject *inject);
void apply_destroy(struct apply *a); /* takes NULL */

#endif
