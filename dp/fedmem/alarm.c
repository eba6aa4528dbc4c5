#include <assert.h>
#include <string.h>

#include "dp/fedmem/hash.h"
#include "dp/fedmem/writer.h"

/* The texts of a key as they lie in a record, filled up with zeros. */
struct alarm_texts {
	char type[FEDMEM_TYPE_BYTES];
	char resource[FEDMEM_RESOURCE_BYTES];
	char qualifier[FEDMEM_QUALIFIER_BYTES];
};
_Static_assert(offsetof(struct fedmem_alarm, resource) - offsetof(struct fedmem_alarm, type) ==
			       offsetof(struct alarm_texts, resource) &&
		       offsetof(struct fedmem_alarm, qualifier) -
				       offsetof(struct fedmem_alarm, type) ==
			       offsetof(struct alarm_texts, qualifier),
	       "the key stands in one piece in the record");

/* How many entries a search for void alarms looks at, when nothing else is left. */
#define VOID_LOOKS 64u

static void text_fill(char *to, size_t room, const char *from, uint8_t n_bytes)
{
	size_t n = n_bytes < room ? n_bytes : room;

	memcpy(to, from, n);
	memset(to + n, 0, room - n);
}

static void key_texts(struct alarm_texts *t, const struct fedmem_alarm_key *key)
{
	text_fill(t->type, sizeof(t->type), key->type, key->type_bytes);
	text_fill(t->resource, sizeof(t->resource), key->resource, key->resource_bytes);
	text_fill(t->qualifier, sizeof(t->qualifier), key->qualifier, key->qualifier_bytes);
}

static uint32_t hash_texts(const struct fedmem *fm, uint32_t element, const void *texts)
{
	return hash_words(fm->hash_key + element, texts, sizeof(struct alarm_texts));
}

static uint32_t record_hash(const struct fedmem *fm, const struct fedmem_alarm *a)
{
	struct alarm_texts t;

	memcpy(&t, (const char *)a + offsetof(struct fedmem_alarm, type), sizeof(t));
	return hash_texts(fm, a->element, &t);
}

static uint32_t index_of(const struct fedmem *fm, const struct fedmem_alarm *a)
{
	return (uint32_t)(a - fm->alarms);
}

static uint32_t index_find(const struct fedmem_writer *w, uint32_t element,
			   const struct alarm_texts *t)
{
	const struct fedmem *fm = w->fm;
	uint32_t hash = hash_texts(fm, element, t);
	struct line_cursor c = line_table_begin(&w->alarm_index, hash);
	uint32_t found;

	while (line_table_next(&w->alarm_index, hash, &c, &found)) {
		const char *a = (const char *)&fm->alarms[found];

		if (fm->alarms[found].element == element &&
		    memcmp(a + offsetof(struct fedmem_alarm, type), t, sizeof(*t)) == 0)
			return found;
	}
	return FEDMEM_NONE;
}

void alarm_index_add(struct fedmem_writer *w, uint32_t index)
{
	bool is_in = line_table_insert(&w->alarm_index, record_hash(w->fm, &w->fm->alarms[index]),
				       index);

	assert(is_in); /* it has places for all entries and more */
	(void)is_in;
}

/* ---- Lists ---- */

void alarm_free_push(struct fedmem_writer *w, uint32_t index)
{
	w->links[index].age_next = w->free_first;
	w->free_first = index;
}

void alarm_gone_append(struct fedmem_writer *w, uint32_t index)
{
	struct alarm_link *l = &w->links[index];

	l->age_prev = w->gone_last;
	l->age_next = FEDMEM_NONE;
	if (w->gone_last == FEDMEM_NONE)
		w->gone_first = index;
	else
		w->links[w->gone_last].age_next = index;
	w->gone_last = index;
}

static void gone_unlink(struct fedmem_writer *w, uint32_t index)
{
	struct alarm_link *l = &w->links[index];

	if (l->age_prev == FEDMEM_NONE)
		w->gone_first = l->age_next;
	else
		w->links[l->age_prev].age_next = l->age_next;
	if (l->age_next == FEDMEM_NONE)
		w->gone_last = l->age_prev;
	else
		w->links[l->age_next].age_prev = l->age_prev;
}

/* The chain lies in the records, where readers follow it. Each of its words changes by one store,
 * outside of the record's sequence, and every copy with the old or the new one is whole. */
static void put_index(uint32_t *word, uint32_t index)
{
	__atomic_store_n(word, index, __ATOMIC_RELEASE);
}

