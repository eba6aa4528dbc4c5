/* test_steer_verdict.c - the real program on crafted frames, through the kernel's test-run call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <linux/if_ether.h>
#include <netinet/in.h>

#include "bpf/steer.h"
#include "tests/bpf/frame.h"
#include "tests/bpf/lab.h"
#include "tests/bpf/trial.h"

static void datagram_of_known_element_is_taken(void **state)
{
	assert_int_equal(TRIAL(*state, .udp_port = PORT_SNMP), STEER_TAKEN);
	assert_int_equal(TRIAL(*state, .udp_port = PORT_NATIVE), STEER_TAKEN);
	assert_int_equal(TRIAL(*state, .udp_port = PORT_SNMP, .source = KNOWN_6), STEER_TAKEN);
	assert_int_equal(TRIAL(*state, .udp_port = PORT_SNMP, .is_empty = true), STEER_TAKEN);
}

static void taken_frame_is_redirected_to_the_bound_socket(void **state)
{
	const struct frame ours = {.udp_port = PORT_SNMP}, others = {.udp_port = 53};
	int fd = lab_socket_add(steer_prog_fd(*state));
	uint8_t bytes[FRAME_BYTES_MAX];
	size_t n = frame_write(bytes, &ours);

	assert_int_equal(trial_run(*state, bytes, n, 1), XDP_REDIRECT);
	n = frame_write(bytes, &others);
	assert_int_equal(trial_run(*state, bytes, n, 1), XDP_PASS);
	close(fd);
}

static void up_to_two_vlan_tags_are_followed(void **state)
{
	for (unsigned int n = 0; n <= 2; n++) {
		assert_int_equal(TRIAL(*state, .udp_port = PORT_SNMP, .n_vlan_tags = n),
				 STEER_TAKEN);
		assert_int_equal(
			TRIAL(*state, .udp_port = PORT_SNMP, .n_vlan_tags = n, .source = KNOWN_6),
			STEER_TAKEN);
	}
	assert_int_equal(TRIAL(*state, .udp_port = PORT_SNMP, .n_vlan_tags = 3), STEER_PASSED);
}

static void ipv4_options_are_stepped_over(void **state)
{
	for (unsigned int n = 0; n <= 10; n++)
		assert_int_equal(TRIAL(*state, .udp_port = PORT_SNMP, .n_option_words = n),
				 STEER_TAKEN);
	/* Without stepping over them the options' octets would be read as another port. */
	assert_int_equal(TRIAL(*state, .udp_port = 53, .n_option_words = 3), STEER_PASSED);
}

static void up_to_four_ipv6_extensions_are_stepped_over(void **state)
{
	for (unsigned int n = 0; n <= 4; n++)
		assert_int_equal(
			TRIAL(*state, .udp_port = PORT_SNMP, .n_extensions = n, .source = KNOWN_6),
			STEER_TAKEN);
	assert_int_equal(TRIAL(*state, .udp_port = PORT_SNMP, .n_extensions = 5, .source = KNOWN_6),
			 STEER_PASSED);
}

static void packet_with_segments_left_to_route_passes(void **state)
{
	assert_int_equal(
		TRIAL(*state, .udp_port = PORT_SNMP, .routing_segments_left = 1, .source = KNOWN_6),
		STEER_PASSED);
}

static void what_is_not_for_a_management_port_passes(void **state)
{
	assert_int_equal(TRIAL(*state, .udp_port = 53), STEER_PASSED);
	assert_int_equal(TRIAL(*state, .udp_port = 53, .source = STRANGER), STEER_PASSED);
	assert_int_equal(TRIAL(*state, .udp_port = 53, .source = PEER_4), STEER_PASSED);
	assert_int_equal(TRIAL(*state, .udp_port = 53, .udp_length_error = 9), STEER_PASSED);
	assert_int_equal(TRIAL(*state, .udp_port = 53, .ip_length_error = 9), STEER_PASSED);
}

