#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>

#include "tests/unit/cp/cli_case.h"

/* ---- What is printed ---- */

static void status_shows_master_servers_and_cells(void **state)
{
	assert_int_equal(bed_run(&bed, "status"), CLI_DONE);
	assert_out("cluster      lab\n");
	assert_out("master       gamma(3)\n");
	assert_out("map          4.7 (not yet committed)\n");
	assert_out("\nSERVER RANK ROLE STATE HEALTH CELLS DRAINED DP STORE HEARD VOTER ADDRESS "
		   "CLIENTS\n");
	assert_out("\nbeta(2) 10 follower alive well 0 yes silent ");
	assert_out("\nnorth alpha(1) beta(2) 4.1 2 -\n");
	assert_out("\nsouth gamma(3) - 4.2 4 -\n");
	assert_string_equal(bed.err, "");
}

static void status_in_json_has_the_names_of_the_proto(void **state)
{
	json_t *m;

	assert_int_equal(bed_run(&bed, "status --json"), CLI_DONE);
	m = parsed();
	assert_int_equal(number_in(m, "master"), 3);
	assert_int_equal(number_in(m, "map_version"), 7);
	assert_int_equal(json_array_size(json_object_get(m, "servers")), 3);
	assert_true(json_is_false(json_object_get(m, "is_map_committed")));
	json_decref(m);
}

static void a_list_has_all_pages_and_one_header(void **state)
{
	assert_int_equal(bed_run(&bed, "element list"), CLI_DONE);
	assert_int_equal(n_lines(bed.out), 1 + 2 * N_PAGES);
	assert_out("\nedge 1 1 router north 192.0.2.9 beta(2) 1500ms 10 0 0 critical memory\n");
	assert_out("\nedge-2 6 ");
	assert_err("bellctl: silent, so what they own is missing: gamma(3)\n");
}

static void a_list_in_json_is_one_object_with_the_silent_servers(void **state)
{
	json_t *m;

	assert_int_equal(bed_run(&bed, "element list --json"), CLI_DONE);
	m = parsed();
	assert_int_equal(json_array_size(json_object_get(m, "elements")), 2 * N_PAGES);
	assert_int_equal(json_array_size(json_object_get(m, "silent")), 1);
	assert_int_equal(number_in(json_array_get(json_object_get(m, "elements"), 5), "id"), 6);
	json_decref(m);
}

static void an_element_comes_with_metrics_and_alarms(void **state)
{
	json_t *m;

	assert_int_equal(bed_run(&bed, "element show core-1"), CLI_DONE);
	assert_out("owner        beta(2), token 0.0\n");
	assert_out("\n5 2.5\n");
	assert_out("\ncritical core-1 if 7 link-down - 2023-11-14T22:13:20.123Z 3 beta(2) ");
	assert_int_equal(bed_run(&bed, "element show core-1 --json"), CLI_DONE);
	m = parsed();
	assert_int_equal(number_in(json_object_get(m, "element"), "age_ms"), 1500);
	assert_int_equal(json_array_size(json_object_get(m, "alarms")), 1);
	json_decref(m);
}

static void alarms_are_listed_with_cleared_ones_on_demand(void **state)
{
	assert_int_equal(bed_run(&bed, "alarm list"), CLI_DONE);
	assert_int_equal(n_lines(bed.out), 2);
	assert_int_equal(bed_run(&bed, "alarm list --all"), CLI_DONE);
	assert_int_equal(n_lines(bed.out), 3);
	assert_out("\ncleared core-1 ");
}

static void counters_that_add_up_hold(void **state)
{
	json_t *m;

	assert_int_equal(bed_run(&bed, "dp stats 1"), CLI_DONE);
	assert_out("server       alpha(1)\n");
	assert_out("\nframe in frames 12 frames received\n");
	assert_null(strstr(bed.out, "drop_lldp"));
	assert_out("\ndecode snmp_length 4 ");
	assert_out("\nframes 12 12 holds\n");
	assert_out("\n192.0.2.77 162 9 ");
	assert_int_equal(bed_run(&bed, "dp stats gamma --json"), CLI_DONE);
	m = parsed();
	assert_int_equal(number_in(m, "server"), 3);
	assert_true(json_is_true(json_object_get(m, "holds")));
	json_decref(m);
}

