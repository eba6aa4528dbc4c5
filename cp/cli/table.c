#include "cp/cli/table.h"

#include <inttypes.h>
#include <libsmartcols/libsmartcols.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct table {
	struct libscols_table *table;
	struct libscols_line *row;
	bool is_out_of_memory;
	bool has_header; /* printed already */
	bool has_colour;
	const struct table_column *columns;
	uint32_t n_columns;
	FILE *to;
};

struct table *table_create(const struct table_column *columns, uint32_t n_columns, FILE *to)
{
	struct table *t = calloc(1, sizeof(*t));
	const char *no_color = getenv("NO_COLOR");
	bool is_terminal = fileno(to) >= 0 && isatty(fileno(to));

	if (t == NULL)
		return NULL;
	t->to = to;
	t->columns = columns;
	t->n_columns = n_columns;
	t->table = scols_new_table();
	if (t->table == NULL) {
		table_destroy(t);
		return NULL;
	}
	t->has_colour = is_terminal && (no_color == NULL || no_color[0] == '\0');
	scols_table_set_stream(t->table, to);
	scols_table_enable_raw(t->table, !is_terminal);
	scols_table_enable_colors(t->table, t->has_colour);
	for (uint32_t i = 0; i < n_columns; i++) {
		int flags = columns[i].is_number ? SCOLS_FL_RIGHT : 0;

		if (columns[i].width > 0)
			flags |= SCOLS_FL_STRICTWIDTH;
		if (scols_table_new_column(t->table, columns[i].name, columns[i].width, flags) ==
		    NULL)
			t->is_out_of_memory = true;
	}
	return t;
}

void table_row(struct table *t)
{
	t->row = scols_table_new_line(t->table, NULL);
	t->is_out_of_memory |= t->row == NULL;
}

void table_text(struct table *t, uint32_t column, const char *text)
{
	if (t->row != NULL &&
	    scols_line_set_data(t->row, column, text[0] != '\0' ? text : "-") != 0)
		t->is_out_of_memory = true;
}

void table_number(struct table *t, uint32_t column, uint64_t value)
{
	table_format(t, column, "%" PRIu64, value);
}

void table_format(struct table *t, uint32_t column, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	if (text != NULL)
		table_text(t, column, text);
	else
		t->is_out_of_memory = true;
	free(text);
}

static void table_colour(struct table *t, uint32_t column, const char *colour)
{
	if (t->has_colour && t->row != NULL && colour != NULL)
		scols_cell_set_color(scols_line_get_cell(t->row, column), colour);
}

void table_severity(struct table *t, uint32_t column, const char *severity)
{
	static const struct {
		const char *severity, *colour;
	} colours[] = {
		{"critical", "lightred"}, {"major", "red"},	{"minor", "yellow"},
		{"warning", "cyan"},	  {"cleared", "green"}, {"indeterminate", "magenta"},
	};

	table_text(t, column, severity);
	for (size_t i = 0; i < sizeof(colours) / sizeof(colours[0]); i++)
		if (strcmp(severity, colours[i].severity) == 0)
			table_colour(t, column, colours[i].colour);
}

void table_verdict(struct table *t, uint32_t column, const char *text, bool is_good)
{
	table_text(t, column, text);
	table_colour(t, column, is_good ? "green" : "lightred");
}

/* Without rows the library prints nothing at all. */
static void header_print(struct table *t)
{
	for (uint32_t i = 0; i < t->n_columns; i++)
		fprintf(t->to, "%s%s", i > 0 ? " " : "", t->columns[i].name);
	fputc('\n', t->to);
}

bool table_print(struct table *t)
{
	if (t->is_out_of_memory)
		return false;
	if (!scols_table_is_empty(t->table)) {
		scols_table_enable_noheadings(t->table, t->has_header);
		if (scols_print_table(t->table) != 0)
			return false;
	} else if (!t->has_header) {
		header_print(t);
	}
	t->has_header = true;
	scols_table_remove_lines(t->table);
	t->row = NULL;
	return fflush(t->to) == 0;
}

void table_destroy(struct table *t)
{
	if (t == NULL)
		return;
	scols_unref_table(t->table);
	free(t);
}
