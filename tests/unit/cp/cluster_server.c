/* cluster_server: cp/cluster alone, as a program that a test can kill. Takes commands as lines on
 * standard input and says what came of them, and what it was told, as lines on standard output.
 *
 *   cluster_server CONFIG deaf|listen|restore
 *
 * deaf: without a listener. listen: it restores what the test tells it to. restore: it says at once
 * that everything is restored. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <uv.h>

#include "cp/cluster/cluster.h"
#include "cp/core/core.h"
#include "cp/store/store.h"
#include "cp/wire/wire.h"
#include "dp/seal/seal.h"

#define LINE_MAX_BYTES 256

static struct {
	uv_loop_t loop;
	uv_pipe_t input;
	struct conf *conf;
	struct conf_inventory *elements;
	struct fedmem *fedmem;
	struct store *store;
	struct inventory *inventory;
	struct rpc_client *client;
	struct rpc_server *rpc;
	struct cluster *cluster;
	bool restores;
	char line[LINE_MAX_BYTES];
	size_t n_line;
	char buffer[4096];
	uint32_t many_left, many_under_way, n_many;
} s;

/* ---- What it is told ---- */

static void on_gained(void *user, const struct ownership_cell *cell, uint64_t element, uint16_t was)
{
	printf("gained %s element=%llu was=%u epoch=%llu generation=%llu\n", cell->name,
	       (unsigned long long)element, was, (unsigned long long)cell->token.epoch,
	       (unsigned long long)cell->token.generation);
	if (s.restores)
		cluster_restored(s.cluster, cell->name, cell->token);
}

static void on_changed(void *user)
{
}

static void on_event(void *user, const struct wire_event *e)
{
	printf("event %s server=%u was=%u cell=%s number=%llu\n", e->kind, e->server, e->was,
	       e->cell, (unsigned long long)e->number);
}

/* ---- What it is asked for ---- */

static void on_done(void *user, int err, const struct registry_outcome *o)
{
	char *id = user;

	if (err != 0)
		printf("done %s err=%s\n", id, strerror(-err));
	else
		printf("done %s refused=%d repeat=%d index=%llu added=%u changed=%u same=%u\n", id,
		       o->is_refused, o->is_repeat, (unsigned long long)o->index, o->n_added,
		       o->n_changed, o->n_same);
	free(id);
}

static void command(const char *id, struct wire_registry_entry *entry)
{
	char *copy = strdup(id);
	int err;

	entry->request_id = id;
	entry->operator_name = "test";
	err = cluster_command(s.cluster, entry, on_done, copy);
	if (err != 0)
		on_done(copy, err, NULL);
}

static void many_go_on(void);

static void on_many_done(void *user, int err, const struct registry_outcome *o)
{
	s.many_under_way--;
	if (err != 0)
		s.many_left = 0;
	many_go_on();
}

/* Entries that change something each, as many as wanted, a hundred at once. */
static void many_go_on(void)
{
	while (s.many_left > 0 && s.many_under_way < 100) {
		struct wire_registry_entry entry = {
			.kind = WIRE_REGISTRY_DRAIN, .server = 60, .is_set = s.many_left % 2};

		s.many_left--;
		s.many_under_way++;
		if (cluster_command(s.cluster, &entry, on_many_done, NULL) != 0) {
			s.many_under_way--;
			s.many_left = 0;
		}
	}
	if (s.many_under_way == 0 && s.n_many > 0) {
		printf("many done\n");
		s.n_many = 0;
	}
}

static void many(uint32_t n)
{
	s.many_left = s.n_many = n;
	many_go_on();
}

static void status(void)
{
	const struct cluster_view *view = cluster_view(s.cluster);
	struct registry *r = (struct registry *)cluster_registry(s.cluster); /* only looks */
	uint64_t epoch;
	uint8_t *bytes = NULL;
	size_t n;
	bool has_first = registry_log_get(r, 1, &epoch, &bytes, &n) == 0;

	free(bytes);
	printf("status applied=%llu elements=%u cells=%u rebuilding=%d has_first=%d drained=",
	       (unsigned long long)view->committed, inventory_count(s.inventory),
	       view->map->n_cells, view->is_rebuilding, has_first);
	for (uint32_t i = 0; i < view->n_servers; i++)
		printf("%d", view->servers[i].is_drained);
	printf("\n");
}

static void put(const char *id, unsigned int element, const char *name, const char *region)
{
	struct wire_element_spec spec = {
		.id = element,
		.name = name,
		.kind = "router",
		.region = region,
		.address = {[10] = 0xff, 0xff, 10, 8, (uint8_t)(element >> 8), (uint8_t)element},
	};
	struct wire_registry_entry entry = {.kind = WIRE_REGISTRY_ELEMENTS,
					    .elements = &spec,
					    .n_elements = 1,
					    .event = "elements_imported"};

	command(id, &entry);
}

static void move(const char *id, const char *name, const char *region)
{
	struct wire_element_spec spec = {.name = name, .region = region};
	struct wire_registry_entry entry = {.kind = WIRE_REGISTRY_ELEMENTS,
					    .elements = &spec,
					    .n_elements = 1,
					    .event = "element_moved"};

	command(id, &entry);
}

