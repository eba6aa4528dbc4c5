/* bellwether-dp: the data plane of one server. Reads the configuration, starts EAL, the ports and the worker;
 * then, as EAL's main thread, keeps the XDP programs' tables and counters until it is told to stop. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <poll.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_log.h>

#include "dp/conf/conf.h"
#include "dp/fedmem/fedmem.h"
#include "dp/port/port.h"
#include "dp/sources/sources.h"
#include "dp/seal/seal.h"
#include "dp/worker/worker.h"

#define UPKEEP_MS     50
#define EAL_ARGS_MAX  128
#define WHY_BYTES     256

struct dataplane {
	struct conf *conf;
	struct fedmem *fm;
	struct fedmem_writer *writer;
	uint32_t n_repaired;
	bool is_eal_up;
	struct port **ports;
	uint32_t n_ports;
	struct sources *sources;
	struct worker *worker;
	bool is_worker_running;
};

static const char usage[] = "usage: bellwether-dp [--config FILE] [--check-config] [--version]\n"
			    "  --config FILE    default /etc/bellwether/bellwether.yaml\n"
			    "  --check-config   say what is wrong with the file, and end\n";

static int load_configuration(struct conf **conf, const char *file)
{
	struct conf_findings findings = {0};
	int err = conf_load(conf, file, &findings);

	if (err < 0)
		fprintf(stderr, "bellwether-dp: cannot read %s: %s\n", file, strerror(-err));
	conf_findings_print(&findings, file, stderr);
	conf_findings_free(&findings);
	return err;
}

/* EAL wants its arguments as a command line. */
static int start_eal(struct dataplane *d, char *why)
{
	const struct conf *conf = d->conf;
	char cores[32], main_core[16], prefix[32], memory[16];
	char devices[EAL_ARGS_MAX / 4][512];
	char *argv[EAL_ARGS_MAX];
	int argc = 0;
	int err;

	if (conf->dataplane.n_ports > EAL_ARGS_MAX / 4) {
		snprintf(why, WHY_BYTES, "more than %d ports", EAL_ARGS_MAX / 4);
		return -E2BIG;
	}
	snprintf(cores, sizeof(cores), "%d,%d", conf->dataplane.control_core,
		 conf->dataplane.worker_core);
	snprintf(main_core, sizeof(main_core), "%d", conf->dataplane.control_core);
	snprintf(prefix, sizeof(prefix), "bellwether%u", conf->server);
	snprintf(memory, sizeof(memory), "%u", conf->dataplane.memory_mb);

	argv[argc++] = "bellwether-dp";
	argv[argc++] = "-l";
	argv[argc++] = cores;
	argv[argc++] = "--main-lcore";
	argv[argc++] = main_core;
	argv[argc++] = "--file-prefix";
	argv[argc++] = prefix;
	argv[argc++] = "-m";
	argv[argc++] = memory;
	argv[argc++] = conf->dataplane.huge_pages ? "--in-memory" : "--no-huge";
	argv[argc++] = "--log-level";
	argv[argc++] = "warning";
	argv[argc++] = "--log-level";
	argv[argc++] = "lib.telemetry:error";
	bool has_pci = false;

	for (uint32_t i = 0; i < conf->dataplane.n_ports; i++) {
		const char *option;

		err = port_eal_argument(conf, i, &option, devices[i], why, WHY_BYTES);
		if (err < 0)
			return err;
		has_pci |= strcmp(option, "-a") == 0;
		argv[argc++] = (char *)option;
		argv[argc++] = devices[i];
	}
	if (!has_pci)
		argv[argc++] = "--no-pci";
	/* EAL keeps its files under this folder, where the service's other files are. */
	setenv("RUNTIME_DIRECTORY", conf->run_dir, 1);
	if (rte_eal_init(argc, argv) < 0) {
		snprintf(why, WHY_BYTES, "EAL did not start; its own message stands above");
		return -EIO;
	}
	d->is_eal_up = true;
	return 0;
}

static int open_memory(struct dataplane *d, char *why)
{
	const struct conf *conf = d->conf;
	const struct fedmem_config cfg = {
		.path = conf->memory.path,
		.server_id = conf->server,
		.sizes = conf->memory.sizes,
	};
	int err;

	if (mkdir(conf->run_dir, 0755) < 0 && errno != EEXIST) {
		err = -errno;
		snprintf(why, WHY_BYTES, "cannot make %s: %s", conf->run_dir, strerror(-err));
		return err;
	}
	err = fedmem_open(&d->fm, &cfg, why, WHY_BYTES);
	if (err != 0)
		return err > 0 ? -EINVAL : err;
	/* Before anything else is touched: whoever holds it is the one data plane of this server. */
	err = fedmem_writer_open(&d->writer, d->fm, &d->n_repaired);
	if (err < 0)
		snprintf(why, WHY_BYTES, "cannot write the segment %s: %s", conf->memory.path,
			 err == -EBUSY ? "another data plane does" : strerror(-err));
	return err;
}

