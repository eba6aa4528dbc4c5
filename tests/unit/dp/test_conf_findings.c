#include "tests/unit/dp/conf_file.h"

#include <errno.h>

/* ---- YAML ---- */

static void file_that_cannot_be_read_is_a_failure(void **state)
{
	struct conf_findings f;
	struct conf *c = NULL;

	unlink(path);
	assert_int_equal(conf_load(&c, path, &f), -ENOENT);
	assert_int_equal(f.n, 0);
	assert_int_equal(conf_load(&c, folder, &f), -EISDIR);
}

static void text_that_is_not_yaml_is_found_at_its_place(void **state)
{
	expect(RULES, "rules: []\n  x: 1\n",
	       "2:3: not YAML: did not find expected key, while parsing a block mapping\n");
	expect(RULES, "rules: [\n",
	       "2:1: not YAML: did not find expected node content, while parsing a flow node\n");
	expect_bytes(RULES, "rules: []\n# \xc3\xa9 \xff\n", 17,
		     "2:5: not YAML: invalid leading UTF-8 octet\n");
	expect_bytes(RULES, "rules: \0", 8, "1:8: not YAML: control characters are not allowed\n");
}

static void empty_file_is_refused(void **state)
{
	expect(RULES, "", "0:0: the file is empty\n");
	expect(RULES, "# nothing\n", "0:0: the file is empty\n");
}

static void second_document_is_refused(void **state)
{
	expect(RULES, "rules: []\n---\nrules: []\n",
	       "2:1: a second document begins here; one is wanted\n");
}

static void anchors_aliases_and_tags_are_refused(void **state)
{
	expect(RULES, "rules: &a []\n", "1:8: anchors (&) are not taken here\n");
	expect(RULES, "rules: *a\n", "1:8: aliases (*) are not taken here\n");
	expect(RULES, "rules: !!seq []\n", "1:8: tags (!) are not taken here\n");
	expect(RULES, "&a rules: []\n", "1:1: anchors (&) are not taken here\n");
}

static void deep_nesting_is_refused(void **state)
{
	char text[100000];

	memset(text, '[', sizeof(text));
	expect_bytes(RULES, text, sizeof(text), "1:17: nested too deep\n");
}

static void huge_file_is_refused(void **state)
{
	struct conf_findings f;
	struct conf *c = NULL;

	put_bytes("", 0);
	assert_int_equal(truncate(path, (64l << 20) + 1), 0);
	assert_int_equal(conf_load(&c, path, &f), 1);
	assert_int_equal(f.items[0].line, 0);
	assert_string_equal(f.items[0].text, "the file is larger than 64 MiB");
	conf_findings_free(&f);
}

/* ---- Against the tables ---- */

static void empty_lists_of_elements_and_rules_load(void **state)
{
	expect(INVENTORY, "elements: []\n", "");
	expect(RULES, "rules: []\n", "");
}

static void unknown_key_is_found(void **state)
{
	WITH("3:3: cluster.beats: unknown key\n", {3, "  beats: 1\n  secret_file: s"});
	WITH("1:1: no_such: unknown key\n", {1, "no_such: {a: 1}\ncluster:"});
	WITH("6:59: servers[0].x: unknown key\n",
	     {6, "  - {id: 1, name: alpha, rank: 3, address: 10.90.0.1,     x: y}"});
}

static void double_key_is_found(void **state)
{
	WITH("10:1: inventory: is there twice\n", {9, "inventory: i\ninventory: i"});
	WITH("14:29: dataplane.ports[0].name: is there twice\n",
	     {14, "    - {name: in, device: d, name: in}"});
}

static void missing_key_is_found(void **state)
{
	WITH("2:3: cluster: the key 'secret_file' is missing\n", {3, ""});
	WITH("1:1: the key 'rules' is missing\n", {10, ""});
	WITH("6:5: servers[0]: the key 'address' is missing\n",
	     {6, "  - {id: 1, name: alpha, rank: 3}"});
}

static void key_that_is_no_word_is_found(void **state)
{
	WITH("9:3: a key must be a word\n", {9, "? [a]\n: b\ninventory: i"});
}

static void value_of_another_kind_is_found(void **state)
{
	WITH("11:9: listen: is a list, a mapping is wanted\n", {11, "listen: [1]"});
	WITH("11:8: listen: is empty, a mapping is wanted\n", {11, "listen:"});
	WITH("9:12: inventory: is a mapping, a value is wanted\n", {9, "inventory: {a: b}"});
	WITH("14:7: dataplane.ports[0]: is a value, a mapping is wanted\n", {14, "    - in"});
	expect(RULES, "[]\n", "1:1: is a list, a mapping is wanted\n");
	expect(RULES, "rules: x\n", "1:8: rules: is a value, a list is wanted\n");
}

