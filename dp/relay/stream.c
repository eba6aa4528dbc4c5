#include "dp/relay/stream.h"

#include <assert.h>
#include <string.h>

/* In flight to one peer, unacknowledged: a returning peer is not flooded, and after a time-out only
 * the oldest one is tried, so that a dead one is not either. */
#define WINDOW		 256u
#define RESEND_DOUBLINGS 3u /* 2^3 = eight times as long */

bool stream_is_reachable(const struct relay *r, const struct peer *p)
{
	return r->has_port && p->is_listed && p->has_neighbour && p->boot_tx != 0 &&
	       p->boot_rx != 0;
}

/* ---- To a peer ---- */

static void go_back(struct peer *p)
{
	p->next = p->queue.head;
	p->n_flying = 0;
}

void stream_restart(struct peer *p)
{
	go_back(p);
	p->n_timeouts = 0;
	memset(&p->seen, 0, sizeof(p->seen));
	p->taken = 0;
	p->owes_ack = false;
	p->was_refused = false;
	p->owes_again = false;
}

void stream_append(struct relay *r, struct peer *p, uint32_t index)
{
	spool_append(r->spool, &p->queue, index);
	if (p->next == SPOOL_NONE)
		p->next = index;
}

void stream_unlink(struct relay *r, struct peer *p, uint32_t index)
{
	const struct spool_entry *e = spool_entry(r->spool, index);

	if (p->next == index)
		p->next = e->after;
	else if (p->next == SPOOL_NONE || e->number < spool_entry(r->spool, p->next)->number)
		p->n_flying--;
	spool_unlink(r->spool, &p->queue, index);
}

static struct message message_to(const struct relay *r, const struct peer *p,
				 enum message_kind kind)
{
	return (struct message){
		.kind = kind,
		.from = r->cfg.self,
		.to = p->id,
		.boot_from = p->boot_tx,
		.boot_to = p->boot_rx,
	};
}

/* Room for a frame with so large a datagram; where the datagram goes is '*payload'. NULL: no
 * buffer. */
static uint8_t *frame_begin(struct relay *r, const struct peer *p, uint16_t payload_bytes,
			    uint8_t **payload)
{
	uint8_t *frame = r->port.begin(r->port.port, r->overhead_bytes + payload_bytes);

	if (frame != NULL)
		*payload = frame + pkt_headers_bytes(&p->headers) + RELAY_HEADER_BYTES;
	return frame;
}

/* Every frame gets a sequence of its own, also one that is sent once more: what it says of the
 * alarm before it may have changed, and two contents under one nonce would give the key away. */
static bool frame_send(struct relay *r, struct peer *p, uint8_t *frame, struct message *m,
		       uint16_t payload_bytes)
{
	uint16_t n_bytes = RELAY_HEADER_BYTES + payload_bytes + RELAY_TAG_BYTES;

	m->sequence = ++r->sequence;
	message_write(frame + pkt_headers_bytes(&p->headers), n_bytes, m, p->key_tx);
	pkt_write_headers(frame, r->overhead_bytes + payload_bytes, &p->headers, n_bytes);
	return r->port.send(r->port.port);
}

enum stats_counter stream_send_metrics(struct relay *r, struct peer *p,
				       const struct apply_datagram *d)
{
	struct message m = message_to(r, p, MESSAGE_METRICS);
	uint8_t *frame, *payload;

	if (!stream_is_reachable(r, p))
		return STATS_RELAY_NO_NEIGHBOUR;
	frame = frame_begin(r, p, d->payload_bytes, &payload);
	if (frame == NULL)
		return STATS_RELAY_NO_MBUF;
	m.format = d->format;
	m.source = d->source;
	m.report_bitmap = d->report_bitmap;
	memcpy(payload, d->payload, d->payload_bytes);
	return frame_send(r, p, frame, &m, d->payload_bytes) ? STATS_RELAY_SENT
							     : STATS_RELAY_PORT_FULL;
}

static bool alarm_send(struct relay *r, struct peer *p, uint32_t index)
{
	struct spool_entry *e = spool_entry(r->spool, index);
	struct message m = message_to(r, p, MESSAGE_ALARMS);
	uint8_t *frame, *payload;

	frame = frame_begin(r, p, e->payload_bytes, &payload);
	if (frame == NULL)
		return false;
	m.format = e->format;
	m.number = e->number;
	m.before = e->before == SPOOL_NONE ? 0 : spool_entry(r->spool, e->before)->number;
	m.source = e->source;
	m.report_bitmap = e->report_bitmap;
	spool_copy(r->spool, index, payload);
	if (!frame_send(r, p, frame, &m, e->payload_bytes))
		return false;
	if (e->is_sent)
		r->stats->n[STATS_RELAY_RESENT]++;
	e->is_sent = true;
	return true;
}

static bool ack_send(struct relay *r, struct peer *p)
{
	struct message m = message_to(r, p, MESSAGE_ACK);
	uint8_t *payload, *frame = frame_begin(r, p, 0, &payload);

	if (frame == NULL)
		return false;
	m.number = p->taken;
	if (!frame_send(r, p, frame, &m, 0))
		return false;
	r->stats->n[STATS_RELAY_ACKS_SENT]++;
	p->owes_ack = false;
	return true;
}

/* What was refused may be taken now, so the peer need not wait until its time-out. When this is
 * lost, that is what it does. */
