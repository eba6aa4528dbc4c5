#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cp/stored/stored_private.h"

/* With at most MEMORY_ALARMS_PER_ELEMENT more these fit a message of WIRE_MESSAGE_MAX octets. */
#define ALARMS_A_PAGE 8000

/* A page while it is read. Records are copied: the archive lends them for the call. */
struct reading {
	const struct stored *stored;
	struct memory_page *page;
	struct voice voice;
	uint32_t limit;
	bool with_cleared;
	struct wire_stored_alarm *alarms;
	uint32_t n, room;
	uint32_t n_elements, begin; /* begin: of the newest element's */
	uint64_t next_after, n_left_out;
	struct wire_alarm_note *notes; /* of the same elements, in the same order */
	uint32_t n_notes, notes_room;
	int err;
};

static bool copy_octets(struct memory_page *p, struct wire_octets *o)
{
	uint8_t *copy = memory_page_take(p, o->n, 1);

	if (copy != NULL && o->n > 0)
		memcpy(copy, o->bytes, o->n);
	o->bytes = copy;
	return copy != NULL;
}

static bool copy_text(struct memory_page *p, const char **text)
{
	size_t n = strlen(*text) + 1;
	char *copy = memory_page_take(p, n, 1);

	if (copy != NULL)
		memcpy(copy, *text, n);
	*text = copy;
	return copy != NULL;
}

/* A place behind the last of 'n'; NULL: no memory. */
static void *one_more(void **records, uint32_t n, uint32_t *room, size_t record_bytes)
{
	if (n == *room) {
		uint32_t more = *room == 0 ? 256 : 2 * *room;
		void *bigger = reallocarray(*records, more, record_bytes);

		if (bigger == NULL)
			return NULL;
		*records = bigger;
		*room = more;
	}
	return (uint8_t *)*records + n * record_bytes;
}

/* The worst first, what is cleared last. */
static int compare_severity(const void *a, const void *b)
{
	const struct wire_stored_alarm *x = a, *y = b;
	int left = x->state == FEDMEM_ALARM_RAISED ? x->severity : 0;
	int right = y->state == FEDMEM_ALARM_RAISED ? y->severity : 0;

	return right - left;
}

/* The newest element is whole. */
static void end_element(struct reading *r)
{
	uint32_t n = r->n - r->begin;

	if (n > MEMORY_ALARMS_PER_ELEMENT) {
		qsort(r->alarms + r->begin, n, sizeof(*r->alarms), compare_severity);
		r->n_left_out += n - MEMORY_ALARMS_PER_ELEMENT;
		r->n = r->begin + MEMORY_ALARMS_PER_ELEMENT;
	}
	r->begin = r->n;
}

static bool is_wanted(struct reading *r, const struct wire_stored_alarm *record)
{
	const struct conf_element *e = inventory_find_id(r->stored->inventory, record->element_id);

	/* One that was never raised is kept for the data plane's own sake: a clear came first. */
	return e != NULL && voice_speaks(&r->voice, e->region) &&
	       (record->state == FEDMEM_ALARM_RAISED ||
		(r->with_cleared && record->state == FEDMEM_ALARM_GONE && record->raised_ns != 0));
}

static bool take_alarm(void *user, const struct wire_stored_alarm *record)
{
	struct reading *r = user;
	struct wire_stored_alarm *copy;

	if (!is_wanted(r, record))
		return true;
	if (r->n == r->begin || r->alarms[r->n - 1].element_id != record->element_id) {
		end_element(r);
		if (r->n_elements == r->limit || r->n >= ALARMS_A_PAGE) {
			r->next_after = r->alarms[r->n - 1].element_id;
			return false;
		}
		r->n_elements++;
	}
	copy = one_more((void **)&r->alarms, r->n, &r->room, sizeof(*copy));
	if (copy != NULL)
		*copy = *record;
	if (copy == NULL || !copy_octets(r->page, &copy->type) ||
	    !copy_octets(r->page, &copy->resource) || !copy_octets(r->page, &copy->qualifier) ||
	    !copy_octets(r->page, &copy->text)) {
		r->err = -ENOMEM;
		return false;
	}
	r->n++;
	return true;
}