static void scalar_that_is_no_integer_is_found(void **state)
{
	WITH("4:9: server: 'one' is no integer\n", {4, "server: one"});
	WITH("4:9: server: '0x1' is no integer\n", {4, "server: 0x1"});
	WITH("4:9: server: '01' is no integer\n", {4, "server: 01"});
	WITH("4:9: server: '1.0' is no integer\n", {4, "server: 1.0"});
	WITH("4:9: server: '-0' is no integer\n", {4, "server: -0"});
	WITH("4:9: server: '1 000' is no integer\n", {4, "server: 1 000"});
	WITH("4:8: server: '' is no integer\n", {4, "server:"});
}

static void integer_that_does_not_fit_its_type_is_found(void **state)
{
	WITH("4:9: server: 65536 is out of range (0 to 65535)\n", {4, "server: 65536"});
	WITH("4:9: server: -1 is out of range (0 to 65535)\n", {4, "server: -1"});
	WITH("4:9: server: 99999999999999999999999 is out of range (0 to 65535)\n",
	     {4, "server: 99999999999999999999999"});
	WITH("13:17: dataplane.control_core: 2147483648 is out of range (-2147483648 to "
	     "2147483647)\n"
	     "13:17: dataplane.control_core: 2147483648 is out of range (0 to 1023)\n",
	     {13, "  control_core: 2147483648\n  ports:"});
	expect(INVENTORY,
	       "elements: [{id: 18446744073709551616, name: n, address: 10.0.0.1, kind: k, "
	       "region: r}]\n",
	       "1:17: elements[0].id: 18446744073709551616 is out of range (0 to "
	       "18446744073709551615)\n");
}

static void number_out_of_its_bounds_is_found(void **state)
{
	WITH("3:12: cluster.beat_ms: 9 is out of range (10 to 1000)\n",
	     {3, "  beat_ms: 9\n  secret_file: s"});
	WITH("3:12: cluster.beat_ms: 0 is out of range (10 to 1000)\n",
	     {3, "  beat_ms: 0\n  secret_file: s"});
	WITH("3:12: cluster.beat_ms: 1001 is out of range (10 to 1000)\n",
	     {3, "  beat_ms: 1001\n  secret_file: s"});
	WITH("11:15: listen.api: 0 is out of range (1 to 65535)\n", {11, "listen: {api: 0}"});
	WITH("13:16: dataplane.worker_core: -1 is out of range (0 to 1023)\n",
	     {13, "  worker_core: -1\n  ports:"});
	WITH("16:31: memory.metrics_per_element: 3 is out of range (4 to 255)\n",
	     {16, "memory: {metrics_per_element: 3}"});
	WITH("16:21: store.archive_mb: 15 is out of range (16 to 1048576)\n",
	     {16, "store: {archive_mb: 15}"});
	WITH("16:24: store.checkpoint_ms: 99 is out of range (100 to 60000)\n",
	     {16, "store: {checkpoint_ms: 99}"});
}

static void scalar_that_is_neither_true_nor_false_is_found(void **state)
{
	WITH("13:15: dataplane.huge_pages: 'yes' is neither true nor false\n",
	     {13, "  huge_pages: yes\n  ports:"});
	WITH("6:65: servers[0].voter: '1' is neither true nor false\n",
	     {6, "  - {id: 1, name: alpha, rank: 3, address: 10.90.0.1,    voter: 1}"});
}

static void word_that_is_no_choice_is_found(void **state)
{
	WITH("13:9: dataplane.idle: 'lazy' is none of busy, adaptive\n",
	     {13, "  idle: lazy\n  ports:"});
	expect(RULES, "rules: [{notification: 1.3, type: t, severity: bad}]\n",
	       "1:48: rules[0].severity: 'bad' is none of cleared, indeterminate, warning, minor, "
	       "major, critical\n");
	expect(RULES, "rules: [{notification: 1.3, type: t, severity: 3}]\n",
	       "1:48: rules[0].severity: '3' is none of cleared, indeterminate, warning, minor, "
	       "major, critical\n");
}

