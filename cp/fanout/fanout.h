/* fanout.h - one question to all servers at once, under a deadline, and what they answer as one
 * answer: lists of elements and alarms, from the memories or from the stores, and the event log. A
 * server that is silent is named; what it alone knows is missing, nothing else. A page ends where
 * each server's part is known to be whole, so that nothing is left out between two pages.
 *
 * Of a record that several servers have, memories: the one under the highest token, with all of its
 * element's alarms, for while a cell moves two servers can both think that they own it. Stores:
 * record by record, the highest token, then what changed last.
 *
 * Thread:  control.
 * Memory:  keeps what a struct here points to until the call-back; what it gives there is lent, but
 *          an events page.
 * Returns: 0 done, the call-back runs once, also from inside; <0 -errno, it never does.
 */
#ifndef BELLWETHER_CP_FANOUT_FANOUT_H
#define BELLWETHER_CP_FANOUT_FANOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "cp/cluster/cluster.h"
#include "cp/eventlog/eventlog.h"
#include "cp/inventory/inventory.h"
#include "cp/memory/memory.h"
#include "cp/rpc/rpc.h"

struct fanout {
	struct cluster *cluster;
	struct rpc_client *client;
};

/* ---- Any question ---- */

struct fanout_ask {
	const char *path;
	const uint8_t *bytes; /* copied */
	size_t n;
	uint32_t deadline_ms;
	/* An answer; false: it makes no sense, and its server counts as silent. */
	bool (*take)(void *user, uint16_t server, const uint8_t *bytes, size_t n);
	/* All answered or are silent. */
	void (*done)(void *user, const uint32_t *silent, uint32_t n_silent);
	void *user;
};
/* Asks all servers but this one. One that is known to be dead is silent without being asked. */
int fanout_ask(const struct fanout *f, const struct fanout_ask *ask);

/* For the peers of a call: what was wanted (0: 1000 ms), no more than what is left of the client's
 * own deadline when the way back is taken off. */
uint32_t fanout_deadline(const struct rpc_call *call, uint32_t wanted_ms);

/* ---- Lists ---- */

enum fanout_kind { FANOUT_ELEMENTS, FANOUT_ALARMS };

/* Where this server's own part comes from, and which method of the others gives theirs. */
struct fanout_source {
	const char *elements_path, *alarms_path;
	int (*elements)(void *user, uint64_t after, uint32_t limit, struct memory_page **page,
			struct wire_element_list *list);
	int (*alarms)(void *user, uint64_t after, uint32_t limit, bool with_cleared,
		      struct memory_page **page, struct wire_alarm_list *list);
	void *user;
	bool is_store;
};

struct fanout_lists {
	struct fanout fanout;
	const struct fanout_source *source;
	const struct fanout_source *store; /* for max_age_ms; may be NULL */
	const struct inventory *inventory; /* with 'store': whose elements those are */
};

/* One of the two, by kind; its records and numbers may be changed in place. */
struct fanout_list {
	enum fanout_kind kind;
	union {
		struct wire_element_list elements;
		struct wire_alarm_list alarms;
	};
};
/* 'err' is 0 or -ENOMEM; then there is no list. */
typedef void (*fanout_list_done)(void *user, int err, struct fanout_list *list);
int fanout_list(const struct fanout_lists *f, enum fanout_kind kind,
		const struct wire_list_request *request, uint32_t deadline_ms,
		fanout_list_done done, void *user);
/* The whole of a handler: reads the request, answers the call. */
void fanout_list_serve(const struct fanout_lists *f, enum fanout_kind kind, struct rpc_call *call,
		       const uint8_t *bytes, size_t n);

/* ---- Events ---- */

#define FANOUT_EVENTS_DEFAULT 1000
#define FANOUT_EVENTS_MAX     5000

/* Each event once, by time, then origin and number; those of one origin in the order of their
 * numbers. Freed by whoever got it. */
struct fanout_events {
	struct wire_event_list list;
	/* For eventlog_place_take(): the origin, or this server for the trail, where everything
	 * below was told too; FANOUT_EVENTS_COPY for one that only a copy is known of. */
	uint16_t *from;
};
#define FANOUT_EVENTS_COPY UINT16_MAX
/* 'err': 0 or -ENOMEM. */
typedef void (*fanout_events_done)(void *user, int err, struct fanout_events *events);
/* -EINVAL: 'after' is no resume token. */
int fanout_events(const struct fanout *f, struct eventlog *log,
		  const struct wire_event_query *query, uint32_t deadline_ms,
		  fanout_events_done done, void *user);
void fanout_events_free(struct fanout_events *events); /* takes NULL */

#endif
