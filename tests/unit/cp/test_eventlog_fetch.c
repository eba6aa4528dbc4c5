#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/eventlog_bed.h"
#include "tests/lib/loopback.h"

#define PEERS  2 /* servers 2 and 3 */
#define EVENTS 30

static struct eventlog_bed b;

/* What a peer holds of server 1, a few a page. */
static struct peer {
	struct rpc_server *server;
	char address[LOOPBACK_ADDRESS_BYTES];
	uint64_t first, last; /* numbers */
	uint32_t n_asked, n_to_fail;
	bool is_endless; /* its pages do not go on */
} peers[PEERS];

static void reply(struct rpc_call *call, const struct peer *p, uint64_t after)
{
	struct wire_event events[7];
	char resume[32];
	struct wire_event_list list = {.events = events, .resume = resume};
	struct wire_bytes bytes;
	uint64_t number = after < p->first ? p->first : after + 1;

	for (; number <= p->last && list.n_events < 7; number++)
		events[list.n_events++] = (struct wire_event){.origin = 1,
							      .number = number,
							      .time_ns = number,
							      .kind = "raised",
							      .cell = "",
							      .operator_name = "",
							      .request_id = "",
							      .text = ""};
	list.is_more = number <= p->last || p->is_endless;
	snprintf(resume, sizeof(resume), "1:%u", (unsigned int)number - 1);
	assert_int_equal(wire_event_list_pack(&list, &bytes), 0);
	rpc_call_reply(call, bytes.bytes, bytes.n);
	wire_bytes_free(&bytes);
}

static void list_events(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct wire_event_query *q;
	struct eventlog_place *place;
	struct peer *p = user;

	p->n_asked++;
	if (p->n_to_fail > 0) {
		p->n_to_fail--;
		rpc_call_fail(call, RPC_UNAVAILABLE, "not yet");
		return;
	}
	assert_int_equal(wire_event_query_unpack(bytes, n, &q), 0);
	assert_true(q->is_local);
	assert_int_equal(q->origin, 1);
	assert_int_equal(eventlog_place_create(&place, 2, q->after), 0);
	reply(call, p, eventlog_place_mark(place, 1));
	eventlog_place_free(place);
	wire_free(q);
}

static void peer_start(uint16_t id)
{
	struct peer *p = &peers[id - 2];
	const struct rpc_method method = {
		.path = WIRE_PATH("Peered", "ListEvents"), .handler = list_events, .user = p};
	const char *address = p->address;

	loopback_address(p->address, id);
	assert_int_equal(rpc_server_create(&p->server, &b.loop, &address, 1, &method, 1), 0);
	fake_cluster_address(b.server.cluster, id, p->address);
}

static int set_up(void **state)
{
	eventlog_bed_open(&b, &(struct played_config){.id = 1, .n_servers = 3, .n_elements = 3});
	memset(peers, 0, sizeof(peers));
	assert_int_equal(rpc_client_create(&b.client, &b.loop), 0);
	peer_start(2);
	peer_start(3);
	peers[0].first = 1;
	peers[0].last = 20;
	peers[1].first = 11;
	peers[1].last = EVENTS;
	fake_archive_lose(b.archive); /* its numbers begin at 1000 */
	return 0;
}

static void stop(void)
{
	rpc_client_destroy(b.client);
	b.client = NULL;
	eventlog_bed_stop(&b);
}

static int tear_down(void **state)
{
	for (int i = 0; i < PEERS; i++)
		rpc_server_destroy(peers[i].server);
	stop();
	eventlog_bed_close(&b);
	return 0;
}

static bool see(void *user, const struct wire_event *e)
{
	uint32_t *n = user;

	++*n;
	return true;
}

static uint32_t n_stored(void)
{
	uint32_t n = 0;

	assert_int_equal(archive_events(b.archive, 1, 0, 1000, false, see, &n), 0);
	return n;
}

static bool is_fetching(void)
{
	uint8_t is_wanted = 2;
	size_t n = sizeof(is_wanted);

	return !archive_mark(b.archive, "fetch", &is_wanted, &n) || is_wanted != 0;
}

static void step(void)
{
	uv_run(&b.loop, UV_RUN_ONCE);
	fake_archive_turn(b.archive);
}

static void new_archive_gets_back_what_the_peers_hold(void **state)
{
	eventlog_bed_start(&b, true);
	while (is_fetching())
		step();
	assert_int_equal(n_stored(), EVENTS);
	/* They happened long ago: nobody is told again. */
	assert_int_equal(b.n_seen, 0);
	/* Once: the peers are left alone then, in the next process too. */
	peers[0].n_asked = peers[1].n_asked = 0;
	eventlog_bed_stop(&b);
	eventlog_bed_start(&b, false);
	for (int i = 0; i < 20; i++)
		step();
	assert_int_equal(peers[0].n_asked + peers[1].n_asked, 0);
}

static void archive_that_is_not_new_asks_for_nothing(void **state)
{
	eventlog_bed_start(&b, false);
	for (int i = 0; i < 20; i++)
		step();
	assert_int_equal(peers[0].n_asked + peers[1].n_asked, 0);
}

static void peer_that_does_not_answer_is_asked_again(void **state)
{
	peers[0].n_to_fail = 1;
	eventlog_bed_start(&b, true);
	while (is_fetching())
		step();
	assert_int_equal(n_stored(), EVENTS);
}

static void archive_that_takes_no_more_gets_them_later(void **state)
{
	eventlog_bed_start(&b, true);
	fake_archive_turn(b.archive);
	fake_archive_refuse(b.archive, 0, 2);
	while (is_fetching())
		step();
	assert_int_equal(n_stored(), EVENTS);
}

static void process_that_is_killed_meanwhile_goes_on(void **state)
{
	eventlog_bed_start(&b, true);
	while (n_stored() < 14)
		step();
	fake_archive_kill(b.archive);
	stop();
	assert_int_equal(rpc_client_create(&b.client, &b.loop), 0);
	eventlog_bed_start(&b, false);
	while (is_fetching())
		step();
	assert_int_equal(n_stored(), EVENTS);
	assert_int_equal(b.n_seen, 0);
}

/* It says that there is more, and always the same. */
static void peer_whose_pages_do_not_go_on_does_not_keep_this_server_busy(void **state)
{
	peers[0].is_endless = true;
	eventlog_bed_start(&b, true);
	while (peers[1].n_asked < 3)
		step();
	for (int i = 0; i < 20; i++)
		step();
	assert_int_equal(n_stored(), EVENTS);
	assert_true(is_fetching());
	assert_true(peers[0].n_asked < 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(new_archive_gets_back_what_the_peers_hold),
		TEST(archive_that_is_not_new_asks_for_nothing),
		TEST(peer_that_does_not_answer_is_asked_again),
		TEST(archive_that_takes_no_more_gets_them_later),
		TEST(process_that_is_killed_meanwhile_goes_on),
		TEST(peer_whose_pages_do_not_go_on_does_not_keep_this_server_busy),
	};

	return cmocka_run_group_tests_name("eventlog_fetch", tests, NULL, NULL);
}
