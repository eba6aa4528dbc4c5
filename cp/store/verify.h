/* verify.h - reads a whole LMDB file before LMDB does. LMDB trusts every octet of its pages: a
 * wrong one ends the process or destroys other records. Here each page that is in use is read with
 * pread(2), so that a bad disk is an error and no signal, and the file passes only when
 *   both meta pages are right, and their transactions follow each other
 *   every tree has the depth and the numbers of pages and entries that the meta page says
 *   every page is of the kind that is expected there, its nodes fill it without gap or overlap, and
 *   its keys are in order and between those of its parent
 *   no page is used twice, be it by records or by the list of free pages
 * A record with a wrong checksum is counted; the file is no worse for it.
 *
 * Cost: the used part of the file is read once, about one second for each gigabyte in the page
 * cache, else as fast as the disk reads. A bit for each page and a page for each level of a tree.
 *
 * Thread:  any; no state.
 * Memory:  borrows.
 * Returns: 0 done; <0 -errno; STORE_DAMAGED, STORE_OTHER_VERSION: 'why' says what is wrong where.
 */
#ifndef BELLWETHER_CP_STORE_VERIFY_H
#define BELLWETHER_CP_STORE_VERIFY_H

#include <stddef.h>
#include <stdint.h>

struct verify_result {
	uint64_t transaction; /* the newest */
	uint64_t n_records, n_damaged;
	uint64_t bytes; /* of the part of the file that is in use */
};

/* The file is not empty. */
int verify_file(int fd, struct verify_result *out, char *why, size_t why_bytes);

#endif
