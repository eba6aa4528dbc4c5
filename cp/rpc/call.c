#include "cp/rpc/call.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cp/rpc/buffer.h"

#define STOPPING "the server stops"
#define CONTAINER(tag, member)                                                                     \
	((struct rpc_call *)((char *)(tag)-offsetof(struct rpc_call, member)))

static void call_unref(struct rpc_call *c)
{
	if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
		return;
	assert(c->call == NULL && STAILQ_EMPTY(&c->waiting));
	grpc_byte_buffer_destroy(c->request);
	grpc_byte_buffer_destroy(c->reply);
	pthread_mutex_destroy(&c->lock);
	free(c->why);
	free(c);
}

static void call_ref(struct rpc_call *c)
{
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
}

static void half_ended(struct call_host *host)
{
	pthread_mutex_lock(&host->lock);
	host->n_calls--;
	pthread_cond_signal(&host->changed);
	pthread_mutex_unlock(&host->lock);
}

/* Locked. Starts a batch, or gives the call up. */
static void call_start(struct rpc_call *c, const grpc_op *ops, size_t n_ops, struct lane_tag *tag)
{
	assert(c->call != NULL);
	c->n_batches++;
	if (grpc_call_start_batch(c->call, ops, n_ops, tag, NULL) == GRPC_CALL_OK)
		return;
	c->n_batches--;
	c->is_over = true;
	grpc_call_cancel(c->call, NULL);
}

/* Locked. */
static void call_drop_first(struct rpc_call *c)
{
	struct call_message *m = STAILQ_FIRST(&c->waiting);

	STAILQ_REMOVE_HEAD(&c->waiting, next);
	c->n_waiting--;
	grpc_byte_buffer_destroy(m->bytes);
	free(m);
}

/* Locked. All but the one that is under way, which is the library's until it comes back. */
static void call_drop_waiting(struct rpc_call *c)
{
	struct call_message *under_way = NULL;

	if (c->is_sending) {
		under_way = STAILQ_FIRST(&c->waiting);
		STAILQ_REMOVE_HEAD(&c->waiting, next);
	}
	while (!STAILQ_EMPTY(&c->waiting))
		call_drop_first(c);
	if (under_way != NULL)
		STAILQ_INSERT_HEAD(&c->waiting, under_way, next);
}

/* Ends what every function here begins with a lock: the library's half ends with its last batch. */
static void call_unlock(struct rpc_call *c)
{
	struct call_host *host = c->host;
	bool is_last = c->is_over && c->n_batches == 0 && c->call != NULL;

	if (is_last) {
		grpc_call_unref(c->call);
		c->call = NULL;
	}
	pthread_mutex_unlock(&c->lock);
	if (is_last) {
		call_unref(c);
		half_ended(host);
	}
}

/* Locked. The last batch but 'closed': a status, with the reply when there is one. */
static void call_finish(struct rpc_call *c, enum rpc_status status, const char *text)
{
	grpc_slice why = grpc_slice_from_copied_string(text);
	grpc_op ops[3] = {};
	size_t n = 0;

	if (!c->is_metadata_sent)
		ops[n++].op = GRPC_OP_SEND_INITIAL_METADATA;
	if (c->reply != NULL) {
		ops[n].op = GRPC_OP_SEND_MESSAGE;
		ops[n++].data.send_message.send_message = c->reply;
	}
	ops[n].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
	ops[n].data.send_status_from_server.status = (grpc_status_code)status;
	ops[n++].data.send_status_from_server.status_details = &why;
	call_start(c, ops, n, &c->finished);
	c->is_over = true;
	grpc_slice_unref(why);
}

static void on_finished(struct lane_tag *tag, bool is_ok)
{
	struct rpc_call *c = CONTAINER(tag, finished);

	pthread_mutex_lock(&c->lock);
	c->n_batches--;
	call_unlock(c);
}

/* Locked. The library allows one message under way. */
static void call_send_next(struct rpc_call *c)
{
	grpc_op op = {.op = GRPC_OP_SEND_MESSAGE};

	op.data.send_message.send_message = STAILQ_FIRST(&c->waiting)->bytes;
	c->is_sending = true;
	call_start(c, &op, 1, &c->sent);
}

static void on_sent(struct lane_tag *tag, bool is_ok)
{
	struct rpc_call *c = CONTAINER(tag, sent);

	pthread_mutex_lock(&c->lock);
	c->n_batches--;
	c->is_sending = false;
	call_drop_first(c);
	if (!is_ok)
		c->is_over = true; /* 'closed' tells the owner */
	if (c->is_over)
		call_drop_waiting(c);
	else if (!STAILQ_EMPTY(&c->waiting))
		call_send_next(c);
	else if (c->is_ended)
		call_finish(c, c->status, c->why != NULL ? c->why : "");
	call_unlock(c);
}

