/* registry_private.h - the registry and the entry that it is applying. Private to cp/registry. */
#ifndef BELLWETHER_CP_REGISTRY_REGISTRY_PRIVATE_H
#define BELLWETHER_CP_REGISTRY_REGISTRY_PRIVATE_H

#include "cp/registry/state.h"

struct registry {
	struct store *store;
	struct state state;
	uint64_t applied, applied_epoch;
	uint64_t log_bytes; /* of the entries that were there when it was loaded */
	/* A snapshot that is coming in; its inventory is its own until it is whole. */
	struct state *incoming;
	bool is_rebuilding; /* the store has rows of one that is not whole */

	/* What the effects of the last entry point to. */
	struct wire_registry_entry *entry;
	struct inventory_change *changes;
	uint32_t n_changes;
	struct wire_event *events;
	uint32_t n_events, events_max;
	struct wire_event **unpacked; /* behind events of a snapshot */
	uint32_t n_unpacked;
	char text[256]; /* of its event */
};

/* An entry's turn. */
struct turn {
	struct registry *r;
	uint64_t index, epoch;
	const struct wire_registry_entry *e;
	struct store_batch *batch;
	struct registry_outcome *outcome;
	bool is_map_changed, is_drain_changed;
};

/* Always 0, for whoever ends its turn with it. */
int turn_refuse(struct turn *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Adds what all events of an entry have, and puts it onto the trail. */
int turn_event(struct turn *t, struct wire_event e);
/* -ENOMEM */
int turn_store(struct turn *t, const struct row *row);
/* The kinds. They refuse before they change anything. -ENOMEM: the state is half done. */
int turn_elements(struct turn *t);
int turn_cells(struct turn *t);
int turn_pin(struct turn *t);

/* Room for 'n' events in all. */
int registry_events_reserve(struct registry *r, uint32_t n);
/* The end of what the last effects lent. */
void registry_effects_end(struct registry *r);
/* The log as it is on disk, and whether it goes with what was applied. */
int registry_log_read(struct registry *r, struct replog_durable *d, char *why, size_t why_bytes);

void registry_install_forget(struct registry *r);
/* Errors as of store_get(). */
int registry_applied_on_disk(struct registry *r, struct row_position *out);

#endif
