/* wire.h - the door to protobuf-c: messages of proto/bellwether.proto to and from structs of our
 * own. What comes in is checked here, once: sizes, UTF-8, ranges, presence. Behind it are typed
 * values. Generated types do not leave this folder.
 *
 * Thread:  any; no state.
 * Memory:  wire_x_pack() allocates 'out->bytes', freed with wire_bytes_free(). wire_x_unpack()
 *          allocates one block from an arena with everything in it, freed with wire_free().
 *          Packing borrows.
 * Returns: 0 done; -ENOMEM; unpack: -EBADMSG: not a message of this kind, or a field that makes no
 *          sense; pack: -EMSGSIZE: longer than WIRE_MESSAGE_MAX.
 */
#ifndef BELLWETHER_CP_WIRE_WIRE_H
#define BELLWETHER_CP_WIRE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_MESSAGE_MAX   (4u << 20) /* octets; RPC_MESSAGE_MAX */
#define WIRE_CELL_NAME_MAX 39	      /* octets; not empty either */

/* Texts are UTF-8 (RFC 3629) of at most so many octets. Elements send us texts that are neither:
 * packing puts '?' for an octet that is not UTF-8 and cuts what is longer, so that one of them
 * cannot spoil a list. */
#define WIRE_TEXT_MAX 4096

struct wire_bytes {
	uint8_t *bytes;
	size_t n;
};
void wire_bytes_free(struct wire_bytes *b);
void wire_free(void *unpacked); /* takes NULL */

/* Texts are zero-terminated, never NULL. Arrays may be NULL when their count is 0. */

struct wire_token {
	uint64_t epoch, generation;
};

struct wire_server {
	uint32_t id, rank, n_cells, boot;
	const char *name, *state, *role, *address, *client_address;
	uint64_t epoch, heard_ms_ago;
	bool is_voter, is_dp_alive, is_healthy;
};
struct wire_cell {
	const char *name;
	uint32_t owner, standby, n_elements;
	struct wire_token token;
};
struct wire_status {
	const char *cluster;
	uint32_t server, master, n_elements;
	uint64_t epoch, map_epoch, map_version;
	bool is_map_committed;
	struct wire_server *servers;
	uint32_t n_servers;
	struct wire_cell *cells;
	uint32_t n_cells;
};

struct wire_element_request {
	uint64_t id;	  /* 0: by name */
	const char *name; /* "": by id */
	bool is_forwarded;
};
struct wire_metric {
	uint32_t id;
	double value;
};
struct wire_element {
	uint64_t id;
	const char *name, *address, *kind, *region, *worst;
	uint32_t owner, answered_by, n_alarms;
	struct wire_token token;
	uint64_t last_seen_ns, age_ms, n_reports, n_gaps;
	struct wire_metric *metrics;
	uint32_t n_metrics;
};
struct wire_alarm {
	uint64_t element_id;
	const char *element, *resource, *type, *qualifier, *severity, *text;
	bool is_cleared;
	uint64_t raised_ns, changed_ns, last_ns, count;
	uint32_t owner;
	struct wire_token token;
};
struct wire_element_reply {
	struct wire_element element;
	struct wire_alarm *alarms;
	uint32_t n_alarms;
};

struct wire_list_request {
	bool is_local, with_cleared;
	uint64_t after_element;
	uint32_t limit, deadline_ms;
};
struct wire_element_list {
	struct wire_element *elements;
	uint32_t n_elements;
	uint64_t next_after;
	uint32_t *silent;
	uint32_t n_silent;
	uint32_t answered_by;
};
struct wire_alarm_list {
	struct wire_alarm *alarms;
	uint32_t n_alarms;
	uint64_t next_after;
	uint32_t *silent;
	uint32_t n_silent;
	uint32_t answered_by;
};

struct wire_watch_request {
	bool is_local, present;
};
struct wire_alarm_event {
	const char *kind;
	struct wire_alarm alarm;
	bool has_alarm;
	uint64_t time_ns, number;
	uint32_t server;
};

struct wire_dp_stats_request {
	uint32_t server;
	bool is_forwarded;
};
struct wire_counter {
	const char *name, *help, *group;
	uint64_t value;
};
struct wire_equation {
	const char *name;
	uint64_t in, out;
};
struct wire_unknown {
	const char *address;
	uint64_t first_ns, last_ns, n_datagrams;
	uint32_t udp_port;
};
struct wire_dp_stats {
	uint32_t server, alarms_used, alarms_max;
	bool is_dp_alive, holds;
	uint64_t n_starts;
	struct wire_counter *counters, *refusals;
	uint32_t n_counters, n_refusals;
	struct wire_equation *equations;
	uint32_t n_equations;
	struct wire_unknown *unknown;
	uint32_t n_unknown;
};

struct wire_map_proposal {
	uint32_t from, to, boot;
	uint64_t epoch, version, sequence;
	struct wire_cell *cells;
	uint32_t n_cells;
	bool is_commit;
	uint8_t seal[16];
};
struct wire_map_answer {
	bool is_accepted;
	uint64_t epoch;
	uint32_t from;
	const char *why;
};
struct wire_probe_request {
	uint32_t server;
};
struct wire_probe_answer {
	bool is_reachable;
};

/* wire_NAME_pack(const struct wire_NAME *, struct wire_bytes *out)
 * wire_NAME_unpack(const uint8_t *bytes, size_t n, struct wire_NAME **out) */
#define WIRE_MESSAGES(X)                                                                           \
	X(status)                                                                                  \
	X(element_request)                                                                         \
	X(element_reply)                                                                           \
	X(list_request)                                                                            \
	X(element_list)                                                                            \
	X(alarm_list)                                                                              \
	X(watch_request)                                                                           \
	X(alarm_event)                                                                             \
	X(dp_stats_request)                                                                        \
	X(dp_stats)                                                                                \
	X(map_proposal)                                                                            \
	X(map_answer)                                                                              \
	X(probe_request)                                                                           \
	X(probe_answer)

#define X(name)                                                                                    \
	int wire_##name##_pack(const struct wire_##name *m, struct wire_bytes *out);               \
	int wire_##name##_unpack(const uint8_t *bytes, size_t n, struct wire_##name **out);
WIRE_MESSAGES(X)
#undef X

/* The bytes of a proposal that its seal covers: the message with an empty seal. */
int wire_map_proposal_sealed_part(const struct wire_map_proposal *m, struct wire_bytes *out);

#define WIRE_PATH(service, method) "/bellwether." service "/" method

#endif
