#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#include "cp/beat/beat.h"
#include "cp/beat/datagram.h"
#include "cp/core/core.h"

#define WAIT_MS	  20000 /* a bound, not an expectation */
#define SELDOM_MS 60000 /* so that only what a test asks for is sent */

static uint8_t secret[SEAL_KEY_BYTES];
static uv_loop_t loop;
static uint16_t port;

struct server {
	struct beat *beat;
	struct beat_heard heard;
	struct election_message message;
	uint32_t n_heard, n_messages;
};
static struct server one, two;

/* ---- The format ---- */

static struct datagram a_beat(void)
{
	return (struct datagram){
		.kind = DATAGRAM_BEAT,
		.from = 2,
		.to = 1,
		.boot = 5,
		.to_boot = 7,
		.sequence = UINT64_C(0x0102030405060708),
		.beat = {.epoch = 9,
			 .master = 2,
			 .role = ELECTION_MASTER,
			 .is_healthy = true,
			 .is_committed = true,
			 .position = {8, UINT64_C(0xfffffffffffffff0)},
			 .relay_boot = 77,
			 .ack_to = 3,
			 .ack_boot = 4,
			 .ack_sequence = 6},
	};
}

static struct datagram an_election(void)
{
	return (struct datagram){
		.kind = DATAGRAM_ELECTION,
		.from = 2,
		.to = 1,
		.boot = 5,
		.to_boot = 7,
		.sequence = 3,
		.election = {.kind = ELECTION_MSG_ANSWER,
			     .verdict = ELECTION_STAND_DOWN,
			     .from = 2,
			     .to = 1,
			     .from_boot = 5,
			     .epoch = 11,
			     .position = {10, 12},
			     .released_by = 3,
			     .round = 13},
	};
}

static void key_of(uint8_t key[SEAL_KEY_BYTES], const struct datagram *d)
{
	seal_derive(key, secret, SEAL_BEAT, d->from, d->to, d->boot);
}

static size_t sealed(uint8_t bytes[DATAGRAM_BYTES_MAX], const struct datagram *d)
{
	uint8_t key[SEAL_KEY_BYTES];

	key_of(key, d);
	return datagram_seal(bytes, d, key);
}

static bool is_taken(const uint8_t *bytes, size_t n, struct datagram *d)
{
	uint8_t key[SEAL_KEY_BYTES];

	if (datagram_decode(d, bytes, n) != BEAT_ACCEPTED)
		return false;
	key_of(key, d);
	return datagram_is_sealed(d, bytes, n, key);
}

static void what_was_sealed_is_read_back_whole(void **state)
{
	struct datagram in[2] = {a_beat(), an_election()}, out;
	uint8_t bytes[DATAGRAM_BYTES_MAX];
	size_t n;

	(void)state;
	n = sealed(bytes, &in[0]);
	assert_int_equal(n, DATAGRAM_BEAT_BYTES);
	assert_true(is_taken(bytes, n, &out));
	assert_int_equal(out.from, 2);
	assert_int_equal(out.to, 1);
	assert_int_equal(out.boot, 5);
	assert_int_equal(out.to_boot, 7);
	assert_int_equal(out.sequence, UINT64_C(0x0102030405060708));
	assert_int_equal(out.beat.epoch, 9);
	assert_int_equal(out.beat.master, 2);
	assert_int_equal(out.beat.role, ELECTION_MASTER);
	assert_true(out.beat.is_healthy && !out.beat.is_dp_alive && out.beat.is_committed);
	assert_int_equal(out.beat.position.epoch, 8);
	assert_int_equal(out.beat.position.version, UINT64_C(0xfffffffffffffff0));
	assert_int_equal(out.beat.relay_boot, 77);
	assert_int_equal(out.beat.ack_to, 3);
	assert_int_equal(out.beat.ack_boot, 4);
	assert_int_equal(out.beat.ack_sequence, 6);

	n = sealed(bytes, &in[1]);
	assert_int_equal(n, DATAGRAM_ELECTION_BYTES);
	assert_true(is_taken(bytes, n, &out));
	assert_int_equal(out.election.kind, ELECTION_MSG_ANSWER);
	assert_int_equal(out.election.verdict, ELECTION_STAND_DOWN);
	assert_int_equal(out.election.from, 2);
	assert_int_equal(out.election.to, 1);
	assert_int_equal(out.election.from_boot, 5);
	assert_int_equal(out.election.epoch, 11);
	assert_int_equal(out.election.position.epoch, 10);
	assert_int_equal(out.election.position.version, 12);
	assert_int_equal(out.election.released_by, 3);
	assert_int_equal(out.election.round, 13);
}

