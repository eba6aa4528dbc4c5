/* resume.h - the token from which a watch or a list goes on, through whichever server. */
#ifndef BELLWETHER_CP_CLI_RESUME_H
#define BELLWETHER_CP_CLI_RESUME_H

#include <stdbool.h>

#include "cp/cli/session.h"

/* Puts a copy of the token in place of '*kept'; NULL or "" leaves that as it is. False: no memory.
 */
bool resume_keep(char **kept, const char *token);
/* Where the log ends now, so that a watch that begins there misses nothing, whatever dies. When
 * nobody says, '*kept' stays: the watch begins when its server takes it. */
void resume_begin(struct session *s, char **kept);
/* With --verbose, on the error stream. Takes NULL. */
void resume_say(const struct session *s, const char *token);

#endif
