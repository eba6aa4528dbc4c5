#include <errno.h>

#include "cp/wire/codec.h"

static int fill_element_request(struct arena *a, const struct wire_element_request *m,
				Bellwether__ElementRequest *out)
{
	if (m->id != 0) {
		out->key_case = BELLWETHER__ELEMENT_REQUEST__KEY_ID;
		out->id = m->id;
	} else {
		out->key_case = BELLWETHER__ELEMENT_REQUEST__KEY_NAME;
		CODEC_TEXT(a, out->name, m->name);
	}
	out->is_forwarded = m->is_forwarded;
	out->is_fresh = m->is_fresh;
	out->max_age_ms = m->max_age_ms;
	return codec_fill_token(a, &m->token, &out->token);
}

static int read_element_request(struct arena *a, const Bellwether__ElementRequest *m,
				struct wire_element_request *out)
{
	*out = (struct wire_element_request){.name = "",
					     .is_forwarded = m->is_forwarded,
					     .is_fresh = m->is_fresh,
					     .max_age_ms = m->max_age_ms,
					     .token = codec_read_token(m->token)};
	if (m->key_case == BELLWETHER__ELEMENT_REQUEST__KEY_ID)
		out->id = m->id;
	else if (m->key_case == BELLWETHER__ELEMENT_REQUEST__KEY_NAME)
		out->name = m->name;
	return out->id != 0 || out->name[0] != '\0' ? 0 : -EBADMSG;
}
CODEC(element_request, Bellwether__ElementRequest, bellwether__element_request__descriptor)

int codec_fill_metrics(struct arena *a, const struct wire_metric *metrics, uint32_t n,
		       Bellwether__MetricValue ***out)
{
	Bellwether__MetricValue **rows = codec_rows(a, &bellwether__metric_value__descriptor, n);

	if (rows == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		rows[i]->id = metrics[i].id;
		rows[i]->value = metrics[i].value;
	}
	*out = rows;
	return 0;
}

int codec_read_metrics(struct arena *a, Bellwether__MetricValue *const *metrics, size_t n,
		       struct wire_metric **out)
{
	struct wire_metric *ours = arena_array(a, n, sizeof(*ours));

	if (ours == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		ours[i] = (struct wire_metric){metrics[i]->id, metrics[i]->value};
	*out = ours;
	return 0;
}

static int fill_element(struct arena *a, const struct wire_element *m, Bellwether__Element *out)
{
	CODEC_TEXT(a, out->name, m->name);
	CODEC_TEXT(a, out->address, m->address);
	CODEC_TEXT(a, out->kind, m->kind);
	CODEC_TEXT(a, out->region, m->region);
	CODEC_TEXT(a, out->worst, m->worst);
	CODEC_TEXT(a, out->source, m->source);
	out->id = m->id;
	out->owner = m->owner;
	out->answered_by = m->answered_by;
	out->last_seen_ns = m->last_seen_ns;
	out->age_ms = m->age_ms;
	out->n_reports = m->n_reports;
	out->n_alarms = m->n_alarms;
	out->n_gaps = m->n_gaps;
	out->stored_ns = m->stored_ns;
	out->n_metrics = m->n_metrics;
	if (codec_fill_metrics(a, m->metrics, m->n_metrics, &out->metrics) != 0)
		return -ENOMEM;
	return codec_fill_token(a, &m->token, &out->token);
}

static int read_element(struct arena *a, const Bellwether__Element *m, struct wire_element *out)
{
	if (m->id == 0 || !codec_is_server_id(m->owner) || !codec_is_server_id(m->answered_by))
		return -EBADMSG;
	*out = (struct wire_element){
		.id = m->id,
		.name = m->name,
		.address = m->address,
		.kind = m->kind,
		.region = m->region,
		.worst = m->worst,
		.owner = m->owner,
		.answered_by = m->answered_by,
		.n_alarms = m->n_alarms,
		.token = codec_read_token(m->token),
		.last_seen_ns = m->last_seen_ns,
		.age_ms = m->age_ms,
		.n_reports = m->n_reports,
		.n_gaps = m->n_gaps,
		.stored_ns = m->stored_ns,
		.source = m->source,
		.n_metrics = (uint32_t)m->n_metrics,
	};
	return codec_read_metrics(a, m->metrics, m->n_metrics, &out->metrics);
}

static int fill_element_reply(struct arena *a, const struct wire_element_reply *m,
			      Bellwether__ElementReply *out)
{
	int err;

	out->element = codec_row(a, &bellwether__element__descriptor);
	if (out->element == NULL)
		return -ENOMEM;
	err = fill_element(a, &m->element, out->element);
	if (err != 0)
		return err;
	out->n_alarms = m->n_alarms;
	return codec_fill_alarms(a, m->alarms, m->n_alarms, &out->alarms);
}

static int read_element_reply(struct arena *a, const Bellwether__ElementReply *m,
			      struct wire_element_reply *out)
{
	int err;