static int start(struct dataplane *d, char *why)
{
	int err = open_memory(d, why);

	if (err == 0)
		err = start_eal(d, why);
	if (err < 0)
		return err;
	d->ports = calloc(d->conf->dataplane.n_ports, sizeof(struct port *));
	if (d->ports == NULL) {
		snprintf(why, WHY_BYTES, "out of memory");
		return -ENOMEM;
	}
	for (; d->n_ports < d->conf->dataplane.n_ports; d->n_ports++) {
		err = port_start(&d->ports[d->n_ports], d->conf, d->n_ports, why, WHY_BYTES);
		if (err < 0)
			return err;
	}
	err = sources_create(&d->sources, d->conf, d->fm, d->ports, d->n_ports);
	if (err < 0) {
		snprintf(why, WHY_BYTES, "out of memory");
		return err;
	}
	sources_follow(d->sources);
	for (uint32_t i = 0; i < d->n_ports; i++) {
		err = port_attach(d->ports[i], why, WHY_BYTES);
		if (err < 0)
			return err;
	}
	err = worker_create(&d->worker, d->conf, d->fm, d->writer, d->n_repaired, d->ports,
			    d->n_ports, why, WHY_BYTES);
	if (err < 0)
		return err;
	err = rte_eal_remote_launch(worker_run, d->worker,
				    (unsigned int)d->conf->dataplane.worker_core);
	if (err < 0)
		snprintf(why, WHY_BYTES, "cannot start the worker on core %d: %s",
			 d->conf->dataplane.worker_core, strerror(-err));
	d->is_worker_running = err == 0;
	return err;
}

/* Until SIGTERM or SIGINT. */
static void keep(struct dataplane *d, int signals)
{
	struct pollfd wait = {.fd = signals, .events = POLLIN};
	struct worker_note note = {0};

	do {
		sources_follow(d->sources);
		sources_count(d->sources, &note);
		worker_note(d->worker, &note);
	} while (poll(&wait, 1, UPKEEP_MS) <= 0);
}

static void stop(struct dataplane *d)
{
	if (d->is_worker_running) {
		worker_stop(d->worker);
		rte_eal_wait_lcore((unsigned int)d->conf->dataplane.worker_core);
	}
	worker_destroy(d->worker);
	sources_destroy(d->sources);
	for (uint32_t i = 0; i < d->n_ports; i++)
		port_stop(d->ports[i]);
	free(d->ports);
	if (d->is_eal_up)
		(void)rte_eal_cleanup();
	fedmem_writer_close(d->writer);
	fedmem_close(d->fm);
	conf_free(d->conf);
}

static int run(const char *file, bool is_check_only)
{
	struct dataplane d = {0};
	char why[WHY_BYTES] = "";
	sigset_t ends;
	int signals = -1;
	int err = load_configuration(&d.conf, file);

	if (err != 0 || is_check_only)
		goto out;
	/* Blocked before EAL makes its threads, so that only 'keep' sees them. */
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	signals = signalfd(-1, &ends, SFD_CLOEXEC);
	if (signals < 0) {
		err = -errno;
		snprintf(why, sizeof(why), "signalfd: %s", strerror(-err));
	} else {
		err = seal_start();
	}
	if (err == 0)
		err = start(&d, why);
	if (err == 0) {
		fprintf(stderr, "dp: up server=%u ports=%u control_core=%d worker_core=%d\n",
			d.conf->server, d.n_ports, d.conf->dataplane.control_core,
			d.conf->dataplane.worker_core);
		keep(&d, signals);
	} else {
		fprintf(stderr, "bellwether-dp: %s\n", why);
	}
	if (signals >= 0)
		close(signals);
out:
	stop(&d);
	return err == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"check-config", no_argument, NULL, 'k'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const char *file = "/etc/bellwether/bellwether.yaml";
	bool is_check_only = false;
	int o;

	while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (o) {
		case 'c':
			file = optarg;
			break;
		case 'k':
			is_check_only = true;
			break;
		case 'V':
			printf("bellwether-dp %s\n", BELLWETHER_VERSION);
			return 0;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return 1;
		}
	}
	if (optind != argc) {
		fputs(usage, stderr);
		return 1;
	}
	return run(file, is_check_only);
}
