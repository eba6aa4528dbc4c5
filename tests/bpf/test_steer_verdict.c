/* test_steer_verdict.c - the real program on crafted frames, through the kernel's test-run call. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include <bpf/bpf.h>
#include <linux/if_ether.h>
#include <netinet/in.h>

#include "bpf/steer.h"
#include "tests/bpf/frame.h"
#include "tests/bpf/lab.h"

#define PORT_SNMP   162
#define PORT_NATIVE 7410
#define PORT_RELAY  7402

#define KNOWN_4	 FRAME_SOURCE
#define KNOWN_6	 "2001:db8::a"
#define OTHER_4	 "192.0.2.2"
#define PEER_4	 "192.0.2.77"
#define STRANGER "192.0.2.200"
#define PLENTY	 1000000

static const struct steer_port ports[] = {
	{PORT_SNMP, STEER_ELEMENT},
	{PORT_NATIVE, STEER_ELEMENT},
	{PORT_RELAY, STEER_PEER},
};

static void print_log(const char *line)
{
	printf("%s\n", line);
}

static struct steer_config plain_config(void)
{
	return (struct steer_config){
		.interface = LAB_NEAR,
		.sources_max = 16,
		.listen = ports,
		.n_listen = sizeof(ports) / sizeof(ports[0]),
		.unknown_rate_pps = PLENTY,
		.unknown_burst = PLENTY,
		.log = print_log,
	};
}

static void put(struct steer *s, const char *source, enum steer_class source_class, uint32_t rate,
		uint32_t burst)
{
	uint8_t address[16];

	frame_address(address, source);
	assert_int_equal(steer_source_put(s, address, source_class, rate, burst), 0);
}

static struct steer *create(const struct steer_config *cfg)
{
	struct steer *s;

	assert_int_equal(steer_create(&s, cfg), 0);
	put(s, KNOWN_4, STEER_ELEMENT, PLENTY, PLENTY);
	put(s, KNOWN_6, STEER_ELEMENT, PLENTY, PLENTY);
	put(s, OTHER_4, STEER_ELEMENT, PLENTY, PLENTY);
	put(s, PEER_4, STEER_PEER, 0, 0);
	return s;
}

static int setup(void **state)
{
	struct steer_config cfg = plain_config();

	*state = create(&cfg);
	return 0;
}

static int teardown(void **state)
{
	steer_destroy(*state);
	return 0;
}

/* What the kernel does with the frame, an XDP_ code. */
static uint32_t run_bytes(const struct steer *s, const uint8_t *bytes, size_t n, int repeat)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = bytes, .data_size_in = (uint32_t)n,
		    .repeat = repeat);

	assert_int_equal(bpf_prog_test_run_opts(steer_prog_fd(s), &opts), 0);
	return opts.retval;
}

/* The verdict as the counters tell it; they and the kernel's code have to agree. */
static enum steer_verdict verdict_of_bytes(const struct steer *s, const uint8_t *bytes, size_t n)
{
	uint64_t before[STEER_VERDICTS], after[STEER_VERDICTS];
	enum steer_verdict verdict = STEER_FRAMES;
	uint32_t code;

	assert_int_equal(steer_counters(s, before), 0);
	code = run_bytes(s, bytes, n, 1);
	assert_int_equal(steer_counters(s, after), 0);
	assert_int_equal(after[STEER_FRAMES] - before[STEER_FRAMES], 1);
	for (enum steer_verdict v = STEER_TAKEN; v < STEER_VERDICTS; v++) {
		if (after[v] == before[v])
			continue;
		assert_int_equal(after[v] - before[v], 1);
		assert_int_equal(verdict, STEER_FRAMES); /* one verdict only */
		verdict = v;
	}
	/* No socket is bound here: what is taken falls back to the kernel. */
	if (verdict == STEER_TAKEN || verdict == STEER_PASSED)
		assert_int_equal(code, XDP_PASS);
	else
		assert_int_equal(code, XDP_DROP);
	return verdict;
}

static enum steer_verdict verdict_of(const struct steer *s, const struct frame *f)
{
	uint8_t bytes[FRAME_BYTES_MAX];
	size_t n = frame_write(bytes, f);

