// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The agent under a storm of events: it gives up the probe that costs too much, says what it is
 * blind to, and takes the probe back when the storm is over.
 */
#include "live/agents.h"
#include "live/switch_storm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define STORMS_MAX 2

#define ATTACHED "tocsin_probe_attached{probe=\"task_leaves\",hook=\"tp_btf/sched_switch\"}"
#define RUNS	 "tocsin_probe_run_seconds_count{probe=\"task_leaves\",hook=\"tp_btf/sched_switch\"}"
#define SHED	 "tocsin_probe_shed{family=\"sched\"}"
#define SHEDS	 "tocsin_probe_sheds_total{family=\"sched\"}"
#define BLIND	 "tocsin_finding_blind{finding=\"cpu-overload\"}"
#define DELAYS	 "tocsin_sched_delay_seconds_count"

static double metric(struct agents *agents, const char *sample)
{
	return agents_metric(agents, SIDE_A, AGENTS_URL, sample);
}

static bool is_shed(void *agents)
{
	return metric(agents, SHED) == 1;
}

static bool is_back(void *agents)
{
	return metric(agents, SHED) == 0;
}

static bool is_blind(void *agents)
{
	return metric(agents, BLIND) == 1;
}

static bool sees_again(void *agents)
{
	return metric(agents, BLIND) == 0;
}

static void expect_status(struct agents *agents, const char *const shed[2])
{
	json_t *status = process_get_status(&agents->rig, SIDE_A, AGENTS_URL);
	const json_t *budget = json_object_get(status, "budget");
	const json_t *parts = json_object_get(budget, "shed");
	size_t count = 0;

	while (count < 2 && shed[count])
		count++;
	assert_int_equal(json_array_size(parts), count);
	for (size_t i = 0; i < count; i++)
		assert_string_equal(json_string_value(json_array_get(parts, i)), shed[i]);
	assert_true(json_is_number(json_object_get(budget, "cpu_ratio")));
	assert_true(json_is_null(json_object_get(budget, "error")));
	json_decref(status);
}

static void test_storm(void **state)
{
	static const struct process_options status = {.arguments = {"status"}};
	struct agents *agents = *state;
	const struct process_options options = agents_options(agents, 0);
	struct switch_storm storms[STORMS_MAX] = {{0}};
	const char *line;
	double delays;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	agents_configure(agents, 0,
			 "netns: own\n"
			 "budget: {cpu_percent: 0.1, restore_after_s: 8}\n");
	for (int i = 0; i < STORMS_MAX && i < cpus; i++)
		switch_storm_start(&storms[i], i);
	agents_start(agents, 0, &options);
	line = process_expect_log(&agents->agent[0], "probe shed");
	assert_non_null(strstr(line, "\"probe\":\"sched\""));
	assert_non_null(strstr(line, "\"lost\":\"run-queue delay\""));
	assert_non_null(strstr(line, "budget.cpu_percent is 0.1"));
	rig_wait(is_shed, agents, "the shed probe in the metrics");
	rig_wait(is_blind, agents, "the blind finding in the metrics");
	assert_int_equal(metric(agents, SHEDS), 1);
	assert_int_equal(metric(agents, ATTACHED), 0);
	assert_true(metric(agents, RUNS) > 1000);
	delays = metric(agents, DELAYS);
	assert_true(delays > 1000);
	expect_status(agents, (const char *const[2]){"sched"});
	assert_int_equal(process_run(&agents->other, &agents->rig, &status), 0);
	assert_non_null(strstr(agents->other.output, ", SHED sched"));
	assert_non_null(strstr(agents->other.output, "cpu-overload cannot be judged: given up"));

	for (int i = 0; i < STORMS_MAX && i < cpus; i++)
		switch_storm_end(&storms[i]);
	line = process_expect_log(&agents->agent[0], "probe taken back");
	assert_non_null(strstr(line, "\"probe\":\"sched\""));
	rig_wait(is_back, agents, "the probe that came back in the metrics");
	rig_wait(sees_again, agents, "the finding that is not blind any more");
	assert_int_equal(metric(agents, ATTACHED), 1);
	/* What it had counted is still there. */
	assert_true(metric(agents, DELAYS) >= delays);
	expect_status(agents, (const char *const[2]){NULL});
	agents_stop(agents, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		agents_test(test_storm),
	};

	return agents_run_tests("budget", tests);
}
