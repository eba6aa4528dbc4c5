/* What a server that gets a cell knows of it before it applies alarms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cp/core/core.h"
#include "tests/lib/standby_bed.h"

static const struct fedmem_token first = {1, 1}, second = {2, 2}, third = {3, 3};

/* Server 1 owns "r0" with 100 elements, server 2 stands by. */
static int bed_open(void **state)
{
	static struct standby_bed b;

	standby_bed_open(&b, 300);
	standby_bed_map(&b, "r0", 1, 2, first);
	standby_bed_wait_restored(&b, 1, 1);
	standby_bed_wait_whole(&b, 1, "r0");
	*state = &b;
	return 0;
}

static int bed_close(void **state)
{
	standby_bed_close(*state);
	return 0;
}

static struct bed_server *server(void **state, uint16_t id)
{
	return standby_bed_server(*state, id);
}

static bool all_done(void *user)
{
	const struct bed_server *s = user;

	return s->n_done == s->n_events;
}

/* Alarms with a history: raised, repeated, changed, cleared, raised again. */
static void history(void **state)
{
	for (uint64_t e = 10; e <= 3000; e += 30) {
		standby_bed_alarm(*state, 1, e, "port 1", FEDMEM_MAJOR);
		standby_bed_alarm(*state, 1, e, "port 2", FEDMEM_MINOR);
		standby_bed_alarm(*state, 1, e, "port 2", FEDMEM_CRITICAL);
		standby_bed_alarm(*state, 1, e, "port 3", FEDMEM_MAJOR);
		standby_bed_alarm(*state, 1, e, "port 3", FEDMEM_CLEARED);
		standby_bed_alarm(*state, 1, e, "port 1", FEDMEM_MAJOR);
		if (e % 60 == 10)
			standby_bed_alarm(*state, 1, e, "port 1", FEDMEM_CLEARED);
	}
	standby_bed_wait(*state, all_done, server(state, 1));
	assert_int_equal(server(state, 1)->n_degraded, 0);
}

static void fail_over(void **state, uint16_t from, uint16_t to, uint16_t standby,
		      struct fedmem_token token)
{
	if (server(state, from)->standby != NULL)
		standby_bed_kill(*state, from);
	server(state, from)->is_dp_stopped = true;
	standby_bed_state(*state, from, DETECTOR_FAILED);
	standby_bed_map(*state, "r0", to, standby, token);
}

static void assert_restored(void **state, char *were, uint16_t owner)
{
	char *are = standby_bed_memory(*state, owner, "r0");

	assert_string_equal(are, were);
	free(are);
	free(were);
}

static struct wire_cell_sync sync_of(void **state, uint16_t id)
{
	struct wire_cell_sync *sync, copy;

	assert_true(archive_sync(server(state, id)->archive, "r0", &sync));
	copy = *sync;
	copy.cell = NULL;
	wire_free(sync);
	return copy;
}

/* ---- The owner is dead ---- */

static void a_take_over_restores_every_alarm_with_its_first_time_and_count(void **state)
{
	uint64_t begun_ms;
	char *were;

	history(state);
	were = standby_bed_memory(*state, 1, "r0");
	assert_non_null(strstr(were, "10 link port 1 gone"));
	assert_non_null(strstr(were, "40 link port 1 raised"));
	assert_non_null(strstr(were, "count=2"));
	fail_over(state, 1, 2, 3, second);
	begun_ms = core_now_ms();
	standby_bed_wait_restored(*state, 2, 1);
	print_message("# restored after %d ms\n", (int)(core_now_ms() - begun_ms));
	assert_restored(state, were, 2);
	assert_int_equal(server(state, 2)->n_partial, 0);
}

static void
what_was_restored_is_written_under_the_new_token_here_and_at_the_new_standby(void **state)
{
	history(state);
	fail_over(state, 1, 2, 3, second);
	standby_bed_wait_restored(*state, 2, 1);
	standby_bed_wait_whole(*state, 2, "r0");
	standby_bed_assert_same(*state, 2, 2, "r0");
	standby_bed_assert_same(*state, 2, 3, "r0");
	assert_true(sync_of(state, 2).is_owner);
	assert_int_equal(sync_of(state, 2).token.generation, 2);
	assert_false(sync_of(state, 3).is_owner);
	assert_true(sync_of(state, 3).is_complete);
	assert_int_equal(sync_of(state, 3).token.generation, 2);
}

