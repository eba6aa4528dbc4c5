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

/* Which change of each entry of the alarm table was told last, and from where on to go on: the
 * changes come by the data plane's ring, and what did not fit it is in the table, which is read
 * again then: nothing in it is lost, only changes in between that were overtaken. */
struct alarm_book; /* opaque: see book.c */

/* What was told so far. Kept with what was told of, by whoever stores that, it tells a new process
 * where to go on. All zero: nothing. Plain octets, for a record of this host alone. */
struct alarm_place {
	uint64_t number;    /* all changes up to this one, or what overtook them */
	uint64_t overflows; /* of the ring, that were made good for */
	uint64_t
		scan_limit; /* the table is being read: changes up to this one of the entries ... */
	uint64_t scan_at;   /* ... below this one were told too */
};

/* 'alarm' as it was with this change; its count, text and times can be newer. */
typedef void (*alarm_tell)(void *user, uint8_t kind, uint64_t number, uint64_t time_ns,
			   const struct fedmem_alarm *alarm);

/* The state in which this alarm was told last by an earlier process or owner, an enum
 * fedmem_alarm_state; FREE: it was not. Asked of alarms that have changed since 'from', and of
 * those that were put into the memory without a change: only so is it known that an entry which was
 * cleared and raised since held the same alarm before. */
typedef uint8_t (*alarm_was)(void *user, const struct fedmem_alarm *alarm);

/* Changes up to 'from' are not told. */
int alarm_book_create(struct alarm_book **out, struct fedmem *fm, const struct alarm_place *from,
		      alarm_was was, void *user);
/* Tells what changed since the last call, at most ALARM_TELLS_A_TURN changes of it. '*has_lost':
 * changes were overtaken, so that an alarm which was told as raised may be gone without a word: who
 * keeps a list reads it anew. */
#define ALARM_TELLS_A_TURN 512
void alarm_book_follow(struct alarm_book *b, alarm_tell tell, void *user, bool *has_lost);
/* Up to where it has told. */
struct alarm_place alarm_book_place(const struct alarm_book *b);
/* What was told up to 'number' is stored: the ring need not keep it any longer. */
void alarm_book_release(struct alarm_book *b, uint64_t number);
void alarm_book_destroy(struct alarm_book *b); /* takes NULL */

#endif
