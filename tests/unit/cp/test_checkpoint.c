#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cp/checkpoint/checkpoint.h"
#include "cp/core/core.h"
#include "tests/lib/eventlog_bed.h"

static struct eventlog_bed b;
static struct checkpoint *c;
static uint32_t interval_ms;

static int status(void *user, struct memory_page **page, struct wire_status *out)
{
	*page = memory_page_create();
	*out = (struct wire_status){.cluster = "lab", .server = 1, .n_elements = 12};
	return 0;
}

static void start(void)
{
	const struct checkpoint_config cfg = {
		.loop = &b.loop,
		.fedmem = b.server.fm,
		.cluster = b.server.cluster,
		.inventory = b.server.inventory,
		.memory = b.server.memory,
		.archive = b.archive,
		.standby = b.standby,
		.interval_ms = interval_ms,
		.status = status,
	};

	assert_int_equal(checkpoint_create(&c, &cfg), 0);
}

static void stop(void)
{
	checkpoint_destroy(c);
	c = NULL;
	uv_run(&b.loop, UV_RUN_NOWAIT);
}

static void open_with(uint32_t n_elements, uint32_t alarms_max, uint32_t events_max)
{
	eventlog_bed_open(&b, &(struct played_config){.id = 1,
						      .n_servers = 3,
						      .n_elements = n_elements,
						      .alarms_max = alarms_max,
						      .events_max = events_max});
	interval_ms = 1;
	eventlog_bed_start(&b, false);
	eventlog_bed_settle(&b);
}

static int set_up(void **state)
{
	open_with(12, 64, 64);
	return 0;
}

static int tear_down(void **state)
{
	checkpoint_destroy(c);
	c = NULL;
	eventlog_bed_close(&b);
	return 0;
}

/* What one whole round puts onto the disk, whatever the one that was under way did. */
static struct fake_archive_puts round_puts(void)
{
	struct fake_archive_puts before, after;

	for (int i = 0; i < 2; i++) {
		uint64_t n = checkpoint_rounds(c);

		before = fake_archive_puts(b.archive);
		while (checkpoint_rounds(c) == n) {
			fake_archive_turn(b.archive);
			uv_run(&b.loop, UV_RUN_ONCE);
		}
	}
	after = fake_archive_puts(b.archive);
	return (struct fake_archive_puts){.n_alarms = after.n_alarms - before.n_alarms,
					  .n_elements = after.n_elements - before.n_elements,
					  .n_status = after.n_status - before.n_status,
					  .n_removed = after.n_removed - before.n_removed};
}

/* All that was put since the call before, and then the disk is quiet. */
static struct fake_archive_puts puts_since(struct fake_archive_puts *before)
{
	struct fake_archive_puts now, puts;

	round_puts();
	now = fake_archive_puts(b.archive);
	puts = (struct fake_archive_puts){.n_alarms = now.n_alarms - before->n_alarms,
					  .n_elements = now.n_elements - before->n_elements,
					  .n_removed = now.n_removed - before->n_removed};
	*before = now;
	return puts;
}

static bool keep_element(void *user, const struct wire_stored_element *s)
{
	struct wire_stored_element *out = user;

	*out = *s;
	return false;
}

static struct wire_stored_element stored_element(uint64_t id)
{
	struct wire_stored_element s = {0};

	assert_int_equal(archive_elements(b.archive, id, id, keep_element, &s), 0);
	return s;
}

static bool count_alarm(void *user, const struct wire_stored_alarm *s)
{
	uint64_t *counts = user;

	counts[s->state]++;
	counts[3] += s->count;
	return true;
}

/* By state; [3]: the sum of their counts. */
static void stored_alarms(uint64_t counts[4])
{
	memset(counts, 0, 4 * sizeof(*counts));
	assert_int_equal(archive_alarms(b.archive, 0, UINT64_MAX, count_alarm, counts), 0);
}

/* ---- What is written ---- */

static void first_round_writes_what_this_server_owns(void **state)
{
	struct fake_archive_puts before = fake_archive_puts(b.archive), puts;
	struct played_sends sends;
	uint64_t counts[4];

	for (uint64_t id = 10; id <= 60; id += 10)
		played_report(&b.server, id, BED_TOKEN, 6);
	eventlog_bed_report(&b, 10, "if1", FEDMEM_MAJOR);
	eventlog_bed_settle(&b);
	before = fake_archive_puts(b.archive);
	played_standby_sends(b.standby);
	start();
	puts = puts_since(&before);
	assert_int_equal(puts.n_elements, 4); /* of six, two are server 2's */
	assert_int_equal(puts.n_alarms, 1);
	sends = played_standby_sends(b.standby);
	assert_int_equal(sends.n_elements, 4);
	assert_int_equal(sends.n_alarms, 1);
	assert_int_equal(sends.n_events, 0);
	assert_int_equal(stored_element(10).n_reports, 1);
	assert_int_equal(stored_element(10).n_metrics, 6);
	assert_int_equal(stored_element(10).n_alarms, 1);
	assert_int_equal(stored_element(10).worst, FEDMEM_MAJOR);
	assert_int_equal(stored_element(10).token.generation, BED_TOKEN.generation);
	assert_int_equal(stored_element(20).id, 0);
	stored_alarms(counts);
	assert_int_equal(counts[FEDMEM_ALARM_RAISED], 1);
}

