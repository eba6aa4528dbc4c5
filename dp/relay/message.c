#include "dp/relay/message.h"

#include <endian.h>
#include <string.h>

#include "dp/seal/seal.h"

struct wire {
	uint8_t version, kind, format, zero;
	uint16_t from_be, to_be;
	uint32_t boot_from_be, boot_to_be;
	uint64_t sequence_be, number_be, before_be;
	uint8_t source[16];
	uint64_t report_bitmap_be;
} __attribute__((packed));
_Static_assert(sizeof(struct wire) == RELAY_HEADER_BYTES, "as relay.h draws it");

_Static_assert(RELAY_TAG_BYTES == SEAL_TAG_BYTES, "what the door to libsodium makes");

static bool is_zero(const struct fedmem_address *a)
{
	static const struct fedmem_address none;

	return memcmp(a, &none, sizeof(none)) == 0;
}

static bool has_datagram(const struct message *m, uint16_t n_bytes)
{
	return m->format != DECODE_NONE || m->report_bitmap != 0 || !is_zero(&m->source) ||
	       n_bytes != sizeof(struct wire) + RELAY_TAG_BYTES;
}

bool message_read(struct message *m, const uint8_t *octets, uint16_t n_bytes)
{
	struct wire w;

	if (n_bytes < sizeof(w) + RELAY_TAG_BYTES)
		return false;
	memcpy(&w, octets, sizeof(w));
	*m = (struct message){
		.kind = w.kind,
		.format = w.format,
		.from = be16toh(w.from_be),
		.to = be16toh(w.to_be),
		.boot_from = be32toh(w.boot_from_be),
		.boot_to = be32toh(w.boot_to_be),
		.sequence = be64toh(w.sequence_be),
		.number = be64toh(w.number_be),
		.before = be64toh(w.before_be),
		.report_bitmap = be64toh(w.report_bitmap_be),
	};
	memcpy(m->source.octets, w.source, sizeof(w.source));
	if (w.version != MESSAGE_VERSION || w.zero != 0 || w.format >= DECODE_FORMATS)
		return false;
	switch (m->kind) {
	case MESSAGE_METRICS:
		return m->number == 0 && m->before == 0 && m->format != DECODE_NONE;
	case MESSAGE_ALARMS:
		return m->number > m->before && m->format != DECODE_NONE;
	case MESSAGE_ACK:
		return m->number > 0 && m->before == 0 && !has_datagram(m, n_bytes);
	case MESSAGE_AGAIN:
		return m->number == 0 && m->before == 0 && !has_datagram(m, n_bytes);
	}
	return false;
}

bool message_is_authentic(const struct message *m, const uint8_t key[FEDMEM_KEY_BYTES],
			  const uint8_t *octets, uint16_t n_bytes)
{
	uint16_t n_sealed = n_bytes - RELAY_TAG_BYTES;

	return seal_is_valid(octets + n_sealed, key, m->sequence, octets, n_sealed);
}

void message_write(uint8_t *octets, uint16_t n_bytes, const struct message *m,
		   const uint8_t key[FEDMEM_KEY_BYTES])
{
	uint16_t n_sealed = n_bytes - RELAY_TAG_BYTES;
	struct wire w = {
		.version = MESSAGE_VERSION,
		.kind = m->kind,
		.format = m->format,
		.from_be = htobe16(m->from),
		.to_be = htobe16(m->to),
		.boot_from_be = htobe32(m->boot_from),
		.boot_to_be = htobe32(m->boot_to),
		.sequence_be = htobe64(m->sequence),
		.number_be = htobe64(m->number),
		.before_be = htobe64(m->before),
		.report_bitmap_be = htobe64(m->report_bitmap),
	};

	memcpy(w.source, m->source.octets, sizeof(w.source));
	memcpy(octets, &w, sizeof(w));
	seal_tag(octets + n_sealed, key, m->sequence, octets, n_sealed);
}
