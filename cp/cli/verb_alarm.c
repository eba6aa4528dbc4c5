#include "cp/cli/verb_alarm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cp/cli/format.h"
#include "cp/cli/json.h"
#include "cp/cli/pages.h"
#include "cp/cli/resume.h"
#include "cp/cli/table.h"
#include "cp/cli/verbs.h"

static const struct table_column alarm_columns[] = {{"SEVERITY"},
						    {"ELEMENT"},
						    {"RESOURCE"},
						    {"TYPE"},
						    {"QUALIFIER"},
						    {"CHANGED"},
						    {"COUNT", .is_number = true},
						    {"OWNER"},
						    {"OPERATOR"},
						    {"SOURCE"},
						    {"TEXT"}};
#define N_ALARM_COLUMNS 11

static void alarm_row(struct table *t, struct labels *l, const struct wire_alarm *a)
{
	char text[LABEL_BYTES], time[FORMAT_TIME_BYTES];

	table_row(t);
	table_severity(t, 0, a->is_cleared ? "cleared" : a->severity);
	table_text(t, 1, a->element);
	table_text(t, 2, a->resource);
	table_text(t, 3, a->type);
	table_text(t, 4, a->qualifier);
	format_time(time, a->changed_ns);
	table_text(t, 5, time);
	table_number(t, 6, a->count);
	label_find(l, text, a->owner);
	table_text(t, 7, text);
	if (strcmp(a->operator_state, "ack") == 0)
		table_format(t, 8, "ack %s", a->operator_name);
	else
		table_text(t, 8, "-");
	format_source(time, a->source, a->age_ms);
	table_text(t, 9, time);
	table_text(t, 10, a->text);
}

bool verb_alarm_table(const struct wire_alarm *alarms, uint32_t n, struct labels *l, FILE *out)
{
	struct table *t = table_create(alarm_columns, N_ALARM_COLUMNS, out);
	bool is_printed;

	if (t == NULL)
		return false;
	for (uint32_t i = 0; i < n; i++)
		alarm_row(t, l, &alarms[i]);
	is_printed = table_print(t);
	table_destroy(t);
	return is_printed;
}

/* A list, and how many the servers left out. */
struct alarm_pages {
	struct pages pages;
	uint64_t n_left_out;
};

static enum cli_exit take_alarms(struct pages *p, const struct session_reply *reply, void **message,
				 struct page *page)
{
	struct alarm_pages *ap = (struct alarm_pages *)p;
	struct wire_alarm_list *m;

	if (wire_alarm_list_unpack(reply->bytes, reply->n, &m) != 0)
		return session_misunderstood(p->labels.session, pages_service(p->labels.session));
	*message = m;
	*page = (struct page){m->next_after, m->silent, m->n_silent, m->answered_by};
	/* A page may count those of elements behind it too. */
	if (m->n_left_out > ap->n_left_out)
		ap->n_left_out = m->n_left_out;
	for (uint32_t i = 0; i < m->n_alarms; i++) {
		if (p->json == NULL)
			alarm_row(p->table, &p->labels, &m->alarms[i]);
		else if (json_array_append_new(p->json, json_of_alarm(&m->alarms[i])) != 0)
			return verb_cannot_print(p->labels.session);
	}
	return CLI_DONE;
}

enum cli_exit verb_alarm_list(struct session *s, char **args, int n_args)
{
	struct alarm_pages ap = {
		.pages = {.method = "ListAlarms",
			  .take = take_alarms,
			  .table = table_create(alarm_columns, N_ALARM_COLUMNS, session_out(s))}};
	enum cli_exit result;

	if (ap.pages.table == NULL)
		return verb_cannot_print(s);
	result = pages_run(&ap.pages, s, "alarms");
	if (result == CLI_DONE && ap.n_left_out > 0)
		fprintf(session_err(s),
			"bellctl: at least %" PRIu64
			" alarms are left out, the least severe of their elements\n",
			ap.n_left_out);
	table_destroy(ap.pages.table);
	return result;
}

/* ---- Watching ---- */

struct watching {
	struct session *session;
	struct labels labels;
	struct table *table;
	uint64_t n_events;
	char *resume; /* NULL: nothing to go on from */
	enum cli_exit result;
};

static bool event_print(struct watching *w, const struct wire_alarm_event *e)
{
	char text[LABEL_BYTES], time[FORMAT_TIME_BYTES];

	if (session_has(w->session, OPTION_JSON))
		return json_print(json_of_alarm_event(e), session_out(w->session),
				  session_err(w->session)) == CLI_DONE;
	format_time(time, e->time_ns);
	/* Not asked for here: it would turn the loop that we are called from. */
	w->labels.is_asked = true;
	label_find(&w->labels, text, e->server);
	table_row(w->table);
	table_text(w->table, 0, time);
	table_text(w->table, 1, e->kind);
	table_severity(w->table, 2, e->alarm.severity);
	table_text(w->table, 3, e->alarm.element);
	table_text(w->table, 4, e->alarm.resource);
	table_text(w->table, 5, e->alarm.type);
	table_text(w->table, 6, text);
	table_text(w->table, 7, e->alarm.text);
	return table_print(w->table);
}

/* From where on another server would go on. What is present comes again there when there is no such
 * place yet. */
static int watch_pack(void *user, struct wire_bytes *request)
{
	const struct watching *w = user;

	return wire_watch_request_pack(
		&(struct wire_watch_request){.present = session_has(w->session, OPTION_PRESENT) &&
							w->resume == NULL,
					     .resume = w->resume},
		request);
}

static bool event_take(void *user, const uint8_t *bytes, size_t n)
{
	struct watching *w = user;
	uint64_t count = session_options(w->session)->count;
	struct wire_alarm_event *e;

	if (wire_alarm_event_unpack(bytes, n, &e) != 0) {
		w->result = session_misunderstood(w->session, DRAW_FEDERATED);
		return false;
	}
	if (!event_print(w, e) || !resume_keep(&w->resume, e->resume))
		w->result = verb_cannot_print(w->session);
	/* That a server listens, or fell silent, is told, but is no event of an alarm. */
	w->n_events += strcmp(e->kind, "heard") != 0 && strcmp(e->kind, "silent") != 0;
	wire_free(e);
	return w->result == CLI_DONE && (count == 0 || w->n_events < count);
}

enum cli_exit verb_alarm_watch(struct session *s, char **args, int n_args)
{
	static const struct table_column columns[] = {
		{"TIME", .width = 24},	   {"EVENT", .width = 8},
		{"SEVERITY", .width = 13}, {"ELEMENT", .width = 16},
		{"RESOURCE", .width = 14}, {"TYPE", .width = 20},
		{"SERVER", .width = 12},   {"TEXT"}};
	struct watching w = {.session = s,
			     .labels = {.session = s},
			     .table = table_create(columns, 8, session_out(s))};
	enum cli_exit result;

	if (w.table == NULL || !resume_keep(&w.resume, session_options(s)->resume))
		return verb_cannot_print(s);
	if (w.resume == NULL && !session_has(s, OPTION_PRESENT))
		resume_begin(s, &w.resume);
	if (!session_has(s, OPTION_JSON))
		labels_ask(&w.labels); /* before the stream begins */
	result =
		session_watch(s, WIRE_PATH("Federated", "WatchAlarms"), watch_pack, event_take, &w);
	resume_say(s, w.resume);
	free(w.resume);
	table_destroy(w.table);
	labels_fini(&w.labels);
	return result == CLI_DONE ? w.result : result;
}
