#include "tests/lib/fake_archive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "dp/fedmem/fedmem.h"

enum kind { EVENT, ALARM, ELEMENT, NOTE, SYNC, STATUS, MARK, DROP };

/* By kind and key; the value is the message as it goes over the wire, or the mark's octets. */
struct row {
	enum kind kind; /* DROP, in a batch only: the element's alarms and notes */
	size_t key_bytes, n;
	uint8_t key[192];
	uint8_t *value; /* NULL: remove it */
};

struct archive_batch {
	struct archive_batch *next;
	struct row *rows;
	size_t n_rows, room;
	void (*done)(void *user);
	void *user;
};

struct archive {
	uv_timer_t *timer; /* NULL: the test turns */
	struct row *rows;
	size_t n_rows, room;
	struct archive_batch *waiting, **end;
	uint64_t number;
	uint32_t n_to_take, n_to_refuse, n_waiting;
	bool is_held;
	struct fake_archive_puts puts;
	void (*seen)(void *user, const struct wire_event *e);
	void *user;
};

/* ---- Keys ---- */

static void key_bytes(struct row *r, const void *bytes, size_t n)
{
	if (r->key_bytes + n > sizeof(r->key))
		abort();
	if (n > 0)
		memcpy(r->key + r->key_bytes, bytes, n);
	r->key_bytes += n;
}

static void key_number(struct row *r, uint64_t n)
{
	for (int shift = 56; shift >= 0; shift -= 8)
		key_bytes(r, &(uint8_t){(uint8_t)(n >> shift)}, 1);
}

static void key_octets(struct row *r, struct wire_octets o)
{
	key_bytes(r, &(uint8_t){(uint8_t)o.n}, 1);
	key_bytes(r, o.bytes, o.n);
}

static void key_record(struct row *r, uint64_t element, struct wire_octets type,
		       struct wire_octets resource, struct wire_octets qualifier)
{
	key_number(r, element);
	key_octets(r, type);
	key_octets(r, resource);
	key_octets(r, qualifier);
}

static uint64_t number_at(const struct row *r, size_t at)
{
	uint64_t n = 0;

	for (size_t i = 0; i < 8; i++)
		n = n << 8 | r->key[at + i];
	return n;
}

static int compare(const struct row *a, const struct row *b)
{
	size_t n = a->key_bytes < b->key_bytes ? a->key_bytes : b->key_bytes;
	int order = (a->kind > b->kind) - (a->kind < b->kind);

	if (order == 0)
		order = memcmp(a->key, b->key, n);
	return order != 0 ? order : (a->key_bytes > b->key_bytes) - (a->key_bytes < b->key_bytes);
}

