#include <errno.h>

#include "cp/wire/codec.h"

static int fill_event(struct arena *a, const struct wire_event *m, Bellwether__Event *out)
{
	CODEC_TEXT(a, out->kind, m->kind);
	CODEC_TEXT(a, out->cell, m->cell);
	CODEC_TEXT(a, out->operator_, m->operator_name);
	CODEC_TEXT(a, out->request_id, m->request_id);
	CODEC_TEXT(a, out->text, m->text);
	out->origin = m->origin;
	out->number = m->number;
	out->time_ns = m->time_ns;
	out->server = m->server;
	out->was = m->was;
	out->epoch = m->epoch;
	if (codec_fill_token(a, &m->token, &out->token) != 0)
		return -ENOMEM;
	return codec_fill_alarm(a, &m->alarm, m->has_alarm, &out->alarm);
}

static int read_event(struct arena *a, const Bellwether__Event *m, struct wire_event *out)
{
	if (m->kind[0] == '\0' || !codec_is_server_id(m->origin) ||
	    !codec_is_server_id(m->server) || !codec_is_server_id(m->was) ||
	    !codec_is_cell_name_or_none(m->cell) || !codec_is_request_id(m->request_id))
		return -EBADMSG;
	*out = (struct wire_event){
		.origin = m->origin,
		.number = m->number,
		.time_ns = m->time_ns,
		.kind = m->kind,
		.cell = m->cell,
		.token = codec_read_token(m->token),
		.server = m->server,
		.was = m->was,
		.epoch = m->epoch,
		.operator_name = m->operator_,
		.request_id = m->request_id,
		.text = m->text,
	};
	return codec_read_alarm(m->alarm, &out->alarm, &out->has_alarm);
}
CODEC(event, Bellwether__Event, bellwether__event__descriptor)

int codec_fill_events(struct arena *a, const struct wire_event *events, uint32_t n,
		      Bellwether__Event ***out)
{
	Bellwether__Event **rows = codec_rows(a, &bellwether__event__descriptor, n);
	int err;

	if (rows == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		err = fill_event(a, &events[i], rows[i]);
		if (err != 0)
			return err;
	}
	*out = rows;
	return 0;
}

int codec_read_events(struct arena *a, Bellwether__Event *const *events, size_t n,
		      struct wire_event **out)
{
	struct wire_event *ours = arena_array(a, n, sizeof(*ours));
	int err;

	if (ours == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		err = read_event(a, events[i], &ours[i]);
		if (err != 0)
			return err;
	}
	*out = ours;
	return 0;
}

static int fill_event_query(struct arena *a, const struct wire_event_query *m,
			    Bellwether__EventQuery *out)
{
	CODEC_TEXT(a, out->after, m->after);
	CODEC_TEXT(a, out->element, m->element);
	CODEC_TEXT(a, out->cell, m->cell);
	out->is_local = m->is_local;
	out->is_newest = m->is_newest;
	out->since_ns = m->since_ns;
	out->until_ns = m->until_ns;
	out->limit = m->limit;
	out->deadline_ms = m->deadline_ms;
	out->origin = m->origin;
	out->n_kinds = m->n_kinds;
	return codec_fill_texts(a, m->kinds, m->n_kinds, &out->kinds);
}

static int read_event_query(struct arena *a, const Bellwether__EventQuery *m,
			    struct wire_event_query *out)
{
	*out = (struct wire_event_query){
		.is_local = m->is_local,
		.is_newest = m->is_newest,
		.after = m->after,
		.element = m->element,
		.cell = m->cell,
		.since_ns = m->since_ns,
		.until_ns = m->until_ns,
		.kinds = (const char **)m->kinds,
		.n_kinds = (uint32_t)m->n_kinds,
		.limit = m->limit,
		.deadline_ms = m->deadline_ms,
		.origin = m->origin,
	};
	return codec_is_server_id(m->origin) && codec_is_cell_name_or_none(m->cell) ? 0 : -EBADMSG;
}
CODEC(event_query, Bellwether__EventQuery, bellwether__event_query__descriptor)

