/* probe.h - does somebody take a TCP connection at an address?
 *
 * Thread:  control.
 * Memory:  a probe frees itself after its answer; a list has nothing to free once it was stopped.
 * Returns: 0 done; <0 -errno, nothing happened, no answer will come.
 */
#ifndef BELLWETHER_CP_CLUSTER_PROBE_H
#define BELLWETHER_CP_CLUSTER_PROBE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#define PROBES_MAX 256 /* under way at once, of one list */

struct uv_loop_s;
struct probe; /* opaque: see probe.c */

struct probe_list {
	struct uv_loop_s *loop;
	LIST_HEAD(, probe) probes;
	uint32_t n_probes;
};

typedef void (*probe_done)(void *user, bool is_reachable);

void probe_list_init(struct probe_list *l, struct uv_loop_s *loop);
/* 'done' comes exactly once, with false at the latest after 'timeout_ms'. -EINVAL: 'ip' is no
 * address; -ENOBUFS: PROBES_MAX are under way. */
int probe_start(struct probe_list *l, const char *ip, uint16_t port, uint32_t timeout_ms,
		probe_done done, void *user);
/* Answers all with false, from inside. The loop has to turn once more before it is closed. */
void probe_list_stop(struct probe_list *l);

#endif
