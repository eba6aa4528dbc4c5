#include "tests/lib/fake_archive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

enum kind { EVENT, ALARM, ELEMENT, NOTE, SYNC, DROP };

struct op {
	struct op *next;
	enum kind kind;
	void *record; /* unpacked; NULL: DROP */
	uint64_t element;
};

struct archive_batch {
	struct archive_batch *next;
	struct op *first, **end;
	void (*done)(void *user);
	void *user;
};

struct archive {
	uv_timer_t *timer;
	struct archive_batch *waiting, **end;
	uint32_t n_waiting, n_allowed;
	bool is_held;
	struct op *records; /* on disk, newest first */
};

/* ---- Records ---- */

static void op_free(struct op *op)
{
	wire_free(op->record);
	free(op);
}

static bool is_same_octets(struct wire_octets a, struct wire_octets b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.bytes, b.bytes, a.n) == 0);
}

static bool is_same_alarm(const struct wire_stored_alarm *a, const struct wire_stored_alarm *b)
{
	return a->element_id == b->element_id && is_same_octets(a->type, b->type) &&
	       is_same_octets(a->resource, b->resource) &&
	       is_same_octets(a->qualifier, b->qualifier);
}

static bool is_same_note(const struct wire_alarm_note *a, const struct wire_alarm_note *b)
{
	return a->element_id == b->element_id && is_same_octets(a->type, b->type) &&
	       is_same_octets(a->resource, b->resource) &&
	       is_same_octets(a->qualifier, b->qualifier);
}

static bool is_same_event(const struct wire_event *a, const struct wire_event *b)
{
	return a->origin == b->origin && a->number == b->number;
}

static bool is_replaced(const struct op *old, const struct op *by)
{
	const struct wire_cell_sync *old_sync = old->record, *sync = by->record;

	if (by->kind == DROP)
		return (old->kind == ALARM || old->kind == NOTE) && old->element == by->element;
	if (old->kind != by->kind)
		return false;
	switch (by->kind) {
	case EVENT:
		return is_same_event(old->record, by->record);
	case ALARM:
		return is_same_alarm(old->record, by->record);
	case ELEMENT:
		return old->element == by->element;
	case NOTE:
		return is_same_note(old->record, by->record);
	case SYNC:
		return strcmp(old_sync->cell, sync->cell) == 0;
	case DROP:
		break;
	}
	return false;
}

static void apply(struct archive *a, struct op *op)
{
	const struct wire_stored_alarm *alarm = op->kind == ALARM ? op->record : NULL;

	for (struct op **link = &a->records; *link != NULL;) {
		struct op *old = *link;

		if (!is_replaced(old, op)) {
			link = &old->next;
			continue;
		}
		*link = old->next;
		op_free(old);
	}
	if (op->kind == DROP || (alarm != NULL && alarm->state == 0)) {
		op_free(op);
		return;
	}
	op->next = a->records;
	a->records = op;
}

/* ---- The disk ---- */

static void on_disk(uv_timer_t *timer)
{
	struct archive *a = timer->data;
	struct archive_batch *b;

	while (!a->is_held && (b = a->waiting) != NULL) {
		a->waiting = b->next;
		if (a->waiting == NULL)
			a->end = &a->waiting;
		a->n_waiting--;
		while (b->first != NULL) {
			struct op *op = b->first;

			b->first = op->next;
			apply(a, op);
		}
		if (b->done != NULL)
			b->done(b->user);
		archive_batch_free(b);
	}
}

struct archive *fake_archive_create(struct uv_loop_s *loop)
{
	struct archive *a = calloc(1, sizeof(*a));

	if (a == NULL)
		abort();
	a->timer = calloc(1, sizeof(*a->timer));
	if (a->timer == NULL)
		abort();
	uv_timer_init(loop, a->timer);
	a->timer->data = a;
	a->end = &a->waiting;
	a->n_allowed = UINT32_MAX;
	return a;
}

void fake_archive_hold(struct archive *a, bool is_held)
{
	a->is_held = is_held;
	uv_timer_start(a->timer, on_disk, 0, 0);
}

void fake_archive_limit(struct archive *a, uint32_t n_commits)
{
	a->n_allowed = n_commits;
}

uint32_t fake_archive_waiting(const struct archive *a)
{
	return a->n_waiting;
}

void fake_archive_crash(struct archive *a)
{
	while (a->waiting != NULL) {
		struct archive_batch *b = a->waiting;

		a->waiting = b->next;
		archive_batch_free(b);
	}
	a->end = &a->waiting;
	a->n_waiting = 0;
}

