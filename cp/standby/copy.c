#include <errno.h>
#include <string.h>

#include "cp/core/core.h"
#include "cp/standby/standby_private.h"

/* When a page cannot be made now: the memory of a data plane that is away, or no memory at all. */
#define PAGE_RETRY_MS 500
/* Of events that a copy brings along, and that are looked at for them: some milliseconds. */
#define OWED_EVENTS 1000
#define OWED_LOOKS  4000

/* '-ENOENT': the map says something else by now. */
static int read_page(struct standby_cell *c, struct page *p, uint64_t after, uint64_t element)
{
	const struct ownership_cell *cell = cluster_cell(c->s->cfg.cluster, c->name);
	struct page_query q = {
		.fedmem = c->s->cfg.fedmem,
		.inventory = c->s->cfg.inventory,
		.memory = c->s->cfg.memory,
		.cell = cell,
		.after = after,
		.element = element,
	};
	int err;

	*p = (struct page){0};
	if (cell == NULL || !standby_owns(c, cell->token))
		return -ENOENT;
	err = page_read(p, &q);
	if (err == 0 && p->n_left_out > 0)
		core_log(CORE_WARNING,
			 "standby: an element has too many alarms cell=%s not_stored=%u", c->name,
			 p->n_left_out);
	return err;
}

/* ---- To the standby ---- */

void copy_want(struct standby_cell *c)
{
	if (c->owner != c->s->self || c->standby == 0)
		return;
	c->copy = COPY_WANTED;
	c->is_page_queued = false;
	sender_drop_pages(c);
}

static int page_queue(struct standby_cell *c, const struct page *p)
{
	const struct wire_replicate_request m = {
		.alarms = p->alarms,
		.n_alarms = p->n_alarms,
		.elements = p->elements,
		.n_elements = p->n_elements,
		.notes = p->notes,
		.n_notes = p->n_notes,
	};
	const struct standby_item like = {
		.is_page = true, .is_begin = !c->is_copy_begun, .is_end = p->next_after == 0};
	int err = sender_queue(c, &m, &like);

	if (err != 0)
		return err;
	c->is_copy_begun = true;
	c->is_page_queued = true;
	c->is_all_queued = like.is_end;
	c->copy_after = p->next_after;
	return 0;
}

/* Events that the standby lacks: the newest of those since it last had all of them. */
struct owed {
	struct standby_cell *c;
	uint32_t n_looks, n_queued;
	int err;
};

static bool see_owed(void *user, const struct wire_event *e)
{
	struct owed *o = user;
	struct wire_event one = *e;
	const struct wire_replicate_request m = {.events = &one, .n_events = 1};

	if (strcmp(e->cell, o->c->name) == 0) {
		o->err = sender_queue(o->c, &m, &(struct standby_item){.event = e->number});
		o->n_queued++;
	}
	return o->err == 0 && ++o->n_looks < OWED_LOOKS && o->n_queued < OWED_EVENTS;
}

static void owed_queue(struct standby_cell *c)
{
	struct owed o = {.c = c};
	uint64_t from = c->event_owed;

	if (from == UINT64_MAX)
		return;
	c->event_owed = UINT64_MAX;
	archive_events(c->s->cfg.archive, c->s->self, from - 1, UINT64_MAX, true, see_owed, &o);
	if (o.err != 0)
		sender_owe(c, from);
	if (o.n_queued > 0)
		core_log(CORE_INFO, "standby: events sent anew cell=%s standby=%u events=%u%s",
			 c->name, c->standby, o.n_queued,
			 o.n_queued == OWED_EVENTS || o.n_looks == OWED_LOOKS
				 ? " older ones are here alone"
				 : "");
}

static void page_make(struct standby_cell *c)
{
	struct page p;
	int err = read_page(c, &p, c->copy_after, 0);

	if (err == 0)
		err = page_queue(c, &p);
	page_fini(&p);
	if (err != 0)
		c->copy_ms = core_now_ms() + PAGE_RETRY_MS;
	if (err == -EMSGSIZE)
		core_log(CORE_ERROR, "standby: not copied, a page is too long cell=%s after=%llu",
			 c->name, (unsigned long long)c->copy_after);
}

