/* segment.h - what lies where in the segment, and what a process knows of it. Private to dp/fedmem.
 *
 * Thread:  see fedmem.h; every field says who writes it.
 * Memory:  struct segment_header is the front of the shared file; the rest belongs to the process.
 */
#ifndef BELLWETHER_DP_FEDMEM_SEGMENT_H
#define BELLWETHER_DP_FEDMEM_SEGMENT_H

#include <stdalign.h>

#include "dp/fedmem/fedmem.h"
#include "dp/fedmem/line_table.h"
#include "dp/fedmem/seqlock.h"

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define SEGMENT_MAGIC	    0x4d454d4445465742u /* "BWFEDMEM" in the file */
#define SEGMENT_METRICS_MAX 255u		/* n_metrics is one octet */
#define SEGMENT_SPINS	    64u /* looks at a record before a wait that may sleep, or an answer */

enum segment_part {
	PART_JOURNAL,
	PART_ELEMENTS,
	PART_BY_ADDRESS,
	PART_BY_ID,
	PART_STATES,
	PART_METRICS,
	PART_ALARMS,
	PART_CELLS,
	PART_SERVERS,
	PART_RULES,
	PART_STATS,
	PART_EVENTS,
	PART_INJECTS,
	PART_UNKNOWNS,
	PARTS
};

/* Tables that are replaced as a whole: two buffers each. */
enum published_table { TABLE_CELLS, TABLE_SERVERS, TABLE_RULES, TABLE_STATS, TABLES };

/* Buffer 'version & 1' is the one to read; the other one is free for the next publish, so a
 * publisher that dies leaves the last version as it was. */
struct published {
	alignas(64) _Atomic uint32_t version; /* 0: never published */
	uint32_t n[2];
};

struct described {
	_Atomic uint32_t
		seq; /* odd while id or address change; cell and kind are one word of their own */
	uint32_t pad;
	struct fedmem_element e;
};
_Static_assert(sizeof(struct described) == 40, "ten million of them are 400 MB");

struct noted { /* an unknown source */
	_Atomic uint32_t seq;
	uint32_t pad;
	struct fedmem_unknown u;
};

enum journal_kind { JOURNAL_STATE = 1, JOURNAL_ALARM, JOURNAL_UNKNOWN };

/* The image of the one record that the worker has open. It counts only while that record's sequence
 * is odd: before, nothing has changed; after, everything has. */
struct journal {
	_Atomic uint64_t armed; /* enum journal_kind << 32 | index; 0: nothing was opened yet */
	uint64_t n_rows;
	alignas(64) uint64_t image[sizeof(struct fedmem_alarm) / 8];
	struct fedmem_metric rows[SEGMENT_METRICS_MAX - FEDMEM_METRICS_INLINE];
};

struct segment_header {
	/* the maker, once; 'magic' last. The first 16 octets are the same in every version. */
	_Atomic uint64_t magic;
	uint32_t version;
	uint32_t server_id;
	uint64_t checksum; /* of all below, and of the sizes of the records */
	uint64_t bytes;
	struct fedmem_sizes sizes;
	uint32_t pad;
	uint64_t offsets[PARTS];
	uint64_t hash_key;
	uint64_t identity;

	/* control plane */
	alignas(64) _Atomic uint64_t lease_until_ns;
	_Atomic uint64_t event_tail;
	_Atomic uint64_t inject_head;
	_Atomic uint32_t relay_boot_met;
	_Atomic uint32_t elements_version;
	_Atomic uint32_t
		is_changing; /* elements and their look-up tables; stays when it dies meanwhile */
	_Atomic uint32_t changing_slot; /* 'changing_image' is what stood there */
	struct fedmem_element changing_image;
	alignas(64) _Atomic uint64_t by_address_moves;
	_Atomic uint64_t by_id_moves;

	/* worker */
	alignas(64) _Atomic uint64_t dp_beat_ns;
	_Atomic uint64_t dp_starts;
	_Atomic uint64_t inject_tail;
	_Atomic uint32_t dp_cells_version;
	alignas(64) _Atomic uint64_t event_head;
	_Atomic uint64_t event_last; /* number of the newest */
	_Atomic uint64_t event_overflows;
	_Atomic uint32_t alarms_used;
	_Atomic uint32_t n_unknowns;

	/* who publishes: the control plane, of TABLE_STATS the worker */
	struct published published[TABLES];
};

struct fedmem {
	struct segment_header *header;
	struct journal *journal;
	struct described *elements;
	struct fedmem_state *states;
	struct fedmem_metric *metrics; /* rows of n_extra */
	struct fedmem_alarm *alarms;
	struct fedmem_event *events;
	struct fedmem_inject *injects;
	struct noted *unknowns;
	uint8_t *tables[TABLES]; /* two buffers each */
	struct line_table by_address, by_id;
	uint32_t n_extra; /* metrics of an element that lie beside its state */
	uint64_t hash_key;
	struct fedmem_sizes sizes;

	char *path;
	int fd;
	uint8_t *base;
	uint64_t mapped_bytes;
	uint64_t *used_slots;	  /* one bit each; made with the first call of the control plane */
	uint64_t first_free_word; /* of used_slots: there is no free slot before it */
};

/* Where a published table lies and how long its records are. */
uint8_t *segment_buffer(const struct fedmem *fm, enum published_table table, uint32_t version);
uint32_t segment_table_max(const struct fedmem *fm, enum published_table table);
uint32_t segment_record_bytes(enum published_table table);

/* table.c */
int published_put(struct fedmem *fm, enum published_table table, const void *records, uint32_t n);
int published_get(const struct fedmem *fm, enum published_table table, void *out, uint32_t room,
		  uint32_t *n, uint32_t *version);
/* The present token of a cell. False: there is no such cell, or nothing was published. */
bool table_cell_token(const struct fedmem *fm, uint32_t cell, struct fedmem_token *token);

/* lock.c: the maker's and the worker's lock on the file, which the kernel gives back when the
 * holder dies. */
int lock_maker(int fd); /* waits; goes with the descriptor */
void lock_maker_release(int fd);
int lock_writer(int fd); /* -EBUSY: somebody has it */
/* After 'tries' looks at a record that is half-written: relaxes or sleeps, then true: look again.
 * False: nobody who lives writes this segment, or he stands still. */
bool lock_writer_wait(const struct fedmem *fm, uint32_t tries);

#endif
