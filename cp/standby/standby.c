#include "cp/standby/standby.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cp/core/core.h"
#include "cp/standby/standby_private.h"

#define STATS_MS 1000

struct wire_token standby_wire_token(struct ownership_token t)
{
	return (struct wire_token){t.epoch, t.generation};
}

struct ownership_token standby_token(struct wire_token t)
{
	return (struct ownership_token){t.epoch, t.generation};
}

/* ---- Cells ---- */

/* Where the cell is, or would be. */
static uint32_t cell_at(const struct standby *s, const char *name, bool *is_there)
{
	uint32_t low = 0, high = s->n_cells;

	*is_there = false;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = strcmp(s->cells[middle]->name, name);

		if (order == 0) {
			*is_there = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct standby_cell *cell_add(struct standby *s, uint32_t at, const char *name)
{
	struct standby_cell *c;

	if (s->n_cells == s->room) {
		uint32_t room = s->room == 0 ? 64 : 2 * s->room;
		struct standby_cell **more = reallocarray(s->cells, room, sizeof(*more));

		if (more == NULL)
			return NULL;
		s->cells = more;
		s->room = room;
	}
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->s = s;
	snprintf(c->name, sizeof(c->name), "%s", name);
	sender_init(c);
	memmove(s->cells + at + 1, s->cells + at, (s->n_cells - at) * sizeof(*s->cells));
	s->cells[at] = c;
	s->n_cells++;
	return c;
}

struct standby_cell *standby_cell(struct standby *s, const char *name)
{
	bool is_there;
	uint32_t at = cell_at(s, name, &is_there);

	return is_there ? s->cells[at] : cell_add(s, at, name);
}

bool standby_owns(const struct standby_cell *c, struct ownership_token token)
{
	return c->owner == c->s->self && ownership_token_compare(c->token, token) == 0;
}

void standby_sync_read(struct standby_cell *c)
{
	struct wire_cell_sync *sync;

	if (c->is_sync_read)
		return;
	c->is_sync_read = true;
	c->sync = (struct ownership_token){0};
	c->is_complete = c->is_owner = false;
	if (!archive_sync(c->s->cfg.archive, c->name, &sync))
		return;
	c->sync = standby_token(sync->token);
	c->is_complete = sync->is_complete;
	c->is_owner = sync->is_owner;
	wire_free(sync);
}

int standby_sync_put(struct standby_cell *c, struct archive_batch *b, struct ownership_token token,
		     bool is_complete, bool is_owner)
{
	const struct wire_cell_sync sync = {
		.cell = c->name,
		.token = standby_wire_token(token),
		.is_complete = is_complete,
		.is_owner = is_owner,
	};
	int err = archive_put_sync(b, &sync);

	if (err != 0)
		return err;
	c->sync = token;
	c->is_complete = is_complete;
	c->is_owner = is_owner;
	c->is_sync_read = true;
	return 0;
}

/* ---- The map ---- */

/* This server's time as owner under 'c->token' is over. */
static void cell_end(struct standby_cell *c)
{
	c->had = c->token;
	c->has_had = ownership_token_compare(c->full, c->token) == 0;
	c->had_version = fedmem_cells_version(c->s->cfg.fedmem);
	c->is_storing_own = false;
}

/* It is this server's now, under 'c->token'. */
static void cell_begin(struct standby_cell *c)
{
	if (c->restore != NULL && restore_is_of(c->restore, c->token))
		return;
	/* Nobody said that it has to be restored: the memory has it, since before this process. */
	c->full = c->token;
	standby_sync_read(c);
	if (!c->is_owner || !c->is_complete || ownership_token_compare(c->sync, c->token) != 0)
		copy_own_begin(c);
}

static void cell_follow(struct standby_cell *c, const struct ownership_cell *now)
{
	uint16_t self = c->s->self;
	bool is_same = c->owner == now->owner && ownership_token_compare(c->token, now->token) == 0;

	/* What this server owned before it was started may have been sent, or not. */
	if (c->token.epoch == 0 && now->owner == self)
		c->event_owed = 1;
	if (is_same && c->standby == now->standby)
		return;
	if (!is_same && c->owner == self)
		cell_end(c);
	sender_reset(c);
	c->token = now->token;
	c->owner = now->owner;
	c->standby = now->standby;
	if (c->restore != NULL && !(c->owner == self && restore_is_of(c->restore, c->token))) {
		restore_abandon(c->restore);
		c->restore = NULL;
	}
	if (c->owner == self && !is_same)
		cell_begin(c);
	copy_want(c);
}

void standby_changed(struct standby *s)
{
	const struct ownership_map *map = cluster_view(s->cfg.cluster)->map;

	s->changed_ns = core_now_ns();
	for (uint32_t i = 0; i < map->n_cells; i++) {
		struct standby_cell *c = standby_cell(s, map->cells[i].name);

		if (c != NULL)
			cell_follow(c, &map->cells[i]);
		else
			core_log(CORE_ERROR, "standby: out of memory cell=%s", map->cells[i].name);
	}
	for (uint32_t i = 0; i < s->n_cells; i++)
		if (cluster_cell(s->cfg.cluster, s->cells[i]->name) == NULL)
			cell_follow(s->cells[i],
				    &(struct ownership_cell){.token = s->cells[i]->token});
	standby_wake(s);
}

void standby_gained(struct standby *s, const struct ownership_cell *cell, uint64_t element,
		    uint16_t was)
{
	struct standby_cell *c = standby_cell(s, cell->name);
	int err = c == NULL ? -ENOMEM : restore_want(c, cell->token, element, was);

	/* It must not be held back for ever: what can be had is what is there. */
	if (err != 0) {
		core_log(CORE_ERROR, "standby: not restored cell=%s element=%llu error=%s",
			 cell->name, (unsigned long long)element, strerror(-err));
		cluster_restored(s->cfg.cluster, cell->name, cell->token);
	}
	standby_wake(s);
}

/* ---- The tick ---- */

/* What the data plane did not take of what it was to restore. */
static void stats_look(struct standby *s, uint64_t now_ms)
{
	struct stats now;

	if (now_ms < s->stats_ms)
		return;
	s->stats_ms = now_ms + STATS_MS;
	if (fedmem_stats_read(s->cfg.fedmem, &now) != 0)
		return;
	if (now.n[STATS_RESTORE_FULL] > s->told_full ||
	    now.n[STATS_RESTORE_REFUSED] > s->told_refused)
		core_log(CORE_WARNING,
			 "standby: the data plane did not take all that was restored full=%llu "
			 "refused=%llu",
			 (unsigned long long)now.n[STATS_RESTORE_FULL],
			 (unsigned long long)now.n[STATS_RESTORE_REFUSED]);
	s->told_full = now.n[STATS_RESTORE_FULL];
	s->told_refused = now.n[STATS_RESTORE_REFUSED];
}

static void on_tick(uv_timer_t *timer)
{
	struct standby *s = timer->data;
	uint64_t now_ms = core_now_ms(), wake_ms = now_ms + STANDBY_TICK_MS;

	/* The map may be the one that was there at the start; what was gained with it is known by
	 * now. */
	if (s->changed_ns == 0)
		standby_changed(s);
	s->n_copies = 0;
	for (uint32_t i = 0; i < s->n_cells; i++)
		s->n_copies += s->cells[i]->copy == COPY_RUNNING;
	/* A cell that is met meanwhile moves others: the next tick sees what this one skips. */
	for (uint32_t i = 0; i < s->n_cells; i++) {
		struct standby_cell *c = s->cells[i];
		uint64_t at_ms = c->restore != NULL ? restore_tick(c->restore, now_ms) : UINT64_MAX;

		copy_tick(c);
		copy_own_tick(c);
		sender_tick(c, now_ms);
		wake_ms = at_ms < wake_ms ? at_ms : wake_ms;
	}
	stats_look(s, now_ms);
	uv_update_time(s->cfg.loop);
	now_ms = core_now_ms();
	/* What was done in this tick may have asked for another one at once. */
	if (!uv_is_active((uv_handle_t *)timer) || uv_timer_get_due_in(timer) > 0)
		uv_timer_start(timer, on_tick, wake_ms > now_ms ? wake_ms - now_ms : 0, 0);
}

void standby_wake(struct standby *s)
{
	uv_timer_start(s->timer, on_tick, 0, 0);
}

/* ---- Looking ---- */

bool standby_is_whole(struct standby *s, const char *cell)
{
	bool is_there;
	uint32_t at = cell_at(s, cell, &is_there);

	return is_there && s->cells[at]->copy == COPY_WHOLE && sender_is_idle(s->cells[at]);
}

static bool is_copy_waiting(const struct standby_cell *c)
{
	const struct cluster_server *to;

	if (c->copy != COPY_WANTED && c->copy != COPY_RUNNING)
		return false;
	to = cluster_server(c->s->cfg.cluster, c->standby);
	return to != NULL && to->state == DETECTOR_ALIVE;
}

bool standby_is_idle(struct standby *s)
{
	for (uint32_t i = 0; i < s->n_cells; i++) {
		const struct standby_cell *c = s->cells[i];

		if (!sender_is_idle(c) || is_copy_waiting(c) || c->restore != NULL ||
		    c->is_storing_own || c->is_own_waiting || c->storing != NULL)
			return false;
	}
	return true;
}

const struct rpc_method *standby_methods(struct standby *s, uint32_t *n)
{
	s->methods[0] = (struct rpc_method){
		.path = WIRE_PATH("Cluster", "Replicate"), .handler = receiver_handler, .user = s};
	s->methods[1] = (struct rpc_method){
		.path = WIRE_PATH("Cluster", "FetchCell"), .handler = fetch_handler, .user = s};
	*n = 2;
	return s->methods;
}

/* ---- Life ---- */

int standby_create(struct standby **out, const struct standby_config *cfg)
{
	struct standby *s = calloc(1, sizeof(*s));
	struct stats stats;

	if (s == NULL)
		return -ENOMEM;
	s->cfg = *cfg;
	s->self = cluster_view(cfg->cluster)->self;
	s->timer = calloc(1, sizeof(*s->timer));
	if (s->timer == NULL) {
		free(s);
		return -ENOMEM;
	}
	uv_timer_init(cfg->loop, s->timer);
	s->timer->data = s;
	if (fedmem_stats_read(cfg->fedmem, &stats) == 0) {
		s->told_full = stats.n[STATS_RESTORE_FULL];
		s->told_refused = stats.n[STATS_RESTORE_REFUSED];
	}
	standby_wake(s);
	*out = s;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle);
}

void standby_destroy(struct standby *s)
{
	if (s == NULL)
		return;
	for (uint32_t i = 0; i < s->n_cells; i++) {
		struct standby_cell *c = s->cells[i];

		c->owner = c->standby = 0; /* whoever sends again from inside 'done' is told so */
		sender_reset(c);
		receiver_end(c);
		if (c->restore != NULL)
			restore_abandon(c->restore);
	}
	for (uint32_t i = 0; i < s->n_cells; i++)
		free(s->cells[i]);
	free(s->cells);
	uv_close((uv_handle_t *)s->timer, on_closed);
	free(s);
}
