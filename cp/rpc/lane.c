#include "cp/rpc/lane.h"

#include <errno.h>
#include <grpc/support/log.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

static _Atomic bool is_quiet;

static void library_log(gpr_log_func_args *args)
{
	if (!atomic_load_explicit(&is_quiet, memory_order_relaxed) &&
	    args->severity >= GPR_LOG_SEVERITY_ERROR)
		fprintf(stderr, "rpc: %s\n", args->message);
}

void library_quiet(bool quiet)
{
	atomic_store_explicit(&is_quiet, quiet, memory_order_relaxed);
}

void library_get(void)
{
	gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
	gpr_set_log_function(library_log);
	grpc_init();
}

void library_put(void)
{
	grpc_shutdown_blocking();
}

static void *lane_run(void *lane)
{
	struct lane *l = lane;

	for (;;) {
		grpc_event e = grpc_completion_queue_next(
			l->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);

		if (e.type == GRPC_QUEUE_SHUTDOWN)
			return NULL;
		if (e.type == GRPC_OP_COMPLETE) {
			struct lane_tag *tag = e.tag;

			tag->completed(tag, e.success != 0);
		}
	}
}

int lane_open(struct lane *l, const char *thread_name, grpc_cq_polling_type polling)
{
	const grpc_completion_queue_attributes attributes = {
		.version = GRPC_CQ_CURRENT_VERSION,
		.cq_completion_type = GRPC_CQ_NEXT,
		.cq_polling_type = polling,
	};
	sigset_t all, before;
	int err;

	l->queue = grpc_completion_queue_create(grpc_completion_queue_factory_lookup(&attributes),
						&attributes, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the control thread's */
	err = pthread_create(&l->thread, NULL, lane_run, l);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err != 0) {
		grpc_completion_queue_shutdown(l->queue);
		grpc_completion_queue_destroy(l->queue);
		l->queue = NULL;
		return -err;
	}
	pthread_setname_np(l->thread, thread_name);
	return 0;
}

void lane_close(struct lane *l)
{
	if (l->queue == NULL)
		return;
	grpc_completion_queue_shutdown(l->queue);
	pthread_join(l->thread, NULL);
	grpc_completion_queue_destroy(l->queue);
	l->queue = NULL;
}
