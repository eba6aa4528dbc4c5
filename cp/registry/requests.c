#include "cp/registry/requests.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint32_t *bucket_of(const struct requests *q, const char *id)
{
	uint32_t hash = 2166136261u;

	for (; *id != '\0'; id++)
		hash = (hash ^ (uint8_t)*id) * 16777619u;
	return &q->buckets[(hash ^ hash >> 15) & (REQUESTS_BUCKETS - 1)];
}

static int make_room(struct requests *q)
{
	if (q->items == NULL)
		q->items = calloc(REGISTRY_REQUESTS_MAX, sizeof(*q->items));
	if (q->buckets == NULL)
		q->buckets = calloc(REQUESTS_BUCKETS, sizeof(*q->buckets));
	return q->items == NULL || q->buckets == NULL ? -ENOMEM : 0;
}

static void link_up(struct requests *q, uint32_t place)
{
	struct request *r = &q->items[place];
	uint32_t *bucket = bucket_of(q, r->id);

	r->next = *bucket;
	*bucket = place + 1;
}

static void unlink_from(struct requests *q, uint32_t place)
{
	uint32_t *at = bucket_of(q, q->items[place].id);

	while (*at != place + 1)
		at = &q->items[*at - 1].next;
	*at = q->items[place].next;
}

static void fill(struct requests *q, uint32_t place, const char *id,
		 const struct registry_outcome *outcome)
{
	struct request *r = &q->items[place];

	memset(r, 0, sizeof(*r));
	memcpy(r->id, id, strlen(id));
	r->outcome = *outcome;
	link_up(q, place);
}

const struct registry_outcome *requests_find(const struct requests *q, const char *id)
{
	if (q->n == 0)
		return NULL;
	for (uint32_t at = *bucket_of(q, id); at != 0; at = q->items[at - 1].next)
		if (strcmp(q->items[at - 1].id, id) == 0)
			return &q->items[at - 1].outcome;
	return NULL;
}

int requests_add(struct requests *q, const char *id, const struct registry_outcome *outcome,
		 char dropped[WIRE_REQUEST_ID_MAX + 1])
{
	uint32_t place = (q->first + q->n) % REGISTRY_REQUESTS_MAX;

	dropped[0] = '\0';
	if (make_room(q) != 0)
		return -ENOMEM;
	if (q->n == REGISTRY_REQUESTS_MAX) {
		memcpy(dropped, q->items[place].id, sizeof(q->items[place].id));
		unlink_from(q, place);
		q->first = (q->first + 1) % REGISTRY_REQUESTS_MAX;
	} else {
		q->n++;
	}
	fill(q, place, id, outcome);
	return 0;
}

int requests_read(struct requests *q, const char *id, const struct registry_outcome *outcome)
{
	if (q->n == REGISTRY_REQUESTS_MAX || requests_find(q, id) != NULL)
		return -EBADMSG;
	if (make_room(q) != 0)
		return -ENOMEM;
	fill(q, q->n++, id, outcome);
	return 0;
}

static int compare_indexes(const void *a, const void *b)
{
	const struct request *x = a, *y = b;

	return (x->outcome.index > y->outcome.index) - (x->outcome.index < y->outcome.index);
}

int requests_settle(struct requests *q)
{
	if (q->n == 0)
		return 0;
	qsort(q->items, q->n, sizeof(*q->items), compare_indexes);
	for (uint32_t i = 1; i < q->n; i++)
		if (q->items[i - 1].outcome.index == q->items[i].outcome.index)
			return -EBADMSG;
	memset(q->buckets, 0, REQUESTS_BUCKETS * sizeof(*q->buckets));
	for (uint32_t i = 0; i < q->n; i++)
		link_up(q, i);
	return 0;
}

void requests_fini(struct requests *q)
{
	free(q->items);
	free(q->buckets);
	*q = (struct requests){0};
}