static void what_is_not_udp_passes(void **state)
{
	const struct frame like_udp[] = {
		{.ip_proto = IPPROTO_TCP},
		{.ip_proto = IPPROTO_ICMP},
		{.ip_proto = IPPROTO_TCP, .fragment = 0x2000},
		{.ip_proto = IPPROTO_TCP, .source = KNOWN_6},
		{.ip_proto = IPPROTO_ICMPV6, .source = KNOWN_6},
		{.ip_proto = IPPROTO_ICMPV6, .source = KNOWN_6, .fragment = 8},
		{.ether_type = ETH_P_ARP},
		{.ether_type = ETH_P_PPP_SES},
		{.ether_type = ETH_P_IP, .source = KNOWN_6},
		{.ether_type = ETH_P_IPV6},
	};

	for (size_t i = 0; i < sizeof(like_udp) / sizeof(like_udp[0]); i++) {
		struct frame f = like_udp[i];

		f.udp_port = PORT_SNMP;
		f.payload_bytes = 64;
		assert_int_equal(trial_verdict(*state, &f), STEER_PASSED);
	}
}

static void lldp_is_taken_only_when_asked_for(void **state)
{
	struct steer_config cfg = trial_config();
	struct steer *s;

	assert_int_equal(TRIAL(*state, .ether_type = ETH_P_LLDP), STEER_PASSED);
	cfg.take_lldp = true;
	s = trial_create(&cfg);
	assert_int_equal(TRIAL(s, .ether_type = ETH_P_LLDP), STEER_TAKEN);
	assert_int_equal(TRIAL(s, .ether_type = ETH_P_ARP), STEER_PASSED);
	steer_destroy(s);
}

static void fragments_of_known_elements_are_taken(void **state)
{
	static const uint16_t ipv4[] = {0x2000, 0x2005, 0x0005}; /* first, middle, last */
	static const uint16_t ipv6[] = {0x0001, 0x0029, 0x0028};

	for (int i = 0; i < 3; i++) {
		assert_int_equal(TRIAL(*state, .fragment = ipv4[i]), STEER_TAKEN);
		assert_int_equal(TRIAL(*state, .fragment = ipv6[i], .source = KNOWN_6),
				 STEER_TAKEN);
		assert_int_equal(TRIAL(*state, .fragment = ipv4[i], .udp_port = PORT_SNMP,
				       .source = STRANGER),
				 STEER_PASSED);
		assert_int_equal(TRIAL(*state, .fragment = ipv6[i], .udp_port = PORT_SNMP,
				       .source = "2001:db8::dead"),
				 STEER_PASSED);
		assert_int_equal(TRIAL(*state, .fragment = ipv4[i], .source = PEER_4),
				 STEER_PASSED);
	}
	/* "Do not fragment" alone makes no fragment. */
	assert_int_equal(TRIAL(*state, .fragment = 0x4000, .udp_port = 53), STEER_PASSED);
	assert_int_equal(TRIAL(*state, .fragment = 0x4000, .udp_port = PORT_SNMP), STEER_TAKEN);
}

/* Cuts a good frame at every length. 'ip' and 'udp' are where those headers end. */
static void cut(const struct steer *s, const struct frame *f, size_t ip, bool is_known)
{
	uint8_t bytes[FRAME_BYTES_MAX];
	size_t whole = frame_write(bytes, f);

	assert_true(whole >= 64);
	/* The kernel's test-run call takes no frame without an Ethernet header. */
	for (size_t n = ETH_HLEN; n <= whole; n++) {
		enum steer_verdict want = n < ip       ? STEER_PASSED
					  : n >= whole ? STEER_TAKEN
					  : n < ip + 4 ? (is_known ? STEER_MALFORMED : STEER_PASSED)
						       : STEER_MALFORMED;

		assert_int_equal(trial_verdict_of_bytes(s, bytes, n), want);
	}
}

