#include "dp/pkt/pkt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A frame that is put together from parts; checksums are those that the table rows carry. */
struct frame {
	uint8_t octets[512];
	size_t n;
};

static void add(struct frame *f, const void *octets, size_t n)
{
	assert_true(f->n + n <= sizeof(f->octets));
	memcpy(f->octets + f->n, octets, n);
	f->n += n;
}

#define ADD(frame, ...)                                                                            \
	add(frame, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void add_ether(struct frame *f, uint16_t ether_type)
{
	ADD(f, 0x02, 0, 0, 0, 0, 0x01); /* destination */
	ADD(f, 0x02, 0, 0, 0, 0, 0x02); /* source */
	ADD(f, ether_type >> 8, ether_type & 0xff);
}

/* 10.0.0.1 to 10.0.0.2, DF, 64 hops. The sum of the header's words does not overflow. */
static void add_ipv4(struct frame *f, uint8_t total_bytes, uint8_t ip_proto)
{
	uint16_t sum = (uint16_t) ~(0x4500 + 0x4000 + 0x4000 + 0x0a00 + 0x0001 + 0x0a00 + 0x0002 +
				    total_bytes + ip_proto);

	ADD(f, 0x45, 0, 0, total_bytes, 0, 0, 0x40, 0, 64, ip_proto, sum >> 8, sum & 0xff);
	ADD(f, 10, 0, 0, 1, 10, 0, 0, 2);
}

/* fd00::1 to fd00::2 */
static void add_ipv6(struct frame *f, uint8_t payload_bytes, uint8_t next_header)
{
	ADD(f, 0x60, 0, 0, 0, 0, payload_bytes, next_header, 64);
	ADD(f, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
	ADD(f, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2);
}

/* Ports 4096 to 7410 (0x1cf2), payload "abc", which is odd. */
static void add_udp(struct frame *f, uint16_t checksum)
{
	ADD(f, 0x10, 0x00, 0x1c, 0xf2, 0, 11, checksum >> 8, checksum & 0xff, 'a', 'b', 'c');
}

/* IPv4: 0a00+0001+0a00+0002 + 0011 + 000b + 1000+1cf2+000b + 6162+6300 = 1057e -> 057f, inverted.
 * IPv6: the same with fd00+0001+fd00+0002 for the addresses = 2eb7e -> eb80, inverted. */
#define UDP_OVER_IPV4 0xfa80
#define UDP_OVER_IPV6 0x147f

static enum pkt_verdict parse(const struct frame *f, struct pkt_view *view)
{
	uint8_t *exact =
		malloc(f->n ? f->n : 1); /* so that the sanitizer sees one octet too many */
	enum pkt_verdict verdict;

	assert_non_null(exact);
	memcpy(exact, f->octets, f->n);
	verdict = pkt_parse(exact, f->n, view);
	if (verdict == PKT_DATAGRAM) {
		assert_int_equal(view->ether_source - exact, 6);
		view->ether_source = f->octets + 6;
		view->payload = f->octets + (view->payload - exact);
	}
	free(exact);
	return verdict;
}

static void expect_abc(const struct frame *f)
{
	struct pkt_view view;

	assert_int_equal(parse(f, &view), PKT_DATAGRAM);
	assert_int_equal(view.udp_source, 4096);
	assert_int_equal(view.udp_destination, 7410);
	assert_int_equal(view.payload_bytes, 3);
	assert_memory_equal(view.payload, "abc", 3);
	assert_memory_equal(view.ether_source, "\x02\0\0\0\0\x02", 6);
}

static enum pkt_verdict verdict_of(const struct frame *f)
{
	struct pkt_view view;

	return parse(f, &view);
}

static struct frame over_ipv4(void)
{
	struct frame f = {.n = 0};

	add_ether(&f, 0x0800);
	add_ipv4(&f, 31, 17);
	add_udp(&f, UDP_OVER_IPV4);
	return f;
}

static struct frame over_ipv6(void)
{
	struct frame f = {.n = 0};

	add_ether(&f, 0x86dd);
	add_ipv6(&f, 11, 17);
	add_udp(&f, UDP_OVER_IPV6);
	return f;
}

static void ipv4_datagram_is_found_with_mapped_addresses(void **state)
{
	static const uint8_t source[16] = {[10] = 0xff, 0xff, 10, 0, 0, 1};
	static const uint8_t destination[16] = {[10] = 0xff, 0xff, 10, 0, 0, 2};
	struct frame f = over_ipv4();
	struct pkt_view view;

	expect_abc(&f);
	assert_int_equal(parse(&f, &view), PKT_DATAGRAM);
	assert_memory_equal(view.source.octets, source, 16);
	assert_memory_equal(view.destination.octets, destination, 16);
}

static void ipv6_datagram_is_found_with_its_addresses(void **state)
{
	static const uint8_t source[16] = {0xfd, [15] = 1}, destination[16] = {0xfd, [15] = 2};
	struct frame f = over_ipv6();
	struct pkt_view view;

	expect_abc(&f);
	assert_int_equal(parse(&f, &view), PKT_DATAGRAM);
	assert_memory_equal(view.source.octets, source, 16);
	assert_memory_equal(view.destination.octets, destination, 16);
}

static void padding_is_not_payload(void **state)
{
	struct frame v4 = over_ipv4(), v6 = over_ipv6();

	ADD(&v4, 'p', 'a', 'd', 'd', 'i', 'n', 'g');
	expect_abc(&v4);
	ADD(&v6, 'p', 'a', 'd');
	expect_abc(&v6);
}

static void octets_after_the_udp_length_are_not_payload(void **state)
{
	struct frame f = {.n = 0};

	add_ether(&f, 0x0800);
	add_ipv4(&f, 33, 17);
	add_udp(&f, UDP_OVER_IPV4);
	ADD(&f, 'x', 'y');
	expect_abc(&f);
}

static void up_to_two_vlan_tags_are_passed(void **state)
{
	struct frame one = {.n = 0}, two = {.n = 0}, three = {.n = 0};

	add_ether(&one, 0x8100);
	ADD(&one, 0x00, 0x64, 0x08, 0x00);
	add_ipv4(&one, 31, 17);
	add_udp(&one, UDP_OVER_IPV4);
	expect_abc(&one);

	add_ether(&two, 0x88a8);
	ADD(&two, 0x00, 0x64, 0x81, 0x00, 0x00, 0x65, 0x86, 0xdd);
	add_ipv6(&two, 11, 17);
	add_udp(&two, UDP_OVER_IPV6);
	expect_abc(&two);

	add_ether(&three, 0x88a8);
	ADD(&three, 0x00, 0x64, 0x81, 0x00, 0x00, 0x65, 0x81, 0x00, 0x00, 0x66, 0x08, 0x00);
	add_ipv4(&three, 31, 17);
	add_udp(&three, UDP_OVER_IPV4);
	assert_int_equal(verdict_of(&three), PKT_NOT_IP);
}

static void ipv4_options_are_passed(void **state)
{
	struct frame f = {.n = 0};

	add_ether(&f, 0x0800);
	/* router alert (RFC 2113): 4600+0023+4000+4011+0a00+0001+0a00+0002+9404 -> 6e3c, inverted
	 */
	ADD(&f, 0x46, 0, 0, 35, 0, 0, 0x40, 0, 64, 17, 0x91, 0xc3);
	ADD(&f, 10, 0, 0, 1, 10, 0, 0, 2, 0x94, 4, 0, 0);
	add_udp(&f, UDP_OVER_IPV4);
	expect_abc(&f);
	f.octets[14] = 0x44; /* shorter than the fixed header */
	assert_int_equal(verdict_of(&f), PKT_TRUNCATED);
	f.octets[14] = 0x4f; /* longer than the packet */
	assert_int_equal(verdict_of(&f), PKT_TRUNCATED);
}

static void what_is_not_a_datagram_has_its_own_verdict(void **state)
{
	static const struct {
		uint16_t at; /* octet of over_ipv4() or, from 1000, of over_ipv6() */
		uint8_t value;
		enum pkt_verdict verdict;
	} rows[] = {
		{12, 0x09, PKT_NOT_IP},		/* ether type 0x0900 */
		{14, 0x55, PKT_NOT_IP},		/* IP version 5 */
		{17, 32, PKT_TRUNCATED},	/* IPv4 total length one more than there is */
		{17, 19, PKT_TRUNCATED},	/* ... below its header */
		{22, 63, PKT_IP_CHECKSUM},	/* hops */
		{24, 0x55, PKT_IP_CHECKSUM},	/* checksum itself */
		{39, 12, PKT_TRUNCATED},	/* UDP length one more than IP's */
		{39, 7, PKT_TRUNCATED},		/* ... below its header */
		{42, 'b', PKT_UDP_CHECKSUM},	/* payload */
		{40, 0, PKT_UDP_CHECKSUM},	/* checksum */
		{1014, 0x50, PKT_NOT_IP},	/* IP version 5 */
		{1019, 12, PKT_TRUNCATED},	/* IPv6 payload length one more than there is */
		{1019, 10, PKT_TRUNCATED},	/* ... one less than UDP's */
		{1020, 6, PKT_NOT_UDP},		/* TCP */
		{1020, 59, PKT_NOT_UDP},	/* no next header */
		{1022, 0xfc, PKT_UDP_CHECKSUM}, /* source address */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct frame f = rows[i].at < 1000 ? over_ipv4() : over_ipv6();
		enum pkt_verdict verdict;

		f.octets[rows[i].at % 1000] = rows[i].value;
		verdict = verdict_of(&f);
		if (verdict != rows[i].verdict)
			fail_msg("row %zu: verdict %d", i, verdict);
	}
}

static void ipv4_of_another_protocol_is_not_udp(void **state)
{
	struct frame f = {.n = 0};

	add_ether(&f, 0x0800);
	add_ipv4(&f, 31, 6);
	add_udp(&f, 0);
	assert_int_equal(verdict_of(&f), PKT_NOT_UDP);
}

static void lldp_is_told_apart(void **state)
{
	struct frame f = {.n = 0};

	add_ether(&f, 0x88cc);
	assert_int_equal(verdict_of(&f), PKT_LLDP);
}

static void udp_checksum_of_zero_is_for_ipv4_only(void **state)
{
	struct frame v4 = over_ipv4(), v6 = over_ipv6();

	memset(v4.octets + 40, 0, 2);
	expect_abc(&v4);
	memset(v6.octets + 60, 0, 2);
	assert_int_equal(verdict_of(&v6), PKT_UDP_CHECKSUM);
}

static void ipv4_fragments_are_fragments(void **state)
{
	/* flags and offset, and the header checksum that goes with them */
	static const struct {
		uint16_t flags, sum_less;
	} rows[] = {
		{0x2000, 0x4000 - 0x2000}, {0x0001, 0x4000 - 0x0001}, {0x3fff, 0x4000 - 0x3fff}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct frame f = over_ipv4();
		uint32_t sum = (uint32_t)(f.octets[24] << 8 | f.octets[25]) + rows[i].sum_less;

		sum = (sum & 0xffff) + (sum >> 16);
		f.octets[20] = rows[i].flags >> 8;
		f.octets[21] = rows[i].flags & 0xff;
		f.octets[24] = (uint8_t)(sum >> 8);
		f.octets[25] = (uint8_t)sum;
		assert_int_equal(verdict_of(&f), PKT_FRAGMENT);
	}
}

static void ipv6_extension_headers_are_passed(void **state)
{
	struct frame f = {.n = 0};

	add_ether(&f, 0x86dd);
	add_ipv6(&f, 8 + 8 + 16 + 8 + 11, 0);
	ADD(&f, 43, 0, 1, 4, 0, 0, 0, 0);  /* hop by hop: PadN */
	ADD(&f, 60, 0, 0, 0, 0, 0, 0, 0);  /* routing, no segments left */
	ADD(&f, 44, 1, 1, 12, 0, 0, 0, 0); /* destination options, two units */
	ADD(&f, 0, 0, 0, 0, 0, 0, 0, 0);
	ADD(&f, 17, 0, 0, 0, 0, 0, 0, 7); /* fragment, but the whole datagram */
	add_udp(&f, UDP_OVER_IPV6);
	expect_abc(&f);

	f.octets[14 + 40 + 8 + 3] = 1; /* segments left */
	assert_int_equal(verdict_of(&f), PKT_NOT_UDP);
	f.octets[14 + 40 + 8 + 3] = 0;
	f.octets[14 + 40 + 32 + 3] = 1; /* more fragments */
	assert_int_equal(verdict_of(&f), PKT_FRAGMENT);
	f.octets[14 + 40 + 32 + 3] = 8; /* offset 1 */
	assert_int_equal(verdict_of(&f), PKT_FRAGMENT);
	f.octets[14 + 40 + 32 + 3] = 6; /* reserved bits say nothing */
	expect_abc(&f);
	f.octets[14 + 40 + 16 + 1] = 255; /* destination options longer than the packet */
	assert_int_equal(verdict_of(&f), PKT_TRUNCATED);
}

static struct frame with_extensions(uint8_t n)
{
	struct frame f = {.n = 0};

	add_ether(&f, 0x86dd);
	add_ipv6(&f, (uint8_t)(8 * n + 11), 60);
	for (int i = 0; i < n; i++)
		ADD(&f, i + 1 < n ? 60 : 17, 0, 1, 4, 0, 0, 0, 0);
	add_udp(&f, UDP_OVER_IPV6);
	return f;
}

static void ninth_ipv6_extension_header_is_not_followed(void **state)
{
	struct frame eight = with_extensions(8), nine = with_extensions(9);

	expect_abc(&eight);
	assert_int_equal(verdict_of(&nine), PKT_NOT_UDP);
}

static void ipv4_mapped_address_in_an_ipv6_header_is_refused(void **state)
{
	static const uint8_t mapped[16] = {[10] = 0xff, 0xff, 10, 0, 0, 1};
	struct pkt_headers h = {.source = {{0xfd}}, .destination = {{0xfd, [15] = 2}}};
	struct frame f = {.n = 64};

	assert_int_equal(pkt_write_headers(f.octets, f.n, &h, 2), 62);
	assert_int_equal(verdict_of(&f), PKT_DATAGRAM);
	memcpy(f.octets + 14 + 8, mapped, 16);
	assert_int_equal(verdict_of(&f), PKT_NOT_IP);
}

static void every_cut_of_a_frame_is_truncated(void **state)
{
	struct frame frames[] = {over_ipv4(), over_ipv6(), with_extensions(8)};

	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
		for (size_t n = frames[i].n; n-- > 0;) {
			frames[i].n = n;
			assert_int_equal(verdict_of(&frames[i]), PKT_TRUNCATED);
		}
}

/* The UDP checksum covers the payload, the ports and the addresses; what is left over IPv4 is the
 * Ethernet header, and over IPv6 also traffic class, flow label and hop limit. */
static void single_bit_flips_in_a_datagram_never_change_what_is_read(void **state)
{
	for (int version = 4; version <= 6; version += 2) {
		struct frame good = version == 4 ? over_ipv4() : over_ipv6();

		for (size_t bit = 14 * 8; bit < good.n * 8; bit++) {
			struct frame f = good;

			f.octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
			if (verdict_of(&f) == PKT_DATAGRAM)
				expect_abc(&f);
		}
	}
}

static void written_headers_are_parsed_back(void **state)
{
	static const struct pkt_headers pairs[] = {
		{.ether_source = {2, 0, 0, 0, 0, 9},
		 .ether_destination = {2, 0, 0, 0, 0, 8},
		 .source = {{[10] = 0xff, 0xff, 192, 0, 2, 1}},
		 .destination = {{[10] = 0xff, 0xff, 192, 0, 2, 200}},
		 .udp_source = 7402,
		 .udp_destination = 65535},
		{.ether_source = {2, 0, 0, 0, 0, 9},
		 .source = {{0x20, 0x01, 0x0d, 0xb8, [15] = 1}},
		 .destination = {{0x20, 0x01, 0x0d, 0xb8, [15] = 0xff}},
		 .udp_source = 1,
		 .udp_destination = 7402},
	};

	for (size_t i = 0; i < 2; i++)
		for (uint16_t payload_bytes = 0; payload_bytes < 300; payload_bytes++) {
			size_t headers_bytes = pkt_headers_bytes(&pairs[i]);
			struct frame f = {.n = headers_bytes + payload_bytes};
			struct pkt_view view;

			assert_int_equal(headers_bytes, i == 0 ? 42 : 62);
			for (uint16_t at = 0; at < payload_bytes; at++)
				f.octets[headers_bytes + at] = (uint8_t)(at * 7 + payload_bytes);
			assert_int_equal(pkt_write_headers(f.octets, f.n, &pairs[i], payload_bytes),
					 headers_bytes);
			assert_int_equal(parse(&f, &view), PKT_DATAGRAM);
			assert_memory_equal(f.octets, pairs[i].ether_destination, 6);
			assert_memory_equal(view.ether_source, pairs[i].ether_source, 6);
			assert_memory_equal(&view.source, &pairs[i].source, 16);
			assert_memory_equal(&view.destination, &pairs[i].destination, 16);
			assert_int_equal(view.udp_source, pairs[i].udp_source);
			assert_int_equal(view.udp_destination, pairs[i].udp_destination);
			assert_int_equal(view.payload_bytes, payload_bytes);
			assert_ptr_equal(view.payload, f.octets + headers_bytes);
		}
}

static void udp_sum_of_zero_is_written_as_all_ones(void **state)
{
	struct pkt_headers h = {.source = {{[10] = 0xff, 0xff}},
				.destination = {{[10] = 0xff, 0xff}}};
	struct frame f = {.n = 44};

	/* pseudo-header 0011+000a, UDP 0+0+000a: 0025, and the payload makes it ffff */
	f.octets[42] = 0xff;
	f.octets[43] = 0xff - 0x25;
	assert_int_equal(pkt_write_headers(f.octets, f.n, &h, 2), 42);
	assert_memory_equal(f.octets + 40, "\xff\xff", 2);
	assert_int_equal(verdict_of(&f), PKT_DATAGRAM);
}

static void headers_without_room_are_not_written(void **state)
{
	static uint8_t large[66000];
	struct pkt_headers v4 = {.source = {{[10] = 0xff, 0xff}},
				 .destination = {{[10] = 0xff, 0xff}}};
	struct pkt_headers v6 = {.source = {{0xfd}}, .destination = {{0xfd}}};
	struct pkt_headers mixed = {.source = {{[10] = 0xff, 0xff}}, .destination = {{0xfd}}};

	assert_int_equal(pkt_write_headers(large, 42 + 99, &v4, 100), 0);
	assert_int_equal(pkt_write_headers(large, 62 + 99, &v6, 100), 0);
	assert_int_equal(pkt_write_headers(large, sizeof(large), &v4, 65535 - 28 + 1), 0);
	assert_int_equal(pkt_write_headers(large, sizeof(large), &v6, 65535 - 8 + 1), 0);
	assert_int_equal(pkt_write_headers(large, sizeof(large), &mixed, 100), 0);
	for (size_t i = 0; i < sizeof(large); i++)
		assert_int_equal(large[i], 0);
	assert_int_equal(pkt_write_headers(large, sizeof(large), &v4, 65535 - 28), 42);
	assert_int_equal(pkt_write_headers(large, sizeof(large), &v6, 65535 - 8), 62);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_datagram_is_found_with_mapped_addresses),
		cmocka_unit_test(ipv6_datagram_is_found_with_its_addresses),
		cmocka_unit_test(padding_is_not_payload),
		cmocka_unit_test(octets_after_the_udp_length_are_not_payload),
		cmocka_unit_test(up_to_two_vlan_tags_are_passed),
		cmocka_unit_test(ipv4_options_are_passed),
		cmocka_unit_test(what_is_not_a_datagram_has_its_own_verdict),
		cmocka_unit_test(ipv4_of_another_protocol_is_not_udp),
		cmocka_unit_test(lldp_is_told_apart),
		cmocka_unit_test(udp_checksum_of_zero_is_for_ipv4_only),
		cmocka_unit_test(ipv4_fragments_are_fragments),
		cmocka_unit_test(ipv6_extension_headers_are_passed),
		cmocka_unit_test(ninth_ipv6_extension_header_is_not_followed),
		cmocka_unit_test(ipv4_mapped_address_in_an_ipv6_header_is_refused),
		cmocka_unit_test(every_cut_of_a_frame_is_truncated),
		cmocka_unit_test(single_bit_flips_in_a_datagram_never_change_what_is_read),
		cmocka_unit_test(written_headers_are_parsed_back),
		cmocka_unit_test(udp_sum_of_zero_is_written_as_all_ones),
		cmocka_unit_test(headers_without_room_are_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
