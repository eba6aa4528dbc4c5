/* ber_write.h - BER for tests: SNMP messages put together from their parts, in the order of the
 * wire. */
#ifndef BELLWETHER_TESTS_FUZZ_BER_WRITE_H
#define BELLWETHER_TESTS_FUZZ_BER_WRITE_H

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BER_DEPTH_MAX 8

struct ber_writer {
	uint8_t octets[8192];
	size_t n;
	size_t open[BER_DEPTH_MAX]; /* where the contents of each open element begin */
	unsigned int depth;
	uint8_t length_octets; /* of every length, where they do; 0: the shortest form */
};

static inline void ber_octet(struct ber_writer *w, uint8_t octet)
{
	assert(w->n < sizeof(w->octets));
	w->octets[w->n++] = octet;
}

static inline void ber_begin(struct ber_writer *w, uint8_t tag)
{
	assert(w->depth < BER_DEPTH_MAX);
	ber_octet(w, tag);
	w->open[w->depth++] = w->n;
}

/* Puts the length before the contents. */
static inline void ber_end(struct ber_writer *w)
{
	size_t at = w->open[--w->depth], length = w->n - at;
	uint8_t header[6];
	size_t n = 0;
	int n_octets = w->length_octets;

	if (n_octets == 0 && length >= 0x80)
		n_octets = 1;
	if (n_octets == 1 && length > 0xff)
		n_octets = 2;
	if (n_octets > 0)
		header[n++] = (uint8_t)(0x80 | n_octets);
	for (int i = n_octets > 0 ? n_octets - 1 : 0; i >= 0; i--)
		header[n++] = (uint8_t)(length >> (8 * i));
	assert(w->n + n <= sizeof(w->octets));
	memmove(w->octets + at + n, w->octets + at, length);
	memcpy(w->octets + at, header, n);
	w->n += n;
}

static inline void ber_octets(struct ber_writer *w, uint8_t tag, const void *octets, size_t n_bytes)
{
	ber_begin(w, tag);
	for (size_t i = 0; i < n_bytes; i++)
		ber_octet(w, ((const uint8_t *)octets)[i]);
	ber_end(w);
}

/* In the fewest octets; an unsigned number is one that is not negative. */
static inline void ber_number(struct ber_writer *w, uint8_t tag, int64_t number)
{
	int n_octets = 1;

	while (n_octets < 8 && number >> (8 * n_octets - 1) != 0 &&
	       number >> (8 * n_octets - 1) != -1)
		n_octets++;
	ber_begin(w, tag);
	for (int i = n_octets - 1; i >= 0; i--)
		ber_octet(w, (uint8_t)(number >> (8 * i)));
	ber_end(w);
}

static inline void ber_subidentifier(struct ber_writer *w, uint64_t value)
{
	for (int shift = 63; shift > 0; shift -= 7)
		if (value >> shift != 0)
			ber_octet(w, (uint8_t)(0x80 | (value >> shift & 0x7f)));
	ber_octet(w, value & 0x7f);
}

static inline void ber_oid(struct ber_writer *w, const char *dotted)
{
	char *rest;
	uint64_t first = strtoull(dotted, &rest, 10);

	ber_begin(w, 0x06);
	ber_subidentifier(w, first * 40 + strtoull(rest + 1, &rest, 10));
	while (*rest == '.')
		ber_subidentifier(w, strtoull(rest + 1, &rest, 10));
	ber_end(w);
}

/* The message's beginning up to its PDU, which is left open. */
static inline void ber_message(struct ber_writer *w, uint8_t version, const char *community,
			       uint8_t pdu_tag)
{
	ber_begin(w, 0x30);
	ber_number(w, 0x02, version);
	ber_octets(w, 0x04, community, strlen(community));
	ber_begin(w, pdu_tag);
}

/* A v1 trap up to its bindings, whose list is left open. */
static inline void ber_v1_trap(struct ber_writer *w, const char *enterprise, int32_t generic,
			       int32_t specific)
{
	ber_message(w, 0, "public", 0xa4);
	ber_oid(w, enterprise);
	ber_octets(w, 0x40, "\x0a\0\0\1", 4);
	ber_number(w, 0x02, generic);
	ber_number(w, 0x02, specific);
	ber_number(w, 0x43, 4711);
	ber_begin(w, 0x30);
}

/* The name of a binding, whose value comes next, then ber_end(). */
static inline void ber_binding(struct ber_writer *w, const char *name)
{
	ber_begin(w, 0x30);
	ber_oid(w, name);
}

/* A v2c trap up to its own bindings, behind the first two. */
static inline void ber_v2_trap(struct ber_writer *w, uint8_t pdu_tag, const char *trap_oid)
{
	ber_message(w, 1, "public", pdu_tag);
	ber_number(w, 0x02, 1234567);
	ber_number(w, 0x02, 0);
	ber_number(w, 0x02, 0);
	ber_begin(w, 0x30);
	ber_binding(w, "1.3.6.1.2.1.1.3.0");
	ber_number(w, 0x43, 4711);
	ber_end(w);
	ber_binding(w, "1.3.6.1.6.3.1.1.4.1.0");
	ber_oid(w, trap_oid);
	ber_end(w);
}

static inline void ber_end_all(struct ber_writer *w)
{
	while (w->depth > 0)
		ber_end(w);
}

#endif
