#include "tests/unit/dp/conf_file.h"

#include <errno.h>

static void check_sample_servers(const struct conf *c)
{
	static const char *const names[] = {"alpha", "bravo", "charlie", "delta"};
	char text[46];

	assert_int_equal(c->server, 1);
	assert_int_equal(c->n_servers, 4);
	assert_ptr_equal(c->self, &c->servers[0]);
	for (uint16_t i = 0; i < 4; i++) {
		assert_int_equal(c->servers[i].id, i + 1);
		assert_int_equal(c->servers[i].rank, 3 - i);
		assert_string_equal(c->servers[i].name, names[i]);
		assert_int_equal(c->servers[i].is_voter, i < 3);
	}
	assert_string_equal(c->servers[0].address, "10.90.0.1");
	assert_string_equal(c->servers[0].client_address, "10.92.0.1");
	conf_address_format(text, &c->servers[0].relay);
	assert_string_equal(text, "10.91.0.1");
	assert_string_equal(c->servers[1].client_address, "10.90.0.2");
	conf_address_format(text, &c->servers[3].relay);
	assert_string_equal(text, "10.90.0.4");
	assert_string_equal(c->servers[3].client_address, "2001:db8::4");
}

static void check_default_numbers(const struct conf *c)
{
	assert_int_equal(c->cluster.beat_ms, 50);
	assert_int_equal(c->cluster.hold_down_ms, 300000);
	assert_int_equal(c->listen.api_port, 7400);
	assert_int_equal(c->listen.beat_port, 7401);
	assert_int_equal(c->listen.relay_port, 7402);
	assert_int_equal(c->listen.native_port, 7410);
	assert_int_equal(c->listen.snmp_port, 162);
	assert_int_equal(c->dataplane.control_core, 0);
	assert_int_equal(c->dataplane.worker_core, 1);
	assert_int_equal(c->dataplane.idle, CONF_IDLE_ADAPTIVE);
	assert_int_equal(c->dataplane.idle_max_us, 500);
	assert_true(c->dataplane.huge_pages);
	assert_int_equal(c->dataplane.memory_mb, 256);
	assert_int_equal(c->dataplane.spool_max, 65536);
	assert_int_equal(c->dataplane.source_rate, 100000);
	assert_int_equal(c->dataplane.source_burst, 20000);
	assert_int_equal(c->dataplane.unknown_rate, 1000);
	assert_int_equal(c->dataplane.unknown_burst, 1000);
	assert_int_equal(c->memory.sizes.elements_max, 100000);
	assert_int_equal(c->memory.sizes.metrics_per_element, 4);
	assert_int_equal(c->memory.sizes.alarms_max, 10000);
	assert_int_equal(c->memory.sizes.cells_max, 4096);
	assert_int_equal(c->memory.sizes.rules_max, 512);
	assert_int_equal(c->memory.sizes.unknowns_max, 256);
	assert_int_equal(c->memory.sizes.events_max, 65536);
	assert_int_equal(c->store.archive_mb, 1024);
	assert_int_equal(c->store.events_mb, 512);
	assert_int_equal(c->store.events_keep_hours, 720);
	assert_int_equal(c->store.checkpoint_ms, 2000);
}

static void check_default_texts(const struct conf *c)
{
	assert_string_equal(c->state_dir, "/var/lib/bellwether");
	assert_string_equal(c->run_dir, "/run/bellwether");
	assert_string_equal(c->memory.path, "/run/bellwether/fedmem");
	assert_int_equal(c->dataplane.n_formats, 2);
	assert_string_equal(c->dataplane.formats[0], "native");
	assert_string_equal(c->dataplane.formats[1], "snmp");
	assert_int_equal(c->dataplane.n_communities, 1);
	assert_string_equal(c->dataplane.communities[0], "public");
}

static void sample_loads_with_every_value(void **state)
{
	const struct conf_port *ports;
	struct conf_findings f;
	struct conf *c = NULL;

	assert_int_equal(conf_load(&c, SAMPLES "/bellwether.yaml", &f), 0);
	assert_int_equal(f.n, 0);
	assert_string_equal(c->cluster.name, "lab");
	assert_string_equal(c->cluster.secret_file, "/etc/bellwether/secret");
	check_sample_servers(c);
	assert_string_equal(c->inventory_file, SAMPLES "/inventory.yaml");
	assert_string_equal(c->rules_file, SAMPLES "/rules.yaml");
	check_default_numbers(c);
	check_default_texts(c);
	assert_string_equal(c->dataplane.steer_object, "/usr/lib/bellwether/steer.bpf.o");
	ports = c->dataplane.ports;
	assert_int_equal(c->dataplane.n_ports, 2);
	assert_string_equal(ports[0].name, "mgmt");
	assert_string_equal(ports[0].device, "net_af_xdp0,iface=mgmt0");
	assert_string_equal(ports[0].interface, "mgmt0");
	assert_true(ports[0].is_xdp && !ports[0].is_relay);
	assert_true(ports[1].is_xdp && ports[1].is_relay);
	conf_free(c);
}

