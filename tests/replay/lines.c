#include "tests/replay/lines.h"

#include <err.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void append(struct lines *l, char *line)
{
	if (l->n == l->room) {
		l->room = l->room == 0 ? 32 : 2 * l->room;
		l->items = reallocarray(l->items, l->room, sizeof(*l->items));
		if (l->items == NULL)
			err(1, "lines");
	}
	l->items[l->n++] = line;
}

void lines_add(struct lines *l, const char *format, ...)
{
	va_list args;
	char *line;
	int n;

	va_start(args, format);
	n = vasprintf(&line, format, args);
	va_end(args);
	if (n < 0)
		err(1, "lines");
	append(l, line);
}

void lines_drop(struct lines *l, const char *word)
{
	size_t n_bytes = strlen(word), kept = 0;

	for (size_t i = 0; i < l->n; i++) {
		if (strncmp(l->items[i], word, n_bytes) == 0 && l->items[i][n_bytes] == ' ')
			free(l->items[i]);
		else
			l->items[kept++] = l->items[i];
	}
	l->n = kept;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void lines_sort(struct lines *l)
{
	if (l->n > 0)
		qsort(l->items, l->n, sizeof(*l->items), compare);
}

void lines_print(const struct lines *l, const char *before, FILE *to)
{
	for (size_t i = 0; i < l->n; i++)
		fprintf(to, "%s%s\n", before, l->items[i]);
}

void lines_less(const struct lines *a, const struct lines *b, struct lines *out)
{
	size_t j = 0;

	for (size_t i = 0; i < a->n; i++) {
		while (j < b->n && strcmp(b->items[j], a->items[i]) < 0)
			j++;
		if (j < b->n && strcmp(b->items[j], a->items[i]) == 0)
			j++;
		else
			lines_add(out, "%s", a->items[i]);
	}
}

void lines_fini(struct lines *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->items[i]);
	free(l->items);
	*l = (struct lines){0};
}
