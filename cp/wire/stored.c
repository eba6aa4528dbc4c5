#include <errno.h>

#include "cp/wire/codec.h"
#include "dp/fedmem/fedmem.h"

#define METRICS_MAX UINT8_MAX /* fedmem counts them in an octet */

static int fill_stored_alarm(struct arena *a, const struct wire_stored_alarm *m,
			     Bellwether__StoredAlarm *out)
{
	CODEC_TEXT(a, out->cell, m->cell);
	out->element_id = m->element_id;
	out->type = codec_fill_octets(m->type);
	out->resource = codec_fill_octets(m->resource);
	out->qualifier = codec_fill_octets(m->qualifier);
	out->text = codec_fill_octets(m->text);
	out->state = m->state;
	out->severity = m->severity;
	out->raised_ns = m->raised_ns;
	out->changed_ns = m->changed_ns;
	out->last_ns = m->last_ns;
	out->count = m->count;
	out->boot = m->boot;
	out->sequence = m->sequence;
	out->stored_ns = m->stored_ns;
	out->owner = m->owner;
	return codec_fill_token(a, &m->token, &out->token);
}

static bool is_alarm_key(ProtobufCBinaryData type, ProtobufCBinaryData resource,
			 ProtobufCBinaryData qualifier)
{
	return type.len <= FEDMEM_TYPE_BYTES && resource.len <= FEDMEM_RESOURCE_BYTES &&
	       qualifier.len <= FEDMEM_QUALIFIER_BYTES;
}

static int read_stored_alarm(struct arena *a, const Bellwether__StoredAlarm *m,
			     struct wire_stored_alarm *out)
{
	/* Of an alarm that is no longer kept only the key counts. */
	bool has_cell = m->state == FEDMEM_ALARM_FREE ? codec_is_cell_name_or_none(m->cell)
						      : codec_is_cell_name(m->cell);

	if (m->element_id == 0 || !has_cell || !codec_is_server_id(m->owner) ||
	    m->state > FEDMEM_ALARM_GONE || m->severity > FEDMEM_CRITICAL ||
	    !is_alarm_key(m->type, m->resource, m->qualifier) || m->text.len > FEDMEM_TEXT_BYTES)
		return -EBADMSG;
	*out = (struct wire_stored_alarm){
		.element_id = m->element_id,
		.type = codec_read_octets(m->type),
		.resource = codec_read_octets(m->resource),
		.qualifier = codec_read_octets(m->qualifier),
		.text = codec_read_octets(m->text),
		.state = (uint8_t)m->state,
		.severity = (uint8_t)m->severity,
		.raised_ns = m->raised_ns,
		.changed_ns = m->changed_ns,
		.last_ns = m->last_ns,
		.count = m->count,
		.boot = m->boot,
		.sequence = m->sequence,
		.stored_ns = m->stored_ns,
		.owner = m->owner,
		.token = codec_read_token(m->token),
		.cell = m->cell,
	};
	return 0;
}
CODEC(stored_alarm, Bellwether__StoredAlarm, bellwether__stored_alarm__descriptor)

static int fill_stored_element(struct arena *a, const struct wire_stored_element *m,
			       Bellwether__StoredElement *out)
{
	CODEC_TEXT(a, out->cell, m->cell);
	out->id = m->id;
	out->owner = m->owner;
	out->first_seen_ns = m->first_seen_ns;
	out->last_seen_ns = m->last_seen_ns;
	out->n_reports = m->n_reports;
	out->n_gaps = m->n_gaps;
	out->n_alarms = m->n_alarms;
	out->worst = m->worst;
	out->boot = m->boot;
	out->sequence = m->sequence;
	out->stored_ns = m->stored_ns;
	out->n_metrics = m->n_metrics;
	if (codec_fill_metrics(a, m->metrics, m->n_metrics, &out->metrics) != 0)
		return -ENOMEM;
	return codec_fill_token(a, &m->token, &out->token);
}

static int read_stored_element(struct arena *a, const Bellwether__StoredElement *m,
			       struct wire_stored_element *out)
{
	if (m->id == 0 || !codec_is_cell_name(m->cell) || !codec_is_server_id(m->owner) ||
	    m->worst > FEDMEM_CRITICAL || m->n_metrics > METRICS_MAX)
		return -EBADMSG;
	*out = (struct wire_stored_element){
		.id = m->id,
		.cell = m->cell,
		.owner = m->owner,
		.n_alarms = m->n_alarms,
		.token = codec_read_token(m->token),
		.first_seen_ns = m->first_seen_ns,
		.last_seen_ns = m->last_seen_ns,
		.n_reports = m->n_reports,
		.n_gaps = m->n_gaps,
		.boot = m->boot,
		.sequence = m->sequence,
		.stored_ns = m->stored_ns,
		.worst = (uint8_t)m->worst,
		.n_metrics = (uint32_t)m->n_metrics,
	};
	return codec_read_metrics(a, m->metrics, m->n_metrics, &out->metrics);
}
CODEC(stored_element, Bellwether__StoredElement, bellwether__stored_element__descriptor)

