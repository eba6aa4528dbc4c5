#include "cp/beat/datagram.h"

#include <assert.h>
#include <string.h>

#define MAGIC	UINT32_C(0x42574254) /* "BWBT" */
#define VERSION 1

enum flag { FLAG_HEALTHY = 1, FLAG_DP_ALIVE = 2, FLAG_COMMITTED = 4, FLAGS_ALL = 7 };

static uint8_t *put(uint8_t *p, uint64_t v, int octets)
{
	for (int i = octets - 1; i >= 0; i--)
		*p++ = (uint8_t)(v >> (8 * i));
	return p;
}

static uint64_t get(const uint8_t **p, int octets)
{
	uint64_t v = 0;

	for (int i = 0; i < octets; i++)
		v = v << 8 | *(*p)++;
	return v;
}

static uint8_t *put_beat(uint8_t *p, const struct beat_state *s)
{
	p = put(p, s->epoch, 8);
	p = put(p, s->master, 2);
	p = put(p, s->role, 1);
	p = put(p,
		(s->is_healthy ? FLAG_HEALTHY : 0) | (s->is_dp_alive ? FLAG_DP_ALIVE : 0) |
			(s->is_committed ? FLAG_COMMITTED : 0),
		1);
	p = put(p, s->position.epoch, 8);
	p = put(p, s->position.version, 8);
	p = put(p, s->relay_boot, 4);
	p = put(p, s->ack_to, 2);
	p = put(p, s->ack_boot, 4);
	return put(p, s->ack_sequence, 8);
}

static enum beat_refusal get_beat(const uint8_t *p, struct beat_state *s)
{
	uint64_t flags;

	*s = (struct beat_state){0};
	s->epoch = get(&p, 8);
	s->master = (uint16_t)get(&p, 2);
	s->role = (uint8_t)get(&p, 1);
	flags = get(&p, 1);
	s->is_healthy = flags & FLAG_HEALTHY;
	s->is_dp_alive = flags & FLAG_DP_ALIVE;
	s->is_committed = flags & FLAG_COMMITTED;
	s->position.epoch = get(&p, 8);
	s->position.version = get(&p, 8);
	s->relay_boot = (uint32_t)get(&p, 4);
	s->ack_to = (uint16_t)get(&p, 2);
	s->ack_boot = (uint32_t)get(&p, 4);
	s->ack_sequence = get(&p, 8);
	if (s->role > ELECTION_MASTER || flags & ~(uint64_t)FLAGS_ALL)
		return BEAT_REFUSED_VALUE;
	return BEAT_ACCEPTED;
}

static uint8_t *put_election(uint8_t *p, const struct election_message *m)
{
	p = put(p, m->kind, 1);
	p = put(p, m->verdict, 1);
	p = put(p, m->released_by, 2);
	p = put(p, m->epoch, 8);
	p = put(p, m->position.epoch, 8);
	p = put(p, m->position.version, 8);
	return put(p, m->round, 8);
}

static enum beat_refusal get_election(const uint8_t *p, struct datagram *d)
{
	struct election_message *m = &d->election;

	*m = (struct election_message){.from = d->from, .to = d->to, .from_boot = d->boot};
	m->kind = (uint8_t)get(&p, 1);
	m->verdict = (uint8_t)get(&p, 1);
	m->released_by = (uint16_t)get(&p, 2);
	m->epoch = get(&p, 8);
	m->position.epoch = get(&p, 8);
	m->position.version = get(&p, 8);
	m->round = get(&p, 8);
	if (m->kind < ELECTION_MSG_ELECTION || m->kind > ELECTION_MSG_TRANSFER ||
	    m->verdict > ELECTION_STAND_DOWN)
		return BEAT_REFUSED_VALUE;
	return BEAT_ACCEPTED;
}

size_t datagram_seal(uint8_t bytes[DATAGRAM_BYTES_MAX], const struct datagram *d,
		     const uint8_t key[SEAL_KEY_BYTES])
{
	uint8_t *p = bytes;
	size_t n;

	p = put(p, MAGIC, 4);
	p = put(p, VERSION, 1);
	p = put(p, d->kind, 1);
	p = put(p, d->from, 2);
	p = put(p, d->to, 2);
	p = put(p, d->boot, 4);
	p = put(p, d->to_boot, 4);
	p = put(p, d->sequence, 8);
	p = d->kind == DATAGRAM_BEAT ? put_beat(p, &d->beat) : put_election(p, &d->election);
	n = (size_t)(p - bytes);
	seal_tag(p, key, d->sequence, bytes, n);
	n += SEAL_TAG_BYTES;
	assert(n == (d->kind == DATAGRAM_BEAT ? DATAGRAM_BEAT_BYTES : DATAGRAM_ELECTION_BYTES));
	return n;
}

enum beat_refusal datagram_decode(struct datagram *d, const uint8_t *bytes, size_t n)
{
	const uint8_t *p = bytes;

	if (n < DATAGRAM_HEAD_BYTES)
		return BEAT_REFUSED_SHORT;
	*d = (struct datagram){0};
	if (get(&p, 4) != MAGIC || get(&p, 1) != VERSION)
		return BEAT_REFUSED_FORMAT;
	d->kind = (uint8_t)get(&p, 1);
	if (d->kind != DATAGRAM_BEAT && d->kind != DATAGRAM_ELECTION)
		return BEAT_REFUSED_FORMAT;
	if (n != (d->kind == DATAGRAM_BEAT ? DATAGRAM_BEAT_BYTES : DATAGRAM_ELECTION_BYTES))
		return BEAT_REFUSED_SHORT;
	d->from = (uint16_t)get(&p, 2);
	d->to = (uint16_t)get(&p, 2);
	d->boot = (uint32_t)get(&p, 4);
	d->to_boot = (uint32_t)get(&p, 4);
	d->sequence = get(&p, 8);
	if (d->boot == 0)
		return BEAT_REFUSED_VALUE;
	return d->kind == DATAGRAM_BEAT ? get_beat(p, &d->beat) : get_election(p, d);
}

bool datagram_is_sealed(const struct datagram *d, const uint8_t *bytes, size_t n,
			const uint8_t key[SEAL_KEY_BYTES])
{
	return n >= SEAL_TAG_BYTES && seal_is_valid(bytes + n - SEAL_TAG_BYTES, key, d->sequence,
						    bytes, n - SEAL_TAG_BYTES);
}
