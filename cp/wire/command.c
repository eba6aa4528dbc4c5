#include <errno.h>
#include <string.h>

#include "cp/wire/codec.h"

static int fill_command(struct arena *a, const struct wire_command *m, Bellwether__Command **out)
{
	Bellwether__Command *c = codec_row(a, &bellwether__command__descriptor);

	if (c == NULL)
		return -ENOMEM;
	CODEC_TEXT(a, c->request_id, m->request_id);
	CODEC_TEXT(a, c->operator_, m->operator_name);
	c->is_forwarded = m->is_forwarded;
	*out = c;
	return codec_fill_token(a, &m->token, &c->token);
}

static int read_command(const Bellwether__Command *m, struct wire_command *out)
{
	*out = (struct wire_command){.request_id = "", .operator_name = ""};
	if (m == NULL)
		return 0;
	*out = (struct wire_command){.request_id = m->request_id,
				     .operator_name = m->operator_,
				     .is_forwarded = m->is_forwarded,
				     .token = codec_read_token(m->token)};
	return codec_is_request_id(m->request_id) ? 0 : -EBADMSG;
}

static int fill_spec(struct arena *a, const struct wire_element_spec *m,
		     Bellwether__ElementSpec *out)
{
	CODEC_TEXT(a, out->name, m->name);
	CODEC_TEXT(a, out->kind, m->kind);
	CODEC_TEXT(a, out->region, m->region);
	out->id = m->id;
	out->address.data = (uint8_t *)m->address; /* packing only reads */
	out->address.len = sizeof(m->address);
	return 0;
}

static int read_spec(const Bellwether__ElementSpec *m, struct wire_element_spec *out)
{
	if (m == NULL || m->address.len != sizeof(out->address))
		return -EBADMSG;
	*out = (struct wire_element_spec){
		.id = m->id, .name = m->name, .kind = m->kind, .region = m->region};
	memcpy(out->address, m->address.data, sizeof(out->address));
	return 0;
}

int codec_fill_specs(struct arena *a, const struct wire_element_spec *specs, uint32_t n,
		     Bellwether__ElementSpec ***out)
{
	Bellwether__ElementSpec **rows = codec_rows(a, &bellwether__element_spec__descriptor, n);
	int err;

	if (rows == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		err = fill_spec(a, &specs[i], rows[i]);
		if (err != 0)
			return err;
	}
	*out = rows;
	return 0;
}

int codec_read_specs(struct arena *a, Bellwether__ElementSpec *const *specs, size_t n,
		     struct wire_element_spec **out)
{
	struct wire_element_spec *ours = arena_array(a, n, sizeof(*ours));
	int err;

	if (ours == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		err = read_spec(specs[i], &ours[i]);
		if (err != 0)
			return err;
	}
	*out = ours;
	return 0;
}

static int fill_import_elements_request(struct arena *a,
					const struct wire_import_elements_request *m,
					Bellwether__ImportElementsRequest *out)
{
	int err = fill_command(a, &m->command, &out->command);

	if (err != 0)
		return err;
	out->n_elements = m->n_elements;
	return codec_fill_specs(a, m->elements, m->n_elements, &out->elements);
}

static int read_import_elements_request(struct arena *a, const Bellwether__ImportElementsRequest *m,
					struct wire_import_elements_request *out)
{
	int err = read_command(m->command, &out->command);

	if (err != 0)
		return err;
	out->n_elements = (uint32_t)m->n_elements;
	return codec_read_specs(a, m->elements, m->n_elements, &out->elements);
}
CODEC(import_elements_request, Bellwether__ImportElementsRequest,
      bellwether__import_elements_request__descriptor)

static int fill_adopt_element_request(struct arena *a, const struct wire_adopt_element_request *m,
				      Bellwether__AdoptElementRequest *out)
{
	int err = fill_command(a, &m->command, &out->command);

	if (err != 0)
		return err;
	out->element = codec_row(a, &bellwether__element_spec__descriptor);
	return out->element == NULL ? -ENOMEM : fill_spec(a, &m->element, out->element);
}

