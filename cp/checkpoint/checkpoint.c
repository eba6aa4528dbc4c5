#include "cp/checkpoint/checkpoint.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cp/checkpoint/checkpoint_private.h"
#include "cp/core/core.h"

#define WAITING_MAX 8 /* batches */
/* Not 0: such a timer would run again before anything else does. */
#define SOON_MS	      1
#define AGAIN_MS      100 /* when the archive takes no more */
#define FORGET_ROUNDS 12  /* one in so many looks for what is no longer kept */

/* ---- What was written ---- */

/* FNV-1a (Fowler, Noll, Vo), by words. */
static uint64_t hash_words(uint64_t hash, const void *bytes, size_t n)
{
	uint64_t word;

	for (size_t i = 0; i + sizeof(word) <= n; i += sizeof(word)) {
		memcpy(&word, (const uint8_t *)bytes + i, sizeof(word));
		hash = (hash ^ word) * 0x100000001b3u;
		hash ^= hash >> 32;
	}
	return hash;
}

/* Of the rest of a record, from its element's id on: how it hangs together with others is not
 * stored. */
#define MARK_OF(record, begin)                                                                     \
	hash_words(begin, &(record)->element_id,                                                   \
		   sizeof(*(record)) - offsetof(__typeof__(*(record)), element_id))

_Static_assert((sizeof(struct fedmem_state) - offsetof(struct fedmem_state, element_id)) % 8 == 0,
	       "all of it is hashed");
_Static_assert((sizeof(struct fedmem_alarm) - offsetof(struct fedmem_alarm, element_id)) % 8 == 0,
	       "all of it is hashed");

static uint64_t state_mark(const struct fedmem_state *s)
{
	return MARK_OF(s, 0xcbf29ce484222325u) | 1;
}

static uint64_t alarm_mark(const struct fedmem_alarm *a)
{
	return MARK_OF(a, 0xcbf29ce484222325u ^ a->state ^ (uint64_t)a->severity << 8) | 1;
}

static void remember(struct slice *s, uint64_t *at, uint64_t mark)
{
	s->marks[s->n_marks].at = at;
	s->marks[s->n_marks++].mark = mark;
}

/* ---- Slices ---- */

static int slice_begin(struct slice *s)
{
	*s = (struct slice){.page = memory_page_create()};
	if (s->page == NULL)
		return -ENOMEM;
	s->elements = memory_page_take(s->page, WRITES_A_TURN, sizeof(*s->elements));
	s->alarms = memory_page_take(s->page, WRITES_A_TURN, sizeof(*s->alarms));
	s->marks = memory_page_take(s->page, LOOKS_A_TURN, sizeof(*s->marks));
	return s->elements == NULL || s->alarms == NULL || s->marks == NULL ? -ENOMEM : 0;
}

static bool slice_is_full(const struct slice *s)
{
	return s->n_looks == LOOKS_A_TURN || s->n_elements == WRITES_A_TURN ||
	       s->n_alarms == WRITES_A_TURN;
}

static int by_cell(const void *a, const void *b)
{
	const struct wire_stored_alarm *x = a, *y = b;

	return strcmp(x->cell, y->cell);
}

/* To each cell's standby: elements are of one cell, alarms in runs of one. */
static void ship(struct checkpoint *c, struct slice *s)
{
	struct wire_replicate_request request = {.elements = s->elements,
						 .n_elements = s->n_elements};

	if (s->n_elements > 0)
		standby_send(c->cfg.standby, s->elements[0].cell, &request, NULL, NULL);
	for (uint32_t at = 0; at < s->n_alarms;) {
		request = (struct wire_replicate_request){.alarms = &s->alarms[at]};
		while (at < s->n_alarms && strcmp(s->alarms[at].cell, request.alarms->cell) == 0) {
			request.n_alarms++;
			at++;
		}
		standby_send(c->cfg.standby, request.alarms->cell, &request, NULL, NULL);
	}
}

