#include "dp/fedmem/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "dp/fedmem/hash.h"

#define PART_ALIGN   4096u
#define OPEN_RETRIES 16

/* The front that every layout version has. */
struct preamble {
	uint64_t magic;
	uint32_t version;
	uint32_t server_id;
};

struct layout {
	uint64_t offsets[PARTS];
	uint64_t bytes;
};

static uint64_t round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

static uint32_t extra_metrics(const struct fedmem_sizes *s)
{
	return s->metrics_per_element > FEDMEM_METRICS_INLINE
		       ? s->metrics_per_element - FEDMEM_METRICS_INLINE
		       : 0;
}

uint32_t segment_record_bytes(enum published_table table)
{
	static const uint32_t bytes[TABLES] = {
		[TABLE_CELLS] = sizeof(struct fedmem_cell),
		[TABLE_SERVERS] = sizeof(struct fedmem_server),
		[TABLE_RULES] = sizeof(struct fedmem_rule),
		[TABLE_STATS] = sizeof(struct stats),
	};

	return bytes[table];
}

static void layout_compute(struct layout *l, const struct fedmem_sizes *s)
{
	const uint64_t lines = (uint64_t)line_table_lines(s->elements_max) * LINE_TABLE_BYTES;
	const uint64_t bytes[PARTS] = {
		[PART_JOURNAL] = sizeof(struct journal),
		[PART_ELEMENTS] = sizeof(struct described) * s->elements_max,
		[PART_BY_ADDRESS] = lines,
		[PART_BY_ID] = lines,
		[PART_STATES] = sizeof(struct fedmem_state) * s->elements_max,
		[PART_METRICS] = sizeof(struct fedmem_metric) * s->elements_max * extra_metrics(s),
		[PART_ALARMS] = sizeof(struct fedmem_alarm) * s->alarms_max,
		[PART_CELLS] = 2 * sizeof(struct fedmem_cell) * s->cells_max,
		[PART_SERVERS] = 2 * sizeof(struct fedmem_server) * FEDMEM_SERVERS_MAX,
		[PART_RULES] = 2 * sizeof(struct fedmem_rule) * s->rules_max,
		[PART_STATS] = 2 * sizeof(struct stats),
		[PART_EVENTS] = sizeof(struct fedmem_event) * s->events_max,
		[PART_INJECTS] = sizeof(struct fedmem_inject) * FEDMEM_INJECTS,
		[PART_UNKNOWNS] = sizeof(struct noted) * s->unknowns_max,
	};

	l->bytes = round_up(sizeof(struct segment_header), PART_ALIGN);
	for (int p = 0; p < PARTS; p++) {
		l->offsets[p] = l->bytes;
		l->bytes += round_up(bytes[p], PART_ALIGN);
	}
}

/* Two builds of one version that lay records out differently must not meet. */
static uint64_t layout_checksum(const struct layout *l, const struct fedmem_sizes *s)
{
	const uint64_t parts[] = {
		l->bytes,
		s->elements_max,
		s->metrics_per_element,
		s->alarms_max,
		s->cells_max,
		s->rules_max,
		s->unknowns_max,
		s->events_max,
		sizeof(struct segment_header),
		sizeof(struct journal),
		sizeof(struct described),
		sizeof(struct fedmem_state),
		sizeof(struct fedmem_metric),
		sizeof(struct fedmem_alarm),
		sizeof(struct fedmem_cell),
		sizeof(struct fedmem_server),
		sizeof(struct fedmem_rule),
		sizeof(struct stats),
		sizeof(struct fedmem_event),
		sizeof(struct fedmem_inject),
		sizeof(struct noted),
		STATS_N,
	};
	uint64_t key = SEGMENT_MAGIC;

	return (uint64_t)hash_words(key, parts, sizeof(parts)) << 32 |
	       hash_words(key, l->offsets, sizeof(l->offsets));
}

uint64_t fedmem_bytes(const struct fedmem_sizes *sizes)
{
	struct layout l;

	layout_compute(&l, sizes);
	return l.bytes;
}

__attribute__((format(printf, 3, 4))) static void explain(char *why, size_t why_bytes,
							  const char *format, ...)
{
	va_list args;

	if (why_bytes == 0)
		return;
	va_start(args, format);
	vsnprintf(why, why_bytes, format, args);
	va_end(args);
}

