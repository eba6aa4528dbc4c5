/* played_archive.h - cp/archive in memory, for those that write to it: what is committed waits
 * until the test lets it onto the disk, so that a process can be killed at any moment in between.
 * What is on the disk stays when whoever wrote it is made anew.
 *
 * Memory:  played_archive_create() allocates, played_archive_destroy() frees; what waits then is
 *          dropped without its call-back.
 */
#ifndef BELLWETHER_TESTS_LIB_PLAYED_ARCHIVE_H
#define BELLWETHER_TESTS_LIB_PLAYED_ARCHIVE_H

#include "cp/archive/archive.h"

struct archive *played_archive_create(void);
/* Lets everything that waits onto the disk, in its order, with call-backs. */
void played_archive_turn(struct archive *a);
/* The process is killed: what waits never comes onto the disk, and nobody follows. */
void played_archive_kill(struct archive *a);
/* ... or all of it does, and nobody is told that it did. */
void played_archive_kill_late(struct archive *a);
/* So many commits are answered -ENOBUFS from now on. */
void played_archive_refuse(struct archive *a, uint32_t n_commits);
/* The file is lost; numbers go on above all that there were. */
void played_archive_lose(struct archive *a);

/* What was put so far and came onto the disk, repeats and removals included. */
struct played_puts {
	uint32_t n_commits, n_events, n_alarms, n_elements, n_notes, n_status, n_removed;
};
struct played_puts played_archive_puts(const struct archive *a);
uint32_t played_archive_waiting(const struct archive *a);

void played_archive_destroy(struct archive *a); /* takes NULL */

#endif
