/* Alarms that the archive keeps and the memory does not any more: the data plane gave their places
 * to others, or changes were overtaken when the ring overflowed. Without this an alarm that is gone
 * would stay in the store for ever, or stand there as raised. */
#include <errno.h>
#include <string.h>

#include "cp/checkpoint/checkpoint_private.h"
#include "cp/core/core.h"

struct look {
	struct checkpoint *c;
	struct slice *s;
	uint32_t n_cells;
	int err;
};

static bool is_restored(const struct look *look, const struct ownership_cell *cell)
{
	for (uint32_t i = 0; i < look->n_cells; i++) {
		const struct fedmem_cell *there = &look->c->cells[i];

		if (strcmp(there->name, cell->name) == 0)
			return there->is_restoring == 0 &&
			       there->token.epoch == cell->token.epoch &&
			       there->token.generation == cell->token.generation;
	}
	return false;
}

static bool is_text(struct wire_octets o, const char *text, size_t room)
{
	size_t n = strnlen(text, room);

	return o.n == n && (n == 0 || memcmp(o.bytes, text, n) == 0);
}

/* Not sure: yes. The chain can change while it is followed; then an element is met that is not
 * ours, or more links than there are entries. */
static bool is_in_memory(const struct checkpoint *c, const struct wire_stored_alarm *s)
{
	uint32_t alarms_max = fedmem_sizes(c->cfg.fedmem)->alarms_max, slot;
	struct fedmem_state state;
	struct fedmem_alarm a;
	int answer = fedmem_find_by_id(c->cfg.fedmem, s->element_id, &slot);

	if (answer == FEDMEM_NOT_FOUND)
		return false;
	if (answer == 0)
		answer = fedmem_state_read(c->cfg.fedmem, slot, &state, NULL);
	if (answer == FEDMEM_NOT_FOUND)
		return false;
	if (answer != 0 || state.element_id != s->element_id ||
	    state.token.epoch != s->token.epoch || state.token.generation != s->token.generation)
		return true;
	for (uint32_t at = state.alarm_first, n = 0; at != FEDMEM_NONE; at = a.next) {
		if (n++ == alarms_max || fedmem_alarm_read(c->cfg.fedmem, at, &a) != 0 ||
		    a.element_id != s->element_id)
			return true;
		if (is_text(s->type, a.type, sizeof(a.type)) &&
		    is_text(s->resource, a.resource, sizeof(a.resource)) &&
		    is_text(s->qualifier, a.qualifier, sizeof(a.qualifier)))
			return true;
	}
	return false;
}

static struct wire_octets copy(struct look *look, struct wire_octets o)
{
	uint8_t *to = memory_page_take(look->s->page, o.n, 1);

	if (to == NULL)
		look->err = -ENOMEM;
	else if (o.n > 0)
		memcpy(to, o.bytes, o.n);
	return (struct wire_octets){to, o.n};
}

static void forget(struct look *look, const struct ownership_cell *cell,
		   const struct wire_stored_alarm *s)
{
	const struct wire_stored_alarm gone = {
		.element_id = s->element_id,
		.type = copy(look, s->type),
		.resource = copy(look, s->resource),
		.qualifier = copy(look, s->qualifier),
		.state = FEDMEM_ALARM_FREE,
		.severity = s->severity,
		.stored_ns = core_wall_ns(),
		.owner = cell->owner,
		.token = s->token,
		.cell = cell->name,
	};

	if (look->err == 0)
		*slice_alarm(look->s) = gone;
}

static bool see(void *user, const struct wire_stored_alarm *s)
{
	struct look *look = user;
	struct checkpoint *c = look->c;
	const struct conf_element *e = inventory_find_id(c->cfg.inventory, s->element_id);
	const struct ownership_cell *cell =
		e == NULL ? NULL : cluster_cell(c->cfg.cluster, e->region);

	/* A whole element, however many alarms it has. */
	if (s->element_id != c->after && look->s->n_looks >= LOOKS_A_TURN / 8)
		return false;
	c->after = s->element_id;
	look->s->n_looks++;
	if (look->s->n_alarms == WRITES_A_TURN)
		return true; /* the rest of it with the next round */
	if (cell != NULL && cell->owner == c->self && s->token.epoch == cell->token.epoch &&
	    s->token.generation == cell->token.generation && is_restored(look, cell) &&
	    !is_in_memory(c, s))
		forget(look, cell, s);
	return look->err == 0;
}

int forget_look(struct checkpoint *c, struct slice *s, bool *is_over)
{
	struct look look = {.c = c, .s = s};
	uint32_t version, room = fedmem_sizes(c->cfg.fedmem)->cells_max;
	uint64_t after = c->after;
	int err;

	if (fedmem_cells_get(c->cfg.fedmem, c->cells, room, &look.n_cells, &version) != 0)
		look.n_cells = 0;
	if (after == UINT64_MAX) {
		*is_over = true;
		return 0;
	}
	err = archive_alarms(c->cfg.archive, after + 1, UINT64_MAX, see, &look);
	*is_over = c->after == after;
	return err < 0 ? err : look.err;
}