static void octets_are_where_the_header_says(void **state)
{
	struct datagram d = a_beat();
	uint8_t bytes[DATAGRAM_BYTES_MAX];

	(void)state;
	sealed(bytes, &d);
	assert_memory_equal(bytes, "BWBT\x01\x01\x00\x02\x00\x01", 10);
	assert_memory_equal(bytes + 18, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
	assert_memory_equal(bytes + DATAGRAM_HEAD_BYTES + 28, "\0\0\0\x4d\0\x03\0\0\0\x04", 10);
}

static void every_truncation_and_every_flipped_bit_is_refused(void **state)
{
	struct datagram in[2] = {a_beat(), an_election()}, out;
	uint8_t bytes[DATAGRAM_BYTES_MAX + 1] = {0};

	(void)state;
	for (int kind = 0; kind < 2; kind++) {
		size_t n = sealed(bytes, &in[kind]);

		for (size_t cut = 0; cut < n; cut++)
			assert_int_not_equal(datagram_decode(&out, bytes, cut), BEAT_ACCEPTED);
		assert_int_not_equal(datagram_decode(&out, bytes, n + 1), BEAT_ACCEPTED);
		for (size_t bit = 0; bit < n * 8; bit++) {
			bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_false(is_taken(bytes, n, &out));
			bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		assert_true(is_taken(bytes, n, &out));
	}
}

static void fields_out_of_range_are_refused_though_sealed(void **state)
{
	struct datagram d, out;
	uint8_t bytes[DATAGRAM_BYTES_MAX];

	(void)state;
	d = a_beat();
	d.beat.role = ELECTION_MASTER + 1;
	assert_int_equal(datagram_decode(&out, bytes, sealed(bytes, &d)), BEAT_REFUSED_VALUE);
	d = a_beat();
	d.boot = 0;
	assert_int_equal(datagram_decode(&out, bytes, sealed(bytes, &d)), BEAT_REFUSED_VALUE);
	d = an_election();
	d.election.kind = 0;
	assert_int_equal(datagram_decode(&out, bytes, sealed(bytes, &d)), BEAT_REFUSED_VALUE);
	d.election.kind = ELECTION_MSG_TRANSFER + 1;
	assert_int_equal(datagram_decode(&out, bytes, sealed(bytes, &d)), BEAT_REFUSED_VALUE);
	d = an_election();
	d.election.verdict = ELECTION_STAND_DOWN + 1;
	assert_int_equal(datagram_decode(&out, bytes, sealed(bytes, &d)), BEAT_REFUSED_VALUE);
	d = a_beat();
	sealed(bytes, &d);
	bytes[DATAGRAM_HEAD_BYTES + 11] |= 0x80; /* a flag that nobody knows */
	assert_int_equal(datagram_decode(&out, bytes, DATAGRAM_BEAT_BYTES), BEAT_REFUSED_VALUE);
}

/* ---- Two servers over loopback ---- */

static void on_beat(void *user, const struct beat_heard *heard)
{
	struct server *s = user;

	s->heard = *heard;
	s->n_heard++;
}

static void on_message(void *user, const struct election_message *m)
{
	struct server *s = user;

	s->message = *m;
	s->n_messages++;
}

static void start(struct server *s, uint16_t self, uint32_t boot, uint32_t beat_ms)
{
	const char *address = self == 1 ? "127.0.0.1" : "127.0.0.2";
	struct beat_peer peer = {self == 1 ? 2 : 1, self == 1 ? "127.0.0.2" : "127.0.0.1"};
	struct beat_config cfg = {
		.loop = &loop,
		.self = self,
		.boot = boot,
		.beat_ms = beat_ms,
		.address = address,
		.port = port,
		.secret = secret,
		.peers = &peer,
		.n_peers = 1,
		.on_beat = on_beat,
		.on_message = on_message,
		.user = s,
	};

	memset(s, 0, sizeof(*s));
	assert_int_equal(beat_create(&s->beat, &cfg), 0);
}

static int set_up(void **state)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(any);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	(void)state;
	memset(secret, 0x5a, sizeof(secret));
	assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&any, &n), 0);
	close(fd);
	port = ntohs(any.sin_port);
	assert_int_equal(uv_loop_init(&loop), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	beat_destroy(one.beat);
	beat_destroy(two.beat);
	one.beat = two.beat = NULL;
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	return 0;
}

