/* cluster_shell.h - servers of the cluster fixture that run cluster_server instead of
 * bellwether-cp: told what to do, and heard.
 *
 * Thread:  the test's.
 * Memory:  what is found lives until the next shell_start() of that server.
 * Returns: what goes wrong fails the test.
 */
#ifndef BELLWETHER_TESTS_UNIT_CP_CLUSTER_SHELL_H
#define BELLWETHER_TESTS_UNIT_CP_CLUSTER_SHELL_H

#include "tests/unit/cp/cluster_fixture.h"

/* 'mode': "deaf", "listen", "restore"; see cluster_server.c. What an earlier life said is
 * forgotten.
 */
void shell_start(int i, const char *mode);
void shell_start_all(const char *mode); /* and waits until the best-ranked leads all cells owned */
/* One line to it. */
void shell_say(int i, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The first line of this life that begins so, which may still have to come. */
const char *shell_heard(int i, const char *beginning);
/* Has it said such a line so far? */
bool shell_has_said(int i, const char *beginning);
uint32_t shell_count(int i, const char *beginning);
/* Asks for its status; the value of this word of the answer. */
unsigned long long shell_status(int i, const char *word);
/* What server i says of a command: the line behind "done ID ". */
const char *shell_try(int i, const char *id, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same of the master, again as often as it is not sure of itself. */
const char *shell_command(int i, const char *id, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void shell_kill(int i);
int shell_tear_down(void **state); /* and the fixture's */

#endif
