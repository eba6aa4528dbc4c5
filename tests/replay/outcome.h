/* outcome.h - what a data plane made of a capture, as lines of text:
 *
 *   COUNTER VALUE                             each counter that is not zero
 *   refusal REASON VALUE                      each decoder's refusal that is not zero
 *   element ID reports N gaps N boot N sequence N
 *   metric ID METRIC VALUE
 *   alarm ID TYPE "RESOURCE" "QUALIFIER" SEVERITY raised|gone COUNT "TEXT"
 *   event NUMBER raised|severity|cleared ID SEVERITY
 *   unknown ADDRESS datagrams N port N
 *   sent metrics|alarms N                     what went out to the peer
 *
 * Thread:  one.
 * Memory:  adds to 'out', which the caller empties.
 */
#ifndef BELLWETHER_TESTS_REPLAY_OUTCOME_H
#define BELLWETHER_TESTS_REPLAY_OUTCOME_H

#include "dp/fedmem/fedmem.h"
#include "tests/replay/lines.h"

void outcome_stats(const struct stats *s, struct lines *out);
/* Takes the events off their ring. */
void outcome_memory(struct fedmem *fm, struct lines *out);
void outcome_sent(const char *capture_file, struct lines *out);

#endif
