#include "dp/conf/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* libcyaml lengthens a list by one entry at a time; this makes room for twice as many, so that a
 * list of n entries is not moved n times. */
struct growth {
	void *block; /* the large one that grew last */
	size_t room;
};
#define GROWTH_BYTES 4096

/* Ours, so that what libcyaml allocates may be freed with free(). */
static void *memory(void *growth, void *old, size_t n)
{
	struct growth *g = growth;
	size_t room = n < GROWTH_BYTES ? n : 2 * n;
	void *block;

	if (n > 0 && old != NULL && old == g->block && n <= g->room)
		return old;
	if (n == 0) {
		block = NULL;
		free(old);
	} else {
		block = realloc(old, room);
		if (block == NULL)
			return NULL;
	}
	if (old == g->block || n >= GROWTH_BYTES)
		*g = (struct growth){.block = block, .room = room};
	return block;
}

static cyaml_config_t cyaml_config(struct growth *g)
{
	return (cyaml_config_t){
		.mem_fn = memory,
		.mem_ctx = g,
		.flags = CYAML_CFG_NO_ALIAS | CYAML_CFG_IGNORE_UNKNOWN_KEYS,
	};
}

static int read_all(struct conf_source *s, int fd)
{
	size_t room = 64u << 10;

	for (;;) {
		uint8_t *bytes = realloc(s->bytes, room);
		ssize_t got = 1;

		if (bytes == NULL)
			return -ENOMEM;
		s->bytes = bytes;
		while (s->n_bytes < room && got != 0) {
			got = read(fd, s->bytes + s->n_bytes, room - s->n_bytes);
			if (got < 0 && errno != EINTR)
				return -errno;
			if (got > 0)
				s->n_bytes += (size_t)got;
		}
		if (got == 0 || s->n_bytes > CONF_FILE_BYTES_MAX)
			return 0;
		room *= 2;
	}
}

int conf_source_open(struct conf_source *s, const char *file, struct conf_findings *findings)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	int err;

	*s = (struct conf_source){.findings = findings};
	if (fd < 0)
		return -errno;
	err = read_all(s, fd);
	close(fd);
	if (err == 0 && s->n_bytes > CONF_FILE_BYTES_MAX)
		err = conf_findings_add(findings, 0, 0, "the file is larger than %u MiB",
					CONF_FILE_BYTES_MAX >> 20);
	else if (err == 0)
		err = conf_doc_init(&s->doc, s->bytes, s->n_bytes, findings);
	if (err == 0 && findings->n == 0 && conf_doc_root(&s->doc) == NULL)
		err = conf_findings_add(findings, 0, 0, "the file is empty");
	s->is_loadable = err == 0 && findings->n == 0;
	if (err != 0)
		conf_source_close(s);
	return err;
}

void conf_source_close(struct conf_source *s)
{
	conf_doc_fini(&s->doc);
	free(s->bytes);
	s->bytes = NULL;
}

void *conf_source_load(struct conf_source *s, const cyaml_schema_value_t *schema)
{
	struct growth growth = {0};
	cyaml_config_t config = cyaml_config(&growth);
	cyaml_err_t code;
	void *data = NULL;

	code = cyaml_load_data(s->bytes, s->n_bytes, &config, schema, &data, NULL);
	if (code == CYAML_OK)
		return data;
	s->err = -ENOMEM;
	if (code != CYAML_ERR_OOM) /* its reading and ours differ; say so rather than go on */
		s->err = conf_findings_add(s->findings, 0, 0, "libcyaml: %s", cyaml_strerror(code));
	return NULL;
}

void conf_source_unload(const cyaml_schema_value_t *schema, void *data)
{
	struct growth growth = {0};
	cyaml_config_t config = cyaml_config(&growth);

	(void)cyaml_free(&config, schema, data, 0);
}

bool conf_source_has(const struct conf_source *s, const char *path)
{
	bool is_there;

	(void)conf_doc_find(&s->doc, path, &is_there);
	return is_there;
}

