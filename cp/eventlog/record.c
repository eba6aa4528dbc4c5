#include <errno.h>
#include <string.h>

#include "cp/core/core.h"
#include "cp/eventlog/eventlog_private.h"

/* ---- Copies ---- */

/* Copies texts into a page; remembers that there was no memory for one. */
struct copier {
	struct memory_page *page;
	size_t n_bytes;
	bool has_failed;
};

static const uint8_t *copy_bytes(struct copier *c, const void *from, size_t n)
{
	uint8_t *to = memory_page_take(c->page, n, 1);

	c->n_bytes += n;
	if (to == NULL)
		c->has_failed = true;
	else if (n > 0)
		memcpy(to, from, n);
	return to;
}

static void copy_text(struct copier *c, const char **text)
{
	*text = *text == NULL || **text == '\0'
			? ""
			: (const char *)copy_bytes(c, *text, strlen(*text) + 1);
}

static void copy_octets(struct copier *c, struct wire_octets *o)
{
	o->bytes = copy_bytes(c, o->bytes, o->n);
}

int record_copy_event(struct memory_page *p, const struct wire_event *from, struct wire_event *to,
		      size_t *n_bytes)
{
	struct copier c = {.page = p};

	*to = *from;
	copy_text(&c, &to->kind);
	copy_text(&c, &to->cell);
	copy_text(&c, &to->operator_name);
	copy_text(&c, &to->request_id);
	copy_text(&c, &to->text);
	to->alarm = (struct wire_alarm){0};
	if (to->has_alarm) {
		to->alarm = from->alarm;
		copy_text(&c, &to->alarm.element);
		copy_text(&c, &to->alarm.resource);
		copy_text(&c, &to->alarm.type);
		copy_text(&c, &to->alarm.qualifier);
		copy_text(&c, &to->alarm.severity);
		copy_text(&c, &to->alarm.text);
		copy_text(&c, &to->alarm.operator_state);
		copy_text(&c, &to->alarm.operator_name);
		copy_text(&c, &to->alarm.operator_text);
		copy_text(&c, &to->alarm.source);
	}
	*n_bytes = c.n_bytes;
	return c.has_failed ? -ENOMEM : 0;
}

static struct wire_alarm_note *copy_note(struct memory_page *p, const struct wire_alarm_note *from)
{
	struct wire_alarm_note *to = memory_page_take(p, 1, sizeof(*to));
	struct copier c = {.page = p};

	if (to == NULL)
		return NULL;
	*to = *from;
	copy_octets(&c, &to->type);
	copy_octets(&c, &to->resource);
	copy_octets(&c, &to->qualifier);
	copy_text(&c, &to->operator_name);
	copy_text(&c, &to->text);
	copy_text(&c, &to->request_id);
	return c.has_failed ? NULL : to;
}

/* ---- Records ---- */

/* The cell under which the alarm was kept, whoever owns it by now. */
static void find_cell(struct eventlog *l, struct record *r)
{
	const struct conf_element *e = inventory_find_id(l->cfg.inventory, r->alarm.element_id);
	const struct ownership_cell *cell =
		e == NULL ? NULL : cluster_cell(l->cfg.cluster, e->region);
	const struct ownership_token token = {r->alarm.token.epoch, r->alarm.token.generation};

	if (cell != NULL)
		r->cell = *cell;
	r->is_present = cell != NULL && cell->owner == l->self &&
			ownership_token_compare(cell->token, token) == 0;
	r->cell.owner = l->self;
	r->cell.token = token;
}

static void keep(struct flight *f, struct record *r)
{
	*f->end = r;
	f->end = &r->next;
}

int record_change(struct eventlog *l, struct flight *f, const char *kind, uint64_t time_ns,
		  const struct fedmem_alarm *alarm)
{
	struct record *r = memory_page_take(f->page, 1, sizeof(*r));
	const struct wire_stored_alarm *s;
	int err;

	if (r == NULL)
		return -ENOMEM;
	s = &r->stored;
	r->alarm = *alarm;
	find_cell(l, r);
	memory_stored_alarm(&r->alarm, &r->cell, core_wall_ns(), &r->stored);
	r->event = (struct wire_event){
		.origin = l->self,
		.time_ns = time_ns,
		.kind = kind,
		.has_alarm = true,
		.cell = r->cell.name,
		.token = s->token,
		.operator_name = "",
		.request_id = "",
		.text = "",
	};
	err = memory_from_store_alarm(
		l->cfg.memory, f->page, s,
		memory_note_find(l->cfg.memory, s->element_id, s->type, s->resource, s->qualifier),
		&r->event.alarm);
	r->event.alarm.source = "memory";
	r->event.alarm.age_ms = 0;
	if (err == 0)
		keep(f, r);
	return err;
}

int record_own(struct flight *f, const struct wire_event *e, const struct wire_alarm_note *note)
{
	struct record *r = memory_page_take(f->page, 1, sizeof(*r));
	size_t n_bytes;

	if (r == NULL || record_copy_event(f->page, e, &r->event, &n_bytes) < 0)
		return -ENOMEM;
	if (note != NULL) {
		f->note = copy_note(f->page, note);
		if (f->note == NULL)
			return -ENOMEM;
	}
	f->is_own = true;
	keep(f, r);
	return 0;
}
