/* doc.h - a YAML document as a tree that knows where in the file each of its nodes begins.
 * Takes one document of plain YAML: no anchors, aliases or tags, nothing nested deeper than
 * CONF_DOC_DEPTH_MAX. Composed from libyaml's events rather than by its document API, which drops
 * anchors unseen and spends 150 octets on each node; an inventory has a million of them.
 *
 * Thread:  any.
 * Memory:  conf_doc_fini() frees; nodes and texts live until then.
 */
#ifndef BELLWETHER_DP_CONF_DOC_H
#define BELLWETHER_DP_CONF_DOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dp/conf/findings.h"

#define CONF_DOC_DEPTH_MAX 16

enum conf_doc_kind { CONF_DOC_SCALAR, CONF_DOC_SEQUENCE, CONF_DOC_MAPPING };

struct conf_doc_node {
	uint32_t line, column;	/* from 1 */
	uint32_t next, first;	/* sibling and child, as indices of conf_doc.nodes; 0: none */
	uint32_t text, n_bytes; /* scalar: where in conf_doc.texts, terminated */
	uint8_t kind;		/* enum conf_doc_kind */
	bool is_plain;		/* scalar without quotes */
};

struct conf_doc {
	struct conf_doc_node *nodes; /* [0] is none */
	uint32_t n_nodes, room;
	char *texts;
	uint32_t n_texts, texts_room;
};

/* Fills 'd'. What is wrong with the YAML becomes one finding, and 'd' stays empty. 'n' <=
 * UINT32_MAX / 4. Returns 0, also with a finding; -ENOMEM. */
int conf_doc_init(struct conf_doc *d, const uint8_t *bytes, size_t n, struct conf_findings *f);
void conf_doc_fini(struct conf_doc *d);

/* NULL: there is none. A mapping's children are key, value, key, value ... */
const struct conf_doc_node *conf_doc_root(const struct conf_doc *d);
const struct conf_doc_node *conf_doc_first(const struct conf_doc *d, const struct conf_doc_node *n);
const struct conf_doc_node *conf_doc_next(const struct conf_doc *d, const struct conf_doc_node *n);
const char *conf_doc_text(const struct conf_doc *d, const struct conf_doc_node *n);

/* The node at a path such as "servers[1].rank", or else its nearest ancestor that is there; NULL:
 * the document is empty. '*is_there' says which. */
const struct conf_doc_node *conf_doc_find(const struct conf_doc *d, const char *path,
					  bool *is_there);

#endif
