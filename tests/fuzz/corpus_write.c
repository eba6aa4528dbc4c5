/* Writes the seeds of the corpus: corpus_write FOLDER fills FOLDER/native, FOLDER/snmp,
 * FOLDER/pkt and FOLDER/registry. Run it after a change here; inputs that once broke something lie
 * in the same folders and stay. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cp/wire/wire.h"
#include "dp/pkt/pkt.h"
#include "report.pb-c.h"
#include "tests/fuzz/ber_write.h"

static const char *folder;

static void save(const char *target, const char *name, const void *octets, size_t n_bytes)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s/%s.bin", folder, target, name);
	file = fopen(path, "wb");
	if (file == NULL || fwrite(octets, 1, n_bytes, file) != n_bytes || fclose(file) != 0) {
		perror(path);
		exit(EXIT_FAILURE);
	}
}

static void save_native(const char *name, size_t n_reports, size_t n_metrics, size_t n_alarms)
{
	Bellwether__Metric metric = BELLWETHER__METRIC__INIT, *metrics[20];
	Bellwether__Alarm alarm = BELLWETHER__ALARM__INIT, *alarms[20];
	Bellwether__Report report = BELLWETHER__REPORT__INIT, *reports[80];
	Bellwether__Datagram datagram = BELLWETHER__DATAGRAM__INIT;
	uint8_t octets[65536];

	metric.id = 7;
	metric.value = 0.5;
	alarm.type = "link-down";
	alarm.resource = "ge-0/0/1";
	alarm.qualifier = "q";
	alarm.severity = BELLWETHER__SEVERITY__CRITICAL;
	alarm.text = "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x94\xa5";
	for (size_t i = 0; i < 20; i++) {
		metrics[i] = &metric;
		alarms[i] = &alarm;
	}
	report.element = 1;
	report.boot = 2;
	report.sequence = 3;
	report.n_metrics = n_metrics;
	report.metrics = metrics;
	report.n_alarms = n_alarms;
	report.alarms = alarms;
	for (size_t i = 0; i < 80; i++)
		reports[i] = &report;
	datagram.n_reports = n_reports;
	datagram.reports = reports;
	save("native", name, octets, bellwether__datagram__pack(&datagram, octets));
}

static void write_native(void)
{
	/* groups in groups; every wire type in unknown fields; a text that is no UTF-8 */
	static const uint8_t groups[] = {0x0a, 0, 0x7b, 0x83, 1, 0x08, 0, 0x84, 1, 0x7c};
	static const uint8_t unknown[] = {0x78, 0xff, 1,   0x79, 1,    2, 3, 4, 5, 6,	 7, 8,
					  0x7a, 2,    'a', 'b',	 0x7d, 1, 2, 3, 4, 0x0a, 0};
	static const uint8_t overlong[] = {0x0a, 6, 0x2a, 4, 0x0a, 2, 0xc0, 0x80};
	static const uint8_t long_varint[] = {0x78, 0x80, 0x80, 0x80, 0x80, 0x80,
					      0x80, 0x80, 0x80, 0x80, 1};
	uint8_t deep[36] = {0x0a, 0};

	save_native("empty", 0, 0, 0);
	save_native("beat", 1, 0, 0);
	save_native("metrics", 1, 4, 0);
	save_native("alarm", 1, 0, 1);
	save_native("both", 2, 2, 2);
	save_native("full_report", 1, 16, 8);
	save_native("too_many_metrics", 1, 17, 0);
	save_native("too_many_alarms", 1, 0, 9);
	save_native("full_batch", 64, 1, 0);
	save_native("too_many_reports", 65, 0, 0);
	save("native", "groups", groups, sizeof(groups));
	save("native", "unknown", unknown, sizeof(unknown));
	save("native", "overlong", overlong, sizeof(overlong));
	save("native", "long_varint", long_varint, sizeof(long_varint));
	memset(deep + 2, 0x7b, 17);
	memset(deep + 19, 0x7c, 17);
	save("native", "deep", deep, sizeof(deep));
}

static void save_snmp(const char *name, struct ber_writer *w)
{
	ber_end_all(w);
	save("snmp", name, w->octets, w->n);
	*w = (struct ber_writer){.n = 0};
}