static void turn_soon(struct checkpoint *c);

static void on_stored(void *user)
{
	struct checkpoint *c = user;

	c->n_waiting--;
	turn_soon(c);
}

static int fill_batch(struct archive_batch *b, const struct slice *s)
{
	int err = 0;

	for (uint32_t i = 0; err == 0 && i < s->n_elements; i++)
		err = archive_put_element(b, &s->elements[i]);
	for (uint32_t i = 0; err == 0 && i < s->n_alarms; i++)
		err = archive_put_alarm(b, &s->alarms[i]);
	return err;
}

static int commit(struct checkpoint *c, struct archive_batch *b)
{
	int err = archive_commit(c->cfg.archive, b, on_stored, c);

	c->n_waiting += err == 0;
	return err;
}

static int slice_write(struct checkpoint *c, struct slice *s)
{
	struct archive_batch *b;
	int err;

	if (s->n_elements > 0 || s->n_alarms > 0) {
		b = archive_batch(c->cfg.archive);
		if (b == NULL)
			return -ENOMEM;
		qsort(s->alarms, s->n_alarms, sizeof(*s->alarms), by_cell);
		err = fill_batch(b, s);
		if (err < 0) {
			archive_batch_free(b);
			return err;
		}
		err = commit(c, b);
		if (err < 0)
			return err;
		ship(c, s);
	}
	for (uint32_t i = 0; i < s->n_marks; i++)
		*s->marks[i].at = s->marks[i].mark;
	return 0;
}

struct wire_stored_alarm *slice_alarm(struct slice *s)
{
	assert(s->n_alarms < WRITES_A_TURN);
	return &s->alarms[s->n_alarms++];
}

/* ---- Elements ---- */

/* The next cell that this server owns; false: that was the last. */
static bool next_cell(struct checkpoint *c)
{
	const struct ownership_map *map = cluster_view(c->cfg.cluster)->map;

	for (uint32_t i = 0; i < map->n_cells; i++) {
		if (map->cells[i].owner != c->self || strcmp(map->cells[i].name, c->cell) <= 0)
			continue;
		memcpy(c->cell, map->cells[i].name, sizeof(c->cell));
		c->after = 0;
		return true;
	}
	return false;
}

static bool is_kept_under(struct fedmem_token token, const struct ownership_cell *cell)
{
	return token.epoch == cell->token.epoch && token.generation == cell->token.generation;
}

static int look_at_element(struct checkpoint *c, struct slice *s, const struct ownership_cell *cell,
			   uint64_t id)
{
	struct fedmem_state state;
	struct wire_metric *room;
	uint32_t slot;

	if (fedmem_find_by_id(c->cfg.fedmem, id, &slot) != 0 ||
	    fedmem_state_read(c->cfg.fedmem, slot, &state, c->metrics) != 0 ||
	    state.element_id != id || !is_kept_under(state.token, cell) ||
	    state_mark(&state) == c->element_marks[slot])
		return 0;
	room = memory_page_take(s->page, state.n_metrics, sizeof(*room));
	if (room == NULL)
		return -ENOMEM;
	memory_stored_element(&state, c->metrics, cell, core_wall_ns(), room,
			      &s->elements[s->n_elements++]);
	remember(s, &c->element_marks[slot], state_mark(&state));
	return 0;
}

/* One cell's elements, or the rest of them. */
static int look_at_elements(struct checkpoint *c, struct slice *s, bool *is_over)
{
	const struct ownership_cell *cell = cluster_cell(c->cfg.cluster, c->cell);
	const struct conf_element *e = NULL;
	struct inventory_walk walk;
	int err = 0;

	if (cell == NULL || cell->owner != c->self) { /* it went elsewhere meanwhile */
		*is_over = !next_cell(c);
		return 0;
	}
	inventory_walk_begin(&walk, c->cfg.inventory, cell->name, c->after);
	while (err == 0 && !slice_is_full(s) && (e = inventory_walk_next(&walk)) != NULL) {
		s->n_looks++;
		c->after = e->id;
		err = look_at_element(c, s, cell, e->id);
	}
	if (err == 0 && !slice_is_full(s))
		*is_over = !next_cell(c);
	return err;
}