static void a_second_take_over_loses_nothing_either(void **state)
{
	char *were;

	history(state);
	fail_over(state, 1, 2, 3, second);
	standby_bed_wait_restored(*state, 2, 1);
	standby_bed_wait_whole(*state, 2, "r0");
	standby_bed_alarm(*state, 2, 40, "port 9", FEDMEM_MAJOR);
	standby_bed_wait(*state, all_done, server(state, 2));
	were = standby_bed_memory(*state, 2, "r0");
	fail_over(state, 2, 3, 0, third);
	standby_bed_wait_restored(*state, 3, 1);
	assert_restored(state, were, 3);
	assert_int_equal(server(state, 3)->n_partial, 0);
}

static void what_the_old_owner_sends_late_does_not_come_back(void **state)
{
	char *were;

	standby_bed_alarm(*state, 1, 10, "port 1", FEDMEM_MAJOR);
	standby_bed_wait(*state, all_done, server(state, 1));
	were = standby_bed_memory(*state, 1, "r0");
	/* Server 1 lives, hears nothing, and does not know the new map. */
	standby_bed_state(*state, 1, DETECTOR_FAILED);
	standby_bed_map_one(*state, 2, "r0", 2, 3, second);
	standby_bed_map_one(*state, 3, "r0", 2, 3, second);
	standby_bed_alarm(*state, 1, 40, "port 1", FEDMEM_MAJOR);
	standby_bed_wait_restored(*state, 2, 1);
	standby_bed_wait(*state, all_done, server(state, 1));
	assert_int_equal(server(state, 1)->n_degraded, 1);
	standby_bed_wait_whole(*state, 2, "r0");
	assert_restored(state, were, 2);
	standby_bed_assert_same(*state, 2, 3, "r0");
}

static void notes_come_along(void **state)
{
	const struct wire_alarm_note note = {.element_id = 40,
					     .raised_ns = 5,
					     .time_ns = 7,
					     .type = {(const uint8_t *)"link", 4},
					     .resource = {(const uint8_t *)"port 1", 6},
					     .is_ack = true,
					     .operator_name = "ada",
					     .text = "on it",
					     .request_id = "r-1"};
	const struct wire_alarm_note *there;
	struct bed_server *owner = server(state, 1);

	standby_bed_alarm(*state, 1, 40, "port 1", FEDMEM_MAJOR);
	assert_int_equal(memory_note_put(owner->played.memory, &note), 0);
	standby_send(owner->standby, "r0",
		     &(struct wire_replicate_request){.notes = (struct wire_alarm_note *)&note,
						      .n_notes = 1},
		     NULL, NULL);
	standby_bed_wait_idle(*state, 1);
	fail_over(state, 1, 2, 3, second);
	standby_bed_wait_restored(*state, 2, 1);
	standby_bed_wait_whole(*state, 2, "r0");
	fail_over(state, 2, 3, 0, third);
	standby_bed_wait_restored(*state, 3, 1);
	there = memory_note_find(server(state, 3)->played.memory, 40, note.type, note.resource,
				 note.qualifier);
	assert_non_null(there);
	assert_string_equal(there->operator_name, "ada");
	assert_string_equal(there->text, "on it");
	assert_int_equal(there->raised_ns, 5);
}

/* ---- The owner lives: a move ---- */