	return verdict_of_bytes(s, bytes, n);
}

#define VERDICT(s, ...) verdict_of(s, &(struct frame){__VA_ARGS__})

static void datagram_of_known_element_is_taken(void **state)
{
	assert_int_equal(VERDICT(*state, .udp_port = PORT_SNMP), STEER_TAKEN);
	assert_int_equal(VERDICT(*state, .udp_port = PORT_NATIVE), STEER_TAKEN);
	assert_int_equal(VERDICT(*state, .udp_port = PORT_SNMP, .source = KNOWN_6), STEER_TAKEN);
	assert_int_equal(VERDICT(*state, .udp_port = PORT_SNMP, .is_empty = true), STEER_TAKEN);
}

static void taken_frame_is_redirected_to_the_bound_socket(void **state)
{
	const struct frame ours = {.udp_port = PORT_SNMP}, others = {.udp_port = 53};
	int fd = lab_socket_add(steer_prog_fd(*state));
	uint8_t bytes[FRAME_BYTES_MAX];
	size_t n = frame_write(bytes, &ours);

	assert_int_equal(run_bytes(*state, bytes, n, 1), XDP_REDIRECT);
	n = frame_write(bytes, &others);
	assert_int_equal(run_bytes(*state, bytes, n, 1), XDP_PASS);
	close(fd);
}

static void up_to_two_vlan_tags_are_followed(void **state)
{
	for (unsigned int n = 0; n <= 2; n++) {
		assert_int_equal(VERDICT(*state, .udp_port = PORT_SNMP, .n_vlan_tags = n),
				 STEER_TAKEN);
		assert_int_equal(
			VERDICT(*state, .udp_port = PORT_SNMP, .n_vlan_tags = n, .source = KNOWN_6),
			STEER_TAKEN);
	}
	assert_int_equal(VERDICT(*state, .udp_port = PORT_SNMP, .n_vlan_tags = 3), STEER_PASSED);
}

static void ipv4_options_are_stepped_over(void **state)
{
	for (unsigned int n = 0; n <= 10; n++)
		assert_int_equal(VERDICT(*state, .udp_port = PORT_SNMP, .n_option_words = n),
				 STEER_TAKEN);
	/* Without stepping over them the options' octets would be read as another port. */
	assert_int_equal(VERDICT(*state, .udp_port = 53, .n_option_words = 3), STEER_PASSED);
}

static void up_to_four_ipv6_extensions_are_stepped_over(void **state)
{
	for (unsigned int n = 0; n <= 4; n++)
		assert_int_equal(VERDICT(*state, .udp_port = PORT_SNMP, .n_extensions = n,
					 .source = KNOWN_6),
				 STEER_TAKEN);
	assert_int_equal(
		VERDICT(*state, .udp_port = PORT_SNMP, .n_extensions = 5, .source = KNOWN_6),
		STEER_PASSED);
}

static void packet_with_segments_left_to_route_passes(void **state)
{
	assert_int_equal(VERDICT(*state, .udp_port = PORT_SNMP, .routing_segments_left = 1,
				 .source = KNOWN_6),
			 STEER_PASSED);
}

static void what_is_not_for_a_management_port_passes(void **state)
{
	assert_int_equal(VERDICT(*state, .udp_port = 53), STEER_PASSED);
	assert_int_equal(VERDICT(*state, .udp_port = 53, .source = STRANGER), STEER_PASSED);
	assert_int_equal(VERDICT(*state, .udp_port = 53, .source = PEER_4), STEER_PASSED);
	assert_int_equal(VERDICT(*state, .udp_port = 53, .udp_length_error = 9), STEER_PASSED);
	assert_int_equal(VERDICT(*state, .udp_port = 53, .ip_length_error = 9), STEER_PASSED);
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
		assert_int_equal(verdict_of(*state, &f), STEER_PASSED);
	}
}

static void lldp_is_taken_only_when_asked_for(void **state)
{
	struct steer_config cfg = plain_config();
	struct steer *s;

	assert_int_equal(VERDICT(*state, .ether_type = ETH_P_LLDP), STEER_PASSED);
	cfg.take_lldp = true;
	s = create(&cfg);
	assert_int_equal(VERDICT(s, .ether_type = ETH_P_LLDP), STEER_TAKEN);
	assert_int_equal(VERDICT(s, .ether_type = ETH_P_ARP), STEER_PASSED);
	steer_destroy(s);
}