void copy_tick(struct standby_cell *c)
{
	const struct cluster_server *to;

	if (c->owner != c->s->self || c->standby == 0 || c->copy == COPY_NONE)
		return;
	to = cluster_server(c->s->cfg.cluster, c->standby);
	if (to == NULL || to->state != DETECTOR_ALIVE)
		return;
	/* It was started anew: what it had then has a gap. */
	if (c->copy != COPY_WANTED && to->boot != c->boot)
		copy_want(c);
	if (c->restore != NULL || core_now_ms() < c->copy_ms || core_now_ms() < c->retry_ms)
		return;
	if (c->copy == COPY_WANTED && c->s->n_copies < STANDBY_COPIES) {
		c->s->n_copies++;
		c->copy = COPY_RUNNING;
		c->boot = to->boot;
		c->copy_after = 0;
		c->is_copy_begun = c->is_page_queued = c->is_all_queued = false;
		owed_queue(c);
	}
	if (c->copy == COPY_RUNNING && !c->is_page_queued && !c->is_all_queued)
		page_make(c);
}

/* ---- Into the own archive ---- */

static int element_put(struct archive_batch *b, const struct wire_stored_element *e)
{
	int err = archive_drop_alarms(b, e->id);

	return err == 0 && e->stored_ns != 0 ? archive_put_element(b, e) : err;
}

static int page_put(struct archive_batch *b, const struct page *p)
{
	int err = 0;

	for (uint32_t i = 0; err == 0 && i < p->n_elements; i++)
		err = element_put(b, &p->elements[i]);
	for (uint32_t i = 0; err == 0 && i < p->n_alarms; i++)
		err = archive_put_alarm(b, &p->alarms[i]);
	for (uint32_t i = 0; err == 0 && i < p->n_notes; i++)
		err = archive_put_note(b, &p->notes[i]);
	return err;
}

/* Takes nothing of the page. 'is_last': the archive is whole with it. */
static int page_commit(struct standby_cell *c, const struct page *p, bool is_last,
		       void (*done)(void *user))
{
	struct archive_batch *b = archive_batch(c->s->cfg.archive);
	int err = b == NULL ? -ENOMEM : page_put(b, p);

	if (err == 0 && is_last)
		err = standby_sync_put(c, b, c->token, true, true);
	if (err != 0) {
		archive_batch_free(b);
		return err;
	}
	return archive_commit(c->s->cfg.archive, b, done, c);
}

void copy_own_begin(struct standby_cell *c)
{
	c->is_storing_own = true;
	c->own_after = 0;
	c->own_ms = 0;
}

static void on_own_stored(void *user)
{
	struct standby_cell *c = user;

	c->is_own_waiting = false;
	standby_wake(c->s);
}

void copy_own_tick(struct standby_cell *c)
{
	struct page p;
	int err;

	if (!c->is_storing_own || c->is_own_waiting || c->restore != NULL ||
	    core_now_ms() < c->own_ms)
		return;
	err = read_page(c, &p, c->own_after, 0);
	if (err == 0)
		err = page_commit(c, &p, p.next_after == 0, on_own_stored);
	if (err == 0) {
		c->is_own_waiting = true;
		c->own_after = p.next_after;
		c->is_storing_own = p.next_after != 0;
	} else {
		c->own_ms = core_now_ms() + PAGE_RETRY_MS;
	}
	page_fini(&p);
}

void copy_element(struct standby_cell *c, uint64_t element)
{
	const struct standby_item like = {0};
	struct wire_replicate_request m = {0};
	struct page p;
	int err = read_page(c, &p, 0, element);

	if (err == 0)
		err = page_commit(c, &p, false, NULL);
	if (err != 0)
		copy_own_begin(c);
	if (err == 0 && p.n_elements > 0 && p.elements[0].stored_ns != 0) {
		m = (struct wire_replicate_request){
			.alarms = p.alarms,
			.n_alarms = p.n_alarms,
			.elements = p.elements,
			.n_elements = p.n_elements,
			.notes = p.notes,
			.n_notes = p.n_notes,
		};
		err = c->standby != 0 ? sender_queue(c, &m, &like) : 0;
	}
	if (err != 0)
		copy_want(c);
	page_fini(&p);
}
