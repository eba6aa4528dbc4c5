/* frame.c - see frame.h. */
#include "tests/bpf/frame.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

struct writer {
	uint8_t *bytes;
	size_t n;
};

static void put_8(struct writer *w, unsigned int v)
{
	assert(w->n < FRAME_BYTES_MAX);
	w->bytes[w->n++] = (uint8_t)v;
}

static void put_16(struct writer *w, unsigned int v)
{
	put_8(w, v >> 8);
	put_8(w, v);
}

static void put_bytes(struct writer *w, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put_8(w, bytes[i]);
}

void frame_address(uint8_t out[16], const char *text)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	int is_good;

	if (strchr(text, ':') != NULL) {
		is_good = inet_pton(AF_INET6, text, out);
	} else {
		memcpy(out, mapped, sizeof(mapped));
		is_good = inet_pton(AF_INET, text, out + sizeof(mapped));
	}
	assert(is_good == 1);
	(void)is_good;
}

static void put_ipv4(struct writer *w, const struct frame *f, const uint8_t source[16],
		     const uint8_t destination[16], unsigned int ip_payload_bytes)
{
	unsigned int words = 5 + f->n_option_words;

	put_8(w, (f->ip_version ? f->ip_version : 4u) << 4 |
			 (f->ipv4_header_words ? f->ipv4_header_words : words));
	put_8(w, 0);
	put_16(w, words * 4 + ip_payload_bytes + (unsigned int)f->ip_length_error);
	put_16(w, 1);
	put_16(w, f->fragment);
	put_8(w, 64);
	put_8(w, f->ip_proto ? f->ip_proto : IPPROTO_UDP);
	put_16(w, 0); /* the program leaves checksums to the worker */
	put_bytes(w, source + 12, 4);
	put_bytes(w, destination + 12, 4);
	for (unsigned int i = 0; i < f->n_option_words * 4; i++)
		put_8(w, 1); /* no operation */
}

static void put_ipv6(struct writer *w, const struct frame *f, const uint8_t source[16],
		     const uint8_t destination[16], unsigned int ip_payload_bytes)
{
	uint8_t next[16];
	unsigned int n = 0;

	if (f->routing_segments_left != 0)
		next[n++] = IPPROTO_ROUTING;
	for (unsigned int i = 0; i < f->n_extensions; i++)
		next[n++] = IPPROTO_DSTOPTS;
	if (f->fragment != 0)
		next[n++] = IPPROTO_FRAGMENT;
	next[n] = f->ip_proto ? f->ip_proto : IPPROTO_UDP;

	put_8(w, (f->ip_version ? f->ip_version : 6u) << 4);
	put_8(w, 0);
	put_16(w, 0);
	put_16(w, n * 8 + ip_payload_bytes + (unsigned int)f->ip_length_error);
	put_8(w, next[0]);
	put_8(w, 64);
	put_bytes(w, source, 16);
	put_bytes(w, destination, 16);
	for (unsigned int i = 0; i < n; i++) {
		put_8(w, next[i + 1]);
		put_8(w, 0);
		put_16(w, next[i] == IPPROTO_FRAGMENT  ? f->fragment
			  : next[i] == IPPROTO_ROUTING ? f->routing_segments_left
						       : 0x0104u); /* PadN over the rest */
		put_16(w, 0);
		put_16(w, 0);
	}
}

size_t frame_write(uint8_t out[FRAME_BYTES_MAX], const struct frame *f)
{
	const char *source_text = f->source ? f->source : FRAME_SOURCE;
	bool is_ipv6 = strchr(source_text, ':') != NULL;
	struct writer w = {.bytes = out};
	uint8_t source[16], destination[16];
	unsigned int payload_bytes = f->is_empty	? 0
				     : f->payload_bytes ? f->payload_bytes
							: FRAME_PAYLOAD_BYTES;

	frame_address(source, source_text);
	frame_address(destination, f->destination ? f->destination
				   : is_ipv6	  ? "2001:db8::1"
						  : FRAME_DESTINATION);
	for (int i = 0; i < 12; i++)
		put_8(&w, 2);
	for (unsigned int i = 0; i < f->n_vlan_tags; i++) {
		put_16(&w, i + 1 < f->n_vlan_tags ? 0x88a8 : 0x8100);
		put_16(&w, 100 + i);
	}
	put_16(&w, f->ether_type ? f->ether_type : is_ipv6 ? 0x86ddu : 0x0800u);
	if (is_ipv6)
		put_ipv6(&w, f, source, destination, 8 + payload_bytes);
	else
		put_ipv4(&w, f, source, destination, 8 + payload_bytes);
	put_16(&w, 49152);
	put_16(&w, f->udp_port);
	put_16(&w, 8 + payload_bytes + (unsigned int)f->udp_length_error);
	put_16(&w, 0);
	for (unsigned int i = 0; i < payload_bytes; i++)
		put_8(&w, i);
	return w.n;
}
