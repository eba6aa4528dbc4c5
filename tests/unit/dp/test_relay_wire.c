/* What a relay takes from the network, octet by octet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/relay_net.h"

#define FRAME_HEADERS 42 /* Ethernet, IPv4, UDP */
#define MESSAGE_MIN   (RELAY_HEADER_BYTES + RELAY_TAG_BYTES)

static struct net net;

/* A message as it left a node for another. */
struct caught {
	uint8_t octets[RELAY_FRAME_MAX];
	uint16_t n_bytes;
};

static int start(void **state)
{
	net_init(&net, 1);
	net_tell_owner_all(&net, 0, 1, 1);
	return 0;
}

static int stop(void **state)
{
	net_fini(&net);
	return 0;
}

static uint64_t count(enum stats_counter c)
{
	return net.nodes[1].stats.n[c];
}

/* Takes the oldest frame out of the network. */
static struct caught catch_frame(void)
{
	struct caught c;

	assert_true(net.n_frames > 0);
	c.n_bytes = net.frames[0].n_bytes - FRAME_HEADERS;
	memcpy(c.octets, net.frames[0].octets + FRAME_HEADERS, c.n_bytes);
	memmove(&net.frames[0], &net.frames[1], --net.n_frames * sizeof(net.frames[0]));
	return c;
}

static struct caught catch_alarm(void)
{
	assert_true(net_ingest(&net, 0, 0, true, 60));
	relay_poll(net.nodes[0].relay, net.now_ns);
	return catch_frame();
}

static struct caught catch_metrics(void)
{
	assert_true(net_ingest(&net, 0, 0, false, 60));
	return catch_frame();
}

/* Of node 0, for node 1. */
static struct caught catch_ack(void)
{
	net_tell_owner_all(&net, 1, 0, 1);
	assert_true(net_ingest(&net, 1, 1, true, 60));
	relay_poll(net.nodes[1].relay, net.now_ns);
	net_deliver_first(&net);
	relay_poll(net.nodes[0].relay, net.now_ns);
	return catch_frame();
}

/* Of node 0, for node 1: it may take now what it refused. */
static struct caught catch_again(void)
{
	net_tell_owner(&net, 1, 1, 0, 1);
	assert_true(net_ingest(&net, 1, 1, true, 60));
	relay_poll(net.nodes[1].relay, net.now_ns);
	net_deliver_first(&net);
	net_tell_owner(&net, 0, 1, 0, 1);
	relay_poll(net.nodes[0].relay, net.now_ns);
	return catch_frame();
}

/* Node 1 receives it. True: to be applied; it is kept. */
static bool receive(const struct caught *c)
{
	struct apply_datagram d;
	bool is_data;

	net.nodes[1].stats.n[STATS_FRAMES]++;
	is_data = relay_receive(net.nodes[1].relay, c->octets, c->n_bytes, &d);
	if (is_data) {
		relay_taken(net.nodes[1].relay, true);
		net.nodes[1].stats.n[STATS_DGRAM_APPLIED]++;
	}
	net_check(&net);
	return is_data;
}

static uint64_t n_drops(void)
{
	uint64_t n = 0;

	for (int i = STATS_DROP_RELAY_MALFORMED; i <= STATS_DROP_RELAY_EARLY; i++)
		n += count(i);
	return n;
}

static void assert_dropped_as(const struct caught *c, enum stats_counter name)
{
	uint64_t n_named = count(name), n_all = n_drops();

	assert_false(receive(c));
	assert_int_equal(count(name), n_named + 1);
	assert_int_equal(n_drops(), n_all + 1);
}

static void assert_no_bit_can_be_flipped(struct caught *c)
{
	for (int bit = 0; bit < c->n_bytes * 8; bit++) {
		uint64_t n_all = n_drops();

		c->octets[bit / 8] ^= 1 << bit % 8;
		assert_false(receive(c));
		assert_int_equal(n_drops(), n_all + 1);
		c->octets[bit / 8] ^= 1 << bit % 8;
	}
	assert_int_equal(count(STATS_FRAME_RELAY_ACK), 0);
	assert_int_equal(count(STATS_FRAME_RELAY_DATA), 0);
}

static void one_flipped_bit_anywhere_in_an_alarm_is_dropped(void **state)
{
	struct caught c = catch_alarm();

	assert_no_bit_can_be_flipped(&c);
	assert_true(count(STATS_DROP_RELAY_FORGED) > 8 * 60);
	assert_true(receive(&c)); /* nor did the attempts use up its sequence */
}

