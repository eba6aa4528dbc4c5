#include "dp/conf/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PATH_OCTETS 4095u
#define NEEDED	    CYAML_FLAG_POINTER
#define MAY	    (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)

/* ---- The tables ---- */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The sections are structs without names of their own. */
#define CLUSTER	  __typeof__(((struct conf *)NULL)->cluster)
#define LISTEN	  __typeof__(((struct conf *)NULL)->listen)
#define DATAPLANE __typeof__(((struct conf *)NULL)->dataplane)
#define MEMORY	  __typeof__(((struct conf *)NULL)->memory)
#define STORE	  __typeof__(((struct conf *)NULL)->store)

static const cyaml_schema_field_t cluster_fields[] = {
	CYAML_FIELD_STRING_PTR("name", NEEDED, CLUSTER, name, 1, 31),
	CYAML_FIELD_STRING_PTR("secret_file", NEEDED, CLUSTER, secret_file, 1, PATH_OCTETS),
	CYAML_FIELD_UINT("beat_ms", CYAML_FLAG_OPTIONAL, CLUSTER, beat_ms),
	CYAML_FIELD_UINT("hold_down_ms", CYAML_FLAG_OPTIONAL, CLUSTER, hold_down_ms),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t server_fields[] = {
	CYAML_FIELD_UINT("id", CYAML_FLAG_DEFAULT, struct conf_server_entry, id),
	CYAML_FIELD_STRING_PTR("name", NEEDED, struct conf_server_entry, name, 1,
			       sizeof(((struct fedmem_server *)NULL)->name) - 1),
	CYAML_FIELD_UINT("rank", CYAML_FLAG_DEFAULT, struct conf_server_entry, rank),
	CYAML_FIELD_STRING_PTR("address", NEEDED, struct conf_server_entry, address, 1, 45),
	CYAML_FIELD_STRING_PTR("client_address", MAY, struct conf_server_entry, client_address, 1,
			       45),
	CYAML_FIELD_STRING_PTR("relay_address", MAY, struct conf_server_entry, relay_address, 1,
			       45),
	CYAML_FIELD_BOOL_PTR("voter", MAY, struct conf_server_entry, voter),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t server_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct conf_server_entry, server_fields),
};

static const cyaml_schema_field_t listen_fields[] = {
	CYAML_FIELD_UINT("api", CYAML_FLAG_OPTIONAL, LISTEN, api_port),
	CYAML_FIELD_UINT("beat", CYAML_FLAG_OPTIONAL, LISTEN, beat_port),
	CYAML_FIELD_UINT("relay", CYAML_FLAG_OPTIONAL, LISTEN, relay_port),
	CYAML_FIELD_UINT("native", CYAML_FLAG_OPTIONAL, LISTEN, native_port),
	CYAML_FIELD_UINT("snmp", CYAML_FLAG_OPTIONAL, LISTEN, snmp_port),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t port_fields[] = {
	CYAML_FIELD_STRING_PTR("name", NEEDED, struct conf_port, name, 1, 31),
	CYAML_FIELD_STRING_PTR("device", NEEDED, struct conf_port, device, 1, 511),
	CYAML_FIELD_STRING_PTR("interface", MAY, struct conf_port, interface, 1, 15), /* IFNAMSIZ */
	CYAML_FIELD_BOOL("relay", CYAML_FLAG_OPTIONAL, struct conf_port, is_relay),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t port_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct conf_port, port_fields),
};

static const cyaml_strval_t idle_names[] = {
	{"busy", CONF_IDLE_BUSY},
	{"adaptive", CONF_IDLE_ADAPTIVE},
};
static const cyaml_schema_value_t format_schema = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, 31),
};
static const cyaml_schema_value_t community_schema = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, 255),
};

