#include <errno.h>

#include "cp/wire/codec.h"

static int fill_replicate_request(struct arena *a, const struct wire_replicate_request *m,
				  Bellwether__ReplicateRequest *out)
{
	const struct wire_cell_records records = {.alarms = m->alarms,
						  .n_alarms = m->n_alarms,
						  .elements = m->elements,
						  .n_elements = m->n_elements,
						  .notes = m->notes,
						  .n_notes = m->n_notes};
	struct codec_stored stored;
	int err;

	CODEC_TEXT(a, out->cell, m->cell);
	out->is_begin = m->is_begin;
	out->is_end = m->is_end;
	out->is_copy = m->is_copy;
	err = codec_fill_stored(a, &records, &stored);
	if (err != 0)
		return err;
	out->alarms = stored.alarms;
	out->n_alarms = m->n_alarms;
	out->elements = stored.elements;
	out->n_elements = m->n_elements;
	out->notes = stored.notes;
	out->n_notes = m->n_notes;
	out->n_events = m->n_events;
	err = codec_fill_events(a, m->events, m->n_events, &out->events);
	if (err != 0)
		return err;
	return codec_fill_token(a, &m->token, &out->token);
}

static int read_replicate_request(struct arena *a, const Bellwether__ReplicateRequest *m,
				  struct wire_replicate_request *out)
{
	const struct codec_stored stored = {m->alarms, m->elements, m->notes};
	struct wire_cell_records records = {.n_alarms = (uint32_t)m->n_alarms,
					    .n_elements = (uint32_t)m->n_elements,
					    .n_notes = (uint32_t)m->n_notes};
	int err;

	if (!codec_is_cell_name(m->cell))
		return -EBADMSG;
	err = codec_read_stored(a, &stored, &records);
	if (err != 0)
		return err;
	*out = (struct wire_replicate_request){
		.cell = m->cell,
		.token = codec_read_token(m->token),
		.is_begin = m->is_begin,
		.is_end = m->is_end,
		.is_copy = m->is_copy,
		.alarms = records.alarms,
		.n_alarms = records.n_alarms,
		.elements = records.elements,
		.n_elements = records.n_elements,
		.notes = records.notes,
		.n_notes = records.n_notes,
		.n_events = (uint32_t)m->n_events,
	};
	return codec_read_events(a, m->events, m->n_events, &out->events);
}
CODEC(replicate_request, Bellwether__ReplicateRequest, bellwether__replicate_request__descriptor)

static int fill_replicate_answer(struct arena *a, const struct wire_replicate_answer *m,
				 Bellwether__ReplicateAnswer *out)
{
	CODEC_TEXT(a, out->why, m->why);
	out->is_stored = m->is_stored;
	out->is_copy_wanted = m->is_copy_wanted;
	return codec_fill_token(a, &m->token, &out->token);
}

static int read_replicate_answer(struct arena *a, const Bellwether__ReplicateAnswer *m,
				 struct wire_replicate_answer *out)
{
	*out = (struct wire_replicate_answer){.is_stored = m->is_stored,
					      .is_copy_wanted = m->is_copy_wanted,
					      .why = m->why,
					      .token = codec_read_token(m->token)};
	return 0;
}
CODEC(replicate_answer, Bellwether__ReplicateAnswer, bellwether__replicate_answer__descriptor)

static int fill_fetch_cell_request(struct arena *a, const struct wire_fetch_cell_request *m,
				   Bellwether__FetchCellRequest *out)
{
	CODEC_TEXT(a, out->cell, m->cell);
	out->after_element = m->after_element;
	out->element = m->element;
	return codec_fill_token(a, &m->token, &out->token);
}

static int read_fetch_cell_request(struct arena *a, const Bellwether__FetchCellRequest *m,
				   struct wire_fetch_cell_request *out)
{
	*out = (struct wire_fetch_cell_request){.cell = m->cell,
						.token = codec_read_token(m->token),
						.after_element = m->after_element,
						.element = m->element};
	return codec_is_cell_name(m->cell) ? 0 : -EBADMSG;
}
CODEC(fetch_cell_request, Bellwether__FetchCellRequest, bellwether__fetch_cell_request__descriptor)

static int fill_cell_records(struct arena *a, const struct wire_cell_records *m,
			     Bellwether__CellRecords *out)
{
	struct codec_stored stored;
	int err;

	CODEC_TEXT(a, out->why, m->why);
	out->is_known = m->is_known;
	out->is_from_memory = m->is_from_memory;
	out->next_after = m->next_after;
	err = codec_fill_stored(a, m, &stored);
	if (err != 0)
		return err;
	out->alarms = stored.alarms;
	out->n_alarms = m->n_alarms;
	out->elements = stored.elements;
	out->n_elements = m->n_elements;
	out->notes = stored.notes;
	out->n_notes = m->n_notes;
	return codec_fill_token(a, &m->token, &out->token);
}

static int read_cell_records(struct arena *a, const Bellwether__CellRecords *m,
			     struct wire_cell_records *out)
{
	const struct codec_stored stored = {m->alarms, m->elements, m->notes};

	*out = (struct wire_cell_records){
		.is_known = m->is_known,
		.is_from_memory = m->is_from_memory,
		.token = codec_read_token(m->token),
		.n_alarms = (uint32_t)m->n_alarms,
		.n_elements = (uint32_t)m->n_elements,
		.n_notes = (uint32_t)m->n_notes,
		.next_after = m->next_after,
		.why = m->why,
	};
	return codec_read_stored(a, &stored, out);
}
CODEC(cell_records, Bellwether__CellRecords, bellwether__cell_records__descriptor)
