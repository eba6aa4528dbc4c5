#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cp/registry/registry_private.h"

/* The elements as they are to be, with texts borrowed from the entry or the inventory, and room to
 * sort them. */
struct wanted {
	struct conf_element *all;
	const struct conf_element **sorted;
	uint32_t n;
};

static bool is_move(const struct wire_registry_entry *e)
{
	return strcmp(e->event, "element_moved") == 0;
}

static bool is_adoption(const struct wire_registry_entry *e)
{
	return strcmp(e->event, "element_adopted") == 0;
}

/* ---- What is wanted ---- */

static bool is_length(const char *text, size_t max)
{
	return text[0] != '\0' && strlen(text) <= max;
}

static void check_texts(struct turn *t, const struct conf_element *e)
{
	unsigned long long id = e->id;

	if (!is_length(e->name, ROW_NAME_MAX))
		turn_refuse(t, "element %llu has no name of 1 to %u octets", id, ROW_NAME_MAX);
	else if (!is_length(e->kind, ROW_KIND_MAX))
		turn_refuse(t, "element %llu has no kind of 1 to %u octets", id, ROW_KIND_MAX);
	else if (!is_length(e->region, WIRE_CELL_NAME_MAX))
		turn_refuse(t, "element %llu has no region of 1 to %u octets", id,
			    WIRE_CELL_NAME_MAX);
	else if (!conf_address_is_host(&e->address))
		turn_refuse(t, "element %s has no address of one host", e->name);
}

/* Only its region is another's word. */
static void want_moved(struct turn *t, const struct wire_element_spec *spec,
		       struct conf_element *out)
{
	const struct inventory *i = t->r->state.inventory;
	const struct conf_element *old =
		spec->id != 0 ? inventory_find_id(i, spec->id) : inventory_find_name(i, spec->name);

	if (old == NULL) {
		turn_refuse(t, "there is no element %llu %.*s", (unsigned long long)spec->id,
			    ROW_NAME_MAX, spec->name);
		return;
	}
	*out = *old;
	out->region = (char *)spec->region;
}

static void want(struct turn *t, const struct wire_element_spec *spec, struct conf_element *out,
		 uint64_t *last_id)
{
	if (spec->id == 0 && *last_id == UINT64_MAX) {
		turn_refuse(t, "there is no higher id for element %.*s", ROW_NAME_MAX, spec->name);
		return;
	}
	*out = (struct conf_element){.id = spec->id != 0 ? spec->id : *last_id + 1,
				     .name = (char *)spec->name,
				     .kind = (char *)spec->kind,
				     .region = (char *)spec->region};
	memcpy(out->address.octets, spec->address, sizeof(out->address.octets));
	if (out->id > *last_id)
		*last_id = out->id;
}

static int want_all(struct turn *t, struct wanted *w)
{
	const struct wire_registry_entry *e = t->e;
	uint64_t last_id = t->r->state.last_id;

	w->n = e->n_elements;
	w->all = calloc(w->n, sizeof(*w->all));
	w->sorted = calloc(w->n, sizeof(*w->sorted));
	if (w->all == NULL || w->sorted == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < w->n && !t->outcome->is_refused; i++) {
		if (is_move(e))
			want_moved(t, &e->elements[i], &w->all[i]);
		else
			want(t, &e->elements[i], &w->all[i], &last_id);
		if (!t->outcome->is_refused)
			check_texts(t, &w->all[i]);
		w->sorted[i] = &w->all[i];
	}
	return 0;
}

/* ---- Whether they go together, and with those that are there ---- */

static int compare_ids(const struct conf_element *a, const struct conf_element *b)
{
	return (a->id > b->id) - (a->id < b->id);
}

static int compare_names(const struct conf_element *a, const struct conf_element *b)
{
	return strcmp(a->name, b->name);
}

static int compare_addresses(const struct conf_element *a, const struct conf_element *b)
{
	return memcmp(&a->address, &b->address, sizeof(a->address));
}

typedef int compare_elements(const struct conf_element *a, const struct conf_element *b);

static int compare_pointers(const void *a, const void *b, void *compare)
{
	compare_elements **by = compare;

	return (*by)(*(const struct conf_element *const *)a,
		     *(const struct conf_element *const *)b);
}

static void check_distinct(struct turn *t, struct wanted *w, compare_elements *by, const char *what)
{
	if (t->outcome->is_refused)
		return;
	qsort_r(w->sorted, w->n, sizeof(*w->sorted), compare_pointers, &by);
	for (uint32_t i = 1; i < w->n; i++) {
		const struct conf_element *a = w->sorted[i - 1], *b = w->sorted[i];

		if (by(a, b) != 0)
			continue;
		turn_refuse(t, "elements %llu %s and %llu %s have one %s",
			    (unsigned long long)a->id, a->name, (unsigned long long)b->id, b->name,
			    what);
		return;
	}
}

/* A name or address that is another element's is refused, also where that one gets another in the
 * same entry. */
static void check_free(struct turn *t, const struct conf_element *e)
{
	const struct inventory *i = t->r->state.inventory;
	const struct conf_element *by_id = inventory_find_id(i, e->id);
	const struct conf_element *by_name = inventory_find_name(i, e->name);
	const struct conf_element *by_address = inventory_find_address(i, &e->address);
	char address[46];

	conf_address_format(address, &e->address);
	if (by_name != NULL && by_name->id != e->id)
		turn_refuse(t, "the name of element %llu %s is that of element %llu",
			    (unsigned long long)e->id, e->name, (unsigned long long)by_name->id);
	else if (by_address != NULL && by_address->id != e->id)
		turn_refuse(t, "the address of element %s, %s, is that of element %s", e->name,
			    address, by_address->name);
	else if (is_adoption(t->e) && by_id != NULL && strcmp(by_id->name, e->name) != 0)
		turn_refuse(t, "the id of element %s, %llu, is that of element %s", e->name,
			    (unsigned long long)e->id, by_id->name);
}