static void chain_push(struct fedmem_writer *w, uint32_t index)
{
	struct fedmem_alarm *a = &w->fm->alarms[index];
	struct fedmem_state *s = &w->fm->states[a->element];
	struct alarm_link *l = &w->links[index];
	uint32_t second = s->alarm_first;

	l->chain_prev = FEDMEM_NONE;
	if (second == FEDMEM_NONE) {
		memset(l->n_raised, 0, sizeof(l->n_raised));
	} else {
		memcpy(l->n_raised, w->links[second].n_raised, sizeof(l->n_raised));
		w->links[second].chain_prev = index;
	}
	put_index(&a->next, second);
	put_index(&s->alarm_first, index);
}

static void chain_unlink(struct fedmem_writer *w, uint32_t index)
{
	struct fedmem *fm = w->fm;
	struct alarm_link *l = &w->links[index];
	uint32_t next = fm->alarms[index].next;

	if (next != FEDMEM_NONE)
		w->links[next].chain_prev = l->chain_prev;
	if (l->chain_prev != FEDMEM_NONE) {
		put_index(&fm->alarms[l->chain_prev].next, next);
		return;
	}
	if (next != FEDMEM_NONE)
		memcpy(w->links[next].n_raised, l->n_raised, sizeof(l->n_raised));
	put_index(&fm->states[fm->alarms[index].element].alarm_first, next);
}

/* How many of the element's alarms are raised, by severity; kept at the first of its chain. */
static uint32_t *chain_count(struct fedmem_writer *w, const struct fedmem_alarm *a,
			     uint8_t severity)
{
	assert(severity < SEVERITIES);
	return &w->links[w->fm->states[a->element].alarm_first].n_raised[severity];
}

static void used_add(struct fedmem_writer *w, int n)
{
	_Atomic uint32_t *used = &w->fm->header->alarms_used;

	atomic_store_explicit(used, atomic_load_explicit(used, memory_order_relaxed) + (uint32_t)n,
			      memory_order_release);
}

/* A raised or gone alarm out of everything. */
static void forget(struct fedmem_writer *w, uint32_t index)
{
	struct fedmem_alarm *a = &w->fm->alarms[index];

	line_table_remove(&w->alarm_index, record_hash(w->fm, a), index);
	chain_unlink(w, index);
	used_add(w, -1);
}

static void make_free(struct fedmem_writer *w, uint32_t index)
{
	struct fedmem_alarm *a = &w->fm->alarms[index];

	if (a->state == FEDMEM_ALARM_RAISED)
		--*chain_count(w, a, a->severity);
	else
		gone_unlink(w, index);
	forget(w, index);
	__atomic_store_n(&a->state, FEDMEM_ALARM_FREE, __ATOMIC_RELEASE);
	alarm_free_push(w, index);
}

void alarm_free_chain(struct fedmem_writer *w, struct fedmem_state *s)
{
	while (s->alarm_first != FEDMEM_NONE)
		make_free(w, s->alarm_first);
}

/* Void: the element is no more, or its cell has moved on since. */
static bool is_void(const struct fedmem *fm, const struct fedmem_alarm *a)
{
	struct fedmem_element e;
	struct fedmem_token token;
	int err;

	if (fedmem_elements_version(fm) == 0)
		return false; /* this segment was never told of elements */
	err = fedmem_element_get(fm, a->element, &e);
	if (err == FEDMEM_NOT_FOUND)
		return true;
	if (err != 0)
		return false;
	return e.id != a->element_id ||
	       (table_cell_token(fm, e.cell, &token) && fedmem_token_compare(a->token, token) < 0);
}

/* Alarms of cells that moved away stay until something needs their room. Bounded; goes on next time
 * where it stopped. */
static void free_some_void(struct fedmem_writer *w)
{
	for (uint32_t n = 0; n < VOID_LOOKS && w->free_first == FEDMEM_NONE; n++) {
		const struct fedmem_alarm *a = &w->fm->alarms[w->void_hand];

		if (a->state != FEDMEM_ALARM_FREE && is_void(w->fm, a))
			make_free(w, w->void_hand);
		w->void_hand = w->void_hand + 1 == w->fm->sizes.alarms_max ? 0 : w->void_hand + 1;
	}
}

/* ---- The door ---- */

