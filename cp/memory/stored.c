#include <errno.h>
#include <string.h>

#include "cp/alarm/alarm.h"
#include "cp/core/core.h"
#include "cp/memory/memory_private.h"
#include "cp/memory/page.h"

struct wire_octets memory_octets(const char *text, size_t room)
{
	return (struct wire_octets){(const uint8_t *)text, (uint32_t)strnlen(text, room)};
}

void memory_stored_alarm(const struct fedmem_alarm *a, const struct ownership_cell *cell,
			 uint64_t now_ns, struct wire_stored_alarm *out)
{
	*out = (struct wire_stored_alarm){
		.element_id = a->element_id,
		.type = memory_octets(a->type, sizeof(a->type)),
		.resource = memory_octets(a->resource, sizeof(a->resource)),
		.qualifier = memory_octets(a->qualifier, sizeof(a->qualifier)),
		.text = memory_octets(a->text, sizeof(a->text)),
		.state = a->state,
		.severity = a->severity,
		.raised_ns = a->raised_ns,
		.changed_ns = a->changed_ns,
		.last_ns = a->last_ns,
		.count = a->count,
		.boot = a->boot,
		.sequence = a->sequence,
		.stored_ns = now_ns,
		.owner = cell->owner,
		.token = {cell->token.epoch, cell->token.generation},
		.cell = cell->name,
	};
}

static void convert_metrics(const struct fedmem_metric *from, uint32_t n, struct wire_metric *to)
{
	for (uint32_t i = 0; i < n; i++) {
		to[i].id = from[i].id;
		memcpy(&to[i].value, &from[i].value, sizeof(to[i].value));
	}
}

void memory_stored_element(const struct fedmem_state *s, const struct fedmem_metric *metrics,
			   const struct ownership_cell *cell, uint64_t now_ns,
			   struct wire_metric *room, struct wire_stored_element *out)
{
	*out = (struct wire_stored_element){
		.id = s->element_id,
		.cell = cell->name,
		.owner = cell->owner,
		.n_alarms = s->n_alarms,
		.token = {cell->token.epoch, cell->token.generation},
		.first_seen_ns = s->first_seen_ns,
		.last_seen_ns = s->last_seen_ns,
		.n_reports = s->n_reports,
		.n_gaps = s->n_gaps,
		.boot = s->boot,
		.sequence = s->sequence,
		.stored_ns = now_ns,
		.worst = s->worst,
		.metrics = room,
		.n_metrics = s->n_metrics,
	};
	convert_metrics(metrics, s->n_metrics, room);
}

static uint64_t age_ms(uint64_t then_ns)
{
	uint64_t now_ns = core_wall_ns();

	return now_ns > then_ns ? (now_ns - then_ns) / 1000000 : 0;
}

int memory_from_store_alarm(struct memory *m, struct memory_page *p,
			    const struct wire_stored_alarm *s, const struct wire_alarm_note *note,
			    struct wire_alarm *out)
{
	const struct conf_element *e = inventory_find_id(m->inventory, s->element_id);
	bool has_note = note != NULL && note->raised_ns == s->raised_ns;

	*out = (struct wire_alarm){
		.element_id = s->element_id,
		.element = e == NULL ? "" : e->name,
		.resource = page_octets(p, s->resource),
		.type = page_octets(p, s->type),
		.qualifier = page_octets(p, s->qualifier),
		.text = page_octets(p, s->text),
		.severity = alarm_severity_name(s->severity),
		.is_cleared = s->state == FEDMEM_ALARM_GONE,
		.raised_ns = s->raised_ns,
		.changed_ns = s->changed_ns,
		.last_ns = s->last_ns,
		.count = s->count,
		.owner = s->owner,
		.token = s->token,
		.operator_state = has_note && note->is_ack ? "ack" : "none",
		.operator_name = has_note ? page_text(p, note->operator_name, SIZE_MAX) : "",
		.operator_text = has_note ? page_text(p, note->text, SIZE_MAX) : "",
		.operator_ns = has_note ? note->time_ns : 0,
		.source = "store",
		.age_ms = age_ms(s->stored_ns),
	};
	return out->resource == NULL || out->type == NULL || out->qualifier == NULL ||
			       out->text == NULL || out->operator_name == NULL ||
			       out->operator_text == NULL
		       ? -ENOMEM
		       : 0;
}

int memory_from_store_element(struct memory *m, struct memory_page *p,
			      const struct wire_stored_element *s, struct wire_element *out)
{
	const struct conf_element *e = inventory_find_id(m->inventory, s->id);

	*out = (struct wire_element){
		.id = s->id,
		.name = e == NULL ? "" : e->name,
		.address = e == NULL ? "" : page_address(p, &e->address),
		.kind = e == NULL ? "" : e->kind,
		.region = e == NULL ? page_text(p, s->cell, SIZE_MAX) : e->region,
		.worst = alarm_severity_name(s->worst),
		.owner = s->owner,
		.answered_by = cluster_view(m->cluster)->self,
		.n_alarms = s->n_alarms,
		.token = s->token,
		.last_seen_ns = s->last_seen_ns,
		.age_ms = s->last_seen_ns == 0 ? 0 : age_ms(s->last_seen_ns),
		.n_reports = s->n_reports,
		.n_gaps = s->n_gaps,
		.stored_ns = s->stored_ns,
		.source = "store",
		.metrics = memory_page_take(p, s->n_metrics, sizeof(*out->metrics)),
		.n_metrics = s->n_metrics,
	};
	if (out->address == NULL || out->region == NULL || out->metrics == NULL)
		return -ENOMEM;
	if (s->n_metrics > 0)
		memcpy(out->metrics, s->metrics, s->n_metrics * sizeof(*out->metrics));
	return 0;
}
