#include "cp/alarm/alarm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
	if (err < 0 || from->type[0] == '\0' || strlen(from->type) > sizeof(to->type) ||
	    strlen(from->resource) > sizeof(to->resource) || from->severity > FEDMEM_CRITICAL)
		return -EINVAL;
	to->severity = from->severity;
	memcpy(to->type, from->type, strlen(from->type));
	memcpy(to->resource, from->resource, strlen(from->resource));
	return 0;
}

int alarm_rules_publish(struct fedmem *fm, const struct conf_rules *rules)
{
	struct fedmem_rule *compiled = calloc((size_t)rules->n_rules + 1, sizeof(*compiled));
	int err = compiled == NULL ? -ENOMEM : 0;

	for (uint32_t i = 0; err == 0 && i < rules->n_rules; i++)
		err = compile(&compiled[i], &rules->rules[i]);
	if (err == 0)
		err = fedmem_rules_publish(fm, compiled, rules->n_rules);
	free(compiled);
	return err;
}
