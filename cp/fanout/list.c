/* A list of one kind of record over all servers: ask, wait, merge. */
#include <errno.h>
#include <stdlib.h>

#include "cp/core/core.h"
#include "cp/fanout/merge.h"

/* What one question brought: every server's part. */
struct round {
	struct list *list;
	const struct fanout_source *source;
	struct memory_page *page; /* of the own part */
	struct merge merge;
	void **unpacked;
	uint32_t n_unpacked;
};

struct list {
	struct fanout_lists cfg;
	enum fanout_kind kind;
	struct wire_list_request request;
	uint32_t deadline_ms;
	fanout_list_done done;
	void *user;
	struct round first, filling;
	uint32_t *silent;
	uint32_t n_silent;
	int err;
};

static void round_fini(struct round *r)
{
	for (uint32_t i = 0; i < r->n_unpacked; i++)
		wire_free(r->unpacked[i]);
	free(r->unpacked);
	memory_page_free(r->page);
	merge_fini(&r->merge);
}

static void list_free(struct list *l)
{
	round_fini(&l->first);
	round_fini(&l->filling);
	free(l->silent);
	free(l);
}

static int take_own_part(struct round *r)
{
	const struct list *l = r->list;
	struct fanout_list part = {.kind = l->kind};
	int err;

	if (l->kind == FANOUT_ELEMENTS)
		err = r->source->elements(r->source->user, l->request.after_element,
					  l->request.limit, &r->page, &part.elements);
	else
		err = r->source->alarms(r->source->user, l->request.after_element, l->request.limit,
					l->request.with_cleared ||
						(r->source->is_store && !l->request.is_local),
					&r->page, &part.alarms);
	return err != 0 ? err : merge_add(&r->merge, &part);
}

static bool take_part(void *user, uint16_t server, const uint8_t *bytes, size_t n)
{
	struct round *r = user;
	struct list *l = r->list;
	struct fanout_list part = {.kind = l->kind};
	struct wire_element_list *elements;
	struct wire_alarm_list *alarms;
	uint64_t next_after;
	void *unpacked;

	if (l->kind == FANOUT_ELEMENTS) {
		if (wire_element_list_unpack(bytes, n, &elements) < 0)
			return false;
		part.elements = *elements;
		next_after = elements->next_after;
		unpacked = elements;
	} else {
		if (wire_alarm_list_unpack(bytes, n, &alarms) < 0)
			return false;
		part.alarms = *alarms;
		next_after = alarms->next_after;
		unpacked = alarms;
	}
	/* A page that does not go forward would have the client ask for ever. */
	if ((next_after != 0 && next_after <= l->request.after_element) ||
	    merge_add(&r->merge, &part) < 0) {
		wire_free(unpacked);
		return false;
	}
	r->unpacked[r->n_unpacked++] = unpacked;
	return true;
}

/* Starts a round; 'done' ends it. */
static int ask(struct list *l, struct round *r, const struct fanout_source *source,
	       void (*done)(void *user, const uint32_t *silent, uint32_t n_silent))
{
	struct wire_list_request request = l->request;
	struct wire_bytes bytes;
	int err;

	r->list = l;
	r->source = source;
	merge_init(&r->merge, l->kind);
	r->unpacked = calloc((size_t)cluster_view(l->cfg.fanout.cluster)->n_servers + 1,
			     sizeof(*r->unpacked));
	if (r->unpacked == NULL)
		return -ENOMEM;
	err = take_own_part(r);
	if (err < 0)
		return err;
	if (l->request.is_local) {
		done(r, NULL, 0);
		return 0;
	}
	request.is_local = true;
	/* What a store has cleared must be seen to win over an older copy that is raised. */
	request.with_cleared |= source->is_store;
	err = wire_list_request_pack(&request, &bytes);
	if (err < 0)
		return err;
	err = fanout_ask(&l->cfg.fanout,
			 &(struct fanout_ask){.path = l->kind == FANOUT_ELEMENTS
							      ? source->elements_path
							      : source->alarms_path,
					      .bytes = bytes.bytes,
					      .n = bytes.n,
					      .deadline_ms = l->deadline_ms,
					      .take = take_part,
					      .done = done,
					      .user = r});
	wire_bytes_free(&bytes);
	return err;
}

static bool is_not_cleared(const void *record, void *user)
{
	return !((const struct wire_alarm *)record)->is_cleared;
}

