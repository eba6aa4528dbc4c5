#include <assert.h>
#include <stddef.h>

#include "cp/replog/machine.h"

/* ---- What is known of the others ---- */

static struct replog_peer *find(struct replog *r, uint16_t id)
{
	for (uint32_t i = 0; i < r->n_peers; i++)
		if (r->peers[i].id == id)
			return &r->peers[i];
	return NULL;
}

/* As if it were met for the first time: where its log goes on is to be found out. */
static void meet(const struct replog *r, struct replog_peer *p)
{
	p->next = r->last + 1;
	p->match = p->told_committed = 0;
	p->is_matched = p->is_whole = p->needs_snapshot = p->is_snapshotting = false;
	p->call = 0;
	p->retry_ms = 0;
}

void sender_begin(struct replog *r)
{
	for (uint32_t i = 0; i < r->n_peers; i++)
		meet(r, &r->peers[i]);
}

void sender_peer(struct replog *r, const struct replog_input *in)
{
	struct replog_peer *p = find(r, in->server);

	if (p == NULL)
		return;
	/* Another start may have found an empty disk, and answers to the one before say nothing. */
	if (in->boot != 0 && in->boot != p->known_boot) {
		if (!MUTANT(5))
			meet(r, p);
		p->call = 0;
		p->known_boot = in->boot;
	}
	p->boot = in->boot;
}

/* ---- Answers ---- */

static struct replog_peer *answering(struct replog *r, const struct replog_input *in)
{
	struct replog_peer *p = find(r, in->server);

	if (p == NULL || in->call == 0 || p->call != in->call)
		return NULL;
	p->call = 0;
	return p;
}

static void try_later(const struct replog *r, struct replog_peer *p)
{
	p->retry_ms = r->now_ms + r->cfg.retry_ms;
}

static void snapshot_answered(struct replog *r, struct replog_peer *p, bool is_whole,
			      uint64_t index)
{
	meet(r, p);
	if (!is_whole || index > r->known) {
		try_later(r, p);
		return;
	}
	p->match = index;
	p->next = index + 1;
	p->is_matched = true;
}

static void accepted(struct replog *r, struct replog_peer *p, uint64_t index)
{
	if (index < p->call_previous || index > p->call_last) {
		try_later(r, p);
		return;
	}
	p->match = index;
	p->next = index + 1;
	p->is_matched = true;
	p->told_committed = p->call_committed < index ? p->call_committed : index;
	p->is_whole |= index >= p->call_whole;
}

/* Each time 'next' falls, until it is found or nothing before it is kept. */
static void refused(struct replog *r, struct replog_peer *p, uint64_t index)
{
	if (index > p->call_previous) {
		try_later(r, p);
		return;
	}
	if (index < p->call_previous)
		p->next = index + 1;
	else if (index >= r->first) /* an older epoch there: none of this run is there */
		p->next = entries_run_start(r, index);
	else
		p->needs_snapshot = true;
	p->is_matched = false;
	if (p->match >= p->next)
		p->match = p->next - 1;
}

void sender_answer(struct replog *r, const struct replog_input *in)
{
	struct replog_peer *p = answering(r, in);

	if (p == NULL)
		return;
	if (p->is_snapshotting)
		snapshot_answered(r, p, in->is_accepted, in->index);
	else if (in->is_accepted)
		accepted(r, p, in->index);
	else
		refused(r, p, in->index);
}

void sender_failed(struct replog *r, const struct replog_input *in)
{
	struct replog_peer *p = answering(r, in);

	if (p == NULL)
		return;
	if (p->is_snapshotting)
		meet(r, p);
	try_later(r, p);
}

/* ---- Committing ---- */

