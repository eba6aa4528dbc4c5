/* loopback.h - several servers in one event loop of one process, each at an address of its own.
 *
 * Returns: nothing; a wait that does not come to its end fails the test.
 */
#ifndef BELLWETHER_TESTS_LIB_LOOPBACK_H
#define BELLWETHER_TESTS_LIB_LOOPBACK_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#define LOOPBACK_ADDRESS_BYTES 32

/* Where server 'id', one of three, listens: another process that asks gets another one. */
void loopback_address(char address[LOOPBACK_ADDRESS_BYTES], uint16_t id);
/* Turns the loop until it is so. */
void loopback_wait(uv_loop_t *loop, bool (*is_so)(void *user), void *user);

#endif