static void a_move_takes_the_memory_of_the_owner_until_now(void **state)
{
	char *were;

	history(state);
	/* What the standby never heard of is there too. */
	played_alarm(&server(state, 1)->played, &(struct played_alarm){.element = 70,
								       .token = first,
								       .type = "link",
								       .resource = "port 8",
								       .severity = FEDMEM_MAJOR});
	played_alarm(&server(state, 1)->played, &(struct played_alarm){.element = 40,
								       .token = first,
								       .type = "link",
								       .resource = "port 1",
								       .severity = FEDMEM_CLEARED});
	were = standby_bed_memory(*state, 1, "r0");
	assert_non_null(strstr(were, "70 link port 8 raised"));
	assert_non_null(strstr(were, "40 link port 1 gone"));
	standby_bed_map(*state, "r0", 3, 1, second);
	standby_bed_wait_restored(*state, 3, 1);
	assert_restored(state, were, 3);
	assert_int_equal(server(state, 3)->n_partial, 0);
	standby_bed_wait_whole(*state, 3, "r0");
	standby_bed_assert_same(*state, 3, 1, "r0");
}

static void states_and_metrics_come_along(void **state)
{
	struct fedmem_metric metrics[8];
	struct fedmem_state s;
	uint32_t slot;

	played_report(&server(state, 1)->played, 40, first, 7);
	played_report(&server(state, 1)->played, 40, first, 7);
	standby_bed_map(*state, "r0", 3, 1, second);
	standby_bed_wait_restored(*state, 3, 1);
	assert_int_equal(fedmem_find_by_id(server(state, 3)->played.fm, 40, &slot), 0);
	assert_int_equal(fedmem_state_read(server(state, 3)->played.fm, slot, &s, metrics), 0);
	assert_int_equal(s.token.generation, 2);
	assert_int_equal(s.n_reports, 2);
	assert_int_equal(s.n_metrics, 7);
	for (uint32_t i = 0; i < 7; i++) {
		double value;

		memcpy(&value, &metrics[i].value, sizeof(value));
		assert_true(value == metrics[i].id + 0.5);
	}
}

struct fetched {
	bool is_done;
	bool is_known, is_from_memory;
	uint32_t n_alarms;
	char why[64];
};

static void on_fetched(void *user, enum rpc_status status, const char *why, const uint8_t *bytes,
		       size_t n)
{
	struct fetched *f = user;
	struct wire_cell_records *r;

	f->is_done = true;
	assert_int_equal(status, RPC_OK);
	assert_int_equal(wire_cell_records_unpack(bytes, n, &r), 0);
	f->is_known = r->is_known;
	f->is_from_memory = r->is_from_memory;
	f->n_alarms = r->n_alarms;
	snprintf(f->why, sizeof(f->why), "%s", r->why);
	wire_free(r);
}

static bool is_fetched(void *user)
{
	const struct fetched *f = user;

	return f->is_done;
}

static struct fetched fetch(void **state, uint16_t by, uint16_t of, struct wire_token token)
{
	const struct wire_fetch_cell_request m = {.cell = "r0", .token = token};
	struct fetched f = {0};
	struct wire_bytes bytes;

	assert_int_equal(wire_fetch_cell_request_pack(&m, &bytes), 0);
	assert_int_equal(cluster_call(server(state, by)->played.cluster, of, "FetchCell",
				      bytes.bytes, bytes.n, 1000, on_fetched, &f),
			 0);
	wire_bytes_free(&bytes);
	standby_bed_wait(*state, is_fetched, &f);
	return f;
}

static void the_memory_is_given_out_only_when_its_worker_has_stopped(void **state)
{
	struct fetched f;

	standby_bed_alarm(*state, 1, 10, "port 1", FEDMEM_MAJOR);
	f = fetch(state, 3, 1, (struct wire_token){2, 2});
	assert_false(f.is_known);
	assert_string_equal(f.why, "not yet: the token is not known here");
	/* The worker of server 1 does not look at its cells for a while; it is not silent. */
	server(state, 1)->is_dp_stopped = true;
	fedmem_dp_beat(server(state, 1)->played.writer, core_now_ns() + 60000000000);
	standby_bed_map_one(*state, 1, "r0", 3, 1, second);
	f = fetch(state, 3, 1, (struct wire_token){2, 2});
	assert_false(f.is_known);
	assert_string_equal(f.why, "not yet: the data plane still applies");
	server(state, 1)->is_dp_stopped = false;
	standby_bed_turn(*state, 5);
	f = fetch(state, 3, 1, (struct wire_token){2, 2});
	assert_true(f.is_known);
	assert_true(f.is_from_memory);
	assert_int_equal(f.n_alarms, 1);
	f = fetch(state, 3, 1, (struct wire_token){1, 1});
	assert_false(f.is_known);
	assert_string_equal(f.why, "the cell has a newer token");
}