static void what_is_left_out_gets_its_default(void **state)
{
	char text[4096], expected[sizeof(folder) + 32];
	struct conf_findings f;
	struct conf *c = NULL;

	config_with(NULL, 0, text, sizeof(text));
	put_bytes(text, strlen(text));
	assert_int_equal(conf_load(&c, path, &f), 0);
	check_default_numbers(c);
	check_default_texts(c);
	snprintf(expected, sizeof(expected), "%s/secret", folder);
	assert_string_equal(c->cluster.secret_file, expected);
	assert_true(c->dataplane.steer_object[0] == '/');
	assert_string_equal(c->dataplane.ports[0].interface, "");
	assert_false(c->dataplane.ports[0].is_xdp || c->dataplane.ports[0].is_relay);
	assert_true(c->dataplane.ports[1].is_relay);
	assert_true(c->servers[1].is_voter);
	conf_free(c);
}

static void what_is_given_is_not_replaced_by_a_default(void **state)
{
	static const struct change changes[] = {
		{3, "  secret_file: /secret\n  beat_ms: 10\n  hold_down_ms: 0"},
		{4, "server: 3"},
		{9, "inventory: /i\nstate_dir: s\nrun_dir: /r"},
		{11, "listen: {api: 1, beat: 2, relay: 3, native: 4, snmp: 65535}"},
		{12, "dataplane:\n  {control_core: 1, worker_core: 0, idle: busy, idle_max_us: 1,\n"
		     "   huge_pages: false, memory_mb: 72, spool_max: 1, source_rate: 2,\n"
		     "   source_burst: 3, unknown_rate: 4, unknown_burst: 5, steer_object: x.o,\n"
		     "   formats: [snmp], communities: [a, b],"},
		{13, "   ports:"},
		{14, "    [{name: in, device: net_null0},"},
		{15, "     {name: out, device: net_null1}]}"},
		{16,
		 "memory: {path: m, elements_max: 16777216, metrics_per_element: 255,\n"
		 "  alarms_max: 2, cells_max: 3, rules_max: 5, unknowns_max: 6, events_max: 16}\n"
		 "store: {archive_mb: 16, events_mb: 15, events_keep_hours: 1,\n"
		 "  checkpoint_ms: 100}"},
	};
	char text[4096], expected[sizeof(folder) + 32];
	struct conf_findings f;
	struct conf *c = NULL;

	config_with(changes, COUNT(changes), text, sizeof(text));
	put_bytes(text, strlen(text));
	assert_int_equal(conf_load(&c, path, &f), 0);
	assert_int_equal(c->cluster.beat_ms, 10);
	assert_int_equal(c->cluster.hold_down_ms, 0);
	assert_int_equal(c->self->id, 3);
	assert_string_equal(c->inventory_file, "/i");
	snprintf(expected, sizeof(expected), "%s/s", folder);
	assert_string_equal(c->state_dir, expected);
	assert_int_equal(c->listen.api_port, 1);
	assert_int_equal(c->listen.snmp_port, 65535);
	assert_int_equal(c->dataplane.control_core, 1);
	assert_int_equal(c->dataplane.worker_core, 0);
	assert_int_equal(c->dataplane.idle, CONF_IDLE_BUSY);
	assert_false(c->dataplane.huge_pages);
	assert_int_equal(c->dataplane.unknown_burst, 5);
	assert_int_equal(c->dataplane.n_formats, 1);
	assert_string_equal(c->dataplane.formats[0], "snmp");
	assert_int_equal(c->dataplane.n_communities, 2);
	assert_string_equal(c->dataplane.communities[1], "b");
	snprintf(expected, sizeof(expected), "%s/x.o", folder);
	assert_string_equal(c->dataplane.steer_object, expected);
	snprintf(expected, sizeof(expected), "%s/m", folder);
	assert_string_equal(c->memory.path, expected);
	assert_int_equal(c->memory.sizes.elements_max, 16777216);
	assert_int_equal(c->memory.sizes.metrics_per_element, 255);
	assert_int_equal(c->memory.sizes.events_max, 16);
	assert_int_equal(c->store.archive_mb, 16);
	assert_int_equal(c->store.events_mb, 15);
	assert_int_equal(c->store.events_keep_hours, 1);
	assert_int_equal(c->store.checkpoint_ms, 100);
	conf_free(c);
}

static void events_take_half_of_the_given_archive(void **state)
{
	static const struct change change = {16, "store: {archive_mb: 333}"};
	char text[4096];
	struct conf_findings f;
	struct conf *c = NULL;

	config_with(&change, 1, text, sizeof(text));
	put_bytes(text, strlen(text));
	assert_int_equal(conf_load(&c, path, &f), 0);
	assert_int_equal(c->store.events_mb, 166);
	conf_free(c);
}

