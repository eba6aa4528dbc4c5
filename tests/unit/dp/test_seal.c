#include "dp/seal/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

static void fill(uint8_t *to, size_t n, uint8_t first)
{
	for (size_t i = 0; i < n; i++)
		to[i] = (uint8_t)(first + i);
}

/* RFC 8439 2.6.2 gives the one-time key of this key and nonce; 2.8 says what is authenticated. */
static void tag_is_the_one_of_rfc_8439(void **state)
{
	static const uint8_t one_time_key[crypto_onetimeauth_KEYBYTES] = {
		0x8a, 0xd5, 0xa0, 0x8b, 0x90, 0x5f, 0x81, 0xcc, 0x81, 0x50, 0x40,
		0x27, 0x4a, 0xb2, 0x94, 0x71, 0xa8, 0x33, 0xb6, 0x37, 0xe3, 0xfd,
		0x0d, 0xa5, 0x08, 0xdb, 0xb8, 0xe2, 0xfd, 0xd1, 0xa6, 0x46};
	const uint64_t sequence = UINT64_C(0x0001020304050607);
	uint8_t key[SEAL_KEY_BYTES], message[100], mac_data[128 + 16], tag[SEAL_TAG_BYTES];

	fill(key, sizeof(key), 0x80);
	fill(message, sizeof(message), 7);
	for (size_t n = 0; n <= sizeof(message); n++) {
		uint8_t expected[SEAL_TAG_BYTES];
		size_t padded = (n + 15) / 16 * 16;

		memset(mac_data, 0, sizeof(mac_data));
		memcpy(mac_data, message, n);
		mac_data[padded] = (uint8_t)n; /* little-endian length; that of the text is 0 */
		crypto_onetimeauth(expected, mac_data, padded + 16, one_time_key);
		seal_tag(tag, key, sequence, message, n);
		assert_memory_equal(tag, expected, sizeof(tag));
		assert_true(seal_is_valid(tag, key, sequence, message, n));
	}
}

static void changed_bit_anywhere_is_refused(void **state)
{
	uint8_t key[SEAL_KEY_BYTES], message[40], tag[SEAL_TAG_BYTES];
	const uint64_t sequence = 77;

	fill(key, sizeof(key), 1);
	fill(message, sizeof(message), 100);
	seal_tag(tag, key, sequence, message, sizeof(message));
	for (size_t i = 0; i < 8 * sizeof(message); i++) {
		message[i / 8] ^= 1 << i % 8;
		assert_false(seal_is_valid(tag, key, sequence, message, sizeof(message)));
		message[i / 8] ^= 1 << i % 8;
	}
	for (size_t i = 0; i < 8 * sizeof(tag); i++) {
		tag[i / 8] ^= 1 << i % 8;
		assert_false(seal_is_valid(tag, key, sequence, message, sizeof(message)));
		tag[i / 8] ^= 1 << i % 8;
	}
	for (size_t i = 0; i < 8 * sizeof(key); i++) {
		key[i / 8] ^= 1 << i % 8;
		assert_false(seal_is_valid(tag, key, sequence, message, sizeof(message)));
		key[i / 8] ^= 1 << i % 8;
	}
	for (size_t i = 0; i < 64; i++)
		assert_false(seal_is_valid(tag, key, sequence ^ UINT64_C(1) << i, message,
					   sizeof(message)));
	for (size_t n = 0; n < sizeof(message); n++)
		assert_false(seal_is_valid(tag, key, sequence, message, n));
	assert_true(seal_is_valid(tag, key, sequence, message, sizeof(message)));
}

