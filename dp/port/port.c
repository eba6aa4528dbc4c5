#include "dp/port/port.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

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
	bool is_found, is_started, is_relay;
	uint64_t n_missed; /* when it was last known */
	bool is_link_up;   /* when it was last looked at */
	uint16_t frame_max;
	const char *name;      /* the configuration's */
	const char *interface; /* likewise; NULL: DPDK's own driver */
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
			fprintf(stderr,
				"port: detached the program of a killed process port=%s "
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

/* The interface's own addresses: datagrams to others are not ours to take. -E2BIG: more than 'max'.
 */
static int interface_addresses(const char *interface, uint8_t out[][16], uint32_t max, uint32_t *n)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	struct ifaddrs *all;
	int err = 0;

	*n = 0;
	if (getifaddrs(&all) < 0)
		return -errno;
	for (struct ifaddrs *a = all; a != NULL; a = a->ifa_next) {
		if (a->ifa_addr == NULL || strcmp(a->ifa_name, interface) != 0 ||
		    (a->ifa_addr->sa_family != AF_INET && a->ifa_addr->sa_family != AF_INET6))
			continue;
		if (*n == max) {
			err = -E2BIG;
			break;
		}
		if (a->ifa_addr->sa_family == AF_INET) {
			memcpy(out[*n], mapped, 12);
			memcpy(out[*n] + 12, &((struct sockaddr_in *)a->ifa_addr)->sin_addr, 4);
		} else {
			memcpy(out[*n], &((struct sockaddr_in6 *)a->ifa_addr)->sin6_addr, 16);
		}
		(*n)++;
	}
	freeifaddrs(all);
	return err;
}

static void steer_line(const char *line)
{
	fprintf(stderr, "steer: %s\n", line);
}

static uint16_t udp_port_of(const struct conf *conf, const char *format)
{
	return strcmp(format, "snmp") == 0 ? conf->listen.snmp_port : conf->listen.native_port;
}

static int create_steer(struct port *p, const struct conf *conf, const struct conf_port *cp,
			char *why, size_t why_bytes)
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

	if (err < 0) {
		snprintf(why, why_bytes, "port %s: cannot read the addresses of %s: %s", cp->name,
			 cp->interface,
			 err == -E2BIG ? "it has more than the XDP program holds" : strerror(-err));
		return err;
	}
	for (uint32_t i = 0; i < conf->dataplane.n_formats && cfg.n_listen < STEER_LISTEN_MAX; i++)
		listen[cfg.n_listen++] = (struct steer_port){
			.udp_port = udp_port_of(conf, conf->dataplane.formats[i]),
			.source_class = STEER_ELEMENT,
		};
	if (cp->is_relay && cfg.n_listen < STEER_LISTEN_MAX)
		listen[cfg.n_listen++] = (struct steer_port){.udp_port = conf->listen.relay_port,
							     .source_class = STEER_PEER};
	err = steer_create(&p->steer, &cfg);
	if (err < 0)
		snprintf(why, why_bytes, "port %s: cannot load the XDP program for %s: %s",
			 cp->name, cp->interface, strerror(-err));
	return err;
}

/* Asks the kernel about the port's interface: SIOCGIFMTU, SIOCGIFFLAGS. */
static int ask_interface(const struct port *p, unsigned long request, struct ifreq *answer)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err = 0;

	if (fd < 0)
		return -errno;
	*answer = (struct ifreq){0};
	snprintf(answer->ifr_name, sizeof(answer->ifr_name), "%s", p->interface);
	if (ioctl(fd, request, answer) < 0)
		err = -errno;
	close(fd);
	return err;
}

/* The AF_XDP driver reports an MTU of 1500 whatever the interface has. The kernel keeps its own
 * headroom in each of its buffers, so a peer's port like ours receives no longer frames than this.
 */
