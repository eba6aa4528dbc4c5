#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "cp/core/core.h"
#include "cp/peered/peered_private.h"

void command_reply(struct rpc_call *call, const struct wire_command_reply *reply)
{
	struct wire_bytes bytes = {0};

	if (wire_command_reply_pack(reply, &bytes) == 0)
		rpc_call_reply(call, bytes.bytes, bytes.n);
	else
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED,
			      "out of memory for the answer: ask again under the same request id");
	wire_bytes_free(&bytes);
}

void command_complete(struct wire_command *c, char room[COMMAND_ID_BYTES])
{
	uint64_t drawn[2];

	if (c->operator_name[0] == '\0')
		c->operator_name = "unnamed"; /* "" in the trail is the master itself */
	if (c->request_id[0] != '\0')
		return;
	if (getrandom(drawn, sizeof(drawn), GRND_NONBLOCK) != sizeof(drawn)) {
		/* Without entropy, which a running kernel has, time tells two apart. */
		drawn[0] = core_now_ns();
		drawn[1] = core_wall_ns();
	}
	snprintf(room, COMMAND_ID_BYTES, "made-%016llx%016llx", (unsigned long long)drawn[0],
		 (unsigned long long)drawn[1]);
	c->request_id = room;
}

void command_unknown(struct rpc_call *call, const struct wire_command *c, const char *why)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "%s; the outcome is not known, ask again under the request id %s", why,
		 c->request_id);
	rpc_call_fail(call, RPC_UNAVAILABLE, text);
}

void command_failed(struct rpc_call *call, const struct wire_command *c, enum rpc_status status,
		    const char *why, const char *not_begun)
{
	char text[256];

	switch (status) {
	case RPC_INVALID_ARGUMENT:
	case RPC_NOT_FOUND:
	case RPC_RESOURCE_EXHAUSTED:
		rpc_call_fail(call, status, why);
		break;
	case RPC_FAILED_PRECONDITION:
		snprintf(text, sizeof(text), "%s (%s)", not_begun, why);
		rpc_call_fail(call, RPC_UNAVAILABLE, text);
		break;
	default:
		command_unknown(call, c, why);
	}
}

const char *command_name_fault(const char *name, size_t bytes_max)
{
	if (name[0] == '\0')
		return "is empty";
	if (strlen(name) > bytes_max)
		return "is too long";
	for (; *name != '\0'; name++)
		if ((unsigned char)*name < ' ' || *name == 0x7f)
			return "has a control character in it";
	return NULL;
}
