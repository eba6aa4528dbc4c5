#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cp/alarm/alarm.h"
#include "tests/lib/played_server.h"

static int open_with(struct played_server *s, uint32_t alarms_max, uint32_t events_max)
{
	played_server_open(s, &(struct played_config){.id = 1,
						      .n_servers = 1,
						      .n_elements = 4,
						      .alarms_max = alarms_max,
						      .events_max = events_max});
	return 0;
}

static struct played_server s;

static int set_up(void **state)
{
	return open_with(&s, 4, 16);
}

static int tear_down(void **state)
{
	played_server_close(&s);
	return 0;
}

/* ---- Rules ---- */

static struct conf_rule rule(const char *notification, const char *type, uint8_t severity)
{
	return (struct conf_rule){.notification = (char *)notification,
				  .type = (char *)type,
				  .severity = severity,
				  .resource = (char *)"",
				  .resource_from = (char *)"",
				  .text_from = (char *)""};
}

static int publish(struct conf_rule *rules, uint32_t n)
{
	return alarm_rules_publish(s.fm, &(struct conf_rules){.rules = rules, .n_rules = n});
}

static void rule_is_published_as_the_decoder_reads_it(void **state)
{
	/* 1.3.6.1.6.3.1.1.5.3 and 1.3.6.1.2.1.2.2.1.1 by X.690 8.19 */
	static const uint8_t link_down[] = {0x2b, 6, 1, 6, 3, 1, 1, 5, 3};
	static const uint8_t if_index[] = {0x2b, 6, 1, 2, 1, 2, 2, 1, 1};
	static const uint8_t if_descr[] = {0x2b, 6, 1, 2, 1, 2, 2, 1, 2};
	struct conf_rule r = rule("1.3.6.1.6.3.1.1.5.3", "linkDown", FEDMEM_MAJOR);
	struct fedmem_rule got[4];
	uint32_t n, version;

	r.resource = (char *)"interface ";
	r.resource_from = (char *)"1.3.6.1.2.1.2.2.1.1";
	r.text_from = (char *)"1.3.6.1.2.1.2.2.1.2";
	assert_int_equal(publish(&r, 1), 0);
	assert_int_equal(fedmem_rules_get(s.fm, got, 4, &n, &version), 0);
	assert_int_equal(n, 1);
	assert_int_equal(got[0].oid_bytes, sizeof(link_down));
	assert_memory_equal(got[0].oid, link_down, sizeof(link_down));
	assert_int_equal(got[0].resource_oid_bytes, sizeof(if_index));
	assert_memory_equal(got[0].resource_oid, if_index, sizeof(if_index));
	assert_int_equal(got[0].text_oid_bytes, sizeof(if_descr));
	assert_memory_equal(got[0].text_oid, if_descr, sizeof(if_descr));
	assert_int_equal(got[0].severity, FEDMEM_MAJOR);
	assert_string_equal(got[0].type, "linkDown");
	assert_string_equal(got[0].resource, "interface ");
}

static void rule_without_bindings_has_none(void **state)
{
	struct conf_rule r = rule("1.3.6.1.6.3.1.1.5.1", "coldStart", FEDMEM_CLEARED);
	struct fedmem_rule got[4];
	uint32_t n, version;

	assert_int_equal(publish(&r, 1), 0);
	assert_int_equal(fedmem_rules_get(s.fm, got, 4, &n, &version), 0);
	assert_int_equal(got[0].resource_oid_bytes, 0);
	assert_int_equal(got[0].text_oid_bytes, 0);
	assert_int_equal(got[0].severity, FEDMEM_CLEARED);
}

static void texts_that_just_fit_are_taken_and_longer_ones_refused(void **state)
{
	char text[FEDMEM_RESOURCE_BYTES + 2];
	struct conf_rule r = rule("1.3.6.1.6.3.1.1.5.1", text, FEDMEM_MINOR);

	memset(text, 'x', sizeof(text));
	text[FEDMEM_TYPE_BYTES] = '\0';
	assert_int_equal(publish(&r, 1), 0);
	text[FEDMEM_TYPE_BYTES] = 'x';
	text[FEDMEM_TYPE_BYTES + 1] = '\0';
	assert_int_equal(publish(&r, 1), -EINVAL);

	r.type = (char *)"t";
	r.resource = text;
	memset(text, 'x', sizeof(text));
	text[FEDMEM_RESOURCE_BYTES] = '\0';
	assert_int_equal(publish(&r, 1), 0);
	text[FEDMEM_RESOURCE_BYTES] = 'x';
	text[FEDMEM_RESOURCE_BYTES + 1] = '\0';
	assert_int_equal(publish(&r, 1), -EINVAL);
}

