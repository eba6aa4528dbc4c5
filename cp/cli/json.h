/* json.h - the door to jansson: our messages as JSON, with the names of proto/bellwether.proto.
 * Memory: returns new references; NULL when there is no memory, which jansson's packing passes on.
 */
#ifndef BELLWETHER_CP_CLI_JSON_H
#define BELLWETHER_CP_CLI_JSON_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "cp/cli/cli.h"
#include "cp/wire/wire.h"

/* JSON has no more than 63 bits here: what is above is INT64_MAX. */
json_int_t json_number(uint64_t value);
json_t *json_token(const struct wire_token *t);
json_t *json_of_status(const struct wire_status *m);
json_t *json_of_servers(const struct wire_status *m);
json_t *json_of_element(const struct wire_element *e);
json_t *json_of_alarm(const struct wire_alarm *a);
json_t *json_of_alarm_event(const struct wire_alarm_event *e);
json_t *json_of_event(const struct wire_event *e);
json_t *json_of_event_notice(const struct wire_event_notice *n);
json_t *json_of_command_reply(const struct wire_command_reply *r, const char *request_id);
json_t *json_of_dp_stats(const struct wire_dp_stats *m);
/* Takes 'object'; one line. */
enum cli_exit json_print(json_t *object, FILE *out, FILE *err);

#endif
