#include "tests/lib/apply_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct apply_case apply_case;

static bool fake_give(void *relay, const struct apply_datagram *d, uint32_t cell, bool is_alarm)
{
	assert_ptr_equal(relay, &apply_case);
	apply_case.given[apply_case.n_given++] = (struct given){d->report_bitmap, cell, is_alarm};
	return !apply_case.is_refusing;
}

static struct fedmem_address address_of(uint64_t id)
{
	return (struct fedmem_address){{[10] = 0xff, [11] = 0xff, 10, 0, 0, (uint8_t)id}};
}

int case_start(void **state)
{
	struct apply_relay relay = {.relay = &apply_case, .give = fake_give};
	struct fedmem_config cfg = {
		.path = apply_case.path,
		.server_id = SELF,
		.sizes = {.elements_max = 64,
			  .metrics_per_element = 6,
			  .alarms_max = 4,
			  .cells_max = N_CELLS,
			  .rules_max = 1,
			  .unknowns_max = 1,
			  .events_max = 8},
	};
	uint32_t n_repaired;
	char why[200];
	int fd;

	memset(&apply_case, 0, sizeof(apply_case));
	strcpy(apply_case.path, "/tmp/test_apply.XXXXXX");
	fd = mkstemp(apply_case.path);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(fedmem_open(&apply_case.fm, &cfg, why, sizeof(why)), 0);
	assert_int_equal(fedmem_writer_open(&apply_case.writer, apply_case.fm, &n_repaired), 0);
	for (uint32_t cell = 0; cell < N_CELLS; cell++)
		for (uint64_t id = 10 * cell + 1; id <= 10 * cell + 3; id++) {
			struct fedmem_element e = {
				.id = id, .address = address_of(id), .cell = cell};

			assert_int_equal(fedmem_element_put(apply_case.fm, &e, NULL), 0);
		}
	assert_int_equal(apply_create(&apply_case.apply, SELF, apply_case.fm, apply_case.writer,
				      &apply_case.stats, &relay),
			 0);
	apply_case.cells[CELL_OURS] = (struct fedmem_cell){.owner = SELF, .token = {1, 1}};
	apply_case.cells[CELL_THEIRS] = (struct fedmem_cell){.owner = OTHER, .token = {1, 2}};
	apply_case.cells[CELL_NOBODYS] = (struct fedmem_cell){.token = {1, 3}};
	apply_case.cells[CELL_THEIRS_TOO] = (struct fedmem_cell){.owner = OTHER, .token = {1, 4}};
	assert_int_equal(apply_cells(apply_case.apply, apply_case.cells, N_CELLS), 0);
	apply_case.now_ns = 1000;
	return 0;
}

int case_stop(void **state)
{
	apply_destroy(apply_case.apply);
	fedmem_writer_close(apply_case.writer);
	fedmem_close(apply_case.fm);
	unlink(apply_case.path);
	return 0;
}

static uint32_t case_slot(uint64_t id)
{
	uint32_t slot;

	assert_int_equal(fedmem_find_by_id(apply_case.fm, id, &slot), 0);
	return slot;
}

struct report *case_report(uint64_t id, uint64_t boot, uint64_t sequence)
{
	struct report *r = &apply_case.batch.reports[apply_case.batch.n++];

	*r = (struct report){.element_id = id, .boot = boot, .sequence = sequence};
	return r;
}

void case_with_metric(struct report *r, uint32_t id, uint64_t value)
{
	r->metrics[r->n_metrics++] = (struct fedmem_metric){id, value};
}

void case_with_alarm(struct report *r, const char *resource, uint8_t severity, const char *text)
{
	r->alarms[r->n_alarms++] = (struct report_alarm){
		.type = {"link-down", 9},
		.resource = {resource, (uint16_t)strlen(resource)},
		.text = {text, (uint16_t)strlen(text)},
		.severity = severity,
	};
}

static void check(void)
{
	struct stats_equation eq[STATS_EQUATIONS];

	stats_check(&apply_case.stats, eq);
	for (int i = 0; i < STATS_EQUATIONS; i++)
		if (strcmp(eq[i].name, "reports") == 0)
			assert_int_equal(eq[i].in, eq[i].out);
}

enum apply_verdict case_apply_as(struct apply_datagram d, uint64_t sender, bool may_own)
{
	enum apply_verdict v;

	v = apply_batch(apply_case.apply, &d, &apply_case.batch,
			sender == 0 ? FEDMEM_NONE : case_slot(sender), apply_case.now_ns++,
			may_own);
	apply_case.batch.n = 0;
	check();
	return v;
}

enum apply_verdict case_apply(void)
{
	return case_apply_as((struct apply_datagram){.report_bitmap = UINT64_MAX}, OURS, true);
}

enum apply_verdict case_apply_relayed(uint64_t bitmap, bool may_own)
{
	return case_apply_as((struct apply_datagram){.is_relayed = true, .report_bitmap = bitmap},
			     OURS, may_own);
}

void case_assert_fate(enum stats_counter fate)
{
	uint64_t n = apply_case.stats.n[fate];

	assert_int_equal(apply_case.batch.n, 1);
	case_apply();
	assert_int_equal(apply_case.stats.n[fate], n + 1);
}

void case_alarm(uint64_t boot, uint64_t sequence, const char *resource, uint8_t severity,
		enum stats_counter fate)
{
	case_with_alarm(case_report(OURS, boot, sequence), resource, severity, "");
	case_assert_fate(fate);
}

struct fedmem_state case_state(uint64_t id)
{
	struct fedmem_state s;

	assert_int_equal(fedmem_state_read(apply_case.fm, case_slot(id), &s, NULL), 0);
	return s;
}

struct fedmem_alarm case_alarm_of(const char *resource)
{
	struct fedmem_alarm_key key = {
		case_slot(OURS), "link-down", resource, "", 9, (uint8_t)strlen(resource), 0};
	const struct fedmem_alarm *a = fedmem_alarm_find(apply_case.writer, &key);

	assert_non_null(a);
	return *a;
}

int case_next_event(void)
{
	struct fedmem_event e;

	if (fedmem_event_peek(apply_case.fm, 0, &e) != 0)
		return 0;
	fedmem_event_release(apply_case.fm, e.number);
	return e.kind;
}

uint64_t case_metric(uint64_t id, uint32_t metric)
{
	struct fedmem_metric metrics[6];
	struct fedmem_state s;

	assert_int_equal(fedmem_state_read(apply_case.fm, case_slot(id), &s, metrics), 0);
	for (uint32_t i = 0; i < s.n_metrics; i++)
		if (metrics[i].id == metric)
			return metrics[i].value;
	fail_msg("no metric %u", metric);
	return 0;
}