/* Computed with another BLAKE2b: servers of different versions must agree. */
static void derived_key_is_keyed_blake2b_of_the_names(void **state)
{
	static const uint8_t expected[SEAL_KEY_BYTES] = {
		0xae, 0xee, 0xdd, 0xa7, 0xe6, 0x47, 0x14, 0x3b, 0xa7, 0xa6, 0x73,
		0x26, 0x63, 0x96, 0xa3, 0xea, 0xb9, 0x24, 0xac, 0xb6, 0x2f, 0xff,
		0xf0, 0xe0, 0x24, 0x57, 0x59, 0xa5, 0xbf, 0xb2, 0x1e, 0x0f};
	uint8_t secret[SEAL_KEY_BYTES], key[SEAL_KEY_BYTES];

	fill(secret, sizeof(secret), 0);
	seal_derive(key, secret, SEAL_RELAY, 0x0102, 0x0304, 0x05060708);
	assert_memory_equal(key, expected, sizeof(key));
}

static void keys_differ_by_direction_boot_purpose_and_secret(void **state)
{
	static const struct {
		enum seal_purpose purpose;
		uint16_t from, to;
		uint32_t boot;
		uint8_t secret;
	} of[] = {
		{SEAL_BEAT, 1, 2, 5, 0}, {SEAL_BEAT, 2, 1, 5, 0},     {SEAL_BEAT, 1, 3, 5, 0},
		{SEAL_BEAT, 1, 2, 6, 0}, {SEAL_BEAT, 1, 2, 5, 1},     {SEAL_RELAY, 1, 2, 5, 0},
		{SEAL_CALL, 1, 2, 5, 0}, {SEAL_BEAT, 0x102, 0, 5, 0}, {SEAL_BEAT, 1, 0x200, 5, 0},
		{SEAL_BEAT, 1, 0, 2, 0},
	};
	enum { N = sizeof(of) / sizeof(of[0]) };
	uint8_t keys[N][SEAL_KEY_BYTES];

	for (int i = 0; i < N; i++) {
		uint8_t secret[SEAL_KEY_BYTES];

		fill(secret, sizeof(secret), of[i].secret);
		seal_derive(keys[i], secret, of[i].purpose, of[i].from, of[i].to, of[i].boot);
		for (int j = 0; j < i; j++)
			assert_memory_not_equal(keys[i], keys[j], SEAL_KEY_BYTES);
	}
}

static void window_takes_each_number_once(void **state)
{
	struct seal_window w = {0};

	assert_false(seal_window_accept(&w, 0));
	for (uint64_t s = 1; s <= 5000; s++) {
		assert_true(seal_window_accept(&w, s));
		assert_false(seal_window_accept(&w, s));
	}
	assert_false(seal_window_accept(&w, 0));
	for (uint64_t s = 1; s <= 5000; s++)
		assert_false(seal_window_accept(&w, s));
}

static void window_takes_a_number_late_by_less_than_1024(void **state)
{
	struct seal_window w = {0};

	assert_true(seal_window_accept(&w, 5000));
	for (uint64_t s = 4999; s > 5000 - 1024; s--) {
		assert_true(seal_window_accept(&w, s));
		assert_false(seal_window_accept(&w, s));
	}
}

static void window_refuses_what_is_1024_late(void **state)
{
	struct seal_window w = {0};

	assert_true(seal_window_accept(&w, 5000));
	assert_false(seal_window_accept(&w, 5000 - 1024));
	assert_false(seal_window_accept(&w, 1));
	assert_true(seal_window_accept(&w, 5000 - 1023));
}

static void window_forgets_exactly_what_falls_out_of_it(void **state)
{
	/* Whatever the step, a plain list of all numbers that were seen gives the same answers. */
	enum { LAST = 20000 };
	static const uint32_t steps[] = {1, 2, 63, 64, 65, 127, 1000, 1023, 1024, 1025, 3000};

	for (size_t k = 0; k < sizeof(steps) / sizeof(steps[0]); k++) {
		static bool seen[LAST + 1];
		struct seal_window w = {0};

		memset(seen, 0, sizeof(seen));
		for (uint64_t newest = 1; newest <= LAST; newest += steps[k]) {
			uint64_t low = newest > 1300 ? newest - 1300 : 1;

			assert_true(seal_window_accept(&w, newest));
			seen[newest] = true;
			for (uint64_t s = low; s < newest; s += 7) {
				bool is_new = newest - s < 1024 && !seen[s];

				assert_int_equal(seal_window_accept(&w, s), is_new);
				seen[s] = true;
			}
			if (steps[k] < 60 && newest > 3000)
				break;
		}
	}
}

