#include <assert.h>
#include <errno.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "cp/rpc/address.h"
#include "cp/rpc/buffer.h"
#include "cp/rpc/lane.h"
#include "cp/rpc/mailbox.h"
#include "cp/rpc/rpc.h"

#define CLIENT_MESSAGES_MAX 256 /* of one stream, received and not yet delivered */
#define BACKOFF_FIRST_MS    50
#define BACKOFF_MAX_MS	    500
/* For one attempt: a host that is back is not asked by an old SYN. */
#define CONNECT_MS	  1000
#define KEEPALIVE_MS	  2000
#define KEEPALIVE_WAIT_MS 1000

struct channel {
	SLIST_ENTRY(channel) next;
	grpc_channel *channel;
	char address[]; /* as it was given */
};

struct rpc_client {
	struct mailbox *mailbox;
	struct lane unary, stream;
	SLIST_HEAD(, channel) channels;
	LIST_HEAD(, rpc_request) requests;
	bool is_stopping;
};

struct rpc_request {
	struct rpc_client *client;
	struct lane_tag received, ended;
	bool is_stream;

	/* control only */
	LIST_ENTRY(rpc_request) in_client;
	rpc_message message;
	rpc_done done;
	void *user;
	bool is_cancelled;

	/* written by the library with 'ended', read by control after 'finished' was posted */
	struct mail finished;
	grpc_metadata_array initial, trailing;
	grpc_status_code status;
	grpc_slice why;

	pthread_mutex_t lock; /* protects what follows; the mailbox's comes after it */
	grpc_call *call;
	uint32_t n_batches;
	uint32_t n_messages;	  /* received and not delivered */
	bool is_over;		  /* no further batch may be started */
	bool is_paused;		  /* until some were delivered */
	grpc_byte_buffer *answer; /* the message just received; of a unary call, kept */
};

struct message {
	struct mail mail;
	struct rpc_request *request;
	grpc_byte_buffer *bytes;
};

#define CONTAINER(tag, member)                                                                     \
	((struct rpc_request *)((char *)(tag)-offsetof(struct rpc_request, member)))

/* ---- Channels ---- */

static grpc_arg integer(const char *key, int value)
{
	return (grpc_arg){.type = GRPC_ARG_INTEGER, .key = (char *)key, .value.integer = value};
}

static grpc_channel *library_channel(const char *target)
{
	grpc_arg args[] = {
		integer(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, BACKOFF_FIRST_MS),
		integer(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, CONNECT_MS),
		integer(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, BACKOFF_MAX_MS),
		integer(GRPC_ARG_KEEPALIVE_TIME_MS, KEEPALIVE_MS),
		integer(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, KEEPALIVE_WAIT_MS),
		integer(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
		integer(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, RPC_MESSAGE_MAX),
		integer(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1),
		integer(GRPC_ARG_ENABLE_RETRIES, 0),	/* the caller knows another server */
		integer(GRPC_ARG_ENABLE_HTTP_PROXY, 0), /* nor is the environment asked for one */
		/* else clients of one process share connections and their back-off */
		integer(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1),
	};
	grpc_channel_args all = {sizeof(args) / sizeof(args[0]), args};
	grpc_channel_credentials *plain = grpc_insecure_credentials_create();
	grpc_channel *channel = grpc_channel_create(target, plain, &all);

	grpc_channel_credentials_release(plain);
	return channel;
}

static int channel_get(struct rpc_client *c, const char *address, grpc_channel **out)
{
	char target[ADDRESS_TARGET_BYTES];
	struct channel *channel;
	int err;

	SLIST_FOREACH(channel, &c->channels, next)
	if (strcmp(channel->address, address) == 0) {
		*out = channel->channel;
		return 0;
	}
	err = address_target(target, address);
	if (err != 0)
		return err;
	channel = calloc(1, sizeof(*channel) + strlen(address) + 1);
	if (channel == NULL)
		return -ENOMEM;
	memcpy(channel->address, address, strlen(address));
	channel->channel = library_channel(target);
	SLIST_INSERT_HEAD(&c->channels, channel, next);
	*out = channel->channel;
	return 0;
}

/* ---- A request's way, on its lane ---- */

/* Locked. */
static void request_start(struct rpc_request *r, const grpc_op *ops, size_t n_ops,
			  struct lane_tag *tag)
{
	r->n_batches++;
	if (grpc_call_start_batch(r->call, ops, n_ops, tag, NULL) == GRPC_CALL_OK)
		return;
	r->n_batches--;
	r->is_over = true;
	grpc_call_cancel(r->call, NULL);
}

/* Locked. */
static void request_receive(struct rpc_request *r)
{
	grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};

	op.data.recv_message.recv_message = &r->answer;
	request_start(r, &op, 1, &r->received);
}

