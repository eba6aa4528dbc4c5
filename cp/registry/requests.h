/* requests.h - the newest requests that were done, and what came of them, found by their ids; an
 * older one gives way. Private to cp/registry.
 *
 * Thread:  control.
 * Memory:  copies; all-zero requests are empty.
 * Returns: 0 done; -ENOMEM, -EBADMSG.
 */
#ifndef BELLWETHER_CP_REGISTRY_REQUESTS_H
#define BELLWETHER_CP_REGISTRY_REQUESTS_H

#include "cp/registry/registry.h"

#define REQUESTS_BUCKETS 4096 /* a power of two */

struct request {
	char id[WIRE_REQUEST_ID_MAX + 1];
	struct registry_outcome outcome;
	uint32_t next; /* place + 1 of the next one in the bucket; 0: none */
};
struct requests {
	struct request *items; /* a ring of REGISTRY_REQUESTS_MAX, or NULL */
	uint32_t *buckets;     /* place + 1 */
	uint32_t first, n;
};

/* NULL: there is none. */
const struct registry_outcome *requests_find(const struct requests *q, const char *id);
/* One that is not there, with a higher index than all others. 'dropped' gets the id of the one that
 * gave way; "": none did. */
int requests_add(struct requests *q, const char *id, const struct registry_outcome *outcome,
		 char dropped[WIRE_REQUEST_ID_MAX + 1]);
/* In any order, and then settled. -EBADMSG: it is there, or they are too many. */
int requests_read(struct requests *q, const char *id, const struct registry_outcome *outcome);
/* -EBADMSG: two have one index. */
int requests_settle(struct requests *q);
void requests_fini(struct requests *q);

#endif
