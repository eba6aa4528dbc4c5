#include "cp/beat/beat.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "cp/beat/datagram.h"
#include "cp/core/core.h"

#define STATE_BEATS   20   /* for how long a snapshot is good */
#define STATE_MS_MIN  1000 /* ... at least */
#define RECEIVE_BURST 256  /* then the clock is looked at again: a flood must not stop our beats */
#define SENT_MAX      4096 /* how many own beats are remembered: a second's for 64 peers at 20 ms */
#define OUTBOX_MAX    256

_Static_assert(OUTBOX_MAX <= BEAT_WAITING_MAX, "the header names the limit of both");

/* Of the beat thread alone. */
struct peer {
	uint16_t id;
	struct sockaddr_storage address;
	uint8_t key_tx[SEAL_KEY_BYTES];
	uint32_t boot; /* the highest that its key proved; 0: not heard yet */
	uint8_t key_rx[SEAL_KEY_BYTES];
	struct seal_window window;
};

struct inbox_item {
	uint8_t kind; /* enum datagram_kind */
	union {
		struct beat_heard beat;
		struct election_message election;
	};
};

struct beat {
	/* Written before the thread starts. */
	uint16_t self;
	uint32_t boot;
	uint64_t beat_ns;
	uint8_t secret[SEAL_KEY_BYTES];
	void (*on_beat)(void *user, const struct beat_heard *heard);
	void (*on_message)(void *user, const struct election_message *m);
	void (*on_round)(void *user);
	void *user;
	int socket, wake; /* 'wake': eventfd, control -> thread */
	socklen_t address_bytes;

	/* The thread only. */
	struct peer peers[BEAT_PEERS_MAX];
	uint32_t n_peers;
	uint64_t sequence, random;
	struct {
		uint64_t sequence, sent_ms;
	} sent[SENT_MAX]; /* at sequence % SENT_MAX */

	/* Shared, under 'lock'. */
	pthread_mutex_t lock;
	struct beat_state state;
	uint64_t state_until_ns; /* 0: nothing was posted yet */
	bool is_urgent, is_closing;
	struct election_message outbox[OUTBOX_MAX];
	uint32_t n_outbox;
	struct inbox_item inbox[BEAT_WAITING_MAX];
	uint32_t inbox_first, n_inbox;
	struct beat_stats stats;

	pthread_t thread;
	bool has_thread;
	uv_async_t async; /* thread -> control */
	bool has_async;
};

const char *beat_refusal_name(enum beat_refusal refusal)
{
	static const char *const names[BEAT_REFUSALS_N] = {[BEAT_ACCEPTED] = "accepted",
#define X(symbol, name, help) [BEAT_REFUSED_##symbol] = name,
							   BEAT_REFUSALS(X)
#undef X
	};

	return refusal < BEAT_REFUSALS_N ? names[refusal] : "unknown";
}

static struct peer *peer_find(struct beat *b, uint16_t id)
{
	for (uint32_t i = 0; i < b->n_peers; i++)
		if (b->peers[i].id == id)
			return &b->peers[i];
	return NULL;
}

/* ---- The thread: sending ---- */

static void datagram_send(struct beat *b, struct peer *peer, struct datagram *d)
{
	uint8_t bytes[DATAGRAM_BYTES_MAX];
	bool is_sent;
	size_t n;

	d->from = b->self;
	d->to = peer->id;
	d->boot = b->boot;
	d->to_boot = peer->boot;
	d->sequence = ++b->sequence;
	/* Before it is sent: the lease is counted from a moment that is not too late. */
	b->sent[d->sequence % SENT_MAX].sequence = d->sequence;
	b->sent[d->sequence % SENT_MAX].sent_ms = core_now_ms();
	n = datagram_seal(bytes, d, peer->key_tx);
	is_sent = sendto(b->socket, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL,
			 (struct sockaddr *)&peer->address, b->address_bytes) == (ssize_t)n;
	pthread_mutex_lock(&b->lock);
	if (is_sent)
		b->stats.n_sent++;
	else
		b->stats.n_send_failed++;
	pthread_mutex_unlock(&b->lock);
}

