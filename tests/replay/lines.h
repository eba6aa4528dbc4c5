/* lines.h - a list of lines of text, in which what is expected and what came about are compared.
 *
 * Thread:  one.
 * Memory:  lines_add() copies; lines_fini() frees. No memory ends the program: it is a test's.
 */
#ifndef BELLWETHER_TESTS_REPLAY_LINES_H
#define BELLWETHER_TESTS_REPLAY_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct lines {
	char **items;
	size_t n, room;
};

__attribute__((format(printf, 2, 3))) void lines_add(struct lines *l, const char *format, ...);
/* Takes out every line whose first word this is. */
void lines_drop(struct lines *l, const char *word);
void lines_sort(struct lines *l);
void lines_print(const struct lines *l, const char *before, FILE *to);
/* What stands in 'a' more often than in 'b', both sorted. */
void lines_less(const struct lines *a, const struct lines *b, struct lines *out);
void lines_fini(struct lines *l);

#endif
