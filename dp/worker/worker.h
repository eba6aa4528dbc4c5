/* worker.h - the loop of a pinned core: receive a burst, parse, find the elements, decode, apply or
 * relay, free. Run to completion; no allocation, system call, lock or log line of ours while
 * packets flow (a driver may wake the kernel). When nothing came for a while and nothing waits to
 * be sent the adaptive mode sleeps, for at most idle_max_us.
 *
 * Thread:  worker_create(), worker_destroy(), worker_stop() and worker_note() control; worker_run()
 * is the worker. Memory:  all at creation; keeps the configuration, the segment, its writer and the
 * ports. Returns: 0 done; <0 -errno, with a line in 'why'.
 */
#ifndef BELLWETHER_DP_WORKER_WORKER_H
#define BELLWETHER_DP_WORKER_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dp/conf/conf.h"
#include "dp/fedmem/fedmem.h"
#include "dp/port/port.h"
#include "dp/stats/stats.h"

struct worker; /* opaque: see worker.c */

/* 'n_repaired' is what fedmem_writer_open() had to put right. */
int worker_create(struct worker **out, const struct conf *conf, struct fedmem *fm,
		  struct fedmem_writer *writer, uint32_t n_repaired, struct port **ports,
		  uint32_t n_ports, char *why, size_t why_bytes);

/* Until worker_stop(). For rte_eal_remote_launch(); the argument is the struct worker. */
int worker_run(void *worker);
void worker_stop(struct worker *w);

/* What control counted and the worker publishes with its own: the XDP program's verdicts (STEER_*)
 * and PORT_MISSED, since this process started. */
struct worker_note {
	uint64_t steer_frames, steer_taken, steer_passed, steer_source_rate, steer_unknown_rate,
		steer_malformed, port_missed;
};
void worker_note(struct worker *w, const struct worker_note *note);

void worker_destroy(struct worker *w); /* takes NULL */

#endif
