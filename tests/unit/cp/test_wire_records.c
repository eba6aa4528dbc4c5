/* The messages of registry, store, event log and commands, value by value. */
#include "tests/unit/cp/wire_samples.h"

#define INT(field)  assert_true(got->field == want->field)
#define TEXT(field) assert_string_equal(got->field, want->field)
#define OCTET(field)                                                                               \
	do {                                                                                       \
		assert_int_equal(got->field.n, want->field.n);                                     \
		if (want->field.n > 0)                                                             \
			assert_memory_equal(got->field.bytes, want->field.bytes, want->field.n);   \
	} while (0)
#define TOKEN(field)                                                                               \
	do {                                                                                       \
		INT(field.epoch);                                                                  \
		INT(field.generation);                                                             \
	} while (0)

static void same_alarm(const struct wire_alarm *got, const struct wire_alarm *want)
{
	INT(element_id);
	TEXT(element);
	TEXT(resource);
	TEXT(type);
	TEXT(qualifier);
	TEXT(severity);
	TEXT(text);
	INT(is_cleared);
	INT(raised_ns);
	INT(changed_ns);
	INT(last_ns);
	INT(count);
	INT(owner);
	TOKEN(token);
	TEXT(operator_state);
	TEXT(operator_name);
	TEXT(operator_text);
	INT(operator_ns);
	INT(age_ms);
	TEXT(source);
}

static void same_event(const struct wire_event *got, const struct wire_event *want)
{
	INT(origin);
	INT(number);
	INT(time_ns);
	TEXT(kind);
	INT(has_alarm);
	same_alarm(&got->alarm, &want->alarm);
	TEXT(cell);
	TOKEN(token);
	INT(server);
	INT(was);
	INT(epoch);
	TEXT(operator_name);
	TEXT(request_id);
	TEXT(text);
}

static void same_command(const struct wire_command *got, const struct wire_command *want)
{
	TEXT(request_id);
	TEXT(operator_name);
	INT(is_forwarded);
	TOKEN(token);
}

static void same_spec(const struct wire_element_spec *got, const struct wire_element_spec *want)
{
	INT(id);
	TEXT(name);
	TEXT(kind);
	TEXT(region);
	assert_memory_equal(got->address, want->address, 16);
}

static void same_metrics(const struct wire_metric *got, const struct wire_metric *want, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++, got++, want++) {
		INT(id);
		INT(value); /* -0.0 comes back as 0.0, which is the same number */
	}
}

static void same_stored_alarm(const struct wire_stored_alarm *got,
			      const struct wire_stored_alarm *want)
{
	INT(element_id);
	OCTET(type);
	OCTET(resource);
	OCTET(qualifier);
	OCTET(text);
	INT(state);
	INT(severity);
	INT(raised_ns);
	INT(changed_ns);
	INT(last_ns);
	INT(count);
	INT(boot);
	INT(sequence);
	INT(stored_ns);
	INT(owner);
	TOKEN(token);
	TEXT(cell);
}

static void same_stored_element(const struct wire_stored_element *got,
				const struct wire_stored_element *want)
{
	INT(id);
	TEXT(cell);
	INT(owner);
	INT(n_alarms);
	TOKEN(token);
	INT(first_seen_ns);
	INT(last_seen_ns);
	INT(n_reports);
	INT(n_gaps);
	INT(boot);
	INT(sequence);
	INT(stored_ns);
	INT(worst);
	INT(n_metrics);
	same_metrics(got->metrics, want->metrics, want->n_metrics);
}

static void same_note(const struct wire_alarm_note *got, const struct wire_alarm_note *want)
{
	INT(element_id);
	INT(raised_ns);
	INT(time_ns);
	INT(number);
	OCTET(type);
	OCTET(resource);
	OCTET(qualifier);
	INT(is_ack);
	TEXT(operator_name);
	TEXT(text);
	TEXT(request_id);
	INT(origin);
}

