#include "tests/lib/relay_net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dp/seal/seal.h"

static const uint8_t secret[SEAL_KEY_BYTES] = "a secret that only tests know...";

/* What a datagram of these tests says. */
struct said {
	uint32_t ingest, cell, serial;
};

uint32_t net_random(struct net *n, uint32_t below)
{
	/* xorshift64 (Marsaglia, "Xorshift RNGs", 2003) */
	n->random ^= n->random << 13;
	n->random ^= n->random >> 7;
	n->random ^= n->random << 17;
	return (n->random >> 16) % below;
}

static uint8_t *port_begin(void *port, uint16_t frame_bytes)
{
	struct net_node *node = port;

	assert_true(frame_bytes <= node->net->frame_max);
	node->building.n_bytes = frame_bytes;
	return node->no_buffer ? NULL : node->building.octets;
}

static void put_frame(struct net *n, const struct net_frame *f)
{
	assert_true(n->n_frames < NET_FRAMES);
	n->frames[n->n_frames++] = *f;
}

static bool port_send(void *port)
{
	struct net_node *node = port;
	struct net *n = node->net;
	struct net_frame *f = &node->building;

	if (node->port_full)
		return false;
	f->from = node->index;
	f->to = f->octets[5] - 1;
	n->n_sent++;
	if (n->is_cut[f->from][f->to] || net_random(n, 100) < n->loss)
		return true;
	put_frame(n, f);
	if (net_random(n, 100) < n->repeat)
		put_frame(n, f);
	return true;
}

static struct fedmem_address address_of(const struct net *n, int node)
{
	struct fedmem_address a = {{[10] = 0xff, [11] = 0xff, 10, 0, 0, node + 1}};

	if (n->is_ipv6)
		a = (struct fedmem_address){{0x20, 0x01, 0x0d, 0xb8, [15] = node + 1}};
	return a;
}

void net_start(struct net *n, int node)
{
	struct net_node *me = &n->nodes[node];
	struct relay_config cfg = n->cfg;
	struct relay_port port = {
		.port = me,
		.begin = port_begin,
		.send = port_send,
		.ether_address = {2, 0, 0, 0, 0, node + 1},
		.frame_max = n->frame_max,
	};

	cfg.self = node + 1;
	cfg.local_address = address_of(n, node);
	assert_int_equal(relay_create(&me->relay, &cfg, n->has_port ? &port : NULL, &me->stats), 0);
	net_tell_servers(n, node);
	relay_cells(me->relay, me->cells, NET_CELLS, me->may_own);
}

void net_stop(struct net *n, int node)
{
	relay_destroy(n->nodes[node].relay);
	n->nodes[node].relay = NULL;
}

void net_restart(struct net *n, int node)
{
	net_stop(n, node);
	n->nodes[node].boot++;
	net_start(n, node);
}

void net_init(struct net *n, uint64_t seed)
{
	assert_int_equal(seal_start(), 0);
	memset(n, 0, sizeof(*n));
	n->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	n->cfg = (struct relay_config){.udp_port = 7402,
				       .cells_max = NET_CELLS,
				       .spool_max = 1024,
				       .resend_ns = NET_RESEND_NS};
	n->frame_max = 1614;
	n->has_port = true;
	for (int i = 0; i < NET_NODES; i++) {
		n->nodes[i] = (struct net_node){
			.net = n, .index = i, .boot = 100 * (i + 1), .may_own = true};
		for (int j = 0; j < NET_NODES; j++) {
			n->nodes[i].is_listed[j] = true;
			n->nodes[i].has_mac[j] = true;
		}
	}
	for (int i = 0; i < NET_NODES; i++)
		net_start(n, i);
}

void net_fini(struct net *n)
{
	for (int i = 0; i < NET_NODES; i++)
		net_stop(n, i);
}

static struct fedmem_server server_of(const struct net *n, int node, int other)
{
	const struct net_node *me = &n->nodes[node];
	struct fedmem_server s = {
		.id = other + 1,
		.is_self = other == node,
		.has_relay_mac = me->has_mac[other],
		.relay_address = address_of(n, other),
		.relay_mac = {2, 0, 0, 0, 0, other + 1},
		.relay_boot_tx = me->boot,
		.relay_boot_rx = me->known_boot[other],
	};

