#include "cp/cluster/probe.h"

#include <errno.h>
#include <stdlib.h>
#include <uv.h>

struct probe {
	LIST_ENTRY(probe) in_list;
	struct probe_list *list; /* NULL: answered */
	uv_tcp_t tcp;
	uv_timer_t timer;
	uv_connect_t connect;
	uint32_t n_handles; /* not closed yet */
	probe_done done;
	void *user;
};

void probe_list_init(struct probe_list *l, struct uv_loop_s *loop)
{
	*l = (struct probe_list){.loop = loop};
	LIST_INIT(&l->probes);
}

static void on_closed(uv_handle_t *handle)
{
	struct probe *p = handle->data;

	if (--p->n_handles == 0)
		free(p);
}

static void probe_end(struct probe *p, bool is_reachable)
{
	if (p->list == NULL)
		return;
	LIST_REMOVE(p, in_list);
	p->list->n_probes--;
	p->list = NULL;
	uv_close((uv_handle_t *)&p->tcp, on_closed);
	uv_close((uv_handle_t *)&p->timer, on_closed);
	p->done(p->user, is_reachable);
}

static void on_connected(uv_connect_t *connect, int status)
{
	probe_end(connect->data, status == 0);
}

static void on_timeout(uv_timer_t *timer)
{
	probe_end(timer->data, false);
}

static int address_make(struct sockaddr_storage *out, const char *ip, uint16_t port)
{
	if (uv_ip4_addr(ip, port, (struct sockaddr_in *)out) == 0)
		return 0;
	return uv_ip6_addr(ip, port, (struct sockaddr_in6 *)out) == 0 ? 0 : -EINVAL;
}

int probe_start(struct probe_list *l, const char *ip, uint16_t port, uint32_t timeout_ms,
		probe_done done, void *user)
{
	struct sockaddr_storage address;
	struct probe *p;
	int err = address_make(&address, ip, port);

	if (err != 0)
		return err;
	if (l->n_probes == PROBES_MAX)
		return -ENOBUFS;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	p->done = done;
	p->user = user;
	p->tcp.data = p->timer.data = p->connect.data = p;
	/* Neither can fail: no socket is made before the connection, and a timer needs nothing. */
	uv_tcp_init(l->loop, &p->tcp);
	uv_timer_init(l->loop, &p->timer);
	p->n_handles = 2;
	err = uv_tcp_connect(&p->connect, &p->tcp, (struct sockaddr *)&address, on_connected);
	if (err == 0)
		err = uv_timer_start(&p->timer, on_timeout, timeout_ms, 0);
	if (err != 0) {
		uv_close((uv_handle_t *)&p->tcp, on_closed);
		uv_close((uv_handle_t *)&p->timer, on_closed);
		return err;
	}
	p->list = l;
	LIST_INSERT_HEAD(&l->probes, p, in_list);
	l->n_probes++;
	return 0;
}

void probe_list_stop(struct probe_list *l)
{
	struct probe *p;

	while ((p = LIST_FIRST(&l->probes)) != NULL)
		probe_end(p, false);
}
