/* stats.h - what a worker counted, by name, and the equations that must hold between the counts.
 * Every way that a datagram or a report can leave the data plane has one counter of its own,
 * counted where it happens. Nothing here is a remainder of something else, so the check can fail.
 *
 * Thread:  none; a struct stats belongs to whoever fills it.
 * Memory:  flat, no pointers: the block lies in the shared segment and crosses the API as it is.
 * Returns: stats_check() the number of equations that do not hold.
 */
#ifndef BELLWETHER_DP_STATS_STATS_H
#define BELLWETHER_DP_STATS_STATS_H

#include <stddef.h>
#include <stdint.h>

/* The side of an equation that a counter stands on. */
enum stats_group {
	STATS_STEER_IN,	  /* frames that the XDP program saw */
	STATS_STEER_OUT,  /* ... and what it did with each */
	STATS_FRAME_IN,	  /* frames that a worker received from its ports */
	STATS_FRAME_OUT,  /* ... what each was: a datagram for us, a peer's message, or dropped by
			     name */
	STATS_DGRAM_IN,	  /* datagrams of elements: from the wire and from peers */
	STATS_DGRAM_OUT,  /* ... applied, relayed or dropped by name */
	STATS_REPORT_IN,  /* reports that the decoders gave out */
	STATS_REPORT_OUT, /* ... applied, relayed or refused by name */
	STATS_RELAY_IN,	  /* messages that were given to the relay */
	STATS_RELAY_OUT,  /* ... what became of each; what still waits is a gauge of this group */
	STATS_NOTE,	  /* stands in no equation */
};

/* X(symbol, name, group, help). The name is what an operator sees; it never changes its meaning.
 * Order is the order on the screen. A datagram is 'applied' when at least one of its reports was
 * applied here, else 'relayed' when at least one was given to the relay, else dropped by name. */
