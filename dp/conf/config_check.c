#include "dp/conf/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VOTERS_MAX 7
#define CORE_MAX   1023 /* what is out of these bounds was found as a number */

void conf_check_numbers(struct conf_source *s)
{
	for (const struct conf_number *n = conf_numbers; n->path != NULL; n++) {
		const char *text = conf_source_text(s, n->path);
		char *end;
		long long value;

		if (text == NULL)
			continue;
		errno = 0;
		value = strtoll(text, &end, 10);
		if (errno != 0 || *end != '\0' || end == text || value > UINT32_MAX ||
		    value < INT32_MIN)
			continue; /* is found by its type */
		if (value < n->min || value > n->max)
			conf_source_find(s, n->path, "%lld is out of range (%u to %u)", value,
					 n->min, n->max);
	}
}

/* ---- Servers ---- */

static void check_server(struct conf_source *s, struct conf_server_entry *server, uint32_t index)
{
	char path[CONF_PATH_BYTES];

	if (server->id == 0)
		conf_source_find(s, conf_path(path, "servers", index, "id"),
				 "0 is out of range (1 to 65535)");
	conf_source_address(s, &server->peer, server->address,
			    conf_path(path, "servers", index, "address"));
	server->client = server->relay = server->peer;
	if (server->client_address != NULL)
		conf_source_address(s, &server->client, server->client_address,
				    conf_path(path, "servers", index, "client_address"));
	if (server->relay_address != NULL)
		conf_source_address(s, &server->relay, server->relay_address,
				    conf_path(path, "servers", index, "relay_address"));
}

static bool is_ipv4(const struct fedmem_address *a)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(a->octets, mapped, sizeof(mapped)) == 0;
}

/* What stands for an address that has a finding of its own is a group's, and has no family. */
static bool is_other_family(const struct fedmem_address *a, const struct fedmem_address *b)
{
	return a->octets[0] != 0xff && b->octets[0] != 0xff && is_ipv4(a) != is_ipv4(b);
}

/* Servers speak to each other from one socket and one port each: over IPv4, or over IPv6. */
static void check_families(struct conf_source *s, const struct conf_file *f)
{
	char path[CONF_PATH_BYTES];

	for (uint32_t i = 1; i < f->n_servers; i++) {
		const struct conf_server_entry *server = &f->servers[i];

		if (is_other_family(&server->peer, &f->servers[0].peer))
			conf_source_find(s, conf_path(path, "servers", i, "address"),
					 "%s is of another family than servers[0].address",
					 server->address);
		else if (server->relay_address != NULL &&
			 is_other_family(&server->relay, &f->servers[0].relay))
			conf_source_find(s, conf_path(path, "servers", i, "relay_address"),
					 "%s is of another family than that of servers[0]",
					 server->relay_address);
	}
}

#define DISTINCT_SERVERS(key, member, n_bytes)                                                     \
	(&(struct conf_distinct){"servers", key, f->servers, f->n_servers, sizeof(*f->servers),    \
				 offsetof(struct conf_server_entry, member), n_bytes})

static void check_servers(struct conf_source *s, struct conf_file *f)
{
	uint32_t n_voters = 0;
	bool has_self = false;

	for (uint32_t i = 0; i < f->n_servers; i++) {
		check_server(s, &f->servers[i], i);
		n_voters += f->servers[i].voter == NULL || *f->servers[i].voter;
		has_self = has_self || f->servers[i].id == f->conf.server;
	}
	check_families(s, f);
	if (!has_self)
		conf_source_find(s, "server", "%u is the id of none of the servers",
				 f->conf.server);
	if (n_voters == 0)
		conf_source_find(s, "servers", "none of them is a voter");
	else if (n_voters > VOTERS_MAX)
		conf_source_find(s, "servers", "%u voters, at most %u may be", n_voters,
				 VOTERS_MAX);
	else if (n_voters % 2 == 0)
		conf_source_find(s, "servers", "%u voters, their number must be odd", n_voters);
	conf_source_distinct(s, DISTINCT_SERVERS("id", id, sizeof(f->servers->id)));
	conf_source_distinct(s, DISTINCT_SERVERS("rank", rank, sizeof(f->servers->rank)));
	conf_source_distinct(s, DISTINCT_SERVERS("name", name, 0));
	conf_source_distinct(s, DISTINCT_SERVERS("address", peer, sizeof(f->servers->peer)));
	conf_source_distinct(
		s, DISTINCT_SERVERS("client_address", client, sizeof(f->servers->client)));
	conf_source_distinct(s,
			     DISTINCT_SERVERS("relay_address", relay, sizeof(f->servers->relay)));
}