/* A linkDown whose resource has this value. */
static void save_value(const char *name, uint8_t tag, const void *octets, size_t n_bytes)
{
	struct ber_writer w = {.n = 0};

	ber_v2_trap(&w, 0xa7, "1.3.6.1.6.3.1.1.5.3");
	ber_binding(&w, "1.3.6.1.2.1.2.2.1.2.7");
	ber_octets(&w, tag, octets, n_bytes);
	save_snmp(name, &w);
}

static void write_snmp(void)
{
	struct ber_writer w = {.n = 0};

	save_value("integer", 0x02, "\xff", 1);
	save_value("text", 0x04, "ge-0/0/1 \xc3\xbc", 11);
	save_value("octets", 0x04, "\0\x1b\x21\xab\xcd\xef", 6);
	save_value("null", 0x05, "", 0);
	save_value("oid", 0x06, "\x2b\x06\x81\0", 4);
	save_value("address", 0x40, "\xc0\0\2\1", 4);
	save_value("counter32", 0x41, "\0\xff\xff\xff\xff", 5);
	save_value("gauge32", 0x42, "\0", 1);
	save_value("ticks", 0x43, "\1\0", 2);
	save_value("opaque", 0x44, "\x9f\x78\4\0\0\0\0", 7);
	save_value("counter64", 0x46, "\0\xff\xff\xff\xff\xff\xff\xff\xff", 9);
	save_value("no_such_object", 0x80, "", 0);
	save_value("bit_string", 0x03, "\0", 1);
	ber_v1_trap(&w, "1.3.6.1.4.1.9", 2, 0);
	save_snmp("v1_generic", &w);
	ber_v1_trap(&w, "1.3.6.1.4.1.9", 6, 7);
	ber_binding(&w, "1.3.6.1.4.1.9.2.1");
	ber_octets(&w, 0x04, "text", 4);
	save_snmp("v1_specific", &w);
	w.length_octets = 4;
	ber_v2_trap(&w, 0xa7, "1.3.6.1.4.1.9.0.7");
	save_snmp("long_lengths", &w);
	ber_v2_trap(&w, 0xa6, "1.3.6.1.6.3.1.1.5.3");
	save_snmp("inform", &w);
	ber_message(&w, 1, "public", 0xa0);
	save_snmp("get", &w);
	ber_message(&w, 3, "public", 0xa0);
	save_snmp("v3", &w);
	ber_message(&w, 0, "secret", 0xa4);
	save_snmp("community", &w);
	ber_v2_trap(&w, 0xa7, "1.3.6.1.6.3.1.1.5.4");
	for (int i = 0; i < 63; i++) {
		ber_binding(&w, "1.3.6.1");
		ber_number(&w, 0x02, i);
		ber_end(&w);
	}
	save_snmp("too_many_bindings", &w);
}

/* A datagram of one octet, 'inserted' octets put in behind the first 'at' of its frame. */
static void save_pkt(const char *name, bool is_over_ipv4, size_t at, const void *inserted,
		     size_t n_inserted)
{
	static const struct fedmem_address v4 = {{[10] = 0xff, 0xff, 10, 0, 0, 1}};
	static const struct fedmem_address v6 = {{0xfd, [15] = 1}};
	struct pkt_headers h = {.source = is_over_ipv4 ? v4 : v6,
				.destination = is_over_ipv4 ? v4 : v6,
				.udp_source = 4096,
				.udp_destination = 7410};
	uint8_t frame[128] = {0};
	size_t n = pkt_headers_bytes(&h) + 1;

	pkt_write_headers(frame, sizeof(frame), &h, 1);
	memmove(frame + at + n_inserted, frame + at, n - at);
	memcpy(frame + at, inserted, n_inserted);
	if (!is_over_ipv4 && at == 54 && n_inserted > 0) { /* an extension header */
		frame[19] += (uint8_t)n_inserted;
		frame[20] = 60;
		frame[54] = 17;
	}
	save("pkt", name, frame, n + n_inserted);
}