static int failed(int err, const char *what, const char *path, char *why, size_t why_bytes)
{
	explain(why, why_bytes, "%s: %s: %s", path, what, strerror(-err));
	return err;
}

static bool sizes_make_sense(const struct fedmem_sizes *s)
{
	return s->elements_max > 0 && s->elements_max < FEDMEM_NONE && s->alarms_max > 0 &&
	       s->alarms_max < FEDMEM_NONE && s->metrics_per_element > 0 &&
	       s->metrics_per_element <= SEGMENT_METRICS_MAX && s->events_max > 0 &&
	       (s->events_max & (s->events_max - 1)) == 0 && s->cells_max < FEDMEM_NONE &&
	       s->rules_max < FEDMEM_NONE && s->unknowns_max < FEDMEM_NONE;
}

static const char *find_size_difference(const struct fedmem_sizes *a, const struct fedmem_sizes *b,
					uint32_t *in_a, uint32_t *in_b)
{
	const struct {
		const char *name;
		uint32_t in_a, in_b;
	} all[] = {
		{"elements_max", a->elements_max, b->elements_max},
		{"metrics_per_element", a->metrics_per_element, b->metrics_per_element},
		{"alarms_max", a->alarms_max, b->alarms_max},
		{"cells_max", a->cells_max, b->cells_max},
		{"rules_max", a->rules_max, b->rules_max},
		{"unknowns_max", a->unknowns_max, b->unknowns_max},
		{"events_max", a->events_max, b->events_max},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (all[i].in_a != all[i].in_b) {
			*in_a = all[i].in_a;
			*in_b = all[i].in_b;
			return all[i].name;
		}
	}
	return NULL;
}

/* Is what stands in the file a whole segment of ours, for these sizes? */
static int segment_check(int fd, uint64_t file_bytes, const struct fedmem_config *cfg, char *why,
			 size_t why_bytes)
{
	struct segment_header h = {0};
	struct preamble front;
	struct layout l;
	const char *name;
	uint32_t found, wanted;
	ssize_t n = pread(fd, &h, sizeof(h), 0);

	if (n < 0)
		return failed(-errno, "read", cfg->path, why, why_bytes);
	memcpy(&front, &h, sizeof(front));
	if ((size_t)n < sizeof(front) || front.magic != SEGMENT_MAGIC) {
		explain(why, why_bytes, "%s: %" PRIu64 " octets that are no segment", cfg->path,
			file_bytes);
		return FEDMEM_NOT_A_SEGMENT;
	}
	if (front.version != FEDMEM_LAYOUT_VERSION) {
		explain(why, why_bytes, "%s: layout version %" PRIu32 " found, %u wanted",
			cfg->path, front.version, FEDMEM_LAYOUT_VERSION);
		return FEDMEM_OTHER_LAYOUT;
	}
	layout_compute(&l, &h.sizes);
	if ((size_t)n < sizeof(h) || !sizes_make_sense(&h.sizes) || h.bytes != l.bytes ||
	    h.checksum != layout_checksum(&l, &h.sizes) ||
	    memcmp(h.offsets, l.offsets, sizeof(l.offsets)) != 0) {
		explain(why, why_bytes,
			"%s: checksum %016" PRIx64 " of the layout found, %016" PRIx64
			" wanted: damaged, or made by another build",
			cfg->path, h.checksum, layout_checksum(&l, &h.sizes));
		return FEDMEM_NOT_A_SEGMENT;
	}
	if (file_bytes < h.bytes) {
		explain(why, why_bytes, "%s: %" PRIu64 " octets found, %" PRIu64 " wanted",
			cfg->path, file_bytes, h.bytes);
		return FEDMEM_NOT_A_SEGMENT;
	}
	name = find_size_difference(&h.sizes, &cfg->sizes, &found, &wanted);
	if (name == NULL && front.server_id != cfg->server_id) {
		name = "server id";
		found = front.server_id;
		wanted = cfg->server_id;
	}
	if (name != NULL) {
		explain(why, why_bytes, "%s: %s %" PRIu32 " found, %" PRIu32 " wanted", cfg->path,
			name, found, wanted);
		return FEDMEM_OTHER_SIZES;
	}
	return 0;
}

