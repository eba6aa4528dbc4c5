#include <assert.h>

#include "cp/replog/machine.h"

#define ANYWHERE UINT64_MAX /* a refusal that says nothing about the place */

/* ---- Requests ---- */

static bool are_runs_sound(const struct replog_append *a)
{
	uint64_t epoch = a->previous_epoch, end = a->previous_index + a->n_entries;

	if (a->n_runs > REPLOG_SEND_RUNS_MAX || (a->n_entries > 0) != (a->n_runs > 0))
		return false;
	for (uint32_t i = 0; i < a->n_runs; i++) {
		const struct replog_run *run = &a->runs[i];

		if (i == 0 ? run->first != a->previous_index + 1 || run->epoch < epoch
			   : run->first <= a->runs[i - 1].first || run->epoch <= epoch)
			return false;
		if (run->epoch == 0 || run->first > end)
			return false;
		epoch = run->epoch;
	}
	return epoch <= a->epoch;
}

static bool is_sound(const struct replog_append *a)
{
	return a->epoch != 0 && a->epoch <= PLACE_MAX && a->previous_index <= PLACE_MAX &&
	       a->n_entries <= REPLOG_BATCH_MAX && a->last <= PLACE_MAX + REPLOG_BATCH_MAX &&
	       a->last >= a->previous_index + a->n_entries &&
	       (a->previous_index == 0) == (a->previous_epoch == 0) && are_runs_sound(a);
}

static bool is_followed(const struct replog *r, uint16_t master, uint64_t epoch)
{
	return master != 0 && master != r->cfg.self && r->master == master && r->epoch == epoch;
}

static uint64_t epoch_in(const struct replog_append *a, uint64_t index)
{
	uint64_t epoch = a->previous_epoch;

	for (uint32_t i = 0; i < a->n_runs && a->runs[i].first <= index; i++)
		epoch = a->runs[i].epoch;
	return epoch;
}

/* The first entry of the request that is another one here; 0: none is. What lies before those that
 * are kept is committed, hence the same. */
static uint64_t find_conflict(const struct replog *r, const struct replog_append *a)
{
	uint64_t end = a->previous_index + a->n_entries;

	for (uint64_t i = a->previous_index + 1; i <= end && i <= r->last; i++) {
		uint64_t epoch = entries_epoch_at(r, i);

		if (epoch != 0 && epoch != epoch_in(a, i))
			return i;
	}
	return MUTANT(3) && end < r->last && end + 1 >= r->first ? end + 1 : 0;
}

/* True: the entry before those of the request is the same here. */
static bool is_joined(const struct replog *r, const struct replog_append *a,
		      struct replog_output *out)
{
	uint64_t epoch = entries_epoch_at(r, a->previous_index), match;

	if (a->previous_index > r->last) {
		machine_refuse(out, r->last, "entries between are missing");
		return false;
	}
	if (epoch == a->previous_epoch || epoch == 0 || MUTANT(6))
		return true;
	if (a->previous_index <= r->known) {
		machine_refuse(out, ANYWHERE, "contradicts what is committed");
		return false;
	}
	/* An older one here: the master has to go back before its own run, and knows where that
	 * begins. A newer one here: no entry of it can be the master's. */
	match = a->previous_index;
	if (epoch > a->previous_epoch) {
		match = entries_last_of(r, a->previous_epoch);
		if (match < r->known)
			match = r->known;
	}
	machine_refuse(out, match, "another epoch there");
	return false;
}

static bool may_take(const struct replog *r, const struct replog_input *in,
		     struct replog_output *out)
{
	const struct replog_append *a = in->append;

	if (!is_sound(a))
		machine_refuse(out, ANYWHERE, "makes no sense");
	else if (!is_followed(r, in->server, a->epoch))
		machine_refuse(out, ANYWHERE, "not from the master of my epoch");
	else if (a->to_boot != r->cfg.boot)
		machine_refuse(out, ANYWHERE, "meant for another start of this server");
	else if (r->is_rebuilding)
		machine_refuse(out, 0, "a snapshot is being installed");
	else
		return is_joined(r, a, out);
	return false;
}

/* Entries of the request from 'from' on. */
static void take(struct replog *r, const struct replog_append *a, uint64_t from)
{
	uint64_t end = a->previous_index + a->n_entries;

	for (uint32_t i = 0; i < a->n_runs; i++) {
		uint64_t last = i + 1 < a->n_runs ? a->runs[i + 1].first - 1 : end;
		uint64_t first = a->runs[i].first < from ? from : a->runs[i].first;

		if (first <= last)
			entries_push(r, a->runs[i].epoch, last - first + 1);
	}
}

/* It has all that the master had when it sent this, to this very start of the server. The master
 * held a lease then, so nobody had won a later epoch, and it had all that ever was committed. */
static bool is_whole_with(const struct replog_append *a)
{
	return a->previous_index + a->n_entries >= a->last;
}

static void take_from(struct replog *r, const struct replog_append *a, uint64_t conflict,
		      struct replog_output *out)
{
	bool was_empty = machine_is_empty(r);
	uint64_t from = conflict;