static void counters_that_do_not_add_up_are_a_failure(void **state)
{
	assert_int_equal(bed_run(&bed, "dp stats beta"), CLI_FAILED);
	assert_out("\nframes 12 11 BROKEN\n");
	assert_int_equal(bed_run(&bed, "dp stats 2 --json"), CLI_FAILED);
	assert_int_equal(bed_run(&bed, "dp stats delta"), CLI_NOT_FOUND);
}

static void no_control_character_of_an_element_reaches_the_terminal(void **state)
{
	assert_int_equal(bed_run(&bed, "alarm list"), CLI_DONE);
	assert_null(strchr(bed.out, '\x1b'));
	assert_int_equal(bed_run(&bed, "alarm watch --count 1"), CLI_DONE);
	assert_null(strchr(bed.out, '\x1b'));
	assert_int_equal(bed_run(&bed, "element show disorder"), CLI_FAILED);
	assert_null(strchr(bed.err, '\x1b'));
	assert_err("bellctl: out of? order (INTERNAL from 127.0.0.1:");
}

/* Runs "alarm list" with a terminal as its output; true: it was coloured. */
static bool is_coloured(void)
{
	char *argv[] = {"bellctl", "--server", bed.list, "alarm", "list"};
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave;
	char text[4096];
	ssize_t n;
	FILE *out;

	assert_true(master >= 0);
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	out = fdopen(slave, "w");
	assert_non_null(out);
	assert_int_equal(cli_run(5, argv, out, stderr), CLI_DONE);
	fflush(out);
	n = read(master, text, sizeof(text) - 1);
	assert_true(n > 0);
	text[n] = '\0';
	fclose(out);
	close(master);
	assert_non_null(strstr(text, "core-1"));
	assert_non_null(strstr(text, "if 7"));
	return strchr(text, '\x1b') != NULL;
}

static void a_terminal_has_colours_unless_told_not_to(void **state)
{
	unsetenv("NO_COLOR");
	assert_true(is_coloured());
	setenv("NO_COLOR", "1", 1);
	assert_false(is_coloured());
	unsetenv("NO_COLOR");
}

/* ---- Which server ---- */

static void not_found_has_its_own_status_and_says_who_said_so(void **state)
{
	assert_int_equal(bed_run(&bed, "element show x"), CLI_NOT_FOUND);
	assert_err("bellctl: no element named x (NOT_FOUND from 127.0.0.1:");
	assert_int_equal(bed_n_asked(&bed), 1); /* a refusal is an answer: nobody else is asked */
}

static void every_server_is_drawn_now_and_then(void **state)
{
	for (int i = 0; i < 200 && (bed.servers[0].n_asked == 0 || bed.servers[1].n_asked == 0 ||
				    bed.servers[2].n_asked == 0);
	     i++)
		assert_int_equal(bed_run(&bed, "status"), CLI_DONE);
	for (int i = 0; i < N_SERVERS; i++)
		assert_true(bed.servers[i].n_asked > 0);
}

static int one_well(void **state)
{
	bed_start(&bed, MANNER_ABSENT, MANNER_MUTE, MANNER_WELL);
	return 0;
}

static void silent_servers_are_passed_over(void **state)
{
	bool was_mute = false;

	for (int i = 0; i < 100 && !was_mute; i++) {
		assert_int_equal(bed_run(&bed, "status -v --timeout 200"), CLI_DONE);
		assert_out("answered by  gamma(3)\n");
		was_mute = strstr(bed.err, "(DEADLINE_EXCEEDED)") != NULL;
	}
	assert_true(was_mute);
	assert_err("bellctl: Peered: drew 127.0.0.1:");
	assert_err("is silent: ");
	assert_err("goes on with 127.0.0.1:");
	assert_err("bellctl: drawn service=Peered server=127.0.0.1:");
}

static int none_well(void **state)
{
	bed_start(&bed, MANNER_ABSENT, MANNER_ABSENT, MANNER_MUTE);
	return 0;
}

