#include "tests/replay/outcome.h"

#include <err.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dp/conf/conf.h"
#include "tests/replay/capture.h"

#define UNKNOWNS_ROOM 256

static const char *const severities[] = {"cleared", "indeterminate", "warning",
					 "minor",   "major",	     "critical"};

static const char *severity_name(uint8_t severity)
{
	return severity < sizeof(severities) / sizeof(severities[0]) ? severities[severity] : "?";
}

/* At most n characters, those that do not print as \xNN. */
static const char *quoted(char *to, const char *from, size_t n)
{
	char *at = to;

	*at++ = '"';
	for (size_t i = 0; i < n && from[i] != '\0'; i++) {
		if (from[i] >= ' ' && from[i] < 0x7f)
			*at++ = from[i];
		else
			at += sprintf(at, "\\x%02x", (unsigned char)from[i]);
	}
	*at++ = '"';
	*at = '\0';
	return to;
}

void outcome_stats(const struct stats *s, struct lines *out)
{
	for (enum stats_counter i = 0; i < STATS_N; i++)
		if (s->n[i] != 0)
			lines_add(out, "%s %" PRIu64, stats_name(i), s->n[i]);
	for (enum decode_refusal i = DECODE_OK + 1; i < DECODE_REFUSAL_N; i++)
		if (s->decode[i] != 0)
			lines_add(out, "refusal %s %" PRIu64, stats_refusal_name(i), s->decode[i]);
}

static uint64_t id_of(const struct fedmem *fm, uint32_t slot)
{
	struct fedmem_element e;

	return fedmem_element_get(fm, slot, &e) == 0 ? e.id : 0;
}

static void add_elements(const struct fedmem *fm, struct lines *out)
{
	struct fedmem_metric metrics[UINT8_MAX];
	struct fedmem_state s;

	for (uint32_t slot = 0; slot < fedmem_sizes(fm)->elements_max; slot++) {
		if (fedmem_state_read(fm, slot, &s, metrics) != 0)
			continue;
		lines_add(out,
			  "element %" PRIu64 " reports %" PRIu64 " gaps %u boot %" PRIu64
			  " sequence %" PRIu64,
			  s.element_id, s.n_reports, s.n_gaps, s.boot, s.sequence);
		for (uint8_t i = 0; i < s.n_metrics; i++) {
			double value;

			memcpy(&value, &metrics[i].value, sizeof(value));
			lines_add(out, "metric %" PRIu64 " %u %g", s.element_id, metrics[i].id,
				  value);
		}
	}
}

static void add_alarms(const struct fedmem *fm, struct lines *out)
{
	for (uint32_t i = 0; i < fedmem_sizes(fm)->alarms_max; i++) {
		char resource[4 * FEDMEM_RESOURCE_BYTES + 3];
		char qualifier[4 * FEDMEM_QUALIFIER_BYTES + 3];
		char text[4 * FEDMEM_TEXT_BYTES + 3];
		struct fedmem_alarm a;

		if (fedmem_alarm_read(fm, i, &a) != 0)
			continue;
		lines_add(out, "alarm %" PRIu64 " %.*s %s %s %s %s %" PRIu64 " %s", a.element_id,
			  FEDMEM_TYPE_BYTES, a.type,
			  quoted(resource, a.resource, FEDMEM_RESOURCE_BYTES),
			  quoted(qualifier, a.qualifier, FEDMEM_QUALIFIER_BYTES),
			  severity_name(a.severity),
			  a.state == FEDMEM_ALARM_RAISED ? "raised" : "gone", a.count,
			  quoted(text, a.text, FEDMEM_TEXT_BYTES));
	}
}

static void add_events(struct fedmem *fm, struct lines *out)
{
	static const char *const kinds[] = {[FEDMEM_EV_RAISED] = "raised",
					    [FEDMEM_EV_SEVERITY] = "severity",
					    [FEDMEM_EV_CLEARED] = "cleared"};
	struct fedmem_event e = {0};

	while (fedmem_event_peek(fm, e.number, &e) == 0)
		lines_add(out, "event %" PRIu64 " %s %" PRIu64 " %s", e.number, kinds[e.kind],
			  id_of(fm, e.element), severity_name(e.severity));
}

void outcome_memory(struct fedmem *fm, struct lines *out)
{
	struct fedmem_unknown unknowns[UNKNOWNS_ROOM];
	uint32_t n = fedmem_unknowns_read(fm, unknowns, UNKNOWNS_ROOM);

	add_elements(fm, out);
	add_alarms(fm, out);
	add_events(fm, out);
	for (uint32_t i = 0; i < n; i++) {
		char address[46];

		conf_address_format(address, &unknowns[i].address);
		lines_add(out, "unknown %s datagrams %" PRIu64 " port %u", address,
			  unknowns[i].n_datagrams, unknowns[i].udp_port);
	}
}

void outcome_sent(const char *capture_file, struct lines *out)
{
	struct capture_relay sent;

	if (capture_relay(capture_file, &sent) < 0)
		errx(1, "%s: not a capture of relay messages", capture_file);
	if (sent.n_metrics > 0)
		lines_add(out, "sent metrics %" PRIu64, sent.n_metrics);
	if (sent.n_alarms > 0)
		lines_add(out, "sent alarms %" PRIu64, sent.n_alarms);
}
