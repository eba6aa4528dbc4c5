#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cp/cli/format.h"
#include "cp/cli/json.h"
#include "cp/cli/labels.h"
#include "cp/cli/table.h"
#include "cp/cli/verbs.h"

enum cli_exit verb_cannot_print(struct session *s)
{
	fprintf(session_err(s), "bellctl: cannot write the answer\n");
	return CLI_FAILED;
}

enum cli_exit verb_get_status(struct session *s, struct wire_status **out)
{
	struct session_reply reply;
	enum cli_exit result;

	/* StatusRequest has no fields. */
	result = session_call(s, DRAW_PEERED, WIRE_PATH("Peered", "GetStatus"), NULL, 0, &reply);
	if (result != CLI_DONE)
		return result;
	if (wire_status_unpack(reply.bytes, reply.n, out) != 0)
		result = session_misunderstood(s, DRAW_PEERED);
	session_reply_free(&reply);
	return result;
}

enum cli_exit verb_find_server(struct session *s, const char *word, uint32_t *id)
{
	struct wire_status *m;
	enum cli_exit result;
	char *end;

	if (isdigit((unsigned char)word[0])) {
		unsigned long n = strtoul(word, &end, 10);

		if (*end == '\0' && n >= 1 && n <= UINT16_MAX) {
			*id = (uint32_t)n;
			return CLI_DONE;
		}
	}
	result = verb_get_status(s, &m);
	if (result != CLI_DONE)
		return result;
	*id = 0;
	for (uint32_t i = 0; i < m->n_servers; i++)
		if (strcmp(m->servers[i].name, word) == 0)
			*id = m->servers[i].id;
	wire_free(m);
	if (*id != 0)
		return CLI_DONE;
	fprintf(session_err(s), "bellctl: no server named ");
	format_safe(session_err(s), word);
	fprintf(session_err(s), "\n");
	return CLI_NOT_FOUND;
}

static bool print_servers(const struct wire_status *m, FILE *out)
{
	static const struct table_column columns[] = {
		{"SERVER"}, {"RANK", .is_number = true},  {"ROLE"},    {"STATE"},
		{"HEALTH"}, {"CELLS", .is_number = true}, {"DRAINED"}, {"DP"},
		{"STORE"},  {"HEARD", .is_number = true}, {"VOTER"},   {"ADDRESS"},
		{"CLIENTS"}};
	struct table *t = table_create(columns, 13, out);
	bool is_printed;

	if (t == NULL)
		return false;
	for (uint32_t i = 0; i < m->n_servers; i++) {
		const struct wire_server *s = &m->servers[i];
		char label[LABEL_BYTES], age[FORMAT_TIME_BYTES];

		label_of_server(label, m, s->id);
		format_age(age, s->heard_ms_ago);
		table_row(t);
		table_text(t, 0, label);
		table_number(t, 1, s->rank);
		table_text(t, 2, s->role);
		table_text(t, 3, s->state);
		table_verdict(t, 4, s->is_healthy ? "well" : "unwell", s->is_healthy);
		table_number(t, 5, s->n_cells);
		table_text(t, 6, s->is_drained ? "yes" : "no");
		table_verdict(t, 7, s->is_dp_alive ? "alive" : "silent", s->is_dp_alive);
		table_text(t, 8, s->store);
		table_text(t, 9, s->id == m->server ? "-" : age);
		table_text(t, 10, s->is_voter ? "yes" : "no");
		table_text(t, 11, s->address);
		table_text(t, 12, s->client_address);
	}
	is_printed = table_print(t);
	table_destroy(t);
	return is_printed;
}

static bool print_cells(const struct wire_status *m, FILE *out)
{
	static const struct table_column columns[] = {
		{"CELL"}, {"OWNER"}, {"STANDBY"}, {"TOKEN"}, {"ELEMENTS", .is_number = true},
		{"PIN"}};
	struct table *t = table_create(columns, 6, out);
	bool is_printed;

	if (t == NULL)
		return false;
	for (uint32_t i = 0; i < m->n_cells; i++) {
		const struct wire_cell *c = &m->cells[i];
		char label[LABEL_BYTES];

		table_row(t);
		table_text(t, 0, c->name);
		label_of_server(label, m, c->owner);
		table_text(t, 1, label);
		label_of_server(label, m, c->standby);
		table_text(t, 2, label);
		table_format(t, 3, "%" PRIu64 ".%" PRIu64, c->token.epoch, c->token.generation);
		table_number(t, 4, c->n_elements);
		label_of_server(label, m, c->pin);
		table_text(t, 5, label);
	}
	is_printed = table_print(t);
	table_destroy(t);
	return is_printed;
}

static void print_cluster(const struct wire_status *m, FILE *out)
{
	char label[LABEL_BYTES];

	fprintf(out, "cluster      ");
	format_safe(out, m->cluster);
	label_of_server(label, m, m->server);
	fprintf(out, "\nanswered by  ");
	format_safe(out, label);
	label_of_server(label, m, m->master);
	fprintf(out, "\nmaster       ");
	format_safe(out, m->master != 0 ? label : "none known");
	fprintf(out, "\nepoch        %" PRIu64 "\nmap          %" PRIu64 ".%" PRIu64 "%s\n",
		m->epoch, m->map_epoch, m->map_version,
		m->is_map_committed ? "" : " (not yet committed)");
	fprintf(out, "elements     %u\n", m->n_elements);
}

enum cli_exit verb_status(struct session *s, char **args, int n_args)
{
	FILE *out = session_out(s);
	struct wire_status *m;
	enum cli_exit result = verb_get_status(s, &m);

	if (result != CLI_DONE)
		return result;
	if (session_has(s, OPTION_JSON)) {
		result = json_print(json_of_status(m), out, session_err(s));
	} else {
		print_cluster(m, out);
		fputc('\n', out);
		if (!print_servers(m, out) || fputc('\n', out) == EOF || !print_cells(m, out))
			result = verb_cannot_print(s);
	}
	wire_free(m);
	return result;
}

enum cli_exit verb_server_list(struct session *s, char **args, int n_args)
{
	struct wire_status *m;
	enum cli_exit result = verb_get_status(s, &m);

	if (result != CLI_DONE)
		return result;
	if (session_has(s, OPTION_JSON))
		result = json_print(json_pack("{s:o}", "servers", json_of_servers(m)),
				    session_out(s), session_err(s));
	else if (!print_servers(m, session_out(s)))
		result = verb_cannot_print(s);
	wire_free(m);
	return result;
}
