/* codec.h - how a message of ours and its generated struct become each other; one codec a message.
 *
 * Thread:  any.
 * Memory:  'fill' and 'read' take from the arena and may borrow from their input, which lives as
 *          long.
 * Returns: 0; -ENOMEM; 'read' also -EBADMSG.
 */
#ifndef BELLWETHER_CP_WIRE_CODEC_H
#define BELLWETHER_CP_WIRE_CODEC_H

#include "bellwether.pb-c.h"
#include "peer.pb-c.h"
#include "cp/wire/arena.h"
#include "cp/wire/text.h"
#include "cp/wire/wire.h"

struct codec {
	const ProtobufCMessageDescriptor *descriptor;
	size_t bytes; /* of our struct */
	int (*fill)(struct arena *a, const void *ours, void *generated);
	int (*read)(struct arena *a, const void *generated, void *ours);
};

int codec_pack(const struct codec *c, const void *ours, struct wire_bytes *out);
int codec_unpack(const struct codec *c, const uint8_t *bytes, size_t n, void **out);

/* Defines wire_NAME_pack() and wire_NAME_unpack() by 'fill_NAME' and 'read_NAME'. */
#define CODEC(name, Generated, descriptor_)                                                        \
	static int fill_any_##name(struct arena *a, const void *ours, void *generated)             \
	{                                                                                          \
		return fill_##name(a, (const struct wire_##name *)ours, (Generated *)generated);   \
	}                                                                                          \
	static int read_any_##name(struct arena *a, const void *generated, void *ours)             \
	{                                                                                          \
		return read_##name(a, (const Generated *)generated, (struct wire_##name *)ours);   \
	}                                                                                          \
	static const struct codec codec_##name = {&descriptor_, sizeof(struct wire_##name),        \
						  fill_any_##name, read_any_##name};               \
	int wire_##name##_pack(const struct wire_##name *m, struct wire_bytes *out)                \
	{                                                                                          \
		return codec_pack(&codec_##name, m, out);                                          \
	}                                                                                          \
	int wire_##name##_unpack(const uint8_t *bytes, size_t n, struct wire_##name **out)         \
	{                                                                                          \
		void *m;                                                                           \
		int err = codec_unpack(&codec_##name, bytes, n, &m);                               \
                                                                                                   \
		if (err == 0)                                                                      \
			*out = m;                                                                  \
		return err;                                                                        \
	}

/* 'n' initialised generated structs, as the array of pointers that protobuf-c wants. */
void *codec_rows(struct arena *a, const ProtobufCMessageDescriptor *d, uint32_t n);
/* One; NULL: no memory. */
void *codec_row(struct arena *a, const ProtobufCMessageDescriptor *d);

/* Sets a generated struct's text; leaves the function with -ENOMEM. */
#define CODEC_TEXT(a, to, from)                                                                    \
	do {                                                                                       \
		(to) = text_for_sending((a), (from));                                              \
		if ((to) == NULL)                                                                  \
			return -ENOMEM;                                                            \
	} while (0)

static inline bool codec_is_server_id(uint32_t id)
{
	return id <= UINT16_MAX; /* 0: none */
}

bool codec_is_cell_name(const char *name);
bool codec_is_cell_name_or_none(const char *name);
bool codec_is_request_id(const char *id); /* "": none */

/* Parts that more than one file's messages hold. */
int codec_fill_texts(struct arena *a, const char *const *texts, uint32_t n, char ***out);
ProtobufCBinaryData codec_fill_octets(struct wire_octets octets);
struct wire_octets codec_read_octets(ProtobufCBinaryData octets);
int codec_fill_metrics(struct arena *a, const struct wire_metric *metrics, uint32_t n,
		       Bellwether__MetricValue ***out);
int codec_read_metrics(struct arena *a, Bellwether__MetricValue *const *metrics, size_t n,
		       struct wire_metric **out);
/* One that need not be there: a message without it comes back with empty texts. */
int codec_fill_alarm(struct arena *a, const struct wire_alarm *alarm, bool is_there,
		     Bellwether__AlarmRecord **out);
int codec_read_alarm(const Bellwether__AlarmRecord *alarm, struct wire_alarm *out, bool *is_there);
int codec_fill_events(struct arena *a, const struct wire_event *events, uint32_t n,
		      Bellwether__Event ***out);
int codec_read_events(struct arena *a, Bellwether__Event *const *events, size_t n,
		      struct wire_event **out);
int codec_fill_specs(struct arena *a, const struct wire_element_spec *specs, uint32_t n,
		     Bellwether__ElementSpec ***out);
int codec_read_specs(struct arena *a, Bellwether__ElementSpec *const *specs, size_t n,
		     struct wire_element_spec **out);
/* What stores keep, as a reply or a request holds many of. */
struct codec_stored {
	Bellwether__StoredAlarm **alarms;
	Bellwether__StoredElement **elements;
	Bellwether__AlarmNote **notes;
};
int codec_fill_stored(struct arena *a, const struct wire_cell_records *from,
		      struct codec_stored *out);
/* 'out' says how many of each there are, and gets them. */
int codec_read_stored(struct arena *a, const struct codec_stored *from,
		      struct wire_cell_records *out);
int codec_fill_token(struct arena *a, const struct wire_token *t, Bellwether__Token **out);
struct wire_token codec_read_token(const Bellwether__Token *t);
int codec_fill_cells(struct arena *a, const struct wire_cell *cells, uint32_t n,
		     Bellwether__Cell ***out);
int codec_read_cells(struct arena *a, Bellwether__Cell *const *cells, size_t n,
		     struct wire_cell **out);
int codec_fill_alarms(struct arena *a, const struct wire_alarm *alarms, uint32_t n,
		      Bellwether__AlarmRecord ***out);
int codec_read_alarms(struct arena *a, Bellwether__AlarmRecord *const *alarms, size_t n,
		      struct wire_alarm **out);
/* -EBADMSG: an id that no server can have. */
int codec_read_servers(struct arena *a, const uint32_t *ids, size_t n, uint32_t **out);

#endif
