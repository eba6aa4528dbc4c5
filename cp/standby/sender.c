#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cp/core/core.h"
#include "cp/standby/standby_private.h"

#define JOIN_BYTES  (512u << 10) /* of changes that go together */
#define CALL_MIN_MS 100
/* Nobody waits for a page: a standby that is away for a moment does not cost the pages before it.
 */
#define PAGE_WAIT_MS 5000
#define TELL_AFTER   3 /* failures in a row */

/* One request on its way. When the cell got another owner or standby meanwhile, 'c->request' is no
 * longer this one, and what comes back only ends it. */
struct request {
	struct standby_cell *c;
	struct standby_queue items; /* in their order */
};

void sender_init(struct standby_cell *c)
{
	c->event_owed = UINT64_MAX;
	c->queue.end = &c->queue.first;
}

/* ---- Items ---- */

void sender_owe(struct standby_cell *c, uint64_t event)
{
	if (event < c->event_owed)
		c->event_owed = event;
}

static void push(struct standby_queue *q, struct standby_item *item)
{
	item->next = NULL;
	*q->end = item;
	q->end = &item->next;
}

static struct standby_item *pop(struct standby_queue *q)
{
	struct standby_item *item = q->first;

	if (item == NULL)
		return NULL;
	q->first = item->next;
	if (q->first == NULL)
		q->end = &q->first;
	return item;
}

static void item_end(struct standby *s, struct standby_item *item, bool is_degraded)
{
	s->n_waiting_bytes -= item->bytes.n;
	if (is_degraded && item->event != 0)
		sender_owe(item->c, item->event);
	if (item->done != NULL)
		item->done(item->user, is_degraded);
	wire_bytes_free(&item->bytes);
	free(item);
}

static void queue_end(struct standby *s, struct standby_queue *q, bool is_degraded)
{
	struct standby_queue ending = *q;
	struct standby_item *item;

	/* Whoever is told may send again at once, into a queue that is in order. */
	q->first = NULL;
	q->end = &q->first;
	if (ending.first == NULL)
		return;
	while ((item = pop(&ending)) != NULL)
		item_end(s, item, is_degraded);
}

int sender_queue(struct standby_cell *c, const struct wire_replicate_request *records,
		 const struct standby_item *like)
{
	struct wire_replicate_request lists = *records;
	struct standby_item *item;
	int err;

	lists.cell = "";
	lists.token = (struct wire_token){0};
	lists.is_copy = lists.is_begin = lists.is_end = false;
	if (c->s->n_waiting_bytes > STANDBY_WAITING_BYTES)
		return -ENOBUFS;
	item = malloc(sizeof(*item));
	if (item == NULL)
		return -ENOMEM;
	*item = *like;
	item->c = c;
	err = wire_replicate_request_pack(&lists, &item->bytes);
	if (err != 0) {
		free(item);
		return err;
	}
	item->queued_ms = core_now_ms();
	c->s->n_waiting_bytes += item->bytes.n;
	push(&c->queue, item);
	return 0;
}

/* ---- What came back ---- */

static void told_set(struct standby_cell *c, bool is_told, const char *why)
{
	if (c->is_told == is_told)
		return;
	c->is_told = is_told;
	if (is_told)
		core_log(CORE_WARNING, "standby: not stored there cell=%s standby=%u why=%s",
			 c->name, c->standby, why);
	else
		core_log(CORE_INFO, "standby: stores again cell=%s standby=%u", c->name,
			 c->standby);
}

static void page_stored(struct standby_cell *c, const struct standby_item *page)
{
	if (c->copy != COPY_RUNNING)
		return;
	c->is_page_queued = false;
	if (page->is_end) {
		c->copy = COPY_WHOLE;
		core_log(CORE_INFO, "standby: copy whole cell=%s standby=%u", c->name, c->standby);
	}
}

static void stored(struct standby_cell *c, struct standby_queue *items, bool is_copy_wanted)
{
	struct standby_item *page =
		items->first != NULL && items->first->is_page ? items->first : NULL;

	c->n_fails = 0;
	told_set(c, false, "");
	if (page != NULL)
		page_stored(c, page);
	if (is_copy_wanted && c->copy == COPY_WHOLE)
		copy_want(c);
	queue_end(c->s, items, false);
}

