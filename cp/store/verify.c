#include "cp/store/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cp/store/record.h"
#include "cp/store/store.h"

/* The format of LMDB 0.9 (lmdb.h: version 1) for 64-bit machines, in the machine's own octet order;
 * the names are those of its mdb.c. */
#define LMDB_MAGIC    UINT32_C(0xbeefc0de)
#define LMDB_VERSION  1
#define PAGE_HEADER   16
#define META_BYTES    136
#define NODE_HEADER   8
#define PAGE_MIN      512
#define PAGE_MAX      32768
#define DEPTH_MAX     32
#define KEY_MAX	      511
#define PAGE_BRANCH   0x01
#define PAGE_LEAF     0x02
#define PAGE_OVERFLOW 0x04
#define PAGE_META     0x08
#define NODE_BIG      0x01
#define DB_INTEGERKEY 0x08
#define NO_PAGE	      UINT64_MAX
/* Pages that were taken and given back in one transaction are never written, so that the file may
 * end before the last page; pages of trees do not lie there. */
#define FREE_BEHIND_MAX 65536

_Static_assert(sizeof(size_t) == 8, "the page format of 64-bit machines");

struct tree {
	uint32_t pad;
	uint16_t flags, depth;
	uint64_t n_branch, n_leaf, n_overflow, n_entries, root;
};
_Static_assert(sizeof(struct tree) == 48, "MDB_db");

struct meta {
	uint32_t magic, version;
	uint64_t address, map_bytes;
	struct tree trees[2]; /* of free pages, of records */
	uint64_t last_page, transaction;
};
_Static_assert(sizeof(struct meta) == META_BYTES, "MDB_meta");

struct page_head {
	uint64_t number;
	uint16_t pad, flags, lower, upper;
};
_Static_assert(sizeof(struct page_head) == PAGE_HEADER, "MDB_page");

struct node {
	uint16_t at, key_bytes, flags;
	uint32_t bytes;	     /* in this page, with padding */
	uint32_t value_size; /* leaf */
	uint64_t child;	     /* branch */
};

struct span {
	const uint8_t *bytes; /* NULL: no bound */
	size_t n;
};

struct walk {
	int fd;
	char *why;
	size_t why_bytes;
	struct meta meta;
	uint32_t page_bytes;
	uint8_t *used;	/* a bit for each page */
	uint8_t *pages; /* one for each level, and 'big' behind them */
	uint32_t *order;
	uint8_t *big; /* an overflow value */
	size_t big_room;
	bool is_free_tree;
	struct tree counted;
	uint64_t last_free_key;
	struct verify_result *out;
};

__attribute__((format(printf, 2, 3))) static int damaged(struct walk *w, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(w->why, w->why_bytes, format, args);
	va_end(args);
	return STORE_DAMAGED;
}