static void text_of_wrong_length_or_contents_is_found(void **state)
{
	WITH("2:9: cluster.name: is empty\n", {2, "  name: ''"});
	WITH("2:8: cluster.name: is empty\n", {2, "  name:"});
	WITH("2:9: cluster.name: is longer than 31 octets\n",
	     {2, "  name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"});
	WITH("2:9: cluster.name: has a control character\n", {2, "  name: \"a\\0b\""});
	WITH("2:9: cluster.name: has a control character\n", {2, "  name: \"\\e[2J\""});
	WITH("2:9: cluster.name: ~ is no text; leave the key out, or use quotes\n",
	     {2, "  name: ~"});
	expect(INVENTORY,
	       "elements: [{id: 1, name: n, address: 10.0.0.1, kind: k,\n"
	       "  region: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}]\n",
	       "2:11: elements[0].region: is longer than 39 octets\n");
	expect(RULES,
	       "rules: [{notification: 1.3, severity: major,\n"
	       "  type: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}]\n",
	       "2:9: rules[0].type: is longer than 40 octets\n");
}

static void list_that_is_too_short_or_long_is_found(void **state)
{
	WITH("13:10: dataplane.ports: has 0 entries, at least 1 wanted\n", {13, "  ports: []"},
	     {14, ""}, {15, ""});
	WITH("13:12: dataplane.formats: has 0 entries, at least 1 wanted\n",
	     {13, "  formats: []\n  ports:"});
	WITH("13:45: dataplane.formats[16]: more than 16 entries\n",
	     {13, "  formats: [a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a]\n  ports:"});
}

/* ---- What only makes sense together ---- */

static void server_that_is_not_in_the_list_is_found(void **state)
{
	WITH("4:9: server: 9 is the id of none of the servers\n", {4, "server: 9"});
}

static void servers_that_share_something_are_found(void **state)
{
	WITH("7:10: servers[1].id: 1 is also the id of servers[0]\n",
	     {7, "  - {id: 1, name: bravo, rank: 2, address: 10.90.0.2}"});
	WITH("7:19: servers[1].name: alpha is also the name of servers[0]\n",
	     {7, "  - {id: 2, name: alpha, rank: 2, address: 10.90.0.2}"});
	WITH("7:32: servers[1].rank: 3 is also the rank of servers[0]\n",
	     {7, "  - {id: 2, name: bravo, rank: 3, address: 10.90.0.2}"});
	WITH("7:44: servers[1].address: ::ffff:10.90.0.1 is also the address of servers[0]\n",
	     {7, "  - {id: 2, name: bravo, rank: 2, address: '::ffff:10.90.0.1'}"});
	WITH("7:71: servers[1].client_address: 10.90.0.1 is also the client_address of "
	     "servers[0]\n",
	     {7, "  - {id: 2, name: bravo, rank: 2, address: 10.90.0.2, client_address: "
		 "10.90.0.1}"});
	WITH("6:70: servers[0].relay_address: 10.90.0.2 is also the relay_address of "
	     "servers[1]\n",
	     {6, "  - {id: 1, name: alpha, rank: 3, address: 10.90.0.1, relay_address: "
		 "10.90.0.2}"});
}

static void findings_of_every_kind_come_at_once(void **state)
{
	WITH("5:1: colour: unknown key\n"
	     "7:3: servers: none of them is a voter\n"
	     "8:44: servers[1].address: '10.90.0.256' is no IPv4 or IPv6 address\n"
	     "14:16: dataplane.worker_core: core 0 is named twice, also by "
	     "dataplane.control_core\n",
	     {4, "server: 1\ncolour: blue"},
	     {6, "  - {id: 1, name: alpha, rank: 3, address: 10.90.0.1, voter: false}"},
	     {7, "  - {id: 2, name: bravo, rank: 2, address: 10.90.0.256, voter: false}"},
	     {8, "  - {id: 3, name: charlie, rank: 1, address: 10.90.0.3, voter: false}"},
	     {13, "  worker_core: 0\n  ports:"});
}

static void servers_of_two_address_families_are_found(void **state)
{
	WITH("7:44: servers[1].address: 2001:db8::2 is of another family than "
	     "servers[0].address\n",
	     {7, "  - {id: 2, name: bravo, rank: 2, address: '2001:db8::2'}"});
	WITH("7:70: servers[1].relay_address: 2001:db8::2 is of another family than that of "
	     "servers[0]\n",
	     {7, "  - {id: 2, name: bravo, rank: 2, address: 10.90.0.2, relay_address: "
		 "'2001:db8::2'}"});
}