/* Turns the loop until the condition holds. */
#define UNTIL(condition)                                                                           \
	for (uint64_t end_ms = core_now_ms() + WAIT_MS; !(condition);) {                           \
		assert_true(core_now_ms() < end_ms);                                               \
		uv_run(&loop, UV_RUN_NOWAIT);                                                      \
		usleep(500);                                                                       \
	}

static struct beat_stats stats_of(const struct server *s)
{
	struct beat_stats stats;

	beat_stats(s->beat, &stats);
	return stats;
}

static void servers_hear_each_other_and_acknowledge(void **state)
{
	struct beat_state says = {.epoch = 4, .master = 1, .is_healthy = true, .relay_boot = 3};
	uint64_t begin_ms = core_now_ms();

	(void)state;
	start(&one, 1, 10, 10);
	start(&two, 2, 20, 10);
	beat_post(one.beat, &says);
	says.is_healthy = false;
	beat_post(two.beat, &says);
	UNTIL(one.n_heard > 0 && two.n_heard > 0);
	assert_int_equal(two.heard.from, 1);
	assert_int_equal(two.heard.boot, 10);
	assert_int_equal(two.heard.state.epoch, 4);
	assert_int_equal(two.heard.state.relay_boot, 3);
	assert_true(two.heard.state.is_healthy);
	assert_false(one.heard.state.is_healthy);
	assert_int_equal(one.heard.acked_sent_ms, 0);

	says.ack_to = 1;
	says.ack_boot = two.heard.boot;
	says.ack_sequence = two.heard.sequence;
	beat_post(two.beat, &says);
	UNTIL(one.heard.acked_sent_ms != 0);
	assert_true(begin_ms <= one.heard.acked_sent_ms);
	assert_true(one.heard.acked_sent_ms <= core_now_ms());

	/* The same number in another boot of ours says nothing about this one. */
	says.ack_boot = 9;
	beat_post(two.beat, &says);
	UNTIL(one.heard.acked_sent_ms == 0);
}

static void election_messages_arrive_as_they_were_sent(void **state)
{
	struct beat_state says = {.epoch = 4};
	struct election_message m = {.kind = ELECTION_MSG_CLAIM,
				     .from = 1,
				     .to = 2,
				     .from_boot = 10,
				     .epoch = 5,
				     .released_by = 3,
				     .position = {4, 6}};

	(void)state;
	start(&one, 1, 10, 10);
	start(&two, 2, 20, 10);
	beat_post(one.beat, &says);
	beat_post(two.beat, &says);
	UNTIL(one.n_heard > 0 && two.n_heard > 0);
	assert_int_equal(beat_send(one.beat, &m), 0);
	UNTIL(two.n_messages == 1);
	assert_int_equal(two.message.kind, m.kind);
	assert_int_equal(two.message.from, 1);
	assert_int_equal(two.message.to, 2);
	assert_int_equal(two.message.from_boot, 10);
	assert_int_equal(two.message.epoch, 5);
	assert_int_equal(two.message.released_by, 3);
	assert_int_equal(two.message.position.version, 6);
	m.to = 9;
	assert_int_equal(beat_send(one.beat, &m), -ENOENT);
}

static void nothing_is_sent_before_the_first_post(void **state)
{
	struct beat_state says = {.epoch = 4};

	(void)state;
	start(&one, 1, 10, SELDOM_MS);
	beat_now(one.beat);
	beat_now(one.beat);
	assert_int_equal(stats_of(&one).n_sent, 0);
	beat_post(one.beat, &says);
	UNTIL(stats_of(&one).n_sent + stats_of(&one).n_send_failed == 1);
}

