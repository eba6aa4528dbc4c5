#include "tests/unit/cp/rpc_bed.h"

/* ---- Unary ---- */

static void an_answer_carries_the_bytes_of_the_handler(void **state)
{
	struct answer a;

	call(*state, &a, "/test.Unary/Echo", "hello", CALL_MS);
	assert_int_equal(a.status, RPC_OK);
	assert_int_equal(a.n, 5);
	assert_memory_equal(a.bytes, "hello", 5);
	call(*state, &a, "/test.Unary/Echo", "", CALL_MS);
	assert_int_equal(a.status, RPC_OK);
	assert_int_equal(a.n, 0);
}

static void a_refusal_carries_status_and_text(void **state)
{
	struct answer a;

	call(*state, &a, "/test.Unary/Refuse", "", CALL_MS);
	assert_int_equal(a.status, RPC_NOT_FOUND);
	assert_string_equal(a.why, "no element named x");
	assert_string_equal(rpc_status_name(a.status), "NOT_FOUND");
}

static void an_unknown_method_is_unimplemented(void **state)
{
	struct answer a;

	call(*state, &a, "/test.Unary/Nothing", "", CALL_MS);
	assert_int_equal(a.status, RPC_UNIMPLEMENTED);
}

static void a_call_nobody_answers_ends_at_its_deadline(void **state)
{
	struct bed *b = *state;
	struct answer a;

	call(b, &a, "/test.Unary/Hold", "", 100);
	assert_int_equal(a.status, RPC_DEADLINE_EXCEEDED);
	UNTIL(b, b->n_held_gone > 0);
	rpc_call_reply(b->held, (const uint8_t *)"late", 4);
	b->held = NULL;
	call(b, &a, "/test.Unary/Echo", "x", CALL_MS);
	assert_int_equal(a.status, RPC_OK);
	assert_int_equal(b->n_held_gone, 1);
}

static void a_handler_sees_the_time_that_is_left(void **state)
{
	struct answer a;
	uint32_t ms;

	call(*state, &a, "/test.Unary/Left", "", WAIT_MS);
	assert_int_equal(a.n, sizeof(ms));
	memcpy(&ms, a.bytes, sizeof(ms));
	/* The library rounds what it sends up, to three digits, and turns one clock into another.
	 */
	assert_true(ms > 0 && ms <= WAIT_MS + WAIT_MS / 100);
	call(*state, &a, "/test.Unary/Left", "", UINT32_MAX);
	memcpy(&ms, a.bytes, sizeof(ms));
	assert_true(ms == UINT32_MAX);
}

static void a_later_reply_reaches_the_client(void **state)
{
	struct bed *b = *state;
	struct answer a = {0};

	assert_int_equal(rpc_client_call(b->client, b->address, "/test.Unary/Hold", NULL, 0,
					 CALL_MS, done, &a),
			 0);
	UNTIL(b, b->held != NULL);
	assert_false(a.is_done);
	rpc_call_reply(b->held, (const uint8_t *)"now", 3);
	b->held = NULL;
	UNTIL(b, a.is_done);
	assert_int_equal(a.status, RPC_OK);
	assert_memory_equal(a.bytes, "now", 3);
	assert_int_equal(b->n_held_gone, 0);
}

static void many_calls_at_once_are_all_answered(void **state)
{
	struct bed *b = *state;
	static struct answer answers[2000];
	uint32_t n_done;

	memset(answers, 0, sizeof(answers));
	for (size_t i = 0; i < 2000; i++)
		assert_int_equal(rpc_client_call(b->client, b->address, "/test.Unary/Echo",
						 (const uint8_t *)&i, sizeof(i), CALL_MS, done,
						 &answers[i]),
				 0);
	UNTIL(b, ({
		      n_done = 0;
		      for (size_t i = 0; i < 2000; i++)
			      n_done += answers[i].is_done;
		      n_done == 2000;
	      }));
	for (size_t i = 0; i < 2000; i++) {
		assert_int_equal(answers[i].status, RPC_OK);
		assert_int_equal(answers[i].n_done, 1);
		assert_memory_equal(answers[i].bytes, &i, sizeof(i));
	}
}

static void a_message_over_the_limit_is_refused_and_does_no_harm(void **state)
{
	struct bed *b = *state;
	uint8_t *bytes = calloc(1, RPC_MESSAGE_MAX + 1);
	struct answer a = {0};

	assert_non_null(bytes);
	assert_int_equal(rpc_client_call(b->client, b->address, "/test.Unary/Echo", bytes,
					 RPC_MESSAGE_MAX + 1, CALL_MS, done, &a),
			 -EMSGSIZE);
	assert_int_equal(rpc_client_call(b->client, b->address, "/test.Unary/Echo", bytes,
					 RPC_MESSAGE_MAX, CALL_MS, done, &a),
			 0);
	UNTIL(b, a.is_done);
	assert_int_equal(a.status, RPC_OK);
	assert_int_equal(a.n, RPC_MESSAGE_MAX);
	free(bytes);
	call(b, &a, "/test.Unary/Long", "", CALL_MS);
	assert_int_equal(a.status, RPC_RESOURCE_EXHAUSTED);
}

static void nobody_listening_is_unavailable(void **state)
{
	struct bed *b = *state;
	struct answer a;

	snprintf(b->address, sizeof(b->address), "127.0.0.1:%d", free_port());
	call(b, &a, "/test.Unary/Echo", "", CALL_MS);
	assert_int_equal(a.status, RPC_UNAVAILABLE);
}

