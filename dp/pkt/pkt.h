/* pkt.h - bytes of a frame to a view of the datagram in it.
 * Ethernet, up to two VLAN tags (IEEE 802.1Q, 802.1ad), IPv4 (RFC 791) and IPv6 (RFC 8200), UDP
 * (RFC 768). IPv4 header and UDP checksums are verified; a UDP checksum of zero is accepted over
 * IPv4 and refused over IPv6 (RFC 8200 8.1). IPv4-mapped addresses in an IPv6 header are refused:
 * they are a notation for programs (RFC 4291 2.5.5.2), and would pass for the IPv4 element.
 *
 * Thread:  any.
 * Memory:  borrows the frame; the view points into it.
 * Returns: PKT_DATAGRAM, or what the frame is instead. No input can do more than that.
 */
#ifndef BELLWETHER_DP_PKT_PKT_H
#define BELLWETHER_DP_PKT_PKT_H

#include <stddef.h>
#include <stdint.h>

#include "dp/fedmem/fedmem.h"

enum pkt_verdict {
	PKT_DATAGRAM,
	PKT_NOT_IP, /* other ether type, more than two tags, another version, mapped address */
	PKT_LLDP,
	PKT_TRUNCATED, /* a length field is below its minimum, or ends behind what is there */
	PKT_IP_CHECKSUM,
	PKT_UDP_CHECKSUM,
	PKT_FRAGMENT, /* with an offset or with more to come */
	PKT_NOT_UDP,  /* also: nine extension headers, or a routing header with segments left */
};

struct pkt_view {
	struct fedmem_address source, destination;
	uint16_t udp_source, udp_destination; /* host order */
	const uint8_t *payload;
	uint16_t payload_bytes;
	const uint8_t *ether_source; /* 6 octets */
};

/* 'view' holds something on PKT_DATAGRAM only. Octets after the IP packet's own end (Ethernet
 * padding) are not part of the payload. Chains of IPv6 extension headers are followed up to
 * eight. */
enum pkt_verdict pkt_parse(const uint8_t *frame, size_t frame_bytes, struct pkt_view *view);

/* Writes Ethernet, IPv4 or IPv6 (by the family of 'destination'; both must be the same) and UDP
 * headers with their checksums around payload_bytes octets that already lie at frame + the
 * returned length. Returns the length of the headers (42 or 62), 0 when 'room' is too small for
 * headers and payload, the payload too long for IP, or the families differ: nothing is written
 * then. */
struct pkt_headers {
	uint8_t ether_source[6], ether_destination[6];
	struct fedmem_address source, destination;
	uint16_t udp_source, udp_destination; /* host order */
};
size_t pkt_headers_bytes(const struct pkt_headers *h);
size_t pkt_write_headers(uint8_t *frame, size_t room, const struct pkt_headers *h,
			 uint16_t payload_bytes);

#endif
