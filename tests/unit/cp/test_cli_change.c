/* bellctl's commands: what they ask for, and that each is done once, whatever dies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pwd.h>

#include "tests/unit/cp/cli_case.h"

static const struct bed_command *only_command(void)
{
	assert_int_equal(bed.n_commands, 1);
	return &bed.commands[0];
}

static void assert_one_request_id(void)
{
	for (uint32_t i = 0; i < bed.n_commands; i++) {
		assert_int_equal(strlen(bed.commands[i].request_id), 32);
		assert_string_equal(bed.commands[i].request_id, bed.commands[0].request_id);
	}
}

static void an_alarm_is_acknowledged_in_the_operators_name(void **state)
{
	assert_int_equal(bed_run(&bed, "alarm ack core-1 link-down --resource if7 --qualifier q "
				       "--text coming --operator ann"),
			 CLI_DONE);
	assert_string_equal(only_command()->method, "AckAlarm");
	assert_string_equal(only_command()->said, "core-1|link-down|if7|q|coming|1");
	assert_string_equal(only_command()->operator_name, "ann");
	assert_one_request_id();
	assert_string_equal(bed.out, "acknowledged, said by gamma(3)\n");
	assert_err("only the owner has stored it");
}

static void an_acknowledgement_is_taken_back(void **state)
{
	const struct passwd *user = getpwuid(getuid());

	assert_int_equal(bed_run(&bed, "alarm ack core-1 link-down --undo"), CLI_DONE);
	assert_string_equal(only_command()->said, "core-1|link-down||||0");
	assert_string_equal(only_command()->operator_name, user != NULL ? user->pw_name : "");
}

static void a_refused_command_says_why(void **state)
{
	json_t *m;

	assert_int_equal(bed_run(&bed, "alarm ack taken x"), CLI_FAILED);
	assert_string_equal(bed.err, "bellctl: no such? alarm\n");
	assert_string_equal(bed.out, "");
	assert_int_equal(bed_run(&bed, "alarm ack taken x --json"), CLI_FAILED);
	m = parsed();
	assert_true(json_is_false(json_object_get(m, "is_done")));
	json_decref(m);
}

static void an_element_is_adopted(void **state)
{
	json_t *m;

	assert_int_equal(bed_run(&bed,
				 "element adopt 10.0.3.9 --name stray --region west --kind switch "
				 "--id 5 --json"),
			 CLI_DONE);
	assert_string_equal(only_command()->said, "5|stray|switch|west|3.9");
	m = parsed();
	assert_int_equal(number_in(m, "element_id"), 77);
	assert_true(json_is_true(json_object_get(m, "is_done")));
	json_decref(m);
	assert_int_equal(bed_run(&bed, "element adopt 2001:db8::309 --name stray --region west"),
			 CLI_DONE);
	assert_string_equal(bed.commands[1].said, "0|stray|unknown|west|3.9");
	assert_out("adopted, id 77, said by gamma(3)\n");
}

static void an_element_moves_to_a_region_or_its_cell_to_a_server(void **state)
{
	assert_int_equal(bed_run(&bed, "element move ne1 --region west"), CLI_DONE);
	assert_string_equal(bed.commands[0].said, "ne1|west|0");
	assert_out("moved, said by gamma(3), had been done before\n");
	/* The first --server of the line says whom to ask. */
	assert_int_equal(bed_run(&bed, "element move ne1 --server gamma"), CLI_DONE);
	assert_string_equal(bed.commands[1].said, "ne1||3");
	assert_int_equal(bed_run(&bed, "element move --server 2 ne1"), CLI_DONE);
	assert_string_equal(bed.commands[2].said, "ne1||2");
	assert_int_equal(bed_run(&bed, "element move ne1 --server delta"), CLI_NOT_FOUND);
	assert_int_equal(bed.n_commands, 3);
}

static void a_server_is_drained_and_no_longer(void **state)
{
	assert_int_equal(bed_run(&bed, "server drain beta"), CLI_DONE);
	assert_string_equal(bed.commands[0].said, "2|1");
	assert_int_equal(bed_run(&bed, "server undrain 2"), CLI_DONE);
	assert_string_equal(bed.commands[1].said, "2|0");
	assert_true(strcmp(bed.commands[0].request_id, bed.commands[1].request_id) != 0);
	assert_int_equal(bed_run(&bed, "server list"), CLI_DONE);
	assert_out("\nbeta(2) 10 follower alive well 0 yes ");
	assert_out("\nalpha(1) 0 follower alive well 0 no ");
}

/* ---- Import ---- */

/* An inventory of n elements. */
static void write_inventory(char path[], uint32_t n)
{
	int fd = mkstemps(path, 5);
	FILE *to = fdopen(fd, "w");

	assert_non_null(to);
	fprintf(to, "elements:\n");
	for (uint32_t i = 1; i <= n; i++)
		fprintf(to,
			"  - {id: %u, name: ne%u, address: 10.0.%u.%u, kind: switch, region: "
			"west}\n",
			i, i, i / 200, i % 200 + 1);
	assert_int_equal(fclose(to), 0);
}

static enum cli_exit import(uint32_t n, const char *options)
{
	char path[] = "/tmp/test_cli_XXXXXX.yaml", line[128];
	enum cli_exit result;