static void segment_lies_in_the_given_run_dir(void **state)
{
	static const struct change change = {9, "inventory: i\nrun_dir: /r"};
	char text[4096];
	struct conf_findings f;
	struct conf *c = NULL;

	config_with(&change, 1, text, sizeof(text));
	put_bytes(text, strlen(text));
	assert_int_equal(conf_load(&c, path, &f), 0);
	assert_string_equal(c->memory.path, "/r/fedmem");
	conf_free(c);
}

static void sample_inventory_loads(void **state)
{
	struct conf_inventory *i = NULL;
	struct conf_findings f;
	char text[46];

	assert_int_equal(conf_inventory_load(&i, SAMPLES "/inventory.yaml", 4, &f), 0);
	assert_int_equal(i->n_elements, 4);
	assert_int_equal(i->elements[3].id, 4);
	assert_string_equal(i->elements[3].name, "harbour-roadm-1");
	assert_string_equal(i->elements[3].kind, "roadm");
	assert_string_equal(i->elements[3].region, "harbour");
	conf_address_format(text, &i->elements[3].address);
	assert_string_equal(text, "2001:db8:95:2::2");
	conf_inventory_free(i);
}

static void sample_rules_load(void **state)
{
	struct conf_rules *r = NULL;
	struct conf_findings f;

	assert_int_equal(conf_rules_load(&r, SAMPLES "/rules.yaml", 4, &f), 0);
	assert_int_equal(r->n_rules, 4);
	assert_string_equal(r->rules[0].notification, "1.3.6.1.6.3.1.1.5.3");
	assert_string_equal(r->rules[0].type, "link-down");
	assert_int_equal(r->rules[0].severity, FEDMEM_MAJOR);
	assert_string_equal(r->rules[0].resource, "interface ");
	assert_string_equal(r->rules[0].resource_from, "1.3.6.1.2.1.2.2.1.1");
	assert_string_equal(r->rules[0].text_from, "1.3.6.1.2.1.2.2.1.2");
	assert_int_equal(r->rules[1].severity, FEDMEM_CLEARED);
	assert_int_equal(r->rules[2].severity, FEDMEM_WARNING);
	assert_string_equal(r->rules[2].resource, "");
	assert_string_equal(r->rules[2].resource_from, "");
	assert_string_equal(r->rules[2].text_from, "");
	conf_rules_free(r);
}

static void inventory_of_100000_elements_loads(void **state)
{
	enum { N = 100000 };
	struct conf_inventory *inventory = NULL;
	struct conf_findings f;
	FILE *to = fopen(path, "w");
	char text[46];

	assert_non_null(to);
	fputs("elements:\n", to);
	for (uint32_t i = 1; i <= N; i++)
		fprintf(to,
			"  - {id: %u, name: e%u, address: 10.%u.%u.%u, kind: router, region: "
			"r%u}\n",
			i, i, i >> 16, i >> 8 & 0xff, i & 0xff, i / 1000);
	assert_int_equal(fclose(to), 0);
	assert_int_equal(conf_inventory_load(&inventory, path, N, &f), 0);
	assert_int_equal(inventory->n_elements, N);
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(inventory->elements[i].id, i + 1);
	conf_address_format(text, &inventory->elements[N - 1].address);
	assert_string_equal(text, "10.1.134.160");
	conf_inventory_free(inventory);
	assert_int_equal(conf_inventory_load(&inventory, path, N - 1, &f), 1);
	assert_int_equal(f.items[0].line, N + 1);
	assert_int_equal(f.items[0].column, 5);
	conf_findings_free(&f);
}

/* ---- Addresses and object identifiers ---- */

static void addresses_come_back_as_they_were(void **state)
{
	static const char *const texts[] = {
		"10.0.0.1",
		"0.0.0.0",
		"255.255.255.255",
		"2001:db8::1",
		"::",
		"::1",
		"fe80::1",
		"1:2:3:4:5:6:7:8",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	};

	for (size_t i = 0; i < COUNT(texts); i++) {
		struct fedmem_address a;
		char text[46];

		assert_int_equal(conf_address_parse(&a, texts[i]), 0);
		conf_address_format(text, &a);
		assert_string_equal(text, texts[i]);
	}
}

static void ipv4_address_is_mapped_into_ipv6(void **state)
{
	static const struct fedmem_address expected = {
		{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3}};
	struct fedmem_address a, b;

	assert_int_equal(conf_address_parse(&a, "10.1.2.3"), 0);
	assert_memory_equal(&a, &expected, sizeof(a));
	assert_int_equal(conf_address_parse(&b, "::ffff:10.1.2.3"), 0);
	assert_memory_equal(&b, &expected, sizeof(b));
}

