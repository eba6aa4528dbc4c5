#include "dp/port/port.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#define RX_DESCRIPTORS 2048
#define TX_DESCRIPTORS 2048
/* An AF_XDP socket holds two rings full of buffers (fill and receive), the rest is in flight. */
#define POOL_MBUFS     16383
#define POOL_CACHE     256
#define TX_PENDING_MAX (2 * PORT_BURST)

struct port {
	uint16_t id;
	bool is_started, is_relay;
	uint16_t frame_max;
	struct rte_mempool *pool;
	struct steer *steer;
	/* worker only */
	struct rte_mbuf *begun;
	struct rte_mbuf *pending[TX_PENDING_MAX];
	uint16_t n_pending;
};

int port_eal_argument(const struct conf *conf, uint32_t index, const char **option,
		      char argument[512], char *why, size_t why_bytes)
{
	const struct conf_port *cp = &conf->dataplane.ports[index];
	int n;

	*option = strncmp(cp->device, "net_", 4) == 0 ? "--vdev" : "-a";
	if (cp->is_xdp) {
		bool was_stale;
		int err = steer_detach_stale(cp->interface, &was_stale);

		if (err < 0) {
			snprintf(why, why_bytes,
				 "port %s: another XDP program is attached to %s: %s", cp->name,
				 cp->interface, strerror(-err));
			return err;
		}
		if (was_stale)
			fprintf(stderr, "port: detached the program of a killed process port=%s "
					"interface=%s\n",
				cp->name, cp->interface);
		n = snprintf(argument, 512, "%s,xdp_prog=%s", cp->device,
			     conf->dataplane.steer_object);
	} else {
		n = snprintf(argument, 512, "%s", cp->device);
	}
	if (n >= 512) {
		snprintf(why, why_bytes, "port %s: its device is longer than 511 characters",
			 cp->name);
		return -E2BIG;
	}
	return 0;
}

/* The device's name in EAL is what stands before the first comma of its argument. */
static int find_device(const char *device, uint16_t *id)
{
	char name[RTE_ETH_NAME_MAX_LEN];
	size_t n = strcspn(device, ",");

	if (n >= sizeof(name))
		return -ENODEV;
	memcpy(name, device, n);
	name[n] = '\0';
	return rte_eth_dev_get_port_by_name(name, id) == 0 ? 0 : -ENODEV;
}

/* The interface's own addresses: datagrams to others are not ours to take. */
static int interface_addresses(const char *interface, uint8_t out[][16], uint32_t max, uint32_t *n)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	struct ifaddrs *all;

	*n = 0;
	if (getifaddrs(&all) < 0)
		return -errno;
	for (struct ifaddrs *a = all; a != NULL && *n < max; a = a->ifa_next) {
		if (a->ifa_addr == NULL || strcmp(a->ifa_name, interface) != 0)
			continue;
		if (a->ifa_addr->sa_family == AF_INET) {
			memcpy(out[*n], mapped, 12);
			memcpy(out[*n] + 12, &((struct sockaddr_in *)a->ifa_addr)->sin_addr, 4);
			(*n)++;
		} else if (a->ifa_addr->sa_family == AF_INET6) {
			memcpy(out[*n], &((struct sockaddr_in6 *)a->ifa_addr)->sin6_addr, 16);
			(*n)++;
		}
	}
	freeifaddrs(all);
	return 0;
}

static void steer_line(const char *line)
{
	fprintf(stderr, "steer: %s\n", line);
}

static int create_steer(struct port *p, const struct conf *conf, const struct conf_port *cp)
{
	uint8_t locals[STEER_LOCALS_MAX][16];
	struct steer_port listen[STEER_LISTEN_MAX];
	struct steer_config cfg = {
		.interface = cp->interface,
		.sources_max = conf->memory.sizes.elements_max + FEDMEM_SERVERS_MAX,
		.listen = listen,
		.locals = (const uint8_t(*)[16])locals,
		.unknown_rate_pps = conf->dataplane.unknown_rate,
		.unknown_burst = conf->dataplane.unknown_burst,
		.log = steer_line,
	};
	int err = interface_addresses(cp->interface, locals, STEER_LOCALS_MAX, &cfg.n_locals);

	if (err < 0)
		return err;
	for (uint32_t i = 0; i < conf->dataplane.n_formats && cfg.n_listen < STEER_LISTEN_MAX; i++)
		listen[cfg.n_listen++] = (struct steer_port){
			.udp_port = strcmp(conf->dataplane.formats[i], "snmp") == 0
					    ? conf->listen.snmp_port
					    : conf->listen.native_port,
			.source_class = STEER_ELEMENT,
		};
	if (cp->is_relay && cfg.n_listen < STEER_LISTEN_MAX)
		listen[cfg.n_listen++] = (struct steer_port){.udp_port = conf->listen.relay_port,
							     .source_class = STEER_PEER};
	return steer_create(&p->steer, &cfg);
}