static void what_was_extended_comes_back_with_every_value(void **state)
{
	struct wire_status *s;
	struct wire_element_request *r;
	struct wire_element_reply *e;
	struct wire_list_request *l;
	struct wire_watch_request *w;
	struct wire_alarm_event *a;

	ROUND_TRIP(status, &status_sample, &s);
	assert_int_equal(s->registry_committed, 7);
	assert_int_equal(s->stored_ns, UINT64_MAX);
	assert_false(s->servers[0].is_drained);
	assert_true(s->servers[1].is_drained);
	assert_string_equal(s->servers[1].store, "full");
	assert_int_equal(s->servers[1].store_used, UINT64_MAX);
	assert_int_equal(s->servers[1].store_max, 1);
	assert_int_equal(s->cells[0].pin, 0);
	assert_int_equal(s->cells[1].pin, 65535);
	wire_free(s);
	ROUND_TRIP(element_request, &element_request_sample, &r);
	assert_true(r->is_fresh);
	assert_int_equal(r->max_age_ms, 9);
	assert_int_equal(r->token.epoch, 1);
	assert_int_equal(r->token.generation, 2);
	wire_free(r);
	ROUND_TRIP(element_reply, &element_reply_sample, &e);
	assert_int_equal(e->element.stored_ns, 8);
	assert_string_equal(e->element.source, "memory");
	same_alarm(&e->alarms[1], &alarms[1]);
	wire_free(e);
	ROUND_TRIP(list_request, &list_request_sample, &l);
	assert_true(l->is_fresh);
	assert_int_equal(l->max_age_ms, 5);
	wire_free(l);
	ROUND_TRIP(watch_request, &watch_request_sample, &w);
	assert_string_equal(w->resume, "1:7");
	assert_int_equal(w->n_kinds, 3);
	assert_string_equal(w->kinds[2], "cell_moved");
	wire_free(w);
	ROUND_TRIP(alarm_event, &alarm_event_sample, &a);
	assert_string_equal(a->resume, "2:9+11");
	wire_free(a);
}

static void events_come_back_with_every_value(void **state)
{
	struct wire_event *e;
	struct wire_event_list *l;
	struct wire_event_notice *n;

	ROUND_TRIP(event, &event_sample, &e);
	same_event(e, &events[1]);
	wire_free(e);
	ROUND_TRIP(event_list, &event_list_sample, &l);
	assert_int_equal(l->n_events, 2);
	assert_false(l->events[0].has_alarm);
	assert_string_equal(l->events[0].alarm.source, "");
	same_event(&l->events[1], &events[1]);
	assert_string_equal(l->resume, "1:9");
	assert_true(l->is_more);
	assert_memory_equal(l->silent, silent, sizeof(silent));
	assert_int_equal(l->answered_by, 65535);
	wire_free(l);
	ROUND_TRIP(event_notice, &event_notice_sample, &n);
	assert_true(n->has_event);
	same_event(&n->event, &events[1]);
	assert_int_equal(n->server, 65535);
	assert_string_equal(n->kind, "event");
	assert_string_equal(n->resume, "1:9");
	wire_free(n);
	ROUND_TRIP(event_notice, &(struct wire_event_notice){.kind = "silent"}, &n);
	assert_false(n->has_event);
	assert_string_equal(n->event.kind, "");
	assert_string_equal(n->event.alarm.text, "");
	wire_free(n);
}

static void event_query_comes_back_with_every_value(void **state)
{
	const struct wire_event_query *want = &event_query_sample;
	struct wire_event_query *got;

	ROUND_TRIP(event_query, want, &got);
	INT(is_local);
	INT(is_newest);
	TEXT(after);
	TEXT(element);
	TEXT(cell);
	INT(since_ns);
	INT(until_ns);
	INT(n_kinds);
	TEXT(kinds[0]);
	TEXT(kinds[2]);
	INT(limit);
	INT(deadline_ms);
	INT(origin);
	wire_free(got);
}

static void commands_come_back_with_every_value(void **state)
{
	struct wire_import_elements_request *i;
	struct wire_adopt_element_request *a;
	struct wire_move_element_request *m;
	struct wire_drain_server_request *d;

	ROUND_TRIP(import_elements_request, &import_elements_request_sample, &i);
	same_command(&i->command, &import_elements_request_sample.command);
	assert_int_equal(i->n_elements, 2);
	same_spec(&i->elements[1], &specs[1]);
	wire_free(i);
	ROUND_TRIP(adopt_element_request, &adopt_element_request_sample, &a);
	same_command(&a->command, &import_elements_request_sample.command);
	same_spec(&a->element, &specs[1]);
	wire_free(a);
	ROUND_TRIP(move_element_request, &move_element_request_sample, &m);
	same_command(&m->command, &import_elements_request_sample.command);
	assert_string_equal(m->element, "core-1");
	assert_string_equal(m->region, "south");
	assert_int_equal(m->server, 65535);
	wire_free(m);
	ROUND_TRIP(drain_server_request, &drain_server_request_sample, &d);
	same_command(&d->command, &import_elements_request_sample.command);
	assert_int_equal(d->server, 65535);
	assert_true(d->is_drained);
	wire_free(d);
}

