/* fedmem.h - the federated memory of one server: the segment that the data plane and the control
 * plane share, and that outlives both. No pointers inside, only indices and offsets.
 *
 * Who writes what (nobody else does):
 *   control plane   element descriptions and their two look-up tables, the cell, server and rule
 *                   tables, the lease, the ring of what the worker is to put in
 *   worker          element states, alarms, the event ring, its statistics, the unknown sources
 * Readers are any threads of any process, as often as they like; they never slow the writer down.
 *
 * Thread:  a struct fedmem is safe to share between threads for reading. The functions under
 *          "control plane" belong to one thread, those of a struct fedmem_writer to the worker.
 * Memory:  fedmem_open() maps, fedmem_close() unmaps; nothing else has to be freed. Every read
 *          copies out; no pointer into the segment is handed out but by a fedmem_writer.
 * Returns: 0 done; <0 -errno, nothing changed; >0 an enum fedmem_answer, nothing changed.
 *
 * Consistency: every record that can be read while it is written carries a sequence lock (Lameter,
 * "Effective synchronization on Linux/NUMA systems", 2005; ordering after Boehm, "Can seqlocks get
 * along with programming language memory models?", 2012). A worker keeps the image that a record
 * had before it touched it; what a killed one left half-written is put back when the next starts.
 */
#ifndef BELLWETHER_DP_FEDMEM_FEDMEM_H
#define BELLWETHER_DP_FEDMEM_FEDMEM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dp/stats/stats.h"

#define FEDMEM_LAYOUT_VERSION 2u
#define FEDMEM_NONE	      UINT32_MAX /* no slot, no cell, no alarm */

enum fedmem_answer {
	FEDMEM_NOT_FOUND = 1,
	FEDMEM_FULL,	      /* the table has no room; the caller counts and says so */
	FEDMEM_BUSY,	      /* the record stays half-written: its writer is dead or stopped */
	FEDMEM_OTHER_LAYOUT,  /* the segment there has another layout version; see 'why' */
	FEDMEM_OTHER_SIZES,   /* ... other table sizes, or is another server's; see 'why' */
	FEDMEM_NOT_A_SEGMENT, /* the file there is something else, or damaged; see 'why' */
};

/* Whole numbers of records, below FEDMEM_NONE; only cells, rules and unknowns may be 0. */
struct fedmem_sizes {
	uint32_t elements_max;
	uint32_t metrics_per_element; /* 1..255; 4 lie in the state record, the others beside it */
	uint32_t alarms_max;
	uint32_t cells_max;
	uint32_t rules_max;
	uint32_t unknowns_max;
	uint32_t events_max; /* a power of two */
};

/* An IPv6 address, or an IPv4 address mapped into one (::ffff:a.b.c.d, RFC 4291 2.5.5.2). */
struct fedmem_address {
	uint8_t octets[16];
};

/* Rises with every change of owner; compared as one number, epoch first. */
struct fedmem_token {
	uint64_t epoch;
	uint64_t generation;
};

/* Who an element is. Lies in the segment; written by the control plane. */
struct fedmem_element {
	uint64_t id; /* of the inventory, > 0; 0: the slot is free */
	struct fedmem_address address;
	uint32_t cell;
	uint32_t pad;
};

struct fedmem_cell {
	struct fedmem_token token;
	uint16_t owner, standby; /* server ids; 0: nobody */
	/* The owner does not have its alarms yet: the data plane keeps alarms of the cell back, as
	 * if nobody owned it; metrics are applied. */
	uint32_t is_restoring;
	char name[40]; /* zero-terminated */
};

enum fedmem_server_state {
	FEDMEM_SERVER_UNKNOWN, /* never heard since this server started */
	FEDMEM_SERVER_ALIVE,
	FEDMEM_SERVER_SUSPECT,
	FEDMEM_SERVER_FAILED,
};
enum fedmem_server_role { FEDMEM_ROLE_FOLLOWER, FEDMEM_ROLE_CANDIDATE, FEDMEM_ROLE_MASTER };

#define FEDMEM_SERVERS_MAX 64
#define FEDMEM_KEY_BYTES   32