static int read_adopt_element_request(struct arena *a, const Bellwether__AdoptElementRequest *m,
				      struct wire_adopt_element_request *out)
{
	int err = read_command(m->command, &out->command);

	return err != 0 ? err : read_spec(m->element, &out->element);
}
CODEC(adopt_element_request, Bellwether__AdoptElementRequest,
      bellwether__adopt_element_request__descriptor)

static int fill_move_element_request(struct arena *a, const struct wire_move_element_request *m,
				     Bellwether__MoveElementRequest *out)
{
	CODEC_TEXT(a, out->element, m->element);
	CODEC_TEXT(a, out->region, m->region);
	out->server = m->server;
	return fill_command(a, &m->command, &out->command);
}

static int read_move_element_request(struct arena *a, const Bellwether__MoveElementRequest *m,
				     struct wire_move_element_request *out)
{
	out->element = m->element;
	out->region = m->region;
	out->server = m->server;
	if (!codec_is_server_id(m->server))
		return -EBADMSG;
	return read_command(m->command, &out->command);
}
CODEC(move_element_request, Bellwether__MoveElementRequest,
      bellwether__move_element_request__descriptor)

static int fill_drain_server_request(struct arena *a, const struct wire_drain_server_request *m,
				     Bellwether__DrainServerRequest *out)
{
	out->server = m->server;
	out->is_drained = m->is_drained;
	return fill_command(a, &m->command, &out->command);
}

static int read_drain_server_request(struct arena *a, const Bellwether__DrainServerRequest *m,
				     struct wire_drain_server_request *out)
{
	out->server = m->server;
	out->is_drained = m->is_drained;
	if (!codec_is_server_id(m->server))
		return -EBADMSG;
	return read_command(m->command, &out->command);
}
CODEC(drain_server_request, Bellwether__DrainServerRequest,
      bellwether__drain_server_request__descriptor)

static int fill_ack_alarm_request(struct arena *a, const struct wire_ack_alarm_request *m,
				  Bellwether__AckAlarmRequest *out)
{
	CODEC_TEXT(a, out->element, m->element);
	CODEC_TEXT(a, out->resource, m->resource);
	CODEC_TEXT(a, out->type, m->type);
	CODEC_TEXT(a, out->qualifier, m->qualifier);
	CODEC_TEXT(a, out->text, m->text);
	out->is_ack = m->is_ack;
	return fill_command(a, &m->command, &out->command);
}

static int read_ack_alarm_request(struct arena *a, const Bellwether__AckAlarmRequest *m,
				  struct wire_ack_alarm_request *out)
{
	out->element = m->element;
	out->resource = m->resource;
	out->type = m->type;
	out->qualifier = m->qualifier;
	out->text = m->text;
	out->is_ack = m->is_ack;
	return read_command(m->command, &out->command);
}
CODEC(ack_alarm_request, Bellwether__AckAlarmRequest, bellwether__ack_alarm_request__descriptor)

static int fill_command_reply(struct arena *a, const struct wire_command_reply *m,
			      Bellwether__CommandReply *out)
{
	CODEC_TEXT(a, out->why, m->why);
	out->is_done = m->is_done;
	out->is_repeat = m->is_repeat;
	out->is_degraded = m->is_degraded;
	out->n_added = m->n_added;
	out->n_changed = m->n_changed;
	out->n_same = m->n_same;
	out->answered_by = m->answered_by;
	out->index = m->index;
	out->element_id = m->element_id;
	return 0;
}

static int read_command_reply(struct arena *a, const Bellwether__CommandReply *m,
			      struct wire_command_reply *out)
{
	*out = (struct wire_command_reply){
		.is_done = m->is_done,
		.is_repeat = m->is_repeat,
		.is_degraded = m->is_degraded,
		.why = m->why,
		.n_added = m->n_added,
		.n_changed = m->n_changed,
		.n_same = m->n_same,
		.answered_by = m->answered_by,
		.index = m->index,
		.element_id = m->element_id,
	};
	return codec_is_server_id(m->answered_by) ? 0 : -EBADMSG;
}
CODEC(command_reply, Bellwether__CommandReply, bellwether__command_reply__descriptor)