static void merge_round(struct round *r)
{
	const struct list *l = r->list;

	if (!r->source->is_store) {
		merge_memories(&r->merge);
		return;
	}
	merge_stores(&r->merge);
	if (l->kind == FANOUT_ALARMS && !l->request.with_cleared)
		merge_keep(&r->merge, is_not_cleared, NULL);
}

static void end(struct list *l)
{
	uint16_t self = cluster_view(l->cfg.fanout.cluster)->self;
	struct fanout_list out = {.kind = l->kind};

	if (l->err == 0 && l->kind == FANOUT_ELEMENTS)
		out.elements = (struct wire_element_list){
			.silent = l->silent, .n_silent = l->n_silent, .answered_by = self};
	else if (l->err == 0)
		out.alarms = (struct wire_alarm_list){
			.silent = l->silent, .n_silent = l->n_silent, .answered_by = self};
	if (l->err == 0)
		merge_cut(&l->first.merge, l->request.limit, &out);
	l->done(l->user, l->err, l->err == 0 ? &out : NULL);
	list_free(l);
}

/* ---- What silent servers own, from the store ---- */

static bool is_silent(const struct list *l, uint16_t server)
{
	for (uint32_t i = 0; i < l->n_silent; i++)
		if (l->silent[i] == server)
			return true;
	return false;
}

static bool has_element(const struct merge *m, uint64_t id)
{
	uint32_t low = 0, high = m->n;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (merge_element_id(m, middle) < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < m->n && merge_element_id(m, low) == id;
}

static uint16_t owner_of(const struct list *l, uint64_t element)
{
	const struct conf_element *e = inventory_find_id(l->cfg.inventory, element);
	const struct ownership_cell *cell =
		e == NULL ? NULL : cluster_cell(l->cfg.fanout.cluster, e->region);

	return cell == NULL ? 0 : cell->owner;
}

static bool fills(const void *record, void *user)
{
	const struct list *l = user;
	uint64_t id, age_ms;

	if (l->kind == FANOUT_ELEMENTS) {
		const struct wire_element *e = record;
		uint64_t now_ns = core_wall_ns();

		if (e->stored_ns == 0)
			return false;
		id = e->id;
		age_ms = now_ns > e->stored_ns ? (now_ns - e->stored_ns) / 1000000 : 0;
	} else {
		const struct wire_alarm *a = record;

		id = a->element_id;
		age_ms = a->age_ms;
	}
	return age_ms <= l->request.max_age_ms && is_silent(l, owner_of(l, id)) &&
	       !has_element(&l->first.merge, id);
}

static void filled(void *user, const uint32_t *silent, uint32_t n_silent)
{
	struct round *r = user;
	struct list *l = r->list;

	merge_round(r);
	merge_keep(&r->merge, fills, l);
	l->err = merge_join(&l->first.merge, &r->merge);
	end(l);
}

static void answered(void *user, const uint32_t *silent, uint32_t n_silent)
{
	struct round *r = user;
	struct list *l = r->list;
	int err;

	merge_round(r);
	l->silent = calloc((size_t)n_silent + 1, sizeof(*l->silent));
	if (l->silent == NULL) {
		l->err = -ENOMEM;
		end(l);
		return;
	}
	for (; l->n_silent < n_silent; l->n_silent++)
		l->silent[l->n_silent] = silent[l->n_silent];
	if (n_silent == 0 || l->request.max_age_ms == 0 || l->cfg.store == NULL) {
		end(l);
		return;
	}
	err = ask(l, &l->filling, l->cfg.store, filled);
	if (err < 0) {
		l->err = err;
		end(l);
	}
}

int fanout_list(const struct fanout_lists *f, enum fanout_kind kind,
		const struct wire_list_request *request, uint32_t deadline_ms,
		fanout_list_done done, void *user)
{
	struct list *l = calloc(1, sizeof(*l));
	int err;

	if (l == NULL)
		return -ENOMEM;
	l->cfg = *f;
	l->kind = kind;
	l->request = *request;
	/* There may be two rounds. */
	l->deadline_ms =
		request->max_age_ms != 0 && f->store != NULL ? deadline_ms / 2 : deadline_ms;
	l->done = done;
	l->user = user;
	err = ask(l, &l->first, f->source, answered);
	if (err < 0)
		list_free(l);
	return err;
}
