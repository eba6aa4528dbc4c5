#include <errno.h>
#include <string.h>

#include "cp/wire/codec.h"

static int fill_map_proposal(struct arena *a, const struct wire_map_proposal *m,
			     Bellwether__MapProposal *out)
{
	out->from = m->from;
	out->to = m->to;
	out->epoch = m->epoch;
	out->version = m->version;
	out->is_commit = m->is_commit;
	out->boot = m->boot;
	out->sequence = m->sequence;
	out->seal.data = (uint8_t *)m->seal; /* packing only reads */
	out->seal.len = sizeof(m->seal);
	out->n_cells = m->n_cells;
	return codec_fill_cells(a, m->cells, m->n_cells, &out->cells);
}

static int read_map_proposal(struct arena *a, const Bellwether__MapProposal *m,
			     struct wire_map_proposal *out)
{
	if (m->from == 0 || m->to == 0 || !codec_is_server_id(m->from) ||
	    !codec_is_server_id(m->to) || m->seal.len != sizeof(out->seal))
		return -EBADMSG;
	*out = (struct wire_map_proposal){.from = m->from,
					  .to = m->to,
					  .boot = m->boot,
					  .epoch = m->epoch,
					  .version = m->version,
					  .sequence = m->sequence,
					  .n_cells = (uint32_t)m->n_cells,
					  .is_commit = m->is_commit};
	memcpy(out->seal, m->seal.data, sizeof(out->seal));
	return codec_read_cells(a, m->cells, m->n_cells, &out->cells);
}
CODEC(map_proposal, Bellwether__MapProposal, bellwether__map_proposal__descriptor)

static int fill_sealed_part(struct arena *a, const void *ours, void *generated)
{
	Bellwether__MapProposal *out = generated;
	int err = fill_map_proposal(a, ours, out);

	out->seal.len = 0;
	return err;
}

int wire_map_proposal_sealed_part(const struct wire_map_proposal *m, struct wire_bytes *out)
{
	static const struct codec codec = {&bellwether__map_proposal__descriptor,
					   sizeof(struct wire_map_proposal), fill_sealed_part,
					   NULL};

	return codec_pack(&codec, m, out);
}

static int fill_map_answer(struct arena *a, const struct wire_map_answer *m,
			   Bellwether__MapAnswer *out)
{
	CODEC_TEXT(a, out->why, m->why);
	out->is_accepted = m->is_accepted;
	out->epoch = m->epoch;
	out->from = m->from;
	return 0;
}

static int read_map_answer(struct arena *a, const Bellwether__MapAnswer *m,
			   struct wire_map_answer *out)
{
	*out = (struct wire_map_answer){
		.is_accepted = m->is_accepted, .epoch = m->epoch, .from = m->from, .why = m->why};
	return m->from != 0 && codec_is_server_id(m->from) ? 0 : -EBADMSG;
}
CODEC(map_answer, Bellwether__MapAnswer, bellwether__map_answer__descriptor)
