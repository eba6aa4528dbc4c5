/* Which sources the programs are told, from a real segment; the program of the one port is played
 * here. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dp/sources/sources.h"

#define KNOWN_MAX 8
#define SELF	  1

/* ---- The port and its program ---- */

struct known {
	struct fedmem_address address;
	enum steer_class source_class;
	bool is_used;
};

struct steer {
	struct known known[KNOWN_MAX];
	uint32_t room, n_puts;
	uint64_t counts[STEER_VERDICTS];
	int counters_answer;
};

struct port {
	struct steer *steer;
};

static struct steer program;
static struct port port = {.steer = &program};
static void (*on_remove)(void); /* what control does meanwhile */

static struct known *find(const uint8_t address[16])
{
	for (uint32_t i = 0; i < KNOWN_MAX; i++)
		if (program.known[i].is_used &&
		    memcmp(program.known[i].address.octets, address, 16) == 0)
			return &program.known[i];
	return NULL;
}

int steer_source_put(struct steer *s, const uint8_t address[16], enum steer_class source_class,
		     uint32_t rate_pps, uint32_t burst)
{
	struct known *k = find(address);

	s->n_puts++;
	for (uint32_t i = 0; k == NULL && i < s->room; i++)
		if (!s->known[i].is_used)
			k = &s->known[i];
	if (k == NULL)
		return STEER_FULL;
	memcpy(k->address.octets, address, 16);
	k->source_class = source_class;
	k->is_used = true;
	return 0;
}

int steer_source_remove(struct steer *s, const uint8_t address[16])
{
	struct known *k = find(address);

	if (on_remove != NULL) {
		void (*act)(void) = on_remove;

		on_remove = NULL;
		act();
	}
	if (k == NULL)
		return STEER_NOT_FOUND;
	k->is_used = false;
	return 0;
}

int steer_counters(const struct steer *s, uint64_t out[STEER_VERDICTS])
{
	memcpy(out, s->counts, sizeof(s->counts));
	return s->counters_answer;
}

struct steer *port_steer(struct port *p)
{
	return p->steer;
}

uint64_t port_missed(struct port *p)
{
	return 3;
}

/* ---- One server ---- */

static struct conf conf;
static struct fedmem *fm;
static struct sources *sources;
static char path[] = "/tmp/test_sources.XXXXXX";

static struct fedmem_address address_of(uint8_t host)
{
	return (struct fedmem_address){{[10] = 0xff, [11] = 0xff, [12] = 10, [15] = host}};
}

static void put_element(uint64_t id, uint8_t host)
{
	const struct fedmem_element e = {.id = id, .address = address_of(host)};

	assert_int_equal(fedmem_element_put(fm, &e, NULL), 0);
}

/* This server and one with this address; 0: this one alone. */
static void put_peer(uint8_t host)
{
	const struct fedmem_server servers[] = {
		{.id = SELF, .is_self = 1, .relay_address = address_of(200)},
		{.id = 2, .relay_address = address_of(host)},
	};

	assert_int_equal(fedmem_servers_publish(fm, servers, host == 0 ? 1 : 2), 0);
}

static void expect_known(uint8_t host, enum steer_class source_class)
{
	struct fedmem_address a = address_of(host);
	const struct known *k = find(a.octets);

	assert_non_null(k);
	assert_int_equal(k->source_class, source_class);
}

static void expect_stranger(uint8_t host)
{
	struct fedmem_address a = address_of(host);

	assert_null(find(a.octets));
}

static int set_up(void **state)
{
	static struct port *ports[] = {&port};
	const struct fedmem_config cfg = {
		.path = path,
		.server_id = SELF,
		.sizes = {.elements_max = 4,
			  .metrics_per_element = 4,
			  .alarms_max = 4,
			  .cells_max = 4,
			  .rules_max = 4,
			  .unknowns_max = 4,
			  .events_max = 16},
	};
	char why[256];
	int fd;

	strcpy(path, "/tmp/test_sources.XXXXXX");
	fd = mkstemp(path);
	if (fd < 0)
		return -1;
	close(fd);
	unlink(path);
	program = (struct steer){.room = KNOWN_MAX};
	on_remove = NULL;
	if (fedmem_open(&fm, &cfg, why, sizeof(why)) != 0)
		return -1;
	return sources_create(&sources, &conf, fm, ports, 1);
}

static int tear_down(void **state)
{
	sources_destroy(sources);
	fedmem_close(fm);
	unlink(path);
	return 0;
}

