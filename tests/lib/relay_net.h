/* relay_net.h - some servers' relays in one process, joined by a network that loses, repeats,
 * reorders and cuts. What a worker would do around a relay is done here in the shortest way: a
 * datagram says which cell it is of and its serial number among those that one server gave for
 * that cell; to apply it is to write that into a log. Every step checks all equations of all
 * servers.
 *
 * Thread:  one.
 * Memory:  net_init() fills, net_fini() frees what is behind it.
 */
#ifndef BELLWETHER_TESTS_LIB_RELAY_NET_H
#define BELLWETHER_TESTS_LIB_RELAY_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "dp/relay/relay.h"

#define NET_NODES     3
#define NET_CELLS     8
#define NET_FRAMES    4096
#define NET_LOG	      16384
#define NET_STEP_NS   UINT64_C(1000000)
#define NET_RESEND_NS (4 * NET_STEP_NS)

struct net;

struct net_frame {
	uint8_t octets[RELAY_FRAME_MAX];
	uint16_t n_bytes;
	int from, to;
};

/* One application: by a node, under its view of the cell, of what 'ingest' gave. */
struct net_applied {
	int ingest;
	uint32_t cell, serial;
	uint64_t generation;
};

struct net_node {
	struct net *net;
	int index;
	struct relay *relay;
	struct stats stats;
	uint32_t boot;
	uint32_t known_boot[NET_NODES]; /* of the others, as this node was told */
	bool is_listed[NET_NODES], has_mac[NET_NODES];
	struct fedmem_cell cells[NET_CELLS]; /* this node's view */
	bool may_own;
	uint32_t serials[NET_CELLS];
	struct net_applied log[NET_LOG];
	uint32_t n_log;
	/* Faults of its port. */
	bool no_buffer, port_full;
	struct net_frame building;
};

struct net {
	struct net_node nodes[NET_NODES];
	struct relay_config cfg;
	uint16_t frame_max;
	bool has_port, is_ipv6;
	uint64_t now_ns, random;
	uint32_t loss, repeat, delay; /* of 100 frames */
	bool is_cut[NET_NODES][NET_NODES];
	struct net_frame frames[NET_FRAMES];
	uint32_t n_frames;
	uint64_t n_sent; /* frames, before the network did anything to them */
};

/* All nodes are up, know each other, own nothing and hold their leases. Server ids are index + 1.
 * */
void net_init(struct net *n, uint64_t seed);
void net_fini(struct net *n);
uint32_t net_random(struct net *n, uint32_t below);

/* The relay again, with what 'n->cfg', 'n->frame_max' and 'n->has_port' say; its statistics go on.
 * */
void net_start(struct net *n, int node);
void net_stop(struct net *n, int node);
/* A new boot of the data plane; nobody else is told. */
void net_restart(struct net *n, int node);

/* Tells the node the boots of all others, and which of them there are. */
void net_tell_servers(struct net *n, int node);
/* Tells the node: 'owner' (an index, or -1) has the cell now. A new generation when that is new to
 * it. */
void net_tell_owner(struct net *n, int node, uint32_t cell, int owner, uint64_t generation);
void net_tell_owner_all(struct net *n, uint32_t cell, int owner, uint64_t generation);
/* Tells the node: it has not got the alarms of the cell yet, or has. */
void net_tell_restoring(struct net *n, int node, uint32_t cell, bool is_restoring);
void net_tell_lease(struct net *n, int node, bool may_own);

/* A datagram of so many octets (at least 12) comes from an element; applied or given to the relay.
 * */
bool net_ingest(struct net *n, int node, uint32_t cell, bool is_alarm, uint16_t n_bytes);
/* Hands a frame to its node as a worker would. */
void net_deliver(struct net *n, int node, const uint8_t *frame, uint16_t n_bytes);
void net_deliver_first(struct net *n); /* the oldest frame that is under way */
/* Polls all, delivers what is under way, hands back, checks; time goes on by NET_STEP_NS. */
void net_step(struct net *n);
/* Steps until all are idle; fails the test when that takes more than so many. */
void net_settle(struct net *n, uint32_t steps_max);
void net_check(struct net *n); /* all equations */

/* How often it was applied on the node. */
uint32_t net_count(const struct net *n, int node, int ingest, uint32_t cell, uint32_t serial);
/* The node applied 1..n of the ingest server's for the cell, each once, in this order, and nothing
 * else. */
void net_assert_once_in_order(const struct net *n, int node, int ingest, uint32_t cell,
			      uint32_t n_serials);

#endif
