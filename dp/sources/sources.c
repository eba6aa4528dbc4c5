#include "dp/sources/sources.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sources {
	const struct conf *conf;
	const struct fedmem *fm;
	struct port **ports;
	uint32_t n_ports;
	uint32_t elements_version, servers_version;
	bool is_full_said;
	struct fedmem_address *put; /* by slot: what the programs hold; all zero: nothing */
	struct fedmem_address peers[FEDMEM_SERVERS_MAX];
	uint32_t n_peers;
};

static const struct fedmem_address nowhere;

static bool is_same(const struct fedmem_address *a, const struct fedmem_address *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

int sources_create(struct sources **out, const struct conf *conf, const struct fedmem *fm,
		   struct port **ports, uint32_t n_ports)
{
	struct sources *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -ENOMEM;
	s->conf = conf;
	s->fm = fm;
	s->ports = ports;
	s->n_ports = n_ports;
	s->put = calloc(fedmem_sizes(fm)->elements_max, sizeof(*s->put));
	if (s->put == NULL) {
		sources_destroy(s);
		return -ENOMEM;
	}
	*out = s;
	return 0;
}

static bool put(struct sources *s, const struct fedmem_address *a, enum steer_class source_class)
{
	bool is_put = true;

	for (uint32_t i = 0; i < s->n_ports; i++) {
		struct steer *steer = port_steer(s->ports[i]);
		int err = 0;

		if (steer != NULL)
			err = steer_source_put(steer, a->octets, source_class,
					       s->conf->dataplane.source_rate,
					       s->conf->dataplane.source_burst);
		if (err != 0 && !s->is_full_said) {
			fprintf(stderr, "steer: the table of known sources refused one: %s\n",
				err == STEER_FULL ? "it is full" : strerror(-err));
			s->is_full_said = true;
		}
		is_put &= err == 0;
	}
	return is_put;
}

static void take_out(struct sources *s, const struct fedmem_address *a)
{
	for (uint32_t i = 0; i < s->n_ports; i++)
		if (port_steer(s->ports[i]) != NULL)
			(void)steer_source_remove(port_steer(s->ports[i]), a->octets);
}

/* What the program should know of a slot. -EAGAIN: its description is just being written. */
static int wanted_address(const struct sources *s, uint32_t slot, struct fedmem_address *wanted)
{
	struct fedmem_element e;
	int answer = fedmem_element_get(s->fm, slot, &e);

	*wanted = answer == 0 ? e.address : nowhere;
	return answer == FEDMEM_BUSY ? -EAGAIN : 0;
}

static void follow_elements(struct sources *s)
{
	uint32_t n_slots = fedmem_sizes(s->fm)->elements_max;
	uint32_t version = fedmem_elements_version(s->fm);
	struct fedmem_address wanted;
	bool is_done = true;

	if (version == s->elements_version)
		return;
	/* All removals before the first put: an address can have moved to another slot. */
	for (uint32_t slot = 0; slot < n_slots; slot++) {
		if (wanted_address(s, slot, &wanted) < 0 || is_same(&wanted, &s->put[slot]) ||
		    is_same(&s->put[slot], &nowhere))
			continue;
		take_out(s, &s->put[slot]);
		s->put[slot] = nowhere;
	}
	for (uint32_t slot = 0; slot < n_slots; slot++) {
		if (wanted_address(s, slot, &wanted) < 0) {
			is_done = false;
			continue;
		}
		if (is_same(&wanted, &s->put[slot]) || is_same(&wanted, &nowhere))
			continue;
		if (put(s, &wanted, STEER_ELEMENT))
			s->put[slot] = wanted;
		else
			is_done = false;
	}
	if (is_done)
		s->elements_version = version;
}

static void follow_peers(struct sources *s)
{
	struct fedmem_server servers[FEDMEM_SERVERS_MAX];
	uint32_t n, version;

	if (fedmem_servers_version(s->fm) == s->servers_version ||
	    fedmem_servers_get(s->fm, servers, FEDMEM_SERVERS_MAX, &n, &version) != 0)
		return;
	for (uint32_t i = 0; i < n; i++) {
		bool is_known = servers[i].is_self;

		for (uint32_t j = 0; j < s->n_peers; j++)
			is_known |= is_same(&s->peers[j], &servers[i].relay_address);
		if (!is_known && s->n_peers < FEDMEM_SERVERS_MAX &&
		    put(s, &servers[i].relay_address, STEER_PEER))
			s->peers[s->n_peers++] = servers[i].relay_address;
	}
	s->servers_version = version;
}

void sources_follow(struct sources *s)
{
	follow_elements(s);
	follow_peers(s);
}

void sources_count(struct sources *s, struct worker_note *note)
{
	*note = (struct worker_note){0};
	for (uint32_t i = 0; i < s->n_ports; i++) {
		struct steer *steer = port_steer(s->ports[i]);
		uint64_t n[STEER_VERDICTS] = {0};

		note->port_missed += port_missed(s->ports[i]);
		if (steer == NULL)
			continue;
		(void)steer_counters(steer, n);
		note->steer_frames += n[STEER_FRAMES];
		note->steer_taken += n[STEER_TAKEN];
		note->steer_passed += n[STEER_PASSED];
		note->steer_source_rate += n[STEER_SOURCE_RATE];
		note->steer_unknown_rate += n[STEER_UNKNOWN_RATE];
		note->steer_malformed += n[STEER_MALFORMED];
	}
}

void sources_destroy(struct sources *s)
{
	if (s == NULL)
		return;
	free(s->put);
	free(s);
}