static bool take_note(void *user, const struct wire_alarm_note *note)
{
	struct reading *r = user;
	struct wire_alarm_note *copy =
		one_more((void **)&r->notes, r->n_notes, &r->notes_room, sizeof(*copy));

	if (copy != NULL)
		*copy = *note;
	if (copy == NULL || !copy_octets(r->page, &copy->type) ||
	    !copy_octets(r->page, &copy->resource) || !copy_octets(r->page, &copy->qualifier) ||
	    !copy_text(r->page, &copy->operator_name) || !copy_text(r->page, &copy->text)) {
		r->err = -ENOMEM;
		return false;
	}
	r->n_notes++;
	return true;
}

static int compare_octets(struct wire_octets a, struct wire_octets b)
{
	uint32_t n = a.n < b.n ? a.n : b.n;
	int order = n == 0 ? 0 : memcmp(a.bytes, b.bytes, n);

	return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

static int compare_notes(const void *a, const void *b)
{
	const struct wire_alarm_note *x = a, *y = b;
	int order = (x->element_id > y->element_id) - (x->element_id < y->element_id);

	if (order == 0)
		order = compare_octets(x->type, y->type);
	if (order == 0)
		order = compare_octets(x->resource, y->resource);
	if (order == 0)
		order = compare_octets(x->qualifier, y->qualifier);
	return order;
}

static int fill_list(struct reading *r, struct wire_alarm_list *list)
{
	list->alarms = memory_page_take(r->page, r->n, sizeof(*list->alarms));
	if (list->alarms == NULL)
		return -ENOMEM;
	if (r->n_notes > 0)
		qsort(r->notes, r->n_notes, sizeof(*r->notes), compare_notes);
	for (uint32_t i = 0; i < r->n; i++) {
		const struct wire_alarm_note key = {.element_id = r->alarms[i].element_id,
						    .type = r->alarms[i].type,
						    .resource = r->alarms[i].resource,
						    .qualifier = r->alarms[i].qualifier};
		const struct wire_alarm_note *note =
			r->n_notes == 0
				? NULL
				: bsearch(&key, r->notes, r->n_notes, sizeof(key), compare_notes);
		int err = memory_from_store_alarm(r->stored->memory, r->page, &r->alarms[i], note,
						  &list->alarms[i]);

		if (err < 0)
			return err;
		list->n_alarms++;
	}
	list->next_after = r->next_after;
	list->n_left_out = r->n_left_out;
	return 0;
}

int stored_alarms_into(const struct stored *s, struct memory_page *p, uint64_t after, uint64_t last,
		       uint32_t limit, bool with_cleared, struct wire_alarm_list *list)
{
	struct reading r = {.stored = s, .page = p, .limit = limit, .with_cleared = with_cleared};
	int err = voice_init(&r.voice, s, p);

	*list = (struct wire_alarm_list){.answered_by = cluster_view(s->cluster)->self};
	if (err == 0 && after < last)
		err = archive_alarms(s->archive, after + 1, last, take_alarm, &r);
	if (err == 0)
		err = r.err;
	end_element(&r);
	if (err == 0 && r.n > 0)
		err = archive_notes(s->archive, r.alarms[0].element_id,
				    r.alarms[r.n - 1].element_id, take_note, &r);
	if (err == 0)
		err = r.err;
	if (err == 0)
		err = fill_list(&r, list);
	free(r.alarms);
	free(r.notes);
	return err;
}

int stored_alarms(const struct stored *s, uint64_t after, uint32_t limit, bool with_cleared,
		  struct memory_page **page, struct wire_alarm_list *list)
{
	*page = memory_page_create();
	if (*page == NULL)
		return -ENOMEM;
	return stored_alarms_into(s, *page, after, UINT64_MAX, limit, with_cleared, list);
}
