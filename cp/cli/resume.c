#include "cp/cli/resume.h"

#include <stdlib.h>
#include <string.h>

#include "cp/cli/format.h"

bool resume_keep(char **kept, const char *token)
{
	char *copy;

	if (token == NULL || token[0] == '\0')
		return true;
	copy = strdup(token);
	if (copy == NULL)
		return false;
	free(*kept);
	*kept = copy;
	return true;
}

void resume_begin(struct session *s, char **kept)
{
	const struct wire_event_query query = {
		.limit = 1,
		.is_newest = true,
		.deadline_ms = (uint32_t)session_options(s)->timeout_ms / 2 + 1};
	struct session_reply reply;
	struct wire_event_list *m;
	struct wire_bytes bytes;
	enum cli_exit result;

	if (wire_event_query_pack(&query, &bytes) != 0)
		return;
	result = session_call_aside(s, WIRE_PATH("Peered", "ListEvents"), bytes.bytes, bytes.n,
				    &reply);
	wire_bytes_free(&bytes);
	if (result != CLI_DONE)
		return;
	if (wire_event_list_unpack(reply.bytes, reply.n, &m) == 0) {
		(void)resume_keep(kept, m->resume);
		wire_free(m);
	}
	session_reply_free(&reply);
}

void resume_say(const struct session *s, const char *token)
{
	if (token == NULL || token[0] == '\0' || !session_has(s, OPTION_VERBOSE))
		return;
	fprintf(session_err(s), "bellctl: resume ");
	format_safe(session_err(s), token);
	fputc('\n', session_err(s));
}
