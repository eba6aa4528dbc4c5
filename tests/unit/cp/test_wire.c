#include "tests/unit/cp/wire_samples.h"

static void every_message_packs_to_the_same_bytes_after_a_round_trip(void **state)
{
	for (size_t k = 0; k < N_KINDS; k++) {
		struct wire_bytes first, second;
		void *m;

		assert_int_equal(kinds[k].pack(kinds[k].sample, &first), 0);
		assert_true(first.n > 0);
		assert_int_equal(kinds[k].unpack(first.bytes, first.n, &m), 0);
		assert_int_equal(kinds[k].pack(m, &second), 0);
		assert_int_equal(first.n, second.n);
		assert_memory_equal(first.bytes, second.bytes, first.n);
		wire_free(m);
		wire_bytes_free(&first);
		wire_bytes_free(&second);
	}
}

static void status_comes_back_with_every_value(void **state)
{
	struct wire_status *m;

	ROUND_TRIP(status, &status_sample, &m);
	assert_string_equal(m->cluster, "lab");
	assert_int_equal(m->server, 1);
	assert_int_equal(m->master, 65535);
	assert_int_equal(m->n_elements, UINT32_MAX);
	assert_int_equal(m->epoch, 4);
	assert_int_equal(m->map_epoch, 5);
	assert_int_equal(m->map_version, 6);
	assert_true(m->is_map_committed);
	assert_int_equal(m->n_servers, 2);
	assert_string_equal(m->servers[0].name, "");
	assert_false(m->servers[0].is_voter);
	assert_string_equal(m->servers[1].name, servers[1].name);
	assert_string_equal(m->servers[1].state, "suspect");
	assert_string_equal(m->servers[1].role, "master");
	assert_string_equal(m->servers[1].address, "[2001:db8::1]:7400");
	assert_string_equal(m->servers[1].client_address, "192.0.2.1:7400");
	assert_int_equal(m->servers[1].rank, UINT32_MAX);
	assert_int_equal(m->servers[1].n_cells, UINT32_MAX);
	assert_int_equal(m->servers[1].boot, UINT32_MAX);
	assert_int_equal(m->servers[1].epoch, UINT64_MAX);
	assert_int_equal(m->servers[1].heard_ms_ago, UINT64_MAX);
	assert_true(m->servers[1].is_voter && m->servers[1].is_dp_alive &&
		    m->servers[1].is_healthy);
	assert_int_equal(m->n_cells, 2);
	assert_string_equal(m->cells[1].name, cells[1].name);
	assert_int_equal(m->cells[1].owner, 65535);
	assert_int_equal(m->cells[1].standby, 2);
	assert_int_equal(m->cells[1].n_elements, UINT32_MAX);
	assert_int_equal(m->cells[1].token.epoch, 7);
	assert_int_equal(m->cells[1].token.generation, UINT64_MAX);
	wire_free(m);
}

static void element_reply_comes_back_with_every_value(void **state)
{
	struct wire_element_reply *m;

	ROUND_TRIP(element_reply, &element_reply_sample, &m);
	assert_int_equal(m->element.id, UINT64_MAX);
	assert_string_equal(m->element.name, "core-1");
	assert_string_equal(m->element.address, "192.0.2.7");
	assert_string_equal(m->element.kind, "router");
	assert_string_equal(m->element.region, "north");
	assert_string_equal(m->element.worst, "major");
	assert_int_equal(m->element.owner, 3);
	assert_int_equal(m->element.answered_by, 65535);
	assert_int_equal(m->element.n_alarms, 2);
	assert_int_equal(m->element.token.generation, 2);
	assert_int_equal(m->element.last_seen_ns, UINT64_MAX);
	assert_int_equal(m->element.age_ms, 5);
	assert_int_equal(m->element.n_reports, 6);
	assert_int_equal(m->element.n_gaps, 7);
	assert_int_equal(m->element.n_metrics, 4);
	assert_memory_equal(&m->element.metrics[1].value, &metrics[1].value, 8);
	assert_int_equal(m->element.metrics[1].id, UINT32_MAX);
	assert_true(isinf(m->element.metrics[2].value));
	assert_int_equal(m->n_alarms, 2);
	assert_string_equal(m->alarms[1].text, "two\nlines \"quoted\"");
	assert_string_equal(m->alarms[1].element, "core-1");
	assert_string_equal(m->alarms[1].resource, "ifIndex 7");
	assert_string_equal(m->alarms[1].type, "link-alarm");
	assert_string_equal(m->alarms[1].qualifier, "q");
	assert_string_equal(m->alarms[1].severity, "critical");
	assert_true(m->alarms[1].is_cleared);
	assert_int_equal(m->alarms[1].raised_ns, 1);
	assert_int_equal(m->alarms[1].changed_ns, 2);
	assert_int_equal(m->alarms[1].last_ns, UINT64_MAX);
	assert_int_equal(m->alarms[1].count, UINT64_MAX);
	assert_int_equal(m->alarms[1].owner, 3);
	assert_int_equal(m->alarms[1].token.epoch, 1);
	wire_free(m);
}

