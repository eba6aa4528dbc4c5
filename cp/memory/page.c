#include "cp/memory/page.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES 16384

struct block {
	struct block *next;
	size_t used, room;
	alignas(max_align_t) uint8_t bytes[];
};

struct memory_page {
	struct block *blocks; /* the newest first */
};

struct memory_page *memory_page_create(void)
{
	return calloc(1, sizeof(struct memory_page));
}

void *memory_page_take(struct memory_page *p, size_t n_items, size_t item_bytes)
{
	const size_t align = alignof(max_align_t);
	struct block *b = p->blocks;
	size_t n;

	if (__builtin_mul_overflow(n_items, item_bytes, &n) || n > SIZE_MAX / 2)
		return NULL;
	n = (n + align - 1) / align * align;
	if (b == NULL || b->room - b->used < n) {
		size_t room = n > BLOCK_BYTES ? n : BLOCK_BYTES;

		b = calloc(1, sizeof(*b) + room);
		if (b == NULL)
			return NULL;
		b->room = room;
		b->next = p->blocks;
		p->blocks = b;
	}
	b->used += n;
	return b->bytes + b->used - n;
}

const char *page_text(struct memory_page *p, const char *text, size_t n)
{
	size_t length = strnlen(text, n);
	char *copy = memory_page_take(p, length + 1, 1);

	if (copy != NULL)
		memcpy(copy, text, length);
	return copy;
}

const char *page_octets(struct memory_page *p, struct wire_octets o)
{
	return o.n == 0 ? "" : page_text(p, (const char *)o.bytes, o.n);
}

const char *page_address(struct memory_page *p, const struct fedmem_address *a)
{
	char text[46];

	conf_address_format(text, a);
	return page_text(p, text, sizeof(text));
}

void memory_page_free(struct memory_page *p)
{
	if (p == NULL)
		return;
	while (p->blocks != NULL) {
		struct block *b = p->blocks;

		p->blocks = b->next;
		free(b);
	}
	free(p);
}
