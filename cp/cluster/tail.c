#include "cp/cluster/tail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void tail_init(struct tail *t, uint64_t first)
{
	*t = (struct tail){.first = first};
}

static int room_make(struct tail *t)
{
	uint32_t room = t->room > 0 ? 2 * t->room : 64;
	struct tail_entry *entries;

	if (t->n < t->room)
		return 0;
	entries = realloc(t->entries, room * sizeof(*entries));
	if (entries == NULL)
		return -ENOMEM;
	t->entries = entries;
	t->room = room;
	return 0;
}

int tail_push(struct tail *t, uint64_t epoch, const uint8_t *bytes, size_t n)
{
	uint8_t *copy = malloc(n > 0 ? n : 1);
	int err = copy == NULL ? -ENOMEM : room_make(t);

	if (err != 0) {
		free(copy);
		return err;
	}
	if (n > 0)
		memcpy(copy, bytes, n);
	t->entries[t->n++] = (struct tail_entry){epoch, copy, n};
	t->bytes += n;
	return 0;
}

void tail_give_up(struct tail *t, uint64_t from)
{
	while (t->n > 0 && t->first + t->n > from) {
		t->bytes -= t->entries[--t->n].n;
		free(t->entries[t->n].bytes);
	}
	if (t->n == 0 && from < t->first)
		t->first = from; /* what was given up had left already */
}

void tail_drop(struct tail *t, uint64_t below)
{
	uint32_t n = 0;

	while (n < t->n && t->first + n < below) {
		t->bytes -= t->entries[n].n;
		free(t->entries[n++].bytes);
	}
	if (n == 0)
		return;
	memmove(t->entries, t->entries + n, (t->n - n) * sizeof(*t->entries));
	t->first += n;
	t->n -= n;
}

const struct tail_entry *tail_find(const struct tail *t, uint64_t index)
{
	return index >= t->first && index - t->first < t->n ? &t->entries[index - t->first] : NULL;
}

void tail_fini(struct tail *t)
{
	tail_give_up(t, t->first);
	free(t->entries);
	*t = (struct tail){0};
}