static int fill_event_list(struct arena *a, const struct wire_event_list *m,
			   Bellwether__EventList *out)
{
	CODEC_TEXT(a, out->resume, m->resume);
	out->is_more = m->is_more;
	out->silent = m->silent;
	out->n_silent = m->n_silent;
	out->answered_by = m->answered_by;
	out->n_events = m->n_events;
	return codec_fill_events(a, m->events, m->n_events, &out->events);
}

static int read_event_list(struct arena *a, const Bellwether__EventList *m,
			   struct wire_event_list *out)
{
	int err;

	if (!codec_is_server_id(m->answered_by))
		return -EBADMSG;
	*out = (struct wire_event_list){.n_events = (uint32_t)m->n_events,
					.resume = m->resume,
					.is_more = m->is_more,
					.n_silent = (uint32_t)m->n_silent,
					.answered_by = m->answered_by};
	err = codec_read_events(a, m->events, m->n_events, &out->events);
	if (err != 0)
		return err;
	return codec_read_servers(a, m->silent, m->n_silent, &out->silent);
}
CODEC(event_list, Bellwether__EventList, bellwether__event_list__descriptor)

static int fill_event_notice(struct arena *a, const struct wire_event_notice *m,
			     Bellwether__EventNotice *out)
{
	CODEC_TEXT(a, out->kind, m->kind);
	CODEC_TEXT(a, out->resume, m->resume);
	out->server = m->server;
	if (!m->has_event)
		return 0;
	out->event = codec_row(a, &bellwether__event__descriptor);
	return out->event == NULL ? -ENOMEM : fill_event(a, &m->event, out->event);
}

static int read_event_notice(struct arena *a, const Bellwether__EventNotice *m,
			     struct wire_event_notice *out)
{
	static const struct wire_event none = {
		.kind = "", .cell = "", .operator_name = "", .request_id = "", .text = ""};
	bool has_alarm;

	if (m->kind[0] == '\0' || !codec_is_server_id(m->server))
		return -EBADMSG;
	*out = (struct wire_event_notice){.kind = m->kind,
					  .event = none,
					  .has_event = m->event != NULL,
					  .server = m->server,
					  .resume = m->resume};
	if (m->event != NULL)
		return read_event(a, m->event, &out->event);
	return codec_read_alarm(NULL, &out->event.alarm, &has_alarm);
}
CODEC(event_notice, Bellwether__EventNotice, bellwether__event_notice__descriptor)

static int fill_watch_request(struct arena *a, const struct wire_watch_request *m,
			      Bellwether__WatchRequest *out)
{
	CODEC_TEXT(a, out->resume, m->resume);
	out->is_local = m->is_local;
	out->present = m->present;
	out->n_kinds = m->n_kinds;
	return codec_fill_texts(a, m->kinds, m->n_kinds, &out->kinds);
}

static int read_watch_request(struct arena *a, const Bellwether__WatchRequest *m,
			      struct wire_watch_request *out)
{
	*out = (struct wire_watch_request){.is_local = m->is_local,
					   .present = m->present,
					   .resume = m->resume,
					   .kinds = (const char **)m->kinds,
					   .n_kinds = (uint32_t)m->n_kinds};
	return 0;
}
CODEC(watch_request, Bellwether__WatchRequest, bellwether__watch_request__descriptor)

static int fill_alarm_event(struct arena *a, const struct wire_alarm_event *m,
			    Bellwether__AlarmEvent *out)
{
	CODEC_TEXT(a, out->kind, m->kind);
	CODEC_TEXT(a, out->resume, m->resume);
	out->time_ns = m->time_ns;
	out->server = m->server;
	out->number = m->number;
	return codec_fill_alarm(a, &m->alarm, m->has_alarm, &out->alarm);
}

static int read_alarm_event(struct arena *a, const Bellwether__AlarmEvent *m,
			    struct wire_alarm_event *out)
{
	if (m->kind[0] == '\0' || !codec_is_server_id(m->server))
		return -EBADMSG;
	*out = (struct wire_alarm_event){
		.kind = m->kind,
		.time_ns = m->time_ns,
		.server = m->server,
		.number = m->number,
		.resume = m->resume,
	};
	return codec_read_alarm(m->alarm, &out->alarm, &out->has_alarm);
}
CODEC(alarm_event, Bellwether__AlarmEvent, bellwether__alarm_event__descriptor)