static void one_wrong_rule_leaves_the_published_ones_alone(void **state)
{
	static const char too_long[] = "1.3.268435456.268435456.268435456.268435456.268435456"
				       ".268435456.268435456.268435456";
	static const char *const wrong[] = {"", "1", "1.3.x", "1.3.6.1.4294967296", too_long};
	struct conf_rule good = rule("1.3.6.1", "good", FEDMEM_MINOR), two[2];
	struct fedmem_rule got[4];
	uint32_t n, version;

	assert_int_equal(publish(&good, 1), 0);
	two[0] = rule("1.3.6.2", "other", FEDMEM_MINOR);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		two[1] = rule(wrong[i], "wrong", FEDMEM_MINOR);
		assert_int_equal(publish(two, 2), -EINVAL);
	}
	two[1] = rule("1.3.6.3", "wrong", FEDMEM_CRITICAL + 1);
	assert_int_equal(publish(two, 2), -EINVAL);
	two[1] = rule("1.3.6.3", "", FEDMEM_MINOR);
	assert_int_equal(publish(two, 2), -EINVAL);
	assert_int_equal(fedmem_rules_get(s.fm, got, 4, &n, &version), 0);
	assert_int_equal(n, 1);
	assert_int_equal(version, 1);
	assert_string_equal(got[0].type, "good");
}

static void more_rules_than_the_table_holds_are_refused(void **state)
{
	struct conf_rule rules[257];

	for (size_t i = 0; i < 257; i++)
		rules[i] = rule("1.3.6.1", "t", FEDMEM_MINOR);
	assert_int_equal(publish(rules, 256), 0);
	assert_int_equal(publish(rules, 257), FEDMEM_FULL);
}

static void standard_rules_load_without_findings_and_are_published(void **state)
{
	struct conf_findings findings;
	struct fedmem_rule got[256];
	struct conf_rules *rules;
	uint32_t n, version;
	int result = conf_rules_load(&rules, STANDARD_RULES, 256, &findings);

	conf_findings_print(&findings, STANDARD_RULES, stderr);
	assert_int_equal(result, 0);
	assert_int_equal(findings.n, 0);
	assert_true(rules->n_rules >= 15);
	assert_int_equal(alarm_rules_publish(s.fm, rules), 0);
	assert_int_equal(fedmem_rules_get(s.fm, got, 256, &n, &version), 0);
	assert_int_equal(n, rules->n_rules);
	conf_findings_free(&findings);
	conf_rules_free(rules);
}

/* What clears but nothing raises would never clear anything. */
static void each_standard_rule_that_clears_has_one_that_raises(void **state)
{
	struct conf_findings findings;
	struct conf_rules *rules;

	assert_int_equal(conf_rules_load(&rules, STANDARD_RULES, 256, &findings), 0);
	for (uint32_t i = 0; i < rules->n_rules; i++) {
		const struct conf_rule *clear = &rules->rules[i];
		uint32_t n_raise = 0;

		if (clear->severity != FEDMEM_CLEARED)
			continue;
		for (uint32_t k = 0; k < rules->n_rules; k++) {
			const struct conf_rule *raise = &rules->rules[k];

			n_raise += raise->severity != FEDMEM_CLEARED &&
				   strcmp(raise->type, clear->type) == 0 &&
				   strcmp(raise->resource, clear->resource) == 0 &&
				   strcmp(raise->resource_from, clear->resource_from) == 0;
		}
		assert_true(n_raise > 0);
	}
	conf_findings_free(&findings);
	conf_rules_free(rules);
}

static void severities_have_the_words_of_rfc_8632(void **state)
{
	assert_string_equal(alarm_severity_name(FEDMEM_CLEARED), "cleared");
	assert_string_equal(alarm_severity_name(FEDMEM_INDETERMINATE), "indeterminate");
	assert_string_equal(alarm_severity_name(FEDMEM_WARNING), "warning");
	assert_string_equal(alarm_severity_name(FEDMEM_MINOR), "minor");
	assert_string_equal(alarm_severity_name(FEDMEM_MAJOR), "major");
	assert_string_equal(alarm_severity_name(FEDMEM_CRITICAL), "critical");
	assert_string_equal(alarm_severity_name(200), "indeterminate");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rule_is_published_as_the_decoder_reads_it),
		TEST(rule_without_bindings_has_none),
		TEST(texts_that_just_fit_are_taken_and_longer_ones_refused),
		TEST(one_wrong_rule_leaves_the_published_ones_alone),
		TEST(more_rules_than_the_table_holds_are_refused),
		TEST(standard_rules_load_without_findings_and_are_published),
		TEST(each_standard_rule_that_clears_has_one_that_raises),
		TEST(severities_have_the_words_of_rfc_8632),
	};

	return cmocka_run_group_tests_name("alarm", tests, NULL, NULL);
}