static void no_server_at_all_has_its_own_status(void **state)
{
	assert_int_equal(bed_run(&bed, "status --timeout 200"), CLI_UNREACHABLE);
	assert_err("bellctl: no server answered; the last said: ");
	assert_int_equal(bed_n_asked(&bed), 1);
	assert_string_equal(bed.out, "");
}

static int all_foreign(void **state)
{
	bed_start(&bed, MANNER_FOREIGN, MANNER_FOREIGN, MANNER_FOREIGN);
	return 0;
}

static void what_cannot_be_read_is_a_failure(void **state)
{
	static const char *const lines[] = {"status",	    "server list",
					    "element list", "element show core-1",
					    "alarm list",   "dp stats 1"};

	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(bed_run(&bed, lines[i]), CLI_FAILED);
		assert_err("answered what this bellctl cannot read\n");
	}
}

/* ---- Watching ---- */

static void a_watch_ends_after_as_many_events_as_asked_for(void **state)
{
	assert_int_equal(bed_run(&bed, "alarm watch --present --count 3"), CLI_DONE);
	assert_int_equal(n_lines(bed.out), 4);
	assert_out("\n2023-11-14T22:13:21.000Z present critical core-1 ");
	assert_out(" raised critical ");
	assert_out(" lost - ");
	assert_int_equal(bed_run(&bed, "alarm watch --json --count 2"), CLI_DONE);
	assert_int_equal(n_lines(bed.out), 2);
	assert_out("{\"kind\":\"raised\",\"alarm\":{\"element_id\":1,");
	assert_out("{\"kind\":\"lost\",\"alarm\":null,");
}

static int all_dying(void **state)
{
	bed_start(&bed, MANNER_DYING, MANNER_DYING, MANNER_DYING);
	return 0;
}

static void a_watch_goes_on_with_another_server_when_its_own_dies(void **state)
{
	assert_int_equal(bed_run(&bed, "alarm watch --json -v --count 6"), CLI_DONE);
	assert_int_equal(n_lines(bed.out), 6);
	for (int i = 0; i < N_SERVERS; i++) /* in turn, round and round */
		assert_int_equal(bed.servers[i].n_asked, 2);
	assert_err("goes on with 127.0.0.1:");
}

static void a_watch_nobody_takes_is_unreachable(void **state)
{
	snprintf(bed.list, sizeof(bed.list), "%s,%s", bed.servers[0].address,
		 bed.servers[1].address);
	assert_int_equal(bed_run(&bed, "alarm watch"), CLI_UNREACHABLE);
}

static int all_signal(void **state)
{
	bed_start(&bed, MANNER_SIGNAL, MANNER_SIGNAL, MANNER_SIGNAL);
	return 0;
}

static void an_interrupted_watch_has_done_its_work(void **state)
{
	assert_int_equal(bed_run(&bed, "alarm watch --json"), CLI_DONE);
	assert_int_equal(bed_n_asked(&bed), 1);
}

/* ---- The words ---- */

static void prefixes_that_fit_one_command_will_do(void **state)
{
	assert_int_equal(bed_run(&bed, "stat"), CLI_DONE);
	assert_int_equal(bed_run(&bed, "ser l"), CLI_DONE);
	assert_int_equal(bed_run(&bed, "el sh core-1"), CLI_DONE);
	assert_int_equal(bed_run(&bed, "a w --count 1"), CLI_DONE);
	assert_int_equal(bed_run(&bed, "s"), CLI_USAGE);
	assert_err("bellctl: \"s\" may be status or server\n");
}

