#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cp/core/core.h"
#include "tests/lib/eventlog_bed.h"

static struct eventlog_bed b;

static int open_with(uint32_t alarms_max, uint32_t events_max)
{
	eventlog_bed_open(&b, &(struct played_config){.id = 1,
						      .n_servers = 3,
						      .n_elements = 12,
						      .alarms_max = alarms_max,
						      .events_max = events_max});
	eventlog_bed_start(&b, false);
	eventlog_bed_settle(&b);
	b.n_lost = 0; /* of the data plane's start */
	return 0;
}

static int set_up(void **state)
{
	return open_with(256, 64);
}

static int tear_down(void **state)
{
	eventlog_bed_close(&b);
	return 0;
}

static void again(uint32_t alarms_max, uint32_t events_max)
{
	eventlog_bed_close(&b);
	open_with(alarms_max, events_max);
}

/* ---- What is on the disk ---- */

#define STORED_MAX 4096

static struct {
	char text[STORED_MAX][64]; /* "raised e10 if1 major" */
	uint64_t numbers[STORED_MAX], times[STORED_MAX];
	struct wire_token tokens[STORED_MAX];
	uint32_t n;
} stored;

static bool see_event(void *user, const struct wire_event *e)
{
	assert_true(stored.n < STORED_MAX);
	stored.numbers[stored.n] = e->number;
	stored.times[stored.n] = e->time_ns;
	stored.tokens[stored.n] = e->token;
	if (e->has_alarm)
		snprintf(stored.text[stored.n++], sizeof(stored.text[0]), "%s %s %s %s", e->kind,
			 e->alarm.element, e->alarm.resource, e->alarm.severity);
	else
		snprintf(stored.text[stored.n++], sizeof(stored.text[0]), "%s", e->kind);
	return true;
}

static uint32_t read_stored(void)
{
	stored.n = 0;
	assert_int_equal(archive_events(b.archive, 1, 0, UINT64_MAX, false, see_event, NULL), 0);
	return stored.n;
}

static bool keep_alarm(void *user, const struct wire_stored_alarm *s)
{
	struct wire_stored_alarm *out = user;

	*out = *s;
	out->cell = NULL;
	return false;
}

/* The stored alarm of the element, its texts apart. */
static struct wire_stored_alarm stored_alarm(uint64_t element)
{
	struct wire_stored_alarm s = {0};

	assert_int_equal(archive_alarms(b.archive, element, element, keep_alarm, &s), 0);
	return s;
}

static bool count_alarm(void *user, const struct wire_stored_alarm *s)
{
	uint32_t *n = user;

	*n += s->state == FEDMEM_ALARM_RAISED;
	return true;
}

static uint32_t n_stored_raised(void)
{
	uint32_t n = 0;

	assert_int_equal(archive_alarms(b.archive, 0, UINT64_MAX, count_alarm, &n), 0);
	return n;
}

/* ---- Changes of alarms ---- */

static void each_change_is_an_event_with_the_alarm_as_it_was(void **state)
{
	eventlog_bed_report(&b, 10, "if1", FEDMEM_MAJOR);
	eventlog_bed_report(&b, 10, "if1", FEDMEM_MAJOR); /* a repeat is no change */
	eventlog_bed_report(&b, 10, "if1", FEDMEM_CRITICAL);
	eventlog_bed_report(&b, 30, "if2", FEDMEM_MINOR);
	eventlog_bed_report(&b, 10, "if1", FEDMEM_CLEARED);
	eventlog_bed_settle(&b);
	assert_int_equal(read_stored(), 4);
	assert_string_equal(stored.text[0], "raised e10 if1 major");
	assert_string_equal(stored.text[1], "severity e10 if1 critical");
	assert_string_equal(stored.text[2], "raised e30 if2 minor");
	assert_string_equal(stored.text[3], "cleared e10 if1 critical");
	for (uint32_t i = 1; i < 4; i++) {
		assert_true(stored.numbers[i] > stored.numbers[i - 1]);
		assert_true(stored.times[i] > stored.times[i - 1]);
		assert_int_equal(stored.tokens[i].generation, BED_TOKEN.generation);
	}
	assert_int_equal(stored_alarm(10).state, FEDMEM_ALARM_GONE);
	assert_int_equal(stored_alarm(10).count, 3);
	assert_int_equal(stored_alarm(10).owner, 1);
	assert_int_equal(stored_alarm(30).state, FEDMEM_ALARM_RAISED);
	assert_int_equal(b.n_seen, 4);
	for (uint32_t i = 0; i < 4; i++) {
		assert_string_equal(b.seen[i], stored.text[i]);
		assert_int_equal(b.numbers[i], stored.numbers[i]);
	}
	assert_int_equal(b.n_lost, 0);
}

