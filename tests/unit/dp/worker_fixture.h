/* worker_fixture.h - a worker between ports that are played and a real segment; its other doors can
 * be told to fail. Each test program links with the three functions of fedmem wrapped.
 *
 * Thread:  one.
 * Memory:  set_up() makes a file, tear_down() removes it.
 */
#ifndef BELLWETHER_TESTS_UNIT_DP_WORKER_FIXTURE_H
#define BELLWETHER_TESTS_UNIT_DP_WORKER_FIXTURE_H

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

static inline void expect_balance(void)
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

static inline struct fedmem_address address_of(uint8_t host)
{
	return (struct fedmem_address){{[10] = 0xff, [11] = 0xff, [12] = 10, [15] = host}};
}

/* Elements have their id as last octet of their address. */
static inline void put_element(uint64_t id, uint32_t cell)
{
	const struct fedmem_element e = {
		.id = id, .address = address_of((uint8_t)id), .cell = cell};

	assert_int_equal(fedmem_element_put(fm, &e, NULL), 0);
}

static inline void put_cells_restoring(bool is_restoring)
{
	const struct fedmem_cell cells[] = {
		[OURS] = {.token = {1, 1},
			  .owner = SELF,
			  .is_restoring = is_restoring,
			  .name = "ours"},
		[THEIRS] = {.token = {1, 1}, .owner = PEER, .name = "theirs"},
	};

	assert_int_equal(fedmem_cells_publish(fm, cells, 2), 0);
}

static inline void put_cells(void)
{
	put_cells_restoring(false);
}

static inline void put_servers(void)
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

static inline int set_up(void **state)
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

static inline int tear_down(void **state)
{
	fedmem_writer_close(writer);
	fedmem_close(fm);
	unlink(path);
	return 0;
}

/* A whole process: the worker starts, runs for so many turns, ends. What it published last. */
static inline struct stats run(uint32_t turns, void (*player)(uint32_t turn),
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

static inline void add_frame(uint8_t source, uint16_t udp_port, const uint8_t *payload,
			     uint16_t n_bytes)
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
static inline void add_alarm(uint8_t source)
{
	static const uint8_t report[] = {0x0a, 7, 0x2a, 5, 0x0a, 1, 't', 0x20, 4};

	add_frame(source, 7410, report, sizeof(report));
}

static inline void add_metric(uint8_t source)
{
	static const uint8_t report[] = {0x0a, 7, 0x22, 5, 0x0d, 7, 0, 0, 0};

	add_frame(source, 7410, report, sizeof(report));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
