/* page.h - memory for one answer: taken piece by piece, given back as a whole. Private to
 * cp/memory. */
#ifndef BELLWETHER_CP_MEMORY_PAGE_H
#define BELLWETHER_CP_MEMORY_PAGE_H

#include <stddef.h>

#include "cp/memory/memory.h"

struct memory_page *page_create(void);
/* Zeroed, aligned for anything; NULL: no memory. */
void *page_take(struct memory_page *p, size_t n_items, size_t item_bytes);
/* A terminated copy of at most 'n' octets, which end at the first zero. NULL: no memory. */
const char *page_text(struct memory_page *p, const char *text, size_t n);
const char *page_address(struct memory_page *p, const struct fedmem_address *a);

#endif
