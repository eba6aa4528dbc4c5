#include "cp/store/crc32c.h"

#include <pthread.h>

/* Eight octets at a time by eight tables: a start reads the whole file, and that shall be as fast
 * as the disk. */
static uint32_t tables[8][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void tables_make(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
		tables[0][i] = crc;
	}
	for (uint32_t i = 0; i < 256; i++)
		for (int t = 1; t < 8; t++)
			tables[t][i] = tables[t - 1][i] >> 8 ^ tables[0][tables[t - 1][i] & 0xff];
}

uint32_t store_crc32c(uint32_t crc, const void *bytes, size_t n)
{
	const uint8_t *b = bytes;

	pthread_once(&once, tables_make);
	crc = ~crc;
	for (; n >= 8; n -= 8, b += 8) {
		crc ^= (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
		       (uint32_t)b[3] << 24;
		crc = tables[7][crc & 0xff] ^ tables[6][crc >> 8 & 0xff] ^
		      tables[5][crc >> 16 & 0xff] ^ tables[4][crc >> 24] ^ tables[3][b[4]] ^
		      tables[2][b[5]] ^ tables[1][b[6]] ^ tables[0][b[7]];
	}
	for (; n > 0; n--, b++)
		crc = crc >> 8 ^ tables[0][(crc ^ *b) & 0xff];
	return ~crc;
}
