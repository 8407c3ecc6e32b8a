// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The family of the capacity finding, in simulated time: subjects, bounds, ends. */
#include "agent/agent.h"
#include "agent/findings.h"
#include "agent/health_capacity.h"
#include "base/clock.h"
#include "unit/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define BEGIN_S 5000
#define TURN_S	5
#define SUBJECT "space of /data"

static struct agent agent;
static void *family;

static int set_up(void **state)
{
	(void)state;
	agent = (struct agent){0};
	agent.config.findings.settings[FINDING_CAPACITY].response = FINDING_RESPONSE_ROW;
	agent.config.findings.limits.capacity.horizon_s = 1800;
	agent.config.findings.limits.capacity.reserve_percent = 20;
	assert_int_equal(uv_loop_init(&agent.loop), 0);
	assert_int_equal(agent_findings_open(&agent.findings, &agent), 0);
	assert_int_equal(health_capacity.open(&family, &agent), 0);
	assert_ptr_equal(agent.capacity, family);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	health_capacity.close(family);
	assert_null(agent.capacity);
	/* Told too late: nothing happens. */
	capacity_observe(&agent, SUBJECT, "the space", 1, 2, NS_PER_S);
	agent_findings_close(agent.findings);
	loop_end(&agent.loop);
	return 0;
}

static const struct finding *standing(const char *subject)
{
	return findings_find(agent_findings_list(agent.findings), FINDING_CAPACITY, subject);
}

static uint64_t at_ns(unsigned int second)
{
	return (BEGIN_S + second) * NS_PER_S;
}

/* For so long, each 5 s: 400 of 1000 and so many more per hour, all in the same unit. */
static void fill(const char *subject, unsigned int from_s, unsigned int to_s, double per_hour)
{
	for (unsigned int second = from_s; second < to_s; second += TURN_S) {
		capacity_observe(&agent, subject, "the space", 400 + per_hour * second / 3600, 1000,
				 at_ns(second));
		health_capacity.turn(family, at_ns(second));
	}
}

static void test_foreseen(void **state)
{
	(void)state;
	/* Of nothing, nothing can be used. */
	capacity_observe(&agent, SUBJECT, "the space", 0, 0, at_ns(0));
	fill(SUBJECT, 0, 3600, 300);
	assert_non_null(standing(SUBJECT));
	assert_non_null(strstr(standing(SUBJECT)->sentence, "80 % will be passed in"));
	assert_in_range(standing(SUBJECT)->since_ns, at_ns(3000), at_ns(3300));
	/* Its use is told no more, as of what is not mounted any more. */
	for (unsigned int second = 3600; second < 4195; second += TURN_S)
		health_capacity.turn(family, at_ns(second));
	assert_non_null(standing(SUBJECT));
	health_capacity.turn(family, at_ns(4195));
	assert_null(standing(SUBJECT));
}

static void test_stable(void **state)
{
	(void)state;
	fill(SUBJECT, 0, 7200, 0);
	assert_null(standing(SUBJECT));
}

/* More of it is there. */
static void test_limit_grows(void **state)
{
	(void)state;
	fill(SUBJECT, 0, 3600, 300);
	assert_non_null(standing(SUBJECT));
	for (unsigned int second = 3600; second < 7200; second += TURN_S)
		capacity_observe(&agent, SUBJECT, "the space", 700, 10000, at_ns(second));
	assert_null(standing(SUBJECT));
}

static void test_off(void **state)
{
	(void)state;
	fill(SUBJECT, 0, 3600, 300);
	assert_non_null(standing(SUBJECT));
	agent.config.findings.settings[FINDING_CAPACITY].response = FINDING_RESPONSE_OFF;
	health_capacity.turn(family, at_ns(3600));
	assert_null(standing(SUBJECT));
	fill(SUBJECT, 3605, 7200, 300);
	assert_null(standing(SUBJECT));
}

/* More than there is room for: the first ones are foreseen. */
static void test_bounded(void **state)
{
	char subject[32];

	(void)state;
	for (unsigned int second = 0; second < 3600; second += TURN_S) {
		health_capacity.turn(family, at_ns(second));
		for (unsigned int i = 0; i < 200; i++) {
			/* Not all: no more than FINDINGS_MAX can stand. */
			double per_hour = i < 100 ? 0 : 300;

			snprintf(subject, sizeof(subject), "space of /%u", i);
			capacity_observe(&agent, subject, "the space",
					 400 + per_hour * second / 3600, 1000, at_ns(second));
		}
	}
	/* CPU and memory are two of 128, and these are told before there is a CPU's. */
	assert_non_null(standing("space of /100"));
	assert_non_null(standing("space of /125"));
	assert_null(standing("space of /126"));
}

#define test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_foreseen), test(test_stable),	 test(test_limit_grows),
		test(test_off),	     test(test_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
