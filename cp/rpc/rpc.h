/* rpc.h - the door to gRPC's C core: a server and a client for messages as bytes.
 * Nothing else includes grpc headers. Calls are accepted and answered on threads of this module,
 * handlers and callbacks run on the control thread: they come through a bounded queue and a
 * uv_async_t. Unary calls and streams have a completion queue and a thread each, so that a stream
 * at full speed cannot starve a unary call.
 *
 * Thread:  control, all functions. The module's own threads: "rpc-unary" and "rpc-stream".
 * Memory:  bytes given to a handler or callback live until it returns; bytes given to a function
 *          here are copied. After an x_destroy() the loop has to turn once more before
 *          uv_loop_close().
 * Returns: 0 done; <0 -errno, nothing happened; >0 an enum rpc_answer.
 */
#ifndef BELLWETHER_CP_RPC_RPC_H
#define BELLWETHER_CP_RPC_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uv_loop_s;

enum rpc_answer {
	RPC_FULL = 1, /* the stream's queue is full: the message was not taken */
};

/* gRPC's status codes by their numbers (grpc/status.h). */
enum rpc_status {
	RPC_OK = 0,
	RPC_CANCELLED = 1,
	RPC_UNKNOWN = 2,
	RPC_INVALID_ARGUMENT = 3,
	RPC_DEADLINE_EXCEEDED = 4,
	RPC_NOT_FOUND = 5,
	RPC_PERMISSION_DENIED = 7,
	RPC_RESOURCE_EXHAUSTED = 8,
	RPC_FAILED_PRECONDITION = 9,
	RPC_UNIMPLEMENTED = 12,
	RPC_INTERNAL = 13,
	RPC_UNAVAILABLE = 14,
};
const char *rpc_status_name(enum rpc_status status); /* "NOT_FOUND" */

#define RPC_MESSAGE_MAX (4u << 20) /* octets; a longer one is refused with RESOURCE_EXHAUSTED */

/* ---- Server ---- */

struct rpc_server; /* opaque: see server.c */
struct rpc_call;   /* one call that is being answered; its handler, then whoever it gave it to, owns
		      it */

/* Must end in exactly one of rpc_call_reply(), rpc_call_fail() or rpc_call_end(), then or later,
 * on the control thread. */
typedef void (*rpc_handler)(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user);

struct rpc_method {
	const char *path; /* "/bellwether.Peered/GetStatus" */
	bool is_stream;	  /* the answer is a stream */
	rpc_handler handler;
	void *user;
};

/* Listens at all addresses ("10.0.0.1:7400", "[2001:db8::1]:7400") or fails as a whole:
 * -EADDRINUSE, -EADDRNOTAVAIL and what else bind() says; -EINVAL: not an address, or two streaming
 * methods of one path. */
int rpc_server_create(struct rpc_server **out, struct uv_loop_s *loop, const char *const *addresses,
		      uint32_t n_addresses, const struct rpc_method *methods, uint32_t n_methods);
/* Ends every call with UNAVAILABLE and tells those who asked by rpc_call_on_cancel(), from inside;
 * what was answered before has half a second to leave. Waits for the threads. Calls that are owned
 * still have to be ended, also afterwards. Not from a handler or callback of this module. Takes
 * NULL. */
void rpc_server_destroy(struct rpc_server *s);

void rpc_call_reply(struct rpc_call *call, const uint8_t *bytes, size_t n); /* unary: ends */
void rpc_call_fail(struct rpc_call *call, enum rpc_status status, const char *why); /* ends */
/* Stream: at most RPC_STREAM_QUEUE messages wait; then RPC_FULL. What waits when the call fails is
 * dropped. */
#define RPC_STREAM_QUEUE 4096
int rpc_call_send(struct rpc_call *call, const uint8_t *bytes, size_t n);
/* How many messages the stream would take now. */
uint32_t rpc_call_room(struct rpc_call *call);
void rpc_call_end(struct rpc_call *call); /* stream: ends with OK after what waits was sent */
/* Called once, on the control thread, when the client went away first; the call still has to be
 * ended. Before that, sends to a dead client are quietly dropped. */
void rpc_call_on_cancel(struct rpc_call *call, void (*gone)(void *user), void *user);
/* Milliseconds until the client's deadline; UINT32_MAX without one. */
uint32_t rpc_call_time_left_ms(const struct rpc_call *call);

/* ---- Client ---- */

struct rpc_client;  /* opaque: see client.c */
struct rpc_request; /* one call that was made and not yet ended */

/* Called exactly once for each request, on the control thread. 'bytes' is NULL unless status is
 * RPC_OK. */
typedef void (*rpc_done)(void *user, enum rpc_status status, const char *why, const uint8_t *bytes,
			 size_t n);
typedef void (*rpc_message)(void *user, const uint8_t *bytes, size_t n);

/* Channels are made at first use and kept, one per address ("10.0.0.1:7400", "[2001:db8::1]:7400";
 * no names); they reconnect by themselves, within a second after their server is back, two when
 * its host was silent. A call to a server that is not there fails at once with UNAVAILABLE; the
 * deadline is for those that are silent (UINT32_MAX: none). -EINVAL: not an address. -EMSGSIZE.
 * -ECANCELED: the client is being destroyed. */
int rpc_client_create(struct rpc_client **out, struct uv_loop_s *loop);
int rpc_client_call(struct rpc_client *c, const char *address, const char *path,
		    const uint8_t *bytes, size_t n, uint32_t deadline_ms, rpc_done done,
		    void *user);
/* 'message' for each, then 'done' once (bytes NULL). '*out' may be cancelled until 'done';
 * once cancelled it gives no 'message'. */
int rpc_client_subscribe(struct rpc_client *c, struct rpc_request **out, const char *address,
			 const char *path, const uint8_t *bytes, size_t n, rpc_message message,
			 rpc_done done, void *user);
void rpc_request_cancel(struct rpc_request *r);
/* Ends what is under way with RPC_CANCELLED, from inside, and waits for the threads. Not from a
 * handler or callback of this module. Takes NULL. */
void rpc_client_destroy(struct rpc_client *c);

#endif
