#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cp/cli/format.h"
#include "cp/cli/json.h"
#include "cp/cli/labels.h"
#include "cp/cli/pages.h"
#include "cp/cli/resume.h"
#include "cp/cli/table.h"
#include "cp/cli/verbs.h"

#define PAGE_MAX 5000u /* the server's */

static const struct table_column event_columns[] = {{"TIME", .width = 24},
						    {"EVENT", .width = 17},
						    {"SEVERITY", .width = 13},
						    {"ABOUT", .width = 16},
						    {"DETAILS"}};
#define N_EVENT_COLUMNS 5

/* A word more, if it is one. */
static void word_write(FILE *to, const char *before, const char *word)
{
	if (word[0] != '\0')
		fprintf(to, "%s%s%s", ftell(to) > 0 ? " " : "", before, word);
}

/* "alpha(1) -> beta(2) epoch 2", "linkDown interface 1 by ann on it": as much as is known. */
static void details_write(FILE *to, struct labels *l, const struct wire_event *e)
{
	bool is_move = e->was != 0 || (e->server != 0 && e->cell[0] != '\0' && !e->has_alarm);
	char label[LABEL_BYTES];

	if (e->has_alarm) {
		word_write(to, "", e->alarm.type);
		word_write(to, "", e->alarm.resource);
		word_write(to, "", e->alarm.qualifier);
	}
	if (is_move) {
		label_find(l, label, e->was);
		word_write(to, "", label);
		label_find(l, label, e->server);
		word_write(to, "-> ", label);
	}
	if (strcmp(e->kind, "master") == 0)
		fprintf(to, "%sepoch %" PRIu64, ftell(to) > 0 ? " " : "", e->epoch);
	word_write(to, "by ", e->operator_name);
	word_write(to, "", e->text[0] != '\0' || !e->has_alarm ? e->text : e->alarm.text);
}

static bool event_row(struct table *t, struct labels *l, const struct wire_event *e)
{
	char label[LABEL_BYTES], time[FORMAT_TIME_BYTES], *details = NULL;
	const char *about = label;
	size_t n;
	FILE *to = open_memstream(&details, &n);

	if (to == NULL)
		return false;
	details_write(to, l, e);
	if (fclose(to) != 0) {
		free(details);
		return false;
	}
	label_find(l, label, e->server);
	if (e->has_alarm)
		about = e->alarm.element;
	else if (e->cell[0] != '\0')
		about = e->cell;
	format_time(time, e->time_ns);
	table_row(t);
	table_text(t, 0, time);
	table_text(t, 1, e->kind);
	table_severity(t, 2, e->has_alarm ? e->alarm.severity : "");
	table_text(t, 3, about);
	table_text(t, 4, details);
	free(details);
	return true;
}

/* ---- The log ---- */

struct listing {
	struct session *session;
	struct labels labels;
	struct table *table;
	json_t *json;
	struct pages_silent silent;
	uint32_t answered_by;
	char *after;	 /* the resume token, so far */
	uint64_t n_left; /* of --limit */
	bool is_more;
};

static enum cli_exit events_take(struct listing *l, const struct wire_event_list *m)
{
	for (uint32_t i = 0; i < m->n_events; i++) {
		if (l->json == NULL
			    ? !event_row(l->table, &l->labels, &m->events[i])
			    : json_array_append_new(l->json, json_of_event(&m->events[i])) != 0)
			return verb_cannot_print(l->session);
	}
	pages_silent_add(&l->silent, m->silent, m->n_silent);
	l->answered_by = m->answered_by;
	l->n_left -= m->n_events < l->n_left ? m->n_events : l->n_left;
	l->is_more = m->is_more;
	if (!resume_keep(&l->after, m->resume) || (l->json == NULL && !table_print(l->table)))
		return verb_cannot_print(l->session);
	return CLI_DONE;
}

static enum cli_exit events_ask(struct session *s, const struct wire_event_query *query,
				struct wire_event_list **out)
{
	struct session_reply reply;
	struct wire_bytes bytes;
	enum cli_exit result;

	if (wire_event_query_pack(query, &bytes) != 0)
		return verb_cannot_print(s);
	result = session_call(s, DRAW_PEERED, WIRE_PATH("Peered", "ListEvents"), bytes.bytes,
			      bytes.n, &reply);
	wire_bytes_free(&bytes);
	if (result != CLI_DONE)
		return result;
	if (wire_event_list_unpack(reply.bytes, reply.n, out) != 0)
		result = session_misunderstood(s, DRAW_PEERED);
	session_reply_free(&reply);
	return result;
}

static enum cli_exit events_page(struct listing *l)
{
	const struct options *o = session_options(l->session);
	const struct wire_event_query query = {
		.after = l->after,
		.since_ns = o->since_ns,
		.until_ns = o->until_ns,
		.element = o->element,
		.cell = o->cell,
		.kinds = (const char **)o->kinds,
		.n_kinds = o->n_kinds,
		.limit = (uint32_t)(l->n_left < PAGE_MAX ? l->n_left : PAGE_MAX),
		.is_newest = session_has(l->session, OPTION_NEWEST),
		.deadline_ms = (uint32_t)o->timeout_ms / 2 + 1,
	};
	char *before = l->after != NULL ? strdup(l->after) : NULL;
	struct wire_event_list *m;
	enum cli_exit result = events_ask(l->session, &query, &m);