static void check_all(struct turn *t, struct wanted *w)
{
	check_distinct(t, w, compare_ids, "id");
	check_distinct(t, w, compare_names, "name");
	check_distinct(t, w, compare_addresses, "address");
	for (uint32_t i = 0; i < w->n && !t->outcome->is_refused; i++)
		check_free(t, &w->all[i]);
}

/* ---- Putting them ---- */

static int touch_cell(struct turn *t, const char *name)
{
	struct state_cell *cell;
	struct row row;
	bool is_new;
	int err = state_cell_add(&t->r->state, name, &cell, &is_new);

	if (err != 0)
		return err;
	cell->is_touched = true;
	if (!is_new)
		return 0;
	row_of_cell(&row, &cell->row);
	return turn_store(t, &row);
}

/* Cells get their weights. One that lost its last element loses its owner too: when it comes back
 * it is planned anew, and that raises its token. */
static int weigh_cells(struct turn *t)
{
	struct state *s = &t->r->state;
	int err = 0;

	for (uint32_t i = 0; i < s->n_cells && err == 0; i++) {
		struct state_cell *cell = &s->cells[i];
		uint32_t was = cell->row.weight;
		struct row row;

		if (!cell->is_touched)
			continue;
		cell->is_touched = false;
		cell->row.weight = inventory_count_region(s->inventory, cell->row.name);
		t->is_map_changed |= cell->row.weight != was;
		if (was == 0 || cell->row.weight > 0)
			continue;
		cell->row.owner = cell->row.standby = 0;
		row_of_cell(&row, &cell->row);
		err = turn_store(t, &row);
	}
	return err;
}

static bool is_same(const struct conf_element *a, const struct conf_element *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->kind, b->kind) == 0 &&
	       strcmp(a->region, b->region) == 0 &&
	       memcmp(&a->address, &b->address, sizeof(a->address)) == 0;
}

static int put(struct turn *t, const struct conf_element *e)
{
	struct state *s = &t->r->state;
	const struct conf_element *old = inventory_find_id(s->inventory, e->id);
	struct row row;
	int err;

	if (old != NULL && is_same(old, e)) {
		t->outcome->n_same++;
		return 0;
	}
	row_of_element(&row, e);
	err = touch_cell(t, e->region);
	if (err == 0 && old != NULL)
		err = touch_cell(t, old->region);
	if (err == 0)
		err = inventory_put(s->inventory, e, &t->r->changes[t->r->n_changes++]);
	if (err != 0)
		return err;
	if (old != NULL)
		t->outcome->n_changed++;
	else
		t->outcome->n_added++;
	if (e->id > s->last_id)
		s->last_id = e->id;
	return turn_store(t, &row);
}

static int put_all(struct turn *t, const struct wanted *w)
{
	struct registry *r = t->r;
	int err = 0;

	r->changes = calloc(w->n, sizeof(*r->changes));
	if (r->changes == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < w->n && err == 0; i++)
		err = put(t, &w->all[i]);
	return err == 0 ? weigh_cells(t) : err;
}

/* ---- The event ---- */

/* Before the change: the element's name and where it is. */
static void describe(struct turn *t, const struct conf_element *e)
{
	const struct conf_element *old = inventory_find_id(t->r->state.inventory, e->id);

	if (is_move(t->e) && old != NULL)
		snprintf(t->r->text, sizeof(t->r->text), "%s from %s", e->name, old->region);
	else
		snprintf(t->r->text, sizeof(t->r->text), "%s", e->name);
}

static int tell(struct turn *t)
{
	const struct registry_outcome *o = t->outcome;
	struct wire_event e = {.kind = t->e->event, .text = t->r->text};

	if (o->n_added + o->n_changed == 0)
		return 0;
	if (is_move(t->e) || is_adoption(t->e)) {
		e.cell = t->e->elements[0].region;
		return turn_event(t, e);
	}
	e.kind = "elements_imported";
	snprintf(t->r->text, sizeof(t->r->text), "%u added, %u changed, %u the same", o->n_added,
		 o->n_changed, o->n_same);
	return turn_event(t, e);
}

int turn_elements(struct turn *t)
{
	const struct wire_registry_entry *e = t->e;
	bool is_one = is_move(e) || is_adoption(e);
	struct wanted w = {0};
	int err;

	if (e->n_elements == 0 || e->n_elements > (is_one ? 1 : REGISTRY_ELEMENTS_MAX))
		return turn_refuse(t, "%u elements in one entry", e->n_elements);
	if (!is_one && e->event[0] != '\0' && strcmp(e->event, "elements_imported") != 0)
		return turn_refuse(t, "elements make no event %.*s", ROW_NAME_MAX, e->event);
	err = want_all(t, &w);
	if (err == 0 && !t->outcome->is_refused)
		check_all(t, &w);
	if (err == 0 && !t->outcome->is_refused) {
		t->outcome->element_id = w.all[0].id;
		describe(t, &w.all[0]);
		err = put_all(t, &w);
	}
	if (err == 0 && !t->outcome->is_refused)
		err = tell(t);
	free(w.sorted);
	free(w.all);
	return err;
}