static void an_owner_that_does_not_answer_costs_half_a_second_not_the_alarms(void **state)
{
	char *were;

	history(state);
	were = standby_bed_memory(*state, 1, "r0");
	/* It never learns of the new map. */
	standby_bed_map_one(*state, 2, "r0", 2, 3, second);
	standby_bed_map_one(*state, 3, "r0", 2, 3, second);
	standby_bed_wait_restored(*state, 2, 1);
	assert_restored(state, were, 2);
}

static void an_element_takes_its_alarms_into_its_new_cell(void **state)
{
	char *are;

	standby_bed_map(*state, "r1", 2, 3, first);
	standby_bed_wait_restored(*state, 2, 1);
	standby_bed_alarm(*state, 1, 40, "port 1", FEDMEM_MAJOR);
	standby_bed_alarm(*state, 1, 40, "port 1", FEDMEM_MAJOR);
	standby_bed_wait(*state, all_done, server(state, 1));
	standby_bed_move(*state, 40, "r1");
	standby_bed_wait_restored(*state, 2, 2);
	are = standby_bed_memory(*state, 2, "r1");
	assert_non_null(strstr(are, "40 link port 1 raised severity=4"));
	assert_non_null(strstr(are, "count=2"));
	free(are);
	standby_bed_wait_whole(*state, 2, "r1");
	standby_bed_assert_same(*state, 2, 2, "r1");
	standby_bed_assert_same(*state, 2, 3, "r1");
}

static void an_element_between_two_cells_of_one_server_keeps_its_alarms(void **state)
{
	char *are;

	standby_bed_map(*state, "r1", 1, 3, first);
	standby_bed_wait_restored(*state, 1, 2);
	standby_bed_alarm(*state, 1, 40, "port 1", FEDMEM_MAJOR);
	standby_bed_wait(*state, all_done, server(state, 1));
	standby_bed_map(*state, "r1", 1, 3, second); /* of another token than "r0" */
	standby_bed_wait_restored(*state, 1, 3);
	standby_bed_move(*state, 40, "r1");
	standby_bed_wait_restored(*state, 1, 4);
	are = standby_bed_memory(*state, 1, "r1");
	assert_non_null(strstr(are, "40 link port 1 raised severity=4"));
	free(are);
}

/* ---- Nobody lives, or nobody is sure ---- */

static void memory_forget(struct bed_server *s)
{
	/* The segment is lost with the host: every record is of no token that counts. */
	for (uint64_t e = 10; e <= 3000; e += 10)
		played_report(&s->played, e, (struct fedmem_token){9, 9}, 0);
}

static void a_cold_start_restores_from_the_own_archive(void **state)
{
	char *were;

	history(state);
	standby_bed_wait_idle(*state, 1);
	were = standby_bed_memory(*state, 1, "r0");
	standby_bed_kill(*state, 1);
	memory_forget(server(state, 1));
	server(state, 1)->cells[0].is_restoring = 1;
	standby_bed_start(*state, 1);
	standby_bed_wait_restored(*state, 1, 2);
	assert_restored(state, were, 1);
	assert_int_equal(server(state, 1)->n_partial, 0);
}

static void an_archive_that_was_lost_is_written_again_from_the_memory(void **state)
{
	history(state);
	standby_bed_kill(*state, 1);
	fake_archive_lose(server(state, 1)->archive);
	standby_bed_start(*state, 1);
	standby_bed_wait_whole(*state, 1, "r0");
	standby_bed_assert_same(*state, 1, 1, "r0");
	standby_bed_assert_same(*state, 1, 2, "r0");
	assert_int_equal(server(state, 1)->n_restored, 1); /* nothing was to be restored */
	assert_true(sync_of(state, 1).is_owner);
}