static void text_that_is_no_address_changes_nothing(void **state)
{
	static const char *const texts[] = {
		"",	      "10.0.0",	   "10.0.0.256", "10.0.0.1 ",  " 10.0.0.1", "10.0.0.01",
		"0x0a000001", "localhost", "2001:db8",	 "fe80::1%lo", "::1::2",    "[::1]",
	};
	struct fedmem_address a = {{7}}, before = a;

	for (size_t i = 0; i < COUNT(texts); i++) {
		assert_int_equal(conf_address_parse(&a, texts[i]), -EINVAL);
		assert_memory_equal(&a, &before, sizeof(a));
	}
}

static void oid_is_encoded_as_in_x690(void **state)
{
	static const struct {
		const char *dotted;
		uint8_t n;
		uint8_t ber[12];
	} cases[] = {
		{"1.3.6.1.6.3.1.1.5.3", 9, {0x2b, 6, 1, 6, 3, 1, 1, 5, 3}},
		{"2.999.3", 3, {0x88, 0x37, 3}}, /* the example of X.690 8.19.5 */
		{"2.999", 2, {0x88, 0x37}},
		{"0.0", 1, {0}},
		{"1.39", 1, {79}},
		{"2.47", 1, {127}},
		{"2.48", 2, {0x81, 0}},
		{"1.3.127", 2, {0x2b, 0x7f}},
		{"1.3.128", 3, {0x2b, 0x81, 0x00}},
		{"1.3.16383", 3, {0x2b, 0xff, 0x7f}},
		{"1.3.16384", 4, {0x2b, 0x81, 0x80, 0x00}},
		{"1.3.6.1.4.1.2636", 7, {0x2b, 6, 1, 4, 1, 0x94, 0x4c}},
		{"1.3.4294967295.0", 7, {0x2b, 0x8f, 0xff, 0xff, 0xff, 0x7f, 0}},
		{"2.4294967295", 5, {0x90, 0x80, 0x80, 0x80, 0x4f}},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		uint8_t ber[FEDMEM_OID_BYTES], n = 0;

		assert_int_equal(conf_oid_encode(ber, &n, cases[i].dotted), 0);
		assert_int_equal(n, cases[i].n);
		assert_memory_equal(ber, cases[i].ber, n);
	}
}

static void text_that_is_no_oid_is_refused(void **state)
{
	static const char *const texts[] = {
		"",	  "1",	   "1.",  ".1.3", "1..3",	    "1.3.", "3.1",  "1.40", "0.40",
		"1.3.06", "1.3.x", "a.b", "1.-3", "1.3.4294967296", "1 .3", "1.3 ", "1,3",
	};
	uint8_t ber[FEDMEM_OID_BYTES], n = 0;

	for (size_t i = 0; i < COUNT(texts); i++)
		assert_int_equal(conf_oid_encode(ber, &n, texts[i]), -EINVAL);
}

static void oid_fits_up_to_its_40_octets(void **state)
{
	uint8_t ber[FEDMEM_OID_BYTES], n = 0;
	char text[300] = "1.3";

	for (int i = 1; i < FEDMEM_OID_BYTES; i++)
		strcat(text, ".1");
	assert_int_equal(conf_oid_encode(ber, &n, text), 0);
	assert_int_equal(n, FEDMEM_OID_BYTES);
	strcat(text, ".1");
	assert_int_equal(conf_oid_encode(ber, &n, text), -E2BIG);
	text[strlen(text) - 5] = '\0';
	strcat(text, "128"); /* two octets in the place of the last three */
	assert_int_equal(conf_oid_encode(ber, &n, text), 0);
	strcat(text, ".1");
	assert_int_equal(conf_oid_encode(ber, &n, text), -E2BIG);
	strcat(text, ".x");
	assert_int_equal(conf_oid_encode(ber, &n, text), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sample_loads_with_every_value),
		cmocka_unit_test(what_is_left_out_gets_its_default),
		cmocka_unit_test(what_is_given_is_not_replaced_by_a_default),
		cmocka_unit_test(segment_lies_in_the_given_run_dir),
		cmocka_unit_test(events_take_half_of_the_given_archive),
		cmocka_unit_test(sample_inventory_loads),
		cmocka_unit_test(sample_rules_load),
		cmocka_unit_test(inventory_of_100000_elements_loads),
		cmocka_unit_test(addresses_come_back_as_they_were),
		cmocka_unit_test(ipv4_address_is_mapped_into_ipv6),
		cmocka_unit_test(text_that_is_no_address_changes_nothing),
		cmocka_unit_test(oid_is_encoded_as_in_x690),
		cmocka_unit_test(text_that_is_no_oid_is_refused),
		cmocka_unit_test(oid_fits_up_to_its_40_octets),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
