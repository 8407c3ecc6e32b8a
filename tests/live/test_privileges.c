// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the agent holds of root's powers once it works, and that it works with no more than that. */
#include "base/capability.h"
#include "base/clock.h"
#include "live/agents.h"
#include "live/switch_storm.h"
#include "probe/kernel_types.h"

#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define BIT(number) (UINT64_C(1) << (number))
/* What deploy/tocsin.service gives, and what of it is left. */
#define GIVEN                                                                         \
	(BIT(CAP_BPF) | BIT(CAP_PERFMON) | BIT(CAP_NET_ADMIN) | BIT(CAP_SYS_PTRACE) | \
	 BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_SYS_ADMIN))
#define KEPT (BIT(CAP_BPF) | BIT(CAP_NET_ADMIN) | BIT(CAP_SYS_PTRACE) | BIT(CAP_DAC_READ_SEARCH))

struct powers {
	char name[32];
	uint64_t inheritable, permitted, effective, ambient;
	bool no_new_privs;
};

static struct powers read_powers(const char *path)
{
	struct powers powers = {0};
	unsigned int flag = 2;
	char line[256];
	FILE *file = fopen(path, "re");

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		(void)sscanf(line, "Name: %31s", powers.name);
		(void)sscanf(line, "CapInh: %" SCNx64, &powers.inheritable);
		(void)sscanf(line, "CapPrm: %" SCNx64, &powers.permitted);
		(void)sscanf(line, "CapEff: %" SCNx64, &powers.effective);
		(void)sscanf(line, "CapAmb: %" SCNx64, &powers.ambient);
		(void)sscanf(line, "NoNewPrivs: %u", &flag);
	}
	fclose(file);
	assert_true(flag < 2);
	powers.no_new_privs = flag;
	return powers;
}

static void assert_powers(const char *path, uint64_t expected, bool no_new_privs)
{
	struct powers powers = read_powers(path);

	if (powers.effective != expected || powers.permitted != expected || powers.inheritable ||
	    powers.ambient || powers.no_new_privs != no_new_privs)
		fail_msg("%s (%s): effective %" PRIx64 " permitted %" PRIx64 " inheritable %" PRIx64
			 " ambient %" PRIx64 " no_new_privs %d, expected %" PRIx64 " %d",
			 path, powers.name, powers.effective, powers.permitted, powers.inheritable,
			 powers.ambient, powers.no_new_privs, expected, no_new_privs);
}

/* The main thread holds these, all others nothing. */
static void assert_threads(pid_t pid, uint64_t expected, bool no_new_privs)
{
	unsigned int others = 0;
	struct dirent *entry;
	char path[300];
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	tasks = opendir(path);
	assert_non_null(tasks);
	while ((entry = readdir(tasks))) {
		bool first = atoi(entry->d_name) == pid;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/status", pid, entry->d_name);
		assert_powers(path, first ? expected : 0, no_new_privs);
		others += !first;
	}
	closedir(tasks);
	/* The journal's. */
	assert_true(others >= 1);
}

/* Its helpers: returns how many of this name there are, all of which hold just these. */
static unsigned int assert_helpers(pid_t parent, const char *name, uint64_t expected)
{
	unsigned int count = 0;
	char path[64];
	FILE *children;
	int pid;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", parent, parent);
	children = fopen(path, "re");
	assert_non_null(children);
	while (fscanf(children, "%d", &pid) == 1) {
		snprintf(path, sizeof(path), "/proc/%d/status", pid);
		if (strcmp(read_powers(path).name, name) != 0)
			continue;
		assert_powers(path, expected, true);
		count++;
	}
	fclose(children);
	return count;
}

static bool is_measured(void *context)
{
	return agents_metric(context, SIDE_A, AGENTS_URL, "tocsin_budget_measured_seconds_total") >
	       0;
}

static void assert_all_attached(struct agents *agents)
{
	json_t *status = process_get_status(&agents->rig, SIDE_A, AGENTS_URL);
	const json_t *probes = json_object_get(status, "probes"), *probe;
	size_t i;

	assert_true(json_array_size(probes) > 10);
	json_array_foreach(probes, i, probe)
	{
		const char *reason = json_string_value(json_object_get(probe, "reason"));

		if (!json_is_true(json_object_get(probe, "attached")) && !rig_kernel_lacks(reason))
			fail_msg("%s: %s", json_string_value(json_object_get(probe, "name")),
				 reason);
	}
	json_decref(status);
}

static void give_state_dir(const struct agents *agents)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/state-0", agents->directory);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(chown(path, PROCESS_UNPRIVILEGED, PROCESS_UNPRIVILEGED), 0);
}

