/* neighbour.h - which link-layer address the kernel knows for an address (rtnetlink, RFC 3549).
 *
 * Thread:  control.
 * Memory:  borrows.
 * Returns: 0 done; <0 -errno.
 */
#ifndef BELLWETHER_CP_CLUSTER_NEIGHBOUR_H
#define BELLWETHER_CP_CLUSTER_NEIGHBOUR_H

#include <stdbool.h>
#include <stdint.h>

#include "dp/fedmem/fedmem.h"

struct neighbour {
	struct fedmem_address address;
	uint8_t mac[6];
	bool is_known;
};

/* A socket to the kernel; <0 -errno. The caller closes it. */
int neighbour_open(void);
/* Looks all of them up. What cannot be read this time keeps what was known. */
int neighbour_refresh(int fd, struct neighbour *neighbours, uint32_t n);
/* Has the kernel ask for the address, by an empty datagram to its discard port (RFC 863). */
void neighbour_solicit(const struct fedmem_address *address);

#endif
