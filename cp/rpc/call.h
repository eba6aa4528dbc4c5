/* call.h - one call that a server answers.
 * It has two halves that end independently: the library's (batches under way on the call's lane)
 * and the owner's (the handler, or whoever it gave the call to). The memory goes with the second of
 * them.
 *
 * Thread:  as said at each function.
 */
#ifndef BELLWETHER_CP_RPC_CALL_H
#define BELLWETHER_CP_RPC_CALL_H

#include <grpc/grpc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "cp/rpc/lane.h"
#include "cp/rpc/mailbox.h"
#include "cp/rpc/rpc.h"

struct call_message {
	STAILQ_ENTRY(call_message) next;
	grpc_byte_buffer *bytes;
};

/* What a call needs of its server, which outlives the library's half. */
struct call_host {
	struct mailbox *mailbox;
	_Atomic bool is_stopping; /* relaxed: calls that come now are refused, or cancelled later */
	pthread_mutex_t lock;	  /* protects n_calls and is_stopped */
	pthread_cond_t changed;
	uint32_t n_calls; /* library's halves: armed, or under way */
	bool is_stopped;
	LIST_HEAD(, rpc_call) owned; /* control only: given to a handler and not ended */
};

struct rpc_call {
	struct call_host *host;
	const struct rpc_method *method; /* NULL: refused; lives as long as the host */
	_Atomic uint32_t refs;		 /* halves, and mail under way */
	struct lane_tag closed, received, sent, finished;
	bool is_stream;
	gpr_timespec deadline;
	grpc_byte_buffer
		*request; /* written by the lane, read by control after 'asked' was posted */
	int is_cancelled; /* written by the library with 'closed' */

	/* control only */
	struct mail asked, gone;
	LIST_ENTRY(rpc_call) in_owned;
	bool is_owned; /* in host->owned */
	bool is_told;  /* 'gone' was delivered */
	void (*on_gone)(void *user);
	void *on_gone_user;

	pthread_mutex_t
		lock;	 /* protects what follows; host->lock and the mailbox's come after it */
	grpc_call *call; /* NULL: the library's half has ended */
	uint32_t n_batches;
	bool is_asked;	 /* 'asked' was posted: there is an owner */
	bool is_ended;	 /* by its owner */
	bool is_over;	 /* no further batch may be started */
	bool is_sending; /* the first of 'waiting' is the library's */
	bool is_metadata_sent;
	STAILQ_HEAD(, call_message) waiting;
	uint32_t n_waiting;
	enum rpc_status status; /* to finish with, after 'waiting' */
	char *why;		/* NULL: nothing to say */
	grpc_byte_buffer *reply;
};

/* Control or lane. With one half, the library's. NULL: no memory. */
struct rpc_call *call_create(struct call_host *host);
/* Lane: a client asked for 'method'; c->call and c->deadline are set. */
void call_accept(struct rpc_call *c, const struct rpc_method *method);
/* Lane: the same, to be answered with this status at once. */
void call_refuse(struct rpc_call *c, enum rpc_status status, const char *why);
/* Lane: nobody asked, and nobody will. */
void call_discard(struct rpc_call *c);
/* Control: the server stops. Tells the owner, then ends the library's half with UNAVAILABLE. */
void call_stop(struct rpc_call *c);

#endif