static void an_owner_without_its_archive_gets_everything_from_its_standby(void **state)
{
	char *were;

	history(state);
	were = standby_bed_memory(*state, 1, "r0");
	standby_bed_kill(*state, 1);
	memory_forget(server(state, 1));
	fake_archive_lose(server(state, 1)->archive);
	server(state, 1)->cells[0].is_restoring = 1;
	standby_bed_start(*state, 1);
	standby_bed_wait_restored(*state, 1, 2);
	assert_restored(state, were, 1);
	assert_int_equal(server(state, 1)->n_partial, 0);
	standby_bed_wait_idle(*state, 1);
	standby_bed_assert_same(*state, 1, 1, "r0");
}

static void a_server_that_was_no_standby_asks_all_and_says_nothing_misses(void **state)
{
	char *were;

	history(state);
	were = standby_bed_memory(*state, 1, "r0");
	fail_over(state, 1, 3, 2, second);
	standby_bed_wait_restored(*state, 3, 1);
	assert_restored(state, were, 3);
	assert_int_equal(server(state, 3)->n_partial, 0); /* server 2 has a whole copy */
}

static void a_standby_that_is_not_sure_says_so(void **state)
{
	char *were;

	history(state);
	were = standby_bed_memory(*state, 1, "r0");
	/* It was started anew and heard nothing from the owner since. */
	fake_calls_fate(server(state, 1)->played.cluster, 2, FAKE_CALLS_FAIL);
	standby_bed_kill(*state, 2);
	standby_bed_start(*state, 2);
	fail_over(state, 1, 2, 3, second);
	standby_bed_wait_restored(*state, 2, 1);
	assert_restored(state, were, 2);
	assert_int_equal(server(state, 2)->n_partial, 1);
	assert_non_null(strstr(server(state, 2)->why, "since this server started"));
}

static bool is_silent_for_long(void *user)
{
	const uint64_t *since_ms = user;

	return core_now_ms() > *since_ms + STANDBY_SURE_MS;
}

static void a_standby_that_was_cut_off_for_long_says_so(void **state)
{
	uint64_t since_ms;
	char *were;

	history(state);
	were = standby_bed_memory(*state, 1, "r0");
	fake_calls_fate(server(state, 1)->played.cluster, 2, FAKE_CALLS_FAIL);
	since_ms = core_now_ms();
	standby_bed_wait(*state, is_silent_for_long, &since_ms);
	fail_over(state, 1, 2, 3, second);
	standby_bed_wait_restored(*state, 2, 1);
	assert_restored(state, were, 2);
	assert_int_equal(server(state, 2)->n_partial, 1);
	assert_non_null(strstr(server(state, 2)->why, "nothing came from the owner"));
}

static void an_owner_that_has_nothing_to_say_keeps_its_standby_sure(void **state)
{
	uint64_t since_ms;
	char *were;

	history(state);
	were = standby_bed_memory(*state, 1, "r0");
	since_ms = core_now_ms();
	standby_bed_wait(*state, is_silent_for_long, &since_ms);
	fail_over(state, 1, 2, 3, second);
	standby_bed_wait_restored(*state, 2, 1);
	assert_restored(state, were, 2);
	assert_int_equal(server(state, 2)->n_partial, 0);
}

static void the_newest_of_each_record_counts(void **state)
{
	char *were, *are;

	/* Server 2 has an old word, server 3 a newer one, of the same token; neither is whole. */
	standby_bed_alarm(*state, 1, 40, "port 1", FEDMEM_MAJOR);
	standby_bed_wait(*state, all_done, server(state, 1));
	standby_bed_map(*state, "r0", 1, 3, first);
	standby_bed_wait_whole(*state, 1, "r0");
	standby_bed_alarm(*state, 1, 40, "port 1", FEDMEM_CLEARED);
	standby_bed_alarm(*state, 1, 70, "port 1", FEDMEM_MAJOR);
	standby_bed_wait(*state, all_done, server(state, 1));
	were = standby_bed_memory(*state, 1, "r0");
	standby_bed_kill(*state, 3);
	standby_bed_start(*state, 3);
	fail_over(state, 1, 2, 3, third); /* two tokens on: no copy is the last owner's */
	standby_bed_wait_restored(*state, 2, 1);
	are = standby_bed_memory(*state, 2, "r0");
	assert_string_equal(are, were);
	free(are);
	free(were);
	assert_int_equal(server(state, 2)->n_partial, 1);
}

