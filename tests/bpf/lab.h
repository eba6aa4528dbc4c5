/* lab.h - a network namespace of the test's own, with a veth pair in it, and what the tests ask the
 * kernel about programs. All of it goes when the process does.
 *
 * Thread:  the one that entered.
 * Memory:  descriptors that are returned belong to the caller.
 */
#ifndef BELLWETHER_TESTS_BPF_LAB_H
#define BELLWETHER_TESTS_BPF_LAB_H

#include <stdint.h>

#define LAB_NEAR "bwnear" /* the interface under test */
#define LAB_FAR	 "bwfar"
#define LAB_SKIP 77 /* meson: skipped */

/* Moves the process into a new network namespace with both interfaces up. Returns 0, or LAB_SKIP
 * after it has printed why this machine does not allow it. */
int lab_enter(void);
void lab_run(const char *command); /* ends the process when the command fails */

uint32_t lab_program_id(int program_fd);
uint32_t lab_attached_id(const char *interface);    /* 0: none */
int lab_map_open(int program_fd, const char *name); /* -1: the program has no such map */
uint32_t lab_map_id(int map_fd);
/* Puts a new AF_XDP socket into the program's xsks_map, for queue 0. It is in there until closed.
 */
int lab_socket_add(int program_fd);

#endif
