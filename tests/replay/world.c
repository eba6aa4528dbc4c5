#include "tests/replay/world.h"

#include <errno.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SELF	     1
#define PEER	     2
#define CELLS_MAX    16
#define RULES_MAX    64
#define ELEMENTS_MAX 256
#define LEASE_NS     UINT64_C(3600000000000)

static int say(int err, const char *what)
{
	printf("# %s: %s\n", what, strerror(-err));
	return err;
}

/* The first two cores that this process may use. */
static int find_cores(int cores[2])
{
	cpu_set_t set;
	int n = 0;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return say(-errno, "cores");
	for (int i = 0; i < CPU_SETSIZE && n < 2; i++)
		if (CPU_ISSET(i, &set))
			cores[n++] = i;
	return n == 2 ? 0 : say(-ENODEV, "cores");
}

static void write_section(FILE *f, const char *section, const struct lines *given)
{
	size_t n = strlen(section);

	for (size_t i = 0; i < given->n; i++) {
		const char *line = given->items[i], *value = strchr(line, ' ');

		if (strncmp(line, section, n) == 0 && line[n] == '.' && value != NULL)
			fprintf(f, "  %.*s:%s\n", (int)(value - line - (ptrdiff_t)n - 1),
				line + n + 1, value);
	}
}

static int write_configuration(const struct world *w, const char *case_folder,
			       const struct lines *given)
{
	FILE *f = fopen(w->configuration, "we");
	int cores[2], err = find_cores(cores);

	if (f == NULL)
		return say(-errno, w->configuration);
	fprintf(f,
		"cluster: {name: replay, secret_file: secret}\n"
		"server: %d\n"
		"servers:\n"
		"  - {id: 1, name: alpha, rank: 3, address: 10.0.0.1}\n"
		"  - {id: 2, name: bravo, rank: 2, address: 10.0.0.2}\n"
		"  - {id: 3, name: charlie, rank: 1, address: 10.0.0.3}\n"
		"inventory: inventory.yaml\n"
		"rules: rules.yaml\n"
		"run_dir: %s\n"
		"dataplane:\n"
		"  control_core: %d\n"
		"  worker_core: %d\n"
		"  huge_pages: false\n"
		"  memory_mb: 128\n"
		"  ports:\n"
		"    - name: capture\n"
		"      device: 'net_pcap0,rx_pcap=%s/in.pcap,tx_pcap=%s'\n"
		"      relay: true\n",
		SELF, w->folder, cores[0], cores[1], case_folder, w->sent);
	write_section(f, "dataplane", given);
	fprintf(f, "memory:\n  elements_max: %d\n", ELEMENTS_MAX);
	write_section(f, "memory", given);
	if (fclose(f) != 0)
		return say(-errno, w->configuration);
	return err;
}

/* The case's own, or the one beside all cases. */
static const char *file_of(char path[PATH_MAX], const char *case_folder, const char *name)
{
	snprintf(path, PATH_MAX, "%s/%s", case_folder, name);
	if (access(path, R_OK) != 0)
		snprintf(path, PATH_MAX, "%s/../../%s", case_folder, name);
	return path;
}

static int refuse(struct conf_findings *findings, const char *file, int err)
{
	if (err < 0)
		return say(err, file);
	conf_findings_print(findings, file, stdout);
	conf_findings_free(findings);
	return -EINVAL;
}

static uint32_t cell_of(struct fedmem_cell *cells, uint32_t *n, const char *region)
{
	for (uint32_t i = 0; i < *n; i++)
		if (strcmp(cells[i].name, region) == 0)
			return i;
	if (*n == CELLS_MAX)
		return CELLS_MAX; /* of no cell that is published */
	cells[*n] = (struct fedmem_cell){.token = {1, 1}};
	snprintf(cells[*n].name, sizeof(cells[*n].name), "%s", region);
	if (strcmp(region, "here") == 0)
		cells[*n].owner = SELF;
	else if (strcmp(region, "there") == 0)
		cells[*n].owner = PEER;
	return (*n)++;
}

static int put_elements(struct fedmem *fm, const char *file)
{
	struct fedmem_cell cells[CELLS_MAX];
	struct conf_inventory *inventory;
	struct conf_findings findings;
	uint32_t n_cells = 0;
	int err = conf_inventory_load(&inventory, file, ELEMENTS_MAX, &findings);

	if (err != 0)
		return refuse(&findings, file, err);
	for (uint32_t i = 0; err == 0 && i < inventory->n_elements; i++) {
		const struct conf_element *from = &inventory->elements[i];
		const struct fedmem_element e = {
			.id = from->id,
			.address = from->address,
			.cell = cell_of(cells, &n_cells, from->region),
		};

		err = fedmem_element_put(fm, &e, NULL);
	}
	if (err == 0)
		err = fedmem_cells_publish(fm, cells, n_cells);
	conf_inventory_free(inventory);
	return err == 0 ? 0 : say(-EINVAL, file);
}