static void only_what_moved_on_is_written_again(void **state)
{
	struct fake_archive_puts before, puts;

	for (uint64_t id = 10; id <= 120; id += 10)
		played_report(&b.server, id, BED_TOKEN, 2);
	start();
	round_puts();
	before = fake_archive_puts(b.archive);
	puts = puts_since(&before);
	assert_int_equal(puts.n_elements + puts.n_alarms + puts.n_removed, 0);
	played_report(&b.server, 30, BED_TOKEN, 2);
	puts = puts_since(&before);
	assert_int_equal(puts.n_elements, 1);
	assert_int_equal(stored_element(30).n_reports, 2);
	puts = puts_since(&before);
	assert_int_equal(puts.n_elements, 0);
}

static void alarm_is_written_when_its_count_moved_without_an_event(void **state)
{
	struct fake_archive_puts before, puts;
	uint64_t counts[4];

	start();
	round_puts();
	eventlog_bed_report(&b, 10, "if1", FEDMEM_MAJOR);
	before = fake_archive_puts(b.archive);
	puts = puts_since(&before);
	assert_int_equal(puts.n_alarms, 1); /* the event log's */
	eventlog_bed_report(&b, 10, "if1", FEDMEM_MAJOR);
	eventlog_bed_report(&b, 10, "if1", FEDMEM_MAJOR);
	puts = puts_since(&before);
	assert_int_equal(puts.n_alarms, 1);
	stored_alarms(counts);
	assert_int_equal(counts[3], 3);
	puts = puts_since(&before);
	assert_int_equal(puts.n_alarms, 0);
}

static void new_process_writes_everything_once(void **state)
{
	struct fake_archive_puts before, puts;

	played_report(&b.server, 10, BED_TOKEN, 2);
	eventlog_bed_report(&b, 10, "if1", FEDMEM_MAJOR);
	eventlog_bed_settle(&b);
	start();
	round_puts();
	stop();
	before = fake_archive_puts(b.archive);
	start();
	puts = puts_since(&before);
	assert_int_equal(puts.n_elements, 1);
	assert_int_equal(puts.n_alarms, 1);
}

static void cell_that_comes_back_is_written_under_its_new_token(void **state)
{
	struct fedmem_token token = {5, 9};
	struct fake_archive_puts before, puts;

	played_report(&b.server, 10, BED_TOKEN, 2);
	start();
	round_puts();
	fake_cluster_cell(b.server.cluster, "r0", 2, 4, 8);
	before = fake_archive_puts(b.archive);
	played_report(&b.server, 10, (struct fedmem_token){4, 8}, 2);
	puts = puts_since(&before);
	assert_int_equal(puts.n_elements, 0);
	fake_cluster_cell(b.server.cluster, "r0", 1, token.epoch, token.generation);
	puts = puts_since(&before);
	assert_int_equal(puts.n_elements, 0); /* nothing is known under this token */
	played_report(&b.server, 10, token, 2);
	puts = puts_since(&before);
	assert_int_equal(puts.n_elements, 1);
	assert_int_equal(stored_element(10).token.epoch, 5);
}

static void table_of_servers_is_written_with_each_round(void **state)
{
	uint64_t now_ns = core_wall_ns();
	struct wire_status *stored;

	start();
	assert_int_equal(round_puts().n_status, 1);
	assert_int_equal(round_puts().n_status, 1);
	assert_true(archive_status(b.archive, &stored));
	assert_string_equal(stored->cluster, "lab");
	assert_true(stored->stored_ns >= now_ns);
	wire_free(stored);
}

/* ---- How ---- */

static void many_elements_are_written_once_each_in_slices(void **state)
{
	struct fake_archive_puts before, puts;

	eventlog_bed_close(&b);
	open_with(4000, 64, 64);
	for (uint64_t id = 10; id <= 40000; id += 10)
		played_report(&b.server, id, BED_TOKEN, 1);
	before = fake_archive_puts(b.archive);
	start();
	puts = puts_since(&before);
	assert_int_equal(puts.n_elements, 4000 - 1333);
	assert_true(fake_archive_puts(b.archive).n_commits > 2666 / 500);
}

