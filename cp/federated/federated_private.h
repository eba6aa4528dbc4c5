/* federated_private.h - what the files of cp/federated share. */
#ifndef BELLWETHER_CP_FEDERATED_FEDERATED_PRIVATE_H
#define BELLWETHER_CP_FEDERATED_FEDERATED_PRIVATE_H

#include <uv.h>

#include "cp/fanout/fanout.h"
#include "cp/federated/federated.h"
#include "cp/stored/stored.h"

#define FEDERATED_METHODS 4

struct watcher;

struct federated {
	struct federated_config cfg;
	struct rpc_method methods[FEDERATED_METHODS];
	struct stored stored;
	struct fanout_source memory, store;
	struct fanout_lists lists;
	struct eventlog_follower follower;
	uv_timer_t *turn;	  /* closes after federated_destroy(): lives on the heap */
	struct watcher *watchers; /* every open watch */
	uint32_t n_watchers;
};

/* Handlers of the two watches; 'user' is the struct federated. */
void watch_alarms(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user);
void watch_events(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user);
/* An event came onto this server's disk, or onto the trail. */
void watch_seen(void *user, const struct wire_event *e);
/* Changes of alarms were overtaken: lists that were made of them are to be made anew. */
void watch_lost(void *user);
/* Goes on with everything that waits for room, for a peer, for its turn. */
void watch_turn(struct federated *f);
void watch_end_all(struct federated *f);

#endif