static void a_cell_that_nobody_had_is_there_at_once(void **state)
{
	standby_bed_map(*state, "r2", 3, 1, first);
	standby_bed_wait_restored(*state, 3, 1);
	assert_int_equal(server(state, 3)->n_partial, 0);
}

/* ---- Waiting for the data plane ---- */

static void a_data_plane_that_is_away_is_waited_for(void **state)
{
	char *were;

	history(state);
	were = standby_bed_memory(*state, 1, "r0");
	server(state, 2)->is_dp_stopped = true;
	fail_over(state, 1, 2, 3, second);
	standby_bed_turn(*state, 200);
	assert_int_equal(server(state, 2)->n_restored, 0);
	assert_false(standby_is_idle(server(state, 2)->standby));
	server(state, 2)->is_dp_stopped = false;
	standby_bed_wait_restored(*state, 2, 1);
	assert_restored(state, were, 2);
}

static void nothing_is_put_in_before_the_worker_follows_the_map(void **state)
{
	char *were;

	history(state);
	were = standby_bed_memory(*state, 1, "r0");
	server(state, 2)->is_dp_behind = true;
	fail_over(state, 1, 2, 3, second);
	standby_bed_turn(*state, 50);
	assert_int_equal(fedmem_injects_pushed(server(state, 2)->played.fm), 0);
	server(state, 2)->is_dp_behind = false;
	standby_bed_wait_restored(*state, 2, 1);
	assert_restored(state, were, 2);
}

static void a_cell_that_is_lost_again_is_given_up(void **state)
{
	char *were;

	history(state);
	were = standby_bed_memory(*state, 1, "r0");
	server(state, 2)->is_dp_stopped = true;
	fail_over(state, 1, 2, 3, second);
	standby_bed_turn(*state, 50);
	standby_bed_map(*state, "r0", 3, 2, third);
	standby_bed_wait_restored(*state, 3, 1);
	assert_restored(state, were, 3);
	server(state, 2)->is_dp_stopped = false;
	standby_bed_wait_whole(*state, 3, "r0");
	assert_int_equal(server(state, 2)->n_restored, 0);
	assert_true(standby_is_idle(server(state, 2)->standby));
}

#define T(name) cmocka_unit_test_setup_teardown(name, bed_open, bed_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_take_over_restores_every_alarm_with_its_first_time_and_count),
		T(what_was_restored_is_written_under_the_new_token_here_and_at_the_new_standby),
		T(a_second_take_over_loses_nothing_either),
		T(what_the_old_owner_sends_late_does_not_come_back),
		T(notes_come_along),
		T(a_move_takes_the_memory_of_the_owner_until_now),
		T(states_and_metrics_come_along),
		T(the_memory_is_given_out_only_when_its_worker_has_stopped),
		T(an_owner_that_does_not_answer_costs_half_a_second_not_the_alarms),
		T(an_element_takes_its_alarms_into_its_new_cell),
		T(an_element_between_two_cells_of_one_server_keeps_its_alarms),
		T(a_cold_start_restores_from_the_own_archive),
		T(an_archive_that_was_lost_is_written_again_from_the_memory),
		T(an_owner_without_its_archive_gets_everything_from_its_standby),
		T(a_server_that_was_no_standby_asks_all_and_says_nothing_misses),
		T(a_standby_that_is_not_sure_says_so),
		T(a_standby_that_was_cut_off_for_long_says_so),
		T(an_owner_that_has_nothing_to_say_keeps_its_standby_sure),
		T(the_newest_of_each_record_counts),
		T(a_cell_that_nobody_had_is_there_at_once),
		T(a_data_plane_that_is_away_is_waited_for),
		T(nothing_is_put_in_before_the_worker_follows_the_map),
		T(a_cell_that_is_lost_again_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