static void an_address_that_is_none_is_refused(void **state)
{
	static const char *const wrong[] = {
		"",	    "127.0.0.1",   "127.0.0.1:",  "127.0.0.1:x",
		":7400",    "127.0.0.1:0", "localhost:1", "127.0.0.1:65536",
		"::1:7400", "[::1]",	   "[::1:7400",	  "[x]:1"};
	struct bed *b = *state;
	struct rpc_server *s;
	struct answer a;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(
			rpc_client_call(b->client, wrong[i], "/x/y", NULL, 0, CALL_MS, done, &a),
			-EINVAL);
		assert_int_equal(rpc_server_create(&s, &b->loop, &wrong[i], 1, NULL, 0), -EINVAL);
	}
}

/* ---- Streams ---- */

static void ten_thousand_messages_come_in_order(void **state)
{
	struct bed *b = *state;
	struct answer a;

	subscribe(b, &a);
	UNTIL(b, b->watcher.call != NULL);
	while (b->watcher.n_sent < 10000) {
		pump(&b->watcher, 10000, 4);
		uv_run(&b->loop, UV_RUN_NOWAIT);
	}
	rpc_call_end(b->watcher.call);
	b->watcher.call = NULL;
	UNTIL(b, a.is_done);
	assert_int_equal(a.status, RPC_OK);
	assert_int_equal(a.n_messages, 10000);
	assert_int_equal(a.n_disordered, 0);
	assert_int_equal(b->watcher.n_gone, 0);
}

static void a_slow_watcher_fills_the_queue_and_loses_nothing_that_was_taken(void **state)
{
	struct bed *b = *state;
	uint32_t n_sent;
	struct answer a;

	subscribe(b, &a);
	UNTIL(b, b->watcher.call != NULL);
	/* The loop does not turn here, so nothing is delivered. */
	pump(&b->watcher, 1000000, STREAM_BYTES);
	assert_true(b->watcher.is_full);
	assert_true(b->watcher.n_sent >= RPC_STREAM_QUEUE);
	n_sent = b->watcher.n_sent;
	UNTIL(b, a.n_messages == n_sent);
	assert_int_equal(send_number(b->watcher.call, n_sent, 4), 0);
	rpc_call_end(b->watcher.call);
	b->watcher.call = NULL;
	UNTIL(b, a.is_done);
	assert_int_equal(a.n_messages, n_sent + 1);
	assert_int_equal(a.n_disordered, 0);
}

static void a_failed_stream_drops_what_waits_and_says_why(void **state)
{
	struct bed *b = *state;
	struct answer a;

	subscribe(b, &a);
	UNTIL(b, b->watcher.call != NULL);
	pump(&b->watcher, 1000000, STREAM_BYTES);
	rpc_call_fail(b->watcher.call, RPC_RESOURCE_EXHAUSTED, "too slow");
	b->watcher.call = NULL;
	UNTIL(b, a.is_done);
	assert_int_equal(a.status, RPC_RESOURCE_EXHAUSTED);
	assert_string_equal(a.why, "too slow");
	assert_true(a.n_messages < b->watcher.n_sent);
	assert_int_equal(a.n_disordered, 0);
}

static void a_client_that_cancels_is_noticed_once(void **state)
{
	struct bed *b = *state;
	struct rpc_request *r;
	struct answer a;

	r = subscribe(b, &a);
	UNTIL(b, b->watcher.call != NULL);
	pump(&b->watcher, 10, 4);
	UNTIL(b, a.n_messages == 10);
	rpc_request_cancel(r);
	UNTIL(b, a.is_done && b->watcher.n_gone > 0);
	assert_int_equal(a.status, RPC_CANCELLED);
	/* To the dead it may be sent, and is dropped. */
	b->watcher.n_sent = 0;
	pump(&b->watcher, 2 * RPC_STREAM_QUEUE, 4);
	assert_false(b->watcher.is_full);
	call(b, &a, "/test.Unary/Echo", "", CALL_MS);
	assert_int_equal(b->watcher.n_gone, 1);
	rpc_call_end(b->watcher.call);
	b->watcher.call = NULL;
	call(b, &a, "/test.Unary/Echo", "", CALL_MS);
	assert_int_equal(b->watcher.n_gone, 1);
}

static void who_asks_too_late_is_still_told(void **state)
{
	struct bed *b = *state;
	struct rpc_request *r;
	struct answer a, echo_answer;

	r = subscribe(b, &a);
	UNTIL(b, b->watcher.call != NULL);
	rpc_call_on_cancel(b->watcher.call, NULL, NULL);
	rpc_request_cancel(r);
	UNTIL(b, a.is_done);
	for (int i = 0; i < 20; i++) /* the notice passes meanwhile */
		call(b, &echo_answer, "/test.Unary/Echo", "", CALL_MS);
	rpc_call_on_cancel(b->watcher.call, watcher_gone, &b->watcher);
	assert_int_equal(b->watcher.n_gone, 0); /* not from inside */
	UNTIL(b, b->watcher.n_gone == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLAIM(an_answer_carries_the_bytes_of_the_handler),
		CLAIM(a_refusal_carries_status_and_text),
		CLAIM(an_unknown_method_is_unimplemented),
		CLAIM(a_call_nobody_answers_ends_at_its_deadline),
		CLAIM(a_handler_sees_the_time_that_is_left),
		CLAIM(a_later_reply_reaches_the_client),
		CLAIM(many_calls_at_once_are_all_answered),
		CLAIM(a_message_over_the_limit_is_refused_and_does_no_harm),
		CLAIM(nobody_listening_is_unavailable),
		CLAIM(an_address_that_is_none_is_refused),
		CLAIM(ten_thousand_messages_come_in_order),
		CLAIM(a_slow_watcher_fills_the_queue_and_loses_nothing_that_was_taken),
		CLAIM(a_failed_stream_drops_what_waits_and_says_why),
		CLAIM(a_client_that_cancels_is_noticed_once),
		CLAIM(who_asks_too_late_is_still_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
