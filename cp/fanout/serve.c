#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cp/fanout/fanout.h"

#define LIMIT_DEFAULT 1000
#define LIMIT_MAX     5000

/* One call that is being answered. */
struct serving {
	struct rpc_call *call;
	uint32_t deadline_ms;
	bool is_fresh;
};

static int pack(const struct fanout_list *list, struct wire_bytes *out)
{
	return list->kind == FANOUT_ELEMENTS ? wire_element_list_pack(&list->elements, out)
					     : wire_alarm_list_pack(&list->alarms, out);
}

static uint64_t element_at(const struct fanout_list *list, uint32_t at)
{
	return list->kind == FANOUT_ELEMENTS ? list->elements.elements[at].id
					     : list->alarms.alarms[at].element_id;
}

/* Leaves about the first half of its elements. False: there is only one. */
static bool halve(struct fanout_list *list)
{
	uint32_t *n =
		list->kind == FANOUT_ELEMENTS ? &list->elements.n_elements : &list->alarms.n_alarms;
	uint64_t *next_after = list->kind == FANOUT_ELEMENTS ? &list->elements.next_after
							     : &list->alarms.next_after;
	uint32_t cut = *n / 2;

	while (cut > 0 && element_at(list, cut - 1) == element_at(list, cut))
		cut--;
	if (cut == 0) /* the first element has more than half: it alone */
		while (++cut < *n && element_at(list, cut - 1) == element_at(list, cut))
			;
	if (*n == 0 || cut >= *n)
		return false;
	*n = cut;
	*next_after = element_at(list, cut - 1);
	return true;
}

static void fail_fresh(const struct serving *s, const uint32_t *silent, uint32_t n_silent)
{
	char why[256];
	int n = snprintf(why, sizeof(why), "no answer in %u ms from server", s->deadline_ms);

	for (uint32_t i = 0; i < n_silent && n < (int)sizeof(why); i++)
		n += snprintf(why + n, sizeof(why) - (size_t)n, "%s %u", i == 0 ? "" : ",",
			      silent[i]);
	rpc_call_fail(s->call, RPC_UNAVAILABLE, why);
}

static void answer(void *user, int err, struct fanout_list *list)
{
	struct serving *s = user;
	struct wire_bytes bytes = {0};
	const uint32_t *silent = NULL;
	uint32_t n_silent = 0;

	if (err == 0) {
		bool is_elements = list->kind == FANOUT_ELEMENTS;

		silent = is_elements ? list->elements.silent : list->alarms.silent;
		n_silent = is_elements ? list->elements.n_silent : list->alarms.n_silent;
	}
	if (s->is_fresh && n_silent > 0) {
		fail_fresh(s, silent, n_silent);
		free(s);
		return;
	}
	if (err == 0)
		err = pack(list, &bytes);
	/* Longer than a message may be: fewer elements then, and the client goes on behind them. */
	while (err == -EMSGSIZE && halve(list))
		err = pack(list, &bytes);
	if (err == 0)
		rpc_call_reply(s->call, bytes.bytes, bytes.n);
	else
		rpc_call_fail(s->call, RPC_RESOURCE_EXHAUSTED,
			      err == -EMSGSIZE ? "one element's part is longer than a message"
					       : "out of memory for this list");
	wire_bytes_free(&bytes);
	free(s);
}

void fanout_list_serve(const struct fanout_lists *f, enum fanout_kind kind, struct rpc_call *call,
		       const uint8_t *bytes, size_t n)
{
	struct wire_list_request *request;
	struct serving *s;

	if (wire_list_request_unpack(bytes, n, &request) < 0) {
		rpc_call_fail(call, RPC_INVALID_ARGUMENT, "this is no list request");
		return;
	}
	if (request->limit == 0)
		request->limit = LIMIT_DEFAULT;
	if (request->limit > LIMIT_MAX)
		request->limit = LIMIT_MAX;
	s = calloc(1, sizeof(*s));
	if (s != NULL)
		*s = (struct serving){call, fanout_deadline(call, request->deadline_ms),
				      request->is_fresh};
	if (s == NULL || fanout_list(f, kind, request, s->deadline_ms, answer, s) < 0) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory for this list");
		free(s);
	}
	wire_free(request);
}
