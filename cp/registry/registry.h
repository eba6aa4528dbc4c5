/* registry.h - what the cluster agreed on: inventory, cells and their owners, drained servers, the
 * trail of what the master and the operators did, and which requests were done. A state machine:
 * entries are applied in the log's order, and the same entries give the same state, to the octet,
 * on every server. What an entry asks for can be refused; that is part of the state too.
 *
 * On disk, in the tables of one store (enum registry_table): the log's entries, the state, and the
 * number of the entry after which it is the state. An entry's effects and that number are one
 * batch.
 *
 * Cells are the regions of the inventory; one without elements is out of the map, but keeps its
 * token, so that it comes back with a higher one. The trail keeps the newest REGISTRY_TRAIL_MAX
 * events, the list of done requests the newest REGISTRY_REQUESTS_MAX.
 *
 * Thread:  control.
 * Memory:  what it lends lives until the next entry is applied.
 * Returns: 0 done; <0 -errno; >0 an answer of the store.
 */
#ifndef BELLWETHER_CP_REGISTRY_REGISTRY_H
#define BELLWETHER_CP_REGISTRY_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "cp/inventory/inventory.h"
#include "cp/ownership/ownership.h"
#include "cp/replog/replog.h"
#include "cp/store/store.h"
#include "cp/wire/wire.h"

#define REGISTRY_VERSION      1u
#define REGISTRY_TRAIL_MAX    10000
#define REGISTRY_REQUESTS_MAX 4096
#define REGISTRY_CELLS_MAX    512	   /* rows in one CELLS entry */
#define REGISTRY_ELEMENTS_MAX 2000	   /* elements in one ELEMENTS entry */
#define REGISTRY_ENTRY_MAX    (512u << 10) /* octets; a longer one is refused */
#define REGISTRY_OPERATOR_MAX 64	   /* octets of an operator's name */
#define REGISTRY_EVENT_SHIFT  10	   /* of an entry's index in the numbers of its events */
#define REGISTRY_LOG_KEPT     4096 /* entries that stay behind the applied one, for those that lag */

/* Tables of the store. SMALL holds records with text keys that others own too (the vote, boots). */
enum registry_table {
	REGISTRY_TABLE_SMALL,
	REGISTRY_TABLE_LOG,	 /* index, 8 octets big-endian: epoch, entry */
	REGISTRY_TABLE_ELEMENTS, /* id */
	REGISTRY_TABLE_CELLS,	 /* name */
	REGISTRY_TABLE_SERVERS,	 /* id */
	REGISTRY_TABLE_TRAIL,	 /* event number */
	REGISTRY_TABLE_REQUESTS, /* request id */
	REGISTRY_TABLES,
};

struct registry; /* opaque: see registry.c */

/* Reads the state and fills 'inventory', which it changes from then on. 'durable' is what the log
 * and the state are like, for replog_init(). STORE_DAMAGED: a record is, or they contradict each
 * other; 'why' says which. */
int registry_load(struct registry **out, struct store *store, struct inventory *inventory,
		  struct replog_durable *durable, char *why, size_t why_bytes);

/* ---- The log ---- */

int registry_log_put(struct store_batch *b, uint64_t index, uint64_t epoch, const uint8_t *bytes,
		     size_t n);
int registry_log_give_up(struct store_batch *b, uint64_t from); /* all from this index on */
int registry_log_compact(struct store_batch *b, uint64_t below);
/* replog's output.held; zero: it need not be kept any more. */
int registry_log_hold(struct store_batch *b, struct election_position held);
/* What is on disk; '*bytes' is freed with free(). */
int registry_log_get(struct registry *r, uint64_t index, uint64_t *epoch, uint8_t **bytes,
		     size_t *n);

/* Octets of the entries that the load found. */
uint64_t registry_log_bytes(const struct registry *r);

/* ---- Applying ---- */

struct registry_outcome {
	bool is_refused,
		is_repeat; /* is_repeat: the request was done before; this was its outcome */
	char why[160];
	uint32_t n_added, n_changed, n_same;
	uint64_t index, element_id;
};

/* What else has to follow from an entry. */
struct registry_effects {
	bool is_map_changed; /* anything in registry_map() */
	bool is_inventory_changed;
	bool is_drain_changed;
	struct inventory_change *changes; /* of elements, borrowed until the next entry */
	uint32_t n_changes;
	struct wire_event *events; /* onto the trail: origin 0, number = index <<
				      REGISTRY_EVENT_SHIFT | place */
	uint32_t n_events;
};

/* Applies entry 'index' and puts what has to be stored of it into the batch. The caller commits the
 * batch, and may apply further entries before that is done. An entry that cannot be read is
 * refused, like one that makes no sense. <0: -ENOMEM, and the state is half changed: neither it nor
 * the batch is to be used any more. */
int registry_apply(struct registry *r, uint64_t index, uint64_t epoch, const uint8_t *bytes,
		   size_t n, struct store_batch *b, struct registry_outcome *outcome,
		   struct registry_effects *effects);

/* ---- Looking ---- */

uint64_t registry_applied(const struct registry *r);
/* Cells with elements, with owner, standby, token, weight and pin. Its position is the entry that
 * changed it last. */
const struct ownership_map *registry_map(const struct registry *r);
bool registry_is_drained(const struct registry *r, uint16_t server);
bool registry_is_empty(const struct registry *r); /* no element was ever put */
/* The outcome of a request that was done; false: it was not, or long ago. */
bool registry_request(const struct registry *r, const char *request_id,
		      struct registry_outcome *out);
/* Events of the trail with numbers in (after, last], in the order; 'see' says whether to go on.
 * What it gets is lent for the call. */
int registry_trail(const struct registry *r, uint64_t after, uint64_t last, bool is_descending,
		   bool (*see)(void *user, const struct wire_event *e), void *user);

/* ---- Snapshots: the state's rows as they lie in the store ---- */

struct registry_snapshot;
/* Of the state as it is on disk; '*index' and '*epoch' say after which entry. STORE_NOT_FOUND:
 * nothing was applied yet; -EAGAIN: the state is being rebuilt, or changes too fast. Ends on its
 * own loss: free it soon, it holds the store's old pages. */
int registry_snapshot_begin(struct registry_snapshot **out, struct registry *r, uint64_t *index,
			    uint64_t *epoch);
/* About 'bytes' octets of rows, lent until the next call; '*is_last'. */
int registry_snapshot_next(struct registry_snapshot *s, size_t bytes,
			   struct wire_snapshot_row **rows, uint32_t *n_rows, bool *is_last);
void registry_snapshot_end(struct registry_snapshot *s);

/* The other side. Begin: removes log and state from the disk, and remembers there that it is
 * rebuilding; what was known stays in memory until the end. Rows: as they come; one that does not
 * belong is -EBADMSG. End: the state is that after 'index', in memory too ('effects' name every
 * change against what was known before, and the events that came since); -EBADMSG: the rows
 * contradict each other. After any error nothing of the snapshot counts: it is to begin again. */
int registry_install_begin(struct registry *r, struct store_batch *b);
int registry_install_rows(struct registry *r, const struct wire_snapshot_row *rows, uint32_t n,
			  struct store_batch *b);
int registry_install_end(struct registry *r, uint64_t index, uint64_t epoch, struct store_batch *b,
			 struct registry_effects *effects);

void registry_destroy(struct registry *r); /* takes NULL; the inventory stays */

#endif