static void server_without_an_id_is_found(void **state)
{
	WITH("7:10: servers[1].id: 0 is out of range (1 to 65535)\n",
	     {7, "  - {id: 0, name: bravo, rank: 2, address: 10.90.0.2}"});
}

static void address_that_is_none_of_a_host_is_found(void **state)
{
	WITH("7:44: servers[1].address: 'bravo' is no IPv4 or IPv6 address\n",
	     {7, "  - {id: 2, name: bravo, rank: 2, address: bravo}"});
	WITH("7:44: servers[1].address: 0.0.0.0 is not the address of one host\n"
	     "8:46: servers[2].address: 239.1.1.1 is not the address of one host\n",
	     {7, "  - {id: 2, name: bravo, rank: 2, address: 0.0.0.0}"},
	     {8, "  - {id: 3, name: charlie, rank: 1, address: 239.1.1.1}"});
	WITH("7:44: servers[1].address: :: is not the address of one host\n"
	     "8:46: servers[2].address: ff02::1 is not the address of one host\n",
	     {7, "  - {id: 2, name: bravo, rank: 2, address: '::'}"},
	     {8, "  - {id: 3, name: charlie, rank: 1, address: 'ff02::1'}"});
}

static void wrong_number_of_voters_is_found(void **state)
{
	char six[2048] = "";

	WITH("6:3: servers: 2 voters, their number must be odd\n", {8, ""});
	WITH("6:3: servers: none of them is a voter\n",
	     {6, "  - {id: 1, name: alpha, rank: 3, address: 10.90.0.1, voter: false}"}, {7, ""},
	     {8, ""});
	for (int i = 4; i <= 9; i++)
		snprintf(six + strlen(six), sizeof(six) - strlen(six),
			 "  - {id: %d, name: s%d, rank: 1%d, address: 10.90.0.%d}\n", i, i, i, i);
	WITH("6:3: servers: 9 voters, at most 7 may be\n", {5, "servers:"}, {9, "inventory: i"},
	     {8, strcat(six, "  - {id: 3, name: charlie, rank: 1, address: 10.90.0.3}")});
}

static void udp_ports_that_collide_are_found(void **state)
{
	WITH("11:26: listen.relay: 5 is also the port of listen.beat\n",
	     {11, "listen: {beat: 5, relay: 5}"});
	WITH("11:17: listen.beat: 7410 is also the port of listen.native\n",
	     {11, "listen: { beat: 7410}"});
	WITH("", {11, "listen: {api: 7401}"});
}

static void core_that_is_named_twice_is_found(void **state)
{
	WITH("13:16: dataplane.worker_core: core 0 is named twice, also by "
	     "dataplane.control_core\n",
	     {13, "  worker_core: 0\n  ports:"});
	WITH("13:17: dataplane.control_core: core 1 is named twice, also by "
	     "dataplane.worker_core\n",
	     {13, "  control_core: 1\n  ports:"});
}

static void core_that_is_not_on_this_machine_is_found(void **state)
{
	static const struct change change = {13, "  worker_core: 1023\n  ports:"};
	const char *start = "dataplane.worker_core: core 1023 is not on this machine (0";
	struct conf_findings f;
	char text[4096];

	config_with(&change, 1, text, sizeof(text));
	put_bytes(text, strlen(text));
	assert_int_equal(load(CONFIG, &f), 1);
	assert_int_equal(f.items[0].line, 13);
	assert_int_equal(f.items[0].column, 16);
	assert_memory_equal(f.items[0].text, start, strlen(start));
	conf_findings_free(&f);
}

static void ports_that_share_something_are_found(void **state)
{
	WITH("15:14: dataplane.ports[1].name: in is also the name of dataplane.ports[0]\n",
	     {15, "    - {name: in, device: net_null1}"});
	WITH("15:27: dataplane.ports[1].device: net_null0 is also the device of "
	     "dataplane.ports[0]\n",
	     {15, "    - {name: out, device: 'net_null0,size=64'}"});
	WITH("15:45: dataplane.ports[1].relay: there is a relay port already, one may be\n",
	     {14, "    - {name: in, device: net_null0, relay: true}"});
}

static void af_xdp_port_without_its_interface_is_found(void **state)
{
	WITH("14:7: dataplane.ports[0]: a net_af_xdp device needs its interface named here too\n",
	     {14, "    - {name: in, device: 'net_af_xdp0,iface=eth0'}"});
	WITH("14:26: dataplane.ports[0].device: lacks iface=eth10\n",
	     {14, "    - {name: in, device: 'net_af_xdp0,iface=eth1', interface: eth10}"});
	WITH("14:48: dataplane.ports[0].interface: belongs to net_af_xdp devices only\n",
	     {14, "    - {name: in, device: net_null0, interface: eth0}"});
}