#define STATS_COUNTERS(X)                                                                          \
	X(STEER_FRAMES, "steer_frames", STATS_STEER_IN, "frames seen by the XDP program")          \
	X(STEER_TAKEN, "steer_taken", STATS_STEER_OUT, "frames sent to the worker's socket")       \
	X(STEER_PASSED, "steer_passed", STATS_STEER_OUT, "frames left to the kernel")              \
	X(STEER_SOURCE_RATE, "steer_source_rate", STATS_STEER_OUT,                                 \
	  "dropped: a known element over its own rate")                                            \
	X(STEER_UNKNOWN_RATE, "steer_unknown_rate", STATS_STEER_OUT,                               \
	  "dropped: unknown sources over their shared rate")                                       \
	X(STEER_MALFORMED, "steer_malformed", STATS_STEER_OUT,                                     \
	  "dropped: for a management port, but cut short")                                         \
                                                                                                   \
	X(FRAMES, "frames", STATS_FRAME_IN, "frames received from the ports")                      \
	X(FRAME_DATAGRAM, "frame_datagram", STATS_FRAME_OUT, "frames with an element's datagram")  \
	X(FRAME_RELAY_DATA, "frame_relay_data", STATS_FRAME_OUT,                                   \
	  "frames with a datagram that a peer relayed, taken over")                                \
	X(FRAME_RELAY_ACK, "frame_relay_ack", STATS_FRAME_OUT,                                     \
	  "frames with a peer's acknowledgement")                                                  \
	X(FRAME_RELAY_AGAIN, "frame_relay_again", STATS_FRAME_OUT,                                 \
	  "frames in which a peer asks for alarms that it had to refuse")                          \
	X(DROP_NOT_IP, "drop_not_ip", STATS_FRAME_OUT, "neither IPv4 nor IPv6")                    \
	X(DROP_LLDP, "drop_lldp", STATS_FRAME_OUT, "LLDP frame, and no decoder for it is on")      \
	X(DROP_TRUNCATED, "drop_truncated", STATS_FRAME_OUT, "shorter than its headers say")       \
	X(DROP_IP_CHECKSUM, "drop_ip_checksum", STATS_FRAME_OUT, "IPv4 header checksum wrong")     \
	X(DROP_UDP_CHECKSUM, "drop_udp_checksum", STATS_FRAME_OUT, "UDP checksum wrong")           \
	X(DROP_FRAGMENT, "drop_fragment", STATS_FRAME_OUT, "fragment, not reassembled")            \
	X(DROP_NOT_UDP, "drop_not_udp", STATS_FRAME_OUT, "IP, but not UDP")                        \
	X(DROP_NOT_FOR_US, "drop_not_for_us", STATS_FRAME_OUT, "UDP to a port without a format")   \
	X(DROP_RELAY_MALFORMED, "drop_relay_malformed", STATS_FRAME_OUT,                           \
	  "relay message with a wrong header or length")                                           \
	X(DROP_RELAY_UNKNOWN_PEER, "drop_relay_unknown_peer", STATS_FRAME_OUT,                     \
	  "relay message of a server that is not a peer")                                          \
	X(DROP_RELAY_BOOT, "drop_relay_boot", STATS_FRAME_OUT,                                     \
	  "relay message of another boot of the peer than the present one")                        \
	X(DROP_RELAY_FORGED, "drop_relay_forged", STATS_FRAME_OUT,                                 \
	  "relay message whose authenticator is wrong")                                            \
	X(DROP_RELAY_REPEATED, "drop_relay_repeated", STATS_FRAME_OUT,                             \
	  "relay message that was taken over already")                                             \
	X(DROP_RELAY_EARLY, "drop_relay_early", STATS_FRAME_OUT,                                   \
	  "relay message ahead of its turn; the peer sends it again")                              \
                                                                                                   \
	X(DGRAMS_WIRE, "datagrams_wire", STATS_DGRAM_IN, "datagrams that elements sent to us")     \
	X(DGRAMS_PEER, "datagrams_peer", STATS_DGRAM_IN, "datagrams that peers relayed to us")     \
	X(DGRAMS_TAKEN_BACK, "datagrams_taken_back", STATS_DGRAM_IN,                               \
	  "datagrams that our own spool handed back, to be judged anew")                           \
	X(DGRAM_APPLIED, "datagrams_applied", STATS_DGRAM_OUT, "datagrams applied here")           \
	X(DGRAM_RELAYED, "datagrams_relayed", STATS_DGRAM_OUT,                                     \
	  "datagrams given to the relay, for other owners")                                        \
	X(DROP_UNKNOWN_SOURCE, "drop_unknown_source", STATS_DGRAM_OUT,                             \
	  "the source is no element of the inventory")                                             \
	X(DROP_UNDECODABLE, "drop_undecodable", STATS_DGRAM_OUT,                                   \
	  "refused by the decoder; see the decoder's own reasons")                                 \
	X(DROP_REFUSED, "drop_refused", STATS_DGRAM_OUT,                                           \
	  "every report in it was refused; see the reports")                                       \
                                                                                                   \
	X(REPORTS, "reports", STATS_REPORT_IN, "reports decoded")                                  \
	X(REPORT_APPLIED, "reports_applied", STATS_REPORT_OUT, "reports applied here")             \
	X(REPORT_RELAYED, "reports_relayed", STATS_REPORT_OUT, "reports given to the relay")       \
	X(REFUSED_UNKNOWN_ELEMENT, "refused_unknown_element", STATS_REPORT_OUT,                    \
	  "about an element that is not in the inventory")                                         \
	X(REFUSED_STALE, "refused_stale", STATS_REPORT_OUT,                                        \
	  "older than what is known of the element")                                               \
	X(REFUSED_NO_RULE, "refused_no_rule", STATS_REPORT_OUT,                                    \
	  "a notification that no rule names")                                                     \
	X(REFUSED_NO_OWNER, "refused_no_owner", STATS_REPORT_OUT,                                  \
	  "metrics for a cell that has no owner at the moment")                                    \
	X(REFUSED_NO_LEASE, "refused_no_lease", STATS_REPORT_OUT,                                  \
	  "metrics while this server may not act as owner")                                        \
	X(REFUSED_NOT_OWNER, "refused_not_owner", STATS_REPORT_OUT,                                \
	  "relayed to us, but we do not own the element")                                          \
	X(REFUSED_ALARM_TABLE_FULL, "refused_alarm_table_full", STATS_REPORT_OUT,                  \
	  "no room left in the alarm table")                                                       \
	X(REFUSED_METRIC_TABLE_FULL, "refused_metric_table_full", STATS_REPORT_OUT,                \
	  "more metrics than an element may have")                                                 \
	X(REFUSED_RELAY, "refused_relay", STATS_REPORT_OUT,                                        \
	  "for another owner, but the relay did not take it; see the relay")                       \
                                                                                                   \
	X(RELAY_GIVEN, "relay_given", STATS_RELAY_IN, "messages given to the relay")               \
	X(RELAY_SENT, "relay_sent", STATS_RELAY_OUT, "metrics, sent once")                         \
	X(RELAY_ACKNOWLEDGED, "relay_acknowledged", STATS_RELAY_OUT,                               \
	  "alarms, acknowledged by the owner")                                                     \
	X(RELAY_TAKEN_BACK, "relay_taken_back", STATS_RELAY_OUT,                                   \
	  "alarms handed back: their cell came to this server, or may be another")                 \
	X(RELAY_WAITING, "relay_waiting", STATS_RELAY_OUT, "alarms in the spool at this moment")   \
	X(RELAY_LOST, "relay_lost", STATS_RELAY_OUT,                                               \
	  "alarms lost: they were in the spool when the data plane ended")                         \
	X(RELAY_SPOOL_FULL, "relay_spool_full", STATS_RELAY_OUT, "alarms lost: the spool is full") \
	X(RELAY_TOO_LONG, "relay_too_long", STATS_RELAY_OUT,                                       \
	  "lost: with its relay header longer than the port's frames")                             \
	X(RELAY_NO_NEIGHBOUR, "relay_no_neighbour", STATS_RELAY_OUT,                               \
	  "metrics lost: the owner's link address or boot is not known")                           \
	X(RELAY_NO_MBUF, "relay_no_mbuf", STATS_RELAY_OUT, "metrics lost: no buffer")              \
	X(RELAY_PORT_FULL, "relay_port_full", STATS_RELAY_OUT,                                     \
	  "metrics lost: the port's transmit queue is full")                                       \
                                                                                                   \
	X(RELAY_RESENT, "relay_resent", STATS_NOTE, "alarms sent once more")                       \
	X(RELAY_REROUTED, "relay_rerouted", STATS_NOTE,                                            \
	  "alarms in the spool whose cell got another owner")                                      \
	X(RELAY_ACKS_SENT, "relay_acks_sent", STATS_NOTE, "acknowledgements sent to peers")        \
	X(RELAY_ASKED_AGAIN, "relay_asked_again", STATS_NOTE,                                      \
	  "times that peers were asked for alarms that were refused")                              \
	X(ALARM_RAISED, "alarms_raised", STATS_NOTE, "alarms raised")                              \
	X(ALARM_CHANGED, "alarms_changed", STATS_NOTE, "alarms whose severity changed")            \
	X(ALARM_CLEARED, "alarms_cleared", STATS_NOTE, "alarms cleared")                           \
	X(ALARM_REPEATED, "alarms_repeated", STATS_NOTE, "repeats of a raised alarm, counted")     \
	X(ALARM_CLEAR_UNMATCHED, "alarms_clear_unmatched", STATS_NOTE,                             \
	  "clears without a raised alarm")                                                         \
	X(ALARM_RESTORED, "alarms_restored", STATS_NOTE, "alarms of an earlier owner, put in")     \
	X(STATE_RESTORED, "states_restored", STATS_NOTE,                                           \
	  "states and groups of metrics of an earlier owner, put in")                              \
	X(RESTORE_REFUSED, "restore_refused", STATS_NOTE,                                          \
	  "not put in: of another token, of no element here, or malformed")                        \
	X(RESTORE_FULL, "restore_full", STATS_NOTE, "not put in, or not all of it: no room left")  \
	X(EVENT_RING_FULL, "event_ring_full", STATS_NOTE,                                          \
	  "changes not put on the event ring; the control plane reads the tables anew")            \
	X(UNKNOWN_TABLE_FULL, "unknown_table_full", STATS_NOTE,                                    \
	  "datagrams of unknown sources for which the list of them has no room")                   \
	X(SEQUENCE_GAPS, "sequence_gaps", STATS_NOTE, "reports missing by the source's sequence")  \
	X(PORT_MISSED, "port_missed", STATS_NOTE, "frames that a port lost before the worker")     \
	X(REPAIRED_RECORDS, "repaired_records", STATS_NOTE,                                        \
	  "records that a killed data plane left half-written, put right at start")

