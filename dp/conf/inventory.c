#include "dp/conf/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* An entry as it is written, and its address as it was understood. */
struct entry {
	uint64_t id;
	char *name, *address, *kind, *region;
	struct fedmem_address parsed;
};
struct inventory_file {
	struct entry *elements;
	uint32_t n_elements;
};

static const cyaml_schema_field_t entry_fields[] = {
	CYAML_FIELD_UINT("id", CYAML_FLAG_DEFAULT, struct entry, id),
	CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct entry, name, 1, 63),
	CYAML_FIELD_STRING_PTR("address", CYAML_FLAG_POINTER, struct entry, address, 1, 45),
	CYAML_FIELD_STRING_PTR("kind", CYAML_FLAG_POINTER, struct entry, kind, 1, 31),
	CYAML_FIELD_STRING_PTR("region", CYAML_FLAG_POINTER, struct entry, region, 1,
			       sizeof(((struct fedmem_cell *)NULL)->name) - 1),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t entry_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct entry, entry_fields),
};
static const cyaml_schema_field_t file_fields[] = {
	CYAML_FIELD_SEQUENCE_COUNT("elements", CYAML_FLAG_POINTER, struct inventory_file, elements,
				   n_elements, &entry_schema, 0, CYAML_UNLIMITED),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t file_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct inventory_file, file_fields),
};

#define DISTINCT(key, member, n_bytes)                                                             \
	(&(struct conf_distinct){"elements", key, f->elements, f->n_elements,                      \
				 sizeof(*f->elements), offsetof(struct entry, member), n_bytes})

static void check(struct conf_source *s, struct inventory_file *f, uint32_t elements_max)
{
	char path[CONF_PATH_BYTES];

	if (f->n_elements > elements_max)
		conf_source_find(s, conf_path(path, "elements", elements_max, ""),
				 "one of %u elements; memory.elements_max is %u", f->n_elements,
				 elements_max);
	for (uint32_t i = 0; i < f->n_elements; i++) {
		if (f->elements[i].id == 0)
			conf_source_find(s, conf_path(path, "elements", i, "id"),
					 "0 is the id of nothing; ids begin with 1");
		conf_source_address(s, &f->elements[i].parsed, f->elements[i].address,
				    conf_path(path, "elements", i, "address"));
	}
	conf_source_distinct(s, DISTINCT("id", id, sizeof(f->elements->id)));
	conf_source_distinct(s, DISTINCT("name", name, 0));
	conf_source_distinct(s, DISTINCT("address", parsed, sizeof(f->elements->parsed)));
}

/* Moves what libcyaml loaded. */
static int make(struct conf_inventory **out, struct inventory_file *f)
{
	struct conf_inventory *i = calloc(1, sizeof(*i));

	if (i == NULL)
		return -ENOMEM;
	i->elements = calloc(f->n_elements + (size_t)1, sizeof(*i->elements));
	if (i->elements == NULL) {
		free(i);
		return -ENOMEM;
	}
	for (; i->n_elements < f->n_elements; i->n_elements++) {
		struct entry *from = &f->elements[i->n_elements];

		i->elements[i->n_elements] = (struct conf_element){
			.id = from->id,
			.name = from->name,
			.address = from->parsed,
			.kind = from->kind,
			.region = from->region,
		};
		from->name = from->kind = from->region = NULL;
	}
	*out = i;
	return 0;
}

int conf_inventory_load(struct conf_inventory **out, const char *file, uint32_t elements_max,
			struct conf_findings *findings)
{
	struct inventory_file *f = NULL;
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
		check(&s, f, elements_max);
	result = conf_source_result(&s);
	if (result == 0)
		result = make(out, f);
	conf_source_unload(&file_schema, f);
	conf_source_close(&s);
	return result;
}

void conf_inventory_free(struct conf_inventory *i)
{
	if (i == NULL)
		return;
	for (uint32_t k = 0; k < i->n_elements; k++) {
		free(i->elements[k].name);
		free(i->elements[k].kind);
		free(i->elements[k].region);
	}
	free(i->elements);
	free(i);
}
