/* A list of one kind of record over all servers: ask, wait, merge, answer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cp/federated/federated_private.h"
#include "cp/wire/wire.h"

#define LIMIT_DEFAULT	 1000
#define LIMIT_MAX	 5000
#define DEADLINE_DEFAULT 1000
#define DEADLINE_MAX	 30000
/* What is left of the client's own deadline for the way back. */
#define ANSWER_MS 20

enum kind { ELEMENTS, ALARMS };

struct part {
	struct list *list;
	uint16_t server;
	bool is_answered;
	union {
		struct wire_element_list *elements;
		struct wire_alarm_list *alarms;
		void *unpacked;
	};
};

/* One call that is being answered. Lives until the last of its parts has come or failed. */
struct list {
	struct federated *f;
	struct rpc_call *call;
	enum kind kind;
	struct wire_list_request request;
	struct part *parts;
	uint32_t n_parts, n_waiting;
	struct memory_page *page; /* own part */
	struct wire_element_list own_elements;
	struct wire_alarm_list own_alarms;
};

static void list_free(struct list *l)
{
	for (uint32_t i = 0; l->parts != NULL && i < l->n_parts; i++)
		wire_free(l->parts[i].unpacked);
	memory_page_free(l->page);
	free(l->parts);
	free(l);
}

static uint64_t next_after_of(const struct part *p)
{
	return p->list->kind == ELEMENTS ? p->elements->next_after : p->alarms->next_after;
}

static uint64_t element_id(const struct list *l, const void *record)
{
	return l->kind == ELEMENTS ? ((const struct wire_element *)record)->id
				   : ((const struct wire_alarm *)record)->element_id;
}

/* While a cell moves two servers can both think that they own it: the higher token is right. */
static struct wire_token token_of(enum kind kind, const void *record)
{
	return kind == ELEMENTS ? ((const struct wire_element *)record)->token
				: ((const struct wire_alarm *)record)->token;
}

static int compare_tokens(struct wire_token a, struct wire_token b)
{
	if (a.epoch != b.epoch)
		return a.epoch < b.epoch ? -1 : 1;
	return (a.generation > b.generation) - (a.generation < b.generation);
}

/* By element, the higher token first; alarms then as their server sorted them. */
static int compare_elements(const void *a, const void *b)
{
	const struct wire_element *x = a, *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return compare_tokens(y->token, x->token);
}

static int compare_alarms(const void *a, const void *b)
{
	const struct wire_alarm *x = a, *y = b;
	int order;

	if (x->element_id != y->element_id)
		return x->element_id < y->element_id ? -1 : 1;
	order = compare_tokens(y->token, x->token);
	if (order == 0)
		order = strcmp(x->type, y->type);
	if (order == 0)
		order = strcmp(x->resource, y->resource);
	if (order == 0)
		order = strcmp(x->qualifier, y->qualifier);
	return order;
}

/* Where the parts are all known to be whole, and what the merged array has. */
struct merge {
	uint8_t *records;
	size_t record_bytes;
	uint32_t n;
	uint64_t whole_until; /* element id */
	uint64_t n_left_out;
};

static void merge_part(struct merge *m, const void *records, uint32_t n, uint64_t next_after)
{
	if (n > 0)
		memcpy(m->records + m->n * m->record_bytes, records, n * m->record_bytes);
	m->n += n;
	if (next_after != 0 && next_after < m->whole_until)
		m->whole_until = next_after;
}

static void merge_elements(struct merge *m, const struct wire_element_list *part)
{
	merge_part(m, part->elements, part->n_elements, part->next_after);
}

static void merge_alarms(struct merge *m, const struct wire_alarm_list *part)
{
	merge_part(m, part->alarms, part->n_alarms, part->next_after);
	m->n_left_out += part->n_left_out;
}

static uint32_t count_records(const struct list *l)
{
	uint32_t n = l->kind == ELEMENTS ? l->own_elements.n_elements : l->own_alarms.n_alarms;

	for (uint32_t i = 0; i < l->n_parts; i++)
		if (l->parts[i].is_answered)
			n += l->kind == ELEMENTS ? l->parts[i].elements->n_elements
						 : l->parts[i].alarms->n_alarms;
	return n;
}

