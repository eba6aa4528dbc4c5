#include <errno.h>

#include "cp/wire/codec.h"

static int fill_append_request(struct arena *a, const struct wire_append_request *m,
			       Bellwether__AppendRequest *out)
{
	out->epoch = m->epoch;
	out->previous_index = m->previous_index;
	out->previous_epoch = m->previous_epoch;
	out->committed = m->committed;
	out->last = m->last;
	out->to_boot = m->to_boot;
	out->entries = arena_array(a, m->n_entries, sizeof(*out->entries));
	out->runs = codec_rows(a, &bellwether__log_run__descriptor, m->n_runs);
	if (out->entries == NULL || out->runs == NULL)
		return -ENOMEM;
	out->n_entries = m->n_entries;
	for (uint32_t i = 0; i < m->n_entries; i++)
		out->entries[i] = codec_fill_octets(m->entries[i]);
	out->n_runs = m->n_runs;
	for (uint32_t i = 0; i < m->n_runs; i++) {
		out->runs[i]->epoch = m->runs[i].epoch;
		out->runs[i]->first = m->runs[i].first;
	}
	return 0;
}

/* The epochs of a log never fall, and two runs of one epoch would be one. */
static bool are_runs_ascending(const struct wire_log_run *runs, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (runs[i].epoch == 0 || runs[i].first == 0 ||
		    (i > 0 &&
		     (runs[i].epoch <= runs[i - 1].epoch || runs[i].first <= runs[i - 1].first)))
			return false;
	return true;
}

static int read_append_request(struct arena *a, const Bellwether__AppendRequest *m,
			       struct wire_append_request *out)
{
	*out = (struct wire_append_request){.epoch = m->epoch,
					    .previous_index = m->previous_index,
					    .previous_epoch = m->previous_epoch,
					    .committed = m->committed,
					    .last = m->last,
					    .to_boot = m->to_boot,
					    .n_entries = (uint32_t)m->n_entries,
					    .n_runs = (uint32_t)m->n_runs};
	if (m->n_runs > m->n_entries || (m->n_entries > 0 && m->n_runs == 0) ||
	    m->previous_index > UINT64_MAX - m->n_entries)
		return -EBADMSG;
	out->entries = arena_array(a, m->n_entries, sizeof(*out->entries));
	out->runs = arena_array(a, m->n_runs, sizeof(*out->runs));
	if (out->entries == NULL || out->runs == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_entries; i++)
		out->entries[i] = codec_read_octets(m->entries[i]);
	for (size_t i = 0; i < m->n_runs; i++)
		out->runs[i] = (struct wire_log_run){m->runs[i]->epoch, m->runs[i]->first};
	return are_runs_ascending(out->runs, out->n_runs) ? 0 : -EBADMSG;
}
CODEC(append_request, Bellwether__AppendRequest, bellwether__append_request__descriptor)

static int fill_append_answer(struct arena *a, const struct wire_append_answer *m,
			      Bellwether__AppendAnswer *out)
{
	CODEC_TEXT(a, out->why, m->why);
	out->is_accepted = m->is_accepted;
	out->epoch = m->epoch;
	out->match = m->match;
	out->from = m->from;
	return 0;
}

static int read_append_answer(struct arena *a, const Bellwether__AppendAnswer *m,
			      struct wire_append_answer *out)
{
	*out = (struct wire_append_answer){.is_accepted = m->is_accepted,
					   .epoch = m->epoch,
					   .match = m->match,
					   .why = m->why,
					   .from = m->from};
	return m->from != 0 && codec_is_server_id(m->from) ? 0 : -EBADMSG;
}
CODEC(append_answer, Bellwether__AppendAnswer, bellwether__append_answer__descriptor)

static int fill_snapshot_chunk(struct arena *a, const struct wire_snapshot_chunk *m,
			       Bellwether__SnapshotChunk *out)
{
	out->epoch = m->epoch;
	out->index = m->index;
	out->index_epoch = m->index_epoch;
	out->number = m->number;
	out->is_last = m->is_last;
	out->rows = codec_rows(a, &bellwether__snapshot_row__descriptor, m->n_rows);
	if (out->rows == NULL)
		return -ENOMEM;
	out->n_rows = m->n_rows;
	for (uint32_t i = 0; i < m->n_rows; i++) {
		out->rows[i]->table = m->rows[i].table;
		out->rows[i]->key = codec_fill_octets(m->rows[i].key);
		out->rows[i]->value = codec_fill_octets(m->rows[i].value);
	}
	return 0;
}

static int read_snapshot_chunk(struct arena *a, const Bellwether__SnapshotChunk *m,
			       struct wire_snapshot_chunk *out)
{
	*out = (struct wire_snapshot_chunk){.epoch = m->epoch,
					    .index = m->index,
					    .index_epoch = m->index_epoch,
					    .number = m->number,
					    .is_last = m->is_last,
					    .n_rows = (uint32_t)m->n_rows};
	out->rows = arena_array(a, m->n_rows, sizeof(*out->rows));
	if (out->rows == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_rows; i++) {
		const Bellwether__SnapshotRow *row = m->rows[i];

		if (row->key.len == 0)
			return -EBADMSG;
		out->rows[i] = (struct wire_snapshot_row){row->table, codec_read_octets(row->key),
							  codec_read_octets(row->value)};
	}
	return 0;
}
CODEC(snapshot_chunk, Bellwether__SnapshotChunk, bellwether__snapshot_chunk__descriptor)

static int fill_snapshot_answer(struct arena *a, const struct wire_snapshot_answer *m,
				Bellwether__SnapshotAnswer *out)
{
	CODEC_TEXT(a, out->why, m->why);
	out->is_accepted = m->is_accepted;
	out->epoch = m->epoch;
	out->next = m->next;
	out->from = m->from;
	return 0;
}

static int read_snapshot_answer(struct arena *a, const Bellwether__SnapshotAnswer *m,
				struct wire_snapshot_answer *out)
{
	*out = (struct wire_snapshot_answer){.is_accepted = m->is_accepted,
					     .epoch = m->epoch,
					     .next = m->next,
					     .from = m->from,
					     .why = m->why};
	return m->from != 0 && codec_is_server_id(m->from) ? 0 : -EBADMSG;
}
CODEC(snapshot_answer, Bellwether__SnapshotAnswer, bellwether__snapshot_answer__descriptor)