enum stats_counter {
#define X(symbol, name, group, help) STATS_##symbol,
	STATS_COUNTERS(X)
#undef X
		STATS_N
};

/* Why a decoder refused a datagram; dp/decode/decode.h says what each reads. X(symbol, name, help):
 * at most STATS_DECODE_MAX of them, DECODE_OK included. */
#define STATS_DECODE_MAX 64
#define DECODE_REFUSALS(X)                                                                         \
	X(NATIVE_TRUNCATED, "native_truncated", "a field ends behind the datagram")                \
	X(NATIVE_WIRE_TYPE, "native_wire_type", "a field has another wire type than the schema")   \
	X(NATIVE_TAG, "native_tag", "field 0, no such wire type, or a group's end without start")  \
	X(NATIVE_VARINT, "native_varint", "a varint longer than it may be")                        \
	X(NATIVE_EMPTY, "native_empty", "no report in the datagram")                               \
	X(NATIVE_TOO_MANY_REPORTS, "native_too_many_reports", "more reports than a batch holds")   \
	X(NATIVE_TOO_MANY_METRICS, "native_too_many_metrics", "more metrics than a report holds")  \
	X(NATIVE_TOO_MANY_ALARMS, "native_too_many_alarms", "more alarms than a report holds")     \
	X(NATIVE_TEXT, "native_text", "a text too long, not UTF-8, or empty where it is a key")    \
	X(NATIVE_SEVERITY, "native_severity", "a severity that does not exist")                    \
	X(NATIVE_DEPTH, "native_depth", "groups nested deeper than 16")                            \
	X(SNMP_TRUNCATED, "snmp_truncated", "an element ends behind its container")                \
	X(SNMP_BER, "snmp_ber", "an element has another tag, length form or value than it may")    \
	X(SNMP_VERSION, "snmp_version", "a version that is neither v1 nor v2c nor v3")             \
	X(SNMP_V3, "snmp_v3", "SNMPv3, which needs the slow path")                                 \
	X(SNMP_COMMUNITY, "snmp_community", "a community that is not in the configuration")        \
	X(SNMP_NOT_A_TRAP, "snmp_not_a_trap", "a PDU that is no trap")                             \
	X(SNMP_INFORM, "snmp_inform", "an InformRequest, which wants an answer: send a trap")      \
	X(SNMP_NO_TRAP_OID, "snmp_no_trap_oid", "a v2c trap without snmpTrapOID.0 as second")      \
	X(SNMP_TRAILING, "snmp_trailing", "octets after the message or a part of it")              \
	X(SNMP_TOO_MANY_BINDINGS, "snmp_too_many_bindings", "more variable bindings than 64")      \
	X(UNKNOWN_FORMAT, "unknown_format", "of a format that this data plane does not decode")