	seal_derive(s.relay_key_tx, secret, SEAL_RELAY, node + 1, other + 1, s.relay_boot_tx);
	seal_derive(s.relay_key_rx, secret, SEAL_RELAY, other + 1, node + 1, s.relay_boot_rx);
	return s;
}

void net_tell_servers(struct net *n, int node)
{
	struct net_node *me = &n->nodes[node];
	struct fedmem_server servers[NET_NODES];
	uint32_t n_servers = 0;

	for (int j = 0; j < NET_NODES; j++) {
		me->known_boot[j] = n->nodes[j].boot;
		if (me->is_listed[j])
			servers[n_servers++] = server_of(n, node, j);
	}
	relay_servers(me->relay, servers, n_servers);
}

void net_tell_owner(struct net *n, int node, uint32_t cell, int owner, uint64_t generation)
{
	struct net_node *me = &n->nodes[node];

	me->cells[cell].owner = owner + 1;
	me->cells[cell].token.generation = generation;
	relay_cells(me->relay, me->cells, NET_CELLS, me->may_own);
}

void net_tell_owner_all(struct net *n, uint32_t cell, int owner, uint64_t generation)
{
	for (int i = 0; i < NET_NODES; i++)
		net_tell_owner(n, i, cell, owner, generation);
}

void net_tell_restoring(struct net *n, int node, uint32_t cell, bool is_restoring)
{
	struct net_node *me = &n->nodes[node];

	me->cells[cell].is_restoring = is_restoring;
	relay_cells(me->relay, me->cells, NET_CELLS, me->may_own);
}

void net_tell_lease(struct net *n, int node, bool may_own)
{
	struct net_node *me = &n->nodes[node];

	me->may_own = may_own;
	relay_cells(me->relay, me->cells, NET_CELLS, may_own);
}

static void apply(struct net_node *me, const struct said *said)
{
	assert_true(me->n_log < NET_LOG);
	me->log[me->n_log++] = (struct net_applied){said->ingest, said->cell, said->serial,
						    me->cells[said->cell].token.generation};
	me->stats.n[STATS_DGRAM_APPLIED]++;
	me->stats.n[STATS_REPORT_APPLIED]++;
}

/* What dp/apply would do with a datagram of one report. True: kept, here or in the relay. */
static bool judge(struct net_node *me, const struct apply_datagram *d, bool is_alarm)
{
	struct said said;
	bool is_owner;

	assert_true(d->payload_bytes >= sizeof(said));
	memcpy(&said, d->payload, sizeof(said));
	for (uint32_t i = sizeof(said); i < d->payload_bytes; i++)
		assert_int_equal(d->payload[i], (uint8_t)(said.serial + i));
	assert_int_equal(d->format, DECODE_NATIVE);
	assert_int_equal(d->report_bitmap, 0x8000000000000001u);
	assert_int_equal(d->source.octets[15], said.ingest);
	is_owner = me->cells[said.cell].owner == me->index + 1 && me->may_own &&
		   !(is_alarm && me->cells[said.cell].is_restoring);
	me->stats.n[STATS_REPORTS]++;
	if (is_owner) {
		apply(me, &said);
		return true;
	}
	if (d->is_relayed) {
		me->stats.n[STATS_DROP_REFUSED]++;
		me->stats.n[STATS_REFUSED_NOT_OWNER]++;
		return false;
	}
	if (relay_give(me->relay, d, said.cell, is_alarm)) {
		me->stats.n[STATS_DGRAM_RELAYED]++;
		me->stats.n[STATS_REPORT_RELAYED]++;
		return true;
	}
	me->stats.n[STATS_DROP_REFUSED]++;
	me->stats.n[STATS_REFUSED_RELAY]++;
	return false;
}

bool net_ingest(struct net *n, int node, uint32_t cell, bool is_alarm, uint16_t n_bytes)
{
	struct net_node *me = &n->nodes[node];
	struct said said = {node, cell, ++me->serials[cell]};
	uint8_t payload[RELAY_FRAME_MAX];
	struct apply_datagram d = {
		.source = {{[15] = node}},
		.format = DECODE_NATIVE,
		.report_bitmap = 0x8000000000000001u,
		.payload = payload,
		.payload_bytes = n_bytes,
	};

	memcpy(payload, &said, sizeof(said));
	for (uint32_t i = sizeof(said); i < n_bytes; i++)
		payload[i] = said.serial + i;
	me->stats.n[STATS_FRAMES]++;
	me->stats.n[STATS_FRAME_DATAGRAM]++;
	me->stats.n[STATS_DGRAMS_WIRE]++;
	return judge(me, &d, is_alarm);
}

