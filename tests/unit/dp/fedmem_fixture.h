/* fedmem_fixture.h - a segment of its own for each test of dp/fedmem, and short ways to fill it.
 *
 * Thread:  one per process.
 * Memory:  place_make() makes a folder on a tmpfs, place_remove() removes it with what is in it.
 */
#ifndef BELLWETHER_TESTS_UNIT_DP_FEDMEM_FIXTURE_H
#define BELLWETHER_TESTS_UNIT_DP_FEDMEM_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dp/fedmem/fedmem.h"

struct place {
	char folder[64], path[80];
	struct fedmem_config cfg;
};

static inline struct place *place_make(struct fedmem_sizes sizes)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	snprintf(p->folder, sizeof(p->folder), "/dev/shm/test_fedmem_XXXXXX");
	assert_non_null(mkdtemp(p->folder));
	snprintf(p->path, sizeof(p->path), "%s/segment", p->folder);
	p->cfg = (struct fedmem_config){.path = p->path, .server_id = 7, .sizes = sizes};
	return p;
}

static inline void place_remove(struct place *p)
{
	unlink(p->path);
	assert_int_equal(rmdir(p->folder), 0);
	free(p);
}

static inline struct fedmem_sizes small_sizes(void)
{
	return (struct fedmem_sizes){
		.elements_max = 64,
		.metrics_per_element = 8,
		.alarms_max = 16,
		.cells_max = 8,
		.rules_max = 8,
		.unknowns_max = 4,
		.events_max = 8,
	};
}

static inline struct fedmem *must_open(const struct place *p)
{
	struct fedmem *fm = NULL;
	char why[256];
	int err = fedmem_open(&fm, &p->cfg, why, sizeof(why));

	if (err != 0)
		fail_msg("fedmem_open: %d, %s", err, why);
	return fm;
}

static inline struct fedmem_writer *must_write(struct fedmem *fm)
{
	struct fedmem_writer *w = NULL;

	assert_int_equal(fedmem_writer_open(&w, fm, NULL), 0);
	return w;
}

static inline struct fedmem_address address_of(uint64_t n)
{
	struct fedmem_address a = {{0x20, 0x01, 0x0d, 0xb8}};

	memcpy(&a.octets[8], &n, sizeof(n));
	return a;
}

static inline struct fedmem_element element_of(uint64_t id)
{
	return (struct fedmem_element){.id = id, .address = address_of(id), .cell = 1};
}

static const struct fedmem_token token_one = {.epoch = 1, .generation = 1};

static inline struct fedmem_alarm_key key_of(uint32_t slot, const char *resource)
{
	return (struct fedmem_alarm_key){
		.element = slot,
		.type = "link-down",
		.type_bytes = 9,
		.resource = resource,
		.resource_bytes = (uint8_t)strlen(resource),
		.qualifier = "",
	};
}

/* Makes the state of a slot current under a token. */
static inline void touch(struct fedmem_writer *w, uint32_t slot, struct fedmem_token token)
{
	fedmem_state_commit(w, fedmem_state_begin(w, slot, slot + 1, token));
}

static inline void recount(struct fedmem_writer *w, uint32_t slot, struct fedmem_token token)
{
	struct fedmem_state *s = fedmem_state_begin(w, slot, slot + 1, token);

	fedmem_state_recount(w, s);
	fedmem_state_commit(w, s);
}

/* Raises, changes or clears (FEDMEM_CLEARED) an alarm as apply does, and recounts. Its index, or
 * FEDMEM_NONE: there was no room. */
static inline uint32_t report_alarm(struct fedmem_writer *w, const struct fedmem *fm,
				    const struct fedmem_alarm_key *key, uint8_t severity,
				    uint64_t now_ns)
{
	const struct fedmem_state *s = fedmem_state_peek(w, key->element);
	struct fedmem_token token = s->token;
	struct fedmem_alarm *a = fedmem_alarm_begin(w, key);
	const struct fedmem_alarm *found;
	enum fedmem_event_kind kind = FEDMEM_EV_CLEARED;

	if (a == NULL)
		return FEDMEM_NONE;
	if (severity == FEDMEM_CLEARED) {
		a->state = FEDMEM_ALARM_GONE;
	} else {
		kind = a->state == FEDMEM_ALARM_RAISED ? FEDMEM_EV_SEVERITY : FEDMEM_EV_RAISED;
		if (a->state != FEDMEM_ALARM_RAISED)
			a->raised_ns = now_ns;
		a->state = FEDMEM_ALARM_RAISED;
		a->severity = severity;
	}
	a->changed_ns = a->last_ns = now_ns;
	a->count++;
	fedmem_alarm_commit(w, a, kind);
	recount(w, key->element, token);
	found = fedmem_alarm_find(w, key);
	assert_non_null(found);
	for (uint32_t i = 0; i < fedmem_sizes(fm)->alarms_max; i++) {
		struct fedmem_alarm copy;

		if (fedmem_alarm_read(fm, i, &copy) == 0 && copy.element == key->element &&
		    memcmp(copy.resource, found->resource, sizeof(copy.resource)) == 0)
			return i;
	}
	fail_msg("the alarm that was just committed is nowhere");
	return FEDMEM_NONE;
}

/* Raised alarms on the element's chain; the chain may hold gone ones too. */
static inline uint32_t chain_raised(const struct fedmem *fm, uint32_t slot)
{
	struct fedmem_state s;
	uint32_t n = 0, steps = 0;

	assert_int_equal(fedmem_state_read(fm, slot, &s, NULL), 0);
	for (uint32_t i = s.alarm_first; i != FEDMEM_NONE; steps++) {
		struct fedmem_alarm a;

		assert_true(steps <= fedmem_sizes(fm)->alarms_max);
		assert_int_equal(fedmem_alarm_read(fm, i, &a), 0);
		assert_int_equal(a.element, slot);
		n += a.state == FEDMEM_ALARM_RAISED;
		i = a.next;
	}
	return n;
}

#endif