static void fragments_of_known_elements_are_taken(void **state)
{
	static const uint16_t ipv4[] = {0x2000, 0x2005, 0x0005}; /* first, middle, last */
	static const uint16_t ipv6[] = {0x0001, 0x0029, 0x0028};

	for (int i = 0; i < 3; i++) {
		assert_int_equal(VERDICT(*state, .fragment = ipv4[i]), STEER_TAKEN);
		assert_int_equal(VERDICT(*state, .fragment = ipv6[i], .source = KNOWN_6),
				 STEER_TAKEN);
		assert_int_equal(VERDICT(*state, .fragment = ipv4[i], .udp_port = PORT_SNMP,
					 .source = STRANGER),
				 STEER_PASSED);
		assert_int_equal(VERDICT(*state, .fragment = ipv6[i], .udp_port = PORT_SNMP,
					 .source = "2001:db8::dead"),
				 STEER_PASSED);
		assert_int_equal(VERDICT(*state, .fragment = ipv4[i], .source = PEER_4),
				 STEER_PASSED);
	}
	/* "Do not fragment" alone makes no fragment. */
	assert_int_equal(VERDICT(*state, .fragment = 0x4000, .udp_port = 53), STEER_PASSED);
	assert_int_equal(VERDICT(*state, .fragment = 0x4000, .udp_port = PORT_SNMP), STEER_TAKEN);
}

static void fragments_cost_their_element_tokens(void **state)
{
	put(*state, KNOWN_4, STEER_ELEMENT, 0, 1);
	assert_int_equal(VERDICT(*state, .fragment = 0x0005), STEER_TAKEN);
	assert_int_equal(VERDICT(*state, .fragment = 0x0005), STEER_SOURCE_RATE);
	assert_int_equal(VERDICT(*state, .udp_port = PORT_SNMP), STEER_SOURCE_RATE);
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

		assert_int_equal(verdict_of_bytes(s, bytes, n), want);
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
		/* Whatever it is, verdict_of_bytes() wants exactly one verdict. */
		verdict_of_bytes(*state, bytes, ETH_HLEN + x % (sizeof(bytes) - ETH_HLEN + 1));
	}
}

static void lengths_that_lie_are_malformed(void **state)
{
	for (int i = 0; i < 2; i++) {
		const char *source = i == 0 ? KNOWN_4 : KNOWN_6;

		/* The IP header promises more than there is; UDP promises more than IP. */
		assert_int_equal(VERDICT(*state, .udp_port = PORT_SNMP, .source = source,
					 .ip_length_error = 1),
				 STEER_MALFORMED);
		assert_int_equal(VERDICT(*state, .udp_port = PORT_SNMP, .source = source,
					 .udp_length_error = 1),
				 STEER_MALFORMED);
		/* Less than a UDP header. */
		assert_int_equal(VERDICT(*state, .udp_port = PORT_SNMP, .source = source,
					 .udp_length_error = -25),
				 STEER_MALFORMED);
		assert_int_equal(VERDICT(*state, .udp_port = PORT_SNMP, .source = source,
					 .ip_length_error = -25),
				 STEER_MALFORMED);
	}
	/* It does not matter who sends it. */
	assert_int_equal(
		VERDICT(*state, .udp_port = PORT_RELAY, .source = STRANGER, .udp_length_error = 1),
		STEER_MALFORMED);
	assert_int_equal(
		VERDICT(*state, .udp_port = PORT_RELAY, .source = PEER_4, .udp_length_error = 1),
		STEER_MALFORMED);
}

static void ports_outside_the_ip_packet_are_not_believed(void **state)
{
	/* Of 32 octets only three are IP's: what looks like a port is padding. */
	assert_int_equal(VERDICT(*state, .udp_port = 53, .ip_length_error = -29), STEER_MALFORMED);
	assert_int_equal(
		VERDICT(*state, .udp_port = PORT_SNMP, .ip_length_error = -29, .source = STRANGER),
		STEER_PASSED);
}