static int find_frame_max(struct port *p)
{
	int longest = RTE_MBUF_DEFAULT_DATAROOM;
	struct ifreq answer;
	uint16_t mtu;
	int err;

	if (p->interface != NULL) {
		err = ask_interface(p, SIOCGIFMTU, &answer);
		if (err < 0)
			return err;
		longest -= XDP_PACKET_HEADROOM;
		mtu = (uint16_t)RTE_MIN(answer.ifr_mtu, longest);
	} else {
		err = rte_eth_dev_get_mtu(p->id, &mtu);
		if (err < 0)
			return err;
	}
	p->frame_max = (uint16_t)RTE_MIN(mtu + RTE_ETHER_HDR_LEN, longest);
	return 0;
}

static bool is_link_up(const struct port *p)
{
	struct rte_eth_link link;
	struct ifreq answer;

	if (p->interface != NULL) /* the AF_XDP driver does not look */
		return ask_interface(p, SIOCGIFFLAGS, &answer) == 0 &&
		       (answer.ifr_flags & IFF_RUNNING) != 0;
	return rte_eth_link_get_nowait(p->id, &link) != 0 || link.link_status == RTE_ETH_LINK_UP;
}

static int set_up_device(struct port *p, const struct conf_port *cp, char *why, size_t why_bytes)
{
	const struct rte_eth_conf device_conf = {0};
	struct rte_eth_dev_info info;
	uint16_t rx = RX_DESCRIPTORS, tx = TX_DESCRIPTORS;
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
	snprintf(pool_name, sizeof(pool_name), "port%u", p->id);
	p->pool = rte_pktmbuf_pool_create(pool_name, POOL_MBUFS, POOL_CACHE, 0,
					  RTE_MBUF_DEFAULT_BUF_SIZE, socket);
	if (p->pool == NULL) {
		err = -rte_errno;
		snprintf(why, why_bytes,
			 "port %s: cannot make its %d buffers: %s; see dataplane.memory_mb",
			 cp->name, POOL_MBUFS, strerror(-err));
		return err;
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
	step = "ask for the MTU of";
	err = find_frame_max(p);
	if (err < 0)
		goto fail;
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
	p->is_link_up = true;
	p->name = cp->name;
	p->interface = cp->is_xdp ? cp->interface : NULL;
	err = find_device(cp->device, &p->id);
	if (err < 0) {
		snprintf(why, why_bytes, "port %s: there is no device %s", cp->name, cp->device);
		goto fail;
	}
	p->is_found = true;
	err = set_up_device(p, cp, why, why_bytes);
	if (err < 0)
		goto fail;
	if (cp->is_xdp) {
		err = create_steer(p, conf, cp, why, why_bytes);
		if (err < 0)
			goto fail;
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
		snprintf(why, why_bytes, "port %s: cannot attach the XDP program: %s", p->name,
			 strerror(-err));
	return err;
}

void port_watch(struct port *p)
{
	bool is_up = is_link_up(p);

	if (is_up != p->is_link_up)
		fprintf(stderr, "port: link is %s port=%s\n", is_up ? "up again" : "down", p->name);
	p->is_link_up = is_up;
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

uint64_t port_missed(struct port *p)
{
	struct rte_eth_stats s;

	if (rte_eth_stats_get(p->id, &s) == 0)
		p->n_missed = s.imissed + s.ierrors;
	return p->n_missed;
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
		(void)port_tx_flush(p);
	if (p->n_pending == TX_PENDING_MAX)
		return false; /* 'begun' is used again for the next frame */
	p->pending[p->n_pending++] = p->begun;
	p->begun = NULL;
	return true;
}

bool port_tx_flush(struct port *p)
{
	uint16_t n;

	if (p->n_pending == 0)
		return true;
	n = rte_eth_tx_burst(p->id, 0, p->pending, p->n_pending);
	p->n_pending = (uint16_t)(p->n_pending - n);
	memmove(p->pending, p->pending + n, p->n_pending * sizeof(p->pending[0]));
	return p->n_pending == 0;
}

void port_stop(struct port *p)
{
	if (p == NULL)
		return;
	steer_destroy(p->steer);
	rte_pktmbuf_free(p->begun);
	rte_pktmbuf_free_bulk(p->pending, p->n_pending);
	if (p->is_started)
		(void)rte_eth_dev_stop(p->id);
	if (p->is_found) /* its queues hold buffers of the pool, started or not */
		(void)rte_eth_dev_close(p->id);
	rte_mempool_free(p->pool);
	free(p);
}
