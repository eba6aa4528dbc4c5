/* eal.h - the DPDK environment: pins the control thread and the worker to their cores, takes the
 * memory and probes the devices of the configuration.
 *
 * Thread:  control; the thread that calls eal_start() becomes it, on its core.
 * Memory:  EAL's own; one environment a process, once.
 * Returns: 0 done; <0 -errno, with a line in 'why'; EAL's own words stand on standard error above
 * it.
 */
#ifndef BELLWETHER_DP_EAL_EAL_H
#define BELLWETHER_DP_EAL_EAL_H

#include <stddef.h>

#include "dp/conf/conf.h"

/* -EPERM: a core that this process may not use: EAL itself would abort. After a failure there is
 * nothing to stop. */
int eal_start(const struct conf *conf, char *why, size_t why_bytes);
/* Runs it on the worker's core. */
int eal_worker_launch(int (*run)(void *argument), void *argument);
void eal_worker_wait(void); /* until it has returned; at once when none was launched */
void eal_stop(void);

#endif
