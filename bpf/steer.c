/* steer.c - see steer.h. */
#include "bpf/steer.h"

#include <assert.h>
#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

#include "steer.skel.h"

#define PROGRAM_NAME	 "steer"
#define SOCKETS_MAP_NAME "xsks_map"
#define PROGRAM_MAPS_MAX 16 /* ours has seven, the one of the options among them */
#define COUNT_READS_MAX	 8

/* The program that an interface carries; both descriptors are -1 when it carries none. */
struct attached {
	int program_fd;
	int sockets_fd; /* its xsks_map */
	uint32_t mode_flag;
};

struct steer {
	struct steer_bpf *skeleton;
	struct attached before; /* what steer_attach() replaces */
	unsigned int interface;
	uint32_t mode_flag; /* of our own attachment */
	bool is_attached;
	void (*log)(const char *line);
	struct steer_counts *counts; /* room for one read, one entry a processor */
	int n_processors;
};

/* libbpf knows one printer a process, without an argument: it is ours for the length of a call. */
static void (*print_sink)(const char *line);

__attribute__((format(printf, 2, 0))) static int print_line(enum libbpf_print_level level,
							    const char *format, va_list args)
{
	char line[512];

	if (level == LIBBPF_DEBUG || print_sink == NULL)
		return 0;
	vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = '\0';
	print_sink(line);
	return 0;
}

static libbpf_print_fn_t print_catch(void (*sink)(const char *line))
{
	print_sink = sink;
	return libbpf_set_print(print_line);
}

__attribute__((format(printf, 2, 3))) static void say(void (*sink)(const char *line),
						      const char *format, ...)
{
	char line[256];
	va_list args;

	if (sink == NULL)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	sink(line);
}

static void attached_fini(struct attached *a)
{
	if (a->program_fd >= 0)
		close(a->program_fd);
	if (a->sockets_fd >= 0)
		close(a->sockets_fd);
	a->program_fd = a->sockets_fd = -1;
}

/* Descriptor of the program's xsks_map; -ENOENT: it has none. */
static int sockets_map_open(const uint32_t *map_ids, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct bpf_map_info info = {0};
		uint32_t info_bytes = sizeof(info);
		int fd = bpf_map_get_fd_by_id(map_ids[i]);

		if (fd < 0)
			return fd;
		if (bpf_obj_get_info_by_fd(fd, &info, &info_bytes) == 0 &&
		    info.type == BPF_MAP_TYPE_XSKMAP && strcmp(info.name, SOCKETS_MAP_NAME) == 0)
			return fd;
		close(fd);
	}
	return -ENOENT;
}

/* Fills 'a' with the program when it is ours. -EEXIST: it is not. */
static int attached_examine(struct attached *a, uint32_t program_id, void (*log)(const char *line))
{
	uint32_t map_ids[PROGRAM_MAPS_MAX];
	struct bpf_prog_info info = {
		.nr_map_ids = PROGRAM_MAPS_MAX,
		.map_ids = (uintptr_t)map_ids,
	};
	uint32_t info_bytes = sizeof(info), n_maps;
	int err;

	a->program_fd = bpf_prog_get_fd_by_id(program_id);
	if (a->program_fd == -ENOENT)
		return 0; /* detached since we asked */
	if (a->program_fd < 0)
		return a->program_fd;
	err = bpf_obj_get_info_by_fd(a->program_fd, &info, &info_bytes);
	if (err != 0)
		return err;
	n_maps = info.nr_map_ids < PROGRAM_MAPS_MAX ? info.nr_map_ids : PROGRAM_MAPS_MAX;
	if (strcmp(info.name, PROGRAM_NAME) == 0)
		a->sockets_fd = sockets_map_open(map_ids, n_maps);
	if (a->sockets_fd >= 0)
		return 0;
	say(log, "steer: program '%s' (id %u) is attached, and is not ours", info.name, program_id);
	return -EEXIST;
}

