#include "cp/cli/cli.h"

#include <string.h>

#include "cp/cli/command.h"
#include "cp/cli/endpoints.h"
#include "cp/cli/options.h"
#include "cp/cli/session.h"

static enum cli_exit command_run(const struct command *c, struct options *o, int n_words, FILE *out,
				 FILE *err)
{
	struct endpoints endpoints;
	struct session *session;
	enum cli_exit result;

	result = o->servers != NULL ? endpoints_parse(&endpoints, o->servers, err)
				    : endpoints_load(&endpoints, o->config, err);
	if (result != CLI_DONE)
		return result;
	result = session_open(&session, o, &endpoints, out, err);
	if (result != CLI_DONE)
		return result;
	result = c->run(session, o->operands + n_words, o->n_operands - n_words);
	session_close(session);
	return result;
}

enum cli_exit cli_run(int argc, char **argv, FILE *out, FILE *err)
{
	const struct command *c;
	struct options o;
	const char *wrong;
	int n_words, n_args;

	/* For a shell's completion: the words so far, of which the last may be empty. */
	if (argc >= 2 && strcmp(argv[1], "__complete") == 0) {
		command_complete(argv + 2, argc - 2, out);
		return CLI_DONE;
	}
	if (!options_parse(&o, argc, argv, err))
		return CLI_USAGE;
	if ((o.given & OPTION_VERSION) != 0) {
		fprintf(out, "bellctl %s\n", BELLWETHER_VERSION);
		return CLI_DONE;
	}
	if (o.n_operands > 0 && strcmp(o.operands[0], "help") == 0) {
		command_help(o.operands + 1, o.n_operands - 1, out);
		return CLI_DONE;
	}
	if ((o.given & OPTION_HELP) != 0) {
		command_help(o.operands, o.n_operands, out);
		return CLI_DONE;
	}
	c = command_find(o.operands, o.n_operands, &n_words, err);
	if (c == NULL)
		return CLI_USAGE;
	n_args = o.n_operands - n_words;
	if (n_args < c->n_args_min || n_args > c->n_args_max) {
		fprintf(err, "bellctl: usage: bellctl %s%s%s%s\n", c->noun,
			c->verb != NULL ? " " : "", c->verb != NULL ? c->verb : "", c->args);
		return CLI_USAGE;
	}
	wrong = options_name(o.given & ~(OPTIONS_EVERYWHERE | c->options), 0);
	if (wrong != NULL) {
		fprintf(err, "bellctl: %s %s takes no %s\n", c->noun,
			c->verb != NULL ? c->verb : "", wrong);
		return CLI_USAGE;
	}
	if (o.server_behind != NULL && (c->options & OPTION_TO_SERVER) == 0)
		o.servers = o.server_behind;
	return command_run(c, &o, n_words, out, err);
}