static void lists_come_back_with_every_value(void **state)
{
	struct wire_element_list *e;
	struct wire_alarm_list *a;

	ROUND_TRIP(element_list, &element_list_sample, &e);
	assert_int_equal(e->n_elements, 2);
	assert_int_equal(e->elements[0].id, 1);
	assert_int_equal(e->next_after, UINT64_MAX);
	assert_int_equal(e->n_silent, 3);
	assert_memory_equal(e->silent, silent, sizeof(silent));
	assert_int_equal(e->answered_by, 1);
	wire_free(e);
	ROUND_TRIP(alarm_list, &alarm_list_sample, &a);
	assert_int_equal(a->n_alarms, 2);
	assert_int_equal(a->alarms[1].element_id, UINT64_MAX);
	assert_int_equal(a->next_after, UINT64_MAX);
	assert_memory_equal(a->silent, silent, sizeof(silent));
	assert_int_equal(a->answered_by, 65535);
	assert_int_equal(a->n_left_out, 9);
	wire_free(a);
}

static void requests_come_back_with_every_value(void **state)
{
	struct wire_element_request *e;
	struct wire_list_request *l;
	struct wire_watch_request *w;
	struct wire_dp_stats_request *d;
	struct wire_probe_request *p;
	const struct wire_element_request by_id = {.id = UINT64_MAX, .name = ""};

	ROUND_TRIP(element_request, &element_request_sample, &e);
	assert_int_equal(e->id, 0);
	assert_string_equal(e->name, "core-1");
	assert_true(e->is_forwarded);
	wire_free(e);
	ROUND_TRIP(element_request, &by_id, &e);
	assert_int_equal(e->id, UINT64_MAX);
	assert_string_equal(e->name, "");
	wire_free(e);
	ROUND_TRIP(list_request, &list_request_sample, &l);
	assert_true(l->is_local && l->with_cleared);
	assert_int_equal(l->after_element, UINT64_MAX);
	assert_int_equal(l->limit, UINT32_MAX);
	assert_int_equal(l->deadline_ms, UINT32_MAX);
	wire_free(l);
	ROUND_TRIP(watch_request, &watch_request_sample, &w);
	assert_true(w->is_local && w->present);
	wire_free(w);
	ROUND_TRIP(dp_stats_request, &dp_stats_request_sample, &d);
	assert_int_equal(d->server, 65535);
	assert_true(d->is_forwarded);
	wire_free(d);
	ROUND_TRIP(probe_request, &probe_request_sample, &p);
	assert_int_equal(p->server, 65535);
	wire_free(p);
}

static void dp_stats_come_back_with_every_value(void **state)
{
	struct wire_dp_stats *m;

	ROUND_TRIP(dp_stats, &dp_stats_sample, &m);
	assert_int_equal(m->server, 65535);
	assert_int_equal(m->alarms_used, 3);
	assert_int_equal(m->alarms_max, 4);
	assert_true(m->is_dp_alive && m->holds);
	assert_int_equal(m->n_starts, UINT64_MAX);
	assert_int_equal(m->n_counters, 2);
	assert_string_equal(m->counters[0].name, "frames");
	assert_string_equal(m->counters[0].help, "frames received");
	assert_string_equal(m->counters[0].group, "frame in");
	assert_int_equal(m->counters[0].value, UINT64_MAX);
	assert_int_equal(m->n_refusals, 2);
	assert_int_equal(m->n_equations, 2);
	assert_string_equal(m->equations[0].name, "steer");
	assert_int_equal(m->equations[0].in, 0);
	assert_int_equal(m->equations[0].out, UINT64_MAX);
	assert_int_equal(m->n_unknown, 2);
	assert_string_equal(m->unknown[0].address, "2001:db8::2");
	assert_int_equal(m->unknown[0].first_ns, 1);
	assert_int_equal(m->unknown[0].last_ns, UINT64_MAX);
	assert_int_equal(m->unknown[0].n_datagrams, 3);
	assert_int_equal(m->unknown[0].udp_port, 65535);
	wire_free(m);
}

static void events_and_answers_come_back_with_every_value(void **state)
{
	struct wire_alarm_event *e;
	struct wire_probe_answer *p;
	struct wire_alarm_event bare = {.kind = "lost", .server = 1};

	ROUND_TRIP(alarm_event, &alarm_event_sample, &e);
	assert_string_equal(e->kind, "raised");
	assert_true(e->has_alarm);
	assert_int_equal(e->alarm.count, UINT64_MAX);
	assert_int_equal(e->time_ns, 9);
	assert_int_equal(e->server, 2);
	assert_int_equal(e->number, UINT64_MAX);
	wire_free(e);
	ROUND_TRIP(alarm_event, &bare, &e);
	assert_false(e->has_alarm);
	assert_string_equal(e->alarm.text, "");
	wire_free(e);
	ROUND_TRIP(probe_answer, &probe_answer_sample, &p);
	assert_true(p->is_reachable);
	wire_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_packs_to_the_same_bytes_after_a_round_trip),
		cmocka_unit_test(status_comes_back_with_every_value),
		cmocka_unit_test(element_reply_comes_back_with_every_value),
		cmocka_unit_test(lists_come_back_with_every_value),
		cmocka_unit_test(requests_come_back_with_every_value),
		cmocka_unit_test(dp_stats_come_back_with_every_value),
		cmocka_unit_test(events_and_answers_come_back_with_every_value),
	};

	return cmocka_run_group_tests(tests, samples_complete, NULL);
}
