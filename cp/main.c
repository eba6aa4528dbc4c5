/* bellwether-cp: the control plane of one server. Reads the configuration, makes the modules, runs
 * the loop, and destroys them in reverse. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "cp/alarm/alarm.h"
#include "cp/archive/archive.h"
#include "cp/checkpoint/checkpoint.h"
#include "cp/cluster/cluster.h"
#include "cp/core/core.h"
#include "cp/eventlog/eventlog.h"
#include "cp/federated/federated.h"
#include "cp/inventory/inventory.h"
#include "cp/memory/memory.h"
#include "cp/peered/peered.h"
#include "cp/registry/registry.h"
#include "cp/rpc/rpc.h"
#include "cp/standby/standby.h"
#include "cp/store/store.h"
#include "dp/conf/conf.h"
#include "dp/fedmem/fedmem.h"
#include "dp/seal/seal.h"

#define CONFIG_FILE "/etc/bellwether/bellwether.yaml"
/* Of what must always have room: the vote, the log and the registry's tables. */
#define STATE_BYTES	 (UINT64_C(64) << 20)
#define STATE_BYTES_EACH UINT64_C(512) /* element */
#define METHODS_MAX	 32

struct server {
	struct conf *conf;
	struct conf_inventory *elements;
	struct conf_rules *rules;
	uv_loop_t loop;
	uv_signal_t signals[2];
	struct store *store;
	char set_aside[64]; /* name of the registry's file that was, at this start; "": none */
	struct fedmem *fedmem;
	struct rpc_client *client;
	struct inventory *inventory;
	struct cluster *cluster;
	struct memory *memory;
	struct archive *archive;
	bool is_archive_new;
	struct standby *standby;
	struct eventlog *eventlog;
	struct checkpoint *checkpoint;
	struct federated *federated;
	struct peered *peered;
	struct rpc_server *rpc;
};

static void usage(FILE *to)
{
	fprintf(to, "Usage: bellwether-cp [--config FILE] [--check-config]\n"
		    "The control plane of one server of a Bellwether cluster.\n\n"
		    "  -c, --config FILE   the configuration (default " CONFIG_FILE ")\n"
		    "      --check-config  say what is wrong with it and with the files that it "
		    "names, and end\n"
		    "      --version       print the version and end\n"
		    "  -h, --help          print this and end\n");
}

/* ---- The files ---- */

/* Prints what was found; true when there was nothing. */
static bool is_loaded(int answer, const char *file, struct conf_findings *findings)
{
	if (answer > 0)
		conf_findings_print(findings, file, stderr);
	if (answer < 0)
		fprintf(stderr, "%s: %s\n", file, strerror(-answer));
	conf_findings_free(findings);
	return answer == 0;
}

static bool files_load(struct server *s, const char *file)
{
	struct conf_findings findings = {0};
	bool is_good;

	if (!is_loaded(conf_load(&s->conf, file, &findings), file, &findings))
		return false;
	is_good = is_loaded(conf_inventory_load(&s->elements, s->conf->inventory_file,
						s->conf->memory.sizes.elements_max, &findings),
			    s->conf->inventory_file, &findings);
	if (!is_loaded(conf_rules_load(&s->rules, s->conf->rules_file,
				       s->conf->memory.sizes.rules_max, &findings),
		       s->conf->rules_file, &findings))
		is_good = false;
	return is_good;
}

static void files_free(struct server *s)
{
	conf_rules_free(s->rules);
	conf_inventory_free(s->elements);
	conf_free(s->conf);
}

/* ---- The modules ---- */

static void on_signal(uv_signal_t *signal, int number)
{
	core_log(CORE_INFO, "server: ending signal=%s", strsignal(number));
	uv_stop(signal->loop);
}

static int signals_start(struct server *s)
{
	static const int numbers[] = {SIGTERM, SIGINT};
	int err = 0;

	for (int i = 0; i < 2 && err == 0; i++) {
		uv_signal_init(&s->loop, &s->signals[i]);
		err = uv_signal_start(&s->signals[i], on_signal, numbers[i]);
	}
	return err;
}

static int memory_open(struct server *s)
{
	struct fedmem_config cfg = {
		.path = s->conf->memory.path,
		.server_id = s->conf->server,
		.sizes = s->conf->memory.sizes,
	};
	char why[256] = "";
	int err;

	if (mkdir(s->conf->run_dir, 0755) < 0 && errno != EEXIST) {
		core_log(CORE_ERROR, "server: run_dir cannot be made path=%s error=%s",
			 s->conf->run_dir, strerror(errno));
		return -1;
	}
	err = fedmem_open(&s->fedmem, &cfg, why, sizeof(why));
	if (err != 0)
		core_log(CORE_ERROR, "fedmem: not opened path=%s why=%s", cfg.path, why);
	return err;
}

