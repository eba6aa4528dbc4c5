#include "tests/lib/played_standby.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct answer {
	struct answer *next;
	void (*done)(void *user, bool is_degraded);
	void *user;
};

struct standby {
	struct played_sends sends;
	struct answer *waiting;
};

struct standby *played_standby_create(void)
{
	struct standby *s = calloc(1, sizeof(*s));

	if (s == NULL)
		abort();
	return s;
}

void standby_send(struct standby *s, const char *cell, const struct wire_replicate_request *records,
		  void (*done)(void *user, bool is_degraded), void *user)
{
	struct answer *answer;

	s->sends.n_requests++;
	s->sends.n_alarms += records->n_alarms;
	s->sends.n_elements += records->n_elements;
	s->sends.n_notes += records->n_notes;
	s->sends.n_events += records->n_events;
	snprintf(s->sends.cell, sizeof(s->sends.cell), "%s", cell);
	if (records->n_events > 0)
		s->sends.event_number = records->events[records->n_events - 1].number;
	if (done == NULL)
		return;
	answer = calloc(1, sizeof(*answer));
	if (answer == NULL)
		abort();
	*answer = (struct answer){s->waiting, done, user};
	s->waiting = answer;
}

struct played_sends played_standby_sends(struct standby *s)
{
	struct played_sends sends = s->sends;

	s->sends = (struct played_sends){0};
	return sends;
}

void played_standby_answer(struct standby *s, bool is_degraded)
{
	while (s->waiting != NULL) {
		struct answer *answer = s->waiting;

		s->waiting = answer->next;
		answer->done(answer->user, is_degraded);
		free(answer);
	}
}

void standby_destroy(struct standby *s)
{
	if (s == NULL)
		return;
	played_standby_answer(s, true);
	free(s);
}

/* ---- The trail ---- */

static struct {
	uint64_t times[PLAYED_TRAIL_MAX];
	uint32_t n;
} trail;

void played_trail_put(uint64_t time_ns)
{
	if (trail.n == PLAYED_TRAIL_MAX)
		abort();
	trail.times[trail.n++] = time_ns;
}

void played_trail_clear(void)
{
	trail.n = 0;
}

const struct registry *cluster_registry(struct cluster *c)
{
	return (const struct registry *)&trail;
}

int registry_trail(const struct registry *r, uint64_t after, uint64_t last, bool is_descending,
		   bool (*see)(void *user, const struct wire_event *e), void *user)
{
	for (uint32_t i = 0; i < trail.n; i++) {
		uint32_t at = is_descending ? trail.n - 1 - i : i;
		const struct wire_event e = {
			.number = at + 1,
			.time_ns = trail.times[at],
			.kind = "master",
			.cell = "",
			.operator_name = "",
			.request_id = "",
			.text = "",
		};

		if (e.number > after && e.number <= last && !see(user, &e))
			break;
	}
	return 0;
}