static void line_do(const char *line)
{
	struct wire_registry_entry entry = {0};
	char id[65], name[64], region[64];
	unsigned int a, b;
	unsigned long long epoch, generation;

	if (sscanf(line, "drain %64s %u %u", id, &a, &b) == 3) {
		entry.kind = WIRE_REGISTRY_DRAIN;
		entry.server = a;
		entry.is_set = b;
		command(id, &entry);
	} else if (sscanf(line, "pin %64s %63s %u", id, name, &a) == 3) {
		entry.kind = WIRE_REGISTRY_PIN;
		entry.cell = name;
		entry.server = a;
		command(id, &entry);
	} else if (sscanf(line, "put %64s %u %63s %63s", id, &a, name, region) == 4) {
		put(id, a, name, region);
	} else if (sscanf(line, "move %64s %63s %63s", id, name, region) == 3) {
		move(id, name, region);
	} else if (sscanf(line, "many %u", &a) == 1) {
		many(a);
	} else if (sscanf(line, "restored %63s %llu %llu", name, &epoch, &generation) == 3) {
		cluster_restored(s.cluster, name, (struct ownership_token){epoch, generation});
		printf("ok\n");
	} else {
		status();
	}
}

static void on_room(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
	*buf = uv_buf_init(s.buffer, sizeof(s.buffer));
}

static void on_input(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	for (ssize_t i = 0; i < n; i++) {
		if (buf->base[i] != '\n') {
			s.line[s.n_line] = buf->base[i];
			s.n_line += s.n_line < sizeof(s.line) - 1;
			continue;
		}
		s.line[s.n_line] = '\0';
		s.n_line = 0;
		line_do(s.line);
	}
	if (n < 0)
		uv_stop(&s.loop); /* whoever started us is gone, or wants us to end */
}

/* ---- Life ---- */

static int files_load(const char *file)
{
	struct conf_findings findings;

	if (conf_load(&s.conf, file, &findings) != 0)
		return -EINVAL;
	return conf_inventory_load(&s.elements, s.conf->inventory_file,
				   s.conf->memory.sizes.elements_max, &findings) == 0
		       ? 0
		       : -EINVAL;
}

static int memory_open(char *why, size_t why_bytes)
{
	struct fedmem_config cfg = {
		.path = s.conf->memory.path,
		.server_id = s.conf->server,
		.sizes = s.conf->memory.sizes,
	};

	return fedmem_open(&s.fedmem, &cfg, why, why_bytes);
}

static int store_start(char *why, size_t why_bytes)
{
	struct store_config cfg = {
		.dir = s.conf->state_dir,
		.bytes_max = 64u << 20,
		.n_tables = REGISTRY_TABLES,
		.version = REGISTRY_VERSION,
	};

	return store_open(&s.store, &s.loop, &cfg, why, why_bytes);
}

static int cluster_start(const char *mode, char *why, size_t why_bytes)
{
	const struct cluster_listener listener = {
		.gained = on_gained, .changed = on_changed, .event = on_event};
	struct cluster_config cfg = {
		.loop = &s.loop,
		.conf = s.conf,
		.seed = s.elements,
		.inventory = s.inventory,
		.fedmem = s.fedmem,
		.store = s.store,
		.client = s.client,
	};
	int err = cluster_create(&s.cluster, &cfg, why, why_bytes);

	if (err != 0)
		return err;
	s.restores = strcmp(mode, "restore") == 0;
	if (strcmp(mode, "deaf") != 0)
		cluster_listen(s.cluster, &listener);
	return 0;
}

static int rpc_start(void)
{
	const struct rpc_method *methods;
	const char *addresses[1];
	char address[64];
	uint32_t n;

	methods = cluster_methods(s.cluster, &n);
	snprintf(address, sizeof(address), "%s:%u", s.conf->self->address, s.conf->listen.api_port);
	addresses[0] = address;
	return rpc_server_create(&s.rpc, &s.loop, addresses, 1, methods, n);
}

int main(int argc, char **argv)
{
	char why[256] = "";
	int err = argc == 3 ? seal_start() : -EINVAL;

	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (err == 0)
		err = uv_loop_init(&s.loop);
	if (err == 0)
		err = files_load(argv[1]);
	if (err == 0)
		err = memory_open(why, sizeof(why));
	if (err == 0)
		err = store_start(why, sizeof(why));
	if (err == 0)
		err = inventory_create(&s.inventory);
	if (err == 0)
		err = rpc_client_create(&s.client, &s.loop);
	if (err == 0)
		err = cluster_start(argv[2], why, sizeof(why));
	if (err == 0)
		err = rpc_start();
	if (err == 0)
		err = uv_pipe_init(&s.loop, &s.input, 0);
	if (err == 0)
		err = uv_pipe_open(&s.input, 0);
	if (err == 0)
		err = uv_read_start((uv_stream_t *)&s.input, on_room, on_input);
	if (err != 0) {
		fprintf(stderr, "cluster_server: not started err=%d why=%s\n", err, why);
		return EXIT_FAILURE;
	}
	printf("ready\n");
	uv_run(&s.loop, UV_RUN_DEFAULT);
	rpc_server_destroy(s.rpc);
	rpc_client_destroy(s.client);
	cluster_end_commands(s.cluster);
	cluster_destroy(s.cluster);
	store_close(s.store);
	uv_close((uv_handle_t *)&s.input, NULL);
	uv_run(&s.loop, UV_RUN_DEFAULT);
	uv_loop_close(&s.loop);
	inventory_destroy(s.inventory);
	fedmem_close(s.fedmem);
	conf_inventory_free(s.elements);
	conf_free(s.conf);
	return EXIT_SUCCESS;
}