/* What cannot be used is kept under another name: the registry comes back from the peers, and what
 * was in it can still be looked at. */
static int state_set_aside(struct server *s, const char *reason, const char *why)
{
	int err = store_set_aside(s->conf->state_dir, reason, s->set_aside, sizeof(s->set_aside));

	if (err != 0)
		core_log(CORE_ERROR, "store: not set aside dir=%s error=%s why=%s",
			 s->conf->state_dir, strerror(-err), why);
	else
		core_log(CORE_WARNING, "store: set aside dir=%s as=%s why=%s", s->conf->state_dir,
			 s->set_aside, why);
	return err;
}

static int store_start(struct server *s)
{
	const struct store_config cfg = {
		.dir = s->conf->state_dir,
		.bytes_max = STATE_BYTES + STATE_BYTES_EACH * s->conf->memory.sizes.elements_max,
		.is_reserved = true,
		.n_tables = REGISTRY_TABLES,
		.version = REGISTRY_VERSION,
	};
	char why[256] = "";
	int err = store_open(&s->store, &s->loop, &cfg, why, sizeof(why));

	if (err == STORE_DAMAGED || err == STORE_OTHER_VERSION) {
		err = state_set_aside(s, err == STORE_DAMAGED ? "damaged" : "version", why);
		if (err == 0)
			err = store_open(&s->store, &s->loop, &cfg, why, sizeof(why));
	}
	if (err != 0)
		core_log(CORE_ERROR, "store: not opened why=%s", why);
	return err > 0 ? -EBADMSG : err;
}

static int cluster_make(struct server *s, char *why, size_t why_bytes)
{
	struct cluster_config cfg = {
		.loop = &s->loop,
		.conf = s->conf,
		.seed = s->elements,
		.fedmem = s->fedmem,
		.store = s->store,
		.client = s->client,
	};
	int err = inventory_create(&s->inventory);

	if (err != 0)
		return err;
	cfg.inventory = s->inventory;
	return cluster_create(&s->cluster, &cfg, why, why_bytes);
}

static int cluster_start(struct server *s)
{
	char why[256] = "";
	int err = cluster_make(s, why, sizeof(why));

	if (err != -EBADMSG)
		return err;
	inventory_destroy(s->inventory);
	s->inventory = NULL;
	store_close(s->store);
	s->store = NULL;
	err = state_set_aside(s, "damaged", why);
	if (err == 0)
		err = store_start(s);
	return err == 0 ? cluster_make(s, why, sizeof(why)) : err;
}

/* ---- What must survive ---- */

static int archive_start(struct server *s)
{
	char dir[PATH_MAX], why[256] = "";
	const struct archive_config cfg = {
		.loop = &s->loop,
		.dir = dir,
		.self = s->conf->server,
		.bytes_max = (uint64_t)s->conf->store.archive_mb << 20,
		.events_bytes_max = (uint64_t)s->conf->store.events_mb << 20,
		.events_keep_s = (uint64_t)s->conf->store.events_keep_hours * 3600,
	};
	int err = -ENAMETOOLONG;

	if (snprintf(dir, sizeof(dir), "%s/archive", s->conf->state_dir) < (int)sizeof(dir))
		err = archive_open(&s->archive, &cfg, &s->is_archive_new, why, sizeof(why));
	if (err != 0)
		core_log(CORE_ERROR, "archive: not opened dir=%s why=%s", dir, why);
	return err;
}

/* An operator finds it in the log of events, not only on this server. */
static void set_aside_tell(struct server *s, const char *dir, const char *name)
{
	char text[160];
	const struct wire_event e = {.kind = "store_set_aside",
				     .server = s->conf->server,
				     .time_ns = core_wall_ns(),
				     .cell = "",
				     .operator_name = "",
				     .request_id = "",
				     .text = text};

	if (name[0] == '\0')
		return;
	snprintf(text, sizeof(text), "%s: %s", dir, name);
	if (eventlog_append(s->eventlog, &e, NULL, NULL, NULL) != 0)
		core_log(CORE_WARNING, "eventlog: not written kind=%s text=%s", e.kind, text);
}