/* The API is TCP and cannot collide with these. */
static void check_listen(struct conf_source *s, const struct conf *c)
{
	const struct {
		const char *key;
		uint16_t port;
	} udp[] = {{"beat", c->listen.beat_port},
		   {"relay", c->listen.relay_port},
		   {"native", c->listen.native_port},
		   {"snmp", c->listen.snmp_port}};

	for (size_t i = 1; i < sizeof(udp) / sizeof(udp[0]); i++) {
		for (size_t j = 0; j < i; j++) {
			char path[CONF_PATH_BYTES], other[CONF_PATH_BYTES];

			snprintf(path, sizeof(path), "listen.%s", udp[i].key);
			snprintf(other, sizeof(other), "listen.%s", udp[j].key);
			if (udp[i].port != udp[j].port)
				continue;
			if (conf_source_has(s, path))
				conf_source_find(s, path, "%u is also the port of %s", udp[i].port,
						 other);
			else /* the default of that one is taken by this one */
				conf_source_find(s, other, "%u is also the port of %s", udp[j].port,
						 path);
		}
	}
}

/* ---- Cores ---- */

/* The kernel's list of cores that are switched on, such as "0-3,6". Not this process's affinity:
 * cores that are isolated for a worker are not in it, and are the right ones all the same. */
static void read_cores(char *list, int list_bytes)
{
	FILE *from = fopen("/sys/devices/system/cpu/online", "re");
	long n;

	if (from != NULL && fgets(list, list_bytes, from) != NULL) {
		list[strcspn(list, "\n")] = '\0';
	} else {
		n = sysconf(_SC_NPROCESSORS_ONLN);
		snprintf(list, (size_t)list_bytes, "0-%ld", n > 0 ? n - 1 : 0);
	}
	if (from != NULL)
		fclose(from);
}

static bool list_has(const char *list, int32_t core)
{
	while (*list != '\0') {
		char *end;
		long first = strtol(list, &end, 10), last = first;

		if (*end == '-')
			last = strtol(end + 1, &end, 10);
		if (core >= first && core <= last)
			return true;
		if (*end != ',')
			return false;
		list = end + 1;
	}
	return false;
}

static void check_cores(struct conf_source *s, const struct conf *c)
{
	static const char *const paths[] = {"dataplane.control_core", "dataplane.worker_core"};
	const int32_t cores[] = {c->dataplane.control_core, c->dataplane.worker_core};
	char list[128];

	read_cores(list, sizeof(list));
	for (int i = 0; i < 2; i++)
		if (cores[i] >= 0 && cores[i] <= CORE_MAX && !list_has(list, cores[i]))
			conf_source_find(s, paths[i], "core %d is not on this machine (%s are)",
					 cores[i], list);
	if (cores[0] == cores[1]) {
		int at = conf_source_has(s, paths[1]) ? 1 : 0;

		conf_source_find(s, paths[at], "core %d is named twice, also by %s", cores[at],
				 paths[1 - at]);
	}
}

/* ---- Ports and formats ---- */

/* The value of iface= among the device's arguments, or NULL. */
static const char *device_interface(const char *device, size_t *n_bytes)
{
	const char *at = strstr(device, ",iface=");

	if (at == NULL)
		return NULL;
	at += strlen(",iface=");
	*n_bytes = strcspn(at, ",");
	return at;
}