static void format_that_is_not_known_or_double_is_found(void **state)
{
	WITH("13:21: dataplane.formats[1]: 'sflow' is none of native, snmp\n",
	     {13, "  formats: [native, sflow]\n  ports:"});
	WITH("13:19: dataplane.formats[1]: snmp is named twice\n",
	     {13, "  formats: [snmp, snmp]\n  ports:"});
}

static void event_ring_that_is_no_power_of_two_is_found(void **state)
{
	WITH("16:22: memory.events_max: 1000 is no power of two\n",
	     {16, "memory: {events_max: 1000}"});
}

static void events_that_leave_nothing_of_the_archive_are_found(void **state)
{
	WITH("16:20: store.events_mb: 1024 is not below archive_mb, which is 1024\n",
	     {16, "store: {events_mb: 1024}"});
	WITH("16:37: store.events_mb: 101 is not below archive_mb, which is 100\n",
	     {16, "store: {archive_mb: 100, events_mb: 101}"});
}

static void doubles_of_an_inventory_are_found(void **state)
{
	expect(INVENTORY,
	       "elements:\n"
	       "- {id: 7, name: a, address: 10.0.0.1, kind: k, region: r}\n"
	       "- {id: 7, name: b, address: 10.0.0.1, kind: k, region: r}\n"
	       "- {id: 7, name: a, address: 10.0.0.3, kind: k, region: r}\n",
	       "3:8: elements[1].id: 7 is also the id of elements[0]\n"
	       "3:29: elements[1].address: 10.0.0.1 is also the address of elements[0]\n"
	       "4:8: elements[2].id: 7 is also the id of elements[0]\n"
	       "4:17: elements[2].name: a is also the name of elements[0]\n");
}

static void entries_of_an_inventory_are_checked(void **state)
{
	expect(INVENTORY,
	       "elements:\n"
	       "- {id: 0, name: a, address: 10.0.0.1, kind: k, region: r}\n"
	       "- {id: 2, name: b, address: x, kind: k, region: r}\n"
	       "- {id: 3, name: c, address: y, kind: k, region: r}\n"
	       "- {id: 4, name: d, address: 10.0.0.4, kind: k, region: r}\n",
	       "2:8: elements[0].id: 0 is the id of nothing; ids begin with 1\n"
	       "3:29: elements[1].address: 'x' is no IPv4 or IPv6 address\n"
	       "4:29: elements[2].address: 'y' is no IPv4 or IPv6 address\n"
	       "5:3: elements[3]: one of 4 elements; memory.elements_max is 3\n");
}

static void entries_of_the_rules_are_checked(void **state)
{
	expect(RULES,
	       "rules:\n"
	       "- {notification: 1.3.x, type: t, severity: major}\n"
	       "- {notification: 1.3.1, type: t, severity: major, resource_from: '1', text_from: "
	       "9}\n"
	       "- {notification: 1.3.1, type: t, severity: major}\n"
	       "- {notification: "
	       "1.3.4294967295.4294967295.4294967295.4294967295.4294967295.4294967295.4294967295."
	       "4294967295,\n"
	       "   type: t, severity: major}\n",
	       "2:18: rules[0].notification: '1.3.x' is no object identifier in dotted numbers\n"
	       "3:66: rules[1].resource_from: '1' is no object identifier in dotted numbers\n"
	       "3:82: rules[1].text_from: '9' is no object identifier in dotted numbers\n"
	       "4:18: rules[2].notification: 1.3.1 is also the notification of rules[1]\n"
	       "5:3: rules[3]: one of 4 rules; memory.rules_max is 3\n"
	       "5:18: rules[3].notification: "
	       "'1.3.4294967295.4294967295.4294967295.4294967295.4294967295.4' takes more than 40 "
	       "octets in BER\n");
}

/* ---- Many at once ---- */