static void padding_behind_the_ip_packet_is_no_lie(void **state)
{
	assert_int_equal(VERDICT(*state, .udp_port = PORT_SNMP, .ip_length_error = -14,
				 .udp_length_error = -14),
			 STEER_TAKEN);
}

static void wrong_ip_headers_pass(void **state)
{
	assert_int_equal(VERDICT(*state, .udp_port = PORT_SNMP, .ip_version = 5), STEER_PASSED);
	assert_int_equal(VERDICT(*state, .udp_port = PORT_SNMP, .ipv4_header_words = 4),
			 STEER_PASSED);
	assert_int_equal(VERDICT(*state, .udp_port = PORT_SNMP, .ip_version = 4, .source = KNOWN_6),
			 STEER_PASSED);
}

static void relay_port_is_for_peers(void **state)
{
	struct steer_config cfg = plain_config();
	struct steer *s;

	cfg.unknown_rate_pps = 0;
	cfg.unknown_burst = 2;
	s = create(&cfg);
	/* A peer has no bucket. */
	for (int i = 0; i < 10; i++)
		assert_int_equal(VERDICT(s, .udp_port = PORT_RELAY, .source = PEER_4), STEER_TAKEN);
	/* Known element and stranger alike share the bucket of unknown sources here. */
	assert_int_equal(VERDICT(s, .udp_port = PORT_RELAY), STEER_TAKEN);
	assert_int_equal(VERDICT(s, .udp_port = PORT_RELAY, .source = STRANGER), STEER_TAKEN);
	assert_int_equal(VERDICT(s, .udp_port = PORT_RELAY), STEER_UNKNOWN_RATE);
	/* And so does a peer that sends where elements do. */
	assert_int_equal(VERDICT(s, .udp_port = PORT_SNMP, .source = PEER_4), STEER_UNKNOWN_RATE);
	assert_int_equal(VERDICT(s, .udp_port = PORT_RELAY, .source = PEER_4), STEER_TAKEN);
	steer_destroy(s);
}

static void datagram_to_another_host_passes(void **state)
{
	struct steer_config cfg = plain_config();
	uint8_t locals[2][16];
	struct steer *s;

	frame_address(locals[0], FRAME_DESTINATION);
	frame_address(locals[1], "2001:db8::1");
	cfg.locals = locals;
	cfg.n_locals = 2;
	s = create(&cfg);
	assert_int_equal(VERDICT(s, .udp_port = PORT_SNMP), STEER_TAKEN);
	assert_int_equal(VERDICT(s, .udp_port = PORT_SNMP, .source = KNOWN_6), STEER_TAKEN);
	assert_int_equal(VERDICT(s, .udp_port = PORT_SNMP, .destination = "198.51.100.2"),
			 STEER_PASSED);
	assert_int_equal(
		VERDICT(s, .udp_port = PORT_SNMP, .source = KNOWN_6, .destination = "2001:db8::2"),
		STEER_PASSED);
	assert_int_equal(VERDICT(s, .fragment = 0x2000, .destination = "198.51.100.2"),
			 STEER_PASSED);
	assert_int_equal(VERDICT(s, .udp_port = PORT_SNMP, .destination = "198.51.100.2",
				 .udp_length_error = 1),
			 STEER_PASSED);
	steer_destroy(s);
}

static void burst_is_taken_and_what_is_over_it_dropped(void **state)
{
	put(*state, KNOWN_4, STEER_ELEMENT, 0, 5);
	for (int i = 0; i < 5; i++)
		assert_int_equal(VERDICT(*state, .udp_port = PORT_SNMP), STEER_TAKEN);
	for (int i = 0; i < 5; i++)
		assert_int_equal(VERDICT(*state, .udp_port = PORT_SNMP), STEER_SOURCE_RATE);
	/* No element slows another, and other traffic of the same host goes on. */
	assert_int_equal(VERDICT(*state, .udp_port = PORT_SNMP, .source = OTHER_4), STEER_TAKEN);
	assert_int_equal(VERDICT(*state, .udp_port = PORT_SNMP, .source = KNOWN_6), STEER_TAKEN);
	assert_int_equal(VERDICT(*state, .udp_port = 53), STEER_PASSED);
}

