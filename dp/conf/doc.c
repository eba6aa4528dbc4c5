#include "dp/conf/doc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

struct composer {
	struct conf_doc *doc;
	struct conf_findings *findings;
	uint32_t open[CONF_DOC_DEPTH_MAX]; /* the mappings and sequences around the present place */
	uint32_t last[CONF_DOC_DEPTH_MAX]; /* the youngest child of each */
	uint32_t depth;
	uint32_t n_documents;
};

/* ---- Composing ---- */

static int grow(void **items, uint32_t *room, uint64_t wanted, size_t item_bytes)
{
	uint64_t more = *room;
	void *moved;

	if (wanted <= *room)
		return 0;
	while (more < wanted)
		more = more == 0 ? 256 : 2 * more;
	if (more > UINT32_MAX)
		return -ENOMEM;
	moved = realloc(*items, more * item_bytes);
	if (moved == NULL)
		return -ENOMEM;
	*items = moved;
	*room = (uint32_t)more;
	return 0;
}

static int node_add(struct composer *c, enum conf_doc_kind kind, const yaml_mark_t *at)
{
	struct conf_doc *d = c->doc;
	uint32_t index = d->n_nodes;

	if (grow((void **)&d->nodes, &d->room, (uint64_t)index + 1, sizeof(*d->nodes)) != 0)
		return -ENOMEM;
	d->nodes[index] = (struct conf_doc_node){
		.line = (uint32_t)at->line + 1,
		.column = (uint32_t)at->column + 1,
		.kind = kind,
	};
	d->n_nodes++;
	if (c->depth > 0) {
		uint32_t *last = &c->last[c->depth - 1];

		if (*last == 0)
			d->nodes[c->open[c->depth - 1]].first = index;
		else
			d->nodes[*last].next = index;
		*last = index;
	}
	return 0;
}

static int scalar_add(struct composer *c, const yaml_event_t *e)
{
	struct conf_doc *d = c->doc;
	size_t n = e->data.scalar.length;
	struct conf_doc_node *node;

	if (node_add(c, CONF_DOC_SCALAR, &e->start_mark) != 0 ||
	    grow((void **)&d->texts, &d->texts_room, (uint64_t)d->n_texts + n + 1, 1) != 0)
		return -ENOMEM;
	node = &d->nodes[d->n_nodes - 1];
	node->text = d->n_texts;
	node->n_bytes = (uint32_t)n;
	node->is_plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	memcpy(d->texts + d->n_texts, e->data.scalar.value, n);
	d->texts[d->n_texts + n] = '\0';
	d->n_texts += (uint32_t)n + 1;
	return 0;
}

static int refuse(struct composer *c, const yaml_event_t *e, const char *why)
{
	int err = conf_findings_add(c->findings, (uint32_t)e->start_mark.line + 1,
				    (uint32_t)e->start_mark.column + 1, "%s", why);

	return err != 0 ? err : 1;
}

static int collection_begin(struct composer *c, enum conf_doc_kind kind, const yaml_event_t *e)
{
	int err;

	if (c->depth == CONF_DOC_DEPTH_MAX)
		return refuse(c, e, "nested too deep");
	err = node_add(c, kind, &e->start_mark);
	if (err != 0)
		return err;
	c->open[c->depth] = c->doc->n_nodes - 1;
	c->last[c->depth++] = 0;
	return 0;
}

/* 0: go on; 1: there is a finding; <0: -errno. */
static int take_event(struct composer *c, const yaml_event_t *e)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (++c->n_documents > 1)
			return refuse(c, e, "a second document begins here; one is wanted");
		return 0;
	case YAML_ALIAS_EVENT:
		return refuse(c, e, "aliases (*) are not taken here");
	case YAML_SCALAR_EVENT:
		anchor = e->data.scalar.anchor;
		tag = e->data.scalar.tag;
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = e->data.sequence_start.anchor;
		tag = e->data.sequence_start.tag;
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = e->data.mapping_start.anchor;
		tag = e->data.mapping_start.tag;
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		c->depth--;
		return 0;
	default:
		return 0;
	}
	if (anchor != NULL)
		return refuse(c, e, "anchors (&) are not taken here");
	if (tag != NULL)
		return refuse(c, e, "tags (!) are not taken here");
	if (e->type == YAML_SCALAR_EVENT)
		return scalar_add(c, e);
	return collection_begin(
		c, e->type == YAML_MAPPING_START_EVENT ? CONF_DOC_MAPPING : CONF_DOC_SEQUENCE, e);
}

