#include "cp/memory/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cp/alarm/alarm.h"
#include "cp/core/core.h"
#include "cp/memory/owned.h"
#include "cp/memory/page.h"

int memory_create(struct memory **out, const struct memory_config *cfg)
{
	struct memory *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return -ENOMEM;
	m->fm = cfg->fedmem;
	m->cluster = cfg->cluster;
	m->inventory = cfg->inventory;
	m->metrics = calloc(fedmem_sizes(m->fm)->metrics_per_element, sizeof(*m->metrics));
	if (m->metrics == NULL) {
		memory_destroy(m);
		return -ENOMEM;
	}
	*out = m;
	return 0;
}

const struct ownership_cell *memory_owned_cell(struct memory *m, const struct conf_element *e)
{
	const struct ownership_cell *cell = cluster_cell(m->cluster, e->region);

	return cell != NULL && cell->owner == cluster_view(m->cluster)->self ? cell : NULL;
}

bool memory_is_kept_under(struct fedmem_token token, const struct ownership_cell *cell)
{
	return token.epoch == cell->token.epoch && token.generation == cell->token.generation;
}

static int fill_metrics(struct memory *m, const struct fedmem_state *s, struct memory_page *p,
			struct wire_element *e)
{
	e->metrics = memory_page_take(p, s->n_metrics, sizeof(*e->metrics));
	if (e->metrics == NULL)
		return -ENOMEM;
	e->n_metrics = s->n_metrics;
	for (uint32_t i = 0; i < s->n_metrics; i++) {
		e->metrics[i].id = m->metrics[i].id;
		memcpy(&e->metrics[i].value, &m->metrics[i].value, sizeof(double));
	}
	return 0;
}

static int fill_element(struct memory *m, const struct conf_element *from,
			const struct ownership_cell *cell, struct memory_page *p,
			struct wire_element *e)
{
	struct fedmem_state s;
	uint32_t slot;

	*e = (struct wire_element){
		.id = from->id,
		.name = from->name,
		.address = page_address(p, &from->address),
		.kind = from->kind,
		.region = from->region,
		.worst = alarm_severity_name(FEDMEM_CLEARED),
		.owner = cell->owner,
		.answered_by = cluster_view(m->cluster)->self,
		.token = {cell->token.epoch, cell->token.generation},
		.source = "memory",
	};
	if (e->address == NULL)
		return -ENOMEM;
	/* Nothing was reported yet, or only under an earlier owner. */
	if (fedmem_find_by_id(m->fm, from->id, &slot) != 0 ||
	    fedmem_state_read(m->fm, slot, &s, m->metrics) != 0 || s.element_id != from->id ||
	    !memory_is_kept_under(s.token, cell))
		return 0;

	uint64_t now_ns = core_wall_ns();

	e->last_seen_ns = s.last_seen_ns;
	e->age_ms = now_ns > s.last_seen_ns ? (now_ns - s.last_seen_ns) / 1000000 : 0;
	e->n_reports = s.n_reports;
	e->n_gaps = s.n_gaps;
	e->n_alarms = s.n_alarms;
	e->worst = alarm_severity_name(s.worst);
	return fill_metrics(m, &s, p, e);
}

int memory_elements(struct memory *m, uint64_t after, uint32_t limit, struct memory_page **page,
		    struct wire_element_list *list)
{
	const struct ownership_cell *cell;
	const struct conf_element *e;
	struct owned_walk walk;
	int err;

	*list = (struct wire_element_list){.answered_by = cluster_view(m->cluster)->self};
	*page = memory_page_create();
	if (*page == NULL)
		return -ENOMEM;
	err = owned_walk_begin(&walk, m, *page, after);
	if (err < 0)
		return err;
	list->elements = memory_page_take(*page, limit, sizeof(*list->elements));
	if (list->elements == NULL)
		return -ENOMEM;
	while ((e = owned_walk_next(&walk, &cell)) != NULL) {
		if (list->n_elements == limit) {
			list->next_after = list->elements[limit - 1].id;
			break;
		}
		err = fill_element(m, e, cell, *page, &list->elements[list->n_elements]);
		if (err < 0)
			return err;
		list->n_elements++;
	}
	return 0;
}

int memory_element(struct memory *m, const struct conf_element *e, struct memory_page **page,
		   struct wire_element_reply *reply)
{
	const struct ownership_cell *cell = memory_owned_cell(m, e);
	struct wire_alarm_list alarms;
	int err;

	*reply = (struct wire_element_reply){0};
	*page = NULL;
	if (cell == NULL)
		return MEMORY_NOT_OWNER;
	*page = memory_page_create();
	if (*page == NULL)
		return -ENOMEM;
	err = fill_element(m, e, cell, *page, &reply->element);
	if (err == 0)
		err = memory_alarms_into(m, *page, e->id - 1, e->id, 1, true, &alarms);
	if (err < 0)
		return err;
	reply->alarms = alarms.alarms;
	reply->n_alarms = alarms.n_alarms;
	return 0;
}

void memory_destroy(struct memory *m)
{
	if (m == NULL)
		return;
	memory_notes_free(m);
	free(m->metrics);
	free(m);
}