	write_inventory(path, n);
	snprintf(line, sizeof(line), "element import %s%s", path, options);
	result = bed_run(&bed, line);
	unlink(path);
	return result;
}

static void an_inventory_goes_in_batches_under_ids_of_one_request(void **state)
{
	assert_int_equal(import(4000, ""), CLI_DONE);
	assert_int_equal(bed.n_commands, 2);
	assert_string_equal(bed.commands[0].said, "2000 from ne1 1 switch west, address 2");
	assert_string_equal(bed.commands[1].said, "2000 from ne2001 2001 switch west, address 2");
	assert_int_equal(strcspn(bed.commands[0].request_id, "/"), 32);
	assert_memory_equal(bed.commands[0].request_id, bed.commands[1].request_id, 32);
	assert_string_equal(bed.commands[0].request_id + 32, "/1");
	assert_string_equal(bed.commands[1].request_id + 32, "/2");
	assert_string_equal(bed.out, "2 added, 4 changed, 3994 as they were\n");
}

static void an_import_ends_with_the_batch_that_is_refused(void **state)
{
	json_t *m;

	assert_int_equal(import(8000, " --json"), CLI_FAILED);
	assert_int_equal(bed.n_commands, 3);
	assert_err("bellctl: ne4001 is taken\n");
	assert_err("bellctl: the first 4000 of 8000 elements are in\n");
	m = parsed();
	assert_true(json_is_false(json_object_get(m, "is_done")));
	assert_int_equal(number_in(m, "n_same"), 3994);
	json_decref(m);
}

static void a_wrong_file_is_refused_with_its_findings_and_nobody_is_asked(void **state)
{
	char path[] = "/tmp/test_cli_XXXXXX.yaml", line[128];
	int fd = mkstemps(path, 5);
	enum cli_exit result;

	assert_true(fd >= 0);
	dprintf(fd, "elements:\n  - {id: 0, name: a, address: nowhere, kind: x, region: y}\n");
	close(fd);
	snprintf(line, sizeof(line), "element import %s", path);
	result = bed_run(&bed, line);
	unlink(path);
	assert_int_equal(result, CLI_USAGE);
	assert_err(".yaml:2:");
	assert_int_equal(bed.n_commands, 0);
}

/* ---- What dies ---- */

static int no_master(void **state)
{
	bed_start(&bed, MANNER_NO_MASTER, MANNER_NO_MASTER, MANNER_NO_MASTER);
	return 0;
}

static void a_command_waits_for_a_master_under_one_request_id(void **state)
{
	assert_int_equal(bed_run(&bed, "alarm ack core-1 link-down"), CLI_DONE);
	assert_int_equal(bed.n_commands, BED_REFUSALS + 1);
	assert_one_request_id();
	for (uint32_t i = 0; i + 3 <= bed.n_commands; i++) { /* each in its turn */
		assert_true(bed.commands[i].server != bed.commands[i + 1].server);
		assert_true(bed.commands[i].server != bed.commands[i + 2].server);
	}
}

static void without_a_master_a_command_ends_with_the_time(void **state)
{
	assert_int_equal(bed_run(&bed, "alarm ack core-1 link-down --timeout 1"), CLI_UNREACHABLE);
	assert_err("the last said: ");
	assert_err("bellctl: it may have been done all the same: request ");
}

static int answer_lost(void **state)
{
	bed_start(&bed, MANNER_LOST, MANNER_LOST, MANNER_WELL);
	return 0;
}

static void a_command_whose_answer_was_lost_comes_again_as_the_same_request(void **state)
{
	uint32_t n_tries = 0;

	/* Until one of the two is drawn first. */
	for (uint32_t i = 0; i < 30 && n_tries < 2; i++) {
		uint32_t begin = bed.n_commands;

		assert_int_equal(bed_run(&bed, "alarm ack core-1 link-down --timeout 300"),
				 CLI_DONE);
		n_tries = bed.n_commands - begin;
		assert_int_equal(bed.commands[bed.n_commands - 1].server, 3);
		for (uint32_t k = begin; k < bed.n_commands; k++)
			assert_string_equal(bed.commands[k].request_id,
					    bed.commands[begin].request_id);
		if (bed.n_commands > BED_COMMANDS - 4)
			break;
	}
	assert_true(n_tries >= 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(all_well, an_alarm_is_acknowledged_in_the_operators_name),
		WITH(all_well, an_acknowledgement_is_taken_back),
		WITH(all_well, a_refused_command_says_why),
		WITH(all_well, an_element_is_adopted),
		WITH(all_well, an_element_moves_to_a_region_or_its_cell_to_a_server),
		WITH(all_well, a_server_is_drained_and_no_longer),
		WITH(all_well, an_inventory_goes_in_batches_under_ids_of_one_request),
		WITH(all_well, an_import_ends_with_the_batch_that_is_refused),
		WITH(all_well, a_wrong_file_is_refused_with_its_findings_and_nobody_is_asked),
		WITH(no_master, a_command_waits_for_a_master_under_one_request_id),
		WITH(no_master, without_a_master_a_command_ends_with_the_time),
		WITH(answer_lost, a_command_whose_answer_was_lost_comes_again_as_the_same_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
