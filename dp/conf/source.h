/* source.h - one YAML file on its way to structs, and what was found wrong with it so far.
 * First the whole document is held against libcyaml's tables, which finds everything that a
 * table can say; only a document that fits is loaded by libcyaml, which stops at the first mistake.
 *
 * Thread:  any.
 * Memory:  conf_source_close() frees; a source that failed to open needs none.
 * Errors:  a failure while findings are added is kept in 'err' and comes out of
 *          conf_source_result().
 */
#ifndef BELLWETHER_DP_CONF_SOURCE_H
#define BELLWETHER_DP_CONF_SOURCE_H

#include <cyaml/cyaml.h>

#include "dp/conf/doc.h"

#define CONF_FILE_BYTES_MAX (64u << 20)

struct conf_source {
	uint8_t *bytes;
	size_t n_bytes;
	struct conf_doc doc;
	struct conf_findings *findings; /* borrowed */
	bool is_loadable;		/* nothing was found but what can be passed over */
	int err;
};

/* Reads and parses. 0, also with findings; -errno: the file could not be read. */
int conf_source_open(struct conf_source *s, const char *file, struct conf_findings *findings);
void conf_source_close(struct conf_source *s);

/* Holds the document against the table: keys, kinds, types, lengths (schema.c). */
void conf_source_check(struct conf_source *s, const cyaml_schema_value_t *schema);
/* Makes the structs of a loadable document; keys that are not known are passed over, so that what
 * else is wrong is found at the same time. NULL: see conf_source_result(). */
void *conf_source_load(struct conf_source *s, const cyaml_schema_value_t *schema);
void conf_source_unload(const cyaml_schema_value_t *schema, void *data); /* takes NULL */

/* Is something written at this path? */
bool conf_source_has(const struct conf_source *s, const char *path);
/* What is written there, or NULL. */
const char *conf_source_text(const struct conf_source *s, const char *path);
/* Adds "PATH: TEXT" where the path stands in the file, or where the nearest thing around it does.
 */
__attribute__((format(printf, 3, 4))) void conf_source_find(struct conf_source *s, const char *path,
							    const char *format, ...);

/* A key that must be different in all entries of a list. */
struct conf_distinct {
	const char *list, *key;
	const void *entries;
	uint32_t n_entries;
	size_t entry_bytes;
	size_t offset;	  /* of the compared value in an entry */
	size_t key_bytes; /* of the value; 0: it is a char *, compared as a text */
};
void conf_source_distinct(struct conf_source *s, const struct conf_distinct *what);

/* Reads an address of one host. What cannot be one is found, and '*out' becomes an address that no
 * other entry has. */
void conf_source_address(struct conf_source *s, struct fedmem_address *out, const char *text,
			 const char *path);
#define CONF_PATH_BYTES 128
/* "LIST[INDEX].KEY" */
const char *conf_path(char path[CONF_PATH_BYTES], const char *list, uint32_t index,
		      const char *key);

/* <0 the failure, >0 the number of findings, in the file's order; 0 neither. */
int conf_source_result(struct conf_source *s);

#endif
