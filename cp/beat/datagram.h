/* datagram.h - a beat or an election message as octets, sealed. Integers are big-endian.
 *
 *    0 'BWBT'      4 version (1)   5 kind        6 from         8 to
 *   10 boot of the sender         14 boot of the addressee, 0: not heard yet
 *   18 sequence, counted from 1 over all that the sender sends in one boot
 *   26 body: of a beat 46 octets, of an election message 36
 *   .. seal over everything before it, 16 octets
 *
 *   beat:     0 epoch  8 master  10 role  11 flags  12 map epoch  20 map version  28 relay boot
 *             32 ack: whose beat, 34 of which boot, 38 with which sequence
 *   election: 0 kind  1 verdict  2 released by  4 epoch  12 map epoch  20 map version  28 round
 *
 * Thread:  any; no state.
 * Memory:  borrows.
 * Returns: see each.
 */
#ifndef BELLWETHER_CP_BEAT_DATAGRAM_H
#define BELLWETHER_CP_BEAT_DATAGRAM_H

#include <stddef.h>

#include "cp/beat/beat.h"

#define DATAGRAM_HEAD_BYTES	26
#define DATAGRAM_BEAT_BYTES	(DATAGRAM_HEAD_BYTES + 46 + SEAL_TAG_BYTES)
#define DATAGRAM_ELECTION_BYTES (DATAGRAM_HEAD_BYTES + 36 + SEAL_TAG_BYTES)
#define DATAGRAM_BYTES_MAX	DATAGRAM_BEAT_BYTES

enum datagram_kind { DATAGRAM_BEAT = 1, DATAGRAM_ELECTION };

struct datagram {
	uint8_t kind; /* enum datagram_kind */
	uint16_t from, to;
	uint32_t boot, to_boot;
	uint64_t sequence;
	union {
		struct beat_state beat;
		/* Its from, to and from_boot are those above. */
		struct election_message election;
	};
};

/* Encodes and seals; the number of octets. */
size_t datagram_seal(uint8_t bytes[DATAGRAM_BYTES_MAX], const struct datagram *d,
		     const uint8_t key[SEAL_KEY_BYTES]);

/* Reads the fields without believing them: who it says it is from decides on the key. */
enum beat_refusal datagram_decode(struct datagram *d, const uint8_t *bytes, size_t n);
bool datagram_is_sealed(const struct datagram *d, const uint8_t *bytes, size_t n,
			const uint8_t key[SEAL_KEY_BYTES]);

#endif
