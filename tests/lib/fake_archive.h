/* fake_archive.h - cp/archive in memory: what is committed waits until it is let onto the disk, by
 * the loop or by the test, so that a process can be killed at any moment in between. What is on the
 * disk stays when whoever wrote it is made anew.
 *
 * Memory:  fake_archive_create() allocates, fake_archive_destroy() frees; what waits then is
 *          dropped without its call-back.
 */
#ifndef BELLWETHER_TESTS_LIB_FAKE_ARCHIVE_H
#define BELLWETHER_TESTS_LIB_FAKE_ARCHIVE_H

#include "cp/archive/archive.h"

/* With a loop, a commit comes onto the disk a turn of it later. NULL: at fake_archive_turn(). */
struct archive *fake_archive_create(struct uv_loop_s *loop);
/* Lets everything that waits onto the disk, in its order, with call-backs. */
void fake_archive_turn(struct archive *a);
/* The loop lets nothing onto the disk while it is held. */
void fake_archive_hold(struct archive *a, bool is_held);
/* So many commits are taken from now on, then so many answered -ENOBUFS, then all are taken. */
void fake_archive_refuse(struct archive *a, uint32_t n_taken, uint32_t n_refused);
/* The process is killed: what waits never comes onto the disk, and nobody follows. */
void fake_archive_kill(struct archive *a);
/* ... or all of it does, and nobody is told that it did. */
void fake_archive_kill_late(struct archive *a);
/* The file is lost; numbers go on above all that there were. */
void fake_archive_lose(struct archive *a);

/* What was put so far and came onto the disk, repeats and removals included. */
struct fake_archive_puts {
	uint32_t n_commits, n_events, n_alarms, n_elements, n_notes, n_status, n_removed;
};
struct fake_archive_puts fake_archive_puts(const struct archive *a);
uint32_t fake_archive_waiting(const struct archive *a);

/* The loop has to turn once more before it is closed. Takes NULL. */
void fake_archive_destroy(struct archive *a);

#endif