	if (m->element == NULL)
		return -EBADMSG;
	err = read_element(a, m->element, &out->element);
	if (err != 0)
		return err;
	out->n_alarms = (uint32_t)m->n_alarms;
	return codec_read_alarms(a, m->alarms, m->n_alarms, &out->alarms);
}
CODEC(element_reply, Bellwether__ElementReply, bellwether__element_reply__descriptor)

static int fill_list_request(struct arena *a, const struct wire_list_request *m,
			     Bellwether__ListRequest *out)
{
	out->is_local = m->is_local;
	out->after_element = m->after_element;
	out->limit = m->limit;
	out->deadline_ms = m->deadline_ms;
	out->with_cleared = m->with_cleared;
	out->is_fresh = m->is_fresh;
	out->max_age_ms = m->max_age_ms;
	return 0;
}

static int read_list_request(struct arena *a, const Bellwether__ListRequest *m,
			     struct wire_list_request *out)
{
	*out = (struct wire_list_request){.is_local = m->is_local,
					  .with_cleared = m->with_cleared,
					  .is_fresh = m->is_fresh,
					  .max_age_ms = m->max_age_ms,
					  .after_element = m->after_element,
					  .limit = m->limit,
					  .deadline_ms = m->deadline_ms};
	return 0;
}
CODEC(list_request, Bellwether__ListRequest, bellwether__list_request__descriptor)

static int fill_element_list(struct arena *a, const struct wire_element_list *m,
			     Bellwether__ElementList *out)
{
	int err;

	out->elements = codec_rows(a, &bellwether__element__descriptor, m->n_elements);
	if (out->elements == NULL)
		return -ENOMEM;
	out->n_elements = m->n_elements;
	for (uint32_t i = 0; i < m->n_elements; i++) {
		err = fill_element(a, &m->elements[i], out->elements[i]);
		if (err != 0)
			return err;
	}
	out->next_after = m->next_after;
	out->silent = m->silent;
	out->n_silent = m->n_silent;
	out->answered_by = m->answered_by;
	return 0;
}

static int read_element_list(struct arena *a, const Bellwether__ElementList *m,
			     struct wire_element_list *out)
{
	int err;

	if (!codec_is_server_id(m->answered_by))
		return -EBADMSG;
	*out = (struct wire_element_list){.n_elements = (uint32_t)m->n_elements,
					  .next_after = m->next_after,
					  .n_silent = (uint32_t)m->n_silent,
					  .answered_by = m->answered_by};
	out->elements = arena_array(a, m->n_elements, sizeof(*out->elements));
	if (out->elements == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_elements; i++) {
		err = read_element(a, m->elements[i], &out->elements[i]);
		if (err != 0)
			return err;
	}
	return codec_read_servers(a, m->silent, m->n_silent, &out->silent);
}
CODEC(element_list, Bellwether__ElementList, bellwether__element_list__descriptor)