static void event_is_told_and_sent_and_released_only_when_it_is_on_disk(void **state)
{
	struct played_sends sends;
	struct fedmem_event e;

	eventlog_bed_report(&b, 10, "if1", FEDMEM_MAJOR);
	eventlog_bed_follow(&b);
	eventlog_bed_follow(&b);
	assert_int_equal(fake_archive_waiting(b.archive), 1);
	assert_int_equal(b.n_seen, 0);
	assert_int_equal(played_standby_sends(b.standby).n_requests, 0);
	assert_int_equal(fedmem_event_peek(b.server.fm, 0, &e), 0);
	fake_archive_turn(b.archive);
	assert_int_equal(b.n_seen, 1);
	sends = played_standby_sends(b.standby);
	assert_int_equal(sends.n_requests, 1);
	assert_int_equal(sends.n_events, 1);
	assert_int_equal(sends.n_alarms, 1);
	assert_string_equal(sends.cell, "r0");
	assert_int_equal(sends.event_number, b.numbers[0]);
	assert_int_equal(fedmem_event_peek(b.server.fm, 0, &e), FEDMEM_NOT_FOUND);
}

static void changes_of_one_turn_go_to_each_cells_standby_together(void **state)
{
	struct played_sends sends;

	for (int i = 0; i < 5; i++) {
		eventlog_bed_report(&b, 10, "if1", (uint8_t)(FEDMEM_WARNING + i % 2));
		eventlog_bed_report(&b, 30, "if1", (uint8_t)(FEDMEM_WARNING + i % 2));
	}
	eventlog_bed_settle(&b);
	sends = played_standby_sends(b.standby);
	assert_int_equal(sends.n_requests, 2);
	assert_int_equal(sends.n_events, 10);
	assert_int_equal(read_stored(), 10);
}

static void
change_of_a_cell_that_went_elsewhere_is_logged_but_is_not_the_alarms_record(void **state)
{
	eventlog_bed_report(&b, 10, "if1", FEDMEM_MAJOR);
	fake_cluster_cell(b.server.cluster, "r0", 2, 4, 8);
	eventlog_bed_settle(&b);
	assert_int_equal(read_stored(), 1);
	assert_string_equal(stored.text[0], "raised e10 if1 major");
	assert_int_equal(stored.tokens[0].generation, BED_TOKEN.generation);
	assert_int_equal(n_stored_raised(), 0);
	assert_int_equal(played_standby_sends(b.standby).n_requests, 0);
}

/* ---- An archive that takes no more ---- */

static void full_archive_holds_the_ring_and_nothing_is_lost(void **state)
{
	fake_archive_refuse(b.archive, 0, 10);
	for (int i = 0; i < 20; i++) {
		eventlog_bed_report(&b, 10, "if1", FEDMEM_MAJOR);
		eventlog_bed_follow(&b);
		eventlog_bed_report(&b, 10, "if1", FEDMEM_CLEARED);
	}
	assert_int_equal(b.n_seen, 0);
	eventlog_bed_settle(&b);
	eventlog_bed_settle(&b);
	assert_int_equal(read_stored(), 40);
	for (uint32_t i = 0; i < 40; i++)
		assert_string_equal(stored.text[i],
				    i % 2 == 0 ? "raised e10 if1 major" : "cleared e10 if1 major");
	assert_int_equal(b.n_lost, 0);
	assert_int_equal(b.n_seen, 40);
	for (uint32_t i = 1; i < 40; i++)
		assert_true(b.numbers[i] > b.numbers[i - 1]);
}

static void archive_that_does_not_answer_holds_the_ring(void **state)
{
	struct fedmem_event e;

	for (int i = 0; i < 20; i++) {
		eventlog_bed_report(&b, 10, "if1", FEDMEM_MAJOR);
		eventlog_bed_follow(&b);
		eventlog_bed_report(&b, 10, "if1", FEDMEM_CLEARED);
		eventlog_bed_follow(&b);
	}
	assert_true(fake_archive_waiting(b.archive) < 10);
	assert_int_equal(fedmem_event_peek(b.server.fm, 0, &e), 0);
	eventlog_bed_settle(&b);
	assert_int_equal(read_stored(), 40);
}

