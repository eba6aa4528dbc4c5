#include "cp/fanout/merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void merge_init(struct merge *m, enum fanout_kind kind)
{
	*m = (struct merge){.kind = kind, .whole_until = UINT64_MAX};
	m->record_bytes =
		kind == FANOUT_ELEMENTS ? sizeof(struct wire_element) : sizeof(struct wire_alarm);
}

static int add_records(struct merge *m, const void *records, uint32_t n)
{
	uint8_t *more;

	if (n == 0)
		return 0;
	more = reallocarray(m->records, (size_t)m->n + n, m->record_bytes);
	if (more == NULL)
		return -ENOMEM;
	m->records = more;
	memcpy(m->records + m->n * m->record_bytes, records, n * m->record_bytes);
	m->n += n;
	return 0;
}

static void end_at(struct merge *m, uint64_t next_after)
{
	if (next_after != 0 && next_after < m->whole_until)
		m->whole_until = next_after;
}

int merge_add(struct merge *m, const struct fanout_list *part)
{
	if (m->kind == FANOUT_ELEMENTS) {
		end_at(m, part->elements.next_after);
		return add_records(m, part->elements.elements, part->elements.n_elements);
	}
	end_at(m, part->alarms.next_after);
	m->n_left_out += part->alarms.n_left_out;
	return add_records(m, part->alarms.alarms, part->alarms.n_alarms);
}

static const void *record_at(const struct merge *m, uint32_t at)
{
	return m->records + at * m->record_bytes;
}

static uint64_t element_id(enum fanout_kind kind, const void *record)
{
	return kind == FANOUT_ELEMENTS ? ((const struct wire_element *)record)->id
				       : ((const struct wire_alarm *)record)->element_id;
}

uint64_t merge_element_id(const struct merge *m, uint32_t at)
{
	return element_id(m->kind, record_at(m, at));
}

static struct wire_token token_of(enum fanout_kind kind, const void *record)
{
	return kind == FANOUT_ELEMENTS ? ((const struct wire_element *)record)->token
				       : ((const struct wire_alarm *)record)->token;
}

static int compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_tokens(struct wire_token a, struct wire_token b)
{
	return a.epoch != b.epoch ? compare(a.epoch, b.epoch) : compare(a.generation, b.generation);
}

static int compare_keys(const struct wire_alarm *x, const struct wire_alarm *y)
{
	int order = compare(x->element_id, y->element_id);

	if (order == 0)
		order = strcmp(x->type, y->type);
	if (order == 0)
		order = strcmp(x->resource, y->resource);
	if (order == 0)
		order = strcmp(x->qualifier, y->qualifier);
	return order;
}

/* ---- Orders: of one element, or one alarm, the record that counts comes first ---- */

static int compare_elements(const void *a, const void *b)
{
	const struct wire_element *x = a, *y = b;
	int order = compare(x->id, y->id);

	if (order == 0)
		order = compare_tokens(y->token, x->token);
	return order != 0 ? order : compare(y->stored_ns, x->stored_ns);
}

static int compare_memory_alarms(const void *a, const void *b)
{
	const struct wire_alarm *x = a, *y = b;
	int order = compare(x->element_id, y->element_id);

	if (order == 0)
		order = compare_tokens(y->token, x->token);
	return order != 0 ? order : compare_keys(x, y);
}

/* Under one token there was one writer, so its own times say which of two copies is the later. */
static int compare_stored_alarms(const void *a, const void *b)
{
	const struct wire_alarm *x = a, *y = b;
	int order = compare_keys(x, y);

	if (order == 0)
		order = compare_tokens(y->token, x->token);
	if (order == 0)
		order = compare(y->changed_ns, x->changed_ns);
	if (order == 0)
		order = compare(y->last_ns, x->last_ns);
	return order != 0 ? order : compare(x->age_ms, y->age_ms);
}

