#include "tests/replay/capture.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MAGIC_MICRO 0xa1b2c3d4u
#define MAGIC_NANO  0xa1b23c4du
#define FRAME_MAX   262144u

/* Ethernet, IPv4 and UDP headers; then where dp/relay/relay.h puts the two. */
#define RELAY_AT	42
#define RELAY_KIND_AT	(RELAY_AT + 1)
#define RELAY_NUMBER_AT (RELAY_AT + 24)
#define RELAY_METRICS	1
#define RELAY_ALARMS	2

struct record {
	uint32_t seconds, fraction, n_bytes, wire_bytes;
};

static int start(FILE *f)
{
	uint32_t header[6];

	if (fread(header, sizeof(header), 1, f) != 1 ||
	    (header[0] != MAGIC_MICRO && header[0] != MAGIC_NANO))
		return -EINVAL;
	return 0;
}

static bool next(FILE *f, uint8_t frame[FRAME_MAX], uint32_t *n_bytes)
{
	struct record r;

	if (fread(&r, sizeof(r), 1, f) != 1 || r.n_bytes > FRAME_MAX)
		return false;
	*n_bytes = r.n_bytes;
	return fread(frame, 1, r.n_bytes, f) == r.n_bytes;
}

int capture_count(const char *file, uint64_t *n_frames)
{
	static uint8_t frame[FRAME_MAX];
	FILE *f = fopen(file, "rbe");
	uint32_t n_bytes;
	int err;

	if (f == NULL)
		return -errno;
	err = start(f);
	for (*n_frames = 0; err == 0 && next(f, frame, &n_bytes); ++*n_frames)
		;
	fclose(f);
	return err;
}

int capture_relay(const char *file, struct capture_relay *found)
{
	static uint8_t frame[FRAME_MAX];
	FILE *f = fopen(file, "rbe");
	uint64_t number, highest = 0;
	uint32_t n_bytes;
	int err;

	*found = (struct capture_relay){0};
	if (f == NULL)
		return errno == ENOENT ? 0 : -errno;
	err = start(f);
	while (err == 0 && next(f, frame, &n_bytes)) {
		if (n_bytes < RELAY_NUMBER_AT + sizeof(number)) {
			err = -EINVAL;
			break;
		}
		memcpy(&number, frame + RELAY_NUMBER_AT, sizeof(number));
		number = be64toh(number);
		found->n_metrics += frame[RELAY_KIND_AT] == RELAY_METRICS;
		/* Numbers rise; a repeat is not above the highest. */
		if (frame[RELAY_KIND_AT] == RELAY_ALARMS && number > highest) {
			highest = number;
			found->n_alarms++;
		}
	}
	fclose(f);
	return err;
}