void fake_archive_clear(struct archive *a)
{
	while (a->records != NULL) {
		struct op *op = a->records;

		a->records = op->next;
		op_free(op);
	}
}

static void on_closed(uv_handle_t *handle)
{
	free(handle);
}

void fake_archive_destroy(struct archive *a)
{
	if (a == NULL)
		return;
	fake_archive_crash(a);
	fake_archive_clear(a);
	uv_close((uv_handle_t *)a->timer, on_closed);
	free(a);
}

/* ---- What archive.h promises: writing ---- */

struct archive_batch *archive_batch(struct archive *a)
{
	struct archive_batch *b = calloc(1, sizeof(*b));

	if (b != NULL)
		b->end = &b->first;
	return b;
}

static int put(struct archive_batch *b, enum kind kind, void *record, uint64_t element)
{
	struct op *op = calloc(1, sizeof(*op));

	if (op == NULL)
		abort();
	*op = (struct op){.kind = kind, .record = record, .element = element};
	*b->end = op;
	b->end = &op->next;
	return 0;
}

#define PUT(function, type, of, id)                                                                \
	int function(struct archive_batch *b, const struct wire_##type *record)                    \
	{                                                                                          \
		struct wire_bytes bytes;                                                           \
		struct wire_##type *copy;                                                          \
		int err = wire_##type##_pack(record, &bytes);                                      \
                                                                                                   \
		if (err != 0)                                                                      \
			return err;                                                                \
		err = wire_##type##_unpack(bytes.bytes, bytes.n, &copy);                           \
		wire_bytes_free(&bytes);                                                           \
		return err != 0 ? err : put(b, of, copy, id);                                      \
	}
PUT(archive_put_event, event, EVENT, 0)
PUT(archive_put_alarm, stored_alarm, ALARM, record->element_id)
PUT(archive_put_element, stored_element, ELEMENT, record->id)
PUT(archive_put_note, alarm_note, NOTE, record->element_id)
PUT(archive_put_sync, cell_sync, SYNC, 0)

int archive_drop_alarms(struct archive_batch *b, uint64_t element_id)
{
	return put(b, DROP, NULL, element_id);
}

void archive_batch_free(struct archive_batch *b)
{
	if (b == NULL)
		return;
	while (b->first != NULL) {
		struct op *op = b->first;

		b->first = op->next;
		op_free(op);
	}
	free(b);
}

int archive_commit(struct archive *a, struct archive_batch *b, void (*done)(void *user), void *user)
{
	if (a->n_allowed == 0) {
		archive_batch_free(b);
		return -ENOBUFS;
	}
	a->n_allowed -= a->n_allowed != UINT32_MAX;
	b->done = done;
	b->user = user;
	*a->end = b;
	a->end = &b->next;
	a->n_waiting++;
	uv_timer_start(a->timer, on_disk, 0, 0);
	return 0;
}

/* ---- Reading ---- */

#define READ(function, type, of)                                                                   \
	int function(struct archive *a, uint64_t first, uint64_t last,                             \
		     bool (*see)(void *user, const struct wire_##type *record), void *user)        \
	{                                                                                          \
		for (struct op *op = a->records; op != NULL; op = op->next)                        \
			if (op->kind == of && op->element >= first && op->element <= last &&       \
			    !see(user, op->record))                                                \
				break;                                                             \
		return 0;                                                                          \
	}
READ(archive_alarms, stored_alarm, ALARM)
READ(archive_notes, alarm_note, NOTE)
READ(archive_elements, stored_element, ELEMENT)

int archive_events(struct archive *a, uint16_t origin, uint64_t after, uint64_t last,
		   bool is_descending, bool (*see)(void *user, const struct wire_event *e),
		   void *user)
{
	for (struct op *op = a->records; op != NULL; op = op->next) {
		const struct wire_event *e = op->record;

		if (op->kind == EVENT && e->origin == origin && e->number > after &&
		    e->number <= last && !see(user, e))
			break;
	}
	return 0;
}

bool archive_sync(struct archive *a, const char *cell, struct wire_cell_sync **out)
{
	for (struct op *op = a->records; op != NULL; op = op->next) {
		const struct wire_cell_sync *sync = op->record;
		struct wire_bytes bytes;

		if (op->kind != SYNC || strcmp(sync->cell, cell) != 0)
			continue;
		if (wire_cell_sync_pack(sync, &bytes) != 0 ||
		    wire_cell_sync_unpack(bytes.bytes, bytes.n, out) != 0)
			abort();
		wire_bytes_free(&bytes);
		return true;
	}
	return false;
}