static void window_survives_a_jump_far_ahead(void **state)
{
	struct seal_window w = {0};

	for (uint64_t s = 1; s <= 2000; s++)
		assert_true(seal_window_accept(&w, s));
	assert_true(seal_window_accept(&w, UINT64_MAX));
	assert_false(seal_window_accept(&w, UINT64_MAX));
	assert_false(seal_window_accept(&w, 2000));
	for (uint64_t s = UINT64_MAX - 1; s > UINT64_MAX - 1024; s--)
		assert_true(seal_window_accept(&w, s));
	assert_false(seal_window_accept(&w, UINT64_MAX - 1024));
}

/* ---- The secret's file ---- */

static char folder[] = "/tmp/test_seal.XXXXXX";
static char path[sizeof(folder) + 8];

static int make_folder(void **state)
{
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/secret", folder);
	return 0;
}

static int remove_folder(void **state)
{
	return rmdir(folder);
}

static int load(const char *text, mode_t mode, uint8_t secret[SEAL_KEY_BYTES])
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	int err;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	err = seal_load_secret(path, secret);
	unlink(path);
	return err;
}

#define DIGITS "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F"

static void secret_of_64_digits_is_loaded(void **state)
{
	uint8_t secret[SEAL_KEY_BYTES], expected[SEAL_KEY_BYTES];

	fill(expected, sizeof(expected), 0);
	memset(secret, 0xff, sizeof(secret));
	assert_int_equal(load(DIGITS, 0600, secret), 0);
	assert_memory_equal(secret, expected, sizeof(secret));
	memset(secret, 0xff, sizeof(secret));
	assert_int_equal(load(DIGITS "\n", 0400, secret), 0);
	assert_memory_equal(secret, expected, sizeof(secret));
	seal_wipe(secret, sizeof(secret));
	assert_true(sodium_is_zero(secret, sizeof(secret)));
}

static void secret_that_others_may_read_is_refused(void **state)
{
	uint8_t secret[SEAL_KEY_BYTES];

	assert_int_equal(load(DIGITS, 0640, secret), -EACCES);
	assert_int_equal(load(DIGITS, 0604, secret), -EACCES);
	assert_int_equal(load(DIGITS, 0620, secret), -EACCES);
}

static void secret_of_other_contents_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"\n",
		"00",
		"000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1",
		"000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1\n",
		DIGITS "0",
		DIGITS "00",
		DIGITS "\n\n",
		DIGITS " ",
		DIGITS "\r\n",
		"g00102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F",
		"000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1G",
	};
	uint8_t secret[SEAL_KEY_BYTES];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(load(texts[i], 0600, secret), -EINVAL);
}

static void secret_that_is_no_file_is_refused(void **state)
{
	uint8_t secret[SEAL_KEY_BYTES];

	assert_int_equal(seal_load_secret(path, secret), -ENOENT);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(seal_load_secret(path, secret), -EINVAL);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tag_is_the_one_of_rfc_8439),
		cmocka_unit_test(changed_bit_anywhere_is_refused),
		cmocka_unit_test(derived_key_is_keyed_blake2b_of_the_names),
		cmocka_unit_test(keys_differ_by_direction_boot_purpose_and_secret),
		cmocka_unit_test(window_takes_each_number_once),
		cmocka_unit_test(window_takes_a_number_late_by_less_than_1024),
		cmocka_unit_test(window_refuses_what_is_1024_late),
		cmocka_unit_test(window_forgets_exactly_what_falls_out_of_it),
		cmocka_unit_test(window_survives_a_jump_far_ahead),
		cmocka_unit_test(secret_of_64_digits_is_loaded),
		cmocka_unit_test(secret_that_others_may_read_is_refused),
		cmocka_unit_test(secret_of_other_contents_is_refused),
		cmocka_unit_test(secret_that_is_no_file_is_refused),
	};

	if (seal_start() != 0)
		return 1;
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