struct fedmem_server {
	uint16_t id; /* 0: the entry is not used */
	uint16_t rank;
	uint8_t state; /* enum fedmem_server_state */
	uint8_t role;  /* enum fedmem_server_role */
	uint8_t is_self;
	uint8_t has_relay_mac;
	uint64_t epoch;
	uint64_t last_heard_ns;		     /* CLOCK_BOOTTIME */
	struct fedmem_address relay_address; /* where its data plane takes relayed datagrams */
	uint8_t relay_mac[6];
	uint16_t pad;
	uint32_t relay_boot_tx; /* of our data plane, that we send under; 0: may not yet */
	uint32_t relay_boot_rx; /* of its data plane, as it announces it; 0: not known */
	uint8_t relay_key_tx[FEDMEM_KEY_BYTES];
	uint8_t relay_key_rx[FEDMEM_KEY_BYTES];
	char name[32];
};

/* Texts of an alarm: no terminator when full. */
#define FEDMEM_TYPE_BYTES      40
#define FEDMEM_RESOURCE_BYTES  48
#define FEDMEM_QUALIFIER_BYTES 24
#define FEDMEM_TEXT_BYTES      48

/* X.733 8.1.2.3 and RFC 8632 4.1. In this order, the higher the worse. */
enum fedmem_severity {
	FEDMEM_CLEARED,
	FEDMEM_INDETERMINATE,
	FEDMEM_WARNING,
	FEDMEM_MINOR,
	FEDMEM_MAJOR,
	FEDMEM_CRITICAL,
};

/* Which notification is which alarm. Compiled by the control plane, looked up by the decoder. */
#define FEDMEM_OID_BYTES 40
struct fedmem_rule {
	uint8_t oid[FEDMEM_OID_BYTES]; /* of the notification, as BER encodes its contents */
	uint8_t oid_bytes;
	uint8_t severity; /* FEDMEM_CLEARED: it clears */
	uint8_t resource_oid_bytes;
	uint8_t text_oid_bytes;
	uint8_t resource_oid[FEDMEM_OID_BYTES]; /* prefix of the binding that names it */
	uint8_t text_oid[FEDMEM_OID_BYTES];	/* ... whose value becomes the text */
	char type[FEDMEM_TYPE_BYTES];		/* alarm-type-id, RFC 8632 4.2 */
	char resource[FEDMEM_RESOURCE_BYTES];	/* before the binding's value, or alone */
	uint32_t pad;
};

/* ---- Records that the worker writes. 'seq' is odd while it does. ---- */

#define FEDMEM_METRICS_INLINE 4

struct fedmem_metric {
	uint32_t id;
	uint64_t value; /* the bits of a double */
};

struct fedmem_state {
	_Atomic uint32_t seq;
	/* Most recently raised or restored one; FEDMEM_NONE. The chain holds raised and gone ones.
	 * Who follows it while the worker runs stops at an alarm that another 'element' has got,
	 * and after n_alarms raised ones. */
	uint32_t alarm_first;
	uint64_t element_id;	   /* whose state this is: a slot can get another element */
	struct fedmem_token token; /* under which it is kept; another than the cell's: it is void */
	uint64_t first_seen_ns, last_seen_ns; /* CLOCK_REALTIME; the first under this token, or
						 as an earlier owner told */
	uint64_t n_reports;
	uint64_t boot, sequence; /* of the source, newest applied */
	uint32_t n_gaps;
	uint16_t n_alarms; /* raised ones */
	uint8_t n_metrics;
	uint8_t worst; /* enum fedmem_severity over the raised ones */
	uint64_t metric_values[FEDMEM_METRICS_INLINE];
	uint32_t metric_ids[FEDMEM_METRICS_INLINE];
};
_Static_assert(sizeof(struct fedmem_state) == 128, "the hot record is two cache lines");

enum fedmem_alarm_state { FEDMEM_ALARM_FREE, FEDMEM_ALARM_RAISED, FEDMEM_ALARM_GONE };

/* One entry of the alarm list (RFC 8632 4.1): key is (element, resource, type, qualifier). */
struct fedmem_alarm {
	_Atomic uint32_t seq;
	uint32_t element; /* slot */
	uint32_t next;	  /* of the same element; FEDMEM_NONE */
	uint8_t state;	  /* enum fedmem_alarm_state; GONE: cleared, kept while there is room */
	uint8_t severity; /* last raised one, stays when it clears */
	uint16_t pad;
	uint64_t element_id;
	struct fedmem_token token;
	uint64_t raised_ns, changed_ns, last_ns; /* CLOCK_REALTIME: raised, state changed, seen */
	uint64_t count;				 /* notifications since it was raised */
	uint64_t boot, sequence; /* of the source at the last change; 0: it has none */
	uint64_t change;	 /* event number of the last change on this server */
	char type[FEDMEM_TYPE_BYTES];
	char resource[FEDMEM_RESOURCE_BYTES];
	char qualifier[FEDMEM_QUALIFIER_BYTES];
	char text[FEDMEM_TEXT_BYTES];
};
_Static_assert(sizeof(struct fedmem_alarm) == 256, "an alarm is four cache lines");

