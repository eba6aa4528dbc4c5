/* core.h - what every module of the control plane stands on: the log and the clocks.
 * One line of the log is one event with its identities, written with one system call:
 *   2026-01-31T09:00:00.123Z info election: master server=2 epoch=7
 * Octets that could break a line or a terminal are replaced, whoever they come from.
 *
 * Thread:  any.
 * Memory:  borrows; allocates nothing.
 * Returns: nothing can fail; a line that standard error does not take is lost.
 */
#ifndef BELLWETHER_CP_CORE_CORE_H
#define BELLWETHER_CP_CORE_CORE_H

#include <stdint.h>

enum core_level {
	CORE_ERROR,   /* someone should act */
	CORE_WARNING, /* service is reduced */
	CORE_INFO,    /* a change of role, owner, peer or configuration */
	CORE_DEBUG,   /* all else */
};

#define CORE_LOG_BYTES 1024 /* a longer line is cut */

/* Lines above this level are left out; CORE_INFO at first. Before any thread is started. */
void core_log_level_set(enum core_level level);

/* "module: what happened key=value key=value", without a newline. */
void core_log(enum core_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* CLOCK_BOOTTIME: monotonic, and it counts through suspension. */
uint64_t core_now_ms(void);
uint64_t core_now_ns(void);
/* Since 1970, UTC; for people and for the outside, never for time-outs. */
uint64_t core_wall_ns(void);

#endif
