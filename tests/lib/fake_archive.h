/* fake_archive.h - cp/archive in memory: what is put in stays there as long as the process. A
 * commit is "on disk", and can be read, a turn of the loop later, or when the test lets it.
 *
 * Memory:  fake_archive_create() allocates, fake_archive_destroy() frees; a batch that was not
 *          "on disk" by then is dropped without its call-back.
 */
#ifndef BELLWETHER_TESTS_LIB_FAKE_ARCHIVE_H
#define BELLWETHER_TESTS_LIB_FAKE_ARCHIVE_H

#include "cp/archive/archive.h"

struct archive *fake_archive_create(struct uv_loop_s *loop);
/* Nothing comes onto the disk while it is held. */
void fake_archive_hold(struct archive *a, bool is_held);
/* So many more commits are taken, then -ENOBUFS. UINT32_MAX: any number. */
void fake_archive_limit(struct archive *a, uint32_t n_commits);
uint32_t fake_archive_waiting(const struct archive *a);
/* What is not on the disk never comes there, and nobody is told: the process was killed. */
void fake_archive_crash(struct archive *a);
/* As if the file had been lost. */
void fake_archive_clear(struct archive *a);
/* The loop has to turn once more before it is closed. Takes NULL. */
void fake_archive_destroy(struct archive *a);

#endif
