/* cli_bed.h - three pretended servers on 127.0.0.1, in a thread of their own, and a bellctl that is
 * run against them.
 */
#ifndef BELLWETHER_TESTS_UNIT_CP_CLI_BED_H
#define BELLWETHER_TESTS_UNIT_CP_CLI_BED_H

#include "tests/unit/cp/cli_servers.h"
#include "tests/unit/cp/cli_servers_change.h"

static inline void bed_stopped(uv_async_t *stop)
{
	uv_stop(stop->loop);
}

static inline void bed_listen(struct pretended *p)
{
	const struct rpc_method methods[] = {
		{WIRE_PATH("Peered", "GetStatus"), false, bed_status, p},
		{WIRE_PATH("Peered", "GetElement"), false, bed_element, p},
		{WIRE_PATH("Peered", "GetDpStats"), false, bed_dp_stats, p},
		{WIRE_PATH("Federated", "ListElements"), false, bed_elements, p},
		{WIRE_PATH("Federated", "ListAlarms"), false, bed_alarms, p},
		{WIRE_PATH("Federated", "WatchAlarms"), true, bed_watch, p},
		{WIRE_PATH("Federated", "WatchEvents"), true, bed_watch_events, p},
		{WIRE_PATH("Peered", "GetStoredStatus"), false, bed_stored_status, p},
		{WIRE_PATH("Peered", "ListElements"), false, bed_stored_elements, p},
		{WIRE_PATH("Peered", "ListAlarms"), false, bed_stored_alarms, p},
		{WIRE_PATH("Peered", "ListEvents"), false, bed_events, p},
		{WIRE_PATH("Peered", "AckAlarm"), false, bed_ack, p},
		{WIRE_PATH("Peered", "ImportElements"), false, bed_import, p},
		{WIRE_PATH("Peered", "AdoptElement"), false, bed_adopt, p},
		{WIRE_PATH("Peered", "MoveElement"), false, bed_move, p},
		{WIRE_PATH("Peered", "DrainServer"), false, bed_drain, p},
	};
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const char *address = p->address;
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &n) != 0)
		abort();
	close(fd);
	snprintf(p->address, sizeof(p->address), "127.0.0.1:%u", ntohs(a.sin_port));
	if (p->manner != MANNER_ABSENT &&
	    rpc_server_create(&p->server, &p->bed->loop, &address, 1, methods,
			      sizeof(methods) / sizeof(methods[0])) != 0)
		abort();
}

static inline void *bed_thread(void *bed)
{
	struct bed *b = bed;

	for (uint32_t i = 0; i < N_SERVERS; i++)
		bed_listen(&b->servers[i]);
	uv_barrier_wait(&b->started);
	uv_run(&b->loop, UV_RUN_DEFAULT);
	for (uint32_t i = 0; i < N_SERVERS; i++)
		rpc_server_destroy(b->servers[i].server);
	uv_close((uv_handle_t *)&b->stop, NULL);
	uv_run(&b->loop, UV_RUN_DEFAULT);
	if (uv_loop_close(&b->loop) != 0)
		abort();
	return NULL;
}

static inline void bed_start(struct bed *b, enum manner one, enum manner two, enum manner three)
{
	memset(b, 0, sizeof(*b));
	b->servers[0].manner = one;
	b->servers[1].manner = two;
	b->servers[2].manner = three;
	for (uint32_t i = 0; i < N_SERVERS; i++) {
		b->servers[i].bed = b;
		b->servers[i].id = i + 1;
	}
	if (uv_loop_init(&b->loop) != 0 || uv_async_init(&b->loop, &b->stop, bed_stopped) != 0 ||
	    uv_barrier_init(&b->started, 2) != 0 ||
	    pthread_create(&b->thread, NULL, bed_thread, b) != 0)
		abort();
	uv_barrier_wait(&b->started);
	snprintf(b->list, sizeof(b->list), "%s,%s,%s", b->servers[0].address, b->servers[1].address,
		 b->servers[2].address);
}

static inline void bed_stop(struct bed *b)
{
	uv_async_send(&b->stop);
	pthread_join(b->thread, NULL);
	uv_barrier_destroy(&b->started);
	free(b->out);
	free(b->err);
}

static inline uint32_t bed_n_asked(struct bed *b)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < N_SERVERS; i++)
		n += atomic_load(&b->servers[i].n_asked);
	return n;
}

/* 'line': the words after "bellctl --server ...", one blank between two. */
static inline enum cli_exit bed_run(struct bed *b, const char *line)
{
	char *words = strdup(line), *rest = words, *word;
	char *argv[24] = {"bellctl", "--server", b->list, "--timeout", "5000"};
	size_t n_out, n_err;
	int argc = 5;
	enum cli_exit result;
	FILE *out, *err;

	free(b->out);
	free(b->err);
	out = open_memstream(&b->out, &n_out);
	err = open_memstream(&b->err, &n_err);
	if (words == NULL || out == NULL || err == NULL)
		abort();
	while ((word = strsep(&rest, " ")) != NULL && argc < 23)
		argv[argc++] = word;
	result = cli_run(argc, argv, out, err);
	fclose(out);
	fclose(err);
	free(words);
	return result;
}

#endif
