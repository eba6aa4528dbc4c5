/* findings.h - a growing list of findings.
 *
 * Memory:  conf_findings_free() frees it.
 * Returns: 0 done; -ENOMEM.
 */
#ifndef BELLWETHER_DP_CONF_FINDINGS_H
#define BELLWETHER_DP_CONF_FINDINGS_H

#include <stdbool.h>

#include "dp/conf/conf.h"

/* A file with more mistakes than this is another kind of file. The last entry then says so. */
#define CONF_FINDINGS_MAX 1000

bool conf_findings_are_full(const struct conf_findings *f);
__attribute__((format(printf, 4, 5))) int
conf_findings_add(struct conf_findings *f, uint32_t line, uint32_t column, const char *format, ...);
/* Into the order of the file. */
void conf_findings_sort(struct conf_findings *f);

#endif