/* Ends what began with the lock. The last batch makes the request control's alone. */
static void request_unlock(struct rpc_request *r)
{
	if (r->n_batches == 0)
		mailbox_post(r->client->mailbox, &r->finished);
	pthread_mutex_unlock(&r->lock);
}

static void deliver_message(struct mail *mail)
{
	struct message *m = (struct message *)mail;
	struct rpc_request *r = m->request;
	grpc_slice bytes = buffer_read(m->bytes);

	if (!r->is_cancelled)
		r->message(r->user, GRPC_SLICE_START_PTR(bytes), GRPC_SLICE_LENGTH(bytes));
	grpc_slice_unref(bytes);
	grpc_byte_buffer_destroy(m->bytes);
	free(m);
	pthread_mutex_lock(&r->lock);
	r->n_messages--;
	if (r->is_paused && !r->is_over && r->n_messages <= CLIENT_MESSAGES_MAX / 2) {
		r->is_paused = false;
		request_receive(r);
	}
	pthread_mutex_unlock(&r->lock);
}

/* Locked. */
static void request_take_message(struct rpc_request *r)
{
	struct message *m = calloc(1, sizeof(*m));

	if (m == NULL) {
		r->is_over = true;
		grpc_call_cancel_with_status(r->call, GRPC_STATUS_RESOURCE_EXHAUSTED,
					     "no memory for a message", NULL);
		return;
	}
	m->mail.deliver = deliver_message;
	m->request = r;
	m->bytes = r->answer;
	r->answer = NULL;
	r->n_messages++;
	mailbox_post(r->client->mailbox, &m->mail);
	if (r->is_over)
		return;
	if (r->n_messages < CLIENT_MESSAGES_MAX)
		request_receive(r);
	else
		r->is_paused = true; /* deliver_message() goes on */
}

static void on_received(struct lane_tag *tag, bool is_ok)
{
	struct rpc_request *r = CONTAINER(tag, received);

	pthread_mutex_lock(&r->lock);
	r->n_batches--;
	if (r->is_stream && is_ok && r->answer != NULL)
		request_take_message(r);
	request_unlock(r);
}

static void on_ended(struct lane_tag *tag, bool is_ok)
{
	struct rpc_request *r = CONTAINER(tag, ended);

	pthread_mutex_lock(&r->lock);
	r->n_batches--;
	r->is_over = true;
	request_unlock(r);
}

static void request_free(struct rpc_request *r)
{
	grpc_call_unref(r->call);
	grpc_byte_buffer_destroy(r->answer);
	grpc_metadata_array_destroy(&r->initial);
	grpc_metadata_array_destroy(&r->trailing);
	grpc_slice_unref(r->why);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static void deliver_finished(struct mail *mail)
{
	struct rpc_request *r = CONTAINER(mail, finished);
	enum rpc_status status = (enum rpc_status)r->status;
	char *why;
	grpc_slice bytes;

	/* Nobody but us has it now: the lock of the last one to have it is free. */
	pthread_mutex_lock(&r->lock);
	pthread_mutex_unlock(&r->lock);
	LIST_REMOVE(r, in_client);
	why = grpc_slice_to_c_string(r->why);
	if (status != RPC_OK || r->is_stream) {
		r->done(r->user, status, why, NULL, 0);
	} else if (r->answer == NULL) {
		r->done(r->user, RPC_INTERNAL, "the server gave no answer", NULL, 0);
	} else {
		bytes = buffer_read(r->answer);
		r->done(r->user, status, why, GRPC_SLICE_START_PTR(bytes),
			GRPC_SLICE_LENGTH(bytes));
		grpc_slice_unref(bytes);
	}
	gpr_free(why);
	request_free(r);
}

/* ---- What callers see ---- */

static gpr_timespec deadline_in(uint32_t ms)
{
	if (ms == UINT32_MAX)
		return gpr_inf_future(GPR_CLOCK_MONOTONIC);
	return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(ms, GPR_TIMESPAN));
}

/* Locked. Sends the one message there is, and waits for the first that comes back and for the end.
 */
static void request_begin(struct rpc_request *r, const uint8_t *bytes, size_t n)
{
	grpc_byte_buffer *question = buffer_of(bytes, n);
	grpc_op end = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT};
	grpc_op ops[5] = {
		{.op = GRPC_OP_SEND_INITIAL_METADATA},	{.op = GRPC_OP_SEND_MESSAGE},
		{.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT}, {.op = GRPC_OP_RECV_INITIAL_METADATA},
		{.op = GRPC_OP_RECV_MESSAGE},
	};

	end.data.recv_status_on_client.trailing_metadata = &r->trailing;
	end.data.recv_status_on_client.status = &r->status;
	end.data.recv_status_on_client.status_details = &r->why;
	ops[1].data.send_message.send_message = question;
	ops[3].data.recv_initial_metadata.recv_initial_metadata = &r->initial;
	ops[4].data.recv_message.recv_message = &r->answer;
	request_start(r, &end, 1, &r->ended);
	request_start(r, ops, 5, &r->received);
	grpc_byte_buffer_destroy(question);
}