static int merge(const struct list *l, struct merge *m)
{
	*m = (struct merge){.whole_until = UINT64_MAX};
	m->record_bytes =
		l->kind == ELEMENTS ? sizeof(struct wire_element) : sizeof(struct wire_alarm);
	m->records = calloc((size_t)count_records(l) + 1, m->record_bytes);
	if (m->records == NULL)
		return -ENOMEM;
	if (l->kind == ELEMENTS)
		merge_elements(m, &l->own_elements);
	else
		merge_alarms(m, &l->own_alarms);
	for (uint32_t i = 0; i < l->n_parts; i++) {
		const struct part *p = &l->parts[i];

		if (p->is_answered && l->kind == ELEMENTS)
			merge_elements(m, p->elements);
		else if (p->is_answered)
			merge_alarms(m, p->alarms);
	}
	qsort(m->records, m->n, m->record_bytes,
	      l->kind == ELEMENTS ? compare_elements : compare_alarms);
	return 0;
}

/* Drops what an older token says, and what stands behind the page. Gives next_after. May be done
 * again with a lower limit. */
static uint64_t cut(const struct list *l, struct merge *m, uint32_t limit)
{
	uint32_t n_kept = 0, n_elements = 0;
	const uint8_t *kept = NULL;

	for (uint32_t i = 0; i < m->n; i++) {
		const uint8_t *r = m->records + i * m->record_bytes;
		bool is_same = kept != NULL && element_id(l, r) == element_id(l, kept);

		if (is_same && (l->kind == ELEMENTS ||
				compare_tokens(token_of(l->kind, r), token_of(l->kind, kept)) != 0))
			continue;
		if (element_id(l, r) > m->whole_until || (!is_same && n_elements == limit)) {
			m->whole_until = kept != NULL ? element_id(l, kept) : m->whole_until;
			break;
		}
		n_elements += !is_same;
		kept = memmove(m->records + n_kept++ * m->record_bytes, r, m->record_bytes);
	}
	m->n = n_kept;
	return m->whole_until == UINT64_MAX ? 0 : m->whole_until;
}

static int pack(const struct list *l, const struct merge *m, uint64_t next_after, uint32_t *silent,
		struct wire_bytes *out)
{
	uint16_t self = cluster_view(l->f->cfg.cluster)->self;
	uint32_t n_silent = 0;

	for (uint32_t i = 0; i < l->n_parts; i++)
		if (!l->parts[i].is_answered)
			silent[n_silent++] = l->parts[i].server;
	if (l->kind == ELEMENTS)
		return wire_element_list_pack(
			&(struct wire_element_list){.elements = (void *)m->records,
						    .n_elements = m->n,
						    .next_after = next_after,
						    .silent = silent,
						    .n_silent = n_silent,
						    .answered_by = self},
			out);
	return wire_alarm_list_pack(&(struct wire_alarm_list){.alarms = (void *)m->records,
							      .n_alarms = m->n,
							      .next_after = next_after,
							      .silent = silent,
							      .n_silent = n_silent,
							      .answered_by = self,
							      .n_left_out = m->n_left_out},
				    out);
}

static void answer(struct list *l)
{
	uint32_t *silent = calloc((size_t)l->n_parts + 1, sizeof(*silent));
	struct wire_bytes bytes = {0};
	struct merge m = {0};
	int err = silent == NULL ? -ENOMEM : merge(l, &m);

	if (err == 0)
		err = pack(l, &m, cut(l, &m, l->request.limit), silent, &bytes);
	/* Longer than a message may be: fewer elements then, and the client goes on behind them. */
	for (uint32_t limit = l->request.limit / 2; err == -EMSGSIZE && limit > 0; limit /= 2)
		err = pack(l, &m, cut(l, &m, limit), silent, &bytes);
	if (err == 0)
		rpc_call_reply(l->call, bytes.bytes, bytes.n);
	else
		rpc_call_fail(l->call, RPC_RESOURCE_EXHAUSTED,
			      err == -EMSGSIZE ? "one element's part is longer than a message"
					       : "out of memory for this list");
	wire_bytes_free(&bytes);
	free(m.records);
	free(silent);
	list_free(l);
}

