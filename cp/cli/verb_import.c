#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cp/cli/json.h"
#include "cp/cli/verb_change.h"
#include "cp/cli/verbs.h"
#include "dp/conf/conf.h"

#define BATCH	     2000
#define ELEMENTS_MAX 10000000
/* Of a request id: the session's, '/' and the batch's number. */
#define ID_BYTES (WIRE_REQUEST_ID_MAX + 1)

static void spec_of(struct wire_element_spec *to, const struct conf_element *from)
{
	*to = (struct wire_element_spec){
		.id = from->id, .name = from->name, .kind = from->kind, .region = from->region};
	memcpy(to->address, from->address.octets, sizeof(to->address));
}

/* Elements from 'first', at most a batch. Adds what the reply counts to 'sum'. */
static enum cli_exit import_batch(struct session *s, const struct conf_inventory *i, uint32_t first,
				  struct wire_command_reply *sum)
{
	uint32_t n = i->n_elements - first < BATCH ? i->n_elements - first : BATCH;
	struct wire_import_elements_request request = {
		.command = change_command(s),
		.elements = calloc(n + 1, sizeof(struct wire_element_spec)),
		.n_elements = n,
	};
	struct wire_command_reply *reply;
	char id[ID_BYTES];
	struct wire_bytes bytes;
	enum cli_exit result;
	int err;

	if (request.elements == NULL)
		return verb_cannot_print(s);
	for (uint32_t k = 0; k < n; k++)
		spec_of(&request.elements[k], &i->elements[first + k]);
	snprintf(id, sizeof(id), "%s/%u", session_request_id(s), first / BATCH + 1);
	request.command.request_id = id;
	err = wire_import_elements_request_pack(&request, &bytes);
	free(request.elements);
	if (err != 0)
		return verb_cannot_print(s);
	result = change_send(s, WIRE_PATH("Peered", "ImportElements"), &bytes, &reply);
	if (reply == NULL)
		return result;
	sum->n_added += reply->n_added;
	sum->n_changed += reply->n_changed;
	sum->n_same += reply->n_same;
	sum->index = reply->index;
	sum->answered_by = reply->answered_by;
	sum->is_repeat |= reply->is_repeat;
	wire_free(reply);
	return result;
}

static void say_progress(struct session *s, uint32_t n, uint32_t of)
{
	FILE *err = session_err(s);

	if (of > BATCH && fileno(err) >= 0 && isatty(fileno(err)))
		fprintf(err, "\r%u of %u elements%s", n, of, n == of ? "\n" : "");
}

static enum cli_exit import_all(struct session *s, const struct conf_inventory *i)
{
	struct wire_command_reply sum = {.why = ""};
	enum cli_exit result = CLI_DONE, printed = CLI_DONE;
	uint32_t first = 0;

	for (; result == CLI_DONE && first < i->n_elements; first += BATCH) {
		result = import_batch(s, i, first, &sum);
		say_progress(s, first + BATCH < i->n_elements ? first + BATCH : i->n_elements,
			     i->n_elements);
	}
	sum.is_done = result == CLI_DONE;
	if (!sum.is_done && first > BATCH)
		fprintf(session_err(s), "bellctl: the first %u of %u elements are in\n",
			first - BATCH, i->n_elements);
	if (session_has(s, OPTION_JSON) && (sum.is_done || result == CLI_FAILED))
		printed = json_print(json_of_command_reply(&sum, session_request_id(s)),
				     session_out(s), session_err(s));
	else if (sum.is_done)
		fprintf(session_out(s), "%u added, %u changed, %u as they were\n", sum.n_added,
			sum.n_changed, sum.n_same);
	return result != CLI_DONE ? result : printed;
}

enum cli_exit verb_element_import(struct session *s, char **args, int n_args)
{
	struct conf_findings findings = {};
	struct conf_inventory *inventory;
	enum cli_exit result;
	int answer = conf_inventory_load(&inventory, args[0], ELEMENTS_MAX, &findings);

	if (answer < 0)
		fprintf(session_err(s), "bellctl: %s: %s\n", args[0], strerror(-answer));
	else if (answer > 0)
		conf_findings_print(&findings, args[0], session_err(s));
	conf_findings_free(&findings);
	if (answer != 0)
		return CLI_USAGE;
	result = import_all(s, inventory);
	conf_inventory_free(inventory);
	return result;
}
