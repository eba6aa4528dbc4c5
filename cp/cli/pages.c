#include "cp/cli/pages.h"

#include <stdlib.h>
#include <string.h>

#include "cp/cli/json.h"
#include "cp/cli/table.h"
#include "cp/cli/verbs.h"

void pages_silent_add(struct pages_silent *s, const uint32_t *ids, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t k = 0;

		while (k < s->n && s->ids[k] != ids[i])
			k++;
		if (k == s->n && s->n < ENDPOINTS_MAX)
			s->ids[s->n++] = ids[i];
	}
}

json_t *pages_silent_json(const struct pages_silent *s)
{
	json_t *ids = json_array();

	for (uint32_t i = 0; i < s->n; i++)
		json_array_append_new(ids, json_integer(s->ids[i]));
	return ids;
}

enum draw_service pages_service(const struct session *s)
{
	const char *from = session_options(s)->from;

	return from != NULL && strcmp(from, "store") == 0 ? DRAW_PEERED : DRAW_FEDERATED;
}

static enum cli_exit page_keep(struct pages *p, void *message)
{
	void **more = realloc(p->messages, (p->n_messages + 1) * sizeof(*more));

	if (more == NULL) {
		wire_free(message);
		return verb_cannot_print(p->labels.session);
	}
	p->messages = more;
	p->messages[p->n_messages++] = message;
	return CLI_DONE;
}

static enum cli_exit page_ask(struct pages *p, struct session *s, uint64_t after,
			      struct session_reply *reply)
{
	const struct options *o = session_options(s);
	/* The server waits for its peers for less time than we wait for it. */
	struct wire_list_request request = {.with_cleared = session_has(s, OPTION_ALL),
					    .after_element = after,
					    .deadline_ms = (uint32_t)o->timeout_ms / 2 + 1,
					    .is_fresh = session_has(s, OPTION_FRESH),
					    .max_age_ms = (uint32_t)o->max_age_ms};
	struct wire_bytes bytes;
	enum cli_exit result;
	char path[64];

	snprintf(path, sizeof(path), "/bellwether.%s/%s",
		 pages_service(s) == DRAW_PEERED ? "Peered" : "Federated", p->method);
	if (wire_list_request_pack(&request, &bytes) != 0)
		return verb_cannot_print(s);
	result = session_call(s, pages_service(s), path, bytes.bytes, bytes.n, reply);
	wire_bytes_free(&bytes);
	return result;
}

static enum cli_exit page_run(struct pages *p, struct session *s, uint64_t *after)
{
	struct session_reply reply;
	struct page page = {};
	void *message = NULL;
	enum cli_exit result = page_ask(p, s, *after, &reply);

	if (result != CLI_DONE)
		return result;
	result = p->take(p, &reply, &message, &page);
	session_reply_free(&reply);
	if (result == CLI_DONE) {
		pages_silent_add(&p->silent, page.silent, page.n_silent);
		p->answered_by = page.answered_by;
	}
	if (result == CLI_DONE && p->keeps_messages)
		result = page_keep(p, message);
	else
		wire_free(message);
	if (result == CLI_DONE && page.next_after != 0 && page.next_after <= *after)
		result = session_misunderstood(s, pages_service(s)); /* it would never end */
	*after = page.next_after;
	return result;
}

enum cli_exit pages_fetch(struct pages *p, struct session *s)
{
	enum cli_exit result;
	uint64_t after = 0;

	p->labels = (struct labels){.session = s};
	do {
		result = page_run(p, s, &after);
		if (result == CLI_DONE && p->table != NULL && p->json == NULL &&
		    !table_print(p->table))
			result = verb_cannot_print(s);
	} while (result == CLI_DONE && after != 0);
	return result;
}

enum cli_exit pages_run(struct pages *p, struct session *s, const char *json_name)
{
	enum cli_exit result;

	p->json = session_has(s, OPTION_JSON) ? json_array() : NULL;
	result = pages_fetch(p, s);
	if (result == CLI_DONE && p->json != NULL)
		result = json_print(json_pack("{s:O,s:o,s:I}", json_name, p->json, "silent",
					      pages_silent_json(&p->silent), "answered_by",
					      json_number(p->answered_by)),
				    session_out(s), session_err(s));
	if (result == CLI_DONE)
		labels_say_silent(&p->labels, pages_service(s) == DRAW_PEERED, p->silent.ids,
				  p->silent.n);
	json_decref(p->json);
	labels_fini(&p->labels);
	return result;
}

void pages_free(struct pages *p)
{
	for (uint32_t i = 0; i < p->n_messages; i++)
		wire_free(p->messages[i]);
	free(p->messages);
}