static void check_port(struct conf_source *s, const struct conf_port *p, uint32_t index)
{
	char path[CONF_PATH_BYTES];
	size_t n_bytes = 0;
	const char *named = device_interface(p->device, &n_bytes);

	if (p->is_xdp && p->interface == NULL)
		conf_source_find(s, conf_path(path, "dataplane.ports", index, ""),
				 "a net_af_xdp device needs its interface named here too");
	else if (!p->is_xdp && p->interface != NULL)
		conf_source_find(s, conf_path(path, "dataplane.ports", index, "interface"),
				 "belongs to net_af_xdp devices only");
	else if (p->is_xdp && (named == NULL || n_bytes != strlen(p->interface) ||
			       memcmp(named, p->interface, n_bytes) != 0))
		conf_source_find(s, conf_path(path, "dataplane.ports", index, "device"),
				 "lacks iface=%s", p->interface);
}

/* EAL knows a device by what stands before the arguments. */
static void check_device_names(struct conf_source *s, const struct conf *c)
{
	const struct conf_port *ports = c->dataplane.ports;
	char path[CONF_PATH_BYTES];

	for (uint32_t i = 1; i < c->dataplane.n_ports; i++) {
		size_t n = strcspn(ports[i].device, ",");

		for (uint32_t j = 0; j < i; j++) {
			if (strcspn(ports[j].device, ",") != n ||
			    memcmp(ports[i].device, ports[j].device, n) != 0)
				continue;
			conf_source_find(s, conf_path(path, "dataplane.ports", i, "device"),
					 "%.*s is also the device of dataplane.ports[%u]", (int)n,
					 ports[i].device, j);
			break;
		}
	}
}

static void check_ports(struct conf_source *s, const struct conf *c)
{
	const struct conf_distinct names = {
		.list = "dataplane.ports",
		.key = "name",
		.entries = c->dataplane.ports,
		.n_entries = c->dataplane.n_ports,
		.entry_bytes = sizeof(*c->dataplane.ports),
		.offset = offsetof(struct conf_port, name),
	};
	char path[CONF_PATH_BYTES];
	uint32_t n_relay = 0;

	for (uint32_t i = 0; i < c->dataplane.n_ports; i++) {
		check_port(s, &c->dataplane.ports[i], i);
		if (c->dataplane.ports[i].is_relay && ++n_relay > 1)
			conf_source_find(s, conf_path(path, "dataplane.ports", i, "relay"),
					 "there is a relay port already, one may be");
	}
	conf_source_distinct(s, &names);
	check_device_names(s, c);
}

static void check_formats(struct conf_source *s, const struct conf *c)
{
	char path[CONF_PATH_BYTES];

	for (uint32_t i = 0; i < c->dataplane.n_formats; i++) {
		const char *name = c->dataplane.formats[i];

		conf_path(path, "dataplane.formats", i, "");
		if (strcmp(name, "native") != 0 && strcmp(name, "snmp") != 0)
			conf_source_find(s, path, "'%s' is none of native, snmp", name);
		for (uint32_t j = 0; j < i; j++) {
			if (strcmp(name, c->dataplane.formats[j]) != 0)
				continue;
			conf_source_find(s, path, "%s is named twice", name);
			break;
		}
	}
}

void conf_check(struct conf_source *s, struct conf_file *f)
{
	const struct conf *c = &f->conf;
	uint32_t events_max = c->memory.sizes.events_max;

	check_servers(s, f);
	check_listen(s, c);
	check_cores(s, c);
	check_ports(s, c);
	check_formats(s, c);
	if ((events_max & (events_max - 1)) != 0)
		conf_source_find(s, "memory.events_max", "%u is no power of two", events_max);
	if (c->store.events_mb >= c->store.archive_mb)
		conf_source_find(s, "store.events_mb", "%u is not below archive_mb, which is %u",
				 c->store.events_mb, c->store.archive_mb);
}
