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
/* Octets inside a message, borrowed. Not terminated; may be NULL when n is 0. */
struct wire_octets {
	const uint8_t *bytes;
	uint32_t n;
};
void wire_bytes_free(struct wire_bytes *b);
void wire_free(void *unpacked); /* takes NULL */

/* Texts are zero-terminated. What is packed may have NULL for "", what was unpacked never has.
 * Arrays may be NULL when their count is 0. */

struct wire_token {
	uint64_t epoch, generation;
};

struct wire_server {
	uint32_t id, rank, n_cells, boot;
	const char *name, *state, *role, *address, *client_address;
	uint64_t epoch, heard_ms_ago;
	bool is_voter, is_dp_alive, is_healthy, is_drained;
	const char *store; /* "ok", "full", "rebuilding"; "": not known */
	uint64_t store_used, store_max;
};
struct wire_cell {
	const char *name;
	uint32_t owner, standby, n_elements, pin;
	struct wire_token token;
};
struct wire_status {
	const char *cluster;
	uint32_t server, master, n_elements;
	uint64_t epoch, map_epoch, map_version;
	bool is_map_committed;
	uint64_t registry_committed, stored_ns;
	struct wire_server *servers;
	uint32_t n_servers;
	struct wire_cell *cells;
	uint32_t n_cells;
};

struct wire_element_request {
	uint64_t id;	  /* 0: by name */
	const char *name; /* "": by id */
	bool is_forwarded, is_fresh;
	uint32_t max_age_ms;
	struct wire_token token;
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
	uint64_t last_seen_ns, age_ms, n_reports, n_gaps, stored_ns;
	const char *source; /* "memory", "store" */
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
	const char *operator_state, *operator_name, *operator_text; /* "none", "ack" */
	uint64_t operator_ns, age_ms;
	const char *source;
};
struct wire_element_reply {
	struct wire_element element;
	struct wire_alarm *alarms;
	uint32_t n_alarms;
};

struct wire_list_request {
	bool is_local, with_cleared;
	uint64_t after_element;
	uint32_t limit, deadline_ms, max_age_ms;
	bool is_fresh;
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
	uint64_t n_left_out;
};

struct wire_watch_request {
	bool is_local, present;
	const char *resume;
	const char **kinds;
	uint32_t n_kinds;
};
struct wire_alarm_event {
	const char *kind;
	struct wire_alarm alarm;
	bool has_alarm;
	uint64_t time_ns, number;
	uint32_t server;
	const char *resume;
};

/* See bellwether.proto for the kinds. */
struct wire_event {
	uint32_t origin; /* 0: the registry */
	uint64_t number, time_ns;
	const char *kind;
	struct wire_alarm alarm;
	bool has_alarm;
	const char *cell;
	struct wire_token token;
	uint32_t server, was;
	uint64_t epoch;
	const char *operator_name, *request_id, *text;
};
struct wire_event_query {
	bool is_local, is_newest;
	const char *after, *element, *cell;
	uint64_t since_ns, until_ns;
	const char **kinds;
	uint32_t n_kinds;
	uint32_t limit, deadline_ms, origin;
};
struct wire_event_list {
	struct wire_event *events;
	uint32_t n_events;
	const char *resume;
	bool is_more;
	uint32_t *silent;
	uint32_t n_silent;
	uint32_t answered_by;
};
struct wire_event_notice {
	const char *kind; /* "event", "silent", "heard", "lost" */
	struct wire_event event;
	bool has_event;
	uint32_t server;
	const char *resume;
};

/* ---- Commands ---- */

#define WIRE_REQUEST_ID_MAX 64 /* octets */

