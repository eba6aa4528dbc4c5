#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cp/alarm/alarm.h"
#include "cp/memory/memory_private.h"
#include "cp/memory/page.h"

static int fill_alarm(const struct fedmem_alarm *a, const struct conf_element *e,
		      const struct ownership_cell *cell, struct memory_page *p,
		      struct wire_alarm *out)
{
	*out = (struct wire_alarm){
		.element_id = e->id,
		.element = e->name,
		.resource = page_text(p, a->resource, sizeof(a->resource)),
		.type = page_text(p, a->type, sizeof(a->type)),
		.qualifier = page_text(p, a->qualifier, sizeof(a->qualifier)),
		.text = page_text(p, a->text, sizeof(a->text)),
		.severity = alarm_severity_name(a->severity),
		.is_cleared = a->state == FEDMEM_ALARM_GONE,
		.raised_ns = a->raised_ns,
		.changed_ns = a->changed_ns,
		.last_ns = a->last_ns,
		.count = a->count,
		.owner = cell->owner,
		.token = {cell->token.epoch, cell->token.generation},
	};
	return out->resource == NULL || out->type == NULL || out->qualifier == NULL ||
			       out->text == NULL
		       ? -ENOMEM
		       : 0;
}

/* Whose alarm this is, when it counts here. */
static const struct ownership_cell *cell_of(struct memory *m, const struct fedmem_alarm *a,
					    const struct conf_element **e)
{
	const struct ownership_cell *cell;

	*e = inventory_find_id(m->inventory, a->element_id);
	cell = *e == NULL ? NULL : memory_owned_cell(m, *e);
	if (cell == NULL || a->token.epoch != cell->token.epoch ||
	    a->token.generation != cell->token.generation)
		return NULL;
	return cell;
}

static int compare_alarms(const void *a, const void *b)
{
	const struct fedmem_alarm *x = a, *y = b;
	int order = (x->element_id > y->element_id) - (x->element_id < y->element_id);

	if (order == 0)
		order = memcmp(x->type, y->type, sizeof(x->type));
	if (order == 0)
		order = memcmp(x->resource, y->resource, sizeof(x->resource));
	if (order == 0)
		order = memcmp(x->qualifier, y->qualifier, sizeof(x->qualifier));
	return order;
}

/* Copies of all entries that count and are in the range, sorted. The caller frees '*out'. */
static int collect(struct memory *m, uint64_t after, uint64_t last, bool with_cleared,
		   struct fedmem_alarm **out, uint32_t *n)
{
	uint32_t alarms_max = fedmem_sizes(m->fm)->alarms_max;
	const struct conf_element *e;
	uint32_t room = 0;

	*out = NULL;
	*n = 0;
	for (uint32_t i = 0; i < alarms_max; i++) {
		struct fedmem_alarm a;

		if (fedmem_alarm_read(m->fm, i, &a) != 0 || a.element_id <= after ||
		    a.element_id > last || (a.state != FEDMEM_ALARM_RAISED && !with_cleared) ||
		    cell_of(m, &a, &e) == NULL)
			continue;
		if (*n == room) {
			struct fedmem_alarm *more;

			room = room == 0 ? 64 : 2 * room;
			more = realloc(*out, room * sizeof(**out));
			if (more == NULL)
				return -ENOMEM;
			*out = more;
		}
		(*out)[(*n)++] = a;
	}
	if (*n > 0)
		qsort(*out, *n, sizeof(**out), compare_alarms);
	return 0;
}

int memory_alarms_into(struct memory *m, struct memory_page *p, uint64_t after, uint64_t last,
		       uint32_t limit, bool with_cleared, struct wire_alarm_list *list)
{
	struct fedmem_alarm *found;
	uint32_t n_elements = 0;
	uint64_t element = after;
	uint32_t n;
	int err = collect(m, after, last, with_cleared, &found, &n);

	*list = (struct wire_alarm_list){.answered_by = cluster_view(m->cluster)->self};
	if (err == 0) {
		list->alarms = page_take(p, n, sizeof(*list->alarms));
		err = list->alarms == NULL ? -ENOMEM : 0;
	}
	for (uint32_t i = 0; err == 0 && i < n; i++) {
		const struct conf_element *e;
		const struct ownership_cell *cell = cell_of(m, &found[i], &e);

		if (found[i].element_id != element && n_elements++ == limit) {
			list->next_after = element;
			break;
		}
		element = found[i].element_id;
		err = fill_alarm(&found[i], e, cell, p, &list->alarms[list->n_alarms++]);
	}
	free(found);
	return err;
}

int memory_alarms(struct memory *m, uint64_t after, uint32_t limit, bool with_cleared,
		  struct memory_page **page, struct wire_alarm_list *list)
{
	*page = page_create();
	if (*page == NULL)
		return -ENOMEM;
	return memory_alarms_into(m, *page, after, UINT64_MAX, limit, with_cleared, list);
}

bool memory_alarm(struct memory *m, const struct fedmem_alarm *a, struct memory_page **page,
		  struct wire_alarm *out)
{
	const struct conf_element *e;
	const struct ownership_cell *cell = cell_of(m, a, &e);

	*page = cell == NULL ? NULL : page_create();
	return *page != NULL && fill_alarm(a, e, cell, *page, out) == 0;
}