static int set_up_device(struct port *p, const struct conf_port *cp, char *why, size_t why_bytes)
{
	const struct rte_eth_conf device_conf = {0};
	struct rte_eth_dev_info info;
	uint16_t rx = RX_DESCRIPTORS, tx = TX_DESCRIPTORS, mtu;
	char pool_name[RTE_MEMPOOL_NAMESIZE];
	int socket = rte_eth_dev_socket_id(p->id);
	const char *step = "describe";
	int err = rte_eth_dev_info_get(p->id, &info);

	if (err < 0)
		goto fail;
	step = "configure";
	err = rte_eth_dev_configure(p->id, 1, 1, &device_conf);
	if (err < 0)
		goto fail;
	step = "size the queues of";
	err = rte_eth_dev_adjust_nb_rx_tx_desc(p->id, &rx, &tx);
	if (err < 0)
		goto fail;
	step = "make buffers for";
	snprintf(pool_name, sizeof(pool_name), "port%u", p->id);
	p->pool = rte_pktmbuf_pool_create(pool_name, POOL_MBUFS, POOL_CACHE, 0,
					  RTE_MBUF_DEFAULT_BUF_SIZE, socket);
	if (p->pool == NULL) {
		err = -rte_errno;
		goto fail;
	}
	step = "set up the receive queue of";
	err = rte_eth_rx_queue_setup(p->id, 0, rx, (unsigned int)socket, NULL, p->pool);
	if (err < 0)
		goto fail;
	step = "set up the transmit queue of";
	err = rte_eth_tx_queue_setup(p->id, 0, tx, (unsigned int)socket, NULL);
	if (err < 0)
		goto fail;
	step = "start";
	err = rte_eth_dev_start(p->id);
	if (err < 0)
		goto fail;
	p->is_started = true;
	p->frame_max = RTE_ETHER_MTU + RTE_ETHER_HDR_LEN;
	if (rte_eth_dev_get_mtu(p->id, &mtu) == 0)
		p->frame_max = (uint16_t)RTE_MIN(mtu + RTE_ETHER_HDR_LEN,
						 (int)RTE_MBUF_DEFAULT_DATAROOM);
	return 0;
fail:
	snprintf(why, why_bytes, "port %s: cannot %s %s: %s", cp->name, step, cp->device,
		 strerror(-err));
	return err;
}

int port_start(struct port **out, const struct conf *conf, uint32_t index, char *why,
	       size_t why_bytes)
{
	const struct conf_port *cp = &conf->dataplane.ports[index];
	struct port *p = calloc(1, sizeof(*p));
	int err;

	if (p == NULL) {
		snprintf(why, why_bytes, "port %s: out of memory", cp->name);
		return -ENOMEM;
	}
	p->is_relay = cp->is_relay;
	err = find_device(cp->device, &p->id);
	if (err < 0) {
		snprintf(why, why_bytes, "port %s: there is no device %s", cp->name, cp->device);
		goto fail;
	}
	err = set_up_device(p, cp, why, why_bytes);
	if (err < 0)
		goto fail;
	if (cp->is_xdp) {
		err = create_steer(p, conf, cp);
		if (err < 0) {
			snprintf(why, why_bytes, "port %s: cannot load the XDP program for %s: %s",
				 cp->name, cp->interface, strerror(-err));
			goto fail;
		}
	}
	*out = p;
	return 0;
fail:
	port_stop(p);
	return err;
}

int port_attach(struct port *p, char *why, size_t why_bytes)
{
	int err = p->steer == NULL ? 0 : steer_attach(p->steer);

	if (err < 0)
		snprintf(why, why_bytes, "port %u: cannot attach the XDP program: %s", p->id,
			 strerror(-err));
	return err;
}

bool port_is_relay(const struct port *p)
{
	return p->is_relay;
}

void port_ether_address(const struct port *p, uint8_t octets[6])
{
	struct rte_ether_addr address = {0};

	(void)rte_eth_macaddr_get(p->id, &address);
	memcpy(octets, address.addr_bytes, 6);
}

uint16_t port_frame_max(const struct port *p)
{
	return p->frame_max;
}

struct steer *port_steer(struct port *p)
{
	return p->steer;
}

uint64_t port_missed(const struct port *p)
{
	struct rte_eth_stats s;

	return rte_eth_stats_get(p->id, &s) == 0 ? s.imissed : 0;
}

uint16_t port_rx(struct port *p, struct rte_mbuf **frames)
{
	return rte_eth_rx_burst(p->id, 0, frames, PORT_BURST);
}

uint8_t *port_tx_begin(struct port *p, uint16_t frame_bytes)
{
	if (p->begun != NULL)
		rte_pktmbuf_reset(p->begun);
	else
		p->begun = rte_pktmbuf_alloc(p->pool);
	if (p->begun == NULL)
		return NULL;
	return (uint8_t *)rte_pktmbuf_append(p->begun, frame_bytes);
}

bool port_tx_queue(struct port *p)
{
	if (p->n_pending == TX_PENDING_MAX)
		port_tx_flush(p);
	if (p->n_pending == TX_PENDING_MAX)
		return false; /* 'begun' is used again for the next frame */
	p->pending[p->n_pending++] = p->begun;
	p->begun = NULL;
	return true;
}

void port_tx_flush(struct port *p)
{
	uint16_t n;

	if (p->n_pending == 0)
		return;
	n = rte_eth_tx_burst(p->id, 0, p->pending, p->n_pending);
	p->n_pending = (uint16_t)(p->n_pending - n);
	memmove(p->pending, p->pending + n, p->n_pending * sizeof(p->pending[0]));
}

void port_stop(struct port *p)
{
	if (p == NULL)
		return;
	steer_destroy(p->steer);
	rte_pktmbuf_free(p->begun);
	rte_pktmbuf_free_bulk(p->pending, p->n_pending);
	if (p->is_started) {
		(void)rte_eth_dev_stop(p->id);
		(void)rte_eth_dev_close(p->id);
	}
	rte_mempool_free(p->pool);
	free(p);
}