static void beats_send(struct beat *b)
{
	struct datagram d = {.kind = DATAGRAM_BEAT};
	bool is_good;

	pthread_mutex_lock(&b->lock);
	d.beat = b->state;
	is_good = core_now_ns() < b->state_until_ns;
	if (!is_good && b->state_until_ns != 0)
		b->stats.n_silent++;
	pthread_mutex_unlock(&b->lock);
	if (is_good && b->on_round != NULL)
		b->on_round(b->user);
	for (uint32_t i = 0; is_good && i < b->n_peers; i++)
		datagram_send(b, &b->peers[i], &d);
}

static void messages_send(struct beat *b)
{
	struct election_message batch[OUTBOX_MAX];
	uint32_t n;

	pthread_mutex_lock(&b->lock);
	n = b->n_outbox;
	memcpy(batch, b->outbox, n * sizeof(batch[0]));
	b->n_outbox = 0;
	pthread_mutex_unlock(&b->lock);
	for (uint32_t i = 0; i < n; i++) {
		struct datagram d = {.kind = DATAGRAM_ELECTION, .election = batch[i]};

		datagram_send(b, peer_find(b, batch[i].to), &d);
	}
}

/* ---- The thread: receiving ---- */

/* A boot counts as heard once its key proved it. Answers at once: until our beats name its new
 * boot, it refuses them. */
static enum beat_refusal boot_learn(struct beat *b, struct peer *peer, const struct datagram *d,
				    const uint8_t *bytes, size_t n)
{
	uint8_t key[SEAL_KEY_BYTES];
	bool is_sealed;

	seal_derive(key, b->secret, SEAL_BEAT, peer->id, b->self, d->boot);
	is_sealed = datagram_is_sealed(d, bytes, n, key);
	if (is_sealed) {
		peer->boot = d->boot;
		memcpy(peer->key_rx, key, sizeof(key));
		peer->window = (struct seal_window){0};
		pthread_mutex_lock(&b->lock);
		b->is_urgent = true;
		pthread_mutex_unlock(&b->lock);
	}
	seal_wipe(key, sizeof(key));
	return is_sealed ? BEAT_ACCEPTED : BEAT_REFUSED_FORGED;
}

/* Whose it is, in which life, and whether it was seen before. */
static enum beat_refusal sender_check(struct beat *b, const struct datagram *d,
				      const uint8_t *bytes, size_t n)
{
	struct peer *peer = peer_find(b, d->from);

	if (peer == NULL)
		return BEAT_REFUSED_UNKNOWN;
	if (d->boot < peer->boot)
		return BEAT_REFUSED_OLD_BOOT;
	if (d->boot > peer->boot) {
		if (boot_learn(b, peer, d, bytes, n) != BEAT_ACCEPTED)
			return BEAT_REFUSED_FORGED;
	} else if (!datagram_is_sealed(d, bytes, n, peer->key_rx)) {
		return BEAT_REFUSED_FORGED;
	}
	if (!seal_window_accept(&peer->window, d->sequence))
		return BEAT_REFUSED_REPEATED;
	return d->to_boot == b->boot ? BEAT_ACCEPTED : BEAT_REFUSED_OTHER_LIFE;
}

static uint64_t acked_sent_ms(const struct beat *b, const struct beat_state *s)
{
	uint64_t i = s->ack_sequence % SENT_MAX;

	if (s->ack_to != b->self || s->ack_boot != b->boot || s->ack_sequence == 0 ||
	    b->sent[i].sequence != s->ack_sequence)
		return 0;
	return b->sent[i].sent_ms;
}

static enum beat_refusal inbox_push(struct beat *b, const struct datagram *d)
{
	struct inbox_item *item;
	bool is_first;

	pthread_mutex_lock(&b->lock);
	if (b->n_inbox == BEAT_WAITING_MAX) {
		pthread_mutex_unlock(&b->lock);
		return BEAT_REFUSED_FULL;
	}
	is_first = b->n_inbox == 0;
	item = &b->inbox[(b->inbox_first + b->n_inbox++) % BEAT_WAITING_MAX];
	item->kind = d->kind;
	if (d->kind == DATAGRAM_BEAT)
		item->beat = (struct beat_heard){
			.from = d->from,
			.boot = d->boot,
			.sequence = d->sequence,
			.state = d->beat,
			.acked_sent_ms = acked_sent_ms(b, &d->beat),
		};
	else
		item->election = d->election;
	pthread_mutex_unlock(&b->lock);
	if (is_first)
		uv_async_send(&b->async);
	return BEAT_ACCEPTED;
}