static void bucket_refills_with_time(void **state)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	enum steer_verdict verdict;
	int tries = 0;

	put(*state, KNOWN_4, STEER_ELEMENT, 20, 1);
	assert_int_equal(VERDICT(*state, .udp_port = PORT_SNMP), STEER_TAKEN);
	do {
		nanosleep(&pause, NULL);
		verdict = VERDICT(*state, .udp_port = PORT_SNMP);
	} while (verdict == STEER_SOURCE_RATE && ++tries < 10000);
	assert_int_equal(verdict, STEER_TAKEN);
}

/* Puts the known element with 1/s and a burst of 4, as if it had this many tokens 'age_s' ago. */
static void bucket_set(const struct steer *s, unsigned int tokens, unsigned int age_s)
{
	int fd = lab_map_open(steer_prog_fd(s), "sources");
	struct steer_source source;
	uint8_t address[16];
	struct timespec now;

	frame_address(address, KNOWN_4);
	assert_int_equal(bpf_map_lookup_elem(fd, address, &source), 0);
	clock_gettime(CLOCK_MONOTONIC, &now); /* the clock of bpf_ktime_get_ns() */
	source.last_ns = (uint64_t)(now.tv_sec - age_s) * 1000000000u + (uint64_t)now.tv_nsec;
	source.tokens = tokens * STEER_TOKEN;
	assert_int_equal(bpf_map_update_elem(fd, address, &source, BPF_F_LOCK), 0);
	close(fd);
}

static void bucket_never_holds_more_than_its_burst(void **state)
{
	static const struct {
		unsigned int tokens, age_s, taken;
	} cases[] = {
		{0, 2, 2}, /* half refilled */
		{4, 2, 4}, /* full, and two seconds would add two */
		{0, 9, 4}, /* idle for longer than it takes to fill */
		{4, 9, 4},
	};
	const struct frame f = {.udp_port = PORT_SNMP};
	uint8_t bytes[FRAME_BYTES_MAX];
	size_t n = frame_write(bytes, &f);

	put(*state, KNOWN_4, STEER_ELEMENT, 1, 4);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t before[STEER_VERDICTS], after[STEER_VERDICTS];

		bucket_set(*state, cases[i].tokens, cases[i].age_s);
		assert_int_equal(steer_counters(*state, before), 0);
		run_bytes(*state, bytes, n, 100);
		assert_int_equal(steer_counters(*state, after), 0);
		assert_int_equal(after[STEER_TAKEN] - before[STEER_TAKEN], cases[i].taken);
		assert_int_equal(after[STEER_SOURCE_RATE] - before[STEER_SOURCE_RATE],
				 100 - cases[i].taken);
	}
}

static void putting_the_same_source_again_refills_nothing(void **state)
{
	put(*state, KNOWN_4, STEER_ELEMENT, 0, 1);
	assert_int_equal(VERDICT(*state, .udp_port = PORT_SNMP), STEER_TAKEN);
	put(*state, KNOWN_4, STEER_ELEMENT, 0, 1);
	assert_int_equal(VERDICT(*state, .udp_port = PORT_SNMP), STEER_SOURCE_RATE);
	put(*state, KNOWN_4, STEER_ELEMENT, 0, 2);
	assert_int_equal(VERDICT(*state, .udp_port = PORT_SNMP), STEER_TAKEN);
	assert_int_equal(VERDICT(*state, .udp_port = PORT_SNMP), STEER_TAKEN);
	assert_int_equal(VERDICT(*state, .udp_port = PORT_SNMP), STEER_SOURCE_RATE);
}

static void unknown_sources_share_a_bucket_that_no_element_feels(void **state)
{
	struct steer_config cfg = plain_config();
	struct steer *s;

	cfg.unknown_rate_pps = 0;
	cfg.unknown_burst = 2;
	s = create(&cfg);
	assert_int_equal(VERDICT(s, .udp_port = PORT_SNMP, .source = STRANGER), STEER_TAKEN);
	assert_int_equal(VERDICT(s, .udp_port = PORT_SNMP, .source = "2001:db8::dead"),
			 STEER_TAKEN);
	assert_int_equal(VERDICT(s, .udp_port = PORT_SNMP, .source = STRANGER), STEER_UNKNOWN_RATE);
	assert_int_equal(VERDICT(s, .udp_port = PORT_NATIVE, .source = "192.0.2.201"),
			 STEER_UNKNOWN_RATE);
	assert_int_equal(VERDICT(s, .udp_port = PORT_SNMP), STEER_TAKEN);
	assert_int_equal(VERDICT(s, .udp_port = 53, .source = STRANGER), STEER_PASSED);
	steer_destroy(s);
}

