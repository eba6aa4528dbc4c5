#include "dp/relay/relay.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dp/relay/stream.h"

/* Where the alarms of a cell wait: in the queue of a peer, or in one of these. */
#define ROUTE_WAITING FEDMEM_SERVERS_MAX
#define ROUTE_OURS    (FEDMEM_SERVERS_MAX + 1)

static bool is_ipv4(const struct fedmem_address *a)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(a->octets, mapped, sizeof(mapped)) == 0;
}

static int rooms_create(struct relay *r)
{
	r->owners = calloc(r->cfg.cells_max, sizeof(*r->owners));
	r->routes = calloc(r->cfg.cells_max, sizeof(*r->routes));
	if (r->owners == NULL || r->routes == NULL)
		return -ENOMEM;
	return spool_create(&r->spool, r->cfg.spool_max);
}

int relay_create(struct relay **out, const struct relay_config *cfg, const struct relay_port *port,
		 struct stats *stats)
{
	struct pkt_headers headers = {.source = cfg->local_address,
				      .destination = cfg->local_address};
	struct relay *r;
	int err;

	if (cfg->cells_max == 0 || cfg->spool_max == 0 || cfg->resend_ns == 0)
		return -EINVAL;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return -ENOMEM;
	r->cfg = *cfg;
	err = rooms_create(r);
	if (err < 0) {
		relay_destroy(r);
		return err;
	}
	r->stats = stats;
	r->frame_max = RELAY_FRAME_MAX;
	if (port != NULL) {
		r->has_port = true;
		r->port = *port;
		if (port->frame_max < r->frame_max)
			r->frame_max = port->frame_max;
	}
	r->overhead_bytes = pkt_headers_bytes(&headers) + RELAY_HEADER_BYTES + RELAY_TAG_BYTES;
	spool_queue_init(&r->waiting);
	spool_queue_init(&r->ours);
	for (int i = 0; i < FEDMEM_SERVERS_MAX; i++) {
		spool_queue_init(&r->peers[i].queue);
		r->peers[i].next = SPOOL_NONE;
	}
	stats->n[STATS_RELAY_LOST] += stats->n[STATS_RELAY_WAITING];
	stats->n[STATS_RELAY_WAITING] = 0;
	*out = r;
	return 0;
}

void relay_destroy(struct relay *r)
{
	if (r == NULL)
		return;
	for (int i = 0; i < FEDMEM_SERVERS_MAX; i++) {
		seal_wipe(r->peers[i].key_tx, FEDMEM_KEY_BYTES);
		seal_wipe(r->peers[i].key_rx, FEDMEM_KEY_BYTES);
	}
	spool_destroy(r->spool);
	free(r->routes);
	free(r->owners);
	free(r);
}

/* ---- Which queue ---- */

static uint8_t route_of(const struct relay *r, uint32_t cell)
{
	return cell < r->n_cells ? r->routes[cell] : ROUTE_WAITING;
}

static uint8_t route_to(const struct relay *r, uint16_t owner)
{
	if (owner == 0)
		return ROUTE_WAITING;
	if (owner == r->cfg.self)
		return r->may_own ? ROUTE_OURS : ROUTE_WAITING;
	for (uint8_t i = 0; i < FEDMEM_SERVERS_MAX; i++)
		if (r->peers[i].id == owner && r->peers[i].is_listed)
			return i;
	return ROUTE_WAITING; /* an owner that the server table does not have */
}

/* Could the datagram be sent at all, and by the port that is there? */
static bool is_too_long(const struct relay *r, uint8_t route, uint16_t payload_bytes)
{
	uint16_t max = route < FEDMEM_SERVERS_MAX ? r->frame_max : RELAY_FRAME_MAX;

	return payload_bytes > max || r->overhead_bytes + payload_bytes > max;
}

static struct spool_queue *queue_of(struct relay *r, uint8_t route)
{
	if (route < FEDMEM_SERVERS_MAX)
		return &r->peers[route].queue;
	return route == ROUTE_WAITING ? &r->waiting : &r->ours;
}

static void queue_append(struct relay *r, uint8_t route, uint32_t index)
{
	if (route < FEDMEM_SERVERS_MAX)
		stream_append(r, &r->peers[route], index);
	else
		spool_append(r->spool, queue_of(r, route), index);
}