/* The client is gone, or has our status. */
static void on_closed(struct lane_tag *tag, bool is_ok)
{
	struct rpc_call *c = CONTAINER(tag, closed);

	pthread_mutex_lock(&c->lock);
	c->n_batches--;
	if (c->is_cancelled != 0) {
		c->is_over = true;
		call_drop_waiting(c);
		if (c->is_asked && !c->is_ended) {
			call_ref(c);
			mailbox_post(c->host->mailbox, &c->gone);
		}
	}
	call_unlock(c);
}

static void on_received(struct lane_tag *tag, bool is_ok)
{
	struct rpc_call *c = CONTAINER(tag, received);

	pthread_mutex_lock(&c->lock);
	c->n_batches--;
	if (c->is_over)
		goto end;
	if (!is_ok || c->request == NULL) {
		call_finish(c, RPC_INVALID_ARGUMENT, "the call has no message that can be read");
	} else if (atomic_load_explicit(&c->host->is_stopping, memory_order_relaxed)) {
		call_finish(c, RPC_UNAVAILABLE, STOPPING);
	} else {
		c->is_asked = true;
		call_ref(c); /* the owner's */
		mailbox_post(c->host->mailbox, &c->asked);
	}
end:
	call_unlock(c);
}

static void deliver_gone(struct mail *mail)
{
	struct rpc_call *c = CONTAINER(mail, gone);
	void (*on_gone)(void *user) = c->on_gone;

	c->is_told = true;
	c->on_gone = NULL;
	if (c->is_owned && on_gone != NULL)
		on_gone(c->on_gone_user);
	call_unref(c);
}

/* Takes the owner's half; the call is unlocked. */
static void owner_leaves(struct rpc_call *c)
{
	if (c->is_owned)
		LIST_REMOVE(c, in_owned);
	c->is_owned = false;
	call_unref(c);
}

static void deliver_asked(struct mail *mail)
{
	struct rpc_call *c = CONTAINER(mail, asked);
	grpc_slice bytes;
	bool is_over;

	pthread_mutex_lock(&c->lock);
	if (!c->is_over && atomic_load_explicit(&c->host->is_stopping, memory_order_relaxed))
		call_finish(c, RPC_UNAVAILABLE, STOPPING);
	is_over = c->is_over;
	c->is_ended = is_over;
	call_unlock(c);
	if (is_over) { /* nobody waits for the answer */
		owner_leaves(c);
		return;
	}
	bytes = buffer_read(c->request);
	grpc_byte_buffer_destroy(c->request);
	c->request = NULL;
	LIST_INSERT_HEAD(&c->host->owned, c, in_owned);
	c->is_owned = true;
	c->method->handler(c, GRPC_SLICE_START_PTR(bytes), GRPC_SLICE_LENGTH(bytes),
			   c->method->user);
	grpc_slice_unref(bytes);
}

struct rpc_call *call_create(struct call_host *host)
{
	struct rpc_call *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->host = host;
	c->refs = 1;
	c->closed.completed = on_closed;
	c->received.completed = on_received;
	c->sent.completed = on_sent;
	c->finished.completed = on_finished;
	c->asked.deliver = deliver_asked;
	c->gone.deliver = deliver_gone;
	STAILQ_INIT(&c->waiting);
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_lock(&host->lock);
	host->n_calls++;
	pthread_mutex_unlock(&host->lock);
	return c;
}

void call_discard(struct rpc_call *c)
{
	struct call_host *host = c->host;

	call_unref(c);
	half_ended(host);
}

/* Locked. On its own: it comes back when the client goes away, whatever else is under way. */
static void call_await_close(struct rpc_call *c)
{
	grpc_op op = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};

	op.data.recv_close_on_server.cancelled = &c->is_cancelled;
	call_start(c, &op, 1, &c->closed);
}

void call_accept(struct rpc_call *c, const struct rpc_method *method)
{
	grpc_op ops[2] = {};
	size_t n = 0;

	pthread_mutex_lock(&c->lock);
	c->method = method;
	call_await_close(c);
	if (method->is_stream) {
		ops[n++].op = GRPC_OP_SEND_INITIAL_METADATA;
		c->is_stream = c->is_metadata_sent = true;
	}
	ops[n].op = GRPC_OP_RECV_MESSAGE;
	ops[n++].data.recv_message.recv_message = &c->request;
	if (!c->is_over)
		call_start(c, ops, n, &c->received);
	call_unlock(c);
}

