#include "cp/cli/options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_DEFAULT	   "/etc/bellwether/bellwether.yaml"
#define TIMEOUT_DEFAULT_MS 2000
#define TIMEOUT_MAX_MS	   600000

struct option_info {
	enum options_bit bit;
	char letter; /* 0: none */
	const char *name, *argument, *help;
};

static const struct option_info infos[] = {
	{OPTION_SERVER, 0, "--server", "HOST:PORT[,...]",
	 "servers to draw from; else BELLWETHER_SERVER, else those of the configuration"},
	{OPTION_CONFIG, 0, "--config", "FILE", "the configuration; " CONFIG_DEFAULT},
	{OPTION_JSON, 0, "--json", NULL, "JSON instead of tables"},
	{OPTION_VERBOSE, 'v', "--verbose", NULL, "say which servers were drawn and which answered"},
	{OPTION_TIMEOUT, 0, "--timeout", "MS", "how long to wait for each server; 2000"},
	{OPTION_ALL, 0, "--all", NULL, "also cleared alarms"},
	{OPTION_PRESENT, 0, "--present", NULL, "first the alarms that are raised now"},
	{OPTION_COUNT, 0, "--count", "N", "end after N events"},
	{OPTION_HELP, 'h', "--help", NULL, "this text"},
	{OPTION_VERSION, 0, "--version", NULL, "the version of bellctl"},
};
#define N_INFOS (sizeof(infos) / sizeof(infos[0]))

static bool number_parse(uint64_t *out, const char *text, uint64_t max)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return isdigit((unsigned char)text[0]) && *end == '\0' && errno == 0 && *out >= 1 &&
	       *out <= max;
}

static bool option_take(struct options *o, enum options_bit bit, FILE *err)
{
	uint64_t n;

	o->given |= bit;
	switch (bit) {
	case OPTION_SERVER:
		o->servers = optarg;
		return true;
	case OPTION_CONFIG:
		o->config = optarg;
		return true;
	case OPTION_TIMEOUT:
		if (!number_parse(&n, optarg, TIMEOUT_MAX_MS)) {
			fprintf(err, "bellctl: --timeout is 1 to %d milliseconds, not \"%s\"\n",
				TIMEOUT_MAX_MS, optarg);
			return false;
		}
		o->timeout_ms = (uint32_t)n;
		return true;
	case OPTION_COUNT:
		if (!number_parse(&o->count, optarg, UINT64_MAX)) {
			fprintf(err, "bellctl: --count is a number above 0, not \"%s\"\n", optarg);
			return false;
		}
		return true;
	default:
		return true;
	}
}

bool options_parse(struct options *o, int argc, char **argv, FILE *err)
{
	struct option longs[N_INFOS + 1] = {};
	const char *from_environment = getenv("BELLWETHER_SERVER");
	int c;

	*o = (struct options){.config = CONFIG_DEFAULT, .timeout_ms = TIMEOUT_DEFAULT_MS};
	if (from_environment != NULL && from_environment[0] != '\0')
		o->servers = from_environment;
	for (size_t i = 0; i < N_INFOS; i++) {
		longs[i].name = infos[i].name + 2;
		longs[i].has_arg = infos[i].argument != NULL ? required_argument : no_argument;
		longs[i].val = 256 + (int)i;
	}
	optind = 0; /* GNU: from the beginning, whoever has parsed before */
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":vh", longs, NULL)) != -1) {
		size_t i = 0;

		if (c == '?' || c == ':') {
			fprintf(err, "bellctl: %s %s\n", argv[optind - 1],
				c == ':' ? "needs a value" : "is no option");
			return false;
		}
		while (infos[i].letter != c && 256 + (int)i != c)
			i++;
		if (!option_take(o, infos[i].bit, err))
			return false;
	}
	o->operands = argv + optind;
	o->n_operands = argc - optind;
	return true;
}

const char *options_name(uint32_t set, uint32_t index)
{
	for (size_t i = 0; i < N_INFOS; i++)
		if ((set & infos[i].bit) != 0 && index-- == 0)
			return infos[i].name;
	return NULL;
}

void options_help(uint32_t set, FILE *out)
{
	for (size_t i = 0; i < N_INFOS; i++) {
		char left[64];

		if ((set & infos[i].bit) == 0)
			continue;
		snprintf(left, sizeof(left), "%c%c%s%s%s%s", infos[i].letter != 0 ? '-' : ' ',
			 infos[i].letter != 0 ? infos[i].letter : ' ',
			 infos[i].letter != 0 ? ", " : "  ", infos[i].name,
			 infos[i].argument != NULL ? " " : "",
			 infos[i].argument != NULL ? infos[i].argument : "");
		fprintf(out, "  %-30s  %s\n", left, infos[i].help);
	}
}
