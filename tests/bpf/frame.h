/* frame.h - Ethernet frames with UDP or something else in them, good or damaged on purpose.
 *
 * Thread:  any.
 * Memory:  writes to the caller's buffer only.
 */
#ifndef BELLWETHER_TESTS_BPF_FRAME_H
#define BELLWETHER_TESTS_BPF_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_BYTES_MAX 512

/* What is left 0 is as a plain, good datagram has it. */
struct frame {
	const char *source,
		*destination; /* text; IPv6 when it has a colon. NULL: default of IPv4 */
	unsigned int n_vlan_tags;
	uint16_t ether_type;	       /* 0: that of the addresses */
	uint8_t ip_proto;	       /* 0: UDP */
	unsigned int n_option_words;   /* IPv4: four octets each, 0 to 10 */
	unsigned int n_extensions;     /* IPv6: destination options of eight octets */
	uint8_t routing_segments_left; /* IPv6: != 0 adds a routing header with so many */
	uint16_t fragment; /* IPv4's flags and offset, IPv6's offset and flag: as on the wire */
	uint16_t udp_port;
	unsigned int payload_bytes;	       /* 0: FRAME_PAYLOAD_BYTES */
	bool is_empty;			       /* no payload at all */
	int ip_length_error, udp_length_error; /* added to the length fields */
	uint8_t ip_version;		       /* 0: the right one */
	uint8_t ipv4_header_words;	       /* 0: the right one */
};

#define FRAME_SOURCE	    "192.0.2.1"
#define FRAME_DESTINATION   "198.51.100.1"
#define FRAME_PAYLOAD_BYTES 24

/* Returns the frame's length. */
size_t frame_write(uint8_t out[FRAME_BYTES_MAX], const struct frame *f);
/* The address as the sources' table has it. */
void frame_address(uint8_t out[16], const char *text);

#endif
