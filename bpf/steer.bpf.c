/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/* steer.bpf.c - which frames go to the data plane's sockets, and which stay the kernel's.
 *
 * Takes what elements send to the management ports and what peers relay, within rates; drops what
 * is over them or malformed; passes everything else untouched, and all of which it is not certain.
 * With empty maps, as an AF_XDP driver loads the object, every frame passes.
 *
 * Ethernet, up to two VLAN tags (IEEE 802.1Q), IPv4 (RFC 791), IPv6 (RFC 8200), UDP (RFC 768).
 */
#include <stdbool.h>
#include <stddef.h>

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "steer_shared.h"

#define VLAN_TAGS_MAX	    2
#define IPV6_EXTENSIONS_MAX 4
#define IP_FRAGMENT_MASK_BE bpf_htons(0x3fff) /* MF and the offset: RFC 791 3.1 */
#define UDP_PORTS_BYTES	    4		      /* as much of a header as names both ports */

/* Set before the program is loaded. */
const volatile bool take_lldp = false;
const volatile bool check_locals = false; /* false: any destination is taken for ours */

/* DPDK's net_af_xdp looks for a map of this name and puts its sockets there. */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, STEER_QUEUES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} xsks_map SEC(".maps");

/* UDP port in host order -> enum steer_class of those who may send to it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, STEER_LISTEN_MAX);
	__type(key, __u16);
	__type(value, __u8);
} listen SEC(".maps");

/* Our own addresses: a host that routes must not swallow what it only carries. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, STEER_LOCALS_MAX);
	__type(key, struct steer_address);
	__type(value, __u8);
} locals SEC(".maps");

/* One entry here; the loader gives its own copy the size that it was asked for. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct steer_address);
	__type(value, struct steer_source);
} sources SEC(".maps");

/* The one bucket that all unknown sources share. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct steer_source);
} unknown SEC(".maps");

/* All counts in one value, so that a reader copies a processor's counts at one moment. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct steer_counts);
} counts SEC(".maps");

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct vlan_tag {
	__be16 tci;
	__be16 ether_type_be;
};

/* RFC 8200 4.2: each extension header but the fragment header begins so. */
struct ipv6_extension {
	__u8 next_header;
	__u8 bytes_8; /* in units of eight, without the first eight */
	__u8 routing_type;
	__u8 segments_left; /* of a routing header: RFC 8200 4.4 */
};

/* RFC 8200 4.5 */
struct ipv6_fragment {
	__u8 next_header;
	__u8 reserved;
	__be16 offset_be;
	__be32 identification;
};

/* Where the parser is; 'pos' never lies behind 'end'. */
struct cursor {
	void *pos, *end;
};

/* An IP packet with UDP in it, as far as its IP header goes. */
struct packet {
	struct steer_address source, destination;
	__u32 ip_payload_bytes; /* behind 'udp', as the IP header says */
	bool is_fragment;
};

/* Steps over 'bytes' octets and returns where they begin. NULL: they are not all there. */
static __always_inline void *cursor_take(struct cursor *c, __u32 bytes)
{
	void *start = c->pos;

	if (start + bytes > c->end)
		return NULL;
	c->pos = start + bytes;
	return start;
}

static __always_inline void address_map_ipv4(struct steer_address *a, __be32 ipv4_be)
{
	__builtin_memset(a->octets, 0, 10);
	a->octets[10] = 0xff;
	a->octets[11] = 0xff;
	__builtin_memcpy(a->octets + 12, &ipv4_be, 4);
}

/* Each of the parsers below returns false for a frame that passes: it is none of our business, or
 * that cannot be told. */
static __always_inline bool ether_parse(struct cursor *c, __be16 *ether_type_be)
{
	struct ethhdr *eth = cursor_take(c, sizeof(*eth));
	struct vlan_tag *tag;

	if (eth == NULL)
		return false;
	*ether_type_be = eth->h_proto;
#pragma unroll
	for (int i = 0; i < VLAN_TAGS_MAX; i++) {
		if (*ether_type_be != bpf_htons(ETH_P_8021Q) &&
		    *ether_type_be != bpf_htons(ETH_P_8021AD))
			break;
		tag = cursor_take(c, sizeof(*tag));
		if (tag == NULL)
			return false;
		*ether_type_be = tag->ether_type_be;
	}
	return true;
}

