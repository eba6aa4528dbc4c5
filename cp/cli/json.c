#include "cp/cli/json.h"

#include <math.h>

json_int_t json_number(uint64_t value)
{
	return value <= INT64_MAX ? (json_int_t)value : INT64_MAX;
}

json_t *json_token(const struct wire_token *t)
{
	return json_pack("{s:I, s:I}", "epoch", json_number(t->epoch), "generation",
			 json_number(t->generation));
}

/* Appends a new reference; false: no memory. */
static bool append(json_t *array, json_t *item)
{
	return json_array_append_new(array, item) == 0;
}

static json_t *whole(json_t *array, bool is_whole)
{
	if (is_whole)
		return array;
	json_decref(array);
	return NULL;
}

json_t *json_of_servers(const struct wire_status *m)
{
	json_t *array = json_array();
	bool is_whole = array != NULL;

	for (uint32_t i = 0; i < m->n_servers && is_whole; i++) {
		const struct wire_server *s = &m->servers[i];

		is_whole = append(
			array,
			json_pack(
				"{s:I,s:s,s:I,s:s,s:s,s:I,s:b,s:s,s:s,s:I,s:b,s:I,s:I,s:b,s:b,s:s,"
				"s:I,s:I}",
				"id", json_number(s->id), "name", s->name, "rank",
				json_number(s->rank), "state", s->state, "role", s->role, "epoch",
				json_number(s->epoch), "is_voter", s->is_voter, "address",
				s->address, "client_address", s->client_address, "heard_ms_ago",
				json_number(s->heard_ms_ago), "is_dp_alive", s->is_dp_alive,
				"n_cells", json_number(s->n_cells), "boot", json_number(s->boot),
				"is_healthy", s->is_healthy, "is_drained", s->is_drained, "store",
				s->store, "store_used", json_number(s->store_used), "store_max",
				json_number(s->store_max)));
	}
	return whole(array, is_whole);
}

json_t *json_of_status(const struct wire_status *m)
{
	json_t *cells = json_array();
	bool is_whole = cells != NULL;

	for (uint32_t i = 0; i < m->n_cells && is_whole; i++) {
		const struct wire_cell *c = &m->cells[i];

		is_whole = append(
			cells, json_pack("{s:s,s:I,s:I,s:o,s:I,s:I}", "name", c->name, "owner",
					 json_number(c->owner), "standby", json_number(c->standby),
					 "token", json_token(&c->token), "n_elements",
					 json_number(c->n_elements), "pin", json_number(c->pin)));
	}
	return json_pack("{s:s,s:I,s:I,s:I,s:o,s:o,s:I,s:I,s:I,s:b,s:I,s:I}", "cluster", m->cluster,
			 "server", json_number(m->server), "master", json_number(m->master),
			 "epoch", json_number(m->epoch), "servers", json_of_servers(m), "cells",
			 whole(cells, is_whole), "map_epoch", json_number(m->map_epoch),
			 "map_version", json_number(m->map_version), "n_elements",
			 json_number(m->n_elements), "is_map_committed", m->is_map_committed,
			 "registry_committed", json_number(m->registry_committed), "stored_ns",
			 json_number(m->stored_ns));
}

