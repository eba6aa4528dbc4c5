#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cp/eventlog/eventlog.h"

#define SELF 1

static struct eventlog_place *place_from(const char *token)
{
	struct eventlog_place *p;

	assert_int_equal(eventlog_place_create(&p, SELF, token), 0);
	return p;
}

static bool take(struct eventlog_place *p, uint16_t origin, uint64_t number, uint16_t from)
{
	return eventlog_place_take(p, &(struct wire_event){.origin = origin, .number = number},
				   from);
}

static void assert_token(const struct eventlog_place *p, const char *expect)
{
	char token[EVENTLOG_TOKEN_MAX];

	eventlog_place_token(p, token);
	assert_string_equal(token, expect);
}

static void event_of_the_own_stream_marks_all_below_as_told(void **state)
{
	struct eventlog_place *p = place_from("");

	assert_token(p, "");
	assert_true(take(p, 2, 10, 2));
	assert_false(take(p, 2, 10, 2));
	assert_false(take(p, 2, 9, 2));
	assert_false(take(p, 2, 9, 3));
	assert_true(take(p, 2, 12, 2));
	assert_int_equal(eventlog_place_mark(p, 2), 12);
	assert_int_equal(eventlog_place_mark(p, 3), 0);
	assert_token(p, "2:12");
	eventlog_place_free(p);
}

static void event_of_a_copy_marks_only_itself(void **state)
{
	struct eventlog_place *p = place_from("2:7");

	assert_true(take(p, 2, 12, 3));
	assert_true(take(p, 2, 9, 1));
	assert_true(take(p, 2, 14, 3));
	assert_true(take(p, 2, 13, 3));
	assert_false(take(p, 2, 13, 1));
	assert_int_equal(eventlog_place_mark(p, 2), 7);
	assert_token(p, "2:7+2+3-2");
	assert_true(take(p, 2, 10, 2));
	assert_false(take(p, 2, 12, 2)); /* the copy came first */
	assert_token(p, "2:14");
	eventlog_place_free(p);
}

static void copies_without_a_gap_become_part_of_the_mark(void **state)
{
	struct eventlog_place *p = place_from("2:7+2");

	assert_true(take(p, 2, 8, 3));
	assert_token(p, "2:9");
	eventlog_place_free(p);
}

static void trail_counts_from_our_own_server_only(void **state)
{
	struct eventlog_place *p = place_from("");

	assert_false(take(p, 0, 1024, 2));
	assert_true(take(p, 0, 1024, SELF));
	assert_false(take(p, 0, 2048, 0));
	assert_true(take(p, 0, 2048, SELF));
	assert_token(p, "0:2048");
	eventlog_place_free(p);
}

static void token_says_the_same_when_it_is_read_again(void **state)
{
	static const char *const tokens[] = {"",
					     "1:0",
					     "0:5,1:1790000000123,2:7+2+3-2",
					     "2:7+2-1+3",
					     "65535:18446744073709551615",
					     "3:0+18446744073709551615"};

	for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
		struct eventlog_place *p = place_from(tokens[i]);

		assert_token(p, tokens[i]);
		eventlog_place_free(p);
	}
}

static void what_is_no_token_is_refused(void **state)
{
	static const char *const wrong[] = {"1",
					    "1:",
					    ":1",
					    "x",
					    " 1:1",
					    "1:1 ",
					    "1:1,",
					    ",1:1",
					    "1:1,,2:1",
					    "1:1+",
					    "1:1+0",
					    "1:1+1", /* part of the mark */
					    "1:1+2-",
					    "1:1+2-0",
					    "1:1-2",
					    "1:1+-2",
					    "1:1++2",
					    "2:1,1:1",
					    "1:1,1:2",
					    "65536:1",
					    "1:18446744073709551616",
					    "1:18446744073709551615+2",
					    "1:2+18446744073709551613-18446744073709551613",
					    "1:0x10"};
	struct eventlog_place *p;
	char many[EVENTLOG_TOKEN_MAX + 8];
	size_t n = 0;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(eventlog_place_create(&p, SELF, wrong[i]), -EINVAL);
	for (uint32_t i = 0; i < 66; i++) /* more origins than a cluster has servers */
		n += (size_t)snprintf(many + n, sizeof(many) - n, "%s%u:1", i > 0 ? "," : "", i);
	assert_int_equal(eventlog_place_create(&p, SELF, many), -EINVAL);
	memset(many, '0', sizeof(many));
	many[sizeof(many) - 1] = '\0';
	memcpy(many, "1:", 2);
	assert_int_equal(eventlog_place_create(&p, SELF, many), -EINVAL);
}