/* Another user's, with these capabilities and no more. */
static void start_confined(struct agents *agents, const char *yaml, uint64_t given)
{
	struct process_options options;

	agents_configure(agents, 0, "%s", yaml);
	give_state_dir(agents);
	options = agents_options(agents, 0);
	options.user = PROCESS_UNPRIVILEGED;
	options.capabilities = given;
	agents_start(agents, 0, &options);
}

/* As its unit starts it: everything is attached and measured, and what is left is exactly known. */
static void test_as_service(void **state)
{
	struct agents *agents = *state;
	pid_t pid;

	start_confined(agents, "node: n1\n", GIVEN);
	pid = agents->agent[0].pid;
	assert_threads(pid, KEPT, true);
	assert_all_attached(agents);
	rig_wait(is_measured, agents, "a window in which the programs were measured");
	assert_int_equal(assert_helpers(pid, "tocsin-measure", BIT(CAP_SYS_ADMIN)), 1);
	assert_true(assert_helpers(pid, "tocsin-statvfs", KEPT) >= 1);
	agents_stop(agents, 0);
}

/* What was given up is taken back without what was given up for good. */
static void test_restores_probes(void **state)
{
	struct agents *agents = *state;
	struct switch_storm storm;

	/* On a machine at rest the programs cost less than the least budget. */
	switch_storm_start(&storm, 0);
	start_confined(agents, "node: n1\nbudget: {cpu_percent: 0.01, restore_after_s: 1}\n",
		       GIVEN);
	(void)process_expect_log(&agents->agent[0], "\"event\":\"probe shed\"");
	agents_configure(agents, 0, "node: n1\nbudget: {cpu_percent: 100, restore_after_s: 1}\n");
	process_signal(&agents->agent[0], SIGHUP);
	(void)process_expect_log(&agents->agent[0], "\"event\":\"probe taken back\"");
	agents_stop(agents, 0);
	switch_storm_end(&storm);
}

/* Without CAP_SYS_ADMIN there is no helper, and what that costs is said. */
static void test_without_measuring(void **state)
{
	struct agents *agents = *state;
	pid_t pid;

	if (!kernel_has_function("bpf_rdonly_cast") && libbpf_major_version() == 1 &&
	    libbpf_minor_version() < 3) {
		print_message("this kernel lacks bpf_rdonly_cast(), and libbpf before 1.3 cannot "
			      "find that out without CAP_SYS_ADMIN\n");
		skip();
	}
	start_confined(agents, "node: n1\n", BIT(CAP_BPF) | BIT(CAP_PERFMON));
	pid = agents->agent[0].pid;
	assert_threads(pid, BIT(CAP_BPF), true);
	assert_all_attached(agents);
	(void)process_expect_log(&agents->agent[0], "what the probes cost is not known");
	assert_int_equal(assert_helpers(pid, "tocsin-measure", 0), 0);
	agents_stop(agents, 0);
}

/* Where CAP_SYS_ADMIN is all there is, it stands for CAP_BPF and stays. */
static void test_sys_admin_alone(void **state)
{
	struct agents *agents = *state;

	start_confined(agents, "node: n1\n", BIT(CAP_SYS_ADMIN));
	assert_threads(agents->agent[0].pid, BIT(CAP_SYS_ADMIN), true);
	assert_all_attached(agents);
	agents_stop(agents, 0);
}

/* By root, with a hook: that is executed with all that root may, as before. */
static void test_as_root(void **state)
{
	struct agents *agents = *state;
	struct process_options options = agents_options(agents, 0);

	agents_configure(agents, 0,
			 "node: n1\nfindings: {disk-slow: {response: hook, hook: [/bin/true]}}\n");
	agents_start(agents, 0, &options);
	assert_threads(agents->agent[0].pid, KEPT | BIT(CAP_KILL), false);
	agents_stop(agents, 0);

	agents_configure(agents, 0, "node: n1\n");
	agents_start(agents, 0, &options);
	assert_threads(agents->agent[0].pid, KEPT | BIT(CAP_KILL), true);
	/* Too late for privileges, and said so. */
	agents_configure(agents, 0,
			 "node: n1\nfindings: {disk-slow: {response: hook, hook: [/bin/true]}}\n");
	process_signal(&agents->agent[0], SIGHUP);
	(void)process_expect_log(&agents->agent[0], "hooks run without privileges");
	agents_stop(agents, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		agents_test(test_as_service),	     agents_test(test_restores_probes),
		agents_test(test_without_measuring), agents_test(test_sys_admin_alone),
		agents_test(test_as_root),
	};

	return agents_run_tests("privileges", tests);
}
