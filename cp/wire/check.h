/* check.h - what protobuf-c lets pass and we do not: looks at a message's octets before it is
 * unpacked. Refused: a text that is not UTF-8, has a NUL in it (protobuf-c cuts it there without a
 * word) or is too long; a number that does not fit its field; a single field that comes twice; a
 * wire type that is not the field's. Fields that we do not know are left alone.
 *
 * Thread: any. Returns: true: may be unpacked.
 */
#ifndef BELLWETHER_CP_WIRE_CHECK_H
#define BELLWETHER_CP_WIRE_CHECK_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

bool check_message(const ProtobufCMessageDescriptor *d, const uint8_t *bytes, size_t n);

#endif