static void round_counts_when_all_of_it_is_on_disk(void **state)
{
	played_report(&b.server, 10, BED_TOKEN, 2);
	start();
	while (fake_archive_waiting(b.archive) < 2) /* the element, and the servers */
		uv_run(&b.loop, UV_RUN_ONCE);
	for (int i = 0; i < 5; i++)
		uv_run(&b.loop, UV_RUN_ONCE);
	assert_int_equal(checkpoint_rounds(c), 0);
	assert_int_equal(fake_archive_waiting(b.archive), 2);
	fake_archive_turn(b.archive);
	while (checkpoint_rounds(c) == 0)
		uv_run(&b.loop, UV_RUN_ONCE);
	assert_int_equal(checkpoint_rounds(c), 1);
}

static void what_the_archive_did_not_take_is_written_later(void **state)
{
	struct fake_archive_puts before, puts;

	played_report(&b.server, 10, BED_TOKEN, 2);
	played_report(&b.server, 30, BED_TOKEN, 2);
	before = fake_archive_puts(b.archive);
	played_standby_sends(b.standby);
	fake_archive_refuse(b.archive, 0, 3);
	start();
	puts = puts_since(&before);
	assert_int_equal(puts.n_elements, 2);
	assert_int_equal(played_standby_sends(b.standby).n_elements, 2);
}

/* ---- What is no longer kept ---- */

static void publish(bool is_restoring)
{
	const struct fedmem_cell cells[] = {
		{.token = BED_TOKEN, .owner = 1, .is_restoring = is_restoring, .name = "r0"}};

	assert_int_equal(fedmem_cells_publish(b.server.fm, cells, 1), 0);
}

/* An alarm of element 10, stored as raised, that the memory does not have. */
static void put_ghost(struct fedmem_token token)
{
	struct archive_batch *batch = archive_batch(b.archive);
	const struct wire_stored_alarm s = {
		.element_id = 10,
		.type = {(const uint8_t *)"ghost", 5},
		.state = FEDMEM_ALARM_RAISED,
		.severity = FEDMEM_MAJOR,
		.raised_ns = 1,
		.count = 1,
		.owner = 1,
		.token = {token.epoch, token.generation},
		.cell = "r0",
	};

	assert_int_equal(archive_put_alarm(batch, &s), 0);
	assert_int_equal(archive_commit(b.archive, batch, NULL, NULL), 0);
	fake_archive_turn(b.archive);
}

static uint64_t n_raised(void)
{
	uint64_t counts[4];

	stored_alarms(counts);
	return counts[FEDMEM_ALARM_RAISED];
}

static void alarm_that_the_memory_does_not_have_is_forgotten_here_and_at_the_standby(void **state)
{
	struct fake_archive_puts before;

	eventlog_bed_report(&b, 10, "if1", FEDMEM_MAJOR);
	eventlog_bed_report(&b, 10, "if2", FEDMEM_MAJOR);
	eventlog_bed_report(&b, 10, "if2", FEDMEM_CLEARED);
	eventlog_bed_settle(&b);
	put_ghost(BED_TOKEN);
	publish(false);
	before = fake_archive_puts(b.archive);
	played_standby_sends(b.standby);
	assert_int_equal(n_raised(), 2);
	start();
	assert_int_equal(puts_since(&before).n_removed, 1);
	assert_int_equal(n_raised(), 1);
	/* Two that are written with the first round, and the one that is forgotten. */
	assert_int_equal(played_standby_sends(b.standby).n_alarms, 3);
}

static void nothing_is_forgotten_while_the_cell_is_being_restored(void **state)
{
	put_ghost(BED_TOKEN);
	publish(true);
	start();
	round_puts();
	assert_int_equal(n_raised(), 1);
}

static void record_of_another_token_is_not_ours_to_forget(void **state)
{
	put_ghost((struct fedmem_token){3, 6});
	publish(false);
	start();
	round_puts();
	assert_int_equal(n_raised(), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(first_round_writes_what_this_server_owns),
		TEST(only_what_moved_on_is_written_again),
		TEST(alarm_is_written_when_its_count_moved_without_an_event),
		TEST(new_process_writes_everything_once),
		TEST(cell_that_comes_back_is_written_under_its_new_token),
		TEST(table_of_servers_is_written_with_each_round),
		TEST(many_elements_are_written_once_each_in_slices),
		TEST(round_counts_when_all_of_it_is_on_disk),
		TEST(what_the_archive_did_not_take_is_written_later),
		TEST(alarm_that_the_memory_does_not_have_is_forgotten_here_and_at_the_standby),
		TEST(nothing_is_forgotten_while_the_cell_is_being_restored),
		TEST(record_of_another_token_is_not_ours_to_forget),
	};

	return cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL);
}