static int request_create(struct rpc_request **out, struct rpc_client *c, const char *address,
			  const char *path, const uint8_t *bytes, size_t n, uint32_t deadline_ms,
			  rpc_message message, rpc_done done, void *user)
{
	struct lane *lane = message != NULL ? &c->stream : &c->unary;
	grpc_channel *channel;
	struct rpc_request *r;
	grpc_slice method;
	int err;

	if (c->is_stopping)
		return -ECANCELED;
	if (n > RPC_MESSAGE_MAX)
		return -EMSGSIZE;
	err = channel_get(c, address, &channel);
	if (err != 0)
		return err;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return -ENOMEM;
	r->client = c;
	r->is_stream = message != NULL;
	r->message = message;
	r->done = done;
	r->user = user;
	r->received.completed = on_received;
	r->ended.completed = on_ended;
	r->finished.deliver = deliver_finished;
	r->why = grpc_empty_slice();
	r->status = GRPC_STATUS_INTERNAL;
	grpc_metadata_array_init(&r->initial);
	grpc_metadata_array_init(&r->trailing);
	pthread_mutex_init(&r->lock, NULL);
	LIST_INSERT_HEAD(&c->requests, r, in_client);
	method = grpc_slice_from_copied_string(path);
	pthread_mutex_lock(&r->lock);
	r->call = grpc_channel_create_call(channel, NULL, GRPC_PROPAGATE_DEFAULTS, lane->queue,
					   method, NULL, deadline_in(deadline_ms), NULL);
	request_begin(r, bytes, n);
	request_unlock(r);
	grpc_slice_unref(method);
	*out = r;
	return 0;
}

int rpc_client_call(struct rpc_client *c, const char *address, const char *path,
		    const uint8_t *bytes, size_t n, uint32_t deadline_ms, rpc_done done, void *user)
{
	struct rpc_request *r;

	return request_create(&r, c, address, path, bytes, n, deadline_ms, NULL, done, user);
}

int rpc_client_subscribe(struct rpc_client *c, struct rpc_request **out, const char *address,
			 const char *path, const uint8_t *bytes, size_t n, rpc_message message,
			 rpc_done done, void *user)
{
	return request_create(out, c, address, path, bytes, n, UINT32_MAX, message, done, user);
}

void rpc_request_cancel(struct rpc_request *r)
{
	r->is_cancelled = true;
	grpc_call_cancel(r->call, NULL);
}

int rpc_client_create(struct rpc_client **out, struct uv_loop_s *loop)
{
	struct rpc_client *c = calloc(1, sizeof(*c));
	int err;

	if (c == NULL)
		return -ENOMEM;
	library_get();
	SLIST_INIT(&c->channels);
	LIST_INIT(&c->requests);
	err = mailbox_open(&c->mailbox, loop);
	if (err != 0)
		goto fail;
	err = lane_open(&c->unary, "rpc-unary", GRPC_CQ_DEFAULT_POLLING);
	if (err != 0)
		goto fail;
	err = lane_open(&c->stream, "rpc-stream", GRPC_CQ_DEFAULT_POLLING);
	if (err != 0)
		goto fail;
	*out = c;
	return 0;
fail:
	rpc_client_destroy(c);
	return err;
}

void rpc_client_destroy(struct rpc_client *c)
{
	struct channel *channel;
	struct rpc_request *r;

	if (c == NULL)
		return;
	c->is_stopping = true;
	LIST_FOREACH(r, &c->requests, in_client)
	{
		pthread_mutex_lock(&r->lock);
		r->is_over = true; /* the lanes are closed below: nothing new on them */
		pthread_mutex_unlock(&r->lock);
		rpc_request_cancel(r);
	}
	lane_close(&c->unary);
	lane_close(&c->stream);
	if (c->mailbox != NULL)
		mailbox_drain(c->mailbox); /* every request is 'finished' in it */
	assert(LIST_EMPTY(&c->requests));
	while ((channel = SLIST_FIRST(&c->channels)) != NULL) {
		SLIST_REMOVE_HEAD(&c->channels, next);
		grpc_channel_destroy(channel->channel);
		free(channel);
	}
	mailbox_close(c->mailbox);
	free(c);
	library_put();
}