/* libyaml names no line for octets that are no text, but how far they are into the file. */
static void place_of_octet(const uint8_t *bytes, size_t n, size_t offset, uint32_t *line,
			   uint32_t *column)
{
	*line = *column = 1;
	for (size_t i = 0; i < n && i < offset; i++) {
		if (bytes[i] == '\n') {
			++*line;
			*column = 1;
		} else if ((bytes[i] & 0xc0) != 0x80) {
			++*column;
		}
	}
}

static int add_syntax(const yaml_parser_t *p, const uint8_t *bytes, size_t n,
		      struct conf_findings *f)
{
	uint32_t line = (uint32_t)p->problem_mark.line + 1;
	uint32_t column = (uint32_t)p->problem_mark.column + 1;

	if (p->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (p->error == YAML_READER_ERROR)
		place_of_octet(bytes, n, p->problem_offset, &line, &column);
	return conf_findings_add(f, line, column, "not YAML: %s%s%s",
				 p->problem != NULL ? p->problem : "cannot be read",
				 p->context != NULL ? ", " : "",
				 p->context != NULL ? p->context : "");
}

int conf_doc_init(struct conf_doc *d, const uint8_t *bytes, size_t n, struct conf_findings *f)
{
	struct composer c = {.doc = d, .findings = f};
	bool is_over = false;
	yaml_parser_t parser;
	int err = 0;

	*d = (struct conf_doc){.n_nodes = 1};
	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&parser, bytes, n);
	while (err == 0 && !is_over) {
		yaml_event_t event;

		if (!yaml_parser_parse(&parser, &event)) {
			err = add_syntax(&parser, bytes, n, f);
			break;
		}
		is_over = event.type == YAML_STREAM_END_EVENT;
		err = take_event(&c, &event);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	if (!is_over || err != 0)
		conf_doc_fini(d); /* a key may lack its value: nothing to look around in */
	return err < 0 ? err : 0;
}

void conf_doc_fini(struct conf_doc *d)
{
	free(d->nodes);
	free(d->texts);
	*d = (struct conf_doc){0};
}

/* ---- Looking ---- */

static const struct conf_doc_node *node_at(const struct conf_doc *d, uint32_t index)
{
	return index == 0 ? NULL : &d->nodes[index];
}

const struct conf_doc_node *conf_doc_root(const struct conf_doc *d)
{
	return d->n_nodes > 1 ? &d->nodes[1] : NULL;
}

const struct conf_doc_node *conf_doc_first(const struct conf_doc *d, const struct conf_doc_node *n)
{
	return node_at(d, n->first);
}

const struct conf_doc_node *conf_doc_next(const struct conf_doc *d, const struct conf_doc_node *n)
{
	return node_at(d, n->next);
}

const char *conf_doc_text(const struct conf_doc *d, const struct conf_doc_node *n)
{
	return n->kind == CONF_DOC_SCALAR ? d->texts + n->text : "";
}

static const struct conf_doc_node *
find_item(const struct conf_doc *d, const struct conf_doc_node *sequence, unsigned long index)
{
	const struct conf_doc_node *n;

	if (sequence->kind != CONF_DOC_SEQUENCE)
		return NULL;
	for (n = conf_doc_first(d, sequence); n != NULL && index > 0; index--)
		n = conf_doc_next(d, n);
	return n;
}

static const struct conf_doc_node *find_key(const struct conf_doc *d,
					    const struct conf_doc_node *mapping, const char *key,
					    size_t n_bytes)
{
	const struct conf_doc_node *n;

	if (mapping->kind != CONF_DOC_MAPPING)
		return NULL;
	for (n = conf_doc_first(d, mapping); n != NULL; n = conf_doc_next(d, conf_doc_next(d, n)))
		if (n->kind == CONF_DOC_SCALAR && n->n_bytes == n_bytes &&
		    memcmp(conf_doc_text(d, n), key, n_bytes) == 0)
			return conf_doc_next(d, n);
	return NULL;
}

const struct conf_doc_node *conf_doc_find(const struct conf_doc *d, const char *path,
					  bool *is_there)
{
	const struct conf_doc_node *at = conf_doc_root(d), *next;

	*is_there = false;
	if (at == NULL)
		return NULL;
	while (*path != '\0') {
		if (*path == '[') {
			char *end;

			next = find_item(d, at, strtoul(path + 1, &end, 10));
			path = end + (*end == ']');
		} else {
			size_t n = strcspn(path += *path == '.', ".[");

			next = find_key(d, at, path, n);
			path += n;
		}
		if (next == NULL)
			return at;
		at = next;
	}
	*is_there = true;
	return at;
}