	if (conflict != 0) {
		out->give_up_from = conflict;
		entries_give_up(r, conflict);
	} else {
		from = r->last + 1;
	}
	if (from <= a->previous_index + a->n_entries) {
		out->take_from = from;
		take(r, a, from);
	}
	entries_name_write(r, out);
	if (was_empty && !is_whole_with(a))
		machine_hold(r, REPLOG_LOST, out);
	else if (!machine_is_lost(r) && r->held.epoch != 0 &&
		 machine_compare(entries_end(r), r->held) >= 0)
		machine_hold(r, (struct election_position){0}, out);
}

/* In the memory it is when the disk says so: an answer to this request counts for good, and must
 * not come from a server that starts as a forgetful one again. */
static void become_whole(struct replog *r, uint64_t at, struct replog_output *out)
{
	if (out->write.number == 0)
		entries_name_write(r, out);
	out->put_held = true;
	out->held = (struct election_position){0};
	r->whole_write = out->write.number;
	r->whole_at = at;
}

void follower_request(struct replog *r, const struct replog_input *in, struct replog_output *out)
{
	const struct replog_append *a = in->append;
	uint64_t end, committed, conflict;

	if (!may_take(r, in, out))
		return;
	end = a->previous_index + a->n_entries;
	committed = a->committed < end ? a->committed : end; /* behind 'end' it may be another */
	conflict = find_conflict(r, a);
	if (conflict != 0 && conflict <= r->known && !MUTANT(3)) {
		machine_refuse(out, ANYWHERE, "contradicts what is committed");
		return;
	}
	if (conflict != 0 || end > r->last) {
		if (!entries_has_room(r, conflict != 0 ? conflict - 1 : r->last, a->runs,
				      a->n_runs)) {
			machine_refuse(out, ANYWHERE, "the log holds too many epochs");
			return;
		}
		take_from(r, a, conflict, out);
	}
	if (committed > r->known)
		r->known = committed;
	if (machine_is_lost(r) && r->whole_write == 0 && is_whole_with(a))
		become_whole(r, end, out);
	out->verdict = REPLOG_ACCEPTED;
	out->match = end;
}

/* ---- Snapshots ---- */

static bool is_same_snapshot(const struct replog *r, const struct replog_input *in)
{
	return r->is_rebuilding && r->snapshot.next != 0 && r->snapshot.index == in->index &&
	       r->snapshot.index_epoch == in->index_epoch && r->snapshot.epoch == in->epoch;
}

/* One that this server needs is ahead of it. It lacks something that was committed and is no longer
 * kept; had it heard of that entry's epoch, it would have had the entry or be behind it. */
static bool is_ahead(const struct replog *r, const struct replog_input *in)
{
	struct election_position p = {in->index_epoch, in->index};

	return r->is_rebuilding || (in->index > r->known && machine_compare(p, entries_end(r)) > 0);
}

static bool may_install(const struct replog *r, const struct replog_input *in,
			struct replog_output *out)
{
	out->next = is_same_snapshot(r, in) ? r->snapshot.next : 0;
	if (in->index > PLACE_MAX || (in->index == 0) != (in->index_epoch == 0) ||
	    in->index_epoch > in->epoch)
		machine_refuse(out, ANYWHERE, "makes no sense");
	else if (!is_followed(r, in->server, in->epoch))
		machine_refuse(out, ANYWHERE, "not from the master of my epoch");
	else if (!is_ahead(r, in))
		machine_refuse(out, ANYWHERE, "this server holds more than that");
	else if (in->n != 0 && (in->n != out->next || r->snapshot.last_write != 0))
		machine_refuse(out, ANYWHERE, "another part is wanted");
	else
		return true;
	return false;
}

static void begin_snapshot(struct replog *r, const struct replog_input *in,
			   struct replog_output *out)
{
	struct election_position held = replog_position(r);

	if (machine_is_empty(r) || machine_is_lost(r))
		held = REPLOG_LOST;
	out->begin_snapshot = true;
	r->is_rebuilding = true;
	r->whole_write = 0;
	entries_become(r, 0, 0);
	machine_hold(r, MUTANT(4) ? (struct election_position){0} : held, out);
	r->snapshot.index = in->index;
	r->snapshot.index_epoch = in->index_epoch;
	r->snapshot.epoch = in->epoch;
	r->snapshot.next = 0;
	r->snapshot.last_write = 0;
}

void follower_snapshot(struct replog *r, const struct replog_input *in, struct replog_output *out)
{
	if (!may_install(r, in, out))
		return;
	if (in->n == 0)
		begin_snapshot(r, in, out);
	entries_name_write(r, out);
	if (in->is_last) {
		out->write.last = in->index;
		r->snapshot.last_write = out->write.number;
	}
	out->verdict = REPLOG_ACCEPTED;
	out->match = in->index;
	out->next = ++r->snapshot.next;
}

void follower_stored(struct replog *r, struct replog_write write)
{
	if (r->is_rebuilding) {
		if (r->snapshot.last_write == 0 || write.number < r->snapshot.last_write)
			return;
		r->is_rebuilding = false;
		r->snapshot.next = 0;
		r->snapshot.last_write = 0;
		entries_become(r, r->snapshot.index, r->snapshot.index_epoch);
		if (!machine_is_lost(r) && machine_compare(entries_end(r), r->held) >= 0)
			r->held = (struct election_position){0};
	}
	if (r->whole_write != 0 && write.number >= r->whole_write) {
		r->whole_write = 0;
		r->held = (struct election_position){0};
	}
}
