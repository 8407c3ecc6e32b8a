// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The probes that the agent can do without: one that cannot be opened leaves the others working,
 * and what they count is in the metrics of the running agent.
 */
#include "agent/groups.h"
#include "live/agents.h"
#include "live/cgroup_rig.h"
#include "live/child.h"
#include "probe/family.h"
#include "probe/kernel_types.h"
#include "probe/program.h"
#include "probe/run_time.h"
#include "probe/sched.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define CRASHES 20
#define DROPS	50
#define PORT	4000

static void test_one_that_fails_leaves_the_others(void **state)
{
	/* No map can have room for nothing. */
	static const struct probe_settings settings = {.max_groups = 0};
	struct probes probes = {{0}, {{0}}};
	struct sched_record sum;

	(void)state;
	probes_open(&probes, &settings);
	for (unsigned int kind = 0; kind < PROBE_KINDS; kind++) {
		const struct program_status *programs;
		size_t count;

		programs = probes_programs(&probes, kind, &count);
		if (kind == PROBE_TASK) {
			assert_null(probes.open[kind]);
			assert_null(programs);
			assert_int_equal(count, 0);
			assert_non_null(strstr(probes.errors[kind], "loading the task programs"));
			continue;
		}
		assert_non_null(probes.open[kind]);
		assert_string_equal(probes.errors[kind], "");
		for (size_t i = 0; i < count; i++)
			if (!programs[i].attached && !rig_kernel_lacks(programs[i].reason))
				fail_msg("%s: %s", programs[i].program->name, programs[i].reason);
	}
	/* Their programs do run. */
	usleep(10000);
	assert_int_equal(sched_probe_read(probes.open[PROBE_SCHED], &sum), 0);
	assert_true(sum.unknown > 0);
	probes_close(&probes);
	probes_close(&probes);
}

static void test_shed_and_restored(void **state)
{
	static const struct probe_settings settings = {.max_groups = 16};
	struct probes probes = {{0}, {{0}}};

	(void)state;
	probes_open(&probes, &settings);
	for (unsigned int kind = 0; kind < PROBE_KINDS; kind++) {
		const struct program_status *programs;
		size_t count;

		if (rig_kernel_lacks(probes_obstacle(&probes, kind)))
			continue;
		assert_string_equal(probes_obstacle(&probes, kind), "");
		programs = probes_programs(&probes, kind, &count);
		for (int round = 0; round < 2; round++) {
			probes_shed(&probes, kind, "too dear");
			assert_string_equal(probes_obstacle(&probes, kind), "too dear");
			for (size_t i = 0; i < count; i++) {
				if (rig_kernel_lacks(programs[i].reason))
					continue;
				assert_true(programs[i].shed && !programs[i].attached);
				assert_string_equal(programs[i].reason, "too dear");
				assert_int_equal(program_runs(&programs[i]).count, 0);
			}
			assert_int_equal(probes_restore(&probes, kind), 0);
			assert_string_equal(probes_obstacle(&probes, kind), "");
			for (size_t i = 0; i < count; i++)
				if (!rig_kernel_lacks(programs[i].reason) &&
				    (programs[i].shed || !programs[i].attached))
					fail_msg("%s: %s", programs[i].program->name,
						 programs[i].reason);
		}
	}
	probes_close(&probes);
}

static uint64_t runs_of(const struct probes *probes, enum probe_kind kind)
{
	size_t count;
	const struct program_status *programs = probes_programs(probes, kind, &count);

	return program_runs(&programs[0]).count;
}

/* Somebody else may have the kernel measure all the time. */
static bool is_measured_anyway(void)
{
	FILE *file = fopen("/proc/sys/kernel/bpf_stats_enabled", "re");
	int on = 0;

	if (file && fscanf(file, "%d", &on) != 1)
		on = 0;
	if (file)
		fclose(file);
	return on;
}

static void test_measured_while_asked_for(void **state)
{
	static const struct probe_settings settings = {.max_groups = 16};
	struct probes probes = {{0}, {{0}}};
	uint64_t before, after;
	int fd;

	(void)state;
	probes_open(&probes, &settings);
	fd = run_time_measure();
	assert_true(fd >= 0);
	before = runs_of(&probes, PROBE_SCHED);
	for (int i = 0; i < 100; i++)
		usleep(100);
	after = runs_of(&probes, PROBE_SCHED);
	assert_in_range(after - before, 100, UINT64_MAX);
	close(fd);
	if (!is_measured_anyway()) {
		before = runs_of(&probes, PROBE_SCHED);
		for (int i = 0; i < 100; i++)
			usleep(100);
		assert_int_equal(runs_of(&probes, PROBE_SCHED), before);
	}
	probes_close(&probes);
}

static void die(void *unused)
{
	(void)unused;
	raise(SIGSEGV);
}

static void send_to_nobody(const struct agents *agents)
{
	struct address address = rig_address(SIDE_A, AF_INET);
	struct sockaddr_storage target;
	socklen_t length = address_to_sockaddr(&address, PORT, &target);
	int fd = rig_socket(&agents->rig, SIDE_B, AF_INET, SOCK_DGRAM);

	for (int i = 0; i < DROPS; i++)
		assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&target, length), 1);
	close(fd);
}