/* JSON knows no infinity. */
static json_t *value_or_null(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

json_t *json_of_element(const struct wire_element *e)
{
	json_t *metrics = json_array();
	bool is_whole = metrics != NULL;

	for (uint32_t i = 0; i < e->n_metrics && is_whole; i++)
		is_whole =
			append(metrics, json_pack("{s:I,s:o}", "id", json_number(e->metrics[i].id),
						  "value", value_or_null(e->metrics[i].value)));
	return json_pack("{s:I,s:s,s:s,s:s,s:s,s:I,s:o,s:I,s:I,s:I,s:I,s:I,s:s,s:I,s:o,s:s,s:I}",
			 "id", json_number(e->id), "name", e->name, "address", e->address, "kind",
			 e->kind, "region", e->region, "owner", json_number(e->owner), "token",
			 json_token(&e->token), "answered_by", json_number(e->answered_by),
			 "last_seen_ns", json_number(e->last_seen_ns), "age_ms",
			 json_number(e->age_ms), "n_reports", json_number(e->n_reports), "n_alarms",
			 json_number(e->n_alarms), "worst", e->worst, "n_gaps",
			 json_number(e->n_gaps), "metrics", whole(metrics, is_whole), "source",
			 e->source, "stored_ns", json_number(e->stored_ns));
}

json_t *json_of_alarm(const struct wire_alarm *a)
{
	return json_pack(
		"{s:I,s:s,s:s,s:s,s:s,s:s,s:b,s:s,s:I,s:I,s:I,s:I,s:I,s:o,s:s,s:s,s:s,s:I,s:s,s:I}",
		"element_id", json_number(a->element_id), "element", a->element, "resource",
		a->resource, "type", a->type, "qualifier", a->qualifier, "severity", a->severity,
		"is_cleared", a->is_cleared, "text", a->text, "raised_ns",
		json_number(a->raised_ns), "changed_ns", json_number(a->changed_ns), "last_ns",
		json_number(a->last_ns), "count", json_number(a->count), "owner",
		json_number(a->owner), "token", json_token(&a->token), "operator_state",
		a->operator_state, "operator", a->operator_name, "operator_text", a->operator_text,
		"operator_ns", json_number(a->operator_ns), "source", a->source, "age_ms",
		json_number(a->age_ms));
}

json_t *json_of_alarm_event(const struct wire_alarm_event *e)
{
	return json_pack("{s:s,s:o,s:I,s:I,s:I,s:s}", "kind", e->kind, "alarm",
			 e->has_alarm ? json_of_alarm(&e->alarm) : json_null(), "time_ns",
			 json_number(e->time_ns), "server", json_number(e->server), "number",
			 json_number(e->number), "resume", e->resume);
}

json_t *json_of_event(const struct wire_event *e)
{
	return json_pack("{s:I,s:I,s:I,s:s,s:o,s:s,s:o,s:I,s:I,s:I,s:s,s:s,s:s}", "origin",
			 json_number(e->origin), "number", json_number(e->number), "time_ns",
			 json_number(e->time_ns), "kind", e->kind, "alarm",
			 e->has_alarm ? json_of_alarm(&e->alarm) : json_null(), "cell", e->cell,
			 "token", json_token(&e->token), "server", json_number(e->server), "was",
			 json_number(e->was), "epoch", json_number(e->epoch), "operator",
			 e->operator_name, "request_id", e->request_id, "text", e->text);
}

json_t *json_of_event_notice(const struct wire_event_notice *n)
{
	return json_pack("{s:s,s:o,s:I,s:s}", "kind", n->kind, "event",
			 n->has_event ? json_of_event(&n->event) : json_null(), "server",
			 json_number(n->server), "resume", n->resume);
}

json_t *json_of_command_reply(const struct wire_command_reply *r, const char *request_id)
{
	return json_pack("{s:s,s:b,s:s,s:I,s:I,s:I,s:I,s:I,s:b,s:I,s:b}", "request_id", request_id,
			 "is_done", r->is_done, "why", r->why, "n_added", json_number(r->n_added),
			 "n_changed", json_number(r->n_changed), "n_same", json_number(r->n_same),
			 "index", json_number(r->index), "answered_by", json_number(r->answered_by),
			 "is_repeat", r->is_repeat, "element_id", json_number(r->element_id),
			 "is_degraded", r->is_degraded);
}

static json_t *counters_of(const struct wire_counter *counters, uint32_t n)
{
	json_t *array = json_array();
	bool is_whole = array != NULL;

	for (uint32_t i = 0; i < n && is_whole; i++)
		is_whole = append(array, json_pack("{s:s,s:I,s:s,s:s}", "name", counters[i].name,
						   "value", json_number(counters[i].value), "help",
						   counters[i].help, "group", counters[i].group));
	return whole(array, is_whole);
}

json_t *json_of_dp_stats(const struct wire_dp_stats *m)
{
	json_t *equations = json_array(), *unknown = json_array();
	bool is_whole = equations != NULL && unknown != NULL;

	for (uint32_t i = 0; i < m->n_equations && is_whole; i++) {
		const struct wire_equation *e = &m->equations[i];

		is_whole = append(equations,
				  json_pack("{s:s,s:I,s:I}", "name", e->name, "in",
					    json_number(e->in), "out", json_number(e->out)));
	}
	for (uint32_t i = 0; i < m->n_unknown && is_whole; i++) {
		const struct wire_unknown *u = &m->unknown[i];

		is_whole = append(unknown, json_pack("{s:s,s:I,s:I,s:I,s:I}", "address", u->address,
						     "first_ns", json_number(u->first_ns),
						     "last_ns", json_number(u->last_ns),
						     "n_datagrams", json_number(u->n_datagrams),
						     "udp_port", json_number(u->udp_port)));
	}
	return json_pack(
		"{s:I,s:b,s:I,s:o,s:o,s:o,s:b,s:o,s:I,s:I}", "server", json_number(m->server),
		"is_dp_alive", m->is_dp_alive, "n_starts", json_number(m->n_starts), "counters",
		counters_of(m->counters, m->n_counters), "refusals",
		counters_of(m->refusals, m->n_refusals), "equations", whole(equations, is_whole),
		"holds", m->holds, "unknown", whole(unknown, is_whole), "alarms_used",
		json_number(m->alarms_used), "alarms_max", json_number(m->alarms_max));
}

enum cli_exit json_print(json_t *object, FILE *out, FILE *err)
{
	int failed = -1;

	if (object != NULL)
		failed = json_dumpf(object, out, JSON_COMPACT);
	json_decref(object);
	if (failed != 0 || fputc('\n', out) == EOF || fflush(out) != 0) {
		fprintf(err, "bellctl: cannot write the answer\n");
		return CLI_FAILED;
	}
	return CLI_DONE;
}
