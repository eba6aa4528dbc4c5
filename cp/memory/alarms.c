#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cp/memory/memory_private.h"
#include "cp/memory/page.h"

/* With at most MEMORY_ALARMS_PER_ELEMENT more these fit a message of WIRE_MESSAGE_MAX octets. */
#define ALARMS_A_PAGE 8000

static int fill_alarm(struct memory *m, const struct fedmem_alarm *a,
		      const struct ownership_cell *cell, struct memory_page *p,
		      struct wire_alarm *out)
{
	struct wire_stored_alarm s;
	int err;

	memory_stored_alarm(a, cell, 0, &s);
	err = memory_from_store_alarm(
		m, p, &s, memory_note_find(m, s.element_id, s.type, s.resource, s.qualifier), out);
	out->source = "memory";
	out->age_ms = 0;
	return err;
}

/* Whose alarm this is, when it counts here. */
static const struct ownership_cell *cell_of(struct memory *m, const struct fedmem_alarm *a)
{
	const struct conf_element *e = inventory_find_id(m->inventory, a->element_id);
	const struct ownership_cell *cell = e == NULL ? NULL : memory_owned_cell(m, e);

	return cell != NULL && memory_is_kept_under(a->token, cell) ? cell : NULL;
}

/* What a list asks for. */
struct want {
	uint64_t after, last; /* element ids in (after, last] */
	bool with_cleared;
};

static bool is_wanted(const struct want *want, const struct fedmem_alarm *a)
{
	if (a->element_id <= want->after || a->element_id > want->last)
		return false;
	/* One that was never raised is kept for the data plane's own sake: a clear came first. */
	return a->state == FEDMEM_ALARM_RAISED || (want->with_cleared && a->raised_ns != 0);
}

/* An entry of the alarm table that belongs into the list. */
struct pick {
	uint64_t element_id;
	uint32_t index;
	uint32_t severity; /* 0: cleared */
};

/* By element, the worst first. */
static int compare_picks(const void *a, const void *b)
{
	const struct pick *x = a, *y = b;

	if (x->element_id != y->element_id)
		return x->element_id < y->element_id ? -1 : 1;
	if (x->severity != y->severity)
		return x->severity > y->severity ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

/* All that belong into the list, sorted. The caller frees '*out', also on a failure. */
static int pick(struct memory *m, const struct want *want, struct pick **out, uint32_t *n)
{
	uint32_t alarms_max = fedmem_sizes(m->fm)->alarms_max;
	uint32_t room = 0;

	*out = NULL;
	*n = 0;
	for (uint32_t i = 0; i < alarms_max; i++) {
		struct fedmem_alarm a;

		if (fedmem_alarm_read(m->fm, i, &a) != 0 || !is_wanted(want, &a) ||
		    cell_of(m, &a) == NULL)
			continue;
		if (*n == room) {
			struct pick *more;

			room = room == 0 ? 256 : 2 * room;
			more = reallocarray(*out, room, sizeof(**out));
			if (more == NULL)
				return -ENOMEM;
			*out = more;
		}
		(*out)[(*n)++] = (struct pick){
			.element_id = a.element_id,
			.index = i,
			.severity = a.state == FEDMEM_ALARM_RAISED ? a.severity : 0,
		};
	}
	if (*n > 0)
		qsort(*out, *n, sizeof(**out), compare_picks);
	return 0;
}

/* Moves what the page holds to the front and gives its number: whole elements, of each the worst.
 */
static uint32_t cut_page(struct pick *picks, uint32_t n, uint32_t limit,
			 struct wire_alarm_list *list)
{
	uint32_t n_kept = 0, n_elements = 0, n_of_element = 0;
	uint64_t element = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (picks[i].element_id != element) {
			if (n_elements == limit || n_kept >= ALARMS_A_PAGE) {
				list->next_after = element;
				break;
			}
			element = picks[i].element_id;
			n_elements++;
			n_of_element = 0;
		}
		if (n_of_element++ < MEMORY_ALARMS_PER_ELEMENT)
			picks[n_kept++] = picks[i];
		else
			list->n_left_out++;
	}
	return n_kept;
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

/* The picked alarms once more, as they are now, into the list. */
static int fill_list(struct memory *m, const struct want *want, const struct pick *picks,
		     uint32_t n, struct memory_page *p, struct wire_alarm_list *list)
{
	struct fedmem_alarm *alarms = memory_page_take(p, n, sizeof(*alarms));
	uint32_t n_alarms = 0;

	list->alarms = memory_page_take(p, n, sizeof(*list->alarms));
	if (alarms == NULL || list->alarms == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		struct fedmem_alarm *a = &alarms[n_alarms];

		/* Cleared or replaced since: then there is an event of that. */
		if (fedmem_alarm_read(m->fm, picks[i].index, a) == 0 && is_wanted(want, a) &&
		    a->element_id == picks[i].element_id)
			n_alarms++;
	}
	qsort(alarms, n_alarms, sizeof(*alarms), compare_alarms);
	for (uint32_t i = 0; i < n_alarms; i++) {
		const struct ownership_cell *cell = cell_of(m, &alarms[i]);
		int err;

		if (cell == NULL)
			continue;
		err = fill_alarm(m, &alarms[i], cell, p, &list->alarms[list->n_alarms]);
		if (err < 0)
			return err;
		list->n_alarms++;
	}
	return 0;
}

int memory_alarms_into(struct memory *m, struct memory_page *p, uint64_t after, uint64_t last,
		       uint32_t limit, bool with_cleared, struct wire_alarm_list *list)
{
	const struct want want = {after, last, with_cleared};
	struct pick *picks;
	uint32_t n;
	int err = pick(m, &want, &picks, &n);

	*list = (struct wire_alarm_list){.answered_by = cluster_view(m->cluster)->self};
	if (err == 0) {
		n = cut_page(picks, n, limit, list);
		err = fill_list(m, &want, picks, n, p, list);
	}
	free(picks);
	return err;
}

int memory_alarms(struct memory *m, uint64_t after, uint32_t limit, bool with_cleared,
		  struct memory_page **page, struct wire_alarm_list *list)
{
	*page = memory_page_create();
	if (*page == NULL)
		return -ENOMEM;
	return memory_alarms_into(m, *page, after, UINT64_MAX, limit, with_cleared, list);
}