static void removed_source_is_unknown_again(void **state)
{
	struct steer_config cfg = plain_config();
	uint8_t address[16];
	struct steer *s;

	cfg.unknown_burst = 0;
	s = create(&cfg);
	assert_int_equal(VERDICT(s, .udp_port = PORT_SNMP), STEER_TAKEN);
	frame_address(address, KNOWN_4);
	assert_int_equal(steer_source_remove(s, address), 0);
	assert_int_equal(steer_source_remove(s, address), STEER_NOT_FOUND);
	assert_int_equal(VERDICT(s, .udp_port = PORT_SNMP), STEER_UNKNOWN_RATE);
	steer_destroy(s);
}

static void table_of_sources_says_when_it_is_full(void **state)
{
	struct steer_config cfg = plain_config();
	uint8_t address[16];
	struct steer *s;

	cfg.sources_max = 4; /* as many as create() puts */
	s = create(&cfg);
	frame_address(address, STRANGER);
	assert_int_equal(steer_source_put(s, address, STEER_ELEMENT, 1, 1), STEER_FULL);
	frame_address(address, KNOWN_4);
	assert_int_equal(steer_source_put(s, address, STEER_ELEMENT, 1, 1), 0);
	assert_int_equal(steer_source_remove(s, address), 0);
	frame_address(address, STRANGER);
	assert_int_equal(steer_source_put(s, address, STEER_ELEMENT, 1, 1), 0);
	steer_destroy(s);
}

#define RUNS_A_THREAD 200000

static void *run_many(void *arg)
{
	const struct frame f = {.udp_port = PORT_SNMP};
	uint8_t bytes[FRAME_BYTES_MAX];
	size_t n = frame_write(bytes, &f);
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = bytes, .data_size_in = (uint32_t)n,
		    .repeat = RUNS_A_THREAD);

	/* cmocka's own state belongs to the main thread: the counters tell what happened here. */
	bpf_prog_test_run_opts(steer_prog_fd(arg), &opts);
	return NULL;
}

static void two_processors_never_take_one_token_twice(void **state)
{
	uint64_t n[STEER_VERDICTS];
	pthread_t threads[2];

	put(*state, KNOWN_4, STEER_ELEMENT, 0, RUNS_A_THREAD);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_many, *state), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(steer_counters(*state, n), 0);
	assert_int_equal(n[STEER_FRAMES], 2 * RUNS_A_THREAD);
	assert_int_equal(n[STEER_TAKEN], RUNS_A_THREAD);
	assert_int_equal(n[STEER_SOURCE_RATE], RUNS_A_THREAD);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
		TEST(fragments_cost_their_element_tokens),
		TEST(frame_cut_short_is_malformed_once_it_is_certainly_ours),
		TEST(random_octets_never_count_twice),
		TEST(lengths_that_lie_are_malformed),
		TEST(ports_outside_the_ip_packet_are_not_believed),
		TEST(padding_behind_the_ip_packet_is_no_lie),
		TEST(wrong_ip_headers_pass),
		TEST(relay_port_is_for_peers),
		TEST(datagram_to_another_host_passes),
		TEST(burst_is_taken_and_what_is_over_it_dropped),
		TEST(bucket_refills_with_time),
		TEST(bucket_never_holds_more_than_its_burst),
		TEST(putting_the_same_source_again_refills_nothing),
		TEST(unknown_sources_share_a_bucket_that_no_element_feels),
		TEST(removed_source_is_unknown_again),
		TEST(table_of_sources_says_when_it_is_full),
		TEST(two_processors_never_take_one_token_twice),
	};
	int skipped = lab_enter();

	return skipped != 0 ? skipped : cmocka_run_group_tests(tests, NULL, NULL);
}