static void frame_cut_short_is_malformed_once_it_is_certainly_ours(void **state)
{
	const struct frame ipv4 = {.udp_port = PORT_SNMP, .payload_bytes = 22};
	const struct frame options = {
		.udp_port = PORT_SNMP, .payload_bytes = 22, .n_option_words = 3};
	const struct frame stranger = {
		.udp_port = PORT_SNMP, .payload_bytes = 22, .source = STRANGER};
	const struct frame ipv6 = {.udp_port = PORT_SNMP, .payload_bytes = 10, .source = KNOWN_6};
	const struct frame deep = {
		.udp_port = PORT_SNMP, .source = KNOWN_6, .n_vlan_tags = 2, .n_extensions = 2};

	cut(*state, &ipv4, 14 + 20, true);
	cut(*state, &options, 14 + 20 + 12, true);
	cut(*state, &stranger, 14 + 20, false);
	cut(*state, &ipv6, 14 + 40, true);
	cut(*state, &deep, 14 + 8 + 40 + 16, true);
}

static void random_octets_never_count_twice(void **state)
{
	uint8_t bytes[64];
	uint32_t x = 1;

	for (int round = 0; round < 2000; round++) {
		const struct frame f = {.udp_port = PORT_SNMP,
					.payload_bytes = 8,
					.source = round % 2 ? KNOWN_6 : KNOWN_4};
		uint8_t good[FRAME_BYTES_MAX];

		frame_write(good, &f);
		memcpy(bytes, good, sizeof(bytes));
		for (int i = 0; i < 4; i++) {
			x = x * 1664525u + 1013904223u;
			bytes[(x >> 8) % sizeof(bytes)] = (uint8_t)(x >> 24);
		}
		/* Whatever it is, trial_verdict_of_bytes() wants exactly one verdict. */
		trial_verdict_of_bytes(*state, bytes,
				       ETH_HLEN + x % (sizeof(bytes) - ETH_HLEN + 1));
	}
}

static void lengths_that_lie_are_malformed(void **state)
{
	for (int i = 0; i < 2; i++) {
		const char *source = i == 0 ? KNOWN_4 : KNOWN_6;

		/* The IP header promises more than there is; UDP promises more than IP. */
		assert_int_equal(TRIAL(*state, .udp_port = PORT_SNMP, .source = source,
				       .ip_length_error = 1),
				 STEER_MALFORMED);
		assert_int_equal(TRIAL(*state, .udp_port = PORT_SNMP, .source = source,
				       .udp_length_error = 1),
				 STEER_MALFORMED);
		/* Less than a UDP header. */
		assert_int_equal(TRIAL(*state, .udp_port = PORT_SNMP, .source = source,
				       .udp_length_error = -25),
				 STEER_MALFORMED);
		assert_int_equal(TRIAL(*state, .udp_port = PORT_SNMP, .source = source,
				       .ip_length_error = -25),
				 STEER_MALFORMED);
	}
	/* It does not matter who sends it. */
	assert_int_equal(
		TRIAL(*state, .udp_port = PORT_RELAY, .source = STRANGER, .udp_length_error = 1),
		STEER_MALFORMED);
	assert_int_equal(
		TRIAL(*state, .udp_port = PORT_RELAY, .source = PEER_4, .udp_length_error = 1),
		STEER_MALFORMED);
}

static void ports_outside_the_ip_packet_are_not_believed(void **state)
{
	/* Of 32 octets only three are IP's: what looks like a port is padding. */
	assert_int_equal(TRIAL(*state, .udp_port = 53, .ip_length_error = -29), STEER_MALFORMED);
	assert_int_equal(
		TRIAL(*state, .udp_port = PORT_SNMP, .ip_length_error = -29, .source = STRANGER),
		STEER_PASSED);
}

static void padding_behind_the_ip_packet_is_no_lie(void **state)
{
	assert_int_equal(TRIAL(*state, .udp_port = PORT_SNMP, .ip_length_error = -14,
			       .udp_length_error = -14),
			 STEER_TAKEN);
}

