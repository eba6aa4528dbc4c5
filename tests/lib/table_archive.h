/* table_archive.h - the part of cp/archive that the services ask, in memory: what a test puts there
 * is on the disk at once.
 *
 * Memory:  table_archive_create() allocates, archive_close() frees; records are copied.
 */
#ifndef BELLWETHER_TESTS_LIB_TABLE_ARCHIVE_H
#define BELLWETHER_TESTS_LIB_TABLE_ARCHIVE_H

#include "cp/archive/archive.h"

struct archive *table_archive_create(void);
/* Each replaces the record with the same key. */
void table_archive_alarm(struct archive *a, const struct wire_stored_alarm *s);
void table_archive_element(struct archive *a, const struct wire_stored_element *s);
void table_archive_note(struct archive *a, const struct wire_alarm_note *n);
void table_archive_sync(struct archive *a, const char *cell, bool is_complete);
void table_archive_status(struct archive *a, const struct wire_status *s);

#endif
