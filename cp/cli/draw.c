#include "cp/cli/draw.h"

#include <assert.h>
#include <errno.h>
#include <sys/random.h>

/* Uniform in [0, n). A remainder alone would favour low numbers: what does not fill a whole round
 * of n is drawn again. */
static int random_below(uint32_t *out, uint32_t n)
{
	uint32_t x, whole = UINT32_MAX - UINT32_MAX % n;

	do {
		ssize_t got = getrandom(&x, sizeof(x), 0);

		if (got < 0 && errno != EINTR)
			return -errno;
		if (got != sizeof(x))
			x = UINT32_MAX; /* interrupted: once more */
	} while (x >= whole);
	*out = x % n;
	return 0;
}

int draw_init(struct draw *d, uint32_t n)
{
	assert(n > 0 && n <= DRAW_MAX);
	*d = (struct draw){.n = n};
	for (uint32_t i = 0; i < n; i++)
		d->order[i] = (uint8_t)i;
	for (uint32_t i = n - 1; i > 0; i--) { /* Fisher and Yates */
		uint8_t kept = d->order[i];
		uint32_t k = 0;
		int err = random_below(&k, i + 1);

		if (err != 0)
			return err;
		d->order[i] = d->order[k];
		d->order[k] = kept;
	}
	return 0;
}

int draws_make(struct draws *d, enum draw_service service, uint32_t n, bool *is_first)
{
	int err;

	*is_first = !d->is_drawn[service];
	if (d->is_drawn[service])
		return 0;
	err = draw_init(&d->of[service], n);
	d->is_drawn[service] = err == 0;
	return err;
}

uint32_t draw_current(const struct draw *d)
{
	return d->order[d->at];
}

void draw_next(struct draw *d)
{
	d->at = (d->at + 1) % d->n;
}
