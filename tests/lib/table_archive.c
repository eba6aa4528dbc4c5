#include "tests/lib/table_archive.h"

#include <stdlib.h>
#include <string.h>

#define RECORDS_MAX 16384

struct archive {
	struct wire_stored_alarm *alarms[RECORDS_MAX];
	struct wire_stored_element *elements[RECORDS_MAX];
	struct wire_alarm_note *notes[RECORDS_MAX];
	struct wire_cell_sync *syncs[RECORDS_MAX];
	uint32_t n_alarms, n_elements, n_notes, n_syncs;
	struct wire_status *status;
};

#define COPY(name, from, to)                                                                       \
	do {                                                                                       \
		struct wire_bytes bytes_;                                                          \
		if (wire_##name##_pack((from), &bytes_) != 0 ||                                    \
		    wire_##name##_unpack(bytes_.bytes, bytes_.n, (to)) != 0)                       \
			abort();                                                                   \
		wire_bytes_free(&bytes_);                                                          \
	} while (0)

/* Keeps 'records' sorted; the new one replaces its equal. */
#define PUT(records, n, copy, compare)                                                             \
	do {                                                                                       \
		uint32_t at_ = 0;                                                                  \
		while (at_ < (n) && compare((records)[at_], (copy)) < 0)                           \
			at_++;                                                                     \
		if (at_ < (n) && compare((records)[at_], (copy)) == 0) {                           \
			wire_free((records)[at_]);                                                 \
		} else {                                                                           \
			if ((n) == RECORDS_MAX)                                                    \
				abort();                                                           \
			memmove(&(records)[at_ + 1], &(records)[at_],                              \
				((n)-at_) * sizeof((records)[0]));                                 \
			(n)++;                                                                     \
		}                                                                                  \
		(records)[at_] = (copy);                                                           \
	} while (0)

static int compare_octets(struct wire_octets a, struct wire_octets b)
{
	uint32_t n = a.n < b.n ? a.n : b.n;
	int order = n == 0 ? 0 : memcmp(a.bytes, b.bytes, n);

	return order != 0 ? order : (int)a.n - (int)b.n;
}

#define COMPARE_KEYS(a, b)                                                                         \
	((a)->element_id != (b)->element_id	? ((a)->element_id < (b)->element_id ? -1 : 1)     \
	 : compare_octets((a)->type, (b)->type) ? compare_octets((a)->type, (b)->type)             \
	 : compare_octets((a)->resource, (b)->resource)                                            \
		 ? compare_octets((a)->resource, (b)->resource)                                    \
		 : compare_octets((a)->qualifier, (b)->qualifier))

static int compare_alarms(const struct wire_stored_alarm *a, const struct wire_stored_alarm *b)
{
	return COMPARE_KEYS(a, b);
}

static int compare_notes(const struct wire_alarm_note *a, const struct wire_alarm_note *b)
{
	return COMPARE_KEYS(a, b);
}

static int compare_elements(const struct wire_stored_element *a,
			    const struct wire_stored_element *b)
{
	return (a->id > b->id) - (a->id < b->id);
}

static int compare_syncs(const struct wire_cell_sync *a, const struct wire_cell_sync *b)
{
	return strcmp(a->cell, b->cell);
}

struct archive *table_archive_create(void)
{
	struct archive *a = calloc(1, sizeof(*a));

	if (a == NULL)
		abort();
	return a;
}

void table_archive_alarm(struct archive *a, const struct wire_stored_alarm *s)
{
	struct wire_stored_alarm *copy;

	COPY(stored_alarm, s, &copy);
	PUT(a->alarms, a->n_alarms, copy, compare_alarms);
}

void table_archive_element(struct archive *a, const struct wire_stored_element *s)
{
	struct wire_stored_element *copy;

	COPY(stored_element, s, &copy);
	PUT(a->elements, a->n_elements, copy, compare_elements);
}

void table_archive_note(struct archive *a, const struct wire_alarm_note *n)
{
	struct wire_alarm_note *copy;

	COPY(alarm_note, n, &copy);
	PUT(a->notes, a->n_notes, copy, compare_notes);
}

void table_archive_sync(struct archive *a, const char *cell, bool is_complete)
{
	struct wire_cell_sync *copy;

	COPY(cell_sync, (&(struct wire_cell_sync){.cell = cell, .is_complete = is_complete}),
	     &copy);
	PUT(a->syncs, a->n_syncs, copy, compare_syncs);
}

void table_archive_status(struct archive *a, const struct wire_status *s)
{
	wire_free(a->status);
	COPY(status, s, &a->status);
}

/* ---- What archive.h promises ---- */

int archive_alarms(struct archive *a, uint64_t first, uint64_t last,
		   bool (*see)(void *user, const struct wire_stored_alarm *s), void *user)
{
	for (uint32_t i = 0; i < a->n_alarms; i++)
		if (a->alarms[i]->element_id >= first && a->alarms[i]->element_id <= last &&
		    !see(user, a->alarms[i]))
			break;
	return 0;
}

int archive_notes(struct archive *a, uint64_t first, uint64_t last,
		  bool (*see)(void *user, const struct wire_alarm_note *n), void *user)
{
	for (uint32_t i = 0; i < a->n_notes; i++)
		if (a->notes[i]->element_id >= first && a->notes[i]->element_id <= last &&
		    !see(user, a->notes[i]))
			break;
	return 0;
}

int archive_elements(struct archive *a, uint64_t first, uint64_t last,
		     bool (*see)(void *user, const struct wire_stored_element *s), void *user)
{
	for (uint32_t i = 0; i < a->n_elements; i++)
		if (a->elements[i]->id >= first && a->elements[i]->id <= last &&
		    !see(user, a->elements[i]))
			break;
	return 0;
}

bool archive_sync(struct archive *a, const char *cell, struct wire_cell_sync **out)
{
	for (uint32_t i = 0; i < a->n_syncs; i++) {
		if (strcmp(a->syncs[i]->cell, cell) != 0)
			continue;
		COPY(cell_sync, a->syncs[i], out);
		return true;
	}
	return false;
}

bool archive_status(struct archive *a, struct wire_status **out)
{
	if (a->status == NULL)
		return false;
	COPY(status, a->status, out);
	return true;
}

void archive_look(struct archive *a, struct archive_state *out)
{
	*out = (struct archive_state){.name = "ok", .bytes_used = 1000, .bytes_max = 100000};
}

void archive_close(struct archive *a)
{
	if (a == NULL)
		return;
	for (uint32_t i = 0; i < a->n_alarms; i++)
		wire_free(a->alarms[i]);
	for (uint32_t i = 0; i < a->n_elements; i++)
		wire_free(a->elements[i]);
	for (uint32_t i = 0; i < a->n_notes; i++)
		wire_free(a->notes[i]);
	for (uint32_t i = 0; i < a->n_syncs; i++)
		wire_free(a->syncs[i]);
	wire_free(a->status);
	free(a);
}