static void write_pkt(void)
{
	static const uint8_t lldp[] = {1, 0x80, 0xc2, 0, 0, 14, 2, 0, 0, 0, 0, 1, 0x88, 0xcc};

	save_pkt("ipv4", true, 43, "", 0);
	save_pkt("ipv6", false, 63, "", 0);
	save_pkt("ipv4_padding", true, 43, "padding", 7);
	save_pkt("ipv4_vlan", true, 12, "\x81\0\0\x64", 4);
	save_pkt("ipv6_two_vlans", false, 12, "\x88\xa8\0\x64\x81\0\0\x65", 8);
	save_pkt("ipv4_three_vlans", true, 12, "\x88\xa8\0\x64\x81\0\0\x65\x81\0\0\x66", 12);
	save_pkt("ipv6_options", false, 54, "\0\0\1\4\0\0\0\0", 8);
	save_pkt("ipv6_long_options", false, 54, "\0\1\1\14\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	save("pkt", "lldp", lldp, sizeof(lldp));
	save("pkt", "nothing", "", 0);
}

/* Entries as fuzz_registry.c reads them. */
static uint8_t entries[4096];
static size_t n_entries_bytes;

static void add_entry(const struct wire_registry_entry *e)
{
	struct wire_bytes packed;

	if (wire_registry_entry_pack(e, &packed) != 0 ||
	    n_entries_bytes + 2 + packed.n > sizeof(entries))
		exit(EXIT_FAILURE);
	entries[n_entries_bytes++] = (uint8_t)(packed.n >> 8);
	entries[n_entries_bytes++] = (uint8_t)packed.n;
	memcpy(entries + n_entries_bytes, packed.bytes, packed.n);
	n_entries_bytes += packed.n;
	wire_bytes_free(&packed);
}

static void write_registry(void)
{
	struct wire_element_spec elements[] = {
		{.id = 1, .name = "a", .kind = "router", .region = "north", .address = {0xfd, 1}},
		{.id = 0, .name = "b", .kind = "router", .region = "south", .address = {0xfd, 2}},
	};
	struct wire_element_spec moved = {.name = "b", .region = "north"};
	struct wire_cell cells[] = {
		{.name = "north", .owner = 1, .standby = 2, .token = {1, 1}},
		{.name = "south", .owner = 2, .standby = 1, .token = {1, 1}},
	};
	uint32_t servers[] = {1, 2};

	add_entry(&(struct wire_registry_entry){.kind = WIRE_REGISTRY_EPOCH, .server = 1});
	add_entry(&(struct wire_registry_entry){.kind = WIRE_REGISTRY_ELEMENTS,
						.request_id = "r1",
						.elements = elements,
						.n_elements = 2});
	save("registry", "import", entries, n_entries_bytes);
	add_entry(&(struct wire_registry_entry){
		.kind = WIRE_REGISTRY_CELLS, .cells = cells, .n_cells = 2});
	add_entry(&(struct wire_registry_entry){.kind = WIRE_REGISTRY_DRAIN,
						.server = 2,
						.is_set = true,
						.operator_name = "ada",
						.request_id = "r2"});
	add_entry(&(struct wire_registry_entry){
		.kind = WIRE_REGISTRY_PIN, .element = "b", .server = 1});
	save("registry", "cells", entries, n_entries_bytes);
	add_entry(&(struct wire_registry_entry){.kind = WIRE_REGISTRY_ELEMENTS,
						.event = "element_moved",
						.request_id = "r1",
						.elements = &moved,
						.n_elements = 1});
	add_entry(&(struct wire_registry_entry){.kind = WIRE_REGISTRY_ELEMENTS,
						.event = "element_moved",
						.elements = &moved,
						.n_elements = 1});
	add_entry(&(struct wire_registry_entry){
		.kind = WIRE_REGISTRY_SERVERS, .servers = servers, .n_servers = 2, .is_set = true});
	save("registry", "moved", entries, n_entries_bytes);
	save("registry", "nothing", "", 0);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return EXIT_FAILURE;
	}
	folder = argv[1];
	write_native();
	write_snmp();
	write_pkt();
	write_registry();
	return EXIT_SUCCESS;
}
