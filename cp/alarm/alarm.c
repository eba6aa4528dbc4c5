#include "cp/alarm/alarm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_A_TURN 4096

const char *alarm_severity_name(uint8_t severity)
{
	static const char *const names[] = {
		[FEDMEM_CLEARED] = "cleared", [FEDMEM_INDETERMINATE] = "indeterminate",
		[FEDMEM_WARNING] = "warning", [FEDMEM_MINOR] = "minor",
		[FEDMEM_MAJOR] = "major",     [FEDMEM_CRITICAL] = "critical",
	};

	return severity <= FEDMEM_CRITICAL ? names[severity] : "indeterminate";
}

const char *alarm_event_name(uint8_t kind)
{
	switch (kind) {
	case FEDMEM_EV_RAISED:
		return "raised";
	case FEDMEM_EV_SEVERITY:
		return "severity";
	default:
		return "cleared";
	}
}

static int compile(struct fedmem_rule *to, const struct conf_rule *from)
{
	int err = conf_oid_encode(to->oid, &to->oid_bytes, from->notification);

	if (err == 0 && from->resource_from[0] != '\0')
		err = conf_oid_encode(to->resource_oid, &to->resource_oid_bytes,
				      from->resource_from);
	if (err == 0 && from->text_from[0] != '\0')
		err = conf_oid_encode(to->text_oid, &to->text_oid_bytes, from->text_from);
	if (err < 0 || strlen(from->type) > sizeof(to->type) ||
	    strlen(from->resource) > sizeof(to->resource))
		return -EINVAL;
	to->severity = from->severity;
	memcpy(to->type, from->type, strlen(from->type));
	memcpy(to->resource, from->resource, strlen(from->resource));
	return 0;
}

int alarm_rules_publish(struct fedmem *fm, const struct conf_rules *rules)
{
	struct fedmem_rule *compiled = calloc(rules->n_rules + 1, sizeof(*compiled));
	int err = compiled == NULL ? -ENOMEM : 0;

	for (uint32_t i = 0; err == 0 && i < rules->n_rules; i++)
		err = compile(&compiled[i], &rules->rules[i]);
	if (err == 0)
		err = fedmem_rules_publish(fm, compiled, rules->n_rules);
	free(compiled);
	return err;
}

struct alarm_book {
	struct fedmem *fm;
	uint32_t alarms_max;
	uint64_t overflows;
	uint64_t *told; /* by entry: number of its change that was told last */
};

/* Reads the whole table. 'tell' NULL: only remembers. */
static void read_table(struct alarm_book *b, alarm_tell tell, void *user)
{
	for (uint32_t i = 0; i < b->alarms_max; i++) {
		struct fedmem_alarm a;
		uint8_t kind = FEDMEM_EV_RAISED;

		if (fedmem_alarm_read(b->fm, i, &a) != 0 || a.change <= b->told[i])
			continue;
		b->told[i] = a.change;
		if (a.state == FEDMEM_ALARM_GONE)
			kind = FEDMEM_EV_CLEARED;
		if (tell != NULL)
			tell(user, kind, a.change, a.changed_ns, &a);
	}
}

int alarm_book_create(struct alarm_book **out, struct fedmem *fm)
{
	struct alarm_book *b = calloc(1, sizeof(*b));
	struct fedmem_event e;

	if (b == NULL)
		return -ENOMEM;
	b->fm = fm;
	b->alarms_max = fedmem_sizes(fm)->alarms_max;
	b->told = calloc(b->alarms_max, sizeof(*b->told));
	if (b->told == NULL) {
		alarm_book_destroy(b);
		return -ENOMEM;
	}
	b->overflows = fedmem_event_overflows(fm);
	while (fedmem_event_pop(fm, &e) == 0)
		;
	read_table(b, NULL, NULL);
	*out = b;
	return 0;
}

void alarm_book_follow(struct alarm_book *b, alarm_tell tell, void *user, bool *has_lost)
{
	uint64_t overflows = fedmem_event_overflows(b->fm);
	struct fedmem_event e;

	for (int i = 0; i < EVENTS_A_TURN && fedmem_event_pop(b->fm, &e) == 0; i++) {
		struct fedmem_alarm a;

		/* What the record says now can be newer than the event: then its own event follows. */
		if (e.alarm >= b->alarms_max || e.number <= b->told[e.alarm] ||
		    fedmem_alarm_read(b->fm, e.alarm, &a) != 0)
			continue;
		b->told[e.alarm] = e.number;
		a.severity = e.severity;
		a.state = e.kind == FEDMEM_EV_CLEARED ? FEDMEM_ALARM_GONE : FEDMEM_ALARM_RAISED;
		tell(user, e.kind, e.number, e.time_ns, &a);
	}
	*has_lost = overflows != b->overflows;
	if (*has_lost)
		read_table(b, tell, user);
	b->overflows = overflows;
}

void alarm_book_destroy(struct alarm_book *b)
{
	if (b == NULL)
		return;
	free(b->told);
	free(b);
}
