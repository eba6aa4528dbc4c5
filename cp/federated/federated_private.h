/* federated_private.h - what the files of cp/federated share. */
#ifndef BELLWETHER_CP_FEDERATED_FEDERATED_PRIVATE_H
#define BELLWETHER_CP_FEDERATED_FEDERATED_PRIVATE_H

#include <uv.h>

#include "cp/alarm/alarm.h"
#include "cp/federated/federated.h"

#define FEDERATED_METHODS 3

struct watcher;

struct federated {
	struct federated_config cfg;
	struct rpc_method methods[FEDERATED_METHODS];
	struct alarm_book *book;
	uv_timer_t *follow;	  /* closes after federated_destroy(): lives on the heap */
	struct watcher *watchers; /* every open watch */
	uint32_t n_watchers;
	uint64_t lost_logged_ms;
};

/* Handlers of the two lists; 'user' is the struct federated. */
void list_elements(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user);
void list_alarms(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user);

/* Handler of the watch. */
void watch_alarms(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user);
/* Tells every watcher what changed in this server's memory. */
void watch_follow(struct federated *f);
void watch_end_all(struct federated *f);

#endif