static void wrong_ip_headers_pass(void **state)
{
	assert_int_equal(TRIAL(*state, .udp_port = PORT_SNMP, .ip_version = 5), STEER_PASSED);
	assert_int_equal(TRIAL(*state, .udp_port = PORT_SNMP, .ipv4_header_words = 4),
			 STEER_PASSED);
	assert_int_equal(TRIAL(*state, .udp_port = PORT_SNMP, .ip_version = 4, .source = KNOWN_6),
			 STEER_PASSED);
}

static void relay_port_is_for_peers(void **state)
{
	struct steer_config cfg = trial_config();
	struct steer *s;

	cfg.unknown_rate_pps = 0;
	cfg.unknown_burst = 2;
	s = trial_create(&cfg);
	/* A peer has no bucket. */
	for (int i = 0; i < 10; i++)
		assert_int_equal(TRIAL(s, .udp_port = PORT_RELAY, .source = PEER_4), STEER_TAKEN);
	/* Known element and stranger alike share the bucket of unknown sources here. */
	assert_int_equal(TRIAL(s, .udp_port = PORT_RELAY), STEER_TAKEN);
	assert_int_equal(TRIAL(s, .udp_port = PORT_RELAY, .source = STRANGER), STEER_TAKEN);
	assert_int_equal(TRIAL(s, .udp_port = PORT_RELAY), STEER_UNKNOWN_RATE);
	/* And so does a peer that sends where elements do. */
	assert_int_equal(TRIAL(s, .udp_port = PORT_SNMP, .source = PEER_4), STEER_UNKNOWN_RATE);
	assert_int_equal(TRIAL(s, .udp_port = PORT_RELAY, .source = PEER_4), STEER_TAKEN);
	steer_destroy(s);
}

static void datagram_to_another_host_passes(void **state)
{
	struct steer_config cfg = trial_config();
	uint8_t locals[2][16];
	struct steer *s;

	frame_address(locals[0], FRAME_DESTINATION);
	frame_address(locals[1], "2001:db8::1");
	cfg.locals = locals;
	cfg.n_locals = 2;
	s = trial_create(&cfg);
	assert_int_equal(TRIAL(s, .udp_port = PORT_SNMP), STEER_TAKEN);
	assert_int_equal(TRIAL(s, .udp_port = PORT_SNMP, .source = KNOWN_6), STEER_TAKEN);
	assert_int_equal(TRIAL(s, .udp_port = PORT_SNMP, .destination = "198.51.100.2"),
			 STEER_PASSED);
	assert_int_equal(
		TRIAL(s, .udp_port = PORT_SNMP, .source = KNOWN_6, .destination = "2001:db8::2"),
		STEER_PASSED);
	assert_int_equal(TRIAL(s, .fragment = 0x2000, .destination = "198.51.100.2"), STEER_PASSED);
	assert_int_equal(TRIAL(s, .udp_port = PORT_SNMP, .destination = "198.51.100.2",
			       .udp_length_error = 1),
			 STEER_PASSED);
	steer_destroy(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, trial_setup, trial_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(datagram_of_known_element_is_taken),
		TEST(taken_frame_is_redirected_to_the_bound_socket),
		TEST(up_to_two_vlan_tags_are_followed),
		TEST(ipv4_options_are_stepped_over),
		TEST(up_to_four_ipv6_extensions_are_stepped_over),
		TEST(packet_with_segments_left_to_route_passes),
		TEST(what_is_not_for_a_management_port_passes),
		TEST(what_is_not_udp_passes),
		TEST(lldp_is_taken_only_when_asked_for),
		TEST(fragments_of_known_elements_are_taken),
		TEST(frame_cut_short_is_malformed_once_it_is_certainly_ours),
		TEST(random_octets_never_count_twice),
		TEST(lengths_that_lie_are_malformed),
		TEST(ports_outside_the_ip_packet_are_not_believed),
		TEST(padding_behind_the_ip_packet_is_no_lie),
		TEST(wrong_ip_headers_pass),
		TEST(relay_port_is_for_peers),
		TEST(datagram_to_another_host_passes),
	};
	int skipped = lab_enter();

	return skipped != 0 ? skipped : cmocka_run_group_tests(tests, NULL, NULL);
}