static int compile_rule(struct fedmem_rule *to, const struct conf_rule *from)
{
	int err = conf_oid_encode(to->oid, &to->oid_bytes, from->notification);

	if (err == 0 && from->resource_from[0] != '\0')
		err = conf_oid_encode(to->resource_oid, &to->resource_oid_bytes,
				      from->resource_from);
	if (err == 0 && from->text_from[0] != '\0')
		err = conf_oid_encode(to->text_oid, &to->text_oid_bytes, from->text_from);
	to->severity = from->severity;
	memcpy(to->type, from->type, strnlen(from->type, sizeof(to->type)));
	memcpy(to->resource, from->resource, strnlen(from->resource, sizeof(to->resource)));
	return err;
}

static int put_rules(struct fedmem *fm, const char *file)
{
	struct fedmem_rule compiled[RULES_MAX] = {0};
	struct conf_findings findings;
	struct conf_rules *rules;
	int err = conf_rules_load(&rules, file, RULES_MAX, &findings);

	if (err != 0)
		return refuse(&findings, file, err);
	for (uint32_t i = 0; err == 0 && i < rules->n_rules; i++)
		err = compile_rule(&compiled[i], &rules->rules[i]);
	if (err == 0)
		err = fedmem_rules_publish(fm, compiled, rules->n_rules);
	conf_rules_free(rules);
	return err == 0 ? 0 : say(-EINVAL, file);
}

static uint64_t boot_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* What a control plane would say before and, at once, after the data plane's start. */
static int put_cluster(struct world *w, const struct world_given *given)
{
	const struct fedmem_server servers[] = {
		{.id = SELF, .is_self = 1, .state = FEDMEM_SERVER_ALIVE},
		{.id = PEER,
		 .state = FEDMEM_SERVER_ALIVE,
		 .has_relay_mac = 1,
		 .relay_mac = {0x02, 0, 0, 0, 0, PEER},
		 .relay_address = w->conf->servers[1].relay,
		 .relay_boot_tx = 1,
		 .relay_boot_rx = 1},
	};
	int err = fedmem_servers_publish(w->fm, servers, 2);

	/* The start will ask for the next one. */
	fedmem_relay_boot_given(w->fm, fedmem_relay_boot_wanted(w->fm) + 1);
	fedmem_lease_set(w->fm, given->is_lease_over ? 0 : boot_ns() + LEASE_NS);
	return err == 0 ? 0 : say(-EINVAL, "servers");
}

static int open_segment(struct world *w)
{
	struct conf_findings findings;
	struct fedmem_config cfg;
	char why[256];
	int err = conf_load(&w->conf, w->configuration, &findings);

	if (err != 0)
		return refuse(&findings, w->configuration, err);
	cfg = (struct fedmem_config){
		.path = w->conf->memory.path,
		.server_id = SELF,
		.sizes = w->conf->memory.sizes,
	};
	err = fedmem_open(&w->fm, &cfg, why, sizeof(why));
	if (err == 0)
		return 0;
	printf("# %s\n", why);
	return -EINVAL;
}

int world_init(struct world *w, const char *case_folder, const struct world_given *given)
{
	const char *base = getenv("TMPDIR");
	char path[PATH_MAX];
	int err;

	*w = (struct world){0};
	snprintf(w->folder, sizeof(w->folder), "%s/replay.XXXXXX", base != NULL ? base : "/tmp");
	if (mkdtemp(w->folder) == NULL) {
		err = say(-errno, w->folder);
		w->folder[0] = '\0';
		return err;
	}
	snprintf(w->configuration, sizeof(w->configuration), "%s/bellwether.yaml", w->folder);
	snprintf(w->sent, sizeof(w->sent), "%s/out.pcap", w->folder);
	snprintf(w->log, sizeof(w->log), "%s/log", w->folder);
	err = write_configuration(w, case_folder, &given->configuration);
	if (err == 0)
		err = open_segment(w);
	if (err == 0)
		err = put_elements(w->fm, file_of(path, case_folder, "inventory.yaml"));
	if (err == 0)
		err = put_rules(w->fm, file_of(path, case_folder, "rules.yaml"));
	return err == 0 ? put_cluster(w, given) : err;
}

static int remove_one(const char *path, const struct stat *s, int kind, struct FTW *at)
{
	return remove(path);
}

void world_fini(struct world *w)
{
	fedmem_close(w->fm);
	conf_free(w->conf);
	if (w->folder[0] != '\0')
		nftw(w->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	*w = (struct world){0};
}
