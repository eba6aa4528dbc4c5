#include "dp/seal/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

_Static_assert(SEAL_KEY_BYTES == crypto_aead_chacha20poly1305_ietf_KEYBYTES, "one key size");
_Static_assert(SEAL_TAG_BYTES == crypto_aead_chacha20poly1305_ietf_ABYTES, "one tag size");
_Static_assert(SEAL_KEY_BYTES >= crypto_generichash_KEYBYTES_MIN &&
		       SEAL_KEY_BYTES <= crypto_generichash_KEYBYTES_MAX,
	       "the secret is a BLAKE2b key");

#define NONCE_BYTES  crypto_aead_chacha20poly1305_ietf_NPUBBYTES
#define SECRET_CHARS (2 * SEAL_KEY_BYTES)

/* Keeps these keys apart from whatever else anybody may derive from the same secret. */
static const uint8_t derive_context[16] = "bellwether seal";

static void put_be(uint8_t *to, uint64_t value, size_t n_bytes)
{
	for (size_t i = 0; i < n_bytes; i++)
		to[i] = (uint8_t)(value >> (8 * (n_bytes - 1 - i)));
}

int seal_start(void)
{
	return sodium_init() < 0 ? -EIO : 0;
}

static int read_secret(int fd, uint8_t secret[SEAL_KEY_BYTES])
{
	char text[SECRET_CHARS +
		  2]; /* digits, newline, and one more to see that there is no more */
	size_t n = 0, n_digits = 0;
	ssize_t got = 0;
	int err = 0;

	while (n < sizeof(text) && (got = read(fd, text + n, sizeof(text) - n)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			err = -errno;
			goto done;
		}
		n += (size_t)got;
	}
	if (n == SECRET_CHARS + 1 && text[n - 1] == '\n')
		n--;
	if (n != SECRET_CHARS ||
	    sodium_hex2bin(secret, SEAL_KEY_BYTES, text, n, NULL, &n_digits, NULL) != 0 ||
	    n_digits != SEAL_KEY_BYTES) {
		sodium_memzero(secret, SEAL_KEY_BYTES);
		err = -EINVAL;
	}
done:
	sodium_memzero(text, sizeof(text));
	return err;
}

int seal_load_secret(const char *path, uint8_t secret[SEAL_KEY_BYTES])
{
	/* A FIFO of that name must not hold up the start. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int err;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) != 0)
		err = -errno;
	else if (!S_ISREG(st.st_mode))
		err = -EINVAL;
	else if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		err = -EACCES;
	else
		err = read_secret(fd, secret);
	close(fd);
	return err;
}

void seal_derive(uint8_t key[SEAL_KEY_BYTES], const uint8_t secret[SEAL_KEY_BYTES],
		 enum seal_purpose purpose, uint16_t from, uint16_t to, uint32_t boot)
{
	uint8_t what[sizeof(derive_context) + 1 + 2 + 2 + 4];
	uint8_t *at = what + sizeof(derive_context);

	memcpy(what, derive_context, sizeof(derive_context));
	put_be(at, purpose, 1);
	put_be(at + 1, from, 2);
	put_be(at + 3, to, 2);
	put_be(at + 5, boot, 4);
	/* Fails for sizes out of bounds only; the assertions above rule them out. */
	(void)crypto_generichash(key, SEAL_KEY_BYTES, what, sizeof(what), secret, SEAL_KEY_BYTES);
}

void seal_tag(uint8_t tag[SEAL_TAG_BYTES], const uint8_t key[SEAL_KEY_BYTES], uint64_t sequence,
	      const uint8_t *bytes, size_t n)
{
	uint8_t nonce[NONCE_BYTES] = {0}; /* RFC 8439 2.8: a fixed part, here zero, and a counter */
	uint8_t nothing[1] = {0};

	put_be(nonce + 4, sequence, 8);
	(void)crypto_aead_chacha20poly1305_ietf_encrypt_detached(nothing, tag, NULL, nothing, 0,
								 bytes, n, NULL, nonce, key);
}

bool seal_is_valid(const uint8_t tag[SEAL_TAG_BYTES], const uint8_t key[SEAL_KEY_BYTES],
		   uint64_t sequence, const uint8_t *bytes, size_t n)
{
	uint8_t right[SEAL_TAG_BYTES];

	seal_tag(right, key, sequence, bytes, n);
	return sodium_memcmp(right, tag, SEAL_TAG_BYTES) == 0;
}

/* Clears the marks of 'n' <= SEAL_WINDOW_BITS numbers, a word at a time. */
static void window_clear(struct seal_window *w, uint64_t first, uint64_t n)
{
	while (n > 0) {
		unsigned int bit = first % 64;
		uint64_t here = n < 64 - bit ? n : 64 - bit;
		uint64_t mask = UINT64_MAX >> (64 - here) << bit;

		w->seen[first % SEAL_WINDOW_BITS / 64] &= ~mask;
		first += here;
		n -= here;
	}
}

bool seal_window_accept(struct seal_window *w, uint64_t sequence)
{
	uint64_t *word = &w->seen[sequence % SEAL_WINDOW_BITS / 64];
	uint64_t bit = UINT64_C(1) << (sequence % 64);

	if (sequence == 0)
		return false;
	if (sequence > w->newest) {
		uint64_t ahead = sequence - w->newest;

		/* The marks of the numbers that fall out of the window are those of the new ones.
		 */
		window_clear(w, w->newest + 1, ahead < SEAL_WINDOW_BITS ? ahead : SEAL_WINDOW_BITS);
		w->newest = sequence;
	} else if (w->newest - sequence >= SEAL_WINDOW_BITS || (*word & bit) != 0) {
		return false;
	}
	*word |= bit;
	return true;
}

void seal_wipe(void *secret, size_t n)
{
	sodium_memzero(secret, n);
}