static void check_with_promtool(const struct agents *agents)
{
	char path[128], command[256];
	FILE *file;

	if (system("command -v promtool >/dev/null")) {
		print_message("not checked: promtool is not installed (package prometheus)\n");
		return;
	}
	snprintf(path, sizeof(path), "%s/metrics", agents->directory);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(agents->body, file) >= 0);
	assert_int_equal(fclose(file), 0);
	snprintf(command, sizeof(command), "promtool check metrics <%s >&2", path);
	assert_int_equal(system(command), 0);
}

/* The reference names every family of a real scrape. */
static void check_with_reference(const struct agents *agents)
{
	static const char type[] = "\n# TYPE ";
	char reference[65536] = "", quoted[128];
	FILE *file = fopen("docs/metrics.md", "re");
	unsigned int count = 0;

	if (!file)
		fail_msg("docs/metrics.md: run this test from the root of the tree");
	assert_in_range(fread(reference, 1, sizeof(reference) - 1, file), 1, sizeof(reference) - 2);
	assert_int_equal(fclose(file), 0);
	for (const char *at = agents->body; (at = strstr(at, type)); count++) {
		int length;

		at += strlen(type);
		length = (int)strcspn(at, " ");
		snprintf(quoted, sizeof(quoted), "`%.*s", length, at);
		if (!strstr(reference, quoted))
			fail_msg("docs/metrics.md does not tell of %s", quoted + 1);
	}
	assert_true(count > 30);
}

static double metric(struct agents *agents, const char *sample)
{
	return agents_metric(agents, SIDE_A, AGENTS_URL, sample);
}

/* An answer that took long to make is given again for a while. */
static bool drops_are_told(void *context)
{
	return metric(context, "tocsin_drop_packets_total{reason=\"no_socket\"}") == DROPS;
}

/* Where the kernel tells no reasons (before Linux 5.17). */
static bool drops_of_unknown_reason_are_told(void *context)
{
	return metric(context, "tocsin_drop_packets_total{reason=\"unknown\"}") >= DROPS;
}

static void test_metrics(void **state)
{
	struct agents *agents = *state;
	const bool reasons = kernel_tracepoint_arguments("kfree_skb") >= 3;
	const struct process_options options = agents_options(agents, 0);
	struct cgroup_rig cgroup;
	char sample[512];
	json_t *status;
	int status_of_child = 0;
	size_t seen = 0, index;
	json_t *group;

	if (cgroup_rig_obstacle()) {
		print_message("%s\n", cgroup_rig_obstacle());
		skip();
	}
	agents_configure(agents, 0, "netns: own\n");
	agents_start(agents, 0, &options);
	cgroup_rig_up(&cgroup, "shop.service");
	cgroup_rig_enter(&cgroup);
	for (int i = 0; i < CRASHES; i++)
		status_of_child |= child_wait(child_start(die, NULL));
	/* Its name outlives it: the crash was told while it was there. */
	cgroup_rig_leave(&cgroup);
	cgroup_rig_down(&cgroup);
	assert_int_equal(WTERMSIG(status_of_child), SIGSEGV);
	snprintf(sample, sizeof(sample),
		 "tocsin_task_crashes_total{cgroup=\"/tocsin-live-%d-shop.service\","
		 "unit=\"tocsin-live-%d-shop.service\",signal=\"SIGSEGV\"}",
		 (int)getpid(), (int)getpid());
	assert_int_equal(metric(agents, sample), CRASHES);
	send_to_nobody(agents);
	rig_wait(reasons ? drops_are_told : drops_of_unknown_reason_are_told, agents,
		 "the drops in the metrics");
	assert_true(metric(agents, "tocsin_sched_delay_seconds_count") > 0);
	assert_int_equal(metric(agents, "tocsin_probe_attached{probe=\"task_leaves\","
					"hook=\"tp_btf/sched_switch\"}"),
			 1);
	check_with_promtool(agents);
	check_with_reference(agents);
	status = process_get_status(&agents->rig, SIDE_A, AGENTS_URL);
	json_array_foreach(json_object_get(status, "cgroups"), index, group)
	{
		const json_t *crashes = json_object_get(group, "crashes");
		const char *unit = json_string_value(json_object_get(group, "unit"));

		if (!unit || !strstr(unit, "shop.service"))
			continue;
		assert_int_equal(json_integer_value(json_object_get(crashes, "SIGSEGV")), CRASHES);
		seen++;
	}
	assert_int_equal(seen, 1);
	if (reasons)
		assert_int_equal(json_integer_value(json_object_get(
					 json_object_get(status, "dropped_packets"), "no_socket")),
				 DROPS);
	json_decref(status);
	agents_stop(agents, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_that_fails_leaves_the_others),
		cmocka_unit_test(test_shed_and_restored),
		cmocka_unit_test(test_measured_while_asked_for),
		agents_test(test_metrics),
	};

	return agents_run_tests("families", tests);
}
