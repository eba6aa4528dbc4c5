/* buffer.h - grpc's byte buffers, made and read. Thread: any. */
#ifndef BELLWETHER_CP_RPC_BUFFER_H
#define BELLWETHER_CP_RPC_BUFFER_H

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <stddef.h>
#include <stdint.h>

/* Copies; the caller destroys it. */
static inline grpc_byte_buffer *buffer_of(const uint8_t *bytes, size_t n)
{
	grpc_slice slice = grpc_slice_from_copied_buffer((const char *)bytes, n);
	grpc_byte_buffer *b = grpc_raw_byte_buffer_create(&slice, 1);

	grpc_slice_unref(slice);
	return b;
}

/* All of it in one piece; the caller unrefs the slice. */
static inline grpc_slice buffer_read(grpc_byte_buffer *b)
{
	grpc_byte_buffer_reader reader;
	grpc_slice all;

	if (!grpc_byte_buffer_reader_init(&reader, b))
		return grpc_empty_slice();
	all = grpc_byte_buffer_reader_readall(&reader);
	grpc_byte_buffer_reader_destroy(&reader);
	return all;
}

#endif