/* Not this time: everything goes again, in the same order, until it has waited too long. */
static void not_stored(struct standby_cell *c, struct standby_queue *items, bool is_copy_wanted,
		       const char *why)
{
	uint64_t pause_ms = STANDBY_RETRY_MS;

	/* A map that is not there yet, or a server that is being started, is no news. */
	if (c->n_fails == TELL_AFTER)
		told_set(c, true, why);
	if (items->first != NULL) {
		*items->end = c->queue.first;
		if (c->queue.first == NULL)
			c->queue.end = items->end;
		c->queue.first = items->first;
	}
	for (uint32_t i = 0; i < c->n_fails && pause_ms < STANDBY_RETRY_MAX; i++)
		pause_ms *= 2;
	c->n_fails++;
	c->retry_ms = core_now_ms() + pause_ms;
	/* It forgot the copy that was under way. */
	if (is_copy_wanted && c->copy != COPY_NONE)
		copy_want(c);
}

static void on_answer(void *user, enum rpc_status status, const char *why, const uint8_t *bytes,
		      size_t n)
{
	struct request *r = user;
	struct standby_cell *c = r->c;
	struct wire_replicate_answer *a = NULL;
	bool is_known = c->request == r;

	if (is_known)
		c->request = NULL;
	if (status == RPC_OK && wire_replicate_answer_unpack(bytes, n, &a) != 0)
		why = "not an answer";
	if (!is_known)
		queue_end(c->s, &r->items, a == NULL || !a->is_stored);
	else if (a != NULL && a->is_stored)
		stored(c, &r->items, a->is_copy_wanted);
	else
		not_stored(c, &r->items, a != NULL && a->is_copy_wanted, a != NULL ? a->why : why);
	wire_free(a);
	free(r);
	standby_wake(c->s);
}

/* ---- Sending ---- */

/* What may go now: the first page alone, or changes up to the next page. */
static void take(struct standby_cell *c, struct standby_queue *out, size_t *n_bytes)
{
	struct standby_item *item;

	*n_bytes = 0;
	while ((item = c->queue.first) != NULL) {
		if (out->first != NULL && (item->is_page || *n_bytes + item->bytes.n > JOIN_BYTES))
			return;
		*n_bytes += item->bytes.n;
		push(out, pop(&c->queue));
		if (item->is_page)
			return;
	}
}

/* Messages one behind the other are, in protobuf's encoding, the message with the fields of all:
 * the single fields come first, and the lists of all items behind them. */
static int join(const struct standby_cell *c, const struct standby_queue *items, size_t n_bytes,
		struct wire_bytes *out)
{
	const struct standby_item *first = items->first;
	const struct wire_replicate_request head = {
		.cell = c->name,
		.token = standby_wire_token(c->token),
		.is_copy = first->is_page,
		.is_begin = first->is_begin,
		.is_end = first->is_end,
	};
	int err = wire_replicate_request_pack(&head, out);
	uint8_t *bytes;

	if (err != 0)
		return err;
	bytes = realloc(out->bytes, out->n + n_bytes);
	if (bytes == NULL) {
		wire_bytes_free(out);
		return -ENOMEM;
	}
	out->bytes = bytes;
	for (const struct standby_item *i = first; i != NULL; i = i->next) {
		if (i->bytes.n > 0)
			memcpy(out->bytes + out->n, i->bytes.bytes, i->bytes.n);
		out->n += i->bytes.n;
	}
	return 0;
}

static int call(struct standby_cell *c, const uint8_t *bytes, size_t n, struct request *r)
{
	uint64_t age_ms;

	c->request = r;
	c->sent_ms = core_now_ms();
	age_ms = r->items.first->is_page ? 0 : c->sent_ms - r->items.first->queued_ms;
	return cluster_call(c->s->cfg.cluster, c->standby, "Replicate", bytes, n,
			    age_ms + CALL_MIN_MS < STANDBY_WAIT_MS
				    ? (uint32_t)(STANDBY_WAIT_MS - age_ms)
				    : CALL_MIN_MS,
			    on_answer, r);
}

