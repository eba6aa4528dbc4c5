#include "tests/lib/played_archive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum kind { EVENT, ALARM, ELEMENT, NOTE, SYNC, STATUS, MARK };

/* By kind and key; the value is the message as it goes over the wire, or the mark's octets. */
struct row {
	enum kind kind;
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
	struct row *rows;
	size_t n_rows, room;
	struct archive_batch *waiting, **end;
	uint64_t number;
	uint32_t n_to_refuse, n_waiting;
	struct played_puts puts;
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

static struct row *add(struct archive_batch *b, enum kind kind)
{
	make_room(&b->rows, b->n_rows, &b->room);
	b->rows[b->n_rows] = (struct row){.kind = kind};
	return &b->rows[b->n_rows++];
}

static void value(struct row *r, struct wire_bytes bytes)
{
	r->value = bytes.bytes;
	r->n = bytes.n;
}

int archive_put_event(struct archive_batch *b, const struct wire_event *e)
{
	struct row *r = add(b, EVENT);
	struct wire_bytes bytes;

	key_number(r, e->origin);
	key_number(r, e->number);
	if (wire_event_pack(e, &bytes) < 0)
		abort();
	value(r, bytes);
	return 0;
}

int archive_put_alarm(struct archive_batch *b, const struct wire_stored_alarm *s)
{
	struct row *r = add(b, ALARM);
	struct wire_bytes bytes;

	key_number(r, s->element_id);
	key_octets(r, s->type);
	key_octets(r, s->resource);
	key_octets(r, s->qualifier);
	if (s->state == 0)
		return 0;
	if (wire_stored_alarm_pack(s, &bytes) < 0)
		abort();
	value(r, bytes);
	return 0;
}

int archive_put_element(struct archive_batch *b, const struct wire_stored_element *s)
{
	struct row *r = add(b, ELEMENT);
	struct wire_bytes bytes;

	key_number(r, s->id);
	if (wire_stored_element_pack(s, &bytes) < 0)
		abort();
	value(r, bytes);
	return 0;
}

int archive_put_note(struct archive_batch *b, const struct wire_alarm_note *n)
{
	struct row *r = add(b, NOTE);
	struct wire_bytes bytes;

	key_number(r, n->element_id);
	key_octets(r, n->type);
	key_octets(r, n->resource);
	key_octets(r, n->qualifier);
	if (wire_alarm_note_pack(n, &bytes) < 0)
		abort();
	value(r, bytes);
	return 0;
}

int archive_put_status(struct archive_batch *b, const struct wire_status *s)
{
	struct wire_bytes bytes;

	if (wire_status_pack(s, &bytes) < 0)
		abort();
	value(add(b, STATUS), bytes);
	return 0;
}

int archive_put_mark(struct archive_batch *b, const char *name, const void *mark, size_t n)
{
	struct row *r = add(b, MARK);

	key_bytes(r, name, strlen(name));
	r->value = malloc(n);
	if (r->value == NULL)
		abort();
	memcpy(r->value, mark, n);
	r->n = n;
	return 0;
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

int archive_commit(struct archive *a, struct archive_batch *b, void (*done)(void *user), void *user)
{
	if (a->n_to_refuse > 0) {
		a->n_to_refuse--;
		archive_batch_free(b);
		return -ENOBUFS;
	}
	b->done = done;
	b->user = user;
	*a->end = b;
	a->end = &b->next;
	a->n_waiting++;
	return 0;
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

/* Takes the row's value. */
static void apply(struct archive *a, struct row *r)
{
	size_t at = find(a, r);

	if (is_at(a, at, r)) {
		free(a->rows[at].value);
		memmove(&a->rows[at], &a->rows[at + 1], (a->n_rows - at - 1) * sizeof(*a->rows));
		a->n_rows--;
	}
	if (r->value == NULL)
		return;
	make_room(&a->rows, a->n_rows, &a->room);
	memmove(&a->rows[at + 1], &a->rows[at], (a->n_rows - at) * sizeof(*a->rows));
	a->rows[at] = *r;
	a->n_rows++;
	r->value = NULL;
}

static void count(struct played_puts *puts, const struct row *r)
{
	puts->n_events += r->kind == EVENT;
	puts->n_alarms += r->kind == ALARM && r->value != NULL;
	puts->n_removed += r->value == NULL;
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

void played_archive_turn(struct archive *a)
{
	struct archive_batch *b;

	for (uint32_t n = a->n_waiting; n > 0 && (b = next_waiting(a)) != NULL; n--) {
		onto_disk(a, b);
		archive_batch_free(b);
	}
}

void played_archive_kill(struct archive *a)
{
	struct archive_batch *b;

	a->seen = NULL;
	while ((b = next_waiting(a)) != NULL)
		archive_batch_free(b);
}

void played_archive_kill_late(struct archive *a)
{
	struct archive_batch *b;

	a->seen = NULL;
	while ((b = next_waiting(a)) != NULL) {
		b->done = NULL;
		onto_disk(a, b);
		archive_batch_free(b);
	}
}

void played_archive_refuse(struct archive *a, uint32_t n_commits)
{
	a->n_to_refuse = n_commits;
}

void played_archive_lose(struct archive *a)
{
	for (size_t i = 0; i < a->n_rows; i++)
		free(a->rows[i].value);
	a->n_rows = 0;
	a->number += 1000;
}

struct played_puts played_archive_puts(const struct archive *a)
{
	return a->puts;
}

uint32_t played_archive_waiting(const struct archive *a)
{
	return a->n_waiting;
}

struct archive *played_archive_create(void)
{
	struct archive *a = calloc(1, sizeof(*a));

	if (a == NULL)
		abort();
	a->end = &a->waiting;
	return a;
}

void played_archive_destroy(struct archive *a)
{
	if (a == NULL)
		return;
	played_archive_kill(a);
	played_archive_lose(a);
	free(a->rows);
	free(a);
}

/* ---- Reading ---- */

static uint64_t number_at(const struct row *r, size_t at)
{
	uint64_t n = 0;

	for (size_t i = 0; i < 8; i++)
		n = n << 8 | r->key[at + i];
	return n;
}

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