/* ---- Elements ---- */

static void elements_are_known_while_they_are_in_the_inventory(void **state)
{
	put_element(1, 1);
	put_element(2, 2);
	sources_follow(sources);
	expect_known(1, STEER_ELEMENT);
	expect_known(2, STEER_ELEMENT);
	assert_int_equal(fedmem_element_remove(fm, 1), 0);
	put_element(2, 3);
	sources_follow(sources);
	expect_stranger(1);
	expect_stranger(2);
	expect_known(3, STEER_ELEMENT);
}

/* Element 1 in the first slot has address 7. After the walk has passed it, 7 becomes the address of
 * element 2 in the free second slot. */
static void move_address(void)
{
	put_element(1, 8);
	put_element(2, 7);
}

static void address_that_moves_during_the_walk_stays_known(void **state)
{
	put_element(1, 7);
	put_element(2, 9);
	put_element(3, 6);
	assert_int_equal(fedmem_element_remove(fm, 2), 0);
	sources_follow(sources);
	assert_int_equal(fedmem_element_remove(fm, 3), 0);
	on_remove = move_address;
	for (int turns = 0; turns < 3; turns++)
		sources_follow(sources);
	assert_null(on_remove);
	expect_known(7, STEER_ELEMENT);
	expect_known(8, STEER_ELEMENT);
	expect_stranger(9);
	expect_stranger(6);
}

static void what_was_refused_is_tried_with_the_next_change_only(void **state)
{
	program.room = 1;
	put_element(1, 1);
	put_element(2, 2);
	sources_follow(sources);
	assert_int_equal(program.n_puts, 2);
	sources_follow(sources);
	assert_int_equal(program.n_puts, 2);
	assert_int_equal(fedmem_element_remove(fm, 1), 0);
	sources_follow(sources);
	expect_known(2, STEER_ELEMENT);
}

/* ---- Peers ---- */

static void peer_is_known_while_it_is_listed(void **state)
{
	put_peer(100);
	sources_follow(sources);
	expect_known(100, STEER_PEER);
	expect_stranger(200);
	put_peer(101);
	sources_follow(sources);
	expect_stranger(100);
	expect_known(101, STEER_PEER);
	put_peer(0);
	sources_follow(sources);
	expect_stranger(101);
}

static void address_of_a_peer_that_left_can_be_an_elements(void **state)
{
	put_peer(100);
	sources_follow(sources);
	put_element(1, 100);
	put_peer(0);
	sources_follow(sources);
	expect_known(100, STEER_ELEMENT);
}

/* ---- Counters ---- */

static void set_counts(uint64_t frames, uint64_t taken, uint64_t passed)
{
	program.counts[STEER_FRAMES] = frames;
	program.counts[STEER_TAKEN] = taken;
	program.counts[STEER_PASSED] = passed;
}

static void counters_of_an_unsettled_moment_are_not_taken(void **state)
{
	struct worker_note note;

	set_counts(10, 7, 3);
	sources_count(sources, &note);
	set_counts(12, 8, 3); /* one frame is between its two counters */
	sources_count(sources, &note);
	assert_int_equal(note.steer_frames, 10);
	assert_int_equal(note.steer_taken, 7);
	assert_int_equal(note.steer_passed, 3);
	assert_int_equal(note.port_missed, 3);
	set_counts(12, 8, 4);
	sources_count(sources, &note);
	assert_int_equal(note.steer_frames, 12);
}

static void counters_that_cannot_be_read_stay_what_they_were(void **state)
{
	struct worker_note note;

	set_counts(10, 7, 3);
	sources_count(sources, &note);
	set_counts(0, 0, 0);
	program.counters_answer = -ENOENT;
	sources_count(sources, &note);
	assert_int_equal(note.steer_frames, 10);
	assert_int_equal(note.steer_taken, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(elements_are_known_while_they_are_in_the_inventory),
		TEST(address_that_moves_during_the_walk_stays_known),
		TEST(what_was_refused_is_tried_with_the_next_change_only),
		TEST(peer_is_known_while_it_is_listed),
		TEST(address_of_a_peer_that_left_can_be_an_elements),
		TEST(counters_of_an_unsettled_moment_are_not_taken),
		TEST(counters_that_cannot_be_read_stay_what_they_were),
	};

	return cmocka_run_group_tests_name("sources", tests, NULL, NULL);
}
