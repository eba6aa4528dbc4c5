/* page.h - memory for one answer: taken piece by piece, given back as a whole. Private to
 * cp/memory. */
#ifndef BELLWETHER_CP_MEMORY_PAGE_H
#define BELLWETHER_CP_MEMORY_PAGE_H

#include <stddef.h>

#include "cp/memory/memory.h"

/* A terminated copy of at most 'n' octets, which end at the first zero. NULL: no memory. */
const char *page_text(struct memory_page *p, const char *text, size_t n);
/* ... of octets that are no text of C's. */
const char *page_octets(struct memory_page *p, struct wire_octets o);
const char *page_address(struct memory_page *p, const struct fedmem_address *a);

#endif
