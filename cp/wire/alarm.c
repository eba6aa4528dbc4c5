#include <errno.h>

#include "cp/wire/codec.h"

static int fill_alarm(struct arena *a, const struct wire_alarm *m, Bellwether__AlarmRecord *out)
{
	CODEC_TEXT(a, out->operator_state, m->operator_state);
	CODEC_TEXT(a, out->operator_, m->operator_name);
	CODEC_TEXT(a, out->operator_text, m->operator_text);
	CODEC_TEXT(a, out->source, m->source);
	out->operator_ns = m->operator_ns;
	out->age_ms = m->age_ms;
	CODEC_TEXT(a, out->element, m->element);
	CODEC_TEXT(a, out->resource, m->resource);
	CODEC_TEXT(a, out->type, m->type);
	CODEC_TEXT(a, out->qualifier, m->qualifier);
	CODEC_TEXT(a, out->severity, m->severity);
	CODEC_TEXT(a, out->text, m->text);
	out->element_id = m->element_id;
	out->is_cleared = m->is_cleared;
	out->raised_ns = m->raised_ns;
	out->changed_ns = m->changed_ns;
	out->last_ns = m->last_ns;
	out->count = m->count;
	out->owner = m->owner;
	return codec_fill_token(a, &m->token, &out->token);
}

static int read_alarm(const Bellwether__AlarmRecord *m, struct wire_alarm *out)
{
	if (m->element_id == 0 || !codec_is_server_id(m->owner))
		return -EBADMSG;
	*out = (struct wire_alarm){
		.element_id = m->element_id,
		.element = m->element,
		.resource = m->resource,
		.type = m->type,
		.qualifier = m->qualifier,
		.severity = m->severity,
		.text = m->text,
		.is_cleared = m->is_cleared,
		.raised_ns = m->raised_ns,
		.changed_ns = m->changed_ns,
		.last_ns = m->last_ns,
		.count = m->count,
		.owner = m->owner,
		.token = codec_read_token(m->token),
		.operator_state = m->operator_state,
		.operator_name = m->operator_,
		.operator_text = m->operator_text,
		.operator_ns = m->operator_ns,
		.age_ms = m->age_ms,
		.source = m->source,
	};
	return 0;
}

int codec_fill_alarm(struct arena *a, const struct wire_alarm *alarm, bool is_there,
		     Bellwether__AlarmRecord **out)
{
	if (!is_there)
		return 0;
	*out = codec_row(a, &bellwether__alarm_record__descriptor);
	return *out == NULL ? -ENOMEM : fill_alarm(a, alarm, *out);
}

int codec_read_alarm(const Bellwether__AlarmRecord *alarm, struct wire_alarm *out, bool *is_there)
{
	*is_there = alarm != NULL;
	if (alarm != NULL)
		return read_alarm(alarm, out);
	*out = (struct wire_alarm){.element = "",
				   .resource = "",
				   .type = "",
				   .qualifier = "",
				   .severity = "",
				   .text = "",
				   .operator_state = "",
				   .operator_name = "",
				   .operator_text = "",
				   .source = ""};
	return 0;
}

int codec_fill_alarms(struct arena *a, const struct wire_alarm *alarms, uint32_t n,
		      Bellwether__AlarmRecord ***out)
{
	Bellwether__AlarmRecord **rows = codec_rows(a, &bellwether__alarm_record__descriptor, n);
	int err;

	if (rows == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		err = fill_alarm(a, &alarms[i], rows[i]);
		if (err != 0)
			return err;
	}
	*out = rows;
	return 0;
}

int codec_read_alarms(struct arena *a, Bellwether__AlarmRecord *const *alarms, size_t n,
		      struct wire_alarm **out)
{
	struct wire_alarm *ours = arena_array(a, n, sizeof(*ours));
	int err;

	if (ours == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		err = read_alarm(alarms[i], &ours[i]);
		if (err != 0)
			return err;
	}
	*out = ours;
	return 0;
}

static int fill_alarm_list(struct arena *a, const struct wire_alarm_list *m,
			   Bellwether__AlarmList *out)
{
	out->n_alarms = m->n_alarms;
	out->next_after = m->next_after;
	out->n_left_out = m->n_left_out;
	out->silent = m->silent;
	out->n_silent = m->n_silent;
	out->answered_by = m->answered_by;
	return codec_fill_alarms(a, m->alarms, m->n_alarms, &out->alarms);
}

static int read_alarm_list(struct arena *a, const Bellwether__AlarmList *m,
			   struct wire_alarm_list *out)
{
	int err;

	if (!codec_is_server_id(m->answered_by))
		return -EBADMSG;
	*out = (struct wire_alarm_list){.n_alarms = (uint32_t)m->n_alarms,
					.next_after = m->next_after,
					.n_left_out = m->n_left_out,
					.n_silent = (uint32_t)m->n_silent,
					.answered_by = m->answered_by};
	err = codec_read_alarms(a, m->alarms, m->n_alarms, &out->alarms);
	if (err != 0)
		return err;
	return codec_read_servers(a, m->silent, m->n_silent, &out->silent);
}
CODEC(alarm_list, Bellwether__AlarmList, bellwether__alarm_list__descriptor)
