/* worker_private.h - what worker.c and burst.c share. */
#ifndef BELLWETHER_DP_WORKER_WORKER_PRIVATE_H
#define BELLWETHER_DP_WORKER_WORKER_PRIVATE_H

#include <stdalign.h>
#include <stdatomic.h>

#include "dp/apply/apply.h"
#include "dp/decode/decode.h"
#include "dp/relay/relay.h"
#include "dp/worker/worker.h"

#define WORKER_NOTES (sizeof(struct worker_note) / sizeof(uint64_t))

struct worker {
	/* control writes, worker reads */
	_Atomic bool is_stopping;  /* relaxed: seen with the next turn */
	_Atomic uint32_t note_seq; /* odd while control writes; see worker_note() */
	_Atomic uint64_t note[WORKER_NOTES];

	/* worker only */
	alignas(64) const struct conf *conf;
	struct fedmem *fm;
	struct fedmem_writer *writer;
	struct port **ports;
	uint32_t n_ports;
	struct port *relay_out; /* NULL: no port is for the relay */
	struct apply *apply;
	struct relay *relay;

	uint64_t now_ns;  /* CLOCK_REALTIME, once a turn */
	uint64_t boot_ns; /* CLOCK_BOOTTIME, once a turn */
	bool may_own;
	bool has_relay_boot; /* the control plane met the wish of this start */
	uint32_t cells_version, servers_version, rules_version, elements_version;
	uint64_t published_ns;

	uint8_t is_format_on[DECODE_FORMATS];
	struct decode_context decode;
	/* Two of each: one in use, the other to read the next version into. A read that fails has
	 * left anything there. */
	struct fedmem_rule *rules, *rules_next;
	struct fedmem_cell *cells, *cells_next;
	uint32_t n_cells;
	struct fedmem_server servers[FEDMEM_SERVERS_MAX];
	struct report_batch batch;
	struct stats stats;
	struct worker_note note_base; /* what earlier processes had counted */
};

/* Handles one burst of frames of any port. Does not free them. */
void burst_handle(struct worker *w, struct rte_mbuf **frames, uint16_t n);
/* Applies the alarms that came back from the relay's spool. */
void burst_take_back(struct worker *w);

#endif