int fedmem_alarm_read(const struct fedmem *fm, uint32_t index, struct fedmem_alarm *out)
{
	const struct fedmem_alarm *a;
	struct fedmem_alarm copy;

	if (index >= fm->sizes.alarms_max)
		return FEDMEM_NOT_FOUND;
	a = &fm->alarms[index];
	for (uint32_t tries = 0; !seqlock_try_copy(&a->seq, &copy, a, sizeof(copy)); tries++)
		if (!lock_writer_wait(fm, tries))
			return FEDMEM_BUSY;
	if (copy.state == FEDMEM_ALARM_FREE)
		return FEDMEM_NOT_FOUND;
	memcpy(out, &copy, sizeof(copy));
	return 0;
}

const struct fedmem_alarm *fedmem_alarm_find(const struct fedmem_writer *w,
					     const struct fedmem_alarm_key *key)
{
	struct alarm_texts t;
	uint32_t index;

	key_texts(&t, key);
	index = index_find(w, key->element, &t);
	return index == FEDMEM_NONE ? NULL : &w->fm->alarms[index];
}

static struct fedmem_alarm *alarm_open(struct fedmem_writer *w, uint32_t index)
{
	struct fedmem_alarm *a = &w->fm->alarms[index];

	assert(w->n_open == 0);
	record_open(w, JOURNAL_ALARM, index, &a->seq, a, sizeof(*a));
	return a;
}

struct fedmem_alarm *fedmem_alarm_begin(struct fedmem_writer *w, const struct fedmem_alarm_key *key)
{
	const struct fedmem_state *s = fedmem_state_peek(w, key->element);
	struct fedmem_alarm *a;
	struct alarm_texts t;
	uint32_t index;

	assert(s->element_id != 0);
	key_texts(&t, key);
	index = index_find(w, key->element, &t);
	if (index != FEDMEM_NONE)
		return alarm_open(w, index);
	if (w->free_first == FEDMEM_NONE && w->gone_first != FEDMEM_NONE)
		make_free(w, w->gone_first);
	if (w->free_first == FEDMEM_NONE)
		free_some_void(w);
	index = w->free_first;
	if (index == FEDMEM_NONE)
		return NULL;
	w->free_first = w->links[index].age_next;

	a = alarm_open(w, index);
	memset((char *)a + sizeof(a->seq), 0, sizeof(*a) - sizeof(a->seq));
	a->element = key->element;
	a->next = FEDMEM_NONE;
	a->element_id = s->element_id;
	a->token = s->token;
	memcpy((char *)a + offsetof(struct fedmem_alarm, type), &t, sizeof(t));
	return a;
}

/* Lists, chain, counts and index after a change of this alarm from 'old'. */
static void follow(struct fedmem_writer *w, uint32_t index, const struct fedmem_alarm *old)
{
	const struct fedmem_alarm *a = &w->fm->alarms[index];
	bool was_raised = old->state == FEDMEM_ALARM_RAISED;
	bool is_raised = a->state == FEDMEM_ALARM_RAISED;

	if (was_raised)
		--*chain_count(w, a, old->severity);
	if (old->state == FEDMEM_ALARM_GONE && a->state != FEDMEM_ALARM_GONE)
		gone_unlink(w, index);

	if (a->state == FEDMEM_ALARM_FREE) {
		if (old->state != FEDMEM_ALARM_FREE)
			forget(w, index);
		alarm_free_push(w, index);
		return;
	}
	if (old->state == FEDMEM_ALARM_FREE) {
		alarm_index_add(w, index);
		used_add(w, 1);
		chain_push(w, index);
	} else if (is_raised && !was_raised) {
		chain_unlink(w, index); /* the most recently raised one stands first */
		chain_push(w, index);
	}
	if (is_raised)
		++*chain_count(w, a, a->severity);
	else if (old->state != FEDMEM_ALARM_GONE)
		alarm_gone_append(w, index);
}

void fedmem_alarm_commit(struct fedmem_writer *w, struct fedmem_alarm *a,
			 enum fedmem_event_kind kind)
{
	uint32_t index = index_of(w->fm, a);
	struct fedmem_event e = {
		.number = event_next_number(w),
		.time_ns = a->changed_ns,
		.alarm = index,
		.element = a->element,
		.kind = (uint8_t)kind,
		.severity = a->severity,
	};

	assert(w->n_open == 1 && seqlock_is_odd(&a->seq) && a->severity < SEVERITIES);
	if (kind != 0)
		a->change = e.number;
	record_close(w, &a->seq);
	/* The image from before stays in the journal until the next record is opened. */
	follow(w, index, (const struct fedmem_alarm *)(const void *)w->fm->journal->image);
	if (kind != 0)
		event_push(w, &e);
}
