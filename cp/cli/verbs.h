/* verbs.h - one function a command: asks, prints, says how it went. Their output is in
 * docs/bellctl.md.
 */
#ifndef BELLWETHER_CP_CLI_VERBS_H
#define BELLWETHER_CP_CLI_VERBS_H

#include "cp/cli/cli.h"
#include "cp/cli/session.h"
#include "cp/wire/wire.h"

enum cli_exit verb_status(struct session *s, char **args, int n_args);
enum cli_exit verb_server_list(struct session *s, char **args, int n_args);
enum cli_exit verb_element_list(struct session *s, char **args, int n_args);
enum cli_exit verb_element_show(struct session *s, char **args, int n_args);
enum cli_exit verb_alarm_list(struct session *s, char **args, int n_args);
enum cli_exit verb_alarm_watch(struct session *s, char **args, int n_args);
enum cli_exit verb_alarm_ack(struct session *s, char **args, int n_args);
enum cli_exit verb_view(struct session *s, char **args, int n_args);
enum cli_exit verb_event_list(struct session *s, char **args, int n_args);
enum cli_exit verb_event_watch(struct session *s, char **args, int n_args);
enum cli_exit verb_element_import(struct session *s, char **args, int n_args);
enum cli_exit verb_element_adopt(struct session *s, char **args, int n_args);
enum cli_exit verb_element_move(struct session *s, char **args, int n_args);
enum cli_exit verb_server_drain(struct session *s, char **args, int n_args);
enum cli_exit verb_server_undrain(struct session *s, char **args, int n_args);
enum cli_exit verb_dp_stats(struct session *s, char **args, int n_args);

/* The caller frees '*out' with wire_free(). */
enum cli_exit verb_get_status(struct session *s, struct wire_status **out);
/* An id, or a name that the cluster knows. */
enum cli_exit verb_find_server(struct session *s, const char *word, uint32_t *id);
/* Said on the error stream: the answer could not be written. */
enum cli_exit verb_cannot_print(struct session *s);

#endif
