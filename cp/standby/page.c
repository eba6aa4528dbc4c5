#include "cp/standby/page.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cp/core/core.h"

/* The longest alarm without its text in octets, and a note without its text. */
#define ALARM_BYTES 350
#define NOTE_BYTES  300

static bool is_under(struct fedmem_token a, struct ownership_token b)
{
	return a.epoch == b.epoch && a.generation == b.generation;
}

/* The element's state, when it counts. 1: nothing is known of it. */
static int state_read(struct page *p, const struct page_query *q, const struct conf_element *e,
		      struct fedmem_metric *room, struct fedmem_state *s)
{
	uint32_t slot;
	int err = fedmem_find_by_id(q->fedmem, e->id, &slot);

	if (err == 0)
		err = fedmem_state_read(q->fedmem, slot, s, room);
	if (err == FEDMEM_BUSY)
		return -EAGAIN;
	if (err != 0 || s->element_id != e->id)
		return 1;
	if (q->element != 0)
		p->cell.token = (struct ownership_token){s->token.epoch, s->token.generation};
	return is_under(s->token, p->cell.token) ? 0 : 1;
}

static int element_read(struct page *p, const struct page_query *q, const struct conf_element *e,
			uint64_t now_ns)
{
	uint32_t per_element = fedmem_sizes(q->fedmem)->metrics_per_element;
	struct wire_stored_element *out = &p->elements[p->n_elements];
	struct wire_metric *room = p->metrics + (size_t)p->n_elements * per_element;
	struct fedmem_metric metrics[UINT8_MAX];
	struct fedmem_state s;
	int err = state_read(p, q, e, metrics, &s);

	if (err < 0)
		return err;
	if (err == 0)
		memory_stored_element(&s, metrics, &p->cell, now_ns, room, out);
	else
		*out = (struct wire_stored_element){.id = e->id, .cell = p->cell.name};
	p->n_elements++;
	return 0;
}

/* The next element of the cell, by id. */
static const struct conf_element *walk_next(const struct page_query *q, struct inventory_walk *walk)
{
	return q->element == 0 ? inventory_walk_next(walk) : NULL;
}

static int elements_read(struct page *p, const struct page_query *q)
{
	uint32_t per_element = fedmem_sizes(q->fedmem)->metrics_per_element;
	uint32_t limit = PAGE_METRICS / per_element;
	uint64_t now_ns = core_wall_ns();
	const struct conf_element *e;
	struct inventory_walk walk;
	int err = 0;

	limit = limit > PAGE_ELEMENTS ? PAGE_ELEMENTS : limit;
	p->elements = calloc(limit, sizeof(*p->elements));
	p->metrics = calloc((size_t)limit * per_element, sizeof(*p->metrics));
	if (p->elements == NULL || p->metrics == NULL)
		return -ENOMEM;
	inventory_walk_begin(&walk, q->inventory, p->cell.name, q->after);
	e = q->element != 0 ? inventory_find_id(q->inventory, q->element)
			    : inventory_walk_next(&walk);
	for (; err == 0 && e != NULL; e = walk_next(q, &walk)) {
		if (p->n_elements == limit) {
			p->next_after = p->elements[limit - 1].id;
			break;
		}
		err = element_read(p, q, e, now_ns);
	}
	return err;
}

/* ---- Alarms ---- */

static int compare_elements(const void *a, const void *b)
{
	uint64_t x = ((const struct wire_stored_element *)a)->id;
	uint64_t y = ((const struct wire_stored_element *)b)->id;

	return (x > y) - (x < y);
}

static bool is_of_page(const struct page *p, const struct fedmem_alarm *a)
{
	struct wire_stored_element key = {.id = a->element_id};

	return is_under(a->token, p->cell.token) &&
	       bsearch(&key, p->elements, p->n_elements, sizeof(key), compare_elements) != NULL;
}

