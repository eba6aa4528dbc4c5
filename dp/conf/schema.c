#include "dp/conf/source.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Walks document and table side by side. Stricter than libcyaml on scalars: decimal integers only,
 * and true and false only (libcyaml takes any other word for true). */
struct walk {
	struct conf_source *s;
	char path[CONF_PATH_BYTES];
};

static void check_value(struct walk *w, const struct conf_doc_node *n,
			const cyaml_schema_value_t *schema);

__attribute__((format(printf, 3, 4))) static void
find(struct walk *w, const struct conf_doc_node *n, const char *format, ...)
{
	char text[sizeof(w->s->findings->items->text)];
	va_list args;

	w->s->is_loadable = false;
	if (w->s->err != 0)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	w->s->err = conf_findings_add(w->s->findings, n->line, n->column, "%s%s%s", w->path,
				      w->path[0] != '\0' ? ": " : "", text);
}

/* ---- Scalars ---- */

static bool is_decimal(const char *text)
{
	if (*text == '0')
		return text[1] == '\0';
	text += *text == '-';
	return *text != '0' && *text != '\0' && text[strspn(text, "0123456789")] == '\0';
}

static void check_integer(struct walk *w, const struct conf_doc_node *n,
			  const cyaml_schema_value_t *schema)
{
	const char *text = conf_doc_text(&w->s->doc, n);
	unsigned int bits = 8 * schema->data_size;
	bool is_signed = schema->type == CYAML_INT, is_negative = *text == '-';
	uint64_t max = UINT64_MAX >> (64 - bits + is_signed);
	uint64_t floor = is_signed ? max + 1 : 0; /* how far below zero it may be */
	uint64_t magnitude;

	if (strlen(text) != n->n_bytes || !is_decimal(text)) {
		find(w, n, "'%.60s' is no integer", text);
		return;
	}
	errno = 0;
	magnitude = strtoull(text + is_negative, NULL, 10);
	if (errno != 0 || magnitude > (is_negative ? floor : max))
		find(w, n, "%.60s is out of range (%s%llu to %llu)", text, is_signed ? "-" : "",
		     (unsigned long long)floor, (unsigned long long)max);
}

static void check_bool(struct walk *w, const struct conf_doc_node *n)
{
	const char *text = conf_doc_text(&w->s->doc, n);

	if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
		find(w, n, "'%.60s' is neither true nor false", text);
}

static void check_enum(struct walk *w, const struct conf_doc_node *n,
		       const cyaml_schema_value_t *schema)
{
	const char *text = conf_doc_text(&w->s->doc, n);
	char names[100] = "";
	size_t used = 0;

	for (uint32_t i = 0; i < schema->enumeration.count; i++) {
		const char *name = schema->enumeration.strings[i].str;

		if (strcmp(text, name) == 0)
			return;
		if (used < sizeof(names))
			used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
						 i > 0 ? ", " : "", name);
	}
	find(w, n, "'%.60s' is none of %s", text, names);
}

static void check_string(struct walk *w, const struct conf_doc_node *n,
			 const cyaml_schema_value_t *schema)
{
	static const char *const nulls[] = {"~", "null", "Null", "NULL"}; /* YAML 1.1 */
	const char *text = conf_doc_text(&w->s->doc, n);

	for (size_t i = 0; n->is_plain && i < sizeof(nulls) / sizeof(nulls[0]); i++)
		if (strcmp(text, nulls[i]) == 0)
			find(w, n, "%s is no text; leave the key out, or use quotes", text);
	for (uint32_t i = 0; i < n->n_bytes; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
			find(w, n, "has a control character");
			return;
		}
	}
	if (n->n_bytes == 0 && schema->string.min > 0)
		find(w, n, "is empty");
	else if (n->n_bytes < schema->string.min)
		find(w, n, "is shorter than %u octets", schema->string.min);
	else if (n->n_bytes > schema->string.max)
		find(w, n, "is longer than %u octets", schema->string.max);
}

/* ---- Lists and mappings ---- */

static void check_sequence(struct walk *w, const struct conf_doc_node *n,
			   const cyaml_schema_value_t *schema)
{
	const struct conf_doc_node *item = conf_doc_first(&w->s->doc, n);
	size_t n_path = strlen(w->path);
	uint32_t count = 0;

	for (; item != NULL; item = conf_doc_next(&w->s->doc, item), count++) {
		snprintf(w->path + n_path, sizeof(w->path) - n_path, "[%u]", count);
		if (count == schema->sequence.max)
			find(w, item, "more than %u entries", count);
		check_value(w, item, schema->sequence.entry);
		w->path[n_path] = '\0';
	}
	if (count < schema->sequence.min)
		find(w, n, "has %u entries, at least %u wanted", count, schema->sequence.min);
}