static enum beat_refusal datagram_take(struct beat *b, const uint8_t *bytes, size_t n)
{
	struct datagram d;
	enum beat_refusal refusal = datagram_decode(&d, bytes, n);

	if (refusal == BEAT_ACCEPTED && d.to != b->self)
		refusal = BEAT_REFUSED_ADDRESSEE;
	if (refusal == BEAT_ACCEPTED)
		refusal = sender_check(b, &d, bytes, n);
	if (refusal == BEAT_ACCEPTED)
		refusal = inbox_push(b, &d);
	return refusal;
}

static void datagrams_receive(struct beat *b)
{
	for (int i = 0; i < RECEIVE_BURST; i++) {
		uint8_t bytes[DATAGRAM_BYTES_MAX + 1];
		ssize_t n = recv(b->socket, bytes, sizeof(bytes), MSG_DONTWAIT);
		enum beat_refusal refusal;

		if (n < 0)
			return;
		refusal = datagram_take(b, bytes, (size_t)n);
		pthread_mutex_lock(&b->lock);
		b->stats.n_received++;
		b->stats.refused[refusal]++;
		pthread_mutex_unlock(&b->lock);
	}
}

/* ---- The thread: its loop ---- */

/* Less up to a tenth, so that servers do not fall into step (RFC 5880, 6.8.7). */
static uint64_t interval_ns(struct beat *b)
{
	b->random ^= b->random << 13; /* xorshift (Marsaglia, 2003) */
	b->random ^= b->random >> 7;
	b->random ^= b->random << 17;
	return b->beat_ns - b->random % (b->beat_ns / 10 + 1);
}

static void sleep_until(struct beat *b, uint64_t until_ns)
{
	struct pollfd fds[] = {{b->socket, POLLIN, 0}, {b->wake, POLLIN, 0}};
	uint64_t now_ns = core_now_ns(), left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
	struct timespec left = {(time_t)(left_ns / 1000000000u), (long)(left_ns % 1000000000u)};
	eventfd_t told;

	if (ppoll(fds, 2, &left, NULL) > 0 && fds[1].revents != 0)
		eventfd_read(b->wake, &told);
}

static void *beat_thread(void *arg)
{
	struct beat *b = arg;
	uint64_t next_ns = core_now_ns();

	for (;;) {
		bool is_urgent, is_closing;

		pthread_mutex_lock(&b->lock);
		is_urgent = b->is_urgent;
		b->is_urgent = false;
		is_closing = b->is_closing;
		pthread_mutex_unlock(&b->lock);
		if (is_closing)
			return NULL;
		if (is_urgent || core_now_ns() >= next_ns) {
			beats_send(b);
			next_ns = core_now_ns() + interval_ns(b);
		}
		messages_send(b);
		sleep_until(b, next_ns);
		datagrams_receive(b);
	}
}

/* ---- Control ---- */

static void on_async(uv_async_t *async)
{
	beat_deliver(async->data);
}

void beat_deliver(struct beat *b)
{
	for (;;) {
		struct inbox_item item;

		pthread_mutex_lock(&b->lock);
		if (b->n_inbox == 0) {
			pthread_mutex_unlock(&b->lock);
			return;
		}
		item = b->inbox[b->inbox_first];
		b->inbox_first = (b->inbox_first + 1) % BEAT_WAITING_MAX;
		b->n_inbox--;
		pthread_mutex_unlock(&b->lock);
		if (item.kind == DATAGRAM_BEAT)
			b->on_beat(b->user, &item.beat);
		else
			b->on_message(b->user, &item.election);
	}
}

void beat_post(struct beat *b, const struct beat_state *state)
{
	uint64_t good_ns = b->beat_ns * STATE_BEATS;
	bool is_first;

	if (good_ns < STATE_MS_MIN * UINT64_C(1000000))
		good_ns = STATE_MS_MIN * UINT64_C(1000000);
	pthread_mutex_lock(&b->lock);
	is_first = b->state_until_ns == 0;
	b->state = *state;
	b->state_until_ns = core_now_ns() + good_ns;
	pthread_mutex_unlock(&b->lock);
	if (is_first)
		beat_now(b);
}

void beat_now(struct beat *b)
{
	pthread_mutex_lock(&b->lock);
	b->is_urgent = true;
	pthread_mutex_unlock(&b->lock);
	eventfd_write(b->wake, 1);
}

