/* table.h - the door to libsmartcols: tables for a terminal, and raw columns for a pipe.
 * On a terminal columns line up and a severity has its colour (not with NO_COLOR); in a pipe one
 * blank stands between two columns, blanks and control characters inside one are \xHH, and an empty
 * one is "-". The header is in both.
 *
 * Memory:  copies what it is given. Running out of memory is noted and said by table_print().
 */
#ifndef BELLWETHER_CP_CLI_TABLE_H
#define BELLWETHER_CP_CLI_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct table; /* opaque: see table.c */

struct table_column {
	const char *name;
	uint32_t width; /* > 0: of this width always, because rows are printed one by one */
	bool is_number;
};

/* NULL: no memory. Keeps 'columns'. */
struct table *table_create(const struct table_column *columns, uint32_t n_columns, FILE *to);
void table_row(struct table *t);
/* Of the last row. */
void table_text(struct table *t, uint32_t column, const char *text);
void table_number(struct table *t, uint32_t column, uint64_t value);
void table_format(struct table *t, uint32_t column, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void table_severity(struct table *t, uint32_t column, const char *severity);
/* Good (green), or not (red). */
void table_verdict(struct table *t, uint32_t column, const char *text, bool is_good);
/* Prints the rows and forgets them; the header only the first time. False: no memory, or 'to' takes
 * no more. */
bool table_print(struct table *t);
void table_destroy(struct table *t); /* takes NULL */

#endif