const char *conf_source_text(const struct conf_source *s, const char *path)
{
	bool is_there;
	const struct conf_doc_node *node = conf_doc_find(&s->doc, path, &is_there);

	return is_there && node->kind == CONF_DOC_SCALAR ? conf_doc_text(&s->doc, node) : NULL;
}

void conf_source_find(struct conf_source *s, const char *path, const char *format, ...)
{
	const struct conf_doc_node *node;
	char text[sizeof(s->findings->items->text)];
	bool is_there;
	va_list args;

	if (s->err != 0 || conf_findings_are_full(s->findings)) /* spares the way to the node */
		return;
	node = conf_doc_find(&s->doc, path, &is_there);
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	s->err = conf_findings_add(s->findings, node == NULL ? 0 : node->line,
				   node == NULL ? 0 : node->column, "%s: %s", path, text);
}

const char *conf_path(char path[CONF_PATH_BYTES], const char *list, uint32_t index, const char *key)
{
	snprintf(path, CONF_PATH_BYTES, "%s[%u]%s%s", list, index, *key != '\0' ? "." : "", key);
	return path;
}

/* ---- Lists without doubles ---- */

static int compare(const void *a_, const void *b_, void *what_)
{
	const struct conf_distinct *what = what_;
	const char *a = (const char *)what->entries + *(const uint32_t *)a_ * what->entry_bytes;
	const char *b = (const char *)what->entries + *(const uint32_t *)b_ * what->entry_bytes;

	a += what->offset;
	b += what->offset;
	return what->key_bytes > 0 ? memcmp(a, b, what->key_bytes)
				   : strcmp(*(char *const *)a, *(char *const *)b);
}

static int compare_in_order(const void *a, const void *b, void *what)
{
	uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
	int order = compare(a, b, what);

	return order != 0 ? order : i < j ? -1 : 1;
}

/* A value that came about by default stands nowhere; the finding is then about the other entry. */
static void find_double(struct conf_source *s, const struct conf_distinct *what, uint32_t first,
			uint32_t second)
{
	char path[CONF_PATH_BYTES];
	const char *text;

	if (conf_findings_are_full(s->findings))
		return;
	text = conf_source_text(s, conf_path(path, what->list, second, what->key));
	if (text == NULL) {
		uint32_t other = first;

		first = second;
		second = other;
		text = conf_source_text(s, conf_path(path, what->list, second, what->key));
	}
	if (text != NULL)
		conf_source_find(s, path, "%.60s is also the %s of %s[%u]", text, what->key,
				 what->list, first);
}

void conf_source_distinct(struct conf_source *s, const struct conf_distinct *what)
{
	uint32_t *order = calloc(what->n_entries + (size_t)1, sizeof(*order));
	uint32_t first = 0;

	if (order == NULL) {
		s->err = -ENOMEM;
		return;
	}
	for (uint32_t i = 0; i < what->n_entries; i++)
		order[i] = i;
	qsort_r(order, what->n_entries, sizeof(*order), compare_in_order, (void *)what);
	for (uint32_t i = 1; i < what->n_entries; i++) {
		if (compare(&order[first], &order[i], (void *)what) != 0)
			first = i;
		else
			find_double(s, what, order[first], order[i]);
	}
	free(order);
}

/* ---- Addresses ---- */

void conf_source_address(struct conf_source *s, struct fedmem_address *out, const char *text,
			 const char *path)
{
	uint32_t n = s->findings->n;

	if (conf_address_parse(out, text) != 0)
		conf_source_find(s, path, "'%.60s' is no IPv4 or IPv6 address", text);
	else if (!conf_address_is_host(out))
		conf_source_find(s, path, "%.60s is not the address of one host", text);
	else
		return;
	/* A group's address, so no host's. */
	*out = (struct fedmem_address){{0xff}};
	memcpy(out->octets + 12, &n, sizeof(n));
}

int conf_source_result(struct conf_source *s)
{
	if (s->err != 0) {
		conf_findings_free(s->findings);
		return s->err;
	}
	conf_findings_sort(s->findings);
	return (int)s->findings->n;
}
