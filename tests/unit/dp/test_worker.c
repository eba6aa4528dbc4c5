/* The worker's loop between ports that are played here and a real segment: what it follows, counts
 * and publishes, and when it sleeps. What it makes of frames is for tests/replay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <rte_mbuf.h>

#include "dp/pkt/pkt.h"
#include "dp/worker/worker.h"

#define SELF	      1
#define PEER	      2
#define OURS	      0 /* cells */
#define THEIRS	      1
#define FRAMES_MAX    8
#define FRAME_BYTES   256
#define REFERENCES    1000 /* so many that no frame ever goes back to a pool */
#define LEASE_FOREVER UINT64_MAX

/* ---- The ports ---- */

struct port {
	bool is_relay, is_stuck;
	uint8_t sending[FRAME_BYTES];
	uint32_t n_sent;
};

static struct port port;
static struct rte_mbuf mbufs[FRAMES_MAX];
static uint8_t octets[FRAMES_MAX][FRAME_BYTES];
static uint16_t n_frames; /* that come with the turn that is being played */

static uint32_t turn, n_turns;
static void (*play)(uint32_t turn);
static struct worker *worker;
static struct fedmem *fm;

static void expect_balance(void)
{
	struct stats_equation equations[STATS_EQUATIONS];
	struct stats s;

	if (fedmem_stats_read(fm, &s) == 0)
		assert_int_equal(stats_check(&s, equations), 0);
}

/* A turn of the worker begins for the test when it asks for frames: what 'play' changes in the
 * segment is seen with the turn after this one. */
uint16_t port_rx(struct port *p, struct rte_mbuf **frames)
{
	expect_balance();
	if (turn == n_turns) {
		worker_stop(worker);
		return 0;
	}
	n_frames = 0;
	if (play != NULL)
		play(turn);
	turn++;
	for (uint16_t i = 0; i < n_frames; i++)
		frames[i] = &mbufs[i];
	return n_frames;
}

uint8_t *port_tx_begin(struct port *p, uint16_t frame_bytes)
{
	return frame_bytes <= FRAME_BYTES ? p->sending : NULL;
}

bool port_tx_queue(struct port *p)
{
	p->n_sent++;
	return true;
}

bool port_tx_flush(struct port *p)
{
	return !p->is_stuck;
}

bool port_is_relay(const struct port *p)
{
	return p->is_relay;
}

void port_ether_address(const struct port *p, uint8_t address[6])
{
	memset(address, 2, 6);
}

uint16_t port_frame_max(const struct port *p)
{
	return FRAME_BYTES;
}

/* ---- The other doors ---- */

static uint32_t n_sleeps;
static long longest_ns, first_ns;

int nanosleep(const struct timespec *duration, struct timespec *rest)
{
	if (n_sleeps++ == 0)
		first_ns = duration->tv_nsec;
	if (duration->tv_nsec > longest_ns)
		longest_ns = duration->tv_nsec;
	return 0;
}

static bool is_table_busy, is_element_busy;

int __real_fedmem_rules_get(const struct fedmem *f, struct fedmem_rule *out, uint32_t room,
			    uint32_t *n, uint32_t *version);
int __wrap_fedmem_rules_get(const struct fedmem *f, struct fedmem_rule *out, uint32_t room,
			    uint32_t *n, uint32_t *version);
int __real_fedmem_cells_get(const struct fedmem *f, struct fedmem_cell *out, uint32_t room,
			    uint32_t *n, uint32_t *version);
int __wrap_fedmem_cells_get(const struct fedmem *f, struct fedmem_cell *out, uint32_t room,
			    uint32_t *n, uint32_t *version);
int __real_fedmem_find_by_address(const struct fedmem *f, const struct fedmem_address *a,
				  uint32_t *slot);
int __wrap_fedmem_find_by_address(const struct fedmem *f, const struct fedmem_address *a,
				  uint32_t *slot);

