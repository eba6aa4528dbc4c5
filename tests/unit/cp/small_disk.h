/* small_disk.h - a disk that can be filled: a tmpfs in a mount namespace of this process.
 *
 * Thread:  the test's; small_disk_begin() before there is another one.
 * Memory:  borrows.
 * Returns: small_disk_begin(): whether it is possible here; the others fail the test.
 */
#ifndef BELLWETHER_TESTS_SMALL_DISK_H
#define BELLWETHER_TESTS_SMALL_DISK_H

#include <stdbool.h>
#include <stddef.h>

bool small_disk_begin(void);
/* On the empty directory 'dir'. */
int small_disk_mount(const char *dir, const char *size);
int small_disk_unmount(const char *dir);
/* Leaves so many octets, and less than a page more. */
void small_disk_fill(const char *dir, size_t left);
void small_disk_free(const char *dir);

#endif
