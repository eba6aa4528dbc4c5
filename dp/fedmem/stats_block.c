#include <assert.h>
#include <string.h>

#include "dp/fedmem/writer.h"

int fedmem_stats_read(const struct fedmem *fm, struct stats *out)
{
	uint32_t n, version;
	int err = published_get(fm, TABLE_STATS, out, 1, &n, &version);

	return err == 0 && version == 0 ? FEDMEM_NOT_FOUND : err;
}

void fedmem_stats_load(const struct fedmem_writer *w, struct stats *out)
{
	if (fedmem_stats_read(w->fm, out) != 0)
		memset(out, 0, sizeof(*out));
}

void fedmem_stats_publish(struct fedmem_writer *w, const struct stats *s)
{
	int err = published_put(w->fm, TABLE_STATS, s, 1);

	assert(err == 0); /* one fits */
	(void)err;
}
