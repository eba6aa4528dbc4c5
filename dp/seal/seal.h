/* seal.h - the door to libsodium: keys for pairs of servers, and authenticators of messages.
 * A message between servers is not secret but must be from whom it says and be sent once. Its
 * authenticator is ChaCha20-Poly1305 (RFC 8439) over the whole message as associated data, under a
 * key for (sender, receiver, purpose, sender's boot), with the sender's sequence number as nonce. A
 * key is thus never used twice with one nonce as long as the boot was persisted before its first
 * use.
 *
 * Thread:  any; no state after seal_start().
 * Memory:  borrows what it is given.
 * Returns: 0 done; <0 -errno.
 */
#ifndef BELLWETHER_DP_SEAL_SEAL_H
#define BELLWETHER_DP_SEAL_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEAL_KEY_BYTES 32
#define SEAL_TAG_BYTES 16

/* Once per process, before anything else here. -EIO: libsodium found no source of randomness. */
int seal_start(void);

/* The cluster's secret: exactly 64 hexadecimal digits and an optional newline in a file that only
 * its owner may read. -EACCES: others may read it; -EINVAL: other contents. */
int seal_load_secret(const char *path, uint8_t secret[SEAL_KEY_BYTES]);

enum seal_purpose { SEAL_BEAT = 1, SEAL_RELAY, SEAL_CALL };

/* The key under which 'from' speaks to 'to' during its 'boot' (keyed BLAKE2b, RFC 7693). */
void seal_derive(uint8_t key[SEAL_KEY_BYTES], const uint8_t secret[SEAL_KEY_BYTES],
		 enum seal_purpose purpose, uint16_t from, uint16_t to, uint32_t boot);

/* The authenticator of bytes[0..n) with sequence number 'sequence'. */
void seal_tag(uint8_t tag[SEAL_TAG_BYTES], const uint8_t key[SEAL_KEY_BYTES], uint64_t sequence,
	      const uint8_t *bytes, size_t n);
/* In constant time. */
bool seal_is_valid(const uint8_t tag[SEAL_TAG_BYTES], const uint8_t key[SEAL_KEY_BYTES],
		   uint64_t sequence, const uint8_t *bytes, size_t n);

/* Which sequence numbers of one sender were seen: a window of 1024 behind the newest (RFC 6479). */
#define SEAL_WINDOW_BITS 1024
struct seal_window {
	uint64_t newest; /* 0: none yet */
	uint64_t seen[SEAL_WINDOW_BITS / 64];
};
/* True once for each number; false when it was seen, is 0, or is too old to know. */
bool seal_window_accept(struct seal_window *w, uint64_t sequence);

void seal_wipe(void *secret, size_t n);

#endif
