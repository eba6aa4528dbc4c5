#include "cp/cli/verb_change.h"

#include <inttypes.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "cp/cli/format.h"
#include "cp/cli/json.h"
#include "cp/cli/labels.h"
#include "cp/cli/verbs.h"
#include "dp/conf/conf.h"

static const char *operator_of(const struct session *s)
{
	const struct passwd *user;

	if (session_options(s)->operator_name != NULL)
		return session_options(s)->operator_name;
	user = getpwuid(getuid());
	return user != NULL ? user->pw_name : "";
}

struct wire_command change_command(const struct session *s)
{
	return (struct wire_command){.request_id = session_request_id(s),
				     .operator_name = operator_of(s)};
}

enum cli_exit change_send(struct session *s, const char *path, struct wire_bytes *request,
			  struct wire_command_reply **out)
{
	struct session_reply reply;
	enum cli_exit result = session_command(s, path, request->bytes, request->n, &reply);

	*out = NULL;
	wire_bytes_free(request);
	if (result == CLI_UNREACHABLE)
		fprintf(session_err(s), "bellctl: it may have been done all the same: request %s\n",
			session_request_id(s));
	if (result != CLI_DONE)
		return result;
	if (wire_command_reply_unpack(reply.bytes, reply.n, out) != 0)
		result = session_misunderstood(s, DRAW_PEERED);
	session_reply_free(&reply);
	if (result == CLI_DONE && !(*out)->is_done) {
		fprintf(session_err(s), "bellctl: ");
		format_safe(session_err(s), (*out)->why[0] != '\0' ? (*out)->why : "refused");
		fputc('\n', session_err(s));
		result = CLI_FAILED;
	}
	return result;
}

/* Sends, and says how it went: as JSON, or 'what' and where it was done. */
static enum cli_exit change_run(struct session *s, const char *path, struct wire_bytes *request,
				const char *what)
{
	struct wire_command_reply *reply;
	struct labels l = {.session = s};
	char label[LABEL_BYTES];
	enum cli_exit result = change_send(s, path, request, &reply), printed;

	if (reply == NULL)
		return result;
	if (session_has(s, OPTION_JSON)) {
		printed = json_print(json_of_command_reply(reply, session_request_id(s)),
				     session_out(s), session_err(s));
		if (printed != CLI_DONE)
			result = printed;
	} else if (result == CLI_DONE) {
		label_find(&l, label, reply->answered_by);
		fprintf(session_out(s), "%s", what);
		if (reply->element_id != 0)
			fprintf(session_out(s), ", id %" PRIu64, reply->element_id);
		fprintf(session_out(s), ", said by ");
		format_safe(session_out(s), label);
		fprintf(session_out(s), "%s\n", reply->is_repeat ? ", had been done before" : "");
		if (reply->is_degraded)
			fprintf(session_err(s), "bellctl: only the owner has stored it: there is "
						"no standby\n");
	}
	labels_fini(&l);
	wire_free(reply);
	return result;
}

static const char *text_of(const char *option)
{
	return option != NULL ? option : "";
}

enum cli_exit verb_alarm_ack(struct session *s, char **args, int n_args)
{
	const struct options *o = session_options(s);
	bool is_ack = !session_has(s, OPTION_UNDO);
	const struct wire_ack_alarm_request request = {.command = change_command(s),
						       .element = args[0],
						       .type = args[1],
						       .resource = text_of(o->resource),
						       .qualifier = text_of(o->qualifier),
						       .text = text_of(o->text),
						       .is_ack = is_ack};
	struct wire_bytes bytes;

	if (wire_ack_alarm_request_pack(&request, &bytes) != 0)
		return verb_cannot_print(s);
	return change_run(s, WIRE_PATH("Peered", "AckAlarm"), &bytes,
			  is_ack ? "acknowledged" : "acknowledgement taken back");
}

static enum cli_exit usage(struct session *s, const char *what)
{
	fprintf(session_err(s), "bellctl: %s\n", what);
	return CLI_USAGE;
}

enum cli_exit verb_element_adopt(struct session *s, char **args, int n_args)
{
	const struct options *o = session_options(s);
	struct wire_adopt_element_request request = {
		.command = change_command(s),
		.element = {.id = o->id,
			    .name = text_of(o->name),
			    .kind = o->n_kinds > 0 ? o->kinds[0] : "unknown",
			    .region = text_of(o->region)},
	};
	struct fedmem_address address;
	struct wire_bytes bytes;

	if (conf_address_parse(&address, args[0]) != 0)
		return usage(s, "an element has an IPv4 or IPv6 address");
	if (request.element.name[0] == '\0' || request.element.region[0] == '\0')
		return usage(s, "an element needs a --name and a --region");
	if (strlen(request.element.region) > WIRE_CELL_NAME_MAX || o->n_kinds > 1)
		return usage(s, "a region has at most 39 octets, and an element one kind");
	memcpy(request.element.address, address.octets, sizeof(request.element.address));
	if (wire_adopt_element_request_pack(&request, &bytes) != 0)
		return verb_cannot_print(s);
	return change_run(s, WIRE_PATH("Peered", "AdoptElement"), &bytes, "adopted");
}

enum cli_exit verb_element_move(struct session *s, char **args, int n_args)
{
	const struct options *o = session_options(s);
	struct wire_move_element_request request = {
		.command = change_command(s), .element = args[0], .region = text_of(o->region)};
	enum cli_exit result = CLI_DONE;
	struct wire_bytes bytes;

	if ((o->region != NULL) == (o->server_behind != NULL))
		return usage(s, "an element moves to a --region, or with its cell to a --server");
	if (strlen(request.region) > WIRE_CELL_NAME_MAX)
		return usage(s, "a region has at most 39 octets");
	if (o->server_behind != NULL)
		result = verb_find_server(s, o->server_behind, &request.server);
	if (result != CLI_DONE)
		return result;
	if (wire_move_element_request_pack(&request, &bytes) != 0)
		return verb_cannot_print(s);
	return change_run(s, WIRE_PATH("Peered", "MoveElement"), &bytes, "moved");
}

static enum cli_exit drain(struct session *s, const char *server, bool is_drained)
{
	struct wire_drain_server_request request = {.command = change_command(s),
						    .is_drained = is_drained};
	enum cli_exit result = verb_find_server(s, server, &request.server);
	struct wire_bytes bytes;

	if (result != CLI_DONE)
		return result;
	if (wire_drain_server_request_pack(&request, &bytes) != 0)
		return verb_cannot_print(s);
	return change_run(s, WIRE_PATH("Peered", "DrainServer"), &bytes,
			  is_drained ? "drained" : "no longer drained");
}

enum cli_exit verb_server_drain(struct session *s, char **args, int n_args)
{
	return drain(s, args[0], true);
}

enum cli_exit verb_server_undrain(struct session *s, char **args, int n_args)
{
	return drain(s, args[0], false);
}
