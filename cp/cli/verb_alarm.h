/* verb_alarm.h - the table of alarms, which an element's page has too. */
#ifndef BELLWETHER_CP_CLI_VERB_ALARM_H
#define BELLWETHER_CP_CLI_VERB_ALARM_H

#include "cp/cli/labels.h"

/* False: it could not be written. */
bool verb_alarm_table(const struct wire_alarm *alarms, uint32_t n, struct labels *l, FILE *out);

#endif