/* What the interface carries. -EEXIST: something that is not ours; 'a' holds nothing then. */
static int attached_find(struct attached *a, unsigned int interface, void (*log)(const char *line))
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	int err = bpf_xdp_query((int)interface, 0, &query);

	*a = (struct attached){.program_fd = -1, .sockets_fd = -1};
	if (err != 0)
		return err;
	switch (query.attach_mode) {
	case XDP_ATTACHED_NONE:
		return 0;
	case XDP_ATTACHED_DRV:
		a->mode_flag = XDP_FLAGS_DRV_MODE;
		break;
	case XDP_ATTACHED_SKB:
		a->mode_flag = XDP_FLAGS_SKB_MODE;
		break;
	default: /* in hardware, or several: none of our doing */
		say(log, "steer: XDP programs of others are attached (mode %u)", query.attach_mode);
		return -EEXIST;
	}
	err = attached_examine(a, query.prog_id, log);
	if (err != 0)
		attached_fini(a);
	return err;
}

/* Detaches exactly this program. */
static int program_detach(unsigned int interface, int program_fd, uint32_t mode_flag)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = program_fd);

	return bpf_xdp_detach((int)interface, mode_flag | XDP_FLAGS_REPLACE, &opts);
}

int steer_detach_stale(const char *interface, bool *was_stale)
{
	unsigned int index = if_nametoindex(interface);
	libbpf_print_fn_t printer;
	struct attached a;
	bool is_there;
	int err;

	if (index == 0)
		return -errno;
	printer = print_catch(NULL);
	err = attached_find(&a, index, NULL);
	is_there = err == 0 && a.program_fd >= 0;
	if (is_there)
		err = program_detach(index, a.program_fd, a.mode_flag);
	attached_fini(&a);
	libbpf_set_print(printer);
	if (err == 0)
		*was_stale = is_there;
	return err;
}

static struct steer_source source_make(enum steer_class source_class, uint32_t rate_pps,
				       uint32_t burst)
{
	uint64_t full = burst * STEER_TOKEN;

	return (struct steer_source){
		.source_class = source_class,
		.rate_pps = rate_pps,
		.burst = burst,
		.tokens = full,
		.full_ns = rate_pps == 0 ? UINT64_MAX : full / rate_pps,
	};
}

static int maps_fill(struct steer_bpf *skeleton, const struct steer_config *cfg)
{
	struct steer_source unknown =
		source_make(STEER_ELEMENT, cfg->unknown_rate_pps, cfg->unknown_burst);
	uint32_t first = 0;
	uint8_t present = 1;
	int err;

	err = bpf_map_update_elem(bpf_map__fd(skeleton->maps.unknown), &first, &unknown,
				  BPF_F_LOCK);
	for (uint32_t i = 0; err == 0 && i < cfg->n_locals; i++)
		err = bpf_map_update_elem(bpf_map__fd(skeleton->maps.locals), cfg->locals[i],
					  &present, BPF_ANY);
	for (uint32_t i = 0; err == 0 && i < cfg->n_listen; i++) {
		uint8_t source_class = (uint8_t)cfg->listen[i].source_class;

		err = bpf_map_update_elem(bpf_map__fd(skeleton->maps.listen),
					  &cfg->listen[i].udp_port, &source_class, BPF_ANY);
	}
	return err;
}

static int program_load(struct steer *s, const struct steer_config *cfg)
{
	int err = attached_find(&s->before, s->interface, cfg->log);

	if (err != 0)
		return err;
	s->skeleton = steer_bpf__open();
	if (s->skeleton == NULL)
		return -errno;
	s->skeleton->rodata->take_lldp = cfg->take_lldp;
	s->skeleton->rodata->check_locals = cfg->n_locals > 0;
	err = bpf_map__set_max_entries(s->skeleton->maps.sources, cfg->sources_max);
	if (err == 0 && s->before.sockets_fd >= 0)
		err = bpf_map__reuse_fd(s->skeleton->maps.xsks_map, s->before.sockets_fd);
	if (err == 0)
		err = steer_bpf__load(s->skeleton);
	if (err == 0)
		err = maps_fill(s->skeleton, cfg);
	return err;
}

