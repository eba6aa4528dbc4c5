#include "dp/conf/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct rules_file {
	struct conf_rule *rules;
	uint32_t n_rules;
};

#define OID_CHARS_MAX 255 /* what fits FEDMEM_OID_BYTES is shorter */
#define MAY	      (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)

/* RFC 8632 4.1, and "cleared". */
static const cyaml_strval_t severity_names[] = {
	{"cleared", FEDMEM_CLEARED}, {"indeterminate", FEDMEM_INDETERMINATE},
	{"warning", FEDMEM_WARNING}, {"minor", FEDMEM_MINOR},
	{"major", FEDMEM_MAJOR},     {"critical", FEDMEM_CRITICAL},
};
static const cyaml_schema_field_t rule_fields[] = {
	CYAML_FIELD_STRING_PTR("notification", CYAML_FLAG_POINTER, struct conf_rule, notification,
			       1, OID_CHARS_MAX),
	CYAML_FIELD_STRING_PTR("type", CYAML_FLAG_POINTER, struct conf_rule, type, 1,
			       FEDMEM_TYPE_BYTES),
	CYAML_FIELD_ENUM("severity", CYAML_FLAG_STRICT, struct conf_rule, severity, severity_names,
			 sizeof(severity_names) / sizeof(severity_names[0])),
	CYAML_FIELD_STRING_PTR("resource", MAY, struct conf_rule, resource, 0,
			       FEDMEM_RESOURCE_BYTES),
	CYAML_FIELD_STRING_PTR("resource_from", MAY, struct conf_rule, resource_from, 1,
			       OID_CHARS_MAX),
	CYAML_FIELD_STRING_PTR("text_from", MAY, struct conf_rule, text_from, 1, OID_CHARS_MAX),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t rule_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct conf_rule, rule_fields),
};
static const cyaml_schema_field_t file_fields[] = {
	CYAML_FIELD_SEQUENCE_COUNT("rules", CYAML_FLAG_POINTER, struct rules_file, rules, n_rules,
				   &rule_schema, 0, CYAML_UNLIMITED),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t file_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct rules_file, file_fields),
};

static void check_oid(struct conf_source *s, const char *oid, uint32_t index, const char *key)
{
	uint8_t ber[FEDMEM_OID_BYTES], n_bytes;
	char path[CONF_PATH_BYTES];
	int err = oid == NULL ? 0 : conf_oid_encode(ber, &n_bytes, oid);

	if (err == -E2BIG)
		conf_source_find(s, conf_path(path, "rules", index, key),
				 "'%.60s' takes more than %u octets in BER", oid, FEDMEM_OID_BYTES);
	else if (err != 0)
		conf_source_find(s, conf_path(path, "rules", index, key),
				 "'%.60s' is no object identifier in dotted numbers", oid);
}

static void check(struct conf_source *s, const struct rules_file *f, uint32_t rules_max)
{
	const struct conf_distinct notifications = {
		.list = "rules",
		.key = "notification",
		.entries = f->rules,
		.n_entries = f->n_rules,
		.entry_bytes = sizeof(*f->rules),
		.offset = offsetof(struct conf_rule, notification),
	};
	char path[CONF_PATH_BYTES];

	if (f->n_rules > rules_max)
		conf_source_find(s, conf_path(path, "rules", rules_max, ""),
				 "one of %u rules; memory.rules_max is %u", f->n_rules, rules_max);
	for (uint32_t i = 0; i < f->n_rules; i++) {
		check_oid(s, f->rules[i].notification, i, "notification");
		check_oid(s, f->rules[i].resource_from, i, "resource_from");
		check_oid(s, f->rules[i].text_from, i, "text_from");
	}
	conf_source_distinct(s, &notifications);
}

static int put_default(char **text)
{
	if (*text == NULL)
		*text = strdup("");
	return *text == NULL ? -ENOMEM : 0;
}

/* Moves what libcyaml loaded. */
static int make(struct conf_rules **out, struct rules_file *f)
{
	struct conf_rules *r = calloc(1, sizeof(*r));
	int err = 0;

	if (r == NULL)
		return -ENOMEM;
	*r = (struct conf_rules){.rules = f->rules, .n_rules = f->n_rules};
	*f = (struct rules_file){0};
	for (uint32_t i = 0; err == 0 && i < r->n_rules; i++) {
		err = put_default(&r->rules[i].resource);
		if (err == 0)
			err = put_default(&r->rules[i].resource_from);
		if (err == 0)
			err = put_default(&r->rules[i].text_from);
	}
	if (err != 0) {
		conf_rules_free(r);
		return err;
	}
	*out = r;
	return 0;
}

int conf_rules_load(struct conf_rules **out, const char *file, uint32_t rules_max,
		    struct conf_findings *findings)
{
	struct rules_file *f = NULL;
	struct conf_source s;
	int result;

	*findings = (struct conf_findings){0};
	result = conf_source_open(&s, file, findings);
	if (result != 0)
		return result;
	if (findings->n == 0)
		conf_source_check(&s, &file_schema);
	if (s.err == 0 && s.is_loadable)
		f = conf_source_load(&s, &file_schema);
	if (f != NULL)
		check(&s, f, rules_max);
	result = conf_source_result(&s);
	if (result == 0)
		result = make(out, f);
	conf_source_unload(&file_schema, f);
	conf_source_close(&s);
	return result;
}

void conf_rules_free(struct conf_rules *r)
{
	if (r == NULL)
		return;
	for (uint32_t i = 0; i < r->n_rules; i++) {
		free(r->rules[i].notification);
		free(r->rules[i].type);
		free(r->rules[i].resource);
		free(r->rules[i].resource_from);
		free(r->rules[i].text_from);
	}
	free(r->rules);
	free(r);
}