static void point_into(struct fedmem *fm)
{
	struct layout l;

	layout_compute(&l, &fm->sizes);
	fm->header = (struct segment_header *)fm->base;
	fm->journal = (struct journal *)(fm->base + l.offsets[PART_JOURNAL]);
	fm->elements = (struct described *)(fm->base + l.offsets[PART_ELEMENTS]);
	fm->states = (struct fedmem_state *)(fm->base + l.offsets[PART_STATES]);
	fm->metrics = (struct fedmem_metric *)(fm->base + l.offsets[PART_METRICS]);
	fm->alarms = (struct fedmem_alarm *)(fm->base + l.offsets[PART_ALARMS]);
	fm->events = (struct fedmem_event *)(fm->base + l.offsets[PART_EVENTS]);
	fm->injects = (struct fedmem_inject *)(fm->base + l.offsets[PART_INJECTS]);
	fm->unknowns = (struct noted *)(fm->base + l.offsets[PART_UNKNOWNS]);
	fm->tables[TABLE_CELLS] = fm->base + l.offsets[PART_CELLS];
	fm->tables[TABLE_SERVERS] = fm->base + l.offsets[PART_SERVERS];
	fm->tables[TABLE_RULES] = fm->base + l.offsets[PART_RULES];
	fm->tables[TABLE_STATS] = fm->base + l.offsets[PART_STATS];
	fm->by_address.entries = (_Atomic uint64_t *)(fm->base + l.offsets[PART_BY_ADDRESS]);
	fm->by_address.moves = &fm->header->by_address_moves;
	fm->by_address.n_lines = line_table_lines(fm->sizes.elements_max);
	fm->by_id.entries = (_Atomic uint64_t *)(fm->base + l.offsets[PART_BY_ID]);
	fm->by_id.moves = &fm->header->by_id_moves;
	fm->by_id.n_lines = fm->by_address.n_lines;
	fm->n_extra = extra_metrics(&fm->sizes);
}

uint8_t *segment_buffer(const struct fedmem *fm, enum published_table table, uint32_t version)
{
	uint64_t one = (uint64_t)segment_record_bytes(table) * segment_table_max(fm, table);

	return fm->tables[table] + (version & 1) * one;
}

uint32_t segment_table_max(const struct fedmem *fm, enum published_table table)
{
	switch (table) {
	case TABLE_CELLS:
		return fm->sizes.cells_max;
	case TABLE_SERVERS:
		return FEDMEM_SERVERS_MAX;
	case TABLE_RULES:
		return fm->sizes.rules_max;
	default:
		return 1;
	}
}

/* Fills the header of a zeroed, mapped segment. */
static int segment_make(struct fedmem *fm, const struct fedmem_config *cfg)
{
	struct segment_header *h = (struct segment_header *)fm->base;
	struct layout l;
	uint64_t drawn[2];

	if (getrandom(drawn, sizeof(drawn), 0) != sizeof(drawn))
		return -errno;
	layout_compute(&l, &cfg->sizes);
	h->version = FEDMEM_LAYOUT_VERSION;
	h->server_id = cfg->server_id;
	h->bytes = l.bytes;
	h->sizes = cfg->sizes;
	memcpy(h->offsets, l.offsets, sizeof(l.offsets));
	h->checksum = layout_checksum(&l, &cfg->sizes);
	h->hash_key = drawn[0];
	h->identity = drawn[1] != 0 ? drawn[1] : 1;
	/* Last: who dies before has made nothing. */
	atomic_store_explicit(&h->magic, SEGMENT_MAGIC, memory_order_release);
	return 0;
}

/* The file at cfg->path, open and locked. */
static int file_take(struct fedmem *fm, const struct fedmem_config *cfg, struct stat *st, char *why,
		     size_t why_bytes)
{
	int err = -EBUSY;

	for (int i = 0; i < OPEN_RETRIES; i++) {
		fm->fd = open(cfg->path, O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fm->fd < 0)
			return failed(-errno, "open", cfg->path, why, why_bytes);
		err = lock_maker(fm->fd);
		if (err < 0)
			return failed(err, "lock", cfg->path, why, why_bytes);
		if (fstat(fm->fd, st) < 0)
			return failed(-errno, "stat", cfg->path, why, why_bytes);
		if (st->st_nlink > 0)
			return 0;
		close(fm->fd); /* somebody removed it while we waited */
		fm->fd = -1;
		err = -EBUSY;
	}
	return failed(err, "removed again and again", cfg->path, why, why_bytes);
}

