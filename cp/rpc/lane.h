/* lane.h - a completion queue and the thread that drains it.
 * The library's start and stop are here too: a lane is open only between library_get() and
 * library_put().
 *
 * Thread:  control; 'completed' runs on the lane's thread.
 * Returns: 0 done; <0 -errno.
 */
#ifndef BELLWETHER_CP_RPC_LANE_H
#define BELLWETHER_CP_RPC_LANE_H

#include <grpc/grpc.h>
#include <pthread.h>
#include <stdbool.h>

/* What a batch is started with: lies in the object that the batch is about. */
struct lane_tag {
	void (*completed)(struct lane_tag *tag, bool is_ok);
};

struct lane {
	grpc_completion_queue *queue; /* NULL: not open */
	pthread_t thread;
};

void library_get(void);
void library_put(void); /* waits until the library's own threads have ended */

/* Keeps the library's complaints to itself: while a failure is expected and comes as an errno. */
void library_quiet(bool quiet);

int lane_open(struct lane *l, const char *thread_name, grpc_cq_polling_type polling);
/* Waits for what was started; nothing may be started any more. Takes one that is not open. */
void lane_close(struct lane *l);

#endif
