#include <errno.h>

#include "cp/wire/codec.h"

static int fill_probe_request(struct arena *a, const struct wire_probe_request *m,
			      Bellwether__ProbeRequest *out)
{
	out->server = m->server;
	return 0;
}

static int read_probe_request(struct arena *a, const Bellwether__ProbeRequest *m,
			      struct wire_probe_request *out)
{
	out->server = m->server;
	return m->server != 0 && codec_is_server_id(m->server) ? 0 : -EBADMSG;
}
CODEC(probe_request, Bellwether__ProbeRequest, bellwether__probe_request__descriptor)

static int fill_probe_answer(struct arena *a, const struct wire_probe_answer *m,
			     Bellwether__ProbeAnswer *out)
{
	out->is_reachable = m->is_reachable;
	return 0;
}

static int read_probe_answer(struct arena *a, const Bellwether__ProbeAnswer *m,
			     struct wire_probe_answer *out)
{
	out->is_reachable = m->is_reachable;
	return 0;
}
CODEC(probe_answer, Bellwether__ProbeAnswer, bellwether__probe_answer__descriptor)