/* What a majority of the voters has on disk: the majority-th highest. */
static uint64_t held_by_majority(const struct replog *r)
{
	uint64_t highest[REPLOG_SERVERS_MAX];
	uint32_t n = 0;

	for (uint32_t i = 0; i <= r->n_peers; i++) {
		bool is_self = i == r->n_peers;
		uint64_t match = is_self ? r->stored : r->peers[i].match;
		uint32_t at;

		/* Before it had all that we have it may be a forgetful one, whose word is worth
		 * nothing: it would vote for somebody else. */
		if (is_self ? !r->is_voter
			    : !r->peers[i].is_voter || !(r->peers[i].is_whole || MUTANT(9)))
			continue;
		for (at = n++; at > 0 && highest[at - 1] < match; at--)
			highest[at] = highest[at - 1];
		highest[at] = match;
	}
	return n < r->n_majority ? 0 : highest[r->n_majority - 1];
}

/* An entry of an older epoch that a majority holds can still be given up under a later master; one
 * of this epoch cannot, nor what lies before it (Ongaro, 3.6.2). */
void sender_commit(struct replog *r)
{
	uint64_t index;

	if (!r->is_acting)
		return;
	index = held_by_majority(r);
	assert(index <= r->last);
	if (index > r->known && (entries_epoch_at(r, index) == r->epoch || MUTANT(1)))
		r->known = index;
}

/* ---- Sending ---- */

static bool is_anything_new(const struct replog *r, const struct replog_peer *p)
{
	return !p->is_matched || p->next <= r->last || p->told_committed < r->known;
}

static void fill(const struct replog *r, struct replog_peer *p, struct replog_append *a)
{
	uint64_t end = r->last;

	a->epoch = r->epoch;
	a->previous_index = p->next - 1;
	a->previous_epoch = entries_epoch_at(r, a->previous_index);
	a->committed = r->known;
	a->last = r->last;
	a->to_boot = p->boot;
	a->n_runs = 0;
	if (!p->is_matched)
		end = a->previous_index; /* entries that do not join would be sent for nothing */
	else if (end > a->previous_index + REPLOG_BATCH_MAX)
		end = a->previous_index + REPLOG_BATCH_MAX;
	for (uint32_t i = 0; end >= p->next && i < r->n_runs && r->runs[i].first <= end; i++) {
		uint64_t last = i + 1 < r->n_runs ? r->runs[i + 1].first - 1 : r->last;

		if (last < p->next)
			continue;
		if (a->n_runs == REPLOG_SEND_RUNS_MAX) {
			end = r->runs[i].first - 1;
			break;
		}
		a->runs[a->n_runs] = r->runs[i];
		if (a->runs[a->n_runs].first < p->next)
			a->runs[a->n_runs].first = p->next;
		a->n_runs++;
	}
	a->n_entries = (uint32_t)(end - a->previous_index);
	p->call_previous = a->previous_index;
	p->call_last = end;
	p->call_committed = a->committed;
	p->call_whole = a->last;
}

static void send(struct replog *r, struct replog_peer *p, struct replog_output *out)
{
	struct replog_send *s = &out->sends[out->n_sends++];
	bool is_joinable =
		p->next >= r->first && (p->next == 1 || entries_epoch_at(r, p->next - 1) != 0);

	s->to = p->id;
	s->call = p->call = ++r->calls;
	s->is_snapshot = p->is_snapshotting = p->needs_snapshot || !is_joinable;
	if (!s->is_snapshot)
		fill(r, p, &s->append);
}

void sender_send(struct replog *r, struct replog_output *out)
{
	/* Its first entry is on its way; without it there is nothing that could be committed. */
	if (!r->is_acting || entries_epoch_at(r, r->last) != r->epoch)
		return;
	for (uint32_t i = 0; i < r->n_peers; i++) {
		struct replog_peer *p = &r->peers[i];

		if (p->boot == 0 || p->call != 0 || !is_anything_new(r, p))
			continue;
		if (r->now_ms >= p->retry_ms)
			send(r, p, out);
		else if (p->retry_ms < out->wake_at_ms)
			out->wake_at_ms = p->retry_ms;
	}
}