static int compare_alarms(const void *a, const void *b)
{
	return compare_keys(a, b);
}

static void sort(struct merge *m, int (*order)(const void *a, const void *b))
{
	if (m->n > 1)
		qsort(m->records, m->n, m->record_bytes, order);
}

/* ---- One of each ---- */

static bool is_repeated(const struct merge *m, const void *kept, const void *record, bool is_store)
{
	if (element_id(m->kind, kept) != element_id(m->kind, record))
		return false;
	if (m->kind == FANOUT_ELEMENTS)
		return true;
	if (is_store)
		return compare_keys(kept, record) == 0;
	return compare_tokens(token_of(m->kind, kept), token_of(m->kind, record)) != 0;
}

/* What the operator said last counts, whichever copy has it; of this alarm, not of the one before
 * it. */
static void take_note(struct wire_alarm *kept, const struct wire_alarm *other)
{
	if (kept->raised_ns != other->raised_ns || other->operator_ns <= kept->operator_ns)
		return;
	kept->operator_state = other->operator_state;
	kept->operator_name = other->operator_name;
	kept->operator_text = other->operator_text;
	kept->operator_ns = other->operator_ns;
}

static void leave_first(struct merge *m, bool is_store)
{
	uint32_t n = 0;
	uint8_t *kept = NULL;

	for (uint32_t i = 0; i < m->n; i++) {
		const void *record = record_at(m, i);

		if (kept != NULL && is_repeated(m, kept, record, is_store)) {
			if (is_store && m->kind == FANOUT_ALARMS)
				take_note((struct wire_alarm *)kept, record);
			continue;
		}
		kept = memmove(m->records + n++ * m->record_bytes, record, m->record_bytes);
	}
	m->n = n;
}

void merge_memories(struct merge *m)
{
	sort(m, m->kind == FANOUT_ELEMENTS ? compare_elements : compare_memory_alarms);
	leave_first(m, false);
}

void merge_stores(struct merge *m)
{
	sort(m, m->kind == FANOUT_ELEMENTS ? compare_elements : compare_stored_alarms);
	leave_first(m, true);
}

void merge_keep(struct merge *m, bool (*is_kept)(const void *record, void *user), void *user)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->n; i++)
		if (is_kept(record_at(m, i), user))
			memmove(m->records + n++ * m->record_bytes, record_at(m, i),
				m->record_bytes);
	m->n = n;
}

int merge_join(struct merge *m, const struct merge *other)
{
	int err = add_records(m, other->records, other->n);

	end_at(m, other->whole_until == UINT64_MAX ? 0 : other->whole_until);
	m->n_left_out += other->n_left_out;
	sort(m, m->kind == FANOUT_ELEMENTS ? compare_elements : compare_alarms);
	return err;
}

void merge_cut(struct merge *m, uint32_t limit, struct fanout_list *list)
{
	uint32_t n = 0, n_elements = 0;
	uint64_t next_after;

	for (; n < m->n; n++) {
		uint64_t id = merge_element_id(m, n);
		bool is_same = n > 0 && id == merge_element_id(m, n - 1);

		if (id > m->whole_until)
			break;
		if (!is_same && n_elements == limit) {
			m->whole_until = merge_element_id(m, n - 1);
			break;
		}
		n_elements += !is_same;
	}
	m->n = n;
	next_after = m->whole_until == UINT64_MAX ? 0 : m->whole_until;
	if (m->kind == FANOUT_ELEMENTS) {
		list->elements.elements = (struct wire_element *)m->records;
		list->elements.n_elements = n;
		list->elements.next_after = next_after;
	} else {
		list->alarms.alarms = (struct wire_alarm *)m->records;
		list->alarms.n_alarms = n;
		list->alarms.next_after = next_after;
		list->alarms.n_left_out = m->n_left_out;
	}
}

void merge_fini(struct merge *m)
{
	free(m->records);
	m->records = NULL;
}