static void findings_of_one_file_come_all_at_once(void **state)
{
	WITH("2:9: cluster.name: is empty\n"
	     "3:16: cluster.secret_file: is a list, a value is wanted\n"
	     "4:9: server: 'x' is no integer\n"
	     "6:16: servers[0].naem: unknown key\n"
	     "9:1: inventroy: unknown key\n"
	     "12:17: listen.beat: 0 is out of range (1 to 65535)\n"
	     "17:1: memroy: unknown key\n",
	     {2, "  name: ''"}, {3, "  secret_file: [a]"}, {4, "server: x"},
	     {6, "  - {id: 1,    naem: alpha, name: a, rank: 3, address: 10.90.0.1}"},
	     {9, "inventroy: a\ninventory: b"}, {10, "rules: r"}, {11, "listen: { beat: 0}"},
	     {16, "memroy: {}"});
	WITH("4:9: server: 4 is the id of none of the servers\n"
	     "6:3: servers: 2 voters, their number must be odd\n"
	     "7:32: servers[1].rank: 3 is also the rank of servers[0]\n"
	     "16:22: memory.events_max: 17 is no power of two\n",
	     {4, "server: 4"}, {7, "  - {id: 2, name: bravo, rank: 3, address: 10.90.0.2}"},
	     {8, ""}, {16, "memory: {events_max: 17}"});
}

static void findings_without_number_are_cut_at_1000(void **state)
{
	struct conf_findings f;
	FILE *to = fopen(path, "w");

	assert_non_null(to);
	for (int i = 0; i < 200000; i++)
		fprintf(to, "k%d: 1\n", i);
	fclose(to);
	assert_int_equal(load(RULES, &f), 1000);
	assert_int_equal(f.items[998].line, 999);
	assert_int_equal(f.items[999].line, 0);
	assert_string_equal(f.items[999].text, "more than 999 findings, the others are left out");
	conf_findings_free(&f);
}

static void findings_carry_nothing_that_moves_a_terminal(void **state)
{
	expect(RULES, "\"\\e[2J\\n\": 1\n",
	       "1:1: ?[2J?: unknown key\n"
	       "1:1: the key 'rules' is missing\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_that_cannot_be_read_is_a_failure),
		cmocka_unit_test(text_that_is_not_yaml_is_found_at_its_place),
		cmocka_unit_test(empty_file_is_refused),
		cmocka_unit_test(second_document_is_refused),
		cmocka_unit_test(anchors_aliases_and_tags_are_refused),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(huge_file_is_refused),
		cmocka_unit_test(empty_lists_of_elements_and_rules_load),
		cmocka_unit_test(unknown_key_is_found),
		cmocka_unit_test(double_key_is_found),
		cmocka_unit_test(missing_key_is_found),
		cmocka_unit_test(key_that_is_no_word_is_found),
		cmocka_unit_test(value_of_another_kind_is_found),
		cmocka_unit_test(scalar_that_is_no_integer_is_found),
		cmocka_unit_test(integer_that_does_not_fit_its_type_is_found),
		cmocka_unit_test(number_out_of_its_bounds_is_found),
		cmocka_unit_test(scalar_that_is_neither_true_nor_false_is_found),
		cmocka_unit_test(word_that_is_no_choice_is_found),
		cmocka_unit_test(text_of_wrong_length_or_contents_is_found),
		cmocka_unit_test(list_that_is_too_short_or_long_is_found),
		cmocka_unit_test(server_that_is_not_in_the_list_is_found),
		cmocka_unit_test(servers_that_share_something_are_found),
		cmocka_unit_test(findings_of_every_kind_come_at_once),
		cmocka_unit_test(servers_of_two_address_families_are_found),
		cmocka_unit_test(server_without_an_id_is_found),
		cmocka_unit_test(address_that_is_none_of_a_host_is_found),
		cmocka_unit_test(wrong_number_of_voters_is_found),
		cmocka_unit_test(udp_ports_that_collide_are_found),
		cmocka_unit_test(core_that_is_named_twice_is_found),
		cmocka_unit_test(core_that_is_not_on_this_machine_is_found),
		cmocka_unit_test(ports_that_share_something_are_found),
		cmocka_unit_test(af_xdp_port_without_its_interface_is_found),
		cmocka_unit_test(format_that_is_not_known_or_double_is_found),
		cmocka_unit_test(event_ring_that_is_no_power_of_two_is_found),
		cmocka_unit_test(events_that_leave_nothing_of_the_archive_are_found),
		cmocka_unit_test(doubles_of_an_inventory_are_found),
		cmocka_unit_test(entries_of_an_inventory_are_checked),
		cmocka_unit_test(entries_of_the_rules_are_checked),
		cmocka_unit_test(findings_of_one_file_come_all_at_once),
		cmocka_unit_test(findings_without_number_are_cut_at_1000),
		cmocka_unit_test(findings_carry_nothing_that_moves_a_terminal),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