static void a_beat_on_demand_does_not_wait_for_its_turn(void **state)
{
	struct beat_state says = {.epoch = 4};

	(void)state;
	start(&one, 1, 10, SELDOM_MS);
	start(&two, 2, 20, SELDOM_MS);
	beat_post(one.beat, &says);
	beat_post(two.beat, &says);
	/* Each new life is answered at once, so they know each other without a turn. */
	UNTIL(one.n_heard > 0 || two.n_heard > 0);
	says.epoch = 5;
	beat_post(one.beat, &says);
	beat_now(one.beat);
	UNTIL(two.heard.state.epoch == 5);
}

static void a_stuck_control_thread_stops_the_beats(void **state)
{
	struct beat_state says = {.epoch = 4};
	uint64_t n_sent;

	(void)state;
	start(&one, 1, 10, 10);
	beat_post(one.beat, &says);
	UNTIL(stats_of(&one).n_silent > 0);
	n_sent = stats_of(&one).n_sent;
	UNTIL(stats_of(&one).n_silent > 5);
	assert_int_equal(stats_of(&one).n_sent, n_sent);
	beat_post(one.beat, &says);
	UNTIL(stats_of(&one).n_sent > n_sent);
}

/* ---- Somebody who speaks for server 2, well and badly ---- */

static int other_fd;

static void other_sends(const struct datagram *d, bool is_forged)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	uint8_t bytes[DATAGRAM_BYTES_MAX];
	size_t n = sealed(bytes, d);

	bytes[n - 1] ^= is_forged;
	assert_int_equal(sendto(other_fd, bytes, n, 0, (struct sockaddr *)&to, sizeof(to)), n);
}

/* Sends and returns how it was counted. */
static enum beat_refusal verdict(const struct datagram *d, bool is_forged)
{
	struct beat_stats before = stats_of(&one), after;

	other_sends(d, is_forged);
	UNTIL(stats_of(&one).n_received > before.n_received);
	after = stats_of(&one);
	for (int i = 0; i < BEAT_REFUSALS_N; i++)
		if (after.refused[i] != before.refused[i])
			return (enum beat_refusal)i;
	return BEAT_REFUSALS_N;
}

static int set_up_other(void **state)
{
	set_up(state);
	start(&one, 1, 10, SELDOM_MS);
	other_fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_true(other_fd >= 0);
	return 0;
}

static int tear_down_other(void **state)
{
	close(other_fd);
	return tear_down(state);
}

static struct datagram beat_of(uint32_t boot, uint32_t to_boot, uint64_t sequence)
{
	struct datagram d = a_beat();

	d.boot = boot;
	d.to_boot = to_boot;
	d.sequence = sequence;
	return d;
}

static void a_repeated_datagram_is_refused(void **state)
{
	struct datagram d = beat_of(5, 10, 2);

	(void)state;
	assert_int_equal(verdict(&d, false), BEAT_ACCEPTED);
	assert_int_equal(verdict(&d, false), BEAT_REFUSED_REPEATED);
	d.sequence = 1; /* late, but not seen */
	assert_int_equal(verdict(&d, false), BEAT_ACCEPTED);
	UNTIL(one.n_heard == 2);
}

static void what_was_meant_for_an_earlier_life_is_refused(void **state)
{
	struct datagram d = beat_of(5, 9, 1);

	(void)state;
	assert_int_equal(verdict(&d, false), BEAT_REFUSED_OTHER_LIFE);
	d = beat_of(5, 0, 2); /* an introduction */
	assert_int_equal(verdict(&d, false), BEAT_REFUSED_OTHER_LIFE);
	d = an_election();
	d.to_boot = 9;
	assert_int_equal(verdict(&d, false), BEAT_REFUSED_OTHER_LIFE);
	beat_deliver(one.beat);
	assert_int_equal(one.n_heard + one.n_messages, 0);
}

static void an_earlier_boot_of_the_sender_is_refused(void **state)
{
	struct datagram d = beat_of(5, 10, 1);

	(void)state;
	assert_int_equal(verdict(&d, false), BEAT_ACCEPTED);
	d = beat_of(4, 10, 1);
	assert_int_equal(verdict(&d, false), BEAT_REFUSED_OLD_BOOT);
	d = beat_of(6, 10, 1);
	assert_int_equal(verdict(&d, false), BEAT_ACCEPTED);
	d = beat_of(5, 10, 2);
	assert_int_equal(verdict(&d, false), BEAT_REFUSED_OLD_BOOT);
}

