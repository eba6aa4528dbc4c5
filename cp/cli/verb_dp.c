#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cp/cli/format.h"
#include "cp/cli/json.h"
#include "cp/cli/labels.h"
#include "cp/cli/table.h"
#include "cp/cli/verbs.h"

/* Those that are not zero; 'n' of one kind, whose groups are in order already. */
static bool print_counters(const struct wire_counter *counters, uint32_t n, FILE *out)
{
	static const struct table_column columns[] = {
		{"GROUP"}, {"COUNTER"}, {"VALUE", .is_number = true}, {"MEANING"}};
	struct table *t = table_create(columns, 4, out);
	bool is_printed = true;
	uint32_t n_rows = 0;

	if (t == NULL)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		if (counters[i].value == 0)
			continue;
		n_rows++;
		table_row(t);
		table_text(t, 0, counters[i].group);
		table_text(t, 1, counters[i].name);
		table_number(t, 2, counters[i].value);
		table_text(t, 3, counters[i].help);
	}
	if (n_rows > 0)
		is_printed = fputc('\n', out) != EOF && table_print(t);
	table_destroy(t);
	return is_printed;
}

static bool print_equations(const struct wire_dp_stats *m, FILE *out)
{
	static const struct table_column columns[] = {
		{"EQUATION"}, {"IN", .is_number = true}, {"OUT", .is_number = true}, {"VERDICT"}};
	struct table *t = table_create(columns, 4, out);
	bool is_printed;

	if (t == NULL)
		return false;
	for (uint32_t i = 0; i < m->n_equations; i++) {
		const struct wire_equation *e = &m->equations[i];
		bool holds = e->in == e->out;

		table_row(t);
		table_text(t, 0, e->name);
		table_number(t, 1, e->in);
		table_number(t, 2, e->out);
		table_verdict(t, 3, holds ? "holds" : "BROKEN", holds);
	}
	is_printed = fputc('\n', out) != EOF && table_print(t);
	table_destroy(t);
	return is_printed;
}

static bool print_unknown(const struct wire_dp_stats *m, FILE *out)
{
	static const struct table_column columns[] = {{"UNKNOWN SOURCE"},
						      {"PORT", .is_number = true},
						      {"DATAGRAMS", .is_number = true},
						      {"FIRST"},
						      {"LAST"}};
	struct table *t = table_create(columns, 5, out);
	char time[FORMAT_TIME_BYTES];
	bool is_printed;

	if (t == NULL)
		return false;
	for (uint32_t i = 0; i < m->n_unknown; i++) {
		const struct wire_unknown *u = &m->unknown[i];

		table_row(t);
		table_text(t, 0, u->address);
		table_number(t, 1, u->udp_port);
		table_number(t, 2, u->n_datagrams);
		format_time(time, u->first_ns);
		table_text(t, 3, time);
		format_time(time, u->last_ns);
		table_text(t, 4, time);
	}
	is_printed = m->n_unknown == 0 || (fputc('\n', out) != EOF && table_print(t));
	table_destroy(t);
	return is_printed;
}

static enum cli_exit print_stats(struct session *s, const struct wire_dp_stats *m)
{
	struct labels l = {.session = s};
	char label[LABEL_BYTES];
	FILE *out = session_out(s);
	bool is_printed;

	label_find(&l, label, m->server);
	labels_fini(&l);
	fprintf(out, "server       ");
	format_safe(out, label);
	fprintf(out, "\ndata plane   %s, started %" PRIu64 " times\nalarms       %u of %u\n",
		m->is_dp_alive ? "alive" : "silent", m->n_starts, m->alarms_used, m->alarms_max);
	is_printed = print_counters(m->counters, m->n_counters, out) &&
		     print_counters(m->refusals, m->n_refusals, out) && print_equations(m, out) &&
		     print_unknown(m, out);
	return is_printed ? CLI_DONE : verb_cannot_print(s);
}

static bool is_balanced(const struct wire_dp_stats *m)
{
	for (uint32_t i = 0; i < m->n_equations; i++)
		if (m->equations[i].in != m->equations[i].out)
			return false;
	return m->holds;
}

enum cli_exit verb_dp_stats(struct session *s, char **args, int n_args)
{
	struct wire_dp_stats_request request = {};
	enum cli_exit result = CLI_DONE;
	struct session_reply reply;
	struct wire_dp_stats *m;
	struct wire_bytes bytes;

	if (n_args > 0)
		result = verb_find_server(s, args[0], &request.server);
	if (result != CLI_DONE)
		return result;
	if (wire_dp_stats_request_pack(&request, &bytes) != 0)
		return verb_cannot_print(s);
	result = session_call(s, DRAW_PEERED, WIRE_PATH("Peered", "GetDpStats"), bytes.bytes,
			      bytes.n, &reply);
	wire_bytes_free(&bytes);
	if (result != CLI_DONE)
		return result;
	if (wire_dp_stats_unpack(reply.bytes, reply.n, &m) != 0) {
		result = session_misunderstood(s, DRAW_PEERED);
		goto end;
	}
	if (session_has(s, OPTION_JSON))
		result = json_print(json_of_dp_stats(m), session_out(s), session_err(s));
	else
		result = print_stats(s, m);
	if (result == CLI_DONE && !is_balanced(m)) {
		fprintf(session_err(s), "bellctl: the counters do not add up\n");
		result = CLI_FAILED;
	}
	wire_free(m);
end:
	session_reply_free(&reply);
	return result;
}
