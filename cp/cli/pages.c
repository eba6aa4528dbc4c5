#include "cp/cli/pages.h"

#include <string.h>

#include "cp/cli/json.h"
#include "cp/cli/table.h"
#include "cp/cli/verbs.h"

/* Servers that were silent for any page. */
struct silent {
	uint32_t ids[ENDPOINTS_MAX];
	uint32_t n;
};

static void silent_add(struct silent *s, const uint32_t *ids, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t k = 0;

		while (k < s->n && s->ids[k] != ids[i])
			k++;
		if (k == s->n && s->n < ENDPOINTS_MAX)
			s->ids[s->n++] = ids[i];
	}
}

static enum cli_exit print_json(struct pages *p, struct session *s, const char *json_name,
				const struct silent *silent, uint32_t answered_by)
{
	json_t *ids = json_array();

	for (uint32_t i = 0; i < silent->n; i++)
		json_array_append_new(ids, json_integer(silent->ids[i]));
	return json_print(json_pack("{s:O,s:o,s:I}", json_name, p->json, "silent", ids,
				    "answered_by", json_number(answered_by)),
			  session_out(s), session_err(s));
}

static enum cli_exit page_run(struct pages *p, struct session *s, uint64_t *after,
			      struct silent *silent, uint32_t *answered_by)
{
	/* The server waits for its peers for less time than we wait for it. */
	struct wire_list_request request = {.with_cleared = p->with_cleared,
					    .after_element = *after,
					    .deadline_ms = session_options(s)->timeout_ms / 2 + 1};
	const uint32_t *ids = NULL;
	struct session_reply reply;
	struct wire_bytes bytes;
	enum cli_exit result;
	void *message = NULL;
	uint64_t next = 0;
	uint32_t n = 0;

	if (wire_list_request_pack(&request, &bytes) != 0)
		return verb_cannot_print(s);
	result = session_call(s, SESSION_FEDERATED, p->path, bytes.bytes, bytes.n, &reply);
	wire_bytes_free(&bytes);
	if (result != CLI_DONE)
		return result;
	result = p->take(p, &reply, &message, &next, &ids, &n, answered_by);
	session_reply_free(&reply);
	if (result == CLI_DONE)
		silent_add(silent, ids, n);
	wire_free(message);
	if (result == CLI_DONE && next != 0 && next <= *after)
		result = session_misunderstood(s, SESSION_FEDERATED); /* it would never end */
	*after = next;
	return result;
}

enum cli_exit pages_run(struct pages *p, struct session *s, const char *json_name)
{
	bool is_json = (session_options(s)->given & OPTION_JSON) != 0;
	struct silent silent = {};
	uint32_t answered_by = 0;
	enum cli_exit result;
	uint64_t after = 0;

	p->labels = (struct labels){.session = s};
	p->json = is_json ? json_array() : NULL;
	do {
		result = page_run(p, s, &after, &silent, &answered_by);
		if (result == CLI_DONE && !is_json && !table_print(p->table))
			result = verb_cannot_print(s);
	} while (result == CLI_DONE && after != 0);
	if (result == CLI_DONE && is_json)
		result = print_json(p, s, json_name, &silent, answered_by);
	if (result == CLI_DONE)
		labels_say_silent(&p->labels, silent.ids, silent.n);
	json_decref(p->json);
	labels_fini(&p->labels);
	return result;
}