enum fedmem_event_kind { FEDMEM_EV_RAISED = 1, FEDMEM_EV_SEVERITY, FEDMEM_EV_CLEARED };

struct fedmem_event {
	uint64_t number; /* 1, 2, 3 ... on this server, over restarts */
	uint64_t time_ns;
	uint32_t alarm;
	uint32_t element;
	uint8_t kind;
	uint8_t severity;
	uint8_t pad[6];
};

/* What the control plane asks the worker to put into its memory, on a ring of its own: the memory
 * has one writer. */
enum fedmem_inject_kind {
	FEDMEM_INJECT_STATE = 1, /* what an earlier owner knew of the element: inject.state */
	FEDMEM_INJECT_METRICS,	 /* more of its metrics */
	FEDMEM_INJECT_ALARM,	 /* an alarm that an earlier owner held: inject.alarm */
};
#define FEDMEM_INJECT_METRICS_MAX 16u
#define FEDMEM_INJECTS		  4096u /* places on the ring */
struct fedmem_inject {
	uint8_t kind;	   /* enum fedmem_inject_kind */
	uint8_t n_metrics; /* METRICS */
	uint8_t pad[6];
	uint64_t element_id;
	struct fedmem_token token; /* of its cell; another than the present one: it is refused */
	union {
		struct fedmem_state state; /* first and last seen, reports, gaps, boot, sequence and
					      the inline metrics (n_metrics of them) count */
		struct fedmem_metric metrics[FEDMEM_INJECT_METRICS_MAX];
		struct fedmem_alarm
			alarm; /* texts, state, severity, times, count, boot, sequence */
	};
};
_Static_assert(sizeof(struct fedmem_inject) == 288, "4096 of them are 1.2 MB");

struct fedmem_unknown {
	struct fedmem_address address;
	uint64_t first_ns, last_ns, n_datagrams;
	uint16_t udp_port; /* of ours that it sent to last */
};

struct fedmem_config {
	const char *path; /* of the segment: a file on a tmpfs or hugetlbfs */
	uint16_t server_id;
	struct fedmem_sizes sizes;
};

struct fedmem; /* opaque: see segment.h */

/* Attaches to the segment at cfg->path, or makes it when there is none. Two processes may do so at
 * once. On a failure or an answer 'why' says in words what was found and what was wanted: both
 * versions, both sizes. -EINVAL: sizes out of range. -ENOSPC: the file system is full; the file is
 * left empty then. */
int fedmem_open(struct fedmem **out, const struct fedmem_config *cfg, char *why, size_t why_bytes);
const struct fedmem_sizes *fedmem_sizes(const struct fedmem *fm);
uint64_t fedmem_bytes(const struct fedmem_sizes *sizes); /* of a segment with these tables */

/* ---- Control plane ---- */

/* Describes the element with this id: changes it in place, or takes a free slot for it. '*slot' may
 * be NULL. FEDMEM_FULL: no slot left. -EEXIST: another element has the address. -EINVAL: id 0.
 * -ENOMEM, with the first call only. That call also puts right what a killed control plane left
 * half-changed. */
int fedmem_element_put(struct fedmem *fm, const struct fedmem_element *e, uint32_t *slot);
/* FEDMEM_NOT_FOUND: no such element. */
int fedmem_element_remove(struct fedmem *fm, uint64_t id);

/* Tables that are replaced as a whole. FEDMEM_FULL: more than the table holds. */
int fedmem_cells_publish(struct fedmem *fm, const struct fedmem_cell *cells, uint32_t n);
int fedmem_servers_publish(struct fedmem *fm, const struct fedmem_server *servers, uint32_t n);
int fedmem_rules_publish(struct fedmem *fm, const struct fedmem_rule *rules, uint32_t n);

/* The data plane applies as owner until this moment (CLOCK_BOOTTIME), and no longer. Any one
 * thread: it is a single word. */
void fedmem_lease_set(struct fedmem *fm, uint64_t until_ns);
/* The data plane asks for a new relay boot with every start of its own; the control plane answers
 * by publishing a server table whose relay_boot_tx were made for it, and naming the wish that it
 * met. */
uint32_t fedmem_relay_boot_wanted(const struct fedmem *fm);
void fedmem_relay_boot_given(struct fedmem *fm, uint32_t wanted);

