#include "cp/cli/command.h"

#include <stdbool.h>
#include <string.h>

#include "cp/cli/options.h"
#include "cp/cli/verbs.h"

#define OPTIONS_LIST (OPTION_FROM | OPTION_FRESH | OPTION_MAX_AGE)
#define OPTIONS_EVENTS                                                                             \
	(OPTION_SINCE | OPTION_UNTIL | OPTION_ELEMENT | OPTION_CELL | OPTION_KIND | OPTION_LIMIT | \
	 OPTION_NEWEST | OPTION_AFTER)
#define OPTIONS_ACK (OPTION_RESOURCE | OPTION_QUALIFIER | OPTION_TEXT | OPTION_UNDO)

static const struct command commands[] = {
	{"status", NULL, "", 0, 0, 0, verb_status, "master, map, servers and cells"},
	{"view", NULL, "", 0, 0, OPTIONS_LIST, verb_view,
	 "servers, and all elements by region and owner"},
	{"server", "list", "", 0, 0, 0, verb_server_list, "the servers"},
	{"server", "drain", " SERVER", 1, 1, OPTION_OPERATOR, verb_server_drain,
	 "let it own and stand by for nothing"},
	{"server", "undrain", " SERVER", 1, 1, OPTION_OPERATOR, verb_server_undrain,
	 "let it own again"},
	{"element", "list", "", 0, 0, OPTIONS_LIST, verb_element_list,
	 "all elements of the network"},
	{"element", "show", " NAME", 1, 1, OPTION_FRESH | OPTION_MAX_AGE, verb_element_show,
	 "one element with its metrics and alarms"},
	{"element", "import", " FILE", 1, 1, OPTION_OPERATOR, verb_element_import,
	 "add and change elements as an inventory file says"},
	{"element", "adopt", " ADDRESS", 1, 1,
	 OPTION_NAME | OPTION_REGION | OPTION_KIND | OPTION_ID | OPTION_OPERATOR,
	 verb_element_adopt, "make a source an element"},
	{"element", "move", " NAME", 1, 1, OPTION_REGION | OPTION_TO_SERVER | OPTION_OPERATOR,
	 verb_element_move, "into another --region, or its cell to another --server"},
	{"alarm", "list", "", 0, 0, OPTION_ALL | OPTIONS_LIST, verb_alarm_list,
	 "what is raised now"},
	{"alarm", "watch", "", 0, 0, OPTION_PRESENT | OPTION_COUNT | OPTION_RESUME,
	 verb_alarm_watch, "what changes from now on"},
	{"alarm", "ack", " ELEMENT TYPE", 2, 2, OPTIONS_ACK | OPTION_OPERATOR, verb_alarm_ack,
	 "say that somebody takes care of it"},
	{"event", "list", "", 0, 0, OPTIONS_EVENTS, verb_event_list, "what happened"},
	{"event", "watch", "", 0, 0, OPTION_COUNT | OPTION_KIND | OPTION_RESUME, verb_event_watch,
	 "what happens from now on"},
	{"dp", "stats", " [SERVER]", 0, 1, 0, verb_dp_stats,
	 "a data plane's counters and whether they add up"},
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static bool is_prefix(const char *prefix, const char *of)
{
	return strncmp(prefix, of, strlen(prefix)) == 0;
}

/* The first command with this noun; NULL: none, or more than one noun begins so. */
static const struct command *noun_find(const char *word, FILE *err)
{
	const struct command *found = NULL;

	for (size_t i = 0; i < N_COMMANDS; i++) {
		const struct command *c = &commands[i];

		if (!is_prefix(word, c->noun) ||
		    (found != NULL && strcmp(found->noun, c->noun) == 0))
			continue;
		if (found != NULL) {
			if (err != NULL)
				fprintf(err, "bellctl: \"%s\" may be %s or %s\n", word, found->noun,
					c->noun);
			return NULL;
		}
		found = c;
		if (strcmp(word, c->noun) == 0)
			break;
	}
	if (found == NULL && err != NULL)
		fprintf(err, "bellctl: no command \"%s\"; see bellctl --help\n", word);
	return found;
}

static bool is_of_noun(const struct command *c, const struct command *first)
{
	return strcmp(c->noun, first->noun) == 0;
}

static const struct command *verb_find(const struct command *first, const char *word, FILE *err)
{
	const struct command *found = NULL;

	for (size_t i = 0; i < N_COMMANDS; i++) {
		const struct command *c = &commands[i];

		if (!is_of_noun(c, first) || !is_prefix(word, c->verb))
			continue;
		if (found != NULL) {
			if (err != NULL)
				fprintf(err, "bellctl: \"%s %s\" may be %s or %s\n", c->noun, word,
					found->verb, c->verb);
			return NULL;
		}
		found = c;
	}
	if (found == NULL && err != NULL)
		fprintf(err, "bellctl: %s has no \"%s\"; see bellctl %s --help\n", first->noun,
			word, first->noun);
	return found;
}

const struct command *command_find(char *const *words, int n, int *n_words, FILE *err)
{
	const struct command *first;

	if (n == 0) {
		if (err != NULL)
			command_help(words, 0, err);
		return NULL;
	}
	first = noun_find(words[0], err);
	if (first == NULL)
		return NULL;
	*n_words = first->verb != NULL ? 2 : 1;
	if (first->verb == NULL)
		return first;
	if (n == 1) {
		if (err != NULL)
			command_help(words, 1, err);
		return NULL;
	}
	return verb_find(first, words[1], err);
}

static void help_row(const struct command *c, FILE *out)
{
	char left[64];

	snprintf(left, sizeof(left), "%s%s%s%s", c->noun, c->verb != NULL ? " " : "",
		 c->verb != NULL ? c->verb : "", c->args);
	fprintf(out, "  %-30s  %s\n", left, c->help);
}

void command_help(char *const *words, int n, FILE *out)
{
	const struct command *first = n > 0 ? noun_find(words[0], NULL) : NULL, *one = NULL;
	uint32_t options = OPTIONS_EVERYWHERE;
	int n_words;

	if (first != NULL)
		one = command_find(words, n, &n_words, NULL);
	fprintf(out, "Usage: bellctl [OPTION...] %s\n\n",
		one != NULL	? "COMMAND, which is:"
		: first != NULL ? "COMMAND, one of:"
				: "COMMAND, one of (prefixes will do):");
	for (size_t i = 0; i < N_COMMANDS; i++) {
		const struct command *c = &commands[i];

		if ((one != NULL && c != one) || (first != NULL && !is_of_noun(c, first)))
			continue;
		help_row(c, out);
		options |= c->options;
	}
	fprintf(out, "\n");
	options_help(options, out);
	fprintf(out, "\nExit status: 0 done, 1 usage, 2 refused or failed, 3 no server reachable, "
		     "4 not found.\n");
}

void command_complete(char *const *words, int n, FILE *out)
{
	const char *word = n > 0 ? words[n - 1] : "";
	const struct command *first = n > 1 ? noun_find(words[0], NULL) : NULL, *one;
	const char *before = "", *name;
	uint32_t options = OPTIONS_EVERYWHERE;
	int n_words;

	if (word[0] == '-') {
		one = command_find(words, n - 1, &n_words, NULL);
		if (one != NULL)
			options |= one->options;
		for (uint32_t i = 0; (name = options_name(options, i)) != NULL; i++)
			if (is_prefix(word, name))
				fprintf(out, "%s\n", name);
		return;
	}
	for (size_t i = 0; i < N_COMMANDS; i++) {
		const struct command *c = &commands[i];

		name = NULL;
		if (n <= 1)
			name = c->noun;
		else if (n == 2 && first != NULL && is_of_noun(c, first))
			name = c->verb;
		if (name == NULL || !is_prefix(word, name) || strcmp(name, before) == 0)
			continue;
		fprintf(out, "%s\n", name);
		before = name;
	}
}
