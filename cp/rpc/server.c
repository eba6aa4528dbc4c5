#include <assert.h>
#include <errno.h>
#include <grpc/grpc_security.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cp/rpc/address.h"
#include "cp/rpc/call.h"

#define UNARY_ARMED	     32	  /* calls that may arrive at once */
#define STREAM_ARMED	     4	  /* the same for each streaming method */
#define CALLS_MAX	     8192 /* under way, of all clients together */
#define CALLS_PER_CLIENT     1024
#define GRACE_MS	     500 /* for what was answered already to leave */
#define KEEPALIVE_MS	     5000
#define KEEPALIVE_WAIT_MS    2000
#define HANDSHAKE_MS	     5000
#define PING_INTERVAL_MIN_MS 100

/* Where calls come in: one for all unary methods, one for each streaming method. */
struct door {
	struct rpc_server *server;
	struct lane *lane;
	const struct rpc_method *method; /* NULL: all unary ones, and unknown ones */
	void *registered;		 /* the library's handle of a streaming method */
	uint32_t n_armed, armed_max;	 /* n_armed: under host.lock */
};

/* A call that nobody has made yet, and what the library writes when somebody does. */
struct armed {
	struct lane_tag requested;
	struct door *door;
	struct rpc_call *call;
	grpc_call_details details;
	grpc_metadata_array metadata;
};

struct rpc_server {
	struct call_host host;
	grpc_server *server;
	struct lane unary, stream;
	struct lane_tag stopped;
	struct rpc_method *methods;
	char **paths; /* the methods' own copies */
	uint32_t n_methods;
	struct door *doors; /* [0]: unary */
	uint32_t n_doors;
};

static void door_fill(struct door *d);

/* False: enough are armed already. */
static bool door_count(struct door *d, int change)
{
	struct call_host *host = &d->server->host;
	bool is_done;

	pthread_mutex_lock(&host->lock);
	is_done = change < 0 || d->n_armed < d->armed_max;
	if (is_done)
		d->n_armed += (uint32_t)change;
	pthread_mutex_unlock(&host->lock);
	return is_done;
}

static void armed_free(struct armed *a)
{
	grpc_call_details_destroy(&a->details);
	grpc_metadata_array_destroy(&a->metadata);
	free(a);
}

static const struct rpc_method *method_find(const struct rpc_server *s, grpc_slice path)
{
	for (uint32_t i = 0; i < s->n_methods; i++)
		if (!s->methods[i].is_stream && grpc_slice_str_cmp(path, s->methods[i].path) == 0)
			return &s->methods[i];
	return NULL;
}

static void on_requested(struct lane_tag *tag, bool is_ok)
{
	struct armed *a = (struct armed *)((char *)tag - offsetof(struct armed, requested));
	struct door *d = a->door;
	struct rpc_server *s = d->server;
	struct rpc_call *c = a->call;
	const struct rpc_method *method = d->method;
	bool is_crowded;

	door_count(d, -1);
	if (!is_ok) { /* the server stops */
		call_discard(c);
		armed_free(a);
		return;
	}
	if (method == NULL) {
		method = method_find(s, a->details.method);
		c->deadline = a->details.deadline;
	}
	armed_free(a);
	pthread_mutex_lock(&s->host.lock);
	is_crowded = s->host.n_calls > CALLS_MAX;
	pthread_mutex_unlock(&s->host.lock);
	if (method == NULL)
		call_refuse(c, RPC_UNIMPLEMENTED, "no such method");
	else if (is_crowded)
		call_refuse(c, RPC_RESOURCE_EXHAUSTED, "too many calls are under way");
	else
		call_accept(c, method);
	door_fill(d);
}