/* A copy that was torn each time leaves anything in 'out'. */
int __wrap_fedmem_rules_get(const struct fedmem *f, struct fedmem_rule *out, uint32_t room,
			    uint32_t *n, uint32_t *version)
{
	if (!is_table_busy)
		return __real_fedmem_rules_get(f, out, room, n, version);
	memset(out, 0xa5, room * sizeof(*out));
	return FEDMEM_BUSY;
}

int __wrap_fedmem_cells_get(const struct fedmem *f, struct fedmem_cell *out, uint32_t room,
			    uint32_t *n, uint32_t *version)
{
	if (!is_table_busy)
		return __real_fedmem_cells_get(f, out, room, n, version);
	memset(out, 0xa5, room * sizeof(*out));
	return FEDMEM_BUSY;
}

int __wrap_fedmem_find_by_address(const struct fedmem *f, const struct fedmem_address *a,
				  uint32_t *slot)
{
	return is_element_busy ? FEDMEM_BUSY : __real_fedmem_find_by_address(f, a, slot);
}

/* ---- One server ---- */

static char *formats[] = {"native", "snmp"};
static char *communities[] = {"public"};
static struct conf_server self = {.id = SELF};
static struct conf conf;
static struct fedmem_writer *writer;
static char path[] = "/tmp/test_worker.XXXXXX";

static struct fedmem_address address_of(uint8_t host)
{
	return (struct fedmem_address){{[10] = 0xff, [11] = 0xff, [12] = 10, [15] = host}};
}

/* Elements have their id as last octet of their address. */
static void put_element(uint64_t id, uint32_t cell)
{
	const struct fedmem_element e = {
		.id = id, .address = address_of((uint8_t)id), .cell = cell};

	assert_int_equal(fedmem_element_put(fm, &e, NULL), 0);
}

static void put_cells(void)
{
	const struct fedmem_cell cells[] = {
		[OURS] = {.token = {1, 1}, .owner = SELF, .name = "ours"},
		[THEIRS] = {.token = {1, 1}, .owner = PEER, .name = "theirs"},
	};

	assert_int_equal(fedmem_cells_publish(fm, cells, 2), 0);
}

static void put_servers(void)
{
	const struct fedmem_server servers[] = {
		{.id = SELF, .is_self = 1},
		{.id = PEER,
		 .has_relay_mac = 1,
		 .relay_address = address_of(202),
		 .relay_boot_tx = 1,
		 .relay_boot_rx = 1},
	};

	assert_int_equal(fedmem_servers_publish(fm, servers, 2), 0);
}

static int set_up(void **state)
{
	struct fedmem_config cfg = {
		.path = path,
		.server_id = SELF,
		.sizes = {.elements_max = 16,
			  .metrics_per_element = 4,
			  .alarms_max = 16,
			  .cells_max = 4,
			  .rules_max = 4,
			  .unknowns_max = 4,
			  .events_max = 16},
	};
	char why[256];
	uint32_t n_repaired;
	int fd;

	strcpy(path, "/tmp/test_worker.XXXXXX");
	fd = mkstemp(path);
	if (fd < 0)
		return -1;
	close(fd);
	unlink(path);
	conf = (struct conf){.server = SELF, .self = &self};
	self.relay = address_of(201);
	conf.listen.relay_port = 7402;
	conf.listen.native_port = 7410;
	conf.listen.snmp_port = 162;
	conf.dataplane.idle = CONF_IDLE_ADAPTIVE;
	conf.dataplane.idle_max_us = 300;
	conf.dataplane.spool_max = 16;
	conf.dataplane.formats = formats;
	conf.dataplane.n_formats = 2;
	conf.dataplane.communities = communities;
	conf.dataplane.n_communities = 1;
	conf.memory.sizes = cfg.sizes;
	port = (struct port){.is_relay = true};
	play = NULL;
	n_sleeps = 0;
	longest_ns = first_ns = 0;
	is_table_busy = is_element_busy = false;
	if (fedmem_open(&fm, &cfg, why, sizeof(why)) != 0 ||
	    fedmem_writer_open(&writer, fm, &n_repaired) != 0)
		return -1;
	put_element(1, OURS);
	put_element(2, THEIRS);
	put_cells();
	put_servers();
	fedmem_lease_set(fm, LEASE_FOREVER);
	return 0;
}