/* Where the row lies or would lie. */
static size_t find(const struct archive *a, const struct row *key)
{
	size_t low = 0, high = a->n_rows;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(&a->rows[middle], key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_at(const struct archive *a, size_t at, const struct row *key)
{
	return at < a->n_rows && compare(&a->rows[at], key) == 0;
}

/* ---- Writing ---- */

static void make_room(struct row **rows, size_t n, size_t *room)
{
	if (n < *room)
		return;
	*room = *room == 0 ? 16 : 2 * *room;
	*rows = reallocarray(*rows, *room, sizeof(**rows));
	if (*rows == NULL)
		abort();
}

struct archive_batch *archive_batch(struct archive *a)
{
	return calloc(1, sizeof(struct archive_batch));
}

/* 'err': of packing. Takes what was packed. */
static int put(struct archive_batch *b, const struct row *r, int err,
	       const struct wire_bytes *packed)
{
	if (err != 0)
		return err;
	make_room(&b->rows, b->n_rows, &b->room);
	b->rows[b->n_rows] = *r;
	b->rows[b->n_rows].value = packed->bytes;
	b->rows[b->n_rows++].n = packed->n;
	return 0;
}

int archive_put_event(struct archive_batch *b, const struct wire_event *record)
{
	struct row r = {.kind = EVENT};
	struct wire_bytes packed = {0};

	key_number(&r, record->origin);
	key_number(&r, record->number);
	return put(b, &r, wire_event_pack(record, &packed), &packed);
}

int archive_put_alarm(struct archive_batch *b, const struct wire_stored_alarm *record)
{
	struct row r = {.kind = ALARM};
	struct wire_bytes packed = {0};

	key_record(&r, record->element_id, record->type, record->resource, record->qualifier);
	if (record->state == FEDMEM_ALARM_FREE)
		return put(b, &r, 0, &packed);
	return put(b, &r, wire_stored_alarm_pack(record, &packed), &packed);
}

int archive_put_element(struct archive_batch *b, const struct wire_stored_element *record)
{
	struct row r = {.kind = ELEMENT};
	struct wire_bytes packed = {0};

	key_number(&r, record->id);
	return put(b, &r, wire_stored_element_pack(record, &packed), &packed);
}

int archive_put_note(struct archive_batch *b, const struct wire_alarm_note *record)
{
	struct row r = {.kind = NOTE};
	struct wire_bytes packed = {0};

	key_record(&r, record->element_id, record->type, record->resource, record->qualifier);
	return put(b, &r, wire_alarm_note_pack(record, &packed), &packed);
}

int archive_put_sync(struct archive_batch *b, const struct wire_cell_sync *record)
{
	struct row r = {.kind = SYNC};
	struct wire_bytes packed = {0};

	key_bytes(&r, record->cell, strlen(record->cell));
	return put(b, &r, wire_cell_sync_pack(record, &packed), &packed);
}

int archive_put_status(struct archive_batch *b, const struct wire_status *record)
{
	const struct row r = {.kind = STATUS};
	struct wire_bytes packed = {0};

	return put(b, &r, wire_status_pack(record, &packed), &packed);
}

int archive_drop_alarms(struct archive_batch *b, uint64_t element_id)
{
	struct row r = {.kind = DROP};

	key_number(&r, element_id);
	return put(b, &r, 0, &(struct wire_bytes){0});
}

int archive_put_mark(struct archive_batch *b, const char *name, const void *mark, size_t n)
{
	struct row r = {.kind = MARK};
	struct wire_bytes copy = {.bytes = malloc(n), .n = n};

	if (copy.bytes == NULL)
		abort();
	memcpy(copy.bytes, mark, n);
	key_bytes(&r, name, strlen(name));
	return put(b, &r, 0, &copy);
}

void archive_batch_free(struct archive_batch *b)
{
	if (b == NULL)
		return;
	for (size_t i = 0; i < b->n_rows; i++)
		free(b->rows[i].value);
	free(b->rows);
	free(b);
}

uint64_t archive_next_number(struct archive *a)
{
	return ++a->number;
}

void archive_follow(struct archive *a, void (*seen)(void *user, const struct wire_event *e),
		    void *user)
{
	a->seen = seen;
	a->user = user;
}

/* ---- The disk ---- */

static void remove_at(struct archive *a, size_t at)
{
	free(a->rows[at].value);
	memmove(&a->rows[at], &a->rows[at + 1], (a->n_rows - at - 1) * sizeof(*a->rows));
	a->n_rows--;
}

static void drop(struct archive *a, enum kind kind, uint64_t element)
{
	struct row key = {.kind = kind};
	size_t at;

	key_number(&key, element);
	at = find(a, &key);
	while (at < a->n_rows && a->rows[at].kind == kind && number_at(&a->rows[at], 0) == element)
		remove_at(a, at);
}

/* Takes the row's value. */
static void apply(struct archive *a, struct row *r)
{
	size_t at = find(a, r);

	if (r->kind == DROP) {
		drop(a, ALARM, number_at(r, 0));
		drop(a, NOTE, number_at(r, 0));
		return;
	}
	if (is_at(a, at, r))
		remove_at(a, at);
	if (r->value == NULL)
		return;
	make_room(&a->rows, a->n_rows, &a->room);
	memmove(&a->rows[at + 1], &a->rows[at], (a->n_rows - at) * sizeof(*a->rows));
	a->rows[at] = *r;
	a->n_rows++;
	r->value = NULL;
}

static void count(struct fake_archive_puts *puts, const struct row *r)
{
	puts->n_events += r->kind == EVENT;
	puts->n_alarms += r->kind == ALARM && r->value != NULL;
	puts->n_removed += r->kind == ALARM && r->value == NULL;
	puts->n_elements += r->kind == ELEMENT;
	puts->n_notes += r->kind == NOTE;
	puts->n_status += r->kind == STATUS;
}

static void onto_disk(struct archive *a, struct archive_batch *b)
{
	for (size_t i = 0; i < b->n_rows; i++) {
		count(&a->puts, &b->rows[i]);
		if (b->rows[i].kind == EVENT && a->seen != NULL) {
			struct wire_event *e;

			if (wire_event_unpack(b->rows[i].value, b->rows[i].n, &e) < 0)
				abort();
			apply(a, &b->rows[i]);
			a->seen(a->user, e);
			wire_free(e);
		} else {
			apply(a, &b->rows[i]);
		}
	}
	a->puts.n_commits++;
	if (b->done != NULL)
		b->done(b->user);
}

static struct archive_batch *next_waiting(struct archive *a)
{
	struct archive_batch *b = a->waiting;

	if (b == NULL)
		return NULL;
	a->waiting = b->next;
	if (a->waiting == NULL)
		a->end = &a->waiting;
	a->n_waiting--;
	return b;
}

void fake_archive_turn(struct archive *a)
{
	struct archive_batch *b;

	for (uint32_t n = a->n_waiting; n > 0 && (b = next_waiting(a)) != NULL; n--) {
		onto_disk(a, b);
		archive_batch_free(b);
	}
}

static void on_timer(uv_timer_t *timer)
{
	struct archive *a = timer->data;

	if (!a->is_held)
		fake_archive_turn(a);
}

int archive_commit(struct archive *a, struct archive_batch *b, void (*done)(void *user), void *user)
{
	if (a->n_to_take > 0) {
		a->n_to_take--;
	} else if (a->n_to_refuse > 0) {
		a->n_to_refuse--;
		archive_batch_free(b);
		return -ENOBUFS;
	}
	b->done = done;
	b->user = user;
	*a->end = b;
	a->end = &b->next;
	a->n_waiting++;
	if (a->timer != NULL)
		uv_timer_start(a->timer, on_timer, 0, 0);
	return 0;
}

void fake_archive_hold(struct archive *a, bool is_held)
{
	a->is_held = is_held;
	uv_timer_start(a->timer, on_timer, 0, 0);
}

void fake_archive_kill(struct archive *a)
{
	struct archive_batch *b;

	a->seen = NULL;
	while ((b = next_waiting(a)) != NULL)
		archive_batch_free(b);
}

void fake_archive_kill_late(struct archive *a)
{
	struct archive_batch *b;

	a->seen = NULL;
	while ((b = next_waiting(a)) != NULL) {
		b->done = NULL;
		onto_disk(a, b);
		archive_batch_free(b);
	}
}

void fake_archive_refuse(struct archive *a, uint32_t n_taken, uint32_t n_refused)
{
	a->n_to_take = n_taken;
	a->n_to_refuse = n_refused;
}

void fake_archive_lose(struct archive *a)
{
	for (size_t i = 0; i < a->n_rows; i++)
		free(a->rows[i].value);
	a->n_rows = 0;
	a->number += 1000;
}

struct fake_archive_puts fake_archive_puts(const struct archive *a)
{
	return a->puts;
}

uint32_t fake_archive_waiting(const struct archive *a)
{
	return a->n_waiting;
}

struct archive *fake_archive_create(struct uv_loop_s *loop)
{
	struct archive *a = calloc(1, sizeof(*a));

	if (a == NULL)
		abort();
	a->end = &a->waiting;
	if (loop == NULL)
		return a;
	a->timer = calloc(1, sizeof(*a->timer));
	if (a->timer == NULL)
		abort();
	uv_timer_init(loop, a->timer);
	a->timer->data = a;
	return a;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle);
}

void fake_archive_destroy(struct archive *a)
{
	if (a == NULL)
		return;
	fake_archive_kill(a);
	fake_archive_lose(a);
	if (a->timer != NULL)
		uv_close((uv_handle_t *)a->timer, on_closed);
	free(a->rows);
	free(a);
}

/* ---- Reading ---- */

#define READ(function, type, kind_)                                                                \
	int function(struct archive *a, uint64_t first, uint64_t last,                             \
		     bool (*see)(void *user, const struct wire_##type *s), void *user)             \
	{                                                                                          \
		struct row key = {.kind = kind_};                                                  \
		bool is_wanted = true;                                                             \
                                                                                                   \
		key_number(&key, first);                                                           \
		for (size_t i = find(a, &key);                                                     \
		     is_wanted && i < a->n_rows && a->rows[i].kind == kind_ &&                     \
		     number_at(&a->rows[i], 0) <= last;                                            \
		     i++) {                                                                        \
			struct wire_##type *s;                                                     \
                                                                                                   \
			if (wire_##type##_unpack(a->rows[i].value, a->rows[i].n, &s) < 0)          \
				abort();                                                           \
			is_wanted = see(user, s);                                                  \
			wire_free(s);                                                              \
		}                                                                                  \
		return 0;                                                                          \
	}
READ(archive_alarms, stored_alarm, ALARM)
READ(archive_notes, alarm_note, NOTE)
READ(archive_elements, stored_element, ELEMENT)

int archive_events(struct archive *a, uint16_t origin, uint64_t after, uint64_t last,
		   bool is_descending, bool (*see)(void *user, const struct wire_event *e),
		   void *user)
{
	struct row key = {.kind = EVENT};
	bool is_wanted = after < last;
	size_t first, end;

	key_number(&key, origin);
	key_number(&key, after);
	first = find(a, &key);
	first += is_at(a, first, &key);
	for (end = first; end < a->n_rows && a->rows[end].kind == EVENT &&
			  number_at(&a->rows[end], 0) == origin &&
			  number_at(&a->rows[end], 8) <= last;)
		end++;
	for (size_t i = 0; is_wanted && i < end - first; i++) {
		const struct row *r = &a->rows[is_descending ? end - 1 - i : first + i];
		struct wire_event *e;

		if (wire_event_unpack(r->value, r->n, &e) < 0)
			abort();
		is_wanted = see(user, e);
		wire_free(e);
	}
	return 0;
}

uint32_t archive_origins(struct archive *a, uint16_t *out, uint32_t room)
{
	uint32_t n = 0;

	for (size_t i = 0; i < a->n_rows && a->rows[i].kind == EVENT && n < room; i++) {
		uint16_t origin = (uint16_t)number_at(&a->rows[i], 0);

		if (n == 0 || out[n - 1] != origin)
			out[n++] = origin;
	}
	return n;
}

bool archive_sync(struct archive *a, const char *cell, struct wire_cell_sync **out)
{
	struct row key = {.kind = SYNC};
	size_t at;

	key_bytes(&key, cell, strlen(cell));
	at = find(a, &key);
	return is_at(a, at, &key) &&
	       wire_cell_sync_unpack(a->rows[at].value, a->rows[at].n, out) == 0;
}

bool archive_status(struct archive *a, struct wire_status **out)
{
	struct row key = {.kind = STATUS};
	size_t at = find(a, &key);

	return is_at(a, at, &key) && wire_status_unpack(a->rows[at].value, a->rows[at].n, out) == 0;
}

bool archive_mark(struct archive *a, const char *name, void *mark, size_t *n)
{
	struct row key = {.kind = MARK};
	size_t at;

	key_bytes(&key, name, strlen(name));
	at = find(a, &key);
	if (!is_at(a, at, &key) || a->rows[at].n > *n)
		return false;
	*n = a->rows[at].n;
	memcpy(mark, a->rows[at].value, *n);
	return true;
}

void archive_look(struct archive *a, struct archive_state *out)
{
	*out = (struct archive_state){.name = "ok", .bytes_used = 1000, .bytes_max = 100000};
}
