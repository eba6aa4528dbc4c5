#include "cp/cli/options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cp/cli/when.h"

#define CONFIG_DEFAULT	   "/etc/bellwether/bellwether.yaml"
#define TIMEOUT_DEFAULT_MS 2000
#define TIMEOUT_MAX_MS	   600000

enum takes {
	TAKES_NOTHING,
	TAKES_TEXT,
	TAKES_NUMBER,
	TAKES_TIME,
	TAKES_SERVER,
	TAKES_KINDS,
	TAKES_FROM
};

struct option_info {
	enum options_bit bit;
	char letter; /* 0: none */
	const char *name, *argument, *help;
	enum takes takes;
	size_t at;	   /* in struct options */
	uint64_t max;	   /* of a number */
	const char *range; /* what it must be, for the one who gave something else */
};

#define TEXT(field) .takes = TAKES_TEXT, .at = offsetof(struct options, field)
#define TIME(field) .takes = TAKES_TIME, .at = offsetof(struct options, field)
#define NUMBER(field, max_, is)                                                                    \
	.takes = TAKES_NUMBER, .at = offsetof(struct options, field), .max = (max_), .range = (is)

static const struct option_info infos[] = {
	{OPTION_SERVER, 0, "--server", "HOST:PORT[,...]",
	 "servers to draw from; else BELLWETHER_SERVER, else those of the configuration",
	 TAKES_SERVER},
	{OPTION_CONFIG, 0, "--config", "FILE", "the configuration; " CONFIG_DEFAULT, TEXT(config)},
	{OPTION_JSON, 0, "--json", NULL, "JSON instead of tables"},
	{OPTION_VERBOSE, 'v', "--verbose", NULL, "say which servers were drawn and which answered"},
	{OPTION_TIMEOUT, 0, "--timeout", "MS", "how long to wait for each server; 2000",
	 NUMBER(timeout_ms, TIMEOUT_MAX_MS, "1 to 600000 milliseconds")},
	{OPTION_FROM, 0, "--from", "memory|store", "the owners' memories, or what is on disk",
	 TAKES_FROM},
	{OPTION_FRESH, 0, "--fresh", NULL, "from the owner's memory, or not at all"},
	{OPTION_MAX_AGE, 0, "--max-age", "MS", "what is stored will do where it is no older",
	 NUMBER(max_age_ms, UINT32_MAX, "a number of milliseconds above 0")},
	{OPTION_ALL, 0, "--all", NULL, "also cleared alarms"},
	{OPTION_PRESENT, 0, "--present", NULL, "first the alarms that are raised now"},
	{OPTION_COUNT, 0, "--count", "N", "end after N events",
	 NUMBER(count, UINT64_MAX, "a number above 0")},
	{OPTION_SINCE, 0, "--since", "TIME", "RFC 3339, or so long ago: -90s, -10m, -3h, -2d",
	 TIME(since_ns)},
	{OPTION_UNTIL, 0, "--until", "TIME", "the same", TIME(until_ns)},
	{OPTION_ELEMENT, 0, "--element", "NAME", "events of this element's alarms", TEXT(element)},
	{OPTION_CELL, 0, "--cell", "NAME", "events of this cell", TEXT(cell)},
	{OPTION_KIND, 0, "--kind", "KIND[,...]",
	 "events of these kinds; of an element that is adopted: router, switch ...", TAKES_KINDS},
	{OPTION_LIMIT, 0, "--limit", "N", "no more than N events",
	 NUMBER(limit, UINT32_MAX, "a number above 0")},
	{OPTION_NEWEST, 0, "--newest", NULL, "the newest ones, not the oldest"},
	{OPTION_AFTER, 0, "--after", "TOKEN", "what came behind this resume token", TEXT(after)},
	{OPTION_RESUME, 0, "--resume", "TOKEN", "go on behind this resume token", TEXT(resume)},
	{OPTION_RESOURCE, 0, "--resource", "TEXT", "the alarm's resource", TEXT(resource)},
	{OPTION_QUALIFIER, 0, "--qualifier", "TEXT", "the alarm's qualifier", TEXT(qualifier)},
	{OPTION_TEXT, 0, "--text", "TEXT", "a note that others will read", TEXT(text)},
	{OPTION_UNDO, 0, "--undo", NULL, "take the acknowledgement back"},
	{OPTION_NAME, 0, "--name", "NAME", "of the element", TEXT(name)},
	{OPTION_REGION, 0, "--region", "REGION", "which makes its cell", TEXT(region)},
	{OPTION_ID, 0, "--id", "N", "of the element; else the master chooses",
	 NUMBER(id, INT64_MAX, "a number above 0")},
	{OPTION_OPERATOR, 0, "--operator", "NAME", "who does it; else your login name",
	 TEXT(operator_name)},
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

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool wrong(const struct option_info *info, const char *what, FILE *err)
{
	fprintf(err, "bellctl: %s is %s, not \"%s\"\n", info->name, what, optarg);
	return false;
}

/* "a,b", cut in place. */
static bool kinds_take(struct options *o, const struct option_info *info, FILE *err)
{
	char *rest = optarg, *kind;

	while ((kind = strsep(&rest, ",")) != NULL) {
		if (kind[0] == '\0' || o->n_kinds == OPTIONS_KINDS_MAX)
			return wrong(info, "1 to 16 kinds", err);
		o->kinds[o->n_kinds++] = kind;
	}
	return true;
}

static bool option_take(struct options *o, const struct option_info *info, FILE *err)
{
	void *at = (char *)o + info->at;

	o->given |= info->bit;
	switch (info->takes) {
	case TAKES_SERVER:
		/* Behind noun and verb it may be an argument of the command: cli.c decides. */
		if (o->n_operands < 2)
			o->servers = optarg;
		else
			o->server_behind = optarg;
		return true;
	case TAKES_TEXT:
		*(const char **)at = optarg;
		return true;
	case TAKES_NUMBER:
		return number_parse(at, optarg, info->max) || wrong(info, info->range, err);
	case TAKES_TIME:
		return when_parse(at, optarg, now_ns()) ||
		       wrong(info, "a time (2026-01-31T12:00:00Z, -10m)", err);
	case TAKES_KINDS:
		return kinds_take(o, info, err);
	case TAKES_FROM:
		o->from = optarg;
		return strcmp(optarg, "memory") == 0 || strcmp(optarg, "store") == 0 ||
		       wrong(info, "memory or store", err);
	case TAKES_NOTHING:
		break;
	}
	return true;
}

static bool operand_take(struct options *o, char *word, FILE *err)
{
	if (o->n_operands == OPTIONS_OPERANDS_MAX) {
		fprintf(err, "bellctl: too many words\n");
		return false;
	}
	o->operands[o->n_operands++] = word;
	return true;
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
	/* "-": words come as they stand, so it is known what stands behind which. */
	while ((c = getopt_long(argc, argv, "-:vh", longs, NULL)) != -1) {
		size_t i = 0;

		if (c == '?' || c == ':') {
			fprintf(err, "bellctl: %s %s\n", argv[optind - 1],
				c == ':' ? "needs a value" : "is no option");
			return false;
		}
		if (c == 1) {
			if (!operand_take(o, optarg, err))
				return false;
			continue;
		}
		while (infos[i].letter != c && 256 + (int)i != c)
			i++;
		if (!option_take(o, &infos[i], err))
			return false;
	}
	for (; optind < argc; optind++) /* behind "--" */
		if (!operand_take(o, argv[optind], err))
			return false;
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
