/* segment_stats: the counters that a data plane published, read out of its segment while no control
 * plane runs that could be asked. Prints {"counters": [{"name": ..., "value": ...}, ...]}.
 *
 *   segment_stats CONFIGURATION */
#include <inttypes.h>
#include <stdio.h>

#include "dp/conf/conf.h"
#include "dp/fedmem/fedmem.h"

static int print(const struct conf *conf)
{
	const struct fedmem_config cfg = {
		.path = conf->memory.path, .server_id = conf->server, .sizes = conf->memory.sizes};
	struct stats s = {0};
	struct fedmem *fm;
	char why[256];

	if (fedmem_open(&fm, &cfg, why, sizeof(why)) != 0) {
		fprintf(stderr, "segment_stats: %s\n", why);
		return 1;
	}
	(void)fedmem_stats_read(fm, &s); /* before the first snapshot all are zero */
	printf("{\"counters\": [");
	for (int i = 0; i < STATS_N; i++)
		printf("%s{\"name\": \"%s\", \"value\": %" PRIu64 "}", i > 0 ? ", " : "",
		       stats_name((enum stats_counter)i), s.n[i]);
	printf("]}\n");
	fedmem_close(fm);
	return 0;
}

int main(int argc, char **argv)
{
	struct conf_findings findings = {0};
	struct conf *conf = NULL;
	int status = 1;

	if (argc == 2 && conf_load(&conf, argv[1], &findings) == 0)
		status = print(conf);
	else
		fprintf(stderr, "usage: segment_stats CONFIGURATION\n");
	conf_findings_free(&findings);
	conf_free(conf);
	return status;
}