/* By element, raised ones first, then the newest. */
static int compare_raw(const void *a, const void *b)
{
	const struct fedmem_alarm *x = a, *y = b;

	if (x->element_id != y->element_id)
		return x->element_id < y->element_id ? -1 : 1;
	if (x->state != y->state)
		return x->state == FEDMEM_ALARM_RAISED ? -1 : 1;
	return (x->changed_ns < y->changed_ns) - (x->changed_ns > y->changed_ns);
}

/* All of the page's elements, whole: the table is looked through once, so a page is not dearer for
 * an element with many. */
static int alarms_read(struct page *p, const struct page_query *q)
{
	uint32_t alarms_max = fedmem_sizes(q->fedmem)->alarms_max, room = 0;

	for (uint32_t i = 0; i < alarms_max; i++) {
		struct fedmem_alarm a;
		int err = fedmem_alarm_read(q->fedmem, i, &a);

		if (err == FEDMEM_BUSY)
			return -EAGAIN;
		if (err != 0 || !is_of_page(p, &a))
			continue;
		if (p->n_raw == room) {
			struct fedmem_alarm *more;

			room = room == 0 ? 256 : 2 * room;
			more = reallocarray(p->raw, room, sizeof(*more));
			if (more == NULL)
				return -ENOMEM;
			p->raw = more;
		}
		p->raw[p->n_raw++] = a;
	}
	if (p->n_raw > 0)
		qsort(p->raw, p->n_raw, sizeof(*p->raw), compare_raw);
	return 0;
}

static size_t note_add(struct page *p, const struct page_query *q,
		       const struct wire_stored_alarm *a)
{
	const struct wire_alarm_note *note =
		memory_note_find(q->memory, a->element_id, a->type, a->resource, a->qualifier);

	if (note == NULL)
		return 0;
	p->notes[p->n_notes++] = *note;
	return NOTE_BYTES + strlen(note->text);
}

/* The alarms of one element, from raw[at] on; returns how many there are. '*n_bytes' grows. */
static uint32_t element_alarms(struct page *p, const struct page_query *q, uint32_t at,
			       uint64_t now_ns, size_t *n_bytes)
{
	uint64_t id = p->raw[at].element_id;
	size_t begun_with = *n_bytes;
	uint32_t n = 0;

	for (; at + n < p->n_raw && p->raw[at + n].element_id == id; n++) {
		struct wire_stored_alarm *out = &p->alarms[p->n_alarms];

		if (n >= PAGE_ALARMS || *n_bytes - begun_with > PAGE_BYTES) {
			p->n_left_out++;
			continue;
		}
		memory_stored_alarm(&p->raw[at + n], &p->cell, now_ns, out);
		p->n_alarms++;
		*n_bytes += ALARM_BYTES + note_add(p, q, out);
	}
	return n;
}

static int alarms_fill(struct page *p, const struct page_query *q)
{
	uint64_t now_ns = core_wall_ns();
	size_t n_bytes = 0;
	uint32_t at = 0;

	p->alarms = calloc(p->n_raw + 1, sizeof(*p->alarms));
	p->notes = calloc(p->n_raw + 1, sizeof(*p->notes));
	if (p->alarms == NULL || p->notes == NULL)
		return -ENOMEM;
	while (at < p->n_raw) {
		uint64_t id = p->raw[at].element_id;

		at += element_alarms(p, q, at, now_ns, &n_bytes);
		if (n_bytes <= PAGE_BYTES || at == p->n_raw)
			continue;
		/* Ends behind this element. */
		while (p->elements[p->n_elements - 1].id > id)
			p->n_elements--;
		p->next_after = id;
		break;
	}
	return 0;
}

int page_read(struct page *p, const struct page_query *q)
{
	int err;

	*p = (struct page){.cell = *q->cell};
	err = elements_read(p, q);
	if (err == 0)
		err = alarms_read(p, q);
	if (err == 0)
		err = alarms_fill(p, q);
	return err;
}

void page_fini(struct page *p)
{
	free(p->elements);
	free(p->alarms);
	free(p->notes);
	free(p->raw);
	free(p->metrics);
	*p = (struct page){0};
}
