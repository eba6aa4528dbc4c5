#include <errno.h>

#include "cp/wire/codec.h"

static int fill_registry_entry(struct arena *a, const struct wire_registry_entry *m,
			       Bellwether__RegistryEntry *out)
{
	int err;

	CODEC_TEXT(a, out->request_id, m->request_id);
	CODEC_TEXT(a, out->operator_, m->operator_name);
	CODEC_TEXT(a, out->cell, m->cell);
	CODEC_TEXT(a, out->element, m->element);
	CODEC_TEXT(a, out->event, m->event);
	out->kind = (Bellwether__RegistryKind)m->kind;
	out->time_ns = m->time_ns;
	out->server = m->server;
	out->was = m->was;
	out->is_set = m->is_set;
	out->servers = m->servers;
	out->n_servers = m->n_servers;
	out->n_cells = m->n_cells;
	out->n_elements = m->n_elements;
	err = codec_fill_cells(a, m->cells, m->n_cells, &out->cells);
	if (err != 0)
		return err;
	return codec_fill_specs(a, m->elements, m->n_elements, &out->elements);
}

static int read_registry_entry(struct arena *a, const Bellwether__RegistryEntry *m,
			       struct wire_registry_entry *out)
{
	int err;

	/* The generated enum's own type: protobuf-c keeps numbers that it has no name for. */
	if ((int)m->kind < WIRE_REGISTRY_EPOCH || (int)m->kind > WIRE_REGISTRY_SERVERS ||
	    !codec_is_server_id(m->server) || !codec_is_server_id(m->was) ||
	    !codec_is_request_id(m->request_id) || !codec_is_cell_name_or_none(m->cell))
		return -EBADMSG;
	*out = (struct wire_registry_entry){
		.kind = (enum wire_registry_kind)m->kind,
		.time_ns = m->time_ns,
		.request_id = m->request_id,
		.operator_name = m->operator_,
		.cell = m->cell,
		.element = m->element,
		.event = m->event,
		.server = m->server,
		.was = m->was,
		.is_set = m->is_set,
		.n_cells = (uint32_t)m->n_cells,
		.n_elements = (uint32_t)m->n_elements,
		.n_servers = (uint32_t)m->n_servers,
	};
	err = codec_read_cells(a, m->cells, m->n_cells, &out->cells);
	if (err != 0)
		return err;
	err = codec_read_specs(a, m->elements, m->n_elements, &out->elements);
	if (err != 0)
		return err;
	return codec_read_servers(a, m->servers, m->n_servers, &out->servers);
}
CODEC(registry_entry, Bellwether__RegistryEntry, bellwether__registry_entry__descriptor)