static void joined_token_counts_as_told(void **state)
{
	struct eventlog_place *p = place_from("1:4+3,2:10+5-2,4:1");

	assert_int_equal(eventlog_place_join(p, "nonsense"), -EINVAL);
	assert_token(p, "1:4+3,2:10+5-2,4:1");
	assert_int_equal(eventlog_place_join(p, "1:5,2:8+4+4,3:3"), 0);
	assert_token(p, "1:5+2,2:10+2+3-2,3:3,4:1");
	assert_int_equal(eventlog_place_join(p, "2:13"), 0);
	assert_token(p, "1:5+2,2:13+2-2,3:3,4:1");
	eventlog_place_free(p);
}

/* Numbers as far apart as they can be: the token stays one, and the mark only rises. */
static void more_numbers_than_a_token_holds_move_the_mark_and_say_so(void **state)
{
	struct eventlog_place *p = place_from("");
	const uint64_t step = UINT64_MAX / 4096;
	char token[EVENTLOG_TOKEN_MAX];
	bool has_skipped = false;
	uint64_t mark = 0;

	for (uint64_t i = 1; i < 4096; i++) {
		struct eventlog_place *again;

		assert_true(take(p, 2, i * step, 3));
		assert_false(take(p, 2, i * step, 3));
		assert_true(eventlog_place_mark(p, 2) >= mark);
		if (eventlog_place_mark(p, 2) != mark)
			assert_true(eventlog_place_has_skipped(p));
		assert_false(eventlog_place_has_skipped(p));
		has_skipped |= eventlog_place_mark(p, 2) != mark;
		mark = eventlog_place_mark(p, 2);
		eventlog_place_token(p, token);
		assert_true(strlen(token) < EVENTLOG_TOKEN_MAX - 1);
		again = place_from(token);
		assert_token(again, token);
		eventlog_place_free(again);
	}
	assert_true(has_skipped);
	assert_true(mark > 0 && mark < 4095 * step);
	/* The newest ones are still known one by one. */
	assert_false(take(p, 2, 4095 * step, 2));
	eventlog_place_free(p);
}

static void all_servers_of_a_cluster_fit_one_token(void **state)
{
	struct eventlog_place *p = place_from("");
	char token[EVENTLOG_TOKEN_MAX];

	for (uint16_t origin = UINT16_MAX; origin > UINT16_MAX - 64; origin--) {
		assert_true(take(p, origin, UINT64_MAX - 1000, origin));
		for (uint64_t i = 0; i < 10; i++)
			assert_true(take(p, origin, UINT64_MAX - 998 + 3 * i, SELF));
	}
	assert_true(take(p, 0, UINT64_MAX, SELF));
	assert_false(eventlog_place_has_skipped(p));
	eventlog_place_token(p, token);
	assert_true(strlen(token) > 2000);
	eventlog_place_free(p);
}

/* ---- A watch with all that can happen to it ---- */

#define EVENTS	200
#define STREAMS 3 /* the origin itself, and two servers that stand by for some of its cells */

struct stream {
	uint16_t server;
	uint32_t at; /* of its events the next to come */
	bool is_open;
};

struct world {
	uint64_t numbers[EVENTS];
	bool is_held[STREAMS][EVENTS];
	uint32_t n_written; /* so far */
	uint32_t n_told[EVENTS];
	struct stream streams[STREAMS];
	struct eventlog_place *place;
};

static uint32_t draw(uint64_t *seed, uint32_t n)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33) % n;
}