/* The oldest event on the ring with a number above 'after'. FEDMEM_NOT_FOUND: there is none. Its
 * place stays taken until it is released. */
int fedmem_event_peek(struct fedmem *fm, uint64_t after, struct fedmem_event *e);
/* Gives up the places of all events with numbers up to this one. */
void fedmem_event_release(struct fedmem *fm, uint64_t number);
/* Puts one onto the worker's ring, which takes it in this order. FEDMEM_FULL: no place now. */
int fedmem_inject_push(struct fedmem *fm, const struct fedmem_inject *inject);
/* How many were ever put there, and how many the worker is done with. */
uint64_t fedmem_injects_pushed(const struct fedmem *fm);
uint64_t fedmem_injects_done(const struct fedmem *fm);
/* Rises when events did not fit the ring: read the alarm table anew, nothing in it is lost. */
uint64_t fedmem_event_overflows(const struct fedmem *fm);
/* The number of the newest change, whether it fitted the ring or not; 0: there was none. */
uint64_t fedmem_event_last(const struct fedmem *fm);

/* ---- Any reader ---- */

/* FEDMEM_NOT_FOUND; or FEDMEM_BUSY, after a few looks and without sleeping: the element is being
 * renumbered at this moment. */
int fedmem_find_by_address(const struct fedmem *fm, const struct fedmem_address *a, uint32_t *slot);
int fedmem_find_by_id(const struct fedmem *fm, uint64_t id, uint32_t *slot);
/* FEDMEM_NOT_FOUND: the slot is free, or out of range. */
int fedmem_element_get(const struct fedmem *fm, uint32_t slot, struct fedmem_element *e);
uint32_t fedmem_elements_version(const struct fedmem *fm); /* rises with every put and remove */

/* Copies of a whole table; '*version' rises with every publish (0: never published). '*n' says how
 * many there are; 'room' records fit at 'out'. FEDMEM_FULL: room is too small. */
int fedmem_cells_get(const struct fedmem *fm, struct fedmem_cell *out, uint32_t room, uint32_t *n,
		     uint32_t *version);
int fedmem_servers_get(const struct fedmem *fm, struct fedmem_server *out, uint32_t room,
		       uint32_t *n, uint32_t *version);
int fedmem_rules_get(const struct fedmem *fm, struct fedmem_rule *out, uint32_t room, uint32_t *n,
		     uint32_t *version);
uint32_t fedmem_cells_version(const struct fedmem *fm); /* one load: for a look before each burst */
uint32_t fedmem_servers_version(const struct fedmem *fm);
uint32_t fedmem_rules_version(const struct fedmem *fm);

uint64_t fedmem_lease_until(const struct fedmem *fm);
uint32_t fedmem_relay_boot_met(const struct fedmem *fm);

/* A consistent copy, never a torn one. 'metrics' may be NULL, else has room for
 * sizes->metrics_per_element and is filled with out->n_metrics of them. FEDMEM_NOT_FOUND: nothing
 * was ever written for the slot. FEDMEM_BUSY: see there. */
int fedmem_state_read(const struct fedmem *fm, uint32_t slot, struct fedmem_state *out,
		      struct fedmem_metric *metrics);
/* FEDMEM_NOT_FOUND: the entry is free, or out of range. */
int fedmem_alarm_read(const struct fedmem *fm, uint32_t index, struct fedmem_alarm *out);
/* Do the state and the alarms that carry 'record' still count, or did the cell move since? */
bool fedmem_token_equal(struct fedmem_token a, struct fedmem_token b);
int fedmem_token_compare(struct fedmem_token a, struct fedmem_token b); /* <0, 0, >0 */

/* The last snapshot that the worker published: a moment between two bursts. FEDMEM_NOT_FOUND: none
 * yet. */
int fedmem_stats_read(const struct fedmem *fm, struct stats *out);
uint32_t fedmem_unknowns_read(const struct fedmem *fm, struct fedmem_unknown *out, uint32_t room);

/* When the data plane's worker last said that it runs (CLOCK_BOOTTIME); how often it was started.
 */
uint64_t fedmem_dp_beat_ns(const struct fedmem *fm);
uint64_t fedmem_dp_starts(const struct fedmem *fm);
/* The version of the cell table by which the worker judges from now on: what it applied under an
 * older one is in the memory. */
uint32_t fedmem_dp_cells_version(const struct fedmem *fm);
uint64_t fedmem_identity(const struct fedmem *fm);    /* drawn when the segment was made; not 0 */
uint32_t fedmem_alarms_used(const struct fedmem *fm); /* entries that are not free */

