#include "dp/pkt/pkt.h"

#include <stdbool.h>
#include <string.h>

enum {
	ETHER_BYTES = 14,
	VLAN_BYTES = 4,
	VLAN_TAGS_MAX = 2,
	IPV4_BYTES = 20, /* without options */
	IPV6_BYTES = 40,
	UDP_BYTES = 8,
	EXTENSION_UNIT_BYTES = 8, /* extension headers are multiples of it */
	EXTENSIONS_MAX = 8,
};

enum ether_type {
	ETHER_TYPE_IPV4 = 0x0800,
	ETHER_TYPE_VLAN = 0x8100,
	ETHER_TYPE_IPV6 = 0x86dd,
	ETHER_TYPE_SERVICE_VLAN = 0x88a8,
	ETHER_TYPE_LLDP = 0x88cc,
};

enum ip_proto {
	IP_PROTO_HOP_BY_HOP = 0,
	IP_PROTO_UDP = 17,
	IP_PROTO_ROUTING = 43,
	IP_PROTO_FRAGMENT = 44,
	IP_PROTO_DESTINATION = 60,
};

#define IPV4_DONT_FRAGMENT 0x4000
#define IPV4_FRAGMENT	   0x3fff /* more fragments, or an offset */
#define IPV6_FRAGMENT	   0xfff9 /* the same in the IPv6 fragment header */
#define HOP_LIMIT	   64

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static uint16_t get_be16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static void put_be16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static bool is_ipv4(const struct fedmem_address *a)
{
	return memcmp(a->octets, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

/* The Internet checksum (RFC 1071). Its sum does not depend on the order of octets in a word, nor
 * on the width of the words that are added (section 2), so it is built from the machine's own
 * 32-bit words. All parts of a sum but the last have an even length. */
static uint64_t sum_add(uint64_t sum, const uint8_t *at, size_t n_bytes)
{
	uint8_t rest[4] = {0};
	uint32_t word;

	for (; n_bytes >= sizeof(word); at += sizeof(word), n_bytes -= sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		sum += word;
	}
	memcpy(rest, at, n_bytes);
	memcpy(&word, rest, sizeof(word));
	return sum + word;
}

static uint16_t sum_fold(uint64_t sum)
{
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Over the pseudo-header (RFC 768, RFC 8200 8.1) and the datagram. 'addresses' are both, as they
 * lie in the IP header one after the other. */
static uint16_t udp_sum(const uint8_t *addresses, size_t addresses_bytes, const uint8_t *udp,
			uint16_t udp_bytes)
{
	uint8_t pseudo[4] = {0, IP_PROTO_UDP};

	put_be16(pseudo + 2, udp_bytes);
	return sum_fold(sum_add(sum_add(sum_add(0, addresses, addresses_bytes), pseudo, 4), udp,
				udp_bytes));
}

static enum pkt_verdict parse_udp(const uint8_t *addresses, size_t addresses_bytes,
				  const uint8_t *udp, size_t room, struct pkt_view *view)
{
	bool is_over_ipv4 = addresses_bytes == 8;
	uint16_t udp_bytes;

	if (room < UDP_BYTES)
		return PKT_TRUNCATED;
	udp_bytes = get_be16(udp + 4);
	if (udp_bytes < UDP_BYTES || udp_bytes > room)
		return PKT_TRUNCATED;
	if (get_be16(udp + 6) == 0) {
		if (!is_over_ipv4)
			return PKT_UDP_CHECKSUM;
	} else if (udp_sum(addresses, addresses_bytes, udp, udp_bytes) != 0xffff) {
		return PKT_UDP_CHECKSUM;
	}
	view->udp_source = get_be16(udp);
	view->udp_destination = get_be16(udp + 2);
	view->payload = udp + UDP_BYTES;
	view->payload_bytes = udp_bytes - UDP_BYTES;
	return PKT_DATAGRAM;
}

static enum pkt_verdict parse_ipv4(const uint8_t *ip, size_t room, struct pkt_view *view)
{
	size_t header_bytes, total_bytes;

	if (room < IPV4_BYTES)
		return PKT_TRUNCATED;
	if (ip[0] >> 4 != 4)
		return PKT_NOT_IP;
	header_bytes = (ip[0] & 0xfu) * 4;
	total_bytes = get_be16(ip + 2);
	if (header_bytes < IPV4_BYTES || total_bytes < header_bytes || total_bytes > room)
		return PKT_TRUNCATED;
	if (sum_fold(sum_add(0, ip, header_bytes)) != 0xffff)
		return PKT_IP_CHECKSUM;
	if ((get_be16(ip + 6) & IPV4_FRAGMENT) != 0)
		return PKT_FRAGMENT;
	if (ip[9] != IP_PROTO_UDP)
		return PKT_NOT_UDP;
	memcpy(view->source.octets, mapped_prefix, sizeof(mapped_prefix));
	memcpy(view->source.octets + sizeof(mapped_prefix), ip + 12, 4);
	memcpy(view->destination.octets, mapped_prefix, sizeof(mapped_prefix));
	memcpy(view->destination.octets + sizeof(mapped_prefix), ip + 16, 4);
	return parse_udp(ip + 12, 8, ip + header_bytes, total_bytes - header_bytes, view);
}

/* Moves '*at' behind the extension headers. PKT_DATAGRAM: UDP comes next. */
static enum pkt_verdict skip_extensions(uint8_t ip_proto, const uint8_t **at, size_t *room)
{
	for (int n = 0; ip_proto != IP_PROTO_UDP; n++) {
		const uint8_t *header = *at;
		size_t header_bytes = EXTENSION_UNIT_BYTES;

		if (ip_proto != IP_PROTO_HOP_BY_HOP && ip_proto != IP_PROTO_ROUTING &&
		    ip_proto != IP_PROTO_DESTINATION && ip_proto != IP_PROTO_FRAGMENT)
			return PKT_NOT_UDP;
		if (n == EXTENSIONS_MAX)
			return PKT_NOT_UDP;
		if (*room < EXTENSION_UNIT_BYTES)
			return PKT_TRUNCATED;
		/* A fragment with neither offset nor successor is a whole datagram (RFC 6946). */
		if (ip_proto == IP_PROTO_FRAGMENT) {
			if ((get_be16(header + 2) & IPV6_FRAGMENT) != 0)
				return PKT_FRAGMENT;
		} else {
			header_bytes += header[1] * (size_t)EXTENSION_UNIT_BYTES;
		}
		if (*room < header_bytes)
			return PKT_TRUNCATED;
		/* Segments left: it is still on its way to somebody else (RFC 8200 4.4). */
		if (ip_proto == IP_PROTO_ROUTING && header[3] != 0)
			return PKT_NOT_UDP;
		ip_proto = header[0];
		*at += header_bytes;
		*room -= header_bytes;
	}
	return PKT_DATAGRAM;
}

static enum pkt_verdict parse_ipv6(const uint8_t *ip, size_t room, struct pkt_view *view)
{
	const uint8_t *at = ip + IPV6_BYTES;
	enum pkt_verdict verdict;
	size_t payload_bytes;

	if (room < IPV6_BYTES)
		return PKT_TRUNCATED;
	if (ip[0] >> 4 != 6)
		return PKT_NOT_IP;
	payload_bytes = get_be16(ip + 4);
	if (payload_bytes > room - IPV6_BYTES)
		return PKT_TRUNCATED;
	memcpy(view->source.octets, ip + 8, sizeof(view->source.octets));
	memcpy(view->destination.octets, ip + 24, sizeof(view->destination.octets));
	if (is_ipv4(&view->source) || is_ipv4(&view->destination))
		return PKT_NOT_IP;
	verdict = skip_extensions(ip[6], &at, &payload_bytes);
	if (verdict != PKT_DATAGRAM)
		return verdict;
	return parse_udp(ip + 8, 32, at, payload_bytes, view);
}

enum pkt_verdict pkt_parse(const uint8_t *frame, size_t frame_bytes, struct pkt_view *view)
{
	size_t header_bytes = ETHER_BYTES;
	uint16_t ether_type;

	if (frame_bytes < ETHER_BYTES)
		return PKT_TRUNCATED;
	ether_type = get_be16(frame + 12);
	for (int tags = 0; tags < VLAN_TAGS_MAX; tags++) {
		if (ether_type != ETHER_TYPE_VLAN && ether_type != ETHER_TYPE_SERVICE_VLAN)
			break;
		if (frame_bytes - header_bytes < VLAN_BYTES)
			return PKT_TRUNCATED;
		ether_type = get_be16(frame + header_bytes + 2);
		header_bytes += VLAN_BYTES;
	}
	view->ether_source = frame + 6;
	switch (ether_type) {
	case ETHER_TYPE_IPV4:
		return parse_ipv4(frame + header_bytes, frame_bytes - header_bytes, view);
	case ETHER_TYPE_IPV6:
		return parse_ipv6(frame + header_bytes, frame_bytes - header_bytes, view);
	case ETHER_TYPE_LLDP:
		return PKT_LLDP;
	default:
		return PKT_NOT_IP;
	}
}

size_t pkt_headers_bytes(const struct pkt_headers *h)
{
	return ETHER_BYTES + (is_ipv4(&h->destination) ? IPV4_BYTES : IPV6_BYTES) + UDP_BYTES;
}

static void write_ipv4(uint8_t *ip, const struct pkt_headers *h, uint16_t udp_bytes)
{
	uint16_t sum;

	memset(ip, 0, IPV4_BYTES); /* the identification may be zero with DF set (RFC 6864 4.1) */
	ip[0] = 4 << 4 | IPV4_BYTES / 4;
	put_be16(ip + 2, IPV4_BYTES + udp_bytes);
	put_be16(ip + 6, IPV4_DONT_FRAGMENT);
	ip[8] = HOP_LIMIT;
	ip[9] = IP_PROTO_UDP;
	memcpy(ip + 12, h->source.octets + sizeof(mapped_prefix), 4);
	memcpy(ip + 16, h->destination.octets + sizeof(mapped_prefix), 4);
	sum = (uint16_t)~sum_fold(sum_add(0, ip, IPV4_BYTES));
	memcpy(ip + 10, &sum, sizeof(sum));
}

static void write_ipv6(uint8_t *ip, const struct pkt_headers *h, uint16_t udp_bytes)
{
	memset(ip, 0, 8);
	ip[0] = 6 << 4;
	put_be16(ip + 4, udp_bytes);
	ip[6] = IP_PROTO_UDP;
	ip[7] = HOP_LIMIT;
	memcpy(ip + 8, h->source.octets, sizeof(h->source.octets));
	memcpy(ip + 24, h->destination.octets, sizeof(h->destination.octets));
}

size_t pkt_write_headers(uint8_t *frame, size_t room, const struct pkt_headers *h,
			 uint16_t payload_bytes)
{
	bool is_over_ipv4 = is_ipv4(&h->destination);
	size_t headers_bytes = pkt_headers_bytes(h);
	size_t ip_bytes = headers_bytes - ETHER_BYTES + payload_bytes;
	size_t counted_bytes = is_over_ipv4 ? ip_bytes : ip_bytes - IPV6_BYTES;
	uint8_t *ip = frame + ETHER_BYTES, *udp = frame + headers_bytes - UDP_BYTES;
	uint16_t udp_bytes = (uint16_t)(UDP_BYTES + payload_bytes), sum;

	if (room < headers_bytes + payload_bytes || counted_bytes > UINT16_MAX ||
	    is_ipv4(&h->source) != is_over_ipv4)
		return 0;
	memcpy(frame, h->ether_destination, sizeof(h->ether_destination));
	memcpy(frame + 6, h->ether_source, sizeof(h->ether_source));
	put_be16(frame + 12, is_over_ipv4 ? ETHER_TYPE_IPV4 : ETHER_TYPE_IPV6);
	if (is_over_ipv4)
		write_ipv4(ip, h, udp_bytes);
	else
		write_ipv6(ip, h, udp_bytes);
	put_be16(udp, h->udp_source);
	put_be16(udp + 2, h->udp_destination);
	put_be16(udp + 4, udp_bytes);
	put_be16(udp + 6, 0);
	sum = (uint16_t)~udp_sum(is_over_ipv4 ? ip + 12 : ip + 8, is_over_ipv4 ? 8 : 32, udp,
				 udp_bytes);
	if (sum == 0)
		sum = 0xffff; /* zero says that there is none (RFC 768) */
	memcpy(udp + 6, &sum, sizeof(sum));
	return headers_bytes;
}