static void queue_unlink(struct relay *r, uint8_t route, uint32_t index)
{
	if (route < FEDMEM_SERVERS_MAX)
		stream_unlink(r, &r->peers[route], index);
	else
		spool_unlink(r->spool, queue_of(r, route), index);
}

static void move(struct relay *r, uint8_t from, uint8_t to, uint32_t index)
{
	queue_unlink(r, from, index);
	if (is_too_long(r, to, spool_entry(r->spool, index)->payload_bytes)) {
		spool_free(r->spool, index);
		r->stats->n[STATS_RELAY_WAITING]--;
		r->stats->n[STATS_RELAY_TOO_LONG]++;
		return;
	}
	queue_append(r, to, index);
	if (to < FEDMEM_SERVERS_MAX)
		r->stats->n[STATS_RELAY_REROUTED]++;
}

/* All alarms of one cell are always in one queue, so walking each queue in its order keeps the
 * order within each cell. What is to be handed back stays: it will be judged anew. */
static void reroute(struct relay *r)
{
	for (uint32_t cell = 0; cell < r->n_cells; cell++)
		r->routes[cell] = route_to(r, r->owners[cell]);
	for (uint8_t from = 0; from <= ROUTE_WAITING; from++) {
		uint32_t after;

		for (uint32_t i = queue_of(r, from)->head; i != SPOOL_NONE; i = after) {
			const struct spool_entry *e = spool_entry(r->spool, i);
			uint8_t to = route_of(r, e->cell);

			after = e->after;
			if (to != from)
				move(r, from, to, i);
		}
	}
}

/* ---- Tables ---- */

static bool is_peer(const struct relay *r, const struct fedmem_server *s)
{
	return s->id != 0 && s->id != r->cfg.self;
}

/* The entry of the peer with this id, or one for it. NULL: there are more peers than the table may
 * have. */
static struct peer *peer_entry(struct relay *r, uint16_t id)
{
	struct peer *unused = NULL, *left = NULL;

	for (int i = 0; i < FEDMEM_SERVERS_MAX; i++) {
		struct peer *p = &r->peers[i];

		if (p->id == id)
			return p;
		if (p->id == 0 && unused == NULL)
			unused = p;
		if (p->id != 0 && !p->is_listed)
			left = p;
	}
	if (unused == NULL && left != NULL) {
		*left = (struct peer){.next = SPOOL_NONE};
		spool_queue_init(&left->queue);
	}
	return unused != NULL ? unused : left;
}

static void peer_update(struct relay *r, struct peer *p, const struct fedmem_server *s)
{
	bool is_anew = p->boot_tx != s->relay_boot_tx || p->boot_rx != s->relay_boot_rx;

	p->id = s->id;
	p->is_listed = true;
	p->boot_tx = s->relay_boot_tx;
	p->boot_rx = s->relay_boot_rx;
	memcpy(p->key_tx, s->relay_key_tx, FEDMEM_KEY_BYTES);
	memcpy(p->key_rx, s->relay_key_rx, FEDMEM_KEY_BYTES);
	/* Without a way from our address to its family there is no neighbour either. */
	p->has_neighbour =
		s->has_relay_mac && is_ipv4(&s->relay_address) == is_ipv4(&r->cfg.local_address);
	p->headers = (struct pkt_headers){
		.source = r->cfg.local_address,
		.destination = s->relay_address,
		.udp_source = r->cfg.udp_port,
		.udp_destination = r->cfg.udp_port,
	};
	memcpy(p->headers.ether_source, r->port.ether_address, 6);
	memcpy(p->headers.ether_destination, s->relay_mac, 6);
	if (is_anew)
		stream_restart(p);
}

static bool is_in_table(const struct fedmem_server *servers, uint32_t n, uint16_t id)
{
	for (uint32_t i = 0; i < n; i++)
		if (servers[i].id == id)
			return true;
	return false;
}

void relay_servers(struct relay *r, const struct fedmem_server *servers, uint32_t n)
{
	bool any_left = false, any_new = false;

	assert(r->pending == NULL);
	for (int i = 0; i < FEDMEM_SERVERS_MAX; i++) {
		struct peer *p = &r->peers[i];

		if (p->is_listed && !is_in_table(servers, n, p->id)) {
			p->is_listed = false;
			any_left = true;
		}
	}
	if (any_left)
		reroute(r); /* before an entry gets another peer */
	for (uint32_t i = 0; i < n; i++) {
		struct peer *p;

		if (!is_peer(r, &servers[i]))
			continue;
		p = peer_entry(r, servers[i].id);
		if (p == NULL)
			continue;
		any_new |= !p->is_listed;
		peer_update(r, p, &servers[i]);
	}
	if (any_new)
		reroute(r);
}

