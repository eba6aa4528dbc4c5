#include "dp/eal/eal.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_launch.h>

#include "dp/port/port.h"

/* EAL counts its own cores; which of the machine's they are stands in --lcores, and may be any: -l
 * knows no more than 128. */
#define CONTROL_LCORE 0
#define WORKER_LCORE  1

#define FIXED_ARGS   16
#define DEVICE_BYTES 512

static int check_core(int32_t core, const char *key, char *why, size_t why_bytes)
{
	cpu_set_t before, only;
	int err = 0;

	if (core >= CPU_SETSIZE) {
		snprintf(why, why_bytes, "dataplane.%s: core %d is beyond %d", key, core,
			 CPU_SETSIZE - 1);
		return -EINVAL;
	}
	if (sched_getaffinity(0, sizeof(before), &before) < 0) {
		err = -errno;
		snprintf(why, why_bytes, "cannot ask for the cores of this process: %s",
			 strerror(-err));
		return err;
	}
	CPU_ZERO(&only);
	CPU_SET(core, &only);
	if (sched_setaffinity(0, sizeof(only), &only) < 0) {
		snprintf(why, why_bytes,
			 "dataplane.%s: this process may not run on core %d (%s); see its cpuset",
			 key, core, strerror(errno));
		return -EPERM;
	}
	/* Back: EAL keeps its helper threads on what the process had, less the two cores. */
	(void)sched_setaffinity(0, sizeof(before), &before);
	return 0;
}

static int check_cores(const struct conf *conf, char *why, size_t why_bytes)
{
	int err = check_core(conf->dataplane.control_core, "control_core", why, why_bytes);

	if (err == 0)
		err = check_core(conf->dataplane.worker_core, "worker_core", why, why_bytes);
	return err;
}

/* EAL wants its arguments as a command line. 'argv' has room for FIXED_ARGS and two a port. */
static int init(const struct conf *conf, char **argv, char (*devices)[DEVICE_BYTES], char *why,
		size_t why_bytes)
{
	char cores[48], prefix[32], memory[16];
	bool has_pci = false;
	int argc = 0;

	snprintf(cores, sizeof(cores), "%d@%d,%d@%d", CONTROL_LCORE, conf->dataplane.control_core,
		 WORKER_LCORE, conf->dataplane.worker_core);
	snprintf(prefix, sizeof(prefix), "bellwether%u", conf->server);
	snprintf(memory, sizeof(memory), "%u", conf->dataplane.memory_mb);

	argv[argc++] = "bellwether-dp";
	argv[argc++] = "--lcores";
	argv[argc++] = cores;
	argv[argc++] = "--file-prefix";
	argv[argc++] = prefix;
	argv[argc++] = "-m";
	argv[argc++] = memory;
	argv[argc++] = conf->dataplane.huge_pages ? "--in-memory" : "--no-huge";
	argv[argc++] = "--no-telemetry";
	argv[argc++] = "--no-shconf";
	argv[argc++] = "--log-level";
	argv[argc++] = "warning";
	for (uint32_t i = 0; i < conf->dataplane.n_ports; i++) {
		const char *option;
		int err = port_eal_argument(conf, i, &option, devices[i], why, why_bytes);

		if (err < 0)
			return err;
		has_pci |= strcmp(option, "-a") == 0;
		argv[argc++] = (char *)option;
		argv[argc++] = devices[i];
	}
	if (!has_pci)
		argv[argc++] = "--no-pci";
	/* EAL keeps its files under this folder, where the service's other files are. */
	if (setenv("RUNTIME_DIRECTORY", conf->run_dir, 1) < 0 || rte_eal_init(argc, argv) < 0) {
		snprintf(why, why_bytes, "EAL did not start; its own message stands above");
		return -EIO;
	}
	return 0;
}

int eal_start(const struct conf *conf, char *why, size_t why_bytes)
{
	uint32_t n_ports = conf->dataplane.n_ports;
	char(*devices)[DEVICE_BYTES];
	char **argv;
	int err = check_cores(conf, why, why_bytes);

	if (err < 0)
		return err;
	devices = calloc(n_ports, sizeof(*devices));
	argv = calloc(FIXED_ARGS + 2 * (size_t)n_ports, sizeof(*argv));
	if (devices == NULL || argv == NULL) {
		snprintf(why, why_bytes, "out of memory for EAL's arguments");
		err = -ENOMEM;
	} else {
		err = init(conf, argv, devices, why, why_bytes);
	}
	free(argv);
	free(devices);
	return err;
}

int eal_worker_launch(int (*run)(void *argument), void *argument)
{
	return rte_eal_remote_launch(run, argument, WORKER_LCORE);
}

void eal_worker_wait(void)
{
	(void)rte_eal_wait_lcore(WORKER_LCORE);
}

void eal_stop(void)
{
	(void)rte_eal_cleanup();
}
