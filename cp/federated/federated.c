#include "cp/federated/federated.h"

#include <errno.h>
#include <stdlib.h>

#include "cp/federated/federated_private.h"
#include "cp/wire/wire.h"

/* How long a change waits at most before the watchers hear of it. */
#define FOLLOW_MS 5

static void on_follow(uv_timer_t *timer)
{
	watch_follow(timer->data);
}

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

static int start_following(struct federated *f)
{
	f->follow = calloc(1, sizeof(*f->follow));
	if (f->follow == NULL)
		return -ENOMEM;
	uv_timer_init(f->cfg.loop, f->follow);
	f->follow->data = f;
	uv_timer_start(f->follow, on_follow, FOLLOW_MS, FOLLOW_MS);
	return 0;
}

int federated_create(struct federated **out, const struct federated_config *cfg)
{
	struct federated *f = calloc(1, sizeof(*f));
	int err;

	if (f == NULL)
		return -ENOMEM;
	f->cfg = *cfg;
	f->methods[0] = (struct rpc_method){.path = WIRE_PATH("Federated", "ListElements"),
					    .handler = list_elements,
					    .user = f};
	f->methods[1] = (struct rpc_method){
		.path = WIRE_PATH("Federated", "ListAlarms"), .handler = list_alarms, .user = f};
	f->methods[2] = (struct rpc_method){.path = WIRE_PATH("Federated", "WatchAlarms"),
					    .is_stream = true,
					    .handler = watch_alarms,
					    .user = f};
	err = alarm_book_create(&f->book, cfg->fedmem);
	if (err == 0)
		err = start_following(f);
	if (err < 0) {
		federated_destroy(f);
		return err;
	}
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
	watch_end_all(f);
	if (f->follow != NULL)
		uv_close((uv_handle_t *)f->follow, free_handle);
	alarm_book_destroy(f->book);
	free(f);
}