static void on_restored_in_part(void *user, struct wire_event *e)
{
	struct server *s = user;

	if (s->eventlog != NULL && eventlog_append(s->eventlog, e, NULL, NULL, NULL) != 0)
		core_log(CORE_WARNING, "eventlog: not written kind=%s cell=%s", e->kind, e->cell);
}

static void on_gained(void *user, const struct ownership_cell *cell, uint64_t element, uint16_t was)
{
	struct server *s = user;

	standby_gained(s->standby, cell, element, was);
}

static void on_changed(void *user)
{
	struct server *s = user;

	standby_changed(s->standby);
}

static void on_trail(void *user, const struct wire_event *e)
{
	struct server *s = user;

	eventlog_trail(s->eventlog, e);
}

static int standby_start(struct server *s)
{
	return standby_create(&s->standby, &(struct standby_config){.loop = &s->loop,
								    .fedmem = s->fedmem,
								    .cluster = s->cluster,
								    .inventory = s->inventory,
								    .memory = s->memory,
								    .archive = s->archive,
								    .event = on_restored_in_part,
								    .user = s});
}

static int eventlog_start(struct server *s)
{
	return eventlog_create(&s->eventlog,
			       &(struct eventlog_config){.loop = &s->loop,
							 .fedmem = s->fedmem,
							 .cluster = s->cluster,
							 .inventory = s->inventory,
							 .memory = s->memory,
							 .archive = s->archive,
							 .standby = s->standby,
							 .client = s->client,
							 .is_archive_new = s->is_archive_new});
}

static void sets_aside_tell(struct server *s)
{
	struct archive_state archive;

	archive_look(s->archive, &archive);
	set_aside_tell(s, "registry", s->set_aside);
	set_aside_tell(s, "archive", archive.set_aside);
}

static int checkpoint_start(struct server *s)
{
	return checkpoint_create(&s->checkpoint,
				 &(struct checkpoint_config){
					 .loop = &s->loop,
					 .fedmem = s->fedmem,
					 .cluster = s->cluster,
					 .inventory = s->inventory,
					 .memory = s->memory,
					 .archive = s->archive,
					 .standby = s->standby,
					 .interval_ms = s->conf->store.checkpoint_ms,
					 .status = peered_status,
					 .user = s->peered,
				 });
}

/* ---- What answers clients ---- */

static int federated_start(struct server *s)
{
	return federated_create(&s->federated, &(struct federated_config){.loop = &s->loop,
									  .cluster = s->cluster,
									  .inventory = s->inventory,
									  .memory = s->memory,
									  .archive = s->archive,
									  .eventlog = s->eventlog,
									  .client = s->client});
}

static int peered_start(struct server *s)
{
	return peered_create(&s->peered,
			     &(struct peered_config){.cluster_name = s->conf->cluster.name,
						     .cluster = s->cluster,
						     .inventory = s->inventory,
						     .memory = s->memory,
						     .archive = s->archive,
						     .eventlog = s->eventlog,
						     .client = s->client});
}

/* They stand on the cluster's word, the segment's content and what is on disk. */
static int services_start(struct server *s)
{
	int (*const starts[])(struct server *) = {standby_start, eventlog_start, federated_start,
						  peered_start, checkpoint_start};
	int err = alarm_rules_publish(s->fedmem, s->rules);

	if (err == 0)
		err = memory_create(&s->memory, &(struct memory_config){.fedmem = s->fedmem,
									.cluster = s->cluster,
									.inventory = s->inventory});
	for (size_t i = 0; err == 0 && i < sizeof(starts) / sizeof(starts[0]); i++)
		err = starts[i](s);
	if (err == 0)
		sets_aside_tell(s);
	if (err == 0)
		cluster_listen(s->cluster, &(struct cluster_listener){.user = s,
								      .gained = on_gained,
								      .changed = on_changed,
								      .event = on_trail});
	return err;
}

static void address_make(char out[64], const char *ip, uint16_t port)
{
	snprintf(out, 64, strchr(ip, ':') != NULL ? "[%s]:%u" : "%s:%u", ip, port);
}

static uint32_t methods_add(struct rpc_method *to, uint32_t n, const struct rpc_method *from,
			    uint32_t n_from)
{
	for (uint32_t i = 0; i < n_from && n < METHODS_MAX; i++)
		to[n++] = from[i];
	return n;
}

/* Every service that this server answers is listed here. */
static uint32_t services(struct server *s, struct rpc_method methods[METHODS_MAX])
{
	const struct rpc_method *of;
	uint32_t n = 0, n_of;

	of = cluster_methods(s->cluster, &n_of);
	n = methods_add(methods, n, of, n_of);
	of = standby_methods(s->standby, &n_of);
	n = methods_add(methods, n, of, n_of);
	of = federated_methods(s->federated, &n_of);
	n = methods_add(methods, n, of, n_of);
	of = peered_methods(s->peered, &n_of);
	n = methods_add(methods, n, of, n_of);
	return n;
}