int beat_send(struct beat *b, const struct election_message *m)
{
	int err = 0;

	if (peer_find(b, m->to) == NULL)
		return -ENOENT;
	pthread_mutex_lock(&b->lock);
	if (b->n_outbox < OUTBOX_MAX)
		b->outbox[b->n_outbox++] = *m;
	else
		err = -ENOBUFS;
	pthread_mutex_unlock(&b->lock);
	eventfd_write(b->wake, 1);
	return err;
}

void beat_stats(struct beat *b, struct beat_stats *out)
{
	pthread_mutex_lock(&b->lock);
	*out = b->stats;
	pthread_mutex_unlock(&b->lock);
}

/* ---- Life ---- */

static int address_parse(struct sockaddr_storage *out, socklen_t *bytes, const char *text,
			 uint16_t port)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		*bytes = sizeof(*v4);
		return 0;
	}
	if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		*bytes = sizeof(*v6);
		return 0;
	}
	return -EINVAL;
}

static int peers_init(struct beat *b, const struct beat_config *cfg)
{
	for (uint32_t i = 0; i < cfg->n_peers; i++) {
		struct peer *peer = &b->peers[i];
		socklen_t bytes;
		int err = address_parse(&peer->address, &bytes, cfg->peers[i].address, cfg->port);

		if (err != 0)
			return err;
		if (bytes != b->address_bytes)
			return -EAFNOSUPPORT;
		peer->id = cfg->peers[i].id;
		seal_derive(peer->key_tx, b->secret, SEAL_BEAT, b->self, peer->id, b->boot);
	}
	b->n_peers = cfg->n_peers;
	return 0;
}

static int socket_open(struct beat *b, const struct beat_config *cfg)
{
	struct sockaddr_storage own;
	int err = address_parse(&own, &b->address_bytes, cfg->address, cfg->port);

	if (err != 0)
		return err;
	b->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (b->wake < 0)
		return -errno;
	b->socket = socket(own.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (b->socket < 0)
		return -errno;
	if (bind(b->socket, (struct sockaddr *)&own, b->address_bytes) < 0)
		return -errno;
	return 0;
}

static void beat_free(struct beat *b)
{
	pthread_mutex_destroy(&b->lock);
	seal_wipe(b, sizeof(*b));
	free(b);
}

static void on_closed(uv_handle_t *handle)
{
	beat_free(handle->data);
}

int beat_create(struct beat **out, const struct beat_config *cfg)
{
	struct beat *b;
	int err;

	if (cfg->n_peers > BEAT_PEERS_MAX || cfg->boot == 0 || cfg->beat_ms == 0)
		return -EINVAL;
	b = calloc(1, sizeof(*b));
	if (b == NULL)
		return -ENOMEM;
	b->socket = b->wake = -1;
	b->self = cfg->self;
	b->boot = cfg->boot;
	b->beat_ns = cfg->beat_ms * UINT64_C(1000000);
	b->on_beat = cfg->on_beat;
	b->on_message = cfg->on_message;
	b->on_round = cfg->on_round;
	b->user = cfg->user;
	b->random = (core_now_ns() ^ (uint64_t)cfg->self << 48) | 1; /* never zero */
	memcpy(b->secret, cfg->secret, sizeof(b->secret));
	pthread_mutex_init(&b->lock, NULL);
	err = socket_open(b, cfg);
	if (err != 0)
		goto fail;
	err = peers_init(b, cfg);
	if (err != 0)
		goto fail;
	err = uv_async_init(cfg->loop, &b->async, on_async);
	if (err != 0)
		goto fail;
	b->async.data = b;
	b->has_async = true;
	err = -pthread_create(&b->thread, NULL, beat_thread, b);
	if (err != 0)
		goto fail;
	b->has_thread = true;
	pthread_setname_np(b->thread, "beat");
	*out = b;
	return 0;
fail:
	beat_destroy(b);
	return err;
}

void beat_destroy(struct beat *b)
{
	if (b == NULL)
		return;
	if (b->has_thread) {
		pthread_mutex_lock(&b->lock);
		b->is_closing = true;
		pthread_mutex_unlock(&b->lock);
		eventfd_write(b->wake, 1);
		pthread_join(b->thread, NULL);
	}
	if (b->socket >= 0)
		close(b->socket);
	if (b->wake >= 0)
		close(b->wake);
	if (b->has_async)
		uv_close((uv_handle_t *)&b->async, on_closed);
	else
		beat_free(b);
}
