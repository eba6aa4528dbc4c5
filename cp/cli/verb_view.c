#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cp/cli/format.h"
#include "cp/cli/json.h"
#include "cp/cli/labels.h"
#include "cp/cli/pages.h"
#include "cp/cli/table.h"
#include "cp/cli/verbs.h"

#define SILENT_MS 60000u /* longer than elements leave between two reports */

/* Everything that is known of the network, from one of the two. */
struct view {
	struct session *session;
	const char *from;
	struct wire_status *status;
	struct pages pages;
	const struct wire_element **elements; /* in the pages' messages, by id */
	uint32_t n_elements;
};

static const char *state_of(const struct wire_element *e)
{
	if (e->last_seen_ns == 0)
		return "never";
	return e->age_ms > SILENT_MS ? "silent" : "reporting";
}

static enum cli_exit take_elements(struct pages *p, const struct session_reply *reply,
				   void **message, struct page *page)
{
	struct wire_element_list *m;

	if (wire_element_list_unpack(reply->bytes, reply->n, &m) != 0)
		return session_misunderstood(p->labels.session, pages_service(p->labels.session));
	*message = m;
	*page = (struct page){m->next_after, m->silent, m->n_silent, m->answered_by};
	return CLI_DONE;
}

static enum cli_exit view_status(struct view *v, bool is_stored)
{
	struct session_reply reply;
	enum cli_exit result;

	if (!is_stored)
		return verb_get_status(v->session, &v->status);
	result = session_call(v->session, DRAW_PEERED, WIRE_PATH("Peered", "GetStoredStatus"), NULL,
			      0, &reply);
	if (result != CLI_DONE)
		return result;
	if (wire_status_unpack(reply.bytes, reply.n, &v->status) != 0)
		result = session_misunderstood(v->session, DRAW_PEERED);
	session_reply_free(&reply);
	return result;
}

static int by_id(const void *left, const void *right)
{
	const struct wire_element *a = *(const struct wire_element *const *)left;
	const struct wire_element *b = *(const struct wire_element *const *)right;

	return a->id < b->id ? -1 : a->id > b->id;
}

static int by_place(const void *left, const void *right)
{
	const struct wire_element *a = *(const struct wire_element *const *)left;
	const struct wire_element *b = *(const struct wire_element *const *)right;
	int order = strcmp(a->region, b->region);

	if (order == 0 && a->owner != b->owner)
		order = a->owner < b->owner ? -1 : 1;
	return order != 0 ? order : by_id(left, right);
}

static enum cli_exit view_collect(struct view *v)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < v->pages.n_messages; i++)
		n += ((const struct wire_element_list *)v->pages.messages[i])->n_elements;
	v->elements = calloc((size_t)n + 1, sizeof(*v->elements));
	if (v->elements == NULL)
		return verb_cannot_print(v->session);
	for (uint32_t i = 0; i < v->pages.n_messages; i++) {
		const struct wire_element_list *m = v->pages.messages[i];

		for (uint32_t k = 0; k < m->n_elements; k++)
			v->elements[v->n_elements++] = &m->elements[k];
	}
	qsort(v->elements, v->n_elements, sizeof(*v->elements), by_id);
	return CLI_DONE;
}

static uint32_t elements_of(const struct view *v, uint32_t server)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < v->n_elements; i++)
		n += v->elements[i]->owner == server;
	return n;
}

/* ---- For programs ---- */

static json_t *json_of_view(const struct view *v)
{
	json_t *servers = json_of_servers(v->status), *elements = json_array(), *item;
	size_t i;

	json_array_foreach(servers, i, item) json_object_set_new(
		item, "n_elements", json_integer(elements_of(v, v->status->servers[i].id)));
	for (i = 0; i < v->n_elements; i++) {
		item = json_of_element(v->elements[i]);
		json_object_set_new(item, "state", json_string(state_of(v->elements[i])));
		if (json_array_append_new(elements, item) != 0) {
			json_decref(elements);
			elements = NULL;
			break;
		}
	}
	return json_pack("{s:s,s:I,s:I,s:I,s:o,s:o,s:o,s:I}", "from", v->from, "master",
			 json_number(v->status->master), "epoch", json_number(v->status->epoch),
			 "stored_ns", json_number(v->status->stored_ns), "servers", servers,
			 "elements", elements, "silent", pages_silent_json(&v->pages.silent),
			 "answered_by", json_number(v->pages.answered_by));
}

/* ---- For people ---- */