static void acknowledgements_and_replies_come_back_with_every_value(void **state)
{
	struct wire_ack_alarm_request *a;
	struct wire_command_reply *got;
	const struct wire_command_reply *want = &command_reply_sample;

	ROUND_TRIP(ack_alarm_request, &ack_alarm_request_sample, &a);
	same_command(&a->command, &ack_alarm_request_sample.command);
	assert_string_equal(a->element, "core-1");
	assert_string_equal(a->resource, "ifIndex 7");
	assert_string_equal(a->type, "link-alarm");
	assert_string_equal(a->qualifier, "q");
	assert_string_equal(a->text, "on it");
	assert_true(a->is_ack);
	wire_free(a);
	ROUND_TRIP(command_reply, want, &got);
	INT(is_done);
	INT(is_repeat);
	INT(is_degraded);
	TEXT(why);
	INT(n_added);
	INT(n_changed);
	INT(n_same);
	INT(answered_by);
	INT(index);
	INT(element_id);
	wire_free(got);
}

static void the_log_comes_back_with_every_value(void **state)
{
	struct wire_append_request *r;
	struct wire_append_answer *a;
	struct wire_snapshot_chunk *c;
	struct wire_snapshot_answer *s;

	ROUND_TRIP(append_request, &append_request_sample, &r);
	assert_int_equal(r->epoch, 7);
	assert_int_equal(r->previous_index, 8);
	assert_int_equal(r->previous_epoch, 9);
	assert_int_equal(r->committed, UINT64_MAX);
	assert_int_equal(r->last, UINT64_MAX);
	assert_int_equal(r->to_boot, UINT32_MAX);
	assert_int_equal(r->n_entries, 3);
	assert_int_equal(r->entries[0].n, 0);
	assert_int_equal(r->entries[1].n, 9);
	assert_memory_equal(r->entries[1].bytes, "one\0entry", 9);
	assert_int_equal(r->n_runs, 2);
	assert_int_equal(r->runs[1].epoch, UINT64_MAX);
	assert_int_equal(r->runs[0].first, 8);
	wire_free(r);
	ROUND_TRIP(append_answer, &append_answer_sample, &a);
	assert_true(a->is_accepted);
	assert_int_equal(a->epoch, UINT64_MAX);
	assert_int_equal(a->match, 8);
	assert_string_equal(a->why, "why not");
	assert_int_equal(a->from, 65535);
	wire_free(a);
	ROUND_TRIP(snapshot_chunk, &snapshot_chunk_sample, &c);
	assert_int_equal(c->epoch, 7);
	assert_int_equal(c->index, 8);
	assert_int_equal(c->index_epoch, UINT64_MAX);
	assert_int_equal(c->number, UINT32_MAX);
	assert_true(c->is_last);
	assert_int_equal(c->n_rows, 2);
	assert_int_equal(c->rows[1].table, UINT32_MAX);
	assert_int_equal(c->rows[1].key.n, 4);
	assert_memory_equal(c->rows[1].value.bytes, "\0value\xff", 7);
	wire_free(c);
	ROUND_TRIP(snapshot_answer, &snapshot_answer_sample, &s);
	assert_true(s->is_accepted);
	assert_int_equal(s->epoch, UINT64_MAX);
	assert_int_equal(s->next, UINT32_MAX);
	assert_int_equal(s->from, 65535);
	assert_string_equal(s->why, "why not");
	wire_free(s);
}

static void registry_entry_comes_back_with_every_value(void **state)
{
	const struct wire_registry_entry *want = &registry_entry_sample;
	struct wire_registry_entry *got;

	ROUND_TRIP(registry_entry, want, &got);
	INT(kind);
	INT(time_ns);
	TEXT(request_id);
	TEXT(operator_name);
	TEXT(cell);
	TEXT(element);
	TEXT(event);
	INT(server);
	INT(was);
	INT(is_set);
	INT(n_cells);
	TEXT(cells[1].name);
	INT(cells[1].pin);
	INT(n_elements);
	same_spec(&got->elements[1], &want->elements[1]);
	INT(n_servers);
	assert_memory_equal(got->servers, silent, sizeof(silent));
	wire_free(got);
}

static void what_is_stored_comes_back_with_every_value(void **state)
{
	struct wire_stored_alarm *a;
	struct wire_stored_element *e;
	struct wire_alarm_note *n;
	struct wire_cell_sync *s;

	ROUND_TRIP(stored_alarm, &stored_alarm_sample, &a);
	same_stored_alarm(a, &stored_alarms[1]);
	wire_free(a);
	ROUND_TRIP(stored_element, &stored_element_sample, &e);
	same_stored_element(e, &stored_elements[1]);
	wire_free(e);
	ROUND_TRIP(alarm_note, &alarm_note_sample, &n);
	same_note(n, &notes[1]);
	wire_free(n);
	ROUND_TRIP(cell_sync, &cell_sync_sample, &s);
	assert_string_equal(s->cell, "north");
	assert_int_equal(s->token.generation, 4);
	assert_true(s->is_complete && s->is_owner);
	wire_free(s);
}

