/* service_cluster.h - three servers with their services, real rpc between them on the loopback, in
 * one event loop of one process; and a client. Each has the memory of a played_server; what
 * cp/cluster would decide, the test writes into the fake clusters.
 *
 * Memory:  service_cluster_open() makes, service_cluster_close() removes.
 * Returns: nothing; what cannot be made, and a wait that does not come to its end, fail the test.
 */
#ifndef BELLWETHER_TESTS_LIB_SERVICE_CLUSTER_H
#define BELLWETHER_TESTS_LIB_SERVICE_CLUSTER_H

#include <uv.h>

#include "cp/federated/federated.h"
#include "cp/peered/peered.h"
#include "cp/rpc/rpc.h"
#include "tests/lib/fake_archive.h"
#include "tests/lib/fake_eventlog.h"
#include "tests/lib/loopback.h"
#include "tests/lib/played_server.h"

#define SERVICE_SERVERS 3

struct service_server {
	struct played_server played;
	struct archive *archive;
	struct eventlog *eventlog; /* these two outlive a stop: they are the disk */
	char address[LOOPBACK_ADDRESS_BYTES];
	struct rpc_client *client; /* to its peers */
	struct federated *federated;
	struct peered *peered;
	struct rpc_server *server; /* NULL: it is down */
};

struct service_cluster {
	uv_loop_t loop;
	struct service_server servers[SERVICE_SERVERS]; /* servers[0] has the id 1 */
	struct rpc_client *client;
};

/* Server i owns the region "r(i-1)" under the token (1, 1). */
void service_cluster_open(struct service_cluster *c, const struct played_config *each);
void service_cluster_close(struct service_cluster *c);

/* A change of an alarm as the data plane of the element's server 'id' makes it, in its memory and
 * onto its disk; an event only when it counts there. */
void service_cluster_alarm(struct service_cluster *c, uint16_t id, const struct played_alarm *a);

/* In the maps of all servers. */
void service_cluster_own(struct service_cluster *c, const char *region, uint16_t owner,
			 struct fedmem_token token);
/* As a control plane ends, and as it starts. */
void service_cluster_stop(struct service_cluster *c, uint16_t id);
void service_cluster_start(struct service_cluster *c, uint16_t id);
/* Instead of its services, the server has these methods. */
void service_cluster_replace(struct service_cluster *c, uint16_t id,
			     const struct rpc_method *methods, uint32_t n);

/* Turns the loop until it is so. */
void service_cluster_wait(struct service_cluster *c, bool (*is_so)(void *user), void *user);

struct service_answer {
	bool is_done;
	enum rpc_status status;
	char why[256];
	uint8_t *bytes; /* service_answer_free() */
	size_t n;
};
/* Asks the server as a client does. 'answer' must live until it is done. */
void service_cluster_ask(struct service_cluster *c, uint16_t id, const char *path,
			 const struct wire_bytes *request, struct service_answer *answer);
void service_cluster_await(struct service_cluster *c, struct service_answer *answer);
/* Both. */
void service_cluster_call(struct service_cluster *c, uint16_t id, const char *path,
			  const struct wire_bytes *request, struct service_answer *answer);
void service_answer_free(struct service_answer *answer);

#endif