static const cyaml_schema_field_t dataplane_fields[] = {
	CYAML_FIELD_INT("control_core", CYAML_FLAG_OPTIONAL, DATAPLANE, control_core),
	CYAML_FIELD_INT("worker_core", CYAML_FLAG_OPTIONAL, DATAPLANE, worker_core),
	CYAML_FIELD_ENUM("idle", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, DATAPLANE, idle,
			 idle_names, COUNT(idle_names)),
	CYAML_FIELD_UINT("idle_max_us", CYAML_FLAG_OPTIONAL, DATAPLANE, idle_max_us),
	CYAML_FIELD_BOOL("huge_pages", CYAML_FLAG_OPTIONAL, DATAPLANE, huge_pages),
	CYAML_FIELD_UINT("memory_mb", CYAML_FLAG_OPTIONAL, DATAPLANE, memory_mb),
	CYAML_FIELD_SEQUENCE_COUNT("ports", NEEDED, DATAPLANE, ports, n_ports, &port_schema, 1, 16),
	CYAML_FIELD_UINT("spool_max", CYAML_FLAG_OPTIONAL, DATAPLANE, spool_max),
	CYAML_FIELD_UINT("source_rate", CYAML_FLAG_OPTIONAL, DATAPLANE, source_rate),
	CYAML_FIELD_UINT("source_burst", CYAML_FLAG_OPTIONAL, DATAPLANE, source_burst),
	CYAML_FIELD_UINT("unknown_rate", CYAML_FLAG_OPTIONAL, DATAPLANE, unknown_rate),
	CYAML_FIELD_UINT("unknown_burst", CYAML_FLAG_OPTIONAL, DATAPLANE, unknown_burst),
	CYAML_FIELD_STRING_PTR("steer_object", MAY, DATAPLANE, steer_object, 1, PATH_OCTETS),
	CYAML_FIELD_SEQUENCE_COUNT("formats", MAY, DATAPLANE, formats, n_formats, &format_schema, 1,
				   16),
	CYAML_FIELD_SEQUENCE_COUNT("communities", MAY, DATAPLANE, communities, n_communities,
				   &community_schema, 1, 64),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t memory_fields[] = {
	CYAML_FIELD_STRING_PTR("path", MAY, MEMORY, path, 1, PATH_OCTETS),
	CYAML_FIELD_UINT("elements_max", CYAML_FLAG_OPTIONAL, MEMORY, sizes.elements_max),
	CYAML_FIELD_UINT("metrics_per_element", CYAML_FLAG_OPTIONAL, MEMORY,
			 sizes.metrics_per_element),
	CYAML_FIELD_UINT("alarms_max", CYAML_FLAG_OPTIONAL, MEMORY, sizes.alarms_max),
	CYAML_FIELD_UINT("cells_max", CYAML_FLAG_OPTIONAL, MEMORY, sizes.cells_max),
	CYAML_FIELD_UINT("rules_max", CYAML_FLAG_OPTIONAL, MEMORY, sizes.rules_max),
	CYAML_FIELD_UINT("unknowns_max", CYAML_FLAG_OPTIONAL, MEMORY, sizes.unknowns_max),
	CYAML_FIELD_UINT("events_max", CYAML_FLAG_OPTIONAL, MEMORY, sizes.events_max),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t store_fields[] = {
	CYAML_FIELD_UINT("archive_mb", CYAML_FLAG_OPTIONAL, STORE, archive_mb),
	CYAML_FIELD_UINT("events_mb", CYAML_FLAG_OPTIONAL, STORE, events_mb),
	CYAML_FIELD_UINT("events_keep_hours", CYAML_FLAG_OPTIONAL, STORE, events_keep_hours),
	CYAML_FIELD_UINT("checkpoint_ms", CYAML_FLAG_OPTIONAL, STORE, checkpoint_ms),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t file_fields[] = {
	CYAML_FIELD_MAPPING("cluster", CYAML_FLAG_DEFAULT, struct conf_file, conf.cluster,
			    cluster_fields),
	CYAML_FIELD_UINT("server", CYAML_FLAG_DEFAULT, struct conf_file, conf.server),
	CYAML_FIELD_SEQUENCE_COUNT("servers", NEEDED, struct conf_file, servers, n_servers,
				   &server_schema, 1, FEDMEM_SERVERS_MAX),
	CYAML_FIELD_STRING_PTR("inventory", NEEDED, struct conf_file, conf.inventory_file, 1,
			       PATH_OCTETS),
	CYAML_FIELD_STRING_PTR("rules", NEEDED, struct conf_file, conf.rules_file, 1, PATH_OCTETS),
	CYAML_FIELD_STRING_PTR("state_dir", MAY, struct conf_file, conf.state_dir, 1, PATH_OCTETS),
	CYAML_FIELD_STRING_PTR("run_dir", MAY, struct conf_file, conf.run_dir, 1, PATH_OCTETS),
	CYAML_FIELD_MAPPING("listen", CYAML_FLAG_OPTIONAL, struct conf_file, conf.listen,
			    listen_fields),
	CYAML_FIELD_MAPPING("dataplane", CYAML_FLAG_DEFAULT, struct conf_file, conf.dataplane,
			    dataplane_fields),
	CYAML_FIELD_MAPPING("memory", CYAML_FLAG_OPTIONAL, struct conf_file, conf.memory,
			    memory_fields),
	CYAML_FIELD_MAPPING("store", CYAML_FLAG_OPTIONAL, struct conf_file, conf.store,
			    store_fields),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t file_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct conf_file, file_fields),
};

/* clang-format off */
#define NUMBER(path, member, min, max, by_default) \
	{path, offsetof(struct conf, member), sizeof(((struct conf *)NULL)->member), \
	 min, max, by_default}
const struct conf_number conf_numbers[] = {
	NUMBER("cluster.beat_ms", cluster.beat_ms, 10, 1000, 50),
	NUMBER("cluster.hold_down_ms", cluster.hold_down_ms, 0, 86400000, 300000),
	NUMBER("listen.api", listen.api_port, 1, 65535, 7400),
	NUMBER("listen.beat", listen.beat_port, 1, 65535, 7401),
	NUMBER("listen.relay", listen.relay_port, 1, 65535, 7402),
	NUMBER("listen.native", listen.native_port, 1, 65535, 7410),
	NUMBER("listen.snmp", listen.snmp_port, 1, 65535, 162),
	NUMBER("dataplane.control_core", dataplane.control_core, 0, 1023, 0),
	NUMBER("dataplane.worker_core", dataplane.worker_core, 0, 1023, 1),
	NUMBER("dataplane.idle_max_us", dataplane.idle_max_us, 1, 100000, 500),
	NUMBER("dataplane.memory_mb", dataplane.memory_mb, 72, 1048576, 256),
	NUMBER("dataplane.spool_max", dataplane.spool_max, 1, 16777216, 65536),
	NUMBER("dataplane.source_rate", dataplane.source_rate, 1, 1000000000, 100000),
	NUMBER("dataplane.source_burst", dataplane.source_burst, 1, 1000000000, 20000),
	NUMBER("dataplane.unknown_rate", dataplane.unknown_rate, 1, 1000000000, 1000),
	NUMBER("dataplane.unknown_burst", dataplane.unknown_burst, 1, 1000000000, 1000),
	NUMBER("memory.elements_max", memory.sizes.elements_max, 1, 16777216, 100000),
	NUMBER("memory.metrics_per_element", memory.sizes.metrics_per_element, 4, 255, 4),
	NUMBER("memory.alarms_max", memory.sizes.alarms_max, 1, 16777216, 10000),
	NUMBER("memory.cells_max", memory.sizes.cells_max, 1, 65536, 4096),
	NUMBER("memory.rules_max", memory.sizes.rules_max, 1, 65536, 512),
	NUMBER("memory.unknowns_max", memory.sizes.unknowns_max, 1, 65536, 256),
	NUMBER("memory.events_max", memory.sizes.events_max, 16, 16777216, 65536),
	NUMBER("store.archive_mb", store.archive_mb, 16, 1048576, 1024),
	NUMBER("store.events_mb", store.events_mb, 1, 1048575, 512),
	NUMBER("store.events_keep_hours", store.events_keep_hours, 1, 87600, 720),
	NUMBER("store.checkpoint_ms", store.checkpoint_ms, 100, 60000, 2000),
	{0},
};
/* clang-format on */

/* ---- From the file to struct conf ---- */

static void put_defaults(const struct conf_source *s, struct conf *c)
{
	for (const struct conf_number *n = conf_numbers; n->path != NULL; n++) {
		char *to = (char *)c + n->offset;
		uint16_t by_default = (uint16_t)n->by_default;

		if (conf_source_has(s, n->path))
			continue;
		if (n->n_bytes == sizeof(by_default))
			memcpy(to, &by_default, sizeof(by_default));
		else
			memcpy(to, &n->by_default, sizeof(n->by_default));
	}
	if (!conf_source_has(s, "dataplane.idle"))
		c->dataplane.idle = CONF_IDLE_ADAPTIVE;
	if (!conf_source_has(s, "dataplane.huge_pages"))
		c->dataplane.huge_pages = true;
	if (!conf_source_has(s, "store.events_mb"))
		c->store.events_mb = c->store.archive_mb / 2;
	for (uint32_t i = 0; i < c->dataplane.n_ports; i++)
		c->dataplane.ports[i].is_xdp =
			strncmp(c->dataplane.ports[i].device, "net_af_xdp", 10) == 0;
}

static int put_default_text(char **text, const char *by_default)
{
	if (*text == NULL)
		*text = strdup(by_default);
	return *text == NULL ? -ENOMEM : 0;
}

static int put_default_list(char ***list, uint32_t *n, const char *const *texts, uint32_t n_texts)
{
	if (*list != NULL)
		return 0;
	*list = calloc(n_texts, sizeof(**list));
	if (*list == NULL)
		return -ENOMEM;
	for (*n = 0; *n < n_texts; ++*n) {
		(*list)[*n] = strdup(texts[*n]);
		if ((*list)[*n] == NULL)
			return -ENOMEM;
	}
	return 0;
}

/* A relative path begins at the configuration file's folder, wherever the process was started. */
static int put_folder(char **path, const char *file)
{
	const char *slash = strrchr(file, '/');
	char *whole;

	if (**path == '/' || slash == NULL)
		return 0;
	if (asprintf(&whole, "%.*s/%s", (int)(slash - file), file, *path) < 0)
		return -ENOMEM;
	free(*path);
	*path = whole;
	return 0;
}

static int put_texts(struct conf *c, const char *file)
{
	static const char *const formats[] = {"native", "snmp"}, *const communities[] = {"public"};
	char **paths[] = {&c->cluster.secret_file, &c->inventory_file, &c->rules_file,
			  &c->state_dir,	   &c->run_dir,	       &c->dataplane.steer_object};
	int err = put_default_text(&c->state_dir, "/var/lib/bellwether");

	if (err == 0)
		err = put_default_text(&c->run_dir, "/run/bellwether");
	if (err == 0)
		err = put_default_text(&c->dataplane.steer_object, BELLWETHER_STEER_OBJECT);
	for (uint32_t i = 0; err == 0 && i < c->dataplane.n_ports; i++)
		err = put_default_text(&c->dataplane.ports[i].interface, "");
	if (err == 0)
		err = put_default_list(&c->dataplane.formats, &c->dataplane.n_formats, formats,
				       COUNT(formats));
	if (err == 0)
		err = put_default_list(&c->dataplane.communities, &c->dataplane.n_communities,
				       communities, COUNT(communities));
	for (size_t i = 0; err == 0 && i < COUNT(paths); i++)
		err = put_folder(paths[i], file);
	if (err != 0)
		return err;
	if (c->memory.path != NULL)
		return put_folder(&c->memory.path, file);
	if (asprintf(&c->memory.path, "%s/fedmem", c->run_dir) < 0) {
		c->memory.path = NULL;
		return -ENOMEM;
	}
	return 0;
}

static int put_servers(struct conf *c, struct conf_file *f)
{
	c->servers = calloc(f->n_servers, sizeof(*c->servers));
	if (c->servers == NULL)
		return -ENOMEM;
	c->n_servers = f->n_servers;
	for (uint32_t i = 0; i < f->n_servers; i++) {
		struct conf_server_entry *from = &f->servers[i];
		struct conf_server *to = &c->servers[i];

		*to = (struct conf_server){
			.id = from->id,
			.rank = from->rank,
			.name = from->name,
			.address = from->address,
			.client_address = from->client_address,
			.relay = from->relay,
			.is_voter = from->voter == NULL || *from->voter,
		};
		from->name = from->address = from->client_address = NULL;
		if (put_default_text(&to->client_address, to->address) != 0)
			return -ENOMEM;
		if (to->id == c->server)
			c->self = to;
	}
	return 0;
}

/* Moves what libcyaml loaded. */
static int conf_make(struct conf **out, struct conf_file *f, const char *file)
{
	struct conf *c = malloc(sizeof(*c));
	int err;

	if (c == NULL)
		return -ENOMEM;
	*c = f->conf;
	f->conf = (struct conf){0};
	err = put_servers(c, f);
	if (err == 0)
		err = put_texts(c, file);
	if (err != 0) {
		conf_free(c);
		return err;
	}
	*out = c;
	return 0;
}

int conf_load(struct conf **out, const char *file, struct conf_findings *findings)
{
	struct conf_file *f = NULL;
	struct conf_source s;
	int result;

	*findings = (struct conf_findings){0};
	result = conf_source_open(&s, file, findings);
	if (result != 0)
		return result;
	if (findings->n == 0)
		conf_source_check(&s, &file_schema);
	conf_check_numbers(&s);
	if (s.err == 0 && s.is_loadable)
		f = conf_source_load(&s, &file_schema);
	if (f != NULL) {
		put_defaults(&s, &f->conf);
		conf_check(&s, f);
	}
	result = conf_source_result(&s);
	if (result == 0)
		result = conf_make(out, f, file);
	conf_source_unload(&file_schema, f);
	conf_source_close(&s);
	return result;
}

void conf_free(struct conf *c)
{
	if (c == NULL)
		return;
	for (uint32_t i = 0; i < c->n_servers; i++) {
		free(c->servers[i].name);
		free(c->servers[i].address);
		free(c->servers[i].client_address);
	}
	for (uint32_t i = 0; i < c->dataplane.n_ports; i++) {
		free(c->dataplane.ports[i].name);
		free(c->dataplane.ports[i].device);
		free(c->dataplane.ports[i].interface);
	}
	for (uint32_t i = 0; i < c->dataplane.n_formats; i++)
		free(c->dataplane.formats[i]);
	for (uint32_t i = 0; i < c->dataplane.n_communities; i++)
		free(c->dataplane.communities[i]);
	free(c->servers);
	free(c->dataplane.ports);
	free(c->dataplane.formats);
	free(c->dataplane.communities);
	free(c->dataplane.steer_object);
	free(c->cluster.name);
	free(c->cluster.secret_file);
	free(c->inventory_file);
	free(c->rules_file);
	free(c->state_dir);
	free(c->run_dir);
	free(c->memory.path);
	free(c);
}
