/* What is raised now, in pages by element, between the events. A page that waits for room is read
 * anew when one of its elements changes: what is sent as present is never older than an event that
 * was sent before it. */
#include "cp/federated/watch.h"

#define PRESENT_PAGE 500 /* elements */

void present_drop(struct watcher *w)
{
	memory_page_free(w->present.page);
	w->present.page = NULL;
}

static void read_page(struct watcher *w)
{
	struct present *p = &w->present;

	p->at = 0;
	p->n_pages++;
	if (memory_alarms(w->f->cfg.memory, p->after, PRESENT_PAGE, false, &p->page, &p->list) < 0)
		present_drop(w); /* no memory: again with the next turn */
	else if (p->list.n_left_out > 0)
		w->is_behind = true;
}

/* Goes on where the client's queue was full, if it was. */
static void send_page(struct watcher *w)
{
	uint16_t self = cluster_view(w->f->cfg.cluster)->self;
	struct present *p = &w->present;

	if (p->page == NULL)
		return;
	for (; p->at < p->list.n_alarms; p->at++)
		if (!watch_has_spare_room(w) || !watch_try_present(w, &p->list.alarms[p->at], self))
			return;
	p->after = p->list.next_after;
	p->is_on = p->after != 0;
	present_drop(w);
}

/* The last element whose alarms were all sent. */
static uint64_t sent_until(const struct present *p)
{
	uint32_t at = p->at;

	while (at > 0 && at < p->list.n_alarms &&
	       p->list.alarms[at - 1].element_id == p->list.alarms[at].element_id)
		at--;
	return at > 0 ? p->list.alarms[at - 1].element_id : p->after;
}

void present_changed(struct watcher *w, uint64_t element_id)
{
	struct present *p = &w->present;

	if (p->page == NULL || element_id <= sent_until(p) ||
	    (p->list.next_after != 0 && element_id > p->list.next_after))
		return;
	p->after = sent_until(p);
	present_drop(w);
}

void present_turn(struct federated *f)
{
	struct watcher *next = NULL;

	for (struct watcher *w = f->watchers; w != NULL; w = w->next) {
		if (w->is_gone || !w->present.is_on)
			continue;
		if (w->present.page != NULL)
			send_page(w);
		else if (next == NULL || w->present.n_pages < next->present.n_pages)
			next = w;
	}
	if (next != NULL) {
		read_page(next);
		send_page(next);
	}
}
