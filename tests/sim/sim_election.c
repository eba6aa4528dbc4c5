/* sim_election.c - runs seeds; prints the first that breaks something.
 * Exit: 0 nothing broke (with --expect-broken: something did), 1 the contrary, 2 usage. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/sim/sim.h"

/* So many seeds reach everything; a fault that never happened would prove nothing. */
#define SEEDS_FOR_ALL 1000

static int usage(void)
{
	fputs("usage: sim_election --seeds N [--first S] [--expect-broken]\n"
	      "       sim_election --seed S [--trace]\n",
	      stderr);
	return 2;
}

static int report(const struct sim *s, uint64_t n_seeds, double seconds)
{
	int n_missed = 0;

	printf("%llu seeds, %llu events in %.1f s (%.0f seeds/s), nothing broke\n",
	       (unsigned long long)n_seeds, (unsigned long long)s->n_events, seconds,
	       (double)n_seeds / seconds);
	for (int i = 0; i < SIM_R_N; i++) {
		printf("%s%s %llu", i > 0 ? ", " : "", sim_reached_name(i),
		       (unsigned long long)s->reached[i]);
		n_missed += s->reached[i] == 0;
	}
	putchar('\n');
	if (n_missed == 0 || n_seeds < SEEDS_FOR_ALL)
		return 0;
	printf("%d of these were never reached\n", n_missed);
	return 1;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"seeds", required_argument, NULL, 'n'},   {"first", required_argument, NULL, 'f'},
		{"seed", required_argument, NULL, 's'},	   {"trace", no_argument, NULL, 't'},
		{"expect-broken", no_argument, NULL, 'x'}, {0},
	};
	static struct sim sim;
	uint64_t first = 1, n_seeds = 0;
	bool expect_broken = false;
	struct timespec begin, end;

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (c) {
		case 'n':
			n_seeds = strtoull(optarg, NULL, 10);
			break;
		case 's':
			n_seeds = 1;
			/* fall through */
		case 'f':
			first = strtoull(optarg, NULL, 10);
			break;
		case 't':
			sim.is_traced = true;
			break;
		case 'x':
			expect_broken = true;
			break;
		default:
			return usage();
		}
	}
	if (n_seeds == 0 || optind != argc)
		return usage();
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (uint64_t seed = first; seed < first + n_seeds; seed++) {
		/* A planted bug counts as found when it breaks an invariant, not when it delays. */
		if (sim_run(&sim, seed) ||
		    (expect_broken && sim.broken[0] != 'I' && sim.broken[0] != 'R'))
			continue;
		printf("seed %llu, %u servers, after %.3f s: %s\n", (unsigned long long)seed,
		       sim.n_nodes, (double)sim.now_us / 1e6, sim.broken);
		return expect_broken ? 0 : 1;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	if (expect_broken) {
		printf("%llu seeds found nothing\n", (unsigned long long)n_seeds);
		return 1;
	}
	return report(&sim, n_seeds,
		      (double)(end.tv_sec - begin.tv_sec) +
			      (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
}