static int tear_down(void **state)
{
	fedmem_writer_close(writer);
	fedmem_close(fm);
	unlink(path);
	return 0;
}

/* A whole process: the worker starts, runs for so many turns, ends. What it published last. */
static struct stats run(uint32_t turns, void (*player)(uint32_t turn),
			const struct worker_note *note)
{
	struct port *ports[] = {&port};
	char why[256];
	struct stats s;

	turn = 0;
	n_turns = turns;
	play = player;
	assert_int_equal(worker_create(&worker, &conf, fm, writer, 0, ports, 1, why, sizeof(why)),
			 0);
	if (note != NULL)
		worker_note(worker, note);
	assert_int_equal(worker_run(worker), 0);
	worker_destroy(worker);
	assert_int_equal(fedmem_stats_read(fm, &s), 0);
	expect_balance();
	return s;
}

/* ---- What comes in ---- */

static void add_frame(uint8_t source, uint16_t udp_port, const uint8_t *payload, uint16_t n_bytes)
{
	const struct pkt_headers headers = {
		.source = address_of(source),
		.destination = address_of(201),
		.udp_source = 50000,
		.udp_destination = udp_port,
	};
	uint8_t *frame = octets[n_frames];
	size_t n_headers = pkt_headers_bytes(&headers);

	memcpy(frame + n_headers, payload, n_bytes);
	assert_int_equal(pkt_write_headers(frame, FRAME_BYTES, &headers, n_bytes), n_headers);
	mbufs[n_frames] = (struct rte_mbuf){
		.buf_addr = frame,
		.refcnt = REFERENCES,
		.nb_segs = 1,
		.data_len = (uint16_t)(n_headers + n_bytes),
		.pkt_len = (uint32_t)(n_headers + n_bytes),
	};
	n_frames++;
}

/* The native report of one alarm of type "t", or of metric 7 with value 0, about the sender. */
static void add_alarm(uint8_t source)
{
	static const uint8_t report[] = {0x0a, 7, 0x2a, 5, 0x0a, 1, 't', 0x20, 4};

	add_frame(source, 7410, report, sizeof(report));
}

static void add_metric(uint8_t source)
{
	static const uint8_t report[] = {0x0a, 7, 0x22, 5, 0x0d, 7, 0, 0, 0};

	add_frame(source, 7410, report, sizeof(report));
}

#define LINK_DOWN 0x2b, 6, 1, 6, 3, 1, 1, 5, 3 /* 1.3.6.1.6.3.1.1.5.3 */

static void add_trap(uint8_t source)
{
	/* clang-format off */
	static const uint8_t trap[] = {
		0x30, 64, 0x02, 1, 1, 0x04, 6, 'p', 'u', 'b', 'l', 'i', 'c',
		0xa7, 51, 0x02, 1, 1, 0x02, 1, 0, 0x02, 1, 0, 0x30, 40,
		0x30, 13, 0x06, 8, 0x2b, 6, 1, 2, 1, 1, 3, 0, 0x43, 1, 1,
		0x30, 23, 0x06, 10, 0x2b, 6, 1, 6, 3, 1, 1, 4, 1, 0, 0x06, 9, LINK_DOWN,
	};
	/* clang-format on */

	add_frame(source, 162, trap, sizeof(trap));
}

/* ---- Frames ---- */

static void play_three_frames(uint32_t t)
{
	add_metric(1);
	add_metric(1);
	mbufs[1].nb_segs = 2;
	add_metric(9);
}

