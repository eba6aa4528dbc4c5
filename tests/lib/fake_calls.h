/* fake_calls.h - what cp/cluster does of calls between servers and of restored cells, for fake
 * clusters: real rpc, no seals. Calls can be lost on their way there or on their way back.
 */
#ifndef BELLWETHER_TESTS_LIB_FAKE_CALLS_H
#define BELLWETHER_TESTS_LIB_FAKE_CALLS_H

#include "cp/cluster/cluster.h"

enum fake_calls_fate {
	FAKE_CALLS_GO,
	FAKE_CALLS_FAIL,	/* UNAVAILABLE, nothing arrives */
	FAKE_CALLS_LOSE_ANSWER, /* it arrives, and the caller is told UNAVAILABLE */
};

/* Cluster 'c' calls by this client from now on; until fake_calls_detach(). 'restored' is called for
 * cluster_restored(). */
void fake_calls_attach(struct cluster *c, struct rpc_client *client, uint32_t boot,
		       void (*restored)(void *user, const char *cell, struct ownership_token token),
		       void *user);
/* Every number that it sealed calls with is one lower from now on, by so much: as if they had been
 * overtaken. */
void fake_calls_delay(struct cluster *c, uint64_t by);
void fake_calls_fate(struct cluster *c, uint16_t to, enum fake_calls_fate fate);
uint32_t fake_calls_made(struct cluster *c, uint16_t to);
void fake_calls_detach(struct cluster *c);

#endif