struct wire_command {
	const char *request_id, *operator_name;
	bool is_forwarded;
	struct wire_token token;
};
struct wire_element_spec {
	uint64_t id; /* 0: not chosen yet */
	const char *name, *kind, *region;
	uint8_t address[16];
};
struct wire_import_elements_request {
	struct wire_command command;
	struct wire_element_spec *elements;
	uint32_t n_elements;
};
struct wire_adopt_element_request {
	struct wire_command command;
	struct wire_element_spec element;
};
struct wire_move_element_request {
	struct wire_command command;
	const char *element, *region; /* region "": to the server */
	uint32_t server;
};
struct wire_drain_server_request {
	struct wire_command command;
	uint32_t server;
	bool is_drained;
};
struct wire_ack_alarm_request {
	struct wire_command command;
	const char *element, *resource, *type, *qualifier, *text;
	bool is_ack;
};
struct wire_command_reply {
	bool is_done, is_repeat, is_degraded;
	const char *why;
	uint32_t n_added, n_changed, n_same, answered_by;
	uint64_t index, element_id;
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

/* ---- Between servers, and what stores keep: peer.proto ---- */

struct wire_sealed_request {
	uint32_t from, to, boot, to_boot;
	uint64_t sequence;
	const char *method;
	struct wire_octets payload;
	uint8_t seal[16];
};
struct wire_log_run {
	uint64_t epoch, first;
};
struct wire_append_request {
	uint64_t epoch, previous_index, previous_epoch, committed;
	struct wire_octets *entries;
	uint32_t n_entries;
	struct wire_log_run *runs;
	uint32_t n_runs;
	uint64_t last;
	uint32_t to_boot;
};
struct wire_append_answer {
	bool is_accepted;
	uint64_t epoch, match;
	const char *why;
	uint32_t from;
};
struct wire_snapshot_row {
	uint32_t table;
	struct wire_octets key, value;
};
struct wire_snapshot_chunk {
	uint64_t epoch, index, index_epoch;
	uint32_t number;
	bool is_last;
	struct wire_snapshot_row *rows;
	uint32_t n_rows;
};
struct wire_snapshot_answer {
	bool is_accepted;
	uint64_t epoch;
	uint32_t next, from;
	const char *why;
};

enum wire_registry_kind { /* the proto's numbers; another one is -EBADMSG */
			  WIRE_REGISTRY_EPOCH = 1,
			  WIRE_REGISTRY_CELLS,
			  WIRE_REGISTRY_ELEMENTS,
			  WIRE_REGISTRY_DRAIN,
			  WIRE_REGISTRY_PIN,
			  WIRE_REGISTRY_SERVERS,
};
struct wire_registry_entry {
	enum wire_registry_kind kind;
	uint64_t time_ns;
	const char *request_id, *operator_name, *cell, *element, *event;
	uint32_t server, was;
	bool is_set;
	struct wire_cell *cells;
	uint32_t n_cells;
	struct wire_element_spec *elements;
	uint32_t n_elements;
	uint32_t *servers;
	uint32_t n_servers;
};

struct wire_stored_alarm {
	uint64_t element_id;
	struct wire_octets type, resource, qualifier, text; /* no longer than fedmem's fields */
	uint8_t state, severity;
	uint64_t raised_ns, changed_ns, last_ns, count, boot, sequence, stored_ns;
	uint32_t owner;
	struct wire_token token;
	const char *cell;
};
struct wire_stored_element {
	uint64_t id;
	const char *cell;
	uint32_t owner, n_alarms;
	struct wire_token token;
	uint64_t first_seen_ns, last_seen_ns, n_reports, n_gaps, boot, sequence, stored_ns;
	uint8_t worst;
	struct wire_metric *metrics;
	uint32_t n_metrics; /* at most 255 */
};
struct wire_alarm_note {
	uint64_t element_id, raised_ns, time_ns, number;
	struct wire_octets type, resource, qualifier;
	bool is_ack;
	const char *operator_name, *text, *request_id;
	uint32_t origin;
};
struct wire_cell_sync {
	const char *cell;
	struct wire_token token;
	bool is_complete, is_owner;
};
struct wire_replicate_request {
	const char *cell;
	struct wire_token token;
	bool is_begin, is_end, is_copy;
	struct wire_stored_alarm *alarms;
	uint32_t n_alarms;
	struct wire_stored_element *elements;
	uint32_t n_elements;
	struct wire_alarm_note *notes;
	uint32_t n_notes;
	struct wire_event *events;
	uint32_t n_events;
};
struct wire_replicate_answer {
	bool is_stored, is_copy_wanted;
	const char *why;
	struct wire_token token;
};
struct wire_fetch_cell_request {
	const char *cell;
	struct wire_token token;
	uint64_t after_element, element;
};
struct wire_cell_records {
	bool is_known, is_from_memory;
	struct wire_token token;
	struct wire_stored_alarm *alarms;
	uint32_t n_alarms;
	struct wire_stored_element *elements;
	uint32_t n_elements;
	struct wire_alarm_note *notes;
	uint32_t n_notes;
	uint64_t next_after;
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
	X(probe_request)                                                                           \
	X(probe_answer)                                                                            \
	X(event)                                                                                   \
	X(event_query)                                                                             \
	X(event_list)                                                                              \
	X(event_notice)                                                                            \
	X(import_elements_request)                                                                 \
	X(adopt_element_request)                                                                   \
	X(move_element_request)                                                                    \
	X(drain_server_request)                                                                    \
	X(ack_alarm_request)                                                                       \
	X(command_reply)                                                                           \
	X(sealed_request)                                                                          \
	X(append_request)                                                                          \
	X(append_answer)                                                                           \
	X(snapshot_chunk)                                                                          \
	X(snapshot_answer)                                                                         \
	X(registry_entry)                                                                          \
	X(stored_alarm)                                                                            \
	X(stored_element)                                                                          \
	X(alarm_note)                                                                              \
	X(cell_sync)                                                                               \
	X(replicate_request)                                                                       \
	X(replicate_answer)                                                                        \
	X(fetch_cell_request)                                                                      \
	X(cell_records)

#define X(name)                                                                                    \
	int wire_##name##_pack(const struct wire_##name *m, struct wire_bytes *out);               \
	int wire_##name##_unpack(const uint8_t *bytes, size_t n, struct wire_##name **out);
WIRE_MESSAGES(X)
#undef X

/* The bytes of a sealed request that its seal covers: the message with an empty seal. */
int wire_sealed_request_sealed_part(const struct wire_sealed_request *m, struct wire_bytes *out);

#define WIRE_PATH(service, method) "/bellwether." service "/" method

#endif
