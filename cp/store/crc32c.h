/* crc32c.h - the checksum of a record (Castagnoli's polynomial; RFC 3720, 12.1 and appendix B.4).
 *
 * Thread:  any; no state.
 * Memory:  borrows.
 * Returns: the checksum; it cannot fail.
 */
#ifndef BELLWETHER_CP_STORE_CRC32C_H
#define BELLWETHER_CP_STORE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Of what came before ('crc', 0 at first) and then bytes[0..n). */
uint32_t store_crc32c(uint32_t crc, const void *bytes, size_t n);

#endif