static __always_inline bool ipv4_parse(struct cursor *c, struct packet *p)
{
	struct iphdr *ip = cursor_take(c, sizeof(*ip));
	__u32 header_bytes, total_bytes;

	if (ip == NULL || ip->version != 4 || ip->ihl < 5 || ip->protocol != IPPROTO_UDP)
		return false;
	header_bytes = ip->ihl * 4;
	total_bytes = bpf_ntohs(ip->tot_len);
	if (cursor_take(c, header_bytes - sizeof(*ip)) == NULL)
		return false;
	address_map_ipv4(&p->source, ip->saddr);
	address_map_ipv4(&p->destination, ip->daddr);
	p->ip_payload_bytes = total_bytes > header_bytes ? total_bytes - header_bytes : 0;
	p->is_fragment = (ip->frag_off & IP_FRAGMENT_MASK_BE) != 0;
	return true;
}

static __always_inline bool ipv6_parse(struct cursor *c, struct packet *p)
{
	struct ipv6hdr *ip = cursor_take(c, sizeof(*ip));
	struct ipv6_extension *ext;
	struct ipv6_fragment *fragment;
	__u32 ext_bytes, rest_bytes;
	__u8 next_header;

	if (ip == NULL || ip->version != 6)
		return false;
	__builtin_memcpy(&p->source, &ip->saddr, sizeof(p->source));
	__builtin_memcpy(&p->destination, &ip->daddr, sizeof(p->destination));
	rest_bytes = bpf_ntohs(ip->payload_len);
	next_header = ip->nexthdr;
#pragma unroll
	for (int i = 0; i < IPV6_EXTENSIONS_MAX; i++) {
		if (next_header != IPPROTO_HOPOPTS && next_header != IPPROTO_ROUTING &&
		    next_header != IPPROTO_DSTOPTS)
			break;
		ext = cursor_take(c, 8);
		if (ext == NULL)
			return false;
		/* With segments left the address above is that of a station on the way. */
		if (next_header == IPPROTO_ROUTING && ext->segments_left != 0)
			return false;
		next_header = ext->next_header;
		ext_bytes = ext->bytes_8 * 8;
		if (cursor_take(c, ext_bytes) == NULL)
			return false;
		rest_bytes = rest_bytes > ext_bytes + 8 ? rest_bytes - ext_bytes - 8 : 0;
	}
	if (next_header == IPPROTO_FRAGMENT) {
		fragment = cursor_take(c, sizeof(*fragment));
		p->is_fragment = true;
		return fragment != NULL && fragment->next_header == IPPROTO_UDP;
	}
	p->is_fragment = false;
	p->ip_payload_bytes = rest_bytes;
	return next_header == IPPROTO_UDP;
}

/* Takes a token, if there is one. A lock, because tokens and time change together. Each source has
 * its own, so that only what one sender spreads over several queues waits, or a flood of unknowns.
 */
static __always_inline bool source_allows(struct steer_source *s)
{
	__u64 now_ns = bpf_ktime_get_ns();
	__u64 full, elapsed_ns;
	bool is_allowed;

	bpf_spin_lock(&s->lock);
	/* Another processor may have refilled it after we read the clock. */
	if (now_ns > s->last_ns) {
		elapsed_ns = now_ns - s->last_ns;
		full = s->burst * STEER_TOKEN;
		s->last_ns = now_ns;
		/* Below full_ns the product is below 'full', and so the sum below 2^64. */
		if (elapsed_ns < s->full_ns)
			s->tokens += elapsed_ns * s->rate_pps;
		else
			s->tokens = full;
		if (s->tokens > full)
			s->tokens = full;
	}
	is_allowed = s->tokens >= STEER_TOKEN;
	if (is_allowed)
		s->tokens -= STEER_TOKEN;
	bpf_spin_unlock(&s->lock);
	return is_allowed;
}