/* The field's place in the table; -1: no such key. */
static int field_index(const cyaml_schema_field_t *fields, const char *key)
{
	for (int i = 0; fields[i].key != NULL; i++)
		if (strcmp(fields[i].key, key) == 0)
			return i;
	return -1;
}

/* The one finding that the loading of the rest can live with. */
static void find_unknown(struct walk *w, const struct conf_doc_node *key)
{
	bool is_loadable = w->s->is_loadable;

	find(w, key, "unknown key");
	w->s->is_loadable = is_loadable;
}

static void check_key(struct walk *w, const struct conf_doc_node *key,
		      const cyaml_schema_field_t *fields, uint64_t *seen)
{
	const struct conf_doc_node *value = conf_doc_next(&w->s->doc, key);
	const char *name = conf_doc_text(&w->s->doc, key);
	size_t n_path = strlen(w->path);
	int index;

	if (key->kind != CONF_DOC_SCALAR) {
		find(w, key, "a key must be a word");
		return;
	}
	index = strlen(name) == key->n_bytes ? field_index(fields, name) : -1;
	snprintf(w->path + n_path, sizeof(w->path) - n_path, "%s%.40s", n_path > 0 ? "." : "",
		 name);
	if (index < 0)
		find_unknown(w, key);
	else if ((*seen & UINT64_C(1) << index) != 0)
		find(w, key, "is there twice");
	else
		check_value(w, value, &fields[index].value);
	if (index >= 0)
		*seen |= UINT64_C(1) << index;
	w->path[n_path] = '\0';
}

static void check_mapping(struct walk *w, const struct conf_doc_node *n,
			  const cyaml_schema_value_t *schema)
{
	const cyaml_schema_field_t *fields = schema->mapping.fields;
	const struct conf_doc_node *key = conf_doc_first(&w->s->doc, n);
	uint64_t seen = 0;

	for (; key != NULL; key = conf_doc_next(&w->s->doc, conf_doc_next(&w->s->doc, key)))
		check_key(w, key, fields, &seen);
	for (int i = 0; fields[i].key != NULL; i++) {
		assert(i < 64);
		if ((seen & UINT64_C(1) << i) == 0 &&
		    (fields[i].value.flags & CYAML_FLAG_OPTIONAL) == 0)
			find(w, n, "the key '%s' is missing", fields[i].key);
	}
}

static const char *kind_name(enum conf_doc_kind kind)
{
	return kind == CONF_DOC_SEQUENCE  ? "a list"
	       : kind == CONF_DOC_MAPPING ? "a mapping"
					  : "a value";
}

static void check_value(struct walk *w, const struct conf_doc_node *n,
			const cyaml_schema_value_t *schema)
{
	enum conf_doc_kind wanted = schema->type == CYAML_SEQUENCE  ? CONF_DOC_SEQUENCE
				    : schema->type == CYAML_MAPPING ? CONF_DOC_MAPPING
								    : CONF_DOC_SCALAR;

	if (n->kind != wanted) {
		bool is_empty = n->kind == CONF_DOC_SCALAR && n->n_bytes == 0;

		find(w, n, "is %s, %s is wanted", is_empty ? "empty" : kind_name(n->kind),
		     kind_name(wanted));
		return;
	}
	switch (schema->type) {
	case CYAML_INT:
	case CYAML_UINT:
		check_integer(w, n, schema);
		break;
	case CYAML_BOOL:
		check_bool(w, n);
		break;
	case CYAML_ENUM:
		check_enum(w, n, schema);
		break;
	case CYAML_STRING:
		check_string(w, n, schema);
		break;
	case CYAML_SEQUENCE:
		check_sequence(w, n, schema);
		break;
	case CYAML_MAPPING:
		check_mapping(w, n, schema);
		break;
	default:
		assert(!"a type that no table of ours uses");
	}
}

void conf_source_check(struct conf_source *s, const cyaml_schema_value_t *schema)
{
	struct walk w = {.s = s};

	check_value(&w, conf_doc_root(&s->doc), schema);
}
