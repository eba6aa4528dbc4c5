#include <errno.h>

#include "cp/peered/peered_private.h"

static void reply_list(struct rpc_call *call, int err, const struct wire_event_list *list)
{
	struct wire_bytes bytes = {0};

	if (err == 0)
		err = wire_event_list_pack(list, &bytes);
	if (err == 0)
		rpc_call_reply(call, bytes.bytes, bytes.n);
	else if (err == -EINVAL)
		rpc_call_fail(call, RPC_INVALID_ARGUMENT, "'after' is no resume token");
	else if (err == -EMSGSIZE)
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED,
			      "these events are longer than a message: ask with a lower limit");
	else
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory for these events");
	wire_bytes_free(&bytes);
}

static void gathered(void *user, int err, struct fanout_events *events)
{
	reply_list(user, err, err == 0 ? &events->list : NULL);
	fanout_events_free(events);
}

static void reply_own(struct peered *p, struct rpc_call *call, const struct wire_event_query *query)
{
	struct memory_page *page = NULL;
	struct wire_event_list list;
	int err = eventlog_query(p->cfg.eventlog, query, &page, &list);

	reply_list(call, err, &list);
	memory_page_free(page);
}

void events_list(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct wire_event_query *query;
	struct peered *p = user;
	int err;

	if (wire_event_query_unpack(bytes, n, &query) < 0) {
		rpc_call_fail(call, RPC_INVALID_ARGUMENT, "this is no event query");
		return;
	}
	if (query->limit == 0)
		query->limit = FANOUT_EVENTS_DEFAULT;
	if (query->limit > FANOUT_EVENTS_MAX)
		query->limit = FANOUT_EVENTS_MAX;
	if (query->is_local) {
		reply_own(p, call, query);
	} else {
		err = fanout_events(&p->lists.fanout, p->cfg.eventlog, query,
				    fanout_deadline(call, query->deadline_ms), gathered, call);
		if (err < 0)
			reply_list(call, err, NULL);
	}
	wire_free(query);
}