static void overflow_loses_no_alarm_and_says_so(void **state)
{
	char resource[16];

	again(1024, 8);
	for (int i = 0; i < 700; i++) {
		snprintf(resource, sizeof(resource), "if%d", i);
		eventlog_bed_report(&b, 10, resource, FEDMEM_MAJOR);
	}
	eventlog_bed_report(&b, 10, "if3", FEDMEM_CLEARED);
	eventlog_bed_settle(&b);
	assert_int_equal(n_stored_raised(), 699);
	assert_int_equal(b.n_lost, 1);
	read_stored();
	for (uint32_t i = 0; i < stored.n; i++)
		for (uint32_t k = 0; k < i; k++)
			assert_string_not_equal(stored.text[i], stored.text[k]);
}

/* ---- Killed ---- */

static void restart(bool is_late)
{
	if (is_late)
		fake_archive_kill_late(b.archive);
	else
		fake_archive_kill(b.archive);
	eventlog_bed_stop(&b);
	eventlog_bed_start(&b, false);
}

static void killed_before_it_is_on_disk_the_event_is_stored_by_the_next_process(void **state)
{
	eventlog_bed_report(&b, 10, "if1", FEDMEM_MAJOR);
	eventlog_bed_follow(&b);
	assert_int_equal(fake_archive_waiting(b.archive), 1);
	restart(false);
	eventlog_bed_settle(&b);
	assert_int_equal(read_stored(), 1);
	assert_int_equal(b.n_seen, 1);
}

static void killed_between_store_and_release_the_event_is_stored_once(void **state)
{
	struct fedmem_event e;

	eventlog_bed_report(&b, 10, "if1", FEDMEM_MAJOR);
	eventlog_bed_follow(&b);
	restart(true);
	assert_int_equal(fedmem_event_peek(b.server.fm, 0, &e), 0);
	eventlog_bed_settle(&b);
	assert_int_equal(read_stored(), 1);
	eventlog_bed_report(&b, 10, "if1", FEDMEM_CLEARED);
	eventlog_bed_settle(&b);
	assert_int_equal(read_stored(), 2);
	assert_int_equal(fedmem_event_peek(b.server.fm, 0, &e), FEDMEM_NOT_FOUND);
}

static uint32_t draw(uint64_t *seed, uint32_t n)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33) % n;
}

static void live(uint64_t seed)
{
	uint32_t n_changes = 0;

	for (int step = 0; step < 150; step++) {
		uint32_t what = draw(&seed, 10);

		if (what < 5) {
			uint64_t last = fedmem_event_last(b.server.fm);
			static const char *const resources[] = {"if1", "if2"};

			eventlog_bed_report(&b, draw(&seed, 2) == 0 ? 10 : 30,
					    resources[draw(&seed, 2)], (uint8_t)draw(&seed, 4));
			n_changes += fedmem_event_last(b.server.fm) > last;
		} else if (what < 7) {
			eventlog_bed_follow(&b);
		} else if (what < 8) {
			fake_archive_turn(b.archive);
		} else if (what < 9) {
			fake_archive_refuse(b.archive, 0, draw(&seed, 3));
		} else {
			restart(draw(&seed, 2) == 0);
		}
	}
	fake_archive_refuse(b.archive, 0, 0);
	eventlog_bed_settle(&b);
	eventlog_bed_settle(&b);
	/* A change has its time to itself. */
	assert_int_equal(read_stored(), n_changes);
	for (uint32_t i = 1; i < stored.n; i++)
		assert_true(stored.times[i] > stored.times[i - 1]);
	for (uint32_t i = 0; i < 256; i++) {
		struct fedmem_alarm a;

		if (fedmem_alarm_read(b.server.fm, i, &a) == 0 && a.raised_ns != 0)
			n_changes += a.state == FEDMEM_ALARM_RAISED;
	}
	assert_int_equal(n_stored_raised(), n_changes - stored.n);
}

static void whenever_it_is_killed_each_change_is_stored_once_and_in_order(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		again(256, 256);
		live(seed);
	}
}

static void new_segment_is_followed_from_its_begin(void **state)
{
	struct played_server old = b.server;

	eventlog_bed_report(&b, 10, "if1", FEDMEM_MAJOR);
	eventlog_bed_settle(&b);
	eventlog_bed_stop(&b);
	played_server_close(&old);
	played_server_open(&b.server,
			   &(struct played_config){.id = 1, .n_servers = 3, .n_elements = 12});
	fake_cluster_cell(b.server.cluster, "r0", 1, BED_TOKEN.epoch, BED_TOKEN.generation);
	eventlog_bed_report(&b, 10, "if2", FEDMEM_MINOR);
	eventlog_bed_start(&b, false);
	eventlog_bed_settle(&b);
	assert_int_equal(read_stored(), 2);
	assert_string_equal(stored.text[1], "raised e10 if2 minor");
}

