/* conf.h - the door to YAML: configuration, inventory and alarm rules as typed structs.
 * A wrong file is refused with all its findings at once, each with line and column.
 * Both processes read the same file; docs/configuration.md describes every key and its range.
 * Nothing that stands in a file can do more harm than a finding: size, nesting and number of
 * findings (999 and one that says so) are bounded, and the checks take n log n time.
 *
 * Thread:  any.
 * Memory:  conf_x_load() allocates, conf_x_free() frees everything behind it and takes NULL.
 *          '*findings' is overwritten; conf_findings_free() frees what is behind it, if anything
 * is. Returns: 0 done; <0 -errno: the file could not be read; >0 the number of findings.
 */
#ifndef BELLWETHER_DP_CONF_CONF_H
#define BELLWETHER_DP_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "dp/fedmem/fedmem.h"

struct conf_finding {
	uint32_t line, column; /* from 1; 0: the file as a whole */
	char text[200];	       /* "servers[1].rank: 3 is also the rank of servers[0]" */
};

struct conf_findings {
	struct conf_finding *items; /* in the file's order */
	uint32_t n;
};

/* One per line: FILE:LINE:COLUMN: TEXT. */
void conf_findings_print(const struct conf_findings *f, const char *file, FILE *to);
void conf_findings_free(struct conf_findings *f);

enum conf_idle { CONF_IDLE_BUSY, CONF_IDLE_ADAPTIVE };

struct conf_server {
	uint16_t id;   /* 1..65535 */
	uint16_t rank; /* the higher the better; all different */
	char *name;
	char *address;	      /* on the peers' network: beats and calls between servers */
	char *client_address; /* where clients call it; by default 'address' */
	struct fedmem_address
		relay; /* where its data plane takes relayed datagrams; default 'address' */
	bool is_voter; /* default true; 1 (a single server), 3, 5 or 7 of them */
};

struct conf_port {
	char *name;
	char *device;	 /* EAL vdev or PCI name with arguments, as after --vdev or -a */
	char *interface; /* kernel interface behind a net_af_xdp; "" without one */
	bool is_xdp;	 /* device begins with net_af_xdp */
	bool is_relay;	 /* datagrams to peers leave here; at most one port */
};

struct conf {
	struct {
		char *name;
		char *secret_file;     /* 64 hex digits */
		uint32_t beat_ms;      /* default 50; 10..1000 */
		uint32_t hold_down_ms; /* default 300000 */
	} cluster;
	uint16_t server; /* id of this one */
	struct conf_server *servers;
	uint32_t n_servers;
	struct conf_server *self; /* points into servers */

	char *inventory_file, *rules_file;
	char *state_dir; /* default /var/lib/bellwether */
	char *run_dir;	 /* default /run/bellwether */

	struct {
		uint16_t api_port, beat_port, relay_port, native_port,
			snmp_port; /* 7400 7401 7402 7410 162 */
	} listen;

	struct {
		int32_t control_core, worker_core;
		enum conf_idle idle;
		uint32_t idle_max_us; /* adaptive: longest sleep; default 500 */
		bool huge_pages;      /* default true; false: --no-huge */
		uint32_t memory_mb;   /* default 256 */
		struct conf_port *ports;
		uint32_t n_ports;
		uint32_t spool_max; /* alarms waiting for their owners; default 65536 */
		uint32_t source_rate,
			source_burst; /* datagrams/s and datagrams, each known element */
		uint32_t unknown_rate, unknown_burst; /* all unknown sources together */
		char *steer_object;		      /* default: the installed steer.bpf.o */
		char **formats;			      /* "native", "snmp" */
		uint32_t n_formats;
		char **communities; /* SNMP v1/v2c; default public */
		uint32_t n_communities;
	} dataplane;

	struct {
		char *path; /* of the segment; default run_dir/fedmem */
		struct fedmem_sizes sizes;
	} memory;

	struct {
		uint32_t archive_mb;	    /* of the file; default 1024 */
		uint32_t events_mb;	    /* of it, for events; default half of archive_mb */
		uint32_t events_keep_hours; /* default 720 */
		uint32_t checkpoint_ms;	    /* default 2000 */
	} store;
};

/* Reads and checks FILE: structure, types and ranges, then what only makes sense together: this
 * server is in the list, ids, names, ranks and addresses differ, there are voters and their number
 * is odd, no core is named twice or absent from this machine, ports have different names and
 * devices, an af_xdp device names an interface, events take less than the archive. Files named in
 * it are not opened; relative paths come out as seen from FILE's folder. */
int conf_load(struct conf **out, const char *file, struct conf_findings *findings);
void conf_free(struct conf *c);

struct conf_element {
	uint64_t id; /* > 0 */
	char *name;
	struct fedmem_address address;
	char *kind;   /* "router", "switch", ...; free text */
	char *region; /* the label that makes its cell */
};
struct conf_inventory {
	struct conf_element *elements; /* in the file's order */
	uint32_t n_elements;
};
/* Checks: ids, names and addresses differ, addresses are those of one host, regions are not empty
 * and at most 39 octets, at most 'elements_max' elements. */
int conf_inventory_load(struct conf_inventory **out, const char *file, uint32_t elements_max,
			struct conf_findings *findings);
void conf_inventory_free(struct conf_inventory *i);

struct conf_rule {
	char *notification;  /* dotted OID */
	char *type;	     /* alarm-type-id */
	uint8_t severity;    /* enum fedmem_severity, by its RFC 8632 name; "cleared" clears */
	char *resource;	     /* fixed part; "" */
	char *resource_from; /* dotted OID of the binding, without instance; "" */
	char *text_from;     /* the same, for the text; "" */
};
struct conf_rules {
	struct conf_rule *rules;
	uint32_t n_rules;
};
/* Checks: OIDs are OIDs that fit FEDMEM_OID_BYTES, severities exist, texts fit their fields, no
 * notification is named twice. */
int conf_rules_load(struct conf_rules **out, const char *file, uint32_t rules_max,
		    struct conf_findings *findings);
void conf_rules_free(struct conf_rules *r);

/* "10.0.0.1" or "2001:db8::1". -EINVAL: neither. */
int conf_address_parse(struct fedmem_address *out, const char *text);
/* Writes at most 45 characters and the terminator. */
void conf_address_format(char text[46], const struct fedmem_address *a);
/* Not the unspecified one (RFC 4291 2.5.2, RFC 1122 3.2.1.3) and not of a group. */
bool conf_address_is_host(const struct fedmem_address *a);
/* Dotted OID to its BER contents. -EINVAL: no OID; -E2BIG: longer than FEDMEM_OID_BYTES. */
int conf_oid_encode(uint8_t ber[FEDMEM_OID_BYTES], uint8_t *n_bytes, const char *dotted);

#endif