static void part_done(void *user, enum rpc_status status, const char *why, const uint8_t *bytes,
		      size_t n)
{
	struct part *p = user;
	struct list *l = p->list;

	if (status == RPC_OK) {
		int err = l->kind == ELEMENTS ? wire_element_list_unpack(bytes, n, &p->elements)
					      : wire_alarm_list_unpack(bytes, n, &p->alarms);

		/* A page that does not go forward would have the client ask for ever. */
		p->is_answered = err == 0 && (next_after_of(p) == 0 ||
					      next_after_of(p) > l->request.after_element);
	}
	if (--l->n_waiting == 0)
		answer(l);
}

static int take_own_part(struct list *l)
{
	struct memory *memory = l->f->cfg.memory;

	if (l->kind == ELEMENTS)
		return memory_elements(memory, l->request.after_element, l->request.limit, &l->page,
				       &l->own_elements);
	return memory_alarms(memory, l->request.after_element, l->request.limit,
			     l->request.with_cleared, &l->page, &l->own_alarms);
}

static uint32_t deadline(const struct list *l)
{
	uint32_t wanted = l->request.deadline_ms != 0 ? l->request.deadline_ms : DEADLINE_DEFAULT;
	uint32_t left = rpc_call_time_left_ms(l->call);

	if (wanted > DEADLINE_MAX)
		wanted = DEADLINE_MAX;
	if (left != UINT32_MAX && wanted + ANSWER_MS > left)
		wanted = left > 2 * ANSWER_MS ? left - ANSWER_MS : ANSWER_MS;
	return wanted;
}

/* Asks everybody else. A server that is known to be dead is silent without being asked. */
static int ask_peers(struct list *l)
{
	const struct cluster_view *view = cluster_view(l->f->cfg.cluster);
	struct wire_list_request request = l->request;
	struct wire_bytes bytes;
	int err;

	l->parts = calloc(view->n_servers, sizeof(*l->parts));
	if (l->parts == NULL)
		return -ENOMEM;
	request.is_local = true;
	err = wire_list_request_pack(&request, &bytes);
	if (err < 0)
		return err;
	l->n_waiting = 1; /* ours, until all are asked */
	for (uint32_t i = 0; i < view->n_servers; i++) {
		const struct cluster_server *s = &view->servers[i];
		struct part *p = &l->parts[l->n_parts];

		if (s->conf->id == view->self)
			continue;
		*p = (struct part){.list = l, .server = s->conf->id};
		l->n_parts++;
		if (s->state == DETECTOR_FAILED)
			continue;
		l->n_waiting++;
		err = rpc_client_call(l->f->cfg.client, s->call_address,
				      l->kind == ELEMENTS ? WIRE_PATH("Federated", "ListElements")
							  : WIRE_PATH("Federated", "ListAlarms"),
				      bytes.bytes, bytes.n, deadline(l), part_done, p);
		if (err < 0)
			l->n_waiting--;
	}
	wire_bytes_free(&bytes);
	return 0;
}

static void handle(struct federated *f, enum kind kind, struct rpc_call *call, const uint8_t *bytes,
		   size_t n)
{
	struct wire_list_request *request;
	struct list *l;
	int err;

	if (wire_list_request_unpack(bytes, n, &request) < 0) {
		rpc_call_fail(call, RPC_INVALID_ARGUMENT, "this is no list request");
		return;
	}
	l = calloc(1, sizeof(*l));
	if (l == NULL) {
		wire_free(request);
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory for this list");
		return;
	}
	l->f = f;
	l->call = call;
	l->kind = kind;
	l->request = *request;
	wire_free(request);
	if (l->request.limit == 0)
		l->request.limit = LIMIT_DEFAULT;
	if (l->request.limit > LIMIT_MAX)
		l->request.limit = LIMIT_MAX;
	err = take_own_part(l);
	if (err == 0 && !l->request.is_local)
		err = ask_peers(l);
	if (err < 0) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory for this list");
		list_free(l);
		return;
	}
	if (l->request.is_local || --l->n_waiting == 0)
		answer(l);
}

void list_elements(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	handle(user, ELEMENTS, call, bytes, n);
}

void list_alarms(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	handle(user, ALARMS, call, bytes, n);
}