static void one_flipped_bit_anywhere_in_metrics_is_dropped(void **state)
{
	struct caught c = catch_metrics();

	assert_no_bit_can_be_flipped(&c);
	assert_true(receive(&c));
}

static void one_flipped_bit_anywhere_in_an_acknowledgement_is_dropped(void **state)
{
	struct caught c = catch_ack();

	assert_no_bit_can_be_flipped(&c);
	assert_int_equal(count(STATS_RELAY_WAITING), 1);
	assert_false(receive(&c));
	assert_int_equal(count(STATS_FRAME_RELAY_ACK), 1);
	assert_int_equal(count(STATS_RELAY_WAITING), 0);
}

static void one_flipped_bit_anywhere_in_a_wish_is_dropped(void **state)
{
	struct caught c = catch_again();

	assert_no_bit_can_be_flipped(&c);
	assert_int_equal(count(STATS_FRAME_RELAY_AGAIN), 0);
	assert_false(receive(&c));
	assert_int_equal(count(STATS_FRAME_RELAY_AGAIN), 1);
	assert_dropped_as(&c, STATS_DROP_RELAY_REPEATED);
}

static void a_changed_datagram_or_tag_is_forged(void **state)
{
	struct caught c = catch_alarm();

	c.octets[RELAY_HEADER_BYTES] ^= 1;
	assert_dropped_as(&c, STATS_DROP_RELAY_FORGED);
	c.octets[RELAY_HEADER_BYTES] ^= 1;
	c.octets[c.n_bytes - 1] ^= 1;
	assert_dropped_as(&c, STATS_DROP_RELAY_FORGED);
}

static void what_is_cut_short_is_dropped(void **state)
{
	struct caught c = catch_alarm();
	uint16_t whole = c.n_bytes;

	for (c.n_bytes = 0; c.n_bytes < MESSAGE_MIN; c.n_bytes++)
		assert_dropped_as(&c, STATS_DROP_RELAY_MALFORMED);
	for (; c.n_bytes < whole; c.n_bytes++)
		assert_dropped_as(&c, STATS_DROP_RELAY_FORGED);
	assert_true(receive(&c));
}

static void a_header_that_does_not_go_together_is_malformed(void **state)
{
	static const struct {
		int at;
		uint8_t octet;
	} wrong[] = {
		{0, 2},			      /* version */
		{1, 0},	 {1, 5},	      /* kind */
		{1, 1},			      /* metrics with a number */
		{1, 3},			      /* acknowledgement with a datagram */
		{1, 4},			      /* a wish with one */
		{2, 0},	 {2, DECODE_FORMATS}, /* format */
		{3, 1},			      /* must be zero */
		{7, 3},			      /* for another server */
		{32, 1},		      /* the alarm before it has a higher number */
	};
	struct caught c = catch_alarm();

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		uint8_t right = c.octets[wrong[i].at];

		c.octets[wrong[i].at] = wrong[i].octet;
		assert_dropped_as(&c, STATS_DROP_RELAY_MALFORMED);
		c.octets[wrong[i].at] = right;
	}
}

static void a_server_that_is_no_peer_is_unknown(void **state)
{
	struct caught c = catch_alarm();

	c.octets[5] = 99;
	assert_dropped_as(&c, STATS_DROP_RELAY_UNKNOWN_PEER);
	c.octets[5] = 0;
	assert_dropped_as(&c, STATS_DROP_RELAY_UNKNOWN_PEER);
	c.octets[5] = 1;
	net.nodes[1].is_listed[0] = false;
	net_tell_servers(&net, 1);
	assert_dropped_as(&c, STATS_DROP_RELAY_UNKNOWN_PEER);
}

static void another_boot_of_the_sender_is_refused(void **state)
{
	struct caught old = catch_alarm(), new;

	net_restart(&net, 0);
	new = catch_alarm();
	assert_dropped_as(&new, STATS_DROP_RELAY_BOOT); /* not told yet */
	net_tell_servers(&net, 1);
	assert_dropped_as(&old, STATS_DROP_RELAY_BOOT);
	assert_true(receive(&new));
}