/* What was released had been stored, and the peers have it; what was not released had not. */
static void lost_archive_repeats_nothing_that_was_stored_before(void **state)
{
	eventlog_bed_report(&b, 10, "if1", FEDMEM_MAJOR);
	eventlog_bed_settle(&b);
	eventlog_bed_report(&b, 10, "if2", FEDMEM_MAJOR);
	eventlog_bed_stop(&b);
	fake_archive_lose(b.archive);
	eventlog_bed_start(&b, false);
	eventlog_bed_settle(&b);
	assert_int_equal(read_stored(), 1);
	assert_string_equal(stored.text[0], "raised e10 if2 major");
}

/* ---- Events of its own ---- */

static struct {
	uint64_t number;
	bool is_degraded;
	uint32_t n;
} appended;

static void on_appended(void *user, uint64_t number, bool is_degraded)
{
	appended.number = number;
	appended.is_degraded = is_degraded;
	appended.n++;
}

static int append(const char *cell, const struct wire_alarm_note *note)
{
	const struct wire_event e = {.kind = "acknowledged", .cell = cell, .token = {3, 7}};

	memset(&appended, 0, sizeof(appended));
	return eventlog_append(b.log, &e, note, on_appended, NULL);
}

static struct wire_octets octets(const char *text)
{
	return (struct wire_octets){(const uint8_t *)text, (uint32_t)strlen(text)};
}

static const struct wire_alarm_note *find_note(void)
{
	return memory_note_find(b.server.memory, 10, octets("linkDown"), octets("if1"), octets(""));
}

static void acknowledgement_is_done_when_it_is_on_both(void **state)
{
	const struct wire_alarm_note note = {
		.element_id = 10,
		.type = octets("linkDown"),
		.resource = octets("if1"),
		.raised_ns = 5,
		.time_ns = 6,
		.is_ack = true,
		.operator_name = "ada",
		.text = "on my way",
		.request_id = "r-1",
	};
	struct played_sends sends;

	assert_int_equal(append("r0", &note), 0);
	eventlog_bed_follow(&b);
	assert_null(find_note());
	assert_int_equal(played_standby_sends(b.standby).n_requests, 0);
	fake_archive_turn(b.archive);
	assert_int_equal(appended.n, 0);
	assert_non_null(find_note());
	sends = played_standby_sends(b.standby);
	assert_int_equal(sends.n_notes, 1);
	assert_int_equal(sends.n_events, 1);
	played_standby_answer(b.standby, false);
	assert_int_equal(appended.n, 1);
	assert_false(appended.is_degraded);
	assert_int_equal(read_stored(), 1);
	assert_int_equal(stored.numbers[0], appended.number);
	assert_int_equal(find_note()->number, appended.number);
	assert_int_equal(find_note()->origin, 1);
	assert_int_equal(fake_archive_puts(b.archive).n_notes, 1);
}

static void without_a_standby_it_is_done_and_said_to_be_degraded(void **state)
{
	assert_int_equal(append("r0", NULL), 0);
	fake_archive_turn(b.archive);
	played_standby_answer(b.standby, true);
	assert_true(appended.n == 1 && appended.is_degraded);
	/* The cell went elsewhere meanwhile: nobody here may send it. */
	assert_int_equal(append("r1", NULL), 0);
	fake_archive_turn(b.archive);
	assert_true(appended.n == 1 && appended.is_degraded);
}

static void event_without_a_cell_is_done_when_it_is_on_disk(void **state)
{
	played_standby_sends(b.standby);
	assert_int_equal(append("", NULL), 0);
	assert_int_equal(appended.n, 0);
	fake_archive_turn(b.archive);
	assert_true(appended.n == 1 && !appended.is_degraded && appended.number > 0);
	assert_int_equal(played_standby_sends(b.standby).n_requests, 0);
}

static void archive_that_takes_no_more_refuses_at_once(void **state)
{
	fake_archive_refuse(b.archive, 0, 1);
	assert_int_equal(append("", NULL), -ENOBUFS);
	assert_int_equal(append("", NULL), 0);
	fake_archive_turn(b.archive);
	assert_int_equal(appended.n, 1);
	assert_int_equal(read_stored(), 1);
}