static void what_goes_to_the_standby_comes_back_with_every_value(void **state)
{
	const struct wire_replicate_request *want = &replicate_request_sample;
	struct wire_replicate_request *got;
	struct wire_replicate_answer *a;

	ROUND_TRIP(replicate_request, want, &got);
	TEXT(cell);
	TOKEN(token);
	INT(is_begin);
	INT(is_end);
	INT(is_copy);
	INT(n_alarms);
	same_stored_alarm(&got->alarms[1], &want->alarms[1]);
	INT(n_elements);
	same_stored_element(&got->elements[1], &want->elements[1]);
	INT(n_notes);
	same_note(&got->notes[1], &want->notes[1]);
	INT(n_events);
	same_event(&got->events[1], &want->events[1]);
	wire_free(got);
	ROUND_TRIP(replicate_answer, &replicate_answer_sample, &a);
	assert_true(a->is_stored && a->is_copy_wanted);
	assert_string_equal(a->why, "why not");
	assert_int_equal(a->token.epoch, 3);
	wire_free(a);
}

static void what_is_fetched_comes_back_with_every_value(void **state)
{
	const struct wire_cell_records *want = &cell_records_sample;
	struct wire_cell_records *got;
	struct wire_fetch_cell_request *f;

	ROUND_TRIP(fetch_cell_request, &fetch_cell_request_sample, &f);
	assert_string_equal(f->cell, "north");
	assert_int_equal(f->token.epoch, 3);
	assert_int_equal(f->after_element, UINT64_MAX);
	assert_int_equal(f->element, 5);
	wire_free(f);
	ROUND_TRIP(cell_records, want, &got);
	INT(is_known);
	INT(is_from_memory);
	TOKEN(token);
	INT(n_alarms);
	same_stored_alarm(&got->alarms[1], &want->alarms[1]);
	INT(n_elements);
	same_stored_element(&got->elements[1], &want->elements[1]);
	INT(n_notes);
	same_note(&got->notes[1], &want->notes[1]);
	INT(next_after);
	TEXT(why);
	wire_free(got);
}

static void the_seal_of_a_request_covers_everything_but_itself(void **state)
{
	const struct wire_sealed_request a = sealed_request_sample;
	struct wire_sealed_request resealed = a;
	struct wire_sealed_request *m;
	struct wire_bytes one, other;

	memset(resealed.seal, 0xff, sizeof(resealed.seal));
	assert_int_equal(wire_sealed_request_sealed_part(&a, &one), 0);
	ROUND_TRIP(sealed_request, &resealed, &m);
	assert_memory_equal(m->seal, resealed.seal, sizeof(resealed.seal));
	assert_string_equal(m->method, "AppendEntries");
	assert_int_equal(m->payload.n, 9);
	assert_memory_equal(m->payload.bytes, "\0payload\xff", 9);
	assert_int_equal(wire_sealed_request_sealed_part(m, &other), 0);
	assert_int_equal(one.n, other.n);
	assert_memory_equal(one.bytes, other.bytes, one.n);
	wire_bytes_free(&other);
	m->payload.n--;
	assert_int_equal(wire_sealed_request_sealed_part(m, &other), 0);
	assert_true(one.n != other.n);
	wire_bytes_free(&other);
	wire_free(m);
	/* A seal of another length is no seal: the sealed part itself is not a request. */
	assert_int_equal(wire_sealed_request_unpack(one.bytes, one.n, &m), -EBADMSG);
	wire_bytes_free(&one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_extended_comes_back_with_every_value),
		cmocka_unit_test(events_come_back_with_every_value),
		cmocka_unit_test(event_query_comes_back_with_every_value),
		cmocka_unit_test(commands_come_back_with_every_value),
		cmocka_unit_test(acknowledgements_and_replies_come_back_with_every_value),
		cmocka_unit_test(the_log_comes_back_with_every_value),
		cmocka_unit_test(registry_entry_comes_back_with_every_value),
		cmocka_unit_test(what_is_stored_comes_back_with_every_value),
		cmocka_unit_test(what_goes_to_the_standby_comes_back_with_every_value),
		cmocka_unit_test(what_is_fetched_comes_back_with_every_value),
		cmocka_unit_test(the_seal_of_a_request_covers_everything_but_itself),
	};

	return cmocka_run_group_tests(tests, samples_complete, NULL);
}