/* A failing disk is a damaged file too: another one can be made. */
static int page_read(struct walk *w, uint64_t number, void *to, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = pread(w->fd, (uint8_t *)to + done, n - done,
				    (off_t)(number * w->page_bytes + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return damaged(w, "page %llu cannot be read: %s",
				       (unsigned long long)number, strerror(errno));
		if (got == 0)
			return damaged(w, "page %llu is behind the end of the file",
				       (unsigned long long)number);
		done += (size_t)got;
	}
	return 0;
}

static int page_use(struct walk *w, uint64_t number, const char *what)
{
	uint8_t bit = (uint8_t)(1u << (number % 8));

	if (number < 2 || number > w->meta.last_page)
		return damaged(w, "%s: there is no page %llu", what, (unsigned long long)number);
	if (w->used[number / 8] & bit)
		return damaged(w, "page %llu is used twice", (unsigned long long)number);
	w->used[number / 8] |= bit;
	return 0;
}

/* ---- Meta pages ---- */

static int meta_check(struct walk *w, const struct meta *m, const struct page_head *head, int at)
{
	if (m->magic != LMDB_MAGIC || head->flags != PAGE_META)
		return damaged(w, "meta page %d is none", at);
	if (m->version != LMDB_VERSION) {
		snprintf(w->why, w->why_bytes, "its page format is version %u, not %u", m->version,
			 LMDB_VERSION);
		return STORE_OTHER_VERSION;
	}
	if (m->trees[0].pad != w->page_bytes || m->trees[0].flags != DB_INTEGERKEY ||
	    m->trees[1].flags != 0)
		return damaged(w, "meta page %d has another page size or other flags", at);
	if (m->transaction != 0 && m->transaction % 2 != (uint64_t)at)
		return damaged(w, "meta page %d is of transaction %llu", at,
			       (unsigned long long)m->transaction);
	return 0;
}

static int metas_read(struct walk *w)
{
	uint8_t bytes[PAGE_HEADER + META_BYTES];
	struct page_head heads[2];
	struct meta metas[2];
	int err;

	w->page_bytes = PAGE_MIN; /* page 0 lies at 0 whatever the size is */
	for (int i = 0; i < 2; i++) {
		err = page_read(w, (uint64_t)i, bytes, sizeof(bytes));
		if (err != 0)
			return err;
		memcpy(&heads[i], bytes, PAGE_HEADER);
		memcpy(&metas[i], bytes + PAGE_HEADER, META_BYTES);
		if (i == 0)
			w->page_bytes = metas[0].trees[0].pad;
		if (w->page_bytes < PAGE_MIN || w->page_bytes > PAGE_MAX ||
		    (w->page_bytes & (w->page_bytes - 1)) != 0)
			return damaged(w, metas[0].magic == LMDB_MAGIC
						  ? "its page size makes no sense"
						  : "it is no LMDB file");
		err = meta_check(w, &metas[i], &heads[i], i);
		if (err != 0)
			return err;
	}
	w->meta = metas[metas[1].transaction > metas[0].transaction];
	if (w->meta.transaction != 0 &&
	    metas[0].transaction + metas[1].transaction != 2 * w->meta.transaction - 1)
		return damaged(w, "its meta pages are of transactions %llu and %llu",
			       (unsigned long long)metas[0].transaction,
			       (unsigned long long)metas[1].transaction);
	return 0;
}

/* ---- Nodes ---- */

static int compare_keys(struct span a, struct span b)
{
	int order = memcmp(a.bytes, b.bytes, a.n < b.n ? a.n : b.n);

	return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

static struct node node_read(const uint8_t *page, uint32_t index, bool is_leaf)
{
	uint16_t words[4]; /* lo, hi, flags, key size */
	struct node node;

	memcpy(&node.at, page + PAGE_HEADER + 2 * index, 2);
	memcpy(words, page + node.at, NODE_HEADER);
	node.key_bytes = words[3];
	node.flags = is_leaf ? words[2] : 0;
	node.value_size = words[0] | (uint32_t)words[1] << 16;
	node.child = node.value_size | (is_leaf ? 0 : (uint64_t)words[2] << 32);
	node.bytes = NODE_HEADER + node.key_bytes;
	if (is_leaf)
		node.bytes += node.flags & NODE_BIG ? 8 : node.value_size;
	node.bytes += node.bytes & 1;
	return node;
}

static int compare_offsets(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a >> 16, y = *(const uint32_t *)b >> 16;

	return (x > y) - (x < y);
}

/* Every node is inside the page, and they fill it from 'upper' to its end. */
static int nodes_check(struct walk *w, uint64_t number, const uint8_t *page, uint32_t n,
		       const struct page_head *head, bool is_leaf)
{
	uint32_t next = head->upper;

	for (uint32_t i = 0; i < n; i++) {
		struct node node;
		uint16_t at;

		memcpy(&at, page + PAGE_HEADER + 2 * i, 2);
		if (at < head->upper || at % 2 != 0 || at > w->page_bytes - NODE_HEADER)
			return damaged(w, "page %llu: a node is outside",
				       (unsigned long long)number);
		node = node_read(page, i, is_leaf);
		if (node.bytes > w->page_bytes - at || node.value_size > INT32_MAX ||
		    node.key_bytes > KEY_MAX)
			return damaged(w, "page %llu: a node is too long",
				       (unsigned long long)number);
		if (is_leaf && (node.key_bytes == 0 || (node.flags & ~NODE_BIG) != 0))
			return damaged(w, "page %llu: a record of another kind",
				       (unsigned long long)number);
		w->order[i] = (uint32_t)at << 16 | node.bytes;
	}
	qsort(w->order, n, sizeof(*w->order), compare_offsets);
	for (uint32_t i = 0; i < n; i++) {
		if (w->order[i] >> 16 != next)
			return damaged(w, "page %llu: its nodes overlap or have gaps",
				       (unsigned long long)number);
		next += w->order[i] & 0xffff;
	}
	if (next != w->page_bytes)
		return damaged(w, "page %llu: its nodes overlap or have gaps",
			       (unsigned long long)number);
	return 0;
}

/* ---- Records ---- */

static int big_read(struct walk *w, uint64_t number, uint32_t size)
{
	struct page_head head;
	uint64_t n_pages, needed = (PAGE_HEADER - 1 + (uint64_t)size) / w->page_bytes + 1;
	int err = page_use(w, number, "a long record");

	if (err == 0)
		err = page_read(w, number, &head, sizeof(head));
	if (err != 0)
		return err;
	n_pages = head.lower | (uint64_t)head.upper << 16;
	if (head.number != number || head.flags != PAGE_OVERFLOW || n_pages < needed ||
	    n_pages > w->meta.last_page)
		return damaged(w, "page %llu is not the long record it should be",
			       (unsigned long long)number);
	for (uint64_t i = 1; i < n_pages && err == 0; i++)
		err = page_use(w, number + i, "a long record");
	if (err != 0)
		return err;
	w->counted.n_overflow += n_pages;
	if (w->big_room < size) {
		uint8_t *more = realloc(w->big, size);

		if (more == NULL)
			return -ENOMEM;
		w->big = more;
		w->big_room = size;
	}
	/* Its value begins behind the first page's header, whatever the page's size. */
	for (uint32_t done = 0; done < size;) {
		ssize_t got = pread(w->fd, w->big + done, size - done,
				    (off_t)(number * w->page_bytes + PAGE_HEADER + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return damaged(w, "page %llu: its long record cannot be read",
				       (unsigned long long)number);
		done += (uint32_t)got;
	}
	return 0;
}

/* The free pages of one transaction: how many, and their numbers, falling. */
static int free_list_check(struct walk *w, struct span key, const uint8_t *value, uint32_t size)
{
	uint64_t transaction, n, number, previous = NO_PAGE;

	if (key.n != 8 || size < 8)
		return damaged(w, "a list of free pages is no such list");
	memcpy(&transaction, key.bytes, 8);
	memcpy(&n, value, 8);
	if (transaction <= w->last_free_key || transaction > w->meta.transaction ||
	    n > size / 8 - 1)
		return damaged(w, "the list of free pages of transaction %llu makes no sense",
			       (unsigned long long)transaction);
	w->last_free_key = transaction;
	for (uint64_t i = 1; i <= n; i++) {
		int err;

		memcpy(&number, value + 8 * i, 8);
		if (number >= previous)
			return damaged(w, "a list of free pages is out of order");
		err = page_use(w, number, "free pages");
		if (err != 0)
			return err;
		previous = number;
	}
	return 0;
}

static int record_check(struct walk *w, const uint8_t *page, const struct node *node)
{
	struct span key = {page + node->at + NODE_HEADER, node->key_bytes};
	const uint8_t *value = key.bytes + key.n;

	w->counted.n_entries++;
	if (node->flags & NODE_BIG) {
		uint64_t number;
		int err;

		memcpy(&number, value, 8);
		err = big_read(w, number, node->value_size);
		if (err != 0)
			return err;
		value = w->big;
	}
	if (w->is_free_tree)
		return free_list_check(w, key, value, node->value_size);
	w->out->n_records++;
	w->out->n_damaged += !record_is_whole(key.bytes, key.n, value, node->value_size);
	return 0;
}

/* ---- Trees ---- */

/* Keys of the tree of free pages are numbers; free_list_check() sees to their order. */
static int keys_check(struct walk *w, uint64_t number, const uint8_t *page, uint32_t n,
		      bool is_leaf, struct span low, struct span high)
{
	struct span previous = low;
	bool is_first = true;

	/* The first key of a branch is never looked at, and may be anything. */
	for (uint32_t i = is_leaf ? 0 : 1; i < n && !w->is_free_tree; i++) {
		struct node node = node_read(page, i, is_leaf);
		struct span key = {page + node.at + NODE_HEADER, node.key_bytes};

		if (previous.bytes != NULL &&
		    compare_keys(previous, key) > (is_first && is_leaf ? 0 : -1))
			return damaged(w, "page %llu: its keys are out of order",
				       (unsigned long long)number);
		if (high.bytes != NULL && compare_keys(key, high) >= 0)
			return damaged(w, "page %llu: its keys are not its parent's",
				       (unsigned long long)number);
		previous = key;
		is_first = false;
	}
	return 0;
}

static int page_walk(struct walk *w, uint64_t number, uint32_t level, struct span low,
		     struct span high)
{
	uint8_t *page = w->pages + (size_t)level * w->page_bytes;
	const struct tree *tree = &w->meta.trees[!w->is_free_tree];
	bool is_leaf = level + 1 == tree->depth;
	struct page_head head;
	uint32_t n, n_min = is_leaf || w->is_free_tree ? 1 : 2;
	int err = page_use(w, number, "a tree");

	if (err == 0)
		err = page_read(w, number, page, w->page_bytes);
	if (err != 0)
		return err;
	memcpy(&head, page, sizeof(head));
	n = head.lower < PAGE_HEADER ? 0 : (head.lower - PAGE_HEADER) / 2u;
	if (head.number != number || head.flags != (is_leaf ? PAGE_LEAF : PAGE_BRANCH) ||
	    head.lower % 2 != 0 || head.lower > head.upper || head.upper > w->page_bytes ||
	    n < n_min)
		return damaged(w, "page %llu is not the page it should be",
			       (unsigned long long)number);
	err = nodes_check(w, number, page, n, &head, is_leaf);
	if (err == 0)
		err = keys_check(w, number, page, n, is_leaf, low, high);
	if (is_leaf)
		w->counted.n_leaf++;
	else
		w->counted.n_branch++;
	for (uint32_t i = 0; i < n && err == 0; i++) {
		struct node node = node_read(page, i, is_leaf), next;
		struct span from = low, to = high;

		if (is_leaf) {
			err = record_check(w, page, &node);
			continue;
		}
		if (i > 0)
			from = (struct span){page + node.at + NODE_HEADER, node.key_bytes};
		if (i + 1 < n) {
			next = node_read(page, i + 1, false);
			to = (struct span){page + next.at + NODE_HEADER, next.key_bytes};
		}
		err = page_walk(w, node.child, level + 1, from, to);
	}
	return err;
}

static int tree_walk(struct walk *w, bool is_free_tree)
{
	const struct tree *tree = &w->meta.trees[!is_free_tree];
	const struct span none = {NULL, 0};
	const char *name = is_free_tree ? "of free pages" : "of records";
	int err;

	w->is_free_tree = is_free_tree;
	w->counted = (struct tree){0};
	if (tree->depth > DEPTH_MAX || (tree->root == NO_PAGE) != (tree->depth == 0))
		return damaged(w, "the tree %s cannot be %u deep", name, tree->depth);
	if (tree->depth > 0) {
		err = page_walk(w, tree->root, 0, none, none);
		if (err != 0)
			return err;
	}
	if (w->counted.n_branch != tree->n_branch || w->counted.n_leaf != tree->n_leaf ||
	    w->counted.n_overflow != tree->n_overflow || w->counted.n_entries != tree->n_entries)
		return damaged(w, "the tree %s has not what its meta page says", name);
	return 0;
}

static int file_walk(struct walk *w)
{
	struct stat file;
	int err = metas_read(w);

	if (err != 0)
		return err;
	if (fstat(w->fd, &file) < 0)
		return -errno;
	if (w->meta.last_page < 1 ||
	    w->meta.last_page > (uint64_t)file.st_size / w->page_bytes + FREE_BEHIND_MAX)
		return damaged(w, "it is cut short: %lld octets, %llu pages of %u are used",
			       (long long)file.st_size, (unsigned long long)w->meta.last_page + 1,
			       w->page_bytes);
	w->out->transaction = w->meta.transaction;
	w->out->bytes = (w->meta.last_page + 1) * w->page_bytes;
	/* Trees are read in their order, not the disk's. */
	(void)posix_fadvise(w->fd, 0, (off_t)w->out->bytes, POSIX_FADV_WILLNEED);
	w->used = calloc(1, w->meta.last_page / 8 + 1);
	w->pages = malloc((size_t)DEPTH_MAX * w->page_bytes);
	w->order = malloc(w->page_bytes / 2 * sizeof(*w->order));
	if (w->used == NULL || w->pages == NULL || w->order == NULL)
		return -ENOMEM;
	err = tree_walk(w, true);
	return err != 0 ? err : tree_walk(w, false);
}

int verify_file(int fd, struct verify_result *out, char *why, size_t why_bytes)
{
	struct walk w = {.fd = fd, .why = why, .why_bytes = why_bytes, .out = out};
	int err;

	*out = (struct verify_result){0};
	err = file_walk(&w);
	free(w.used);
	free(w.pages);
	free(w.order);
	free(w.big);
	return err;
}
