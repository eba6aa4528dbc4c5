#include "dp/conf/findings.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

bool conf_findings_are_full(const struct conf_findings *f)
{
	return f->n >= CONF_FINDINGS_MAX;
}

/* A finding quotes the file and goes to a terminal: no control characters, no half of a UTF-8 one.
 */
static void clean(char *text)
{
	size_t n = strlen(text), start = n;

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			text[i] = '?';
	while (start > 0 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
		start--;
	if (start == 0 || (unsigned char)text[start - 1] < 0xc0)
		return;
	start--;
	if (n - start < ((unsigned char)text[start] >= 0xf0   ? 4u
			 : (unsigned char)text[start] >= 0xe0 ? 3u
							      : 2u))
		text[start] = '\0';
}

int conf_findings_add(struct conf_findings *f, uint32_t line, uint32_t column, const char *format,
		      ...)
{
	struct conf_finding *finding;
	va_list args;

	if (conf_findings_are_full(f))
		return 0;
	if ((f->n & (f->n - 1)) == 0) { /* 0, 1, 2, 4, ...: no room left */
		void *items = realloc(f->items, (f->n == 0 ? 1 : 2 * f->n) * sizeof(*f->items));

		if (items == NULL)
			return -ENOMEM;
		f->items = items;
	}
	finding = &f->items[f->n++];
	*finding = (struct conf_finding){.line = line, .column = column};
	if (conf_findings_are_full(f)) {
		finding->line = UINT32_MAX; /* sorts last */
		snprintf(finding->text, sizeof(finding->text),
			 "more than %u findings, the others are left out", CONF_FINDINGS_MAX - 1);
		return 0;
	}
	va_start(args, format);
	vsnprintf(finding->text, sizeof(finding->text), format, args);
	va_end(args);
	clean(finding->text);
	return 0;
}

static int compare(const void *a_, const void *b_)
{
	const struct conf_finding *a = a_, *b = b_;

	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	if (a->column != b->column)
		return a->column < b->column ? -1 : 1;
	return strcmp(a->text, b->text);
}

void conf_findings_sort(struct conf_findings *f)
{
	if (f->n == 0)
		return;
	qsort(f->items, f->n, sizeof(*f->items), compare);
	if (f->items[f->n - 1].line == UINT32_MAX)
		f->items[f->n - 1].line = 0;
}

void conf_findings_print(const struct conf_findings *f, const char *file, FILE *to)
{
	for (uint32_t i = 0; i < f->n; i++)
		fprintf(to, "%s:%u:%u: %s\n", file, f->items[i].line, f->items[i].column,
			f->items[i].text);
}

void conf_findings_free(struct conf_findings *f)
{
	if (f == NULL)
		return;
	free(f->items);
	*f = (struct conf_findings){0};
}