static void what_waits_when_it_ends_is_answered(void **state)
{
	assert_int_equal(append("", NULL), 0);
	fake_archive_kill(b.archive);
	eventlog_bed_stop(&b);
	assert_int_equal(appended.n, 1);
	assert_int_equal(appended.number, 0);
	eventlog_bed_start(&b, false);
	assert_int_equal(append("r0", NULL), 0);
	fake_archive_turn(b.archive);
	eventlog_bed_stop(&b);
	assert_int_equal(appended.n, 0);
	played_standby_answer(b.standby, true);
	assert_int_equal(appended.n, 1);
	assert_true(appended.number > 0);
}

static void data_plane_that_falls_silent_is_an_event_and_so_is_its_return(void **state)
{
	eventlog_bed_settle(&b);
	assert_int_equal(read_stored(), 0); /* as it was from the begin is no change */
	fedmem_dp_beat(b.server.writer, core_now_ns());
	eventlog_bed_settle(&b);
	assert_int_equal(read_stored(), 1);
	assert_string_equal(stored.text[0], "dp_alive");
	fedmem_dp_beat(b.server.writer, core_now_ns() - 2000000000u);
	fake_archive_refuse(b.archive, 0, 3);
	eventlog_bed_follow(&b);
	eventlog_bed_follow(&b);
	eventlog_bed_follow(&b);
	eventlog_bed_follow(&b);
	eventlog_bed_settle(&b);
	assert_int_equal(read_stored(), 2);
	assert_string_equal(stored.text[1], "dp_silent");
	assert_string_equal(b.seen[1], "dp_silent");
}

/* ---- Those who follow ---- */

static struct eventlog_follower second, third;
static uint32_t n_second;

static void leave(void *user, const struct wire_event *e)
{
	n_second++;
	eventlog_unfollow(b.log, &second);
	eventlog_unfollow(b.log, &third);
}

static void who_leaves_while_being_told_hears_no_more(void **state)
{
	n_second = 0;
	second = third = (struct eventlog_follower){.seen = leave};
	eventlog_follow(b.log, &third);
	eventlog_follow(b.log, &second);
	eventlog_trail(b.log, &(struct wire_event){.number = 1024, .kind = "master", .cell = ""});
	assert_int_equal(n_second, 1);
	assert_int_equal(b.n_seen, 1);
	assert_string_equal(b.seen[0], "master");
	eventlog_trail(b.log, &(struct wire_event){.number = 2048, .kind = "master", .cell = ""});
	assert_int_equal(n_second, 1);
	assert_int_equal(b.n_seen, 2);
}

/* As the standby's side stores what another owner sent. */
static void event_of_another_server_that_comes_onto_the_disk_is_told(void **state)
{
	struct archive_batch *batch = archive_batch(b.archive);
	const struct wire_event e = {.origin = 2,
				     .number = 77,
				     .kind = "raised",
				     .cell = "r1",
				     .operator_name = "",
				     .request_id = "",
				     .text = ""};

	assert_int_equal(archive_put_event(batch, &e), 0);
	assert_int_equal(archive_commit(b.archive, batch, NULL, NULL), 0);
	assert_int_equal(b.n_seen, 0);
	fake_archive_turn(b.archive);
	assert_int_equal(b.n_seen, 1);
	assert_int_equal(b.numbers[0], 77);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_change_is_an_event_with_the_alarm_as_it_was),
		TEST(event_is_told_and_sent_and_released_only_when_it_is_on_disk),
		TEST(changes_of_one_turn_go_to_each_cells_standby_together),
		TEST(change_of_a_cell_that_went_elsewhere_is_logged_but_is_not_the_alarms_record),
		TEST(full_archive_holds_the_ring_and_nothing_is_lost),
		TEST(archive_that_does_not_answer_holds_the_ring),
		TEST(overflow_loses_no_alarm_and_says_so),
		TEST(killed_before_it_is_on_disk_the_event_is_stored_by_the_next_process),
		TEST(killed_between_store_and_release_the_event_is_stored_once),
		TEST(whenever_it_is_killed_each_change_is_stored_once_and_in_order),
		TEST(new_segment_is_followed_from_its_begin),
		TEST(lost_archive_repeats_nothing_that_was_stored_before),
		TEST(acknowledgement_is_done_when_it_is_on_both),
		TEST(without_a_standby_it_is_done_and_said_to_be_degraded),
		TEST(event_without_a_cell_is_done_when_it_is_on_disk),
		TEST(archive_that_takes_no_more_refuses_at_once),
		TEST(what_waits_when_it_ends_is_answered),
		TEST(data_plane_that_falls_silent_is_an_event_and_so_is_its_return),
		TEST(who_leaves_while_being_told_hears_no_more),
		TEST(event_of_another_server_that_comes_onto_the_disk_is_told),
	};

	return cmocka_run_group_tests_name("eventlog", tests, NULL, NULL);
}