static int fill_alarm_note(struct arena *a, const struct wire_alarm_note *m,
			   Bellwether__AlarmNote *out)
{
	CODEC_TEXT(a, out->operator_, m->operator_name);
	CODEC_TEXT(a, out->text, m->text);
	CODEC_TEXT(a, out->request_id, m->request_id);
	out->element_id = m->element_id;
	out->type = codec_fill_octets(m->type);
	out->resource = codec_fill_octets(m->resource);
	out->qualifier = codec_fill_octets(m->qualifier);
	out->raised_ns = m->raised_ns;
	out->is_ack = m->is_ack;
	out->time_ns = m->time_ns;
	out->number = m->number;
	out->origin = m->origin;
	return 0;
}

static int read_alarm_note(struct arena *a, const Bellwether__AlarmNote *m,
			   struct wire_alarm_note *out)
{
	if (m->element_id == 0 || !is_alarm_key(m->type, m->resource, m->qualifier) ||
	    !codec_is_request_id(m->request_id) || !codec_is_server_id(m->origin))
		return -EBADMSG;
	*out = (struct wire_alarm_note){
		.element_id = m->element_id,
		.raised_ns = m->raised_ns,
		.time_ns = m->time_ns,
		.number = m->number,
		.type = codec_read_octets(m->type),
		.resource = codec_read_octets(m->resource),
		.qualifier = codec_read_octets(m->qualifier),
		.is_ack = m->is_ack,
		.operator_name = m->operator_,
		.text = m->text,
		.request_id = m->request_id,
		.origin = m->origin,
	};
	return 0;
}
CODEC(alarm_note, Bellwether__AlarmNote, bellwether__alarm_note__descriptor)

static int fill_cell_sync(struct arena *a, const struct wire_cell_sync *m,
			  Bellwether__CellSync *out)
{
	CODEC_TEXT(a, out->cell, m->cell);
	out->is_complete = m->is_complete;
	out->is_owner = m->is_owner;
	return codec_fill_token(a, &m->token, &out->token);
}

static int read_cell_sync(struct arena *a, const Bellwether__CellSync *m,
			  struct wire_cell_sync *out)
{
	*out = (struct wire_cell_sync){.cell = m->cell,
				       .token = codec_read_token(m->token),
				       .is_complete = m->is_complete,
				       .is_owner = m->is_owner};
	return codec_is_cell_name(m->cell) ? 0 : -EBADMSG;
}
CODEC(cell_sync, Bellwether__CellSync, bellwether__cell_sync__descriptor)

int codec_fill_stored(struct arena *a, const struct wire_cell_records *from,
		      struct codec_stored *out)
{
	int err = 0;

	out->alarms = codec_rows(a, &bellwether__stored_alarm__descriptor, from->n_alarms);
	out->elements = codec_rows(a, &bellwether__stored_element__descriptor, from->n_elements);
	out->notes = codec_rows(a, &bellwether__alarm_note__descriptor, from->n_notes);
	if (out->alarms == NULL || out->elements == NULL || out->notes == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; err == 0 && i < from->n_alarms; i++)
		err = fill_stored_alarm(a, &from->alarms[i], out->alarms[i]);
	for (uint32_t i = 0; err == 0 && i < from->n_elements; i++)
		err = fill_stored_element(a, &from->elements[i], out->elements[i]);
	for (uint32_t i = 0; err == 0 && i < from->n_notes; i++)
		err = fill_alarm_note(a, &from->notes[i], out->notes[i]);
	return err;
}

int codec_read_stored(struct arena *a, const struct codec_stored *from,
		      struct wire_cell_records *out)
{
	int err = 0;

	out->alarms = arena_array(a, out->n_alarms, sizeof(*out->alarms));
	out->elements = arena_array(a, out->n_elements, sizeof(*out->elements));
	out->notes = arena_array(a, out->n_notes, sizeof(*out->notes));
	if (out->alarms == NULL || out->elements == NULL || out->notes == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; err == 0 && i < out->n_alarms; i++)
		err = read_stored_alarm(a, from->alarms[i], &out->alarms[i]);
	for (uint32_t i = 0; err == 0 && i < out->n_elements; i++)
		err = read_stored_element(a, from->elements[i], &out->elements[i]);
	for (uint32_t i = 0; err == 0 && i < out->n_notes; i++)
		err = read_alarm_note(a, from->notes[i], &out->notes[i]);
	return err;
}
