#include "dp/pkt/pkt.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n_bytes);

/* A datagram that was read can be written, and is then read as the same. */
static void check_written(const struct pkt_view *view)
{
	struct pkt_headers h = {.source = view->source,
				.destination = view->destination,
				.udp_source = view->udp_source,
				.udp_destination = view->udp_destination};
	size_t headers_bytes = pkt_headers_bytes(&h);
	static uint8_t frame[62 + UINT16_MAX];
	struct pkt_view again;

	memcpy(frame + headers_bytes, view->payload, view->payload_bytes);
	assert(pkt_write_headers(frame, sizeof(frame), &h, view->payload_bytes) == headers_bytes);
	assert(pkt_parse(frame, headers_bytes + view->payload_bytes, &again) == PKT_DATAGRAM);
	assert(memcmp(&again.source, &view->source, sizeof(again.source)) == 0);
	assert(memcmp(&again.destination, &view->destination, sizeof(again.destination)) == 0);
	assert(again.udp_source == view->udp_source);
	assert(again.udp_destination == view->udp_destination);
	assert(again.payload == frame + headers_bytes);
	assert(again.payload_bytes == view->payload_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n_bytes)
{
	struct pkt_view view;
	enum pkt_verdict verdict = pkt_parse(input, n_bytes, &view);

	assert(verdict <= PKT_NOT_UDP);
	if (verdict == PKT_DATAGRAM) {
		assert(view.ether_source == input + 6);
		assert(view.payload >= input + 42);
		assert(view.payload_bytes <= (size_t)(input + n_bytes - view.payload));
		check_written(&view);
	}
	return 0;
}