void net_deliver(struct net *n, int node, const uint8_t *frame, uint16_t n_bytes)
{
	struct net_node *me = &n->nodes[node];
	struct apply_datagram d;
	struct pkt_view view;

	assert_int_equal(pkt_parse(frame, n_bytes, &view), PKT_DATAGRAM);
	assert_int_equal(view.udp_destination, 7402);
	me->stats.n[STATS_FRAMES]++;
	if (relay_receive(me->relay, view.payload, view.payload_bytes, &d)) {
		assert_true(d.is_relayed);
		relay_taken(me->relay, judge(me, &d, true));
	}
}

void net_deliver_first(struct net *n)
{
	static struct net_frame f;

	assert_true(n->n_frames > 0);
	f = n->frames[0];
	memmove(&n->frames[0], &n->frames[1], --n->n_frames * sizeof(f));
	net_deliver(n, f.to, f.octets, f.n_bytes);
}

void net_check(struct net *n)
{
	for (int i = 0; i < NET_NODES; i++) {
		struct stats_equation eq[STATS_EQUATIONS];

		if (stats_check(&n->nodes[i].stats, eq) == 0)
			continue;
		for (int j = 0; j < STATS_EQUATIONS; j++)
			if (eq[j].in != eq[j].out)
				fail_msg("node %d: %s: in %lu out %lu", i, eq[j].name, eq[j].in,
					 eq[j].out);
	}
}

static void deliver_all(struct net *n)
{
	static struct net_frame under_way[NET_FRAMES];
	uint32_t n_left = n->n_frames;
	uint16_t order[NET_FRAMES];

	memcpy(under_way, n->frames, n_left * sizeof(*under_way));
	n->n_frames = 0;
	for (uint32_t i = 0; i < n_left; i++)
		order[i] = i;
	while (n_left > 0) {
		/* Without faults in their order, else now and then another one, or later. */
		uint32_t i = 0;
		const struct net_frame *f;

		if (n->delay > 0 && net_random(n, 100) < n->delay)
			i = net_random(n, n_left);
		f = &under_way[order[i]];
		memmove(&order[i], &order[i + 1], (--n_left - i) * sizeof(order[0]));
		if (n->delay > 0 && net_random(n, 100) < n->delay)
			put_frame(n, f);
		else
			net_deliver(n, f->to, f->octets, f->n_bytes);
		net_check(n);
	}
}

void net_step(struct net *n)
{
	struct apply_datagram d;

	n->now_ns += NET_STEP_NS;
	for (int i = 0; i < NET_NODES; i++)
		relay_poll(n->nodes[i].relay, n->now_ns);
	deliver_all(n);
	for (int i = 0; i < NET_NODES; i++)
		while (relay_take_back(n->nodes[i].relay, &d))
			judge(&n->nodes[i], &d, true);
	net_check(n);
}

static bool is_idle(const struct net *n)
{
	for (int i = 0; i < NET_NODES; i++)
		if (!relay_is_idle(n->nodes[i].relay))
			return false;
	return n->n_frames == 0;
}

void net_settle(struct net *n, uint32_t steps_max)
{
	for (uint32_t i = 0; i < steps_max; i++) {
		if (is_idle(n))
			return;
		net_step(n);
	}
	fail_msg("not idle after %u steps", steps_max);
}

uint32_t net_count(const struct net *n, int node, int ingest, uint32_t cell, uint32_t serial)
{
	const struct net_node *me = &n->nodes[node];
	uint32_t count = 0;

	for (uint32_t i = 0; i < me->n_log; i++)
		count += me->log[i].ingest == ingest && me->log[i].cell == cell &&
			 me->log[i].serial == serial;
	return count;
}

void net_assert_once_in_order(const struct net *n, int node, int ingest, uint32_t cell,
			      uint32_t n_serials)
{
	const struct net_node *me = &n->nodes[node];
	uint32_t next = 1;

	for (uint32_t i = 0; i < me->n_log; i++)
		if (me->log[i].ingest == ingest && me->log[i].cell == cell)
			assert_int_equal(me->log[i].serial, next++);
	assert_int_equal(next, n_serials + 1);
}