int steer_create(struct steer **out, const struct steer_config *cfg)
{
	libbpf_print_fn_t printer;
	struct steer *s;
	int err = -ENOMEM;

	if (cfg->sources_max == 0 || cfg->n_listen > STEER_LISTEN_MAX ||
	    cfg->n_locals > STEER_LOCALS_MAX)
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	s->before = (struct attached){.program_fd = -1, .sockets_fd = -1};
	s->log = cfg->log;
	s->interface = if_nametoindex(cfg->interface);
	if (s->interface == 0) {
		err = -errno;
		goto fail;
	}
	s->n_processors = libbpf_num_possible_cpus();
	if (s->n_processors < 0) {
		err = s->n_processors;
		goto fail;
	}
	s->counts = calloc((size_t)s->n_processors, sizeof(*s->counts));
	if (s->counts == NULL)
		goto fail;
	printer = print_catch(cfg->log);
	err = program_load(s, cfg);
	libbpf_set_print(printer);
	if (err != 0)
		goto fail;
	*out = s;
	return 0;
fail:
	steer_destroy(s);
	return err;
}

int steer_source_put(struct steer *s, const uint8_t address[16], enum steer_class source_class,
		     uint32_t rate_pps, uint32_t burst)
{
	struct steer_source want = source_make(source_class, rate_pps, burst), have;
	int fd = bpf_map__fd(s->skeleton->maps.sources);
	int err;

	if (bpf_map_lookup_elem_flags(fd, address, &have, BPF_F_LOCK) == 0 &&
	    have.source_class == want.source_class && have.rate_pps == rate_pps &&
	    have.burst == burst)
		return 0;
	/* A known source is changed in place and under its lock: no datagram sees half of it. */
	err = bpf_map_update_elem(fd, address, &want, BPF_F_LOCK);
	return err == -E2BIG ? STEER_FULL : err;
}

int steer_source_remove(struct steer *s, const uint8_t address[16])
{
	int err = bpf_map_delete_elem(bpf_map__fd(s->skeleton->maps.sources), address);

	return err == -ENOENT ? STEER_NOT_FOUND : err;
}

int steer_attach(struct steer *s)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts);
	uint32_t flags = XDP_FLAGS_UPDATE_IF_NOEXIST;
	libbpf_print_fn_t printer;
	int err;

	assert(!s->is_attached);
	if (s->before.program_fd >= 0) {
		opts.old_prog_fd = s->before.program_fd;
		flags = s->before.mode_flag | XDP_FLAGS_REPLACE;
	}
	printer = print_catch(s->log);
	err = bpf_xdp_attach((int)s->interface, steer_prog_fd(s), flags, &opts);
	libbpf_set_print(printer);
	if (err != 0)
		return err == -EBUSY ? -EEXIST : err; /* both say that another one is there */
	s->is_attached = true;
	s->mode_flag = s->before.mode_flag;
	attached_fini(&s->before);
	return 0;
}

static bool counts_are_settled(const struct steer *s)
{
	for (int i = 0; i < s->n_processors; i++) {
		const uint64_t *n = (const uint64_t *)s->counts[i].n;
		uint64_t sum = 0;

		for (int v = STEER_FRAMES + 1; v < STEER_VERDICTS; v++)
			sum += n[v];
		if (sum != n[STEER_FRAMES])
			return false;
	}
	return true;
}

int steer_counters(const struct steer *s, uint64_t out[STEER_VERDICTS])
{
	uint32_t first = 0;

	for (int reads = 0; reads < COUNT_READS_MAX; reads++) {
		int err = bpf_map_lookup_elem(bpf_map__fd(s->skeleton->maps.counts), &first,
					      s->counts);

		if (err != 0)
			return err;
		if (counts_are_settled(s))
			break;
	}
	for (int v = 0; v < STEER_VERDICTS; v++) {
		out[v] = 0;
		for (int i = 0; i < s->n_processors; i++)
			out[v] += s->counts[i].n[v];
	}
	return 0;
}

int steer_prog_fd(const struct steer *s)
{
	return bpf_program__fd(s->skeleton->progs.steer);
}

void steer_destroy(struct steer *s)
{
	if (s == NULL)
		return;
	if (s->is_attached) {
		libbpf_print_fn_t printer = print_catch(NULL);

		/* The kernel compares: a refusal means that it is not attached any more. */
		program_detach(s->interface, steer_prog_fd(s), s->mode_flag);
		libbpf_set_print(printer);
	}
	attached_fini(&s->before);
	steer_bpf__destroy(s->skeleton);
	free(s->counts);
	free(s);
}