static int rpc_start(struct server *s)
{
	struct rpc_method methods[METHODS_MAX];
	uint32_t n_methods = services(s, methods);
	const struct conf_server *self = s->conf->self;
	uint16_t port = s->conf->listen.api_port;
	char peers[64], clients[64];
	const char *addresses[] = {peers, clients};
	bool is_same = strcmp(self->address, self->client_address) == 0;
	int err;

	address_make(peers, self->address, port);
	address_make(clients, self->client_address, port);
	err = rpc_server_create(&s->rpc, &s->loop, addresses, is_same ? 1 : 2, methods, n_methods);
	if (err != 0)
		core_log(CORE_ERROR, "rpc: cannot listen address=%s client_address=%s error=%s",
			 peers, clients, strerror(-err));
	return err;
}

static int server_start(struct server *s)
{
	int err = seal_start();

	if (err == 0)
		err = signals_start(s);
	if (err == 0)
		err = store_start(s);
	if (err == 0)
		err = archive_start(s);
	if (err == 0)
		err = memory_open(s);
	if (err == 0)
		err = rpc_client_create(&s->client, &s->loop);
	if (err == 0)
		err = cluster_start(s);
	if (err == 0)
		err = services_start(s);
	if (err == 0)
		err = rpc_start(s);
	if (err < 0)
		core_log(CORE_ERROR, "server: not started error=%s", strerror(-err));
	return err;
}

/* In reverse, but for what ends the waiting of others: the client, commands, the event log. */
static void server_stop(struct server *s)
{
	rpc_server_destroy(s->rpc);
	rpc_client_destroy(s->client);
	if (s->cluster != NULL)
		cluster_end_commands(s->cluster);
	checkpoint_destroy(s->checkpoint);
	federated_destroy(s->federated);
	eventlog_destroy(s->eventlog);
	peered_destroy(s->peered);
	standby_destroy(s->standby);
	memory_destroy(s->memory);
	cluster_destroy(s->cluster);
	archive_close(s->archive);
	store_close(s->store);
	for (int i = 0; i < 2; i++)
		if (s->signals[i].loop != NULL)
			uv_close((uv_handle_t *)&s->signals[i], NULL);
	uv_run(&s->loop, UV_RUN_DEFAULT); /* until the last handle is closed */
	inventory_destroy(s->inventory);
	fedmem_close(s->fedmem);
	uv_loop_close(&s->loop);
}

/* Tells the service manager, if there is one, that we are ready (sd_notify(3)). */
static void notify_ready(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t n = path != NULL ? strlen(path) : 0;
	int fd;

	if (n == 0 || n >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(to.sun_path, path, n);
	if (path[0] == '@')
		to.sun_path[0] = '\0'; /* the abstract name space */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, "READY=1", 7, MSG_NOSIGNAL, (struct sockaddr *)&to,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0)
		core_log(CORE_WARNING, "server: service manager not told error=%s",
			 strerror(errno));
	close(fd);
}

static int run(struct server *s)
{
	int err;

	if (uv_loop_init(&s->loop) != 0)
		return EXIT_FAILURE;
	signal(SIGPIPE, SIG_IGN);
	err = server_start(s);
	if (err == 0) {
		notify_ready();
		uv_run(&s->loop, UV_RUN_DEFAULT);
	}
	server_stop(s);
	return err == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	enum { CHECK_CONFIG = 256, VERSION };
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"check-config", no_argument, NULL, CHECK_CONFIG},
		{"version", no_argument, NULL, VERSION},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const char *file = CONFIG_FILE;
	struct server s = {0};
	bool is_check = false;
	int option, status;

	while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			file = optarg;
			break;
		case CHECK_CONFIG:
			is_check = true;
			break;
		case VERSION:
			printf("bellwether-cp %s\n", BELLWETHER_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			usage(stdout);
			return EXIT_SUCCESS;
		default:
			usage(stderr);
			return EXIT_FAILURE;
		}
	}
	if (optind != argc) {
		usage(stderr);
		return EXIT_FAILURE;
	}
	if (!files_load(&s, file))
		status = EXIT_FAILURE;
	else
		status = is_check ? EXIT_SUCCESS : run(&s);
	files_free(&s);
	return status;
}
