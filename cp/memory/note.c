#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cp/memory/memory_private.h"

/* A note and, behind it, its octets and texts. */
struct note {
	struct note *next;
	struct wire_alarm_note n;
	bool is_needed; /* forget_unneeded() alone */
	char bytes[];
};

/* ---- The alarm's key ---- */

/* FNV-1a (Fowler, Noll, Vo). */
static uint64_t hash_octets(uint64_t hash, struct wire_octets o)
{
	for (uint32_t i = 0; i < o.n; i++)
		hash = (hash ^ o.bytes[i]) * 0x100000001b3u;
	return (hash ^ o.n) * 0x100000001b3u; /* "ab" and "c" are not "a" and "bc" */
}

static uint32_t chain_of(const struct memory *m, const struct wire_alarm_note *n)
{
	uint64_t hash = 0xcbf29ce484222325u;

	hash = hash_octets(
		hash, (struct wire_octets){(const uint8_t *)&n->element_id, sizeof(n->element_id)});
	hash = hash_octets(hash, n->type);
	hash = hash_octets(hash, n->resource);
	hash = hash_octets(hash, n->qualifier);
	return (uint32_t)(hash ^ hash >> 32) & (m->n_note_chains - 1);
}

static bool is_equal(struct wire_octets a, struct wire_octets b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.bytes, b.bytes, a.n) == 0);
}

/* The link to the note of this alarm, or to the NULL where it would stand. */
static struct note **link_of(struct memory *m, const struct wire_alarm_note *key)
{
	struct note **link = &m->notes[chain_of(m, key)];

	while (*link != NULL &&
	       !((*link)->n.element_id == key->element_id && is_equal((*link)->n.type, key->type) &&
		 is_equal((*link)->n.resource, key->resource) &&
		 is_equal((*link)->n.qualifier, key->qualifier)))
		link = &(*link)->next;
	return link;
}

static void drop(struct memory *m, struct note **link)
{
	struct note *gone = *link;

	*link = gone->next;
	free(gone);
	m->n_notes--;
}

/* ---- Room ---- */

/* Keeps those that speak of an alarm that is raised now. */
static void forget_unneeded(struct memory *m)
{
	for (uint32_t i = 0; i < fedmem_sizes(m->fm)->alarms_max; i++) {
		struct fedmem_alarm a;
		struct note *found;

		if (fedmem_alarm_read(m->fm, i, &a) != 0 || a.state != FEDMEM_ALARM_RAISED)
			continue;
		found = *link_of(
			m, &(struct wire_alarm_note){
				   .element_id = a.element_id,
				   .type = memory_octets(a.type, sizeof(a.type)),
				   .resource = memory_octets(a.resource, sizeof(a.resource)),
				   .qualifier = memory_octets(a.qualifier, sizeof(a.qualifier))});
		if (found != NULL)
			found->is_needed = found->n.raised_ns == a.raised_ns;
	}
	for (uint32_t i = 0; i < m->n_note_chains; i++) {
		struct note **link = &m->notes[i];

		while (*link != NULL) {
			if (!(*link)->is_needed) {
				drop(m, link);
				continue;
			}
			(*link)->is_needed = false;
			link = &(*link)->next;
		}
	}
}

/* As many chains as there can be notes: what is raised has one each, and as many again may wait to
 * be forgotten. */
static int make_room(struct memory *m)
{
	uint32_t notes_max = 2 * fedmem_sizes(m->fm)->alarms_max;

	if (m->notes == NULL) {
		m->n_note_chains = 64;
		while (m->n_note_chains < notes_max && m->n_note_chains < 1u << 20)
			m->n_note_chains *= 2;
		m->notes = calloc(m->n_note_chains, sizeof(struct note *));
		if (m->notes == NULL)
			return -ENOMEM;
	}
	if (m->n_notes >= notes_max)
		forget_unneeded(m);
	return 0;
}

/* ---- Notes ---- */

static struct wire_octets put_octets(char **at, struct wire_octets o)
{
	struct wire_octets copy = {(const uint8_t *)*at, o.n};

	if (o.n > 0)
		memcpy(*at, o.bytes, o.n);
	*at += o.n;
	return copy;
}

static const char *put_text(char **at, const char *text)
{
	return (const char *)put_octets(
		       at, (struct wire_octets){(const uint8_t *)text, (uint32_t)strlen(text) + 1})
		.bytes;
}

static struct note *copy_of(const struct wire_alarm_note *n)
{
	struct note *copy = calloc(1, sizeof(*copy) + n->type.n + n->resource.n + n->qualifier.n +
					      strlen(n->operator_name) + strlen(n->text) +
					      strlen(n->request_id) + 3);
	char *at;

	if (copy == NULL)
		return NULL;
	at = copy->bytes;
	copy->n = *n;
	copy->n.type = put_octets(&at, n->type);
	copy->n.resource = put_octets(&at, n->resource);
	copy->n.qualifier = put_octets(&at, n->qualifier);
	copy->n.operator_name = put_text(&at, n->operator_name);
	copy->n.text = put_text(&at, n->text);
	copy->n.request_id = put_text(&at, n->request_id);
	return copy;
}

static bool is_older(const struct wire_alarm_note *a, const struct wire_alarm_note *b)
{
	return a->raised_ns != b->raised_ns ? a->raised_ns < b->raised_ns : a->time_ns < b->time_ns;
}

int memory_note_put(struct memory *m, const struct wire_alarm_note *n)
{
	struct note **link, *copy;

	if (make_room(m) < 0)
		return -ENOMEM;
	link = link_of(m, n);
	if (*link != NULL && is_older(n, &(*link)->n))
		return 0;
	copy = copy_of(n);
	if (copy == NULL)
		return -ENOMEM;
	if (*link != NULL)
		drop(m, link);
	copy->next = *link;
	*link = copy;
	m->n_notes++;
	return 0;
}

const struct wire_alarm_note *memory_note_find(struct memory *m, uint64_t element_id,
					       struct wire_octets type, struct wire_octets resource,
					       struct wire_octets qualifier)
{
	const struct note *found;

	if (m->n_notes == 0)
		return NULL;
	found = *link_of(m, &(struct wire_alarm_note){.element_id = element_id,
						      .type = type,
						      .resource = resource,
						      .qualifier = qualifier});
	return found == NULL ? NULL : &found->n;
}

void memory_notes_free(struct memory *m)
{
	for (uint32_t i = 0; m->notes != NULL && i < m->n_note_chains; i++)
		while (m->notes[i] != NULL)
			drop(m, &m->notes[i]);
	free(m->notes);
}
