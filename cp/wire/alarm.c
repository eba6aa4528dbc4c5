#include <errno.h>

#include "cp/wire/codec.h"

static int fill_alarm(struct arena *a, const struct wire_alarm *m, Bellwether__AlarmRecord *out)
{
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
	};
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
					.n_silent = (uint32_t)m->n_silent,
					.answered_by = m->answered_by};
	err = codec_read_alarms(a, m->alarms, m->n_alarms, &out->alarms);
	if (err != 0)
		return err;
	return codec_read_silent(a, m->silent, m->n_silent, &out->silent);
}
CODEC(alarm_list, Bellwether__AlarmList, bellwether__alarm_list__descriptor)

static int fill_watch_request(struct arena *a, const struct wire_watch_request *m,
			      Bellwether__WatchRequest *out)
{
	out->is_local = m->is_local;
	out->present = m->present;
	return 0;
}

static int read_watch_request(struct arena *a, const Bellwether__WatchRequest *m,
			      struct wire_watch_request *out)
{
	*out = (struct wire_watch_request){.is_local = m->is_local, .present = m->present};
	return 0;
}
CODEC(watch_request, Bellwether__WatchRequest, bellwether__watch_request__descriptor)

static int fill_alarm_event(struct arena *a, const struct wire_alarm_event *m,
			    Bellwether__AlarmEvent *out)
{
	CODEC_TEXT(a, out->kind, m->kind);
	out->time_ns = m->time_ns;
	out->server = m->server;
	out->number = m->number;
	if (!m->has_alarm)
		return 0;
	out->alarm = codec_row(a, &bellwether__alarm_record__descriptor);
	if (out->alarm == NULL)
		return -ENOMEM;
	return fill_alarm(a, &m->alarm, out->alarm);
}

static int read_alarm_event(struct arena *a, const Bellwether__AlarmEvent *m,
			    struct wire_alarm_event *out)
{
	if (m->kind[0] == '\0' || !codec_is_server_id(m->server))
		return -EBADMSG;
	*out = (struct wire_alarm_event){
		.kind = m->kind,
		/* An event without an alarm has empty texts, not NULL. */
		.alarm = {.element = "",
			  .resource = "",
			  .type = "",
			  .qualifier = "",
			  .severity = "",
			  .text = ""},
		.has_alarm = m->alarm != NULL,
		.time_ns = m->time_ns,
		.server = m->server,
		.number = m->number,
	};
	return m->alarm != NULL ? read_alarm(m->alarm, &out->alarm) : 0;
}
CODEC(alarm_event, Bellwether__AlarmEvent, bellwether__alarm_event__descriptor)
