#include "cp/cli/labels.h"

#include <string.h>

#include "cp/cli/format.h"
#include "cp/cli/verbs.h"

static void label_write(char text[LABEL_BYTES], const char *name, uint32_t id)
{
	if (id == 0)
		strcpy(text, "-");
	else if (name == NULL || name[0] == '\0')
		snprintf(text, LABEL_BYTES, "%u", id);
	else
		snprintf(text, LABEL_BYTES, "%.60s(%u)", name, id);
}

void label_of_server(char text[LABEL_BYTES], const struct wire_status *status, uint32_t id)
{
	const char *name = NULL;

	for (uint32_t i = 0; i < status->n_servers; i++)
		if (status->servers[i].id == id)
			name = status->servers[i].name;
	label_write(text, name, id);
}

void labels_ask(struct labels *l)
{
	struct session_reply reply;

	if (l->is_asked)
		return;
	l->is_asked = true;
	if (session_call_aside(l->session, WIRE_PATH("Peered", "GetStatus"), NULL, 0, &reply) !=
	    CLI_DONE)
		return;
	if (wire_status_unpack(reply.bytes, reply.n, &l->status) != 0)
		l->status = NULL;
	session_reply_free(&reply);
}

void label_find(struct labels *l, char text[LABEL_BYTES], uint32_t id)
{
	const struct endpoints *e = session_endpoints(l->session);

	for (uint32_t i = 0; i < e->n && id != 0; i++)
		if (e->items[i].id == id) {
			label_write(text, e->items[i].name, id);
			return;
		}
	if (id != 0)
		labels_ask(l);
	if (l->status != NULL)
		label_of_server(text, l->status, id);
	else
		label_write(text, NULL, id);
}

void labels_say_silent(struct labels *l, bool is_stored, const uint32_t *ids, uint32_t n)
{
	char text[LABEL_BYTES];

	if (n == 0)
		return;
	fprintf(session_err(l->session), "bellctl: silent, so what %s is missing:",
		is_stored ? "nobody else has stored" : "they own");
	for (uint32_t i = 0; i < n; i++) {
		label_find(l, text, ids[i]);
		fprintf(session_err(l->session), "%s ", i > 0 ? "," : "");
		format_safe(session_err(l->session), text);
	}
	fprintf(session_err(l->session), "\n");
}

void labels_fini(struct labels *l)
{
	wire_free(l->status);
}