static void each_frame_is_counted_once_and_freed_once(void **state)
{
	struct stats s = run(1, play_three_frames, NULL);

	assert_int_equal(s.n[STATS_FRAMES], 3);
	assert_int_equal(s.n[STATS_DGRAM_APPLIED], 1);
	assert_int_equal(s.n[STATS_DROP_TRUNCATED], 1);
	assert_int_equal(s.n[STATS_DROP_UNKNOWN_SOURCE], 1);
	assert_int_equal(fedmem_unknowns_read(fm, (struct fedmem_unknown[4]){{{{0}}}}, 4), 1);
	assert_int_equal(mbufs[0].refcnt, REFERENCES - 1);
	assert_int_equal(mbufs[2].refcnt, REFERENCES - 1);
}

static void play_metric_of_busy_element(uint32_t t)
{
	is_element_busy = true;
	add_metric(1);
}

static void element_being_renumbered_is_not_listed_as_unknown(void **state)
{
	struct stats s = run(1, play_metric_of_busy_element, NULL);

	assert_int_equal(s.n[STATS_DROP_UNKNOWN_SOURCE], 1);
	assert_int_equal(fedmem_unknowns_read(fm, (struct fedmem_unknown[4]){{{{0}}}}, 4), 0);
}

/* ---- What control changes ---- */

static void play_lease_that_ends_and_returns(uint32_t t)
{
	if (t == 0)
		fedmem_lease_set(fm, 0);
	if (t == 1)
		add_alarm(1);
	if (t == 2)
		fedmem_lease_set(fm, LEASE_FOREVER);
}

static void alarms_of_a_time_without_lease_are_applied_when_it_returns(void **state)
{
	struct stats s = run(2, play_lease_that_ends_and_returns, NULL);

	assert_int_equal(s.n[STATS_DGRAM_RELAYED], 1);
	assert_int_equal(s.n[STATS_DGRAM_APPLIED], 0);
	assert_int_equal(s.n[STATS_RELAY_WAITING], 1);
	/* The spool ends with its process: so this time in one. */
	s = run(3, play_lease_that_ends_and_returns, NULL);
	assert_int_equal(s.n[STATS_RELAY_LOST], 1);
	assert_int_equal(s.n[STATS_DGRAMS_TAKEN_BACK], 1);
	assert_int_equal(s.n[STATS_RELAY_TAKEN_BACK], 1);
	assert_int_equal(s.n[STATS_DGRAM_APPLIED], 1);
	assert_int_equal(s.n[STATS_RELAY_WAITING], 0);
	assert_int_equal(s.n[STATS_ALARM_RAISED], 1);
}

static void play_element_that_moves_to_us(uint32_t t)
{
	if (t == 0)
		add_alarm(2);
	if (t == 1)
		put_element(2, OURS);
}

static void alarm_of_an_element_that_came_to_us_is_applied_here(void **state)
{
	struct stats s = run(3, play_element_that_moves_to_us, NULL);

	assert_int_equal(s.n[STATS_DGRAM_RELAYED], 1);
	assert_int_equal(s.n[STATS_DGRAMS_TAKEN_BACK], 1);
	assert_int_equal(s.n[STATS_DGRAM_APPLIED], 1);
}

static void play_metrics_to_a_peer(uint32_t t)
{
	add_metric(2);
	if (t == 0)
		fedmem_relay_boot_given(fm, fedmem_relay_boot_wanted(fm));
}

static void nothing_is_sent_to_a_peer_under_the_boot_of_an_earlier_start(void **state)
{
	struct stats s = run(2, play_metrics_to_a_peer, NULL);

	assert_int_equal(s.n[STATS_RELAY_NO_NEIGHBOUR], 1);
	assert_int_equal(s.n[STATS_RELAY_SENT], 1);
	assert_int_equal(port.n_sent, 1);
}