static bool print_servers(const struct view *v, FILE *out)
{
	static const struct table_column columns[] = {{"SERVER"},
						      {"STATE"},
						      {"ROLE"},
						      {"CELLS", .is_number = true},
						      {"ELEMENTS", .is_number = true},
						      {"DRAINED"},
						      {"STORE"}};
	struct table *t = table_create(columns, 7, out);
	bool is_printed;

	if (t == NULL)
		return false;
	for (uint32_t i = 0; i < v->status->n_servers; i++) {
		const struct wire_server *s = &v->status->servers[i];
		char label[LABEL_BYTES];

		label_of_server(label, v->status, s->id);
		table_row(t);
		table_text(t, 0, label);
		table_verdict(t, 1, s->state, strcmp(s->state, "alive") == 0);
		table_text(t, 2, s->role);
		table_number(t, 3, s->n_cells);
		table_number(t, 4, elements_of(v, s->id));
		table_text(t, 5, s->is_drained ? "yes" : "no");
		table_text(t, 6, s->store);
	}
	is_printed = table_print(t);
	table_destroy(t);
	return is_printed;
}

static bool print_elements(const struct view *v, FILE *out)
{
	static const struct table_column columns[] = {{"REGION"},
						      {"OWNER"},
						      {"ELEMENT"},
						      {"STATE"},
						      {"WORST"},
						      {"ALARMS", .is_number = true},
						      {"SEEN", .is_number = true},
						      {"SOURCE"}};
	struct table *t = table_create(columns, 8, out);
	bool is_printed;

	if (t == NULL)
		return false;
	for (uint32_t i = 0; i < v->n_elements; i++) {
		const struct wire_element *e = v->elements[i];
		char label[LABEL_BYTES], age[FORMAT_TIME_BYTES];

		table_row(t);
		table_text(t, 0, e->region);
		label_of_server(label, v->status, e->owner);
		table_text(t, 1, label);
		table_text(t, 2, e->name);
		table_verdict(t, 3, state_of(e), strcmp(state_of(e), "reporting") == 0);
		table_severity(t, 4, e->worst);
		table_number(t, 5, e->n_alarms);
		format_age(age, e->age_ms);
		table_text(t, 6, e->last_seen_ns != 0 ? age : "-");
		format_source(age, e->source, format_age_since(e->stored_ns));
		table_text(t, 7, age);
	}
	is_printed = table_print(t);
	table_destroy(t);
	return is_printed;
}

static enum cli_exit print_view(struct view *v)
{
	FILE *out = session_out(v->session);
	char label[LABEL_BYTES], age[FORMAT_TIME_BYTES];

	label_of_server(label, v->status, v->status->master);
	fprintf(out, "from         %s", v->from);
	if (v->status->stored_ns != 0) {
		format_age(age, format_age_since(v->status->stored_ns));
		fprintf(out, ", the servers as stored %s ago", age);
	}
	fprintf(out, "\nmaster       ");
	format_safe(out, v->status->master != 0 ? label : "none known");
	fprintf(out, "\nepoch        %" PRIu64 "\n\n", v->status->epoch);
	if (!print_servers(v, out) || fputc('\n', out) == EOF)
		return verb_cannot_print(v->session);
	qsort(v->elements, v->n_elements, sizeof(*v->elements), by_place);
	return print_elements(v, out) ? CLI_DONE : verb_cannot_print(v->session);
}

enum cli_exit verb_view(struct session *s, char **args, int n_args)
{
	bool is_stored = pages_service(s) == DRAW_PEERED;
	struct view v = {
		.session = s,
		.from = is_stored ? "store" : "memory",
		.pages = {.method = "ListElements", .take = take_elements, .keeps_messages = true}};
	enum cli_exit result = view_status(&v, is_stored);

	if (result == CLI_DONE)
		result = pages_fetch(&v.pages, s);
	if (result == CLI_DONE)
		result = view_collect(&v);
	if (result == CLI_DONE)
		result = session_has(s, OPTION_JSON)
				 ? json_print(json_of_view(&v), session_out(s), session_err(s))
				 : print_view(&v);
	if (result == CLI_DONE) {
		v.pages.labels.status = v.status;
		v.pages.labels.is_asked = true;
		labels_say_silent(&v.pages.labels, is_stored, v.pages.silent.ids, v.pages.silent.n);
	}
	free(v.elements);
	pages_free(&v.pages);
	wire_free(v.status);
	return result;
}