static void send_request(struct standby_cell *c)
{
	struct request *r = calloc(1, sizeof(*r));
	struct wire_bytes bytes;
	size_t n_bytes;
	int err;

	if (r == NULL)
		return; /* the next tick tries again, and what waits too long is dropped */
	r->c = c;
	r->items.end = &r->items.first;
	take(c, &r->items, &n_bytes);
	err = join(c, &r->items, n_bytes, &bytes);
	if (err == 0) {
		err = call(c, bytes.bytes, bytes.n, r);
		wire_bytes_free(&bytes);
	}
	if (err == 0)
		return;
	c->request = NULL;
	not_stored(c, &r->items, false, strerror(-err));
	free(r);
}

/* An owner that has nothing to say says that: see STANDBY_IDLE_MS. */
static void send_idle(struct standby_cell *c)
{
	if (sender_queue(c, &(struct wire_replicate_request){0}, &(struct standby_item){0}) == 0)
		send_request(c);
}

static bool is_expired(const struct standby_item *item, uint64_t now_ms)
{
	return now_ms > item->queued_ms + (item->is_page ? PAGE_WAIT_MS : STANDBY_WAIT_MS);
}

/* What waited too long is told so, and the copy has to be made anew. */
static void expire(struct standby_cell *c, uint64_t now_ms)
{
	struct standby_queue kept = {.end = &kept.first}, expired = {.end = &expired.first};
	struct standby_item *item;

	while ((item = pop(&c->queue)) != NULL)
		push(is_expired(item, now_ms) ? &expired : &kept, item);
	while ((item = pop(&kept)) != NULL)
		push(&c->queue, item);
	if (expired.first == NULL)
		return;
	copy_want(c);
	queue_end(c->s, &expired, true);
}

static bool is_sender(const struct standby_cell *c)
{
	return c->owner == c->s->self && c->standby != 0;
}

void sender_tick(struct standby_cell *c, uint64_t now_ms)
{
	expire(c, now_ms);
	if (!is_sender(c) || c->request != NULL || now_ms < c->retry_ms)
		return;
	if (c->queue.first != NULL)
		send_request(c);
	else if (c->copy == COPY_WHOLE && now_ms >= c->sent_ms + STANDBY_IDLE_MS)
		send_idle(c);
}

void sender_drop_pages(struct standby_cell *c)
{
	struct standby_queue kept = {.end = &kept.first};
	struct standby_item *item;

	while ((item = pop(&c->queue)) != NULL)
		if (item->is_page)
			item_end(c->s, item, true);
		else
			push(&kept, item);
	while ((item = pop(&kept)) != NULL)
		push(&c->queue, item);
}

void sender_reset(struct standby_cell *c)
{
	c->request = NULL;
	c->copy = COPY_NONE;
	c->is_page_queued = false;
	c->retry_ms = 0;
	c->n_fails = 0;
	c->is_told = false;
	queue_end(c->s, &c->queue, true);
}

bool sender_is_idle(const struct standby_cell *c)
{
	return c->request == NULL && c->queue.first == NULL;
}

/* Without a word of it for so long nobody should wait. */
static bool is_away(const struct standby_cell *c)
{
	const struct cluster_server *to = cluster_server(c->s->cfg.cluster, c->standby);

	return to == NULL || to->state == DETECTOR_FAILED || to->state == DETECTOR_UNKNOWN ||
	       (c->n_fails > 0 && c->copy == COPY_WANTED);
}

void standby_send(struct standby *s, const char *cell, const struct wire_replicate_request *records,
		  void (*done)(void *user, bool is_degraded), void *user)
{
	struct standby_cell *c = standby_cell(s, cell);
	struct standby_item like = {
		.done = done,
		.user = user,
		.event = records->n_events > 0 ? records->events[0].number : 0,
	};
	uint32_t n = records->n_alarms + records->n_elements + records->n_notes + records->n_events;
	int err = c == NULL || n == 0 ? -ENOMEM : is_sender(c) && !is_away(c) ? 0 : -EHOSTDOWN;

	if (err == 0)
		err = sender_queue(c, records, &like);
	if (err != 0) {
		if (c != NULL && like.event != 0)
			sender_owe(c, like.event);
		if (c != NULL)
			copy_want(c);
		if (done != NULL)
			done(user, true);
		return;
	}
	standby_wake(s);
}
