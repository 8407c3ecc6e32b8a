// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which of a node's findings its row has for the other nodes. */
#include "agent/findings.h"

#include "agent/agent.h"
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct agent agent;

static int set_up(void **state)
{
	(void)state;
	log_configure(LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR);
	agent = (struct agent){0};
	assert_int_equal(uv_loop_init(&agent.loop), 0);
	assert_int_equal(agent_findings_open(&agent.findings, &agent), 0);
	for (int kind = 0; kind < FINDING_KINDS; kind++)
		agent.config.findings.settings[kind].response = FINDING_RESPONSE_ROW;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	agent_findings_close(agent.findings);
	uv_run(&agent.loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&agent.loop), 0);
	return 0;
}

static void find(enum finding_kind kind, const char *subject, const char *sentence)
{
	findings_say(agent_findings_list(agent.findings), kind, subject, FINDING_ACTIVE, 1, 1, 2,
		     sentence);
}

static void test_response(void **state)
{
	static const struct {
		enum finding_response response;
		unsigned int count;
	} cases[] = {
		{FINDING_RESPONSE_LOG, 0},	   {FINDING_RESPONSE_METRIC, 0},
		{FINDING_RESPONSE_ROW, 1},	   {FINDING_RESPONSE_HOOK, 1},
		{FINDING_RESPONSE_NO_SCHEDULE, 1},
	};

	(void)state;
	find(FINDING_DISK_STALLED, "sda", "no answer");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct row row = {0};

		agent.config.findings.settings[FINDING_DISK_STALLED].response = cases[i].response;
		assert_int_equal(agent_findings_row(agent.findings, &row), cases[i].count);
		assert_int_equal(row.finding_count, cases[i].count);
		if (!cases[i].count)
			continue;
		assert_string_equal(row.findings[0].name, "disk-stalled");
		assert_string_equal(row.findings[0].subject, "sda");
		assert_string_equal(row.findings[0].sentence, "no answer");
	}
}

/* A row that is the same but for sentences need not be written at once. */
static void test_news(void **state)
{
	struct row row = {0};

	(void)state;
	assert_false(agent_findings_row(agent.findings, &row));
	find(FINDING_DISK_STALLED, "sda", "no answer for 2 s");
	find(FINDING_CRASH_LOOP, "shop.service", "it crashed");
	assert_true(agent_findings_row(agent.findings, &row));
	find(FINDING_DISK_STALLED, "sda", "no answer for 3 s");
	assert_false(agent_findings_row(agent.findings, &row));
	assert_int_equal(row.finding_count, 2);
	assert_string_equal(row.findings[0].sentence, "no answer for 3 s");
	assert_string_equal(row.findings[1].name, "crash-loop");
	findings_end(agent_findings_list(agent.findings), FINDING_DISK_STALLED, "sda", "gone", 3);
	assert_true(agent_findings_row(agent.findings, &row));
	assert_int_equal(row.finding_count, 1);
	assert_string_equal(row.findings[0].name, "crash-loop");
	/* Who takes the only place is news, too. */
	findings_end(agent_findings_list(agent.findings), FINDING_CRASH_LOOP, "shop.service",
		     "gone", 4);
	find(FINDING_CRASH_LOOP, "web.service", "it crashed");
	assert_true(agent_findings_row(agent.findings, &row));
	assert_string_equal(row.findings[0].subject, "web.service");
}

/* The oldest count when there are more than a row has room for. */
static void test_too_many(void **state)
{
	struct row row = {0};
	char subject[16];

	(void)state;
	agent.config.findings.settings[FINDING_DISK_ERRORS].response = FINDING_RESPONSE_LOG;
	find(FINDING_DISK_ERRORS, "sda", "it takes no place");
	for (unsigned int i = 0; i < ROW_FINDINGS_MAX + 2; i++) {
		snprintf(subject, sizeof(subject), "%u.service", i);
		find(FINDING_CRASH_LOOP, subject, "it crashed");
	}
	assert_true(agent_findings_row(agent.findings, &row));
	assert_int_equal(row.finding_count, ROW_FINDINGS_MAX);
	assert_string_equal(row.findings[0].subject, "0.service");
	snprintf(subject, sizeof(subject), "%u.service", ROW_FINDINGS_MAX - 1);
	assert_string_equal(row.findings[ROW_FINDINGS_MAX - 1].subject, subject);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_response, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_news, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_many, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("agent findings", tests, NULL, NULL);
}
