/* alarm.h - what the control plane knows of alarms: the rules that say which notification is which,
 * the words for severities, and which change of the alarm list is an event for those who watch. The
 * list itself lies in the federated memory, written by the data plane (RFC 8632).
 *
 * Thread:  control.
 * Memory:  a struct alarm_book owns three words per entry of the alarm table.
 * Returns: 0 done; <0 -errno; >0 an answer of fedmem.
 */
#ifndef BELLWETHER_CP_ALARM_ALARM_H
#define BELLWETHER_CP_ALARM_ALARM_H

#include <stdbool.h>
#include <stdint.h>

#include "dp/conf/conf.h"
#include "dp/fedmem/fedmem.h"

/* RFC 8632's words, in lower case. */
const char *alarm_severity_name(uint8_t severity);

/* Compiles the rules and puts them into the segment, all at once. -EINVAL: a rule that
 * conf_rules_load() would have refused. */
int alarm_rules_publish(struct fedmem *fm, const struct conf_rules *rules);

/* "raised", "severity", "cleared". */
const char *alarm_event_name(uint8_t kind);

/* Which change of each entry was told to the watchers last. When events did not fit the ring
 * between the processes, the table itself is read again and what is new in it is told: nothing in
 * it is lost, only changes in between that were overtaken. */
struct alarm_book; /* opaque: see book.c */

/* 'alarm' as it was with this change; its count, text and times can be newer. */
typedef void (*alarm_tell)(void *user, uint8_t kind, uint64_t number, uint64_t time_ns,
			   const struct fedmem_alarm *alarm);

/* Changes from before are not told. */
int alarm_book_create(struct alarm_book **out, struct fedmem *fm);
/* Tells what changed since the last call, a bounded part of it. '*has_lost': changes were
 * overtaken, so that an alarm which was told as raised may be gone without a word: who keeps a list
 * reads it anew. */
void alarm_book_follow(struct alarm_book *b, alarm_tell tell, void *user, bool *has_lost);
void alarm_book_destroy(struct alarm_book *b); /* takes NULL */

#endif