void call_refuse(struct rpc_call *c, enum rpc_status status, const char *why)
{
	pthread_mutex_lock(&c->lock);
	call_await_close(c);
	if (!c->is_over)
		call_finish(c, status, why);
	call_unlock(c);
}

void call_stop(struct rpc_call *c)
{
	void (*on_gone)(void *user) = c->on_gone;

	call_ref(c);
	LIST_REMOVE(c, in_owned);
	c->is_owned = false;
	c->is_told = true;
	c->on_gone = NULL;
	if (on_gone != NULL)
		on_gone(c->on_gone_user);
	pthread_mutex_lock(&c->lock);
	if (!c->is_ended && !c->is_over) {
		if (!c->is_sending) {
			call_finish(c, RPC_UNAVAILABLE, STOPPING);
		} else {
			c->is_over = true; /* a client that does not read waits for nothing */
			grpc_call_cancel(c->call, NULL);
		}
	}
	call_unlock(c);
	call_unref(c);
}

/* The owner's last word. Takes 'reply'. */
static void call_end(struct rpc_call *c, enum rpc_status status, const char *why,
		     grpc_byte_buffer *reply, bool with_waiting)
{
	pthread_mutex_lock(&c->lock);
	assert(!c->is_ended);
	c->is_ended = true;
	if (c->is_over) {
		grpc_byte_buffer_destroy(reply);
	} else {
		c->reply = reply;
		if (!with_waiting)
			call_drop_waiting(c);
		if (STAILQ_EMPTY(&c->waiting)) {
			call_finish(c, status, why);
		} else { /* when the last one was sent */
			c->status = status;
			c->why = strdup(why);
		}
	}
	call_unlock(c);
	owner_leaves(c);
}

void rpc_call_reply(struct rpc_call *call, const uint8_t *bytes, size_t n)
{
	assert(!call->is_stream);
	if (n > RPC_MESSAGE_MAX)
		call_end(call, RPC_RESOURCE_EXHAUSTED, "the answer is too long", NULL, false);
	else
		call_end(call, RPC_OK, "", buffer_of(bytes, n), false);
}

void rpc_call_fail(struct rpc_call *call, enum rpc_status status, const char *why)
{
	assert(status != RPC_OK);
	call_end(call, status, why, NULL, false);
}

void rpc_call_end(struct rpc_call *call)
{
	assert(call->is_stream);
	call_end(call, RPC_OK, "", NULL, true);
}

int rpc_call_send(struct rpc_call *call, const uint8_t *bytes, size_t n)
{
	struct call_message *m;
	int result = 0;

	assert(call->is_stream);
	if (n > RPC_MESSAGE_MAX)
		return -EMSGSIZE;
	pthread_mutex_lock(&call->lock);
	assert(!call->is_ended);
	if (call->is_over)
		goto end;
	result = RPC_FULL;
	if (call->n_waiting >= RPC_STREAM_QUEUE)
		goto end;
	result = -ENOMEM;
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		goto end;
	m->bytes = buffer_of(bytes, n);
	STAILQ_INSERT_TAIL(&call->waiting, m, next);
	call->n_waiting++;
	if (!call->is_sending)
		call_send_next(call);
	result = 0;
end:
	call_unlock(call);
	return result;
}

uint32_t rpc_call_room(struct rpc_call *call)
{
	uint32_t room;

	pthread_mutex_lock(&call->lock);
	/* What is sent to a client that is gone is dropped. */
	room = call->is_over ? RPC_STREAM_QUEUE : RPC_STREAM_QUEUE - call->n_waiting;
	call_unlock(call);
	return room;
}

void rpc_call_on_cancel(struct rpc_call *call, void (*gone)(void *user), void *user)
{
	call->on_gone = gone;
	call->on_gone_user = user;
	if (call->is_told && call->is_owned) { /* it went before anybody asked to be told */
		call->is_told = false;
		call_ref(call);
		mailbox_post(call->host->mailbox, &call->gone);
	}
}

uint32_t rpc_call_time_left_ms(const struct rpc_call *call)
{
	gpr_timespec never = gpr_inf_future(call->deadline.clock_type), left;
	int64_t ms;

	if (gpr_time_cmp(call->deadline, never) == 0)
		return UINT32_MAX;
	left = gpr_time_sub(call->deadline, gpr_now(call->deadline.clock_type));
	ms = gpr_time_to_millis(left);
	if (ms < 0)
		return 0;
	return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX - 1;
}
