#include <errno.h>
#include <inttypes.h>

#include "cp/cli/format.h"
#include "cp/cli/json.h"
#include "cp/cli/labels.h"
#include "cp/cli/pages.h"
#include "cp/cli/table.h"
#include "cp/cli/verb_alarm.h"
#include "cp/cli/verbs.h"

static void element_row(struct table *t, struct labels *l, const struct wire_element *e)
{
	char text[LABEL_BYTES], age[FORMAT_TIME_BYTES];

	table_row(t);
	table_text(t, 0, e->name);
	table_number(t, 1, e->id);
	table_text(t, 2, e->kind);
	table_text(t, 3, e->region);
	table_text(t, 4, e->address);
	label_find(l, text, e->owner);
	table_text(t, 5, text);
	format_age(age, e->age_ms);
	table_text(t, 6, e->last_seen_ns != 0 ? age : "never");
	table_number(t, 7, e->n_reports);
	table_number(t, 8, e->n_gaps);
	table_number(t, 9, e->n_alarms);
	table_severity(t, 10, e->worst);
	format_source(age, e->source, format_age_since(e->stored_ns));
	table_text(t, 11, age);
}

static enum cli_exit take_elements(struct pages *p, const struct session_reply *reply,
				   void **message, struct page *page)
{
	struct wire_element_list *m;

	if (wire_element_list_unpack(reply->bytes, reply->n, &m) != 0)
		return session_misunderstood(p->labels.session, pages_service(p->labels.session));
	*message = m;
	*page = (struct page){m->next_after, m->silent, m->n_silent, m->answered_by};
	for (uint32_t i = 0; i < m->n_elements; i++) {
		if (p->json == NULL)
			element_row(p->table, &p->labels, &m->elements[i]);
		else if (json_array_append_new(p->json, json_of_element(&m->elements[i])) != 0)
			return verb_cannot_print(p->labels.session);
	}
	return CLI_DONE;
}

enum cli_exit verb_element_list(struct session *s, char **args, int n_args)
{
	static const struct table_column columns[] = {
		{"ELEMENT"},
		{"ID", .is_number = true},
		{"KIND"},
		{"REGION"},
		{"ADDRESS"},
		{"OWNER"},
		{"SEEN", .is_number = true},
		{"REPORTS", .is_number = true},
		{"GAPS", .is_number = true},
		{"ALARMS", .is_number = true},
		{"WORST"},
		{"SOURCE"},
	};
	struct pages p = {.method = "ListElements",
			  .take = take_elements,
			  .table = table_create(columns, 12, session_out(s))};
	enum cli_exit result;

	if (p.table == NULL)
		return verb_cannot_print(s);
	result = pages_run(&p, s, "elements");
	table_destroy(p.table);
	return result;
}

static void print_text(FILE *out, const char *name, const char *text)
{
	fprintf(out, "%-13s", name);
	format_safe(out, text);
	fputc('\n', out);
}

static bool print_metrics(const struct wire_element *e, FILE *out)
{
	static const struct table_column columns[] = {{"METRIC", .is_number = true},
						      {"VALUE", .is_number = true}};
	struct table *t = table_create(columns, 2, out);
	bool is_printed;

	if (t == NULL)
		return false;
	for (uint32_t i = 0; i < e->n_metrics; i++) {
		table_row(t);
		table_number(t, 0, e->metrics[i].id);
		table_format(t, 1, "%.15g", e->metrics[i].value);
	}
	is_printed = table_print(t);
	table_destroy(t);
	return is_printed;
}

static enum cli_exit print_element(struct session *s, const struct wire_element_reply *m)
{
	const struct wire_element *e = &m->element;
	struct labels l = {.session = s};
	char text[LABEL_BYTES], time[FORMAT_TIME_BYTES];
	FILE *out = session_out(s);
	bool is_printed = true;

	print_text(out, "element", e->name);
	fprintf(out, "id           %" PRIu64 "\n", e->id);
	print_text(out, "address", e->address);
	print_text(out, "kind", e->kind);
	print_text(out, "region", e->region);
	label_find(&l, text, e->owner);
	fprintf(out, "owner        ");
	format_safe(out, text);
	fprintf(out, ", token %" PRIu64 ".%" PRIu64 "\n", e->token.epoch, e->token.generation);
	label_find(&l, text, e->answered_by);
	print_text(out, "answered by", text);
	format_source(time, e->source, format_age_since(e->stored_ns));
	print_text(out, "source", time);
	format_time(time, e->last_seen_ns);
	fprintf(out, "last seen    %s", e->last_seen_ns != 0 ? time : "never under this owner");
	format_age(time, e->age_ms);
	fprintf(out, e->last_seen_ns != 0 ? ", %s ago\n" : "\n", time);
	fprintf(out, "reports      %" PRIu64 ", missing by sequence %" PRIu64 "\n", e->n_reports,
		e->n_gaps);
	print_text(out, "worst", e->worst);
	if (e->n_metrics > 0) {
		fputc('\n', out);
		is_printed = print_metrics(e, out);
	}
	if (m->n_alarms > 0 && is_printed) {
		fputc('\n', out);
		is_printed = verb_alarm_table(m->alarms, m->n_alarms, &l, out);
	}
	labels_fini(&l);
	return is_printed ? CLI_DONE : verb_cannot_print(s);
}

static json_t *json_of_reply(const struct wire_element_reply *m)
{
	json_t *alarms = json_array();

	for (uint32_t i = 0; i < m->n_alarms; i++)
		if (json_array_append_new(alarms, json_of_alarm(&m->alarms[i])) != 0) {
			json_decref(alarms);
			return NULL;
		}
	return json_pack("{s:o,s:o}", "element", json_of_element(&m->element), "alarms", alarms);
}

enum cli_exit verb_element_show(struct session *s, char **args, int n_args)
{
	const struct wire_element_request request = {
		.name = args[0],
		.is_fresh = session_has(s, OPTION_FRESH),
		.max_age_ms = (uint32_t)session_options(s)->max_age_ms};
	struct wire_element_reply *m;
	struct session_reply reply;
	struct wire_bytes bytes;
	enum cli_exit result;

	if (args[0][0] == '\0') {
		fprintf(session_err(s), "bellctl: an element has a name\n");
		return CLI_USAGE;
	}
	if (wire_element_request_pack(&request, &bytes) != 0)
		return verb_cannot_print(s);
	result = session_call(s, DRAW_PEERED, WIRE_PATH("Peered", "GetElement"), bytes.bytes,
			      bytes.n, &reply);
	wire_bytes_free(&bytes);
	if (result != CLI_DONE)
		return result;
	if (wire_element_reply_unpack(reply.bytes, reply.n, &m) != 0) {
		result = session_misunderstood(s, DRAW_PEERED);
	} else {
		if (session_has(s, OPTION_JSON))
			result = json_print(json_of_reply(m), session_out(s), session_err(s));
		else
			result = print_element(s, m);
		wire_free(m);
	}
	session_reply_free(&reply);
	return result;
}