static int door_arm(struct door *d)
{
	grpc_server *server = d->server->server;
	grpc_completion_queue *queue = d->lane->queue;
	struct armed *a = calloc(1, sizeof(*a));
	grpc_call_error err;

	if (a == NULL)
		return -ENOMEM;
	a->call = call_create(&d->server->host);
	if (a->call == NULL) {
		free(a);
		return -ENOMEM;
	}
	a->requested.completed = on_requested;
	a->door = d;
	grpc_call_details_init(&a->details);
	grpc_metadata_array_init(&a->metadata);
	if (d->registered != NULL)
		err = grpc_server_request_registered_call(server, d->registered, &a->call->call,
							  &a->call->deadline, &a->metadata, NULL,
							  queue, queue, &a->requested);
	else
		err = grpc_server_request_call(server, &a->call->call, &a->details, &a->metadata,
					       queue, queue, &a->requested);
	if (err != GRPC_CALL_OK) {
		call_discard(a->call);
		armed_free(a);
		return -EIO;
	}
	return 0;
}

/* What could not be armed now is tried again with the next call. */
static void door_fill(struct door *d)
{
	const struct call_host *host = &d->server->host;

	while (!atomic_load_explicit(&host->is_stopping, memory_order_relaxed) && door_count(d, 1))
		if (door_arm(d) != 0) {
			door_count(d, -1);
			return;
		}
}

static void on_stopped(struct lane_tag *tag, bool is_ok)
{
	struct rpc_server *s =
		(struct rpc_server *)((char *)tag - offsetof(struct rpc_server, stopped));

	pthread_mutex_lock(&s->host.lock);
	s->host.is_stopped = true;
	pthread_cond_signal(&s->host.changed);
	pthread_mutex_unlock(&s->host.lock);
}

static grpc_arg integer(const char *key, int value)
{
	return (grpc_arg){.type = GRPC_ARG_INTEGER, .key = (char *)key, .value.integer = value};
}

static grpc_server *library_server(void)
{
	grpc_arg args[] = {
		/* else a second server on the same port would get half of the calls */
		integer(GRPC_ARG_ALLOW_REUSEPORT, 0),
		integer(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, RPC_MESSAGE_MAX),
		integer(GRPC_ARG_MAX_CONCURRENT_STREAMS, CALLS_PER_CLIENT),
		/* no compression: some octets could become gigabytes */
		integer(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1),
		integer(GRPC_ARG_KEEPALIVE_TIME_MS, KEEPALIVE_MS),
		integer(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, KEEPALIVE_WAIT_MS),
		integer(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
		integer(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
		integer(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
			PING_INTERVAL_MIN_MS),
		integer(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0),
		integer(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, HANDSHAKE_MS),
	};
	grpc_channel_args all = {sizeof(args) / sizeof(args[0]), args};

	return grpc_server_create(&all, NULL);
}

/* The library does not say why it could not listen: asks the kernel once more. */
static int listen_errno(const struct sockaddr_storage *address)
{
	int one = 1, err = -EADDRINUSE;
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) != 0)
		err = -errno;
	close(fd);
	return err;
}

static int server_listen(struct rpc_server *s, const char *const *addresses, uint32_t n_addresses)
{
	grpc_server_credentials *plain = grpc_insecure_server_credentials_create();
	struct sockaddr_storage parsed;
	int err = 0;

	library_quiet(true);
	for (uint32_t i = 0; i < n_addresses && err == 0; i++) {
		err = address_parse(&parsed, addresses[i]);
		if (err == 0 && grpc_server_add_http2_port(s->server, addresses[i], plain) == 0)
			err = listen_errno(&parsed);
	}
	library_quiet(false);
	grpc_server_credentials_release(plain);
	return err;
}

static int methods_copy(struct rpc_server *s, const struct rpc_method *methods, uint32_t n)
{
	uint32_t n_streams = 0;

	s->methods = calloc(n + 1, sizeof(*s->methods));
	s->paths = calloc(n + 1, sizeof(*s->paths));
	if (s->methods == NULL || s->paths == NULL)
		return -ENOMEM;
	s->n_methods = n;
	for (uint32_t i = 0; i < n; i++) {
		s->paths[i] = strdup(methods[i].path);
		if (s->paths[i] == NULL)
			return -ENOMEM;
		s->methods[i] = methods[i];
		s->methods[i].path = s->paths[i];
		n_streams += methods[i].is_stream;
	}
	s->doors = calloc(n_streams + 1, sizeof(*s->doors));
	return s->doors != NULL ? 0 : -ENOMEM;
}

