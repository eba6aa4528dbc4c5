#include "cp/store/crc32c.h"

/* A bit at a time: records are small and few, so a table would only cost cache. */
uint32_t store_crc32c(uint32_t crc, const void *bytes, size_t n)
{
	const uint8_t *b = bytes;

	crc = ~crc;
	for (size_t i = 0; i < n; i++) {
		crc ^= b[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
	}
	return ~crc;
}