/* A segment that its maker did not finish: of the right length, and without the word that he writes
 * last. */
static bool is_half_made(int fd, uint64_t file_bytes, uint64_t wanted_bytes)
{
	uint64_t magic;

	return file_bytes == wanted_bytes && pread(fd, &magic, sizeof(magic), 0) == sizeof(magic) &&
	       magic == 0;
}

static int file_map(struct fedmem *fm, const struct fedmem_config *cfg, char *why, size_t why_bytes)
{
	uint64_t wanted = fedmem_bytes(&cfg->sizes);
	struct statfs fs;
	struct stat st;
	bool is_new;
	int err = file_take(fm, cfg, &st, why, why_bytes);

	if (err != 0)
		return err;
	if (fstatfs(fm->fd, &fs) < 0)
		return failed(-errno, "statfs", cfg->path, why, why_bytes);
	if (fs.f_type == HUGETLBFS_MAGIC)
		wanted = round_up(wanted, (uint64_t)fs.f_bsize);
	if (!S_ISREG(st.st_mode)) {
		explain(why, why_bytes, "%s: no regular file", cfg->path);
		return FEDMEM_NOT_A_SEGMENT;
	}
	is_new = st.st_size == 0 || is_half_made(fm->fd, (uint64_t)st.st_size, wanted);
	if (is_new) {
		if (ftruncate(fm->fd, 0) < 0)
			return failed(-errno, "truncate", cfg->path, why, why_bytes);
		do /* Every page is there from now on, so that no later access can fail. */
			err = -posix_fallocate(fm->fd, 0, (off_t)wanted);
		while (err == -EINTR);
	} else {
		err = segment_check(fm->fd, (uint64_t)st.st_size, cfg, why, why_bytes);
		if (err != 0)
			return err;
	}
	if (err == 0) {
		fm->base = mmap(NULL, wanted, PROT_READ | PROT_WRITE, MAP_SHARED, fm->fd, 0);
		if (fm->base == MAP_FAILED) {
			fm->base = NULL;
			err = -errno;
		} else {
			fm->mapped_bytes = wanted;
			err = is_new ? segment_make(fm, cfg) : 0;
		}
	}
	if (err == 0)
		return 0;
	failed(err, "make room", cfg->path, why, why_bytes);
	if (is_new && ftruncate(fm->fd, 0) < 0)
		return failed(-errno, "truncate", cfg->path, why, why_bytes);
	return err;
}

int fedmem_open(struct fedmem **out, const struct fedmem_config *cfg, char *why, size_t why_bytes)
{
	struct fedmem *fm;
	int err;

	if (why_bytes > 0)
		why[0] = '\0';
	if (!sizes_make_sense(&cfg->sizes)) {
		explain(why, why_bytes, "%s: table sizes out of range", cfg->path);
		return -EINVAL;
	}
	fm = calloc(1, sizeof(*fm));
	if (fm == NULL)
		return -ENOMEM;
	fm->fd = -1;
	fm->sizes = cfg->sizes;
	fm->path = strdup(cfg->path);
	err = fm->path == NULL ? -ENOMEM : file_map(fm, cfg, why, why_bytes);
	if (err != 0) {
		fedmem_close(fm); /* the lock goes with the descriptor */
		return err;
	}
	lock_maker_release(fm->fd);
	point_into(fm);
	fm->hash_key = fm->header->hash_key;
	*out = fm;
	return 0;
}

const struct fedmem_sizes *fedmem_sizes(const struct fedmem *fm)
{
	return &fm->sizes;
}

void fedmem_close(struct fedmem *fm)
{
	if (fm == NULL)
		return;
	if (fm->base != NULL)
		munmap(fm->base, fm->mapped_bytes);
	if (fm->fd >= 0)
		close(fm->fd);
	free(fm->used_slots);
	free(fm->path);
	free(fm);
}
