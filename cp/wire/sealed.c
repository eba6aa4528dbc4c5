#include <errno.h>
#include <string.h>

#include "cp/wire/codec.h"

static int fill_sealed_request(struct arena *a, const struct wire_sealed_request *m,
			       Bellwether__SealedRequest *out)
{
	CODEC_TEXT(a, out->method, m->method);
	out->from = m->from;
	out->to = m->to;
	out->boot = m->boot;
	out->to_boot = m->to_boot;
	out->sequence = m->sequence;
	out->payload = codec_fill_octets(m->payload);
	out->seal.data = (uint8_t *)m->seal; /* packing only reads */
	out->seal.len = sizeof(m->seal);
	return 0;
}

static int read_sealed_request(struct arena *a, const Bellwether__SealedRequest *m,
			       struct wire_sealed_request *out)
{
	if (m->from == 0 || m->to == 0 || !codec_is_server_id(m->from) ||
	    !codec_is_server_id(m->to) || m->method[0] == '\0' || m->seal.len != sizeof(out->seal))
		return -EBADMSG;
	*out = (struct wire_sealed_request){.from = m->from,
					    .to = m->to,
					    .boot = m->boot,
					    .to_boot = m->to_boot,
					    .sequence = m->sequence,
					    .method = m->method,
					    .payload = codec_read_octets(m->payload)};
	memcpy(out->seal, m->seal.data, sizeof(out->seal));
	return 0;
}
CODEC(sealed_request, Bellwether__SealedRequest, bellwether__sealed_request__descriptor)

static int fill_sealed_part(struct arena *a, const void *ours, void *generated)
{
	Bellwether__SealedRequest *out = generated;
	int err = fill_sealed_request(a, ours, out);

	out->seal.len = 0;
	return err;
}

int wire_sealed_request_sealed_part(const struct wire_sealed_request *m, struct wire_bytes *out)
{
	static const struct codec codec = {&bellwether__sealed_request__descriptor,
					   sizeof(struct wire_sealed_request), fill_sealed_part,
					   NULL};

	return codec_pack(&codec, m, out);
}