/* The next event of the stream comes, if there is one. */
static void stream_step(struct world *w, struct stream *s)
{
	uint32_t i = (uint32_t)(s - w->streams);

	if (!s->is_open)
		return;
	while (s->at < w->n_written && !w->is_held[i][s->at])
		s->at++;
	if (s->at == w->n_written)
		return;
	if (take(w->place, 2, w->numbers[s->at], s->server))
		w->n_told[s->at]++;
	s->at++;
}

/* It begins behind what the token says as the server there knows how to: by a place of its own. */
static void stream_open(struct world *w, struct stream *s)
{
	uint32_t i = (uint32_t)(s - w->streams);
	char token[EVENTLOG_TOKEN_MAX];
	struct eventlog_place *there;

	eventlog_place_token(w->place, token);
	assert_int_equal(eventlog_place_create(&there, s->server, token), 0);
	s->is_open = true;
	s->at = 0;
	while (s->at < w->n_written &&
	       (!w->is_held[i][s->at] || !take(there, 2, w->numbers[s->at], s->server)))
		s->at++;
	eventlog_place_free(there);
}

/* The client comes back with its token, maybe through another server. */
static void client_returns(struct world *w)
{
	char token[EVENTLOG_TOKEN_MAX];

	eventlog_place_token(w->place, token);
	eventlog_place_free(w->place);
	assert_int_equal(eventlog_place_create(&w->place, SELF, token), 0);
	for (uint32_t i = 0; i < STREAMS; i++)
		w->streams[i].is_open = false;
}

static void play(uint64_t seed)
{
	struct world w = {.streams = {{.server = 2}, {.server = 1}, {.server = 3}}};
	uint64_t number = draw(&seed, 3);

	for (uint32_t i = 0; i < EVENTS; i++) {
		uint32_t standby = draw(&seed, 4); /* 0: it is of no cell; 3: nobody stood by */

		number += 1 + (draw(&seed, 5) == 0 ? draw(&seed, 4) : 0);
		w.numbers[i] = number;
		w.is_held[0][i] = true;
		w.is_held[1][i] = standby == 1;
		w.is_held[2][i] = standby == 2;
	}
	w.place = place_from("");
	for (uint32_t step = 0; step < 12 * EVENTS; step++) {
		struct stream *s = &w.streams[draw(&seed, STREAMS)];
		uint32_t what = draw(&seed, 100);

		if (what < 3)
			s->is_open = false;
		else if (what < 4)
			client_returns(&w);
		else if (what < 10 && !s->is_open)
			stream_open(&w, s);
		else if (what < 35 && w.n_written < EVENTS)
			w.n_written++;
		else
			stream_step(&w, s);
		for (uint32_t i = 0; i < w.n_written; i++)
			assert_true(w.n_told[i] <= 1);
	}
	/* In the end the origin is there again. */
	w.n_written = EVENTS;
	if (!w.streams[0].is_open)
		stream_open(&w, &w.streams[0]);
	for (uint32_t i = 0; i < EVENTS; i++)
		stream_step(&w, &w.streams[0]);
	assert_false(eventlog_place_has_skipped(w.place));
	for (uint32_t i = 0; i < EVENTS; i++)
		assert_int_equal(w.n_told[i], 1);
	eventlog_place_free(w.place);
}

static void however_streams_interleave_and_break_each_event_is_told_once(void **state)
{
	for (uint64_t seed = 1; seed <= 300; seed++)
		play(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(event_of_the_own_stream_marks_all_below_as_told),
		cmocka_unit_test(event_of_a_copy_marks_only_itself),
		cmocka_unit_test(copies_without_a_gap_become_part_of_the_mark),
		cmocka_unit_test(trail_counts_from_our_own_server_only),
		cmocka_unit_test(token_says_the_same_when_it_is_read_again),
		cmocka_unit_test(what_is_no_token_is_refused),
		cmocka_unit_test(joined_token_counts_as_told),
		cmocka_unit_test(more_numbers_than_a_token_holds_move_the_mark_and_say_so),
		cmocka_unit_test(all_servers_of_a_cluster_fit_one_token),
		cmocka_unit_test(however_streams_interleave_and_break_each_event_is_told_once),
	};

	return cmocka_run_group_tests_name("eventlog_place", tests, NULL, NULL);
}
