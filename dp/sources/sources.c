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
	bool is_refusal_said;
	struct fedmem_address *put; /* by slot: what the programs hold; all zero: nothing */
	struct fedmem_address peers[FEDMEM_SERVERS_MAX]; /* likewise */
	uint64_t (*counted)[STEER_VERDICTS]; /* by port, when its sum was right the last time */
};

enum follow_answer {
	FOLLOW_DONE,
	FOLLOW_REFUSED, /* a program took a source not: it is full, or out of memory */
	FOLLOW_BUSY,	/* a description is just being written: look again */
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
	s->counted = calloc(n_ports, sizeof(*s->counted));
	if (s->put == NULL || s->counted == NULL) {
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
		if (err != 0 && !s->is_refusal_said) {
			fprintf(stderr, "steer: the table of known sources refused one: %s\n",
				err == STEER_FULL ? "it is full" : strerror(-err));
			s->is_refusal_said = true;
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

/* What the programs should know of a slot. False: its description is just being written. */
static bool wanted_address(const struct sources *s, uint32_t slot, struct fedmem_address *wanted)
{
	struct fedmem_element e;
	int answer = fedmem_element_get(s->fm, slot, &e);

	*wanted = answer == 0 ? e.address : nowhere;
	return answer != FEDMEM_BUSY;
}

/* While we walk over the slots an address can leave one of them and come to another that we have
 * not reached yet, or have already passed. */
static bool is_put_elsewhere(const struct sources *s, uint32_t slot)
{
	uint32_t other;

	return fedmem_find_by_address(s->fm, &s->put[slot], &other) == 0 && other != slot &&
	       is_same(&s->put[other], &s->put[slot]);
}

static enum follow_answer follow_slots(struct sources *s)
{
	uint32_t n_slots = fedmem_sizes(s->fm)->elements_max;
	enum follow_answer answer = FOLLOW_DONE;
	struct fedmem_address wanted;

	/* All removals before the first put: they make the room. */
	for (uint32_t slot = 0; slot < n_slots; slot++) {
		if (!wanted_address(s, slot, &wanted) || is_same(&wanted, &s->put[slot]) ||
		    is_same(&s->put[slot], &nowhere))
			continue;
		if (!is_put_elsewhere(s, slot))
			take_out(s, &s->put[slot]);
		s->put[slot] = nowhere;
	}
	for (uint32_t slot = 0; slot < n_slots; slot++) {
		if (!wanted_address(s, slot, &wanted)) {
			answer = FOLLOW_BUSY;
			continue;
		}
		if (is_same(&wanted, &s->put[slot]) || is_same(&wanted, &nowhere))
			continue;
		if (!is_same(&s->put[slot], &nowhere))
			answer = FOLLOW_BUSY; /* changed since the removals: in the next turn */
		else if (put(s, &wanted, STEER_ELEMENT))
			s->put[slot] = wanted;
		else if (answer == FOLLOW_DONE)
			answer = FOLLOW_REFUSED;
	}
	return answer;
}

static void follow_elements(struct sources *s)
{
	uint32_t version = fedmem_elements_version(s->fm);

	if (version != s->elements_version && follow_slots(s) != FOLLOW_BUSY)
		s->elements_version = version;
}

static bool is_listed(const struct fedmem_address *a, const struct fedmem_server *servers,
		      uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (servers[i].id != 0 && !servers[i].is_self &&
		    is_same(a, &servers[i].relay_address))
			return true;
	return false;
}

static void leave_peer(struct sources *s, struct fedmem_address *peer)
{
	uint32_t slot;

	if (fedmem_find_by_address(s->fm, peer, &slot) == 0)
		(void)put(s, peer, STEER_ELEMENT); /* what was a server's is an element's now */
	else
		take_out(s, peer);
	*peer = nowhere;
}

static void join_peer(struct sources *s, const struct fedmem_address *peer)
{
	struct fedmem_address *free_entry = NULL;

	for (uint32_t i = 0; i < FEDMEM_SERVERS_MAX; i++) {
		if (is_same(&s->peers[i], peer))
			return;
		if (free_entry == NULL && is_same(&s->peers[i], &nowhere))
			free_entry = &s->peers[i];
	}
	/* As many entries as servers can be listed, and those that left are out. */
	if (free_entry != NULL && put(s, peer, STEER_PEER))
		*free_entry = *peer;
}

static void follow_peers(struct sources *s)
{
	struct fedmem_server servers[FEDMEM_SERVERS_MAX];
	uint32_t n, version;

	if (fedmem_servers_version(s->fm) == s->servers_version ||
	    fedmem_servers_get(s->fm, servers, FEDMEM_SERVERS_MAX, &n, &version) != 0)
		return;
	for (uint32_t i = 0; i < FEDMEM_SERVERS_MAX; i++)
		if (!is_same(&s->peers[i], &nowhere) && !is_listed(&s->peers[i], servers, n))
			leave_peer(s, &s->peers[i]);
	for (uint32_t i = 0; i < n; i++)
		if (servers[i].id != 0 && !servers[i].is_self)
			join_peer(s, &servers[i].relay_address);
	s->servers_version = version;
}

void sources_follow(struct sources *s)
{
	follow_elements(s);
	follow_peers(s);
}

/* A frame can be between two of its counters, and the table can be unreadable: then the counts of
 * the last time stand, so that the equation between them holds at every moment. */
static void count_steer(struct steer *steer, uint64_t counted[STEER_VERDICTS])
{
	uint64_t n[STEER_VERDICTS];
	uint64_t sum = 0;

	if (steer_counters(steer, n) != 0)
		return;
	for (int v = STEER_FRAMES + 1; v < STEER_VERDICTS; v++)
		sum += n[v];
	if (sum == n[STEER_FRAMES])
		memcpy(counted, n, sizeof(n));
}

void sources_count(struct sources *s, struct worker_note *note)
{
	*note = (struct worker_note){0};
	for (uint32_t i = 0; i < s->n_ports; i++) {
		const uint64_t *n = s->counted[i];

		note->port_missed += port_missed(s->ports[i]);
		if (port_steer(s->ports[i]) != NULL)
			count_steer(port_steer(s->ports[i]), s->counted[i]);
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
	free(s->counted);
	free(s->put);
	free(s);
}