/* ---- Alarms ---- */

static const struct ownership_cell *cell_of(struct checkpoint *c, const struct fedmem_alarm *a)
{
	const struct conf_element *e = inventory_find_id(c->cfg.inventory, a->element_id);
	const struct ownership_cell *cell =
		e == NULL ? NULL : cluster_cell(c->cfg.cluster, e->region);

	return cell != NULL && cell->owner == c->self && is_kept_under(a->token, cell) ? cell
										       : NULL;
}

/* An alarm that was not heard of since it changed was written with its event; what an earlier
 * process wrote may be lost with its archive. */
static bool is_written_with_its_event(const struct checkpoint *c, const struct fedmem_alarm *a)
{
	return c->n_rounds > 0 && a->change != 0 && a->last_ns == a->changed_ns;
}

static int look_at_alarm(struct checkpoint *c, struct slice *s, uint32_t index)
{
	const struct ownership_cell *cell;
	struct fedmem_alarm a, *lent;

	if (fedmem_alarm_read(c->cfg.fedmem, index, &a) != 0 ||
	    alarm_mark(&a) == c->alarm_marks[index])
		return 0;
	cell = cell_of(c, &a);
	if (cell == NULL)
		return 0;
	remember(s, &c->alarm_marks[index], alarm_mark(&a));
	if (is_written_with_its_event(c, &a))
		return 0;
	lent = memory_page_take(s->page, 1, sizeof(*lent));
	if (lent == NULL)
		return -ENOMEM;
	*lent = a;
	memory_stored_alarm(lent, cell, core_wall_ns(), slice_alarm(s));
	return 0;
}

static int look_at_alarms(struct checkpoint *c, struct slice *s, bool *is_over)
{
	uint32_t alarms_max = fedmem_sizes(c->cfg.fedmem)->alarms_max;
	int err = 0;

	for (; err == 0 && c->alarm_at < alarms_max && !slice_is_full(s); c->alarm_at++) {
		s->n_looks++;
		err = look_at_alarm(c, s, c->alarm_at);
	}
	*is_over = c->alarm_at == alarms_max;
	return err;
}

/* ---- The table of servers ---- */

static int write_status(struct checkpoint *c)
{
	struct archive_batch *b = archive_batch(c->cfg.archive);
	struct memory_page *page = NULL;
	struct wire_status status;
	int err = -ENOMEM;

	if (b == NULL)
		return -ENOMEM;
	err = c->cfg.status(c->cfg.user, &page, &status);
	if (err == 0) {
		status.stored_ns = core_wall_ns();
		err = archive_put_status(b, &status);
	}
	memory_page_free(page);
	if (err < 0) {
		archive_batch_free(b);
		return err;
	}
	return commit(c, b);
}

/* ---- Rounds ---- */

static void phase_begin(struct checkpoint *c, enum phase phase)
{
	c->phase = phase;
	c->after = 0;
	c->alarm_at = 0;
	c->cell[0] = '\0';
	if (phase == PHASE_ELEMENTS && !next_cell(c))
		phase_begin(c, PHASE_ALARMS);
	if (phase == PHASE_FORGET && c->n_rounds % FORGET_ROUNDS != 0)
		phase_begin(c, PHASE_STATUS);
}

