#include <rte_mbuf.h>

#include "dp/pkt/pkt.h"
#include "dp/worker/worker_private.h"

/* One datagram of the burst that is for us. */
struct item {
	struct pkt_view view;
	uint32_t slot; /* of its element */
	uint8_t format;
};

static void count_dropped(struct worker *w, enum pkt_verdict verdict)
{
	static const enum stats_counter counters[] = {
		[PKT_NOT_IP] = STATS_DROP_NOT_IP,
		[PKT_LLDP] = STATS_DROP_LLDP,
		[PKT_TRUNCATED] = STATS_DROP_TRUNCATED,
		[PKT_IP_CHECKSUM] = STATS_DROP_IP_CHECKSUM,
		[PKT_UDP_CHECKSUM] = STATS_DROP_UDP_CHECKSUM,
		[PKT_FRAGMENT] = STATS_DROP_FRAGMENT,
		[PKT_NOT_UDP] = STATS_DROP_NOT_UDP,
	};

	w->stats.n[counters[verdict]]++;
}

static enum decode_format format_of_port(const struct worker *w, uint16_t udp_port)
{
	enum decode_format format = DECODE_NONE;

	if (udp_port == w->conf->listen.native_port)
		format = DECODE_NATIVE;
	else if (udp_port == w->conf->listen.snmp_port)
		format = DECODE_SNMP;
	return w->is_format_on[format] ? format : DECODE_NONE;
}

/* Decodes and applies one datagram whose sender is known. Counts what it was as a whole. */
static enum apply_verdict handle_datagram(struct worker *w, const struct apply_datagram *d,
					  uint32_t slot)
{
	enum decode_refusal refusal = decode_payload((enum decode_format)d->format, &w->decode,
						     d->payload, d->payload_bytes, &w->batch);
	enum apply_verdict verdict;

	if (refusal != DECODE_OK) {
		w->stats.decode[refusal]++;
		w->stats.n[STATS_DROP_UNDECODABLE]++;
		return APPLY_REFUSED;
	}
	verdict = apply_batch(w->apply, d, &w->batch, slot, w->now_ns, w->may_own);
	switch (verdict) {
	case APPLY_APPLIED:
		w->stats.n[STATS_DGRAM_APPLIED]++;
		break;
	case APPLY_RELAYED:
		w->stats.n[STATS_DGRAM_RELAYED]++;
		break;
	case APPLY_REFUSED:
	case APPLY_NOT_OWNER:
		w->stats.n[STATS_DROP_REFUSED]++;
		break;
	}
	return verdict;
}

/* One that did not come from the wire: its sender may be an element that this server does not know,
 * or no longer. While it is being renumbered nobody can say; a peer keeps an alarm then, and sends
 * it again. */
static enum apply_verdict handle_handed_over(struct worker *w, const struct apply_datagram *d)
{
	uint32_t slot;
	int answer = fedmem_find_by_address(w->fm, &d->source, &slot);

	if (likely(answer == 0))
		return handle_datagram(w, d, slot);
	w->stats.n[STATS_DROP_UNKNOWN_SOURCE]++;
	return answer == FEDMEM_BUSY ? APPLY_NOT_OWNER : APPLY_REFUSED;
}

static void handle_relayed(struct worker *w, const struct pkt_view *view)
{
	struct apply_datagram d;

	if (relay_receive(w->relay, view->payload, view->payload_bytes, &d))
		relay_taken(w->relay, handle_handed_over(w, &d) != APPLY_NOT_OWNER);
}

/* 'answer' is what the look-up said: an element that is just being renumbered does not come onto
 * the list of unknown sources. */
static void handle_unknown(struct worker *w, const struct pkt_view *view, int answer)
{
	w->stats.n[STATS_DROP_UNKNOWN_SOURCE]++;
	if (answer == FEDMEM_NOT_FOUND &&
	    fedmem_unknown_note(w->writer, &view->source, view->udp_destination, w->now_ns) ==
		    FEDMEM_FULL)
		w->stats.n[STATS_UNKNOWN_TABLE_FULL]++;
}

/* Parses, and finds the element of each datagram, so that their records are on the way to the cache
 * before the first is decoded. Relayed ones are handled on the spot. */
static uint16_t collect(struct worker *w, struct rte_mbuf **frames, uint16_t n, struct item *items)
{
	uint16_t n_items = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct item *item = &items[n_items];
		enum pkt_verdict verdict;
		int answer;

		w->stats.n[STATS_FRAMES]++;
		/* A frame in several buffers is longer than any datagram that we take. */
		if (unlikely(frames[i]->nb_segs != 1)) {
			w->stats.n[STATS_DROP_TRUNCATED]++;
			continue;
		}
		verdict = pkt_parse(rte_pktmbuf_mtod(frames[i], const uint8_t *),
				    frames[i]->data_len, &item->view);
		if (unlikely(verdict != PKT_DATAGRAM)) {
			count_dropped(w, verdict);
			continue;
		}
		if (item->view.udp_destination == w->conf->listen.relay_port) {
			handle_relayed(w, &item->view);
			continue;
		}
		item->format = format_of_port(w, item->view.udp_destination);
		if (unlikely(item->format == DECODE_NONE)) {
			w->stats.n[STATS_DROP_NOT_FOR_US]++;
			continue;
		}
		w->stats.n[STATS_FRAME_DATAGRAM]++;
		w->stats.n[STATS_DGRAMS_WIRE]++;
		answer = fedmem_find_by_address(w->fm, &item->view.source, &item->slot);
		if (unlikely(answer != 0)) {
			handle_unknown(w, &item->view, answer);
			continue;
		}
		fedmem_state_prefetch(w->writer, item->slot);
		n_items++;
	}
	return n_items;
}

void burst_handle(struct worker *w, struct rte_mbuf **frames, uint16_t n)
{
	struct item items[PORT_BURST];
	uint16_t n_items = collect(w, frames, n, items);

	/* By format: each decoder's code and branches stay warm for all of its datagrams. */
	for (uint8_t format = DECODE_NONE + 1; format < DECODE_FORMATS; format++) {
		for (uint16_t i = 0; i < n_items; i++) {
			const struct apply_datagram d = {
				.source = items[i].view.source,
				.format = items[i].format,
				.report_bitmap = UINT64_MAX,
				.payload = items[i].view.payload,
				.payload_bytes = items[i].view.payload_bytes,
			};

			if (items[i].format == format)
				(void)handle_datagram(w, &d, items[i].slot);
		}
	}
}

void burst_take_back(struct worker *w)
{
	struct apply_datagram d;

	while (relay_take_back(w->relay, &d))
		(void)handle_handed_over(w, &d);
}