static void wrong_usage_is_said_and_nobody_is_asked(void **state)
{
	static const struct {
		const char *line, *message;
	} cases[] = {
		{"frobnicate", "no command \"frobnicate\""},
		{"element", "Usage: "},
		{"element frob", "element has no \"frob\""},
		{"element show", "usage: bellctl element show NAME"},
		{"element show a b", "usage: bellctl element show NAME"},
		{"status now", "usage: bellctl status"},
		{"status --all", "takes no --all"},
		{"alarm list --count 3", "takes no --count"},
		{"alarm list --from nowhere", "--from is memory or store"},
		{"event list --since yesterday", "--since is a time"},
		{"event list --limit 0", "--limit is a number above 0"},
		{"event list --kind a,,b", "--kind is 1 to 16 kinds"},
		{"element adopt nowhere --name a --region b", "an element has an IPv4 or"},
		{"element adopt 10.0.0.1 --name a", "needs a --name and a --region"},
		{"element move a", "moves to a --region, or with its cell to a --server"},
		{"element move a --region b --server 1", "moves to a --region, or with"},
		{"element import /nonexistent/x.yaml", "No such file or directory"},
		{"alarm ack a", "usage: bellctl alarm ack ELEMENT TYPE"},
		{"alarm watch --count 0", "--count is a number above 0"},
		{"alarm watch --count -1", "--count is a number above 0"},
		{"alarm watch --count 1x", "--count is a number above 0"},
		{"status --timeout 0", "--timeout is 1 to 600000"},
		{"status --timeout 600001", "--timeout is 1 to 600000"},
		{"status --nonsense", "--nonsense is no option"},
		{"status --timeout", "--timeout needs a value"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(bed_run(&bed, cases[i].line), CLI_USAGE);
		assert_err(cases[i].message);
		assert_string_equal(bed.out, "");
	}
	assert_int_equal(bed_n_asked(&bed), 0);
}

static void help_is_there_at_every_level(void **state)
{
	assert_int_equal(bed_run(&bed, "--help"), CLI_DONE);
	assert_out("  element show NAME ");
	assert_out("--count N ");
	assert_int_equal(bed_run(&bed, "element -h"), CLI_DONE);
	assert_out("  element list ");
	assert_null(strstr(bed.out, "alarm watch"));
	assert_null(strstr(bed.out, "--count"));
	assert_int_equal(bed_run(&bed, "help alarm watch"), CLI_DONE);
	assert_out("--count N ");
	assert_null(strstr(bed.out, "alarm list"));
	assert_int_equal(bed_run(&bed, "--version"), CLI_DONE);
	assert_out("bellctl 0.");
	assert_int_equal(bed_n_asked(&bed), 0);
}

static void completed(char *const *argv, int argc, const char *expected)
{
	size_t n;
	FILE *out;

	free(bed.out);
	out = open_memstream(&bed.out, &n);
	assert_int_equal(cli_run(argc, (char **)argv, out, stderr), CLI_DONE);
	fclose(out);
	assert_string_equal(bed.out, expected);
}

static void completion_knows_the_same_words(void **state)
{
	char *const nouns[] = {"bellctl", "__complete", "s"};
	char *const verbs[] = {"bellctl", "__complete", "element", ""};
	char *const options[] = {"bellctl", "__complete", "alarm", "watch", "--c"};

	completed(nouns, 3, "status\nserver\n");
	completed(verbs, 4, "list\nshow\nimport\nadopt\nmove\n");
	completed(options, 5, "--config\n--count\n");
}

static void servers_come_from_option_or_environment_or_configuration(void **state)
{
	static const char *const wrong[] = {"127.0.0.1:99999", "127.0.0.1:0", ",", "[::1", "h:"};
	char *argv[] = {"bellctl", "--config", "/nonexistent/x.yaml", "status"};
	char *out_text = NULL, *err_text = NULL;
	size_t n_out, n_err;
	FILE *out = open_memstream(&out_text, &n_out), *err = open_memstream(&err_text, &n_err);

	assert_int_equal(cli_run(4, argv, out, err), CLI_USAGE);
	fflush(err);
	assert_non_null(strstr(err_text, "/nonexistent/x.yaml: No such file or directory"));
	setenv("BELLWETHER_SERVER", bed.list, 1);
	assert_int_equal(cli_run(4, argv, out, err), CLI_DONE);
	for (size_t i = 0; i < 5; i++) {
		setenv("BELLWETHER_SERVER", wrong[i], 1);
		assert_int_equal(cli_run(4, argv, out, err), CLI_USAGE);
	}
	setenv("BELLWETHER_SERVER", bed.list, 1);
	assert_int_equal(cli_run(4, argv, out, err), CLI_DONE);
	setenv("BELLWETHER_SERVER", "127.0.0.1:x", 1);
	assert_int_equal(bed_run(&bed, "status"), CLI_DONE); /* the option wins */
	unsetenv("BELLWETHER_SERVER");
	fclose(out);
	fclose(err);
	free(out_text);
	free(err_text);
}

/* The sample, with servers of the loopback network that are not there. Returns its path, to be
 * unlinked. */
static void write_config(char path[])
{
	static const char *const changes[][2] = {
		{"10.9", "127.9"}, {"2001:db8::4", "::1"}, {"api: 7400", "api: 7"}};
	FILE *from = fopen(SAMPLES "/bellwether.yaml", "r");
	int fd = mkstemps(path, 5);
	FILE *to = fdopen(fd, "w");
	char line[512];

	assert_non_null(from);
	assert_non_null(to);
	while (fgets(line, sizeof(line), from) != NULL) {
		char *rest = line;

		for (size_t i = 0; i < 3; i++) {
			char *at = strstr(rest, changes[i][0]);

			if (at == NULL)
				continue;
			fprintf(to, "%.*s%s", (int)(at - rest), rest, changes[i][1]);
			rest = at + strlen(changes[i][0]);
		}
		fputs(rest, to);
	}
	fclose(from);
	fclose(to);
}

static void the_configuration_names_servers_and_their_port(void **state)
{
	char path[] = "/tmp/test_cli_XXXXXX.yaml";
	char *argv[] = {"bellctl", "--config", path, "-v", "status"};
	char *out_text = NULL, *err_text = NULL;
	enum cli_exit result;
	size_t n_out, n_err;
	FILE *out = open_memstream(&out_text, &n_out), *err = open_memstream(&err_text, &n_err);

	write_config(path);
	result = cli_run(5, argv, out, err);
	unlink(path);
	fclose(out);
	fclose(err);
	assert_int_equal(result, CLI_UNREACHABLE);
	assert_non_null(strstr(err_text, " alpha (127.92.0.1:7)\n"));
	assert_non_null(strstr(err_text, " bravo (127.90.0.2:7)\n"));
	assert_non_null(strstr(err_text, " delta ([::1]:7)\n"));
	free(out_text);
	free(err_text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(all_well, status_shows_master_servers_and_cells),
		WITH(all_well, status_in_json_has_the_names_of_the_proto),
		WITH(all_well, a_list_has_all_pages_and_one_header),
		WITH(all_well, a_list_in_json_is_one_object_with_the_silent_servers),
		WITH(all_well, an_element_comes_with_metrics_and_alarms),
		WITH(all_well, alarms_are_listed_with_cleared_ones_on_demand),
		WITH(all_well, counters_that_add_up_hold),
		WITH(all_well, counters_that_do_not_add_up_are_a_failure),
		WITH(all_well, no_control_character_of_an_element_reaches_the_terminal),
		WITH(all_well, a_terminal_has_colours_unless_told_not_to),
		WITH(all_well, not_found_has_its_own_status_and_says_who_said_so),
		WITH(all_well, every_server_is_drawn_now_and_then),
		WITH(one_well, silent_servers_are_passed_over),
		WITH(none_well, no_server_at_all_has_its_own_status),
		WITH(all_foreign, what_cannot_be_read_is_a_failure),
		WITH(all_well, a_watch_ends_after_as_many_events_as_asked_for),
		WITH(all_dying, a_watch_goes_on_with_another_server_when_its_own_dies),
		WITH(none_well, a_watch_nobody_takes_is_unreachable),
		WITH(all_signal, an_interrupted_watch_has_done_its_work),
		WITH(all_well, prefixes_that_fit_one_command_will_do),
		WITH(all_well, wrong_usage_is_said_and_nobody_is_asked),
		WITH(all_well, help_is_there_at_every_level),
		WITH(all_well, completion_knows_the_same_words),
		WITH(all_well, servers_come_from_option_or_environment_or_configuration),
		WITH(all_well, the_configuration_names_servers_and_their_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
