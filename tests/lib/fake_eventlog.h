/* fake_eventlog.h - the part of cp/eventlog that the services ask, in memory. Resume tokens are the
 * real ones.
 *
 * Memory:  fake_eventlog_create() allocates, eventlog_destroy() frees; events are copied.
 */
#ifndef BELLWETHER_TESTS_LIB_FAKE_EVENTLOG_H
#define BELLWETHER_TESTS_LIB_FAKE_EVENTLOG_H

#include "cp/eventlog/eventlog.h"

struct eventlog *fake_eventlog_create(uint16_t self);
/* Comes onto this server's disk, and the followers see it. One that is there already is not taken
 * again. */
void fake_eventlog_put(struct eventlog *l, const struct wire_event *e);
uint64_t fake_eventlog_next(struct eventlog *l); /* number of its own */
/* What is appended from now on: waits until it is let go; was not stored at a standby. */
void fake_eventlog_hold(struct eventlog *l, bool is_held);
void fake_eventlog_degrade(struct eventlog *l, bool is_degraded);
uint32_t fake_eventlog_appends(const struct eventlog *l);
/* The note that came with the last append; NULL: none did. */
const struct wire_alarm_note *fake_eventlog_note(const struct eventlog *l);

#endif