enum decode_refusal {
	DECODE_OK,
#define X(symbol, name, help) DECODE_##symbol,
	DECODE_REFUSALS(X)
#undef X
		DECODE_REFUSAL_N
};
_Static_assert(DECODE_REFUSAL_N <= STATS_DECODE_MAX, "one counter a reason");

struct stats {
	uint64_t n[STATS_N];
	uint64_t decode[STATS_DECODE_MAX]; /* indexed by enum decode_refusal; [0] is not used */
};

const char *stats_name(enum stats_counter counter);
const char *stats_help(enum stats_counter counter);
enum stats_group stats_group(enum stats_counter counter);
const char *stats_refusal_name(enum decode_refusal refusal);
const char *stats_refusal_help(enum decode_refusal refusal);

/* One equation: what went in and what came out. */
struct stats_equation {
	const char *name;
	uint64_t in, out;
};
/* steer, frames, wire (frames with an element's datagram are the datagrams of elements), peer (the
 * same for relayed ones), datagrams, reports, relay, decode (the decoders' reasons add up to
 * drop_undecodable). */
#define STATS_EQUATIONS 8

/* Fills 'equations', all of them, and returns how many have in != out. Holds exactly between two
 * bursts of a worker; a snapshot that the worker published is such a moment. */
unsigned int stats_check(const struct stats *s, struct stats_equation equations[STATS_EQUATIONS]);

#endif