/* What we refused we may be asked to take by now. */
static void ask_again(struct relay *r)
{
	for (int i = 0; i < FEDMEM_SERVERS_MAX; i++) {
		struct peer *p = &r->peers[i];

		p->owes_again |= p->was_refused;
		p->was_refused = false;
	}
}

void relay_cells(struct relay *r, const struct fedmem_cell *cells, uint32_t n, bool may_own)
{
	bool is_changed = may_own != r->may_own;

	if (n > r->cfg.cells_max)
		n = r->cfg.cells_max;
	is_changed |= n != r->n_cells;
	for (uint32_t i = 0; i < n; i++) {
		uint16_t owner = cells[i].owner;

		/* Nobody takes its alarms yet. What a peer restores is for the peer to say. */
		if (owner == r->cfg.self && cells[i].is_restoring)
			owner = 0;
		is_changed |= r->owners[i] != owner;
		r->owners[i] = owner;
	}
	r->n_cells = n;
	r->may_own = may_own;
	if (!is_changed)
		return;
	reroute(r);
	ask_again(r);
}

void relay_elements(struct relay *r)
{
	for (uint8_t from = 0; from <= ROUTE_WAITING; from++)
		while (queue_of(r, from)->head != SPOOL_NONE)
			move(r, from, ROUTE_OURS, queue_of(r, from)->head);
	ask_again(r);
}

/* ---- In and back ---- */

static enum stats_counter give_metrics(struct relay *r, uint8_t route,
				       const struct apply_datagram *d)
{
	if (is_too_long(r, route, d->payload_bytes))
		return STATS_RELAY_TOO_LONG;
	if (route >= FEDMEM_SERVERS_MAX)
		return STATS_RELAY_NO_NEIGHBOUR;
	return stream_send_metrics(r, &r->peers[route], d);
}

static enum stats_counter give_alarm(struct relay *r, uint8_t route, uint32_t cell,
				     const struct apply_datagram *d)
{
	uint32_t index;

	if (is_too_long(r, route, d->payload_bytes))
		return STATS_RELAY_TOO_LONG;
	index = spool_add(r->spool, d, cell);
	if (index == SPOOL_NONE)
		return STATS_RELAY_SPOOL_FULL;
	queue_append(r, route, index);
	return STATS_RELAY_WAITING;
}

bool relay_give(void *relay, const struct apply_datagram *d, uint32_t cell, bool is_alarm)
{
	struct relay *r = relay;
	uint8_t route = route_of(r, cell);
	enum stats_counter what =
		is_alarm ? give_alarm(r, route, cell, d) : give_metrics(r, route, d);

	r->stats->n[STATS_RELAY_GIVEN]++;
	r->stats->n[what]++;
	return what == STATS_RELAY_SENT || what == STATS_RELAY_WAITING;
}

bool relay_take_back(struct relay *r, struct apply_datagram *d)
{
	uint32_t index = r->ours.head;
	const struct spool_entry *e;

	if (index == SPOOL_NONE)
		return false;
	e = spool_entry(r->spool, index);
	spool_copy(r->spool, index, r->taken_back);
	*d = (struct apply_datagram){
		.source = e->source,
		.format = e->format,
		.report_bitmap = e->report_bitmap,
		.payload = r->taken_back,
		.payload_bytes = e->payload_bytes,
	};
	spool_unlink(r->spool, &r->ours, index);
	spool_free(r->spool, index);
	r->stats->n[STATS_RELAY_WAITING]--;
	r->stats->n[STATS_RELAY_TAKEN_BACK]++;
	r->stats->n[STATS_DGRAMS_TAKEN_BACK]++;
	return true;
}

bool relay_is_idle(const struct relay *r)
{
	for (int i = 0; i < FEDMEM_SERVERS_MAX; i++) {
		const struct peer *p = &r->peers[i];

		if (stream_is_reachable(r, p) &&
		    (p->owes_ack || p->owes_again || p->queue.head != SPOOL_NONE))
			return false;
	}
	return r->ours.head == SPOOL_NONE;
}
