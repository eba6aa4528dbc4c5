#include "tests/lib/played_server.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void make_elements(struct played_server *s, uint32_t n)
{
	static const char *const regions[PLAYED_REGIONS] = {"r0", "r1", "r2"};

	s->conf.n_elements = n;
	s->conf.elements = calloc(n + 1, sizeof(*s->conf.elements));
	assert_non_null(s->conf.elements);
	for (uint32_t i = 0; i < n; i++) {
		/* The file's order is not that of the ids. */
		struct conf_element *e = &s->conf.elements[n - 1 - i];
		char address[32];

		e->id = 10 * (i + 1);
		assert_true(asprintf(&e->name, "e%u", 10 * (i + 1)) > 0);
		snprintf(address, sizeof(address), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		assert_int_equal(conf_address_parse(&e->address, address), 0);
		e->kind = (char *)"router";
		e->region = (char *)regions[i % PLAYED_REGIONS];
	}
	assert_int_equal(inventory_create(&s->inventory), 0);
	for (uint32_t i = 0; i < s->conf.n_elements; i++)
		assert_int_equal(inventory_put(s->inventory, &s->conf.elements[i],
					       &(struct inventory_change){0}),
				 0);
}

static void make_segment(struct played_server *s, const struct played_config *cfg)
{
	struct fedmem_config config = {
		.path = s->path,
		.server_id = s->id,
		.sizes = {.elements_max = cfg->n_elements + 1,
			  .metrics_per_element = 8,
			  .alarms_max = cfg->alarms_max != 0 ? cfg->alarms_max : 256,
			  .cells_max = PLAYED_REGIONS,
			  .rules_max = 256,
			  .unknowns_max = 16,
			  .events_max = cfg->events_max != 0 ? cfg->events_max : 1024},
	};
	uint32_t n_repaired;
	char why[256];
	int fd;

	snprintf(s->path, sizeof(s->path), "/tmp/bellwether-test-XXXXXX");
	fd = mkstemp(s->path);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(fedmem_open(&s->fm, &config, why, sizeof(why)), 0);
	for (uint32_t i = 0; i < s->conf.n_elements; i++) {
		struct fedmem_element e = {.id = s->conf.elements[i].id,
					   .address = s->conf.elements[i].address};

		assert_int_equal(fedmem_element_put(s->fm, &e, NULL), 0);
	}
	assert_int_equal(fedmem_writer_open(&s->writer, s->fm, &n_repaired), 0);
}

void played_server_open(struct played_server *s, const struct played_config *cfg)
{
	*s = (struct played_server){.id = cfg->id, .now_ns = 1500000000000000000};
	make_elements(s, cfg->n_elements);
	make_segment(s, cfg);
	s->cluster = fake_cluster_create(cfg->id, cfg->n_servers);
	assert_int_equal(
		memory_create(&s->memory, &(struct memory_config){.fedmem = s->fm,
								  .cluster = s->cluster,
								  .inventory = s->inventory}),
		0);
}

static uint32_t slot_of(const struct played_server *s, uint64_t element)
{
	uint32_t slot;

	assert_int_equal(fedmem_find_by_id(s->fm, element, &slot), 0);
	return slot;
}

void played_report(struct played_server *s, uint64_t element, struct fedmem_token token,
		   uint32_t n_metrics)
{
	struct fedmem_state *state =
		fedmem_state_begin(s->writer, slot_of(s, element), element, token);

	state->last_seen_ns = ++s->now_ns;
	state->n_reports++;
	for (uint32_t id = 1; id <= n_metrics; id++) {
		double value = id + 0.5;
		uint64_t bits;

		memcpy(&bits, &value, sizeof(bits));
		assert_int_equal(fedmem_state_metric(s->writer, state, id, bits), 0);
	}
	fedmem_state_commit(s->writer, state);
}

static enum fedmem_event_kind change(struct played_server *s, struct fedmem_alarm *alarm,
				     uint8_t severity)
{
	if (severity == FEDMEM_CLEARED) {
		bool was_raised = alarm->state == FEDMEM_ALARM_RAISED;

		alarm->state = FEDMEM_ALARM_GONE;
		return was_raised ? FEDMEM_EV_CLEARED : 0;
	}
	alarm->count++;
	if (alarm->state != FEDMEM_ALARM_RAISED) {
		alarm->state = FEDMEM_ALARM_RAISED;
		alarm->severity = severity;
		alarm->raised_ns = s->now_ns;
		alarm->count = 1;
		return FEDMEM_EV_RAISED;
	}
	if (alarm->severity == severity)
		return 0;
	alarm->severity = severity;
	return FEDMEM_EV_SEVERITY;
}

void played_alarm(struct played_server *s, const struct played_alarm *a)
{
	const struct fedmem_alarm_key key = {
		.element = slot_of(s, a->element),
		.type = a->type,
		.resource = a->resource,
		.qualifier = "",
		.type_bytes = (uint8_t)strlen(a->type),
		.resource_bytes = (uint8_t)strlen(a->resource),
	};
	enum fedmem_event_kind kind;
	struct fedmem_state *state;
	struct fedmem_alarm *alarm;

	state = fedmem_state_begin(s->writer, key.element, a->element, a->token);
	state->last_seen_ns = ++s->now_ns;
	fedmem_state_commit(s->writer, state);
	alarm = fedmem_alarm_begin(s->writer, &key);
	assert_non_null(alarm);
	kind = change(s, alarm, a->severity);
	alarm->last_ns = s->now_ns;
	if (kind != 0)
		alarm->changed_ns = s->now_ns;
	memcpy(alarm->text, PLAYED_TEXT, sizeof(PLAYED_TEXT));
	fedmem_alarm_commit(s->writer, alarm, kind);
	state = fedmem_state_begin(s->writer, key.element, a->element, a->token);
	fedmem_state_recount(s->writer, state);
	fedmem_state_commit(s->writer, state);
}

void played_server_close(struct played_server *s)
{
	memory_destroy(s->memory);
	fake_cluster_destroy(s->cluster);
	inventory_destroy(s->inventory);
	for (uint32_t i = 0; i < s->conf.n_elements; i++)
		free(s->conf.elements[i].name);
	free(s->conf.elements);
	fedmem_writer_close(s->writer);
	fedmem_close(s->fm);
	unlink(s->path);
}
