/* address.h - "10.0.0.1:7400" or "[2001:db8::1]:7400".
 * Thread: any. Returns: 0; -EINVAL.
 */
#ifndef BELLWETHER_CP_RPC_ADDRESS_H
#define BELLWETHER_CP_RPC_ADDRESS_H

#include <sys/socket.h>

#define ADDRESS_TARGET_BYTES 64

int address_parse(struct sockaddr_storage *out, const char *address);
/* The library's name for it: as a literal it does not go through its DNS resolver, which looks
 * again only after half a minute and leaks. */
int address_target(char target[ADDRESS_TARGET_BYTES], const char *address);

#endif