static void a_higher_boot_counts_only_when_its_key_proves_it(void **state)
{
	struct datagram d = beat_of(5, 10, 1);

	(void)state;
	assert_int_equal(verdict(&d, false), BEAT_ACCEPTED);
	d = beat_of(9, 10, 1);
	assert_int_equal(verdict(&d, true), BEAT_REFUSED_FORGED);
	d = beat_of(5, 10, 2);
	assert_int_equal(verdict(&d, false), BEAT_ACCEPTED);
	assert_int_equal(verdict(&d, true), BEAT_REFUSED_FORGED);
}

static void strangers_and_strays_are_refused_by_name(void **state)
{
	struct datagram d = beat_of(5, 10, 1);
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	uint8_t noise[200] = {0};

	(void)state;
	d.from = 3;
	assert_int_equal(verdict(&d, false), BEAT_REFUSED_UNKNOWN);
	d = beat_of(5, 10, 1);
	d.to = 2;
	assert_int_equal(verdict(&d, false), BEAT_REFUSED_ADDRESSEE);
	for (size_t n = 0; n <= sizeof(noise); n += 50)
		sendto(other_fd, noise, n, 0, (struct sockaddr *)&to, sizeof(to));
	UNTIL(stats_of(&one).n_received == 7);
	assert_int_equal(stats_of(&one).refused[BEAT_REFUSED_SHORT], 1);
	assert_int_equal(stats_of(&one).refused[BEAT_REFUSED_FORMAT], 4);
	assert_string_equal(beat_refusal_name(BEAT_REFUSED_FORMAT), "format");
}

static void what_control_does_not_take_is_bounded_and_counted(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= BEAT_WAITING_MAX + 50; i++) {
		struct datagram d = beat_of(5, 10, i);

		other_sends(&d, false);
		for (uint64_t end_ms = core_now_ms() + WAIT_MS; stats_of(&one).n_received < i;)
			assert_true(core_now_ms() < end_ms);
	}
	assert_int_equal(stats_of(&one).refused[BEAT_REFUSED_FULL], 50);
	beat_deliver(one.beat);
	assert_int_equal(one.n_heard, BEAT_WAITING_MAX);
}

static void wrong_addresses_are_refused(void **state)
{
	struct beat_peer peer = {2, "::1"};
	struct beat_config cfg = {.loop = &loop,
				  .self = 1,
				  .boot = 1,
				  .beat_ms = 50,
				  .address = "127.0.0.1",
				  .port = port,
				  .secret = secret,
				  .peers = &peer,
				  .n_peers = 1};
	struct beat *b = NULL;

	(void)state;
	assert_int_equal(beat_create(&b, &cfg), -EAFNOSUPPORT);
	peer.address = "localhost";
	assert_int_equal(beat_create(&b, &cfg), -EINVAL);
	peer.address = "127.0.0.2";
	cfg.address = "192.0.2.1"; /* RFC 5737: nobody has it */
	assert_int_equal(beat_create(&b, &cfg), -EADDRNOTAVAIL);
	start(&one, 1, 1, 50);
	cfg.address = "127.0.0.1";
	assert_int_equal(beat_create(&b, &cfg), -EADDRINUSE);
	assert_null(b);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define O(name) cmocka_unit_test_setup_teardown(name, set_up_other, tear_down_other)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_sealed_is_read_back_whole),
		cmocka_unit_test(octets_are_where_the_header_says),
		cmocka_unit_test(every_truncation_and_every_flipped_bit_is_refused),
		cmocka_unit_test(fields_out_of_range_are_refused_though_sealed),
		T(servers_hear_each_other_and_acknowledge),
		T(election_messages_arrive_as_they_were_sent),
		T(nothing_is_sent_before_the_first_post),
		T(a_beat_on_demand_does_not_wait_for_its_turn),
		T(a_stuck_control_thread_stops_the_beats),
		O(a_repeated_datagram_is_refused),
		O(what_was_meant_for_an_earlier_life_is_refused),
		O(an_earlier_boot_of_the_sender_is_refused),
		O(a_higher_boot_counts_only_when_its_key_proves_it),
		O(strangers_and_strays_are_refused_by_name),
		O(what_control_does_not_take_is_bounded_and_counted),
		T(wrong_addresses_are_refused),
	};

	if (seal_start() != 0)
		return 1;
	return cmocka_run_group_tests_name("beat", tests, NULL, NULL);
}
