#include "cp/federated/federated.h"

#include <errno.h>
#include <stdlib.h>

#include "cp/federated/federated_private.h"
#include "cp/wire/wire.h"

#define TURN_MS 5

/* ---- Lists ---- */

static int own_elements(void *user, uint64_t after, uint32_t limit, struct memory_page **page,
			struct wire_element_list *list)
{
	return memory_elements(user, after, limit, page, list);
}

static int own_alarms(void *user, uint64_t after, uint32_t limit, bool with_cleared,
		      struct memory_page **page, struct wire_alarm_list *list)
{
	return memory_alarms(user, after, limit, with_cleared, page, list);
}

static int stored_own_elements(void *user, uint64_t after, uint32_t limit,
			       struct memory_page **page, struct wire_element_list *list)
{
	return stored_elements(user, after, limit, page, list);
}

static int stored_own_alarms(void *user, uint64_t after, uint32_t limit, bool with_cleared,
			     struct memory_page **page, struct wire_alarm_list *list)
{
	return stored_alarms(user, after, limit, with_cleared, page, list);
}

static void list_elements(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct federated *f = user;

	fanout_list_serve(&f->lists, FANOUT_ELEMENTS, call, bytes, n);
}

static void list_alarms(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct federated *f = user;

	fanout_list_serve(&f->lists, FANOUT_ALARMS, call, bytes, n);
}

static void init_lists(struct federated *f)
{
	f->stored = (struct stored){.cluster = f->cfg.cluster,
				    .inventory = f->cfg.inventory,
				    .memory = f->cfg.memory,
				    .archive = f->cfg.archive};
	f->memory = (struct fanout_source){.elements_path = WIRE_PATH("Federated", "ListElements"),
					   .alarms_path = WIRE_PATH("Federated", "ListAlarms"),
					   .elements = own_elements,
					   .alarms = own_alarms,
					   .user = f->cfg.memory};
	f->store = (struct fanout_source){.elements_path = WIRE_PATH("Peered", "ListElements"),
					  .alarms_path = WIRE_PATH("Peered", "ListAlarms"),
					  .elements = stored_own_elements,
					  .alarms = stored_own_alarms,
					  .user = &f->stored,
					  .is_store = true};
	f->lists = (struct fanout_lists){.fanout = {f->cfg.cluster, f->cfg.client},
					 .source = &f->memory,
					 .store = &f->store,
					 .inventory = f->cfg.inventory};
}

/* ---- The service ---- */

static void on_turn(uv_timer_t *timer)
{
	watch_turn(timer->data);
}

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

static int start_turning(struct federated *f)
{
	f->turn = calloc(1, sizeof(*f->turn));
	if (f->turn == NULL)
		return -ENOMEM;
	uv_timer_init(f->cfg.loop, f->turn);
	f->turn->data = f;
	uv_timer_start(f->turn, on_turn, TURN_MS, TURN_MS);
	return 0;
}

int federated_create(struct federated **out, const struct federated_config *cfg)
{
	struct federated *f = calloc(1, sizeof(*f));
	int err;

	if (f == NULL)
		return -ENOMEM;
	f->cfg = *cfg;
	init_lists(f);
	f->methods[0] = (struct rpc_method){.path = WIRE_PATH("Federated", "ListElements"),
					    .handler = list_elements,
					    .user = f};
	f->methods[1] = (struct rpc_method){
		.path = WIRE_PATH("Federated", "ListAlarms"), .handler = list_alarms, .user = f};
	f->methods[2] = (struct rpc_method){.path = WIRE_PATH("Federated", "WatchAlarms"),
					    .is_stream = true,
					    .handler = watch_alarms,
					    .user = f};
	f->methods[3] = (struct rpc_method){.path = WIRE_PATH("Federated", "WatchEvents"),
					    .is_stream = true,
					    .handler = watch_events,
					    .user = f};
	err = start_turning(f);
	if (err < 0) {
		free(f);
		return err;
	}
	f->follower = (struct eventlog_follower){.seen = watch_seen, .lost = watch_lost, .user = f};
	eventlog_follow(cfg->eventlog, &f->follower);
	*out = f;
	return 0;
}

const struct rpc_method *federated_methods(struct federated *f, uint32_t *n)
{
	*n = FEDERATED_METHODS;
	return f->methods;
}

void federated_destroy(struct federated *f)
{
	if (f == NULL)
		return;
	eventlog_unfollow(f->cfg.eventlog, &f->follower);
	watch_end_all(f);
	uv_close((uv_handle_t *)f->turn, free_handle);
	free(f);
}
