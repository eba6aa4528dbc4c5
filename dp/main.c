/* bellwether-dp: the data plane of one server. Reads the configuration, starts EAL, the ports and
 * the worker; then, as EAL's main thread, keeps the XDP programs' tables and counters until it is
 * told to stop. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dp/conf/conf.h"
#include "dp/eal/eal.h"
#include "dp/fedmem/fedmem.h"
#include "dp/port/port.h"
#include "dp/seal/seal.h"
#include "dp/sources/sources.h"
#include "dp/worker/worker.h"

#define UPKEEP_MS 50
#define WHY_BYTES 256

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
	/* Before anything else is touched: whoever holds it is the one data plane of this server.
	 */
	err = fedmem_writer_open(&d->writer, d->fm, &d->n_repaired);
	if (err < 0)
		snprintf(why, WHY_BYTES, "cannot write the segment %s: %s", conf->memory.path,
			 err == -EBUSY ? "another data plane does" : strerror(-err));
	return err;
}

static int start_ports(struct dataplane *d, char *why)
{
	int err;

	d->ports = calloc(d->conf->dataplane.n_ports, sizeof(struct port *));
	if (d->ports == NULL) {
		snprintf(why, WHY_BYTES, "out of memory for the ports");
		return -ENOMEM;
	}
	for (; d->n_ports < d->conf->dataplane.n_ports; d->n_ports++) {
		err = port_start(&d->ports[d->n_ports], d->conf, d->n_ports, why, WHY_BYTES);
		if (err < 0)
			return err;
	}
	err = sources_create(&d->sources, d->conf, d->fm, d->ports, d->n_ports);
	if (err < 0) {
		snprintf(why, WHY_BYTES, "out of memory for the known sources");
		return err;
	}
	/* The programs know their sources before they see the first frame. */
	sources_follow(d->sources);
	for (uint32_t i = 0; i < d->n_ports; i++) {
		err = port_attach(d->ports[i], why, WHY_BYTES);
		if (err < 0)
			return err;
	}
	return 0;
}

static int start_worker(struct dataplane *d, char *why)
{
	int err = worker_create(&d->worker, d->conf, d->fm, d->writer, d->n_repaired, d->ports,
				d->n_ports, why, WHY_BYTES);

	if (err < 0)
		return err;
	err = eal_worker_launch(worker_run, d->worker);
	if (err < 0)
		snprintf(why, WHY_BYTES, "cannot start the worker on core %d: %s",
			 d->conf->dataplane.worker_core, strerror(-err));
	d->is_worker_running = err == 0;
	return err;
}

static int start(struct dataplane *d, char *why)
{
	int err = seal_start();

	if (err < 0) {
		snprintf(why, WHY_BYTES, "libsodium did not start");
		return err;
	}
	err = open_memory(d, why);
	if (err < 0)
		return err;
	err = eal_start(d->conf, why, WHY_BYTES);
	if (err < 0)
		return err;
	d->is_eal_up = true;
	err = start_ports(d, why);
	return err < 0 ? err : start_worker(d, why);
}

static void count(struct dataplane *d)
{
	struct worker_note note;

	sources_count(d->sources, &note);
	worker_note(d->worker, &note);
}

/* Until SIGTERM or SIGINT. */
static void keep(struct dataplane *d, int signals)
{
	struct pollfd wait = {.fd = signals, .events = POLLIN};

	do {
		for (uint32_t i = 0; i < d->n_ports; i++)
			port_watch(d->ports[i]);
		sources_follow(d->sources);
		count(d);
	} while (poll(&wait, 1, UPKEEP_MS) <= 0);
	count(d); /* into the worker's last snapshot */
}

/* Takes one that was started in part. */
static void stop(struct dataplane *d)
{
	if (d->is_worker_running) {
		worker_stop(d->worker);
		eal_worker_wait();
	}
	worker_destroy(d->worker);
	sources_destroy(d->sources);
	for (uint32_t i = 0; i < d->n_ports; i++)
		port_stop(d->ports[i]);
	free(d->ports);
	if (d->is_eal_up)
		eal_stop();
	fedmem_writer_close(d->writer);
	fedmem_close(d->fm);
	conf_free(d->conf);
}

/* A descriptor that SIGTERM and SIGINT can be read from. */
static int catch_ends(char *why)
{
	sigset_t ends;
	int fd, err;

	/* Blocked before EAL makes its threads, so that only keep() sees them. */
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	/* Who reads our messages may go away before us. */
	signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &ends, SFD_CLOEXEC);
	if (fd >= 0)
		return fd;
	err = -errno;
	snprintf(why, WHY_BYTES, "cannot catch signals: %s", strerror(-err));
	return err;
}

static int run(const char *file)
{
	struct dataplane d = {0};
	char why[WHY_BYTES] = "";
	int signals, err = load_configuration(&d.conf, file);

	if (err != 0)
		return 1; /* what is wrong was said */
	signals = catch_ends(why);
	err = signals < 0 ? signals : start(&d, why);
	if (err == 0) {
		fprintf(stderr, "dp: up server=%u ports=%u control_core=%d worker_core=%d\n",
			d.conf->server, d.n_ports, d.conf->dataplane.control_core,
			d.conf->dataplane.worker_core);
		keep(&d, signals);
	} else {
		fprintf(stderr, "bellwether-dp: %s\n", why);
	}
	stop(&d);
	if (signals >= 0)
		close(signals);
	return err == 0 ? 0 : 1;
}

static int check_configuration(const char *file)
{
	struct conf *conf = NULL;
	int err = load_configuration(&conf, file);

	conf_free(conf);
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
	return is_check_only ? check_configuration(file) : run(file);
}