static bool again_send(struct relay *r, struct peer *p)
{
	struct message m = message_to(r, p, MESSAGE_AGAIN);
	uint8_t *payload, *frame = frame_begin(r, p, 0, &payload);

	if (frame == NULL || !frame_send(r, p, frame, &m, 0))
		return false;
	r->stats->n[STATS_RELAY_ASKED_AGAIN]++;
	p->owes_again = false;
	return true;
}

static void timer_start(const struct relay *r, struct peer *p)
{
	p->due_ns = r->now_ns + (r->cfg.resend_ns << p->n_timeouts);
}

static void peer_poll(struct relay *r, struct peer *p)
{
	uint32_t window;

	if ((p->owes_ack && !ack_send(r, p)) || (p->owes_again && !again_send(r, p)))
		return; /* the port has no room; nor for alarms */
	if (p->n_flying > 0 && r->now_ns >= p->due_ns) {
		go_back(p);
		if (p->n_timeouts < RESEND_DOUBLINGS)
			p->n_timeouts++;
	}
	window = p->n_timeouts == 0 ? WINDOW : 1;
	while (p->next != SPOOL_NONE && p->n_flying < window) {
		if (!alarm_send(r, p, p->next))
			return;
		p->next = spool_entry(r->spool, p->next)->after;
		if (p->n_flying++ == 0)
			timer_start(r, p);
	}
}

void relay_poll(struct relay *r, uint64_t now_ns)
{
	r->now_ns = now_ns;
	for (int i = 0; i < FEDMEM_SERVERS_MAX; i++)
		if (stream_is_reachable(r, &r->peers[i]))
			peer_poll(r, &r->peers[i]);
}

/* ---- From a peer ---- */

static void ack_receive(struct relay *r, struct peer *p, uint64_t number)
{
	bool is_progress = false;

	while (p->queue.head != SPOOL_NONE) {
		uint32_t index = p->queue.head;
		const struct spool_entry *e = spool_entry(r->spool, index);

		if (!e->is_sent || e->number > number)
			break;
		stream_unlink(r, p, index);
		spool_free(r->spool, index);
		r->stats->n[STATS_RELAY_WAITING]--;
		r->stats->n[STATS_RELAY_ACKNOWLEDGED]++;
		is_progress = true;
	}
	if (is_progress) {
		p->n_timeouts = 0;
		timer_start(r, p);
	}
}

static struct peer *peer_find(struct relay *r, uint16_t id)
{
	for (int i = 0; i < FEDMEM_SERVERS_MAX; i++)
		if (r->peers[i].id == id && r->peers[i].is_listed)
			return &r->peers[i];
	return NULL;
}

/* What the frame is. STATS_FRAME_RELAY_DATA: '*m' of '*from' is to be applied. */
static enum stats_counter receive(struct relay *r, const uint8_t *octets, uint16_t n_bytes,
				  struct message *m, struct peer **from)
{
	struct peer *p;

	if (!message_read(m, octets, n_bytes) || m->to != r->cfg.self)
		return STATS_DROP_RELAY_MALFORMED;
	p = m->from == 0 ? NULL : peer_find(r, m->from);
	if (p == NULL)
		return STATS_DROP_RELAY_UNKNOWN_PEER;
	if (p->boot_rx == 0 || p->boot_rx != m->boot_from || p->boot_tx == 0 ||
	    p->boot_tx != m->boot_to)
		return STATS_DROP_RELAY_BOOT;
	if (!message_is_authentic(m, p->key_rx, octets, n_bytes))
		return STATS_DROP_RELAY_FORGED;
	if (!seal_window_accept(&p->seen, m->sequence))
		return STATS_DROP_RELAY_REPEATED;
	*from = p;
	if (m->kind == MESSAGE_ACK) {
		ack_receive(r, p, m->number);
		return STATS_FRAME_RELAY_ACK;
	}
	if (m->kind == MESSAGE_AGAIN) {
		go_back(p);
		p->n_timeouts = 0;
		return STATS_FRAME_RELAY_AGAIN;
	}
	if (m->kind == MESSAGE_METRICS)
		return STATS_FRAME_RELAY_DATA;
	if (m->number <= p->taken) {
		p->owes_ack = true; /* the one that was sent is lost */
		return STATS_DROP_RELAY_REPEATED;
	}
	return m->before <= p->taken ? STATS_FRAME_RELAY_DATA : STATS_DROP_RELAY_EARLY;
}

bool relay_receive(struct relay *r, const uint8_t *message, uint16_t n_bytes,
		   struct apply_datagram *d)
{
	struct message m;
	struct peer *from;
	enum stats_counter what;

	assert(r->pending == NULL);
	what = receive(r, message, n_bytes, &m, &from);
	r->stats->n[what]++;
	if (what != STATS_FRAME_RELAY_DATA)
		return false;
	r->stats->n[STATS_DGRAMS_PEER]++;
	r->pending = from;
	r->pending_number = m.number;
	*d = (struct apply_datagram){
		.source = m.source,
		.format = m.format,
		.is_relayed = true,
		.report_bitmap = m.report_bitmap,
		.payload = message + RELAY_HEADER_BYTES,
		.payload_bytes = n_bytes - RELAY_HEADER_BYTES - RELAY_TAG_BYTES,
	};
	return true;
}

void relay_taken(struct relay *r, bool is_kept)
{
	struct peer *p = r->pending;

	assert(p != NULL);
	r->pending = NULL;
	if (r->pending_number == 0)
		return; /* metrics */
	if (!is_kept) {
		p->was_refused = true;
		return;
	}
	p->taken = r->pending_number;
	p->owes_ack = true;
}