static __always_inline enum steer_verdict known_verdict(struct steer_source *s)
{
	return source_allows(s) ? STEER_TAKEN : STEER_SOURCE_RATE;
}

static __always_inline enum steer_verdict unknown_verdict(void)
{
	__u32 first = 0;
	struct steer_source *s = bpf_map_lookup_elem(&unknown, &first);

	return s != NULL && source_allows(s) ? STEER_TAKEN : STEER_UNKNOWN_RATE;
}

/* Is all of the datagram there that its headers promise? */
static __always_inline bool udp_is_whole(const struct cursor *c, const struct packet *p)
{
	const struct udphdr *udp = c->pos;
	__u32 udp_bytes;

	if ((void *)(udp + 1) > c->end)
		return false;
	udp_bytes = bpf_ntohs(udp->len);
	return udp_bytes >= sizeof(*udp) && udp_bytes <= p->ip_payload_bytes &&
	       p->ip_payload_bytes <= (__u64)(c->end - c->pos);
}

static __always_inline enum steer_verdict udp_classify(const struct cursor *c,
						       const struct packet *p)
{
	const struct udphdr *udp = c->pos;
	struct steer_source *source;
	__u8 *port_class;
	__u16 port;

	if (check_locals && bpf_map_lookup_elem(&locals, &p->destination) == NULL)
		return STEER_PASSED;
	if (p->is_fragment) {
		/* A peer's are the kernel's: nothing that is relayed was ever cut into fragments.
		 */
		source = bpf_map_lookup_elem(&sources, &p->source);
		return source != NULL && source->source_class == STEER_ELEMENT
			       ? known_verdict(source)
			       : STEER_PASSED;
	}
	if ((void *)udp + UDP_PORTS_BYTES > c->end || p->ip_payload_bytes < UDP_PORTS_BYTES) {
		source = bpf_map_lookup_elem(&sources, &p->source);
		return source != NULL ? STEER_MALFORMED : STEER_PASSED;
	}
	port = bpf_ntohs(udp->dest);
	port_class = bpf_map_lookup_elem(&listen, &port);
	if (port_class == NULL)
		return STEER_PASSED;
	if (!udp_is_whole(c, p))
		return STEER_MALFORMED;
	source = bpf_map_lookup_elem(&sources, &p->source);
	if (source == NULL || source->source_class != *port_class)
		return unknown_verdict();
	return *port_class == STEER_PEER ? STEER_TAKEN : known_verdict(source);
}

static __always_inline enum steer_verdict steer_classify(void *start, void *end)
{
	struct cursor c = {.pos = start, .end = end};
	struct packet p = {};
	__be16 ether_type_be;
	bool is_udp = false;

	if (!ether_parse(&c, &ether_type_be))
		return STEER_PASSED;
	if (ether_type_be == bpf_htons(ETH_P_LLDP))
		return take_lldp ? STEER_TAKEN : STEER_PASSED;
	if (ether_type_be == bpf_htons(ETH_P_IP))
		is_udp = ipv4_parse(&c, &p);
	else if (ether_type_be == bpf_htons(ETH_P_IPV6))
		is_udp = ipv6_parse(&c, &p);
	return is_udp ? udp_classify(&c, &p) : STEER_PASSED;
}

SEC("xdp")
int steer(struct xdp_md *ctx)
{
	enum steer_verdict verdict =
		steer_classify((void *)(long)ctx->data, (void *)(long)ctx->data_end);
	__u32 first = 0;
	struct steer_counts *c = bpf_map_lookup_elem(&counts, &first);

	if (c != NULL) {
		c->n[STEER_FRAMES]++;
		c->n[verdict]++;
	}
	switch (verdict) {
	case STEER_TAKEN:
		return bpf_redirect_map(&xsks_map, ctx->rx_queue_index, XDP_PASS);
	case STEER_SOURCE_RATE:
	case STEER_UNKNOWN_RATE:
	case STEER_MALFORMED:
		return XDP_DROP;
	default:
		return XDP_PASS;
	}
}