	if (result == CLI_DONE) {
		result = events_take(l, m);
		/* It would never end. */
		if (result == CLI_DONE && m->is_more && before != NULL &&
		    strcmp(before, l->after) == 0)
			result = session_misunderstood(l->session, DRAW_PEERED);
		wire_free(m);
	}
	free(before);
	return result;
}

static json_t *json_of_listing(const struct listing *l)
{
	return json_pack("{s:O,s:s,s:b,s:o,s:I}", "events", l->json, "resume",
			 l->after != NULL ? l->after : "", "is_more", l->is_more, "silent",
			 pages_silent_json(&l->silent), "answered_by", json_number(l->answered_by));
}

enum cli_exit verb_event_list(struct session *s, char **args, int n_args)
{
	const struct options *o = session_options(s);
	bool is_newest = session_has(s, OPTION_NEWEST);
	struct listing l = {.session = s,
			    .labels = {.session = s},
			    .table = table_create(event_columns, N_EVENT_COLUMNS, session_out(s)),
			    .json = session_has(s, OPTION_JSON) ? json_array() : NULL,
			    .n_left = o->limit != 0 ? o->limit
				      : is_newest   ? 1000
						    : UINT64_MAX};
	enum cli_exit result = CLI_DONE;

	if (l.table == NULL || !resume_keep(&l.after, o->after))
		result = verb_cannot_print(s);
	do {
		if (result == CLI_DONE)
			result = events_page(&l);
	} while (result == CLI_DONE && l.is_more && l.n_left > 0 && !is_newest);
	if (result == CLI_DONE && l.json != NULL)
		result = json_print(json_of_listing(&l), session_out(s), session_err(s));
	if (result == CLI_DONE) {
		labels_say_silent(&l.labels, true, l.silent.ids, l.silent.n);
		resume_say(s, l.after);
	}
	free(l.after);
	json_decref(l.json);
	table_destroy(l.table);
	labels_fini(&l.labels);
	return result;
}

/* ---- As it is written ---- */

struct following {
	struct session *session;
	struct labels labels;
	struct table *table;
	uint64_t n_events;
	char *resume;
	enum cli_exit result;
};

static bool notice_print(struct following *f, const struct wire_event_notice *n)
{
	char label[LABEL_BYTES];

	if (session_has(f->session, OPTION_JSON))
		return json_print(json_of_event_notice(n), session_out(f->session),
				  session_err(f->session)) == CLI_DONE;
	if (n->has_event) {
		if (!event_row(f->table, &f->labels, &n->event))
			return false;
		return table_print(f->table);
	}
	label_find(&f->labels, label, n->server);
	table_row(f->table);
	table_text(f->table, 0, "-");
	table_text(f->table, 1, n->kind);
	table_text(f->table, 2, "-");
	table_text(f->table, 3, label);
	table_text(f->table, 4, "-");
	return table_print(f->table);
}

static bool notice_take(void *user, const uint8_t *bytes, size_t n)
{
	struct following *f = user;
	uint64_t count = session_options(f->session)->count;
	struct wire_event_notice *notice;

	if (wire_event_notice_unpack(bytes, n, &notice) != 0) {
		f->result = session_misunderstood(f->session, DRAW_FEDERATED);
		return false;
	}
	if (!notice_print(f, notice) || !resume_keep(&f->resume, notice->resume))
		f->result = verb_cannot_print(f->session);
	f->n_events += notice->has_event;
	wire_free(notice);
	return f->result == CLI_DONE && (count == 0 || f->n_events < count);
}

static int follow_pack(void *user, struct wire_bytes *request)
{
	const struct following *f = user;
	const struct options *o = session_options(f->session);

	return wire_watch_request_pack(
		&(struct wire_watch_request){.resume = f->resume,
					     .kinds = (const char **)o->kinds,
					     .n_kinds = o->n_kinds},
		request);
}

enum cli_exit verb_event_watch(struct session *s, char **args, int n_args)
{
	struct following f = {.session = s,
			      .labels = {.session = s},
			      .table =
				      table_create(event_columns, N_EVENT_COLUMNS, session_out(s))};
	enum cli_exit result;

	if (f.table == NULL || !resume_keep(&f.resume, session_options(s)->resume))
		return verb_cannot_print(s);
	if (f.resume == NULL)
		resume_begin(s, &f.resume);
	/* Not asked for from inside the stream: it would turn the loop that we are called from. */
	if (!session_has(s, OPTION_JSON))
		labels_ask(&f.labels);
	f.labels.is_asked = true;
	result = session_watch(s, WIRE_PATH("Federated", "WatchEvents"), follow_pack, notice_take,
			       &f);
	resume_say(s, f.resume);
	free(f.resume);
	table_destroy(f.table);
	labels_fini(&f.labels);
	return result == CLI_DONE ? f.result : result;
}
