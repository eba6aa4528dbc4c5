#include "cp/registry/trail.h"

#include <errno.h>
#include <stdlib.h>

const struct trail_item *trail_item(const struct trail *t, uint32_t place)
{
	return &t->items[(t->first + place) % REGISTRY_TRAIL_MAX];
}

uint64_t trail_newest(const struct trail *t)
{
	return t->n == 0 ? 0 : trail_item(t, t->n - 1)->number;
}

int trail_add(struct trail *t, uint64_t number, struct wire_bytes packed, uint64_t *dropped)
{
	struct trail_item *to;
	int err = number > trail_newest(t) ? 0 : -EBADMSG;

	*dropped = 0;
	if (err == 0 && t->items == NULL) {
		t->items = calloc(REGISTRY_TRAIL_MAX, sizeof(*t->items));
		err = t->items == NULL ? -ENOMEM : 0;
	}
	if (err != 0) {
		wire_bytes_free(&packed);
		return err;
	}
	to = &t->items[(t->first + t->n) % REGISTRY_TRAIL_MAX];
	if (t->n == REGISTRY_TRAIL_MAX) {
		*dropped = to->number;
		wire_bytes_free(&to->packed);
		t->first = (t->first + 1) % REGISTRY_TRAIL_MAX;
	} else {
		t->n++;
	}
	*to = (struct trail_item){number, packed};
	return 0;
}

uint32_t trail_above(const struct trail *t, uint64_t number)
{
	uint32_t low = 0, high = t->n;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (trail_item(t, middle)->number <= number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void trail_fini(struct trail *t)
{
	for (uint32_t i = 0; t->items != NULL && i < REGISTRY_TRAIL_MAX; i++)
		wire_bytes_free(&t->items[i].packed);
	free(t->items);
	*t = (struct trail){0};
}
