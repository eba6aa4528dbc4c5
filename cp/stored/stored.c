#include "cp/stored/stored.h"

#include <errno.h>
#include <stdlib.h>

#include "cp/stored/stored_private.h"

/* ---- Who speaks for a cell ---- */

enum verdict { NOT_KNOWN, SPEAKS, IS_SILENT };

int voice_init(struct voice *v, const struct stored *s, struct memory_page *p)
{
	*v = (struct voice){.stored = s};
	v->verdicts = memory_page_take(p, cluster_view(s->cluster)->map->n_cells + 1, 1);
	return v->verdicts == NULL ? -ENOMEM : 0;
}

static bool is_there(const struct stored *s, uint16_t server)
{
	const struct cluster_server *found = cluster_server(s->cluster, server);

	return found != NULL && found->state != DETECTOR_FAILED;
}

static bool has_whole_copy(const struct stored *s, const char *cell)
{
	struct wire_cell_sync *sync;
	bool is_whole;

	if (!archive_sync(s->archive, cell, &sync))
		return false;
	is_whole = sync->is_complete;
	wire_free(sync);
	return is_whole;
}

static bool judge(const struct stored *s, const struct ownership_cell *cell)
{
	uint16_t self = cluster_view(s->cluster)->self;

	if (cell->owner == self)
		return true;
	if (is_there(s, cell->owner))
		return cell->standby == self && has_whole_copy(s, cell->name);
	return cell->standby == self || !is_there(s, cell->standby);
}

bool voice_speaks(struct voice *v, const char *name)
{
	const struct ownership_cell *cell = cluster_cell(v->stored->cluster, name);
	uint8_t *verdict;

	if (cell == NULL)
		return true; /* nobody has it by the map, or there is none yet */
	verdict = &v->verdicts[cell - cluster_view(v->stored->cluster)->map->cells];
	if (*verdict == NOT_KNOWN)
		*verdict = judge(v->stored, cell) ? SPEAKS : IS_SILENT;
	return *verdict == SPEAKS;
}

/* ---- Elements ---- */

/* What is known of an element that was never stored: what the inventory and the map say. */
static int fill_bare(const struct stored *s, struct memory_page *p, const struct conf_element *e,
		     struct wire_element *out)
{
	const struct ownership_cell *cell = cluster_cell(s->cluster, e->region);
	const struct wire_stored_element nothing = {.id = e->id, .cell = e->region};
	int err = memory_from_store_element(s->memory, p, &nothing, out);

	if (err == 0 && cell != NULL)
		out->owner = cell->owner;
	return err;
}

/* The list while the archive's records are put into it. */
struct filling {
	const struct stored *stored;
	struct memory_page *page;
	struct wire_element_list *list;
	struct voice voice;
	uint32_t at; /* both come by id */
	int err;
};

static bool take_element(void *user, const struct wire_stored_element *record)
{
	struct filling *f = user;
	struct wire_element_list *list = f->list;

	while (f->at < list->n_elements && list->elements[f->at].id < record->id)
		f->at++;
	if (f->at == list->n_elements)
		return false;
	if (list->elements[f->at].id == record->id &&
	    voice_speaks(&f->voice, list->elements[f->at].region))
		f->err = memory_from_store_element(f->stored->memory, f->page, record,
						   &list->elements[f->at]);
	return f->err == 0;
}

static int fill_from_archive(const struct stored *s, struct memory_page *p,
			     struct wire_element_list *list)
{
	struct filling f = {.stored = s, .page = p, .list = list};
	int err = voice_init(&f.voice, s, p);

	if (err == 0 && list->n_elements > 0)
		err = archive_elements(s->archive, list->elements[0].id,
				       list->elements[list->n_elements - 1].id, take_element, &f);
	return err != 0 ? err : f.err;
}

int stored_elements(const struct stored *s, uint64_t after, uint32_t limit,
		    struct memory_page **page, struct wire_element_list *list)
{
	const struct conf_element *e;
	int err;

	*list = (struct wire_element_list){.answered_by = cluster_view(s->cluster)->self};
	*page = memory_page_create();
	if (*page == NULL)
		return -ENOMEM;
	list->elements = memory_page_take(*page, limit, sizeof(*list->elements));
	if (list->elements == NULL)
		return -ENOMEM;
	for (e = inventory_next(s->inventory, after); e != NULL;
	     e = inventory_next(s->inventory, e->id)) {
		if (list->n_elements == limit) {
			list->next_after = list->elements[limit - 1].id;
			break;
		}
		err = fill_bare(s, *page, e, &list->elements[list->n_elements]);
		if (err < 0)
			return err;
		list->n_elements++;
	}
	return fill_from_archive(s, *page, list);
}

int stored_element(const struct stored *s, const struct conf_element *e, struct memory_page **page,
		   struct wire_element_reply *reply)
{
	struct wire_alarm_list alarms;
	struct wire_element_list list;
	int err = stored_elements(s, e->id - 1, 1, page, &list);

	*reply = (struct wire_element_reply){0};
	if (err < 0)
		return err;
	if (list.n_elements == 0 || list.elements[0].id != e->id || list.elements[0].stored_ns == 0)
		return -ENOENT;
	err = stored_alarms_into(s, *page, e->id - 1, e->id, 1, true, &alarms);
	reply->element = list.elements[0];
	reply->alarms = alarms.alarms;
	reply->n_alarms = alarms.n_alarms;
	return err;
}