static int turn_slice(struct checkpoint *c)
{
	const struct checkpoint before = *c;
	struct slice s;
	bool is_over = false;
	int err = slice_begin(&s);

	if (err == 0 && c->phase == PHASE_ELEMENTS)
		err = look_at_elements(c, &s, &is_over);
	else if (err == 0 && c->phase == PHASE_ALARMS)
		err = look_at_alarms(c, &s, &is_over);
	else if (err == 0)
		err = forget_look(c, &s, &is_over);
	if (err == 0)
		err = slice_write(c, &s);
	memory_page_free(s.page);
	if (err == 0 && is_over)
		phase_begin(c, c->phase + 1);
	if (err < 0) { /* the same slice again, later */
		memcpy(c->cell, before.cell, sizeof(c->cell));
		c->after = before.after;
		c->alarm_at = before.alarm_at;
	}
	return err;
}

/* In how many milliseconds the next one is due. */
static uint64_t turn(struct checkpoint *c)
{
	uint64_t now_ms = core_now_ms();

	switch (c->phase) {
	case PHASE_WAIT:
		if (c->is_begun && now_ms - c->began_ms < c->cfg.interval_ms)
			return c->cfg.interval_ms - (now_ms - c->began_ms);
		c->is_begun = true;
		c->began_ms = now_ms;
		phase_begin(c, PHASE_ELEMENTS);
		return SOON_MS;
	case PHASE_ELEMENTS:
	case PHASE_ALARMS:
	case PHASE_FORGET:
		return turn_slice(c) < 0 ? AGAIN_MS : SOON_MS;
	case PHASE_STATUS:
		if (write_status(c) < 0)
			return AGAIN_MS;
		c->phase = PHASE_END;
		return SOON_MS;
	case PHASE_END:
		break;
	}
	if (c->n_waiting > 0)
		return AGAIN_MS; /* the last batch's end wakes it earlier */
	c->n_rounds++;
	c->phase = PHASE_WAIT;
	return SOON_MS;
}

static void on_turn(uv_timer_t *timer)
{
	struct checkpoint *c = timer->data;
	uint64_t wait_ms = c->n_waiting < WAITING_MAX ? turn(c) : AGAIN_MS;

	uv_timer_start(c->timer, on_turn, wait_ms, 0);
}

static void turn_soon(struct checkpoint *c)
{
	if (c->phase == PHASE_END || c->n_waiting + 1 == WAITING_MAX)
		uv_timer_start(c->timer, on_turn, SOON_MS, 0);
}

/* ---- From its begin to its end ---- */

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

int checkpoint_create(struct checkpoint **out, const struct checkpoint_config *cfg)
{
	const struct fedmem_sizes *sizes = fedmem_sizes(cfg->fedmem);
	struct checkpoint *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return -ENOMEM;
	c->cfg = *cfg;
	c->self = cluster_view(cfg->cluster)->self;
	c->element_marks = calloc(sizes->elements_max, sizeof(*c->element_marks));
	c->alarm_marks = calloc(sizes->alarms_max, sizeof(*c->alarm_marks));
	c->metrics = calloc(sizes->metrics_per_element, sizeof(*c->metrics));
	c->cells = calloc(sizes->cells_max + 1, sizeof(*c->cells));
	c->timer = calloc(1, sizeof(*c->timer));
	if (c->timer == NULL)
		goto fail;
	uv_timer_init(cfg->loop, c->timer);
	c->timer->data = c;
	if (c->element_marks == NULL || c->alarm_marks == NULL || c->metrics == NULL ||
	    c->cells == NULL)
		goto fail;
	uv_timer_start(c->timer, on_turn, 0, 0);
	*out = c;
	return 0;
fail:
	checkpoint_destroy(c);
	return -ENOMEM;
}

uint64_t checkpoint_rounds(const struct checkpoint *c)
{
	return c->n_rounds;
}

void checkpoint_destroy(struct checkpoint *c)
{
	if (c == NULL)
		return;
	if (c->timer != NULL)
		uv_close((uv_handle_t *)c->timer, free_handle);
	free(c->element_marks);
	free(c->alarm_marks);
	free(c->metrics);
	free(c->cells);
	free(c);
}