static void what_was_meant_for_an_earlier_boot_of_ours_is_not_taken_again(void **state)
{
	struct caught alarm = catch_alarm(), metrics = catch_metrics();

	assert_true(receive(&alarm));
	assert_true(receive(&metrics));
	net_restart(&net, 1);
	net_tell_servers(&net, 0);
	assert_dropped_as(&alarm, STATS_DROP_RELAY_BOOT);
	assert_dropped_as(&metrics, STATS_DROP_RELAY_BOOT);
}

static void a_repeated_frame_of_any_kind_is_refused(void **state)
{
	struct caught alarm = catch_alarm(), metrics = catch_metrics(), ack = catch_ack();

	assert_true(receive(&metrics));
	assert_dropped_as(&metrics, STATS_DROP_RELAY_REPEATED);
	assert_true(receive(&alarm));
	assert_dropped_as(&alarm, STATS_DROP_RELAY_REPEATED);
	assert_false(receive(&ack));
	assert_int_equal(count(STATS_FRAME_RELAY_ACK), 1);
	assert_dropped_as(&ack, STATS_DROP_RELAY_REPEATED);
}

static void metrics_that_overtook_each_other_are_all_taken(void **state)
{
	struct caught first = catch_metrics(), second = catch_metrics();

	assert_true(receive(&second));
	assert_true(receive(&first));
}

static void an_alarm_ahead_of_its_turn_is_taken_when_it_comes_again(void **state)
{
	struct caught first = catch_alarm(), second = catch_alarm();

	assert_dropped_as(&second, STATS_DROP_RELAY_EARLY);
	assert_true(receive(&first));
	relay_poll(net.nodes[0].relay, net.now_ns + NET_RESEND_NS); /* time-out: the oldest */
	first = catch_frame();
	assert_dropped_as(&first, STATS_DROP_RELAY_REPEATED);
	relay_poll(net.nodes[1].relay, net.now_ns);
	net_deliver_first(&net); /* acknowledges it */
	relay_poll(net.nodes[0].relay, net.now_ns + NET_RESEND_NS);
	second = catch_frame();
	assert_true(receive(&second));
}

static uint64_t sequence_of(const struct net_frame *f)
{
	uint64_t be;

	memcpy(&be, f->octets + FRAME_HEADERS + 16, sizeof(be));
	return __builtin_bswap64(be);
}

static void no_two_frames_carry_one_sequence(void **state)
{
	uint64_t now_ns = net.now_ns, last = 0;
	uint32_t n_alarms = 0;

	net_tell_owner_all(&net, 1, 1, 1);
	for (int i = 0; i < 40; i++) {
		net_ingest(&net, 0, i % 2, true, 60);
		net_ingest(&net, 0, i % 2, false, 60);
		n_alarms++;
		relay_poll(net.nodes[0].relay, now_ns);
		now_ns += 9 * NET_RESEND_NS; /* everything times out */
		if (i == 10 || i == 30)
			net_tell_owner_all(&net, 1, i == 10 ? 2 : 1, i);
		if (i == 20) {
			net.nodes[1].boot++;
			net_tell_servers(&net, 0);
		}
	}
	assert_true(net.n_frames > 2 * n_alarms);
	for (uint32_t i = 0; i < net.n_frames; i++) {
		assert_true(sequence_of(&net.frames[i]) > last);
		last = sequence_of(&net.frames[i]);
	}
	net.n_frames = 0;
}

#define CLAIM(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLAIM(one_flipped_bit_anywhere_in_an_alarm_is_dropped),
		CLAIM(one_flipped_bit_anywhere_in_metrics_is_dropped),
		CLAIM(one_flipped_bit_anywhere_in_an_acknowledgement_is_dropped),
		CLAIM(one_flipped_bit_anywhere_in_a_wish_is_dropped),
		CLAIM(a_changed_datagram_or_tag_is_forged),
		CLAIM(what_is_cut_short_is_dropped),
		CLAIM(a_header_that_does_not_go_together_is_malformed),
		CLAIM(a_server_that_is_no_peer_is_unknown),
		CLAIM(another_boot_of_the_sender_is_refused),
		CLAIM(what_was_meant_for_an_earlier_boot_of_ours_is_not_taken_again),
		CLAIM(a_repeated_frame_of_any_kind_is_refused),
		CLAIM(metrics_that_overtook_each_other_are_all_taken),
		CLAIM(an_alarm_ahead_of_its_turn_is_taken_when_it_comes_again),
		CLAIM(no_two_frames_carry_one_sequence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