static int doors_make(struct rpc_server *s)
{
	s->doors[s->n_doors++] =
		(struct door){.server = s, .lane = &s->unary, .armed_max = UNARY_ARMED};
	for (uint32_t i = 0; i < s->n_methods; i++) {
		struct door d = {.server = s,
				 .lane = &s->stream,
				 .method = &s->methods[i],
				 .armed_max = STREAM_ARMED};

		if (!s->methods[i].is_stream)
			continue;
		d.registered = grpc_server_register_method(s->server, s->methods[i].path, NULL,
							   GRPC_SRM_PAYLOAD_NONE, 0);
		if (d.registered == NULL)
			return -EINVAL; /* the same path twice */
		s->doors[s->n_doors++] = d;
	}
	return 0;
}

/* Until no call is under way and the library has stopped; false: not in time. */
static bool host_wait(struct call_host *host, const struct timespec *until)
{
	bool is_idle;
	int err = 0;

	pthread_mutex_lock(&host->lock);
	while (!(is_idle = host->is_stopped && host->n_calls == 0) && err == 0) {
		if (until != NULL)
			err = pthread_cond_timedwait(&host->changed, &host->lock, until);
		else
			pthread_cond_wait(&host->changed, &host->lock);
	}
	pthread_mutex_unlock(&host->lock);
	return is_idle;
}

static void server_stop(struct rpc_server *s)
{
	struct timespec until;
	struct rpc_call *c;

	atomic_store_explicit(&s->host.is_stopping, true, memory_order_relaxed);
	grpc_server_shutdown_and_notify(s->server, s->unary.queue, &s->stopped);
	mailbox_drain(s->host.mailbox);
	while ((c = LIST_FIRST(&s->host.owned)) != NULL)
		call_stop(c);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += GRACE_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	if (!host_wait(&s->host, &until)) {
		grpc_server_cancel_all_calls(s->server);
		host_wait(&s->host, NULL);
	}
}

int rpc_server_create(struct rpc_server **out, struct uv_loop_s *loop, const char *const *addresses,
		      uint32_t n_addresses, const struct rpc_method *methods, uint32_t n_methods)
{
	struct rpc_server *s = calloc(1, sizeof(*s));
	pthread_condattr_t monotonic;
	int err;

	if (s == NULL)
		return -ENOMEM;
	library_get();
	pthread_mutex_init(&s->host.lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->host.changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	LIST_INIT(&s->host.owned);
	s->stopped.completed = on_stopped;
	err = methods_copy(s, methods, n_methods);
	if (err != 0)
		goto fail;
	err = mailbox_open(&s->host.mailbox, loop);
	if (err != 0)
		goto fail;
	err = lane_open(&s->unary, "rpc-unary", GRPC_CQ_DEFAULT_POLLING);
	if (err != 0)
		goto fail;
	err = lane_open(&s->stream, "rpc-stream", GRPC_CQ_NON_LISTENING);
	if (err != 0)
		goto fail;
	s->server = library_server();
	grpc_server_register_completion_queue(s->server, s->unary.queue, NULL);
	grpc_server_register_completion_queue(s->server, s->stream.queue, NULL);
	err = doors_make(s);
	if (err != 0)
		goto fail;
	err = server_listen(s, addresses, n_addresses);
	if (err != 0)
		goto fail;
	grpc_server_start(s->server);
	for (uint32_t i = 0; i < s->n_doors; i++)
		door_fill(&s->doors[i]);
	*out = s;
	return 0;
fail:
	rpc_server_destroy(s);
	return err;
}

void rpc_server_destroy(struct rpc_server *s)
{
	if (s == NULL)
		return;
	if (s->server != NULL)
		server_stop(s);
	lane_close(&s->unary);
	lane_close(&s->stream);
	if (s->host.mailbox != NULL)
		mailbox_drain(s->host.mailbox);
	if (s->server != NULL)
		grpc_server_destroy(s->server);
	mailbox_close(s->host.mailbox);
	for (uint32_t i = 0; i < s->n_methods; i++)
		free(s->paths[i]);
	free(s->paths);
	free(s->methods);
	free(s->doors);
	pthread_cond_destroy(&s->host.changed);
	pthread_mutex_destroy(&s->host.lock);
	free(s);
	library_put();
}