static void play_tables_that_cannot_be_read(uint32_t t)
{
	if (t == 0) {
		is_table_busy = true;
		put_cells();
		assert_int_equal(fedmem_rules_publish(fm, NULL, 0), 0);
		/* Has the worker route its alarms anew, by the cells that it has. */
		put_element(3, OURS);
	}
	if (t == 1) {
		add_trap(1);
		add_alarm(2);
	}
	if (t == 2) {
		assert_int_equal(port.n_sent, 1); /* to the owner that was known */
		is_table_busy = false;
		add_metric(1);
	}
	if (t == 3)
		add_trap(1);
}

static void table_that_cannot_be_read_leaves_the_old_one_in_use(void **state)
{
	const struct fedmem_rule rule = {
		.oid = {LINK_DOWN}, .oid_bytes = 9, .severity = FEDMEM_MAJOR, .type = "link-down"};
	struct stats s;

	assert_int_equal(fedmem_rules_publish(fm, &rule, 1), 0);
	fedmem_relay_boot_given(fm, fedmem_relay_boot_wanted(fm));
	s = run(4, play_tables_that_cannot_be_read, NULL);
	assert_int_equal(s.n[STATS_DGRAM_APPLIED], 2);
	assert_int_equal(s.n[STATS_ALARM_RAISED], 1);
	assert_int_equal(s.n[STATS_DGRAM_RELAYED], 1);
	assert_int_equal(s.n[STATS_REFUSED_NO_RULE], 1); /* the new table has none */
}

/* ---- What control counts ---- */

static void counters_of_control_go_on_over_a_restart(void **state)
{
	const struct worker_note first = {.steer_frames = 10, .steer_taken = 7, .steer_passed = 3};
	const struct worker_note second = {
		.steer_frames = 5, .steer_malformed = 5, .port_missed = 2};
	struct stats s;

	run(1, NULL, &first);
	s = run(1, NULL, &second);
	assert_int_equal(s.n[STATS_STEER_FRAMES], 15);
	assert_int_equal(s.n[STATS_STEER_TAKEN], 7);
	assert_int_equal(s.n[STATS_STEER_PASSED], 3);
	assert_int_equal(s.n[STATS_STEER_MALFORMED], 5);
	assert_int_equal(s.n[STATS_PORT_MISSED], 2);
}

/* ---- Sleep ---- */

static void adaptive_idle_sleeps_no_longer_than_configured(void **state)
{
	run(200, NULL, NULL);
	assert_in_range(n_sleeps, 1, 199); /* it spins at first */
	assert_in_range(first_ns, 1, 100000);
	assert_int_equal(longest_ns, 300000);
}

static void play_a_frame_now_and_then(uint32_t t)
{
	if (t % 50 == 0)
		add_metric(1);
}

static void idle_begins_anew_after_each_frame(void **state)
{
	run(500, play_a_frame_now_and_then, NULL);
	assert_int_equal(n_sleeps, 0);
}

static void busy_idle_never_sleeps(void **state)
{
	conf.dataplane.idle = CONF_IDLE_BUSY;
	run(500, NULL, NULL);
	assert_int_equal(n_sleeps, 0);
}

static void frames_that_wait_to_be_sent_keep_the_worker_awake(void **state)
{
	port.is_stuck = true;
	run(500, NULL, NULL);
	assert_int_equal(n_sleeps, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(each_frame_is_counted_once_and_freed_once),
		TEST(element_being_renumbered_is_not_listed_as_unknown),
		TEST(alarms_of_a_time_without_lease_are_applied_when_it_returns),
		TEST(alarm_of_an_element_that_came_to_us_is_applied_here),
		TEST(nothing_is_sent_to_a_peer_under_the_boot_of_an_earlier_start),
		TEST(table_that_cannot_be_read_leaves_the_old_one_in_use),
		TEST(counters_of_control_go_on_over_a_restart),
		TEST(adaptive_idle_sleeps_no_longer_than_configured),
		TEST(idle_begins_anew_after_each_frame),
		TEST(busy_idle_never_sleeps),
		TEST(frames_that_wait_to_be_sent_keep_the_worker_awake),
	};

	return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
