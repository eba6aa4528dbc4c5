/* message.h - the octets of a relay message; relay.h draws them. Says nothing of who may send what.
 *
 * Thread:  any.
 * Memory:  borrows the octets.
 * Returns: see the functions.
 */
#ifndef BELLWETHER_DP_RELAY_MESSAGE_H
#define BELLWETHER_DP_RELAY_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "dp/fedmem/fedmem.h"
#include "dp/relay/relay.h"

#define MESSAGE_VERSION 1

enum message_kind { MESSAGE_METRICS = 1, MESSAGE_ALARMS, MESSAGE_ACK, MESSAGE_AGAIN };

struct message {
	uint8_t kind, format;
	uint16_t from, to;
	uint32_t boot_from, boot_to;
	uint64_t sequence, number, before;
	struct fedmem_address source;
	uint64_t report_bitmap;
};

/* False: no message, whoever it came from: too short, another version, or fields that do not go
 * together. */
bool message_read(struct message *m, const uint8_t *octets, uint16_t n_bytes);
/* Of a message that was read. */
bool message_is_authentic(const struct message *m, const uint8_t key[FEDMEM_KEY_BYTES],
			  const uint8_t *octets, uint16_t n_bytes);

/* Writes header and tag around the datagram, which already lies at octets + RELAY_HEADER_BYTES;
 * n_bytes is the length of all three. */
void message_write(uint8_t *octets, uint16_t n_bytes, const struct message *m,
		   const uint8_t key[FEDMEM_KEY_BYTES]);

#endif