/* ---- The worker ---- */

struct fedmem_writer; /* one per segment at a time */

/* Puts right what a killed writer left half-written; rebuilds from the alarm records alone whatever
 * follows from them (index, free list, each element's chain, n_alarms and worst); raises the
 * overflow word, so that the control plane reads everything anew; counts the start and asks for a
 * relay boot. '*n_repaired' says how many records it had to put back.
 * -EBUSY: another living process writes this segment. -ESTALE: another file has taken its place. */
int fedmem_writer_open(struct fedmem_writer **out, struct fedmem *fm, uint32_t *n_repaired);

/* Brings the element's record (both lines) towards the cache. */
void fedmem_state_prefetch(const struct fedmem_writer *w, uint32_t slot);
/* The record, to be changed in place until _commit. When it was another element's, or its token is
 * another than 'token', it is handed out empty, with 'id' and 'token' in it, and its old alarms
 * are freed. One record, state or alarm, is open at a time. */
struct fedmem_state *fedmem_state_begin(struct fedmem_writer *w, uint32_t slot, uint64_t id,
					struct fedmem_token token);
void fedmem_state_commit(struct fedmem_writer *w, struct fedmem_state *s);
/* Without opening it: what the writer itself wrote. */
const struct fedmem_state *fedmem_state_peek(const struct fedmem_writer *w, uint32_t slot);
bool fedmem_state_has_metric(const struct fedmem_writer *w, const struct fedmem_state *s,
			     uint32_t id);
/* Sets one metric of the open record. FEDMEM_FULL: it has metrics_per_element others. */
int fedmem_state_metric(struct fedmem_writer *w, struct fedmem_state *s, uint32_t id,
			uint64_t value);

struct fedmem_alarm_key {
	uint32_t element; /* slot */
	const char *type, *resource, *qualifier;
	uint8_t type_bytes, resource_bytes, qualifier_bytes; /* cut to what a record holds */
};

/* The alarm with this key, raised or gone, of the element's present state. NULL: there is none. */
const struct fedmem_alarm *fedmem_alarm_find(const struct fedmem_writer *w,
					     const struct fedmem_alarm_key *key);
/* Opens the alarm with this key, or a free entry with the key in it (state FREE), to be changed in
 * place until _commit; who leaves it FREE gives it back. When the table is full the longest gone
 * one makes room, then one whose cell moved on or whose element was removed. NULL: all are raised.
 * The key, 'element', 'element_id', 'token' and 'next' are not the caller's to change. The state
 * record of the element must be current (begun and committed under its token) before. */
struct fedmem_alarm *fedmem_alarm_begin(struct fedmem_writer *w,
					const struct fedmem_alarm_key *key);
/* Commits, keeps index and chain, and, when 'kind' is not 0, gives the change its number and puts
 * an event on the ring; a full ring is counted in the overflow word. The caller keeps the state
 * record's n_alarms and worst with a begin/commit of its own. */
void fedmem_alarm_commit(struct fedmem_writer *w, struct fedmem_alarm *a,
			 enum fedmem_event_kind kind);
/* Recounts n_alarms and worst of the open record from the element's alarms. */
void fedmem_state_recount(struct fedmem_writer *w, struct fedmem_state *s);

/* FEDMEM_FULL: the list has no room for one more source. */
int fedmem_unknown_note(struct fedmem_writer *w, const struct fedmem_address *a, uint16_t udp_port,
			uint64_t now_ns);

/* What the last snapshot held: a worker goes on counting from there. */
void fedmem_stats_load(const struct fedmem_writer *w, struct stats *out);
/* Publishes a snapshot; called between bursts. */
void fedmem_stats_publish(struct fedmem_writer *w, const struct stats *s);
void fedmem_dp_beat(struct fedmem_writer *w, uint64_t now_ns);
void fedmem_dp_cells_followed(struct fedmem_writer *w, uint32_t version);
/* The oldest on the ring, copied out; its place is given back by _done, so that one that a killed
 * worker had not finished comes again. FEDMEM_NOT_FOUND: there is none. */
int fedmem_inject_peek(struct fedmem_writer *w, struct fedmem_inject *out);
void fedmem_inject_done(struct fedmem_writer *w);

void fedmem_writer_close(struct fedmem_writer *w); /* takes NULL */
void fedmem_close(struct fedmem *fm);		   /* takes NULL; the segment stays */

#endif
