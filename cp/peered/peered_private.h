/* peered_private.h - what the files of cp/peered share. */
#ifndef BELLWETHER_CP_PEERED_PEERED_PRIVATE_H
#define BELLWETHER_CP_PEERED_PEERED_PRIVATE_H

#include "cp/fanout/fanout.h"
#include "cp/peered/peered.h"
#include "cp/stored/stored.h"
#include "cp/wire/wire.h"

#define PEERED_METHODS 12

struct ack;

struct peered {
	struct peered_config cfg;
	struct rpc_method methods[PEERED_METHODS];
	struct stored stored;
	struct fanout_source store;
	struct fanout_lists lists;
	struct ack *acks; /* that wait to be stored */
};

/* Handlers; 'user' is the struct peered. */
void status_get(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user);
void status_get_stored(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user);
void element_get(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user);
void dp_stats_get(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user);
void events_list(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user);
/* Those that wait are answered when whoever stores them ends. */
void ack_leave_all(struct peered *p);
void ack_alarm(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user);
void order_import(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user);
void order_adopt(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user);
void order_move(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user);
void order_drain(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user);

/* The cell of the element with this id; NULL: there is no such element, or no map. */
const struct ownership_cell *peered_cell_of(struct peered *p, uint64_t element);

/* ---- Forwarding ---- */

/* A matter that another server has to decide, while the answer of that one is waited for. */
struct forward_request {
	struct peered *peered;
	struct rpc_call *call;
	const char *path;
	const uint8_t *bytes; /* copied */
	size_t n;
	uint16_t server;
	uint32_t deadline_ms; /* at most; 0: 2000 */
	/* The server answered FAILED_PRECONDITION: which one now, and what to send it ('*bytes' of
	 * its own making)? 0: none, the answer stands. May be NULL. */
	uint16_t (*again)(struct peered *p, void *matter, struct wire_bytes *bytes);
	/* There is no answer to give on, only this failure: ends the call. May be NULL: the failure
	 * is given on. */
	void (*failed)(struct peered *p, struct rpc_call *call, void *matter,
		       enum rpc_status status, const char *why);
	void *matter;			   /* taken */
	void (*free_matter)(void *matter); /* may be NULL */
};
void forward(const struct forward_request *request);

/* ---- Commands ---- */

/* The answer to a command. */
void command_reply(struct rpc_call *call, const struct wire_command_reply *reply);
/* Gives it a request id when it has none ('room' keeps it) and an operator. */
#define COMMAND_ID_BYTES (WIRE_REQUEST_ID_MAX + 1)
void command_complete(struct wire_command *c, char room[COMMAND_ID_BYTES]);
/* The call fails, and whether the command was done is not known. */
void command_unknown(struct rpc_call *call, const struct wire_command *c, const char *why);
/* Whom it was sent to gave no answer to give on. 'not_begun': what it means that this server
 * refuses to decide. */
void command_failed(struct rpc_call *call, const struct wire_command *c, enum rpc_status status,
		    const char *why, const char *not_begun);
/* Is this a name that an operator may give? NULL: yes; else what is wrong with it. */
const char *command_name_fault(const char *name, size_t bytes_max);

#endif
