/* peered_private.h - what the files of cp/peered share. */
#ifndef BELLWETHER_CP_PEERED_PEERED_PRIVATE_H
#define BELLWETHER_CP_PEERED_PEERED_PRIVATE_H

#include "cp/peered/peered.h"

#define PEERED_METHODS 3

struct peered {
	struct peered_config cfg;
	struct rpc_method methods[PEERED_METHODS];
};

/* Handlers; 'user' is the struct peered. */
void status_get(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user);
void element_get(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user);
void dp_stats_get(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user);

/* Sends the request to this server and gives its answer to the call as it is. 'again' (may be NULL)
 * is asked when it answers FAILED_PRECONDITION: which server now? 0: none, the answer stands.
 * Copies 'bytes'; 'key' is for 'again'. */
struct forward_request {
	struct peered *peered;
	struct rpc_call *call;
	const char *path;
	const uint8_t *bytes;
	size_t n;
	uint16_t server;
	uint64_t key;
	uint16_t (*again)(struct peered *p, uint64_t key);
};
void forward(const struct forward_request *request);

#endif
